#include "client/completion.h"

static pf_status run(pf_call *call, pf_err *err)
{
    pf_status status = pf_args_expect(call->args, 1, 1, "the shell", err);

    return status ? status : pf_completion(call, pf_args_operand(call->args, 0), err);
}

const pf_verb_body pf_verb_completion = {
    .details = "  source <(planfarm completion bash)\n"
               "  planfarm completion bash > /etc/bash_completion.d/planfarm\n"
               "  source <(planfarm completion zsh)\n"
               "  planfarm completion zsh > \"${fpath[1]}/_planfarm\"\n"
               "  planfarm completion fish | source\n"
               "  planfarm completion fish > ~/.config/fish/completions/planfarm.fish\n",
    .run = run,
};
