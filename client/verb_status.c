#include "client/farm_act.h"
#include "client/farm_follow.h"
#include "client/farm_job.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = NULL},
};

static pf_status show(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_err *err)
{
    pf_message             answer = {0};
    const Pf__StatusReply *reply = NULL;
    pf_status              status = pf_farm_ask_status(farm, names, &answer, err);

    if (!status) {
        reply = (const Pf__StatusReply *)answer.body;
        pf_farm_jobs_put(call, reply->job, reply->n_job);
        for (size_t i = 0; i < reply->n_job; i++)
            pf_farm_job_say(call, reply->job[i]);
    }
    pf_message_clear(&answer);
    return status;
}

static pf_status run(pf_call *call, pf_err *err) { return pf_farm_act_run(call, show, err); }

const pf_verb_body pf_verb_status = {
    .options = options,
    .details = "  planfarm status 17\n"
               "  planfarm status 3f0c5a1be0d94c6e8a7712c0ffee0001     all jobs of a submit\n"
               "\n"
               "  Ends with 0 whatever became of the jobs.  --json: jobs[...], as planfarm submit\n",
    .run = run,
};
