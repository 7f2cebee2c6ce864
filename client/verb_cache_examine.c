/* The verbs that look at a timing cache as a whole: stats, verify. */
#include <inttypes.h>
#include <limits.h>

#include "base/file.h"
#include "cache/timing_db_check.h"
#include "cache/timing_export.h"
#include "client/cache_report.h"
#include "client/farm_cache.h"
#include "client/output.h"
#include "client/path_kind.h"

static const pf_option stats_options[] = {PF_CACHE_OPTION, PF_FARM_CACHE_OPTION, {.name = NULL}};

static const pf_option verify_options[] = {
    {.name = "repair", .kind = PF_OPTION_FLAG, .help = "drop what is damaged"},
    PF_CACHE_OPTION,
    PF_FARM_CACHE_OPTION,
    {.name = NULL},
};

/* Of the cache that the file would make, in a folder of its own. */
static pf_status count_file(pf_call *call, const char *path, uint64_t bytes, pf_err *err)
{
    char               folder[PATH_MAX] = "";
    pf_timing_db      *db = NULL;
    pf_timing_transfer done = {0};
    pf_status          status = pf_dir_make_temporary("cache", folder, sizeof folder, err);

    if (!status)
        status = pf_timing_db_open(folder, NULL, &db, err);
    if (!status)
        status = pf_timing_import_file(db, path, &done, err);
    if (!status)
        status = pf_cache_report(call, db, path, bytes, err);
    pf_timing_db_close(db);
    if (folder[0])
        pf_dir_remove(folder, NULL);
    return status;
}

static pf_status stats_of_file(pf_call *call, const char *path, pf_err *err)
{
    pf_path_kind kind = PF_PATH_OTHER;
    pf_mapping   file = {0};
    uint64_t     bytes = 0;
    pf_status    status = PF_OK;

    if (pf_args_text(call->args, "cache") || pf_args_text(call->args, "farm"))
        return PF_FAIL(err, PF_USAGE, "a file is counted by itself; leave out --cache and --farm, or the file");
    status = pf_path_kind_of(path, &kind, err);
    if (!status && kind == PF_PATH_FOLDER)
        return PF_FAIL(err, PF_USAGE, "%s is a folder; give it with --cache", path);
    if (!status)
        status = pf_file_map(path, &file, err);
    bytes = file.bytes;
    pf_file_unmap(&file);
    return status ? status : count_file(call, path, bytes, err);
}

static pf_status run_stats(pf_call *call, pf_err *err)
{
    pf_cache  cache = {0};
    pf_status status = pf_args_expect(call->args, 0, 1, "[FILE]", err);

    if (!status && pf_args_operand(call->args, 0))
        return stats_of_file(call, pf_args_operand(call->args, 0), err);
    if (!status)
        status = pf_cache_open(call, true, &cache, err);
    if (!status)
        status = pf_cache_report(call, cache.db, cache.is_farm ? cache.farm.url : pf_timing_db_folder(cache.db), 0,
                                 err);
    pf_cache_close(&cache);
    return status;
}

static void say_bad(void *user, const char *line)
{
    pf_call *call = user;
    json_t  *list = json_object_get(call->result, "damage");

    pf_say(call, "damaged: %s\n", line);
    json_array_append_new(list, pf_json_text(line));
}

static pf_status verify_folder(pf_call *call, pf_err *err)
{
    bool              repair = pf_args_flag(call->args, "repair");
    pf_timing_db     *db = NULL;
    pf_timing_verdict verdict = {0};
    pf_status         status = pf_cache_folder_open(call, true, &db, err);

    if (!status && repair) {        /* only what is there already is opened for writing */
        pf_timing_db_close(db);
        status = pf_cache_folder_open(call, false, &db, err);
    }
    json_object_set_new(call->result, "damage", json_array());
    if (!status)
        status = pf_timing_db_verify(db, repair, say_bad, call, &verdict, err);
    if (!status) {
        json_object_set_new(call->result, "checked", pf_json_count(verdict.checked));
        json_object_set_new(call->result, "damaged", pf_json_count(verdict.bad));
        json_object_set_new(call->result, "newer", pf_json_count(verdict.newer));
        json_object_set_new(call->result, "dropped", pf_json_count(verdict.dropped));
        pf_say(call,
               "%s: %" PRIu64 " values checked, %" PRIu64 " damaged, %" PRIu64 " of newer versions, %" PRIu64
               " dropped\n",
               pf_timing_db_folder(db), verdict.checked, verdict.bad, verdict.newer, verdict.dropped);
    }
    if (!status && verdict.bad > verdict.dropped)
        status = PF_FAIL(err, PF_CORRUPT, "%s holds %" PRIu64 " damaged values; drop them with --repair",
                         pf_timing_db_folder(db), verdict.bad - verdict.dropped);
    pf_timing_db_close(db);
    return status;
}

/* The farm checks each record before it gives it, and it is checked again here. */
static pf_status verify_farm(pf_call *call, pf_err *err)
{
    pf_cache          cache = {0};
    pf_timing_verdict verdict = {0};
    pf_status         status = PF_OK;

    if (pf_args_flag(call->args, "repair"))
        return PF_FAIL(err, PF_USAGE, "a farm drops damaged timings by itself when they are asked for");
    status = pf_cache_open(call, true, &cache, err);
    json_object_set_new(call->result, "damage", json_array());
    if (!status)
        status = pf_timing_db_verify(cache.db, false, say_bad, call, &verdict, err);
    if (!status) {
        json_object_set_new(call->result, "checked", pf_json_count(verdict.checked + cache.damaged));
        json_object_set_new(call->result, "damaged", pf_json_count(verdict.bad + cache.damaged));
        json_object_set_new(call->result, "newer", pf_json_count(verdict.newer));
        json_object_set_new(call->result, "dropped", pf_json_count(0));
        pf_say(call, "%s: %" PRIu64 " values checked, %" PRIu64 " damaged\n", cache.farm.url,
               verdict.checked + cache.damaged, verdict.bad + cache.damaged);
    }
    if (!status && verdict.bad + cache.damaged)
        status = PF_FAIL(err, PF_CORRUPT, "%s holds %" PRIu64 " damaged timings", cache.farm.url,
                         verdict.bad + cache.damaged);
    pf_cache_close(&cache);
    return status;
}

static pf_status verify_file(pf_call *call, const char *path, pf_err *err)
{
    pf_mapping         file = {0};
    pf_timing_transfer found = {0};
    pf_path_kind       kind = PF_PATH_OTHER;
    pf_status          status = pf_path_kind_of(path, &kind, err);

    if (!status && kind == PF_PATH_FOLDER)
        status = PF_FAIL(err, PF_USAGE, "%s is a folder; give it with --cache", path);
    if (!status)
        status = pf_file_map(path, &file, err);
    if (status)
        return status;
    status = pf_timing_export_check(file.data, file.bytes, &found, err);
    pf_file_unmap(&file);
    if (status)
        return pf_err_add(err, status, "%s", path);
    pf_transfer_report(call, "intact", path, &found);
    return PF_OK;
}

static pf_status run_verify(pf_call *call, pf_err *err)
{
    pf_status status = PF_OK;

    if (!pf_args_operand_count(call->args))
        return pf_args_text(call->args, "farm") ? verify_farm(call, err) : verify_folder(call, err);
    if (pf_args_flag(call->args, "repair"))
        return PF_FAIL(err, PF_USAGE, "a damaged export cannot be repaired; fetch or export it again");
    for (uint32_t i = 0; i < pf_args_operand_count(call->args) && !status; i++)
        status = verify_file(call, pf_args_operand(call->args, i), err);
    return status;
}

const pf_verb_body pf_verb_cache_stats = {
    .options = stats_options,
    .details = "  FILE is one that planfarm cache export wrote.\n"
               "  --json: folder records problems file_bytes used_bytes damaged oldest newest; entries by status;\n"
               "  contended; counters, not of a file; classes, each class name records entries\n",
    .run = run_stats,
};

const pf_verb_body pf_verb_cache_verify = {
    .options = verify_options,
    .details = "  --json: checked damaged newer dropped, and damage with a line for each; of files: files, each path\n"
               "  records entries\n",
    .run = run_verify,
};
