#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "client/cancel.h"
#include "client/farm.h"
#include "client/local_farm.h"
#include "client/output.h"

enum { DEVICES_MAX = 16, ARGUMENTS_MAX = 2 * DEVICES_MAX + 8 };

#define READY_NS (120 * PF_NS_PER_S)    /* a GPU's first context may take long */
#define TURN_NS  (50 * PF_NS_PER_MS)

static const pf_option options[] = {
    {.name = "dir", .kind = PF_OPTION_TEXT, .value = "DIR",
     .help = "where the farm keeps everything; ~/.local/state/planfarm/farm otherwise"},
    {.name = "port", .kind = PF_OPTION_INT, .value = "N", .fallback = "0", .greatest = 65535,
     .help = "of HTTP; 0: that of the last time where it is free, else any"},
    {.name = "device", .kind = PF_OPTION_TEXT, .value = "cpu|cuda:N",
     .help = "a device to build for, again for each; cpu otherwise"},
    {.name = "threads", .kind = PF_OPTION_TEXT, .value = "N", .help = "threads that a CPU may use"},
    {.name = "isa", .kind = PF_OPTION_TEXT, .value = "NAME",
     .help = "greatest instruction set of a CPU: sse41, avx2, avx512, amx"},
    {.name = "share", .kind = PF_OPTION_TEXT, .value = "PERCENT",
     .help = "part of a GPU's compute that builds and their plans get"},
    {.name = NULL},
};

static pf_status default_folder(char out[PATH_MAX], pf_err *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int         length = 0;

    if (state && state[0] == '/')
        length = snprintf(out, PATH_MAX, "%s/planfarm/farm", state);
    else if (home && home[0] == '/')
        length = snprintf(out, PATH_MAX, "%s/.local/state/planfarm/farm", home);
    else
        return PF_FAIL(err, PF_NOT_FOUND, "there is no folder for the farm; give --dir, or set HOME");
    return length < PATH_MAX ? PF_OK : PF_FAIL(err, PF_INVALID, "the farm's folder has too long a name");
}

static pf_status start_agent(pf_local_farm *farm, const pf_call *call, pf_err *err)
{
    static const char *const passed[][2] = {{"threads", "--threads"}, {"isa", "--isa"}, {"share", "--share"}};
    const char *arguments[ARGUMENTS_MAX + 1] = {NULL};
    uint32_t    devices = pf_args_count(call->args, "device");
    int         count = 0;

    for (uint32_t i = 0; i < devices && i < DEVICES_MAX; i++) {
        arguments[count++] = "--device";
        arguments[count++] = pf_args_nth(call->args, "device", i);
    }
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
        if (!pf_args_given(call->args, passed[i][0]))
            continue;
        arguments[count++] = passed[i][1];
        arguments[count++] = pf_args_text(call->args, passed[i][0]);
    }
    return pf_local_farm_start_agent(farm, arguments, err);
}

/* Whether the agent has joined; then the farm's classes stand in the result. */
static pf_status ask_agents(pf_farm *farm, pf_call *call, bool *ready, pf_err *err)
{
    Pf__Agents             body = PF__AGENTS__INIT;
    pf_message             answer = {0};
    const Pf__AgentsReply *reply = NULL;
    json_t                *classes = json_array();
    pf_status              status = pf_farm_call(farm, PF_MSG_AGENTS, &body.base, PF_MSG_AGENTS_REPLY, &answer, err);

    if (!status) {
        reply = (const Pf__AgentsReply *)answer.body;
        for (size_t i = 0; i < reply->n_device_class; i++)
            if (reply->device_class[i]->agents_alive)
                json_array_append_new(classes, pf_json_text(reply->device_class[i]->class_name));
        *ready = json_array_size(classes) > 0;
        json_object_set(call->result, "classes", classes);
    }
    json_decref(classes);
    pf_message_clear(&answer);
    return status;
}

/* Ends early, and not ready, when the user wishes to end the farm. */
static pf_status wait_until_ready(pf_local_farm *local, pf_call *call, bool *ready, pf_err *err)
{
    int64_t   until = pf_clock_ns() + READY_NS;
    pf_farm   farm = {0};
    pf_status status = pf_farm_open(call, local->http_url, &farm, err);

    while (!status && !*ready && !pf_cancel_asked()) {
        status = pf_local_farm_check(local, err);
        if (!status)
            status = ask_agents(&farm, call, ready, err);
        if (!status && !*ready && pf_clock_ns() > until)
            status = PF_FAIL(err, PF_TIMEOUT, "the agent has not joined after %lld s; see %s",
                             (long long)(READY_NS / PF_NS_PER_S), local->agent.log_path);
        if (!*ready)
            pf_clock_sleep_ns(TURN_NS);
    }
    pf_farm_close(&farm);
    return status;
}

/* Everything that --json prints goes out now: the verb goes on. */
static void tell_ready(const pf_local_farm *farm, pf_call *call)
{
    json_t     *classes = json_object_get(call->result, "classes");
    const char *first = json_string_value(json_array_get(classes, 0));

    json_object_set_new(call->result, "url", pf_json_text(farm->http_url));
    json_object_set_new(call->result, "client", pf_json_text(farm->client));
    json_object_set_new(call->result, "agent", pf_json_text(farm->agent_endpoint));
    json_object_set_new(call->result, "dir", pf_json_text(farm->folder));
    pf_say(call, "The farm is ready at %s; it keeps everything in %s.\n", farm->http_url, farm->folder);
    pf_say(call, "It builds for %s. In another terminal:\n\n", first ? first : "nothing yet");
    pf_say(call, "  export PLANFARM_FARM=%s\n", farm->http_url);
    pf_say(call, "  planfarm submit MODEL.onnx --gpu %s --wait\n", first ? first : "cpu");
    pf_say(call, "  planfarm fetch --model MODEL --gpu %s\n\nCtrl-C ends it.\n", first ? first : "cpu");
    if (call->json) {
        json_dumpf(call->result, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
    }
    fflush(stdout);
    call->json = false;
}

static pf_status wait_for_end(pf_local_farm *farm, pf_err *err)
{
    pf_status status = PF_OK;

    while (!status && !pf_cancel_asked()) {
        status = pf_local_farm_check(farm, err);
        pf_clock_sleep_ns(TURN_NS);
    }
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    static pf_local_farm farm = {.lock_fd = -1};        /* large */
    char                 folder[PATH_MAX];
    const char          *given = pf_args_text(call->args, "dir");
    bool                 ready = false;
    pf_status            status = pf_args_expect(call->args, 0, 0, "nothing", err);

    if (!status && given)
        snprintf(folder, sizeof folder, "%s", given);
    else if (!status)
        status = default_folder(folder, err);
    pf_cancel_hold();
    if (!status)
        status = pf_local_farm_start_coordinator(&farm, folder, (int)pf_args_int(call->args, "port"), err);
    if (!status)
        status = start_agent(&farm, call, err);
    if (!status)
        status = wait_until_ready(&farm, call, &ready, err);
    if (!status && ready) {
        tell_ready(&farm, call);
        status = wait_for_end(&farm, err);
    }
    pf_local_farm_stop(&farm);
    pf_cancel_check(NULL);
    pf_cancel_release();
    return status;
}

const pf_verb_body pf_verb_up = {
    .options = options,
    .details = "  Starts a coordinator and an agent on loopback ports of this machine, says where, and runs until\n"
               "  Ctrl-C or SIGTERM; then ends both.  What it keeps in DIR is there again the next time: jobs, plans\n"
               "  and timings, and its ports where they are free.  When one of the two fails, all end, with its\n"
               "  reason.  Their logs are DIR/planfarm-coordinator.log and DIR/planfarm-agent.log.\n"
               "\n"
               "  --json: url client agent dir classes[...], printed when the farm is ready\n",
    .run = run,
};
