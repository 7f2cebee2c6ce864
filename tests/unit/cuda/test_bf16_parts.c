/* FP32 in parts of BF16 by warp groups: which products the kernel takes, how their weights are packed, and that what is
   generated compiles. */
#include "tests/unit/cuda/programs.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/cuda/bf16_parts.h"
#include "engine/cuda/codegen_parts.h"

typedef struct sample { const char *name, *text; } sample;

static const sample samples[] = {
    { "three parts, K no multiple of a step, swish",
      "problem in=nhwc,linear*,linear* out=nhwc numerics=" THREE "\n"
      "graph \"\"\n%0 = input f32 [32,112,14,14]\n%1 = input f32 [672,112,1,1]\n%2 = input f32 [672]\n"
      "%3 = conv(%0, %1, %2) " PIXEL "\n%4 = swish(%3) p=1\noutput %4\n" },
    { "three parts, few columns, residual",
      "problem in=nhwc,linear*,linear*,nhwc out=nhwc numerics=" THREE "\n"
      "graph \"\"\n%0 = input f32 [32,480,14,14]\n%1 = input f32 [80,480,1,1]\n%2 = input f32 [80]\n"
      "%3 = input f32 [32,80,14,14]\n%4 = conv(%0, %1, %2) " PIXEL "\n%5 = add(%4, %3)\noutput %5\n" },
    { "three parts, long sums of few rows, lowered behind",
      "problem in=nhwc,linear*,linear* out=nhwc numerics=" THREE "\n"
      "graph \"\"\n%0 = input f32 [8,1152,7,7]\n%1 = input f32 [192,1152,1,1]\n%2 = input f32 [192]\n"
      "%3 = conv(%0, %1, %2) " PIXEL "\n%4 = cast(%3) dtype=f16\noutput %4\n" },
    { "three parts, of an image times factors",
      "problem in=nhwc,nhwc,linear*,linear* out=nhwc numerics=" THREE "\n"
      "graph \"\"\n%0 = input f32 [32,240,14,14]\n%1 = input f32 [32,240,1,1]\n%2 = input f32 [80,240,1,1]\n"
      "%3 = input f32 [80]\n%4 = mul(%0, %1)\n%5 = conv(%4, %2, %3) " PIXEL "\noutput %5\n" },
    { "two parts, weights in rows of K, an odd number of fours",
      "problem in=linear,linear* out=linear numerics=" PARTS "\n"
      "graph \"\"\n%0 = input f32 [2,300,76]\n%1 = input f32 [76,100]\n%2 = matmul(%0, %1)\noutput %2\n" },
};

static void compiles(const sample *s)
{
    pf_parts_tuning list[PF_PARTS_TUNINGS];
    pf_problem     *p = problem_of(s->text);
    pf_err          err = { 0 };
    int             count = 0;

    if (pf_codegen_parts_declines(p)) fail_msg("%s: declined: %s", s->name, pf_codegen_parts_declines(p));
    count = pf_codegen_parts_tunings(p, 132, list, PF_PARTS_TUNINGS);
    assert_true(count > 4);
    for (int i = 0; i < count; i += 3) {
        pf_program program = { 0 };

        test_ok(pf_codegen_parts(p, &list[i], &program, &err), &err);
        expect_compiles(&program, 90, s->name);
        pf_program_clear(&program);
    }
    pf_problem_free(p);
}

static void every_sample_compiles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) compiles(&samples[i]);
}

enum { ROWS = 64, K = 20, N = 52 };     /* K and N are no whole number of what is packed at once */

/* The element of a part that the kernel reads for a column and an element of K: a thread has four neighbours. */
static uint16_t packed_at(const uint16_t *part, int run, int column, int k)
{
    int in_group = column % (4 * run), thread = in_group / run, at = in_group % run;
    int row = column - in_group + at / 2 * 8 + thread * 2 + at % 2;
    int quad = k % 16 / 4, in_quad = k % 4;

    return part[row * 32 + k / 16 * 16 + in_quad / 2 * 8 + quad * 2 + in_quad % 2];
}

static void check_packed(bool transposed, int numerics, int columns)
{
    char       text[512] = "";
    float      from[K * N];
    pf_tensor  weights = { .dtype = PF_F32, .rank = 2, .dim = { transposed ? N : K, transposed ? K : N },
                           .data = from, .bytes = sizeof from };
    pf_program program = { 0 };
    pf_err     err = { 0 };
    int        parts = numerics == 8 ? 2 : 3;
    uint16_t  *packed = NULL, want[PF_BF16_PARTS_MAX];
    pf_problem *p = NULL;

    for (int i = 0; i < K * N; i++) from[i] = (float)(i + 1) * 0x1.234567p-7f;
    snprintf(text, sizeof text, "problem in=linear,linear* out=linear numerics=%d\ngraph \"\"\n"
             "%%0 = input f32 [%d,%d]\n%%1 = input f32 [%d,%d]\n%%2 = matmul(%%0, %%1) trans_b=%d\noutput %%2\n",
             numerics, ROWS, K, transposed ? N : K, transposed ? K : N, transposed);
    p = problem_of(text);
    test_ok(pf_codegen_parts(p, &(pf_parts_tuning){ columns, 2, 2, 1, 1, 2 }, &program, &err), &err);
    assert_int_equal(program.packed_bytes, parts * 64 * 32 * 2);
    assert_int_equal(program.packed_bytes, program.maps[1].rows * program.maps[1].columns * 2);
    packed = pf_calloc(1, program.packed_bytes);
    assert_non_null(packed);
    memset(packed, 0xff, program.packed_bytes);
    pf_codegen_parts_pack(p, program.packed_form, &weights, packed);
    for (int n = 0; n < N; n++)
        for (int k = 0; k < 32; k++) {
            pf_bf16_take_apart(k < K ? from[transposed ? n * K + k : k * N + n] : 0, parts, want);
            for (int part = 0; part < parts; part++)
                assert_int_equal(packed_at(packed + part * 64 * 32, program.packed_form, n, k), want[part]);
        }
    pf_free(packed);
    pf_program_clear(&program);
    pf_problem_free(p);
}

static void weights_are_packed_part_by_part(void **state)
{
    (void)state;
    check_packed(true, 16, 48);
    check_packed(true, 8, 64);
    check_packed(false, 16, 64);
}

/* 24 bits of a number in three parts; what is infinite stays as large as BF16 goes. */
static void parts_add_up_to_the_number(void **state)
{
    static const float values[] = { 0.0f, 1.0f, -0x1.fffffep-1f, 0x1.234567p5f, 0x1.abcdeep-20f };

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint16_t parts[PF_BF16_PARTS_MAX];
        double   sum = 0;

        pf_bf16_take_apart(values[i], 3, parts);
        for (int part = 0; part < 3; part++) {
            uint32_t bits = (uint32_t)parts[part] << 16;
            float    of = 0;

            memcpy(&of, &bits, sizeof of);
            sum += of;
        }
        assert_true(sum == (double)values[i]);
    }
}

static bool takes(const char *weights, const char *type, int numerics, int rows, int k, int n)
{
    char        text[256] = "";
    pf_problem *p = NULL;
    bool        result = false;

    snprintf(text, sizeof text, "problem in=linear,%s out=linear numerics=%d\ngraph \"\"\n%%0 = input %s [%d,%d]\n"
             "%%1 = input %s [%d,%d]\n%%2 = matmul(%%0, %%1) trans_b=1\noutput %%2\n", weights, numerics, type, rows, k,
             type, n, k);
    p = problem_of(text);
    result = !pf_codegen_parts_declines(p);
    pf_problem_free(p);
    return result;
}

static void only_constants_and_whole_pieces_are_taken(void **state)
{
    (void)state;
    assert_true(takes("linear*", "f32", 8, 64, 64, 96));
    assert_true(takes("linear*", "f32", 16, 64, 68, 4));
    assert_false(takes("linear*", "f32", 0, 64, 64, 96));       /* FP32 that is not to be taken in parts */
    assert_false(takes("linear*", "f16", 0, 64, 64, 96));
    assert_false(takes("linear", "f32", 16, 64, 64, 96));       /* weights that are computed */
    assert_false(takes("linear*", "f32", 16, 63, 64, 96));
    assert_false(takes("linear*", "f32", 16, 64, 66, 96));      /* rows of x at odd places */
    assert_false(takes("linear*", "f32", 16, 64, 64, 98));      /* rows of the result at odd places */
}

static void tunings_read_what_is_written(void **state)
{
    pf_parts_tuning read = { 0 };
    char            text[64] = "";

    (void)state;
    snprintf(text, sizeof text, PF_PARTS_TUNING, 96, 2, 2, 1, 4, 3);
    assert_true(pf_parts_tuning_read(text, &read));
    assert_int_equal(read.columns, 96);
    assert_int_equal(read.groups, 2);
    assert_int_equal(read.team, 2);
    assert_int_equal(read.depth, 1);
    assert_int_equal(read.split, 4);
    assert_int_equal(read.stages, 3);
    assert_false(pf_parts_tuning_read("n=96 g=2 t=2 d=1", &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_compiles), cmocka_unit_test(weights_are_packed_part_by_part),
        cmocka_unit_test(parts_add_up_to_the_number), cmocka_unit_test(only_constants_and_whole_pieces_are_taken),
        cmocka_unit_test(tunings_read_what_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
