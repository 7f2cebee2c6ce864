/* Networks that are read with the sizes and values that a build spec fixes, where open ones will not do. */
#include "base/file.h"
#include "engine/freeze.h"
#include "engine/onnx_fixed.h"
#include "tests/unit/engine/networks.h"
#include "tests/unit/engine/onnx_models.h"

#define SQUEEZE "graph then_branch\nconst a i64 1 0\nnode Squeeze x a -> q\noutput q\nend\n" \
                "graph else_branch\nnode Identity x -> r\noutput r\nend\n"

/* Squeezed where there is one row. */
static const char rows[] = "opset 13\ninput x f32 n,2\nconst i i64 . 0\nconst one i64 . 1\nnode Shape x -> s\n"
                           "node Gather s i -> n\nnode Equal n one -> c\nnode If c -> y\n" SQUEEZE "output y\n";

/* What else hangs on it asks for the number of dims: an expression says it here, and what an input holds below. */
static const char half[] = "opset 13\ninput x f32 n,2\nconst i i64 . 0\nconst two i64 . 2\n"
                           "node Concat x x -> t axis=i:0\nnode Shape t -> s\nnode Gather s i -> n\n"
                           "node Equal n two -> c\nnode If c -> z\n" SQUEEZE "node Shape z -> y\noutput y\n";
static const char rate[] = "opset 13\ninput x f32 1,2\ninput sr i64 .\nconst fast i64 . 16000\n"
                           "node Equal sr fast -> c\nnode If c -> z\n" SQUEEZE "node Shape z -> y\noutput y\n";

/* A past that may be empty. */
static const char past[] = "opset 13\ninput x f32 b,1,4\ninput p f32 b,past,4\nnode Concat p x -> y axis=i:1\n"
                           "output y\n";

/* A size that is computed in floats. */
static const char root[] = "opset 13\ninput x f32 h,2\nconst i i64 1 0\nnode Shape x -> s\nnode Gather s i -> n\n"
                           "node Cast n -> f to=i:1\nnode Sqrt f -> r\nnode Cast r -> k to=i:7\n"
                           "node ConstantOfShape k -> y\noutput y\n";

static pf_status import(const char *text, const char *spec, pf_graph **out, pf_err *err)
{
    const char *path = test_path("model.onnx");
    pf_config  *config = spec ? config_of(spec) : NULL;
    pf_buf      bytes;
    pf_status   st = PF_OK;

    model_bytes(model_of(text), &bytes);
    test_ok(pf_file_put(path, bytes.data, bytes.size, err), err);
    pf_buf_clear(&bytes);
    st = pf_onnx_import_fixed(path, config, out, err);
    pf_config_free(config);
    return st;
}

static void expect_shape(const pf_graph *graph, pf_value_id value, const char *want)
{
    pf_buf text;

    pf_buf_init(&text, 4096);
    pf_shape_print(graph->dims, &pf_graph_value(graph, value)->shape, &text);
    assert_string_equal((const char *)text.data, want);
    pf_buf_clear(&text);
}

static void sizes_stay_open_where_they_may(void **state)
{
    static const struct { const char *text, *spec, *input, *output; } cases[] = {
        { rows, NULL, "[n,2]", "[n,2]" },
        { rows, "shapes=x:3x2\n", "[n,2]", "[n,2]" },
        { rows, "shapes=x:1x2\n", "[1,2]", "[2]" },
        { rows, "min_shapes=x:1x2\nmax_shapes=x:1x2\n", "[1,2]", "[2]" },
        { rows, "min_shapes=x:1x2\nmax_shapes=x:2x2\n", "[n,2]", "[n,2]" },
        { root, "shapes=x:9x2\n", "[9,2]", "[3]" },
        { root, "min_shapes=x:4x2\nmax_shapes=x:9x2\n", "[h,2]", "[expanded]" },
        { half, "shapes=x:1x2\n", "[1,2]", "[1]" },
        { half, "shapes=x:2x2\n", "[2,2]", "[2]" },
        { rate, "freeze_inputs=sr:16000\n", "[1,2]", "[1]" },
        { rate, "freeze_inputs=sr:8000\n", "[1,2]", "[2]" },
        { past, "shapes=p:2x3x4\n", "[b,1,4]", "[b,past + 1,4]" },
        { past, "shapes=p:2x0x4\n", "[2,1,4]", "[2,1,4]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_graph *graph = NULL;
        pf_err    err = { 0 };

        test_ok(import(cases[i].text, cases[i].spec, &graph, &err), &err);
        test_ok(pf_graph_verify(graph, &err), &err);
        expect_shape(graph, graph->inputs[0], cases[i].input);
        expect_shape(graph, graph->outputs[0], cases[i].output);
        pf_graph_free(graph);
    }
}

static void what_nothing_settles_is_refused(void **state)
{
    static const struct { const char *text, *spec; pf_status status; } cases[] = {
        { half, NULL, PF_UNSUPPORTED },
        { half, "min_shapes=x:1x2\nmax_shapes=x:2x2\n", PF_UNSUPPORTED },
        { half, "shapes=y:1x2\n", PF_INVALID },
        { rate, "shapes=x:1x2\n", PF_UNSUPPORTED },
        { rate, "freeze_inputs=sr:0.5\n", PF_UNSUPPORTED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_graph *graph = NULL;
        pf_err    err = { 0 };

        test_fails(import(cases[i].text, cases[i].spec, &graph, &err), cases[i].status, &err);
        assert_null(graph);
    }
}

/* It stays an input, until it is frozen. */
static void a_value_that_is_given_is_an_input_still(void **state)
{
    pf_config *config = config_of("freeze_inputs=sr:16000\n");
    pf_graph  *graph = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(import(rate, "freeze_inputs=sr:16000\n", &graph, &err), &err);
    assert_int_equal(graph->input_count, 2);
    test_ok(pf_freeze_inputs(config, graph, &err), &err);
    assert_int_equal(graph->input_count, 1);
    pf_graph_free(graph);
    pf_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_stay_open_where_they_may),
        cmocka_unit_test(what_nothing_settles_is_refused),
        cmocka_unit_test(a_value_that_is_given_is_an_input_still),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
