/* From a command line to a verb and its exit code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "client/cancel.h"
#include "client/help.h"
#include "client/output.h"
#include "client/verb.h"

enum { PATH_BYTES = 128 };      /* "cache export" */

/* Whether an option stands anywhere on the line: asked before it is parsed, so that an error of parsing is told as
   asked. */
static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

static pf_status run_parsed(const pf_verb *verb, const char *path, pf_call *call, pf_err *err)
{
    call->json = pf_args_flag(call->args, "json");
    call->verbose = pf_args_flag(call->args, "verbose");
    if (pf_args_flag(call->args, "help"))
        return pf_help_verb(call, verb, path, err);
    if (call->verbose && !getenv("PF_LOG"))
        pf_log_set_filter("info");
    return verb->body->run(call, err);
}

static pf_status run_verb(const pf_verb *verb, const char *path, int argc, char **argv, pf_call *call, pf_err *err)
{
    pf_args  *args = NULL;
    pf_status status = pf_args_parse(verb->body->options, argc, argv, &args, err);

    if (status)
        return pf_err_add(err, status, "%s", path);
    call->args = args;
    status = run_parsed(verb, path, call, err);
    call->args = NULL;
    pf_args_free(args);
    return status;
}

/* Finds the verb, going down into verbs of verbs, and runs it. */
static pf_status dispatch(const pf_verb *verbs, int argc, char **argv, pf_call *call, pf_err *err)
{
    char           path[PATH_BYTES] = "";
    const pf_verb *verb = NULL;
    int            at = 1;

    for (; at < argc; at++) {
        size_t used = strlen(path);

        verb = pf_verb_find(verbs, argv[at]);
        if (!verb)
            return pf_verb_unknown(verbs, path, argv[at], err);
        snprintf(path + used, sizeof path - used, "%s%s", used ? " " : "", verb->name);
        if (!verb->body->verbs)
            return run_verb(verb, path, argc - at, argv + at, call, err);
        verbs = verb->body->verbs;
        if (at + 1 < argc && (strcmp(argv[at + 1], "--help") == 0 || strcmp(argv[at + 1], "-h") == 0))
            return pf_help_verb(call, verb, path, err);
    }
    return PF_FAIL(err, PF_USAGE, "%s needs a verb; planfarm help%s%s lists them", verb ? path : "planfarm",
                   verb ? " " : "", path);
}

static pf_status run_line(int argc, char **argv, pf_call *call, pf_err *err)
{
    static const char *const aliases[][2] = {{"--help", "help"}, {"-h", "help"}, {"--version", "version"},
                                              {"-V", "version"}};

    for (size_t i = 0; argc > 1 && i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(argv[1], aliases[i][0]) == 0)
            argv[1] = (char *)aliases[i][1];
    return dispatch(pf_verbs, argc, argv, call, err);
}

int pf_client_main(int argc, char **argv)
{
    pf_call   call = {.json = has_word(argc, argv, "--json"), .result = json_object()};
    pf_err    err = {0};
    pf_status status = PF_OK;
    int       code = 0;

    pf_log_to_stderr();
    pf_log_set_filter(getenv("PF_LOG") ? NULL : "error");       /* what users must know of is said by the verbs */
    pf_cancel_init(call.json);
    status = call.result ? run_line(argc, argv, &call, &err) : PF_FAIL_MEMORY(&err, sizeof *call.result);
    code = pf_output_end(&call, status, &err);
    json_decref(call.result);
    return code;
}
