#include "engine/ops/content.h"

#include <string.h>

#include "base/arena.h"
#include "engine/ops/infer.h"

static bool may_hold(const pf_value *v)
{
    return v->shape.rank >= 0 && (pf_dtype_is_integer(v->dtype) || v->dtype == PF_BOOL);
}

/* -1 where it is not known or beyond what has content. */
static int32_t elems_of(const pf_shape *shape)
{
    int64_t count = 1;

    for (int32_t d = 0; d < shape->rank; d++) {
        if (!pf_dim_is_number(shape->dim[d]) || shape->dim[d] < 0 || shape->dim[d] > PF_CONTENT_LIMIT)
            return -1;
        count *= shape->dim[d];
        if (count > PF_CONTENT_LIMIT)
            return -1;
    }
    return (int32_t)count;
}

static void read_constant(const pf_value *v, pf_content *out)
{
    int32_t count = elems_of(&v->shape);

    for (int32_t i = 0; i < count; i++) {
        out->at[i] = pf_dtype_get_i64(v->dtype, v->constant.data, (uint64_t)i);
        if (pf_dim_is_symbolic(out->at[i]))     /* a number that would read as a handle */
            return;
    }
    out->count = count;
}

pf_content pf_content_of_any(const pf_infer *infer, uint32_t slot)
{
    const pf_value *v = pf_infer_in(infer, slot);
    pf_content      out = { .count = -1 };

    if (!v || !may_hold(v))
        return out;
    if (v->content && v->content_count <= PF_CONTENT_LIMIT) {
        out.count = (int32_t)v->content_count;
        memcpy(out.at, v->content, v->content_count * sizeof *v->content);
    } else if (v->is_constant) {
        read_constant(v, &out);
    }
    return out;
}

pf_content pf_content_of(const pf_infer *infer, uint32_t slot)
{
    const pf_value *v = pf_infer_in(infer, slot);

    return v && v->shape.rank <= 1 ? pf_content_of_any(infer, slot) : (pf_content){ .count = -1 };
}

pf_status pf_content_set_any(pf_infer *infer, const pf_content *content, pf_err *err)
{
    pf_value *out = &infer->out[0];
    pf_dim   *items = NULL;

    if (content->count < 0 || !may_hold(out) || elems_of(&out->shape) != content->count)
        return PF_OK;
    for (int32_t i = 0; i < content->count; i++)
        if (content->at[i] == PF_DIM_INVALID)
            return PF_OK;
    items = pf_arena_alloc(infer->graph->arena, ((size_t)content->count + 1) * sizeof *items);
    if (!items)
        return PF_FAIL_MEMORY(err, (size_t)content->count * sizeof *items);
    memcpy(items, content->at, (size_t)content->count * sizeof *items);
    out->content = items;
    out->content_count = (uint32_t)content->count;
    return PF_OK;
}

pf_status pf_content_set(pf_infer *infer, const pf_content *content, pf_err *err)
{
    return infer->out[0].shape.rank <= 1 ? pf_content_set_any(infer, content, err) : PF_OK;
}

void pf_content_strides(const pf_shape *shape, int64_t *stride)
{
    int64_t apart = elems_of(shape) < 0 ? 0 : 1;

    for (int32_t d = shape->rank - 1; d >= 0; d--) {
        stride[d] = apart;
        apart *= apart ? shape->dim[d] : 0;
    }
}

pf_status pf_content_take(pf_infer *infer, int64_t first, const int64_t *stride, pf_err *err)
{
    const pf_shape *shape = &infer->out[0].shape;
    pf_content      in = pf_content_of_any(infer, 0), out = { .count = in.count < 0 ? -1 : elems_of(shape) };

    for (int32_t i = 0; i < out.count; i++) {
        int64_t at = first, rest = i;

        for (int32_t d = shape->rank - 1; d >= 0; d--) {
            at += rest % shape->dim[d] * stride[d];
            rest /= shape->dim[d];
        }
        if (at < 0 || at >= in.count)
            return PF_OK;
        out.at[i] = in.at[at];
    }
    return pf_content_set_any(infer, &out, err);
}

bool pf_content_less_equal(pf_dims *dims, pf_dim a, pf_dim b)
{
    if (pf_dim_is_number(a) && pf_dim_is_number(b))
        return a <= b;
    return a == b || pf_dim_min(dims, a, b) == a;
}

bool pf_content_less(pf_dims *dims, pf_dim a, pf_dim b)
{
    return pf_content_less_equal(dims, pf_dim_add(dims, a, 1), b);
}
