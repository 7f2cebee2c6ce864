/* Values that lie in wider ones, with gaps between their images or places: parts of a concat along channels, which
   their steps write in place, and slices of channels, which are read in place.  What has gaps is a layout like others,
   whose steps are timed as such: the concat or slice as a step of its own stays an option, and so does a copy into or
   out of the place.  What needs no gaps is formats_parts.c's.
   Each value has one place at most: in the largest concat that wants it, else in what it is a slice of. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/formats.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { CHANNELS = 1, SLOTS_LIMIT = 3, WORTH_ONE_IN = 500 };

extern const pf_rule pf_rule_parts_in_place;

typedef struct mover { uint32_t unit; int64_t channels; } mover;    /* a concat or slice that may do without a step */

typedef struct placing {
    pf_formats *f;
    bool       *made;           /* by value: a step writes it, and may write it anywhere */
    double      least_ns;       /* what a step costs at least that is worth doing without */
    mover      *concats;        /* the widest first */
    uint32_t    count;
} placing;

/* ---- What is worth it */

static double best_cost(const pf_formats *f, const pf_format_unit *unit)
{
    double best = INFINITY;

    for (uint32_t i = 0; i < unit->option_count; i++)
        best = fmin(best, unit->options[i].problem ? pf_search_cost(f->search, unit->options[i].item) : 0);
    return best;
}

static double whole_cost(const pf_formats *f)
{
    double sum = 0;

    for (uint32_t u = 0; u < f->unit_count; u++) {
        double cost = f->units[u].is_view ? 0 : best_cost(f, &f->units[u]);

        sum += isfinite(cost) ? cost : 0;
    }
    return sum;
}

/* ---- Concats and slices of channels */

static bool is_slice(const pf_formats *f, const pf_format_unit *unit, pf_value_id *from, int64_t *start)
{
    const pf_node        *node = pf_formats_only_node(f, unit, PF_OP_SLICE);
    const pf_slice_attrs *attrs = node ? node->attrs : NULL;

    if (!attrs || attrs->axes.count != 1 || attrs->axes.at[0] != CHANNELS || attrs->steps.at[0] != 1 ||
        pf_dim_is_symbolic(attrs->starts.at[0]) ||
        pf_dim_is_symbolic(f->graph->values[node->in[0]].shape.dim[CHANNELS]))
        return false;
    *from = node->in[0];
    *start = attrs->starts.at[0] + (attrs->starts.at[0] < 0 ? f->graph->values[*from].shape.dim[CHANNELS] : 0);
    return true;
}

static bool is_concat(const pf_formats *f, const pf_format_unit *unit)
{
    const pf_node *node = pf_formats_only_node(f, unit, PF_OP_CONCAT);

    return node && ((const pf_axis_attrs *)node->attrs)->axis == CHANNELS &&
           f->graph->values[node->out[0]].shape.rank > CHANNELS &&
           pf_dim_is_number(f->graph->values[node->out[0]].shape.dim[CHANNELS]);
}

/* Channels before part `index` of a concat; -1 when that is not known. */
static int64_t channels_before(const pf_graph *graph, const pf_value_id *parts, uint32_t index)
{
    int64_t start = 0;

    for (uint32_t i = 0; i < index; i++) {
        pf_dim channels = graph->values[parts[i]].shape.dim[CHANNELS];

        if (pf_dim_is_symbolic(channels))
            return -1;
        start += channels;
    }
    return start;
}

bool pf_formats_channels(const pf_graph *graph, pf_node_id id, pf_layout kind, uint32_t index, uint64_t *offset_bytes)
{
    const pf_node  *node = &graph->nodes[id];
    bool            joins = node->op == PF_OP_CONCAT;
    const pf_value *whole = &graph->values[joins ? node->out[0] : node->in[0]],
                   *part = &graph->values[joins ? node->in[index] : node->out[0]];
    int64_t         start = 0;

    *offset_bytes = 0;
    if (part->shape.rank <= CHANNELS || pf_dim_is_symbolic(part->shape.dim[CHANNELS]))
        return false;
    if (joins) {
        start = channels_before(graph, node->in, index);
    } else {
        start = ((const pf_slice_attrs *)node->attrs)->starts.at[0];
        start += start < 0 ? whole->shape.dim[CHANNELS] : 0;
    }
    return pf_layout_channels(kind, whole->dtype, &whole->shape, start, part->shape.dim[CHANNELS], offset_bytes);
}

/* ---- Options */

/* Layouts, as bits, in which the unit is a step of its own and all its parts have places. */
static uint32_t layouts_of(const pf_formats *f, const pf_format_unit *unit)
{
    uint32_t set = 0;

    for (uint32_t i = 0; i < unit->option_count; i++) {
        const pf_format_option *option = &unit->options[i];
        bool                    fits = option->problem != NULL && !pf_layout_pitch(option->out[0]);
        uint64_t                offset = 0;

        for (uint32_t k = 0; k < unit->in_count && fits; k++)
            fits = option->in[k] == option->out[0] &&
                   pf_formats_channels(f->graph, unit->group->nodes[0], option->out[0], k, &offset);
        set |= fits ? 1u << option->out[0] : 0;
    }
    return set;
}

/* ---- Concats */

static int by_channels(const void *a, const void *b)
{
    const mover *x = a, *y = b;

    return x->channels != y->channels ? (x->channels > y->channels ? -1 : 1)
           : x->unit < y->unit        ? -1
                                      : x->unit > y->unit;
}

static bool leaves(const pf_formats *f, pf_value_id value)
{
    for (uint32_t i = 0; i < f->tail->leaving_count; i++)
        if (f->tail->leaving[i].output != PF_NONE && pf_formats_view_root(f->graph, f->tail->leaving[i].value) == value)
            return true;
    return false;
}

/* Each part is one value, made by a step, and has no place yet. */
static bool may_place(const placing *a, const pf_format_unit *unit)
{
    const pf_formats *f = a->f;

    for (uint32_t i = 0; i < unit->in_count; i++) {
        if (!a->made[unit->in[i]] || f->pitch[unit->in[i]] || f->placed[unit->in[i]] || leaves(f, unit->in[i]))
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (unit->in[k] == unit->in[i])
                return false;
    }
    return best_cost(f, unit) >= a->least_ns;
}

static const pf_format_unit *maker_of(const pf_formats *f, pf_value_id value, uint32_t *slot)
{
    for (uint32_t u = 0; u < f->unit_count; u++)
        for (*slot = 0; *slot < f->units[u].out_count; ++*slot)
            if (!f->units[u].is_view && f->units[u].out[*slot] == value)
                return &f->units[u];
    return NULL;
}

/* Is there a step that makes the value in its place?  Where all must be copied there, the concat does that as well. */
static bool is_made_there(const pf_formats *f, pf_value_id value, pf_layout kind, int64_t pitch)
{
    uint32_t              slot = 0;
    const pf_format_unit *unit = maker_of(f, value, &slot);
    pf_layout             out[PF_PROBLEM_VALUES];

    for (uint32_t o = 0; unit && o < unit->option_count; o++) {
        const pf_format_option *option = &unit->options[o];

        if (!option->problem || option->out[slot] != kind)
            continue;
        memcpy(out, option->out, unit->out_count * sizeof *out);
        out[slot] = pf_layout_pitched(kind, pitch);
        if (pf_formats_takes(f, unit, option->in, out))
            return true;
    }
    return false;
}

static uint32_t layouts_made_there(const pf_formats *f, const pf_format_unit *unit, int64_t pitch)
{
    uint32_t set = layouts_of(f, unit), made = 0;

    for (int layout = 0; layout < PF_LAYOUT_COUNT; layout++)
        for (uint32_t i = 0; i < unit->in_count && set & 1u << layout; i++)
            made |= is_made_there(f, unit->in[i], (pf_layout)layout, pitch) ? 1u << layout : 0;
    return made;
}

static pf_status place_concat(placing *a, pf_format_unit *unit, pf_err *err)
{
    pf_formats *f = a->f;
    int64_t     own = f->pitch[unit->out[0]], pitch = own ? own : f->graph->values[unit->out[0]].shape.dim[CHANNELS];
    uint32_t    set = layouts_made_there(f, unit, pitch);
    pf_status   st = PF_OK;

    if (!set || !may_place(a, unit))
        return PF_OK;
    for (uint32_t i = 0; i < unit->in_count; i++)
        f->pitch[unit->in[i]] = pitch;
    for (int layout = 0; layout < PF_LAYOUT_COUNT && !st; layout++) {
        pf_layout in = pf_layout_pitched((pf_layout)layout, pitch), out = own ? in : (pf_layout)layout;

        if (set & 1u << layout)
            st = pf_formats_add_free_option(unit, in, out, err);
    }
    return st;
}

static pf_status place_concats(placing *a, pf_err *err)
{
    pf_formats *f = a->f;
    pf_status   st = PF_OK;

    for (uint32_t u = 0; u < f->unit_count; u++)
        if (is_concat(f, &f->units[u]))
            a->concats[a->count++] = (mover){ u, f->graph->values[f->units[u].out[0]].shape.dim[CHANNELS] };
    qsort(a->concats, a->count, sizeof *a->concats, by_channels);
    for (uint32_t i = 0; i < a->count && !st; i++)
        st = place_concat(a, &f->units[a->concats[i].unit], err);
    return st;
}

/* ---- Slices */

static pf_status place_slice(const placing *a, pf_format_unit *unit, pf_value_id from, pf_err *err)
{
    pf_formats *f = a->f;
    pf_value_id part = unit->out[0];
    int64_t     own = f->pitch[from], pitch = own ? own : f->graph->values[from].shape.dim[CHANNELS];
    uint32_t    set = layouts_of(f, unit);
    pf_status   st = PF_OK;

    if (!set || f->pitch[part] || f->placed[part] || leaves(f, part) || f->graph->values[from].is_constant ||
        pf_formats_view_root(f->graph, from) != from || best_cost(f, unit) < a->least_ns)
        return PF_OK;
    f->pitch[part] = pitch;
    for (int layout = 0; layout < PF_LAYOUT_COUNT && !st; layout++)
        if (set & 1u << layout)
            st = pf_formats_add_free_option(unit, pf_layout_pitched((pf_layout)layout, own),
                                            pf_layout_pitched((pf_layout)layout, pitch), err);
    return st;
}

static pf_status place_slices(placing *a, pf_err *err)
{
    pf_formats *f = a->f;
    pf_status   st = PF_OK;

    for (uint32_t u = 0; u < f->unit_count && !st; u++) {
        pf_value_id from = PF_NONE;
        int64_t     start = 0;

        if (is_slice(f, &f->units[u], &from, &start) && start >= 0)
            st = place_slice(a, &f->units[u], from, err);
    }
    return st;
}

/* ---- The steps round them */

/* Inputs, then outputs, that have places; a concat's own parts have theirs in it. */
static uint32_t slots_with_places(const pf_formats *f, const pf_format_unit *unit, uint32_t *slots)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < unit->in_count + unit->out_count; i++) {
        pf_value_id value = i < unit->in_count ? unit->in[i] : unit->out[i - unit->in_count];

        if (value == PF_NONE || f->graph->values[value].is_constant || !f->pitch[value] ||
            (i < unit->in_count && is_concat(f, unit)))
            continue;
        if (count == SLOTS_LIMIT)
            return 0;
        slots[count++] = i;
    }
    return count;
}

static pf_status add_variant(pf_formats *f, pf_format_unit *unit, uint32_t option, const uint32_t *slots,
                             uint32_t subset, pf_err *err)
{
    pf_layout in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];

    memcpy(in, unit->options[option].in, unit->in_count * sizeof *in);
    memcpy(out, unit->options[option].out, unit->out_count * sizeof *out);
    for (uint32_t i = 0; i < SLOTS_LIMIT; i++) {
        pf_layout *layout = !(subset & 1u << i)         ? NULL
                            : slots[i] < unit->in_count ? &in[slots[i]]
                                                        : &out[slots[i] - unit->in_count];

        if (layout)
            *layout = pf_layout_pitched(*layout,
                                        f->pitch[slots[i] < unit->in_count ? unit->in[slots[i]]
                                                                           : unit->out[slots[i] - unit->in_count]]);
    }
    return pf_formats_try_option(f, unit, in, out, err);
}

static pf_status add_variants(pf_formats *f, pf_format_unit *unit, pf_err *err)
{
    uint32_t  slots[SLOTS_LIMIT] = { 0 }, count = slots_with_places(f, unit, slots), options = unit->option_count;
    pf_status st = PF_OK;

    for (uint32_t o = 0; o < options && !st; o++)
        for (uint32_t subset = 1; subset < 1u << count && unit->options[o].problem && !st; subset++)
            st = add_variant(f, unit, o, slots, subset, err);
    return st;
}

static void find_made(placing *a)
{
    const pf_formats *f = a->f;

    for (uint32_t u = 0; u < f->unit_count; u++) {
        const pf_format_unit *unit = &f->units[u];
        bool                  steps = !unit->is_view;

        for (uint32_t i = 0; i < unit->option_count && !is_concat(f, unit); i++)
            steps = steps && unit->options[i].problem;
        for (uint32_t i = 0; i < unit->out_count; i++)
            if (unit->out[i] != PF_NONE)
                a->made[unit->out[i]] = steps;
    }
}

/* With nothing timed there is nothing to choose by. */
static bool is_wanted(const pf_formats *f)
{
    return pf_config_int(f->search->config, PF_CONFIG_effort) > 0 &&
           pf_rule_is_on(&pf_rule_parts_in_place, pf_config_value(f->search->config, PF_CONFIG_disable_rules));
}

pf_status pf_formats_place(pf_formats *f, pf_err *err)
{
    placing   a = { .f = f, .least_ns = whole_cost(f) / WORTH_ONE_IN };
    uint32_t  values = f->graph->value_count + 1;
    pf_status st = PF_OK;

    if (!is_wanted(f))
        return PF_OK;
    a.made = pf_calloc(values, sizeof *a.made);
    a.concats = pf_calloc(f->unit_count + 1, sizeof *a.concats);
    if (!a.made || !a.concats)
        st = PF_FAIL_MEMORY(err, values + f->unit_count * sizeof *a.concats);
    if (!st) {
        find_made(&a);
        st = place_concats(&a, err);
    }
    if (!st)
        st = place_slices(&a, err);
    for (uint32_t u = 0; u < f->unit_count && !st; u++)
        if (!f->units[u].is_view)
            st = add_variants(f, &f->units[u], err);
    pf_free(a.made);
    pf_free(a.concats);
    return st;
}
