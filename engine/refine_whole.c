#include "engine/refine_variant.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/device_capture.h"
#include "engine/race.h"
#include "engine/refine_compare.h"
#include "engine/refine_load.h"
#include "engine/refine_window.h"

enum { TRIALS_PER_PROBLEM = 10, TRIALS_PER_TACTIC = 5, LARGE = 8, PAIRS_BEFORE_CONTEST = 20,
       PAIRS_OF_WHOLE = 40, RUNS_OF_BASE = 8 };

#define SLOWEST_OF_ANOTHER 1.4          /* times of candidates alone, against the chosen one's: of other tactics, */
#define SLOWEST_OF_THE_SAME 1.2         /* and of the chosen one's own */

/* The most pairs of runs for each trial, and the time that all trials together may take. */
static const struct { int pairs; int64_t budget_ns; } efforts[] = {
    { 0, 0 }, { 0, 0 }, { 160, 4 * PF_NS_PER_S }, { 200, 20 * PF_NS_PER_S }, { 240, 60 * PF_NS_PER_S },
    { 256, 300 * PF_NS_PER_S },
};

enum { MARKS = 2 * PF_REFINE_TURN_PAIRS + 1 };

typedef struct group {                  /* steps of one problem */
    uint32_t          first, count;     /* its first step */
    int64_t           alone_ns;         /* of all of them */
    pf_refine_variant kept;
} group;

typedef struct whole {
    pf_refine_net    net;               /* group_of: owned */
    pf_build_progress *progress;
    uint32_t         group_count;
    group           *groups;            /* owned; by their first step */
    uint32_t        *order;             /* owned; of groups, costliest first */
    pf_event        *marks[MARKS];      /* owned; between runs */
    pf_refine_load   load;
    int64_t          end_ns;            /* by the clock: nothing is tried any more */
    int64_t          contests_ns;       /* spent in contests */
    pf_device_graph *base;              /* of what is kept; NULL: the device cannot capture */
    pf_refine_windows windows;          /* of the group that is tried; base has its events, and all trials have */
} whole;

typedef struct trial {                  /* of a group: a variant that may take over */
    uint32_t          group;
    pf_refine_variant variant;
    pf_device_graph  *graph;            /* owned; of the network with it; NULL: the device cannot capture */
    pf_refine_verdict verdict;
} trial;

static int64_t budget_of(const whole *w)
{
    return efforts[pf_refine_effort(w->net.draft)].budget_ns;
}

/* ---- Which steps go together */

static bool same_problem(const whole *w, uint32_t a, uint32_t b)
{
    const pf_plan_step *steps = w->net.draft->plan.steps;

    return !memcmp(steps[a].problem->hash.byte, steps[b].problem->hash.byte, sizeof(pf_digest));
}

static void group_steps(whole *w)
{
    for (uint32_t s = 0; s < w->net.step_count; s++) {
        const pf_choice *choice = pf_refine_choice(w->net.draft, s);
        uint32_t         g = 0;

        while (g < w->group_count && !same_problem(w, w->groups[g].first, s))
            g++;
        if (g == w->group_count)
            w->groups[w->group_count++] = (group){ .first = s };
        w->groups[g].count++;
        w->groups[g].alone_ns += choice->count ? pf_choose_time(choice->ranked[0]) : 0;
        w->net.group_of[s] = g;
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

/* ---- What is worth trying */

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
    const pf_choice *choice = pf_refine_choice(w->net.draft, w->groups[g].first);
    uint32_t         count = 0;

    if (!pf_problem_is_bound(w->net.draft->plan.steps[w->groups[g].first].problem))
        return 0;
    for (uint32_t r = 1; r < choice->count && count < TRIALS_PER_PROBLEM; r++)
        if (is_worth_trying(choice->ranked[r], choice->ranked[0]) &&
            count_of_tactic(choice, ranks, count, choice->ranked[r]->tactic) < TRIALS_PER_TACTIC)
            ranks[count++] = r;
    return count;
}

/* ---- Runs */

/* with NULL: as kept. */
typedef struct network { const whole *whole; uint32_t group; const pf_refine_variant *with; } network;

static pf_status enqueue_step(const network *n, uint32_t s, pf_err *err)
{
    const pf_refine_net     *net = &n->whole->net;
    const pf_refine_variant *kept = &n->whole->groups[net->group_of[s]].kept;
    const pf_refine_variant *v = n->with && net->group_of[s] == n->group ? n->with : kept;
    pf_bindings              bindings = net->context->step_bindings[s];

    if (!v->step)
        return pf_context_enqueue_step(net->context, s, net->context->stream, err);
    bindings.workspace = v->workspace;
    bindings.packed = v->constants ? v->constants[s].packed : NULL;
    bindings.in = v->constants && v->constants[s].in ? v->constants[s].in : bindings.in;
    return v->step->tactic->enqueue(v->step, &bindings, net->context->stream, err);
}

static pf_status enqueue(const network *n, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < n->whole->net.step_count && !st; s++)
        st = enqueue_step(n, s, err);
    return st;
}

static pf_status enqueue_with_windows(void *user, pf_err *err)
{
    const network *n = user;
    const whole   *w = n->whole;
    pf_stream     *stream = w->net.context->stream;
    pf_status      st = PF_OK;

    for (uint32_t s = 0; s < w->net.step_count && !st; s++) {
        st = pf_refine_windows_enter(&w->windows, s, stream, err);
        if (!st)
            st = enqueue_step(n, s, err);
        if (!st)
            st = pf_refine_windows_leave(&w->windows, s, stream, err);
    }
    return st;
}

/* One run outside first: it loads the code of every kernel. */
static pf_status capture(const whole *w, uint32_t g, const pf_refine_variant *with, pf_device_graph **out, pf_err *err)
{
    network   all = { w, g, with };
    pf_status st = enqueue(&all, err);

    *out = NULL;
    if (!st)
        st = w->net.device->ops->stream_sync(w->net.device, w->net.context->stream, err);
    return st || !w->net.device->ops->capture_begin
               ? st : pf_device_capture(w->net.device, w->net.context->stream, enqueue_with_windows, &all, out, err);
}

static pf_status run(const whole *w, const trial *other, pf_err *err)
{
    pf_device_graph *graph = other ? other->graph : w->base;

    if (graph)
        return w->net.device->ops->graph_launch(w->net.device, graph, w->net.context->stream, err);
    return enqueue(&(network){ w, other ? other->group : 0, other ? &other->variant : NULL }, err);
}

/* In the turns of a pair, does the other one run?  Which goes first alternates, so that each follows each as often. */
static bool is_other(int turn)
{
    return turn % 2 != turn / 2 % 2;
}

static pf_status run_blocks(void *user, int64_t runs, int blocks, int64_t *block_ns, pf_err *err)
{
    const whole         *w = user;
    const pf_device_ops *ops = w->net.device->ops;
    pf_stream           *stream = w->net.context->stream;
    pf_status            st = ops->event_record(w->net.device, w->marks[0], stream, err);

    for (int b = 0; b < blocks && !st; b++) {
        for (int64_t i = 0; i < runs && !st; i++)
            st = run(w, NULL, err);
        if (!st)
            st = ops->event_record(w->net.device, w->marks[b + 1], stream, err);
    }
    for (int b = 0; b < blocks && !st; b++)
        st = ops->event_elapsed(w->net.device, w->marks[b], w->marks[b + 1], &block_ns[b], err);
    return st;
}

/* Processors run what is enqueued at once: what keeps them busy is the network itself. */
static pf_status look_at_load(whole *w, pf_err *err)
{
    pf_status st = w->net.device->ops->capture_begin ? pf_refine_load_look(run_blocks, w, &w->load, err) : PF_OK;

    if (!st && w->load.slows)
        pf_log(PF_LOG_DEBUG, "refine", "slows busy_ns=%lld warm_runs=%lld", (long long)w->load.run_ns,
               (long long)w->load.warm_runs);
    return st;
}

static pf_status read_marks(const whole *w, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    pf_status st = PF_OK;

    for (int t = 0; t < 2 * pairs && !st; t++)
        st = w->net.device->ops->event_elapsed(w->net.device, w->marks[t], w->marks[t + 1],
                                           is_other(t) ? &other_ns[t / 2] : &base_ns[t / 2], err);
    return st;
}

typedef struct duel { const whole *whole; const trial *other; bool warm; } duel;

/* What finds the card idle is not counted, nor what finds it rested where it does not stay so. */
static pf_status warm_up(duel *d, pf_err *err)
{
    int64_t   pairs = d->warm || d->whole->load.warm_runs < 2 ? 1 : d->whole->load.warm_runs / 2;
    pf_status st = PF_OK;

    for (int64_t i = 0; i < pairs && !st; i++) {
        st = run(d->whole, d->other, err);
        if (!st)
            st = run(d->whole, NULL, err);
    }
    d->warm = true;
    return st;
}

/* All runs are enqueued before the first is waited for, as by who asks for one answer after another: on an H200 runs of
   two networks that began on an idle card scattered by 1.2 and 0.75 %, and these by 0.65 and 0.35 %. */
static pf_status run_turns(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    duel                *d = user;
    const whole         *w = d->whole;
    const pf_device_ops *ops = w->net.device->ops;
    pf_stream           *stream = w->net.context->stream;
    pf_status            st = warm_up(d, err);

    if (!st)
        st = ops->event_record(w->net.device, w->marks[0], stream, err);
    for (int t = 0; t < 2 * pairs && !st; t++) {
        st = run(w, is_other(t) ? d->other : NULL, err);
        if (!st)
            st = ops->event_record(w->net.device, w->marks[t + 1], stream, err);
    }
    return st ? st : read_marks(w, pairs, base_ns, other_ns, err);
}

static pf_status run_in_windows(const whole *w, const trial *other, int64_t *ns, pf_err *err)
{
    pf_status st = run(w, other, err);

    if (!st)
        st = w->net.device->ops->stream_sync(w->net.device, w->net.context->stream, err);
    return st ? st : pf_refine_windows_read(&w->windows, ns, err);
}

/* One after the other, as the events hold one run's times.  What is outside counts as it was without the other one. */
static pf_status run_turns_in_windows(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    const duel  *d = user;
    const whole *w = d->whole;
    int64_t      ignored = 0;
    pf_status    st = run_in_windows(w, d->other, &ignored, err);

    for (int t = 0; t < 2 * pairs && !st; t++) {
        int64_t *ns = is_other(t) ? &other_ns[t / 2] : &base_ns[t / 2];

        st = run_in_windows(w, is_other(t) ? d->other : NULL, ns, err);
        *ns += w->windows.rest_ns;
    }
    return st;
}

static pf_status measure_rest(whole *w, pf_err *err)
{
    int64_t   whole_ns = 0, inside_ns[RUNS_OF_BASE] = { 0 };
    pf_status st = run(w, NULL, err);

    if (!st)
        st = run_blocks(w, RUNS_OF_BASE, 1, &whole_ns, err);
    for (int i = 0; i < RUNS_OF_BASE && !st; i++)
        st = run_in_windows(w, NULL, &inside_ns[i], err);
    pf_race_sort_ns(inside_ns, RUNS_OF_BASE);
    w->windows.rest_ns = whole_ns / RUNS_OF_BASE - inside_ns[RUNS_OF_BASE / 2];
    return st;
}

/* ---- Trials */

static void drop_trial(const whole *w, trial *t)
{
    if (t->graph)
        w->net.device->ops->graph_free(w->net.device, t->graph);
    pf_refine_variant_drop(&w->net, &t->variant);
    *t = (trial){ 0 };
}

static const pf_timing_entry *entry_of(const whole *w, const trial *t)
{
    return pf_refine_choice(w->net.draft, w->groups[t->group].first)->ranked[t->variant.rank];
}

static void log_trial(const whole *w, const trial *t, const char *event)
{
    const pf_timing_entry *entry = entry_of(w, t);

    pf_log(PF_LOG_DEBUG, "refine",
           "%s layer=\"%s\" steps=%u tactic=%s tuning=\"%s\" gain_ns=%lld error_ns=%lld of_ns=%lld pairs=%d", event,
           w->net.draft->plan.steps[w->groups[t->group].first].name, w->groups[t->group].count, entry->tactic,
           entry->tuning, (long long)t->verdict.gain_ns, (long long)t->verdict.error_ns,
           (long long)t->verdict.base_ns, t->verdict.pairs);
}

static void keep(whole *w, trial *t)
{
    pf_device_graph *before = w->base;
    group           *g = &w->groups[t->group];

    log_trial(w, t, "swap");
    pf_refine_variant_drop(&w->net, &g->kept);
    g->kept = t->variant;
    w->base = t->graph;
    t->variant = (pf_refine_variant){ 0 };
    t->graph = before;
}

/* A candidate that fails here is none, as long as the device still answers: then the trial is empty. */
static pf_status capture_trial(const whole *w, trial *t, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = PF_OK;

    if (!capture(w, t->group, &t->variant, &t->graph, &why))
        return PF_OK;
    pf_log(PF_LOG_WARN, "refine", "not-tried layer=\"%s\" tactic=%s reason=\"%s\"",
           w->net.draft->plan.steps[w->groups[t->group].first].name, t->variant.step->tactic->name, why.msg);
    st = w->net.device->ops->stream_sync(w->net.device, w->net.context->stream, err);
    drop_trial(w, t);
    return st;
}

/* Empty where the candidate cannot take the place. */
static pf_status make_trial(const whole *w, uint32_t rank, trial *t, pf_err *err)
{
    pf_status st = pf_refine_variant_make(&w->net, t->group, w->groups[t->group].first, rank, &t->variant, err);

    return !st && t->variant.step ? capture_trial(w, t, err) : st;
}

/* One that takes less of the whole cannot gain what shows in a contest.  All contests may take about as long again as
   all other trials. */
static bool contends(const whole *w, uint32_t g)
{
    int64_t all_ns = 0;

    for (uint32_t i = 0; i < w->group_count; i++)
        all_ns += w->groups[i].alone_ns;
    return w->load.slows && w->groups[g].alone_ns > all_ns / LARGE && w->contests_ns < budget_of(w);
}

/* Those that meet again in a contest are compared only to see who is close. */
static int pairs_of(const whole *w, uint32_t g)
{
    return contends(w, g) ? PAIRS_BEFORE_CONTEST : efforts[pf_refine_effort(w->net.draft)].pairs;
}

static pf_status try_rank(const whole *w, uint32_t g, uint32_t rank, pf_refine_verdict *out, pf_err *err)
{
    trial     t = { .group = g };
    pf_status st = make_trial(w, rank, &t, err);

    if (!st && t.variant.step) {
        st = pf_refine_compare(w->windows.count ? run_turns_in_windows : run_turns,
                               &(duel){ .whole = w, .other = &t }, pairs_of(w, g), &t.verdict, err);
        log_trial(w, &t, "tried");
    }
    *out = t.verdict;
    drop_trial(w, &t);
    return st;
}

/* What gained in its windows must not lose in the whole. */
static pf_status confirm(const whole *w, const trial *t, bool *confirmed, pf_err *err)
{
    pf_refine_verdict verdict = { 0 };
    pf_status         st = PF_OK;

    *confirmed = true;
    if (!w->windows.count)
        return PF_OK;
    st = pf_refine_compare(run_turns, &(duel){ .whole = w, .other = t }, PAIRS_OF_WHOLE, &verdict, err);
    *confirmed = verdict.gain_ns + verdict.error_ns > 0;
    pf_log(PF_LOG_DEBUG, "refine", "whole layer=\"%s\" gain_ns=%lld error_ns=%lld pairs=%d",
           w->net.draft->plan.steps[w->groups[t->group].first].name, (long long)verdict.gain_ns,
           (long long)verdict.error_ns, verdict.pairs);
    return st;
}

static pf_status take_over(whole *w, uint32_t g, uint32_t rank, const pf_refine_verdict *verdict, pf_err *err)
{
    trial     t = { .group = g, .verdict = *verdict };
    bool      confirmed = false;
    pf_status st = make_trial(w, rank, &t, err);

    if (!st && t.variant.step)
        st = confirm(w, &t, &confirmed, err);
    if (!st && confirmed)
        keep(w, &t);
    drop_trial(w, &t);
    return st;
}

/* The arrangement that stands, with the group's windows.  On a device that the network slows a clock is shared by all
   of it, and the whole counts. */
static pf_status open_group(whole *w, uint32_t g, pf_err *err)
{
    pf_device_graph *before = w->base;
    pf_status        st = PF_OK;

    if (!before || w->load.slows)
        return PF_OK;
    pf_refine_windows_place(&w->windows, w->net.group_of, w->net.step_count, g);
    st = capture(w, g, NULL, &w->base, err);
    w->net.device->ops->graph_free(w->net.device, before);
    return st || !w->windows.count ? st : measure_rest(w, err);
}

/* ---- On a device that the network slows */

static pf_status run_many(const duel *d, bool other, int64_t runs, pf_err *err)
{
    pf_status st = PF_OK;

    for (int64_t i = 0; i < runs && !st; i++)
        st = run(d->whole, other ? d->other : NULL, err);
    return st;
}

static pf_status run_block(const duel *d, const pf_refine_burst *burst, int b, pf_err *err)
{
    const whole         *w = d->whole;
    const pf_device_ops *ops = w->net.device->ops;
    pf_status            st = run_many(d, burst->other[b], burst->settle_runs, err);

    if (!st)
        st = ops->event_record(w->net.device, w->marks[2 * b], w->net.context->stream, err);
    if (!st)
        st = run_many(d, burst->other[b], burst->runs, err);
    return st ? st : ops->event_record(w->net.device, w->marks[2 * b + 1], w->net.context->stream, err);
}

static pf_status run_burst(void *user, const pf_refine_burst *burst, int64_t block_ns[PF_REFINE_BURST_BLOCKS],
                           pf_err *err)
{
    const duel  *d = user;
    const whole *w = d->whole;
    pf_status    st = PF_OK;

    pf_clock_sleep_ns(PF_REFINE_REST_NS);
    st = run_many(d, burst->other[0], burst->warm_runs, err);
    for (int b = 0; b < PF_REFINE_BURST_BLOCKS && !st; b++)
        st = run_block(d, burst, b, err);
    for (int b = 0; b < PF_REFINE_BURST_BLOCKS && !st; b++)
        st = w->net.device->ops->event_elapsed(w->net.device, w->marks[2 * b], w->marks[2 * b + 1], &block_ns[b], err);
    return st;
}

static pf_status contend(const whole *w, uint32_t g, uint32_t rank, pf_refine_verdict *out, pf_err *err)
{
    trial     t = { .group = g };
    pf_status st = make_trial(w, rank, &t, err);

    if (!st && t.variant.step) {
        st = pf_refine_load_contest(run_burst, &(duel){ .whole = w, .other = &t }, &w->load, &t.verdict, err);
        log_trial(w, &t, "kept-busy");
    }
    *out = t.verdict;
    drop_trial(w, &t);
    return st;
}

static pf_status go_on(const whole *w, pf_err *err)
{
    return pf_progress_tick(w->progress) ? PF_OK : PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
}

/* What is about as fast at one clock shows what it is worth when the clock is its own.  That takes time of its own. */
static pf_status hold_contests(whole *w, uint32_t g, const uint32_t *ranks, const pf_timing_entry *const *entries,
                               uint32_t tried, pf_refine_verdict *verdicts, pf_err *err)
{
    int       rivals[PF_REFINE_RIVALS] = { 0 }, count = pf_refine_load_rivals(verdicts, entries, (int)tried, rivals);
    int64_t   start_ns = pf_clock_ns();
    pf_status st = PF_OK;

    for (int i = 0; i < count && !st; i++) {
        st = go_on(w, err);
        if (!st)
            st = contend(w, g, ranks[rivals[i]], &verdicts[rivals[i]], err);
    }
    w->contests_ns += pf_clock_ns() - start_ns;
    w->end_ns += pf_clock_ns() - start_ns;
    return st;
}

/* All are compared with what the group has so far, those that are best alone first, and the best one takes over. */
static pf_status try_group(whole *w, uint32_t g, pf_err *err)
{
    const pf_choice       *choice = pf_refine_choice(w->net.draft, w->groups[g].first);
    const pf_timing_entry *entries[TRIALS_PER_PROBLEM] = { NULL };
    pf_refine_verdict      verdicts[TRIALS_PER_PROBLEM] = { { 0 } };
    uint32_t               ranks[TRIALS_PER_PROBLEM] = { 0 }, count = ranks_to_try(w, g, ranks), tried = 0;
    int                    picked = -1;
    pf_status              st = count ? open_group(w, g, err) : PF_OK;

    for (; tried < count && !st && pf_clock_ns() < w->end_ns; tried++) {
        entries[tried] = choice->ranked[ranks[tried]];
        st = go_on(w, err);
        if (!st)
            st = try_rank(w, g, ranks[tried], &verdicts[tried], err);
    }
    if (!st && contends(w, g))
        st = hold_contests(w, g, ranks, entries, tried, verdicts, err);
    if (!st)
        picked = pf_refine_pick(verdicts, (int)tried);
    return picked < 0 ? st : take_over(w, g, ranks[picked], &verdicts[picked], err);
}

static pf_status try_all(whole *w, pf_err *err)
{
    pf_status st = capture(w, 0, NULL, &w->base, err);

    if (!st)
        st = look_at_load(w, err);
    w->end_ns = pf_clock_ns() + budget_of(w);
    for (uint32_t i = 0; i < w->group_count && !st && pf_clock_ns() < w->end_ns; i++)
        st = try_group(w, w->order[i], err);
    return st;
}

static pf_status collect(const whole *w, pf_refinement *out, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < w->net.step_count && !st; s++)
        if (w->groups[w->net.group_of[s]].kept.step)
            st = pf_refinement_add(out, s, w->groups[w->net.group_of[s]].kept.rank, err);
    return st;
}

static bool is_capturable(const pf_context *context)
{
    return !context->device->ops->capture_begin || context->instance->capturable;
}

static void close_whole(whole *w)
{
    for (uint32_t g = 0; w->groups && g < w->group_count; g++)
        pf_refine_variant_drop(&w->net, &w->groups[g].kept);
    if (w->base)
        w->net.device->ops->graph_free(w->net.device, w->base);
    for (int i = 0; i < MARKS; i++)
        if (w->marks[i])
            w->net.device->ops->event_free(w->net.device, w->marks[i]);
    pf_refine_windows_close(&w->windows);
    pf_free(w->net.group_of);
    pf_free(w->groups);
    pf_free(w->order);
}

pf_status pf_refine_whole(const pf_draft *draft, pf_context *context, pf_build_progress *progress, pf_refinement *out,
                          pf_err *err)
{
    whole     w = { .net = { draft, context, context->device, context->plan->step_count, NULL }, .progress = progress };
    pf_status st = PF_OK;

    if (!w.net.step_count || !is_capturable(context))
        return PF_OK;
    w.net.group_of = pf_calloc(w.net.step_count, sizeof *w.net.group_of);
    w.groups = pf_calloc(w.net.step_count, sizeof *w.groups);
    w.order = pf_calloc(w.net.step_count, sizeof *w.order);
    if (!w.net.group_of || !w.groups || !w.order)
        st = PF_FAIL_MEMORY(err, w.net.step_count * sizeof *w.groups);
    for (int i = 0; i < MARKS && !st; i++)
        st = w.net.device->ops->event_new(w.net.device, &w.marks[i], err);
    if (!st)
        st = pf_refine_windows_open(w.net.device, &w.windows, err);
    if (!st) {
        group_steps(&w);
        order_groups(&w);
        st = try_all(&w, err);
    }
    if (!st)
        st = collect(&w, out, err);
    close_whole(&w);
    return st;
}
