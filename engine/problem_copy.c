#include "engine/problem_copy.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"

pf_status pf_problem_copy_begin(pf_problem_copy *copy, const pf_graph *from, const int64_t *bindings, pf_err *err)
{
    *copy = (pf_problem_copy){ .from = from, .bindings = bindings };
    copy->to = pf_graph_new("", NULL);
    copy->map = pf_alloc((from->value_count + 1) * sizeof *copy->map);
    if (!copy->to || !copy->map) {
        pf_problem_copy_clear(copy);
        return PF_FAIL_MEMORY(err, from->value_count * sizeof *copy->map);
    }
    for (uint32_t i = 0; i < from->value_count; i++)
        copy->map[i] = PF_NONE;
    return PF_OK;
}

void pf_problem_copy_clear(pf_problem_copy *copy)
{
    pf_graph_free(copy->to);
    pf_free(copy->map);
    *copy = (pf_problem_copy){ 0 };
}

static pf_status copy_dim(const pf_problem_copy *copy, pf_dim dim, pf_dim *out, pf_err *err)
{
    int64_t number = 0;
    pf_status st = PF_OK;

    *out = dim;
    if (pf_dim_is_number(dim))
        return PF_OK;
    if (!copy->bindings) {
        *out = pf_dim_translate(copy->from->dims, dim, copy->to->dims);
        return *out == PF_DIM_INVALID ? PF_FAIL(err, PF_NO_SPACE, "a dim of a problem cannot be copied") : PF_OK;
    }
    st = pf_dim_eval(copy->from->dims, dim, copy->bindings, &number, err);
    *out = number;
    return st;
}

static pf_status copy_shape(const pf_problem_copy *copy, const pf_shape *shape, pf_shape *out, pf_err *err)
{
    *out = (pf_shape){ .rank = shape->rank };
    if (shape->rank < 0)
        return PF_FAIL(err, PF_UNSUPPORTED, "a tensor of unknown rank cannot be part of a problem");
    for (int32_t i = 0; i < shape->rank; i++) {
        pf_status st = copy_dim(copy, shape->dim[i], &out->dim[i], err);

        if (st)
            return st;
    }
    return PF_OK;
}

pf_status pf_problem_copy_input(pf_problem_copy *copy, pf_value_id value, pf_err *err)
{
    const pf_value *v = pf_graph_value(copy->from, value);
    pf_shape        shape;
    pf_status       st = copy_shape(copy, &v->shape, &shape, err);

    if (!st && v->kind != PF_VALUE_TENSOR)
        st = PF_FAIL(err, PF_UNSUPPORTED, "a sequence or optional cannot be part of a problem");
    return st ? st : pf_graph_add_input(copy->to, "", v->dtype, &shape, &copy->map[value], err);
}

pf_status pf_problem_copy_constant(pf_problem_copy *copy, pf_value_id value, pf_err *err)
{
    const pf_value *v = pf_graph_value(copy->from, value);
    void           *data = pf_arena_copy(copy->to->arena, v->constant.data, v->constant.bytes);

    if (!data)
        return PF_FAIL_MEMORY(err, v->constant.bytes);
    return pf_graph_add_constant(copy->to, "", v->dtype, &v->shape, data, v->constant.bytes, &copy->map[value], err);
}

/* A field that holds more than plain numbers, made fit for the new graph. */
static pf_status copy_field(const pf_problem_copy *copy, const pf_attr_field *field, char *attrs, pf_err *err)
{
    pf_dim_list *list = (pf_dim_list *)(attrs + field->offset);
    const char **text = (const char **)(attrs + field->offset);
    pf_status    st = PF_OK;

    switch (field->kind) {
    case PF_ATTR_DIMS:
        for (int32_t i = 0; i < list->count && !st; i++)
            st = copy_dim(copy, list->at[i], &list->at[i], err);
        return st;
    case PF_ATTR_STRING:
        if (!*text)
            return PF_OK;
        *text = pf_arena_strdup(copy->to->arena, *text);
        return *text ? PF_OK : PF_FAIL_MEMORY(err, 1);
    case PF_ATTR_GRAPH:
        return PF_FAIL(err, PF_UNSUPPORTED, "an op with a body cannot be part of a problem");
    default:
        return PF_OK;
    }
}

static pf_status copy_attrs(const pf_problem_copy *copy, const pf_op_def *def, const void *attrs, void **out,
                            pf_err *err)
{
    pf_status st = PF_OK;

    *out = NULL;
    if (!def->attr_bytes || !attrs)
        return PF_OK;
    *out = pf_arena_copy(copy->to->arena, attrs, def->attr_bytes);
    if (!*out)
        return PF_FAIL_MEMORY(err, def->attr_bytes);
    for (const pf_attr_field *field = def->attr_fields; field && field->name && !st; field++)
        st = copy_field(copy, field, *out, err);
    return st;
}

/* What was inferred anew must be what the whole graph knew: a tactic works by the problem alone. */
static pf_status check_output(const pf_problem_copy *copy, pf_value_id from, pf_value_id to, pf_err *err)
{
    const pf_value *a = pf_graph_value(copy->from, from), *b = pf_graph_value(copy->to, to);
    pf_shape        shape;
    pf_status       st = copy_shape(copy, &a->shape, &shape, err);

    if (!st && (a->dtype != b->dtype || !pf_shape_equal(&shape, &b->shape)))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the shape of %s follows from more than its inputs' shapes",
                     pf_op_def_of(pf_graph_node(copy->from, a->producer)->op)->name);
    return st;
}

pf_status pf_problem_copy_node(pf_problem_copy *copy, pf_node_id node, const pf_value_id *in, pf_err *err)
{
    const pf_node *n = pf_graph_node(copy->from, node);
    pf_value_id   *ids = pf_alloc((n->in_count + n->out_count + 1) * sizeof *ids);
    void          *attrs = NULL;
    pf_status      st = ids ? copy_attrs(copy, pf_op_def_of(n->op), n->attrs, &attrs, err)
                            : PF_FAIL_MEMORY(err, n->in_count);

    for (uint32_t i = 0; i < n->in_count && !st; i++)
        ids[i] = in[i] == PF_NONE ? PF_NONE : copy->map[in[i]];
    if (!st)
        st = pf_graph_add_node(copy->to, n->op, "", ids, n->in_count, attrs, n->out_count, ids + n->in_count, err);
    for (uint32_t i = 0; i < n->out_count && !st; i++) {
        copy->map[n->out[i]] = ids[n->in_count + i];
        st = check_output(copy, n->out[i], ids[n->in_count + i], err);
    }
    pf_free(ids);
    return st;
}

pf_status pf_problem_copy_output(pf_problem_copy *copy, pf_value_id value, pf_err *err)
{
    return pf_graph_add_output(copy->to, copy->map[value], "", err);     /* no names: equal problems are equal texts */
}

/* Values of a problem stand in the order in which they were made, so inputs, constants and nodes are met in turn. */
pf_status pf_problem_copy_all(pf_problem_copy *copy, pf_err *err)
{
    const pf_graph *from = copy->from;
    pf_node_id     *order = NULL;
    uint32_t        count = 0;
    pf_status       st = pf_graph_order(from, &order, &count, err);

    for (uint32_t i = 0; i < from->input_count && !st; i++)
        st = pf_problem_copy_input(copy, from->inputs[i], err);
    for (pf_value_id v = 0; v < from->value_count && !st; v++)
        if (from->values[v].is_constant)
            st = pf_problem_copy_constant(copy, v, err);
    for (uint32_t i = 0; i < count && !st; i++)
        st = pf_problem_copy_node(copy, order[i], pf_graph_node(from, order[i])->in, err);
    for (uint32_t i = 0; i < from->output_count && !st; i++)
        st = pf_problem_copy_output(copy, from->outputs[i], err);
    pf_free(order);
    return st;
}
