#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/refine_pick.h"
#include "engine/refine_runs.h"

enum { TRIALS_PER_PROBLEM = 16, TRIALS_PER_TACTIC = 8, LARGE = 8, PAIRS_BEFORE_CONTEST = 20,
       PAIRS_OF_WHOLE = 40, PAIRS_ELSEWHERE = 6, ELSEWHERE = 2 /* a part of the budget */,
       SHORT_NS = 50000 };

#define RUNG    1.3                     /* of two times on one rung the greater is less than so many times the other */
#define SLOWEST 1.4                     /* times of candidates alone, against the chosen one's, */
#define SLOWEST_OF_LONG 1.2             /* and where layers are long against what is between them, of its own tactic */

/* The most pairs of runs for each trial, and the time that all trials together may take. */
static const struct { int pairs; int64_t budget_ns; } efforts[] = {
    { 0, 0 }, { 0, 0 }, { 160, 8 * PF_NS_PER_S }, { 200, 20 * PF_NS_PER_S }, { 240, 60 * PF_NS_PER_S },
    { 256, 300 * PF_NS_PER_S },
};

typedef struct group {                  /* steps of one problem */
    uint32_t first, count;              /* its first step */
    int64_t  alone_ns;                  /* of all of them */
} group;

typedef struct whole {
    pf_refine_runs     runs;
    pf_build_progress *progress;
    uint32_t           group_count;
    group             *groups;          /* owned; by their first step */
    uint32_t          *order;           /* owned; of groups, costliest first, about */
    pf_refine_load     load;
    int64_t            end_ns;          /* by the clock: nothing is tried any more */
    int64_t            contests_ns;     /* spent in contests, */
    int64_t            elsewhere_ns;    /* and in other places of memory */
    size_t             behind;          /* where in the arena the memory begins that variants have in turn */
} whole;

typedef struct trial {                  /* of a group: a variant that may take over */
    pf_refine_other   other;
    pf_refine_verdict verdict;
} trial;

static const pf_draft *draft_of(const whole *w)
{
    return w->runs.net.draft;
}

static pf_device *device_of(const whole *w)
{
    return w->runs.net.device;
}

static int64_t budget_of(const whole *w)
{
    return efforts[pf_refine_effort(draft_of(w))].budget_ns;
}

/* ---- Which steps go together */

static bool same_problem(const whole *w, uint32_t a, uint32_t b)
{
    const pf_plan_step *steps = draft_of(w)->plan.steps;

    return !memcmp(steps[a].problem->hash.byte, steps[b].problem->hash.byte, sizeof(pf_digest));
}

static void group_steps(whole *w)
{
    for (uint32_t s = 0; s < w->runs.net.step_count; s++) {
        const pf_choice *choice = pf_refine_choice(draft_of(w), s);
        uint32_t         g = 0;

        while (g < w->group_count && !same_problem(w, w->groups[g].first, s))
            g++;
        if (g == w->group_count)
            w->groups[w->group_count++] = (group){ .first = s };
        w->groups[g].count++;
        w->groups[g].alone_ns += choice->count ? pf_choose_time(choice->ranked[0]) : 0;
        w->runs.net.group_of[s] = g;
    }
}

static int rung_of(const group *g)
{
    return g->alone_ns > 0 ? (int)(log((double)g->alone_ns) / log(RUNG)) : 0;
}

/* By the time that is in them, as they come where that is about the same: what a group gains hangs on the groups that
   were tried before it, so that builds should try them in one order.  Insertion, as there are few. */
static void order_groups(whole *w)
{
    for (uint32_t i = 0; i < w->group_count; i++) {
        uint32_t at = i;

        for (; at > 0 && rung_of(&w->groups[w->order[at - 1]]) < rung_of(&w->groups[i]); at--)
            w->order[at] = w->order[at - 1];
        w->order[at] = i;
    }
}

/* ---- What is worth trying */

static bool is_short(const whole *w, uint32_t g)
{
    return !w->load.slows && w->groups[g].alone_ns < SHORT_NS * w->groups[g].count;
}

static bool is_worth_trying(const whole *w, uint32_t g, const pf_timing_entry *entry, const pf_timing_entry *first)
{
    double slowest = is_short(w, g) || strcmp(entry->tactic, first->tactic) ? SLOWEST : SLOWEST_OF_LONG;

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
    const pf_choice *choice = pf_refine_choice(draft_of(w), w->groups[g].first);
    uint32_t         count = 0;

    if (!pf_problem_is_bound(pf_refine_problem(draft_of(w), w->groups[g].first)))
        return 0;
    for (uint32_t r = 1; r < choice->count && count < TRIALS_PER_PROBLEM; r++)
        if (is_worth_trying(w, g, choice->ranked[r], choice->ranked[0]) &&
            count_of_tactic(choice, ranks, count, choice->ranked[r]->tactic) < TRIALS_PER_TACTIC)
            ranks[count++] = r;
    return count;
}

/* ---- Trials */

static void drop_trial(const whole *w, trial *t)
{
    if (t->other.graph)
        device_of(w)->ops->graph_free(device_of(w), t->other.graph);
    pf_refine_variant_drop(&w->runs.net, &t->other.variant);
    *t = (trial){ 0 };
}

/* Of its first layer. */
static const char *name_of(const whole *w, uint32_t g)
{
    return draft_of(w)->plan.steps[w->groups[g].first].name;
}

static const pf_timing_entry *entry_of(const whole *w, const trial *t)
{
    return pf_refine_choice(draft_of(w), w->groups[t->other.group].first)->ranked[t->other.variant.rank];
}

static void log_trial(const whole *w, const trial *t, const char *event)
{
    const pf_timing_entry *entry = entry_of(w, t);

    pf_log(PF_LOG_DEBUG, "refine",
           "%s layer=\"%s\" steps=%u tactic=%s tuning=\"%s\" gain_ns=%lld error_ns=%lld of_ns=%lld pairs=%d", event,
           name_of(w, t->other.group), w->groups[t->other.group].count, entry->tactic, entry->tuning,
           (long long)t->verdict.gain_ns, (long long)t->verdict.error_ns, (long long)t->verdict.base_ns,
           t->verdict.pairs);
}

static void keep(whole *w, trial *t, const char *event)
{
    pf_device_graph   *before = w->runs.base;
    pf_refine_variant *kept = &w->runs.kept[t->other.group];

    log_trial(w, t, event);
    pf_refine_variant_drop(&w->runs.net, kept);
    *kept = t->other.variant;
    w->runs.base = t->other.graph;
    t->other.variant = (pf_refine_variant){ 0 };
    t->other.graph = before;
}

/* A candidate that fails here is none, as long as the device still answers: then the trial is empty. */
static pf_status capture_trial(const whole *w, trial *t, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = PF_OK;

    if (!pf_refine_runs_capture(&w->runs, t->other.group, &t->other.variant, &t->other.graph, &why))
        return PF_OK;
    pf_log(PF_LOG_WARN, "refine", "not-tried layer=\"%s\" tactic=%s reason=\"%s\"",
           name_of(w, t->other.group), t->other.variant.step->tactic->name, why.msg);
    st = device_of(w)->ops->stream_sync(device_of(w), w->runs.net.context->stream, err);
    drop_trial(w, t);
    return st;
}

/* Empty where the candidate cannot take the place or has no memory.  In the arena all lie where the one before did. */
static pf_status make_trial(const whole *w, uint32_t rank, bool stays, trial *t, pf_err *err)
{
    uint32_t  g = t->other.group;
    pf_err    why = { 0 };
    pf_status st = PF_OK;

    pf_timing_arena_rewind(w->runs.net.arena, w->behind);
    st = pf_refine_variant_make(&w->runs.net, g, w->groups[g].first, rank, stays, &t->other.variant, &why);
    if (st == PF_NO_SPACE)
        drop_trial(w, t);
    if (st)
        return st == PF_NO_SPACE ? PF_OK : pf_err_pass(err, st, &why);
    return t->other.variant.step ? capture_trial(w, t, err) : PF_OK;
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
    return contends(w, g) ? PAIRS_BEFORE_CONTEST : efforts[pf_refine_effort(draft_of(w))].pairs;
}

static pf_refine_terms terms_of(const whole *w, uint32_t g, int least_pairs, int most_pairs)
{
    return (pf_refine_terms){ least_pairs, most_pairs, (double)w->groups[g].count / w->runs.net.step_count };
}

static pf_status compare(const whole *w, int least_pairs, int most_pairs, trial *t, pf_err *err)
{
    pf_refine_terms terms = terms_of(w, t->other.group, least_pairs, most_pairs);

    return pf_refine_compare(w->runs.windows.count ? pf_refine_runs_turns_in_windows : pf_refine_runs_turns,
                             &(pf_refine_duel){ .runs = &w->runs, .other = &t->other }, &terms, &t->verdict, err);
}

static pf_status try_rank(const whole *w, uint32_t g, uint32_t rank, pf_refine_verdict *out, pf_err *err)
{
    trial     t = { .other.group = g };
    pf_status st = make_trial(w, rank, false, &t, err);

    if (!st && t.other.variant.step) {
        st = compare(w, 0, pairs_of(w, g), &t, err);
        log_trial(w, &t, "tried");
    }
    *out = t.verdict;
    drop_trial(w, &t);
    return st;
}

/* What gained in its windows must not lose in the whole. */
static pf_status confirm(const whole *w, const trial *t, bool *confirmed, pf_err *err)
{
    pf_refine_terms   terms = terms_of(w, t->other.group, 0, PAIRS_OF_WHOLE);
    pf_refine_verdict verdict = { 0 };
    pf_status         st = PF_OK;

    *confirmed = true;
    if (!w->runs.windows.count)
        return PF_OK;
    st = pf_refine_compare(pf_refine_runs_turns, &(pf_refine_duel){ .runs = &w->runs, .other = &t->other },
                           &terms, &verdict, err);
    *confirmed = verdict.gain_ns + verdict.error_ns > 0;
    pf_log(PF_LOG_DEBUG, "refine", "whole layer=\"%s\" gain_ns=%lld error_ns=%lld pairs=%d",
           name_of(w, t->other.group), (long long)verdict.gain_ns,
           (long long)verdict.error_ns, verdict.pairs);
    return st;
}

static pf_status take_over(whole *w, uint32_t g, uint32_t rank, const pf_refine_verdict *verdict, pf_err *err)
{
    trial     t = { .other.group = g, .verdict = *verdict };
    bool      confirmed = false;
    pf_status st = make_trial(w, rank, true, &t, err);

    if (!st && t.other.variant.step)
        st = confirm(w, &t, &confirmed, err);
    if (!st && confirmed)
        keep(w, &t, "swap");
    drop_trial(w, &t);
    return st;
}

static bool may_move(const whole *w, uint32_t g)
{
    return pf_timing_arena_room(w->runs.net.arena) && is_short(w, g) &&
           pf_problem_has_constants(pf_refine_problem(draft_of(w), w->groups[g].first));
}

static pf_status go_on(const whole *w, pf_err *err)
{
    return pf_progress_tick(w->progress) ? PF_OK : PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
}

static void begin_place(whole *w, uint32_t place)
{
    pf_timing_arena_begin(w->runs.net.arena, place);
    w->behind = pf_timing_arena_mark(w->runs.net.arena);
}

/* In that place of the arena the plan's own candidate stands, and the others lie behind it.  What stood before it does
   not run any more. */
static pf_status move(whole *w, uint32_t g, uint32_t place, pf_err *err)
{
    trial     t = { .other.group = g };
    pf_status st = PF_OK;

    begin_place(w, place);
    st = make_trial(w, 0, false, &t, err);
    if (!st && !t.other.variant.step)
        st = PF_FAIL(err, PF_NO_SPACE, "what stands cannot be made ready elsewhere");
    if (!st) {
        w->behind = pf_timing_arena_mark(w->runs.net.arena);
        keep(w, &t, "moved");
    }
    drop_trial(w, &t);
    return st;
}

/* There may be no memory for it. */
static pf_status move_first(whole *w, uint32_t g, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = may_move(w, g) ? move(w, g, 0, &why) : PF_OK;

    return st && st != PF_NO_SPACE ? pf_err_pass(err, st, &why) : PF_OK;
}

/* Few pairs in many places tell more than many in few. */
static pf_status try_elsewhere(const whole *w, uint32_t g, uint32_t rank, pf_refine_verdict *verdict, pf_err *err)
{
    trial     t = { .other.group = g };
    pf_status st = make_trial(w, rank, false, &t, err);

    if (!st && !t.other.variant.step)
        st = PF_FAIL(err, PF_NO_SPACE, "a candidate cannot be made ready elsewhere");
    if (!st)
        st = compare(w, PAIRS_ELSEWHERE, PAIRS_ELSEWHERE, &t, err);
    if (!st) {
        pf_refine_verdict_add(verdict, &t.verdict);
        log_trial(w, &t, "elsewhere");
    }
    drop_trial(w, &t);
    return st;
}

/* Those that may be picked in one more place: what it tells counts for all of them or for none. */
static pf_status try_place(whole *w, uint32_t g, const uint32_t *ranks, const int *open, int count,
                           pf_refine_verdict *verdicts, pf_err *err)
{
    pf_refine_verdict seen[TRIALS_PER_PROBLEM] = { { 0 } };
    pf_status         st = PF_OK;

    for (int i = 0; i < count && !st; i++) {
        seen[i] = verdicts[open[i]];
        st = go_on(w, err);
        if (!st)
            st = try_elsewhere(w, g, ranks[open[i]], &seen[i], err);
    }
    for (int i = 0; i < count && !st; i++)
        verdicts[open[i]] = seen[i];
    return st;
}

/* Where nothing of the arena is read: who was to stand in a place and could not may have been put over what stood. */
static pf_status stay_home(whole *w, uint32_t g, pf_err *err)
{
    pf_refine_variant_drop(&w->runs.net, &w->runs.kept[g]);
    return pf_refine_runs_look_at(&w->runs, g, err);
}

/* Where a layer's weights lie changes the time of short runs, and nobody knows where they will lie when the plan is
   loaded.  So whoever may be picked is compared in several places, which are the same in each build.  Groups that were
   not tried yet keep half of the time. */
static pf_status look_elsewhere(whole *w, uint32_t g, const uint32_t *ranks, const pf_timing_entry *const *entries,
                                uint32_t tried, pf_refine_verdict *verdicts, pf_err *err)
{
    int       open[TRIALS_PER_PROBLEM] = { 0 }, count = 1;
    int64_t   start_ns = pf_clock_ns(), end_ns = start_ns + budget_of(w) / ELSEWHERE - w->elsewhere_ns;
    pf_status st = PF_OK;

    for (uint32_t place = 1; place < PF_REFINE_PLACES && count && !st && pf_clock_ns() < end_ns; place++) {
        count = pf_refine_undecided(verdicts, entries, (int)tried, open);
        st = count ? move(w, g, place, err) : PF_OK;
        if (!st)
            st = try_place(w, g, ranks, open, count, verdicts, err);
    }
    w->elsewhere_ns += pf_clock_ns() - start_ns;
    if (st != PF_NO_SPACE)
        return st;
    pf_err_clear(err);                  /* for another place: what the others told counts */
    return stay_home(w, g, err);
}

/* On a device that the network slows a clock is shared by all of it, and the whole counts. */
static pf_status open_group(whole *w, uint32_t g, pf_err *err)
{
    pf_status st = PF_OK;

    begin_place(w, 0);
    st = move_first(w, g, err);
    return !st && w->runs.base && !w->load.slows ? pf_refine_runs_look_at(&w->runs, g, err) : st;
}

/* What was moved and not replaced is the plan's own again. */
static void close_group(whole *w, uint32_t g)
{
    if (!w->runs.kept[g].stays)
        pf_refine_variant_drop(&w->runs.net, &w->runs.kept[g]);
}

/* ---- On a device that the network slows */

static pf_status contend(const whole *w, uint32_t g, uint32_t rank, pf_refine_verdict *out, pf_err *err)
{
    trial     t = { .other.group = g };
    pf_status st = make_trial(w, rank, false, &t, err);

    if (!st && t.other.variant.step) {
        st = pf_refine_load_contest(pf_refine_runs_burst, &(pf_refine_duel){ .runs = &w->runs, .other = &t.other },
                                    &w->load, &t.verdict, err);
        log_trial(w, &t, "kept-busy");
    }
    *out = t.verdict;
    drop_trial(w, &t);
    return st;
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
    const pf_choice       *choice = pf_refine_choice(draft_of(w), w->groups[g].first);
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
    else if (!st && w->runs.kept[g].step)
        st = look_elsewhere(w, g, ranks, entries, tried, verdicts, err);
    if (!st)
        picked = pf_refine_pick(verdicts, entries, (int)tried);
    if (picked >= 0)
        st = take_over(w, g, ranks[picked], &verdicts[picked], err);
    close_group(w, g);
    return st;
}

/* Processors run what is enqueued at once: what keeps them busy is the network itself. */
static pf_status look_at_load(whole *w, pf_err *err)
{
    pf_status st = PF_OK;

    if (device_of(w)->ops->capture_begin)
        st = pf_refine_load_look(pf_refine_runs_blocks, &w->runs, &w->load, err);
    if (!st && w->load.slows)
        pf_log(PF_LOG_DEBUG, "refine", "slows busy_ns=%lld warm_runs=%lld", (long long)w->load.run_ns,
               (long long)w->load.warm_runs);
    w->runs.warm_runs = w->load.warm_runs;
    return st;
}

static pf_status try_all(whole *w, pf_err *err)
{
    pf_status st = pf_refine_runs_capture(&w->runs, 0, NULL, &w->runs.base, err);

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

    for (uint32_t s = 0; s < w->runs.net.step_count && !st; s++)
        if (w->runs.kept[w->runs.net.group_of[s]].rank)
            st = pf_refinement_add(out, s, w->runs.kept[w->runs.net.group_of[s]].rank, err);
    return st;
}

static bool is_capturable(const pf_context *context)
{
    return !context->device->ops->capture_begin || context->instance->capturable;
}

static void close_whole(whole *w)
{
    pf_refine_runs_close(&w->runs);
    pf_free(w->groups);
    pf_free(w->order);
}

pf_status pf_refine_whole(const pf_draft *draft, pf_context *context, pf_timing_arena *arena,
                          pf_build_progress *progress, pf_refinement *out, pf_err *err)
{
    uint32_t  step_count = context->plan->step_count;
    whole     w = { .progress = progress };
    pf_status st = PF_OK;

    if (!step_count || !is_capturable(context))
        return PF_OK;
    st = pf_refine_runs_open(draft, context, arena, &w.runs, err);
    w.groups = pf_calloc(step_count, sizeof *w.groups);
    w.order = pf_calloc(step_count, sizeof *w.order);
    if (!st && (!w.groups || !w.order))
        st = PF_FAIL_MEMORY(err, step_count * sizeof *w.groups);
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
