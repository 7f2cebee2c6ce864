#include "engine/ops/content.h"

#include <string.h>

#include "base/arena.h"
#include "engine/ops/infer.h"

static bool may_hold(const pf_value *v)
{
    return v->shape.rank >= 0 && v->shape.rank <= 1 && (pf_dtype_is_integer(v->dtype) || v->dtype == PF_BOOL);
}

static void read_constant(const pf_value *v, pf_content *out)
{
    int64_t count = v->shape.rank == 0 ? 1 : v->shape.dim[0];

    if (count < 0 || count > PF_CONTENT_LIMIT)
        return;
    for (int64_t i = 0; i < count; i++) {
        out->at[i] = pf_dtype_get_i64(v->dtype, v->constant.data, (uint64_t)i);
        if (pf_dim_is_symbolic(out->at[i]))     /* a number that would read as a handle */
            return;
    }
    out->count = (int32_t)count;
}

pf_content pf_content_of(const pf_infer *infer, uint32_t slot)
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

pf_status pf_content_set(pf_infer *infer, const pf_content *content, pf_err *err)
{
    pf_value *out = &infer->out[0];
    pf_dim   *items = NULL;

    if (content->count < 0 || !may_hold(out) || (out->shape.rank == 0 ? 1 : out->shape.dim[0]) != content->count)
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
