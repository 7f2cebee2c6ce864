/* The scripts of ops/ci as a CI system runs them, on a farm with keys: plans when it works, the exit code when it does
   not. */
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "proto/farm_key.h"
#include "tests/client/tiny_model.h"
#include "tests/farm/live/live.h"

static live farm;
static char key_text[1024];

static const char *const templates[] = { "github-actions.yml", "gitlab-ci.yml", "Jenkinsfile" };

enum { TEMPLATES = sizeof templates / sizeof templates[0] };

static int set_up(void **state)
{
    char   folder[4096] = "", bin[PATH_MAX] = "", path[2 * PATH_MAX] = "";
    pf_buf text = {0};
    pf_err err = {0};

    *state = &farm;
    mkdir(test_path("work"), 0777);
    tiny_model_add(program_path("add.onnx"));
    tiny_model_unknown(program_path("unknown.onnx"));
    snprintf(folder, sizeof folder, "%s", test_path("farm/state"));
    assert_int_equal(pf_dir_make(folder, NULL), PF_OK);
    json_decref(
        LIVE_JSON(&farm, 0, "keys", "new", "agent-a", "--grant", "agent", "--state", folder, "-o", "agent.key"));
    json_decref(LIVE_JSON(&farm, 0, "keys", "new", "ci", "--grant", "submit,fetch", "--state", folder, "-o", "ci.key"));
    test_ok(pf_file_read(program_path("ci.key"), sizeof key_text - 1, &text, &err), &err);
    memcpy(key_text, text.data, text.size);
    pf_buf_clear(&text);
    setenv(PF_FARM_KEY_VARIABLE, program_path("agent.key"), 1);
    live_start(&farm);
    snprintf(bin, sizeof bin, "%s", getenv("PLANFARM"));
    snprintf(path, sizeof path, "%s:%s", dirname(bin), getenv("PATH"));
    setenv("PATH", path, 1);
    setenv("HOME", test_folder(), 1);
    setenv("PLANFARM_FARM", farm.url, 1);
    return 0;
}

/* Takes the script out of the template and runs it in a folder of its own; its exit code. */
static int run_template(const char *name, const char *folder, const char *model, const char *classes)
{
    char command[4 * PATH_MAX] = "";
    int  status = 0;

    if (strncmp(name, "github", 6) == 0) {      /* a secret is text there, and a file elsewhere */
        unsetenv(PF_FARM_KEY_VARIABLE);
        setenv("PLANFARM_KEY_TEXT", key_text, 1);
    } else {
        setenv(PF_FARM_KEY_VARIABLE, program_path("ci.key"), 1);
        unsetenv("PLANFARM_KEY_TEXT");
    }
    setenv("RUNNER_TEMP", test_folder(), 1);
    setenv("MODEL", program_path(model), 1);
    setenv("CLASSES", classes, 1);
    mkdir(test_path(folder), 0777);
    snprintf(command, sizeof command, "cd '%s' && awk -f '%s/tests/farm/live/ci_script.awk' '%s/ops/ci/%s' > script && "
             "grep -q 'planfarm submit' script && bash script > output 2>&1", test_path(folder), SOURCE, SOURCE, name);
    status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static json_t *plans_json(const char *folder)
{
    char    name[64];
    json_t *object = NULL;

    snprintf(name, sizeof name, "%s/plans.json", folder);
    object = json_load_file(test_path(name), 0, NULL);
    assert_non_null(object);
    return object;
}

static void each_template_builds_plans(void **state)
{
    (void)state;
    for (int i = 0; i < TEMPLATES; i++) {
        char    folder[32], path[4096];
        json_t *answer = NULL;

        snprintf(folder, sizeof folder, "ci-%d", i);
        assert_int_equal(run_template(templates[i], folder, "add.onnx", "cpu"), 0);
        answer = plans_json(folder);
        assert_string_equal(live_text(live_job(answer), "state"), "done");
        assert_string_equal(live_text(live_job(answer), "user"), "ci");
        snprintf(path, sizeof path, "%s/%s", folder, live_text(live_job(answer), "plan"));
        assert_true(strncmp(live_text(live_job(answer), "plan"), "plans/add-cpu", 13) == 0);
        assert_true(pf_file_exists(test_path(path)));
        json_decref(answer);
    }
}

static void each_template_ends_with_the_failures_code(void **state)
{
    char folder[32];

    (void)state;
    for (int i = 0; i < TEMPLATES; i++) {
        json_t *answer = NULL;

        snprintf(folder, sizeof folder, "unsupported-%d", i);
        assert_int_equal(run_template(templates[i], folder, "unknown.onnx", "cpu"), 71);  /* UNSUPPORTED: the model */
        answer = plans_json(folder);
        assert_string_equal(live_text(live_job(answer), "failure"), "build_error");
        json_decref(answer);
        snprintf(folder, sizeof folder, "no-class-%d", i);
        assert_int_equal(run_template(templates[i], folder, "add.onnx", "h999"), 66);  /* NOT_FOUND: such a GPU */
    }
    live_kill(&farm.agent, SIGINT);
    live_kill(&farm.coordinator, SIGTERM);
    for (int i = 0; i < TEMPLATES; i++) {
        snprintf(folder, sizeof folder, "away-%d", i);
        assert_int_equal(run_template(templates[i], folder, "add.onnx", "cpu"), 69);  /* UNREACHABLE: try again */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_template_builds_plans),
        cmocka_unit_test(each_template_ends_with_the_failures_code),
    };

    return cmocka_run_group_tests(tests, set_up, live_end);
}
