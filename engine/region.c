/* The order in which regions form: anchors, groups, the rest. */
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
static uint32_t follow_chain(const pf_former *f, pf_node_id anchor, pf_node_id *chain)
{
    uint32_t count = 1;

    chain[0] = anchor;
    if (!has_one_output(f, anchor))
        return 1;
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

/* The second form: the anchor alone and the rest as a group of its own, where something takes that. */
static pf_status add_split_form(pf_former *f, pf_region *region, const pf_node_id *chain, uint32_t count, pf_err *err)
{
    pf_group  groups[2] = { { 0 } };
    pf_status st = pf_group_try(f, chain, 1, &groups[0], err);

    if (!st && groups[0].problem)
        st = pf_group_try(f, chain + 1, count - 1, &groups[1], err);
    if (!st && groups[1].problem)
        return pf_region_add_form(region, groups, 2, err);
    pf_group_clear(&groups[0]);
    return st;
}

/* An anchor with its chain takes in what comes before it: pointwise ops, moves, views. *grown: anything joined. */
static pf_status absorb_producers(pf_former *f, const pf_node_id *chain, uint32_t count, pf_group *group, bool *grown,
                                  pf_err *err)
{
    pf_node_id nodes[PF_GROUP_NODES_LIMIT + 1];
    pf_growth  g = { .nodes = nodes, .count = count, .has_anchor = true };
    pf_status  st = PF_OK;

    memcpy(nodes, chain, count * sizeof *chain);
    st = pf_growth_run(f, &g, group, err);
    *grown = g.count > count;
    if (st)
        pf_group_clear(group);
    return st;
}

static pf_status emit_chain(pf_former *f, pf_group *whole, const pf_node_id *chain, uint32_t count, pf_err *err)
{
    pf_region region = { .kind = PF_REGION_STEP };
    pf_status st = pf_region_add_form(&region, whole, 1, err);

    if (!st && count > 1)
        st = add_split_form(f, &region, chain, count, err);
    if (!st)
        return pf_region_emit(f, &region, err);
    pf_region_clear(&region);
    return st;
}

static pf_status form_anchor(pf_former *f, pf_node_id anchor, pf_err *err)
{
    pf_node_id chain[EPILOGUE_LIMIT + 2];
    pf_group   whole = { 0 };
    bool       grown = false;
    pf_status  st = PF_OK;

    for (uint32_t count = follow_chain(f, anchor, chain); count > 0; count--) {
        st = pf_group_try(f, chain, count, &whole, err);
        if (!st && whole.problem)
            st = absorb_producers(f, chain, count, &whole, &grown, err);
        if (st)
            return st;
        if (whole.problem)
            return emit_chain(f, &whole, chain, grown ? 1 : count, err);
    }
    return pf_region_emit_single(f, anchor, PF_REGION_STEP, err);
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
