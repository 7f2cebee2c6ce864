/* Groups of nodes and who would take them; regions and the list of them. */
#include <string.h>

#include "base/alloc.h"
#include "engine/region_private.h"

enum { PREFERS_LIMIT = 16 };

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
void pf_group_clear(pf_group *group)
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
        pf_group_clear(&form->groups[i]);
    pf_free(form->groups);
    *form = (pf_region_form){ 0 };
}

void pf_region_clear(pf_region *region)
{
    for (uint32_t i = 0; i < region->form_count; i++)
        form_clear(&region->forms[i]);
    pf_free(region->forms);
    *region = (pf_region){ 0 };
}

void pf_regions_clear(pf_regions *regions)
{
    for (uint32_t i = 0; i < regions->count; i++)
        pf_region_clear(&regions->items[i]);
    pf_free(regions->items);
    *regions = (pf_regions){ 0 };
}

pf_status pf_group_make(const pf_former *f, const pf_node_id *nodes, uint32_t count, bool with_problem, pf_group *out,
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
        pf_group_clear(out);
    return st;
}

pf_status pf_region_add_form(pf_region *region, pf_group *groups, uint32_t count, pf_err *err)
{
    pf_region_form *forms = pf_realloc(region->forms, (region->form_count + 1) * sizeof *forms);
    pf_group       *own = pf_alloc(count * sizeof *own);

    if (forms)
        region->forms = forms;
    if (!forms || !own) {
        for (uint32_t i = 0; i < count; i++)
            pf_group_clear(&groups[i]);
        pf_free(own);
        return PF_FAIL_MEMORY(err, sizeof *forms);
    }
    memcpy(own, groups, count * sizeof *own);
    region->forms[region->form_count++] = (pf_region_form){ .groups = own, .count = count };
    return PF_OK;
}

pf_status pf_region_emit(pf_former *f, pf_region *region, pf_err *err)
{
    const pf_group *group = NULL;

    if (pf_grow((void **)&f->out->items, &f->out->capacity, f->out->count + 1, sizeof *region)) {
        pf_region_clear(region);
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

pf_status pf_region_emit_single(pf_former *f, pf_node_id node, pf_region_kind kind, pf_err *err)
{
    pf_region region = { .kind = kind };
    pf_group  group = { 0 };
    pf_err    own = { 0 };
    pf_status st = pf_group_make(f, &node, 1, kind != PF_REGION_HOST, &group, &own);

    if (st == PF_UNSUPPORTED || st == PF_INVALID) {
        region.kind = PF_REGION_HOST;
        st = pf_group_make(f, &node, 1, false, &group, err);
    } else if (st) {
        pf_err_pass(err, st, &own);
    }

    if (!st)
        st = pf_region_add_form(&region, &group, 1, err);
    return st ? st : pf_region_emit(f, &region, err);
}

static bool is_taken_over(const pf_former *f, const pf_group *group)
{
    return pf_region_taker(f->device, group->problem, f->rules) != NULL;
}

pf_status pf_group_try(const pf_former *f, const pf_node_id *nodes, uint32_t count, pf_group *out, pf_err *err)
{
    pf_err    own = { 0 };
    pf_status st = pf_group_make(f, nodes, count, true, out, &own);

    if (st == PF_NO_SPACE)
        return pf_err_pass(err, st, &own);
    if (!st && !is_taken_over(f, out))
        pf_group_clear(out);
    return PF_OK;
}
