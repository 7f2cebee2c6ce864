#include <string.h>

#include "client/farm.h"
#include "client/farm_job.h"
#include "client/output.h"

enum { STATES_MAX = 12 };

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = "state", .kind = PF_OPTION_TEXT, .value = "STATE", .help = "only jobs in this state; may be given again"},
    {.name = "user", .kind = PF_OPTION_TEXT, .value = "NAME", .help = "only jobs of this user"},
    {.name = "model", .kind = PF_OPTION_TEXT, .value = "NAME", .help = "only builds of this model"},
    {.name = "limit", .kind = PF_OPTION_INT, .value = "N", .fallback = "100", .least = 1, .greatest = 100000,
     .help = "at most so many, the newest"},
    {.name = NULL},
};

static pf_status take_states(const pf_call *call, Pf__JobState states[STATES_MAX], size_t *count, pf_err *err)
{
    uint32_t given = pf_args_count(call->args, "state");

    for (uint32_t i = 0; i < given; i++) {
        const char *name = pf_args_nth(call->args, "state", i);

        if (*count == STATES_MAX || !pf_job_view_find_state(name, &states[*count]))
            return PF_FAIL(err, PF_USAGE,
                           "there is no state \"%.40s\"; there are queued, offered, building, verifying, backoff, "
                           "cancelling, "
                           "done, failed, cancelled, quarantined and unsatisfiable",
                           name);
        (*count)++;
    }
    return PF_OK;
}

/* One reply; *left goes down, and to 0 when there are no more. */
static pf_status list_once(pf_farm *farm, pf_call *call, Pf__List *body, json_t *list, uint32_t *left, pf_err *err)
{
    pf_message           answer = {0};
    const Pf__ListReply *reply = NULL;
    pf_status            status = PF_OK;

    body->limit = *left;
    status = pf_farm_call(farm, PF_MSG_LIST, &body->base, PF_MSG_LIST_REPLY, &answer, err);
    if (!status) {
        reply = (const Pf__ListReply *)answer.body;
        for (size_t i = 0; i < reply->n_job; i++)
            json_array_append_new(list, pf_job_view_json(reply->job[i]));
        pf_farm_jobs_say(call, reply->job, reply->n_job);
        *left = reply->more && reply->n_job && reply->n_job < *left ? *left - (uint32_t)reply->n_job : 0;
        if (reply->n_job)
            body->before_job_id = reply->job[reply->n_job - 1]->job_id;
    }
    pf_message_clear(&answer);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    Pf__List     body = PF__LIST__INIT;
    Pf__JobState states[STATES_MAX];
    const char  *user = pf_args_text(call->args, "user"), *model = pf_args_text(call->args, "model");
    uint32_t     left = (uint32_t)pf_args_int(call->args, "limit");
    json_t      *list = json_array();
    pf_farm      farm = {0};
    pf_status    status = pf_args_expect(call->args, 0, 0, "nothing", err);

    if (!status)
        status = take_states(call, states, &body.n_state, err);
    body.state = states;
    body.user = (char *)(user ? user : "");
    body.model_name = (char *)(model ? model : "");
    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    while (!status && left)
        status = list_once(&farm, call, &body, list, &left, err);
    json_object_set(call->result, "jobs", list);
    json_decref(list);
    pf_farm_close(&farm);
    return status;
}

const pf_verb_body pf_verb_list = {
    .options = options,
    .details = "  planfarm list --state queued --state building\n"
               "\n"
               "  --json: jobs[...], as planfarm submit\n",
    .run = run,
};
