#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "client/device_choice.h"
#include "client/farm_fetch.h"
#include "client/farm_follow.h"
#include "client/farm_job.h"
#include "client/output.h"
#include "client/own_class.h"
#include "client/plan_name.h"
#include "engine/model_bundle.h"

enum { MODEL_NAME_BYTES = 256 };

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = "output", .letter = 'o', .kind = PF_OPTION_TEXT, .value = "PLAN",
     .help = "the file to write; MODEL.plan in the current folder otherwise"},
    {.name = "model", .kind = PF_OPTION_TEXT, .value = "NAME|FILE",
     .help = "instead of a plan key: the newest plan of this model"},
    {.name = "gpu", .kind = PF_OPTION_TEXT, .value = "CLASS|auto",
     .help = "with --model: for this device class; auto: for this machine's device"},
    PF_DEVICE_OPTIONS,
    {.name = "share", .kind = PF_OPTION_INT, .value = "PERCENT", .least = 1, .greatest = 100,
     .help = "with --gpu auto: part of the device's compute"},
    PF_KEY_OPTION,
    {.name = NULL},
};

/* Texts that what is wanted points to. */
typedef struct wanted_texts { pf_own_class own; char name[MODEL_NAME_BYTES]; } wanted_texts;

/* A file's digest, or a name: submits name a model by its file without ".onnx". */
static pf_status take_model(const char *model, pf_farm_wanted *wanted, wanted_texts *texts, pf_err *err)
{
    size_t length = strlen(model);

    if (pf_file_exists(model))
        return pf_model_bundle_digest_of(model, &wanted->model, err);
    if (length >= sizeof texts->name)
        return PF_FAIL(err, PF_USAGE, "the name of a model has less than %zu bytes", sizeof texts->name);
    memcpy(texts->name, model, length + 1);
    if (length > 5 && strcmp(model + length - 5, ".onnx") == 0)
        texts->name[length - 5] = 0;
    wanted->model_name = texts->name;
    return PF_OK;
}

static pf_status take_wanted(const pf_call *call, pf_farm_wanted *wanted, wanted_texts *texts, pf_err *err)
{
    const char *key = pf_args_operand(call->args, 0), *model = pf_args_text(call->args, "model"),
               *gpu = pf_args_text(call->args, "gpu");
    pf_status   status = PF_OK;

    if (!key == !model)
        return PF_FAIL(err, PF_USAGE,
                       "name the plan by its key, by its job, or by --model NAME|FILE and --gpu CLASS|auto");
    if (key) {
        pf_digest_from_hex(key, &wanted->plan_key);     /* else a job, which the farm is asked for */
        return PF_OK;
    }
    status = take_model(model, wanted, texts, err);
    if (!status && gpu && strcmp(gpu, "auto") == 0) {
        status = pf_own_class_find(call, &texts->own, err);
        wanted->selector = texts->own.hex;
    } else if (gpu) {
        wanted->selector = gpu;
    }
    return status;
}

static pf_status take_key_of(const Pf__StatusReply *reply, pf_farm_wanted *wanted, pf_err *err)
{
    const Pf__JobStatus *job = reply->n_job == 1 ? reply->job[0] : NULL;
    pf_status            status = PF_OK;

    if (!job)
        return PF_FAIL(err, PF_USAGE,
                       "that submit has %zu jobs; name one of them (planfarm status shows their numbers)",
                       reply->n_job);
    status = pf_farm_jobs_status(reply->job, reply->n_job, err);
    if (!status && (job->state != PF__JOB_STATE__STATE_COMMITTED || job->plan_key.len != sizeof wanted->plan_key))
        return PF_FAIL(err, PF_NOT_FOUND, "job %" PRIu64 " has no plan yet; planfarm watch %" PRIu64 " waits for it",
                       job->job_id, job->job_id);
    if (!status)
        memcpy(wanted->plan_key.byte, job->plan_key.data, sizeof wanted->plan_key.byte);
    return status;
}

/* The plan of a job, by its number or the id of a submit with one job. */
static pf_status take_job(pf_farm *farm, const pf_call *call, pf_farm_wanted *wanted, pf_err *err)
{
    pf_farm_names names = {0};
    pf_message    answer = {0};
    pf_status     status = pf_farm_names_parse(call->args, &names, NULL);

    if (status)
        status = PF_FAIL(err, PF_USAGE,
                         "\"%.80s\" is neither a plan key of 64 hex digits nor a job's number; planfarm list shows "
                         "jobs, and "
                         "planfarm status JOB their keys",
                         pf_args_operand(call->args, 0));
    if (!status)
        status = pf_farm_ask_status(farm, &names, &answer, err);
    if (!status)
        status = take_key_of((const Pf__StatusReply *)answer.body, wanted, err);
    pf_message_clear(&answer);
    pf_farm_names_clear(&names);
    return status;
}

/* own: this machine's device, empty when nobody asked for its plan. */
static pf_status not_found(pf_farm *farm, const pf_call *call, const pf_own_class *own, pf_err *err)
{
    const char *model = pf_args_text(call->args, "model"), *gpu = pf_args_text(call->args, "gpu");
    char        why[PF_ERR_MSG_BYTES], lacks[PF_ERR_MSG_BYTES] = "";

    snprintf(why, sizeof why, "%s", err->msg);
    pf_err_clear(err);
    if (own->hex[0])
        pf_own_class_explain(farm, own, lacks, sizeof lacks);
    if (lacks[0])
        return PF_FAIL(err, PF_NOT_FOUND, "the farm at %s has no plan of \"%.100s\": %.700s", farm->url, model, lacks);
    if (!model)
        return PF_FAIL(err, PF_NOT_FOUND, "the farm at %s has no plan with that key; submit the model to have it built",
                       farm->url);
    return PF_FAIL(err, PF_NOT_FOUND, "the farm at %s has no plan of \"%.100s\" for %.80s: %.600s", farm->url, model,
                   !gpu ? "any class" : own->hex[0] ? "the class of this machine's device" : gpu, why);
}

static pf_status fetch(pf_farm *farm, pf_call *call, const pf_farm_wanted *wanted, const pf_own_class *own, pf_err *err)
{
    static pf_manifest manifest;        /* large */
    pf_farm_trust      trust;
    char               path[PATH_MAX];
    pf_status          status = pf_farm_trust_load(call, farm, &trust, err);

    if (!status)
        status = pf_farm_find_plan(farm, &trust, wanted, &manifest, err);
    if (status == PF_NOT_FOUND)
        return not_found(farm, call, own, err);
    if (!status)
        status = pf_plan_name(manifest.model_name, pf_args_text(call->args, "output"), path, err);
    if (!status)
        status = pf_farm_fetch_plan(farm, call, &manifest, path, err);
    if (!status) {
        json_object_set_new(call->result, "plan", pf_json_text(path));
        pf_farm_put_manifest(call->result, &manifest);
        pf_farm_say_manifest(call, &manifest, path);
    }
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    pf_farm_wanted wanted = {0};
    pf_farm        farm = {0};
    wanted_texts   texts = {0};
    pf_status      status = pf_args_expect(call->args, 0, 1, "[PLAN_KEY|JOB]", err);

    if (!status)
        status = take_wanted(call, &wanted, &texts, err);
    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    if (!status && pf_args_operand(call->args, 0) && pf_digest_is_zero(&wanted.plan_key))
        status = take_job(&farm, call, &wanted, err);
    if (!status)
        status = fetch(&farm, call, &wanted, &texts.own, err);
    pf_farm_close(&farm);
    return status;
}

const pf_verb_body pf_verb_fetch = {
    .options = options,
    .details = "  Names a plan by its key, by the job that made it, or by model and class.\n"
               "  Checks the manifest's signature against the key that was kept when the farm was first used (or\n"
               "  --key), then fetches the plan and checks its bytes; the file appears when everything is right.\n"
               "\n"
               "  planfarm fetch --model resnet50 --gpu auto -o resnet50.plan\n"
               "\n"
               "  --json: plan plan_key plan_sha256 plan_bytes device_class model problems candidates_timed\n"
               "  products_on_host cache_hits cache_misses build_seconds timing_seconds max_rel_error\n",
    .run = run,
};
