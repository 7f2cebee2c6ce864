/* A farm with keys, by the programs alone: keys are made, agent and user have their own, and one is shut out. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

    *state = &farm;
    mkdir(test_path("work"), 0777);
    tiny_model(program_path("tiny.onnx"));
    snprintf(folder, sizeof folder, "%s", test_path("farm/state"));
    assert_int_equal(pf_dir_make(folder, NULL), PF_OK);
    json_decref(
        LIVE_JSON(&farm, 0, "keys", "new", "agent-a", "--grant", "agent", "--state", folder, "-o", "agent.key"));
    json_decref(LIVE_JSON(&farm, 0, "keys", "new", "user", "--state", folder, "-o", "user.key"));
    assert_int_equal(chdir(test_path("work")), 0);
    setenv(PF_FARM_KEY_VARIABLE, "agent.key", 1);       /* relative: the agent's builds run in other folders */
    live_start(&farm);
    return 0;
}

/* The coordinator tries at its start whether it refuses strangers. */
static void a_start_looks_like_no_attack(void **state)
{
    pf_buf log;
    pf_err err = {0};

    (void)state;
    test_ok(pf_file_read(test_path("farm/coordinator.log"), 1 << 20, &log, &err), &err);
    assert_true(!log.size || !strstr((const char *)log.data, "keys refused"));
    pf_buf_clear(&log);
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
    json_decref(LIVE_JSON(&farm, 77, "agents"));
    assert_non_null(strstr(live_errors(), "--key-file"));
}

/* Every verb that speaks to a farm takes the key from an option as well; a key of no farm, or of another one, is let in
   by none. */
static void each_verb_takes_a_key_file(void **state)
{
    const char *verbs[][8] = {
        { "agents" }, { "list" }, { "status", "1" }, { "watch", "1" },
        { "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:1x3x16x16" },
        { "fetch", "--model", "tiny", "--gpu", "cpu", "-o", "again.plan" }, { "cache", "stats", "--farm", farm.url },
        { "cancel", "1" }, { "kick", "1" }, { "drain", "agent-a" },
    };
    char        farm_url[160] = "";
    pf_farm_key stranger = {{0}}, known = {{0}};
    pf_err      err = {0};

    (void)state;
    snprintf(farm_url, sizeof farm_url, "%s", farm.url);
    test_ok(pf_farm_key_read(program_path("user.key"), &known, &err), &err);
    test_ok(pf_farm_key_new("user", known.server_key, &stranger, &err), &err);      /* the name, but not the key */
    test_ok(pf_farm_key_write(&stranger, program_path("stranger.key"), &err), &err);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        const char *words[16] = {NULL};
        int         count = 0;
        run         result = {0};

        for (; count < 8 && verbs[i][count]; count++)
            words[count] = verbs[i][count];
        words[count] = "--key-file";
        words[count + 1] = "user.key";
        result = program_run(words);
        if (result.code == 69 || strstr(result.err, "lets only keys in"))
            fail_msg("%s with --key-file ended with %d: %s", verbs[i][0], result.code, result.err);
        program_clear(&result);
    }
    json_decref(LIVE_JSON(&farm, 77, "agents", "--key-file", "stranger.key"));
    assert_non_null(strstr(live_errors(), "does not let the key"));
    json_decref(LIVE_JSON(&farm, 66, "agents", "--key-file", "absent.key"));
    test_ok(pf_farm_key_new("lost", "", &stranger, &err), &err);
    test_ok(pf_farm_key_write(&stranger, program_path("lost.key"), &err), &err);
    json_decref(LIVE_JSON(&farm, 65, "agents", "--key-file", "lost.key"));
    assert_non_null(strstr(live_errors(), "does not hold the farm's public key"));
}

/* What a farm refuses is not told as done, and the grant that is missing is named. */
static void refusals_name_what_is_missing(void **state)
{
    json_t *answer = NULL;

    (void)state;
    use_key("user.key");
    json_decref(LIVE_JSON(&farm, 0, "cache", "export", "all.pft", "--farm", farm.url));
    answer = LIVE_JSON(&farm, 0, "cache", "stats", "--farm", farm.url);
    assert_string_equal(live_text(answer, "folder"), farm.url);
    json_decref(answer);
    answer = LIVE_JSON(&farm, 77, "cache", "import", "all.pft", "--farm", farm.url);
    assert_null(json_object_get(answer, "files"));
    assert_non_null(strstr(live_errors(), "cache-write"));
    json_decref(answer);
    json_decref(LIVE_JSON(&farm, 77, "drain", "agent-a"));
    assert_non_null(strstr(live_errors(), "needs the grant admin"));
}

/* What goes by HTTP takes a token that was made before, and the environment's. */
static void a_token_stands_for_the_key_by_http(void **state)
{
    json_t *made = NULL;

    (void)state;
    json_decref(LIVE_JSON(&farm, 0, "keys", "token", "--key-file", "user.key"));
    made = LIVE_JSON(&farm, 0, "keys", "token", "--key", "user.key", "--days", "1");
    assert_int_equal(pf_file_write(program_path("token"), live_text(made, "token"), strlen(live_text(made, "token")),
                                   NULL),
                     PF_OK);
    json_decref(LIVE_JSON(&farm, 0, "fetch", "--model", "tiny", "--gpu", "cpu", "-o", "t.plan", "--key-file",
                          "user.key", "--token-file", "token"));
    setenv("PLANFARM_TOKEN", "pf1.user.1.nonsense", 1);
    json_decref(
        LIVE_JSON(&farm, 77, "fetch", "--model", "tiny", "--gpu", "cpu", "-o", "t.plan", "--key-file", "user.key"));
    unsetenv("PLANFARM_TOKEN");
    json_decref(made);
}

/* A mistake in the grants leaves no key behind, and they are taken in either form. */
static void grants_are_checked_before_a_key_is_made(void **state)
{
    const char *folder = test_path("farm/state");
    json_t     *answer = NULL;

    (void)state;
    json_decref(LIVE_JSON(&farm, 65, "keys", "new", "late", "--grant", "submt", "--state", folder, "-o", "late.key"));
    assert_false(pf_file_exists(program_path("late.key")));
    json_decref(LIVE_JSON(&farm, 0, "keys", "new", "late", "--grant", "fetch", "--state", folder, "-o", "late.key"));
    answer = LIVE_JSON(&farm, 0, "keys", "grant", "late", "--grant", "admin", "--state", folder);
    assert_string_equal(live_text(json_object_get(answer, "key"), "grants"), "admin,submit,fetch,cache-write");
    json_decref(answer);
    answer = LIVE_JSON(&farm, 0, "keys", "grant", "late", "fetch", "--state", folder);
    assert_string_equal(live_text(json_object_get(answer, "key"), "grants"), "fetch");
    json_decref(answer);
    json_decref(LIVE_JSON(&farm, 64, "keys", "grant", "late", "--state", folder));
}

static int refusals_in(const char *path)
{
    pf_buf log;
    int    count = 0;

    if (pf_file_read(test_path(path), 1 << 20, &log, NULL))
        return 0;
    for (const char *at = log.size ? (const char *)log.data : NULL; at && (at = strstr(at, "agent refused")); at++)
        count++;
    pf_buf_clear(&log);
    return count;
}

/* After 2 s, then after 4 and so on: what it says is the same each time. */
static void an_agent_that_is_refused_asks_more_and_more_rarely(void **state)
{
    pid_t   agent = 0;
    int64_t until = 0;

    (void)state;
    use_key("user.key");
    agent = live_spawn_agent(&farm, "refused", 0);
    for (until = pf_clock_ns() + 60 * PF_NS_PER_S; !refusals_in("farm/refused.log"); pf_clock_sleep_ns(PF_NS_PER_MS))
        assert_true(pf_clock_ns() < until);
    pf_clock_sleep_ns(5 * PF_NS_PER_S);
    assert_in_range(refusals_in("farm/refused.log"), 1, 2);
    live_kill(&agent, SIGINT);
}

static void a_revoked_user_is_out(void **state)
{
    (void)state;
    use_key("user.key");
    json_decref(LIVE_JSON(&farm, 0, "agents"));
    json_decref(LIVE_JSON(&farm, 0, "keys", "revoke", "user", "--state", test_path("farm/state")));
    pf_clock_sleep_ns(2 * PF_NS_PER_S);
    json_decref(LIVE_JSON(&farm, 77, "agents"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_looks_like_no_attack),
        cmocka_unit_test(with_their_keys_a_model_becomes_a_plan),
        cmocka_unit_test(without_a_key_nothing_is_to_be_had),
        cmocka_unit_test(each_verb_takes_a_key_file),
        cmocka_unit_test(refusals_name_what_is_missing),
        cmocka_unit_test(a_token_stands_for_the_key_by_http),
        cmocka_unit_test(grants_are_checked_before_a_key_is_made),
        cmocka_unit_test(an_agent_that_is_refused_asks_more_and_more_rarely),
        cmocka_unit_test(a_revoked_user_is_out),
    };

    return cmocka_run_group_tests(tests, set_up, live_end);
}
