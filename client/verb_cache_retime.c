/* The candidates of plans' problems timed once more, long and to the end: what each choice costs against the best. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "client/cache_folder.h"
#include "client/cancel.h"
#include "client/device_choice.h"
#include "client/output.h"
#include "client/percentile.h"
#include "engine/choose.h"
#include "engine/config.h"
#include "engine/plan.h"
#include "engine/precompile.h"
#include "engine/timing.h"

static const pf_option options[] = {
    {.name = "problems", .kind = PF_OPTION_INT, .value = "N", .fallback = "50", .least = 1, .greatest = 1e6,
     .help = "how many of the plans' problems, evenly spread"},
    {.name = "effort", .kind = PF_OPTION_INT, .value = "N", .fallback = "5", .least = 1,
     .greatest = PF_TIMING_EFFORT_MAX, .help = "how long: samples as in a build of that effort"},
    {.name = "seconds", .kind = PF_OPTION_REAL, .value = "S", .fallback = "0", .least = 0, .greatest = 1e6,
     .help = "begin no further problem after that time; 0: no limit"},
    {.name = "check", .kind = PF_OPTION_FLAG, .help = "only run each candidate once and compare it with the reference"},
    PF_CACHE_OPTION,
    PF_DEVICE_OPTIONS,
    {.name = NULL},
};

#define NEAR 1.02       /* a choice within 2 % of the best is as good */

/* A problem with candidates: at least two, unless they are only checked. */
typedef struct contest {
    pf_problem          *problem;       /* owned; bound */
    char                *layer;         /* owned */
    pf_timing_candidate *candidates;    /* owned; the first is the choice by the times alone */
    uint32_t             count;
    char                 tactic[PF_TACTIC_NAME_BYTES], tuning[PF_TUNING_BYTES];    /* what the plan chose */
} contest;

typedef struct retiming {
    pf_call         *call;
    pf_timing_db    *db;
    pf_device       *device;
    pf_timing       *timing;
    pf_map          *seen;              /* hex of problems */
    contest         *contests;
    uint32_t         count, capacity;
    uint32_t         alone;             /* problems with one candidate, or none that the cache knows */
    double          *regrets;           /* owned; chosen over best */
    double          *firsts;            /* owned; first over best: the choice before the network was tried whole */
    uint32_t         done, within, first_within, exchanged, failed, contended, checked;
    json_t          *list;
} retiming;

/* ---- What there is to time */

static bool allows(const void *config, const pf_tactic *tactic)
{
    return pf_config_allows_tactic(config, tactic->name);
}

static pf_status add_contest(retiming *r, pf_problem *problem, const pf_plan_step *step, const pf_choice *choice,
                             pf_err *err)
{
    contest *c = NULL;

    if (pf_grow((void **)&r->contests, &r->capacity, r->count + 1, sizeof *r->contests))
        return PF_FAIL_MEMORY(err, (r->count + 1) * sizeof *r->contests);
    c = &r->contests[r->count++];
    *c = (contest){.problem = problem, .layer = pf_strdup(step->name),
                   .candidates = pf_calloc(choice->count, sizeof *c->candidates)};
    if (!c->layer || !c->candidates)
        return PF_FAIL_MEMORY(err, choice->count * sizeof *c->candidates);
    snprintf(c->tactic, sizeof c->tactic, "%s", step->ranked[0].tactic);
    snprintf(c->tuning, sizeof c->tuning, "%s", step->ranked[0].tuning);
    for (; c->count < choice->count; c->count++) {
        c->candidates[c->count].tactic = pf_tactic_find(choice->ranked[c->count]->tactic);
        snprintf(c->candidates[c->count].tuning.text, PF_TUNING_BYTES, "%s", choice->ranked[c->count]->tuning);
    }
    return PF_OK;
}

/* Takes the problem, also on failure. */
static pf_status take_problem(retiming *r, pf_problem *problem, const pf_plan_step *step, const pf_choose_rules *rules,
                              pf_err *err)
{
    pf_timing_record record = {0};
    pf_choice        choice = {0};
    uint32_t         before = r->count, least = pf_args_flag(r->call->args, "check") ? 1 : 2;
    pf_status        status = pf_timing_db_lookup(r->db, &r->device->timing_digest, &problem->hash, 1, &record, err);

    for (uint32_t i = 0; !status && i < record.count; i++)
        /* they are candidates like the others: what disturbed them then is no matter now */
        record.entries[i].contended = 0;
    if (!status)
        status = pf_choose_rank(&record, rules, &choice, err);
    r->alone += !status && choice.count < least;
    if (!status && choice.count >= least)
        status = add_contest(r, problem, step, &choice, err);
    if (r->count == before)
        pf_problem_free(problem);
    pf_choose_clear(&choice);
    pf_timing_record_clear(&record);
    return status;
}

static pf_status take_step(retiming *r, const pf_plan *plan, const pf_plan_step *step, pf_choose_rules *rules,
                           pf_err *err)
{
    int64_t     bindings[PF_MAX_SYMBOLS];
    char        hex[PF_DIGEST_HEX_BYTES];
    pf_problem *problem = NULL;
    pf_status   status = PF_OK;

    for (uint32_t s = 0; s < plan->symbol_count; s++)
        bindings[s] = plan->symbols[s].usual;
    status = pf_problem_bind(step->problem, plan->dims, bindings, &problem, err);
    if (status)
        return status;
    pf_digest_to_hex(&problem->hash, hex);
    if (pf_map_get(r->seen, hex, &(uint64_t){0})) {
        pf_problem_free(problem);
        return PF_OK;
    }
    if (!pf_map_set(r->seen, hex, 1)) {
        pf_problem_free(problem);
        return PF_FAIL_MEMORY(err, sizeof hex);
    }
    rules->varies = !pf_problem_is_bound(step->problem);
    return take_problem(r, problem, step, rules, err);
}

/* The device is that of the first plan. */
static pf_status take_plan(retiming *r, const char *path, pf_err *err)
{
    pf_plan        *plan = NULL;
    pf_config      *config = NULL;
    pf_choose_rules rules = {.allows = allows};
    pf_status       status = pf_plan_load(path, &plan, err);

    if (!status)
        status = r->device ? pf_plan_fits(plan, r->device, err)
                           : pf_device_choose_for_plan(r->call, plan, &r->device, err);
    if (!status)
        status = pf_config_parse(plan->spec_text, &config, err);
    if (!status) {
        rules.user = config;
        rules.workspace_limit_bytes = (uint64_t)pf_config_int(config, PF_CONFIG_workspace);
    }
    for (uint32_t s = 0; !status && s < plan->step_count; s++)
        status = take_step(r, plan, &plan->steps[s], &rules, err);
    pf_config_free(config);
    pf_plan_free(plan);
    return status ? pf_err_add(err, status, "%s", path) : PF_OK;
}

/* Keeps so many of them, evenly spread, so that each part of each network is among them. */
static void thin_out(retiming *r, uint32_t wanted)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < r->count && r->count > wanted; i++) {
        contest *c = &r->contests[i];

        if ((uint64_t)i * wanted / r->count == (uint64_t)(i + 1) * wanted / r->count) {
            pf_problem_free(c->problem);
            pf_free(c->layer);
            pf_free(c->candidates);
        } else {
            r->contests[kept++] = *c;
        }
    }
    if (r->count > wanted)
        r->count = kept;
}

/* ---- Timing it */

static bool go_on(void *user)
{
    (void)user;
    return !pf_cancel_asked();
}

/* Kernels that the builds compiled are taken from beside the timings; what is missing is compiled on all cores. */
static pf_status compile_ahead(retiming *r, pf_err *err)
{
    char                kernels[PATH_MAX] = "";
    pf_precompile_item *items = NULL;
    uint32_t            total = 0, at = 0;
    pf_err              why = {0};
    pf_status           status = PF_OK;

    if (!pf_cache_folder_kernels(pf_timing_db_folder(r->db), kernels, sizeof kernels, NULL) &&
        pf_device_keep_kernels(r->device, kernels, &why))
        pf_warn(r->call, "kernels are compiled again: %s", why.msg);
    for (uint32_t i = 0; i < r->count; i++)
        total += r->contests[i].count;
    items = pf_calloc(total + 1, sizeof *items);
    if (!items)
        return PF_FAIL_MEMORY(err, total * sizeof *items);
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t c = 0; c < r->contests[i].count; c++)
            items[at++] = (pf_precompile_item){r->contests[i].problem, r->contests[i].candidates[c].tactic,
                                               r->contests[i].candidates[c].tuning.text};
    status = pf_precompile(r->device, items, total, go_on, NULL, err);
    pf_free(items);
    return status;
}

static const pf_timing_entry *best_of(const pf_timing_record *record)
{
    const pf_timing_entry *best = NULL;

    for (uint32_t i = 0; i < record->count; i++)
        if (record->entries[i].status == PF_TIMED && (!best || record->entries[i].median_ns < best->median_ns))
            best = &record->entries[i];
    return best;
}

static bool is_first(const contest *c)
{
    return !strcmp(c->candidates[0].tactic->name, c->tactic) && !strcmp(c->candidates[0].tuning.text, c->tuning);
}

/* The choice by the times alone: the plan's own, unless the network was faster with another one. */
static double report_first(retiming *r, const contest *c, const pf_timing_record *record, int64_t best_ns, json_t *one)
{
    const pf_timing_entry *first =
        pf_timing_record_find(record, c->candidates[0].tactic->name, c->candidates[0].tuning.text);
    double regret = first && first->status == PF_TIMED ? (double)first->median_ns / (double)best_ns : 0;

    r->first_within += regret > 0 && regret <= NEAR;
    r->exchanged += !is_first(c);
    json_object_set_new(one, "exchanged", json_boolean(!is_first(c)));
    json_object_set_new(one, "first_tactic", pf_json_text(c->candidates[0].tactic->name));
    json_object_set_new(one, "first_tuning", pf_json_text(c->candidates[0].tuning.text));
    json_object_set_new(one, "first_regret", pf_json_real(regret));
    return regret;
}

static void report_contest(retiming *r, const contest *c, const pf_timing_record *record)
{
    const pf_timing_entry *best = best_of(record), *chosen = pf_timing_record_find(record, c->tactic, c->tuning);
    bool    known = best && chosen && chosen->status == PF_TIMED;
    double  regret = known ? (double)chosen->median_ns / (double)best->median_ns : 0;
    json_t *one = json_object();

    json_object_set_new(one, "layer", pf_json_text(c->layer));
    json_object_set_new(one, "problem", pf_json_digest(&c->problem->hash));
    json_object_set_new(one, "candidates", pf_json_count(c->count));
    json_object_set_new(one, "tactic", pf_json_text(c->tactic));
    json_object_set_new(one, "tuning", pf_json_text(c->tuning));
    json_array_append_new(r->list, one);
    if (!known) {
        r->failed++;
        pf_say(r->call, "  no time   %s: %s %s\n", c->layer, c->tactic, c->tuning);
        return;
    }
    r->contended += best->contended;
    r->within += regret <= NEAR;
    r->firsts[r->done] = report_first(r, c, record, best->median_ns, one);
    r->regrets[r->done++] = regret;
    json_object_set_new(one, "chosen_ns", json_integer((json_int_t)chosen->median_ns));
    json_object_set_new(one, "best_ns", json_integer((json_int_t)best->median_ns));
    json_object_set_new(one, "best_tactic", pf_json_text(best->tactic));
    json_object_set_new(one, "best_tuning", pf_json_text(best->tuning));
    json_object_set_new(one, "regret", pf_json_real(regret));
    json_object_set_new(one, "contended", json_boolean(best->contended));
    pf_say(r->call, "  %.4f  %9lld ns of %u candidates  %s: %s %s", regret, (long long)chosen->median_ns, c->count,
           c->layer, c->tactic, c->tuning);
    if (best != chosen)
        pf_say(r->call, "; best %lld ns: %s %s", (long long)best->median_ns, best->tactic, best->tuning);
    if (!is_first(c))
        pf_say(r->call, "; exchanged, before that %.4f", r->firsts[r->done - 1]);
    pf_say(r->call, "\n");
}

/* Those that the cache says were right and that are not now. */
static void report_check(retiming *r, const contest *c, const pf_timing_record *record)
{
    for (uint32_t i = 0; i < record->count; i++) {
        const pf_timing_entry *entry = &record->entries[i];
        json_t                *one = NULL;

        r->checked++;
        if (entry->status == PF_TIMED)
            continue;
        r->failed++;
        one = json_object();
        json_object_set_new(one, "layer", pf_json_text(c->layer));
        json_object_set_new(one, "tactic", pf_json_text(entry->tactic));
        json_object_set_new(one, "tuning", pf_json_text(entry->tuning));
        json_object_set_new(one, "reason", pf_json_text(entry->reason));
        json_array_append_new(r->list, one);
        pf_say(r->call, "  %s: %s %s: %s\n", c->layer, entry->tactic, entry->tuning, entry->reason);
    }
}

static pf_status time_contest(retiming *r, const contest *c, pf_err *err)
{
    const pf_timing_options with = {.effort = (int)pf_args_int(r->call->args, "effort"), .to_the_end = true,
                                    .go_on = go_on, .only_check = pf_args_flag(r->call->args, "check")};
    pf_oracle        oracle = {0};
    pf_timing_record record = {0};
    pf_status        status = pf_oracle_make(c->problem, &oracle, err);

    if (!status)
        status = pf_timing_measure(r->timing, c->problem, &oracle, c->candidates, c->count, &with, &record, err);
    if (!status && with.only_check)
        report_check(r, c, &record);
    else if (!status)
        report_contest(r, c, &record);
    pf_timing_record_clear(&record);
    pf_oracle_clear(&oracle);
    return status ? pf_err_add(err, status, "layer \"%s\"", c->layer) : PF_OK;
}

static pf_status time_all(retiming *r, pf_err *err)
{
    double    seconds = pf_args_real(r->call->args, "seconds");
    int64_t   start = pf_clock_ns();
    pf_status status = pf_timing_new(r->device, &r->timing, err);

    r->regrets = pf_calloc(r->count + 1, sizeof *r->regrets);
    r->firsts = pf_calloc(r->count + 1, sizeof *r->firsts);
    if (!status && (!r->regrets || !r->firsts))
        status = PF_FAIL_MEMORY(err, r->count * sizeof *r->regrets);
    if (!status)
        status = compile_ahead(r, err);
    for (uint32_t i = 0; i < r->count && !status; i++) {
        if (seconds > 0 && (double)(pf_clock_ns() - start) > seconds * (double)PF_NS_PER_S)
            break;
        status = time_contest(r, &r->contests[i], err);
    }
    return status;
}

/* ---- The whole */

static pf_summary report_regret(json_t *to, const char *key, double *regrets, uint32_t count)
{
    pf_summary s = {0};
    json_t    *regret = json_object();

    pf_summarize(regrets, count, &s);
    json_object_set_new(to, key, regret);
    json_object_set_new(regret, "median", pf_json_real(s.median));
    json_object_set_new(regret, "p90", pf_json_real(s.p90));
    json_object_set_new(regret, "worst", pf_json_real(s.max));
    return s;
}

static void report(retiming *r)
{
    json_t    *to = r->call->result;
    pf_summary s = report_regret(to, "regret", r->regrets, r->done);
    pf_summary first = report_regret(to, "first_regret", r->firsts, r->done);

    json_object_set_new(to, "timed", pf_json_count(r->done));
    json_object_set_new(to, "of", pf_json_count(r->count));
    json_object_set_new(to, "single_candidate", pf_json_count(r->alone));
    json_object_set_new(to, "failed", pf_json_count(r->failed));
    json_object_set_new(to, "contended", pf_json_count(r->contended));
    json_object_set_new(to, "within_2_percent", pf_json_count(r->within));
    json_object_set_new(to, "exchanged", pf_json_count(r->exchanged));
    json_object_set_new(to, "first_within_2_percent", pf_json_count(r->first_within));
    pf_say(r->call,
           "%u problems of %u: median %.4f, 90 %% %.4f, worst %.4f times the best; %u within 2 %%; %u contended\n",
           r->done, r->count, s.median, s.p90, s.max, r->within, r->contended);
    if (r->exchanged)
        pf_say(r->call,
               "%u choices were exchanged, most because the network was faster so; before that: 90 %% %.4f, worst "
               "%.4f; %u within 2 %%\n",
               r->exchanged, first.p90, first.max, r->first_within);
    pf_say(r->call, "%u more have a single candidate\n", r->alone);
    if (r->failed)
        pf_warn(r->call, "%u choices could not be timed again", r->failed);
}

static pf_status conclude_check(retiming *r, pf_err *err)
{
    json_object_set_new(r->call->result, "checked", pf_json_count(r->checked));
    json_object_set_new(r->call->result, "failed", pf_json_count(r->failed));
    pf_say(r->call, "%u candidates of %u problems checked, %u failed\n", r->checked, r->count, r->failed);
    return r->failed
               ? PF_FAIL(err, PF_MISMATCH, "%u of %u candidates failed or gave wrong answers", r->failed, r->checked)
               : PF_OK;
}

static void clear(retiming *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        pf_problem_free(r->contests[i].problem);
        pf_free(r->contests[i].layer);
        pf_free(r->contests[i].candidates);
    }
    pf_free(r->contests);
    pf_free(r->regrets);
    pf_free(r->firsts);
    pf_map_free(r->seen);
    pf_timing_free(r->timing);
    pf_timing_db_close(r->db);
    pf_device_close(r->device);
}

static pf_status run_held(retiming *r, pf_err *err)
{
    pf_status status = pf_cache_folder_open(r->call, true, &r->db, err);

    for (uint32_t i = 0; i < pf_args_operand_count(r->call->args) && !status; i++)
        status = take_plan(r, pf_args_operand(r->call->args, i), err);
    thin_out(r, (uint32_t)pf_args_int(r->call->args, "problems"));
    if (!status && !r->count)
        status = PF_FAIL(err, PF_NOT_FOUND,
                         "the timing cache knows no two candidates of any problem of these plans; build them with this "
                         "--cache first");
    if (!status)
        status = time_all(r, err);
    if (!status && pf_args_flag(r->call->args, "check"))
        return conclude_check(r, err);
    if (!status && !r->done)
        return PF_FAIL(err, PF_DEVICE, "none of the plans' choices could be timed again");
    if (!status)
        report(r);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    retiming  r = {.call = call, .seen = pf_map_new(), .list = json_array()};
    pf_status status = pf_args_expect(call->args, 1, UINT32_MAX, "PLAN", err);

    json_object_set_new(call->result, "problems", r.list);
    if (!status && !r.seen)
        status = PF_FAIL_MEMORY(err, sizeof(void *));
    pf_cancel_hold();
    if (!status)
        status = run_held(&r, err);
    clear(&r);
    status = pf_cancel_told(status);
    pf_cancel_release();
    return status;
}

const pf_verb_body pf_verb_cache_retime = {
    .options = options,
    .details = "  Times all candidates of the plans' problems again, none dropped early, and shows what the plan's\n"
               "  choice takes over what the best takes: 1 is a perfect choice.  A build that timed the network whole\n"
               "  may have exchanged choices for others, slower alone, with which the network was faster; what\n"
               "  stood there before is shown too.  Problems with a single candidate are left out.\n"
               "  The cache is only read.  With --check each candidate runs once and is compared with the reference;\n"
               "  the exit code is MISMATCH's when one is not right.\n"
               "\n"
               "  planfarm cache retime resnet50.plan bert.plan --problems 50\n"
               "\n"
               "  --json: regret and first_regret, each median p90 worst; timed of single_candidate failed contended\n"
               "  within_2_percent exchanged first_within_2_percent;\n"
               "  problems, each layer problem candidates tactic tuning chosen_ns best_ns best_tactic best_tuning\n"
               "  regret contended exchanged first_tactic first_tuning first_regret; with --check\n"
               "  checked failed, and problems, each layer tactic tuning reason\n",
    .run = run,
};
