/* Products of many rows and few weights: which of them the kernel takes, and that what is generated compiles. */
#include "tests/unit/cuda/programs.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_thin.h"

typedef struct sample { const char *name, *text; } sample;

static const sample samples[] = {
    { "FP32 in parts, K no multiple of a step, residual",
      "problem in=nhwc,linear*,linear*,nhwc out=nhwc numerics=" PARTS "\n"
      "graph \"\"\n%0 = input f32 [2,72,56,56]\n%1 = input f32 [24,72,1,1]\n%2 = input f32 [24]\n"
      "%3 = input f32 [2,24,56,56]\n%4 = conv(%0, %1, %2) " PIXEL "\n%5 = add(%4, %3)\noutput %5\n" },
    { "FP32 in three parts, columns in several parts, swish",
      "problem in=nhwc,linear*,linear* out=nhwc numerics=" THREE "\n"
      "graph \"\"\n%0 = input f32 [2,40,56,56]\n%1 = input f32 [240,40,1,1]\n%2 = input f32 [240]\n"
      "%3 = conv(%0, %1, %2) " PIXEL "\n%4 = swish(%3) p=1\noutput %4\n" },
    { "FP32 in three parts, of an image times factors, the other way round",
      "problem in=nhwc,nhwc,linear* out=nhwc numerics=" THREE "\n"
      "graph \"\"\n%0 = input f32 [2,72,1,1]\n%1 = input f32 [2,72,56,56]\n%2 = input f32 [24,72,1,1]\n"
      "%3 = mul(%0, %1)\n%4 = conv(%3, %2, _) " PIXEL "\noutput %4\n" },
    { "FP16, columns in several parts, swish",
      "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,40,70,70]\n%1 = input f16 [240,40,1,1]\n%2 = input f16 [240]\n"
      "%3 = conv(%0, %1, %2) " PIXEL "\n%4 = swish(%3) p=1\noutput %4\n" },
    { "BF16, weights in rows of K, few columns of FP32",
      "problem in=linear,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input bf16 [2,2100,64]\n%1 = input bf16 [64,8]\n%2 = matmul(%0, %1)\n"
      "%3 = cast(%2) dtype=f32\noutput %3\n" },
    { "from a wider image into another one",
      "problem in=nhwc:64,linear* out=nhwc:48 numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,24,56,56]\n%1 = input f16 [40,24,1,1]\n%2 = conv(%0, %1, _) " PIXEL "\n"
      "output %2\n" },
};

static void compiles(const sample *s)
{
    pf_thin_tuning list[PF_THIN_TUNINGS];
    pf_problem    *p = problem_of(s->text);
    pf_err         err = { 0 };

    if (pf_codegen_thin_declines(p)) fail_msg("%s: declined: %s", s->name, pf_codegen_thin_declines(p));
    for (int i = pf_codegen_thin_tunings(p, list, 2) - 1; i >= 0; i--) {
        pf_program program = { 0 };

        test_ok(pf_codegen_thin(p, &list[i], &program, &err), &err);
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

static bool takes(const char *weights, const char *type, int numerics, int rows, int k, int n)
{
    char        text[256] = "";
    pf_problem *p = NULL;
    bool        result = false;

    snprintf(text, sizeof text, "problem in=linear,%s out=linear numerics=%d\ngraph \"\"\n%%0 = input %s [%d,%d]\n"
             "%%1 = input %s [%d,%d]\n%%2 = matmul(%%0, %%1) trans_b=1\noutput %%2\n", weights, numerics, type, rows, k,
             type, n, k);
    p = problem_of(text);
    result = !pf_codegen_thin_declines(p);
    pf_problem_free(p);
    return result;
}

/* What does not fit is left to the kernels that stage both operands. */
static void only_many_rows_and_few_weights_are_taken(void **state)
{
    (void)state;
    assert_true(takes("linear*", "f16", 0, 8192, 64, 96));
    assert_true(takes("linear*", "f32", 8, 8192, 64, 96));
    assert_true(takes("linear*", "f32", 16, 8192, 64, 96));
    assert_false(takes("linear*", "f32", 0, 8192, 64, 96));      /* FP32 that is not to be taken in parts */
    assert_false(takes("linear", "f16", 0, 8192, 64, 96));       /* weights that are computed */
    assert_false(takes("linear*", "f16", 0, 1024, 64, 96));
    assert_false(takes("linear*", "f16", 0, 8192, 64, 83));      /* rows of the result at odd places */
    assert_false(takes("linear*", "f16", 0, 8192, 768, 768));
    assert_false(takes("linear*", "f16", 0, 8192, 128, 2048));
}

static void tunings_read_what_is_written(void **state)
{
    pf_thin_tuning read = { 0 };
    char           text[64] = "";

    (void)state;
    snprintf(text, sizeof text, PF_THIN_TUNING, 2, 16, 1);
    assert_true(pf_thin_tuning_read(text, &read));
    assert_int_equal(read.row_tiles, 2);
    assert_int_equal(read.warps, 16);
    assert_int_equal(read.ahead, 1);
    assert_false(pf_thin_tuning_read("m=2 w=16", &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_sample_compiles),
                                        cmocka_unit_test(only_many_rows_and_few_weights_are_taken),
                                        cmocka_unit_test(tunings_read_what_is_written) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
