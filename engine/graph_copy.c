/* Copies of graphs: same ids, same handles of dims, constants shared. */
#include <string.h>

#include "base/alloc.h"
#include "engine/graph_private.h"

typedef struct graph_copy { const pf_graph *from; pf_graph *to; pf_err *err; } graph_copy;

static pf_status copy_dim(const graph_copy *copy, pf_dim from, pf_dim *to)
{
    *to = pf_dim_translate(copy->from->dims, from, copy->to->dims);
    if (*to == PF_DIM_INVALID && from != PF_DIM_INVALID)
        return PF_FAIL(copy->err, PF_NO_SPACE, "a dim cannot be copied: too many symbols, or no memory");
    return PF_OK;
}

static pf_status copy_value(const graph_copy *copy, pf_value_id id)
{
    const pf_value *from = &copy->from->values[id];
    pf_value       *to = &copy->to->values[id];
    pf_dim         *content = NULL;
    pf_status       st = PF_OK;

    *to = *from;
    to->name = graph_copy_name(copy->to, from->name);
    if (from->content)
        content = pf_arena_alloc(copy->to->arena, (from->content_count + 1) * sizeof *content);
    if (!to->name || (from->content && !content))
        return PF_FAIL_MEMORY(copy->err, from->content_count * sizeof *content);
    for (int32_t i = 0; i < from->shape.rank && !st; i++)
        st = copy_dim(copy, from->shape.dim[i], &to->shape.dim[i]);
    for (uint32_t i = 0; i < from->content_count && !st; i++)
        st = copy_dim(copy, from->content[i], &content[i]);
    to->content = content;
    return st;
}

static pf_status copy_uses(const graph_copy *copy, pf_value_id id)
{
    for (uint32_t i = 0; i < pf_graph_use_count(copy->from, id); i++) {
        pf_status st = graph_use_add(copy->to, id, pf_graph_use(copy->from, id, i), copy->err);

        if (st)
            return st;
    }
    return PF_OK;
}

static pf_status copy_values(const graph_copy *copy)
{
    pf_status st = graph_reserve_values(copy->to, copy->from->value_count, copy->err);

    for (pf_value_id id = 0; id < copy->from->value_count && !st; id++) {
        st = copy_value(copy, id);
        copy->to->value_count = id + 1;
        if (!st)
            st = copy_uses(copy, id);
    }
    return st;
}

/* The symbols that inference made are found again by name. */
static pf_status copy_scope(const graph_copy *copy, const pf_dims_scope *from, pf_dims_scope *to)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const char *name = pf_dims_symbol_name(copy->from->dims, from->symbols[i]);

        if (pf_dims_symbol(copy->to->dims, name) == PF_DIM_INVALID ||
            pf_grow((void **)&to->symbols, &to->capacity, to->count + 1, sizeof *to->symbols))
            return PF_FAIL_MEMORY(copy->err, sizeof *to->symbols);
        to->symbols[to->count++] = pf_dims_symbol_index(copy->to->dims, name);
    }
    return PF_OK;
}

static pf_status copy_node(const graph_copy *copy, pf_node_id id)
{
    const pf_node   *from = &copy->from->nodes[id];
    const pf_op_def *def = pf_op_def_of(from->op);
    pf_status        st = graph_reserve_node(copy->to, copy->err);
    pf_node         *to = NULL;

    if (st)
        return st;
    to = &copy->to->nodes[copy->to->node_count++];
    *to = *from;
    to->name = graph_copy_name(copy->to, from->name);
    to->in = pf_arena_copy(copy->to->arena, from->in, (from->in_count + 1) * sizeof *from->in);
    to->out = pf_arena_copy(copy->to->arena, from->out, (from->out_count + 1) * sizeof *from->out);
    to->attrs = from->attrs ? pf_arena_alloc(copy->to->arena, def->attr_bytes) : NULL;
    if (!to->name || !to->in || !to->out || (from->attrs && !to->attrs))
        return PF_FAIL_MEMORY(copy->err, def->attr_bytes);
    if (from->attrs && from->live)
        st = pf_attrs_copy(copy->to, copy->from, def, from->attrs, to->attrs, copy->err);
    return st ? st : copy_scope(copy, &copy->from->private_->scopes[id], &copy->to->private_->scopes[id]);
}

static pf_status copy_ids(const pf_value_id *from, uint32_t count, pf_value_id **to, uint32_t *capacity, pf_err *err)
{
    if (count && pf_grow((void **)to, capacity, count, sizeof **to))
        return PF_FAIL_MEMORY(err, count * sizeof **to);
    if (count)
        memcpy(*to, from, count * sizeof **to);
    return PF_OK;
}

static pf_status copy_interface(const graph_copy *copy)
{
    const pf_graph          *from = copy->from;
    pf_graph                *to = copy->to;
    struct pf_graph_private *p = to->private_;
    pf_status                st = copy_ids(from->inputs, from->input_count, &to->inputs, &p->input_capacity, copy->err);

    if (!st)
        st = copy_ids(from->outputs, from->output_count, &to->outputs, &p->output_capacity, copy->err);
    if (!st)
        st = copy_ids(from->captured, from->capture_count, &to->captured, &p->captured_capacity, copy->err);
    if (!st && from->output_count &&
        pf_grow((void **)&to->output_names, &p->name_capacity, from->output_count, sizeof *to->output_names))
        st = PF_FAIL_MEMORY(copy->err, from->output_count * sizeof *to->output_names);
    if (st)
        return st;
    to->input_count = from->input_count;
    to->output_count = from->output_count;
    to->capture_count = from->capture_count;
    for (uint32_t i = 0; i < from->output_count; i++) {
        to->output_names[i] = graph_copy_name(to, from->output_names[i]);
        if (!to->output_names[i])
            return PF_FAIL_MEMORY(copy->err, strlen(from->output_names[i]));
    }
    return PF_OK;
}

static pf_status copy_captures(const graph_copy *copy)
{
    const struct pf_graph_private *from = copy->from->private_;
    struct pf_graph_private       *to = copy->to->private_;

    if (!from->capture_count)
        return PF_OK;
    if (pf_grow((void **)&to->captures, &to->capture_capacity, from->capture_count, sizeof *to->captures))
        return PF_FAIL_MEMORY(copy->err, from->capture_count * sizeof *to->captures);
    memcpy(to->captures, from->captures, from->capture_count * sizeof *to->captures);
    to->capture_count = from->capture_count;
    return PF_OK;
}

pf_status graph_copy_into(const pf_graph *graph, pf_graph *outer, pf_graph **out, pf_err *err)
{
    graph_copy copy = { graph, pf_graph_new(graph->name, outer), err };
    pf_status  st = PF_OK;

    *out = NULL;
    if (!copy.to)
        return PF_FAIL_MEMORY(err, sizeof *copy.to);
    if (!outer) {
        pf_dims *dims = pf_dims_copy(graph->dims);

        if (dims) {
            pf_dims_free(copy.to->dims);
            copy.to->dims = dims;
        } else
            st = PF_FAIL_MEMORY(err, 1);
    }
    if (!st)
        st = copy_values(&copy);
    for (pf_node_id id = 0; id < graph->node_count && !st; id++)
        st = copy_node(&copy, id);
    if (!st)
        st = copy_interface(&copy);
    if (!st)
        st = copy_captures(&copy);
    if (st)
        pf_graph_free(copy.to);
    else
        *out = copy.to;
    return st;
}

pf_graph *pf_graph_copy(const pf_graph *graph, pf_err *err)
{
    pf_graph *copy = NULL;

    return graph_copy_into(graph, NULL, &copy, err) ? NULL : copy;
}
