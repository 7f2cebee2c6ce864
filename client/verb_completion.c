#include <string.h>

#include "client/help.h"

static pf_status run(pf_call *call, pf_err *err)
{
    pf_status status = pf_args_expect(call->args, 1, 1, "the shell", err);

    if (status)
        return status;
    if (strcmp(pf_args_operand(call->args, 0), "bash") != 0)
        return PF_FAIL(err, PF_UNSUPPORTED, "there is no completion for \"%.40s\", only for bash",
                       pf_args_operand(call->args, 0));
    return pf_help_completion(call, err);
}

const pf_verb_body pf_verb_completion = {
    .details = "  source <(planfarm completion bash)\n"
               "  planfarm completion bash > /etc/bash_completion.d/planfarm\n",
    .run = run,
};
