#include "engine/builder_tail.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/op.h"

typedef struct cutting {
    const pf_graph        *graph;
    const pf_device       *device;
    const pf_profile      *profile;
    const pf_region_rules *rules;
    const pf_regions      *regions;
    pf_tail               *tail;
    bool                  *crosses;     /* by value */
    bool                   any_late;
} cutting;

/* ---- What is late */

static bool on_host_only(const pf_value *value)
{
    return value->kind != PF_VALUE_TENSOR || value->dtype == PF_STRING || value->shape.rank < 0;
}

static bool has_unbound_symbol(const cutting *c, const pf_problem *problem)
{
    const pf_dims *dims = problem->graph->dims;

    for (uint32_t i = 0; i < pf_dims_symbol_count(dims); i++) {
        uint32_t at = pf_dims_symbol_index(c->graph->dims, pf_dims_symbol_name(dims, i));

        if (at == UINT32_MAX || at >= c->profile->count || c->profile->usual[at] == PF_UNBOUND)
            return true;
    }
    return false;
}

/* Not even a reference runs there: the host has to. */
static bool no_tactic_takes(const cutting *c, const pf_problem *problem)
{
    const pf_tactic *tactic = NULL;

    if (pf_region_taker(c->device, problem, c->rules))
        return false;
    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL; i++)
        if ((tactic->flags & PF_TACTIC_ORACLE) && !pf_tactic_declines(tactic, c->device, problem))
            return false;
    return true;
}

static bool node_is_late(const cutting *c, const pf_node *node)
{
    if (pf_op_def_of(node->op)->flags & PF_OPF_RANDOM)      /* nothing to compare a candidate with */
        return true;
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != PF_NONE && c->tail->late_value[node->in[i]])
            return true;
    for (uint32_t i = 0; i < node->out_count; i++)
        if (on_host_only(&c->graph->values[node->out[i]]))
            return true;
    return false;
}

static bool region_is_late(const cutting *c, const pf_region *region)
{
    for (uint32_t g = 0; g < region->forms[0].count; g++) {
        const pf_group *group = &region->forms[0].groups[g];

        if (region->kind == PF_REGION_HOST || !group->problem || has_unbound_symbol(c, group->problem))
            return true;
        if (region->kind == PF_REGION_STEP && no_tactic_takes(c, group->problem)) {
            pf_log(PF_LOG_WARN, "builder",
                   "host layer=\"%s\" device=%s: no tactic takes it there, so it and what depends on it run on the "
                   "host",
                   c->graph->nodes[group->nodes[0]].name, c->device->name);
            return true;
        }
        for (uint32_t i = 0; i < group->count; i++)
            if (node_is_late(c, &c->graph->nodes[group->nodes[i]]))
                return true;
    }
    return false;
}

static void mark_outputs_late(const cutting *c, const pf_region *region)
{
    for (uint32_t g = 0; g < region->forms[0].count; g++)
        for (uint32_t i = 0; i < region->forms[0].groups[g].count; i++) {
            const pf_node *node = &c->graph->nodes[region->forms[0].groups[g].nodes[i]];

            for (uint32_t k = 0; k < node->out_count; k++)
                c->tail->late_value[node->out[k]] = true;
        }
}

static void find_late(cutting *c)
{
    for (uint32_t i = 0; i < c->graph->input_count; i++)
        c->tail->late_value[c->graph->inputs[i]] = on_host_only(&c->graph->values[c->graph->inputs[i]]);
    for (uint32_t v = 0; v < c->graph->value_count; v++)
        c->tail->late_value[v] |= c->graph->values[v].is_constant && on_host_only(&c->graph->values[v]);
    for (uint32_t r = 0; r < c->regions->count; r++) {
        c->tail->late[r] = region_is_late(c, &c->regions->items[r]);
        c->any_late |= c->tail->late[r];
        if (c->tail->late[r])
            mark_outputs_late(c, &c->regions->items[r]);
    }
    for (uint32_t o = 0; o < c->graph->output_count; o++)  /* an input that only the host knows may be handed through */
        c->any_late |= c->tail->late_value[c->graph->outputs[o]];
}

/* ---- What crosses from the steps to the tail */

static bool may_cross(const cutting *c, pf_value_id v)
{
    return v != PF_NONE && !c->tail->late_value[v] && !c->graph->values[v].is_constant && !c->graph->values[v].is_input;
}

static void find_crossing(cutting *c)
{
    for (uint32_t r = 0; r < c->regions->count; r++) {
        const pf_region_form *form = &c->regions->items[r].forms[0];

        for (uint32_t g = 0; g < form->count && c->tail->late[r]; g++)
            for (uint32_t i = 0; i < form->groups[g].count; i++) {
                const pf_node *node = &c->graph->nodes[form->groups[g].nodes[i]];

                for (uint32_t k = 0; k < node->in_count; k++)
                    if (may_cross(c, node->in[k]))
                        c->crosses[node->in[k]] = true;
            }
    }
    for (uint32_t o = 0; o < c->graph->output_count && c->any_late; o++)
        if (may_cross(c, c->graph->outputs[o]))
            c->crosses[c->graph->outputs[o]] = true;
}

static void list_leaving(cutting *c)
{
    pf_tail *t = c->tail;

    for (uint32_t o = 0; o < c->graph->output_count; o++)
        if (!t->late_value[c->graph->outputs[o]])
            t->leaving[t->leaving_count++] = (pf_leaving){ c->graph->outputs[o], o };
    for (uint32_t v = 0; v < c->graph->value_count; v++)
        if (c->crosses[v]) {
            t->crossing[t->crossing_count++] = v;
            t->leaving[t->leaving_count++] = (pf_leaving){ v, PF_NONE };
        }
}

/* The whole graph, with inputs in place of what crosses: what made these is dead then. */
static pf_status make_graph(cutting *c, pf_err *err)
{
    pf_tail  *t = c->tail;
    pf_status st = PF_OK;

    t->graph = pf_graph_copy(c->graph, err);
    if (!t->graph)
        return PF_NO_SPACE;
    for (uint32_t i = 0; i < t->crossing_count && !st; i++) {
        const pf_value *value = &c->graph->values[t->crossing[i]];
        pf_value_id     input = PF_NONE;

        st = pf_graph_add_input(t->graph, value->name, value->dtype, &value->shape, &input, err);
        if (!st)
            st = pf_graph_replace(t->graph, t->crossing[i], input, err);
    }
    if (!st) {
        pf_graph_remove_dead(t->graph);
        st = pf_graph_verify(t->graph, err);
    }
    return st;
}

static pf_status allocate(cutting *c, pf_err *err)
{
    uint32_t values = c->graph->value_count + 1;
    pf_tail *t = c->tail;

    t->late = pf_calloc(c->regions->count + 1, sizeof *t->late);
    t->late_value = pf_calloc(values, sizeof *t->late_value);
    t->leaving = pf_calloc((size_t)values + c->graph->output_count, sizeof *t->leaving);
    t->crossing = pf_calloc(values, sizeof *t->crossing);
    c->crosses = pf_calloc(values, sizeof *c->crosses);
    return t->late && t->late_value && t->leaving && t->crossing && c->crosses
               ? PF_OK
               : PF_FAIL_MEMORY(err, values * sizeof *t->leaving);
}

pf_status pf_builder_tail(const pf_graph *graph, const pf_device *device, const pf_profile *profile,
                          const pf_region_rules *rules, const pf_regions *regions, pf_tail *out, pf_err *err)
{
    cutting   c = { .graph = graph, .device = device, .profile = profile, .rules = rules, .regions = regions,
                    .tail = out };
    pf_status st = PF_OK;

    *out = (pf_tail){ 0 };
    st = allocate(&c, err);
    if (!st) {
        find_late(&c);
        find_crossing(&c);
        list_leaving(&c);
    }
    if (!st && c.any_late)
        st = make_graph(&c, err);
    pf_free(c.crosses);
    if (st)
        pf_builder_tail_clear(out);
    return st;
}

void pf_builder_tail_clear(pf_tail *tail)
{
    if (!tail)
        return;
    pf_free(tail->late);
    pf_free(tail->late_value);
    pf_free(tail->leaving);
    pf_free(tail->crossing);
    pf_graph_free(tail->graph);
    *tail = (pf_tail){ 0 };
}
