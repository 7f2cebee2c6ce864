/* The program on a real full file system: a tmpfs of 256 KiB in a mount namespace of this process and its children. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/client/program.h"
#include "tests/client/tiny_model.h"

/* Leaves no room. */
static void fill(void)
{
    static char bytes[4096];
    FILE       *file = fopen(program_path("small/filling"), "wb");

    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    while (fwrite(bytes, 1, sizeof bytes, file) == sizeof bytes)
        continue;
    fclose(file);
}

static void a_plan_that_does_not_fit_is_said(void **state)
{
    run result = RUN("build", "tiny.onnx", "--effort", "0", "-o", "small/x.plan");

    (void)state;
    ended_with(&result, 72);
    assert_non_null(strstr(result.err, program_path("small")));
    assert_int_equal(test_names_in(program_path("small")), 1);
    program_clear(&result);
    result = RUN("run", "tiny.onnx", "--reference", "--output-dir", "small");
    ended_with(&result, 72);
    assert_int_equal(test_names_in(program_path("small")), 1);
    program_clear(&result);
}

static void a_build_goes_on_without_a_cache(void **state)
{
    run     result = RUN("build", "tiny.onnx", "--effort", "0", "--cache", "small/cache", "-o", "x.plan", "--json");
    json_t *value = program_json(&result);

    (void)state;
    ended_with(&result, 0);
    assert_int_equal(json_array_size(json_object_get(value, "warnings")), 1);
    assert_non_null(strstr(result.err, "planfarm: warning: "));
    assert_true(pf_file_exists(program_path("x.plan")));
    json_decref(value);
    program_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_that_does_not_fit_is_said),
        cmocka_unit_test(a_build_goes_on_without_a_cache),
    };
    int failed = 0;

    mkdir(test_path("work"), 0777);
    mkdir(program_path("small"), 0777);
    tiny_model(program_path("tiny.onnx"));
    if (!test_mount_disk(program_path("small"), 256 << 10)) {
        print_message("skipped: this user may not mount a tmpfs\n");
        return TEST_SKIPPED;
    }
    fill();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    umount2(program_path("small"), MNT_DETACH);
    return failed;
}
