/* A build, from network to plan, in the order of pf_build below. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"
#include "base/plan_key.h"
#include "engine/builder_alternatives.h"
#include "engine/builder_care.h"
#include "engine/builder_check.h"
#include "engine/builder_draft.h"
#include "engine/builder_trial.h"
#include "engine/builder_variant.h"
#include "engine/check_record.h"
#include "engine/config.h"
#include "engine/cpu_crowd.h"
#include "engine/freeze.h"
#include "engine/go_on.h"
#include "engine/oracle_ahead.h"
#include "engine/refine.h"

enum { REWRITES_LIMIT = 1 << 20, BUILDS_MOST = 16 };

typedef struct building {
    pf_network        *network;
    const pf_config   *config;
    pf_device         *device;
    const char        *plan_folder;
    pf_timing_store   *store, *own_store;
    pf_build_progress  progress;
    pf_graph          *original;        /* with the profile's shapes: what the plan is checked against */
    pf_profile         profile;
    uint32_t           own_symbols;     /* of the profile, before rewriting made more */
    pf_search          search;
    pf_variant        *chosen;
    pf_draft           draft;
    char              *spec_text;
    pf_buf             rewrites_text;
    pf_plan           *plan;
    pf_builder_verdict verdict;
    pf_digest          model, key;     /* of the network, and of the plan that is built */
    pf_bans            bans;            /* candidates that the check found wrong, now or in an earlier build */
    uint32_t           banned;          /* now */
    bool               in_doubt;        /* choices turned out wrong twice: nothing is refined before all is right */
    bool               unrefined;       /* because of that */
    pf_precision_care  care;            /* taken in lowering; more when the outputs turn out to be off by too much */
    double             lowered_error;   /* that less care would leave, by the references or a check; -1: not known */
    pf_oracle          known;           /* of original at the usual shapes, where care was decided by it, or empty */
    pf_builder_trial   trial;           /* what is tried in the plan */
    pf_oracle_ahead   *ahead;           /* makes that while the plan is refined; or NULL */
} building;

/* Without a folder the kernels are compiled again, which is no reason to stop. */
static void open_kernels(const building *b, const pf_build_options *options)
{
    pf_err why = { 0 };

    if (options && options->kernel_folder && pf_device_keep_kernels(b->device, options->kernel_folder, &why))
        pf_log(PF_LOG_WARN, "builder", "kernels-not-kept reason=\"%s\"", why.msg);
}

static pf_status open_store(building *b, const pf_build_options *options, pf_err *err)
{
    b->store = options ? options->store : NULL;
    if (b->store)
        return PF_OK;
    if (pf_timing_store_memory(&b->own_store, err))
        return PF_NO_SPACE;
    b->store = b->own_store;
    return PF_OK;
}

static pf_status apply_shapes(building *b, pf_err *err)
{
    pf_status st = PF_OK;

    b->original = pf_graph_copy(pf_network_graph(b->network), err);
    if (!b->original)
        return PF_NO_SPACE;
    st = pf_freeze_inputs(b->config, b->original, err);
    if (!st)
        st = pf_profile_apply(b->config, b->original, &b->profile, err);
    b->own_symbols = b->profile.count;
    return st ? st : pf_graph_verify(b->original, err);
}

/* And what earlier builds of the same found out.  A store that does not answer costs only that. */
static pf_status find_key(building *b, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = pf_config_key_text(b->config, &b->spec_text, err);

    if (!st)
        st = pf_network_digest(b->network, &b->model, err);
    if (st)
        return st;
    pf_plan_key(&b->model, b->spec_text, b->device->class_text, PF_BUILDER_ABI, &b->key);
    if (pf_bans_find(b->store, b->device, &b->key, &b->bans, &why))
        pf_log(PF_LOG_WARN, "builder", "bans-unknown reason=\"%s\"", why.msg);
    return PF_OK;
}

/* Before anything is timed: layers in FP32 are other problems. */
static pf_status decide_care(building *b, pf_err *err)
{
    int64_t             start = pf_clock_ns();
    pf_precision_choice choice = { 0 };
    pf_status           st = PF_OK;

    b->lowered_error = -1;
    if (!pf_builder_rounds(b->config, b->device))
        return PF_OK;
    st = pf_builder_care(b->store, b->device, b->config, &b->key, b->original, &b->profile, &choice, &b->known, err);
    b->care = choice.care;
    b->lowered_error = choice.lowered_error;
    pf_progress_spent(&b->progress, PF_PART_CARE, start);
    return st;
}

static pf_status rewrite(building *b, pf_err *err)
{
    int64_t   start = pf_clock_ns();
    pf_status st = pf_progress_phase(&b->progress, PF_PHASE_REWRITE, err);

    if (!st)
        st = pf_variant_new(b->original, b->config, b->device, b->care, NULL, NULL, &b->chosen, err);
    pf_progress_spent(&b->progress, PF_PART_FRONT, start);
    return st ? st : pf_profile_cover(&b->profile, b->chosen->graph, err);
}

/* Symbols that rewriting made have no range, so the same profile does for every variant, as long as it covers it. */
static pf_status choose_for(building *b, pf_variant *variant, pf_err *err)
{
    int64_t   start = pf_clock_ns();
    pf_status st = PF_OK;

    b->profile.count = b->own_symbols;
    st = pf_profile_cover(&b->profile, variant->graph, err);
    if (!st)
        st = pf_variant_form(variant, b->config, b->device, &b->profile, err);
    pf_progress_spent(&b->progress, PF_PART_FRONT, start);
    return st ? st : pf_variant_choose(variant, &b->profile, &b->search, err);
}

/* The network without what a rule did, which is kept when it costs less. */
static pf_status try_without(building *b, const pf_rule *rule, pf_err *err)
{
    pf_variant *without = NULL, *worse = NULL;
    int64_t     start = pf_clock_ns();
    pf_status   st = pf_variant_new(b->original, b->config, b->device, b->care, b->chosen, rule, &without, err);

    pf_progress_spent(&b->progress, PF_PART_FRONT, start);
    if (!st)
        st = choose_for(b, without, err);
    if (st) {
        pf_variant_free(without);
        return st;
    }
    worse = without->formats.cost_ns < b->chosen->formats.cost_ns ? b->chosen : without;
    pf_log(PF_LOG_DEBUG, "builder", "tried rule=%s with_ns=%.0f without_ns=%.0f", rule->name,
           b->chosen->formats.cost_ns, without->formats.cost_ns);
    b->chosen = worse == without ? b->chosen : without;
    pf_variant_free(worse);
    b->profile.count = b->own_symbols;
    return pf_profile_cover(&b->profile, b->chosen->graph, err);
}

/* With effort 0 nothing is known of what it costs. */
static pf_status try_variants(building *b, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < b->chosen->rewrites.count && pf_config_int(b->config, PF_CONFIG_effort) > 0 && !st; i++)
        if (pf_variant_may_do_without(b->chosen, i))
            st = try_without(b, b->chosen->rewrites.uses[i].rule, err);
    return st;
}

/* Candidates need much memory while they are timed, and rewriting reads weights, which packing reads one by one. */
static void give_memory_back(const building *b)
{
    if (b->device->ops->rest)
        b->device->ops->rest(b->device, true);
    pf_graph_forget_constants(b->original);
    if (b->search.candidates_timed)
        pf_alloc_trim(0);
}

static pf_status choose(building *b, pf_err *err)
{
    pf_status st = pf_search_open(b->device, b->config, b->store, &b->progress, &b->search, err);

    b->search.bans = &b->bans;
    if (!st)
        st = pf_progress_phase(&b->progress, PF_PHASE_TIME, err);
    if (!st)
        st = choose_for(b, b->chosen, err);
    if (!st)
        st = try_variants(b, err);
    give_memory_back(b);
    return st ? st : pf_progress_phase(&b->progress, PF_PHASE_CHOOSE, err);
}

static pf_status fill_head(building *b, pf_err *err)
{
    struct pf_plan *head = &b->draft.plan;

    pf_buf_clear(&b->rewrites_text);
    pf_buf_init(&b->rewrites_text, REWRITES_LIMIT);
    pf_rewrite_report_print(&b->chosen->rewrites, false, &b->rewrites_text);
    if (b->rewrites_text.failed)
        return PF_FAIL_MEMORY(err, REWRITES_LIMIT);
    head->network_name = pf_network_name(b->network);
    head->builder_abi = PF_BUILDER_ABI;
    head->class_name = b->device->class_name;
    head->class_text = b->device->class_text;
    head->spec_text = b->spec_text;
    head->rewrites = b->rewrites_text.data ? (const char *)b->rewrites_text.data : "";
    head->model = b->model;
    head->key = b->key;
    return PF_OK;
}

/* will_run: a plan that is refined or checked is run here, and reads its weights from memory. */
static pf_status write_draft(building *b, bool will_run, pf_err *err)
{
    pf_plan_file  file = { .fd = -1 };
    pf_plan_sink *sink = NULL;
    pf_step_tries tries = pf_builder_trial_tries(&b->trial);
    int64_t       start = pf_clock_ns();
    pf_status     st = fill_head(b, err);

    if (!st)
        st = pf_plan_sink_open(b->plan_folder, !will_run, &sink, err);
    if (!st)
        st = pf_builder_pack(&b->draft, b->device, sink, &tries, err);
    if (!st)
        st = pf_plan_sink_finish(sink, &file, err);
    if (!st)
        st = pf_plan_write(&b->draft.plan, &file, err);
    pf_plan_sink_close(sink);
    pf_progress_spent(&b->progress, PF_PART_WRITE, start);
    if (!st)
        return pf_plan_take(&file, &b->plan, err);
    if (file.fd >= 0)
        close(file.fd);
    return st;
}

/* Without it the check makes it itself. */
static void expect_ahead(building *b)
{
    pf_oracle_wanted wanted = { b->original, b->profile.usual };

    if (!b->known.in && !b->ahead && pf_oracle_ahead_pays(b->device))
        (void)pf_oracle_ahead_start(&wanted, 1, UINT64_MAX, &b->ahead, NULL);
}

static void stop_expecting(building *b)
{
    pf_oracle_ahead_end(b->ahead);
    b->ahead = NULL;
}

/* NULL: nobody made it. */
static const pf_oracle *take_expected(building *b)
{
    if (!b->known.in)
        (void)pf_oracle_ahead_take(b->ahead, 0, &b->known);
    return b->known.in ? &b->known : NULL;
}

/* What the first choices are worth inside the network; with other choices the plan is drafted anew. */
static pf_status refine(building *b, pf_refinement *refinement, pf_err *err)
{
    int64_t   start = pf_clock_ns();
    pf_err    why = { .list = err ? err->list : NULL };
    pf_status st = PF_OK;

    expect_ahead(b);
    st = pf_refine_measure(b->store, b->device, pf_search_arena(&b->search), &b->draft, b->plan, &b->progress,
                           refinement, &why);
    pf_progress_spent(&b->progress, PF_PART_REFINE, start);
    if (st && st != PF_CANCELLED) {     /* the check of the plan finds out whether a layer fails */
        pf_log(PF_LOG_WARN, "builder", "not-refined reason=\"%s\"", why.msg);
        return PF_OK;
    }
    if (st)
        return pf_err_pass(err, st, &why);
    if (!refinement->count)
        return PF_OK;
    pf_plan_free(b->plan);
    b->plan = NULL;
    pf_builder_draft_clear(&b->draft);
    st = pf_builder_draft(&b->chosen->formats, &b->profile, &b->draft, err);
    if (st)
        return st;
    pf_refine_apply(refinement, &b->draft);
    return write_draft(b, true, err);
}

static pf_status write_plan(building *b, pf_err *err)
{
    pf_refinement refinement = { 0 };
    bool          refines = false;
    pf_status     st = pf_progress_phase(&b->progress, PF_PHASE_PACK, err);

    if (!st)
        st = pf_builder_draft(&b->chosen->formats, &b->profile, &b->draft, err);
    if (!st)
        st = pf_refine_find(b->store, b->device, &b->draft, &refinement, err);
    if (!st) {
        pf_refine_apply(&refinement, &b->draft);
        st = write_draft(b, b->search.candidates_timed || !refinement.known, err);
    }
    refines = !st && !refinement.known && !pf_config_bool(b->config, PF_CONFIG_replay);
    b->unrefined = refines && b->in_doubt;
    if (refines && !b->in_doubt)
        st = refine(b, &refinement, err);
    if (!refinement.known)
        give_memory_back(b);
    pf_refinement_clear(&refinement);
    return st;
}

/* Bytes that were checked on this class of device before are not checked again. */
static pf_status check_plan(building *b, pf_err *err)
{
    pf_digest        draft = { 0 };
    pf_builder_check check = { b->original, b->chosen->graph, b->draft.graph_value, &b->profile, b->chosen->numerics,
                               pf_config_int(b->config, PF_CONFIG_effort) == 0, NULL,
                               pf_builder_trial_tries(&b->trial) };
    int64_t          start = pf_clock_ns();
    pf_status        st = pf_progress_phase(&b->progress, PF_PHASE_VERIFY, err);

    if (st)
        return st;
    pf_plan_table_digest(b->plan, &draft);
    if (!pf_check_record_find(b->store, b->device, &draft, &b->verdict)) {
        check.known = take_expected(b);
        st = pf_builder_check_plan(b->plan, b->device, &check, &b->verdict, err);
        if (!st)
            st = pf_check_record_keep(b->store, b->device, &draft, &b->verdict, err);
    }
    stop_expecting(b);
    b->plan->check = b->verdict.plan;
    if (!st)
        st = pf_plan_write_check(b->plan, err);
    pf_progress_spent(&b->progress, PF_PART_VERIFY, start);
    return st;
}

static void fill_report(const building *b, pf_build_report *report)
{
    *report = (pf_build_report){
        .problems = b->search.count, .candidates_timed = b->search.candidates_timed, .cache_hits = b->search.hits,
        .cache_misses = b->search.misses, .candidates_banned = b->banned,
        .build_seconds = (double)(pf_clock_ns() - b->progress.start_ns) / PF_NS_PER_S,
        .timing_seconds = (double)pf_search_timing_ns(&b->search) / PF_NS_PER_S,
    };
    report->lowered_error = b->lowered_error;
    if (b->care != PF_CARE_USUAL)
        pf_precision_care_text(b->care, report->fp32, sizeof report->fp32);
    for (int part = 0; part < PF_PART_COUNT; part++)
        report->part_seconds[part] = (double)b->progress.spent_ns[part] / PF_NS_PER_S;
    if (!b->plan)
        return;
    report->products_on_host = b->chosen->tail.graph ? pf_precision_products(b->chosen->tail.graph) : 0;
    report->max_rel_error = b->plan->check.max_rel_error;
    report->memory_bytes = b->plan->check.memory_bytes;
    report->memory_lower_bound_bytes = b->plan->check.memory_lower_bound_bytes;
    report->weights_bytes = b->plan->weights_bytes;
    report->least_cosine = b->verdict.least_cosine;
    report->device_bytes = b->verdict.device_bytes;
    report->device_bound_bytes = pf_plan_device_bound_bytes(b->plan, b->device);
}

/* ---- Precision: what was lowered too far is built again */

static bool is_too_far_off(const building *b, pf_status st)
{
    const char *most = pf_config_value(b->config, PF_CONFIG_max_error);

    return st == PF_MISMATCH ? b->verdict.by_rounding
                             : !st && *most && b->verdict.plan.max_rel_error > pf_number_read(most, NULL);
}

static bool can_be_raised(const building *b)
{
    const pf_precision_care most = PF_CARE_ALL | PF_CARE_EXACT;

    return pf_builder_rounds(b->config, b->device) && (b->care & most) != most;
}

static void start_over(building *b)
{
    stop_expecting(b);
    pf_builder_draft_clear(&b->draft);
    pf_variant_free(b->chosen);
    b->chosen = NULL;
    pf_search_close(&b->search);
    pf_plan_free(b->plan);
    b->plan = NULL;
    pf_blames_clear(&b->verdict.blames);
    b->verdict = (pf_builder_verdict){ 0 };
    b->profile.count = b->own_symbols;
}

static pf_status build_once(building *b, pf_err *err)
{
    pf_status st = rewrite(b, err);

    if (!st)
        st = choose(b, err);
    if (!st)
        st = write_plan(b, err);
    return st ? st : check_plan(b, err);
}

/* ---- Candidates that turn out wrong in the whole plan: the next ones are taken */

/* Is there another candidate for the step's layer?  tuning: NULL for all of that tactic. */
static bool has_other(const building *b, uint32_t step, const char *tactic, const char *tuning)
{
    pf_alternatives others = { 0 };
    bool            any = false;

    if (!pf_builder_alternatives(&b->draft, step, &others, NULL))
        for (uint32_t i = 0; i < others.count; i++)
            any |= strcmp(others.items[i].tactic, tactic) || (tuning && strcmp(others.items[i].tuning, tuning));
    pf_builder_alternatives_clear(&others);
    return any;
}

/* With a first guess the tactic fails whatever the plan's tuning is. */
static bool ban(building *b, const pf_blame *blame, pf_err *err)
{
    const pf_plan_step      *step = &b->draft.plan.steps[blame->step];
    const pf_plan_candidate *candidate = &step->ranked[blame->candidate];
    const pf_problem        *problem = b->search.items[b->draft.step_item[blame->step]].problem;
    const pf_tactic         *tactic = pf_tactic_find(candidate->tactic);
    const char              *tuning = blame->guessed ? PF_BAN_EVERY_TUNING : candidate->tuning;

    if (!tactic || (tactic->flags & PF_TACTIC_ORACLE) ||
        !has_other(b, blame->step, candidate->tactic, blame->guessed ? NULL : tuning) ||
        pf_bans_has(&b->bans, &problem->hash, candidate->tactic, tuning, candidate->rev))
        return false;
    pf_err_note(err, blame->status, step->name, "candidate %s %s: %s", candidate->tactic, tuning, blame->why);
    pf_log(PF_LOG_WARN, "builder", "banned layer=\"%s\" tactic=%s tuning=\"%s\" reason=\"%s\": the next one is taken",
           step->name, candidate->tactic, tuning, blame->why);
    return !pf_bans_add(&b->bans, &problem->hash, candidate->tactic, tuning, candidate->rev, blame->why,
                        blame->status != PF_NO_SPACE, NULL);
}

/* False: nobody is to blame, or nobody can take over. */
static bool ban_blamed(building *b, pf_err *err)
{
    pf_err why = { 0 };
    bool   any = false;

    for (uint32_t i = 0; i < b->verdict.blames.count; i++)
        if (ban(b, &b->verdict.blames.items[i], err)) {
            any = true;
            b->banned++;
        }
    if (any && pf_bans_keep(b->store, b->device, &b->key, &b->bans, &why))
        pf_log(PF_LOG_WARN, "builder", "bans-not-kept reason=\"%s\"", why.msg);
    return any;
}

static pf_status build_with_others(building *b, pf_err *err)
{
    pf_status st = build_once(b, err);

    for (int i = 1; i < BUILDS_MOST && (st ? ban_blamed(b, err) : b->unrefined); i++) {
        pf_err_clear(err);
        b->in_doubt = st && i > 1;
        start_over(b);
        st = build_once(b, err);
    }
    b->in_doubt = false;
    return st;
}

static pf_status build_with_care(building *b, pf_err *err)
{
    char      text[PF_CARE_TEXT_BYTES] = "";
    pf_status st = build_with_others(b, err);

    while (is_too_far_off(b, st) && can_be_raised(b)) {
        b->lowered_error = fmax(b->lowered_error, b->verdict.plan.max_rel_error);
        b->care = pf_builder_more_care(b->config, b->care);
        pf_precision_care_text(b->care, text, sizeof text);
        pf_log(PF_LOG_WARN, "builder", "precision-raised fp32=\"%s\" error=%.2g reason=\"%s\"", text,
               b->verdict.plan.max_rel_error,
               !st ? "it is above max_error" : err ? err->msg : "it is beyond tolerance");
        pf_err_clear(err);
        start_over(b);
        st = build_with_others(b, err);
    }
    if (st || !is_too_far_off(b, st))
        return st;
    return PF_FAIL(err, PF_MISMATCH,
                   "the outputs are off by %.2g of their range with everything computed in FP32, and max_error is %s: "
                   "such a network makes too much of the last bits; allow more, or leave max_error out",
                   b->verdict.plan.max_rel_error, pf_config_value(b->config, PF_CONFIG_max_error));
}

static void building_clear(building *b)
{
    stop_expecting(b);
    pf_builder_draft_clear(&b->draft);
    pf_variant_free(b->chosen);
    pf_search_close(&b->search);
    pf_profile_clear(&b->profile);
    pf_graph_free(b->original);
    pf_free(b->spec_text);
    pf_buf_clear(&b->rewrites_text);
    pf_plan_free(b->plan);
    pf_bans_clear(&b->bans);
    pf_blames_clear(&b->verdict.blames);
    pf_oracle_clear(&b->known);
    if (b->own_store)
        b->own_store->close(b->own_store);
}

pf_status pf_build(pf_network *network, const pf_config *config, pf_device *device, const pf_build_options *options,
                   pf_plan **out, pf_build_report *report, pf_err *err)
{
    building  b = { .network = network, .config = config, .device = device,
                    .plan_folder = options ? options->plan_folder : NULL };
    pf_go_on  asked = { 0 };
    pf_status st = PF_OK;

    *out = NULL;
    pf_cpu_crowd_open();        /* the references run on all cores, beside other builds perhaps */
    pf_progress_start(&b.progress, options);
    asked = pf_go_on_set((pf_go_on){ pf_progress_tick, &b.progress });
    st = pf_config_check(config, device, err);
    if (!st)
        st = open_store(&b, options, err);
    b.trial = (pf_builder_trial){ b.store, device, &b.key, &b.draft };
    if (!st)
        open_kernels(&b, options);
    if (!st)
        st = apply_shapes(&b, err);
    if (!st)
        st = find_key(&b, err);
    if (!st)
        st = decide_care(&b, err);
    if (!st)
        st = build_with_care(&b, err);
    if (report)
        fill_report(&b, report);
    pf_progress_log_spent(&b.progress);
    if (!st) {
        *out = b.plan;
        b.plan = NULL;
    }
    building_clear(&b);
    (void)pf_go_on_set(asked);
    pf_cpu_crowd_close();
    return st;
}
