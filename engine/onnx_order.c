#include "engine/onnx_scope.h"

#include <string.h>

#include "base/alloc.h"

/* An order of nodes in which producers come first: depth first, in file order, so that a file that is in order stays as
   it is. */

enum mark { MARK_NEW, MARK_OPEN, MARK_DONE };

typedef struct need { uint32_t *at; uint32_t count, capacity; } need;

typedef struct order {
    Onnx__NodeProto *const *nodes;
    size_t                  count;
    pf_map                 *producers;      /* value name -> node */
    need                   *needs;          /* of each node: the nodes it reads from */
    uint8_t                *marks;
    uint32_t               *next;           /* of an open node: the need to look at next */
    uint32_t               *stack;
    uint32_t                depth;
    uint32_t               *out;
    uint32_t                out_count;
} order;

static const char *label(const Onnx__NodeProto *node)
{
    if (node->name && *node->name)
        return node->name;
    return node->n_output && *node->output[0] ? node->output[0] : node->op_type ? node->op_type : "?";
}

static pf_status index_producers(order *o, pf_err *err)
{
    uint64_t there = 0;

    for (size_t i = 0; i < o->count; i++)
        for (size_t k = 0; k < o->nodes[i]->n_output; k++) {
            const char *name = o->nodes[i]->output[k];

            if (!*name)
                continue;
            if (pf_map_get(o->producers, name, &there))
                return PF_FAIL(err, PF_INVALID, "two nodes make the value \"%.200s\": \"%.100s\" and \"%.100s\"", name,
                               label(o->nodes[there]), label(o->nodes[i]));
            if (!pf_map_set(o->producers, name, i))
                return PF_FAIL_MEMORY(err, strlen(name));
        }
    return PF_OK;
}

static pf_status need_name(order *o, uint32_t node, const char *name, pf_err *err)
{
    need    *n = &o->needs[node];
    uint64_t producer = 0;

    if (!*name || !pf_map_get(o->producers, name, &producer))
        return PF_OK;
    if (pf_grow((void **)&n->at, &n->capacity, n->count + 1, sizeof *n->at))
        return PF_FAIL_MEMORY(err, sizeof *n->at);
    n->at[n->count++] = (uint32_t)producer;
    return PF_OK;
}

static bool add_name(pf_map *names, const char *name)
{
    return !name || !*name || pf_map_set(names, name, 1);
}

static bool define_names(const Onnx__GraphProto *graph, pf_map *own)
{
    bool good = true;

    for (size_t i = 0; good && i < graph->n_input; i++)
        good = add_name(own, graph->input[i]->name);
    for (size_t i = 0; good && i < graph->n_initializer; i++)
        good = add_name(own, graph->initializer[i]->name);
    for (size_t i = 0; good && i < graph->n_sparse_initializer; i++)
        good = !graph->sparse_initializer[i]->values || add_name(own, graph->sparse_initializer[i]->values->name);
    for (size_t i = 0; good && i < graph->n_node; i++)
        for (size_t k = 0; good && k < graph->node[i]->n_output; k++)
            good = add_name(own, graph->node[i]->output[k]);
    return good;
}

/* A body's names, seen from outside: innermost first. */
typedef struct body { const struct body *outer; pf_map *own; } body;

static bool is_own(const body *b, const char *name)
{
    uint64_t there = 0;

    for (; b; b = b->outer)
        if (pf_map_get(b->own, name, &there))
            return true;
    return false;
}

static pf_status need_body(order *o, uint32_t node, const Onnx__GraphProto *graph, const body *outer, pf_err *err);

static pf_status need_attributes(order *o, uint32_t node, const Onnx__NodeProto *proto, const body *outer, pf_err *err)
{
    pf_status st = PF_OK;

    for (size_t i = 0; !st && i < proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = proto->attribute[i];

        if (a->g)
            st = need_body(o, node, a->g, outer, err);
        for (size_t k = 0; !st && k < a->n_graphs; k++)
            st = need_body(o, node, a->graphs[k], outer, err);
    }
    return st;
}

/* Recursion is as deep as the file's nesting, which the parser bounds. */
static pf_status need_body(order *o, uint32_t node, const Onnx__GraphProto *graph, const body *outer, pf_err *err)
{
    body      here = { outer, pf_map_new() };
    pf_status st = PF_OK;

    if (!here.own || !define_names(graph, here.own))
        st = PF_FAIL_MEMORY(err, sizeof(void *));
    for (size_t i = 0; !st && i < graph->n_node; i++) {
        const Onnx__NodeProto *inner = graph->node[i];

        for (size_t k = 0; !st && k < inner->n_input; k++)
            if (!is_own(&here, inner->input[k]))
                st = need_name(o, node, inner->input[k], err);
        if (!st)
            st = need_attributes(o, node, inner, &here, err);
    }
    for (size_t i = 0; !st && i < graph->n_output; i++) {
        const char *name = graph->output[i]->name;

        if (name && !is_own(&here, name))
            st = need_name(o, node, name, err);
    }
    pf_map_free(here.own);
    return st;
}

static pf_status collect_needs(order *o, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; !st && i < o->count; i++) {
        for (size_t k = 0; !st && k < o->nodes[i]->n_input; k++)
            st = need_name(o, i, o->nodes[i]->input[k], err);
        if (!st)
            st = need_attributes(o, i, o->nodes[i], NULL, err);
    }
    return st;
}

static pf_status fail_cycle(const order *o, uint32_t from, uint32_t back_to, pf_err *err)
{
    return PF_FAIL(
        err, PF_INVALID,
        "the graph has a cycle: node \"%.200s\" reads what depends on node \"%.200s\", which reads its output",
        label(o->nodes[back_to]), label(o->nodes[from]));
}

static void open_node(order *o, uint32_t node)
{
    o->marks[node] = MARK_OPEN;
    o->stack[o->depth++] = node;
}

static pf_status visit(order *o, uint32_t root, pf_err *err)
{
    if (o->marks[root] == MARK_NEW)
        open_node(o, root);
    while (o->depth) {
        uint32_t    node = o->stack[o->depth - 1];
        const need *n = &o->needs[node];

        if (o->next[node] == n->count) {
            o->marks[node] = MARK_DONE;
            o->out[o->out_count++] = node;
            o->depth--;
            continue;
        }
        uint32_t other = n->at[o->next[node]++];

        if (o->marks[other] == MARK_OPEN)
            return fail_cycle(o, node, other, err);
        if (o->marks[other] == MARK_NEW)
            open_node(o, other);
    }
    return PF_OK;
}

static void order_clear(order *o)
{
    for (size_t i = 0; o->needs && i < o->count; i++)
        pf_free(o->needs[i].at);
    pf_free(o->needs);
    pf_free(o->marks);
    pf_free(o->next);
    pf_free(o->stack);
    pf_map_free(o->producers);
}

pf_status pf_onnx_order(Onnx__NodeProto *const *nodes, size_t count, uint32_t *out, pf_err *err)
{
    order     o = { .nodes = nodes, .count = count, .out = out };
    pf_status st = PF_OK;

    o.producers = pf_map_new();
    o.needs = pf_calloc(count, sizeof *o.needs);
    o.marks = pf_calloc(count, sizeof *o.marks);
    o.next = pf_calloc(count, sizeof *o.next);
    o.stack = pf_calloc(count, sizeof *o.stack);
    if (!o.producers || !o.needs || !o.marks || !o.next || !o.stack)
        st = PF_FAIL_MEMORY(err, count * sizeof *o.needs);
    if (!st)
        st = index_producers(&o, err);
    if (!st)
        st = collect_needs(&o, err);
    for (uint32_t i = 0; !st && i < count; i++)
        st = visit(&o, i, err);
    order_clear(&o);
    return st;
}
