#include <string.h>

#include "client/farm_follow.h"
#include "client/farm_job.h"
#include "client/output.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = NULL},
};

static void show(pf_call *call, Pf__JobStatus *const *jobs, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, pf_job_view_json(jobs[i]));
    json_object_set_new(call->result, "jobs", list);
    for (size_t i = 0; i < count; i++)
        pf_farm_job_say(call, jobs[i]);
}

static pf_status run(pf_call *call, pf_err *err)
{
    pf_farm_names          names = {0};
    pf_farm                farm = {0};
    pf_message             answer = {0};
    const Pf__StatusReply *reply = NULL;
    pf_status              status = pf_farm_names_parse(call->args, &names, err);

    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    if (!status)
        status = pf_farm_ask_status(&farm, &names, &answer, err);
    if (!status) {
        reply = (const Pf__StatusReply *)answer.body;
        show(call, reply->job, reply->n_job);
    }
    pf_message_clear(&answer);
    pf_farm_close(&farm);
    pf_farm_names_clear(&names);
    return status;
}

const pf_verb_body pf_verb_status = {
    .options = options,
    .details = "  planfarm status 17\n"
               "  planfarm status 3f0c5a1be0d94c6e8a7712c0ffee0001     all jobs of a submit\n"
               "\n"
               "  Ends with 0 whatever became of the jobs.  --json: jobs[...], as planfarm submit\n",
    .run = run,
};
