/* The verbs that carry timings: export, import, merge. */
#include "base/alloc.h"
#include "cache/timing_export.h"
#include "client/cache_report.h"
#include "client/cancel.h"
#include "client/farm_cache.h"
#include "client/output.h"
#include "client/path_kind.h"

static const pf_option options[] = {PF_CACHE_OPTION, PF_FARM_CACHE_OPTION, {.name = NULL}};

typedef pf_status carry(pf_timing_db *db, const char *path, pf_timing_transfer *done, pf_err *err);

static pf_status run_carry(pf_call *call, const char *verb, const char *what, uint32_t most, bool read_only,
                           carry *move, pf_err *err)
{
    pf_cache            cache = {0};
    uint32_t            count = pf_args_operand_count(call->args);
    pf_timing_transfer *done = pf_calloc(count, sizeof *done);
    pf_status           status = done ? pf_args_expect(call->args, 1, most, what, err)
                                      : PF_FAIL_MEMORY(err, count * sizeof *done);

    if (!status)
        status = pf_cache_open(call, read_only, &cache, err);
    for (uint32_t i = 0; i < count && !status; i++) {
        pf_cancel_hold();       /* nothing half-written stays behind */
        status = move(cache.db, pf_args_operand(call->args, i), &done[i], err);
        pf_cancel_release();
    }
    if (!status)
        status = pf_cache_send(&cache, err);
    for (uint32_t i = 0; i < count && !status; i++)         /* a farm may refuse what was read */
        pf_transfer_report(call, verb, pf_args_operand(call->args, i), &done[i]);
    pf_cache_close(&cache);
    pf_free(done);
    return status;
}

/* A model or a plan was meant as the operand of another verb. */
static pf_status check_replaced(const char *path, pf_err *err)
{
    pf_path_kind kind = PF_PATH_EXPORT;

    if (!path || pf_path_kind_of(path, &kind, NULL) || kind == PF_PATH_EXPORT)
        return PF_OK;
    return PF_FAIL(err, PF_USAGE, "%s is there and is no exported cache; move it away, or name another file", path);
}

static pf_status run_export(pf_call *call, pf_err *err)
{
    pf_status status = pf_args_expect(call->args, 1, 1, "FILE", err);

    if (!status)
        status = check_replaced(pf_args_operand(call->args, 0), err);
    return status ? status : run_carry(call, "exported to", "FILE", 1, true, pf_timing_export_file, err);
}

/* Told before anything is opened. */
static pf_status check_files(const pf_args *args, pf_err *err)
{
    pf_path_kind kind = PF_PATH_OTHER;

    for (uint32_t i = 0; i < pf_args_operand_count(args); i++)
        if (pf_path_kind_of(pf_args_operand(args, i), &kind, NULL) == PF_OK && kind == PF_PATH_FOLDER)
            return PF_FAIL(err, PF_USAGE, "%s is a folder; planfarm cache merge takes folders",
                           pf_args_operand(args, i));
    return PF_OK;
}

static pf_status run_import(pf_call *call, pf_err *err)
{
    pf_status status = check_files(call->args, err);

    return status ? status : run_carry(call, "imported", "FILE", UINT32_MAX, false, pf_timing_import_file, err);
}

static pf_status run_merge(pf_call *call, pf_err *err)
{
    return run_carry(call, "merged", "CACHE or FILE", UINT32_MAX, false, pf_timing_merge_from, err);
}

const pf_verb_body pf_verb_cache_export = {
    .options = options,
    .details = "  Equal contents give equal files.  Measurements that other processes disturbed are left out.\n"
               "\n"
               "  --json: files, each path records entries classes problems\n",
    .run = run_export,
};

const pf_verb_body pf_verb_cache_import = {
    .options = options,
    .details = "  Every byte of a file is checked first; a damaged file changes nothing.  Of two measurements of a\n"
               "  candidate the better one stays: of the newer revision, undisturbed, of more samples, of less\n"
               "  spread, newer.\n"
               "\n"
               "  --json: files, each path records entries classes problems\n",
    .run = run_import,
};

const pf_verb_body pf_verb_cache_merge = {
    .options = options,
    .details = "  As import, and folders of other timing caches as well.\n"
               "\n"
               "  --json: files, each path records entries classes problems\n",
    .run = run_merge,
};
