/* The order in which regions form: anchors, groups, the rest. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/region_private.h"

enum { EPILOGUE_LIMIT = 8 };

static bool has_one_output(const pf_former *f, pf_node_id node)
{
    const pf_node *n = pf_graph_node(f->graph, node);

    for (uint32_t i = 1; i < n->out_count; i++)
        if (pf_graph_use_count(f->graph, n->out[i]))
            return false;
    return true;
}

/* ---- Anchors with what follows them
   Every value between two nodes of the chain has one reader, the next node.  So nothing outside lies on a path from the
   region back into it, and all that leaves the region leaves behind its last node: regions of this kind cannot depend
   on each other in a circle. */
static uint32_t follow_chain(const pf_former *f, pf_node_id *chain, uint32_t count)
{
    while (count <= EPILOGUE_LIMIT) {
        pf_value_id tail = pf_graph_node(f->graph, chain[count - 1])->out[0];
        pf_node_id  next = pf_former_only_reader(f, tail);

        if (!pf_former_is_free_mover(f, next) &&
            (!pf_former_is_free_pointwise(f, next) ||
             !pf_former_same_shape(f, tail, pf_graph_node(f->graph, next)->out[0])))
            break;
        chain[count++] = next;
    }
    return count;
}

/* ---- Gates: two slices of what the chain ends in, which meet again in one value.  Nothing but that value leaves. */

static bool is_sliced_twice(const pf_former *f, pf_value_id value, pf_node_id slices[2])
{
    if (pf_graph_use_count(f->graph, value) != 2)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        slices[i] = pf_graph_use(f->graph, value, i).node;
        if (!pf_former_is_free_mover(f, slices[i]) || pf_graph_node(f->graph, slices[i])->op != PF_OP_SLICE)
            return false;
    }
    return slices[0] != slices[1];
}

/* Of the nodes that read what leaves chain[first..count), the earliest: it depends on nothing outside that depends on
   the chain.  PF_NONE: none.  *open: how many values leave. */
static pf_node_id earliest_reader(const pf_former *f, const pf_node_id *chain, uint32_t first, uint32_t count,
                                  uint32_t *open)
{
    pf_node_id best = PF_NONE;

    *open = 0;
    for (uint32_t i = first; i < count; i++) {
        pf_value_id value = pf_graph_node(f->graph, chain[i])->out[0];

        if (pf_former_only_group_reads(f, value, chain, count))
            continue;
        ++*open;
        for (uint32_t u = 0; u < pf_graph_use_count(f->graph, value); u++) {
            pf_node_id reader = pf_graph_use(f->graph, value, u).node;

            if (reader != PF_NONE && !pf_former_contains(chain, count, reader) &&
                (best == PF_NONE || f->position[reader] < f->position[best]))
                best = reader;
        }
    }
    return best;
}

/* How many nodes the chain has when the two slices of its end have met in its last; 0: they do not. */
static uint32_t follow_gate(const pf_former *f, pf_node_id *chain, uint32_t count)
{
    pf_value_id tail = pf_graph_node(f->graph, chain[count - 1])->out[0];
    pf_node_id  slices[2] = { PF_NONE, PF_NONE };
    uint32_t    first = count, open = 0;

    if (count + 3 > EPILOGUE_LIMIT || !is_sliced_twice(f, tail, slices))
        return 0;
    chain[count++] = slices[0];
    chain[count++] = slices[1];
    while (count <= EPILOGUE_LIMIT) {
        pf_node_id next = earliest_reader(f, chain, first, count, &open);

        if (open == 1)
            return count;
        if (!pf_former_is_free_pointwise(f, next) ||
            !pf_former_same_shape(f, pf_graph_node(f->graph, slices[0])->out[0], pf_graph_node(f->graph, next)->out[0]))
            return 0;
        chain[count++] = next;
    }
    return 0;
}

/* Another form: two groups, the first ahead of the second, where something takes each. */
static pf_status add_form_of_two(pf_former *f, pf_region *region, const pf_node_id *first, uint32_t first_count,
                                 const pf_node_id *second, uint32_t second_count, pf_err *err)
{
    pf_group  groups[2] = { { 0 } };
    pf_status st = pf_group_try(f, first, first_count, &groups[0], err);

    if (!st && groups[0].problem)
        st = pf_group_try(f, second, second_count, &groups[1], err);
    if (!st && groups[1].problem)
        return pf_region_add_form(region, groups, 2, err);
    pf_group_clear(&groups[0]);
    return st;
}

/* An anchor with its chain takes in what comes before it: pointwise ops, moves, views. The chain has room for
   PF_GROUP_NODES_LIMIT + 1; *total: how many it has then. */
static pf_status absorb_producers(pf_former *f, pf_node_id *chain, uint32_t count, pf_group *group, uint32_t *total,
                                  pf_err *err)
{
    pf_growth g = { .nodes = chain, .count = count, .has_anchor = true };
    pf_status st = pf_growth_run(f, &g, group, err);

    *total = g.count;
    if (st)
        pf_group_clear(group);
    return st;
}

/* Does the chain compute behind what it moves? */
static bool computes_moved(const pf_former *f, const pf_node_id *chain, uint32_t count)
{
    bool moved = false;

    for (uint32_t i = 1; i < count; i++) {
        if (pf_graph_node(f->graph, chain[i])->op == PF_OP_TRANSPOSE)
            moved = true;
        else if (moved && pf_former_class(f, chain[i]) == PF_CLASS_POINTWISE)
            return true;
    }
    return false;
}

/* The chain's nodes, and behind those what came to them from in front.  gated: neither of its forms is always the
   better, and nor is it for a convolution with what is in front of it, or of a chain that computes what it moved. */
static pf_status emit_chain(pf_former *f, pf_group *whole, pf_node_id *chain, uint32_t count, uint32_t total,
                            bool gated, pf_err *err)
{
    bool      is_conv = pf_graph_node(f->graph, chain[0])->op == PF_OP_CONV;
    pf_region region = { .kind = PF_REGION_STEP,
                         .contested = gated || (is_conv && total > count) || computes_moved(f, chain, count) };
    pf_status st = pf_region_add_form(&region, whole, 1, err);

    if (!st && total > count && is_conv) {
        qsort_r(chain + count, total - count, sizeof *chain, pf_former_by_position, f);
        st = add_form_of_two(f, &region, chain + count, total - count, chain, count, err);
    } else if (!st && total == count && count > 1)
        st = add_form_of_two(f, &region, chain, 1, chain + 1, count - 1, err);
    if (!st)
        return pf_region_emit(f, &region, err);
    pf_region_clear(&region);
    return st;
}

/* The longest chain of at least `least` nodes that some tactic takes becomes a region; *done: there was one. */
static pf_status form_chain(pf_former *f, const pf_node_id *chain, uint32_t count, uint32_t least, bool *done,
                            pf_err *err)
{
    pf_node_id nodes[PF_GROUP_NODES_LIMIT + 1];
    pf_group   whole = { 0 };
    uint32_t   total = 0;
    pf_status  st = PF_OK;

    for (; count >= least && !*done && !st; count--) {
        memcpy(nodes, chain, count * sizeof *chain);
        st = pf_group_try(f, chain, count, &whole, err);
        if (!st && whole.problem)
            st = absorb_producers(f, nodes, count, &whole, &total, err);
        *done = !st && whole.problem;
        if (*done)
            st = emit_chain(f, &whole, nodes, count, total, least > 1, err);
    }
    return st;
}

static pf_status form_anchor(pf_former *f, pf_node_id anchor, pf_err *err)
{
    pf_node_id chain[EPILOGUE_LIMIT + 2] = { anchor };
    uint32_t   count = has_one_output(f, anchor) ? follow_chain(f, chain, 1) : 1, gate = follow_gate(f, chain, count);
    bool       done = false;
    pf_status  st = gate ? form_chain(f, chain, follow_chain(f, chain, gate), gate, &done, err) : PF_OK;

    if (!st && !done)
        st = form_chain(f, chain, count, 1, &done, err);
    return st || done ? st : pf_region_emit_single(f, anchor, PF_REGION_STEP, err);
}

/* ---- Groups of pointwise ops and moves, grown from their last node backwards */
static pf_status form_group(pf_former *f, pf_node_id last, pf_err *err)
{
    pf_node_id nodes[PF_GROUP_NODES_LIMIT + 1] = { last };
    pf_growth  g = { .nodes = nodes, .count = 1 };
    pf_group   group = { 0 };
    pf_region  region = { .kind = PF_REGION_STEP };
    pf_err     own = { 0 };
    pf_status  st = pf_group_make(f, nodes, 1, true, &group, &own);

    if (st)
        return pf_region_emit_single(f, last, PF_REGION_STEP, err);
    st = pf_growth_run(f, &g, &group, err);
    if (st) {
        pf_group_clear(&group);
        return st;
    }
    if (g.count == 1 && pf_former_class(f, last) == PF_CLASS_VIEW) {     /* it is better left a view */
        pf_group_clear(&group);
        return PF_OK;
    }
    st = pf_region_add_form(&region, &group, 1, err);
    return st ? st : pf_region_emit(f, &region, err);
}

/* ---- The whole */
static pf_status form_anchors(pf_former *f, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < f->count && !st; i++)
        if (!f->taken[f->order[i]] && pf_former_class(f, f->order[i]) == PF_CLASS_ANCHOR)
            st = form_anchor(f, f->order[i], err);
    return st;
}

/* A view ends a group where a transpose in front of it may write the image as others want it. */
static bool ends_group(const pf_former *f, pf_node_id node)
{
    const pf_node *n = pf_graph_node(f->graph, node);
    pf_node_id     before = PF_NONE;

    if (pf_former_is_free_pointwise(f, node))
        return true;
    if (!pf_former_is_free_mover(f, node))
        return false;
    if (pf_former_class(f, node) == PF_CLASS_MOVE)
        return true;
    if (!pf_former_mixes_channels(f, node, &pf_graph_value(f->graph, n->out[0])->shape))
        return false;
    before = pf_graph_value(f->graph, n->in[0])->producer;
    return before != PF_NONE && !f->taken[before] && pf_graph_node(f->graph, before)->op == PF_OP_TRANSPOSE &&
           pf_former_only_reader(f, n->in[0]) == node;
}

static pf_status form_groups(pf_former *f, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = f->count; i-- > 0 && !st;)
        if (ends_group(f, f->order[i]))
            st = form_group(f, f->order[i], err);
    return st;
}

static pf_region_kind kind_of(const pf_former *f, pf_node_id node)
{
    static const pf_region_kind kinds[] = {
        [PF_CLASS_ANCHOR] = PF_REGION_STEP, [PF_CLASS_POINTWISE] = PF_REGION_STEP, [PF_CLASS_MOVE] = PF_REGION_STEP,
        [PF_CLASS_VIEW] = PF_REGION_VIEW, [PF_CLASS_HOST] = PF_REGION_HOST,
    };

    return kinds[pf_former_class(f, node)];
}

static pf_status form_rest(pf_former *f, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < f->count && !st; i++)
        if (!f->taken[f->order[i]])
            st = pf_region_emit_single(f, f->order[i], kind_of(f, f->order[i]), err);
    return st;
}

static void former_clear(pf_former *f)
{
    pf_free(f->order);
    pf_free(f->position);
    pf_free(f->taken);
}

static pf_status former_init(pf_former *f, pf_err *err)
{
    pf_status st = pf_graph_order(f->graph, &f->order, &f->count, err);

    if (st)
        return st;
    f->position = pf_calloc(f->graph->node_count + 1, sizeof *f->position);
    f->taken = pf_calloc(f->graph->node_count + 1, sizeof *f->taken);
    if (!f->position || !f->taken)
        return PF_FAIL_MEMORY(err, f->graph->node_count * sizeof *f->position);
    for (uint32_t i = 0; i < f->count; i++)
        f->position[f->order[i]] = i;
    return PF_OK;
}

pf_status pf_regions_form(const pf_graph *graph, const pf_device *device, const pf_region_rules *rules, pf_regions *out,
                          pf_err *err)
{
    static const pf_region_rules none = { 0 };
    pf_former    f = { .graph = graph, .device = device, .rules = rules ? rules : &none, .out = out };
    pf_status st = PF_OK;

    *out = (pf_regions){ 0 };
    st = former_init(&f, err);
    if (!st)
        st = form_anchors(&f, err);
    if (!st)
        st = form_groups(&f, err);
    if (!st)
        st = form_rest(&f, err);
    if (!st)
        st = pf_regions_sort(&f, err);
    if (st)
        pf_regions_clear(out);
    former_clear(&f);
    return st;
}
