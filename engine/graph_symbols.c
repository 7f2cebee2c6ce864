/* Sizes that data decides: which node finds them out, and who needs them in its attributes. */
#include "base/alloc.h"
#include "engine/graph_private.h"

const uint32_t *pf_graph_sizes_of(const pf_graph *graph, pf_node_id node, uint32_t *count)
{
    const pf_dims_scope *scope = &graph->private_->scopes[node];

    *count = scope->count;
    return scope->symbols;
}

static bool attrs_need(const pf_dims *dims, const pf_node *node, uint32_t symbol)
{
    const pf_op_def *def = pf_op_def_of(node->op);
    pf_graph        *bodies[GRAPH_BODY_LIMIT] = { NULL };
    uint32_t         count = node->attrs ? graph_bodies(def, node->attrs, bodies) : 0;

    for (const pf_attr_field *field = node->attrs ? def->attr_fields : NULL; field && field->name; field++) {
        const pf_dim_list *list = (const pf_dim_list *)((const char *)node->attrs + field->offset);

        for (int32_t i = 0; field->kind == PF_ATTR_DIMS && i < list->count; i++)
            if (pf_dim_uses(dims, list->at[i], symbol))
                return true;
    }
    for (uint32_t b = 0; b < count; b++)
        for (pf_node_id id = 0; bodies[b] && id < bodies[b]->node_count; id++)
            if (bodies[b]->nodes[id].live && attrs_need(dims, &bodies[b]->nodes[id], symbol))
                return true;
    return false;
}

/* Calls visit for each symbol that the node, or a node in its bodies, finds out, until it answers false. */
typedef bool size_visit(void *user, uint32_t symbol);

static bool each_size(const pf_graph *graph, pf_node_id id, size_visit *visit, void *user)
{
    const pf_node       *node = &graph->nodes[id];
    const pf_dims_scope *scope = &graph->private_->scopes[id];
    pf_graph            *bodies[GRAPH_BODY_LIMIT] = { NULL };
    uint32_t             count = node->attrs ? graph_bodies(pf_op_def_of(node->op), node->attrs, bodies) : 0;

    for (uint32_t i = 0; i < scope->count; i++)
        if (!visit(user, scope->symbols[i]))
            return false;
    for (uint32_t b = 0; b < count; b++)
        for (pf_node_id inner = 0; bodies[b] && inner < bodies[b]->node_count; inner++)
            if (bodies[b]->nodes[inner].live && !each_size(bodies[b], inner, visit, user))
                return false;
    return true;
}

typedef struct edge_list {
    const pf_graph  *graph;
    pf_node_id       maker;
    graph_size_edge *at;
    uint32_t         count, capacity;
    bool             failed;
} edge_list;

static bool note_users(void *user, uint32_t symbol)
{
    edge_list *list = user;

    for (pf_node_id id = 0; id < list->graph->node_count && !list->failed; id++) {
        if (id == list->maker || !list->graph->nodes[id].live ||
            !attrs_need(list->graph->dims, &list->graph->nodes[id], symbol))
            continue;
        list->failed = pf_grow((void **)&list->at, &list->capacity, list->count + 1, sizeof *list->at);
        if (!list->failed)
            list->at[list->count++] = (graph_size_edge){ list->maker, id };
    }
    return !list->failed;
}

pf_status graph_size_edges(const pf_graph *graph, graph_size_edge **edges, uint32_t *count, pf_err *err)
{
    edge_list list = { .graph = graph };

    for (pf_node_id id = 0; id < graph->node_count && !list.failed; id++) {
        list.maker = id;
        if (graph->nodes[id].live)
            (void)each_size(graph, id, note_users, &list);
    }
    *edges = list.at;
    *count = list.count;
    return list.failed ? PF_FAIL_MEMORY(err, sizeof *list.at) : PF_OK;
}

typedef struct need_search { const pf_graph *graph; pf_node_id maker; bool found; } need_search;

static bool search_users(void *user, uint32_t symbol)
{
    need_search *search = user;

    for (pf_node_id id = 0; id < search->graph->node_count && !search->found; id++)
        search->found = id != search->maker && search->graph->nodes[id].live &&
                        attrs_need(search->graph->dims, &search->graph->nodes[id], symbol);
    return !search->found;
}

bool graph_makes_needed_size(const pf_graph *graph, pf_node_id node)
{
    need_search search = { graph, node, false };

    (void)each_size(graph, node, search_users, &search);
    return search.found;
}

typedef struct substitution { pf_dims *dims; uint32_t symbol; pf_dim value; pf_err *err; } substitution;

static pf_status substitute_dim(const substitution *s, pf_dim *dim)
{
    pf_dim out = pf_dim_substitute(s->dims, *dim, s->symbol, s->value);

    if (out == PF_DIM_INVALID && pf_dims_out_of_memory(s->dims))
        return PF_FAIL_MEMORY(s->err, sizeof out);
    if (out == PF_DIM_INVALID && *dim != PF_DIM_INVALID)
        return PF_FAIL(s->err, PF_INVALID, "a dim that depends on the size \"%s\" overflows",
                       pf_dims_symbol_name(s->dims, s->symbol));
    *dim = out;
    return PF_OK;
}

static pf_status substitute_in_graph(const substitution *s, pf_graph *graph);

static pf_status substitute_in_node(const substitution *s, const pf_node *node)
{
    const pf_op_def *def = pf_op_def_of(node->op);
    pf_graph        *bodies[GRAPH_BODY_LIMIT] = { NULL };
    uint32_t         count = graph_bodies(def, node->attrs, bodies);
    pf_status        st = PF_OK;

    for (const pf_attr_field *field = def->attr_fields; field && field->name && !st; field++) {
        pf_dim_list *list = (pf_dim_list *)((char *)node->attrs + field->offset);

        for (int32_t i = 0; field->kind == PF_ATTR_DIMS && i < list->count && !st; i++)
            st = substitute_dim(s, &list->at[i]);
    }
    for (uint32_t i = 0; i < count && !st; i++)
        st = bodies[i] ? substitute_in_graph(s, bodies[i]) : PF_OK;
    return st;
}

static pf_status substitute_in_content(const substitution *s, pf_graph *graph, pf_value *value)
{
    pf_dim   *content = NULL;
    bool      uses = false;
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < value->content_count; i++)
        uses |= pf_dim_uses(s->dims, value->content[i], s->symbol);
    if (!uses)
        return PF_OK;
    content = pf_arena_copy(graph->arena, value->content, value->content_count * sizeof *content);
    if (!content)
        return PF_FAIL_MEMORY(s->err, value->content_count * sizeof *content);
    for (uint32_t i = 0; i < value->content_count && !st; i++)
        st = substitute_dim(s, &content[i]);
    value->content = content;
    return st;
}

static pf_status substitute_in_graph(const substitution *s, pf_graph *graph)
{
    pf_status st = PF_OK;

    for (pf_value_id id = 0; id < graph->value_count && !st; id++) {
        for (int32_t i = 0; i < graph->values[id].shape.rank && !st; i++)
            st = substitute_dim(s, &graph->values[id].shape.dim[i]);
        if (!st)
            st = substitute_in_content(s, graph, &graph->values[id]);
    }
    for (pf_node_id id = 0; id < graph->node_count && !st; id++)
        if (graph->nodes[id].live && graph->nodes[id].attrs)
            st = substitute_in_node(s, &graph->nodes[id]);
    return st;
}

pf_status pf_graph_substitute(pf_graph *graph, uint32_t symbol, pf_dim value, pf_err *err)
{
    substitution s = { graph->dims, symbol, value, err };

    while (graph->outer)
        graph = graph->outer;
    return substitute_in_graph(&s, graph);
}
