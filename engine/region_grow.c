/* Growing a group backwards, by producers that a tactic takes along. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/attrs.h"
#include "engine/region_private.h"

enum { GROUP_INPUTS_LIMIT = 12 };

int pf_former_by_position(const void *a, const void *b, void *context)
{
    const pf_former *f = context;
    uint32_t         x = f->position[*(const pf_node_id *)a], y = f->position[*(const pf_node_id *)b];

    return (x > y) - (x < y);
}

static pf_dim elems_of(const pf_former *f, pf_node_id node)
{
    return pf_shape_elems(f->graph->dims, &pf_graph_value(f->graph, pf_graph_node(f->graph, node)->out[0])->shape);
}

/* A search through indices for each element, of which the group would take each several times: better done once. */
static bool repeats_search(const pf_former *f, const pf_growth *g, pf_node_id producer)
{
    pf_op_kind op = pf_graph_node(f->graph, producer)->op;

    for (uint32_t i = 0; i < g->count && (op == PF_OP_SCATTER_ELEMENTS || op == PF_OP_SCATTER_ND); i++) {
        pf_dim once = elems_of(f, producer), all = elems_of(f, g->nodes[i]);

        if (pf_dim_is_number(once) && pf_dim_is_number(all) && all > once)
            return true;
    }
    return false;
}

/* From linear [n,h,w,c] to an image whose channels are last in memory: alone it is no step. */
static bool only_renames(const pf_node *node)
{
    const pf_ints *perm = &((const pf_transpose_attrs *)node->attrs)->perm;

    for (int32_t d = 0; d < perm->count; d++)
        if (perm->at[d] != (d == 0 ? 0 : d == 1 ? perm->count - 1 : d - 1))
            return false;
    return true;
}

static bool has_transpose(const pf_former *f, const pf_growth *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const pf_node *node = pf_graph_node(f->graph, g->nodes[i]);

        if (node->op == PF_OP_TRANSPOSE)
            return g->count > 1 || !only_renames(node);
    }
    return false;
}

/* A conversion of what others read into an output of the network's, such as a cache in FP32: one step writes both.  All
   else in it then comes before what leaves it, so no way leads back. */
static bool converts_output(const pf_former *f, const pf_growth *g)
{
    const pf_node *node = pf_graph_node(f->graph, g->nodes[0]);

    return g->count == 1 && !g->has_anchor && node->op == PF_OP_CAST &&
           pf_graph_use_count(f->graph, node->out[0]) == 1 &&
           pf_graph_use(f->graph, node->out[0], 0).node == PF_NONE;
}

static bool may_join(const pf_former *f, const pf_growth *g, pf_node_id producer, pf_value_id value)
{
    bool pointwise = pf_former_is_free_pointwise(f, producer),
         view = producer != PF_NONE && pf_former_class(f, producer) == PF_CLASS_VIEW;

    if ((!pointwise && !pf_former_is_free_mover(f, producer)) || g->refused[producer] ||
        pf_former_contains(g->nodes, g->count, producer) || repeats_search(f, g, producer))
        return false;
    if (view && !g->has_anchor) {       /* a view at the border is no work; inside it lets what is behind it in */
        pf_value_id behind = pf_graph_node(f->graph, producer)->in[0];
        pf_node_id  next = pf_graph_value(f->graph, behind)->producer;

        if (!pf_former_only_group_reads(f, value, g->nodes, g->count))
            return false;
        return ((pf_former_is_free_pointwise(f, next) || pf_former_is_free_mover(f, next)) &&
                pf_former_only_reader(f, behind) == producer) ||
               (pf_former_mixes_channels(f, producer, &pf_graph_value(f->graph, behind)->shape) && has_transpose(f, g));
    }
    return pf_former_outputs_stay(f, producer, g->nodes, g->count)
        || (pointwise && g->has_anchor && pf_former_same_shape(f, value, pf_graph_node(f->graph, g->nodes[0])->in[0])
            && pf_former_may_leave(f, producer, g->nodes, g->count))
        || (converts_output(f, g) && pf_graph_node(f->graph, producer)->out_count == 1);
}

/* The latest producer that may join; PF_NONE when there is none. */
static pf_node_id find_joiner(const pf_former *f, const pf_growth *g)
{
    pf_node_id best = PF_NONE;

    for (uint32_t i = 0; i < g->count; i++) {
        const pf_node *node = pf_graph_node(f->graph, g->nodes[i]);

        for (uint32_t slot = 0; slot < node->in_count; slot++) {
            pf_node_id producer = node->in[slot] == PF_NONE ? PF_NONE
                                                            : pf_graph_value(f->graph, node->in[slot])->producer;

            if (may_join(f, g, producer, node->in[slot] == PF_NONE ? 0 : node->in[slot])
                && (best == PF_NONE || f->position[producer] > f->position[best]))
                best = producer;
        }
    }
    return best;
}

/* Grows *group by one node, if a tactic still takes the whole. */
static pf_status grow_group(pf_former *f, pf_growth *g, pf_node_id joiner, pf_group *group, pf_err *err)
{
    pf_node_id sorted[PF_GROUP_NODES_LIMIT + 1];
    pf_group   larger = { 0 };
    pf_status  st = PF_OK;

    memcpy(sorted, g->nodes, g->count * sizeof *sorted);
    sorted[g->count] = joiner;
    qsort_r(sorted, g->count + 1, sizeof *sorted, pf_former_by_position, f);
    st = pf_group_try(f, sorted, g->count + 1, &larger, err);
    if (st)
        return st;
    if (!larger.problem || larger.problem->graph->input_count > GROUP_INPUTS_LIMIT) {
        pf_group_clear(&larger);
        g->refused[joiner] = true;
        return PF_OK;
    }
    g->nodes[g->count++] = joiner;
    pf_group_clear(group);
    *group = larger;
    return PF_OK;
}

pf_status pf_growth_run(pf_former *f, pf_growth *g, pf_group *group, pf_err *err)
{
    pf_node_id joiner = PF_NONE;
    pf_status  st = PF_OK;

    g->refused = pf_calloc(f->graph->node_count + 1, sizeof *g->refused);
    if (!g->refused)
        return PF_FAIL_MEMORY(err, f->graph->node_count);
    while (!st && g->count < PF_GROUP_NODES_LIMIT) {
        joiner = find_joiner(f, g);
        if (joiner == PF_NONE)
            break;
        st = grow_group(f, g, joiner, group, err);
    }
    pf_free(g->refused);
    return st;
}
