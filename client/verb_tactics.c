#include "client/output.h"
#include "engine/tactic.h"

static const struct { uint16_t bit; const char *name; } flags[] = {
    {PF_TACTIC_ORACLE, "oracle"}, {PF_TACTIC_NONDETERMINISTIC, "nondeterministic"},
};

static pf_status run(pf_call *call, pf_err *err)
{
    json_t   *list = json_array();
    pf_status status = pf_args_expect(call->args, 0, 0, "", err);

    json_object_set_new(call->result, "tactics", list);
    for (uint32_t i = 0; !status && pf_tactic_at(i); i++) {
        const pf_tactic *tactic = pf_tactic_at(i);
        json_t          *one = json_object(), *names = json_array();

        pf_say(call, "%-28s rev %-3u %s", tactic->name, tactic->rev, tactic->needs & PF_CAP_CUDA ? "cuda" : "cpu");
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
            if (tactic->flags & flags[f].bit) {
                pf_say(call, " %s", flags[f].name);
                json_array_append_new(names, json_string(flags[f].name));
            }
        pf_say(call, "\n");
        json_object_set_new(one, "name", json_string(tactic->name));
        json_object_set_new(one, "rev", json_integer(tactic->rev));
        json_object_set_new(one, "device", json_string(tactic->needs & PF_CAP_CUDA ? "cuda" : "cpu"));
        json_object_set_new(one, "flags", names);
        json_array_append_new(list, one);
    }
    return status;
}

const pf_verb_body pf_verb_tactics = {
    .details = "  In the order in which they win when equally fast.  `planfarm build --tactics` takes these names.\n"
               "\n"
               "  --json: tactics, each name rev device flags\n",
    .run = run,
};
