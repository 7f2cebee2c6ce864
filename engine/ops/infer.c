#include "engine/ops/infer.h"

#include <string.h>

const pf_value *pf_infer_in(const pf_infer *infer, uint32_t slot)
{
    if (slot >= infer->node->in_count || infer->node->in[slot] == PF_NONE)
        return NULL;
    return pf_graph_value(infer->graph, infer->node->in[slot]);
}

pf_status pf_infer_present(const pf_infer *infer, uint32_t count, pf_err *err)
{
    for (uint32_t i = 0; i < count; i++)
        if (!pf_infer_in(infer, i))
            return PF_FAIL(err, PF_INVALID, "input %u is left out, but the op needs it", i);
    return PF_OK;
}

pf_status pf_infer_numeric_dtype(int32_t dtype, pf_err *err)
{
    pf_dtype_kind kind = dtype > PF_DTYPE_NONE && dtype < PF_DTYPE_COUNT ? pf_dtype_kind_of((pf_dtype)dtype)
                                                                         : PF_KIND_NONE;

    if (kind == PF_KIND_NONE || kind == PF_KIND_COMPLEX || kind == PF_KIND_STRING)
        return PF_FAIL(err, PF_INVALID, "the type of the result is not that of numbers");
    return PF_OK;
}

pf_status pf_infer_rank(const pf_infer *infer, uint32_t slot, int32_t least, int32_t most, pf_err *err)
{
    const pf_value *v = pf_infer_in(infer, slot);

    if (!v)
        return PF_FAIL(err, PF_INVALID, "input %u is left out, but the op needs it", slot);
    if (v->shape.rank < 0)
        return PF_FAIL(err, PF_UNSUPPORTED, "the rank of input %u is unknown", slot);
    if (v->shape.rank < least || v->shape.rank > most)
        return PF_FAIL(err, PF_INVALID, "input %u has rank %d where %d to %d is needed", slot, v->shape.rank, least,
                       most);
    return PF_OK;
}

pf_status pf_infer_axis(int64_t axis, int32_t rank, pf_err *err)
{
    if (axis < 0 || axis >= rank)
        return PF_FAIL(err, PF_INVALID, "axis %lld is not one of rank %d", (long long)axis, rank);
    return PF_OK;
}

pf_status pf_infer_axes(const pf_ints *axes, int32_t rank, pf_err *err)
{
    uint64_t seen = 0;

    for (int32_t i = 0; i < axes->count; i++) {
        pf_status st = pf_infer_axis(axes->at[i], rank, err);

        if (st)
            return st;
        if (seen >> axes->at[i] & 1)
            return PF_FAIL(err, PF_INVALID, "axis %lld is named twice", (long long)axes->at[i]);
        seen |= UINT64_C(1) << axes->at[i];
    }
    return PF_OK;
}

pf_status pf_infer_count(const char *what, int32_t count, int32_t want, pf_err *err)
{
    if (count != want)
        return PF_FAIL(err, PF_INVALID, "%s has %d entries where %d are needed", what, count, want);
    return PF_OK;
}

pf_status pf_infer_positive(const char *what, const pf_ints *list, int32_t want, pf_err *err)
{
    pf_status st = pf_infer_count(what, list->count, want, err);

    for (int32_t i = 0; i < want && !st; i++)
        if (list->at[i] < 1 || list->at[i] > INT32_MAX)
            st = PF_FAIL(err, PF_INVALID, "%s holds %lld, which is out of range", what, (long long)list->at[i]);
    return st;
}

pf_status pf_infer_float(const pf_infer *infer, uint32_t slot, pf_err *err)
{
    const pf_value *v = pf_infer_in(infer, slot);

    if (v && !pf_dtype_is_float(v->dtype))
        return PF_FAIL(err, PF_INVALID, "input %u is %s, which is not a float", slot, pf_dtype_name(v->dtype));
    return PF_OK;
}

pf_status pf_infer_integer(const pf_infer *infer, uint32_t slot, pf_err *err)
{
    const pf_value *v = pf_infer_in(infer, slot);

    if (v && !pf_dtype_is_integer(v->dtype))
        return PF_FAIL(err, PF_INVALID, "input %u is %s, which is not an integer", slot, pf_dtype_name(v->dtype));
    return PF_OK;
}

pf_status pf_infer_same_dtype(const pf_infer *infer, uint32_t a, uint32_t b, pf_err *err)
{
    const pf_value *va = pf_infer_in(infer, a), *vb = pf_infer_in(infer, b);

    if (va && vb && va->dtype != vb->dtype)
        return PF_FAIL(err, PF_INVALID, "input %u is %s but input %u is %s", a, pf_dtype_name(va->dtype), b,
                       pf_dtype_name(vb->dtype));
    return PF_OK;
}

/* A symbol that must be that number has it as its bounds from then on: the channels of images, of which a model says
   that any number will do, though its weights are for three.  What only a branch or a body needs says nothing. */
static void settle(const pf_infer *infer, pf_dim symbol, int64_t number)
{
    pf_dims *dims = infer->graph->dims;
    int64_t  low = 0, high = 0;

    for (uint32_t i = 0; i < pf_dims_symbol_count(dims) && !infer->graph->outer; i++) {
        if (pf_dims_symbol(dims, pf_dims_symbol_name(dims, i)) != symbol)
            continue;
        pf_dims_symbol_range(dims, i, &low, &high);
        if (low <= number && number <= high)
            pf_dims_bound(dims, i, number, number);
    }
}

pf_status pf_infer_dims_agree(const pf_infer *infer, pf_dim a, pf_dim b, const char *what, pf_err *err)
{
    if (a != b && pf_dim_is_number(a) && pf_dim_is_number(b))
        return PF_FAIL(err, PF_INVALID, "%s: %lld and %lld should be equal", what, (long long)a, (long long)b);
    if (pf_dim_is_symbolic(a) && pf_dim_is_number(b))
        settle(infer, a, b);
    if (pf_dim_is_symbolic(b) && pf_dim_is_number(a))
        settle(infer, b, a);
    return PF_OK;
}

pf_status pf_infer_vector(const pf_infer *infer, uint32_t slot, pf_dim size, const char *what, pf_err *err)
{
    const pf_value *v = pf_infer_in(infer, slot);

    if (!v)
        return PF_OK;
    if (v->shape.rank != 1)
        return PF_FAIL(err, PF_INVALID, "%s has rank %d where 1 is needed", what, v->shape.rank);
    return pf_infer_dims_agree(infer, v->shape.dim[0], size, what, err);
}

static bool wants(const pf_infer *infer, uint32_t slot) { return slot < infer->node->out_count; }

void pf_infer_set(pf_infer *infer, uint32_t slot, pf_dtype dtype, const pf_shape *shape)
{
    if (!wants(infer, slot))
        return;
    infer->out[slot].dtype = dtype;
    infer->out[slot].shape = *shape;
}

void pf_infer_like(pf_infer *infer, uint32_t slot)
{
    const pf_value *v = pf_infer_in(infer, slot);

    pf_infer_set(infer, 0, v->dtype, &v->shape);
}

pf_status pf_infer_check_out(const pf_infer *infer, pf_err *err)
{
    for (uint32_t i = 0; i < infer->node->out_count; i++) {
        const pf_shape *s = &infer->out[i].shape;

        for (int32_t d = 0; d < s->rank; d++) {
            if (s->dim[d] == PF_DIM_INVALID)
                return PF_FAIL(err, PF_INVALID, "dim %d of output %u cannot be expressed: too large or divided by zero",
                               d, i);
            if (pf_dim_is_number(s->dim[d]) && s->dim[d] < 0)
                return PF_FAIL(err, PF_INVALID, "dim %d of output %u would be %lld", d, i, (long long)s->dim[d]);
        }
    }
    return PF_OK;
}

bool pf_infer_any_rank_unknown(const pf_infer *infer)
{
    for (uint32_t i = 0; i < infer->node->in_count; i++) {
        const pf_value *v = pf_infer_in(infer, i);

        if (v && v->shape.rank < 0)
            return true;
    }
    return false;
}

void pf_infer_unknown(pf_infer *infer, pf_dtype dtype)
{
    pf_shape unknown = { .rank = -1 };

    for (uint32_t i = 0; i < infer->node->out_count; i++)
        pf_infer_set(infer, i, dtype, &unknown);
}

pf_shape pf_infer_shape(int32_t rank, const pf_dim *dim)
{
    pf_shape shape = { .rank = rank };

    for (int32_t i = 0; i < rank; i++)
        shape.dim[i] = dim[i];
    return shape;
}

pf_status pf_infer_shape_from_list(const pf_dim_list *list, pf_shape *out, pf_err *err)
{
    if (list->count < 0 || list->count > PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "a shape of %d dims: at most %d are handled", list->count, PF_MAX_RANK);
    *out = pf_infer_shape(list->count, list->at);
    return PF_OK;
}
