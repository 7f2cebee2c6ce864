#include "engine/builder_draft.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/plan_sections.h"

enum {
    /* candidates behind the choice that a step with varying shapes keeps, before the reference and with room for one
       that is preferred to the choice */
    FALLBACKS = PF_RANKED_MOST - 3,
    TAIL_TEXT_LIMIT = PF_PLAN_TEXT_LIMIT,
};

/* ---- Values */

static pf_status add_value(pf_draft *d, pf_value_id v, pf_layout layout, uint32_t *index, pf_err *err)
{
    struct pf_plan *plan = &d->plan;
    const pf_value *value = pf_graph_value(d->formats->graph, v);
    uint32_t        capacity = d->value_capacity;

    *index = plan->value_count;
    if (pf_grow((void **)&plan->values, &d->value_capacity, plan->value_count + 1, sizeof *plan->values) ||
        pf_grow((void **)&d->graph_value, &capacity, plan->value_count + 1, sizeof *d->graph_value))
        return PF_FAIL_MEMORY(err, (plan->value_count + 1) * sizeof *plan->values);
    plan->values[plan->value_count] = (pf_plan_value){
        .name = value->name ? value->name : "", .dtype = value->dtype, .layout = layout, .shape = value->shape,
        .home = PF_HOME_ARENA, .index = PF_NONE, .view_of = PF_NONE,
    };
    d->graph_value[plan->value_count++] = v;
    return PF_OK;
}

static pf_status add_known_value(pf_draft *d, pf_value_id v, pf_layout layout, uint32_t *index, pf_err *err)
{
    pf_status st = add_value(d, v, layout, index, err);

    if (!st)
        d->value_of[v][pf_format_state(layout)] = *index;
    return st;
}

static uint32_t root_of(const pf_draft *d, uint32_t value)
{
    uint32_t root = d->plan.values[value].view_of;

    return root == PF_NONE ? value : root;
}

static void make_part(pf_draft *d, uint32_t view, uint32_t of, uint64_t offset_bytes)
{
    pf_plan_value *values = d->plan.values;
    uint32_t       root = root_of(d, of);

    values[view].view_of = root;
    values[view].view_offset = values[of].view_offset + offset_bytes;
    values[view].home = values[root].home;
    values[view].index = values[root].index;
}

static void make_view(pf_draft *d, uint32_t view, uint32_t of)
{
    make_part(d, view, of, 0);
}

/* A root and all its views move into another one. */
static pf_status move_into(pf_draft *d, uint32_t root, uint32_t whole, uint64_t offset_bytes, pf_err *err)
{
    pf_plan_value *values = d->plan.values;

    if (values[root].view_of != PF_NONE || values[root].home != PF_HOME_ARENA)
        return PF_FAIL(err, PF_INTERNAL, "value \"%s\" cannot be a part of \"%s\"", values[root].name,
                       values[whole].name);
    for (uint32_t i = 0; i < d->plan.value_count; i++)
        if (i == root || values[i].view_of == root) {
            values[i].view_of = whole;
            values[i].view_offset += offset_bytes;
        }
    return PF_OK;
}

/* The root and all its views live where the world outside takes the output from. */
static void move_to_io(pf_draft *d, uint32_t root, uint32_t io)
{
    for (uint32_t i = 0; i < d->plan.value_count; i++)
        if (i == root || d->plan.values[i].view_of == root) {
            d->plan.values[i].home = PF_HOME_IO;
            d->plan.values[i].index = io;
        }
}

/* ---- Steps */

static pf_status add_step(pf_draft *d, const char *name, const pf_problem *problem, uint32_t item, pf_plan_step **out,
                          pf_err *err)
{
    struct pf_plan *plan = &d->plan;
    uint32_t        capacity = d->step_capacity;
    pf_plan_step   *step = NULL;

    if (pf_grow((void **)&plan->steps, &d->step_capacity, plan->step_count + 1, sizeof *plan->steps) ||
        pf_grow((void **)&d->step_item, &capacity, plan->step_count + 1, sizeof *d->step_item))
        return PF_FAIL_MEMORY(err, (plan->step_count + 1) * sizeof *plan->steps);
    d->step_item[plan->step_count] = item;
    step = &plan->steps[plan->step_count++];
    *step = (pf_plan_step){ .name = name, .problem_text = problem->text, .packed = PF_NONE };
    step->problem = (pf_problem *)(uintptr_t)problem;       /* borrowed: the draft's plan is never freed as one */
    step->in = pf_arena_alloc(d->arena, (problem->graph->input_count + 1) * sizeof *step->in);
    step->out = pf_arena_alloc(d->arena, (problem->graph->output_count + 1) * sizeof *step->out);
    *out = step;
    return step->in && step->out ? PF_OK : PF_FAIL_MEMORY(err, problem->graph->input_count * sizeof *step->in);
}

static void add_candidate(pf_plan_step *step, const pf_timing_entry *entry)
{
    step->ranked[step->ranked_count++] = (pf_plan_candidate){ entry->tactic, entry->tuning, entry->rev,
                                                              pf_choose_time(entry) };
}

void pf_builder_choose(pf_draft *draft, uint32_t step, const pf_timing_entry *entry)
{
    draft->plan.steps[step].ranked[0] = (pf_plan_candidate){ entry->tactic, entry->tuning, entry->rev,
                                                             pf_choose_time(entry) };
}

void pf_builder_prefer(pf_draft *draft, uint32_t step, const pf_timing_entry *entry)
{
    pf_plan_step *s = &draft->plan.steps[step];

    if (!pf_problem_is_bound(s->problem) && s->ranked_count < PF_RANKED_MOST) {
        memmove(s->ranked + 1, s->ranked, s->ranked_count * sizeof *s->ranked);
        s->ranked_count++;
    }
    pf_builder_choose(draft, step, entry);
}

static bool has_tactic(const pf_plan_step *step, const char *tactic)
{
    for (uint32_t i = 0; i < step->ranked_count; i++)
        if (!strcmp(step->ranked[i].tactic, tactic))
            return true;
    return false;
}

/* The reference takes any shapes, so it stands last. */
static void add_reference(const pf_draft *d, pf_plan_step *step)
{
    const pf_search *search = d->formats->search;
    const pf_tactic *tactic = NULL;

    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL; i++)
        if ((tactic->flags & PF_TACTIC_ORACLE) && !has_tactic(step, tactic->name) &&
            pf_search_allows(search->config, tactic) && !pf_tactic_declines(tactic, search->device, step->problem))
            step->ranked[step->ranked_count++] = (pf_plan_candidate){ tactic->name, "plain", tactic->rev, 0 };
}

/* The choice; and where shapes vary, what to try when it does not take one: the best tuning of some other tactics. */
static pf_status add_candidates(pf_draft *d, uint32_t item, pf_plan_step *step, pf_err *err)
{
    const pf_choice *choice = &d->formats->search->items[item].choice;
    bool             varies = !pf_problem_is_bound(step->problem);

    step->ranked = pf_arena_alloc(d->arena, PF_RANKED_MOST * sizeof *step->ranked);
    if (!step->ranked)
        return PF_FAIL_MEMORY(err, PF_RANKED_MOST * sizeof *step->ranked);
    for (uint32_t i = 0; i < choice->count && (i == 0 || (varies && step->ranked_count <= FALLBACKS)); i++)
        if (!has_tactic(step, choice->ranked[i]->tactic))
            add_candidate(step, choice->ranked[i]);
    if (varies)
        add_reference(d, step);
    return PF_OK;
}

static const pf_format_copy *find_copy(const pf_formats *f, pf_value_id v, pf_layout to)
{
    for (uint32_t i = 0; i < f->copy_count; i++)
        if (f->copies[i].value == v && f->copies[i].to == to)
            return &f->copies[i];
    return NULL;
}

static pf_status add_copy(pf_draft *d, const pf_format_copy *copy, uint32_t *index, pf_err *err)
{
    const pf_value *value = pf_graph_value(d->formats->graph, copy->value);
    pf_buf          name = { 0 };
    const char     *text = NULL;
    pf_plan_step   *step = NULL;
    pf_status       st = PF_OK;

    pf_buf_init(&name, 4096);
    pf_buf_printf(&name, "%s to %s", value->name && value->name[0] ? value->name : "value",
                  pf_layout_print(copy->to).at);
    text = name.failed ? NULL : pf_arena_strdup(d->arena, (const char *)name.data);
    pf_buf_clear(&name);
    if (!text)
        return PF_FAIL_MEMORY(err, 4096);
    st = add_step(d, text, copy->problem, copy->item, &step, err);
    if (!st)
        st = add_candidates(d, copy->item, step, err);
    if (!st)
        st = add_known_value(d, copy->value, copy->to, index, err);
    if (!st) {
        step->in[0] = d->value_of[copy->value][pf_format_state(copy->from)];
        step->out[0] = *index;
    }
    return st;
}

/* The plan's value for v in that layout: what is there, the same bytes under another name, or a copy made now. */
static pf_status get_value(pf_draft *d, pf_value_id v, pf_layout layout, uint32_t *index, pf_err *err)
{
    const pf_value       *value = pf_graph_value(d->formats->graph, v);
    const pf_format_copy *copy = find_copy(d->formats, v, layout);
    pf_status             st = PF_OK;

    *index = d->value_of[v][pf_format_state(layout)];
    if (*index != PF_NONE)
        return PF_OK;
    if (value->is_constant) {
        st = add_known_value(d, v, PF_LAYOUT_LINEAR, index, err);
        if (!st)
            d->plan.values[*index].home = PF_HOME_WEIGHT;
        return st;
    }
    if (copy)
        return add_copy(d, copy, index, err);
    for (uint32_t other = 0; other < PF_FORMAT_STATES; other++) {
        uint32_t source = d->value_of[v][other];

        if (source == PF_NONE || !pf_layout_same_bytes(d->plan.values[source].layout, layout, &value->shape))
            continue;
        st = add_known_value(d, v, layout, index, err);
        if (!st)
            make_view(d, *index, source);
        return st;
    }
    return PF_FAIL(err, PF_INTERNAL, "nothing makes value \"%s\" in layout %s", value->name,
                   pf_layout_print(layout).at);
}

static pf_status draft_view(pf_draft *d, const pf_format_unit *unit, pf_err *err)
{
    const pf_format_option *option = &unit->options[unit->chosen];
    uint32_t                in = PF_NONE, out = PF_NONE;
    pf_status               st = get_value(d, unit->in[0], option->in[0], &in, err);

    if (!st)
        st = add_known_value(d, unit->out[0], option->out[0], &out, err);
    if (!st)
        make_view(d, out, in);
    return st;
}

/* Where part `index` of a concat, or a slice, lies in the whole. */
static bool find_part(const pf_draft *d, const pf_format_unit *unit, pf_layout part, uint32_t index, uint64_t *offset)
{
    const pf_graph *graph = d->formats->graph;
    pf_node_id      node = unit->group->nodes[0];

    return pf_layout_pitch(part) ? pf_formats_channels(graph, node, pf_layout_kind(part), index, offset)
                                 : pf_formats_part(graph, node, part, index, offset);
}

/* Where the slice lies in its input. */
static pf_status draft_slice(pf_draft *d, const pf_format_unit *unit, pf_err *err)
{
    const pf_format_option *option = &unit->options[unit->chosen];
    uint64_t                offset = 0;
    uint32_t                in = PF_NONE, out = PF_NONE;
    pf_status               st = get_value(d, unit->in[0], option->in[0], &in, err);

    if (!st)
        st = add_known_value(d, unit->out[0], option->out[0], &out, err);
    if (!st && find_part(d, unit, option->out[0], 0, &offset))
        make_part(d, out, in, offset);
    return st;
}

/* A part of the concat at that offset.  Both may lie in others by now, since a concat may be a part of another one:
   then the narrower of these moves into the wider. */
static pf_status join(pf_draft *d, uint32_t part, uint32_t whole, uint64_t offset, pf_err *err)
{
    const pf_plan_value *values = d->plan.values;
    uint32_t             inner = root_of(d, part), outer = root_of(d, whole);
    uint64_t             at = values[whole].view_offset + offset, own = values[part].view_offset;

    if (inner == outer && at == own)
        return PF_OK;
    if (inner != outer && at >= own && values[inner].shape.dim[1] <= values[outer].shape.dim[1])
        return move_into(d, inner, outer, at - own, err);
    if (inner != outer && own >= at)
        return move_into(d, outer, inner, own - at, err);
    return PF_FAIL(err, PF_INTERNAL, "value \"%s\" has two places", values[part].name);
}

/* The inputs, made before, move to where the whole has them. */
static pf_status draft_concat(pf_draft *d, const pf_format_unit *unit, pf_err *err)
{
    const pf_format_option *option = &unit->options[unit->chosen];
    uint32_t                whole = PF_NONE;
    pf_status               st = add_known_value(d, unit->out[0], option->out[0], &whole, err);

    for (uint32_t i = 0; i < unit->in_count && !st; i++) {
        uint64_t offset = 0;
        uint32_t part = PF_NONE;

        st = get_value(d, unit->in[i], option->in[i], &part, err);
        if (!st && find_part(d, unit, option->in[i], i, &offset))
            st = pf_layout_pitch(option->in[i]) ? join(d, part, whole, offset, err)
                                                : move_into(d, root_of(d, part), whole, offset, err);
    }
    return st;
}

static pf_status draft_step(pf_draft *d, const pf_format_unit *unit, pf_err *err)
{
    const pf_format_option *option = &unit->options[unit->chosen];
    const pf_problem       *problem = option->problem;
    uint32_t               *in = pf_arena_alloc(d->arena, (unit->in_count + 1) * sizeof *in);
    pf_plan_step           *step = NULL;
    pf_status               st = in ? PF_OK : PF_FAIL_MEMORY(err, unit->in_count * sizeof *in);

    for (uint32_t i = 0; i < unit->in_count && !st; i++)        /* copies become steps before this one */
        st = get_value(d, unit->in[i], problem->in_constant[i] ? PF_LAYOUT_LINEAR : option->in[i], &in[i], err);
    if (!st)
        st = add_step(d, unit->name, problem, option->item, &step, err);
    if (st)
        return st;
    memcpy(step->in, in, unit->in_count * sizeof *in);
    for (uint32_t i = 0; i < unit->out_count && !st; i++)
        st = unit->output == PF_NONE ? add_known_value(d, unit->out[i], option->out[i], &step->out[i], err)
                                     : add_value(d, unit->in[0], PF_LAYOUT_LINEAR, &step->out[i], err);
    return st ? st : add_candidates(d, option->item, step, err);
}

static pf_status draft_unit(pf_draft *d, const pf_format_unit *unit, pf_err *err)
{
    pf_op_kind op = unit->group ? d->formats->graph->nodes[unit->group->nodes[0]].op : PF_OP_IDENTITY;

    if (unit->options[unit->chosen].problem)
        return draft_step(d, unit, err);
    return op == PF_OP_CONCAT ? draft_concat(d, unit, err)
           : op == PF_OP_SLICE ? draft_slice(d, unit, err)
                               : draft_view(d, unit, err);
}

static pf_status draft_units(pf_draft *d, pf_err *err)
{
    const pf_formats *f = d->formats;
    pf_status         st = PF_OK;

    for (uint32_t u = 0; u < f->unit_count && !st; u++)
        st = draft_unit(d, &f->units[u], err);
    return st;
}

/* ---- Inputs and outputs */

static pf_status draft_inputs(pf_draft *d, pf_err *err)
{
    const pf_graph *graph = d->formats->graph;
    struct pf_plan *plan = &d->plan;
    uint32_t        count = graph->input_count + graph->output_count;
    pf_status       st = PF_OK;

    plan->io = pf_arena_alloc(d->arena, (count + 1) * sizeof *plan->io);
    plan->io_value = pf_arena_alloc(d->arena, (count + 1) * sizeof *plan->io_value);
    if (!plan->io || !plan->io_value)
        return PF_FAIL_MEMORY(err, count * sizeof *plan->io);
    for (uint32_t i = 0; i < graph->input_count && !st; i++) {
        st = add_known_value(d, graph->inputs[i], PF_LAYOUT_LINEAR, &plan->io_value[i], err);
        if (st)
            break;
        plan->values[plan->io_value[i]].home = d->formats->tail->late_value[graph->inputs[i]] ? PF_HOME_TAIL
                                                                                              : PF_HOME_IO;
        plan->values[plan->io_value[i]].index = i;
        plan->io[i] = (pf_io){ .name = graph->values[graph->inputs[i]].name, .is_input = true };
    }
    plan->io_count = graph->input_count;
    return st;
}

/* The copy of an output was made by a step of its own, whose output has no other name. */
static uint32_t copied_value(const pf_draft *d, uint32_t leaving)
{
    const pf_formats *f = d->formats;

    for (uint32_t u = 0; u < f->unit_count; u++) {
        if (f->units[u].output != leaving)
            continue;
        for (uint32_t s = 0; s < d->plan.step_count; s++)
            if (d->plan.steps[s].problem == f->units[u].options[0].problem)
                return d->plan.steps[s].out[0];
    }
    return PF_NONE;
}

static uint32_t find_leaving(const pf_tail *tail, uint32_t output)
{
    for (uint32_t i = 0; i < tail->leaving_count; i++)
        if (tail->leaving[i].output == output)
            return i;
    return PF_NONE;
}

static pf_status draft_output(pf_draft *d, uint32_t o, pf_err *err)
{
    const pf_graph *graph = d->formats->graph;
    struct pf_plan *plan = &d->plan;
    uint32_t        io = plan->io_count++, leaving = find_leaving(d->formats->tail, o), value = PF_NONE;
    pf_status       st = PF_OK;

    plan->io[io] = (pf_io){ .name = graph->output_names[o] };
    if (leaving == PF_NONE) {
        st = add_value(d, graph->outputs[o], PF_LAYOUT_LINEAR, &value, err);
        if (!st) {
            plan->values[value].home = PF_HOME_TAIL;
            plan->values[value].index = io;
        }
    } else {
        value = copied_value(d, leaving);
        if (value == PF_NONE)
            st = get_value(d, graph->outputs[o], PF_LAYOUT_LINEAR, &value, err);
        if (!st)
            move_to_io(d, root_of(d, value), io);
    }
    plan->io_value[io] = value;
    return st;
}

static pf_status draft_outputs(pf_draft *d, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t o = 0; o < d->formats->graph->output_count && !st; o++)
        st = draft_output(d, o, err);
    return st;
}

static pf_status write_tail_text(pf_draft *d, const pf_graph *graph, pf_err *err)
{
    pf_buf    text = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&text, TAIL_TEXT_LIMIT);
    st = pf_graph_print(graph, true, &text, err);
    if (!st)
        d->plan.tail.text = text.failed ? NULL : pf_arena_strdup(d->arena, (const char *)text.data);
    if (!st && !d->plan.tail.text)
        st = PF_FAIL(err, PF_NO_SPACE, "the part of the network that the host runs has a text of more than %d bytes",
                     TAIL_TEXT_LIMIT);
    pf_buf_clear(&text);
    return st;
}

/* The tail's inputs are the network's, then what crosses; its outputs the network's. */
static pf_status draft_tail(pf_draft *d, pf_err *err)
{
    const pf_tail  *tail = d->formats->tail;
    const pf_graph *graph = d->formats->graph;
    pf_plan_tail   *out = &d->plan.tail;
    pf_status       st = PF_OK;

    out->text = "";
    if (!tail->graph)
        return PF_OK;
    out->graph = tail->graph;       /* borrowed, as problems are */
    out->in_count = tail->graph->input_count;
    out->out_count = tail->graph->output_count;
    out->in = pf_arena_alloc(d->arena, (out->in_count + 1) * sizeof *out->in);
    out->out = pf_arena_alloc(d->arena, (out->out_count + 1) * sizeof *out->out);
    if (!out->in || !out->out)
        return PF_FAIL_MEMORY(err, (out->in_count + out->out_count) * sizeof *out->in);
    for (uint32_t i = 0; i < graph->input_count; i++)
        out->in[i] = d->plan.io_value[i];
    for (uint32_t i = 0; i < tail->crossing_count && !st; i++)
        st = get_value(d, tail->crossing[i], PF_LAYOUT_LINEAR, &out->in[graph->input_count + i], err);
    for (uint32_t o = 0; o < graph->output_count; o++)
        out->out[o] = tail->late_value[graph->outputs[o]] ? graph->input_count + o : PF_NONE;
    return st ? st : write_tail_text(d, tail->graph, err);
}

static pf_status draft_symbols(pf_draft *d, const pf_profile *profile, pf_err *err)
{
    struct pf_plan *plan = &d->plan;

    plan->dims = d->formats->graph->dims;
    plan->symbols = pf_arena_alloc(d->arena, (profile->count + 1) * sizeof *plan->symbols);
    if (!plan->symbols)
        return PF_FAIL_MEMORY(err, profile->count * sizeof *plan->symbols);
    for (uint32_t s = 0; s < profile->count; s++)
        if (profile->least[s] != PF_UNBOUND || d->formats->tail->graph)
            plan->symbols[plan->symbol_count++] = (pf_plan_symbol){
                pf_dims_symbol_name(plan->dims, s), profile->least[s], profile->usual[s], profile->most[s],
            };
    return PF_OK;
}

/* ---- The whole */

pf_status pf_builder_draft(const pf_formats *formats, const pf_profile *profile, pf_draft *out, pf_err *err)
{
    uint32_t  values = formats->graph->value_count + 1;
    pf_status st = PF_OK;

    *out = (pf_draft){ .formats = formats };
    out->arena = pf_arena_new();
    out->blob_of = pf_map_new();
    out->value_of = pf_alloc(values * sizeof *out->value_of);
    if (!out->arena || !out->blob_of || !out->value_of)
        st = PF_FAIL_MEMORY(err, values * sizeof *out->value_of);
    else
        memset(out->value_of, 0xff, values * sizeof *out->value_of);
    if (!st)
        st = draft_symbols(out, profile, err);
    if (!st)
        st = draft_inputs(out, err);
    if (!st)
        st = draft_units(out, err);
    if (!st)
        st = draft_outputs(out, err);
    if (!st)
        st = draft_tail(out, err);
    if (st)
        pf_builder_draft_clear(out);
    return st;
}

void pf_builder_draft_clear(pf_draft *draft)
{
    if (!draft)
        return;
    pf_free(draft->plan.values);
    pf_free(draft->plan.steps);
    pf_free(draft->plan.blobs);
    pf_free(draft->value_of);
    pf_free(draft->graph_value);
    pf_free(draft->step_item);
    pf_free(draft->blob_before);
    pf_map_free(draft->blob_of);
    pf_arena_free(draft->arena);
    *draft = (pf_draft){ 0 };
}
