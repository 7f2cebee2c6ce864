#include <string.h>

#include "client/farm_follow.h"
#include "client/farm_job.h"
#include "client/output.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = NULL},
};

static pf_status kick(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_err *err)
{
    Pf__Kick             body = PF__KICK__INIT;
    pf_message           answer = {0};
    const Pf__KickReply *reply = NULL;
    json_t              *list = json_array();
    pf_status            status = PF_OK;

    body.submit_id = names->submit;
    body.job_id = names->job_id;
    body.n_job_id = names->jobs_count;
    status = pf_farm_call(farm, PF_MSG_KICK, &body.base, PF_MSG_KICK_REPLY, &answer, err);
    if (!status) {
        reply = (const Pf__KickReply *)answer.body;
        for (size_t i = 0; i < reply->n_job; i++)
            json_array_append_new(list, pf_job_view_json(reply->job[i]));
        json_object_set(call->result, "jobs", list);
        pf_farm_jobs_say(call, reply->job, reply->n_job);
    }
    json_decref(list);
    pf_message_clear(&answer);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    pf_farm_names names = {0};
    pf_farm       farm = {0};
    pf_status     status = pf_farm_names_parse(call->args, &names, err);

    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    if (!status)
        status = kick(&farm, call, &names, err);
    pf_farm_close(&farm);
    pf_farm_names_clear(&names);
    return status;
}

const pf_verb_body pf_verb_kick = {
    .options = options,
    .details = "  Puts jobs that are quarantined, failed or unsatisfiable back into the queue, with all their attempts before them.\n"
               "  --json: jobs[...]\n",
    .run = run,
};
