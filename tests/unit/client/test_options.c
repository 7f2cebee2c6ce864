#include "client/options.h"

#include <string.h>

#include "base/nearest.h"
#include "tests/test.h"

static const pf_option options[] = {
    {.name = "output", .letter = 'o', .kind = PF_OPTION_TEXT, .value = "FILE"},
    {.name = "fp16", .kind = PF_OPTION_FLAG},
    {.name = "min_shapes", .kind = PF_OPTION_TEXT, .value = "SHAPES"},
    {.name = "iterations", .kind = PF_OPTION_INT, .value = "N", .fallback = "10", .least = 1, .greatest = 100},
    {.name = "tolerance", .kind = PF_OPTION_REAL, .value = "X", .fallback = "1e-4"},
    {.name = "input", .letter = 'i', .kind = PF_OPTION_TEXT, .value = "NAME=FILE"},
    {.name = NULL},
};

enum { WORDS = 16 };

static pf_args *parse_ok(const char *const *words)
{
    static char *argv[WORDS];
    int          argc = 0;
    pf_args     *args = NULL;
    pf_err       err = {0};

    while (words[argc]) {
        argv[argc] = (char *)words[argc];
        argc++;
    }
    argv[argc] = NULL;
    test_ok(pf_args_parse(options, argc, argv, &args, &err), &err);
    return args;
}

/* Fails with USAGE and says what is expected. */
static void refused(const char *first, const char *second, const char *expected)
{
    char    *argv[] = {(char *)"verb", (char *)first, (char *)second, NULL};
    pf_args *args = NULL;
    pf_err   err = {0};

    assert_int_equal(pf_args_parse(options, second ? 3 : 2, argv, &args, &err), PF_USAGE);
    assert_null(args);
    assert_string_equal(err.msg, expected);
}

static void bounds_are_taken_too(void **state)
{
    static const char *const numbers[] = {"1", "100"};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        pf_args *args = parse_ok((const char *const[]){"verb", "--iterations", numbers[i], NULL});

        assert_string_equal(pf_args_text(args, "iterations"), numbers[i]);
        pf_args_free(args);
    }
    refused("--iterations", "0", "--iterations takes a number from 1 to 100, not 0");
    refused("--iterations", "101", "--iterations takes a number from 1 to 100, not 101");
}

static void all_forms_are_taken(void **state)
{
    const char *const words[] = {"verb", "model", "--output", "a", "--min-shapes=x:1x2", "--fp16", "-i", "a=1", "-ib=2",
                                 "--iterations=7", "--", "--fp16", NULL};
    pf_args *args = parse_ok(words);

    (void)state;
    assert_string_equal(pf_args_text(args, "output"), "a");
    assert_string_equal(pf_args_text(args, "min_shapes"), "x:1x2");
    assert_true(pf_args_flag(args, "fp16"));
    assert_int_equal(pf_args_int(args, "iterations"), 7);
    assert_int_equal(pf_args_count(args, "input"), 2);
    assert_string_equal(pf_args_nth(args, "input", 0), "a=1");
    assert_string_equal(pf_args_nth(args, "input", 1), "b=2");
    assert_null(pf_args_nth(args, "input", 2));
    assert_int_equal(pf_args_operand_count(args), 2);
    assert_string_equal(pf_args_operand(args, 0), "model");
    assert_string_equal(pf_args_operand(args, 1), "--fp16");
    pf_args_free(args);
}

static void what_is_not_given_has_its_fallback(void **state)
{
    const char *const words[] = {"verb", NULL};
    pf_args *args = parse_ok(words);

    (void)state;
    assert_null(pf_args_text(args, "output"));
    assert_false(pf_args_given(args, "iterations"));
    assert_int_equal(pf_args_int(args, "iterations"), 10);
    assert_true(pf_args_real(args, "tolerance") == 1e-4);
    assert_false(pf_args_flag(args, "json"));
    pf_args_free(args);
}

static void the_last_one_counts(void **state)
{
    const char *const words[] = {"verb", "--iterations", "3", "--iterations", "4", "-v", NULL};
    pf_args *args = parse_ok(words);

    (void)state;
    assert_int_equal(pf_args_int(args, "iterations"), 4);
    assert_true(pf_args_flag(args, "verbose"));
    pf_args_free(args);
}

static void mistakes_are_explained(void **state)
{
    (void)state;
    refused("--fp61", NULL, "there is no option --fp61; did you mean --fp16?");
    refused("--min_shape", "x", "there is no option --min_shape; did you mean --min-shapes?");
    refused("--quantum", NULL, "there is no option --quantum; --help lists those there are");
    refused("-x", NULL, "there is no option -x; --help lists those there are");
    refused("--output", NULL, "--output needs a value: FILE");
    refused("-o", NULL, "--output needs a value: FILE");
    refused("--output", "--json", "--output needs a value: FILE");
    refused("-o", "--fp16", "--output needs a value: FILE");
    refused("--fp16=1", NULL, "--fp16 takes no value");
    refused("--i", "1", "--i is the beginning of several options; write it out");
    refused("--iterations", "many", "--iterations takes a whole number, not \"many\"");
    refused("--iterations", "0", "--iterations takes a number from 1 to 100, not 0");
    refused("--iterations", "99999999999999999999", "--iterations takes a whole number, not \"99999999999999999999\"");
    refused("--tolerance", "nan", "--tolerance takes a number, not \"nan\"");
    refused("--tolerance", "0x", "--tolerance takes a number, not \"0x\"");
}

static void other_tools_spellings_are_taken(void **state)
{
    const char *const words[] = {"verb", "--onnx=model", "--minShapes=x:1x2", "--saveEngine", "a.plan", "--FP16",
                                 "--loadEngine", "b.plan", "--", "--minShapes", NULL};
    pf_args *args = parse_ok(words);

    (void)state;
    assert_string_equal(pf_args_text(args, "min_shapes"), "x:1x2");
    assert_string_equal(pf_args_text(args, "output"), "a.plan");
    assert_true(pf_args_flag(args, "fp16"));
    assert_int_equal(pf_args_operand_count(args), 3);
    assert_string_equal(pf_args_operand(args, 0), "model");
    assert_string_equal(pf_args_operand(args, 1), "b.plan");
    assert_string_equal(pf_args_operand(args, 2), "--minShapes");
    pf_args_free(args);
    refused("--useCudaGraph", NULL,
            "there is no option --useCudaGraph; runs are captured in CUDA graphs anyway, so leave it out");
    refused("--errorOnTimingCacheMiss", NULL,
            "there is no option --errorOnTimingCacheMiss; it is called --replay, which this verb does not have");
    refused("--dumpLayerInfo", NULL,
            "there is no option --dumpLayerInfo; it is called --layers, which this verb does not have");
    refused("--minShapes", NULL, "--min-shapes needs a value: SHAPES");
}

static void operands_are_counted(void **state)
{
    const char *const words[] = {"verb", "a", "b", NULL};
    pf_args *args = parse_ok(words);
    pf_err   err = {0};

    (void)state;
    test_ok(pf_args_expect(args, 1, 2, "A", &err), &err);
    test_fails(pf_args_expect(args, 3, 3, "C", &err), PF_USAGE, &err);
    test_fails(pf_args_expect(args, 0, 1, "A", &err), PF_USAGE, &err);
    pf_args_free(args);
}

static void distances_are_edits(void **state)
{
    (void)state;
    assert_int_equal(pf_edit_distance("", ""), 0);
    assert_int_equal(pf_edit_distance("build", "build"), 0);
    assert_int_equal(pf_edit_distance("biuld", "build"), 1);
    assert_int_equal(pf_edit_distance("buildd", "build"), 1);
    assert_int_equal(pf_edit_distance("", "build"), 5);
    assert_int_equal(pf_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(pf_edit_distance("a_b", "a-b"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_taken_too),
        cmocka_unit_test(all_forms_are_taken),
        cmocka_unit_test(what_is_not_given_has_its_fallback),
        cmocka_unit_test(the_last_one_counts),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(other_tools_spellings_are_taken),
        cmocka_unit_test(operands_are_counted),
        cmocka_unit_test(distances_are_edits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
