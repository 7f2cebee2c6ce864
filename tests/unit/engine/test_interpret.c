#include <string.h>

#include "base/alloc.h"
#include "engine/ops/attrs.h"
#include "tests/unit/engine/graphs.h"
#include "tests/unit/engine/tensors.h"

static pf_tensor floats(int32_t rank, const int64_t *dim, const float *data)
{
    pf_tensor tensor = { .dtype = PF_F32, .rank = rank, .data = (void *)(uintptr_t)data };
    pf_err    err = { 0 };

    memcpy(tensor.dim, dim, (size_t)rank * sizeof *dim);
    test_ok(pf_tensor_measure(&tensor, &err), &err);
    return tensor;
}

/* y = relu(x w) + x, computed here by hand. */
static void test_values(void **state)
{
    static const float x[6] = { 1, -2, 3, 0.5f, 4, -1 };
    static const int64_t dim[2] = { 3, 2 };
    pf_graph *graph = graph_of("graph\n%x = input f32 [n,2]\n%w = constant f32 [2,2] {1,2,3,-4}\n%a = matmul(%x, %w)\n"
                               "%b = relu(%a)\n"
                               "%c = add(%b, %x)\noutput %c\noutput %x\noutput %c\noutput %w\n");
    pf_tensor in = floats(2, dim, x), out[4];
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_interpret(graph, &in, out, NULL, NULL, &err), &err);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++) {
            static const float w[4] = { 1, 2, 3, -4 };
            float product = x[2 * i] * w[j] + x[2 * i + 1] * w[2 + j],
                  want = (product > 0 ? product : 0) + x[2 * i + j];

            assert_true(((float *)out[0].data)[2 * i + j] == want);
            assert_true(((float *)out[2].data)[2 * i + j] == want);
        }
    assert_memory_equal(out[1].data, x, sizeof x);
    assert_true(out[1].data != in.data && out[0].data != out[2].data);
    assert_int_equal(out[0].dim[0], 3);
    for (int i = 0; i < 4; i++)
        pf_tensor_clear(&out[i]);
    pf_graph_free(graph);
}

static void test_symbols_from_inputs(void **state)
{
    pf_graph *graph = graph_of("graph\n%a = input f32 [batch*seq]\n%b = input f32 [batch,2*seq]\n"
                               "%y = reshape(%a) shape=[seq,batch]\n"
                               "%z = slice(%b) axes=[1] starts=[seq] ends=[2*seq] steps=[1]\noutput %y\noutput %z\n");
    int64_t   dim_a[1] = { 6 }, dim_b[2] = { 2, 6 };
    pf_tensor in[2] = { random_tensor(PF_F32, 1, dim_a, 1), random_tensor(PF_F32, 2, dim_b, 2) }, out[2];
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_interpret(graph, in, out, NULL, NULL, &err), &err);  /* batch*seq is solved only after batch and seq */
    assert_int_equal(out[0].dim[0], 3);
    assert_int_equal(out[0].dim[1], 2);
    assert_int_equal(out[1].dim[1], 3);
    assert_memory_equal((float *)out[1].data, (float *)in[1].data + 3, 3 * sizeof(float));
    pf_tensor_clear(&out[0]);
    pf_tensor_clear(&out[1]);
    pf_tensor_clear(&in[0]);
    in[0] = random_tensor(PF_F32, 1, (int64_t[]){ 7 }, 1);
    assert_int_equal(pf_interpret(graph, in, out, NULL, NULL, &err), PF_INVALID);
    assert_non_null(strstr(err.msg, "input \"a\": dim 0: it is 7 where 6 is needed"));
    pf_tensor_clear(&in[0]);
    pf_tensor_clear(&in[1]);
    pf_graph_free(graph);
}

static void test_refuses_inputs(void **state)
{
    static const struct { pf_dtype dtype; int32_t rank; int64_t dim[3]; const char *says; } rows[] = {
        { PF_F16, 2, { 2, 4 }, "its type is f16 where f32 is needed" },
        { PF_F32, 3, { 2, 4, 1 }, "its rank is 3 where 2 is needed" },
        { PF_F32, 2, { 2, 5 }, "dim 1: it is 5 where 4 is needed" },
        { PF_F32, 2, { 0, 4 }, "dim 0" },
    };
    pf_graph *graph = graph_of("graph\n%x = input f32 [n,4]\n%y = relu(%x)\noutput %y\n");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pf_tensor in = random_tensor(rows[i].dtype, rows[i].rank, rows[i].dim, 1), out;
        pf_err    err = { 0 };

        assert_int_equal(pf_interpret(graph, &in, &out, NULL, NULL, &err), PF_INVALID);
        if (!strstr(err.msg, rows[i].says) || !strstr(err.msg, "input \"x\""))
            fail_msg("should say \"%s\", but says: %s", rows[i].says, err.msg);
        pf_tensor_clear(&in);
    }
    pf_graph_free(graph);
}

/* A shape that only the data says, and an op behind it that needs its dims. */
static void test_data_dependent_shapes(void **state)
{
    static const int64_t target[2] = { 3, 4 };
    pf_graph *graph = graph_of("graph\n%x = input f32 [n]\n%s = input i64 [2]\n%y = reshape_dynamic(%x, %s)\n"
                               "%z = transpose(%y) perm=[1,0]\noutput %z\n");
    pf_tensor in[2] = { random_tensor(PF_F32, 1, (int64_t[]){ 12 }, 1),
                        { .dtype = PF_I64, .rank = 1, .dim = { 2 }, .bytes = 16 } },
              out;
    pf_err    err = { 0 };

    (void)state;
    in[1].data = (void *)(uintptr_t)target;
    test_ok(pf_interpret(graph, in, &out, NULL, NULL, &err), &err);
    assert_int_equal(out.dim[0], 4);
    assert_int_equal(out.dim[1], 3);
    assert_true(((float *)out.data)[1] == ((float *)in[0].data)[4]);
    pf_tensor_clear(&out);
    pf_tensor_clear(&in[0]);
    pf_graph_free(graph);
}

typedef struct seen { uint32_t count; pf_value_id value[16]; double first[16]; } seen;

static void watch(void *user, pf_value_id value, pf_tensor *tensor)
{
    seen *s = user;

    s->value[s->count] = value;
    s->first[s->count++] = pf_dtype_get(tensor->dtype, tensor->data, 0);
}

static void test_watch(void **state)
{
    static const float one[1] = { -3 };
    pf_graph *graph = graph_of("graph\n%x = input f32 [1]\n%a = neg(%x)\n%unused = exp(%x)\n%b = add(%a, %a)\n"
                               "output %b\n");
    pf_tensor in = floats(1, (int64_t[]){ 1 }, one), out;
    seen      s = { 0 };
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_interpret(graph, &in, &out, watch, &s, &err), &err);
    assert_int_equal(s.count, 4);
    assert_true(s.first[0] == -3 && s.first[1] == 3 && s.first[3] == 6);
    assert_int_equal(s.value[3], graph->outputs[0]);
    pf_tensor_clear(&out);
    pf_graph_free(graph);
}

/* A body sees the symbols of the graph around it. */
static void test_body(void **state)
{
    pf_graph   *graph = graph_of("graph\n%x = input f32 [2*n]\noutput %x\n");
    pf_graph   *body = pf_graph_new("body", graph);
    pf_value_id captured = 0, y = 0;
    int64_t     bindings[PF_MAX_SYMBOLS];
    pf_tensor   in = random_tensor(PF_F32, 1, (int64_t[]){ 8 }, 3), out;
    pf_reshape_attrs attrs = { .shape = { 2, { pf_dims_symbol(graph->dims, "n"), 2 } } };
    pf_err      err = { 0 };

    (void)state;
    for (int i = 0; i < PF_MAX_SYMBOLS; i++)
        bindings[i] = PF_UNBOUND;
    bindings[pf_dims_symbol_index(graph->dims, "n")] = 4;
    test_ok(pf_graph_capture(body, graph->inputs[0], &captured, &err), &err);
    test_ok(pf_graph_add_node(body, PF_OP_RESHAPE, "", &captured, 1, &attrs, 1, &y, &err), &err);
    test_ok(pf_graph_add_output(body, y, "y", &err), &err);
    test_ok(pf_interpret_body(body, &in, &out, bindings, &err), &err);
    assert_int_equal(out.dim[0], 4);
    pf_tensor_clear(&out);
    bindings[pf_dims_symbol_index(graph->dims, "n")] = 5;
    test_fails(pf_interpret_body(body, &in, &out, bindings, &err), PF_INVALID, &err);
    pf_tensor_clear(&in);
    pf_graph_free(graph);
}

/* y = 2 (x + s) three times, s captured from outside. */
static void test_loop(void **state)
{
    static const float   x[2] = { 1, -2 }, s[1] = { 0.5f };
    static const int64_t three = 3;
    pf_graph *graph = graph_of("graph\n%x = input f32 [n]\n%s = input f32 [1]\n%m = input i64 []\n"
                               "%y = loop(%m, _, %x, %s) body={\n  graph\n"
                               "  %i = input i64 []\n  %c = input bool []\n  %v = input f32 [n]\n"
                               "  %s = capture f32 [1]\n  %t = constant f32 [] {2}\n"
                               "  %a = add(%v, %s)\n  %b = mul(%a, %t)\n  output %c\n  output %b\n} carried=1\n"
                               "output %y\n");
    pf_tensor in[3] = { floats(1, (int64_t[]){ 2 }, x),
                        floats(1, (int64_t[]){ 1 }, s),
                        { .dtype = PF_I64, .bytes = 8 } },
              out;
    pf_err    err = { 0 };

    (void)state;
    in[2].data = (void *)(uintptr_t)&three;
    test_ok(pf_interpret(graph, in, &out, NULL, NULL, &err), &err);
    for (int i = 0; i < 2; i++)
        assert_true(((float *)out.data)[i] == 8 * x[i] + 7);
    pf_tensor_clear(&out);
    pf_graph_free(graph);
}

static void test_node(void **state)
{
    static const float   two[2] = { 1, 2 };
    pf_graph *graph = graph_of("graph\n%x = input f32 [2]\n%y = mul(%x, %x)\noutput %y\n");
    pf_tensor in[2] = { floats(1, (int64_t[]){ 2 }, two), floats(1, (int64_t[]){ 2 }, two) }, out = { 0 };
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_interpret_node(graph, 0, in, &out, NULL, &err), &err);
    assert_true(((float *)out.data)[0] == 1 && ((float *)out.data)[1] == 4);
    pf_tensor_clear(&out);
    pf_graph_free(graph);
}

/* What few and many greatest elements of long lines, which threads share, are: equal ones in the order they came. */
static void test_long_lines(void **state)
{
    enum { LINES = 70, SIZE = 1000, FEW = 5, MANY = 300 };
    pf_graph *graph = graph_of("graph\n%x = input f32 [70,1000]\n%i = input i64 [70,1000]\n"
                               "%1:2 = topk(%x) k=[5] axis=1\n"
                               "%3:2 = topk(%x) k=[300] axis=1\n%y = gather_elements(%x, %4) axis=1\n"
                               "%z = gather_elements(%x, %i) axis=1\n"
                               "output %1\noutput %2\noutput %3\noutput %4\noutput %y\noutput %z\n");
    float    *x = pf_alloc(LINES * SIZE * sizeof *x);
    int64_t  *back = pf_alloc(LINES * SIZE * sizeof *back);
    pf_tensor in[2] = { floats(2, (int64_t[]){ LINES, SIZE }, x),
                        { .dtype = PF_I64, .rank = 2, .dim = { LINES, SIZE } } }, out[6];
    pf_err    err = { 0 };

    (void)state;
    for (int i = 0; i < LINES * SIZE; i++) {
        x[i] = (float)(i * 7919 % 251);
        back[i] = -1 - i % SIZE;
    }
    test_ok(pf_tensor_measure(&in[1], &err), &err);
    in[1].data = back;
    test_ok(pf_interpret(graph, in, out, NULL, NULL, &err), &err);
    for (int line = 0; line < LINES; line++) {
        const float   *many = (const float *)out[2].data + line * MANY;
        const int64_t *index = (const int64_t *)out[3].data + line * MANY;

        assert_memory_equal((float *)out[0].data + line * FEW, many, FEW * sizeof *many);
        assert_memory_equal((int64_t *)out[1].data + line * FEW, index, FEW * sizeof *index);
        for (int k = 1; k < MANY; k++)
            assert_true(many[k - 1] > many[k] || (many[k - 1] == many[k] && index[k - 1] < index[k]));
        assert_memory_equal((float *)out[4].data + line * MANY, many, MANY * sizeof *many);
        for (int i = 0; i < SIZE; i++)
            assert_true(((float *)out[5].data)[line * SIZE + i] == x[line * SIZE + SIZE - 1 - i]);
    }
    for (int i = 0; i < 6; i++)
        pf_tensor_clear(&out[i]);
    back[SIZE * 40] = SIZE;
    test_fails(pf_interpret(graph, in, out, NULL, NULL, &err), PF_INVALID, &err);
    pf_free(x);
    pf_free(back);
    pf_graph_free(graph);
}

static void test_out_of_memory(void **state)
{
    pf_graph *graph = graph_of("graph\n%x = input f32 [n,2]\n%w = constant f32 [2,2] {1,2,3,-4}\n%a = matmul(%x, %w)\n"
                               "%b = relu(%a)\n"
                               "%c = add(%b, %x)\noutput %c\noutput %b\noutput %x\n");
    pf_tensor in = random_tensor(PF_F32, 2, (int64_t[]){ 3, 2 }, 1), out[3];

    (void)state;
    for (uint64_t n = 0;; n++) {
        pf_err    err = { 0 };
        pf_status st = PF_OK;

        pf_alloc_fail_after(n);
        st = pf_interpret(graph, &in, out, NULL, NULL, &err);
        pf_alloc_fail_after(UINT64_MAX);
        for (int i = 0; i < 3; i++)
            pf_tensor_clear(&out[i]);
        if (!st)
            break;
        assert_int_equal(st, PF_NO_SPACE);
        assert_true(n < 1000);
    }
    pf_tensor_clear(&in);
    pf_graph_free(graph);
}

static void test_compare(void **state)
{
    static const float a[4] = { 0, 1, 2, 4 }, b[4] = { 0, 1, 2.5f, 4 };
    pf_tensor     x = floats(1, (int64_t[]){ 4 }, a), y = floats(1, (int64_t[]){ 4 }, b),
                  z = floats(2, (int64_t[]){ 2, 2 }, a);
    pf_difference d;
    pf_err        err = { 0 };

    (void)state;
    test_ok(pf_tensor_compare(&y, &x, &d, &err), &err);
    assert_true(d.max_abs == 0.5 && d.max_rel_range == 0.125 && d.worst_index == 2 && d.cosine > 0.99 && d.cosine < 1);
    test_ok(pf_tensor_compare(&x, &x, &d, &err), &err);
    assert_true(d.max_abs == 0 && d.max_rel_range == 0 && d.cosine == 1);
    test_fails(pf_tensor_compare(&z, &x, &d, &err), PF_MISMATCH, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_symbols_from_inputs),
        cmocka_unit_test(test_refuses_inputs),
        cmocka_unit_test(test_data_dependent_shapes), cmocka_unit_test(test_watch), cmocka_unit_test(test_body),
        cmocka_unit_test(test_node), cmocka_unit_test(test_loop), cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_compare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
