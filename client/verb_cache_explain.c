#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/timing_class.h"
#include "cache/timing_db_check.h"
#include "client/cache_folder.h"
#include "client/cache_report.h"
#include "client/device_choice.h"
#include "client/farm_cache.h"
#include "client/output.h"
#include "client/path_kind.h"
#include "engine/choose.h"
#include "engine/device_module.h"
#include "engine/plan.h"
#include "engine/problem.h"

static const pf_option options[] = {
    PF_CACHE_OPTION,
    PF_FARM_CACHE_OPTION,
    {.name = "class", .kind = PF_OPTION_TEXT, .value = "HASH",
     .help = "only that device class; the beginning of its hash is enough"},
    {.name = "layer", .kind = PF_OPTION_TEXT, .value = "NAME", .help = "only layers of a plan with that in their name"},
    PF_DEVICE_OPTIONS,
    {.name = NULL},
};

enum { CLASSES_LIMIT = 256, LEAST_PREFIX = 4, TEXT_LIMIT = 4 << 20 };

typedef struct explanation {
    pf_call      *call;
    pf_timing_db *db;
    pf_digest     classes[CLASSES_LIMIT];       /* that --class names, or all */
    uint32_t      class_count;
    json_t       *problems;                     /* borrowed from the result */
} explanation;

static void say_indented(pf_call *call, const char *text)
{
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line != 0)
        pf_say(call, "    %.*s\n", (int)strcspn(line, "\n"), line);
}

/* ---- One record */

static json_t *candidate_json(const pf_timing_entry *entry)
{
    json_t *to = json_object();

    json_object_set_new(to, "tactic", pf_json_text(entry->tactic));
    json_object_set_new(to, "tuning", pf_json_text(entry->tuning));
    json_object_set_new(to, "rev", json_integer(entry->rev));
    json_object_set_new(to, "status", json_string(pf_timing_status_name(entry->status)));
    json_object_set_new(to, "median_ns", json_integer((json_int_t)entry->median_ns));
    json_object_set_new(to, "min_ns", json_integer((json_int_t)entry->min_ns));
    json_object_set_new(to, "spread_ns", json_integer((json_int_t)entry->spread_ns));
    json_object_set_new(to, "samples", json_integer(entry->sample_count));
    json_object_set_new(to, "workspace_bytes", pf_json_count(entry->workspace_bytes));
    json_object_set_new(to, "max_rel_error", pf_json_real(entry->max_rel_error));
    json_object_set_new(to, "effort", json_integer(entry->effort));
    json_object_set_new(to, "contended", json_boolean(entry->contended));
    json_object_set_new(to, "reason", pf_json_text(entry->reason));
    return to;
}

static void say_candidate(pf_call *call, const pf_timing_entry *entry, bool is_winner)
{
    char median[PF_TEXT_BYTES], spread[PF_TEXT_BYTES], workspace[PF_TEXT_BYTES];
    bool has_time = entry->status == PF_TIMED || entry->status == PF_TIMING_DROPPED;

    pf_say(call, "    %c %-24s rev %-3u %-10s", is_winner ? '*' : ' ', entry->tactic, entry->rev,
           pf_timing_status_name(entry->status));
    if (has_time)
        pf_say(call, " %12s +- %-9s n %-5u workspace %-9s error %.2g", pf_text_ns(entry->median_ns, median),
               pf_text_ns(entry->spread_ns, spread), entry->sample_count,
               pf_text_bytes(entry->workspace_bytes, workspace), entry->max_rel_error);
    pf_say(call, "%s%s%s%s%s\n", entry->tuning[0] ? "  " : "", entry->tuning, entry->contended ? "  contended" : "",
           entry->reason[0] ? "  " : "", entry->reason);
}

/* Records of a card are read without opening it: then its tactics are not known yet. */
static pf_status rank(const pf_timing_record *record, pf_choice *out, pf_err *err)
{
    const pf_choose_rules   rules = {0};
    const pf_device_module *module = NULL;
    pf_status               status = pf_choose_rank(record, &rules, out, err);

    if (status || out->count || !record->count || pf_tactic_find(record->entries[0].tactic) ||
        pf_device_module_load(PF_DEVICE_CUDA_MODULE, &module, NULL))
        return status;
    pf_choose_clear(out);
    return pf_choose_rank(record, &rules, out, err);
}

static pf_status explain_record(pf_call *call, const pf_timing_record *record, json_t *to, pf_err *err)
{
    pf_choice choice = {0};
    json_t   *list = json_array();
    pf_status status = rank(record, &choice, err);

    json_object_set_new(to, "candidates", list);
    if (status)
        return status;
    for (uint32_t i = 0; i < record->count; i++) {
        json_array_append_new(list, candidate_json(&record->entries[i]));
        say_candidate(call, &record->entries[i], choice.count && choice.ranked[0] == &record->entries[i]);
    }
    json_object_set_new(to, "winner", choice.count ? pf_json_text(choice.ranked[0]->tactic) : json_null());
    json_object_set_new(to, "winner_tuning", choice.count ? pf_json_text(choice.ranked[0]->tuning) : json_null());
    if (!choice.count)
        pf_say(call, "    nothing here may be chosen: none was timed with the revision that this planfarm has\n");
    pf_choose_clear(&choice);
    return PF_OK;
}

/* ---- A miss */

static pf_status explain_miss(explanation *e, const char *class_text, const char *problem_text, json_t *to, pf_err *err)
{
    static const char *const how[] = {"nothing", "another device class", "another problem"};
    pf_timing_near near = {0};
    json_t        *nearest = json_object();
    char           hex[PF_DIGEST_HEX_BYTES];
    pf_status      status = pf_timing_db_nearest(e->db, class_text, problem_text, &near, err);

    json_object_set_new(to, "nearest", nearest);
    if (status)
        return status;
    json_object_set_new(nearest, "how", json_string(how[near.how]));
    if (near.how == PF_NEAR_NOTHING) {
        pf_say(e->call, "    a miss, and the cache holds nothing that is near\n");
        return PF_OK;
    }
    pf_digest_to_hex(near.how == PF_NEAR_CLASS ? &near.key.device_class : &near.key.problem, hex);
    json_object_set_new(nearest, "hash", json_string(hex));
    json_object_set_new(nearest, "difference", pf_json_text(near.difference));
    pf_say(e->call, "    a miss; nearest is %s, %.16s: %s\n", how[near.how], hex, near.difference);
    return PF_OK;
}

/* ---- A problem in a class */

static pf_status explain_in_class(explanation *e, const pf_digest *device_class, const char *class_text,
                                  const char *problem_text, json_t *list, pf_err *err)
{
    pf_timing_record record = {0};
    pf_digest        problem;
    char             hex[PF_DIGEST_HEX_BYTES];
    json_t          *to = json_object();
    pf_status        status = PF_OK;

    pf_digest_of(problem_text, strlen(problem_text), &problem);
    status = pf_timing_db_lookup(e->db, device_class, &problem, 1, &record, err);
    pf_digest_to_hex(device_class, hex);
    json_array_append_new(list, to);
    json_object_set_new(to, "class", json_string(hex));
    json_object_set_new(to, "class_text", pf_json_text(class_text));
    json_object_set_new(to, "hit", json_boolean(record.count != 0));
    pf_say(e->call, "  class %.16s:\n", hex);
    say_indented(e->call, class_text);
    if (!status)
        status = record.count ? explain_record(e->call, &record, to, err)
                              : explain_miss(e, class_text, problem_text, to, err);
    pf_timing_record_clear(&record);
    return status;
}

static json_t *begin_problem(explanation *e, const char *problem_text, const char *layer)
{
    json_t   *to = json_object(), *list = json_array();
    pf_digest problem;
    char      hex[PF_DIGEST_HEX_BYTES];

    pf_digest_of(problem_text, strlen(problem_text), &problem);
    pf_digest_to_hex(&problem, hex);
    json_object_set_new(to, "problem", json_string(hex));
    json_object_set_new(to, "text", pf_json_text(problem_text));
    if (layer)
        json_object_set_new(to, "layer", pf_json_text(layer));
    json_object_set_new(to, "classes", list);
    json_array_append_new(e->problems, to);
    pf_say(e->call, "problem %s%s%s\n", hex, layer ? "  " : "", layer ? layer : "");
    say_indented(e->call, problem_text);
    return list;
}

/* In each class that has a record of it; with --class in that one, hit or miss. */
static pf_status explain_stored_problem(explanation *e, const pf_digest *problem, pf_err *err)
{
    bool      chosen = pf_args_given(e->call->args, "class");
    char     *problem_text = NULL;
    json_t   *list = NULL;
    pf_status status = pf_timing_db_text(e->db, PF_TABLE_PROBLEMS, problem, &problem_text, err);

    if (!status)
        list = begin_problem(e, problem_text, NULL);
    for (uint32_t i = 0; i < e->class_count && !status; i++) {
        char            *class_text = NULL;
        pf_timing_record record = {0};

        status = pf_timing_db_text(e->db, PF_TABLE_CLASSES, &e->classes[i], &class_text, err);
        if (!status && !chosen)
            status = pf_timing_db_lookup(e->db, &e->classes[i], problem, 1, &record, err);
        if (!status && (chosen || record.count))
            status = explain_in_class(e, &e->classes[i], class_text, problem_text, list, err);
        pf_timing_record_clear(&record);
        pf_free(class_text);
    }
    pf_free(problem_text);
    return status;
}

/* A problem from outside, for the class of a device. */
static pf_status explain_text(explanation *e, const char *class_text, const char *problem_text, const char *layer,
                              pf_err *err)
{
    pf_digest device_class;
    char     *text = pf_strdup(class_text);
    pf_status status = text ? PF_OK : PF_FAIL_MEMORY(err, strlen(class_text));

    if (status)
        return status;
    pf_timing_class_text(text, text);
    pf_timing_class_digest(text, &device_class);
    status = explain_in_class(e, &device_class, text, problem_text, begin_problem(e, problem_text, layer), err);
    pf_free(text);
    return status;
}

/* ---- Targets */

static pf_status explain_class(explanation *e, const pf_digest *device_class, pf_err *err)
{
    char     *text = NULL;
    char      hex[PF_DIGEST_HEX_BYTES];
    pf_status status = pf_timing_db_text(e->db, PF_TABLE_CLASSES, device_class, &text, err);

    if (status)
        return status;
    pf_digest_to_hex(device_class, hex);
    pf_say(e->call, "class %s\n", hex);
    say_indented(e->call, text);
    json_object_set_new(e->call->result, "class", json_string(hex));
    json_object_set_new(e->call->result, "class_text", pf_json_text(text));
    pf_free(text);
    return PF_OK;
}

static bool is_hash(const char *text)
{
    size_t length = strlen(text);

    return length >= LEAST_PREFIX && length < PF_DIGEST_HEX_BYTES && strspn(text, "0123456789abcdef") == length;
}

static pf_status explain_hash(explanation *e, const char *prefix, pf_err *err)
{
    pf_digest problems[2], classes[2];
    uint32_t  problem_count = 0, class_count = 0;
    pf_status status = pf_timing_db_find(e->db, PF_TABLE_PROBLEMS, prefix, problems, 2, &problem_count, err);

    if (!status)
        status = pf_timing_db_find(e->db, PF_TABLE_CLASSES, prefix, classes, 2, &class_count, err);
    if (status)
        return status;
    if (problem_count + class_count > 1)
        return PF_FAIL(err, PF_USAGE, "%s is the beginning of %u hashes; give more of it", prefix,
                       problem_count + class_count);
    if (problem_count)
        return explain_stored_problem(e, &problems[0], err);
    if (class_count)
        return explain_class(e, &classes[0], err);
    return PF_FAIL(err, PF_NOT_FOUND, "%s knows no problem and no device class whose hash begins with %s",
                   pf_timing_db_folder(e->db), prefix);
}

/* The text of a plan's step at the usual shapes, for which it was timed. */
static pf_status step_text(const pf_plan *plan, uint32_t i, char **out, pf_err *err)
{
    int64_t     bindings[PF_MAX_SYMBOLS];
    pf_problem *bound = NULL;
    pf_status   status = PF_OK;

    *out = NULL;
    for (uint32_t s = 0; s < plan->symbol_count; s++)
        bindings[s] = plan->symbols[s].usual;
    status = pf_problem_bind(plan->steps[i].problem, plan->dims, bindings, &bound, err);
    if (!status) {
        *out = pf_strdup(bound->text);
        status = *out ? PF_OK : PF_FAIL_MEMORY(err, strlen(bound->text));
    }
    pf_problem_free(bound);
    return status;
}

static pf_status explain_plan(explanation *e, const char *path, pf_err *err)
{
    const char *wanted = pf_args_text(e->call->args, "layer");
    bool        any = false;
    pf_plan    *plan = NULL;
    pf_status   status = pf_plan_load(path, &plan, err);

    for (uint32_t i = 0; !status && i < plan->step_count; i++) {
        char *text = NULL;

        if (wanted && !strstr(plan->steps[i].name, wanted))
            continue;
        any = true;
        status = step_text(plan, i, &text, err);
        if (!status)
            status = explain_text(e, pf_plan_class_text(plan), text, plan->steps[i].name, err);
        pf_free(text);
    }
    if (!status && !any)
        status = PF_FAIL(err, PF_NOT_FOUND,
                         "no layer of %s has \"%.80s\" in its name; planfarm inspect --layers lists them", path,
                         wanted ? wanted : "");
    pf_plan_free(plan);
    return status;
}

static pf_status explain_problem_file(explanation *e, const char *path, pf_err *err)
{
    pf_device  *device = NULL;
    pf_problem *problem = NULL;
    pf_buf      text;
    pf_status   status = pf_file_read(path, TEXT_LIMIT, &text, err);

    if (!status)
        status = pf_problem_parse(text.data ? (const char *)text.data : "", &problem, err);
    if (status)
        status = pf_err_add(err, status, "%s holds no problem", path);
    if (!status)
        status = pf_device_choose(e->call, 0, &device, err);
    if (!status)
        status = explain_text(e, device->class_text, problem->text, NULL, err);
    pf_problem_free(problem);
    pf_device_close(device);
    pf_buf_clear(&text);
    return status;
}

static pf_status explain_path(explanation *e, const char *path, pf_err *err)
{
    pf_path_kind kind = PF_PATH_OTHER;
    pf_status    status = pf_path_kind_of(path, &kind, err);

    if (status)
        return pf_err_add(err, status, "\"%.80s\" is neither a hash nor a plan or problem", path);
    return kind == PF_PATH_PLAN ? explain_plan(e, path, err) : explain_problem_file(e, path, err);
}

static pf_status run(pf_call *call, pf_err *err)
{
    const char *target = pf_args_operand(call->args, 0), *prefix = pf_args_text(call->args, "class");
    explanation e = {.call = call, .problems = json_array()};
    pf_cache    cache = {0};
    pf_status   status = PF_OK;

    json_object_set_new(call->result, "problems", e.problems);
    status = pf_args_expect(call->args, 1, 1, "PROBLEM, CLASS or PLAN", err);
    if (!status)
        status = pf_cache_open(call, true, &cache, err);
    e.db = cache.db;
    if (!status)
        status = pf_timing_db_find(e.db, PF_TABLE_CLASSES, prefix ? prefix : "", e.classes, CLASSES_LIMIT,
                                   &e.class_count, err);
    if (!status && prefix && !e.class_count)
        status = PF_FAIL(err, PF_NOT_FOUND, "%s knows no device class whose hash begins with %s",
                         pf_timing_db_folder(e.db), prefix);
    if (e.class_count > CLASSES_LIMIT)
        e.class_count = CLASSES_LIMIT;
    if (!status)
        status = is_hash(target) ? explain_hash(&e, target, err) : explain_path(&e, target, err);
    pf_cache_close(&cache);
    return status;
}

const pf_verb_body pf_verb_cache_explain = {
    .options = options,
    .details = "  A key is the hash of a device class and the hash of a problem; both are shown in clear, with all\n"
               "  that was measured and the candidate that wins (*).  On a miss the nearest stored key is named, and\n"
               "  the fields in which it differs.  The argument is a hash or its beginning, a plan (then each of its\n"
               "  layers), or a file with the text of a problem.\n"
               "\n"
               "  planfarm cache explain resnet50.plan --layer conv1\n"
               "\n"
               "  --json: problems, each problem text layer classes, of which each class class_text hit candidates\n"
               "  winner winner_tuning or nearest\n",
    .run = run,
};
