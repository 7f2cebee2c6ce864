/* A farm that takes no work for a while: who submits is told and asks again, and nothing is submitted twice. */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/farm/live/live.h"

/* More than there is, so that the coordinator takes its disk for full. */
#define RESERVE_BYTES 1099511627776
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

static live farm;

static void set_up(void)
{
    struct statvfs disk = {0};

    mkdir(test_path("work"), 0777);
    setenv("XDG_CONFIG_HOME", test_path("config"), 1);
    assert_int_equal(statvfs(test_folder(), &disk), 0);
    if ((uint64_t)disk.f_bavail * disk.f_frsize >= RESERVE_BYTES)
        skip();
}

/* The model is at a URL, so that nothing is uploaded first. */
static pid_t start_submit(void)
{
    return program_start((const char *const[]){"submit", "https://127.0.0.1:1/far.onnx", "--gpu", "cpu",
                                               "--wait-for-class", NULL});
}

static void await_warning(void)
{
    static const char words[] = "planfarm: warning: the coordinator's disk is full: make room there; nothing that was "
                                "accepted is lost (asked again for up to 60 s)";
    int64_t           until = pf_clock_ns() + 60 * PF_NS_PER_S;
    bool              there = false;

    while (!there) {
        pf_buf text = {0};
        if (pf_file_read(test_path("started.txt"), 1 << 16, &text, NULL) == PF_OK && text.size)
            there = strstr((const char *)text.data, words) != NULL;
        if (!there && pf_clock_ns() > until)
            fail_msg("no warning comes: %s", text.size ? (const char *)text.data : "");
        pf_buf_clear(&text);
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    }
}

static size_t jobs(void)
{
    json_t *answer = LIVE_JSON(&farm, 0, "list");
    size_t  count = json_array_size(json_object_get(answer, "jobs"));

    json_decref(answer);
    return count;
}

static void a_busy_farm_is_asked_again(void **state)
{
    pid_t pid = 0;

    (void)state;
    set_up();
    farm.reserve_bytes = TEXT(RESERVE_BYTES);
    live_start_coordinator(&farm);
    pid = start_submit();
    await_warning();
    assert_int_equal(kill(pid, SIGINT), 0);     /* waiting ends when the user wants it to */
    assert_int_equal(live_wait(&pid), 130);
    assert_int_equal(jobs(), 0);
    pid = start_submit();
    await_warning();
    live_kill(&farm.coordinator, SIGTERM);
    farm.reserve_bytes = NULL;
    live_start_coordinator(&farm);
    assert_int_equal(live_wait(&pid), 0);
    assert_int_equal(jobs(), 1);
    live_stop(&farm);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_busy_farm_is_asked_again) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
