#include "client/farm_act.h"
#include "client/farm_follow.h"
#include "client/farm_job.h"
#include "client/output.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = "logs", .kind = PF_OPTION_FLAG, .help = "show what the builds print, too"},
    {.name = NULL},
};

static pf_status watch(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_err *err)
{
    pf_farm_follow         how = {.logs = pf_args_flag(call->args, "logs")};
    pf_message             jobs = {0};
    const Pf__StatusReply *reply = NULL;
    pf_status              status = pf_farm_follow_jobs(farm, call, names, &how, &jobs, err);

    if (!status) {
        reply = (const Pf__StatusReply *)jobs.body;
        pf_farm_jobs_put(call, reply->job, reply->n_job);
        json_object_set_new(call->result, "events", pf_json_count(how.events));
        json_object_set_new(call->result, "gaps", pf_json_count(how.gaps));
        pf_farm_jobs_say(call, reply->job, reply->n_job);
        status = pf_farm_jobs_status(reply->job, reply->n_job, err);
    }
    pf_message_clear(&jobs);
    return status;
}

static pf_status run(pf_call *call, pf_err *err) { return pf_farm_act_run(call, watch, err); }

const pf_verb_body pf_verb_watch = {
    .options = options,
    .details = "  Shows what happens to jobs, from the beginning as far as the farm remembers it, until all of them\n"
               "  have ended; then ends with the exit code of the failure, if there was one.  Where the farm had to\n"
               "  leave events out, a line says so.\n"
               "  --json: jobs[...] events gaps\n",
    .run = run,
};
