#include "engine/graph.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/graph_private.h"

/* Longer integer tensors are no shapes, and their elements are not looked at. */
enum { CONTENT_LIMIT = 64 };

static void release_body(void *body)
{
    ((pf_graph *)body)->outer = NULL;        /* which lets go of it already */
    pf_graph_free(body);
}

pf_graph *pf_graph_new(const char *name, pf_graph *outer)
{
    pf_graph *graph = pf_calloc(1, sizeof *graph);

    if (!graph)
        return NULL;
    graph->arena = pf_arena_new();
    graph->private_ = pf_calloc(1, sizeof *graph->private_);
    graph->dims = outer ? outer->dims : pf_dims_new();
    if (graph->private_)
        graph->private_->owns_dims = !outer;
    graph->name = graph->arena ? graph_copy_name(graph, name) : NULL;
    if (graph->name && graph->private_ && graph->dims && (!outer || !pf_graph_keep(outer, graph, release_body, NULL))) {
        graph->outer = outer;
        return graph;
    }
    if (!outer && !graph->private_)
        pf_dims_free(graph->dims);
    pf_graph_free(graph);
    return NULL;
}

/* The outer graph must not release a body that is gone. */
static void forget_body(pf_graph *outer, const pf_graph *body)
{
    struct pf_graph_private *p = outer->private_;

    for (uint32_t i = 0; i < p->kept_count; i++)
        if (p->kept[i].resource == body)
            p->kept[i] = p->kept[--p->kept_count];
}

static void free_private(pf_graph *graph)
{
    struct pf_graph_private *p = graph->private_;

    if (!p)
        return;
    for (uint32_t i = p->kept_count; i > 0; i--)
        p->kept[i - 1].release(p->kept[i - 1].resource);
    for (uint32_t i = 0; i < graph->value_count; i++)
        pf_free(p->uses[i].at);
    for (uint32_t i = 0; i < graph->node_count; i++)
        pf_free(p->scopes[i].symbols);
    if (p->owns_dims)
        pf_dims_free(graph->dims);
    pf_free(p->uses);
    pf_free(p->scopes);
    pf_free(p->expected.symbols);
    pf_free(p->kept);
    pf_free(p->captures);
    pf_free(p);
}

void pf_graph_free(pf_graph *graph)
{
    if (!graph)
        return;
    if (graph->outer)
        forget_body(graph->outer, graph);
    free_private(graph);
    pf_free(graph->values);
    pf_free(graph->nodes);
    pf_free(graph->inputs);
    pf_free(graph->outputs);
    pf_free(graph->output_names);
    pf_free(graph->captured);
    pf_arena_free(graph->arena);
    pf_free(graph);
}

const char *graph_copy_name(pf_graph *graph, const char *name)
{
    return name && *name ? pf_arena_strdup(graph->arena, name) : "";
}

pf_status pf_graph_keep(pf_graph *graph, void *resource, void (*release)(void *resource), pf_err *err)
{
    struct pf_graph_private *p = graph->private_;

    if (pf_grow((void **)&p->kept, &p->kept_capacity, p->kept_count + 1, sizeof *p->kept))
        return PF_FAIL_MEMORY(err, sizeof *p->kept);
    p->kept[p->kept_count++] = (graph_kept){ resource, release };
    return PF_OK;
}

pf_status graph_reserve_values(pf_graph *graph, uint32_t count, pf_err *err)
{
    struct pf_graph_private *p = graph->private_;

    if (count > UINT32_MAX / 2 - graph->value_count)
        return PF_FAIL(err, PF_UNSUPPORTED, "a graph has more values than 31 bits can count");
    if (pf_grow((void **)&graph->values, &p->value_capacity, graph->value_count + count, sizeof *graph->values) ||
        pf_grow((void **)&p->uses, &p->uses_capacity, graph->value_count + count, sizeof *p->uses))
        return PF_FAIL_MEMORY(err, count * sizeof *graph->values);
    memset(&graph->values[graph->value_count], 0, count * sizeof *graph->values);
    memset(&p->uses[graph->value_count], 0, count * sizeof *p->uses);
    return PF_OK;
}

pf_status graph_reserve_node(pf_graph *graph, pf_err *err)
{
    struct pf_graph_private *p = graph->private_;

    if (pf_grow((void **)&graph->nodes, &p->node_capacity, graph->node_count + 1, sizeof *graph->nodes) ||
        pf_grow((void **)&p->scopes, &p->scope_capacity, graph->node_count + 1, sizeof *p->scopes))
        return PF_FAIL_MEMORY(err, sizeof *graph->nodes);
    memset(&graph->nodes[graph->node_count], 0, sizeof *graph->nodes);
    p->scopes[graph->node_count] = p->expected;
    memset(&p->expected, 0, sizeof p->expected);
    return PF_OK;
}

/* shape by value: the caller's may be that of a value, which moves when room is made. */
static pf_status add_value(pf_graph *graph, const char *name, pf_dtype dtype, pf_shape shape, pf_value_id *out,
                           pf_err *err)
{
    pf_status st = graph_reserve_values(graph, 1, err);
    pf_value *value = NULL;

    if (st)
        return st;
    value = &graph->values[graph->value_count];
    value->name = graph_copy_name(graph, name);
    value->dtype = dtype;
    value->shape = shape;
    value->producer = PF_NONE;
    if (!value->name)
        return PF_FAIL_MEMORY(err, strlen(name));
    *out = graph->value_count++;
    return PF_OK;
}

static pf_status check_shape(const char *what, const char *name, const pf_shape *shape, pf_err *err)
{
    if (shape->rank < PF_RANK_NO_ITEMS || shape->rank > PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "%s \"%s\" has rank %d; ranks up to %d are supported", what,
                       name ? name : "", shape->rank, PF_MAX_RANK);
    for (int32_t i = 0; i < shape->rank; i++)
        if (shape->dim[i] == PF_DIM_INVALID || (pf_dim_is_number(shape->dim[i]) && shape->dim[i] < 0))
            return PF_FAIL(err, PF_INVALID, "dim %d of %s \"%s\" is negative or no number at all", i, what,
                           name ? name : "");
    return PF_OK;
}

static pf_status append_input(pf_graph *graph, const char *name, pf_dtype dtype, const pf_shape *shape,
                              pf_value_id *out, pf_err *err)
{
    pf_status st = check_shape("input", name, shape, err);

    if (!st && pf_dtype_bits(dtype) == 0)
        st = PF_FAIL(err, PF_INVALID, "input \"%s\" has no element type", name ? name : "");
    if (!st && pf_grow((void **)&graph->inputs, &graph->private_->input_capacity, graph->input_count + 1,
                       sizeof *graph->inputs))
        st = PF_FAIL_MEMORY(err, sizeof *graph->inputs);
    if (!st)
        st = add_value(graph, name, dtype, *shape, out, err);
    if (st)
        return st;
    graph->values[*out].is_input = true;
    graph->inputs[graph->input_count++] = *out;
    return PF_OK;
}

pf_status pf_graph_add_input(pf_graph *graph, const char *name, pf_dtype dtype, const pf_shape *shape, pf_value_id *out,
                             pf_err *err)
{
    *out = PF_NONE;
    if (graph->capture_count)
        return PF_FAIL(err, PF_INTERNAL, "input \"%s\" comes after the first captured value", name ? name : "");
    return append_input(graph, name, dtype, shape, out, err);
}

static const pf_dim *content_of_constant(pf_graph *graph, pf_dtype dtype, const void *data, uint32_t count)
{
    pf_dim *content = pf_arena_alloc(graph->arena, (count + 1) * sizeof *content);

    for (uint32_t i = 0; i < count && content; i++) {
        int64_t number = pf_dtype_get_i64(dtype, data, i);

        /* What lies below all numbers stands for "as far back as can be", which the limit means too. */
        content[i] = number < PF_DIM_SYMBOLIC_LIMIT ? PF_DIM_SYMBOLIC_LIMIT : number;
    }
    return content;
}

/* Has a constant of that shape so many bytes? */
static pf_status check_bytes(const char *name, pf_dtype dtype, const pf_shape *shape, size_t bytes, pf_err *err)
{
    pf_tensor measure = { .dtype = dtype, .rank = shape->rank };
    pf_status st = PF_OK;

    if (!pf_shape_is_static(shape))
        return PF_FAIL(err, PF_INVALID, "constant \"%s\" has a shape that is not all numbers", name);
    memcpy(measure.dim, shape->dim, sizeof measure.dim);
    st = pf_tensor_measure(&measure, err);
    if (st)
        return pf_err_add(err, st, "constant \"%s\"", name);
    if (measure.bytes != bytes)
        return PF_FAIL(err, PF_INVALID, "constant \"%s\" has %zu bytes where its shape needs %zu", name, bytes,
                       measure.bytes);
    return PF_OK;
}

static pf_status make_constant(pf_graph *graph, pf_value *value, const void *data, size_t bytes, pf_err *err)
{
    value->is_constant = true;
    value->constant = (pf_constant){ .data = data, .bytes = bytes };
    if (!pf_dtype_is_integer(value->dtype) || value->shape.rank > 1 || pf_value_elems(value) > CONTENT_LIMIT)
        return PF_OK;
    value->content_count = (uint32_t)pf_value_elems(value);
    value->content = content_of_constant(graph, value->dtype, data, value->content_count);
    return value->content ? PF_OK : PF_FAIL_MEMORY(err, value->content_count * sizeof(pf_dim));
}

pf_status pf_graph_add_constant(pf_graph *graph, const char *name, pf_dtype dtype, const pf_shape *shape,
                                const void *data, size_t bytes, pf_value_id *out, pf_err *err)
{
    pf_status st = check_bytes(name ? name : "", dtype, shape, bytes, err);

    *out = PF_NONE;
    if (!st)
        st = add_value(graph, name, dtype, *shape, out, err);
    return st ? st : make_constant(graph, &graph->values[*out], data, bytes, err);
}

pf_status pf_graph_freeze_input(pf_graph *graph, pf_value_id input, const void *data, size_t bytes, pf_err *err)
{
    uint32_t  formal = graph->input_count - graph->capture_count, at = 0;
    pf_value *value = &graph->values[input];
    pf_status st = check_bytes(value->name, value->dtype, &value->shape, bytes, err);

    if (st)
        return st;
    while (at < formal && graph->inputs[at] != input)
        at++;
    if (at == formal)
        return PF_FAIL(err, PF_INTERNAL, "value %u is no input", input);
    memmove(&graph->inputs[at], &graph->inputs[at + 1], (graph->input_count - at - 1) * sizeof *graph->inputs);
    graph->input_count--;
    value->is_input = false;
    return make_constant(graph, value, data, bytes, err);
}

/* A late constant of few bytes, which are made now. */
static pf_status add_made(pf_graph *graph, const char *name, const pf_shape *shape, const pf_late *late, uint64_t elems,
                          pf_value_id *out, pf_err *err)
{
    size_t bytes = pf_dtype_bytes(late->dtype, elems);
    void  *data = pf_arena_alloc(graph->arena, bytes + 1);

    if (!data)
        return PF_FAIL_MEMORY(err, bytes);
    late->fill(late, 0, elems, data);
    return pf_graph_add_constant(graph, name, late->dtype, shape, data, bytes, out, err);
}

pf_status pf_graph_add_late(pf_graph *graph, const char *name, const pf_shape *shape, pf_late *late, pf_value_id *out,
                            pf_err *err)
{
    const uint64_t elems = (uint64_t)pf_shape_elems(graph->dims, shape);
    pf_value       value = { .name = name ? name : "", .dtype = late->dtype, .shape = *shape,
                             .constant = { .late = late, .bytes = pf_dtype_bytes(late->dtype, elems) } };
    pf_status      st = PF_OK;

    *out = PF_NONE;
    if (value.constant.bytes < PF_LATE_LEAST_BYTES)
        return add_made(graph, name, shape, late, elems, out, err);
    st = pf_graph_keep(graph, late, pf_late_release, err);
    return st ? st : pf_graph_add_shared(graph, &value, out, err);
}

pf_status pf_graph_add_shared(pf_graph *graph, const pf_value *constant, pf_value_id *out, pf_err *err)
{
    const pf_constant shared = constant->constant;
    pf_status         st = pf_graph_add_constant(graph, constant->name, constant->dtype, &constant->shape, shared.data,
                                                 shared.bytes, out, err);

    if (!st)
        graph->values[*out].constant = shared;
    return st;
}

pf_status pf_graph_add_scalar(pf_graph *graph, pf_dtype dtype, double value, pf_value_id *out, pf_err *err)
{
    pf_shape shape = { .rank = 0 };
    size_t   bytes = pf_dtype_bytes(dtype, 1);
    void    *data = pf_arena_alloc(graph->arena, bytes + 1);

    *out = PF_NONE;
    if (!data)
        return PF_FAIL_MEMORY(err, bytes);
    pf_dtype_set(dtype, data, 0, value);
    return pf_graph_add_constant(graph, "", dtype, &shape, data, bytes, out, err);
}

static pf_status check_node(const pf_graph *graph, const pf_op_def *def, const pf_value_id *in, uint32_t in_count,
                            uint32_t out_count, pf_err *err)
{
    if (in_count < def->in_min || (def->in_max != 255 && in_count > def->in_max))
        return PF_FAIL(err, PF_INVALID, "%u inputs where %u to %u are allowed", in_count, def->in_min, def->in_max);
    if (out_count < def->out_min || (def->out_max != 255 && out_count > def->out_max))
        return PF_FAIL(err, PF_INVALID, "%u outputs where %u to %u are allowed", out_count, def->out_min, def->out_max);
    for (uint32_t i = 0; i < in_count; i++)
        if (in[i] != PF_NONE && in[i] >= graph->value_count)
            return PF_FAIL(err, PF_INTERNAL, "input %u is value %u, which does not exist", i, in[i]);
    return PF_OK;
}

/* Fills the node behind the last one, which is not counted yet. */
static pf_status make_node(pf_graph *graph, pf_op_kind op, const char *name, const pf_value_id *in, uint32_t in_count,
                           const void *attrs, uint32_t out_count, pf_err *err)
{
    const pf_op_def *def = pf_op_def_of(op);
    pf_node         *node = &graph->nodes[graph->node_count];

    *node = (pf_node){ .op = op, .live = true, .in_count = in_count, .out_count = out_count };
    node->name = graph_copy_name(graph, name);
    node->in = pf_arena_alloc(graph->arena, (in_count + 1) * sizeof *node->in);
    node->out = pf_arena_alloc(graph->arena, (out_count + 1) * sizeof *node->out);
    node->attrs = def->attr_bytes ? pf_arena_alloc(graph->arena, def->attr_bytes) : NULL;
    if (!node->name || !node->in || !node->out || (def->attr_bytes && !node->attrs))
        return PF_FAIL_MEMORY(err, (in_count + out_count) * sizeof *node->in + def->attr_bytes);
    if (in_count)
        memcpy(node->in, in, in_count * sizeof *in);
    for (uint32_t i = 0; i < out_count; i++)
        node->out[i] = graph->value_count + i;
    return attrs && def->attr_bytes ? graph_take_attrs(graph, def, attrs, node->attrs, err) : PF_OK;
}

/* Counts the node and its outputs, which were inferred, and notes its uses. */
static pf_status commit_node(pf_graph *graph, const pf_value *made, pf_err *err)
{
    pf_node_id id = graph->node_count;
    pf_node   *node = &graph->nodes[id];

    for (uint32_t i = 0; i < node->out_count; i++) {
        pf_value *value = &graph->values[graph->value_count + i];

        *value = made[i];
        value->name = "";
        value->producer = id;
        value->slot = i;
    }
    graph->value_count += node->out_count;
    graph->node_count++;
    for (uint32_t i = 0; i < node->in_count; i++) {
        pf_status st = node->in[i] == PF_NONE ? PF_OK : graph_use_add(graph, node->in[i], (pf_use){ id, i }, err);

        if (st)
            return st;
    }
    return PF_OK;
}

pf_status pf_graph_add_node(pf_graph *graph, pf_op_kind op, const char *name, const pf_value_id *in, uint32_t in_count,
                            const void *attrs, uint32_t out_count, pf_value_id *out, pf_err *err)
{
    const pf_op_def *def = pf_op_def_of(op);
    pf_status        st = check_node(graph, def, in, in_count, out_count, err);
    pf_value        *made = pf_calloc(out_count, sizeof *made);

    for (uint32_t i = 0; i < out_count; i++)
        out[i] = PF_NONE;
    if (!st && !made)
        st = PF_FAIL_MEMORY(err, out_count * sizeof *made);
    if (!st)
        st = graph_reserve_node(graph, err);
    if (!st)
        st = graph_reserve_values(graph, out_count, err);
    if (!st)
        st = make_node(graph, op, name, in, in_count, attrs, out_count, err);
    if (!st) {
        st = graph_infer_node(graph, graph->node_count, made, err);
        if (!st)
            st = commit_node(graph, made, err);
        else
            pf_free(graph->private_->scopes[graph->node_count].symbols);
    }
    for (uint32_t i = 0; i < out_count && !st; i++)
        out[i] = graph->value_count - out_count + i;
    pf_free(made);
    if (st)
        pf_err_at(err, name);
    return st ? pf_err_add(err, st, "%s \"%s\"", def->name, name ? name : "") : PF_OK;
}

pf_status pf_graph_add_output(pf_graph *graph, pf_value_id value, const char *name, pf_err *err)
{
    struct pf_graph_private *p = graph->private_;
    const char              *copy = NULL;
    pf_status                st = PF_OK;

    if (value >= graph->value_count)
        return PF_FAIL(err, PF_INTERNAL, "output \"%s\" is value %u, which does not exist", name ? name : "", value);
    copy = graph_copy_name(graph, name ? name : graph->values[value].name);
    if (!copy ||
        pf_grow((void **)&graph->outputs, &p->output_capacity, graph->output_count + 1, sizeof *graph->outputs) ||
        pf_grow((void **)&graph->output_names, &p->name_capacity, graph->output_count + 1, sizeof *graph->output_names))
        return PF_FAIL_MEMORY(err, sizeof *graph->outputs);
    st = graph_use_add(graph, value, (pf_use){ PF_NONE, graph->output_count }, err);
    if (st)
        return st;
    graph->outputs[graph->output_count] = value;
    graph->output_names[graph->output_count++] = copy;
    return PF_OK;
}

static pf_status note_capture(pf_graph *graph, pf_value_id outer_value, pf_value_id inner, pf_err *err)
{
    struct pf_graph_private *p = graph->private_;

    if (pf_grow((void **)&p->captures, &p->capture_capacity, p->capture_count + 1, sizeof *p->captures))
        return PF_FAIL_MEMORY(err, sizeof *p->captures);
    p->captures[p->capture_count++] = (graph_capture){ outer_value, inner };
    return PF_OK;
}

static pf_status count_capture(pf_graph *graph, pf_value_id outer_value, pf_err *err)
{
    if (pf_grow((void **)&graph->captured, &graph->private_->captured_capacity, graph->capture_count + 1,
                sizeof *graph->captured))
        return PF_FAIL_MEMORY(err, sizeof *graph->captured);
    graph->captured[graph->capture_count++] = outer_value;
    return PF_OK;
}

pf_status graph_add_captured(pf_graph *graph, pf_dtype dtype, const pf_shape *shape, pf_value_id *out, pf_err *err)
{
    pf_status st = append_input(graph, "", dtype, shape, out, err);

    return st ? st : count_capture(graph, PF_NONE, err);
}

static pf_status add_capture(pf_graph *graph, pf_value_id outer_value, pf_value_id *out, pf_err *err)
{
    const pf_value *from = &graph->outer->values[outer_value];
    pf_status       st = append_input(graph, from->name, from->dtype, &from->shape, out, err);

    if (!st)
        st = count_capture(graph, outer_value, err);
    return st ? st : pf_graph_set_body_inputs(graph, graph->input_count - 1, graph->outer, &outer_value, 1, err);
}

pf_status pf_graph_capture(pf_graph *graph, pf_value_id outer_value, pf_value_id *out, pf_err *err)
{
    const struct pf_graph_private *p = graph->private_;
    const pf_value                *from = NULL;
    pf_status                      st = PF_OK;

    *out = PF_NONE;
    if (!graph->outer || outer_value >= graph->outer->value_count)
        return PF_FAIL(err, PF_INTERNAL, "value %u is not one of the graph around \"%s\"", outer_value, graph->name);
    for (uint32_t i = 0; i < p->capture_count; i++)
        if (p->captures[i].outer == outer_value) {
            *out = p->captures[i].inner;
            return PF_OK;
        }
    from = &graph->outer->values[outer_value];
    if (from->is_constant)
        st = pf_graph_add_shared(graph, from, out, err);
    else
        st = add_capture(graph, outer_value, out, err);
    return st ? st : note_capture(graph, outer_value, *out, err);
}
