#include "engine/refine_variant.h"

#include "base/alloc.h"

static void give_back(const pf_refine_net *n, void *memory)
{
    if (memory && !pf_timing_arena_holds(n->arena, memory))
        pf_device_give_back(n->device, NULL, memory);
}

/* The constants are those that the plan does not have. */
static void drop_inputs(const pf_refine_net *n, uint32_t s, void **in)
{
    const pf_bindings *b = &n->context->step_bindings[s];

    for (uint32_t i = 0; in && i < pf_refine_problem(n->draft, s)->graph->input_count; i++)
        if (!b->in[i])
            give_back(n, in[i]);
    pf_free(in);
}

void pf_refine_variant_drop(const pf_refine_net *n, pf_refine_variant *v)
{
    pf_step_free(v->step);
    give_back(n, v->workspace);
    for (uint32_t s = 0; v->constants && s < n->step_count; s++) {
        give_back(n, v->constants[s].packed);
        drop_inputs(n, s, v->constants[s].in);
    }
    pf_free(v->constants);
    *v = (pf_refine_variant){ 0 };
}

static bool fits_bindings(const pf_refine_net *n, uint32_t s, const pf_step *step)
{
    const pf_bindings *b = &n->context->step_bindings[s];
    const pf_problem  *problem = pf_refine_problem(n->draft, s);

    for (uint32_t i = 0; i < problem->graph->input_count; i++)
        if (!b->in[i] && !problem->in_constant[i])
            return false;
    return pf_refine_fits_memory(b, problem, step);
}

static bool fits(const pf_refine_net *n, uint32_t g, const pf_step *step)
{
    for (uint32_t s = 0; s < n->step_count; s++)
        if (n->group_of[s] == g && !fits_bindings(n, s, step))
            return false;
    return step->capturable || !n->device->ops->capture_begin;
}

static pf_status take(const pf_refine_net *n, const pf_refine_variant *v, size_t bytes, void **out, pf_err *err)
{
    *out = v->stays ? NULL : pf_timing_arena_reserve(n->arena, bytes);
    return *out ? PF_OK : pf_device_take(n->device, NULL, bytes, out, err);
}

static pf_status bring(const pf_refine_net *n, const pf_refine_variant *v, const void *data, size_t bytes, void **out,
                       pf_err *err)
{
    pf_status st = take(n, v, bytes, out, err);

    if (!st)
        st = n->device->ops->upload(n->device, n->context->stream, *out, data, bytes, err);
    return st ? st : n->device->ops->stream_sync(n->device, n->context->stream, err);
}

static pf_status pack_step(const pf_refine_net *n, uint32_t s, pf_refine_variant *v, void **out, pf_err *err)
{
    void     *host = NULL;
    pf_status st = pf_refine_pack(n->draft, s, v->step, &host, err);

    if (!st)
        st = bring(n, v, host, v->step->packed_bytes, out, err);
    pf_free(host);
    return st;
}

static pf_status bring_constant(const pf_refine_net *n, uint32_t s, uint32_t input, pf_refine_variant *v, void **out,
                                pf_err *err)
{
    const pf_constant *constant = pf_builder_constant(n->draft, &n->draft->plan.steps[s], input);
    const void        *data = NULL;
    pf_status          st = pf_constant_bytes(constant, &data, err);

    if (!st)
        st = bring(n, v, data, constant->bytes, out, err);
    pf_constant_forget(constant);
    return st;
}

/* What the plan's candidate has packed, and this one wants as it is. */
static pf_status bring_constants(const pf_refine_net *n, uint32_t s, pf_refine_variant *v, void ***out, pf_err *err)
{
    const pf_problem *problem = pf_refine_problem(n->draft, s);
    uint32_t          count = problem->graph->input_count;
    void            **in = pf_calloc(count + 1, sizeof *in);
    pf_status         st = in ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *in);

    *out = in;
    for (uint32_t i = 0; i < count && !st; i++) {
        in[i] = n->context->step_bindings[s].in[i];
        if (problem->in_constant[i] && !in[i] && pf_builder_constant(n->draft, &n->draft->plan.steps[s], i)->bytes)
            st = bring_constant(n, s, i, v, &in[i], err);
    }
    return st;
}

/* Of all steps of the group. */
static pf_status make_constants(const pf_refine_net *n, uint32_t g, pf_refine_variant *v, pf_err *err)
{
    pf_status st = PF_OK;

    v->constants = pf_calloc(n->step_count, sizeof *v->constants);
    if (!v->constants)
        return PF_FAIL_MEMORY(err, n->step_count * sizeof *v->constants);
    for (uint32_t s = 0; s < n->step_count && !st; s++) {
        if (n->group_of[s] != g)
            continue;
        st = v->step->packed_bytes ? pack_step(n, s, v, &v->constants[s].packed, err)
                                   : bring_constants(n, s, v, &v->constants[s].in, err);
    }
    return st;
}

pf_status pf_refine_variant_make(const pf_refine_net *n, uint32_t group, uint32_t first, uint32_t rank, bool stays,
                                 pf_refine_variant *out, pf_err *err)
{
    const pf_problem      *problem = pf_refine_problem(n->draft, first);
    const pf_timing_entry *entry = pf_refine_choice(n->draft, first)->ranked[rank];
    const pf_tactic       *tactic = pf_tactic_find(entry->tactic);
    pf_err                 ignored = { 0 };
    pf_status              st = PF_OK;

    *out = (pf_refine_variant){ .rank = rank, .stays = stays };
    if (!tactic || tactic->prepare(n->device, problem, entry->tuning, NULL, 0, &out->step, &ignored))
        return PF_OK;
    if (!fits(n, group, out->step)) {
        pf_refine_variant_drop(n, out);
        return PF_OK;
    }
    if (out->step->workspace_bytes)
        st = take(n, out, out->step->workspace_bytes, &out->workspace, err);
    if (!st && (out->step->packed_bytes || pf_problem_has_constants(problem)))
        st = make_constants(n, group, out, err);
    return st;
}
