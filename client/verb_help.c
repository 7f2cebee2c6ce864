#include <stdio.h>
#include <string.h>

#include "client/help.h"

static pf_status run(pf_call *call, pf_err *err)
{
    const pf_verb *verbs = pf_verbs, *verb = NULL;
    char           path[128] = "";

    if (!pf_args_operand_count(call->args))
        return pf_help_overview(call, err);
    if (strcmp(pf_args_operand(call->args, 0), "exit-codes") == 0)
        return pf_help_exit_codes(call, err);
    for (uint32_t i = 0; i < pf_args_operand_count(call->args); i++) {
        size_t used = strlen(path);

        verb = verbs ? pf_verb_find(verbs, pf_args_operand(call->args, i)) : NULL;
        if (!verb && !verbs)
            return PF_FAIL(err, PF_USAGE, "%s has no verbs of its own", path);
        if (!verb)
            return pf_verb_unknown(verbs, path, pf_args_operand(call->args, i), err);
        snprintf(path + used, sizeof path - used, "%s%s", used ? " " : "", verb->name);
        verbs = verb->body->verbs;
    }
    return pf_help_verb(call, verb, path, err);
}

const pf_verb_body pf_verb_help = {
    .details = "  Without a verb it lists all verbs. `planfarm VERB --help` prints the same as `planfarm help VERB`.\n",
    .run = run,
};
