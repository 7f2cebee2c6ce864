/* Values that lie in wider ones, with gaps between their images or places: parts of a concat along channels, which
   their steps write in place, and slices of channels, which are read in place.  What has gaps is a layout like others,
   whose steps are timed as such: the concat or slice as a step of its own stays an option, and so does a copy into or
   out of the place; on a card, where a copy takes as long as the concat, all parts are made in their places or none,
   and what reads or makes them is timed with the candidates alone that are best without gaps.  What needs no gaps is
   formats_parts.c's.
   Each value has one place at most: in the largest concat that wants it, else in what it is a slice of.  A smaller
   concat of parts that follow each other in the largest is a part of that one itself. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/formats.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { CHANNELS = 1, GROUPS_LIMIT = 3, WORTH_ONE_IN = 500 };

extern const pf_rule pf_rule_parts_in_place;

typedef struct mover { uint32_t unit; int64_t channels; } mover;    /* a concat or slice that may do without a step */

typedef struct placing {
    pf_formats *f;
    bool       *made;           /* by value: a step writes it, and may write it anywhere */
    pf_value_id *whole;         /* by value with a place: the concat's output in which it is; of a slice itself */
    bool       *looked_at;      /* by value: is it to have a place? */
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

/* Of the unit where it is a step; where a CPU can do without one, that is as good. */
static double step_cost(const pf_formats *f, const pf_format_unit *unit)
{
    double best = INFINITY;

    if (pf_formats_copies_to_places(f))
        return best_cost(f, unit);
    for (uint32_t i = 0; i < unit->option_count; i++)
        if (unit->options[i].problem)
            best = fmin(best, pf_search_cost(f->search, unit->options[i].item));
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

/* Layouts, as bits, in which the unit is a step of its own and all its parts have places; for a CPU they begin where
   values do. */
static uint32_t layouts_of(const pf_formats *f, const pf_format_unit *unit)
{
    uint32_t set = 0;

    for (uint32_t i = 0; i < unit->option_count; i++) {
        const pf_format_option *option = &unit->options[i];
        bool                    fits = option->problem != NULL && !pf_layout_pitch(option->out[0]);
        uint64_t                offset = 0;

        for (uint32_t k = 0; k < unit->in_count && fits; k++)
            fits = option->in[k] == option->out[0] &&
                   pf_formats_channels(f->graph, unit->group->nodes[0], option->out[0], k, &offset) &&
                   (offset % PF_LAYOUT_PART_ALIGNMENT == 0 || !pf_formats_copies_to_places(f));
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

/* In some other layout its parts lie without gaps. */
static bool has_free_option(const pf_format_unit *unit)
{
    for (uint32_t i = 0; i < unit->option_count; i++)
        if (!unit->options[i].problem)
            return true;
    return false;
}

/* Each part is one value, made by a step, and has no place yet, unless that is in the same concat: a CPU then does
   without gaps. */
static bool may_place(const placing *a, const pf_format_unit *unit)
{
    const pf_formats *f = a->f;
    bool              again = has_free_option(unit) && !pf_formats_copies_to_places(f);

    for (uint32_t i = 0; i < unit->in_count; i++) {
        if (!a->made[unit->in[i]] || f->pitch[unit->in[i]] || (f->placed[unit->in[i]] && !again) ||
            pf_formats_leaves(f, unit->in[i]))
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (unit->in[k] == unit->in[i])
                return false;
    }
    return step_cost(f, unit) >= a->least_ns;
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

/* Some step takes the unit's problem with all values in places that are looked at. */
static bool takes_there(const placing *a, const pf_format_unit *unit, pf_layout kind, int64_t pitch)
{
    pf_layout in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];

    for (uint32_t o = 0; o < unit->option_count; o++) {
        bool fits = unit->options[o].problem != NULL;

        for (uint32_t i = 0; i < unit->in_count + unit->out_count && fits; i++) {
            bool        is_in = i < unit->in_count;
            uint32_t    at = is_in ? i : i - unit->in_count;
            pf_value_id value = is_in ? unit->in[at] : unit->out[at];
            pf_layout   layout = is_in ? unit->options[o].in[at] : unit->options[o].out[at];
            bool        there = value != PF_NONE && a->looked_at[value];

            fits = !there || layout == kind;
            *(is_in ? &in[at] : &out[at]) = there ? pf_layout_pitched(kind, pitch) : layout;
        }
        if (fits && pf_formats_takes(a->f, unit, in, out))
            return true;
    }
    return false;
}

static bool touches(const placing *a, const pf_value_id *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (values[i] != PF_NONE && a->looked_at[values[i]])
            return true;
    return false;
}

/* Without copies all steps that make or read these values must take them there, but for the one that joins or cuts
   them. */
static bool all_take_there(placing *a, const pf_format_unit *but, const pf_value_id *values, uint32_t count,
                           pf_layout kind, int64_t pitch)
{
    const pf_formats *f = a->f;
    bool              all = true;

    for (uint32_t i = 0; i < count; i++)
        a->looked_at[values[i]] = true;
    for (uint32_t u = 0; u < f->unit_count && all; u++) {
        const pf_format_unit *unit = &f->units[u];

        if (unit != but && (touches(a, unit->in, unit->in_count) || touches(a, unit->out, unit->out_count)))
            all = !unit->is_view && takes_there(a, unit, kind, pitch);
    }
    for (uint32_t i = 0; i < count; i++)
        a->looked_at[values[i]] = false;
    return all;
}

static uint32_t layouts_made_there(placing *a, const pf_format_unit *unit, int64_t pitch)
{
    const pf_formats *f = a->f;
    uint32_t          set = layouts_of(f, unit), made = 0;

    for (int layout = 0; layout < PF_LAYOUT_COUNT; layout++) {
        if (!(set & 1u << layout))
            continue;
        if (!pf_formats_copies_to_places(f))
            made |= all_take_there(a, unit, unit->in, unit->in_count, (pf_layout)layout, pitch) ? 1u << layout : 0;
        for (uint32_t i = 0; i < unit->in_count && pf_formats_copies_to_places(f); i++)
            made |= is_made_there(f, unit->in[i], (pf_layout)layout, pitch) ? 1u << layout : 0;
    }
    return made;
}

/* A concat whose parts follow each other in another one, too, is a part of that one: nothing more need be made there.
   index: of the first of them. */
static bool is_inside(const pf_format_unit *unit, const pf_format_unit *other, uint32_t *index)
{
    for (*index = 0; *index + unit->in_count <= other->in_count; ++*index)
        if (!memcmp(unit->in, other->in + *index, unit->in_count * sizeof *unit->in))
            return true;
    return false;
}

static pf_status place_inside(placing *a, pf_format_unit *unit, const pf_format_unit *other, pf_err *err)
{
    pf_formats *f = a->f;
    pf_value_id out = unit->out[0];
    int64_t     pitch = f->pitch[unit->in[0]];
    pf_status   st = PF_OK;

    for (uint32_t o = 0; o < other->option_count && !st; o++) {
        const pf_format_option *option = &other->options[o];
        pf_layout               layout = option->in[0];

        if (option->problem || !pf_layout_pitch(layout) ||
            !(pf_formats_copies_to_places(f) || all_take_there(a, unit, &out, 1, pf_layout_kind(layout), pitch)))
            continue;
        f->pitch[out] = pitch;
        a->whole[out] = other->out[0];
        st = pf_formats_add_free_option(unit, layout, layout, err);
    }
    return st;
}

/* The widest concat that has all parts of this one in their places. */
static const pf_format_unit *find_around(const placing *a, const pf_format_unit *unit)
{
    const pf_formats *f = a->f;
    uint32_t          index = 0;

    if (f->pitch[unit->out[0]] || f->placed[unit->out[0]] || pf_formats_leaves(f, unit->out[0]) ||
        !f->pitch[unit->in[0]] || step_cost(f, unit) < a->least_ns)
        return NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        const pf_format_unit *other = &f->units[a->concats[i].unit];

        if (other != unit && a->whole[unit->in[0]] == other->out[0] && is_inside(unit, other, &index))
            return other;
    }
    return NULL;
}

static pf_status place_concat(placing *a, pf_format_unit *unit, pf_err *err)
{
    pf_formats *f = a->f;
    const pf_format_unit *around = find_around(a, unit);
    int64_t     own = f->pitch[unit->out[0]], pitch = own ? own : f->graph->values[unit->out[0]].shape.dim[CHANNELS];
    uint32_t    set = around || !may_place(a, unit) ? 0 : layouts_made_there(a, unit, pitch);
    pf_status   st = PF_OK;

    if (around)
        return place_inside(a, unit, around, err);
    if (!set)
        return PF_OK;
    for (uint32_t i = 0; i < unit->in_count; i++) {
        f->pitch[unit->in[i]] = pitch;
        a->whole[unit->in[i]] = unit->out[0];
    }
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

static uint32_t layouts_read_there(placing *a, const pf_format_unit *unit, int64_t pitch)
{
    uint32_t set = layouts_of(a->f, unit), read = 0;

    if (pf_formats_copies_to_places(a->f))
        return set;
    for (int layout = 0; layout < PF_LAYOUT_COUNT; layout++)
        if (set & 1u << layout && all_take_there(a, unit, unit->out, 1, (pf_layout)layout, pitch))
            read |= 1u << layout;
    return read;
}

/* A transpose that costs nothing in some layouts: what it makes lies in a value of other dims then. */
static bool may_be_elsewhere(const pf_formats *f, pf_value_id value)
{
    uint32_t              slot = 0;
    const pf_format_unit *maker = maker_of(f, value, &slot);

    return pf_formats_view_root(f->graph, value) != value ||
           (maker && has_free_option(maker) && !is_concat(f, maker) && !pf_formats_only_node(f, maker, PF_OP_SLICE));
}

static pf_status place_slice(placing *a, pf_format_unit *unit, pf_value_id from, pf_err *err)
{
    pf_formats *f = a->f;
    pf_value_id part = unit->out[0];
    int64_t     own = f->pitch[from], pitch = own ? own : f->graph->values[from].shape.dim[CHANNELS];
    uint32_t    set = 0;
    pf_status   st = PF_OK;

    if (f->pitch[part] || f->placed[part] || pf_formats_leaves(f, part) || f->graph->values[from].is_constant ||
        may_be_elsewhere(f, from) || step_cost(f, unit) < a->least_ns)
        return PF_OK;
    set = layouts_read_there(a, unit, pitch);
    if (!set)
        return PF_OK;
    f->pitch[part] = pitch;
    a->whole[part] = part;
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

/* Inputs, then outputs, that have places, in groups: values of a group are in their places together or not at all. */
typedef struct slots {
    uint32_t at[2 * PF_PROBLEM_VALUES], group[2 * PF_PROBLEM_VALUES], count, groups;
} slots;

static bool is_around(const placing *a, const pf_format_unit *unit, pf_value_id value)
{
    return is_concat(a->f, unit) && a->whole[value] == unit->out[0];
}

/* A concat that is a part of the one whose parts it joins. */
static bool lies_among_its_parts(const placing *a, const pf_format_unit *unit)
{
    return is_concat(a->f, unit) && a->whole[unit->out[0]] != PF_NONE &&
           a->whole[unit->in[0]] == a->whole[unit->out[0]];
}

/* Where values may be copied into their places each is a group of its own; else those of one whole are. */
static uint32_t group_of(const placing *a, const slots *s, uint32_t at, pf_value_id value, const pf_value_id *values)
{
    for (uint32_t k = 0; k < at && !pf_formats_copies_to_places(a->f); k++)
        if (a->whole[values[k]] == a->whole[value])
            return s->group[k];
    return s->groups;
}

/* A concat's own parts have theirs in it. */
static void find_slots(const placing *a, const pf_format_unit *unit, slots *s)
{
    const pf_formats *f = a->f;
    pf_value_id       values[2 * PF_PROBLEM_VALUES];

    s->count = s->groups = 0;
    for (uint32_t i = 0; i < unit->in_count + unit->out_count; i++) {
        pf_value_id value = i < unit->in_count ? unit->in[i] : unit->out[i - unit->in_count];

        if (value == PF_NONE || f->graph->values[value].is_constant || !f->pitch[value] ||
            (i < unit->in_count ? is_around(a, unit, value) : lies_among_its_parts(a, unit)))
            continue;
        s->at[s->count] = i;
        s->group[s->count] = group_of(a, s, s->count, value, values);
        s->groups += s->group[s->count] == s->groups;
        values[s->count++] = value;
    }
    if (s->groups > GROUPS_LIMIT)
        s->groups = 0;
}

static pf_status add_variant(pf_formats *f, pf_format_unit *unit, uint32_t option, const slots *s, uint32_t subset,
                             pf_err *err)
{
    pf_layout in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];
    uint32_t  before = unit->option_count, like = unit->options[option].item;
    pf_status st = PF_OK;

    memcpy(in, unit->options[option].in, unit->in_count * sizeof *in);
    memcpy(out, unit->options[option].out, unit->out_count * sizeof *out);
    for (uint32_t i = 0; i < s->count; i++) {
        bool        is_in = s->at[i] < unit->in_count;
        uint32_t    at = is_in ? s->at[i] : s->at[i] - unit->in_count;
        pf_layout  *layout = is_in ? &in[at] : &out[at];
        pf_value_id value = is_in ? unit->in[at] : unit->out[at];

        if (subset & 1u << s->group[i])
            *layout = pf_layout_pitched(*layout, f->pitch[value]);
    }
    st = pf_formats_try_option(f, unit, in, out, err);
    if (!st && unit->option_count > before && !pf_formats_copies_to_places(f))
        pf_search_like(f->search, unit->options[before].item, like);
    return st;
}

static pf_status add_variants(const placing *a, pf_format_unit *unit, pf_err *err)
{
    uint32_t  options = unit->option_count;
    slots     s = { .count = 0 };
    pf_status st = PF_OK;

    find_slots(a, unit, &s);
    for (uint32_t o = 0; o < options && !st; o++)
        for (uint32_t subset = 1; subset < 1u << s.groups && unit->options[o].problem && !st; subset++)
            st = add_variant(a->f, unit, o, &s, subset, err);
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
    a.whole = pf_alloc(values * sizeof *a.whole);
    a.looked_at = pf_calloc(values, sizeof *a.looked_at);
    a.concats = pf_calloc(f->unit_count + 1, sizeof *a.concats);
    if (!a.made || !a.whole || !a.looked_at || !a.concats)
        st = PF_FAIL_MEMORY(err, values + f->unit_count * sizeof *a.concats);
    if (!st) {
        memset(a.whole, 0xff, values * sizeof *a.whole);
        find_made(&a);
        st = place_concats(&a, err);
    }
    if (!st)
        st = place_slices(&a, err);
    for (uint32_t u = 0; u < f->unit_count && !st; u++)
        if (!f->units[u].is_view)
            st = add_variants(&a, &f->units[u], err);
    pf_free(a.made);
    pf_free(a.whole);
    pf_free(a.looked_at);
    pf_free(a.concats);
    return st;
}
