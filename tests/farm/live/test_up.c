/* planfarm up: a farm with one command, and nothing left of it afterwards. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/client/tiny_model.h"
#include "tests/farm/live/live.h"

static live farm;

static int set_up(void **state)
{
    (void)state;
    mkdir(test_path("work"), 0777);
    tiny_model_add(program_path("add.onnx"));
    setenv("XDG_CONFIG_HOME", test_path("config"), 1);
    return 0;
}

/* Starts it in test_folder()/farm, as the word DIR of the others' tests, and waits until planfarm agents shows one that
   is ready. */
static pid_t start_up(void)
{
    char    folder[PATH_MAX];
    int64_t until = pf_clock_ns() + 60 * PF_NS_PER_S;
    pid_t   pid = 0;
    pf_buf  text = {0};
    json_t *object = NULL;

    snprintf(folder, sizeof folder, "%s", test_path("farm"));
    unlink(test_path("farm/state/endpoints"));
    pid = program_start((const char *const[]){"up", "--dir", folder, NULL});
    while (!object) {
        if (pf_clock_ns() > until)
            fail_msg("planfarm up does not start a coordinator");
        if (pf_file_read(test_path("farm/state/endpoints"), 4096, &text, NULL) == PF_OK)
            object = json_loadb((const char *)text.data, text.size, 0, NULL);
        pf_buf_clear(&text);
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    }
    snprintf(farm.url, sizeof farm.url, "%s", live_text(object, "http"));
    json_decref(object);
    setenv("PLANFARM_FARM", farm.url, 1);
    return pid;
}

static void wait_for_agent(void)
{
    int64_t until = pf_clock_ns() + 60 * PF_NS_PER_S;
    bool    alive = false;

    while (!alive && pf_clock_ns() < until) {
        json_t *answer = LIVE_JSON(&farm, 0, "agents");
        alive = json_is_true(json_object_get(json_array_get(json_object_get(answer, "agents"), 0), "alive"));
        json_decref(answer);
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    }
    assert_true(alive);
}

static void one_command_is_a_farm(void **state)
{
    pid_t   pid = start_up();
    json_t *answer = NULL;

    (void)state;
    wait_for_agent();
    answer = LIVE_JSON(&farm, 0, "build", "add.onnx", "-o", "add.plan", "--farm", farm.url, "--gpu", "cpu");
    assert_true(pf_file_exists(program_path("add.plan")));
    json_decref(answer);
    kill(pid, SIGTERM);
    assert_int_equal(program_end(pid), 0);
    live_nothing_runs(test_path("farm/"));
}

static void its_plans_are_there_the_next_time(void **state)
{
    pid_t   pid = start_up();
    json_t *answer = NULL;

    (void)state;
    wait_for_agent();
    answer = LIVE_JSON(&farm, 0, "fetch", "--model", "add", "--gpu", "cpu", "-o", "again.plan");
    json_decref(answer);
    kill(pid, SIGTERM);
    assert_int_equal(program_end(pid), 0);
}

/* What was told its address once finds it again; unless another test took one of its ports just then. */
static void its_address_is_the_same_the_next_time(void **state)
{
    char before[sizeof farm.url] = "";
    bool same = false;

    (void)state;
    for (int i = 0; i < 4 && !same; i++) {
        pid_t pid = start_up();

        wait_for_agent();
        same = strcmp(before, farm.url) == 0;
        snprintf(before, sizeof before, "%s", farm.url);
        kill(pid, SIGTERM);
        assert_int_equal(program_end(pid), 0);
    }
    assert_true(same);
}

static void killed_it_leaves_nothing(void **state)
{
    pid_t pid = start_up();

    (void)state;
    wait_for_agent();
    assert_true(live_count(test_path("farm/")) >= 2);
    kill(pid, SIGKILL);
    assert_int_equal(program_end(pid), -SIGKILL);
    live_nothing_runs(test_path("farm/"));
}

static void a_folder_in_use_is_refused(void **state)
{
    pid_t       pid = start_up();
    char        folder[PATH_MAX];
    json_t     *answer = NULL;
    struct stat before = {0}, after = {0};

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("farm"));
    wait_for_agent();
    assert_int_equal(stat(test_path("farm/planfarm-agent.log"), &before), 0);
    answer = LIVE_JSON(&farm, 70, "up", "--dir", folder);
    assert_non_null(strstr(live_errors(), "a farm runs in"));
    json_decref(answer);
    assert_int_equal(stat(test_path("farm/planfarm-agent.log"), &after), 0);
    assert_true(after.st_size >= before.st_size && before.st_size > 0);
    kill(pid, SIGTERM);
    assert_int_equal(program_end(pid), 0);
}

/* An agent whose end nobody asked for ends the farm, and its reason is told. */
static void a_farm_whose_agent_dies_ends(void **state)
{
    pid_t   pid = start_up();
    json_t *answer = NULL;

    (void)state;
    wait_for_agent();
    answer = LIVE_JSON(&farm, 0, "agents");
    json_decref(answer);
    {
        char    word[PATH_MAX], command[PATH_MAX + 32];
        snprintf(word, sizeof word, "%s", test_path("farm/agent"));
        snprintf(command, sizeof command, "kill -9 $(pgrep -f '[-]-dir %s$')", word);
        assert_int_equal(system(command), 0);
    }
    assert_int_equal(program_end(pid), 74);
    live_nothing_runs(test_path("farm/"));
}

/* What a command says first, and its exit code. */
static int said_by(const char *program, const char *words, char out[256])
{
    char  command[PATH_MAX + 64], folder[PATH_MAX];
    FILE *pipe = NULL;
    int   code = 0;

    snprintf(folder, sizeof folder, "%s", getenv("PLANFARM"));
    *strrchr(folder, '/') = 0;
    snprintf(command, sizeof command, "'%s/%s' %s 2>&1", folder, program, words);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    out[0] = 0;
    assert_non_null(fgets(out, 256, pipe));
    while (fgetc(pipe) != EOF)
        continue;
    code = pclose(pipe);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

static void its_programs_name_what_is_mistyped(void **state)
{
    static const struct { const char *program, *words, *says; int code; } cases[] = {
        {"planfarm-coordinator", "--sate x",
         "planfarm-coordinator: there is no option \"--sate\"; did you mean --state?", 64},
        {"planfarm-coordinator", "--state", "planfarm-coordinator: --state needs a value", 64},
        {"planfarm-coordinator", "-h", "usage: planfarm-coordinator --state DIR", 0},
        {"planfarm-coordinator", "--version", "planfarm-coordinator " , 0},
        {"planfarm-agent", "--cordinator x", "planfarm-agent: there is no option \"--cordinator\"; did you mean "
         "--coordinator?", 64},
        {"planfarm-agent", "--version", "planfarm-agent ", 0},
        {"planfarm", "-V", "planfarm ", 0},
        {"planfarm", "trtexec x", "planfarm: there is no verb \"trtexec\"; here it is planfarm build", 64},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(said_by(cases[i].program, cases[i].words, text), cases[i].code);
        assert_memory_equal(text, cases[i].says, strlen(cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_command_is_a_farm),
        cmocka_unit_test(its_plans_are_there_the_next_time),
        cmocka_unit_test(its_address_is_the_same_the_next_time),
        cmocka_unit_test(killed_it_leaves_nothing),
        cmocka_unit_test(a_folder_in_use_is_refused),
        cmocka_unit_test(a_farm_whose_agent_dies_ends),
        cmocka_unit_test(its_programs_name_what_is_mistyped),
    };

    return cmocka_run_group_tests_name("farm up", tests, set_up, NULL);
}
