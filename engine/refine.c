#include "engine/refine_private.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "engine/timing_lock.h"

enum { RANKS = 3, LEAST_GAIN_NS = 2000, SEED = 7, EFFORT_FOR_WHOLE = 4 };

/* Raised when what is tried, what counts or who takes over changes: what was found by other rules is not used then. */
enum { RULES_REVISION = 16 };

#define SLOWEST_WORTH_TRYING 1.5        /* times of candidates alone, against the first one's */
#define GAIN                 0.02       /* a candidate takes over when a step and its next are faster by this part */

/* Runs of the network for each arrangement, and the time that all of them together may take. */
static const struct { int rounds; int64_t budget_ns; } efforts[] = {
    { 0, 0 }, { 0, 0 }, { 3, 5 * PF_NS_PER_S }, { 7, 20 * PF_NS_PER_S }, { 11, 60 * PF_NS_PER_S },
    { 15, 300 * PF_NS_PER_S },
};

typedef struct trial {                  /* a step with another candidate; step NULL: there is none */
    pf_step    *step;                   /* owned */
    void       *packed, *workspace;     /* owned */
    pf_bindings bindings;
} trial;

typedef struct refining {
    const pf_draft    *draft;
    pf_device         *device;
    pf_timing_arena   *arena;           /* borrowed; NULL: none */
    pf_allocator       allocator;       /* of the context and what is bound to it: the arena's */
    pf_build_progress *progress;
    pf_context        *context;
    void             **io;              /* owned; device memory by io of the plan */
    uint32_t           count;           /* steps */
    trial             *trials;          /* by step, of the rank that is tried now */
    int64_t           *spent;           /* by step, of one run */
    /* by step: least time with the next step, of the first candidate and of the best */
    int64_t           *base_ns, *best_ns;
    uint32_t          *best;            /* by step: rank */
} refining;

/* ---- Which draft this is */

const pf_choice *pf_refine_choice(const pf_draft *draft, uint32_t step)
{
    return &draft->formats->search->items[draft->step_item[step]].choice;
}

const pf_problem *pf_refine_problem(const pf_draft *draft, uint32_t step)
{
    return draft->formats->search->items[draft->step_item[step]].problem;
}

int pf_refine_effort(const pf_draft *draft)
{
    return (int)pf_config_int(draft->formats->search->config, PF_CONFIG_effort);
}

static void hash_range(pf_hash *hash, const pf_profile *profile)
{
    for (uint32_t i = 0; i < profile->count; i++) {
        pf_hash_add_u64(hash, (uint64_t)profile->least[i]);
        pf_hash_add_u64(hash, (uint64_t)profile->most[i]);
    }
}

static void digest_candidates(const pf_draft *draft, pf_digest *out)
{
    pf_hash hash;

    pf_hash_init(&hash);
    pf_hash_add_u64(&hash, RULES_REVISION);
    pf_hash_add_u64(&hash, (uint64_t)pf_refine_effort(draft));
    hash_range(&hash, draft->formats->profile);
    for (uint32_t s = 0; s < draft->plan.step_count; s++) {
        const pf_choice *choice = pf_refine_choice(draft, s);

        pf_hash_add(&hash, draft->plan.steps[s].problem->hash.byte, sizeof(pf_digest));
        pf_hash_add(&hash, pf_refine_problem(draft, s)->hash.byte, sizeof(pf_digest));
        for (uint32_t r = 0; r < choice->count; r++) {
            pf_hash_add_string(&hash, choice->ranked[r]->tactic);
            pf_hash_add_string(&hash, choice->ranked[r]->tuning);
            pf_hash_add_u64(&hash, choice->ranked[r]->rev);
        }
    }
    pf_hash_end(&hash, out);
}

pf_status pf_refine_find(pf_timing_store *store, const pf_device *device, const pf_draft *draft, pf_refinement *out,
                         pf_err *err)
{
    int effort = pf_refine_effort(draft);

    *out = (pf_refinement){ .known = true };
    if (effort < 0 || effort >= (int)(sizeof efforts / sizeof efforts[0]) || !efforts[effort].rounds)
        return PF_OK;
    digest_candidates(draft, &out->candidates);
    out->known = false;
    return pf_refine_record_find(store, device, out, err);
}

void pf_refine_apply(const pf_refinement *refinement, pf_draft *draft)
{
    for (uint32_t i = 0; i < refinement->count; i++) {
        const pf_refine_swap *swap = &refinement->swaps[i];

        if (swap->step < draft->plan.step_count && swap->rank < pf_refine_choice(draft, swap->step)->count)
            pf_builder_prefer(draft, swap->step, pf_refine_choice(draft, swap->step)->ranked[swap->rank]);
    }
}

/* ---- A network that runs */

static void fill(pf_dtype dtype, void *data, size_t bytes, pf_random *random)
{
    memset(data, 0, bytes);     /* integers are indexes as often as not: 0 is one everywhere */
    for (size_t i = 0; i < bytes / sizeof(float) && dtype == PF_F32; i++)
        ((float *)data)[i] = (float)pf_random_normal(random);
}

static pf_status fill_device(const refining *r, void *to, pf_dtype dtype, size_t bytes, pf_random *random, pf_err *err)
{
    const pf_device_ops *ops = r->device->ops;
    void                *host = pf_alloc_aligned(PF_PLAN_ALIGNMENT, bytes + 1);
    pf_status            st = host ? PF_OK : PF_FAIL_MEMORY(err, bytes);

    if (!st) {
        fill(dtype, host, bytes, random);
        st = ops->upload(r->device, r->context->stream, to, host, bytes, err);
    }
    if (!st)
        st = ops->stream_sync(r->device, r->context->stream, err);
    pf_free(host);
    return st;
}

static pf_status bind_io(refining *r, pf_err *err)
{
    const pf_plan *plan = r->context->plan;
    pf_random      random;
    pf_status      st = PF_OK;

    pf_random_init(&random, SEED);
    for (uint32_t i = 0; i < plan->io_count && !st; i++) {
        size_t bytes = r->context->instance->value_bytes[plan->io_value[i]];

        if (plan->values[plan->io_value[i]].home != PF_HOME_IO)
            continue;
        st = pf_device_take(r->device, &r->allocator, bytes + 1, &r->io[i], err);
        if (!st && plan->io[i].is_input)
            st = fill_device(r, r->io[i], plan->io[i].dtype, bytes, &random, err);
        if (!st)
            st = pf_context_bind(r->context, i, r->io[i], err);
    }
    return st ? st : pf_context_prepare(r->context, err);
}

/* A product of cuBLASLt that adds in place kept our own one, which made a network 3.6 % faster, from being tried.  On a
   CPU it matters whether a step works in place: there it is compared as it will run. */
static pf_status make_ready(refining *r, pf_plan *plan, pf_err *err)
{
    pf_status st = PF_OK;

    pf_timing_arena_clear(r->arena);
    pf_timing_arena_lend(r->arena, &r->allocator);
    st = pf_context_new(plan, r->device, &r->allocator, &r->context, err);
    if (!st && r->device->ops->capture_begin)
        pf_resident_keep_apart(r->context->resident);
    for (uint32_t i = 0; !st && i < plan->io_count; i++)
        if (plan->io[i].is_input && plan->values[plan->io_value[i]].home == PF_HOME_IO)
            st = pf_context_set_shape(r->context, i, plan->io[i].opt, plan->io[i].rank, err);
    if (!st)
        st = pf_context_prepare(r->context, err);
    if (!st)
        st = bind_io(r, err);
    pf_timing_arena_fix(r->arena);
    return st;
}

/* ---- Candidates in place of others */

bool pf_refine_fits_memory(const pf_bindings *bindings, const pf_problem *problem, const pf_step *step)
{
    for (uint32_t i = 0; i < problem->graph->input_count; i++)
        if (bindings->in[i] && problem->graph->output_count && bindings->in[i] == bindings->out[0] &&
            step->in_place != (int32_t)i)
            return false;
    return true;
}

static void drop_trial(trial *t)
{
    pf_step_free(t->step);
    pf_free(t->packed);
    pf_free(t->workspace);
    *t = (trial){ 0 };
}

pf_status pf_refine_pack(const pf_draft *draft, uint32_t step, const pf_step *prepared, void **out, pf_err *err)
{
    const pf_plan_step *planned = &draft->plan.steps[step];
    void               *packed = pf_alloc_aligned(PF_PLAN_ALIGNMENT, prepared->packed_bytes);
    pf_status           st = packed ? PF_OK : PF_FAIL_MEMORY(err, prepared->packed_bytes);

    if (!st) {
        memset(packed, 0, prepared->packed_bytes);
        st = pf_builder_pack_constants(draft, planned, pf_refine_problem(draft, step), prepared, NULL, packed, err);
    }
    if (st)
        pf_free(packed);
    *out = st ? NULL : packed;
    return st;
}

/* A candidate that cannot be made ready is none; the first one stays. */
static pf_status set_trial(refining *r, uint32_t s, const pf_timing_entry *entry, pf_err *err)
{
    const pf_problem *problem = pf_refine_problem(r->draft, s);
    const pf_tactic  *tactic = pf_tactic_find(entry->tactic);
    trial            *t = &r->trials[s];
    pf_err            ignored = { 0 };
    pf_status         st = PF_OK;

    if (!tactic || tactic->prepare(r->device, problem, entry->tuning, NULL, 0, &t->step, &ignored))
        return PF_OK;
    t->bindings = r->context->step_bindings[s];
    if (!pf_refine_fits_memory(&t->bindings, problem, t->step) ||
        (pf_problem_has_constants(problem) && !t->step->packed_bytes)) {
        drop_trial(t);
        return PF_OK;
    }
    if (t->step->packed_bytes)
        st = pf_refine_pack(r->draft, s, t->step, &t->packed, err);
    if (!st && t->step->workspace_bytes) {
        t->workspace = pf_alloc_aligned(PF_PLAN_ALIGNMENT, t->step->workspace_bytes);
        st = t->workspace ? PF_OK : PF_FAIL_MEMORY(err, t->step->workspace_bytes);
    }
    t->bindings.packed = t->packed;
    t->bindings.workspace = t->workspace;
    return st;
}

static bool is_worth_trying(const refining *r, uint32_t s, uint32_t rank)
{
    const pf_choice *choice = pf_refine_choice(r->draft, s);

    return rank < choice->count && choice->ranked[rank]->status == PF_TIMED &&
           pf_problem_is_bound(pf_refine_problem(r->draft, s)) &&
           (double)pf_choose_time(choice->ranked[rank]) <
               SLOWEST_WORTH_TRYING * (double)pf_choose_time(choice->ranked[0]);
}

/* ---- Measuring */

/* parity 0 or 1: the steps with such a number run their trials; 2: none does. */
static pf_status run_once(refining *r, uint32_t parity, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < r->count && !st; s++) {
        const trial *t = &r->trials[s];
        int64_t      start = pf_clock_ns();

        if (s % 2 == parity && t->step)
            st = t->step->tactic->enqueue(t->step, &t->bindings, r->context->stream, err);
        else
            st = pf_context_enqueue_step(r->context, s, r->context->stream, err);
        r->spent[s] = pf_clock_ns() - start;
    }
    return st;
}

static int64_t window(const refining *r, uint32_t s)
{
    return r->spent[s] + (s + 1 < r->count ? r->spent[s + 1] : 0);
}

static void note(refining *r, uint32_t parity, int64_t *trial_ns)
{
    for (uint32_t s = 0; s < r->count; s++) {
        int64_t *least = parity == 2 ? &r->base_ns[s] : &trial_ns[s];

        if ((parity == 2 || (s % 2 == parity && r->trials[s].step)) && window(r, s) < *least)
            *least = window(r, s);
    }
}

static pf_status run_rounds(refining *r, int rounds, int64_t *trial_ns, pf_err *err)
{
    pf_status st = run_once(r, 0, err);     /* pages are touched and code is loaded */

    if (!st)
        st = run_once(r, 1, err);
    for (int round = 0; round < rounds && !st; round++)
        for (uint32_t parity = 0; parity <= 2 && !st; parity++) {
            if (!pf_progress_tick(r->progress))
                return PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
            st = run_once(r, parity, err);
            note(r, parity, trial_ns);
        }
    return st;
}

static pf_status try_rank(refining *r, uint32_t rank, int rounds, pf_err *err)
{
    int64_t  *trial_ns = pf_calloc(r->count + 1, sizeof *trial_ns);
    pf_status st = trial_ns ? PF_OK : PF_FAIL_MEMORY(err, r->count * sizeof *trial_ns);

    for (uint32_t s = 0; s < r->count && !st; s++) {
        trial_ns[s] = INT64_MAX;
        if (is_worth_trying(r, s, rank))
            st = set_trial(r, s, pf_refine_choice(r->draft, s)->ranked[rank], err);
    }
    if (!st)
        st = run_rounds(r, rounds, trial_ns, err);
    for (uint32_t s = 0; s < r->count; s++) {
        if (!st && trial_ns[s] < r->best_ns[s]) {
            r->best_ns[s] = trial_ns[s];
            r->best[s] = rank;
        }
        drop_trial(&r->trials[s]);
    }
    pf_free(trial_ns);
    return st;
}

static pf_status pick(const refining *r, pf_refinement *out, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < r->count && !st; s++) {
        int64_t gain = r->best[s] ? r->base_ns[s] - r->best_ns[s] : 0;

        if (gain < LEAST_GAIN_NS || (double)gain < GAIN * (double)r->base_ns[s])
            continue;
        st = pf_refinement_add(out, s, r->best[s], err);
        pf_log(PF_LOG_DEBUG, "refine", "swap layer=\"%s\" tactic=%s tuning=\"%s\" gain_ns=%lld",
               r->draft->plan.steps[s].name, pf_refine_choice(r->draft, s)->ranked[r->best[s]]->tactic,
               pf_refine_choice(r->draft, s)->ranked[r->best[s]]->tuning, (long long)gain);
    }
    return st;
}

/* One run says whether all of them would take too long. */
static pf_status is_affordable(refining *r, bool *affordable, pf_err *err)
{
    int       effort = pf_refine_effort(r->draft);
    int64_t   total = 0;
    pf_status st = run_once(r, 2, err);

    if (!st)
        st = run_once(r, 2, err);
    for (uint32_t s = 0; s < r->count; s++)
        total += r->spent[s];
    *affordable = total * (RANKS - 1) * 3 * efforts[effort].rounds <= efforts[effort].budget_ns;
    return st;
}

static pf_status measure(refining *r, pf_refinement *out, pf_err *err)
{
    bool      affordable = false;
    pf_status st = is_affordable(r, &affordable, err);

    for (uint32_t s = 0; s < r->count; s++)
        r->base_ns[s] = r->best_ns[s] = INT64_MAX;
    for (uint32_t rank = 1; rank < RANKS && affordable && !st; rank++)
        st = try_rank(r, rank, efforts[pf_refine_effort(r->draft)].rounds, err);
    return st || !affordable ? st : pick(r, out, err);
}

/* Whole runs take longer to tell one candidate from another: worth it where kernels overlap, or when asked for much. */
static bool takes_whole(const refining *r)
{
    return r->device->ops->capture_begin || pf_refine_effort(r->draft) >= EFFORT_FOR_WHOLE;
}

static pf_status measure_alone(refining *r, pf_refinement *out, pf_err *err)
{
    pf_timing_lock lock = { .fd = -1 };
    pf_status      st = PF_OK;

    pf_timing_lock_open(r->device, &lock);
    st = pf_timing_lock_take(&lock, pf_progress_tick, r->progress, err);
    if (!st) {
        st = takes_whole(r) ? pf_refine_whole(r->draft, r->context, r->arena, r->progress, out, err)
                            : measure(r, out, err);
        pf_timing_lock_drop(&lock);
    }
    pf_timing_lock_close(&lock);
    return st;
}

pf_status pf_refine_measure(pf_timing_store *store, pf_device *device, pf_timing_arena *arena, const pf_draft *draft,
                            pf_plan *plan, pf_build_progress *progress, pf_refinement *refinement, pf_err *err)
{
    refining  r = { .draft = draft, .device = device, .arena = arena, .progress = progress,
                    .count = plan->step_count };
    pf_status st = PF_OK;

    r.io = pf_calloc(plan->io_count + 1, sizeof *r.io);
    r.trials = pf_calloc(r.count + 1, sizeof *r.trials);
    r.spent = pf_calloc(r.count + 1, sizeof *r.spent);
    r.base_ns = pf_calloc(r.count + 1, sizeof *r.base_ns);
    r.best_ns = pf_calloc(r.count + 1, sizeof *r.best_ns);
    r.best = pf_calloc(r.count + 1, sizeof *r.best);
    if (!r.io || !r.trials || !r.spent || !r.base_ns || !r.best_ns || !r.best)
        st = PF_FAIL_MEMORY(err, r.count * sizeof *r.trials);
    if (!st)
        st = make_ready(&r, plan, err);
    if (!st)
        st = measure_alone(&r, refinement, err);
    if (!st)
        st = pf_refine_record_keep(store, device, refinement, err);
    pf_context_free(r.context);
    for (uint32_t i = 0; r.io && i < plan->io_count; i++)
        if (r.io[i])
            pf_device_give_back(device, &r.allocator, r.io[i]);
    pf_free(r.io);
    pf_free(r.trials);
    pf_free(r.spent);
    pf_free(r.base_ns);
    pf_free(r.best_ns);
    pf_free(r.best);
    return st;
}
