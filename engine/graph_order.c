/* The order in which nodes can run. */
#include "base/alloc.h"
#include "engine/graph_private.h"

/* Node ids that are ready, least first: a binary heap. */
typedef struct ready_heap { pf_node_id *at; uint32_t count; } ready_heap;

static void heap_push(ready_heap *heap, pf_node_id node)
{
    uint32_t i = heap->count++;

    for (; i > 0 && heap->at[(i - 1) / 2] > node; i = (i - 1) / 2)
        heap->at[i] = heap->at[(i - 1) / 2];
    heap->at[i] = node;
}

static pf_node_id heap_pop(ready_heap *heap)
{
    pf_node_id least = heap->at[0], last = heap->at[--heap->count];
    uint32_t   i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->at[child + 1] < heap->at[child])
            child++;
        if (heap->at[child] >= last)
            break;
        heap->at[i] = heap->at[child];
        i = child;
    }
    heap->at[i] = last;
    return least;
}

static pf_node_id producer_of(const pf_graph *graph, pf_value_id value)
{
    return value == PF_NONE ? PF_NONE : graph->values[value].producer;
}

static uint32_t waits_for(const pf_graph *graph, const pf_node *node)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < node->in_count; i++)
        count += producer_of(graph, node->in[i]) != PF_NONE;
    return count;
}

typedef struct size_edges { graph_size_edge *at; uint32_t count; } size_edges;

static void arrive(uint32_t *waiting, ready_heap *ready, pf_node_id node)
{
    if (--waiting[node] == 0)
        heap_push(ready, node);
}

static void finish_node(const pf_graph *graph, pf_node_id id, const size_edges *edges, uint32_t *waiting,
                        ready_heap *ready)
{
    const pf_node *node = &graph->nodes[id];

    for (uint32_t i = 0; i < node->out_count; i++)
        for (uint32_t u = 0; u < pf_graph_use_count(graph, node->out[i]); u++) {
            pf_use use = pf_graph_use(graph, node->out[i], u);

            if (use.node != PF_NONE)
                arrive(waiting, ready, use.node);
        }
    for (uint32_t i = 0; i < edges->count; i++)
        if (edges->at[i].maker == id)
            arrive(waiting, ready, edges->at[i].user);
}

static pf_status refuse_cycle(const pf_graph *graph, const uint32_t *waiting, pf_err *err)
{
    for (pf_node_id id = 0; id < graph->node_count; id++)
        if (graph->nodes[id].live && waiting[id])
            return PF_FAIL(err, PF_INVALID, "the graph has a cycle that %s \"%s\" is part of or waits for",
                           pf_op_def_of(graph->nodes[id].op)->name, graph->nodes[id].name);
    return PF_OK;
}

/* What each live node waits for; the count of live nodes. */
static uint32_t count_waits(const pf_graph *graph, const size_edges *edges, uint32_t *waiting)
{
    uint32_t live_count = 0;

    for (pf_node_id id = 0; id < graph->node_count; id++)
        if (graph->nodes[id].live) {
            live_count++;
            waiting[id] = waits_for(graph, &graph->nodes[id]);
        }
    for (uint32_t i = 0; i < edges->count; i++)
        waiting[edges->at[i].user]++;
    return live_count;
}

pf_status pf_graph_order(const pf_graph *graph, pf_node_id **order, uint32_t *count, pf_err *err)
{
    uint32_t   *waiting = pf_calloc(graph->node_count + 1, sizeof *waiting);
    pf_node_id *sorted = pf_alloc((graph->node_count + 1) * sizeof *sorted);
    ready_heap  ready = { pf_alloc((graph->node_count + 1) * sizeof *ready.at), 0 };
    size_edges  edges = { NULL, 0 };
    uint32_t    sorted_count = 0, live_count = 0;
    pf_status   st = PF_OK;

    *order = NULL;
    *count = 0;
    if (!waiting || !sorted || !ready.at)
        st = PF_FAIL_MEMORY(err, graph->node_count * sizeof *sorted);
    if (!st)
        st = graph_size_edges(graph, &edges.at, &edges.count, err);
    if (st)
        goto out;
    live_count = count_waits(graph, &edges, waiting);
    for (pf_node_id id = 0; id < graph->node_count; id++)
        if (graph->nodes[id].live && !waiting[id])
            heap_push(&ready, id);
    while (ready.count) {
        sorted[sorted_count++] = heap_pop(&ready);
        finish_node(graph, sorted[sorted_count - 1], &edges, waiting, &ready);
    }
    if (sorted_count < live_count) {
        st = refuse_cycle(graph, waiting, err);
        goto out;
    }
    *order = sorted;
    *count = sorted_count;
    sorted = NULL;
out:
    pf_free(waiting);
    pf_free(sorted);
    pf_free(ready.at);
    pf_free(edges.at);
    return st;
}
