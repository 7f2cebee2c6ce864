/* expand, expand_dynamic, tile. */
#include <stddef.h>
#include <string.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field expand_fields[] = { PF_ATTR_FIELD(pf_expand_attrs, shape, DIMS), { NULL } };
static const pf_attr_field tile_fields[] = { PF_ATTR_FIELD(pf_tile_attrs, repeats, DIMS), { NULL } };

/* One number repeated. */
static pf_status repeat_content(pf_infer *infer, pf_err *err)
{
    pf_content in = pf_content_of(infer, 0), out = { 0 };
    pf_dim     count = infer->out[0].shape.rank == 1 ? infer->out[0].shape.dim[0] : -1;

    if (in.count != 1 || pf_dim_is_symbolic(count) || count < 0 || count > PF_CONTENT_LIMIT)
        return in.count == count || infer->out[0].shape.rank == 0 ? pf_content_set(infer, &in, err) : PF_OK;
    while (out.count < count)
        out.at[out.count++] = in.at[0];
    return pf_content_set(infer, &out, err);
}

static pf_status infer_expand(pf_infer *infer, pf_err *err)
{
    const pf_expand_attrs *attrs = infer->node->attrs;
    const pf_value        *x = pf_infer_in(infer, 0);
    pf_shape               target = { 0 }, out = { 0 };
    pf_status              st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_shape_from_list(&attrs->shape, &target, err);
    if (!st)
        st = pf_shape_broadcast(infer->graph->dims, &x->shape, &target, &out, err);
    if (st)
        return st;
    pf_infer_set(infer, 0, x->dtype, &out);
    st = pf_infer_check_out(infer, err);
    return st ? st : repeat_content(infer, err);
}

/* A target whose entries are known. False when it says nothing of the result. */
static bool known_target(pf_infer *infer, pf_shape *out)
{
    pf_content known = pf_content_of(infer, 1);
    pf_shape   target = { .rank = known.count };
    pf_err     ignored = { 0 };

    if (known.count < 0 || known.count > PF_MAX_RANK)
        return false;
    for (int32_t d = 0; d < known.count; d++) {
        target.dim[d] = known.at[d];
        if (pf_dim_is_number(known.at[d]) && known.at[d] < 0)
            return false;
    }
    return !pf_shape_broadcast(infer->graph->dims, &pf_infer_in(infer, 0)->shape, &target, out, &ignored) &&
           out->rank >= 0;
}

static pf_status infer_dynamic(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0), *target = pf_infer_in(infer, 1);
    pf_shape        out = { .rank = -1 };

    if (!x || !target || target->dtype != PF_I64 || target->shape.rank > 1)
        return PF_FAIL(err, PF_INVALID, "expand_dynamic takes a tensor and an int64 shape");
    if (!known_target(infer, &out) && x->shape.rank >= 0 && target->shape.rank == 1 &&
        pf_dim_is_number(target->shape.dim[0]) && target->shape.dim[0] <= PF_MAX_RANK) {
        out.rank = target->shape.dim[0] > x->shape.rank ? (int32_t)target->shape.dim[0] : x->shape.rank;
        for (int32_t d = 0; d < out.rank; d++) {
            int32_t own = d - (out.rank - x->shape.rank);
            bool    kept = own >= 0 && pf_dim_is_number(x->shape.dim[own]) && x->shape.dim[own] != 1;

            out.dim[d] = kept ? x->shape.dim[own] : pf_dims_fresh(infer->graph->dims, "expanded");
        }
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    return PF_OK;
}

static pf_status infer_tile(pf_infer *infer, pf_err *err)
{
    const pf_tile_attrs *attrs = infer->node->attrs;
    const pf_value      *x = pf_infer_in(infer, 0);
    pf_status            st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);
    pf_shape             out = { 0 };

    if (!st)
        st = pf_infer_count("repeats", attrs->repeats.count, x->shape.rank, err);
    if (st)
        return st;
    out.rank = x->shape.rank;
    for (int32_t d = 0; d < out.rank; d++)
        out.dim[d] = pf_dim_mul(infer->graph->dims, x->shape.dim[d], attrs->repeats.at[d]);
    pf_infer_set(infer, 0, x->dtype, &out);
    st = pf_infer_check_out(infer, err);
    return st ? st : repeat_content(infer, err);
}

/* y[i] = x[i mod dims of x]: a broadcast when the sizes allow, else copies one after the other. */
static pf_status repeat(const pf_tensor *x, pf_tensor *y, pf_err *err)
{
    int64_t   x_stride[PF_MAX_RANK] = { 0 }, y_stride[PF_MAX_RANK] = { 0 }, copies = 1;
    int32_t   lead = y->rank - x->rank;
    pf_status st = PF_OK;

    pf_tensor_strides(x, x_stride);
    pf_tensor_strides(y, y_stride);
    for (int32_t d = 0; d < y->rank; d++) {
        int64_t own = d < lead ? 1 : x->dim[d - lead];

        if (own == 0 || y->dim[d] == 0)
            return PF_OK;
        if (y->dim[d] % own)
            return PF_FAIL(err, PF_INVALID, "size %lld does not repeat to %lld", (long long)own, (long long)y->dim[d]);
        copies *= own == 1 ? 1 : y->dim[d] / own;
    }
    for (int64_t c = 0; c < copies && !st; c++) {
        pf_move move = { .rank = y->rank };
        int64_t rest = c;

        for (int32_t d = y->rank - 1; d >= 0; d--) {
            int64_t own = d < lead ? 1 : x->dim[d - lead], times = own == 1 ? 1 : y->dim[d] / own;

            move.dim[d] = own == 1 ? y->dim[d] : own;
            move.in_stride[d] = own == 1 ? 0 : x_stride[d - lead];
            move.out_stride[d] = y_stride[d];
            move.out_at += rest % times * own * y_stride[d];
            rest /= times;
        }
        st = pf_move_all(y->dtype, &move, x->data, y->data, err);
    }
    return st;
}

static pf_status reference(pf_reference_call *call, pf_err *err) { return repeat(&call->in[0], &call->out[0], err); }

static pf_status reference_dynamic(pf_reference_call *call, pf_err *err)
{
    const pf_tensor *x = &call->in[0], *target = &call->in[1];
    int64_t          count = pf_tensor_elems(target), dim[PF_MAX_RANK] = { 0 };
    int32_t          rank = count > x->rank ? (int32_t)count : x->rank;
    pf_status        st = PF_OK;

    if (count > PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "a shape of %lld dims: at most %d are handled", (long long)count,
                       PF_MAX_RANK);
    for (int32_t d = 0; d < rank; d++) {
        int64_t own = d < rank - x->rank ? 1 : x->dim[d - (rank - x->rank)];
        int64_t want = d < rank - count ? 1 : ((const int64_t *)target->data)[d - (rank - count)];

        if (own != 1 && want != 1 && own != want)
            return PF_FAIL(err, PF_INVALID, "size %lld does not expand to %lld", (long long)own, (long long)want);
        dim[d] = own == 1 ? want : own;
    }
    st = pf_rows_size(&call->out[0], rank, dim, err);
    return st ? st : repeat(x, &call->out[0], err);
}

const pf_op_def pf_op_expand = {
    .name = "expand", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_expand_attrs), .attr_fields = expand_fields, .infer = infer_expand, .reference = reference,
};
const pf_op_def pf_op_expand_dynamic = {
    .name = "expand_dynamic", .klass = PF_CLASS_HOST, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .infer = infer_dynamic, .reference = reference_dynamic,
};
const pf_op_def pf_op_tile = {
    .name = "tile", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_tile_attrs), .attr_fields = tile_fields, .infer = infer_tile, .reference = reference,
};
