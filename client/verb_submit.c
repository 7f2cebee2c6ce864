#include <stdio.h>
#include <string.h>

#include "client/config_flags.h"
#include "client/farm_fetch_jobs.h"
#include "client/farm_follow.h"
#include "client/farm_job.h"
#include "client/farm_submit.h"
#include "client/farm_trust.h"
#include "client/output.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    PF_SUBMIT_OPTIONS,
    {.name = "wait", .letter = 'w', .kind = PF_OPTION_FLAG,
     .help = "show progress until the plans are there, and end with the failure's exit code"},
    {.name = "fetch", .kind = PF_OPTION_TEXT, .value = "DIR",
     .help = "with --wait: fetch the plans into DIR, as MODEL-CLASS.plan"},
    PF_KEY_OPTION,
    {.name = "logs", .kind = PF_OPTION_FLAG, .help = "with --wait: show what the builds print, too"},
#define PF_CONFIG(key, type, default_, in_key, text) PF_CONFIG_FLAG(key, type, default_, text)
#include "engine/config.def"
#undef PF_CONFIG
    {.name = NULL},
};

static void put_submission(pf_call *call, const pf_farm_submission *submission)
{
    char hex[PF_SUBMIT_HEX_BYTES];

    pf_farm_submit_hex(submission->submit_id, hex);
    json_object_set_new(call->result, "submit_id", json_string(hex));
    json_object_set_new(call->result, "model_sha256", pf_json_digest(&submission->model));
    json_object_set_new(call->result, "uploaded_bytes", pf_json_count(submission->uploaded_bytes));
}

/* Plans that are there are fetched also when others are not; then the failure of those counts. */
static pf_status show_end(pf_farm *farm, pf_call *call, const char *model, Pf__JobStatus *const *jobs, size_t count,
                          pf_err *err)
{
    const char *folder = pf_args_text(call->args, "fetch");
    pf_err      why = {0};
    pf_status   fetched = PF_OK, status = PF_OK;

    pf_farm_jobs_put(call, jobs, count);
    pf_farm_jobs_say(call, jobs, count);
    if (folder)
        fetched = pf_farm_fetch_jobs(farm, call, model, jobs, count, folder, json_object_get(call->result, "jobs"),
                                     &why);
    status = pf_farm_jobs_status(jobs, count, err);
    return status ? status : fetched ? PF_FAIL(err, fetched, "%s", why.msg) : PF_OK;
}

/* The same bytes under another name: their plans keep the first. */
static void warn_of_name(pf_call *call, const char *model, Pf__JobStatus *const *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(jobs[i]->model_name, model) != 0) {
            pf_warn(call, "the farm has this very model as \"%.200s\", by which name planfarm fetch finds its plans, "
                    "not by \"%.200s\"", jobs[i]->model_name, model);
            return;
        }
}

static pf_status follow(pf_farm *farm, pf_call *call, const pf_farm_submission *submission, pf_err *err)
{
    pf_farm_names          names = {0};
    pf_farm_follow         how = {.logs = pf_args_flag(call->args, "logs")};
    pf_message             jobs = {0};
    const Pf__StatusReply *reply = NULL;
    pf_status              status = PF_OK;

    pf_farm_names_of_submit(submission->submit_id, &names);
    status = pf_farm_follow_jobs(farm, call, &names, &how, &jobs, err);
    if (!status) {
        reply = (const Pf__StatusReply *)jobs.body;
        status = show_end(farm, call, submission->model_name, reply->job, reply->n_job, err);
    }
    pf_message_clear(&jobs);
    pf_farm_names_clear(&names);
    return status;
}

static pf_status submit(pf_farm *farm, pf_call *call, const pf_config *config, pf_err *err)
{
    pf_farm_submission     submission = {0};
    const Pf__SubmitReply *reply = NULL;
    char                   hex[PF_SUBMIT_HEX_BYTES];
    pf_status              status = pf_farm_submit(farm, call, pf_args_operand(call->args, 0), NULL, config,
                                                   &submission, err);

    if (!status) {
        reply = (const Pf__SubmitReply *)submission.answer.body;
        put_submission(call, &submission);
        pf_farm_jobs_put(call, reply->job, reply->n_job);
        pf_farm_submit_hex(submission.submit_id, hex);
        pf_say(call, "submit %s\n", hex);
        warn_of_name(call, submission.model_name, reply->job, reply->n_job);
        if (!pf_args_flag(call->args, "wait"))
            pf_farm_jobs_say(call, reply->job, reply->n_job);
        else if (pf_farm_jobs_are_final(reply->job, reply->n_job))
            status = show_end(farm, call, submission.model_name, reply->job, reply->n_job, err);
        else
            status = follow(farm, call, &submission, err);
    }
    pf_farm_submission_clear(&submission);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    pf_config *config = NULL;
    pf_farm    farm = {0};
    pf_status  status = pf_args_expect(call->args, 1, 1, "MODEL.onnx or its URL", err);

    if (!status && pf_args_given(call->args, "fetch") && !pf_args_flag(call->args, "wait"))
        status = PF_FAIL(err, PF_USAGE, "--fetch needs --wait: the plans are not there before");
    if (!status)
        status = pf_config_from_args(call->args, &config, err);
    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    if (!status)
        status = submit(&farm, call, config, err);
    pf_farm_close(&farm);
    pf_config_free(config);
    return status;
}

const pf_verb_body pf_verb_submit = {
    .options = options,
    .details = "  Uploads what the farm lacks of the model and asks for a plan for each class.  A plan that is there\n"
               "  is answered at once, a build that runs already is joined.  Without --wait it ends when the farm\n"
               "  has taken the job, which then survives anything.  Ctrl-C while waiting leaves the build running\n"
               "  and ends with 130.\n"
               "  A model by URL (http, https, s3) is fetched by the agent; give --sha256 where you can.\n"
               "\n"
               "  planfarm submit resnet50.onnx --farm http://farm:7780 --gpu h100,l4 --fp16 \\\n"
               "      --shapes input:8x3x224x224 --wait\n"
               "\n"
               "  --json: submit_id model_sha256 uploaded_bytes jobs[job_id state selector device_class plan_key\n"
               "  plan_sha256 plan_bytes phase percent attempt agent failure exit_code message hit joined plan ...]\n",
    .run = run,
};
