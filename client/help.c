#include "client/help.h"

#include <stdio.h>
#include <string.h>

#include "client/output.h"

enum { TEXT_LIMIT = 1 << 20, FLAG_BYTES = 64 };

static json_t *verbs_json(const pf_verb *verbs)
{
    json_t *list = json_array();

    for (const pf_verb *verb = verbs; verb->name; verb++) {
        json_t *one = json_object();

        json_object_set_new(one, "name", json_string(verb->name));
        json_object_set_new(one, "usage", json_string(verb->usage));
        json_object_set_new(one, "summary", json_string(verb->summary));
        if (verb->body->verbs)
            json_object_set_new(one, "verbs", verbs_json(verb->body->verbs));
        json_array_append_new(list, one);
    }
    return list;
}

static void say_verbs(pf_call *call, const pf_verb *verbs, const char *before)
{
    for (const pf_verb *verb = verbs; verb->name; verb++)
        pf_say(call, "  %s%-12s %s\n", before, verb->name, verb->summary);
}

pf_status pf_help_overview(pf_call *call, pf_err *err)
{
    (void)err;
    pf_say(call, "planfarm compiles networks into plans for one kind of device, and runs them.\n\n"
                 "Usage: planfarm VERB [options]\n\n");
    say_verbs(call, pf_verbs, "");
    pf_say(call, "\nplanfarm help VERB explains a verb, planfarm help exit-codes the exit codes.\n");
    json_object_set_new(call->result, "verbs", verbs_json(pf_verbs));
    return PF_OK;
}

static json_t *options_json(const pf_option *options, json_t *list)
{
    for (const pf_option *option = options; option && option->name; option++) {
        json_t *one = json_object();
        char    flag[FLAG_BYTES];

        pf_option_flag(option, flag, sizeof flag);
        json_object_set_new(one, "flag", json_string(flag));
        json_object_set_new(one, "help", json_string(option->help));
        if (option->value)
            json_object_set_new(one, "value", json_string(option->value));
        if (option->fallback)
            json_object_set_new(one, "default", json_string(option->fallback));
        json_array_append_new(list, one);
    }
    return list;
}

pf_status pf_help_verb(pf_call *call, const pf_verb *verb, const char *path, pf_err *err)
{
    const pf_verb_body *body = verb->body;
    pf_buf              text;

    pf_buf_init(&text, TEXT_LIMIT);
    pf_buf_printf(&text, "NAME\n  planfarm %s - %s\n\nSYNOPSIS\n  planfarm %s%s%s\n", path, verb->summary, path,
                  verb->usage[0] ? " " : "", verb->usage);
    if (body->details)
        pf_buf_printf(&text, "\nDESCRIPTION\n%s", body->details);
    if (body->verbs) {
        pf_buf_printf(&text, "\nVERBS\n");
        for (const pf_verb *one = body->verbs; one->name; one++)
            pf_buf_printf(&text, "  %-12s %s\n", one->name, one->summary);
    } else {
        pf_buf_printf(&text, "\nOPTIONS\n");
        pf_options_print(body->options, &text);
        pf_options_print(pf_common_options, &text);
    }
    if (text.failed) {
        pf_buf_clear(&text);
        return PF_FAIL_MEMORY(err, TEXT_LIMIT);
    }
    pf_say_buf(call, &text);
    json_object_set_new(call->result, "name", json_string(path));
    json_object_set_new(call->result, "usage", json_string(verb->usage));
    json_object_set_new(call->result, "summary", json_string(verb->summary));
    if (body->verbs)
        json_object_set_new(call->result, "verbs", verbs_json(body->verbs));
    else
        json_object_set_new(call->result, "options",
                            options_json(pf_common_options, options_json(body->options, json_array())));
    return PF_OK;
}

pf_status pf_help_exit_codes(pf_call *call, pf_err *err)
{
    json_t *list = json_array();

    (void)err;
    pf_say(call, "Exit codes of every verb; what went wrong is said in one line on standard error.\n\n");
    for (int i = 0; i < PF_STATUS_COUNT; i++) {
        pf_status status = (pf_status)i;
        json_t   *one = json_object();

        pf_say(call, "  %2d  %-12s  %s%s\n", pf_status_exit_code(status), pf_status_name(status),
               pf_status_text(status), pf_status_may_retry(status) ? " (the same call may succeed later)" : "");
        json_object_set_new(one, "exit_code", json_integer(pf_status_exit_code(status)));
        json_object_set_new(one, "status", json_string(pf_status_name(status)));
        json_object_set_new(one, "text", json_string(pf_status_text(status)));
        json_object_set_new(one, "may_retry", json_boolean(pf_status_may_retry(status)));
        json_array_append_new(list, one);
    }
    json_object_set_new(call->result, "exit_codes", list);
    return PF_OK;
}
