/* depth_to_space and space_to_depth: blocks of pixels move between channels and the plane. */
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/move.h"

static const char *const orders[] = { "dcr", "crd", NULL };
static const pf_attr_field depth_fields[] = {
    PF_ATTR_FIELD(pf_depth_to_space_attrs, block, INT), PF_ATTR_ENUM_FIELD(pf_depth_to_space_attrs, order, orders),
    { NULL },
};
static const pf_attr_field space_fields[] = {
    PF_ATTR_FIELD(pf_space_to_depth_attrs, block, INT), PF_ATTR_ENUM_FIELD(pf_space_to_depth_attrs, order, orders),
    { NULL },
};

static pf_status infer_blocks(pf_infer *infer, int64_t block, bool to_space, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_dims        *dims = infer->graph->dims;
    pf_status       st = pf_infer_rank(infer, 0, 4, 4, err);
    pf_shape        out = { 0 };

    if (!st && (block < 1 || block > 1 << 16))
        st = PF_FAIL(err, PF_INVALID, "the block is %lld", (long long)block);
    if (st)
        return st;
    out = x->shape;
    for (int32_t d = 1; d < 4; d++) {
        bool    grows = (d == 1) != to_space;
        int64_t times = d == 1 ? block * block : block;

        if (!grows && pf_dim_is_number(out.dim[d]) && out.dim[d] % times)
            return PF_FAIL(err, PF_INVALID, "dim %d is %lld, which %lld does not divide", d, (long long)out.dim[d],
                           (long long)times);
        out.dim[d] = grows ? pf_dim_mul(dims, out.dim[d], times) : pf_dim_floor_div(dims, out.dim[d], times);
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

static pf_status infer_depth(pf_infer *infer, pf_err *err)
{
    return infer_blocks(infer, ((const pf_depth_to_space_attrs *)infer->node->attrs)->block, true, err);
}

static pf_status infer_space(pf_infer *infer, pf_err *err)
{
    return infer_blocks(infer, ((const pf_space_to_depth_attrs *)infer->node->attrs)->block, false, err);
}

/* Loops: image, channel of the plane side, block row, block column, row, column. */
static pf_status reference_depth(pf_reference_call *call, pf_err *err)
{
    const pf_depth_to_space_attrs *attrs = call->attrs;
    const pf_tensor               *x = &call->in[0], *y = &call->out[0];
    int64_t                        b = attrs->block, c = y->dim[1], h = x->dim[2], w = x->dim[3], plane = h * w;
    int64_t                        channel = attrs->order == PF_DEPTH_DCR ? plane : b * b * plane;
    int64_t                        row = attrs->order == PF_DEPTH_DCR ? b * c * plane : b * plane,
                                   column = attrs->order == PF_DEPTH_DCR ? c * plane : plane;
    pf_move                        move = { .rank = 6,
                                            .dim = { x->dim[0], c, b, b, h, w },
                                            .in_stride = { x->dim[1] * plane, channel, row, column, w, 1 },
                                            .out_stride = { x->dim[1] * plane, b * b * plane, w * b, 1, b * w * b,
                                                            b } };

    return pf_move_all(x->dtype, &move, x->data, call->out[0].data, err);
}

static pf_status reference_space(pf_reference_call *call, pf_err *err)
{
    const pf_space_to_depth_attrs *attrs = call->attrs;
    const pf_tensor               *x = &call->in[0], *y = &call->out[0];
    int64_t                        b = attrs->block, c = x->dim[1], h = y->dim[2], w = y->dim[3], plane = h * w;
    int64_t                        channel = attrs->order == PF_DEPTH_DCR ? plane : b * b * plane;
    int64_t                        row = attrs->order == PF_DEPTH_DCR ? b * c * plane : b * plane,
                                   column = attrs->order == PF_DEPTH_DCR ? c * plane : plane;
    pf_move                        move = { .rank = 6, .dim = { x->dim[0], c, b, b, h, w },
                                            .in_stride = { y->dim[1] * plane, b * b * plane, w * b, 1, b * w * b, b },
                                            .out_stride = { y->dim[1] * plane, channel, row, column, w, 1 } };

    return pf_move_all(x->dtype, &move, x->data, call->out[0].data, err);
}

const pf_op_def pf_op_depth_to_space = {
    .name = "depth_to_space", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_depth_to_space_attrs), .attr_fields = depth_fields, .infer = infer_depth,
    .reference = reference_depth,
};
const pf_op_def pf_op_space_to_depth = {
    .name = "space_to_depth", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_space_to_depth_attrs), .attr_fields = space_fields, .infer = infer_space,
    .reference = reference_space,
};
