#include "base/timing_class.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"

static void the_driver_is_left_out(void **state)
{
    static const struct { const char *from, *to; } rows[] = {
        { "", "" },
        { "cuda_driver=13000\n", "" },
        { "cuda_driver=13000", "" },
        { "cublaslt=1\ncuda_driver=13000\ncudnn=2\n", "cublaslt=1\ncudnn=2\n" },
        { "cuda_driver=1\ncuda_driver=2\nz=3", "z=3" },
        { "cuda_drivers=1\nother=cuda_driver=2\n", "cuda_drivers=1\nother=cuda_driver=2\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char      text[64] = "";
        pf_digest expected, got;

        pf_timing_class_text(rows[i].from, text);
        assert_string_equal(text, rows[i].to);
        snprintf(text, sizeof text, "%s", rows[i].from);
        pf_timing_class_text(text, text);
        assert_string_equal(text, rows[i].to);
        pf_digest_of(text, strlen(text), &expected);
        pf_timing_class_digest(rows[i].from, &got);
        assert_true(pf_digest_equal(&expected, &got));
    }
}

static void classes_of_two_drivers_share_timings(void **state)
{
    (void)state;
    assert_true(pf_timing_class_equal("a=1\ncuda_driver=12080\n", "a=1\ncuda_driver=13000\n"));
    assert_false(pf_timing_class_equal("a=1\ncuda_driver=12080\n", "a=2\ncuda_driver=12080\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_driver_is_left_out),
        cmocka_unit_test(classes_of_two_drivers_share_timings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
