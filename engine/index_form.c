#include <string.h>

#include "engine/index_form_private.h"
#include "engine/ops/content.h"
#include "engine/ops/pointwise.h"

enum { EFFORT = 400 };          /* values looked at for one answer */

bool pf_index_form_has_coefs(const pf_index_form *form)
{
    for (int32_t d = 0; d < PF_MAX_RANK; d++)
        if (form->coef[d])
            return true;
    return false;
}

bool pf_index_form_same_test(const pf_index_form *a, const pf_index_form *b)
{
    return a->constant == b->constant && !memcmp(a->coef, b->coef, sizeof a->coef);
}

bool pf_index_form_mix(const pf_index_reader *r, const pf_index_form *x, int64_t a, const pf_index_form *y, int64_t b,
                       pf_index_form *out)
{
    *out = pf_index_form_linear(
        pf_dim_add(r->dims, pf_dim_mul(r->dims, x->constant, a), pf_dim_mul(r->dims, y->constant, b)));
    for (int32_t d = 0; d < PF_MAX_RANK; d++) {
        int64_t p = 0, q = 0;

        if (__builtin_mul_overflow(x->coef[d], a, &p) || __builtin_mul_overflow(y->coef[d], b, &q) ||
            __builtin_add_overflow(p, q, &out->coef[d]))
            return false;
    }
    return out->constant != PF_DIM_INVALID;
}

void pf_index_form_align(pf_index_form *form, int32_t from, int32_t to)
{
    if (from < to) {
        memmove(form->coef + (to - from), form->coef, (size_t)from * sizeof form->coef[0]);
        memset(form->coef, 0, (size_t)(to - from) * sizeof form->coef[0]);
    }
}

/* Nothing varies along dims of size 1. */
static void tidy(pf_index_form *form, const pf_shape *shape)
{
    for (int32_t d = 0; d < PF_MAX_RANK; d++)
        if (d >= shape->rank || shape->dim[d] == 1)
            form->coef[d] = 0;
}

/* The value at the corner where the linear part is least (or greatest). */
static pf_dim corner(pf_dims *dims, const pf_shape *shape, const pf_index_form *form, bool least)
{
    pf_dim sum = form->constant;

    for (int32_t d = 0; d < shape->rank; d++)
        if (form->coef[d] && (form->coef[d] < 0) == least)
            sum = pf_dim_add(dims, sum, pf_dim_mul(dims, form->coef[d], pf_dim_sub(dims, shape->dim[d], 1)));
    return sum;
}

bool pf_index_form_never_negative(pf_dims *dims, const pf_shape *shape, const pf_index_form *form)
{
    return pf_content_less_equal(dims, 0, corner(dims, shape, form, true));
}

bool pf_index_form_uniform(pf_dims *dims, const pf_shape *shape, const pf_index_form *form, double *out)
{
    if (!form->is_choice) {
        *out = (double)form->constant;
        return !pf_index_form_has_coefs(form) && pf_dim_is_number(form->constant);
    }
    *out = form->yes;
    if (form->yes == form->no || pf_index_form_never_negative(dims, shape, form))
        return true;
    *out = form->no;
    return pf_content_less_equal(dims, pf_dim_add(dims, corner(dims, shape, form, false), 1), 0);
}

static bool read_node(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    return pf_pointwise_row_of(node->op) ? pf_index_form_read_pointwise(r, node, out)
                                         : pf_index_form_read_op(r, node, out);
}

bool pf_index_form_read(pf_index_reader *r, pf_value_id id, pf_index_form *out)
{
    const pf_value *v = id == PF_NONE ? NULL : pf_index_value(r, id);
    bool            found = false;

    *out = (pf_index_form){ 0 };
    if (!v || v->kind != PF_VALUE_TENSOR || v->shape.rank < 0 || --r->effort < 0)
        return false;
    if (v->is_constant)
        found = pf_index_form_read_constant(v, out);
    else if (!pf_index_form_read_content(r, v, out))
        found = v->producer != PF_NONE && read_node(r, &r->graph->nodes[v->producer], out);
    else
        found = true;
    tidy(out, &v->shape);
    return found && out->constant != PF_DIM_INVALID;
}

bool pf_index_form_of(const pf_graph *graph, pf_value_id value, pf_index_form *out)
{
    pf_index_reader r = { graph, graph->dims, EFFORT };

    return pf_index_form_read(&r, value, out);
}

bool pf_index_form_of_parts(const pf_graph *graph, pf_value_id value, int32_t count, pf_index_form *out)
{
    pf_index_reader r = { graph, graph->dims, EFFORT };

    return pf_index_form_read_parts(&r, value, count, out);
}
