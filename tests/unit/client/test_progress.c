#include "client/progress.h"

#include <string.h>

#include "base/clock.h"
#include "tests/test.h"

static void the_line_shows_what_is_done_and_left(void **state)
{
    pf_progress progress = {.phase = PF_PHASE_TIME, .problems_done = 5, .problems_total = 20, .candidates_timed = 17,
                            .cache_hits = 3, .remaining_ns = 90 * PF_NS_PER_S, .layer = "conv\0331"};
    char        text[256];

    (void)state;
    pf_progress_text(&progress, text, sizeof text);
    assert_non_null(strstr(text, pf_phase_name(PF_PHASE_TIME)));
    assert_non_null(
        strstr(text, "[#####...............] 5/20 problems  17 candidates  3 hits  about 1m30s left  conv?1"));
    progress.remaining_ns = -1;
    progress.layer = "";
    pf_progress_text(&progress, text, sizeof text);
    assert_null(strstr(text, "left"));
}

static void a_build_without_problems_has_an_empty_bar(void **state)
{
    pf_progress progress = {.phase = PF_PHASE_REWRITE, .remaining_ns = 0};
    char        text[256], little[16];

    (void)state;
    pf_progress_text(&progress, text, sizeof text);
    assert_non_null(strstr(text, "[....................] 0/0 problems"));
    pf_progress_text(&progress, little, sizeof little);
    assert_int_equal(strlen(little), sizeof little - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_shows_what_is_done_and_left),
        cmocka_unit_test(a_build_without_problems_has_an_empty_bar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
