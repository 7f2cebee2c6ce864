#include "tests/unit/engine/rules/outputs.h"

#include <math.h>
/* Largest difference over the largest value: constants were rounded to f32 once more, or once less, and so were values
   in between.  And the least that counts: what cancels out is not exactly 0. */
static const double tolerance = 1e-5, least = 1e-9;

void clear_outputs(outputs *out)
{
    for (uint32_t i = 0; i < out->count; i++)
        pf_tensor_clear(&out->at[i]);
}

pf_status try_graph(const pf_graph *graph, uint64_t seed, outputs *out, pf_err *why)
{
    pf_tensor in[IO_LIMIT];
    int64_t   bindings[PF_MAX_SYMBOLS];
    pf_err    err = { 0 };
    pf_status st = PF_OK;

    assert_true(graph->input_count <= IO_LIMIT && graph->output_count <= IO_LIMIT);
    for (uint32_t i = 0; i < PF_MAX_SYMBOLS; i++)
        bindings[i] = 2 + i;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const pf_value *value = &graph->values[graph->inputs[i]];

        in[i] = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank };
        for (int32_t d = 0; d < value->shape.rank; d++)
            test_ok(pf_dim_eval(graph->dims, value->shape.dim[d], bindings, &in[i].dim[d], &err), &err);
        test_ok(pf_tensor_alloc(&in[i], &err), &err);
        pf_tensor_fill_random(&in[i], seed + i);
    }
    out->count = graph->output_count;
    st = pf_interpret(graph, in, out->at, NULL, NULL, why);
    for (uint32_t i = 0; i < graph->input_count; i++)
        pf_tensor_clear(&in[i]);
    return st;
}

void run_graph(const pf_graph *graph, uint64_t seed, outputs *out)
{
    pf_err err = { 0 };

    test_ok(try_graph(graph, seed, out, &err), &err);
}

static double largest(const pf_tensor *tensor)
{
    double most = 0;

    for (int64_t i = 0; i < pf_tensor_elems(tensor); i++)
        most = fmax(most, fabs(pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)i)));
    return most;
}

void check_same(const outputs *a, const outputs *b, const char *what)
{
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        pf_difference d;
        pf_err        err = { 0 };

        test_ok(pf_tensor_compare(&b->at[i], &a->at[i], &d, &err), &err);
        if (a->at[i].dtype != b->at[i].dtype || d.nan_count || d.inf_count ||
            !(d.max_abs <= fmax(least, tolerance * largest(&a->at[i]))))
            fail_msg("output %u changed by %g, %g of its range: %s", i, d.max_abs, d.max_rel_range, what);
    }
}

pf_graph *graph_of_body(const char *text)
{
    pf_buf    whole;
    pf_graph *graph = NULL;

    pf_buf_init(&whole, 1 << 20);
    pf_buf_printf(&whole, "graph\n%s", text);
    graph = graph_of((const char *)whole.data);
    pf_buf_clear(&whole);
    return graph;
}
