#include "engine/attention_mask.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/index_form.h"
#include "engine/make.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/ops/content.h"

/* Minus the form, minus 1, is at least 0 where the form is not. */
static void invert(pf_dims *dims, pf_index_form *form)
{
    form->constant = pf_dim_sub(dims, -1, form->constant);
    for (int32_t d = 0; d < PF_MAX_RANK; d++)
        form->coef[d] = -form->coef[d];
}

/* PF_CAUSAL_ of a test that holds where a key is seen: key <= query, or key <= query + keys - queries. */
static int32_t causal_of_test(pf_dims *dims, const pf_index_form *test, int32_t rank, const pf_shape *scores)
{
    pf_dim queries = scores->dim[scores->rank - 2], keys = scores->dim[scores->rank - 1];

    if (rank < 2 || test->coef[rank - 2] != 1 || test->coef[rank - 1] != -1)
        return PF_CAUSAL_NONE;
    for (int32_t d = 0; d < rank - 2; d++)
        if (test->coef[d])
            return PF_CAUSAL_NONE;
    if (test->constant == 0)
        return PF_CAUSAL_TOP_LEFT;
    return test->constant == pf_dim_sub(dims, keys, queries) ? PF_CAUSAL_BOTTOM_RIGHT : PF_CAUSAL_NONE;
}

/* *hidden: what the scores become where they are hidden. */
static int32_t causal_of_term(const pf_graph *graph, const pf_mask_term *term, const pf_shape *scores, double *hidden)
{
    const pf_shape *shape = &graph->values[term->value].shape;
    pf_index_form   form = { 0 };
    bool            yes_hides = false;

    if (!pf_index_form_of(graph, term->value, &form) || !form.is_choice)
        return PF_CAUSAL_NONE;
    if (term->kind == PF_MASK_ADD) {
        double yes = form.yes * term->factor, no = form.no * term->factor;

        yes_hides = no == 0 && yes <= PF_MASK_HIDDEN;
        if (!yes_hides && !(yes == 0 && no <= PF_MASK_HIDDEN))
            return PF_CAUSAL_NONE;
        *hidden = yes_hides ? yes : no;
    } else {
        if ((form.yes != 0) == (form.no != 0))
            return PF_CAUSAL_NONE;
        yes_hides = (form.yes != 0) == (term->kind == PF_MASK_DROP);
        *hidden = term->instead;
    }
    if (yes_hides)
        invert(graph->dims, &form);
    return causal_of_test(graph->dims, &form, shape->rank, scores);
}

static bool add_term(pf_mask *mask, pf_mask_kind kind, pf_value_id value, double factor, double instead)
{
    if (mask->count == PF_MASK_TERMS)
        return false;
    mask->terms[mask->count++] = (pf_mask_term){ kind, value, factor, instead };
    return true;
}

static bool is_number(const pf_graph *graph, pf_value_id value, double *out)
{
    pf_index_form form = { 0 };

    return pf_index_form_of(graph, value, &form) &&
           pf_index_form_uniform(graph->dims, &graph->values[value].shape, &form, out);
}

/* Into what it consists of: sums of masks, choices between 0 and minus infinity, both of two conditions.
   False when the term does not come apart (any more); else its parts were added. */
static bool take_apart(const pf_graph *graph, const pf_mask_term *term, pf_mask *out)
{
    const pf_node *node = pf_graph_maker(graph, term->value);
    double         a = 0, b = 0;

    if (!node)
        return false;
    if (term->kind == PF_MASK_ADD && node->op == PF_OP_ADD)
        return add_term(out, PF_MASK_ADD, node->in[0], term->factor, 0) &&
               add_term(out, PF_MASK_ADD, node->in[1], term->factor, 0);
    if (term->kind == PF_MASK_ADD && node->op == PF_OP_WHERE && is_number(graph, node->in[1], &a) &&
        is_number(graph, node->in[2], &b)) {
        if (a == 0 && b * term->factor == -INFINITY)
            return add_term(out, PF_MASK_KEEP, node->in[0], 1, -INFINITY);
        return b == 0 && a * term->factor == -INFINITY && add_term(out, PF_MASK_DROP, node->in[0], 1, -INFINITY);
    }
    if (term->kind != PF_MASK_ADD && node->op == PF_OP_NOT)
        return add_term(out, term->kind == PF_MASK_KEEP ? PF_MASK_DROP : PF_MASK_KEEP, node->in[0], 1, term->instead);
    if (term->kind == (node->op == PF_OP_AND ? PF_MASK_KEEP : PF_MASK_DROP) &&
        (node->op == PF_OP_AND || node->op == PF_OP_OR))
        return add_term(out, term->kind, node->in[0], 1, term->instead) &&
               add_term(out, term->kind, node->in[1], 1, term->instead);
    return false;
}

static bool split_terms(const pf_graph *graph, const pf_mask *mask, pf_mask *out)
{
    bool any = false;

    out->count = 0;
    for (uint32_t i = 0; i < mask->count; i++) {
        uint32_t before = out->count;

        if (take_apart(graph, &mask->terms[i], out)) {
            any = true;
            continue;
        }
        out->count = before;
        if (out->count == PF_MASK_TERMS)
            return false;
        out->terms[out->count++] = mask->terms[i];
    }
    return any;
}

static bool every_query_sees(pf_dims *dims, const pf_shape *scores)
{
    return pf_content_less_equal(dims, scores->dim[scores->rank - 2], scores->dim[scores->rank - 1]);
}

/* Leaves causal terms out where that changes no row that is hidden throughout. */
static int32_t take_causal(const pf_graph *graph, pf_mask *mask, const pf_shape *scores)
{
    int32_t causal = PF_CAUSAL_NONE;

    for (uint32_t i = 0; i < mask->count; i++) {
        double  hidden = 0;
        int32_t found = causal_of_term(graph, &mask->terms[i], scores, &hidden);

        if (found == PF_CAUSAL_NONE || (causal != PF_CAUSAL_NONE && found != causal) ||
            (mask->count > 1 && hidden != -INFINITY) ||
            (found == PF_CAUSAL_BOTTOM_RIGHT && hidden != -INFINITY && !every_query_sees(graph->dims, scores)))
            continue;
        causal = found;
        memmove(&mask->terms[i], &mask->terms[i + 1], (mask->count - i - 1) * sizeof mask->terms[0]);
        mask->count--;
        i--;
    }
    return causal;
}

/* ---- Putting together what remains */

/* True where the score stays. */
static pf_status as_keep(pf_graph *graph, const pf_mask_term *term, pf_value_id *out, pf_err *err)
{
    *out = term->value;
    return term->kind == PF_MASK_KEEP ? PF_OK
                                      : pf_graph_add_node(graph, PF_OP_NOT, "mask", &term->value, 1, NULL, 1, out, err);
}

static double lowest_of(pf_dtype dtype) { return dtype == PF_F16 ? -65504.0 : -(double)FLT_MAX; }

/* What is added.  A finite number that replaced the score hides it as well when the least number is added: even a row
   that is hidden throughout comes out the same, because no score shows beside it. */
static pf_status as_addend(pf_graph *graph, const pf_mask_term *term, pf_dtype dtype, pf_value_id *out, pf_err *err)
{
    pf_value_id in[3] = { term->value, PF_NONE, PF_NONE };
    double      hidden = term->instead == -INFINITY ? -INFINITY : lowest_of(dtype);
    pf_status   st = PF_OK;

    if (term->kind == PF_MASK_ADD) {
        st = pf_make_cast(graph, "mask", term->value, dtype, out, err);
        return st || term->factor == 1 ? st
                                       : pf_make_with_number(graph, PF_OP_MUL, "mask", *out, term->factor, out, err);
    }
    st = pf_graph_add_scalar(graph, dtype, term->kind == PF_MASK_KEEP ? 0 : hidden, &in[1], err);
    if (!st)
        st = pf_graph_add_scalar(graph, dtype, term->kind == PF_MASK_KEEP ? hidden : 0, &in[2], err);
    return st ? st : pf_graph_add_node(graph, PF_OP_WHERE, "mask", in, 3, NULL, 1, out, err);
}

static bool all_hide_for_ever(const pf_mask *mask)
{
    for (uint32_t i = 0; i < mask->count; i++)
        if (mask->terms[i].kind == PF_MASK_ADD || mask->terms[i].instead != -INFINITY)
            return false;
    return true;
}

static pf_status join(pf_graph *graph, const pf_mask *mask, pf_dtype dtype, pf_value_id *out, pf_err *err)
{
    bool      as_bool = all_hide_for_ever(mask);
    pf_status st = PF_OK;

    *out = PF_NONE;
    for (uint32_t i = 0; i < mask->count && !st; i++) {
        pf_value_id next = PF_NONE;

        st = as_bool ? as_keep(graph, &mask->terms[i], &next, err)
                     : as_addend(graph, &mask->terms[i], dtype, &next, err);
        if (!st && *out != PF_NONE)
            st = pf_make_binary(graph, as_bool ? PF_OP_AND : PF_OP_ADD, "mask", *out, next, &next, err);
        *out = next;
    }
    return st;
}

pf_status pf_mask_split(pf_graph *graph, const pf_mask *mask, const pf_shape *scores, pf_dtype dtype, int32_t *causal,
                        pf_value_id *out, pf_err *err)
{
    pf_mask parts = *mask, finer = { 0 };

    *causal = take_causal(graph, &parts, scores);
    for (int i = 0; i < PF_MASK_TERMS && *causal == PF_CAUSAL_NONE && split_terms(graph, &parts, &finer); i++) {
        parts = finer;
        *causal = take_causal(graph, &parts, scores);
    }
    return join(graph, *causal == PF_CAUSAL_NONE ? mask : &parts, dtype, out, err);
}

