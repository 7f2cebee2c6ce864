#include "client/output.h"
#include "engine/planfarm.h"

static pf_status run(pf_call *call, pf_err *err)
{
    pf_status status = pf_args_expect(call->args, 0, 0, "", err);

    if (status)
        return status;
    pf_say(call, "planfarm %s (builder ABI %s)\n", PF_VERSION, PF_BUILDER_ABI);
    json_object_set_new(call->result, "version", json_string(PF_VERSION));
    json_object_set_new(call->result, "builder_abi", json_string(PF_BUILDER_ABI));
    return PF_OK;
}

const pf_verb_body pf_verb_version = {
    .details = "  Plans are made again when the builder ABI changes; the version may change without that.\n",
    .run = run,
};
