/* A gather at positions that rise evenly is a slice, and a gather_nd at the positions of its own result is a reshape.
   Positions that the table does not have are an error before and after: the slice is then too short for the reshape
   behind it.  Where that is known now the gather stays, for it may never be computed. */
#include "engine/index_form.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* The dim of the index tensor that rises; -1: none does.  False when several do or a dim that does not rise is larger
   than 1. */
static bool rising_dim(const pf_index_form *form, const pf_shape *shape, int32_t *dim)
{
    *dim = -1;
    for (int32_t d = 0; d < shape->rank; d++) {
        if (shape->dim[d] == 1)
            continue;
        if (form->coef[d] < 1 || *dim >= 0)
            return false;
        *dim = d;
    }
    return true;
}

/* From the end to the start: what counts from the end when negative does not rise evenly there. */
static bool passes_zero(const pf_graph *graph, const pf_index_form *form, const pf_shape *index, int32_t dim)
{
    pf_dim last = dim < 0 ? form->constant
                          : pf_dim_add(graph->dims, form->constant,
                                       pf_dim_mul(graph->dims, form->coef[dim],
                                                  pf_dim_sub(graph->dims, index->dim[dim], 1)));

    return pf_dim_is_number(form->constant) && form->constant < 0 && !(pf_dim_is_number(last) && last < 0);
}

static pf_status from_gather(pf_graph *graph, const pf_node *node, pf_value_id *out, pf_err *err)
{
    int64_t       axis = ((const pf_axis_attrs *)node->attrs)->axis, step = 1;
    pf_shape      index = graph->values[node->in[1]].shape, wanted = graph->values[node->out[0]].shape;
    pf_index_form form = { 0 };
    int32_t       dim = 0;
    pf_dim        size = wanted.rank < 0 ? 0 : graph->values[node->in[0]].shape.dim[axis], last = 0, end = 0;
    pf_status     st = PF_OK;

    if (wanted.rank < 0 || !pf_index_form_of(graph, node->in[1], &form) || form.is_choice ||
        !rising_dim(&form, &index, &dim) || passes_zero(graph, &form, &index, dim))
        return PF_OK;
    if (pf_dim_is_number(form.constant) && form.constant < 0)
        form.constant = pf_dim_add(graph->dims, form.constant, size);
    if (dim >= 0 && (!pf_index_form_never_negative(graph->dims, &index, &form)))
        return PF_OK;
    step = dim < 0 ? 1 : form.coef[dim];
    last = dim < 0 ? form.constant
                   : pf_dim_add(graph->dims, form.constant,
                                pf_dim_mul(graph->dims, step, pf_dim_sub(graph->dims, index.dim[dim], 1)));
    end = pf_dim_add(graph->dims, last, 1);
    if (end == PF_DIM_INVALID || form.constant == PF_DIM_INVALID ||
        (pf_dim_is_number(form.constant) && form.constant < 0) ||
        (pf_dim_is_number(end) && pf_dim_is_number(size) && end > size))
        return PF_OK;
    st = pf_make_slice(graph, node->name, node->in[0], axis, form.constant, end, step, out, err);
    return st ? st : pf_make_reshape(graph, node->name, *out, &wanted, out, err);
}

/* Part i of an index is the position along one dim of the result, which grows with i and is as long as dim i of the
   data. */
static bool is_own_position(const pf_index_form *part, const pf_shape *result, pf_dim size, int32_t *dim)
{
    int32_t found = -1;

    if (part->is_choice || part->constant != 0)
        return false;
    for (int32_t d = 0; d < result->rank; d++) {
        if (part->coef[d] == 0)
            continue;
        if (part->coef[d] != 1 || found >= 0)
            return false;
        found = d;
    }
    if (found < 0)
        return size == 1;
    if (found <= *dim || result->dim[found] != size)
        return false;
    *dim = found;
    return true;
}

static pf_status from_gather_nd(pf_graph *graph, const pf_node *node, pf_value_id *out, pf_err *err)
{
    const pf_gather_nd_attrs *attrs = node->attrs;
    pf_shape                  data = graph->values[node->in[0]].shape, wanted = graph->values[node->out[0]].shape;
    pf_shape                  place = { .rank = wanted.rank, .dim = { 1, 1, 1, 1, 1, 1, 1, 1 } };
    pf_index_form             part[PF_MAX_RANK];
    int32_t                   dim = -1;
    pf_status                 st = PF_OK;

    if (attrs->batch_dims || wanted.rank < 0 || data.rank < 1 ||
        !pf_index_form_of_parts(graph, node->in[1], data.rank, part))
        return PF_OK;
    for (int32_t i = 0; i < data.rank; i++) {
        int32_t before = dim;

        if (!is_own_position(&part[i], &wanted, data.dim[i], &dim))
            return PF_OK;
        if (dim != before)
            place.dim[dim] = data.dim[i];
    }
    st = pf_make_reshape(graph, node->name, node->in[0], &place, out, err);
    return st ? st : pf_make_expand(graph, node->name, *out, &wanted, out, err);
}

static const pf_rewrite_row rows[] = {
    { PF_OP_GATHER, from_gather }, { PF_OP_GATHER_ND, from_gather_nd },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    return pf_rewrite_by_op(rewrite, id, rows, sizeof rows / sizeof rows[0], changed, err);
}

const pf_rule pf_rule_gather_to_slice = {
    .name = "gather_to_slice", .summary = "slice instead of gathering at positions that rise evenly",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
