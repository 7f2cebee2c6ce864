#include "engine/refine_private.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/refine_compare.h"

enum { TRIALS_PER_PROBLEM = 6, TRIALS_PER_TACTIC = 3 };

#define SLOWEST_OF_ANOTHER 1.4          /* times of candidates alone, against the chosen one's: of other tactics, */
#define SLOWEST_OF_THE_SAME 1.1         /* and of the chosen one's own */

/* Rounds for each trial, and the time that all trials together may take. */
static const struct { int rounds; int64_t budget_ns; } efforts[] = {
    { 0, 0 }, { 0, 0 }, { 15, 4 * PF_NS_PER_S }, { 25, 20 * PF_NS_PER_S }, { 41, 60 * PF_NS_PER_S },
    { 61, 300 * PF_NS_PER_S },
};

typedef struct variant {                /* another candidate for all steps of a problem; step NULL: the plan's own */
    pf_step *step;                      /* owned */
    void    *workspace;                 /* owned; device memory */
    void   **packed;  /* owned; device memory by step: its constants as the candidate wants them; NULL: as they are */
    uint32_t rank;
} variant;

typedef struct group {                  /* steps of one problem */
    uint32_t first, count;              /* its first step */
    int64_t  alone_ns;                  /* of all of them */
    variant  kept;
} group;

typedef struct whole {
    const pf_draft  *draft;
    pf_context      *context;
    pf_device       *device;
    uint32_t         step_count, group_count;
    uint32_t        *group_of;          /* owned; by step */
    group           *groups;            /* owned; costliest first once sorted */
    uint32_t        *order;             /* owned; of groups */
    pf_event        *start, *end;
    pf_device_graph *base;              /* of what is kept; NULL: the device cannot capture */
} whole;

/* ---- Which steps go together */

static bool same_problem(const whole *w, uint32_t a, uint32_t b)
{
    const pf_plan_step *steps = w->draft->plan.steps;

    return !memcmp(steps[a].problem->hash.byte, steps[b].problem->hash.byte, sizeof(pf_digest));
}

static void group_steps(whole *w)
{
    for (uint32_t s = 0; s < w->step_count; s++) {
        const pf_choice *choice = pf_refine_choice(w->draft, s);
        uint32_t         g = 0;

        while (g < w->group_count && !same_problem(w, w->groups[g].first, s))
            g++;
        if (g == w->group_count)
            w->groups[w->group_count++] = (group){ .first = s };
        w->groups[g].count++;
        w->groups[g].alone_ns += choice->count ? pf_choose_time(choice->ranked[0]) : 0;
        w->group_of[s] = g;
    }
}

/* By the time that is in them: insertion, as there are few. */
static void order_groups(whole *w)
{
    for (uint32_t i = 0; i < w->group_count; i++) {
        uint32_t at = i;

        for (; at > 0 && w->groups[w->order[at - 1]].alone_ns < w->groups[i].alone_ns; at--)
            w->order[at] = w->order[at - 1];
        w->order[at] = i;
    }
}

/* ---- Variants */

static void drop_variant(const whole *w, variant *v)
{
    pf_step_free(v->step);
    if (v->workspace)
        pf_device_give_back(w->device, NULL, v->workspace);
    for (uint32_t s = 0; v->packed && s < w->step_count; s++)
        if (v->packed[s])
            pf_device_give_back(w->device, NULL, v->packed[s]);
    pf_free(v->packed);
    *v = (variant){ 0 };
}

/* The plan's memory was laid out for its own candidate: where an output overwrites an input, another must do so too. */
static bool fits_bindings(const whole *w, uint32_t s, const pf_step *step)
{
    const pf_bindings *b = &w->context->step_bindings[s];
    const pf_problem  *problem = w->draft->plan.steps[s].problem;

    for (uint32_t i = 0; i < problem->graph->input_count; i++) {
        bool overwritten = b->in[i] && problem->graph->output_count && b->in[i] == b->out[0];
        bool missing = !b->in[i] && !(problem->in_constant[i] && step->packed_bytes);

        if (missing || (overwritten && step->in_place != (int32_t)i))
            return false;
    }
    return true;
}

static bool fits(const whole *w, uint32_t g, const pf_step *step)
{
    for (uint32_t s = 0; s < w->step_count; s++)
        if (w->group_of[s] == g && !fits_bindings(w, s, step))
            return false;
    return step->capturable || !w->device->ops->capture_begin;
}

static pf_status pack_step(const whole *w, uint32_t s, const pf_step *step, void **out, pf_err *err)
{
    const pf_device_ops *ops = w->device->ops;
    void                *host = NULL;
    pf_status            st = pf_refine_pack(w->draft, s, step, &host, err);

    if (!st)
        st = pf_device_take(w->device, NULL, step->packed_bytes, out, err);
    if (!st)
        st = ops->upload(w->device, w->context->stream, *out, host, step->packed_bytes, err);
    if (!st)
        st = ops->stream_sync(w->device, w->context->stream, err);
    pf_free(host);
    return st;
}

static pf_status pack_all(const whole *w, uint32_t g, variant *v, pf_err *err)
{
    pf_status st = PF_OK;

    if (!v->step->packed_bytes)
        return PF_OK;
    v->packed = pf_calloc(w->step_count, sizeof *v->packed);
    if (!v->packed)
        return PF_FAIL_MEMORY(err, w->step_count * sizeof *v->packed);
    for (uint32_t s = 0; s < w->step_count && !st; s++)
        if (w->group_of[s] == g)
            st = pack_step(w, s, v->step, &v->packed[s], err);
    return st;
}

/* A candidate that cannot take the place is none: then the variant stays empty. */
static pf_status make_variant(const whole *w, uint32_t g, uint32_t rank, variant *out, pf_err *err)
{
    const pf_problem      *problem = w->draft->plan.steps[w->groups[g].first].problem;
    const pf_timing_entry *entry = pf_refine_choice(w->draft, w->groups[g].first)->ranked[rank];
    const pf_tactic       *tactic = pf_tactic_find(entry->tactic);
    pf_err                 ignored = { 0 };
    pf_status              st = PF_OK;

    *out = (variant){ .rank = rank };
    if (!tactic || tactic->prepare(w->device, problem, entry->tuning, NULL, 0, &out->step, &ignored))
        return PF_OK;
    if (!fits(w, g, out->step)) {
        drop_variant(w, out);
        return PF_OK;
    }
    if (out->step->workspace_bytes)
        st = pf_device_take(w->device, NULL, out->step->workspace_bytes, &out->workspace, err);
    return st ? st : pack_all(w, g, out, err);
}

static bool is_worth_trying(const pf_timing_entry *entry, const pf_timing_entry *first)
{
    double slowest = strcmp(entry->tactic, first->tactic) ? SLOWEST_OF_ANOTHER : SLOWEST_OF_THE_SAME;

    return (double)pf_choose_time(entry) <= slowest * (double)pf_choose_time(first);
}

static uint32_t count_of_tactic(const pf_choice *choice, const uint32_t *ranks, uint32_t count, const char *tactic)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++)
        found += !strcmp(choice->ranked[ranks[i]]->tactic, tactic);
    return found;
}

/* The best few of each tactic. */
static uint32_t ranks_to_try(const whole *w, uint32_t g, uint32_t ranks[TRIALS_PER_PROBLEM])
{
    const pf_choice *choice = pf_refine_choice(w->draft, w->groups[g].first);
    uint32_t         count = 0;

    if (!pf_problem_is_bound(w->draft->plan.steps[w->groups[g].first].problem))
        return 0;
    for (uint32_t r = 1; r < choice->count && count < TRIALS_PER_PROBLEM; r++)
        if (is_worth_trying(choice->ranked[r], choice->ranked[0]) &&
            count_of_tactic(choice, ranks, count, choice->ranked[r]->tactic) < TRIALS_PER_TACTIC)
            ranks[count++] = r;
    return count;
}

/* ---- Runs */

/* trial NULL: as kept. */
static pf_status enqueue(const whole *w, uint32_t g, const variant *trial, pf_err *err)
{
    pf_stream *stream = w->context->stream;
    pf_status  st = PF_OK;

    for (uint32_t s = 0; s < w->step_count && !st; s++) {
        const variant *v = trial && w->group_of[s] == g ? trial : &w->groups[w->group_of[s]].kept;
        pf_bindings    bindings = w->context->step_bindings[s];

        if (!v->step) {
            st = pf_context_enqueue_step(w->context, s, stream, err);
            continue;
        }
        bindings.workspace = v->workspace;
        bindings.packed = v->packed ? v->packed[s] : NULL;
        st = v->step->tactic->enqueue(v->step, &bindings, stream, err);
    }
    return st;
}

/* One run outside first: it loads the code of every kernel, which a capture must not. */
static pf_status capture(const whole *w, uint32_t g, const variant *trial, pf_device_graph **out, pf_err *err)
{
    const pf_device_ops *ops = w->device->ops;
    pf_err               ignored = { 0 };
    pf_status            st = enqueue(w, g, trial, err);

    *out = NULL;
    if (!st)
        st = ops->stream_sync(w->device, w->context->stream, err);
    if (st || !ops->capture_begin)
        return st;
    st = ops->capture_begin(w->device, w->context->stream, err);
    if (st)
        return st;
    st = enqueue(w, g, trial, err);
    if (!st)
        return ops->capture_end(w->device, w->context->stream, out, err);
    if (!ops->capture_end(w->device, w->context->stream, out, &ignored))
        ops->graph_free(w->device, *out);
    *out = NULL;
    return st;
}

static pf_status run_timed(const whole *w, uint32_t g, const variant *trial, pf_device_graph *graph, int64_t *ns,
                           pf_err *err)
{
    const pf_device_ops *ops = w->device->ops;
    pf_stream           *stream = w->context->stream;
    pf_status            st = ops->event_record(w->device, w->start, stream, err);

    if (!st)
        st = graph ? ops->graph_launch(w->device, graph, stream, err) : enqueue(w, g, trial, err);
    if (!st)
        st = ops->event_record(w->device, w->end, stream, err);
    return st ? st : ops->event_elapsed(w->device, w->start, w->end, ns, err);
}

typedef struct duel { const whole *whole; uint32_t group; const variant *trial; pf_device_graph *graph; } duel;

static pf_status run_either(void *user, bool other, int64_t *ns, pf_err *err)
{
    const duel *d = user;

    return other ? run_timed(d->whole, d->group, d->trial, d->graph, ns, err)
                 : run_timed(d->whole, d->group, NULL, d->whole->base, ns, err);
}

static void keep(whole *w, uint32_t g, variant *trial, pf_device_graph **graph)
{
    pf_device_graph *before = w->base;

    drop_variant(w, &w->groups[g].kept);
    w->groups[g].kept = *trial;
    *trial = (variant){ 0 };
    w->base = *graph;
    *graph = before;
}

/* A candidate that fails here is none, as long as the device still answers. */
static pf_status capture_trial(const whole *w, uint32_t g, const variant *trial, pf_device_graph **graph, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = capture(w, g, trial, graph, &why);

    if (!st)
        return PF_OK;
    pf_log(PF_LOG_WARN, "refine", "not-tried layer=\"%s\" tactic=%s reason=\"%s\"",
           w->draft->plan.steps[w->groups[g].first].name, trial->step->tactic->name, why.msg);
    return w->device->ops->stream_sync(w->device, w->context->stream, err);
}

static pf_status try_rank(whole *w, uint32_t g, uint32_t rank, int rounds, pf_err *err)
{
    variant          trial = { 0 };
    pf_device_graph *graph = NULL;
    int64_t          gain_ns = 0;
    pf_status        st = make_variant(w, g, rank, &trial, err);

    if (!st && trial.step)
        st = capture_trial(w, g, &trial, &graph, err);
    if (!st && trial.step && (graph || !w->device->ops->capture_begin))
        st = pf_refine_compare(run_either, &(duel){ w, g, &trial, graph }, rounds, &gain_ns, err);
    if (gain_ns > 0) {
        const pf_timing_entry *entry = pf_refine_choice(w->draft, w->groups[g].first)->ranked[rank];

        pf_log(PF_LOG_DEBUG, "refine", "swap layer=\"%s\" steps=%u tactic=%s tuning=\"%s\" gain_ns=%lld",
               w->draft->plan.steps[w->groups[g].first].name, w->groups[g].count, entry->tactic, entry->tuning,
               (long long)gain_ns);
        keep(w, g, &trial, &graph);
    }
    if (graph)
        w->device->ops->graph_free(w->device, graph);
    drop_variant(w, &trial);
    return st;
}

static pf_status try_all(whole *w, pf_build_progress *progress, pf_err *err)
{
    int       effort = pf_refine_effort(w->draft);
    int64_t   end = pf_clock_ns() + efforts[effort].budget_ns;
    pf_status st = capture(w, 0, NULL, &w->base, err);

    for (uint32_t i = 0; i < w->group_count && !st; i++) {
        uint32_t ranks[TRIALS_PER_PROBLEM] = { 0 }, count = ranks_to_try(w, w->order[i], ranks);

        for (uint32_t r = 0; r < count && !st && pf_clock_ns() < end; r++) {
            if (!pf_progress_tick(progress))
                return PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
            st = try_rank(w, w->order[i], ranks[r], efforts[effort].rounds, err);
        }
    }
    return st;
}

static pf_status collect(const whole *w, pf_refinement *out, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < w->step_count && !st; s++)
        if (w->groups[w->group_of[s]].kept.step)
            st = pf_refinement_add(out, s, w->groups[w->group_of[s]].kept.rank, err);
    return st;
}

static bool is_capturable(const pf_context *context)
{
    return !context->device->ops->capture_begin || context->instance->capturable;
}

static void close_whole(whole *w)
{
    for (uint32_t g = 0; w->groups && g < w->group_count; g++)
        drop_variant(w, &w->groups[g].kept);
    if (w->base)
        w->device->ops->graph_free(w->device, w->base);
    if (w->start)
        w->device->ops->event_free(w->device, w->start);
    if (w->end)
        w->device->ops->event_free(w->device, w->end);
    pf_free(w->group_of);
    pf_free(w->groups);
    pf_free(w->order);
}

pf_status pf_refine_whole(const pf_draft *draft, pf_context *context, pf_build_progress *progress, pf_refinement *out,
                          pf_err *err)
{
    whole     w = { .draft = draft, .context = context, .device = context->device,
                    .step_count = context->plan->step_count };
    pf_status st = PF_OK;

    if (!w.step_count || !is_capturable(context))
        return PF_OK;
    w.group_of = pf_calloc(w.step_count, sizeof *w.group_of);
    w.groups = pf_calloc(w.step_count, sizeof *w.groups);
    w.order = pf_calloc(w.step_count, sizeof *w.order);
    if (!w.group_of || !w.groups || !w.order)
        st = PF_FAIL_MEMORY(err, w.step_count * sizeof *w.groups);
    if (!st)
        st = w.device->ops->event_new(w.device, &w.start, err);
    if (!st)
        st = w.device->ops->event_new(w.device, &w.end, err);
    if (!st) {
        group_steps(&w);
        order_groups(&w);
        st = try_all(&w, progress, err);
    }
    if (!st)
        st = collect(&w, out, err);
    close_whole(&w);
    return st;
}
