/* Norms of groups of channels: which problems the kernel takes, which tunings fit, and that what is generated
   compiles. */
#include "tests/unit/cuda/programs.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_group.h"

enum { TUNINGS = 24, SM_COUNT = 132 };

#define NORM(type, channels, spatial, groups) \
    "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n" \
    "graph \"\"\n%0 = input " type " [2," channels "," spatial "]\n%1 = input " type " [" channels "]\n" \
    "%2 = input " type " [" channels "]\n%3 = group_norm(%0, %1, %2) groups=" groups " epsilon=1e-5\n" \
    "%4 = swish(%3) p=1\noutput %4\n"

typedef struct sample { const char *name, *text; bool flat; /* rows of pixels are nobody's concern */ } sample;

static const sample samples[] = {
    { "groups of four, swish", NORM("f16", "128", "64,64", "32"), true },
    { "groups of ten, which vectors straddle", NORM("f16", "320", "30,31", "32"), true },
    { "FP32, few pixels", NORM("f32", "48", "3,5", "4"), true },
    { "sounds", NORM("bf16", "64", "999", "8"), true },
    { "one column of pixels", NORM("f16", "64", "999,1", "8"), false },
    { "volumes", NORM("f16", "24", "6,7,8", "3"), true },
    { "one group, more than registers hold", NORM("f16", "64", "300,300", "1"), true },
    { "each channel by itself, the sum handed out too",
      "problem in=nhwc,nhwc,linear*,linear* out=nhwc,nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,40,20,20]\n%1 = input f16 [2,40,20,20]\n%2 = input f16 [40]\n%3 = input f16 [40]\n"
      "%4 = add(%0, %1)\n%5 = instance_norm(%4, %2, %3) epsilon=1e-5\n%6 = relu(%5)\noutput %6\noutput %4\n", true },
    { "scale and shift of each image behind it",
      "problem in=nhwc,linear*,linear*,nhwc,nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,64,16,16]\n%1 = input f16 [64]\n%2 = input f16 [64]\n%3 = input f16 [2,64,1,1]\n"
      "%4 = input f16 [2,64,1,1]\n%5 = group_norm(%0, %1, %2) groups=8 epsilon=1e-5\n%6 = mul(%5, %3)\n"
      "%7 = add(%6, %4)\n%8 = swish(%7) p=1\noutput %8\n", true },
    { "behind an image that is upsampled and joined to another",
      "problem in=nhwc,nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,64,16,16]\n%1 = input f16 [2,32,32,32]\n%2 = input f16 [96]\n%3 = input f16 [96]\n"
      "%4 = resize(%0) coordinates=asymmetric nearest=floor scales=[1,1,2,2] cubic_a=-0.75\n"
      "%5 = concat(%4, %1) axis=1\n%6 = group_norm(%5, %2, %3) groups=8 epsilon=1e-5\noutput %6\n", false },
    { "of a wider image, into another", "problem in=nhwc:64,linear*,linear* out=nhwc:96 numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,32,12,10]\n%1 = input f16 [32]\n%2 = input f16 [32]\n"
      "%3 = group_norm(%0, %1, %2) groups=4 epsilon=1e-5\noutput %3\n", true },
};

static void compiles(const sample *s)
{
    pf_group_tuning list[2];
    pf_problem     *p = problem_of(s->text);
    pf_err          err = { 0 };

    if (pf_codegen_group_declines(p)) fail_msg("%s: declined: %s", s->name, pf_codegen_group_declines(p));
    for (int i = pf_codegen_group_tunings(p, SM_COUNT, true, list, 2) - 1; i >= 0; i--) {
        pf_program program = { 0 };

        test_ok(pf_codegen_group(p, &list[i], &program, &err), &err);
        assert_int_equal(strstr((const char *)program.source.data, "left %") == NULL, s->flat);
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

static bool takes(const char *text)
{
    pf_problem *p = problem_of(text);
    bool        result = !pf_codegen_group_declines(p);

    pf_problem_free(p);
    return result;
}

static void only_images_with_channels_last_are_taken(void **state)
{
    (void)state;
    assert_false(takes("problem in=linear,linear*,linear* out=linear numerics=0\n"
                       "graph \"\"\n%0 = input f16 [2,64,16,16]\n%1 = input f16 [64]\n%2 = input f16 [64]\n"
                       "%3 = group_norm(%0, %1, %2) groups=8 epsilon=1e-5\noutput %3\n"));
    assert_false(takes("problem in=nhwc out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [2,64,16,16]\n%1 = relu(%0)\n"
                       "output %1\n"));
    assert_false(takes("problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
                       "graph \"\"\n%0 = input f16 [2,c,16,16]\n%1 = input f16 [c]\n%2 = input f16 [c]\n"
                       "%3 = group_norm(%0, %1, %2) groups=1 epsilon=1e-5\noutput %3\n"));
    assert_true(takes(NORM("f16", "768", "7,7", "1")));
    assert_false(takes(NORM("f16", "1000", "7,7", "1")));        /* a row of whole warps has too many threads */
}

/* Whole warps, whole groups, and as many blocks for every part of the channels; clusters where the card has them. */
static void tunings_fit_the_groups(void **state)
{
    pf_group_tuning list[TUNINGS];
    bool            split = false;

    (void)state;
    for (int clusters = 0; clusters <= 1; clusters++) {
        pf_problem *p = problem_of(NORM("f16", "384", "64,64", "32"));
        int         count = pf_codegen_group_tunings(p, SM_COUNT, clusters, list, TUNINGS);

        assert_true(count > 4);
        for (int i = 0; i < count; i++) {
            assert_int_equal(list[i].across * list[i].down % 32, 0);
            assert_int_equal(list[i].across * list[i].vector % 12, 0);
            assert_int_equal(384 % (list[i].across * list[i].vector), 0);
            assert_true(clusters || list[i].split == 1);
            split |= list[i].split > 1;
        }
        pf_problem_free(p);
    }
    assert_true(split);
}

/* A plan's tuning at another shape of its profile keeps its threads; at other channels it is refused. */
static void tunings_serve_other_sizes_and_no_other_channels(void **state)
{
    const pf_group_tuning tuning = { 8, 4, 64, 1 };
    const char           *texts[] = { NORM("f16", "128", "9,7", "32"), NORM("f16", "96", "64,64", "4") };
    pf_err                err = { 0 };

    (void)state;
    for (int i = 0; i < 2; i++) {
        pf_problem *p = problem_of(texts[i]);
        pf_program  program = { 0 };

        assert_int_equal(pf_codegen_group(p, &tuning, &program, &err), i ? PF_UNSUPPORTED : PF_OK);
        pf_program_clear(&program);
        pf_problem_free(p);
    }
}

static void tunings_read_what_is_written(void **state)
{
    const pf_group_tuning tuning = { 8, 6, 80, 4 };
    pf_group_tuning       read = { 0 };
    char                  text[64] = "";

    (void)state;
    snprintf(text, sizeof text, PF_GROUP_TUNING, PF_GROUP_TUNING_ARGUMENTS(tuning));
    assert_true(pf_group_tuning_read(text, &read));
    assert_memory_equal(&read, &tuning, sizeof read);
    assert_false(pf_group_tuning_read("v=8 x=6 y=80", &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_sample_compiles),
                                        cmocka_unit_test(only_images_with_channels_last_are_taken),
                                        cmocka_unit_test(tunings_fit_the_groups),
                                        cmocka_unit_test(tunings_serve_other_sizes_and_no_other_channels),
                                        cmocka_unit_test(tunings_read_what_is_written) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
