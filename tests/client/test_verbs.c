/* Help, completion, JSON: every verb of the tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/verb.h"
#include "tests/client/program.h"

/* Calls check for each verb that can run, with its path in words. */
static void each_verb(const pf_verb *verbs, const char *before, void (*check)(const pf_verb *verb, const char *before))
{
    for (const pf_verb *verb = verbs; verb->name; verb++) {
        check(verb, before);
        if (verb->body->verbs)
            each_verb(verb->body->verbs, verb->name, check);
    }
}

static run run_verb(const pf_verb *verb, const char *before, const char *option, const char *second)
{
    const char *words[6] = {NULL};
    int         count = 0;

    if (before)
        words[count++] = before;
    words[count++] = verb->name;
    words[count++] = option;
    words[count++] = second;
    return program_run(words);
}

static void check_help(const pf_verb *verb, const char *before)
{
    run result = run_verb(verb, before, "--help", NULL);

    ended_with(&result, 0);
    assert_non_null(strstr(result.out, "SYNOPSIS"));
    assert_non_null(strstr(result.out, verb->summary));
    assert_string_equal(result.err, "");
    for (const pf_option *option = verb->body->options; option && option->name; option++) {
        char flag[64];

        pf_option_flag(option, flag, sizeof flag);
        assert_non_null(strstr(result.out, flag));
        assert_non_null(strstr(result.out, option->help));
    }
    program_clear(&result);
}

static void every_verb_has_help(void **state)
{
    (void)state;
    each_verb(pf_verbs, NULL, check_help);
}

static void check_json_help(const pf_verb *verb, const char *before)
{
    run     result = {0};
    json_t *value = NULL;

    if (verb->body->verbs)
        return;
    result = run_verb(verb, before, "--help", "--json");
    ended_with(&result, 0);
    value = program_json(&result);
    assert_string_equal(json_string_value(json_object_get(value, "summary")), verb->summary);
    assert_true(json_array_size(json_object_get(value, "options")) >= 3);
    json_decref(value);
    program_clear(&result);
}

static void help_is_json_too(void **state)
{
    (void)state;
    each_verb(pf_verbs, NULL, check_json_help);
}

static void check_unknown_option(const pf_verb *verb, const char *before)
{
    run result = {0};

    if (verb->body->verbs)
        return;
    result = run_verb(verb, before, "--jsno", NULL);
    ended_with(&result, 64);
    assert_non_null(strstr(result.err, "--json"));
    assert_string_equal(result.out, "");
    program_clear(&result);
}

static void every_verb_refuses_unknown_options(void **state)
{
    (void)state;
    each_verb(pf_verbs, NULL, check_unknown_option);
}

static void help_lists_all_verbs_and_codes(void **state)
{
    run result = RUN("help");

    (void)state;
    ended_with(&result, 0);
    for (const pf_verb *verb = pf_verbs; verb->name; verb++)
        assert_non_null(strstr(result.out, verb->name));
    program_clear(&result);
    result = RUN("help", "exit-codes");
    ended_with(&result, 0);
    for (int i = 0; i < PF_STATUS_COUNT; i++) {
        char line[64];

        snprintf(line, sizeof line, "%2d  %s ", pf_status_exit_code((pf_status)i), pf_status_name((pf_status)i));
        assert_non_null(strstr(result.out, line));
    }
    program_clear(&result);
    result = RUN("help", "cache", "export");
    ended_with(&result, 0);
    assert_non_null(strstr(result.out, "planfarm cache export"));
    program_clear(&result);
}

static void mistyped_verbs_are_named(void **state)
{
    run result = RUN("biuld");

    (void)state;
    ended_with(&result, 64);
    assert_string_equal(result.err, "planfarm: there is no verb \"biuld\"; did you mean build?\n");
    program_clear(&result);
    result = RUN("tail", "1");
    ended_with(&result, 64);
    assert_string_equal(result.err, "planfarm: there is no verb \"tail\"; here it is planfarm logs JOB -f\n");
    program_clear(&result);
    result = RUN("--onnx=model.onnx");
    ended_with(&result, 64);
    assert_string_equal(result.err,
                        "planfarm: a verb comes before --onnx=model.onnx; planfarm help lists those there are\n");
    program_clear(&result);
    result = RUN("cache", "satts");
    ended_with(&result, 64);
    assert_non_null(strstr(result.err, "did you mean stats?"));
    program_clear(&result);
    result = RUN("cache", "ls");
    ended_with(&result, 64);
    assert_string_equal(result.err, "planfarm: there is no verb \"cache ls\"; here it is planfarm cache stats\n");
    program_clear(&result);
    result = RUN("keys", "frobnicate");
    ended_with(&result, 64);
    assert_string_equal(result.err,
                        "planfarm: there is no verb \"keys frobnicate\"; planfarm help keys lists those there are\n");
    program_clear(&result);
    result = RUN("cache", "verify", ".");
    ended_with(&result, 64);
    assert_string_equal(result.err, "planfarm: . is a folder; give it with --cache\n");
    program_clear(&result);
    result = RUN("cache", "import", ".", "--cache", "not-made");
    ended_with(&result, 64);
    assert_string_equal(result.err, "planfarm: . is a folder; planfarm cache merge takes folders\n");
    program_clear(&result);
    result = RUN("cache");
    ended_with(&result, 64);
    program_clear(&result);
    result = program_run((const char *const[]){NULL});
    ended_with(&result, 64);
    program_clear(&result);
}

/* The script is sourced by a real shell, which then completes. */
static void completes(const char *shell, const char *script, const char *expected)
{
    char    command[1024], line[2048] = "";
    FILE   *pipe = NULL;
    size_t  bytes = 0;

    snprintf(command, sizeof command, "command -v %s > /dev/null", shell);
    if (system(command) != 0)
        skip();
    snprintf(command, sizeof command, "%s -c '%s'", shell, script);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    bytes = fread(line, 1, sizeof line - 1, pipe);
    line[bytes] = 0;
    assert_int_equal(pclose(pipe), 0);
    assert_string_equal(line, expected);
}

static void bash_completes(void **state)
{
    (void)state;
    completes("bash", "source <(\"$PLANFARM\" completion bash); COMP_WORDS=(planfarm cache ex); COMP_CWORD=2; "
                      "_planfarm; echo ${COMPREPLY[*]};"
                      " COMP_WORDS=(planfarm build --min); COMP_CWORD=2; _planfarm; echo ${COMPREPLY[*]};"
                      " COMP_WORDS=(planfarm b); COMP_CWORD=1; _planfarm; echo ${COMPREPLY[*]}",
              "export explain\n--min-shapes\nbuild bench\n");
}

/* What zsh itself brings is there in interactive shells only: of that, what is said to _describe is printed. */
static void zsh_completes(void **state)
{
    (void)state;
    completes("zsh -f", "compdef() { :; }; _files() { :; };"
                        " _describe() { print -r -- ${${(M)${(P)3}:#${words[CURRENT]}*}%%:*}; };"
                        " source <($PLANFARM completion zsh); words=(planfarm cache ex) CURRENT=3; _planfarm;"
                        " words=(planfarm build --min) CURRENT=3; _planfarm; words=(planfarm b) CURRENT=2; _planfarm",
              "export explain\n--min-shapes\nbuild bench\n");
}

static void fish_completes(void **state)
{
    (void)state;
    completes("fish -N", "$PLANFARM completion fish | source; for words in \"cache ex\" \"build --min\" b;"
                         " complete -C \"planfarm $words\" | string split -f 1 \\t; end",
              "explain\nexport\n--min-shapes\nbench\nbuild\n");
}

static void versions_are_json(void **state)
{
    run     result = RUN("version", "--json");
    json_t *value = program_json(&result);

    (void)state;
    ended_with(&result, 0);
    assert_non_null(json_object_get(value, "version"));
    assert_non_null(json_object_get(value, "builder_abi"));
    json_decref(value);
    program_clear(&result);
}

static void a_full_output_is_an_error(void **state)
{
    char command[512];

    (void)state;
    snprintf(command, sizeof command, "\"$PLANFARM\" help build > /dev/full 2> '%s'", test_path("full.txt"));
    assert_int_equal(system(command) >> 8, 72);
    snprintf(command, sizeof command, "\"$PLANFARM\" help build | true");
    assert_int_equal(system(command) >> 8, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_has_help),
        cmocka_unit_test(help_is_json_too),
        cmocka_unit_test(every_verb_refuses_unknown_options),
        cmocka_unit_test(help_lists_all_verbs_and_codes),
        cmocka_unit_test(mistyped_verbs_are_named),
        cmocka_unit_test(bash_completes), cmocka_unit_test(zsh_completes), cmocka_unit_test(fish_completes),
        cmocka_unit_test(versions_are_json),
        cmocka_unit_test(a_full_output_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
