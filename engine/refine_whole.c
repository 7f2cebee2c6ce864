#include "engine/refine_private.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/refine_compare.h"

enum { TRIALS_PER_PROBLEM = 10, TRIALS_PER_TACTIC = 5 };

#define SLOWEST_OF_ANOTHER 1.4          /* times of candidates alone, against the chosen one's: of other tactics, */
#define SLOWEST_OF_THE_SAME 1.2         /* and of the chosen one's own */

/* The most pairs of runs for each trial, and the time that all trials together may take. */
static const struct { int pairs; int64_t budget_ns; } efforts[] = {
    { 0, 0 }, { 0, 0 }, { 160, 4 * PF_NS_PER_S }, { 200, 20 * PF_NS_PER_S }, { 240, 60 * PF_NS_PER_S },
    { 256, 300 * PF_NS_PER_S },
};

enum { MARKS = 2 * PF_REFINE_TURN_PAIRS + 1 };

typedef struct variant {                /* another candidate for all steps of a problem; step NULL: the plan's own */
    pf_step *step;                      /* owned */
    void    *workspace;                 /* owned; device memory */
    void   **packed;  /* owned; device memory by step: its constants as the candidate wants them; NULL: as they are */
    void  ***in;      /* owned; by step: pointers to inputs, where the plan's candidate did without constants; or NULL */
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
    pf_event        *marks[MARKS];      /* owned; between runs */
    pf_device_graph *base;              /* of what is kept; NULL: the device cannot capture */
} whole;

typedef struct trial {                  /* of a group: a variant that may take over */
    uint32_t          group;
    variant           variant;
    pf_device_graph  *graph;            /* owned; of the network with it; NULL: the device cannot capture */
    pf_refine_verdict verdict;
} trial;

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

/* The constants are those that the plan does not have. */
static void drop_inputs(const whole *w, uint32_t s, void **in)
{
    const pf_bindings *b = &w->context->step_bindings[s];

    for (uint32_t i = 0; in && i < w->draft->plan.steps[s].problem->graph->input_count; i++)
        if (in[i] && !b->in[i])
            pf_device_give_back(w->device, NULL, in[i]);
    pf_free(in);
}

static void drop_variant(const whole *w, variant *v)
{
    pf_step_free(v->step);
    if (v->workspace)
        pf_device_give_back(w->device, NULL, v->workspace);
    for (uint32_t s = 0; v->packed && s < w->step_count; s++)
        if (v->packed[s])
            pf_device_give_back(w->device, NULL, v->packed[s]);
    for (uint32_t s = 0; v->in && s < w->step_count; s++)
        drop_inputs(w, s, v->in[s]);
    pf_free(v->packed);
    pf_free(v->in);
    *v = (variant){ 0 };
}

/* The plan's memory was laid out for its own candidate: where an output overwrites an input, another must do so too. */
static bool fits_bindings(const whole *w, uint32_t s, const pf_step *step)
{
    const pf_bindings *b = &w->context->step_bindings[s];
    const pf_problem  *problem = w->draft->plan.steps[s].problem;

    for (uint32_t i = 0; i < problem->graph->input_count; i++) {
        bool overwritten = b->in[i] && problem->graph->output_count && b->in[i] == b->out[0];
        bool missing = !b->in[i] && !problem->in_constant[i];

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

static pf_status bring(const whole *w, const void *data, size_t bytes, void **out, pf_err *err)
{
    pf_status st = pf_device_take(w->device, NULL, bytes, out, err);

    if (!st)
        st = w->device->ops->upload(w->device, w->context->stream, *out, data, bytes, err);
    return st ? st : w->device->ops->stream_sync(w->device, w->context->stream, err);
}

static pf_status pack_step(const whole *w, uint32_t s, const pf_step *step, void **out, pf_err *err)
{
    void     *host = NULL;
    pf_status st = pf_refine_pack(w->draft, s, step, &host, err);

    if (!st)
        st = bring(w, host, step->packed_bytes, out, err);
    pf_free(host);
    return st;
}

static pf_status bring_constant(const whole *w, uint32_t s, uint32_t input, void **out, pf_err *err)
{
    const pf_constant *constant = pf_builder_constant(w->draft, &w->draft->plan.steps[s], input);
    const void        *data = NULL;
    pf_status          st = pf_constant_bytes(constant, &data, err);

    if (!st)
        st = bring(w, data, constant->bytes, out, err);
    pf_constant_forget(constant);
    return st;
}

/* What the plan's candidate has packed, and this one wants as it is. */
static pf_status bring_constants(const whole *w, uint32_t s, void ***out, pf_err *err)
{
    const pf_problem *problem = w->draft->plan.steps[s].problem;
    uint32_t          count = problem->graph->input_count;
    void            **in = pf_calloc(count + 1, sizeof *in);
    pf_status         st = in ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *in);

    *out = in;
    for (uint32_t i = 0; i < count && !st; i++) {
        in[i] = w->context->step_bindings[s].in[i];
        if (problem->in_constant[i] && !in[i])
            st = bring_constant(w, s, i, &in[i], err);
    }
    return st;
}

static pf_status bring_all(const whole *w, uint32_t g, variant *v, pf_err *err)
{
    pf_status st = PF_OK;

    v->in = pf_calloc(w->step_count, sizeof *v->in);
    if (!v->in)
        return PF_FAIL_MEMORY(err, w->step_count * sizeof *v->in);
    for (uint32_t s = 0; s < w->step_count && !st; s++)
        if (w->group_of[s] == g)
            st = bring_constants(w, s, &v->in[s], err);
    return st;
}

static pf_status pack_all(const whole *w, uint32_t g, variant *v, pf_err *err)
{
    pf_status st = PF_OK;

    if (!v->step->packed_bytes)
        return pf_problem_has_constants(w->draft->plan.steps[w->groups[g].first].problem) ? bring_all(w, g, v, err) : PF_OK;
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

/* with NULL: as kept. */
static pf_status enqueue(const whole *w, uint32_t g, const variant *with, pf_err *err)
{
    pf_stream *stream = w->context->stream;
    pf_status  st = PF_OK;

    for (uint32_t s = 0; s < w->step_count && !st; s++) {
        const variant *v = with && w->group_of[s] == g ? with : &w->groups[w->group_of[s]].kept;
        pf_bindings    bindings = w->context->step_bindings[s];

        if (!v->step) {
            st = pf_context_enqueue_step(w->context, s, stream, err);
            continue;
        }
        bindings.workspace = v->workspace;
        bindings.packed = v->packed ? v->packed[s] : NULL;
        bindings.in = v->in ? v->in[s] : bindings.in;
        st = v->step->tactic->enqueue(v->step, &bindings, stream, err);
    }
    return st;
}

typedef struct network { const whole *whole; uint32_t group; const variant *with; } network;

static pf_status enqueue_network(void *user, pf_err *err)
{
    const network *n = user;

    return enqueue(n->whole, n->group, n->with, err);
}

/* One run outside first: it loads the code of every kernel. */
static pf_status capture(const whole *w, uint32_t g, const variant *with, pf_device_graph **out, pf_err *err)
{
    network   all = { w, g, with };
    pf_status st = enqueue_network(&all, err);

    *out = NULL;
    if (!st)
        st = w->device->ops->stream_sync(w->device, w->context->stream, err);
    return st || !w->device->ops->capture_begin
               ? st : pf_device_capture(w->device, w->context->stream, enqueue_network, &all, out, err);
}

static pf_status run(const whole *w, const trial *other, pf_err *err)
{
    pf_device_graph *graph = other ? other->graph : w->base;

    if (graph)
        return w->device->ops->graph_launch(w->device, graph, w->context->stream, err);
    return enqueue(w, other ? other->group : 0, other ? &other->variant : NULL, err);
}

/* In the turns of a pair, does the other one run?  Which goes first alternates, so that each follows each as often. */
static bool is_other(int turn)
{
    return turn % 2 != turn / 2 % 2;
}

static pf_status read_marks(const whole *w, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    pf_status st = PF_OK;

    for (int t = 0; t < 2 * pairs && !st; t++)
        st = w->device->ops->event_elapsed(w->device, w->marks[t], w->marks[t + 1],
                                           is_other(t) ? &other_ns[t / 2] : &base_ns[t / 2], err);
    return st;
}

typedef struct duel { const whole *whole; const trial *other; } duel;

/* All runs are enqueued before the first is waited for, as by who asks for one answer after another: on an H200 runs of
   two networks that began on an idle card scattered by 1.2 and 0.75 %, and these by 0.65 and 0.35 %.  What finds the
   card idle is not counted. */
static pf_status run_turns(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    const duel          *d = user;
    const whole         *w = d->whole;
    const pf_device_ops *ops = w->device->ops;
    pf_stream           *stream = w->context->stream;
    pf_status            st = run(w, d->other, err);

    if (!st)
        st = run(w, NULL, err);
    if (!st)
        st = ops->event_record(w->device, w->marks[0], stream, err);
    for (int t = 0; t < 2 * pairs && !st; t++) {
        st = run(w, is_other(t) ? d->other : NULL, err);
        if (!st)
            st = ops->event_record(w->device, w->marks[t + 1], stream, err);
    }
    return st ? st : read_marks(w, pairs, base_ns, other_ns, err);
}

/* ---- Trials */

static void drop_trial(const whole *w, trial *t)
{
    if (t->graph)
        w->device->ops->graph_free(w->device, t->graph);
    drop_variant(w, &t->variant);
    *t = (trial){ 0 };
}

static const pf_timing_entry *entry_of(const whole *w, const trial *t)
{
    return pf_refine_choice(w->draft, w->groups[t->group].first)->ranked[t->variant.rank];
}

static void log_trial(const whole *w, const trial *t, const char *event)
{
    const pf_timing_entry *entry = entry_of(w, t);

    pf_log(PF_LOG_DEBUG, "refine",
           "%s layer=\"%s\" steps=%u tactic=%s tuning=\"%s\" gain_ns=%lld error_ns=%lld of_ns=%lld pairs=%d", event,
           w->draft->plan.steps[w->groups[t->group].first].name, w->groups[t->group].count, entry->tactic,
           entry->tuning, (long long)t->verdict.gain_ns, (long long)t->verdict.error_ns,
           (long long)t->verdict.base_ns, t->verdict.pairs);
}

static void keep(whole *w, trial *t)
{
    pf_device_graph *before = w->base;
    group           *g = &w->groups[t->group];

    log_trial(w, t, "swap");
    drop_variant(w, &g->kept);
    g->kept = t->variant;
    w->base = t->graph;
    t->variant = (variant){ 0 };
    t->graph = before;
}

/* A candidate that fails here is none, as long as the device still answers. */
static pf_status capture_trial(const whole *w, trial *t, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = capture(w, t->group, &t->variant, &t->graph, &why);

    if (!st)
        return PF_OK;
    pf_log(PF_LOG_WARN, "refine", "not-tried layer=\"%s\" tactic=%s reason=\"%s\"",
           w->draft->plan.steps[w->groups[t->group].first].name, t->variant.step->tactic->name, why.msg);
    return w->device->ops->stream_sync(w->device, w->context->stream, err);
}

/* Empty where the candidate cannot take the place. */
static pf_status make_trial(const whole *w, uint32_t rank, trial *t, pf_err *err)
{
    pf_status st = make_variant(w, t->group, rank, &t->variant, err);

    if (!st && t->variant.step)
        st = capture_trial(w, t, err);
    if (!st && !t->graph && w->device->ops->capture_begin)
        drop_variant(w, &t->variant);
    return st;
}

static pf_status try_rank(const whole *w, uint32_t g, uint32_t rank, pf_refine_verdict *out, pf_err *err)
{
    trial     t = { .group = g };
    pf_status st = make_trial(w, rank, &t, err);

    if (!st && t.variant.step) {
        st = pf_refine_compare(run_turns, &(duel){ w, &t }, efforts[pf_refine_effort(w->draft)].pairs, &t.verdict, err);
        log_trial(w, &t, "tried");
    }
    *out = t.verdict;
    drop_trial(w, &t);
    return st;
}

static pf_status take_over(whole *w, uint32_t g, uint32_t rank, const pf_refine_verdict *verdict, pf_err *err)
{
    trial     t = { .group = g, .verdict = *verdict };
    pf_status st = make_trial(w, rank, &t, err);

    if (!st && t.variant.step)
        keep(w, &t);
    drop_trial(w, &t);
    return st;
}

/* All are compared with what the group has so far, those that are best alone first, and the best one takes over. */
static pf_status try_group(whole *w, uint32_t g, int64_t end, pf_build_progress *progress, pf_err *err)
{
    const pf_choice       *choice = pf_refine_choice(w->draft, w->groups[g].first);
    const pf_timing_entry *entries[TRIALS_PER_PROBLEM] = { NULL };
    pf_refine_verdict      verdicts[TRIALS_PER_PROBLEM] = { { 0 } };
    uint32_t               ranks[TRIALS_PER_PROBLEM] = { 0 }, count = ranks_to_try(w, g, ranks), tried = 0;
    int                    picked = -1;
    pf_status              st = PF_OK;

    for (; tried < count && !st && pf_clock_ns() < end; tried++) {
        entries[tried] = choice->ranked[ranks[tried]];
        st = pf_progress_tick(progress) ? try_rank(w, g, ranks[tried], &verdicts[tried], err)
                                        : PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
    }
    if (!st)
        picked = pf_refine_pick(verdicts, entries, (int)tried);
    return picked < 0 ? st : take_over(w, g, ranks[picked], &verdicts[picked], err);
}

static pf_status try_all(whole *w, pf_build_progress *progress, pf_err *err)
{
    int64_t   end = pf_clock_ns() + efforts[pf_refine_effort(w->draft)].budget_ns;
    pf_status st = capture(w, 0, NULL, &w->base, err);

    for (uint32_t i = 0; i < w->group_count && !st && pf_clock_ns() < end; i++)
        st = try_group(w, w->order[i], end, progress, err);
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
    for (int i = 0; i < MARKS; i++)
        if (w->marks[i])
            w->device->ops->event_free(w->device, w->marks[i]);
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
    for (int i = 0; i < MARKS && !st; i++)
        st = w.device->ops->event_new(w.device, &w.marks[i], err);
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
