#include "client/farm_act.h"
#include "client/farm_job.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = NULL},
};

static pf_status kick(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_err *err)
{
    Pf__Kick             body = PF__KICK__INIT;
    pf_message           answer = {0};
    const Pf__KickReply *reply = NULL;
    pf_status            status = PF_OK;

    body.submit_id = names->submit;
    body.job_id = names->job_id;
    body.n_job_id = names->jobs_count;
    status = pf_farm_call(farm, PF_MSG_KICK, &body.base, PF_MSG_KICK_REPLY, &answer, err);
    if (!status) {
        reply = (const Pf__KickReply *)answer.body;
        pf_farm_jobs_put(call, reply->job, reply->n_job);
        pf_farm_jobs_say(call, reply->job, reply->n_job);
    }
    pf_message_clear(&answer);
    return status;
}

static pf_status run(pf_call *call, pf_err *err) { return pf_farm_act_run(call, kick, err); }

const pf_verb_body pf_verb_kick = {
    .options = options,
    .details = "  Puts jobs that are quarantined, failed or unsatisfiable back into the queue, with all their\n"
               "  attempts before them.\n"
               "  --json: jobs[...]\n",
    .run = run,
};
