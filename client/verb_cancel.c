#include "client/farm_act.h"
#include "client/farm_job.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = "reason", .kind = PF_OPTION_TEXT, .value = "TEXT", .help = "is kept with the job"},
    {.name = NULL},
};

static pf_status cancel(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_err *err)
{
    Pf__Cancel             body = PF__CANCEL__INIT;
    pf_message             answer = {0};
    const char            *reason = pf_args_text(call->args, "reason");
    const Pf__CancelReply *reply = NULL;
    pf_status              status = PF_OK;

    body.submit_id = names->submit;
    body.job_id = names->job_id;
    body.n_job_id = names->jobs_count;
    body.reason = (char *)(reason ? reason : "");
    status = pf_farm_call(farm, PF_MSG_CANCEL, &body.base, PF_MSG_CANCEL_REPLY, &answer, err);
    if (!status) {
        reply = (const Pf__CancelReply *)answer.body;
        pf_farm_jobs_put(call, reply->job, reply->n_job);
        pf_farm_jobs_say(call, reply->job, reply->n_job);
    }
    pf_message_clear(&answer);
    return status;
}

static pf_status run(pf_call *call, pf_err *err) { return pf_farm_act_run(call, cancel, err); }

const pf_verb_body pf_verb_cancel = {
    .options = options,
    .details = "  A job's number ends it for everybody.  A submit's id gives up that submit's interest: a build that\n"
               "  others wait for goes on.\n"
               "  --json: jobs[...]\n",
    .run = run,
};
