/* What is in the code of loops: how often elements are read, how wide, and how their places are divided. */
#include "tests/unit/cuda/programs.h"

#include <string.h>

#include "base/random.h"
#include "engine/cuda/codegen.h"
#include "engine/cuda/codegen_loop.h"

/* By threads of eight neighbours; cleared by the caller. */
static pf_program loop_of(const char *text)
{
    pf_problem *p = problem_of(text);
    pf_program  program = {0};
    pf_err      err = {0};

    test_ok(pf_codegen_loop(p, 8, 128, 0, &program, &err), &err);
    pf_problem_free(p);
    return program;
}

/* What is picked by a table or an index is the same row for all lanes of a thread: one wide load, where rows of a whole
   number of vectors are; else each lane loads alone. */
static void picked_rows_are_loaded_whole(void **state)
{
    static const struct { const char *text; bool wide; } cases[] = {
        { "problem in=nhwc out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [1,16,10,10]\n"
          "%1 = resize(%0) mode=linear coordinates=half_pixel sizes=[1,16,25,40] cubic_a=-0.75\noutput %1\n", true },
        { "problem in=linear out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [1,100,16]\n"
          "%1 = reshape(%0) shape=[1,10,10,16]\n%2 = transpose(%1) perm=[0,3,1,2]\n"
          "%3 = resize(%2) mode=linear coordinates=half_pixel sizes=[1,16,25,40] cubic_a=-0.75\noutput %3\n", true },
        { "problem in=linear out=linear numerics=0\ngraph \"\"\n%0 = input f16 [1,16,10,10]\n"
          "%1 = resize(%0) mode=linear coordinates=half_pixel sizes=[1,16,25,40] cubic_a=-0.75\noutput %1\n", false },
        { "problem in=linear,linear out=linear numerics=0\ngraph \"\"\n%0 = input f16 [1000,64]\n"
          "%1 = input i64 [2,16]\n%2 = gather(%0, %1)\noutput %2\n", true },
        { "problem in=linear,linear out=linear numerics=0\ngraph \"\"\n%0 = input f16 [64,1000]\n"
          "%1 = input i64 [16]\n%2 = gather(%0, %1) axis=1\noutput %2\n", false },
        /* rows of 16 behind each other in one of 36, which is not a whole number of vectors */
        { "problem in=linear,linear out=linear numerics=0\ngraph \"\"\n%0 = input f16 [1000,36]\n"
          "%1 = input i64 [2,16]\n%2 = gather(%0, %1)\n%3 = slice(%2) axes=[2] starts=[0] ends=[16] steps=[1]\n"
          "output %3\n", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_program program = loop_of(cases[i].text);

        assert_int_equal(strstr((const char *)program.source.data, "*(const wide<f16, V> *)(in0") != NULL,
                         cases[i].wide);
        pf_program_clear(&program);
    }
}

static int count_of(const char *text, const char *word)
{
    int count = 0;

    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) count++;
    return count;
}

/* Elements that are only copied and joined are read once, where they lie: no table of weights of an image that is made
   larger by whole factors, one tap of one that is made larger otherwise, one place for all parts of a concat. */
static void copies_are_read_once(void **state)
{
    static const struct { const char *text; int reads, tables; } cases[] = {
        { "problem in=nhwc,nhwc out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [1,16,10,10]\n"
          "%1 = input f16 [1,8,20,20]\n"
          "%2 = resize(%0) coordinates=asymmetric nearest=floor scales=[1,1,2,2] cubic_a=-0.75\n"
          "%3 = concat(%2, %1) axis=1\noutput %3\n", 1, 0 },
        { "problem in=nhwc out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [1,16,10,10]\n"
          "%1 = resize(%0) coordinates=half_pixel nearest=round_prefer_floor sizes=[1,16,25,10] cubic_a=-0.75\n"
          "output %1\n", 1, 1 },
        { "problem in=nhwc out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [1,16,10,10]\n"
          "%1 = resize(%0) coordinates=asymmetric nearest=floor scales=[1,1,0.5,1] cubic_a=-0.75\noutput %1\n", 1, 1 },
        /* a part that is computed: both are, and one is taken */
        { "problem in=nhwc,nhwc out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [1,16,10,10]\n"
          "%1 = input f16 [1,8,10,10]\n%2 = relu(%0)\n%3 = concat(%2, %1) axis=1\noutput %3\n", 2, 0 },
        /* parts that end within a vector */
        { "problem in=nhwc,nhwc out=nhwc numerics=0\ngraph \"\"\n%0 = input f16 [1,12,10,10]\n"
          "%1 = input f16 [1,12,10,10]\n%2 = concat(%0, %1) axis=1\noutput %2\n", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_program program = loop_of(cases[i].text);

        assert_int_equal(count_of((const char *)program.source.data, "w = *(const wide<f16, V> *)("), cases[i].reads);
        assert_int_equal(count_of((const char *)program.source.data, "static const float weight"), cases[i].tables);
        pf_program_clear(&program);
    }
}

static int64_t bound(const cg_context *cg, const cg_index *index, bool highest)
{
    int64_t value = index->constant;

    for (int v = 0; v < cg->var_count; v++)
        if ((index->coef[v] < 0) != highest) value += index->coef[v] * (cg->var_extent[v] - 1);
    return value;
}

/* What is divided, index - divisor * (the quotient's part that is none), must never be below zero: C divides towards
   zero. */
static void indices_that_fall_are_split_above_zero(void **state)
{
    static const int64_t extents[] = { 12, 5, 7 }, divisors[] = { 2, 9, 10, 27 };
    pf_random            random;
    pf_buf               body;

    (void)state;
    pf_random_init(&random, 7);
    for (int round = 0; round < 200; round++) {
        cg_context cg = { .body = &body, .vector = 4, .lane_var = 2, .var_count = 3 };
        cg_index   index = {0}, quotient = {0}, remainder = {0};
        int64_t    divisor = divisors[round % 4], low = 0, high = 0;

        pf_buf_init(&body, 4096);
        for (int v = 0; v < 3; v++) {
            cg.var_extent[v] = extents[v];
            index.coef[v] = (int64_t)(pf_random_u64(&random) % 41) - 20;
        }
        /* no less than zero as a whole */
        index.constant = -bound(&cg, &index, false) + (int64_t)(pf_random_u64(&random) % 30);
        cg_index_split(&cg, index, divisor, &quotient, &remainder);
        index.constant -= divisor * quotient.constant;
        for (int v = 0; v < 3; v++) index.coef[v] -= divisor * quotient.coef[v];
        low = bound(&cg, &index, false);
        high = bound(&cg, &index, true);
        assert_true(low >= 0);
        if (!quotient.opaque) {                 /* nothing is divided: it is the remainder */
            assert_true(high < divisor);
            assert_int_equal(remainder.constant, index.constant);
            assert_memory_equal(remainder.coef, index.coef, sizeof index.coef);
        }
        pf_buf_clear(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picked_rows_are_loaded_whole), cmocka_unit_test(copies_are_read_once),
        cmocka_unit_test(indices_that_fall_are_split_above_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
