/* Bad input: one clear sentence, its exit code, nothing left behind. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/client/program.h"
#include "tests/client/tiny_model.h"

enum { ARGS = 10 };

static const struct bad {
    const char *words[ARGS];
    int         code;
    const char *says[3];        /* all of them are in the sentence */
} rows[] = {
    {{"build", "absent.onnx"}, 66, {"absent.onnx"}},
    {{"build"}, 64, {"MODEL.onnx"}},
    {{"build", "tiny.onnx", "more"}, 64, {"more"}},
    {{"build", ""}, 64, {"operand 1 is empty"}},
    {{"build", "tiny.onnx", "-o", ""}, 64, {"--output is given an empty value", "PLAN"}},
    {{"build", "tiny.onnx", "--cache="}, 64, {"--cache is given an empty value", "DIR"}},
    {{"build", "empty.onnx"}, 65, {"empty.onnx"}},
    {{"build", "noise.onnx"}, 65, {"noise.onnx"}},
    {{"build", "cut.onnx"}, 65, {"cut.onnx"}},
    {{"build", "."}, 65, {"not an ONNX model"}},
    {{"build", "unknown.onnx"}, 71, {"Frobnicate", "Quux"}},
    {{"build", "cycle.onnx"}, 65, {"cycle"}},
    {{"build", "misfit.onnx"}, 65, {"z"}},
    {{"build", "tiny.onnx", "-o", "absent/x.plan"}, 66, {"absent/x.plan"}},
    {{"build", "tiny.onnx", "-o", "."}, 65, {"no file"}},
    {{"build", "tiny.onnx", "--device", "tpu"}, 66, {"tpu"}},
    {{"build", "tiny.onnx", "--fp8"}, 71, {"fp8"}},
    {{"build", "tiny.onnx", "--shapes", "x:-1x3"}, 64, {"x:-1x3"}},
    {{"build", "tiny.onnx", "--min-shapes", "x:0x3x16x16", "--max-shapes", "x:2x3x16x16"}, 64, {"\"x\" 0 as dim 0"}},
    {{"build", "tiny.onnx", "--effort", "9"}, 64, {"effort"}},
    {{"build", "tiny.onnx", "--tactics", "magic"}, 64, {"magic"}},
    {{"build", "tiny.onnx", "--disable-rules", "magic"}, 64, {"magic"}},
    {{"build", "tiny.onnx", "--gpu", "h100"}, 64, {"--farm"}},
    {{"build", "tiny.onnx", "--cache", "noise.onnx"}, 65, {"noise.onnx"}},
    {{"run", "absent.plan"}, 66, {"absent.plan"}},
    {{"run", "tiny.onnx", "--reference", "--input", "z=three.npy"}, 64, {"\"z\"", "x"}},
    {{"run", "tiny.onnx", "--reference", "--input", "absent.npy"}, 66, {"absent.npy"}},
    {{"run", "tiny.onnx", "--reference", "--input", "three.npy"}, 65, {"[?,3,16,16]", "[3]"}},
    {{"run", "tiny.onnx", "--reference", "--input", "noise.onnx"}, 65, {"noise.onnx"}},
    {{"run", "tiny.onnx", "--reference", "--shapes", "x:1x4x16x16"}, 65, {"[?,3,16,16]", "[1,4,16,16]"}},
    {{"run", "tiny.onnx", "--reference", "--shapes", "z:1"}, 64, {"\"z\""}},
    {{"run", "add.onnx", "--reference", "--input", "three.npy"}, 64, {"NAME=FILE"}},
    {{"run", "three.npy"}, 65, {"three.npy"}},
    {{"run", "tiny.onnx", "--reference", "--input", "x="}, 64, {"names no file"}},
    {{"run", "add.onnx", "--reference", "-d", "three.npy"}, 65, {"three.npy", "not a folder"}},
    {{"run", "add.onnx", "--reference", "--save-inputs", "three.npy"}, 65, {"three.npy", "not a folder"}},
    {{"run", "add.onnx", "--reference", "--compare", "absent"}, 66, {"no folder absent"}},
    {{"run", "bad.plan"}, 67, {"bad.plan"}},
    {{"run", "bad.plan", "--reference"}, 64, {"--reference"}},
    {{"bench", "tiny.onnx"}, 65, {"not a plan"}},
    {{"profile", "tiny.onnx"}, 65, {"not a plan"}},
    {{"bench", "bad.plan"}, 67, {"bad.plan"}},
    {{"bench", "bad.plan", "--streams=0"}, 64, {"--streams", "1"}},
    {{"layers", "tiny.onnx"}, 65, {"not a plan"}},
    {{"run", "bad.plan", "--compare-reference"}, 64, {"--model"}},
    {{"inspect", "absent"}, 66, {"absent"}},
    {{"inspect", "."}, 66, {"timing cache"}},
    {{"inspect", "/dev/null"}, 65, {"/dev/null"}},
    {{"compare", "three.npy", "."}, 64, {"files or two folders"}},
    {{"compare", "three.npy"}, 64, {"REFERENCE"}},
    {{"compare", "three.npy", "tiny.onnx"}, 65, {"tiny.onnx"}},
    {{"cache", "stats", "--cache", "absent"}, 66, {"absent"}},
    {{"cache", "import", "noise.onnx", "--cache", "../made"}, 65, {"noise.onnx"}},
    {{"cache", "stats", "tiny.onnx"}, 65, {"tiny.onnx"}},
    {{"cache", "stats", "."}, 64, {"--cache"}},
    {{"cache", "stats", "--farm", "http://127.0.0.1:1"}, 69, {"http://127.0.0.1:1"}},
    {{"cache", "explain", "0123456789", "--cache", "absent"}, 66, {"absent"}},
    {{"completion", "tcsh"}, 71, {"tcsh"}},
    {{"help", "nothing"}, 64, {"nothing"}},
};

static void write_bytes(const char *name, const void *data, size_t bytes)
{
    pf_err err = {0};

    test_ok(pf_file_write(program_path(name), data, bytes, &err), &err);
}

static int set_up(void **state)
{
    static const char plan[64] = "PFPLAN\x1a\n and then nothing that makes a plan";
    static const char three[] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"
                                "                                                            \n"
                                "\0\0\x80\x3f\0\0\0@\0\0@@";
    pf_buf model;
    pf_err err = {0};

    (void)state;
    mkdir(test_path("work"), 0777);
    tiny_model(program_path("tiny.onnx"));
    tiny_model_add(program_path("add.onnx"));
    tiny_model_unknown(program_path("unknown.onnx"));
    tiny_model_cycle(program_path("cycle.onnx"));
    tiny_model_misfit(program_path("misfit.onnx"));
    test_ok(pf_file_read(program_path("tiny.onnx"), SIZE_MAX, &model, &err), &err);
    write_bytes("cut.onnx", model.data, model.size / 2);
    pf_buf_clear(&model);
    write_bytes("empty.onnx", "", 0);
    write_bytes("noise.onnx", "\xff\xfe no protobuf begins like this \xff\xff\xff", 36);
    write_bytes("bad.plan", plan, sizeof plan);
    write_bytes("three.npy", three, sizeof three - 1);
    return 0;
}

static void check_sentence(const struct bad *row, const run *result)
{
    ended_with(result, row->code);
    assert_string_equal(result->out, "");
    if (strncmp(result->err, "planfarm: ", 10) != 0 ||
        strchr(result->err, '\n') != result->err + strlen(result->err) - 1)
        fail_msg("this is not one line: %s", result->err);
    for (int i = 0; i < 3 && row->says[i]; i++)
        if (!strstr(result->err, row->says[i]))
            fail_msg("%s is not in: %s", row->says[i], result->err);
}

static void check_object(const struct bad *row)
{
    const char *words[ARGS + 2] = {NULL};
    int         count = 0;
    run         result = {0};
    json_t     *value = NULL, *error = NULL;

    while (row->words[count]) {
        words[count] = row->words[count];
        count++;
    }
    words[count] = "--json";
    result = program_run(words);
    ended_with(&result, row->code);
    value = program_json(&result);
    error = json_object_get(value, "error");
    assert_int_equal(json_integer_value(json_object_get(error, "exit_code")), row->code);
    assert_non_null(json_string_value(json_object_get(error, "message")));
    json_decref(value);
    program_clear(&result);
}

static void every_mistake_is_one_sentence(void **state)
{
    unsigned files = program_files();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        run result = program_run(rows[i].words);

        check_sentence(&rows[i], &result);
        program_clear(&result);
        check_object(&rows[i]);
        assert_int_equal(program_files(), files);
    }
}

static void a_folder_that_cannot_be_written_is_refused_before_the_build(void **state)
{
    run result = {0};

    (void)state;
    if (!geteuid())
        skip();         /* root may write anywhere */
    mkdir(program_path("closed"), 0555);
    result = RUN("build", "tiny.onnx", "-o", "closed/x.plan");
    ended_with(&result, 77);
    program_clear(&result);
    rmdir(program_path("closed"));
}

/* Names in files must not be able to steer the terminal. */
static void control_characters_are_not_printed(void **state)
{
    run result = RUN("build", "\033[31mred\n.onnx");

    (void)state;
    ended_with(&result, 66);
    assert_null(strchr(result.err, '\033'));
    assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
    program_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_one_sentence),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_refused_before_the_build),
        cmocka_unit_test(control_characters_are_not_printed),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
