/* depth_to_space and space_to_depth: blocks of pixels move between channels and the plane. */
#include <stddef.h>
#include <string.h>

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

/* From the deep side to the plane one.  Loops: image, channel of the plane side, block row, block column, row, column;
   h and w of the deep side. */
static pf_move move_of(int64_t images, int64_t channels, int64_t h, int64_t w, int64_t b, int32_t order)
{
    const int64_t plane = h * w, image = channels * b * b * plane;
    const bool    is_dcr = order == PF_DEPTH_DCR;

    return (pf_move){
        .rank = 6, .dim = { images, channels, b, b, h, w },
        .in_stride = { image, is_dcr ? plane : b * b * plane, is_dcr ? b * channels * plane : b * plane,
                       is_dcr ? channels * plane : plane, w, 1 },
        .out_stride = { image, b * b * plane, w * b, 1, b * w * b, b },
    };
}

static pf_status reference_depth(pf_reference_call *call, pf_err *err)
{
    const pf_depth_to_space_attrs *attrs = call->attrs;
    const pf_tensor               *x = &call->in[0];
    pf_move move = move_of(x->dim[0], call->out[0].dim[1], x->dim[2], x->dim[3], attrs->block, attrs->order);

    return pf_move_all(x->dtype, &move, x->data, call->out[0].data, err);
}

static pf_status reference_space(pf_reference_call *call, pf_err *err)
{
    const pf_space_to_depth_attrs *attrs = call->attrs;
    const pf_tensor               *x = &call->in[0], *y = &call->out[0];
    pf_move back = move_of(x->dim[0], x->dim[1], y->dim[2], y->dim[3], attrs->block, attrs->order), move = back;

    memcpy(move.in_stride, back.out_stride, sizeof move.in_stride);
    memcpy(move.out_stride, back.in_stride, sizeof move.out_stride);
    return pf_move_all(x->dtype, &move, x->data, y->data, err);
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
