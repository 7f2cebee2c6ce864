/* Windows: what is tried, that it compiles, and how weights are packed. */
#include "tests/unit/cuda/programs.h"

#include <string.h>

#include "engine/cuda/codegen_window.h"

enum { CHANNELS = 6, ROWS = 2, COLUMNS = 3, TAPS = ROWS * COLUMNS, TUNINGS = 5 };

static void check_packing(pf_dtype dtype)
{
    pf_tensor weights = { .dtype = dtype, .rank = 4, .dim = { CHANNELS, 1, ROWS, COLUMNS } };
    uint8_t   packed[CHANNELS * TAPS * sizeof(float)];
    pf_err    err = { 0 };

    test_ok(pf_tensor_alloc(&weights, &err), &err);
    for (uint64_t i = 0; i < CHANNELS * TAPS; i++) pf_dtype_set(dtype, weights.data, i, (double)(i + 1));
    pf_codegen_window_pack(&weights, packed);
    for (uint64_t t = 0; t < TAPS; t++)
        for (uint64_t c = 0; c < CHANNELS; c++)
            assert_true(pf_dtype_get(dtype, packed, t * CHANNELS + c) == (double)(c * TAPS + t + 1));
    pf_tensor_clear(&weights);
}

static void weights_are_packed_tap_by_tap(void **state)
{
    (void)state;
    check_packing(PF_F16);
    check_packing(PF_F32);
}

/* The first tunings of a problem compile; of them `tiled` take tiles and `rows` several rows for a thread. */
static void check_tunings(const char *text, int tiled, int rows, bool packs)
{
    pf_window_tuning list[TUNINGS];
    pf_problem      *p = NULL;
    pf_err           err = { 0 };
    int              count = 0;

    test_ok(pf_problem_parse(text, &p, &err), &err);
    if (pf_codegen_window_declines(p)) fail_msg("declined: %s", pf_codegen_window_declines(p));
    count = pf_codegen_window_tunings(p, list, TUNINGS);
    for (int i = 0; i < count; i++) {
        pf_program program = { 0 };

        tiled -= list[i].tiled > 0;
        rows -= list[i].rows > 1;
        test_ok(pf_codegen_window(p, &list[i], &program, &err), &err);
        assert_int_equal(program.packs, packs);
        expect_compiles(&program, 90, text);
        pf_program_clear(&program);
    }
    assert_true(count > 1 && tiled <= 0 && rows <= 0);
    pf_problem_free(p);
}

#define MANY_TAPS(channels) \
    "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n" \
    "graph \"\"\n%0 = input f16 [2," channels ",20,28]\n%1 = input f16 [" channels ",1,7,7]\n%2 = input f16 [" \
    channels "]\n%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[3,3,3,3] groups=" channels "\noutput %3\n"

/* Of many taps pixels come by way of shared memory, where channels lie in pieces that can be copied there. */
static void many_taps_share_pixels(void **state)
{
    static const struct { const char *text; bool shares; } rows[] = {
        { MANY_TAPS("40"), true }, { MANY_TAPS("36"), true }, { MANY_TAPS("17"), false },
    };

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        pf_window_tuning list[TUNINGS], wrong = { 4, 7, 2, 2, 128, 18 };
        pf_program       program = { 0 };
        pf_problem      *p = NULL;
        pf_err           err = { 0 };
        int              count = 0, shared = 0;

        test_ok(pf_problem_parse(rows[r].text, &p, &err), &err);
        count = pf_codegen_window_tunings(p, list, TUNINGS);
        for (int i = 0; i < count; i++) shared += list[i].tiled == 2;
        assert_int_equal(shared > 0, rows[r].shares);
        assert_int_equal(pf_codegen_window(p, &wrong, &program, &err), PF_UNSUPPORTED);
        pf_problem_free(p);
        check_tunings(rows[r].text, shared, 1, true);
    }
}

static void tunings_compile(void **state)
{
    (void)state;
    check_tunings("problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
                  "graph \"\"\n%0 = input f16 [2,24,28,28]\n%1 = input f16 [24,1,5,5]\n%2 = input f16 [24]\n"
                  "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[2,2,2,2] groups=24\n"
                  "%4 = swish(%3) p=1\noutput %4\n", 1, 1, true);
    check_tunings("problem in=nhwc,linear out=nhwc numerics=0\n"
                  "graph \"\"\n%0 = input f32 [2,24,28,30]\n%1 = input f32 [24,1,3,3]\n"
                  "%2 = conv(%0, %1, _) strides=[2,2] dilations=[2,1] pads=[2,1,2,1] groups=24\noutput %2\n", 1, 1,
                  false);
    check_tunings("problem in=nhwc out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [2,24,28,28]\n"
                  "%1 = average_pool(%0) kernel=[3,3] strides=[2,2] dilations=[1,1] pads=[1,1,1,1]\noutput %1\n", 1, 1,
                  false);
}

#define STEM(layout, channels, width) \
    "problem in=" layout ",linear*,linear* out=nhwc numerics=0\n" \
    "graph \"\"\n%0 = input f32 [2," channels ",32," width "]\n%1 = input f32 [16," channels ",3,3]\n" \
    "%2 = input f32 [16]\n%3 = conv(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\n" \
    "%4 = relu(%3)\noutput %4\n"

/* Channels of a stem lie apart; rows of any width are read one by one where pieces of four do not fit. */
static void stems_read_pictures(void **state)
{
    pf_layout   in[3] = { PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_LINEAR, PF_LAYOUT_LINEAR };
    pf_problem *p = NULL;
    pf_err      err = { 0 };

    (void)state;
    check_tunings(STEM("linear", "3", "32"), 0, 0, false);
    check_tunings(STEM("linear", "1", "33"), 0, 0, false);
    test_ok(pf_problem_parse(STEM("nhwc", "3", "32"), &p, &err), &err);
    assert_non_null(pf_codegen_window_declines(p));
    pf_codegen_window_prefers(p, in);
    assert_int_equal(in[0], PF_LAYOUT_LINEAR);
    pf_problem_free(p);
    test_ok(pf_problem_parse(STEM("linear", "8", "32"), &p, &err), &err);
    assert_non_null(pf_codegen_window_declines(p));
    pf_problem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(weights_are_packed_tap_by_tap),
                                        cmocka_unit_test(tunings_compile), cmocka_unit_test(many_taps_share_pixels),
                                        cmocka_unit_test(stems_read_pictures) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
