/* Stems on tensor cores: which convolutions the kernel takes, and that what is generated compiles. */
#include "tests/unit/cuda/programs.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_stem.h"

typedef struct sample { const char *name, *text; } sample;

static const sample samples[] = {
    { "three channels, windows of seven, relu",
      "problem in=linear,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,3,224,224]\n%1 = input f16 [64,3,7,7]\n%2 = input f16 [64]\n"
      "%3 = conv(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[3,3,3,3] groups=1\n%4 = relu(%3)\noutput %4\n" },
    { "an odd number of halves of steps, 24 outputs, into a wider image, swish",
      "problem in=linear,linear*,linear* out=nhwc:48 numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,3,31,29]\n%1 = input f16 [24,3,5,5]\n%2 = input f16 [24]\n"
      "%3 = conv(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[2,2,2,2] groups=1\n%4 = swish(%3) p=1\n"
      "output %4\n" },
    { "BF16, one channel, rows one behind the other, residual",
      "problem in=linear,linear*,nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input bf16 [1,1,40,36]\n%1 = input bf16 [40,1,3,4]\n%2 = input bf16 [1,40,40,17]\n"
      "%3 = conv(%0, %1, _) strides=[1,2] dilations=[1,1] pads=[1,0,1,0] groups=1\n%4 = add(%3, %2)\noutput %4\n" },
    { "from numbers of FP32 that are limited",
      "problem in=linear,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f32 [2,3,64,64]\n%1 = input f16 [32,3,3,3]\n%2 = input f16 [32]\n"
      "%3 = clip(%0) p=-65504 q=65504\n%4 = cast(%3) dtype=f16\n"
      "%5 = conv(%4, %1, %2) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %5\n" },
    { "BF16 of numbers of FP32",
      "problem in=linear,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f32 [1,3,64,64]\n%1 = input bf16 [32,3,3,3]\n%2 = cast(%0) dtype=bf16\n"
      "%3 = conv(%2, %1, _) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %3\n" },
    { "three parts of FP32, swish",
      "problem in=linear,linear*,linear* out=nhwc numerics=16\n"
      "graph \"\"\n%0 = input f32 [32,3,224,224]\n%1 = input f32 [32,3,3,3]\n%2 = input f32 [32]\n"
      "%3 = conv(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\n%4 = swish(%3) p=1\n"
      "output %4\n" },
    { "two parts of FP32 in front of FP16, in limits",
      "problem in=linear,linear* out=nhwc numerics=8\n"
      "graph \"\"\n%0 = input f32 [1,3,64,64]\n%1 = input f32 [48,3,7,7]\n%2 = clip(%0) p=-1 q=1\n"
      "%3 = conv(%2, %1, _) strides=[2,2] dilations=[1,1] pads=[3,3,3,3] groups=1\n%4 = cast(%3) dtype=f16\n"
      "output %4\n" },
    { "four channels in separate patches, many outputs",
      "problem in=linear,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,4,64,64]\n%1 = input f16 [288,4,4,4]\n%2 = input f16 [288]\n"
      "%3 = conv(%0, %1, %2) strides=[4,4] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n" },
};

static void every_sample_compiles(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof samples / sizeof *samples; s++) {
        pf_stem_tuning list[PF_STEM_TUNINGS];
        pf_problem    *p = problem_of(samples[s].text);
        pf_err         err = { 0 };

        if (pf_codegen_stem_declines(p)) fail_msg("%s: declined: %s", samples[s].name, pf_codegen_stem_declines(p));
        for (int i = pf_codegen_stem_tunings(p, 132, list, 3) - 1; i >= 0; i--) {
            pf_program program = { 0 };

            test_ok(pf_codegen_stem(p, &list[i], &program, &err), &err);
            expect_compiles(&program, 90, samples[s].name);
            pf_program_clear(&program);
        }
        pf_problem_free(p);
    }
}

static void others_are_declined(void **state)
{
    static const sample declined[] = {
        { "more than four channels",
          "problem in=linear,linear* out=nhwc numerics=0\n"
          "graph \"\"\n%0 = input f16 [1,5,32,32]\n%1 = input f16 [16,5,3,3]\n"
          "%2 = conv(%0, %1, _) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %2\n" },
        { "windows that begin at odd pixels",
          "problem in=linear,linear* out=nhwc numerics=0\n"
          "graph \"\"\n%0 = input f16 [1,3,32,32]\n%1 = input f16 [16,3,3,3]\n"
          "%2 = conv(%0, %1, _) strides=[2,1] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %2\n" },
        { "operands in another layout",
          "problem in=c8,linear* out=nhwc numerics=0\n"
          "graph \"\"\n%0 = input f16 [1,3,32,32]\n%1 = input f16 [16,3,3,3]\n"
          "%2 = conv(%0, %1, _) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %2\n" },
        { "an operand inside the region",
          "problem in=linear,linear,linear* out=nhwc numerics=0\n"
          "graph \"\"\n%0 = input f16 [1,3,32,32]\n%1 = input f16 [1,3,32,32]\n%2 = input f16 [16,3,3,3]\n"
          "%3 = mul(%0, %1)\n"
          "%4 = conv(%3, %2, _) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %4\n" },
        { "FP32 that is not to be taken in parts of 16 bits",
          "problem in=linear,linear* out=nhwc numerics=1\n"
          "graph \"\"\n%0 = input f32 [1,3,32,32]\n%1 = input f32 [16,3,3,3]\n"
          "%2 = conv(%0, %1, _) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %2\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof declined / sizeof *declined; i++) {
        pf_problem *p = problem_of(declined[i].text);

        assert_non_null(pf_codegen_stem_declines(p));
        assert_string_equal(pf_codegen_stem_declines(p), declined[i].name);
        pf_problem_free(p);
    }
}

/* Two pixels of three channels are eight elements of which the fourth and the last are none. */
static void weights_lie_as_they_are_taken(void **state)
{
    enum { OUTPUTS = 16, CHANNELS = 3, KERNEL = 3, STEPS = 3, TILES = 2 };
    uint16_t   weights[OUTPUTS][CHANNELS][KERNEL][KERNEL], packed[STEPS][TILES / 2][32][2][4];
    pf_problem *p = problem_of("problem in=linear,linear* out=nhwc numerics=0\n"
                               "graph \"\"\n%0 = input f16 [1,3,32,32]\n%1 = input f16 [16,3,3,3]\n"
                               "%2 = conv(%0, %1, _) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\n"
                               "output %2\n");
    pf_tensor   tensor = { .dtype = PF_F16, .rank = 4, .dim = { OUTPUTS, CHANNELS, KERNEL, KERNEL },
                           .data = weights, .bytes = sizeof weights };

    (void)state;
    for (int i = 0; i < OUTPUTS * CHANNELS * KERNEL * KERNEL; i++) (&weights[0][0][0][0])[i] = (uint16_t)(i + 1);
    pf_codegen_stem_pack(p, &tensor, packed);
    /* Lane 5 has of column 1 elements 2 and 3 of each half: the third channel of the first pixel and none. Tiles of a
       group of 16 columns give a thread four neighbours. */
    assert_int_equal(packed[1][0][5][0][0], weights[1][2][1][0]);
    assert_int_equal(packed[1][0][5][0][1], 0);
    assert_int_equal(packed[1][0][5][0][2], weights[1][2][1][2]);
    /* Lane 14: column 3 of the tile is column 5 of the result, elements 4 and 5 the second pixel; a row's fourth is
       none. */
    assert_int_equal(packed[2][0][14][0][0], weights[5][0][2][1]);
    assert_int_equal(packed[2][0][14][0][1], weights[5][1][2][1]);
    assert_int_equal(packed[2][0][14][0][2], 0);
    assert_int_equal(packed[0][0][14][1][0], weights[7][0][0][1]);
    pf_problem_free(p);
}

static float of_bf16(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float    value = 0;

    memcpy(&value, &wide, sizeof value);
    return value;
}

/* The parts lie one behind the other, each as the weights of 16 bits do. */
static void weights_lie_in_parts(void **state)
{
    enum { OUTPUTS = 16, CHANNELS = 3, KERNEL = 3, STEPS = 3, TILES = 2, PLANES = 3 };
    float       weights[OUTPUTS][CHANNELS][KERNEL][KERNEL];
    uint16_t    packed[PLANES][STEPS][TILES / 2][32][2][4];
    pf_problem *p = problem_of("problem in=linear,linear* out=nhwc numerics=16\n"
                               "graph \"\"\n%0 = input f32 [1,3,32,32]\n%1 = input f32 [16,3,3,3]\n"
                               "%2 = conv(%0, %1, _) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\n"
                               "output %2\n");
    pf_tensor   tensor = { .dtype = PF_F32, .rank = 4, .dim = { OUTPUTS, CHANNELS, KERNEL, KERNEL },
                           .data = weights, .bytes = sizeof weights };

    (void)state;
    for (int i = 0; i < OUTPUTS * CHANNELS * KERNEL * KERNEL; i++) (&weights[0][0][0][0])[i] = 1.0f / (float)(i + 3);
    pf_codegen_stem_pack(p, &tensor, packed);
    assert_true(weights[1][2][1][0] == of_bf16(packed[0][1][0][5][0][0]) + of_bf16(packed[1][1][0][5][0][0]) +
                                           of_bf16(packed[2][1][0][5][0][0]));
    assert_true(weights[5][1][2][1] == of_bf16(packed[0][2][0][14][0][1]) + of_bf16(packed[1][2][0][14][0][1]) +
                                           of_bf16(packed[2][2][0][14][0][1]));
    for (int part = 0; part < PLANES; part++) assert_int_equal(packed[part][2][0][14][0][2], 0);
    pf_problem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_sample_compiles), cmocka_unit_test(others_are_declined),
                                        cmocka_unit_test(weights_lie_as_they_are_taken),
                                        cmocka_unit_test(weights_lie_in_parts) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
