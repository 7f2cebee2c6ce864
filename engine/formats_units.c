/* What may become steps, in which layouts, and what each of these costs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/formats.h"
#include "engine/op.h"

enum { PREFERS_LIMIT = 8, ALL_FORMS_EFFORT = 4, NAME_BYTES = 200 };

static bool is_class(const pf_graph *graph, pf_node_id node, pf_op_class klass)
{
    return pf_op_class_of(&graph->nodes[node]) == klass;
}

pf_value_id pf_formats_view_root(const pf_graph *graph, pf_value_id value)
{
    pf_node_id producer = graph->values[value].producer;

    while (producer != PF_NONE && is_class(graph, producer, PF_CLASS_VIEW)) {
        value = graph->nodes[producer].in[0];
        producer = graph->values[value].producer;
    }
    return value;
}

/* ---- Units */

static char *name_of(const pf_graph *graph, const pf_group *group)
{
    char     name[NAME_BYTES] = "";
    uint32_t used = 0;

    for (uint32_t i = 0; i < group->count && used + 1 < sizeof name; i++) {
        const pf_node *node = &graph->nodes[group->nodes[i]];
        const char    *word = node->name && node->name[0] ? node->name : pf_op_def_of(node->op)->name;
        int            written = snprintf(name + used, sizeof name - used, "%s%s", i ? "+" : "", word);

        used += written > 0 ? (uint32_t)written : 0;
    }
    return pf_strdup(name);
}

static pf_status add_unit(pf_formats *f, char *name, pf_format_unit **out, pf_err *err)
{
    *out = NULL;
    if (!name || pf_grow((void **)&f->units, &f->unit_capacity, f->unit_count + 1, sizeof *f->units)) {
        pf_free(name);
        return PF_FAIL_MEMORY(err, sizeof *f->units);
    }
    *out = &f->units[f->unit_count++];
    **out = (pf_format_unit){ .name = name, .output = PF_NONE };
    return PF_OK;
}

/* Its layouts are owned by the unit then when it has no problem. */
static pf_status add_option(pf_format_unit *unit, const pf_format_option *option, pf_err *err)
{
    if (pf_grow((void **)&unit->options, &unit->option_capacity, unit->option_count + 1, sizeof *unit->options))
        return PF_FAIL_MEMORY(err, sizeof *unit->options);
    unit->options[unit->option_count++] = *option;
    return PF_OK;
}

pf_status pf_formats_add_free_option(pf_format_unit *unit, pf_layout in, pf_layout out, pf_err *err)
{
    pf_format_option option = { .item = PF_NONE };
    pf_status        st = PF_OK;

    option.in = pf_alloc((unit->in_count + 1) * sizeof *option.in);
    option.out = pf_alloc(sizeof *option.out);
    if (option.in && option.out) {
        for (uint32_t i = 0; i < unit->in_count; i++)
            option.in[i] = in;
        *option.out = out;
        st = add_option(unit, &option, err);
    } else {
        st = PF_FAIL_MEMORY(err, sizeof in);
    }
    if (st) {
        pf_free(option.in);
        pf_free(option.out);
    }
    return st;
}

/* ---- Options of a view: layouts in which its input already has the bytes of its output */

/* Places are split or joined: where each has its channels side by side, that moves nothing.  Nor would it in blocks,
   but what reads the places as rows wants none. */
static bool keeps_channels(pf_layout layout, const pf_shape *in, const pf_shape *out)
{
    return layout == PF_LAYOUT_CHANNELS_LAST && in->rank >= 3 && out->rank >= 3 && in->dim[0] == out->dim[0] &&
           in->dim[1] == out->dim[1];
}

static pf_status add_view_options(const pf_graph *graph, pf_format_unit *unit, pf_err *err)
{
    const pf_shape *in = &graph->values[unit->in[0]].shape, *out = &graph->values[unit->out[0]].shape;
    bool            same = pf_shape_equal(in, out);
    pf_status       st = PF_OK;

    for (int a = 0; a < PF_LAYOUT_COUNT && !st; a++)
        for (int b = 0; b < PF_LAYOUT_COUNT && !st; b++) {
            bool fits = pf_layout_fits((pf_layout)a, in->rank) && pf_layout_fits((pf_layout)b, out->rank);
            bool linear = fits && pf_layout_same_bytes((pf_layout)a, PF_LAYOUT_LINEAR, in) &&
                          pf_layout_same_bytes((pf_layout)b, PF_LAYOUT_LINEAR, out);

            if (fits && (linear || (same && a == b) || (a == b && keeps_channels((pf_layout)a, in, out))))
                st = pf_formats_add_free_option(unit, (pf_layout)a, (pf_layout)b, err);
        }
    return st;
}

/* ---- Options of a step */

static const pf_tactic *taker(const pf_search *search, const pf_problem *probe)
{
    const pf_tactic *tactic = NULL;

    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL; i++)
        if (!(tactic->flags & PF_TACTIC_ORACLE) && pf_search_allows(search->config, tactic) &&
            !pf_tactic_declines(tactic, search->device, probe))
            return tactic;
    return NULL;
}

static bool has_option(const pf_format_unit *unit, const pf_layout *in, const pf_layout *out)
{
    for (uint32_t i = 0; i < unit->option_count; i++)
        if (!memcmp(unit->options[i].in, in, unit->in_count * sizeof *in) &&
            !memcmp(unit->options[i].out, out, unit->out_count * sizeof *out))
            return true;
    return false;
}

const pf_node *pf_formats_only_node(const pf_formats *f, const pf_format_unit *unit, pf_op_kind op)
{
    const pf_node *node = unit->group && !unit->is_view && unit->group->count == 1
                              ? &f->graph->nodes[unit->group->nodes[0]]
                              : NULL;

    return node && node->op == op && unit->in_count == node->in_count && unit->out_count == 1 &&
                   !memcmp(unit->in, node->in, node->in_count * sizeof *node->in)
               ? node
               : NULL;
}

/* Takes the problem. */
static pf_status keep_problem(pf_formats *f, pf_format_unit *unit, pf_problem *problem, pf_err *err)
{
    pf_format_option option = { .problem = problem };
    pf_problem      *bound = NULL;
    pf_status        st = pf_problem_bind(problem, f->graph->dims, f->profile->usual, &bound, err);

    if (!st)
        st = pf_search_add(f->search, bound, unit->name, &option.item, err);
    if (!st) {
        f->search->items[option.item].varies |= !pf_problem_is_bound(option.problem);
        option.in = option.problem->in_layout;
        option.out = option.problem->out_layout;
        st = add_option(unit, &option, err);
    }
    if (st)
        pf_problem_free(problem);
    return st;
}

static pf_status keep_option(pf_formats *f, pf_format_unit *unit, const pf_layout *in, const pf_layout *out,
                             pf_err *err)
{
    pf_problem *problem = NULL;
    pf_status   st = pf_problem_with_layouts(unit->group->problem, in, out, &problem, err);

    return st ? st : keep_problem(f, unit, problem, err);
}

static bool all_fit(const pf_graph *graph, const pf_value_id *values, const pf_layout *layouts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!pf_layout_takes(layouts[i], &pf_graph_value(graph, values[i])->shape))
            return false;
    return true;
}

bool pf_formats_takes(const pf_formats *f, const pf_format_unit *unit, const pf_layout *in, const pf_layout *out)
{
    pf_problem probe = *unit->group->problem;

    probe.in_layout = (pf_layout *)(uintptr_t)in;
    probe.out_layout = (pf_layout *)(uintptr_t)out;
    return all_fit(probe.graph, probe.graph->inputs, in, unit->in_count) &&
           all_fit(probe.graph, probe.graph->outputs, out, unit->out_count) && taker(f->search, &probe);
}

/* A wish for a layout that a value cannot have is no option. */
pf_status pf_formats_try_option(pf_formats *f, pf_format_unit *unit, const pf_layout *in, const pf_layout *out,
                                pf_err *err)
{
    return has_option(unit, in, out) || !pf_formats_takes(f, unit, in, out) ? PF_OK
                                                                            : keep_option(f, unit, in, out, err);
}

static void fill_uniform(const pf_problem *p, pf_layout layout, pf_layout *in, pf_layout *out)
{
    for (uint32_t i = 0; i < p->graph->input_count; i++) {
        bool fits = pf_layout_fits(layout, pf_graph_value(p->graph, p->graph->inputs[i])->shape.rank);

        in[i] = fits && !p->in_constant[i] ? layout : PF_LAYOUT_LINEAR;
    }
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        out[i] = pf_layout_fits(layout, pf_graph_value(p->graph, p->graph->outputs[i])->shape.rank) ? layout
                                                                                                    : PF_LAYOUT_LINEAR;
}

/* What tactics wish for comes first, so that with nothing timed the first wish of the first tactic wins ties. */
static pf_status add_wishes(pf_formats *f, pf_format_unit *unit, pf_err *err)
{
    const pf_problem *p = unit->group->problem;
    const pf_tactic  *tactic = NULL;
    pf_layout         in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];
    pf_status         st = PF_OK;

    for (uint32_t t = 0; (tactic = pf_tactic_at(t)) != NULL && !st; t++) {
        if (!tactic->prefers || (tactic->needs & ~f->search->device->caps) ||
            !pf_search_allows(f->search->config, tactic))
            continue;
        for (uint32_t i = 0; i < PREFERS_LIMIT && !st; i++) {
            fill_uniform(p, PF_LAYOUT_LINEAR, in, out);
            if (!tactic->prefers(f->search->device, p, i, in, out))
                break;
            st = pf_formats_try_option(f, unit, in, out, err);
        }
    }
    return st;
}

static pf_status add_uniform(pf_formats *f, pf_format_unit *unit, pf_layout layout, pf_err *err)
{
    pf_layout in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];

    fill_uniform(unit->group->problem, layout, in, out);
    return pf_formats_try_option(f, unit, in, out, err);
}

/* ---- Layouts that are worth trying: wished for by a unit, and kept by those around it */

static void mark_values(pf_formats *f, const pf_value_id *values, uint32_t count, const pf_layout *layouts,
                        bool *changed)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bit = (uint8_t)(1u << layouts[i]);

        if (values[i] == PF_NONE || f->graph->values[values[i]].is_constant || (f->wanted[values[i]] & bit))
            continue;
        f->wanted[values[i]] |= bit;
        *changed = true;
    }
}

static void mark_options(pf_formats *f, const pf_format_unit *unit, bool *changed)
{
    for (uint32_t i = 0; i < unit->option_count; i++) {
        mark_values(f, unit->in, unit->in_count, unit->options[i].in, changed);
        mark_values(f, unit->out, unit->out_count, unit->options[i].out, changed);
    }
}

/* What some step wishes for on one side of a view, it may have on the other. */
static void widen_view(pf_formats *f, const pf_format_unit *unit, bool *changed)
{
    for (uint32_t i = 0; i < unit->option_count; i++) {
        pf_layout in = unit->options[i].in[0], out = unit->options[i].out[0];

        if (in != out || in == PF_LAYOUT_LINEAR)
            continue;
        if (f->wanted[unit->in[0]] & 1u << in)
            mark_values(f, unit->out, 1, &out, changed);
        if (f->wanted[unit->out[0]] & 1u << out)
            mark_values(f, unit->in, 1, &in, changed);
    }
}

static bool is_wanted(const pf_formats *f, const pf_value_id *values, uint32_t count, pf_layout layout)
{
    for (uint32_t i = 0; i < count; i++)
        if (values[i] != PF_NONE && (f->wanted[values[i]] & 1u << layout))
            return true;
    return false;
}

/* A transpose that moves nothing between two layouts of images is not tried in one of them on both sides. */
static bool only_renames(const pf_formats *f, const pf_format_unit *unit)
{
    const pf_node *node = pf_formats_only_node(f, unit, PF_OP_TRANSPOSE);

    return node && (pf_formats_renames(f->graph, node, PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_LINEAR) ||
                    pf_formats_renames(f->graph, node, PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST));
}

/* Channels last on one side of what transposes inside. */
static pf_status add_side_by_side(pf_formats *f, pf_format_unit *unit, pf_err *err)
{
    static const pf_layout kinds[] = { PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST };
    pf_layout              in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];
    pf_status              st = PF_OK;

    for (int i = 0; i < 2 && !st; i++)
        if (pf_formats_side_by_side(unit->group->problem, kinds[i], in, out))
            st = pf_formats_try_option(f, unit, in, out, err);
    return st;
}

/* Adds the uniform layouts that reach the unit; *changed when one more did. */
static pf_status widen(pf_formats *f, pf_format_unit *unit, bool *changed, pf_err *err)
{
    uint32_t  before = unit->option_count;
    pf_status st = PF_OK;

    for (int layout = PF_LAYOUT_LINEAR + 1; layout < PF_LAYOUT_COUNT && !st; layout++)
        if (is_wanted(f, unit->in, unit->in_count, (pf_layout)layout) ||
            is_wanted(f, unit->out, unit->out_count, (pf_layout)layout)) {
            if (layout != PF_LAYOUT_CHANNELS_LAST || !only_renames(f, unit))
                st = add_uniform(f, unit, (pf_layout)layout, err);
            if (!st && layout == PF_LAYOUT_CHANNELS_LAST)
                st = add_side_by_side(f, unit, err);
        }
    if (!st && unit->option_count > before)
        mark_options(f, unit, changed);
    return st;
}

/* Until nothing new is reached. Every round adds an option or a wish somewhere, so it ends. */
static pf_status spread_layouts(pf_formats *f, uint32_t first, pf_err *err)
{
    pf_status st = PF_OK;
    bool      changed = false;

    for (uint32_t u = first; u < f->unit_count; u++)
        if (!f->units[u].is_view)
            mark_options(f, &f->units[u], &changed);
    for (changed = true; changed && !st;) {
        changed = false;
        for (uint32_t u = first; u < f->unit_count && !st; u++) {
            if (f->units[u].is_view)
                widen_view(f, &f->units[u], &changed);
            else
                st = widen(f, &f->units[u], &changed, err);
        }
    }
    return st;
}

/* A unit that takes LINEAR from nobody must be tried in what is left. */
static pf_status add_any_uniform(pf_formats *f, pf_format_unit *unit, pf_err *err)
{
    pf_status st = PF_OK;

    for (int layout = PF_LAYOUT_LINEAR + 1; layout < PF_LAYOUT_COUNT && !st; layout++)
        st = add_uniform(f, unit, (pf_layout)layout, err);
    return st;
}

/* With no tactic for any layout the reference computes it as it is. */
static pf_status add_options(pf_formats *f, pf_format_unit *unit, pf_err *err)
{
    pf_layout in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];
    pf_status st = add_wishes(f, unit, err);

    if (!st)
        st = add_uniform(f, unit, PF_LAYOUT_LINEAR, err);
    if (!st && !unit->option_count)
        st = add_any_uniform(f, unit, err);
    if (!st && !unit->option_count) {
        fill_uniform(unit->group->problem, PF_LAYOUT_LINEAR, in, out);
        st = keep_option(f, unit, in, out, err);
    }
    return st;
}

static pf_status make_unit(pf_formats *f, const pf_group *group, bool is_view, pf_err *err)
{
    pf_format_unit *unit = NULL;
    pf_status       st = add_unit(f, name_of(f->graph, group), &unit, err);

    if (st)
        return st;
    unit->group = group;
    unit->is_view = is_view;
    if (is_view) {      /* by its node: a problem holds small constants in itself and has no input for them */
        unit->in = f->graph->nodes[group->nodes[0]].in;
        unit->out = f->graph->nodes[group->nodes[0]].out;
        unit->in_count = unit->out_count = 1;
    } else {
        unit->in = group->in;
        unit->out = group->out;
        unit->in_count = group->problem->graph->input_count;
        unit->out_count = group->problem->graph->output_count;
    }
    st = is_view ? add_view_options(f->graph, unit, err) : add_options(f, unit, err);
    if (st)
        pf_err_at(err, unit->name);
    return st ? pf_err_add(err, st, "layer \"%s\"", unit->name) : PF_OK;
}

/* ---- Forms */

typedef struct form { uint32_t first, count; } form;       /* units of a region's form */

static pf_status make_form(pf_formats *f, const pf_region *region, uint32_t index, form *out, pf_err *err)
{
    const pf_region_form *from = &region->forms[index];
    pf_status             st = PF_OK;

    *out = (form){ f->unit_count, from->count };
    for (uint32_t g = 0; g < from->count && !st; g++)
        st = make_unit(f, &from->groups[g], region->kind == PF_REGION_VIEW, err);
    return st;
}

static double unit_cost(const pf_formats *f, const pf_format_unit *unit)
{
    double best = unit->is_view ? 0 : INFINITY;

    for (uint32_t i = 0; i < unit->option_count && !unit->is_view; i++)
        best = fmin(best, pf_search_cost(f->search, unit->options[i].item));
    return best;
}

static double form_cost(const pf_formats *f, const form *units)
{
    double cost = 0;

    for (uint32_t i = 0; i < units->count; i++)
        cost += unit_cost(f, &f->units[units->first + i]);
    return cost;
}

static bool is_only_oracle(const pf_formats *f, const form *units)
{
    for (uint32_t i = 0; i < units->count; i++) {
        const pf_format_unit *unit = &f->units[units->first + i];

        if (!unit->is_view && f->search->items[unit->options[0].item].only_oracle)
            return true;
    }
    return false;
}

/* Units of other forms are made where they may win: everywhere with much effort, else where the region says so or the
   first form has no tactic that works. */
static pf_status make_other_forms(pf_formats *f, const form *first, form *second, pf_err *err)
{
    bool      all = pf_config_int(f->search->config, PF_CONFIG_effort) >= ALL_FORMS_EFFORT;
    uint32_t  units = f->unit_count;
    pf_status st = PF_OK;

    for (uint32_t r = 0; r < f->regions->count && !st; r++) {
        const pf_region *region = &f->regions->items[r];

        if (region->form_count > 1 && !f->tail->late[r] &&
            (all || region->contested || isinf(form_cost(f, &first[r])) || is_only_oracle(f, &first[r])))
            st = make_form(f, region, 1, &second[r], err);
    }
    if (!st)
        st = spread_layouts(f, units, err);
    return st ? st : pf_search_run(f->search, err);
}

static void unit_clear(pf_format_unit *unit)
{
    for (uint32_t i = 0; i < unit->option_count; i++) {
        if (!unit->options[i].problem) {
            pf_free(unit->options[i].in);
            pf_free(unit->options[i].out);
        }
        pf_problem_free(unit->options[i].problem);
    }
    pf_free(unit->options);
    pf_free(unit->name);
    *unit = (pf_format_unit){ 0 };
}

static pf_status no_tactic(const pf_formats *f, const pf_format_unit *unit, pf_err *err)
{
    const pf_search_item *item = &f->search->items[unit->options[0].item];
    const pf_tactic      *tactic = NULL;
    char                  reasons[600] = "";
    size_t                used = 0;

    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL && used + 80 < sizeof reasons; i++) {
        const char            *reason = pf_search_allows(f->search->config, tactic)
                                            ? pf_tactic_declines(tactic, f->search->device, unit->options[0].problem)
                                            : "the build spec leaves it out";
        const pf_timing_entry *entry = NULL;

        for (uint32_t e = 0; e < item->record.count && !reason; e++)
            if (!strcmp(item->record.entries[e].tactic, tactic->name))
                entry = &item->record.entries[e];
        if (entry)
            reason = entry->reason;
        if (reason)
            used += (size_t)snprintf(reasons + used, sizeof reasons - used, "%s%s: %.60s", used ? "; " : "",
                                     tactic->name, reason);
    }
    return PF_FAIL(err, PF_BUILD_FAILED, "no tactic computes layer \"%s\": %s", unit->name, reasons);
}

/* Keeps the units of the cheaper form of each region, in the order of regions. */
static pf_status keep_best_forms(pf_formats *f, const form *first, const form *second, pf_err *err)
{
    pf_format_unit *kept = pf_calloc(f->unit_count + 1, sizeof *kept);
    uint32_t        count = 0;

    if (!kept)
        return PF_FAIL_MEMORY(err, f->unit_count * sizeof *kept);
    for (uint32_t r = 0; r < f->regions->count; r++) {
        const form *chosen = second[r].count && form_cost(f, &second[r]) < form_cost(f, &first[r]) ? &second[r]
                                                                                                   : &first[r];

        for (uint32_t i = 0; i < chosen->count; i++) {
            kept[count++] = f->units[chosen->first + i];
            f->units[chosen->first + i] = (pf_format_unit){ 0 };
        }
    }
    for (uint32_t i = 0; i < f->unit_count; i++)
        unit_clear(&f->units[i]);
    pf_free(f->units);
    f->units = kept;
    f->unit_capacity = f->unit_count + 1;
    f->unit_count = count;
    for (uint32_t i = 0; i < count; i++)
        if (isinf(unit_cost(f, &kept[i])))
            return no_tactic(f, &kept[i], err);
    return PF_OK;
}

/* ---- Outputs that cannot be where their value is computed: inputs, constants, and values that leave twice */

static pf_status copy_output(pf_formats *f, uint32_t index, pf_err *err)
{
    const pf_leaving *leaving = &f->tail->leaving[index];
    const pf_value   *value = pf_graph_value(f->graph, leaving->value);
    pf_format_unit   *unit = NULL;
    pf_problem       *problem = NULL;
    pf_status         st = add_unit(f, pf_strdup(f->graph->output_names[leaving->output]), &unit, err);

    if (st)
        return st;
    unit->output = index;
    unit->own[0] = leaving->value;
    unit->own[1] = PF_NONE;
    unit->in_count = unit->out_count = 1;
    st = pf_problem_reformat(f->graph->dims, value->dtype, &value->shape, PF_LAYOUT_LINEAR, PF_LAYOUT_LINEAR,
                             &problem, err);
    return st ? st : keep_problem(f, unit, problem, err);
}

static bool leaves_before(const pf_formats *f, uint32_t index)
{
    pf_value_id root = pf_formats_view_root(f->graph, f->tail->leaving[index].value);

    for (uint32_t i = 0; i < index; i++)
        if (f->tail->leaving[i].output != PF_NONE && pf_formats_view_root(f->graph, f->tail->leaving[i].value) == root)
            return true;
    return false;
}

static pf_status copy_outputs(pf_formats *f, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < f->tail->leaving_count && !st; i++) {
        const pf_leaving *leaving = &f->tail->leaving[i];
        const pf_value   *root = pf_graph_value(f->graph, pf_formats_view_root(f->graph, leaving->value));

        if (leaving->output != PF_NONE && (root->is_input || root->is_constant || leaves_before(f, i)))
            st = copy_output(f, i, err);
    }
    for (uint32_t i = 0; i < f->unit_count; i++)        /* only now: the units do not move any more */
        if (f->units[i].output != PF_NONE) {
            f->units[i].in = &f->units[i].own[0];
            f->units[i].out = &f->units[i].own[1];
        }
    return st;
}

/* With their options; those of other forms only where they may win. */
static pf_status make_units(pf_formats *f, pf_err *err)
{
    form     *first = pf_calloc(f->regions->count + 1, sizeof *first),
             *second = pf_calloc(f->regions->count + 1, sizeof *second);
    pf_status st = first && second ? PF_OK : PF_FAIL_MEMORY(err, f->regions->count * sizeof *first);

    for (uint32_t r = 0; r < f->regions->count && !st; r++)
        if (!f->tail->late[r])
            st = make_form(f, &f->regions->items[r], 0, &first[r], err);
    if (!st)
        st = spread_layouts(f, 0, err);
    if (!st)
        st = pf_search_run(f->search, err);
    if (!st)
        st = make_other_forms(f, first, second, err);
    if (!st)
        st = keep_best_forms(f, first, second, err);
    if (!st)
        st = pf_formats_free_parts(f, err);
    if (!st)
        st = pf_search_run(f->search, err);
    if (!st)
        st = pf_formats_place(f, err);
    if (!st)
        st = copy_outputs(f, err);
    if (!st)
        st = pf_search_run(f->search, err);
    pf_free(first);
    pf_free(second);
    return st;
}

/* ---- The whole */

pf_status pf_formats_choose(const pf_graph *graph, const pf_profile *profile, const pf_regions *regions,
                            const pf_tail *tail, pf_search *search, pf_formats *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_formats){ .graph = graph, .profile = profile, .regions = regions, .tail = tail, .search = search };
    out->wanted = pf_calloc(graph->value_count + 1, sizeof *out->wanted);
    out->pitch = pf_calloc(graph->value_count + 1, sizeof *out->pitch);
    out->placed = pf_calloc(graph->value_count + 1, sizeof *out->placed);
    st = out->wanted && out->pitch && out->placed ? PF_OK
                                                  : PF_FAIL_MEMORY(err, graph->value_count * sizeof *out->pitch);
    if (!st)
        st = make_units(out, err);
    if (!st)
        st = pf_formats_assign(out, err);
    if (st)
        pf_formats_clear(out);
    return st;
}

void pf_formats_clear(pf_formats *formats)
{
    if (!formats)
        return;
    for (uint32_t i = 0; i < formats->unit_count; i++)
        unit_clear(&formats->units[i]);
    for (uint32_t i = 0; i < formats->copy_count; i++)
        pf_problem_free(formats->copies[i].problem);
    pf_free(formats->units);
    pf_free(formats->copies);
    pf_free(formats->wanted);
    pf_free(formats->pitch);
    pf_free(formats->placed);
    *formats = (pf_formats){ 0 };
}
