/* The engine's part of a job. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "builder-agent/job.h"
#include "builder-agent/timing_home.h"
#include "engine/planfarm.h"

/* Takes object, and writes it to out; "" when it does not fit. */
static void write_json(json_t *object, char *out, size_t capacity)
{
    size_t bytes = object ? json_dumpb(object, out, capacity - 1, JSON_COMPACT | JSON_REAL_PRECISION(9)) : 0;

    out[bytes < capacity ? bytes : 0] = 0;
    json_decref(object);
}

/* The engine's phases from PF_PHASE_CHOOSE on are the farm's BUILD. */
static bool on_progress(void *user, const pf_progress *p)
{
    pf_job_run *run = user;
    const char *phase = pf_phase_name(p->phase), *layer = p->layer ? p->layer : "";
    bool        builds = p->phase >= PF_PHASE_CHOOSE;
    uint32_t    permille = p->problems_total ? (uint32_t)((uint64_t)p->problems_done * 1000 / p->problems_total) : 0;
    double      remaining = p->remaining_ns < 0 ? -1.0 : (double)p->remaining_ns / (double)PF_NS_PER_S;
    char        text[256], json[PF_PROGRESS_BYTES];

    if (builds)
        permille = (uint32_t)(p->phase - PF_PHASE_CHOOSE) * 1000 / (PF_PHASE_COUNT - PF_PHASE_CHOOSE);
    snprintf(text, sizeof text, "%s%s%.200s", phase, layer[0] ? " " : "", layer);
    write_json(json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:s}", "phase", phase,
                         "problems_done", (int)p->problems_done, "problems_total", (int)p->problems_total,
                         "candidates_timed", (int)p->candidates_timed, "cache_hits", (int)p->cache_hits,
                         "cache_misses", (int)p->cache_misses, "elapsed_seconds",
                         (double)p->elapsed_ns / (double)PF_NS_PER_S, "remaining_seconds", remaining, "layer", layer),
               json, sizeof json);
    return pf_job_tell(run, builds ? PF__PHASE__PHASE_BUILD : PF__PHASE__PHASE_TUNE, permille, text, json);
}

static void summarize(const pf_build_report *report, const pf_plan *plan, char out[PF_SUMMARY_BYTES])
{
    write_json(json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:I, s:I, s:I}",
                         "problems", (int)report->problems, "layers", (int)pf_plan_layer_count(plan),
                         "candidates_timed", (int)report->candidates_timed, "cache_hits", (int)report->cache_hits,
                         "cache_misses", (int)report->cache_misses, "products_on_host", (int)report->products_on_host,
                         "build_seconds", report->build_seconds,
                         "timing_seconds", report->timing_seconds, "max_rel_error", report->max_rel_error,
                         "memory_bytes", (json_int_t)report->memory_bytes,
                         "memory_lower_bound_bytes", (json_int_t)report->memory_lower_bound_bytes,
                         "weights_bytes", (json_int_t)report->weights_bytes),
               out, PF_SUMMARY_BYTES);
}

static pf_status open_device(pf_job_run *run, pf_device **out, pf_err *err)
{
    const pf_job_device *named = &run->job->device;
    pf_device_options    options = { .threads = named->threads, .isa = named->isa[0] ? named->isa : NULL,
                                     .share_percent = named->share_percent };
    pf_status            st = pf_device_open(named->name, &options, out, err);

    if (st == PF_STALE) {
        run->replaced = true;
        return pf_err_add(err, st, "planfarm was replaced under this agent, which must be started anew");
    }
    if (st)     /* it was there when the agent started, so this is not the model's fault */
        return pf_err_add(err, PF_DEVICE, "the device %s cannot be opened any more", named->name);
    if (pf_digest_equal(&(*out)->class_digest, &run->job->device_class))
        return PF_OK;
    pf_device_close(*out);
    *out = NULL;
    return PF_FAIL(err, PF_DEVICE, "the device %s is not what it was when the agent started; restart the agent",
                   named->name);
}

static pf_status check_model(pf_job_run *run, pf_network *network, pf_err *err)
{
    pf_digest found = { 0 };
    pf_status st = PF_OK;

    if (run->model_by_url) {
        pf_network_set_digest(network, &run->job->model);
        return PF_OK;
    }
    st = pf_network_digest(network, &found, err);
    if (!st && !pf_digest_equal(&found, &run->job->model))
        st = PF_FAIL(err, PF_IO, "the model's files are not those that were asked for");
    return st;
}

/* A failure is not the model's when the agent's copy of it is damaged. */
static pf_status import(pf_job_run *run, pf_network **out, pf_err *err)
{
    char      path[PATH_MAX];
    pf_err    why = { .list = err ? err->list : NULL };
    pf_status st = pf_path_join(run->folder, "model/model.onnx", path, sizeof path, &why);

    if (!st)
        st = pf_network_import(path, out, &why);
    if (!st)
        st = check_model(run, *out, &why);
    if (st && !run->model_by_url && pf_job_drop_damaged(run))
        return PF_FAIL(err, PF_IO, "the model's files changed after they were fetched; the agent's disk is damaged");
    if (st && err)
        *err = why;
    return st;
}

/* What is stored must be what was asked for. */
static pf_status check_key(const pf_job_run *run, const pf_plan *plan, pf_err *err)
{
    char      asked[PF_DIGEST_HEX_BYTES], found_hex[PF_DIGEST_HEX_BYTES];
    pf_digest found = { 0 };

    pf_plan_key_of(plan, &found);
    if (pf_digest_equal(&found, &run->job->plan_key))
        return PF_OK;
    pf_digest_to_hex(&run->job->plan_key, asked);
    pf_digest_to_hex(&found, found_hex);
    return PF_FAIL(err, PF_INTERNAL, "a plan of key %.16s was asked for and %.16s was built; the coordinator and this "
                   "agent are of different versions", asked, found_hex);
}

static pf_status keep_plan(pf_job_run *run, const pf_plan *plan, const pf_build_report *report, pf_err *err)
{
    char      path[PATH_MAX];
    size_t    bytes = 0;
    pf_status st = check_key(run, plan, err);

    if (!st)
        st = pf_path_join(run->folder, "plan", path, sizeof path, err);
    if (!st)
        st = pf_plan_save(plan, path, err);
    if (st)
        return st;
    pf_plan_bytes(plan, &bytes);
    pf_plan_digest(plan, &run->plan_digest);
    run->plan_bytes = bytes;
    summarize(report, plan, run->summary);
    return PF_OK;
}

pf_status pf_job_build(pf_job_run *run, pf_err *err)
{
    pf_build_options options = { .progress = on_progress, .user = run, .plan_folder = run->folder };
    pf_build_report  report = { 0 };
    pf_network      *network = NULL;
    pf_config       *config = NULL;
    pf_device       *device = NULL;
    pf_timing_home  *home = NULL;
    pf_plan         *plan = NULL;
    pf_status        st = import(run, &network, err);

    if (!st)
        st = pf_config_parse(run->job->spec_text, &config, err);
    if (!st)
        st = open_device(run, &device, err);
    if (!st)
        st = pf_config_check(config, device, err);
    if (!st)
        st = pf_timing_home_open(run->job->agent_folder, run->job->coordinator, run->folder, &home, err);
    if (!st) {
        options.store = pf_timing_home_store(home);
        options.kernel_folder = pf_timing_home_kernels(home);
        st = pf_build(network, config, device, &options, &plan, &report, err);
    }
    if (home && pf_timing_home_warning(home))
        pf_log(PF_LOG_WARN, "job", "timings_not_kept reason=\"%s\"", pf_timing_home_warning(home));
    if (!st)
        st = keep_plan(run, plan, &report, err);
    pf_plan_free(plan);
    pf_timing_home_close(home);
    pf_device_close(device);
    pf_config_free(config);
    pf_network_free(network);
    return st;
}
