#include "engine/region.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { EPILOGUE_LIMIT = 8, GROUP_NODES_LIMIT = 32, GROUP_INPUTS_LIMIT = 12, PREFERS_LIMIT = 16,
       LEAVING_STRETCH_LIMIT = 64 /* nodes: bits of stretch.seen */ };

typedef struct former {
    const pf_graph        *graph;
    const pf_device       *device;
    const pf_region_rules *rules;
    pf_regions            *out;
    pf_node_id            *order;       /* producers first */
    uint32_t               count;
    uint32_t              *position;    /* node -> place in order */
    bool                  *taken;       /* node -> is in a region */
} former;

/* ---- Who would take a problem */
static bool takes_layouts(const pf_tactic *tactic, const pf_device *device, const pf_problem *problem, pf_layout layout)
{
    pf_layout  in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];
    pf_problem probe = *problem;

    for (uint32_t i = 0; i < problem->graph->input_count; i++) {
        int32_t rank = pf_graph_value(problem->graph, problem->graph->inputs[i])->shape.rank;

        in[i] = problem->in_constant[i] || !pf_layout_fits(layout, rank) ? PF_LAYOUT_LINEAR : layout;
    }
    for (uint32_t i = 0; i < problem->graph->output_count; i++) {
        int32_t rank = pf_graph_value(problem->graph, problem->graph->outputs[i])->shape.rank;

        out[i] = pf_layout_fits(layout, rank) ? layout : PF_LAYOUT_LINEAR;
    }
    probe.in_layout = in;
    probe.out_layout = out;
    return !pf_tactic_declines(tactic, device, &probe);
}

static bool takes(const pf_tactic *tactic, const pf_device *device, const pf_problem *problem)
{
    pf_layout  in[PF_PROBLEM_VALUES] = { PF_LAYOUT_LINEAR }, out[PF_PROBLEM_VALUES] = { PF_LAYOUT_LINEAR };
    pf_problem probe = *problem;

    if (!pf_tactic_declines(tactic, device, problem))
        return true;
    if (tactic->needs & ~device->caps)
        return false;
    if (!tactic->prefers)
        return takes_layouts(tactic, device, problem, PF_LAYOUT_CHANNELS_LAST);
    probe.in_layout = in;
    probe.out_layout = out;
    for (uint32_t i = 0; i < PREFERS_LIMIT && tactic->prefers(device, problem, i, in, out); i++)
        if (!pf_tactic_declines(tactic, device, &probe))
            return true;
    return false;
}

const pf_tactic *pf_region_taker(const pf_device *device, const pf_problem *problem, const pf_region_rules *rules)
{
    const pf_tactic *tactic = NULL;

    if (problem->graph->input_count > PF_PROBLEM_VALUES || problem->graph->output_count > PF_PROBLEM_VALUES)
        return NULL;
    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL; i++)
        if (!(tactic->flags & PF_TACTIC_ORACLE) && (!rules->allows || rules->allows(rules->user, tactic))
            && takes(tactic, device, problem))
            return tactic;
    return NULL;
}

/* ---- Groups and regions */
static void group_clear(pf_group *group)
{
    pf_free(group->nodes);
    pf_problem_free(group->problem);
    pf_free(group->in);
    pf_free(group->out);
    *group = (pf_group){ 0 };
}

static void form_clear(pf_region_form *form)
{
    for (uint32_t i = 0; i < form->count; i++)
        group_clear(&form->groups[i]);
    pf_free(form->groups);
    *form = (pf_region_form){ 0 };
}

static void region_clear(pf_region *region)
{
    for (uint32_t i = 0; i < region->form_count; i++)
        form_clear(&region->forms[i]);
    pf_free(region->forms);
    *region = (pf_region){ 0 };
}

void pf_regions_clear(pf_regions *regions)
{
    for (uint32_t i = 0; i < regions->count; i++)
        region_clear(&regions->items[i]);
    pf_free(regions->items);
    *regions = (pf_regions){ 0 };
}

static pf_status group_make(const former *f, const pf_node_id *nodes, uint32_t count, bool with_problem, pf_group *out,
                            pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_group){ .count = count };
    out->nodes = pf_alloc((count + 1) * sizeof *nodes);
    if (!out->nodes)
        return PF_FAIL_MEMORY(err, count * sizeof *nodes);
    memcpy(out->nodes, nodes, count * sizeof *nodes);
    if (with_problem)
        st = pf_problem_extract(f->graph, nodes, count, f->rules->numerics, &out->problem, &out->in, &out->out, err);
    if (st)
        group_clear(out);
    return st;
}

/* Adds a form of up to two groups to a region, taking the groups. */
static pf_status add_form(pf_region *region, pf_group *groups, uint32_t count, pf_err *err)
{
    pf_region_form *forms = pf_realloc(region->forms, (region->form_count + 1) * sizeof *forms);
    pf_group       *own = pf_alloc(count * sizeof *own);

    if (forms)
        region->forms = forms;
    if (!forms || !own) {
        for (uint32_t i = 0; i < count; i++)
            group_clear(&groups[i]);
        pf_free(own);
        return PF_FAIL_MEMORY(err, sizeof *forms);
    }
    memcpy(own, groups, count * sizeof *own);
    region->forms[region->form_count++] = (pf_region_form){ .groups = own, .count = count };
    return PF_OK;
}

/* Puts a finished region into the list, or clears it. */
static pf_status emit(former *f, pf_region *region, pf_err *err)
{
    const pf_group *group = NULL;

    if (pf_grow((void **)&f->out->items, &f->out->capacity, f->out->count + 1, sizeof *region)) {
        region_clear(region);
        return PF_FAIL_MEMORY(err, sizeof *region);
    }
    for (uint32_t g = 0; g < region->forms[0].count; g++) {
        group = &region->forms[0].groups[g];
        for (uint32_t i = 0; i < group->count; i++)
            f->taken[group->nodes[i]] = true;
    }
    f->out->items[f->out->count++] = *region;
    return PF_OK;
}

/* What cannot be made a problem (a sequence, a tensor of unknown rank) is left to the host. */
static pf_status emit_single(former *f, pf_node_id node, pf_region_kind kind, pf_err *err)
{
    pf_region region = { .kind = kind };
    pf_group  group = { 0 };
    pf_err    own = { 0 };
    pf_status st = group_make(f, &node, 1, kind != PF_REGION_HOST, &group, &own);

    if (st == PF_UNSUPPORTED || st == PF_INVALID) {
        region.kind = PF_REGION_HOST;
        st = group_make(f, &node, 1, false, &group, err);
    } else if (st) {
        pf_err_set(err, st, own.file, own.line, "%s", own.msg);
    }

    if (!st)
        st = add_form(&region, &group, 1, err);
    return st ? st : emit(f, &region, err);
}

static bool is_taken_over(const former *f, const pf_group *group)
{
    return pf_region_taker(f->device, group->problem, f->rules) != NULL;
}

/* A group of these nodes, if they make a problem and some tactic takes it; *out is empty otherwise. */
static pf_status try_group(const former *f, const pf_node_id *nodes, uint32_t count, pf_group *out, pf_err *err)
{
    pf_err    own = { 0 };
    pf_status st = group_make(f, nodes, count, true, out, &own);

    if (st == PF_NO_SPACE)
        return pf_err_set(err, st, own.file, own.line, "%s", own.msg);
    if (!st && !is_taken_over(f, out))
        group_clear(out);
    return PF_OK;
}

/* ---- Walking the graph */
static const pf_op_def *def_of(const former *f, pf_node_id node)
{
    return pf_op_def_of(pf_graph_node(f->graph, node)->op);
}

static bool is_free_pointwise(const former *f, pf_node_id node)
{
    return node != PF_NONE && !f->taken[node] && def_of(f, node)->klass == PF_CLASS_POINTWISE
        && pf_graph_node(f->graph, node)->out_count == 1;
}

/* Moves and views: a kernel that computes addresses may take them in, on either side. */
static bool is_free_mover(const former *f, pf_node_id node)
{
    return node != PF_NONE && !f->taken[node] &&
           (def_of(f, node)->klass == PF_CLASS_MOVE || def_of(f, node)->klass == PF_CLASS_VIEW);
}

static bool same_shape(const former *f, pf_value_id a, pf_value_id b)
{
    return pf_shape_equal(&pf_graph_value(f->graph, a)->shape, &pf_graph_value(f->graph, b)->shape);
}

/* The one node that reads the value; PF_NONE when none, several, or the world outside read it. */
static pf_node_id only_reader(const former *f, pf_value_id value)
{
    uint32_t   uses = pf_graph_use_count(f->graph, value);
    pf_node_id reader = PF_NONE;

    for (uint32_t i = 0; i < uses; i++) {
        pf_use use = pf_graph_use(f->graph, value, i);

        if (use.node == PF_NONE || (reader != PF_NONE && use.node != reader))
            return PF_NONE;
        reader = use.node;
    }
    return reader;
}

static bool contains(const pf_node_id *nodes, uint32_t count, pf_node_id node)
{
    for (uint32_t i = 0; i < count; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

static bool has_one_output(const former *f, pf_node_id node)
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
static uint32_t follow_chain(const former *f, pf_node_id anchor, pf_node_id *chain)
{
    uint32_t count = 1;

    chain[0] = anchor;
    if (!has_one_output(f, anchor))
        return 1;
    while (count <= EPILOGUE_LIMIT) {
        pf_value_id tail = pf_graph_node(f->graph, chain[count - 1])->out[0];
        pf_node_id  next = only_reader(f, tail);

        if (!is_free_mover(f, next) &&
            (!is_free_pointwise(f, next) || !same_shape(f, tail, pf_graph_node(f->graph, next)->out[0])))
            break;
        chain[count++] = next;
    }
    return count;
}

/* The second form: the anchor alone and the rest as a group of its own, where something takes that. */
static pf_status add_split_form(former *f, pf_region *region, const pf_node_id *chain, uint32_t count, pf_err *err)
{
    pf_group  groups[2] = { { 0 } };
    pf_status st = try_group(f, chain, 1, &groups[0], err);

    if (!st && groups[0].problem)
        st = try_group(f, chain + 1, count - 1, &groups[1], err);
    if (!st && groups[1].problem)
        return add_form(region, groups, 2, err);
    group_clear(&groups[0]);
    return st;
}

/* ---- Growing a group backwards, by producers that a tactic takes along */
static bool only_group_reads(const former *f, pf_value_id value, const pf_node_id *nodes, uint32_t count)
{
    uint32_t uses = pf_graph_use_count(f->graph, value);

    for (uint32_t i = 0; i < uses; i++) {
        pf_use use = pf_graph_use(f->graph, value, i);

        if (use.node == PF_NONE || !contains(nodes, count, use.node))
            return false;
    }
    return true;
}

static bool all_outputs_stay(const former *f, pf_node_id producer, const pf_node_id *nodes, uint32_t count)
{
    const pf_node *node = pf_graph_node(f->graph, producer);

    for (uint32_t i = 0; i < node->out_count; i++)
        if (!only_group_reads(f, node->out[i], nodes, count))
            return false;
    return true;
}

/* The stretch of the order in which ways back are looked for: from the producer to the group's last node. */
typedef struct stretch { uint32_t first, last; uint64_t seen; } stretch;

/* Does a way lead from `node`, through nodes outside the group, into the group?  Nothing behind the stretch can. */
static bool leads_back(const former *f, pf_node_id node, const pf_node_id *nodes, uint32_t count, stretch *s)
{
    const pf_node *at = pf_graph_node(f->graph, node);
    uint64_t       bit = UINT64_C(1) << (f->position[node] - s->first);

    if (s->seen & bit)
        return false;
    s->seen |= bit;
    for (uint32_t o = 0; o < at->out_count; o++)
        for (uint32_t i = 0; i < pf_graph_use_count(f->graph, at->out[o]); i++) {
            pf_node_id reader = pf_graph_use(f->graph, at->out[o], i).node;

            if (reader == PF_NONE || f->position[reader] > s->last)
                continue;
            if (contains(nodes, count, reader) || leads_back(f, reader, nodes, count, s))
                return true;
        }
    return false;
}

/* A value that others read as well may be computed inside and handed out, when no way leads from those others back into
   the group. */
static bool may_leave(const former *f, pf_node_id producer, const pf_node_id *nodes, uint32_t count)
{
    pf_value_id value = pf_graph_node(f->graph, producer)->out[0];
    stretch     s = { .first = f->position[producer] };

    for (uint32_t i = 0; i < count; i++)
        s.last = f->position[nodes[i]] > s.last ? f->position[nodes[i]] : s.last;
    if (s.last - s.first >= LEAVING_STRETCH_LIMIT)
        return false;
    for (uint32_t i = 0; i < pf_graph_use_count(f->graph, value); i++) {
        pf_node_id reader = pf_graph_use(f->graph, value, i).node;

        if (reader != PF_NONE && !contains(nodes, count, reader) && f->position[reader] <= s.last &&
            leads_back(f, reader, nodes, count, &s))
            return false;
    }
    return true;
}

static int by_position(const void *a, const void *b, void *context)
{
    const former *f = context;
    uint32_t      x = f->position[*(const pf_node_id *)a], y = f->position[*(const pf_node_id *)b];

    return (x > y) - (x < y);
}

/* What a group that grows looks for. */
typedef struct growth {
    pf_node_id *nodes;          /* GROUP_NODES_LIMIT + 1; the first is the last in order when the group has no anchor */
    uint32_t    count;
    bool       *refused;        /* node -> was tried in vain */
    bool        has_anchor;     /* then views join on their own, and shared values may leave */
} growth;

/* A search through indices for each element, of which the group would take each several times: better done once. */
static pf_dim elems_of(const former *f, pf_node_id node)
{
    return pf_shape_elems(f->graph->dims, &pf_graph_value(f->graph, pf_graph_node(f->graph, node)->out[0])->shape);
}

static bool repeats_search(const former *f, const growth *g, pf_node_id producer)
{
    pf_op_kind op = pf_graph_node(f->graph, producer)->op;

    for (uint32_t i = 0; i < g->count && (op == PF_OP_SCATTER_ELEMENTS || op == PF_OP_SCATTER_ND); i++) {
        pf_dim once = elems_of(f, producer), all = elems_of(f, g->nodes[i]);

        if (pf_dim_is_number(once) && pf_dim_is_number(all) && all > once)
            return true;
    }
    return false;
}

/* A reshape of an image that does not keep its channels: outside of a step it is a view of linear memory alone, inside
   the step may take the image as it lies. */
static bool mixes_channels(const former *f, pf_node_id node, const pf_shape *image)
{
    const pf_node  *n = pf_graph_node(f->graph, node);
    const pf_shape *in = &pf_graph_value(f->graph, n->in[0])->shape,
                   *out = &pf_graph_value(f->graph, n->out[0])->shape;

    return n->op == PF_OP_RESHAPE && image->rank == 4 && in->rank >= 3 && out->rank >= 3 &&
           (in->dim[0] != out->dim[0] || in->dim[1] != out->dim[1]);
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

static bool has_transpose(const former *f, const growth *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const pf_node *node = pf_graph_node(f->graph, g->nodes[i]);

        if (node->op == PF_OP_TRANSPOSE)
            return g->count > 1 || !only_renames(node);
    }
    return false;
}

static bool may_join(const former *f, const growth *g, pf_node_id producer, pf_value_id value)
{
    bool pointwise = is_free_pointwise(f, producer),
         view = producer != PF_NONE && def_of(f, producer)->klass == PF_CLASS_VIEW;

    if ((!pointwise && !is_free_mover(f, producer)) || g->refused[producer] || contains(g->nodes, g->count, producer) ||
        repeats_search(f, g, producer))
        return false;
    if (view && !g->has_anchor) {       /* a view at the border is no work; inside it lets what is behind it in */
        pf_value_id behind = pf_graph_node(f->graph, producer)->in[0];
        pf_node_id  next = pf_graph_value(f->graph, behind)->producer;

        if (!only_group_reads(f, value, g->nodes, g->count))
            return false;
        return ((is_free_pointwise(f, next) || is_free_mover(f, next)) && only_reader(f, behind) == producer) ||
               (mixes_channels(f, producer, &pf_graph_value(f->graph, behind)->shape) && has_transpose(f, g));
    }
    return all_outputs_stay(f, producer, g->nodes, g->count)
        || (pointwise && g->has_anchor && same_shape(f, value, pf_graph_node(f->graph, g->nodes[0])->in[0])
            && may_leave(f, producer, g->nodes, g->count));
}

/* The latest producer that may join; PF_NONE when there is none. */
static pf_node_id find_joiner(const former *f, const growth *g)
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
static pf_status grow_group(former *f, growth *g, pf_node_id joiner, pf_group *group, pf_err *err)
{
    pf_node_id sorted[GROUP_NODES_LIMIT + 1];
    pf_group   larger = { 0 };
    pf_status  st = PF_OK;

    memcpy(sorted, g->nodes, g->count * sizeof *sorted);
    sorted[g->count] = joiner;
    qsort_r(sorted, g->count + 1, sizeof *sorted, by_position, f);
    st = try_group(f, sorted, g->count + 1, &larger, err);
    if (st)
        return st;
    if (!larger.problem || larger.problem->graph->input_count > GROUP_INPUTS_LIMIT) {
        group_clear(&larger);
        g->refused[joiner] = true;
        return PF_OK;
    }
    g->nodes[g->count++] = joiner;
    group_clear(group);
    *group = larger;
    return PF_OK;
}

static pf_status grow(former *f, growth *g, pf_group *group, pf_err *err)
{
    pf_node_id joiner = PF_NONE;
    pf_status  st = PF_OK;

    g->refused = pf_calloc(f->graph->node_count + 1, sizeof *g->refused);
    if (!g->refused)
        return PF_FAIL_MEMORY(err, f->graph->node_count);
    while (!st && g->count < GROUP_NODES_LIMIT) {
        joiner = find_joiner(f, g);
        if (joiner == PF_NONE)
            break;
        st = grow_group(f, g, joiner, group, err);
    }
    pf_free(g->refused);
    return st;
}

/* An anchor with its chain takes in what comes before it: pointwise ops, moves, views. *grown: anything joined. */
static pf_status absorb_producers(former *f, const pf_node_id *chain, uint32_t count, pf_group *group, bool *grown,
                                  pf_err *err)
{
    pf_node_id nodes[GROUP_NODES_LIMIT + 1];
    growth     g = { .nodes = nodes, .count = count, .has_anchor = true };
    pf_status  st = PF_OK;

    memcpy(nodes, chain, count * sizeof *chain);
    st = grow(f, &g, group, err);
    *grown = g.count > count;
    if (st)
        group_clear(group);
    return st;
}

static pf_status emit_chain(former *f, pf_group *whole, const pf_node_id *chain, uint32_t count, pf_err *err)
{
    pf_region region = { .kind = PF_REGION_STEP };
    pf_status st = add_form(&region, whole, 1, err);

    if (!st && count > 1)
        st = add_split_form(f, &region, chain, count, err);
    if (!st)
        return emit(f, &region, err);
    region_clear(&region);
    return st;
}

static pf_status form_anchor(former *f, pf_node_id anchor, pf_err *err)
{
    pf_node_id chain[EPILOGUE_LIMIT + 2];
    pf_group   whole = { 0 };
    bool       grown = false;
    pf_status  st = PF_OK;

    for (uint32_t count = follow_chain(f, anchor, chain); count > 0; count--) {
        st = try_group(f, chain, count, &whole, err);
        if (!st && whole.problem)
            st = absorb_producers(f, chain, count, &whole, &grown, err);
        if (st)
            return st;
        if (whole.problem)
            return emit_chain(f, &whole, chain, grown ? 1 : count, err);
    }
    return emit_single(f, anchor, PF_REGION_STEP, err);
}

/* ---- Groups of pointwise ops and moves, grown from their last node backwards */
static pf_status form_group(former *f, pf_node_id last, pf_err *err)
{
    pf_node_id nodes[GROUP_NODES_LIMIT + 1] = { last };
    growth     g = { .nodes = nodes, .count = 1 };
    pf_group   group = { 0 };
    pf_region  region = { .kind = PF_REGION_STEP };
    pf_err     own = { 0 };
    pf_status  st = group_make(f, nodes, 1, true, &group, &own);

    if (st)
        return emit_single(f, last, PF_REGION_STEP, err);
    st = grow(f, &g, &group, err);
    if (st) {
        group_clear(&group);
        return st;
    }
    if (g.count == 1 && def_of(f, last)->klass == PF_CLASS_VIEW) {     /* it is better left a view */
        group_clear(&group);
        return PF_OK;
    }
    st = add_form(&region, &group, 1, err);
    return st ? st : emit(f, &region, err);
}

/* ---- The whole */
static pf_status form_anchors(former *f, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < f->count && !st; i++)
        if (!f->taken[f->order[i]] && def_of(f, f->order[i])->klass == PF_CLASS_ANCHOR)
            st = form_anchor(f, f->order[i], err);
    return st;
}

/* A view ends a group where a transpose in front of it may write the image as others want it. */
static bool ends_group(const former *f, pf_node_id node)
{
    const pf_node *n = pf_graph_node(f->graph, node);
    pf_node_id     before = PF_NONE;

    if (is_free_pointwise(f, node) || (is_free_mover(f, node) && def_of(f, node)->klass == PF_CLASS_MOVE))
        return true;
    if (!is_free_mover(f, node) || !mixes_channels(f, node, &pf_graph_value(f->graph, n->out[0])->shape))
        return false;
    before = pf_graph_value(f->graph, n->in[0])->producer;
    return before != PF_NONE && !f->taken[before] && pf_graph_node(f->graph, before)->op == PF_OP_TRANSPOSE &&
           only_reader(f, n->in[0]) == node;
}

static pf_status form_groups(former *f, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = f->count; i-- > 0 && !st;)
        if (ends_group(f, f->order[i]))
            st = form_group(f, f->order[i], err);
    return st;
}

static pf_region_kind kind_of(const former *f, pf_node_id node)
{
    static const pf_region_kind kinds[] = {
        [PF_CLASS_ANCHOR] = PF_REGION_STEP, [PF_CLASS_POINTWISE] = PF_REGION_STEP, [PF_CLASS_MOVE] = PF_REGION_STEP,
        [PF_CLASS_VIEW] = PF_REGION_VIEW, [PF_CLASS_HOST] = PF_REGION_HOST,
    };

    return kinds[def_of(f, node)->klass];
}

static pf_status form_rest(former *f, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < f->count && !st; i++)
        if (!f->taken[f->order[i]])
            st = emit_single(f, f->order[i], kind_of(f, f->order[i]), err);
    return st;
}

static uint32_t last_position(const former *f, const pf_region *region)
{
    const pf_group *group = &region->forms[0].groups[0];
    uint32_t        last = 0;

    for (uint32_t i = 0; i < group->count; i++)
        if (f->position[group->nodes[i]] > last)
            last = f->position[group->nodes[i]];
    return last;
}

/* ---- Order of regions: producers first, else by their last nodes. A value may leave a region before its last node, so
   sorting does not do. */
typedef struct sorter { const former *f; uint32_t *region_of; uint8_t *state; uint32_t *order; uint32_t count; } sorter;

enum { UNSEEN, OPEN, DONE };

static pf_status visit(sorter *s, uint32_t region, pf_err *err)
{
    const pf_group *group = &s->f->out->items[region].forms[0].groups[0];
    pf_status       st = PF_OK;

    if (s->state[region] == DONE)
        return PF_OK;
    if (s->state[region] == OPEN)
        return PF_FAIL(err, PF_INTERNAL, "regions depend on each other in a circle");
    s->state[region] = OPEN;
    for (uint32_t n = 0; n < group->count && !st; n++) {
        const pf_node *node = pf_graph_node(s->f->graph, group->nodes[n]);

        for (uint32_t i = 0; i < node->in_count && !st; i++) {
            pf_node_id from = node->in[i] == PF_NONE ? PF_NONE : pf_graph_value(s->f->graph, node->in[i])->producer;

            if (from != PF_NONE && s->region_of[from] != region)
                st = visit(s, s->region_of[from], err);
        }
    }
    s->state[region] = DONE;
    s->order[s->count++] = region;
    return st;
}

static int by_last(const void *a, const void *b, void *context)
{
    uint32_t x = last_position(context, a), y = last_position(context, b);

    return (x > y) - (x < y);
}

static pf_status sort_regions(former *f, pf_err *err)
{
    uint32_t   count = f->out->count;
    sorter     s = { .f = f, .region_of = pf_calloc(f->graph->node_count + 1, sizeof *s.region_of),
                     .state = pf_calloc(count + 1, 1), .order = pf_calloc(count + 1, sizeof *s.order) };
    pf_region *sorted = pf_calloc(count + 1, sizeof *sorted);
    pf_status  st = s.region_of && s.state && s.order && sorted ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *sorted);

    qsort_r(f->out->items, count, sizeof *f->out->items, by_last, f);
    for (uint32_t r = 0; r < count && !st; r++)
        for (uint32_t n = 0; n < f->out->items[r].forms[0].groups[0].count; n++)
            s.region_of[f->out->items[r].forms[0].groups[0].nodes[n]] = r;
    for (uint32_t r = 0; r < count && !st; r++)
        st = visit(&s, r, err);
    for (uint32_t r = 0; r < count && !st; r++)
        sorted[r] = f->out->items[s.order[r]];
    if (!st && count)
        memcpy(f->out->items, sorted, count * sizeof *sorted);
    pf_free(s.region_of);
    pf_free(s.state);
    pf_free(s.order);
    pf_free(sorted);
    return st;
}

static void former_clear(former *f)
{
    pf_free(f->order);
    pf_free(f->position);
    pf_free(f->taken);
}

static pf_status former_init(former *f, pf_err *err)
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
    former    f = { .graph = graph, .device = device, .rules = rules ? rules : &none, .out = out };
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
        st = sort_regions(&f, err);
    if (st)
        pf_regions_clear(out);
    former_clear(&f);
    return st;
}
