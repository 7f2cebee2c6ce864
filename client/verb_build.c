#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cache/timing_db.h"
#include "cache/trial.h"
#include "client/cache_folder.h"
#include "client/cancel.h"
#include "client/config_flags.h"
#include "client/device_choice.h"
#include "client/farm.h"
#include "client/farm_build.h"
#include "client/output.h"
#include "client/path_kind.h"
#include "client/plan_name.h"
#include "client/progress.h"

static const pf_option options[] = {
    {.name = "output", .letter = 'o', .kind = PF_OPTION_TEXT, .value = "PLAN",
     .help = "the plan to write; MODEL.plan in the current folder otherwise"},
#define PF_CONFIG(key, type, default_, in_key, text) PF_CONFIG_FLAG(key, type, default_, text)
#include "engine/config.def"
#undef PF_CONFIG
    PF_DEVICE_OPTIONS,
    PF_CACHE_OPTION,
    {.name = "farm", .kind = PF_OPTION_TEXT, .value = "URL", .help = "build on the farm at that address"},
    PF_IDENTITY_OPTIONS,
    {.name = "gpu", .kind = PF_OPTION_TEXT, .value = "CLASS,..",
     .help = "device classes to build for on the farm; auto: that of this machine's device"},
    {.name = NULL},
};

typedef struct build {
    pf_call         *call;
    const char      *model_path;
    char             plan_path[PATH_MAX];
    pf_config       *config;
    pf_device       *device;
    pf_network      *network;
    pf_timing_db    *db;
    pf_timing_store *store;
    pf_plan         *plan;
    pf_build_report  report;
    pf_progress_bar  bar;
} build;

/* Asked before the minutes of a build, not after them. */
static pf_status check_target(const char *path, const char *model, pf_err *err)
{
    char        target[PATH_MAX];
    struct stat info = {0}, from = {0};
    pf_status   status = pf_file_target(path, target, err);

    if (status)
        return status;
    if (stat(path, &info) == 0 && stat(model, &from) == 0 && info.st_dev == from.st_dev && info.st_ino == from.st_ino)
        return PF_FAIL(err, PF_USAGE, "the plan would replace its own model %s; give another name by -o", path);
    return PF_OK;
}

static bool on_progress(void *user, const pf_progress *progress)
{
    build *b = user;

    pf_progress_show(&b->bar, progress);
    return !pf_cancel_asked();
}

/* A build must not fail because its timings cannot be kept: on a full disk it goes on without, and for a user who has
   no home where the cache's folder could be made. */
static pf_status open_store(build *b, pf_err *err)
{
    pf_err    why = {0};
    pf_status status = pf_cache_folder_open(b->call, false, &b->db, &why);
    bool      is_homeless = !pf_args_given(b->call->args, "cache") && (status == PF_DENIED || status == PF_NOT_FOUND);

    if (status == PF_NO_SPACE || is_homeless) {
        pf_warn(b->call, "timings of this build are not stored: %s", why.msg);
        return PF_OK;
    }
    if (status)
        return PF_FAIL(err, status, "%s", why.msg);
    status = pf_timing_db_store_behind(b->db, &b->store, err);
    return status ? status : pf_trial_settle(pf_timing_db_folder(b->db), b->store, err);
}

static pf_status open_all(build *b, pf_err *err)
{
    const char *share = pf_config_get(b->config, "share");
    pf_status   status = pf_device_choose(b->call, (int32_t)strtol(share, NULL, 10), &b->device, err);

    if (!status)
        status = pf_config_check(b->config, b->device, err);
    if (!status)
        status = pf_network_import_for(b->model_path, b->config, &b->network, err);
    return status ? status : open_store(b, err);
}

static pf_status build_plan(build *b, pf_err *err)
{
    char             kernels[PATH_MAX] = "", folder[PATH_MAX] = "";
    pf_build_options with = {.store = b->store, .progress = on_progress, .user = b, .plan_folder = folder};
    pf_status        status = PF_OK;

    pf_path_folder(b->plan_path, folder);
    if (b->db && !pf_cache_folder_kernels(pf_timing_db_folder(b->db), kernels, sizeof kernels, NULL))
        with.kernel_folder = kernels;
    pf_progress_begin(&b->bar, b->call);
    status = pf_build(b->network, b->config, b->device, &with, &b->plan, &b->report, err);
    pf_progress_end(&b->bar);
    return status ? status : pf_plan_save(b->plan, b->plan_path, err);
}

/* Of what a context takes to the least that it could take; 0: it takes nothing. */
static double ratio_of(const pf_build_report *report)
{
    return report->device_bound_bytes ? (double)report->device_bytes / (double)report->device_bound_bytes : 0;
}

static json_t *phases_of(const pf_build_report *report)
{
    json_t *phases = json_object();

    for (int part = 0; part < PF_PART_COUNT; part++)
        json_object_set_new(phases, pf_part_name((pf_part)part), pf_json_real(report->part_seconds[part]));
    return phases;
}

static void put_report(build *b)
{
    json_t   *to = b->call->result;
    pf_digest key, digest;
    size_t    bytes = 0;

    pf_plan_key_of(b->plan, &key);
    pf_plan_digest(b->plan, &digest);
    pf_plan_bytes(b->plan, &bytes);
    json_object_set_new(to, "plan", pf_json_text(b->plan_path));
    json_object_set_new(to, "plan_key", pf_json_digest(&key));
    json_object_set_new(to, "plan_sha256", pf_json_digest(&digest));
    json_object_set_new(to, "plan_bytes", pf_json_count(bytes));
    json_object_set_new(to, "device_class", pf_json_text(pf_plan_class_name(b->plan)));
    json_object_set_new(to, "problems", pf_json_count(b->report.problems));
    json_object_set_new(to, "candidates_timed", pf_json_count(b->report.candidates_timed));
    json_object_set_new(to, "cache_hits", pf_json_count(b->report.cache_hits));
    json_object_set_new(to, "cache_misses", pf_json_count(b->report.cache_misses));
    json_object_set_new(to, "build_seconds", pf_json_real(b->report.build_seconds));
    json_object_set_new(to, "timing_seconds", pf_json_real(b->report.timing_seconds));
    json_object_set_new(to, "phases", phases_of(&b->report));
    json_object_set_new(to, "max_rel_error", pf_json_real(b->report.max_rel_error));
    json_object_set_new(to, "fp32", pf_json_text(b->report.fp32));
    json_object_set_new(to, "lowered_error", pf_json_real(b->report.lowered_error));
    json_object_set_new(to, "candidates_banned", pf_json_count(b->report.candidates_banned));
    json_object_set_new(to, "products_on_host", pf_json_count(b->report.products_on_host));
    json_object_set_new(to, "least_cosine", pf_json_real(b->report.least_cosine));
    json_object_set_new(to, "memory_bytes", pf_json_count(b->report.memory_bytes));
    json_object_set_new(to, "memory_lower_bound_bytes", pf_json_count(b->report.memory_lower_bound_bytes));
    json_object_set_new(to, "weights_bytes", pf_json_count(b->report.weights_bytes));
    json_object_set_new(to, "device_bytes", pf_json_count(b->report.device_bytes));
    json_object_set_new(to, "device_bound_bytes", pf_json_count(b->report.device_bound_bytes));
    json_object_set_new(to, "device_ratio", pf_json_real(ratio_of(&b->report)));
}

/* Where a network is not as fast as 16 bits are, its user should know why, and how to have it otherwise. */
static void say_raised(const build *b)
{
    const double left = 2 * b->report.lowered_error;        /* other inputs may fare worse than those tried */

    if (!*b->report.fp32 || b->report.lowered_error < 0)
        return;
    if (isinf(b->report.lowered_error)) {
        pf_say(b->call, "  left in FP32: %s; else outputs would have infinities or no numbers\n", b->report.fp32);
        return;
    }
    pf_say(b->call, "  left in FP32: %s; else outputs would be off by %.2g of their range", b->report.fp32,
           b->report.lowered_error);
    if (left < 1)
        pf_say(b->call, ", as --max-error %.2g allows", left);
    pf_say(b->call, "\n");
}

static void say_report(build *b)
{
    char      size[PF_TEXT_BYTES], memory[PF_TEXT_BYTES], device[PF_TEXT_BYTES], bound[PF_TEXT_BYTES],
              hex[PF_DIGEST_HEX_BYTES];
    pf_digest key;
    size_t    bytes = 0;

    pf_plan_key_of(b->plan, &key);
    pf_digest_to_hex(&key, hex);
    pf_plan_bytes(b->plan, &bytes);
    pf_say(b->call, "%s: %s for %s, key %.16s\n", b->plan_path, pf_text_bytes(bytes, size), pf_plan_class_name(b->plan),
           hex);
    if (b->report.cache_hits || b->report.cache_misses)
        pf_say(b->call, "  %u problems: %u from the cache, %u not; %u candidates timed in %.1f s; built in %.1f s\n",
               b->report.problems, b->report.cache_hits, b->report.cache_misses, b->report.candidates_timed,
               b->report.timing_seconds, b->report.build_seconds);
    else
        pf_say(b->call, "  %u problems, all by first guesses; built in %.1f s\n", b->report.problems,
               b->report.build_seconds);
    pf_say(b->call, "  memory %s; a context holds %s on the device, at least %s\n",
           pf_text_bytes(b->report.memory_bytes, memory), pf_text_bytes(b->report.device_bytes, device),
           pf_text_bytes(b->report.device_bound_bytes, bound));
    if (b->report.max_rel_error >= 0)
        pf_say(b->call, "  largest error against the reference %.2g of the output's range, least cosine %.7f\n",
               b->report.max_rel_error, b->report.least_cosine);
    else
        pf_say(b->call, "  outputs were not compared: the reference does not run on generated inputs\n");
    say_raised(b);
}

/* In a signal handler. */
static void say_crash(const char *sentence)
{
    static const char before[] = "planfarm: ", after[] = "\n";

    if (write(STDERR_FILENO, before, sizeof before - 1) < 0 || write(STDERR_FILENO, sentence, strlen(sentence)) < 0 ||
        write(STDERR_FILENO, after, sizeof after - 1) < 0)
        return;         /* nowhere left to say it */
}

static pf_status build_here(build *b, pf_err *err)
{
    pf_status status = check_target(b->plan_path, b->model_path, err);

    pf_timing_watch_crashes(say_crash);
    if (!status)
        status = open_all(b, err);
    if (!status)
        status = build_plan(b, err);
    if (b->store && pf_timing_db_store_warning(b->store))
        pf_warn(b->call, "timings of this build were not stored: %s", pf_timing_db_store_warning(b->store));
    if (!status && b->report.candidates_banned)
        pf_warn(b->call, "%u %s wrong or failed in the whole plan, and the next best is taken instead; --verbose shows "
                "which", b->report.candidates_banned, b->report.candidates_banned == 1 ? "candidate was"
                                                                                        : "candidates were");
    if (!status) {
        pf_warn_of_host(b->call, b->report.products_on_host);
        put_report(b);
        say_report(b);
    }
    return status;
}

static void clear(build *b)
{
    pf_plan_free(b->plan);
    if (b->store)
        b->store->close(b->store);
    pf_timing_db_close(b->db);
    pf_network_free(b->network);
    pf_device_close(b->device);
    pf_config_free(b->config);
}

static pf_status run(pf_call *call, pf_err *err)
{
    const char  *farm = pf_args_text(call->args, "farm"), *gpu = pf_args_text(call->args, "gpu");
    const char  *output = pf_args_text(call->args, "output");
    build        b = {.call = call, .model_path = pf_args_operand(call->args, 0)};
    pf_path_kind kind = PF_PATH_OTHER;
    pf_status    status = pf_args_expect(call->args, 1, 1, "MODEL.onnx", err);

    if (!status && gpu && !farm)
        status = PF_FAIL(err, PF_USAGE,
                         "--gpu chooses among a farm's devices; give --farm URL, or --device for this machine");
    if (!status)
        status = pf_config_from_args(call->args, &b.config, err);
    if (!status)
        status = pf_path_kind_of(b.model_path, &kind, err);
    if (!status && kind != PF_PATH_OTHER)
        status = PF_FAIL(err, PF_INVALID, "%s is not an ONNX model", b.model_path);
    if (!status)
        status = pf_plan_name(b.model_path, output, b.plan_path, err);
    pf_cancel_hold();
    if (!status && farm)
        status = pf_farm_build(call, farm, gpu, b.model_path, output, b.config, err);
    else if (!status)
        status = build_here(&b, err);
    clear(&b);
    status = pf_cancel_told(status);
    pf_cancel_release();
    return status;
}

const pf_verb_body pf_verb_build = {
    .options = options,
    .details = "  Times the candidates of every problem that the network falls into, on the device itself, and keeps\n"
               "  what it measured in the timing cache: a later build takes it from there.  The plan is compared\n"
               "  with the reference before it is written.\n"
               "\n"
               "  planfarm build resnet50.onnx --shapes input:1x3x224x224 -o resnet50.plan\n"
               "  planfarm build bert.onnx --min-shapes ids:1x16 --opt-shapes ids:1x128 --max-shapes ids:8x512\n"
               "\n"
               "  --json: plan plan_key plan_sha256 plan_bytes device_class problems candidates_timed\n"
               "  candidates_banned products_on_host cache_hits cache_misses build_seconds timing_seconds phases\n"
               "  max_rel_error least_cosine fp32 lowered_error memory_bytes memory_lower_bound_bytes\n"
               "  weights_bytes device_bytes device_bound_bytes device_ratio\n"
               "  phases: seconds of front care list compile expect ready check race places refine write\n"
               "      verify\n"
               "  lowered_error: null where outputs would have infinities or no numbers\n",
    .run = run,
};
