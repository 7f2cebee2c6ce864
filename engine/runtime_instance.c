/* Steps, sizes and places for one value of each symbol.  A step whose choice does not take these shapes falls back down
   its ranked list, and the log says so. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/runtime_choice.h"
#include "engine/runtime_compile.h"
#include "engine/runtime_resident.h"

typedef struct making {
    pf_resident    *resident;
    const pf_plan  *plan;
    pf_instance    *instance;
    pf_digest      *problem_hash;           /* by step: of its bound problem */
    pf_memory_item *items;  /* values first, in the order in which steps write them, workspaces between them */
    uint32_t       *item_of_value, *item_of_workspace;      /* PF_NONE: takes nothing from the arena */
    uint32_t        item_count;
} making;

/* ---- Sizes */

static pf_status shape_of(const pf_plan *plan, const pf_shape *shape, const int64_t *bindings, int64_t *dim,
                          pf_err *err)
{
    pf_status st = PF_OK;

    for (int32_t d = 0; d < shape->rank && !st; d++)
        st = pf_dim_eval(plan->dims, shape->dim[d], bindings, &dim[d], err);
    return st;
}

static bool lies_inside(const pf_plan *plan, const pf_instance *instance, const pf_plan_value *value, size_t bytes)
{
    const pf_plan_value *root = value->view_of == PF_NONE ? value : &plan->values[value->view_of];
    size_t               whole = root == value ? bytes : instance->value_bytes[value->view_of];

    if (pf_layout_pitch(value->layout) || (pf_shape_is_static(&value->shape) && pf_shape_is_static(&root->shape)))
        return value->view_offset <= whole && bytes <= whole - value->view_offset;
    return value->view_offset == 0 && bytes == whole;
}

/* Where dims may vary this is a reshape to a size that these do not divide into: what is fixed was looked at when the
   plan was opened. */
static pf_status refuse_view(const pf_plan *plan, const pf_instance *instance, const pf_plan_value *value, pf_err *err)
{
    const pf_plan_value *root = value->view_of == PF_NONE ? value : &plan->values[value->view_of];

    return PF_FAIL(err, PF_INVALID,
                   "the shapes set do not go with this network: \"%s\" has %zu bytes and is made of the %zu of \"%s\"; "
                   "set others",
                   value->name, instance->value_bytes[value - plan->values], instance->value_bytes[root - plan->values],
                   root->name);
}

static pf_status measure_values(const pf_plan *plan, pf_instance *instance, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < plan->value_count && !st; i++) {
        const pf_plan_value *value = &plan->values[i];
        int64_t              dim[PF_MAX_RANK] = { 0 };

        if (value->home == PF_HOME_TAIL)        /* its size is known once the tail has run */
            continue;
        st = shape_of(plan, &value->shape, instance->bindings, dim, err);
        if (!st)
            st = pf_layout_bytes(value->layout, value->dtype, value->shape.rank, dim, &instance->value_bytes[i], err);
        if (st)
            return pf_err_add(err, st, "value \"%s\"", value->name);
    }
    for (uint32_t i = 0; i < plan->value_count; i++)
        if (!lies_inside(plan, instance, &plan->values[i], instance->value_bytes[i]))
            return refuse_view(plan, instance, &plan->values[i], err);
    return PF_OK;
}

/* The plan's shapes and the problem's must agree, or a step would write past what was reserved for it. */
static pf_status check_sizes(const pf_plan *plan, const pf_instance *instance, const uint32_t *values,
                             const pf_graph *graph, const pf_value_id *bound, uint32_t count, pf_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const pf_plan_value *value = &plan->values[values[i]];
        int64_t              dim[PF_MAX_RANK] = { 0 };

        if (shape_of(plan, &value->shape, instance->bindings, dim, err) ||
            memcmp(dim, pf_graph_value(graph, bound[i])->shape.dim, (size_t)value->shape.rank * sizeof *dim))
            return PF_FAIL(err, PF_CORRUPT,
                           "the plan is damaged: value \"%s\" has another shape than the step that uses it",
                           value->name);
    }
    return PF_OK;
}

/* ---- Steps */

static pf_status pack(making *m, uint32_t s, const pf_problem *p, const pf_step *prepared, pf_err *err)
{
    const pf_plan_step *step = &m->plan->steps[s];
    uint32_t            count = p->graph->input_count;
    pf_tensor          *constants = pf_calloc(count + 1, sizeof *constants);
    void               *host = pf_alloc_aligned(PF_PLAN_ALIGNMENT, prepared->packed_bytes), *device = NULL;
    pf_device          *dev = m->resident->device;
    pf_stream          *stream = NULL;
    pf_status           st = constants && host ? PF_OK : PF_FAIL_MEMORY(err, prepared->packed_bytes);

    for (uint32_t i = 0; i < count && !st; i++) {
        const pf_plan_value *value = &m->plan->values[step->in[i]];

        constants[i] = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank };
        memcpy(constants[i].dim, value->shape.dim, sizeof constants[i].dim);
        if (!p->in_constant[i])
            continue;
        constants[i].data = (void *)(uintptr_t)(m->plan->data + m->plan->blobs[value->index].offset);
        constants[i].bytes = (size_t)m->plan->blobs[value->index].bytes;
    }
    if (!st)
        st = prepared->tactic->pack(prepared, p, constants, host, err);
    if (!st)
        st = pf_resident_alloc(m->resident, prepared->packed_bytes, &device, err);
    if (!st)
        st = dev->ops->stream_new(dev, &stream, err);
    if (!st)
        st = dev->ops->upload(dev, stream, device, host, prepared->packed_bytes, err);
    if (!st)
        st = dev->ops->stream_sync(dev, stream, err);
    if (stream)
        dev->ops->stream_free(dev, stream);
    m->instance->packed[s] = device;
    m->instance->packed_here[s] = device != NULL;
    pf_free(constants);
    pf_free(host);
    return st;
}

/* Weights that a problem does not take for constants, such as one that is copied to an output. */
static pf_status bring_plain_weights(making *m, uint32_t s, const pf_problem *p, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < p->graph->input_count && !st; i++) {
        const pf_plan_value *value = &m->plan->values[m->plan->steps[s].in[i]];
        void                *unused = NULL;

        if (p->in_constant[i] || value->home != PF_HOME_WEIGHT)
            continue;
        st = value->index == PF_NONE
                 ? PF_FAIL(err, PF_CORRUPT, "the plan is damaged: weight \"%s\" has no bytes", value->name)
                 : pf_resident_blob(m->resident, value->index, &unused, err);
    }
    return st;
}

/* Finds the constants of a prepared step: packed in the plan, packed now, or as they are.  as_stored: it takes them in
   the form that the plan has. */
static pf_status bind_constants(making *m, uint32_t s, bool as_stored, const pf_problem *p, const pf_step *prepared,
                                pf_err *err)
{
    const pf_plan_step *step = &m->plan->steps[s];
    uint64_t            stored = step->packed == PF_NONE ? 0 : m->plan->blobs[step->packed].bytes;
    pf_status           st = bring_plain_weights(m, s, p, err);

    if (st || (!prepared->packed_bytes && !pf_problem_has_constants(p)))
        return st;
    if (as_stored && prepared->packed_bytes && prepared->packed_bytes == stored)
        return pf_resident_blob(m->resident, step->packed, &m->instance->packed[s], err);
    if (!pf_runtime_keeps_constants(m->plan, step))
        return PF_FAIL(err, PF_UNSUPPORTED,
                       "the plan keeps the weights of this layer only as %s packs them for other shapes",
                       step->ranked[0].tactic);
    if (prepared->packed_bytes)
        return pack(m, s, p, prepared, err);
    for (uint32_t i = 0; i < p->graph->input_count && !st; i++) {
        void *unused = NULL;

        if (p->in_constant[i])
            st = pf_resident_blob(m->resident, m->plan->values[step->in[i]].index, &unused, err);
    }
    return st;
}

/* Of saved bytes, too, which only the first candidate has. */
static bool is_same_choice(const making *m, uint32_t e, uint32_t s, uint32_t candidate)
{
    const pf_plan_step      *has = &m->plan->steps[e], *wants = &m->plan->steps[s];
    const pf_plan_candidate *had = &has->ranked[m->instance->ranked[e]], *wanted = &wants->ranked[candidate];

    if (strcmp(had->tactic, wanted->tactic) || strcmp(had->tuning, wanted->tuning))
        return false;
    if (m->instance->ranked[e] || candidate)
        return m->instance->ranked[e] && candidate;
    return has->saved_bytes == wants->saved_bytes &&
           (!has->saved_bytes || !memcmp(has->saved, wants->saved, has->saved_bytes));
}

/* What an earlier layer has that is equal but for its weights.  With code of its own for each of them BERT-base took
   0.7 % longer on an H200, presumably since a card finds in its instruction caches what it runs again. */
static pf_step *find_equal(const making *m, uint32_t s, uint32_t candidate, const pf_problem *p)
{
    for (uint32_t e = 0; e < s; e++)
        if (pf_digest_equal(&m->problem_hash[e], &p->hash) && !m->instance->guessed[e] &&
            !m->instance->steps[e]->alone && is_same_choice(m, e, s, candidate))
            return m->instance->steps[e];
    return NULL;
}

/* guessed: the tuning is not the candidate's. */
static pf_status prepare_new(making *m, uint32_t s, uint32_t candidate, const char *tuning, bool guessed,
                             const pf_problem *p, pf_step **out, pf_err *err)
{
    const pf_plan_step *step = &m->plan->steps[s];
    bool                has_saved = !candidate && !guessed;
    pf_status           st = PF_OK;

    pf_step_tries_tell(&m->resident->tries, s, candidate, guessed);
    st = pf_tactic_find(step->ranked[candidate].tactic)
             ->prepare(m->resident->device, p, tuning, has_saved ? step->saved : NULL,
                       has_saved ? step->saved_bytes : 0, out, err);
    pf_step_tries_tell(&m->resident->tries, PF_NONE, 0, false);
    return st;
}

/* tuning: the candidate's, or another of its tactic's, which shares nothing that the plan stores for the first but, for
   some tactics, how constants are packed. */
static pf_status try_tuning(making *m, uint32_t s, uint32_t candidate, const char *tuning, const pf_problem *p,
                            pf_err *err)
{
    const pf_plan_step *step = &m->plan->steps[s];
    const pf_tactic    *tactic = pf_tactic_find(step->ranked[candidate].tactic);
    bool                guessed = tuning != step->ranked[candidate].tuning;
    bool                as_stored = !candidate && (!guessed || tactic->flags & PF_TACTIC_PACKS_ONE_WAY);
    pf_step            *equal = guessed ? NULL : find_equal(m, s, candidate, p), *prepared = equal;
    pf_status           st = equal ? PF_OK : prepare_new(m, s, candidate, tuning, guessed, p, &prepared, err);

    if (!st)
        st = bind_constants(m, s, as_stored, p, prepared, err);
    if (st) {
        if (!equal)
            pf_step_free(prepared);
        return st;
    }
    m->instance->steps[s] = prepared;
    m->instance->is_shared[s] = equal != NULL;
    m->problem_hash[s] = p->hash;
    m->instance->ranked[s] = candidate;
    m->instance->guessed[s] = guessed;
    m->instance->capturable &= prepared->capturable;
    return PF_OK;
}

/* What its tactic would try first at these sizes. */
static pf_status try_first_guess(making *m, uint32_t s, uint32_t candidate, const pf_problem *p)
{
    const pf_plan_step *step = &m->plan->steps[s];
    const pf_tactic    *tactic = pf_tactic_find(step->ranked[candidate].tactic);
    char               *guess = pf_runtime_may_retune(m->plan, step, candidate)
                                    ? pf_runtime_first_guess(m->resident->device, tactic, p)
                                    : NULL;
    pf_status           st = guess ? try_tuning(m, s, candidate, guess, p, NULL) : PF_UNSUPPORTED;

    pf_free(guess);
    return st;
}

/* Tunings are of the sizes for which they were timed: some are none at others, and far from these a guess comes
   first. */
static pf_status try_candidate(making *m, uint32_t s, uint32_t candidate, const pf_problem *p, pf_err *err)
{
    const pf_plan_step      *step = &m->plan->steps[s];
    const pf_plan_candidate *choice = &step->ranked[candidate];
    const pf_tactic         *tactic = pf_tactic_find(choice->tactic);
    const char              *reason = NULL;
    pf_status                st = PF_OK;

    if (!tactic || tactic->rev != choice->rev)
        return PF_FAIL(err, PF_STALE, "this version has no revision %u of tactic %s", choice->rev, choice->tactic);
    reason = pf_tactic_declines(tactic, m->resident->device, p);
    if (reason)
        return PF_FAIL(err, PF_UNSUPPORTED, "%s declines: %s", choice->tactic, reason);
    if (pf_runtime_is_far(m->plan, step, m->instance->bindings, p))
        return try_first_guess(m, s, candidate, p) ? try_tuning(m, s, candidate, choice->tuning, p, err) : PF_OK;
    st = try_tuning(m, s, candidate, choice->tuning, p, err);
    return st && (pf_problem_is_bound(step->problem) || try_first_guess(m, s, candidate, p)) ? st : PF_OK;
}

static pf_status prepare_step(making *m, uint32_t s, pf_err *err)
{
    const pf_plan_step *step = &m->plan->steps[s];
    pf_problem         *p = NULL;
    pf_err              reason = { 0 };
    pf_status           st = pf_problem_bind(step->problem, m->plan->dims, m->instance->bindings, &p, err);

    if (!st)
        st = check_sizes(m->plan, m->instance, step->in, p->graph, p->graph->inputs, p->graph->input_count, err);
    if (!st)
        st = check_sizes(m->plan, m->instance, step->out, p->graph, p->graph->outputs, p->graph->output_count, err);
    if (st)
        goto out;
    for (uint32_t i = 0; i < step->ranked_count; i++) {
        pf_err_clear(&reason);
        st = try_candidate(m, s, i, p, &reason);
        if (!st)
            break;
        pf_err_note(err, st, step->name, "%s was refused, and the next choice is tried: %s", step->ranked[i].tactic,
                    reason.msg);
        pf_log(PF_LOG_WARN, "runtime", "fallback layer=\"%s\" tactic=%s reason=\"%s\"", step->name,
               step->ranked[i].tactic, reason.msg);
    }
    if (st)
        st = PF_FAIL(err, st, "no tactic of the plan computes it at these shapes: %s", reason.msg);
out:
    pf_problem_free(p);
    if (!st)
        return PF_OK;
    m->resident->failed_step = s;
    pf_err_at(err, step->name);
    return pf_err_add(err, st, "layer \"%s\"", step->name);
}

/* Weights that the tail reads. */
static pf_status bring_tail_weights(making *m, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < m->plan->tail.in_count && !st; i++) {
        const pf_plan_value *value = &m->plan->values[m->plan->tail.in[i]];
        void                *unused = NULL;

        if (value->home == PF_HOME_WEIGHT)
            st = pf_resident_blob(m->resident, value->index, &unused, err);
    }
    return st;
}

/* ---- Memory */

/* Items are made in the order of steps, so that an item may only take an earlier one.  The first part that is written
   makes the item of its whole. */
static void add_items_of_step(making *m, uint32_t s)
{
    const pf_plan_step *step = &m->plan->steps[s];
    const pf_step      *prepared = m->instance->steps[s];
    const pf_graph     *graph = step->problem->graph;

    for (uint32_t i = 0; i < graph->output_count; i++) {
        uint32_t v = pf_plan_root(m->plan, step->out[i]);

        if (m->plan->values[v].home != PF_HOME_ARENA)
            continue;
        if (m->item_of_value[v] != PF_NONE) {
            m->items[m->item_of_value[v]].last = s;
            continue;
        }
        m->item_of_value[v] = m->item_count;
        m->items[m->item_count++] = (pf_memory_item){ m->instance->value_bytes[v], s, s, PF_NONE, PF_NONE, 0 };
    }
    if (prepared->workspace_bytes) {
        m->item_of_workspace[s] = m->item_count;
        m->items[m->item_count++] = (pf_memory_item){ prepared->workspace_bytes, s, s, PF_NONE, PF_NONE, 0 };
    }
}

static void extend_lifetimes(making *m, uint32_t s)
{
    const pf_plan_step *step = &m->plan->steps[s];

    for (uint32_t i = 0; i < step->problem->graph->input_count; i++) {
        uint32_t item = m->item_of_value[pf_plan_root(m->plan, step->in[i])];

        if (item != PF_NONE)
            m->items[item].last = s;
    }
}

static bool is_whole_value(const making *m, uint32_t value)
{
    return m->instance->value_bytes[value] == m->instance->value_bytes[pf_plan_root(m->plan, value)];
}

/* Output 0 may lie on an input that the step reads once, under one name, when neither is a part of something else. */
static void allow_in_place(making *m, uint32_t s)
{
    const pf_plan_step *step = &m->plan->steps[s];
    int32_t             slot = m->instance->steps[s]->in_place;
    uint32_t            count = step->problem->graph->input_count, taken = 0, out = m->item_of_value[step->out[0]];

    if (slot < 0 || (uint32_t)slot >= count || out == PF_NONE || !is_whole_value(m, step->in[slot]))
        return;
    for (uint32_t i = 0; i < count; i++)
        taken += pf_plan_root(m->plan, step->in[i]) == pf_plan_root(m->plan, step->in[slot]);
    if (taken == 1)
        m->items[out].may_take = m->item_of_value[pf_plan_root(m->plan, step->in[slot])];
}

static void place(making *m)
{
    pf_instance *instance = m->instance;

    for (uint32_t v = 0; v < m->plan->value_count; v++)
        if (m->item_of_value[v] != PF_NONE)
            instance->value_offset[v] = m->items[m->item_of_value[v]].offset;
    for (uint32_t s = 0; s < m->plan->step_count; s++)
        if (m->item_of_workspace[s] != PF_NONE)
            instance->workspace_offset[s] = m->items[m->item_of_workspace[s]].offset;
}

static pf_status plan_memory(making *m, pf_err *err)
{
    uint32_t  values = m->plan->value_count, steps = m->plan->step_count;
    pf_status st = PF_OK;

    m->items = pf_calloc(values + steps + 1, sizeof *m->items);
    m->item_of_value = pf_alloc((values + 1) * sizeof *m->item_of_value);
    m->item_of_workspace = pf_alloc((steps + 1) * sizeof *m->item_of_workspace);
    if (!m->items || !m->item_of_value || !m->item_of_workspace)
        return PF_FAIL_MEMORY(err, (values + steps) * sizeof *m->items);
    memset(m->item_of_value, 0xff, values * sizeof *m->item_of_value);
    memset(m->item_of_workspace, 0xff, steps * sizeof *m->item_of_workspace);
    for (uint32_t s = 0; s < steps; s++) {
        add_items_of_step(m, s);
        extend_lifetimes(m, s);
        if (!m->resident->apart)
            allow_in_place(m, s);
    }
    for (uint32_t i = 0; i < m->plan->tail.in_count; i++) {     /* what the tail reads lives until the steps are done */
        uint32_t item = m->item_of_value[pf_plan_root(m->plan, m->plan->tail.in[i])];

        if (item != PF_NONE)
            m->items[item].last = steps;
    }
    st = pf_memory_plan_make(m->items, m->item_count, &m->instance->memory, err);
    if (!st)
        place(m);
    return st;
}

/* ---- Instances */

void pf_instance_free(pf_resident *resident, pf_instance *instance)
{
    if (!instance)
        return;
    for (uint32_t s = 0; s < resident->plan->step_count; s++) {
        if (instance->steps && instance->is_shared && !instance->is_shared[s])
            pf_step_free(instance->steps[s]);
        if (instance->packed_here && instance->packed_here[s])
            pf_resident_free(resident, instance->packed[s]);
    }
    pf_free(instance->bindings);
    pf_free(instance->steps);
    pf_free(instance->is_shared);
    pf_free(instance->ranked);
    pf_free(instance->guessed);
    pf_free(instance->packed);
    pf_free(instance->packed_here);
    pf_free(instance->value_bytes);
    pf_free(instance->value_offset);
    pf_free(instance->workspace_offset);
    pf_free(instance);
}

static pf_instance *instance_new(const pf_plan *plan, const int64_t *bindings)
{
    pf_instance *instance = pf_calloc(1, sizeof *instance);
    uint32_t     steps = plan->step_count + 1, values = plan->value_count + 1;

    if (!instance)
        return NULL;
    instance->capturable = true;
    instance->bindings = pf_calloc(plan->symbol_count + 1, sizeof *instance->bindings);
    instance->steps = pf_calloc(steps, sizeof(pf_step *));
    instance->is_shared = pf_calloc(steps, sizeof *instance->is_shared);
    instance->ranked = pf_calloc(steps, sizeof *instance->ranked);
    instance->guessed = pf_calloc(steps, sizeof *instance->guessed);
    instance->packed = pf_calloc(steps, sizeof(void *));
    instance->packed_here = pf_calloc(steps, sizeof *instance->packed_here);
    instance->value_bytes = pf_calloc(values, sizeof *instance->value_bytes);
    instance->value_offset = pf_calloc(values, sizeof *instance->value_offset);
    instance->workspace_offset = pf_calloc(steps, sizeof *instance->workspace_offset);
    if (instance->bindings)
        memcpy(instance->bindings, bindings, plan->symbol_count * sizeof *bindings);
    return instance;
}

static bool is_whole(const pf_instance *instance)
{
    return instance && instance->bindings && instance->steps && instance->is_shared && instance->ranked &&
           instance->guessed && instance->packed && instance->packed_here && instance->value_bytes &&
           instance->value_offset && instance->workspace_offset;
}

pf_status pf_instance_make(pf_resident *resident, const int64_t *bindings, pf_instance **out, pf_err *err)
{
    making    m = { .resident = resident, .plan = resident->plan };
    pf_status st = PF_OK;

    *out = NULL;
    m.instance = instance_new(resident->plan, bindings);
    m.problem_hash = pf_calloc(m.plan->step_count + 1, sizeof *m.problem_hash);
    if (!is_whole(m.instance) || !m.problem_hash)
        st = PF_FAIL_MEMORY(err, sizeof *m.instance);
    if (!st)
        st = measure_values(m.plan, m.instance, err);
    if (!st)
        pf_resident_bring_weights(resident);
    if (!st)
        (void)pf_runtime_compile(m.plan, resident->device, bindings);
    for (uint32_t s = 0; s < m.plan->step_count && !st; s++)
        st = prepare_step(&m, s, err);
    if (!st)
        st = bring_tail_weights(&m, err);
    if (!st)
        st = plan_memory(&m, err);
    pf_free(m.problem_hash);
    pf_free(m.items);
    pf_free(m.item_of_value);
    pf_free(m.item_of_workspace);
    if (st) {
        pf_instance_free(resident, m.instance);
        return st;
    }
    *out = m.instance;
    return PF_OK;
}
