/* A farm with keys, by the programs alone: keys are made, agent and user have their own, and one is shut out. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "proto/farm_key.h"
#include "tests/client/tiny_model.h"
#include "tests/farm/live/live.h"

static live farm;

static void use_key(const char *name)
{
    setenv(PF_FARM_KEY_VARIABLE, program_path(name), 1);
}

static int set_up(void **state)
{
    char folder[4096] = "";

    (void)state;
    mkdir(test_path("work"), 0777);
    tiny_model(program_path("tiny.onnx"));
    snprintf(folder, sizeof folder, "%s", test_path("farm/state"));
    assert_int_equal(pf_dir_make(folder, NULL), PF_OK);
    json_decref(LIVE_JSON(&farm, 0, "keys", "new", "agent-a", "--grant", "agent", "--state", folder, "-o", "agent.key"));
    json_decref(LIVE_JSON(&farm, 0, "keys", "new", "user", "--state", folder, "-o", "user.key"));
    assert_int_equal(chdir(test_path("work")), 0);
    setenv(PF_FARM_KEY_VARIABLE, "agent.key", 1);       /* relative: the agent's builds run in other folders */
    live_start(&farm);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    live_stop(&farm);
    return 0;
}

static void with_their_keys_a_model_becomes_a_plan(void **state)
{
    json_t *answer = NULL;

    (void)state;
    use_key("user.key");
    answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:1x3x16x16", "--wait");
    assert_string_equal(live_text(live_job(answer), "state"), "done");
    assert_string_equal(live_text(live_job(answer), "user"), "user");
    json_decref(LIVE_JSON(&farm, 0, "fetch", live_text(live_job(answer), "plan_key"), "-o", "tiny.plan"));
    json_decref(answer);
    json_decref(LIVE_JSON(&farm, 77, "drain", "agent-a"));
}

static void without_a_key_nothing_is_to_be_had(void **state)
{
    (void)state;
    unsetenv(PF_FARM_KEY_VARIABLE);
    json_decref(LIVE_JSON(&farm, 69, "agents"));
}

static void a_revoked_user_is_out(void **state)
{
    (void)state;
    use_key("user.key");
    json_decref(LIVE_JSON(&farm, 0, "agents"));
    json_decref(LIVE_JSON(&farm, 0, "keys", "revoke", "user", "--state", test_path("farm/state")));
    pf_clock_sleep_ns(2 * PF_NS_PER_S);
    json_decref(LIVE_JSON(&farm, 69, "agents"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_their_keys_a_model_becomes_a_plan),
        cmocka_unit_test(without_a_key_nothing_is_to_be_had),
        cmocka_unit_test(a_revoked_user_is_out),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
