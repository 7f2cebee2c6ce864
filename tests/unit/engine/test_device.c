#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/device_cpu.h"
#include "engine/tactic.h"

static pf_device *open_cpu(const pf_device_options *options)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    test_ok(pf_device_open("cpu", options, &device, &err), &err);
    return device;
}

static void class_is_sorted_lines(void **state)
{
    pf_device *device = open_cpu(NULL);
    char       copy[PF_DEVICE_CLASS_TEXT_BYTES] = "", *rest = NULL, *before = NULL;
    pf_digest  digest;

    (void)state;
    assert_int_equal(device->kind, PF_DEVICE_CPU);
    assert_true(device->threads >= 1 && (device->caps & PF_CAP_CPU));
    assert_int_equal(strncmp(device->class_name, "cpu-", 4), 0);
    assert_non_null(strstr(device->class_text, "onednn="));
    assert_non_null(strstr(device->class_text, "threads="));
    pf_digest_of(device->class_text, strlen(device->class_text), &digest);
    assert_true(pf_digest_equal(&digest, &device->class_digest));
    snprintf(copy, sizeof copy, "%s", device->class_text);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        assert_non_null(strchr(line, '='));
        if (before)
            assert_true(strncmp(before, line, strcspn(line, "=") + 1) < 0);
        before = line;
    }
    pf_device_close(device);
}

static void threads_are_part_of_the_class(void **state)
{
    pf_device *one = open_cpu(&(pf_device_options){ .threads = 1 }),
              *three = open_cpu(&(pf_device_options){ .threads = 3 });
    char       difference[128] = "";

    (void)state;
    assert_int_equal(one->threads, 1);
    assert_false(pf_digest_equal(&one->class_digest, &three->class_digest));
    pf_device_class_difference(one->class_text, three->class_text, difference, sizeof difference);
    assert_string_equal(difference, "threads is 3, the plan needs 1");
    pf_device_class_difference(one->class_text, one->class_text, difference, sizeof difference);
    assert_string_equal(difference, "");
    pf_device_close(one);
    pf_device_close(three);
}

static void a_missing_line_is_named(void **state)
{
    char difference[128] = "";

    (void)state;
    pf_device_class_difference("a=1\nb=2\n", "b=2\n", difference, sizeof difference);
    assert_string_equal(difference, "a is absent, the plan needs 1");
    pf_device_class_difference("a=1\n", "a=1\nc=2\n", difference, sizeof difference);
    assert_string_equal(difference, "c is 2, the plan needs absent");
}

static void what_is_not_there_is_refused(void **state)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_fails(pf_device_open("tpu", NULL, &device, &err), PF_NOT_FOUND, &err);
    test_fails(pf_device_open("cuda:x", NULL, &device, &err), PF_NOT_FOUND, &err);
    test_fails(pf_device_open("cpu", &(pf_device_options){ .isa = "mmx" }, &device, &err), PF_NOT_FOUND, &err);
    test_fails(pf_device_open("cpu", &(pf_device_options){ .threads = -1 }, &device, &err), PF_INVALID, &err);
    test_fails(pf_device_open("cpu", &(pf_device_options){ .share_percent = 101 }, &device, &err), PF_INVALID, &err);
    assert_null(device);
}

static void memory_streams_and_events_work(void **state)
{
    pf_device *device = open_cpu(NULL);
    pf_stream *stream = NULL;
    pf_event  *a = NULL, *b = NULL;
    pf_err     err = { 0 };
    void      *memory = NULL;
    char       back[8] = "";
    int64_t    ns = -1;

    (void)state;
    test_ok(device->ops->stream_new(device, &stream, &err), &err);
    test_ok(device->ops->event_new(device, &a, &err), &err);
    test_ok(device->ops->event_new(device, &b, &err), &err);
    test_ok(device->ops->alloc(device, 100, &memory, &err), &err);
    assert_int_equal((uintptr_t)memory % 256, 0);
    test_ok(device->ops->event_record(device, a, stream, &err), &err);
    test_ok(device->ops->fill(device, stream, memory, 7, 100, &err), &err);
    test_ok(device->ops->upload(device, stream, memory, "plan", 5, &err), &err);
    test_ok(device->ops->download(device, stream, back, memory, 6, &err), &err);
    test_ok(device->ops->event_record(device, b, stream, &err), &err);
    test_ok(device->ops->stream_sync(device, stream, &err), &err);
    test_ok(device->ops->event_elapsed(device, a, b, &ns, &err), &err);
    assert_string_equal(back, "plan");
    assert_int_equal(back[5], 7);
    assert_true(ns >= 0);
    device->ops->free(device, memory);
    device->ops->event_free(device, a);
    device->ops->event_free(device, b);
    device->ops->stream_free(device, stream);
    pf_device_close(device);
}

/* oneDNN takes its cap once a process, so each cap is tried in one of its own: 0 when the class says what was asked
   for. */
static int try_cap(const char *isa, uint64_t absent_caps)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };
    char       wanted[64] = "";
    int        failed = 0;

    if (pf_device_open("cpu", &(pf_device_options){ .isa = isa }, &device, &err))
        return err.status == PF_UNSUPPORTED ? 0 : 1;        /* this CPU may have less */
    snprintf(wanted, sizeof wanted, "cpu-%s", isa);
    failed = strcmp(device->class_name, wanted) != 0 || (device->caps & absent_caps);
    pf_device_close(device);
    return failed;
}

static void caps_hold(void **state)
{
    static const struct { const char *isa; uint64_t absent; } caps[] = {
        { "sse41", PF_CAP_AVX2 | PF_CAP_AVX512 }, { "avx2", PF_CAP_AVX512 | PF_CAP_AMX }, { "avx512", PF_CAP_AMX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        int   status = -1;
        pid_t child = fork();

        if (child == 0)
            _exit(try_cap(caps[i].isa, caps[i].absent));
        assert_true(child > 0 && waitpid(child, &status, 0) == child);
        assert_int_equal(status, 0);
    }
}

static int open_without_room(void)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };
    pf_status  st = PF_OK;

    if (!test_limit_threads(4))
        return TEST_SKIPPED;
    st = pf_device_open("cpu", &(pf_device_options){ .threads = 16 }, &device, &err);
    if (st != PF_NO_SPACE || device || !strstr(err.msg, "16 threads"))
        return 1;
    pf_err_clear(&err);
    st = pf_device_open("cpu", &(pf_device_options){ .threads = 2 }, &device, &err);
    pf_device_close(device);
    return st ? 2 : 0;
}

/* GCC's OpenMP library would end the process at the first step. */
static void threads_that_cannot_be_started_are_an_error(void **state)
{
    int   status = -1;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(open_without_room());
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == TEST_SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void tactics_have_names_of_their_own(void **state)
{
    const pf_tactic *tactic = NULL;
    uint32_t         oracles = 0;

    (void)state;
    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL; i++) {
        assert_ptr_equal(pf_tactic_find(tactic->name), tactic);
        assert_true(strlen(tactic->name) < PF_TACTIC_NAME_BYTES);
        assert_non_null(tactic->declines);
        assert_non_null(tactic->tunings);
        assert_non_null(tactic->prepare);
        assert_non_null(tactic->enqueue);
        oracles += (tactic->flags & PF_TACTIC_ORACLE) != 0;
    }
    assert_int_equal(oracles, 1);
    assert_null(pf_tactic_find("no_such_tactic"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caps_hold),            /* first: before this process uses oneDNN */
        cmocka_unit_test(threads_that_cannot_be_started_are_an_error),
        cmocka_unit_test(class_is_sorted_lines), cmocka_unit_test(threads_are_part_of_the_class),
        cmocka_unit_test(a_missing_line_is_named),
        cmocka_unit_test(what_is_not_there_is_refused), cmocka_unit_test(memory_streams_and_events_work),
        cmocka_unit_test(tactics_have_names_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
