/* Each rule by a table of graphs before and after it; then all rules on random graphs.  What a graph computes may not change. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"
#include "tests/unit/engine/graphs.h"

enum { IO_LIMIT = 8, RANDOM_GRAPHS = 1000, RANDOM_NODES = 50, RULE_LIMIT = 64 };

/* Largest difference over the largest value: constants were rounded to f32 once more, or once less, and so were values in between.  And the least
   that counts: what cancels out is not exactly 0. */
static const double tolerance = 1e-5, least = 1e-9;

typedef struct outputs { pf_tensor at[IO_LIMIT]; uint32_t count; } outputs;

static void clear_outputs(outputs *out)
{
    for (uint32_t i = 0; i < out->count; i++)
        pf_tensor_clear(&out->at[i]);
}

/* Runs the graph on random inputs; symbol i is 2 + i. */
static pf_status try_graph(const pf_graph *graph, uint64_t seed, outputs *out, pf_err *why)
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

static void run_graph(const pf_graph *graph, uint64_t seed, outputs *out)
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

static void check_same(const outputs *a, const outputs *b, const char *what)
{
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        pf_difference d;
        pf_err        err = { 0 };

        test_ok(pf_tensor_compare(&b->at[i], &a->at[i], &d, &err), &err);
        if (a->at[i].dtype != b->at[i].dtype || d.nan_count || d.inf_count || !(d.max_abs <= fmax(least, tolerance * largest(&a->at[i]))))
            fail_msg("output %u changed by %g, %g of its range: %s", i, d.max_abs, d.max_rel_range, what);
    }
}

#define X4 "%0 = input f32 [n,2,3,3]\n"
/* A convolution of two channels to two, 1x1. */
#define W4 "%1 = constant f32 [2,2,1,1] {1,2,3,4}\n"

static const struct { const char *only, *before, *after; } rows[] = {
    { "drop_dead", X4 "%1 = relu(%0)\n%2 = exp(%1)\n%3 = neg(%0)\noutput %3\n", X4 "%1 = neg(%0)\noutput %1\n" },

    { "fold_constants,drop_dead", "%0 = input f32 [2]\n%1 = constant f32 [2] {1,2}\n%2 = add(%1, %1)\n%3 = mul(%0, %2)\noutput %3\n",
      "%0 = input f32 [2]\n%1 = constant f32 [2] {2,4}\n%2 = mul(%0, %1)\noutput %2\n" },
    { "fold_constants", "%0 = constant f32 [2] {1,2}\n%1 = neg(%0)\noutput %1\n", "%0 = constant f32 [2] {-1,-2}\n%1 = identity(%0)\noutput %1\n" },

    /* A size that data decides stands in another node's attributes: known once its op is folded, and else the op is not dead. */
    { "fold_constants,drop_dead", "%0 = input f32 [n,3]\n%1 = constant i64 [4] {0,5,0,7}\n%2 = non_zero(%1)\n"
      "%3 = slice(%0) axes=[1] starts=[0] ends=[nonzero] steps=[1]\n%4 = cast(%2) dtype=f32\noutput %3\noutput %4\n",
      "%0 = input f32 [n,3]\n%1 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n%2 = constant f32 [1,2] {1,3}\n%3 = identity(%2)\n"
      "output %1\noutput %3\n" },
    { "drop_dead", "%0 = input i64 [4]\n%1 = input f32 [n,9]\n%2 = non_zero(%0) finds=[nonzero]\n%3 = slice(%1) axes=[1] starts=[0] ends=[nonzero] steps=[1]\noutput %3\n",
      "%0 = input i64 [4]\n%1 = input f32 [n,9]\n%2 = non_zero(%0) finds=[nonzero]\n%3 = slice(%1) axes=[1] starts=[0] ends=[nonzero] steps=[1]\noutput %3\n" },
    { "merge_common,drop_dead", "%0 = input i64 [4]\n%1 = input f32 [n,9]\n%2 = non_zero(%0) finds=[nonzero]\n%3 = non_zero(%0)\n"
      "%4 = slice(%1) axes=[1] starts=[0] ends=[nonzero_2] steps=[1]\n%5 = cast(%2) dtype=f32\n%6 = cast(%3) dtype=f32\n%7 = concat(%5, %6) axis=1\n"
      "output %4\noutput %7\n",
      "%0 = input i64 [4]\n%1 = input f32 [n,9]\n%2 = non_zero(%0) finds=[nonzero]\n%3 = slice(%1) axes=[1] starts=[0] ends=[nonzero] steps=[1]\n"
      "%4 = cast(%2) dtype=f32\n%5 = concat(%4, %4) axis=1\noutput %3\noutput %5\n" },

    /* What cannot be computed stays: here in a branch that is never taken. */
    { "fold_constants", "%0 = constant bool [] {1}\n%1 = input f32 [2]\n%2 = if(%0, %1) then_branch={\n  graph\n  %0 = capture f32 [2]\n  %1 = relu(%0)\n"
      "  output %1\n} else_branch={\n  graph\n  %0 = constant f32 [2] {1,2}\n  %1 = constant i64 [2] {7,9}\n  %2 = gather(%0, %1)\n  output %2\n}\noutput %2\n",
      "%0 = input f32 [2]\n%1 = constant bool [] {1}\n%2 = if(%1, %0) then_branch={\n  graph\n  %0 = capture f32 [2]\n  %1 = relu(%0)\n"
      "  output %1\n} else_branch={\n  graph\n  %0 = constant f32 [2] {1,2}\n  %1 = constant i64 [2] {7,9}\n  %2 = gather(%0, %1)\n  output %2\n}\n"
      "output %2\n" },
    /* Bodies are rewritten too. */
    { "drop_identity,fold_constants,drop_dead",
      "%0 = input bool []\n%1 = input f32 [n]\n%2 = identity(%1)\n%3 = if(%0, %2, %1) then_branch={\n  graph\n  %0 = capture f32 [n]\n"
      "  %1 = identity(%0)\n  %2 = exp(%1)\n  %3 = relu(%1)\n  output %3\n} else_branch={\n  graph\n  %0 = capture f32 [n]\n"
      "  %1 = constant f32 [2] {1,2}\n  %2 = reduce(%1) mode=sum axes=[0]\n  %3 = mul(%0, %2)\n  output %3\n}\noutput %3\n",
      "%0 = input bool []\n%1 = input f32 [n]\n%2 = if(%0, %1, %1) then_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = relu(%0)\n"
      "  output %1\n} else_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = constant f32 [] {3}\n  %2 = mul(%0, %1)\n  output %2\n}\noutput %2\n" },

    { "known_content,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = shape(%0) start=1 end=3\n%2 = constant i64 [2] {2,3}\n%3 = mul(%1, %2)\n%4 = cast(%3) dtype=f32\n"
      "%5 = cast(%0) dtype=f16\noutput %4\noutput %5\n",
      "%0 = input f32 [n,4,6]\n%1 = constant i64 [2] {8,18}\n%2 = cast(%1) dtype=f32\n%3 = cast(%0) dtype=f16\noutput %2\noutput %3\n" },
    { "known_content,drop_dead",
      "%0 = input f32 [n,m]\n%1 = shape(%0) end=2\n%2 = constant i64 [2] {3,1}\n%3 = mul(%1, %2)\n%4 = cast(%3) dtype=f32\noutput %4\noutput %0\n",
      "%0 = input f32 [n,m]\n%1 = dim_values() dtype=i64 rank=1 values=[3*n,m]\n%2 = cast(%1) dtype=f32\noutput %2\noutput %0\n" },

    { "resolve_dynamic", "%0 = input f32 [n,4]\n%1 = constant i64 [2] {0,-1}\n%2 = reshape_dynamic(%0, %1)\noutput %2\n",
      "%0 = input f32 [n,4]\n%1 = reshape(%0) shape=[n,-1]\noutput %1\n" },
    { "resolve_dynamic", "%0 = input f32 [n,4]\n%1 = constant i64 [1] {1}\n%2 = constant i64 [1] {9223372036854775807}\n"
      "%3 = slice_dynamic(%0, %1, %2) axes=[1] steps=[2]\noutput %3\n",
      "%0 = input f32 [n,4]\n%1 = slice(%0) axes=[1] starts=[1] ends=[281474976710656] steps=[2]\noutput %1\n" },

    { "drop_identity", "%0 = input f32 [n,2]\n%1 = identity(%0)\n%2 = cast(%1) dtype=f32\n%3 = reshape(%2) shape=[n,2]\n%4 = transpose(%3) perm=[0,1]\n"
      "%5 = pad(%4) pads=[0,0,0,0]\n%6 = expand(%5) shape=[n,1]\n%7 = concat(%6)\n%8 = slice(%7) axes=[1] starts=[0] ends=[9] steps=[1]\n"
      "%9 = clip(%8) p=-inf q=inf\n%10 = reduce(%9) mode=sum\n%11 = relu(%10)\noutput %11\n",
      "%0 = input f32 [n,2]\n%1 = relu(%0)\noutput %1\n" },
    { "drop_identity", "%0 = input f32 [n,2]\n%1 = constant f32 [] {1}\n%2 = constant f32 [1,2] {0,0}\n%3 = mul(%1, %0)\n%4 = add(%3, %2)\n%5 = sub(%4, %2)\n"
      "%6 = div(%5, %1)\n%7 = pow(%6, %1)\n%8 = constant bool [2] {1,1}\n%9 = where(%8, %7, %2)\n%10 = neg(%9)\noutput %10\n",
      "%0 = input f32 [n,2]\n%1 = neg(%0)\noutput %1\n" },
    /* These are something: a broadcast, a reversal, 0 - x, a reduction of one element by its logarithm. */
    { "drop_identity", "%0 = input f32 [2]\n%1 = constant f32 [3,2] {0,0,0,0,0,0}\n%2 = add(%0, %1)\noutput %2\n",
      "%0 = input f32 [2]\n%1 = constant f32 [3,2] {0,0,0,0,0,0}\n%2 = add(%0, %1)\noutput %2\n" },
    { "drop_identity", "%0 = input f32 [n]\n%1 = slice(%0) axes=[0] starts=[-1] ends=[-281474976710656] steps=[-1]\n%2 = constant f32 [] {0}\n"
      "%3 = sub(%2, %1)\noutput %3\n",
      "%0 = input f32 [n]\n%1 = slice(%0) axes=[0] starts=[-1] ends=[-281474976710656] steps=[-1]\n%2 = constant f32 [] {0}\n%3 = sub(%2, %1)\n"
      "output %3\n" },
    /* A graph output stays a node's. */
    { "drop_identity", "%0 = input f32 [n]\n%1 = identity(%0)\n%2 = relu(%0)\n%3 = identity(%2)\noutput %1\noutput %2\noutput %3\n",
      "%0 = input f32 [n]\n%1 = identity(%0)\n%2 = relu(%0)\n%3 = identity(%2)\noutput %1\noutput %2\noutput %3\n" },
    { "drop_identity", "%0 = input f32 [n]\n%1 = constant f32 [] {1}\n%2 = mul(%0, %1)\noutput %2\n",
      "%0 = input f32 [n]\n%1 = identity(%0)\noutput %1\n" },

    { "merge_common", "%0 = input f32 [n]\n%1 = constant f32 [1] {3}\n%2 = constant f32 [1] {3}\n%3 = add(%0, %1)\n%4 = add(%2, %0)\n%5 = exp(%3)\n"
      "%6 = exp(%4)\n%7 = sub(%5, %6)\n%8 = relu(%7)\noutput %8\n",
      "%0 = input f32 [n]\n%1 = constant f32 [1] {3}\n%2 = add(%0, %1)\n%3 = exp(%2)\n%4 = sub(%3, %3)\n%5 = relu(%4)\noutput %5\n" },
    { "merge_common", "%0 = input f32 [n]\n%1 = clip(%0) p=1 q=2\n%2 = clip(%0) p=1 q=3\n%3 = sub(%1, %2)\n%4 = sub(%2, %1)\n%5 = mul(%3, %4)\noutput %5\n",
      "%0 = input f32 [n]\n%1 = clip(%0) p=1 q=2\n%2 = clip(%0) p=1 q=3\n%3 = sub(%1, %2)\n%4 = sub(%2, %1)\n%5 = mul(%3, %4)\noutput %5\n" },

    { "merge_reshapes,drop_dead", "%0 = input f32 [n,4,6]\n%1 = reshape(%0) shape=[n,24]\n%2 = reshape(%1) shape=[2*n,12]\noutput %2\n",
      "%0 = input f32 [n,4,6]\n%1 = reshape(%0) shape=[2*n,12]\noutput %1\n" },
    { "merge_transposes,drop_dead", "%0 = input f32 [n,4,6]\n%1 = transpose(%0) perm=[1,2,0]\n%2 = transpose(%1) perm=[2,1,0]\noutput %2\n",
      "%0 = input f32 [n,4,6]\n%1 = transpose(%0) perm=[0,2,1]\noutput %1\n" },
    { "merge_transposes,drop_identity,drop_dead", "%0 = input f32 [n,4,6]\n%1 = transpose(%0) perm=[1,2,0]\n%2 = transpose(%1) perm=[2,0,1]\n"
      "%3 = relu(%2)\noutput %3\n", "%0 = input f32 [n,4,6]\n%1 = relu(%0)\noutput %1\n" },
    { "constants_last", "%0 = input f32 [n]\n%1 = constant f32 [] {3}\n%2 = add(%1, %0)\n%3 = sub(%1, %2)\noutput %3\n",
      "%0 = input f32 [n]\n%1 = constant f32 [] {3}\n%2 = add(%0, %1)\n%3 = sub(%1, %2)\noutput %3\n" },

    { "quantize_by_parts,drop_dead", "%0 = input f32 [n,3]\n%1 = constant f32 [] {0.5}\n%2 = constant u8 [] {7}\n"
      "%3 = quantize_linear(%0, %1, %2) dtype=u8\n%4 = dequantize_linear(%3, %1, %2) dtype=f32\noutput %4\n",
      "%0 = input f32 [n,3]\n%1 = constant u8 [] {7}\n%2 = cast(%1) dtype=f32\n%3 = constant f32 [] {0.5}\n%4 = div(%0, %3)\n%5 = round(%4)\n"
      "%6 = add(%5, %2)\n%7 = clip(%6) q=255\n%8 = cast(%7) dtype=u8\n%9 = cast(%1) dtype=f32\n%10 = cast(%8) dtype=f32\n%11 = sub(%10, %9)\n"
      "%12 = mul(%11, %3)\noutput %12\n" },
    { "quantize_by_parts,fold_constants,drop_dead", "%0 = input f32 [n,2]\n%1 = constant i8 [2,2] {1,2,3,-4}\n%2 = constant f32 [2] {0.5,2}\n"
      "%3 = constant i8 [2] {0,0}\n%4 = dequantize_linear(%1, %2, %3) dtype=f32 axis=0\n%5 = matmul(%0, %4)\noutput %5\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2,2] {0.5,1,6,-8}\n%2 = matmul(%0, %1)\noutput %2\n" },
    { "merge_convs,drop_dead", X4 "%1 = constant f32 [1,2,1,1] {1,2}\n%2 = constant f32 [2,2,1,1] {3,4,5,6}\n%3 = constant f32 [2] {7,8}\n"
      "%4 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%5 = relu(%4)\n"
      "%6 = conv(%0, %2, %3) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%7 = relu(%6)\n%8 = neg(%5)\n%9 = neg(%7)\n%10 = exp(%7)\n"
      "output %8\noutput %9\noutput %10\n",
      X4 "%1 = constant f32 [3,2,1,1] {1,2,3,4,5,6}\n%2 = constant f32 [3] {0,7,8}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%4 = relu(%3)\n%5 = slice(%4) axes=[1] starts=[0] ends=[1] steps=[1]\n"
      "%6 = neg(%5)\n%7 = slice(%4) axes=[1] starts=[1] ends=[3] steps=[1]\n%8 = neg(%7)\n%9 = exp(%7)\noutput %6\noutput %8\noutput %9\n" },
    { "merge_convs", X4 "%1 = constant f32 [1,2,1,1] {1,2}\n%2 = constant f32 [2,2,1,1] {3,4,5,6}\n"
      "%3 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%4 = conv(%0, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%5 = concat(%3, %4) axis=1\noutput %5\n",
      X4 "%1 = constant f32 [1,2,1,1] {1,2}\n%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%3 = constant f32 [2,2,1,1] {3,4,5,6}\n%4 = conv(%0, %3) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%5 = concat(%2, %4) axis=1\noutput %5\n" },
    { "quantize_by_parts", "%0 = input f32 [n,3]\n%1 = input f32 []\n%2 = quantize_linear(%0, %1) dtype=i8\noutput %2\n",
      "%0 = input f32 [n,3]\n%1 = input f32 []\n%2 = quantize_linear(%0, %1) dtype=i8\noutput %2\n" },

    { "fold_pad,drop_dead", X4 "%1 = pad(%0) pads=[0,0,1,2,0,0,0,1]\n%2 = constant f32 [1,2,2,2] {1,2,3,4,5,6,7,8}\n"
      "%3 = conv(%1, %2) strides=[1,1] dilations=[1,1] pads=[0,1,0,0] groups=1\noutput %3\n",
      X4 "%1 = constant f32 [1,2,2,2] {1,2,3,4,5,6,7,8}\n%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[1,3,0,1] groups=1\noutput %2\n" },
    { "fold_pad,drop_dead", X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1]\n"
      "%2 = average_pool(%1) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]\noutput %2\n",
      X4 "%1 = average_pool(%0) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[1,1,1,1] count_include_pad=1\noutput %1\n" },
    { "fold_pad,drop_dead", X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1] value=-inf\n"
      "%2 = max_pool(%1) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]\noutput %2\n",
      X4 "%1 = max_pool(%0) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[1,1,1,1]\noutput %1\n" },
    /* Zeros are not what a maximum pads with; ones are not what a convolution pads with. */
    { "fold_pad", X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1]\n%2 = max_pool(%1) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]\noutput %2\n",
      X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1]\n%2 = max_pool(%1) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]\noutput %2\n" },
    { "fold_pad", X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1] value=1\n%2 = constant f32 [1,2,1,1] {1,2}\n"
      "%3 = conv(%1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n",
      X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1] value=1\n%2 = constant f32 [1,2,1,1] {1,2}\n"
      "%3 = conv(%1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n" },
    /* A transposed convolution leaves out less. */
    { "fold_pad,drop_dead",
      "%0 = input f32 [n,1,3,3]\n%1 = pad(%0) pads=[0,0,1,0,0,0,1,1] value=0\n%2 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n"
      "%3 = conv_transpose(%1, %2) strides=[2,2] dilations=[1,1] pads=[3,0,2,2] output_padding=[0,0] groups=1\noutput %3\n",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n"
      "%2 = conv_transpose(%0, %1) strides=[2,2] dilations=[1,1] pads=[1,0,0,0] output_padding=[0,0] groups=1\noutput %2\n" },
    /* It leaves out too little. */
    { "fold_pad",
      "%0 = input f32 [n,1,3,3]\n%1 = pad(%0) pads=[0,0,1,0,0,0,1,1] value=0\n%2 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n"
      "%3 = conv_transpose(%1, %2) strides=[2,2] dilations=[1,1] pads=[1,0,2,2] output_padding=[0,0] groups=1\noutput %3\n",
      "%0 = input f32 [n,1,3,3]\n%1 = pad(%0) pads=[0,0,1,0,0,0,1,1]\n%2 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n"
      "%3 = conv_transpose(%1, %2) strides=[2,2] dilations=[1,1] pads=[1,0,2,2] output_padding=[0,0] groups=1\noutput %3\n" },
    { "fold_crop,drop_dead",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n%2 = constant f32 [1] {7}\n"
      "%3 = conv_transpose(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[1,0,0,0] output_padding=[0,0] groups=1\n"
      "%4 = slice(%3) axes=[2,3] starts=[1,1] ends=[-2,-1] steps=[1,1]\noutput %4\n",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n%2 = constant f32 [1] {7}\n"
      "%3 = conv_transpose(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[2,1,2,1] output_padding=[0,0] groups=1\noutput %3\n" },
    /* Every other one; channels; read whole. */
    { "fold_crop",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,2,1,2] {1,2,3,4}\n"
      "%2 = conv_transpose(%0, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%3 = slice(%2) axes=[2] starts=[0] ends=[5] steps=[2]\n%4 = exp(%0)\n"
      "%5 = conv_transpose(%4, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%6 = slice(%5) axes=[1,2] starts=[0,0] ends=[1,4] steps=[1,1]\n%7 = tanh(%0)\n"
      "%8 = conv_transpose(%7, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%9 = slice(%8) axes=[2] starts=[0] ends=[4] steps=[1]\noutput %3\noutput %6\noutput %8\noutput %9\n",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,2,1,2] {1,2,3,4}\n"
      "%2 = conv_transpose(%0, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%3 = slice(%2) axes=[2] starts=[0] ends=[5] steps=[2]\n%4 = exp(%0)\n"
      "%5 = conv_transpose(%4, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%6 = slice(%5) axes=[1,2] starts=[0,0] ends=[1,4] steps=[1,1]\n%7 = tanh(%0)\n"
      "%8 = conv_transpose(%7, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%9 = slice(%8) axes=[2] starts=[0] ends=[4] steps=[1]\noutput %3\noutput %6\noutput %8\noutput %9\n" },

    { "fold_batchnorm,drop_dead", X4 W4 "%2 = constant f32 [2] {10,20}\n%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%4 = constant f32 [2] {2,4}\n%5 = constant f32 [2] {1,-1}\n%6 = constant f32 [2] {3,5}\n%7 = constant f32 [2] {4,16}\n"
      "%8 = batch_norm(%3, %4, %5, %6, %7)\noutput %8\n",
      X4 "%1 = constant f32 [2,2,1,1] {1,2,3,4}\n%2 = constant f32 [2] {8,14}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n" },
    { "fold_batchnorm,drop_dead", "%0 = input f32 [n,4,3]\n%1 = constant f32 [4,1,1] {1,2,3,4}\n"
      "%2 = conv_transpose(%0, %1) strides=[1] dilations=[1] pads=[0,0] output_padding=[0] groups=2\n"
      "%3 = constant f32 [2] {2,3}\n%4 = constant f32 [2] {0,1}\n%5 = constant f32 [2] {0,0}\n%6 = constant f32 [2] {1,1}\n"
      "%7 = batch_norm(%2, %3, %4, %5, %6)\noutput %7\n",
      "%0 = input f32 [n,4,3]\n%1 = constant f32 [4,1,1] {2,4,9,12}\n%2 = constant f32 [2] {0,1}\n"
      "%3 = conv_transpose(%0, %1, %2) strides=[1] dilations=[1] pads=[0,0] output_padding=[0] groups=2\noutput %3\n" },
    { "fold_batchnorm,drop_dead", "%0 = input f32 [n,2]\n%1 = constant f32 [3,2] {1,2,3,4,5,6}\n%2 = constant f32 [1,3] {1,1,1}\n"
      "%3 = gemm(%0, %1, %2) trans_b=1 alpha=2 beta=3\n%4 = constant f32 [3] {2,1,1}\n%5 = constant f32 [3] {0,0,7}\n"
      "%6 = constant f32 [3] {0,0,0}\n%7 = constant f32 [3] {1,1,1}\n%8 = batch_norm(%3, %4, %5, %6, %7)\noutput %8\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [3,2] {4,8,6,8,10,12}\n%2 = constant f32 [3] {6,3,10}\n"
      "%3 = gemm(%0, %1, %2) trans_b=1 alpha=1 beta=1\noutput %3\n" },
    { "fold_batchnorm,drop_dead", X4 "%1 = constant f32 [2] {2,4}\n%2 = constant f32 [2] {1,-1}\n%3 = constant f32 [2] {3,5}\n%4 = constant f32 [2] {4,16}\n"
      "%5 = batch_norm(%0, %1, %2, %3, %4)\noutput %5\n",
      X4 "%1 = constant f32 [2,1,1] {1,1}\n%2 = mul(%0, %1)\n%3 = constant f32 [2,1,1] {-2,-6}\n%4 = add(%2, %3)\noutput %4\n" },

    { "fold_scale,drop_dead", X4 W4 "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [2,1,1] {2,3}\n"
      "%4 = mul(%2, %3)\n%5 = constant f32 [1,2,1,1] {5,6}\n%6 = add(%4, %5)\noutput %6\n",
      X4 "%1 = constant f32 [2,2,1,1] {2,4,9,12}\n%2 = constant f32 [2] {5,6}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n" },
    { "fold_scale,drop_dead", "%0 = input f32 [n,2]\n%1 = constant f32 [2,3] {1,2,3,4,5,6}\n%2 = matmul(%0, %1)\n%3 = constant f32 [3] {7,8,9}\n"
      "%4 = sub(%2, %3)\n%5 = constant f32 [] {2}\n%6 = div(%4, %5)\noutput %6\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2,3] {0.5,1,1.5,2,2.5,3}\n%2 = constant f32 [3] {-3.5,-4,-4.5}\n"
      "%3 = gemm(%0, %1, %2) alpha=1 beta=1\noutput %3\n" },
    /* A product of higher rank takes a scale, but has no place for a bias. */
    { "fold_scale,drop_dead", "%0 = input f32 [n,3,2]\n%1 = constant f32 [3,2] {1,2,3,4,5,6}\n%2 = matmul(%0, %1) trans_b=1\n%3 = constant f32 [3] {2,1,1}\n"
      "%4 = mul(%2, %3)\n%5 = constant f32 [3] {7,8,9}\n%6 = add(%4, %5)\noutput %6\n",
      "%0 = input f32 [n,3,2]\n%1 = constant f32 [3,2] {2,4,3,4,5,6}\n%2 = matmul(%0, %1) trans_b=1\n%3 = constant f32 [3] {7,8,9}\n%4 = add(%2, %3)\n"
      "output %4\n" },
    /* Along another axis than the channels, by zero, of a value that is used twice: left alone. */
    { "fold_scale", X4 W4 "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [3] {2,3,4}\n%4 = mul(%2, %3)\noutput %4\n",
      X4 W4 "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [3] {2,3,4}\n%4 = mul(%2, %3)\noutput %4\n" },
    { "fold_scale", X4 W4 "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [] {2}\n%4 = mul(%2, %3)\n%5 = add(%4, %2)\n"
      "output %5\n",
      X4 W4 "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [] {2}\n%4 = mul(%2, %3)\n%5 = add(%4, %2)\n"
      "output %5\n" },
    /* Pixels that are normalized, a product of rows, groups. */
    { "fold_input,drop_dead",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,1,1] {1,2}\n%2 = sub(%0, %1)\n%3 = constant f32 [1,2,1,1] {2,4}\n"
      "%4 = div(%2, %3)\n%5 = constant f32 [3,2,1,1] {1,2,3,4,5,6}\n"
      "%6 = conv(%4, %5) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%7 = constant f32 [2,1,2,1] {1,2,3,4}\n"
      "%8 = mul(%0, %1)\n%9 = conv(%8, %7) strides=[1,1] dilations=[1,1] pads=[1,0,0,0] groups=2\n%10 = constant f32 [3] {1,2,3}\n"
      "%11 = add(%0, %10)\n%12 = constant f32 [3,2] {1,2,3,4,5,6}\n%13 = matmul(%11, %12)\noutput %6\noutput %9\noutput %13\n",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,1,2,1] {1,2,6,8}\n"
      "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[1,0,0,0] groups=2\n%3 = constant f32 [3,2] {1,2,3,4,5,6}\n"
      "%4 = matmul(%0, %3)\n%5 = constant f32 [2] {22,28}\n%6 = add(%4, %5)\n%7 = constant f32 [3,2,1,1] {0.5,0.5,1.5,1,2.5,1.5}\n"
      "%8 = constant f32 [3] {-1.5,-3.5,-5.5}\n%9 = conv(%0, %7, %8) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %9\n"
      "output %2\noutput %6\n" },
    { "fold_input,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2] {2,3}\n%2 = mul(%0, %1)\n%3 = add(%2, %1)\n%4 = constant f32 [3,2] {1,2,3,4,5,6}\n"
      "%5 = constant f32 [3] {7,8,9}\n%6 = gemm(%3, %4, %5) trans_b=1 alpha=2 beta=3\noutput %6\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [3,2] {4,12,12,24,20,36}\n%2 = constant f32 [3] {37,60,83}\n"
      "%3 = gemm(%0, %1, %2) trans_b=1 alpha=1 beta=1\noutput %3\n" },
    /* Zeros of the padding, what is read twice, weights that others read, a constant of another dim. */
    { "fold_input",
      "%0 = input f32 [3,2,2,2]\n%1 = constant f32 [2,1,1] {1,2}\n%2 = add(%0, %1)\n%3 = constant f32 [1,2,1,1] {1,2}\n"
      "%4 = conv(%2, %3) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n%5 = mul(%0, %1)\n%6 = constant f32 [1,2,1,1] {3,4}\n"
      "%7 = conv(%5, %6) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%8 = neg(%5)\n%9 = constant f32 [2,1] {2,3}\n"
      "%10 = mul(%0, %9)\n%11 = constant f32 [2,2] {1,2,3,4}\n%12 = matmul(%10, %11)\n%13 = constant f32 [2] {4,5}\n%14 = mul(%0, %13)\n"
      "%15 = matmul(%14, %11)\noutput %4\noutput %7\noutput %8\noutput %12\noutput %15\n",
      "%0 = input f32 [3,2,2,2]\n%1 = constant f32 [2,1,1] {1,2}\n%2 = add(%0, %1)\n%3 = constant f32 [1,2,1,1] {1,2}\n"
      "%4 = conv(%2, %3) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n%5 = mul(%0, %1)\n%6 = constant f32 [1,2,1,1] {3,4}\n"
      "%7 = conv(%5, %6) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%8 = neg(%5)\n%9 = constant f32 [2,1] {2,3}\n"
      "%10 = mul(%0, %9)\n%11 = constant f32 [2,2] {1,2,3,4}\n%12 = matmul(%10, %11)\n%13 = constant f32 [2] {4,5}\n%14 = mul(%0, %13)\n"
      "%15 = matmul(%14, %11)\noutput %4\noutput %7\noutput %8\noutput %12\noutput %15\n" },

    { "fold_gemm,drop_dead", "%0 = input f32 [n,2]\n%1 = constant f32 [2,2] {1,2,3,4}\n%2 = constant f32 [] {5}\n%3 = gemm(%0, %1, %2) alpha=2 beta=3\noutput %3\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2,2] {2,4,6,8}\n%2 = constant f32 [2] {15,15}\n%3 = gemm(%0, %1, %2) alpha=1 beta=1\noutput %3\n" },
    { "fold_gemm,drop_dead", "%0 = input f32 [n,2]\n%1 = input f32 [2,2]\n%2 = input f32 [2]\n%3 = gemm(%0, %1, %2) alpha=1\noutput %3\n",
      "%0 = input f32 [n,2]\n%1 = input f32 [2,2]\n%2 = input f32 [2]\n%3 = gemm(%0, %1) alpha=1 beta=1\noutput %3\n" },

    { "fold_transpose,drop_dead",
      "%0 = input f32 [n,2,4]\n%1 = constant f32 [3,4] {1,2,3,4,5,6,7,8,9,10,11,12}\n%2 = transpose(%1) perm=[1,0]\n"
      "%3 = transpose(%0) perm=[0,2,1]\n%4 = matmul(%0, %2)\n%5 = matmul(%3, %0)\n%6 = matmul(%3, %3) trans_a=1\noutput %4\noutput %5\n"
      "output %6\n",
      "%0 = input f32 [n,2,4]\n%1 = constant f32 [3,4] {1,2,3,4,5,6,7,8,9,10,11,12}\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = matmul(%0, %0) trans_a=1\n%4 = matmul(%0, %0) trans_b=1\noutput %2\noutput %3\noutput %4\n" },
    { "fold_transpose,drop_dead",
      "%0 = input f32 [2,n]\n%1 = transpose(%0) perm=[1,0]\n%2 = gemm(%1, %1, %1) trans_b=1 alpha=1\noutput %2\n",
      "%0 = input f32 [2,n]\n%1 = transpose(%0) perm=[1,0]\n%2 = gemm(%0, %0, %1) trans_a=1 alpha=1\noutput %2\n" },
    /* Not the last two; a vector; an addend. */
    { "fold_transpose",
      "%0 = input f32 [2,2,2]\n%1 = transpose(%0) perm=[1,0,2]\n%2 = matmul(%0, %1)\n%3 = input f32 [2]\n"
      "%4 = transpose(%0) perm=[0,2,1]\n%5 = matmul(%4, %3)\n%6 = matmul(%3, %2)\n%7 = add(%5, %6)\noutput %7\n",
      "%0 = input f32 [2,2,2]\n%1 = input f32 [2]\n%2 = transpose(%0) perm=[1,0,2]\n%3 = matmul(%0, %2)\n"
      "%4 = transpose(%0) perm=[0,2,1]\n%5 = matmul(%4, %1)\n%6 = matmul(%1, %3)\n%7 = add(%5, %6)\noutput %7\n" },
    /* Position ids from a counter, each compared with the one before it: that they rise by one everywhere is known, and then what is left is causal. */
    { "known_index,drop_dead",
      "%0 = range() dtype=i64 bounds=[0,s,1]\n%1 = reshape(%0) shape=[1,s]\n%2 = expand(%1) shape=[n,1]\n"
      "%3 = slice(%2) axes=[1] starts=[0] ends=[1] steps=[1]\n%4 = constant i64 [] {1}\n%5 = sub(%3, %4)\n%6 = concat(%5, %2) axis=1\n"
      "%7 = slice(%6) axes=[1] starts=[0] ends=[s] steps=[1]\n%8 = slice(%6) axes=[1] starts=[1] ends=[s + 1] steps=[1]\n"
      "%9 = sub(%8, %7)\n%10 = equal(%9, %4)\n%11 = not(%10)\n%12 = cast(%11) dtype=i64\n%13 = cumulate(%12) axis=1\n"
      "%14 = input f32 [n,s]\n%15 = cast(%13) dtype=f32\n%16 = add(%14, %15)\noutput %16\n",
      "%0 = input f32 [n,s]\n%1 = constant f32 [1,1] {0}\n%2 = expand(%1) shape=[n,s]\n%3 = add(%0, %2)\noutput %3\n" },
    { "known_index,drop_dead",
      "%0 = constant bool [1,1] {1}\n%1 = expand(%0) shape=[4,4]\n%2 = trilu(%1) k=3\n%3 = input f32 [n,4,4]\n"
      "%4 = constant f32 [] {7}\n%5 = where(%2, %3, %4)\noutput %5\n",
      "%0 = input f32 [n,4,4]\n%1 = constant bool [1,1] {1}\n%2 = expand(%1) shape=[4,4]\n%3 = constant f32 [] {7}\n"
      "%4 = where(%2, %0, %3)\noutput %4\n" },
    /* Not known: a test of what is read, and triangles. */
    { "known_index",
      "%0 = input i64 [n]\n%1 = constant i64 [] {3}\n%2 = less(%0, %1)\n%3 = range() dtype=i64 bounds=[0,n,1]\n%4 = less(%3, %1)\n"
      "%5 = and(%2, %4)\noutput %5\n",
      "%0 = input i64 [n]\n%1 = constant i64 [] {3}\n%2 = less(%0, %1)\n%3 = range() dtype=i64 bounds=[0,n,1]\n%4 = less(%3, %1)\n"
      "%5 = and(%2, %4)\noutput %5\n" },
    { "expand_last,drop_dead",
      "%0 = input f32 [n,1]\n%1 = expand(%0) shape=[n,4]\n%2 = exp(%1)\n%3 = constant f32 [1,4] {2,2,2,2}\n%4 = mul(%2, %3)\n"
      "%5 = input f32 [n,4]\n%6 = add(%4, %5)\noutput %6\noutput %4\n",
      "%0 = input f32 [n,1]\n%1 = input f32 [n,4]\n%2 = exp(%0)\n%3 = constant f32 [] {2}\n%4 = mul(%2, %3)\n"
      "%5 = expand(%4) shape=[n,4]\n%6 = add(%4, %1)\noutput %6\noutput %5\n" },
    /* A constant that makes the result larger stays as large. */
    { "expand_last",
      "%0 = input f32 [n,1]\n%1 = constant f32 [1,4] {2,2,2,2}\n%2 = mul(%0, %1)\noutput %2\n",
      "%0 = input f32 [n,1]\n%1 = constant f32 [1,4] {2,2,2,2}\n%2 = mul(%0, %1)\noutput %2\n" },
    { "gather_to_slice,drop_dead",
      "%0 = input f32 [n,6,3]\n%1 = constant i64 [] {-2}\n%2 = gather(%0, %1) axis=1\n%3 = constant i64 [1,3] {1,3,5}\n"
      "%4 = gather(%0, %3) axis=1\noutput %2\noutput %4\n",
      "%0 = input f32 [n,6,3]\n%1 = slice(%0) axes=[1] starts=[4] ends=[5] steps=[1]\n%2 = reshape(%1) shape=[n,3]\n"
      "%3 = slice(%0) axes=[1] starts=[1] ends=[6] steps=[2]\n%4 = reshape(%3) shape=[n,1,3,3]\noutput %2\noutput %4\n" },
    { "gather_to_slice,drop_dead",
      "%0 = input bool [n,s]\n%1 = range() dtype=i64 bounds=[0,n,1]\n%2 = reshape(%1) shape=[n,1,1,1,1]\n"
      "%3 = expand(%2) shape=[n,1,1,s,1]\n%4 = range() dtype=i64 bounds=[0,s,1]\n%5 = reshape(%4) shape=[1,1,1,s,1]\n"
      "%6 = expand(%5) shape=[n,1,1,s,1]\n%7 = concat(%3, %6) axis=4\n%8 = gather_nd(%0, %7)\noutput %8\n",
      "%0 = input bool [n,s]\n%1 = reshape(%0) shape=[n,1,1,s]\noutput %1\n" },
    /* What the table does not have, in a branch that is never taken. */
    { "gather_to_slice", "%0 = constant bool [] {1}\n%1 = input f32 [2]\n%2 = if(%0, %1) then_branch={\n  graph\n  %0 = capture f32 [2]\n  %1 = relu(%0)\n"
      "  output %1\n} else_branch={\n  graph\n  %0 = constant f32 [2] {1,2}\n  %1 = constant i64 [2] {7,9}\n  %2 = gather(%0, %1)\n  output %2\n}\noutput %2\n",
      "%0 = input f32 [2]\n%1 = constant bool [] {1}\n%2 = if(%1, %0) then_branch={\n  graph\n  %0 = capture f32 [2]\n  %1 = relu(%0)\n"
      "  output %1\n} else_branch={\n  graph\n  %0 = constant f32 [2] {1,2}\n  %1 = constant i64 [2] {7,9}\n  %2 = gather(%0, %1)\n  output %2\n}\n"
      "output %2\n" },
    /* Positions that fall, and those of another result. */
    { "gather_to_slice",
      "%0 = input f32 [3,3]\n%1 = constant i64 [3] {2,1,0}\n%2 = gather(%0, %1)\n%3 = constant i64 [3,1] {0,1,2}\n"
      "%4 = reshape(%1) shape=[3,1]\n%5 = concat(%3, %4) axis=1\n%6 = gather_nd(%2, %5)\noutput %6\n",
      "%0 = input f32 [3,3]\n%1 = constant i64 [3] {2,1,0}\n%2 = gather(%0, %1)\n%3 = reshape(%1) shape=[3,1]\n"
      "%4 = constant i64 [3,1] {0,1,2}\n%5 = concat(%4, %3) axis=1\n%6 = gather_nd(%2, %5)\noutput %6\n" },
    { "drop_identity,drop_dead",
      "%0 = input bool [n]\n%1 = constant bool [1] {1}\n%2 = constant bool [] {0}\n%3 = and(%0, %1)\n%4 = or(%2, %3)\n%5 = not(%4)\n"
      "output %5\n",
      "%0 = input bool [n]\n%1 = not(%0)\noutput %1\n" },
    /* Scale on the scores, mask added on the left, k transposed by a transpose. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,5,4]\n%2 = input f32 [n,2,5,6]\n%3 = input f32 [n,1,1,5]\n"
      "%4 = transpose(%1) perm=[0,1,3,2]\n%5 = matmul(%0, %4)\n%6 = constant f32 [] {2}\n%7 = div(%5, %6)\n%8 = add(%3, %7)\n"
      "%9 = softmax(%8) axis=3\n%10 = matmul(%9, %2)\noutput %10\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,5,4]\n%2 = input f32 [n,2,5,6]\n%3 = input f32 [n,1,1,5]\n"
      "%4 = attention(%0, %1, %2, %3) scale=0.5\noutput %4\n" },
    /* The root of the scale on q and on k, before and behind moves; positions compared make it causal; the row of a hidden query is guarded. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,3,2,4]\n%1 = input f32 [n,2,3,4]\n%2 = input f32 [n,2,3,4]\n%3 = constant f32 [1] {0.5}\n%4 = mul(%0, %3)\n"
      "%5 = transpose(%4) perm=[0,2,1,3]\n%6 = transpose(%1) perm=[0,1,3,2]\n%7 = mul(%6, %3)\n%8 = matmul(%5, %7)\n"
      "%9 = range() dtype=i64 bounds=[0,3,1]\n%10 = reshape(%9) shape=[3,1]\n%11 = less_equal(%9, %10)\n%12 = constant f32 [] {-inf}\n"
      "%13 = where(%11, %8, %12)\n%14 = softmax(%13) axis=3\n%15 = is_nan(%14)\n%16 = constant f32 [] {0}\n%17 = where(%15, %16, %14)\n"
      "%18 = matmul(%17, %2)\noutput %18\n",
      "%0 = input f32 [n,3,2,4]\n%1 = input f32 [n,2,3,4]\n%2 = input f32 [n,2,3,4]\n%3 = transpose(%0) perm=[0,2,1,3]\n"
      "%4 = attention(%3, %1, %2) scale=0.25 causal=top_left\noutput %4\n" },
    /* Repeated heads of k and v are read once. */
    { "attention,merge_transposes,merge_reshapes,drop_identity,drop_dead",
      "%0 = input f32 [n,4,3,4]\n%1 = input f32 [n,3,2,4]\n%2 = input f32 [n,2,3,4]\n%3 = reshape(%1) shape=[n,3,2,1,4]\n"
      "%4 = expand(%3) shape=[n,3,2,2,4]\n%5 = reshape(%4) shape=[n,3,4,4]\n%6 = transpose(%5) perm=[0,2,1,3]\n"
      "%7 = reshape(%2) shape=[n,2,1,3,4]\n%8 = concat(%7, %7) axis=2\n%9 = reshape(%8) shape=[n,4,3,4]\n"
      "%10 = matmul(%0, %6) trans_b=1\n%11 = softmax(%10) axis=3\n%12 = matmul(%11, %9)\noutput %12\n",
      "%0 = input f32 [n,4,3,4]\n%1 = input f32 [n,3,2,4]\n%2 = input f32 [n,2,3,4]\n%3 = transpose(%1) perm=[0,2,1,3]\n"
      "%4 = attention(%0, %3, %2) scale=1\noutput %4\n" },
    /* One head, and the second product transposed. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = input f32 [n,4,5]\n%2 = matmul(%0, %1) trans_a=1\n%3 = softmax(%2) axis=2\n"
      "%4 = matmul(%1, %3) trans_b=1\noutput %4\n",
      "%0 = input f32 [n,4,6]\n%1 = input f32 [n,4,5]\n%2 = transpose(%0) perm=[0,2,1]\n%3 = reshape(%2) shape=[n,1,6,4]\n"
      "%4 = transpose(%1) perm=[0,2,1]\n%5 = reshape(%4) shape=[n,1,5,4]\n%6 = transpose(%1) perm=[0,2,1]\n"
      "%7 = reshape(%6) shape=[n,1,5,4]\n%8 = attention(%3, %5, %7) scale=1\n%9 = transpose(%8) perm=[0,1,3,2]\n"
      "%10 = reshape(%9) shape=[n,4,6]\noutput %10\n" },
    /* Batch and heads are one dim but for the mask, which is a constant triangle: with more keys than queries it ends at the last one. */
    { "attention,merge_transposes,merge_reshapes,drop_identity,drop_dead",
      "%0 = input f32 [2*n,2,4]\n%1 = input f32 [2*n,3,4]\n%2 = matmul(%0, %1) trans_b=1\n%3 = reshape(%2) shape=[n,2,2,3]\n"
      "%4 = constant f32 [1,1,2,3] {0,0,-1e9,0,0,0}\n%5 = add(%3, %4)\n%6 = reshape(%5) shape=[2*n,2,3]\n%7 = softmax(%6) axis=2\n"
      "%8 = matmul(%7, %1)\noutput %8\n",
      "%0 = input f32 [2*n,2,4]\n%1 = input f32 [2*n,3,4]\n%2 = reshape(%0) shape=[n,2,2,4]\n%3 = reshape(%1) shape=[n,2,3,4]\n"
      "%4 = reshape(%1) shape=[n,2,3,4]\n%5 = attention(%2, %3, %4) scale=1 causal=bottom_right\n%6 = reshape(%5) shape=[2*n,2,4]\n"
      "output %6\n" },
    /* Padding and a causal test in one condition: with minus infinity they come apart. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input bool [n,1,1,3]\n%2 = constant bool [3,3] {1,0,0,1,1,0,1,1,1}\n%3 = and(%1, %2)\n"
      "%4 = constant f32 [] {-inf}\n%5 = constant f32 [] {0}\n%6 = where(%3, %5, %4)\n%7 = matmul(%0, %0) trans_b=1\n%8 = add(%7, %6)\n"
      "%9 = softmax(%8) axis=3\n%10 = matmul(%9, %0)\noutput %10\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input bool [n,1,1,3]\n%2 = attention(%0, %0, %0, %1) scale=1 causal=top_left\noutput %2\n" },
    /* With a number they do not: a row that is hidden throughout would change. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input bool [n,1,1,3]\n%2 = constant bool [3,3] {1,0,0,1,1,0,1,1,1}\n%3 = and(%1, %2)\n"
      "%4 = constant f32 [] {-10000}\n%5 = matmul(%0, %0) trans_b=1\n%6 = where(%3, %5, %4)\n%7 = softmax(%6) axis=3\n"
      "%8 = matmul(%7, %0)\noutput %8\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input bool [n,1,1,3]\n%2 = constant bool [3,3] {1,0,0,1,1,0,1,1,1}\n%3 = and(%1, %2)\n"
      "%4 = constant f32 [] {0}\n%5 = constant f32 [] {-3.4028235e+38}\n%6 = where(%3, %4, %5)\n"
      "%7 = attention(%0, %0, %0, %6) scale=1\noutput %7\n" },
    /* Scores that are capped before the mask, and scaled before that. */
    { "attention,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [3,3]\n%2 = constant f32 [] {0.5}\n%3 = mul(%0, %2)\n%4 = matmul(%3, %0) trans_b=1\n"
      "%5 = constant f32 [] {4}\n%6 = div(%4, %5)\n%7 = tanh(%6)\n%8 = mul(%7, %5)\n%9 = sub(%8, %1)\n%10 = softmax(%9) axis=3\n"
      "%11 = matmul(%10, %0)\noutput %11\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [3,3]\n%2 = constant f32 [] {-1}\n%3 = mul(%1, %2)\n"
      "%4 = attention(%0, %0, %0, %3) scale=0.5 softcap=4\noutput %4\n" },
    /* Left alone: probabilities that are read twice, a softmax over queries, a mask larger than the scores, v of another type. */
    { "attention,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = matmul(%0, %0) trans_b=1\n%2 = softmax(%1) axis=3\n%3 = matmul(%2, %0)\noutput %3\noutput %2\n",
      "%0 = input f32 [n,2,3,4]\n%1 = matmul(%0, %0) trans_b=1\n%2 = softmax(%1) axis=3\n%3 = matmul(%2, %0)\noutput %3\noutput %2\n" },
    { "attention,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = matmul(%0, %0) trans_b=1\n%2 = softmax(%1) axis=2\n%3 = matmul(%2, %0)\noutput %3\n",
      "%0 = input f32 [n,2,3,4]\n%1 = matmul(%0, %0) trans_b=1\n%2 = softmax(%1) axis=2\n%3 = matmul(%2, %0)\noutput %3\n" },
    { "attention,drop_dead",
      "%0 = input f32 [1,2,3,4]\n%1 = input f32 [n,1,1,3]\n%2 = matmul(%0, %0) trans_b=1\n%3 = add(%2, %1)\n%4 = softmax(%3) axis=3\n"
      "%5 = matmul(%4, %0)\noutput %5\n",
      "%0 = input f32 [1,2,3,4]\n%1 = input f32 [n,1,1,3]\n%2 = matmul(%0, %0) trans_b=1\n%3 = add(%2, %1)\n%4 = softmax(%3) axis=3\n"
      "%5 = matmul(%4, %0)\noutput %5\n" },
    { "attention,drop_dead",
      "%0 = input f32 [1,2,3,4]\n%1 = cast(%0) dtype=f16\n%2 = matmul(%1, %1) trans_b=1\n%3 = cast(%2) dtype=f32\n%4 = softmax(%3) axis=3\n"
      "%5 = matmul(%4, %0)\noutput %5\n",
      "%0 = input f32 [1,2,3,4]\n%1 = cast(%0) dtype=f16\n%2 = matmul(%1, %1) trans_b=1\n%3 = cast(%2) dtype=f32\n%4 = softmax(%3) axis=3\n"
      "%5 = matmul(%4, %0)\noutput %5\n" },
    /* Windows of images: the mask of each window, and a bias of each head. */
    { "attention,drop_identity,drop_dead",
      "%0 = input f32 [4*n,2,3,8]\n%1 = input f32 [2,3,3]\n%2 = input f32 [4,3,3]\n%3 = matmul(%0, %0) trans_b=1\n%4 = add(%3, %1)\n"
      "%5 = reshape(%4) shape=[n,4,2,3,3]\n%6 = reshape(%2) shape=[4,1,3,3]\n%7 = add(%5, %6)\n%8 = reshape(%7) shape=[4*n,2,3,3]\n"
      "%9 = softmax(%8) axis=3\n%10 = matmul(%9, %0)\noutput %10\n",
      "%0 = input f32 [4*n,2,3,8]\n%1 = input f32 [2,3,3]\n%2 = input f32 [4,3,3]\n%3 = reshape(%2) shape=[4,1,3,3]\n"
      "%4 = reshape(%3) shape=[1,4,1,3,3]\n%5 = expand(%4) shape=[n,4,1,3,3]\n%6 = reshape(%5) shape=[4*n,1,3,3]\n%7 = add(%6, %1)\n"
      "%8 = attention(%0, %0, %0, %7) scale=1\noutput %8\n" },
    /* A factor of each head. */
    { "attention,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = constant f32 [2,1,1] {3,5}\n%2 = input f32 [2,3,3]\n%3 = matmul(%0, %0) trans_b=1\n"
      "%4 = mul(%3, %1)\n%5 = add(%4, %2)\n%6 = softmax(%5) axis=3\n%7 = matmul(%6, %0)\noutput %7\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [2,3,3]\n%2 = constant f32 [2,1,1] {3,5}\n%3 = mul(%0, %2)\n"
      "%4 = attention(%3, %0, %0, %1) scale=1\noutput %4\n" },
    /* A factor of each key; one of each head that the mask has too. */
    { "attention",
      "%0 = input f32 [n,2,3,4]\n%1 = constant f32 [3] {3,5,7}\n%2 = matmul(%0, %0) trans_b=1\n%3 = mul(%2, %1)\n"
      "%4 = softmax(%3) axis=3\n%5 = matmul(%4, %0)\n%6 = constant f32 [2,1,1] {3,5}\n%7 = input f32 [2,3,3]\n"
      "%8 = matmul(%0, %0) trans_b=1\n%9 = add(%8, %7)\n%10 = mul(%9, %6)\n%11 = softmax(%10) axis=3\n%12 = matmul(%11, %0)\noutput %5\n"
      "output %12\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [2,3,3]\n%2 = matmul(%0, %0) trans_b=1\n%3 = constant f32 [3] {3,5,7}\n"
      "%4 = mul(%2, %3)\n%5 = softmax(%4) axis=3\n%6 = matmul(%5, %0)\n%7 = matmul(%0, %0) trans_b=1\n%8 = add(%7, %1)\n"
      "%9 = constant f32 [2,1,1] {3,5}\n%10 = mul(%8, %9)\n%11 = softmax(%10) axis=3\n%12 = matmul(%11, %0)\noutput %6\noutput %12\n" },

    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {1.4142135}\n%2 = div(%0, %1)\n%3 = erf(%2)\n%4 = constant f32 [] {1}\n"
      "%5 = add(%4, %3)\n%6 = mul(%0, %5)\n%7 = constant f32 [1] {0.5}\n%8 = mul(%6, %7)\noutput %8\n",
      "%0 = input f32 [n,4]\n%1 = gelu(%0)\noutput %1\n" },
    /* The number in another place, and x itself a product of a number. */
    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.5}\n%2 = mul(%0, %1)\n%3 = constant f32 [] {0.70710677}\n%4 = mul(%3, %2)\n"
      "%5 = erf(%4)\n%6 = mul(%5, %1)\n%7 = add(%6, %1)\n%8 = mul(%7, %2)\noutput %8\n",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.5}\n%2 = mul(%0, %1)\n%3 = gelu(%2)\noutput %3\n" },
    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {3}\n%2 = pow(%0, %1)\n%3 = constant f32 [] {0.044715}\n%4 = mul(%2, %3)\n"
      "%5 = add(%0, %4)\n%6 = constant f32 [] {0.7978846}\n%7 = mul(%5, %6)\n%8 = tanh(%7)\n%9 = constant f32 [] {1}\n"
      "%10 = add(%8, %9)\n%11 = constant f32 [] {0.5}\n%12 = mul(%0, %11)\n%13 = mul(%12, %10)\noutput %13\n",
      "%0 = input f32 [n,4]\n%1 = gelu_tanh(%0)\noutput %1\n" },
    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.044715}\n%2 = mul(%0, %1)\n%3 = mul(%2, %0)\n%4 = constant f32 [] {1}\n"
      "%5 = add(%3, %4)\n%6 = constant f32 [] {1.5957692}\n%7 = mul(%0, %6)\n%8 = mul(%7, %5)\n%9 = sigmoid(%8)\n%10 = mul(%0, %9)\n"
      "output %10\n",
      "%0 = input f32 [n,4]\n%1 = gelu_tanh(%0)\noutput %1\n" },
    /* Not quite: another number, another x. */
    { "gelu",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.7}\n%2 = mul(%0, %1)\n%3 = erf(%2)\n%4 = constant f32 [] {1}\n%5 = add(%3, %4)\n"
      "%6 = mul(%0, %5)\n%7 = constant f32 [] {0.5}\n%8 = mul(%6, %7)\n%9 = constant f32 [] {0.70710677}\n%10 = mul(%8, %9)\n"
      "%11 = erf(%10)\n%12 = add(%11, %4)\n%13 = mul(%12, %0)\n%14 = mul(%13, %7)\noutput %14\n",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.7}\n%2 = mul(%0, %1)\n%3 = erf(%2)\n%4 = constant f32 [] {1}\n%5 = add(%3, %4)\n"
      "%6 = mul(%0, %5)\n%7 = constant f32 [] {0.5}\n%8 = mul(%6, %7)\n%9 = constant f32 [] {0.70710677}\n%10 = mul(%8, %9)\n"
      "%11 = erf(%10)\n%12 = add(%11, %4)\n%13 = mul(%12, %0)\n%14 = mul(%13, %7)\noutput %14\n" },
    /* The other side of the distribution. */
    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {-0.70710677}\n%2 = mul(%0, %1)\n%3 = erf(%2)\n%4 = constant f32 [] {1}\n"
      "%5 = sub(%4, %3)\n%6 = mul(%0, %5)\n%7 = constant f32 [] {0.5}\n%8 = mul(%6, %7)\noutput %8\n",
      "%0 = input f32 [n,4]\n%1 = gelu(%0)\noutput %1\n" },
    { "swish,drop_dead",
      "%0 = input f32 [n,4]\n%1 = sigmoid(%0)\n%2 = mul(%1, %0)\n%3 = constant f32 [] {1.702}\n%4 = mul(%3, %2)\n%5 = sigmoid(%4)\n"
      "%6 = mul(%2, %5)\n%7 = neg(%6)\n%8 = exp(%7)\n%9 = constant f32 [] {1}\n%10 = add(%8, %9)\n%11 = reciprocal(%10)\n"
      "%12 = div(%9, %10)\n%13 = div(%6, %10)\noutput %11\noutput %12\noutput %13\n",
      "%0 = input f32 [n,4]\n%1 = swish(%0) p=1\n%2 = swish(%1) p=1.7020000219345093\n%3 = sigmoid(%2)\n%4 = sigmoid(%2)\n"
      "%5 = swish(%2) p=1\noutput %3\noutput %4\noutput %5\n" },
    /* A gate that is not x; integers have no sigmoid. */
    { "swish",
      "%0 = input f32 [n,4]\n%1 = input f32 [1,4]\n%2 = sigmoid(%1)\n%3 = mul(%0, %2)\n%4 = mul(%2, %3)\noutput %4\n",
      "%0 = input f32 [n,4]\n%1 = input f32 [1,4]\n%2 = sigmoid(%1)\n%3 = mul(%0, %2)\n%4 = mul(%2, %3)\noutput %4\n" },
    { "hard_swish,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {3}\n%2 = add(%0, %1)\n%3 = clip(%2) p=0 q=6\n%4 = constant f32 [] {6}\n"
      "%5 = div(%3, %4)\n%6 = mul(%0, %5)\n%7 = constant f32 [] {0.2}\n%8 = mul(%6, %7)\n%9 = constant f32 [] {0.5}\n"
      "%10 = add(%8, %9)\n%11 = clip(%10) p=0 q=1\n%12 = mul(%11, %6)\n%13 = add(%12, %1)\n%14 = clip(%13) p=0 q=6\n"
      "%15 = mul(%12, %14)\n%16 = div(%15, %4)\noutput %16\n",
      "%0 = input f32 [n,4]\n%1 = hard_swish(%0)\n%2 = hard_sigmoid(%1) p=0.20000000298023224 q=0.5\n%3 = mul(%2, %1)\n"
      "%4 = hard_swish(%3)\noutput %4\n" },
    { "clip,constants_last,drop_dead",
      "%0 = input f32 [n,4]\n%1 = relu(%0)\n%2 = constant f32 [] {6}\n%3 = min(%1, %2)\n%4 = neg(%3)\n%5 = constant f32 [] {-inf}\n"
      "%6 = max(%5, %4)\n%7 = constant f32 [] {0}\n%8 = max(%6, %7)\n%9 = exp(%8)\n%10 = clip(%9) p=2 q=5\n%11 = clip(%10) p=6 q=7\n"
      "%12 = relu(%9)\n%13 = relu(%12)\noutput %11\noutput %13\n",
      "%0 = input f32 [n,4]\n%1 = clip(%0) q=6\n%2 = neg(%1)\n%3 = relu(%2)\n%4 = exp(%3)\n%5 = clip(%4) p=6 q=6\n%6 = relu(%4)\n"
      "output %5\noutput %6\n" },
    /* A limit per element, integers, a limit that makes the result larger. */
    { "clip",
      "%0 = input f32 [n,1]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = max(%0, %1)\n%3 = input i32 [n]\n%4 = constant i32 [] {3}\n"
      "%5 = min(%3, %4)\n%6 = constant f32 [4] {1,1,1,1}\n%7 = min(%0, %6)\noutput %2\noutput %5\noutput %7\n",
      "%0 = input f32 [n,1]\n%1 = input i32 [n]\n%2 = constant f32 [4] {1,2,3,4}\n%3 = max(%0, %2)\n%4 = constant i32 [] {3}\n"
      "%5 = min(%1, %4)\n%6 = constant f32 [4] {1,1,1,1}\n%7 = min(%0, %6)\noutput %3\noutput %5\noutput %7\n" },
    { "leaky_relu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.25}\n%2 = mul(%0, %1)\n%3 = max(%0, %2)\n%4 = constant f32 [4] {-2,-2,-2,-2}\n"
      "%5 = prelu(%3, %4)\n%6 = constant f32 [] {0}\n%7 = greater(%5, %6)\n%8 = mul(%5, %1)\n%9 = where(%7, %5, %8)\n%10 = relu(%9)\n"
      "%11 = neg(%9)\n%12 = relu(%11)\n%13 = mul(%12, %1)\n%14 = sub(%10, %13)\n%15 = greater(%14, %6)\n%16 = exp(%14)\n"
      "%17 = constant f32 [] {1}\n%18 = sub(%16, %17)\n%19 = where(%15, %14, %18)\noutput %19\n",
      "%0 = input f32 [n,4]\n%1 = leaky_relu(%0) p=0.25\n%2 = leaky_relu(%1) p=-2\n%3 = leaky_relu(%2) p=0.25\n"
      "%4 = leaky_relu(%3) p=0.25\n%5 = elu(%4) p=1\noutput %5\n" },
    /* A slope above 1: the other way round. */
    { "leaky_relu",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {4}\n%2 = mul(%0, %1)\n%3 = max(%0, %2)\noutput %3\n",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {4}\n%2 = mul(%0, %1)\n%3 = max(%0, %2)\noutput %3\n" },
    { "leaky_relu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0}\n%2 = greater(%0, %1)\n%3 = where(%2, %0, %1)\noutput %3\n",
      "%0 = input f32 [n,4]\n%1 = relu(%0)\noutput %1\n" },
    { "softplus,drop_dead",
      "%0 = input f32 [n,4]\n%1 = exp(%0)\n%2 = constant f32 [] {1}\n%3 = add(%1, %2)\n%4 = log(%3)\n%5 = tanh(%4)\n%6 = mul(%0, %5)\n"
      "%7 = abs(%6)\n%8 = add(%7, %2)\n%9 = div(%6, %8)\noutput %9\n",
      "%0 = input f32 [n,4]\n%1 = mish(%0)\n%2 = softsign(%1)\noutput %2\n" },
    { "softplus",
      "%0 = input f32 [n,4]\n%1 = exp(%0)\n%2 = constant f32 [] {2}\n%3 = add(%1, %2)\n%4 = log(%3)\noutput %4\n",
      "%0 = input f32 [n,4]\n%1 = exp(%0)\n%2 = constant f32 [] {2}\n%3 = add(%1, %2)\n%4 = log(%3)\noutput %4\n" },
    { "simplify_arithmetic,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {2}\n%2 = pow(%0, %1)\n%3 = constant f32 [] {0.5}\n%4 = pow(%2, %3)\n"
      "%5 = constant f32 [] {-0.5}\n%6 = pow(%4, %5)\n%7 = constant f32 [] {-1}\n%8 = pow(%6, %7)\n%9 = constant f32 [] {1}\n"
      "%10 = sqrt(%8)\n%11 = div(%9, %10)\n%12 = reciprocal(%10)\n%13 = div(%9, %12)\n%14 = add(%11, %13)\noutput %14\n",
      "%0 = input f32 [n,4]\n%1 = mul(%0, %0)\n%2 = sqrt(%1)\n%3 = rsqrt(%2)\n%4 = reciprocal(%3)\n%5 = rsqrt(%4)\n"
      "%6 = reciprocal(%5)\n%7 = rsqrt(%4)\n%8 = add(%7, %6)\noutput %8\n" },
    { "simplify_arithmetic,drop_dead",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,4]\n%2 = constant f32 [] {8}\n%3 = div(%0, %2)\n%4 = constant f32 [4] {1,2,3,4}\n"
      "%5 = sub(%3, %4)\n%6 = neg(%1)\n%7 = add(%6, %5)\n%8 = sub(%7, %6)\n%9 = constant f32 [] {-1}\n%10 = mul(%8, %9)\n"
      "%11 = constant f32 [] {3}\n%12 = div(%10, %11)\noutput %12\n",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,4]\n%2 = constant f32 [] {0.125}\n%3 = mul(%0, %2)\n"
      "%4 = constant f32 [4] {-1,-2,-3,-4}\n%5 = add(%3, %4)\n%6 = sub(%5, %1)\n%7 = add(%6, %1)\n%8 = neg(%7)\n"
      "%9 = constant f32 [] {3}\n%10 = div(%8, %9)\noutput %10\n" },
    { "simplify_arithmetic,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = mul(%0, %1)\n%3 = constant f32 [] {5}\n%4 = mul(%2, %3)\n"
      "%5 = add(%4, %3)\n%6 = add(%5, %1)\n%7 = mul(%6, %1)\n%8 = mul(%7, %1)\n%9 = input bool [n,4]\n%10 = not(%9)\n"
      "%11 = where(%10, %8, %0)\noutput %11\n",
      "%0 = input f32 [n,4]\n%1 = input bool [n,4]\n%2 = constant f32 [4] {5,10,15,20}\n%3 = mul(%0, %2)\n"
      "%4 = constant f32 [4] {6,7,8,9}\n%5 = add(%3, %4)\n%6 = constant f32 [4] {1,2,3,4}\n%7 = mul(%5, %6)\n%8 = mul(%7, %6)\n"
      "%9 = where(%1, %0, %8)\noutput %9\n" },
    /* Integers, quotients that would round, and a product that is read twice. */
    { "simplify_arithmetic",
      "%0 = input i32 [4]\n%1 = constant i32 [] {2}\n%2 = div(%0, %1)\n%3 = input f32 [4]\n%4 = constant f32 [] {3}\n%5 = div(%3, %4)\n"
      "%6 = mul(%5, %4)\n%7 = mul(%6, %4)\noutput %2\noutput %6\noutput %7\n",
      "%0 = input i32 [4]\n%1 = input f32 [4]\n%2 = constant i32 [] {2}\n%3 = div(%0, %2)\n%4 = constant f32 [] {3}\n%5 = div(%1, %4)\n"
      "%6 = mul(%5, %4)\n%7 = mul(%6, %4)\noutput %3\noutput %6\noutput %7\n" },
    { "simplify_arithmetic,drop_dead",
      "%0 = input f32 [n,4]\n%1 = abs(%0)\n%2 = mul(%1, %1)\n%3 = neg(%2)\n%4 = mul(%3, %3)\n%5 = mul(%1, %2)\noutput %4\noutput %5\n",
      "%0 = input f32 [n,4]\n%1 = abs(%0)\n%2 = mul(%0, %0)\n%3 = mul(%1, %2)\n%4 = mul(%2, %2)\noutput %4\noutput %3\n" },
    { "merge_casts,drop_dead",
      "%0 = input f16 [n]\n%1 = cast(%0) dtype=f32\n%2 = cast(%1) dtype=f16\n%3 = neg(%2)\n%4 = cast(%3) dtype=f32\n"
      "%5 = cast(%4) dtype=i32\n%6 = cast(%5) dtype=i64\n%7 = cast(%6) dtype=f32\noutput %7\n",
      "%0 = input f16 [n]\n%1 = neg(%0)\n%2 = cast(%1) dtype=i32\n%3 = cast(%2) dtype=f32\noutput %3\n" },
    /* What is in between holds less. */
    { "merge_casts",
      "%0 = input f32 [n]\n%1 = cast(%0) dtype=i32\n%2 = cast(%1) dtype=f16\n%3 = cast(%2) dtype=f32\n%4 = cast(%3) dtype=bf16\n"
      "%5 = cast(%4) dtype=f16\noutput %5\n",
      "%0 = input f32 [n]\n%1 = cast(%0) dtype=i32\n%2 = cast(%1) dtype=f16\n%3 = cast(%2) dtype=f32\n%4 = cast(%2) dtype=bf16\n"
      "%5 = cast(%4) dtype=f16\noutput %5\n" },
    { "keep_reduced,drop_dead",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[0,2]\n%2 = reshape(%1) shape=[1,4,1]\n%3 = reshape(%1) shape=[2,2]\n"
      "output %2\noutput %3\n",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[0,2]\n%2 = reshape(%1) shape=[2,2]\n"
      "%3 = reduce(%0) mode=max axes=[0,2] keepdims=1\noutput %3\noutput %2\n" },
    { "merge_reductions,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[3] keepdims=1\n%2 = reduce(%1) mode=mean axes=[2] keepdims=1\n"
      "%3 = reduce(%0) mode=max axes=[1]\n%4 = reduce(%3) mode=max axes=[0,2]\noutput %2\noutput %4\n",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[2,3] keepdims=1\n%2 = reduce(%0) mode=max axes=[0,1,3]\noutput %1\n"
      "output %2\n" },
    /* Integers round each time. */
    { "merge_reductions",
      "%0 = input i32 [n,2,3]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = reduce(%1) mode=mean axes=[1] keepdims=1\noutput %2\n",
      "%0 = input i32 [n,2,3]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = reduce(%1) mode=mean axes=[1] keepdims=1\noutput %2\n" },
    /* Of different kinds, read twice, dims kept by one alone. */
    { "merge_reductions",
      "%0 = input f32 [n,2,3]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = reduce(%1) mode=max axes=[1] keepdims=1\n"
      "%3 = reduce(%0) mode=sum axes=[2] keepdims=1\n%4 = reduce(%3) mode=sum axes=[1] keepdims=1\n"
      "%5 = reduce(%0) mode=min axes=[2] keepdims=1\n%6 = reduce(%5) mode=min axes=[1]\noutput %2\noutput %3\noutput %4\noutput %6\n",
      "%0 = input f32 [n,2,3]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = reduce(%1) mode=max axes=[1] keepdims=1\n"
      "%3 = reduce(%0) axes=[2] keepdims=1\n%4 = reduce(%3) axes=[1] keepdims=1\n%5 = reduce(%0) mode=min axes=[2] keepdims=1\n"
      "%6 = reduce(%5) mode=min axes=[1]\noutput %2\noutput %3\noutput %4\noutput %6\n" },
    { "reduce_first,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = transpose(%0) perm=[0,3,1,2]\n%2 = reduce(%1) mode=mean axes=[2,3]\n"
      "%3 = transpose(%0) perm=[3,2,1,0]\n%4 = reduce(%3) mode=max axes=[1]\n%5 = transpose(%0) perm=[0,2,3,1]\n"
      "%6 = reduce(%5) mode=sum axes=[1,2] keepdims=1\noutput %2\noutput %4\noutput %6\n",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[1,2]\n%2 = reduce(%0) mode=max axes=[2]\n"
      "%3 = transpose(%2) perm=[2,1,0]\n%4 = reduce(%0) axes=[2,3] keepdims=1\n%5 = transpose(%4) perm=[0,2,3,1]\noutput %1\noutput %3\n"
      "output %5\n" },
    { "merge_slices,drop_dead",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[2] starts=[0] ends=[8] steps=[2]\n"
      "%2 = slice(%1) axes=[1] starts=[1] ends=[5] steps=[1]\n%3 = slice(%1) axes=[1] starts=[0] ends=[6] steps=[2]\noutput %2\n"
      "output %3\n",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[1,2] starts=[1,0] ends=[5,8] steps=[1,2]\n"
      "%2 = slice(%0) axes=[1,2] starts=[0,0] ends=[6,8] steps=[2,2]\noutput %1\noutput %2\n" },
    /* Along the same dim; read whole. */
    { "merge_slices",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[2] starts=[0] ends=[8] steps=[2]\n"
      "%2 = slice(%1) axes=[2] starts=[1] ends=[3] steps=[1]\n%3 = slice(%0) axes=[1] starts=[0] ends=[6] steps=[2]\n"
      "%4 = slice(%3) axes=[2] starts=[1] ends=[3] steps=[1]\n%5 = neg(%3)\noutput %2\noutput %4\noutput %5\n",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[2] starts=[0] ends=[8] steps=[2]\n"
      "%2 = slice(%1) axes=[2] starts=[1] ends=[3] steps=[1]\n%3 = slice(%0) axes=[1] starts=[0] ends=[6] steps=[2]\n"
      "%4 = slice(%3) axes=[2] starts=[1] ends=[3] steps=[1]\n%5 = neg(%3)\noutput %2\noutput %4\noutput %5\n" },
    { "softmax,drop_dead",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%3) mode=sum axes=[1] keepdims=1\n%5 = div(%3, %4)\n%6 = exp(%5)\n%7 = reduce(%6) mode=sum axes=[2] keepdims=1\n"
      "%8 = reciprocal(%7)\n%9 = mul(%6, %8)\n%10 = log(%9)\noutput %10\n",
      "%0 = input f32 [n,4,3]\n%1 = softmax(%0) axis=1\n%2 = log_softmax(%1) axis=2\noutput %2\n" },
    /* The sum of another axis than the maximum, and a sum that is read twice. */
    { "softmax",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%3) mode=sum axes=[1] keepdims=1\n%5 = div(%3, %4)\n%6 = exp(%5)\n%7 = reduce(%6) mode=sum axes=[2] keepdims=1\n"
      "%8 = div(%6, %7)\noutput %8\noutput %7\n",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%3) axes=[1] keepdims=1\n%5 = softmax(%2) axis=1\n%6 = exp(%5)\n%7 = reduce(%6) axes=[2] keepdims=1\n"
      "%8 = div(%6, %7)\noutput %8\noutput %7\n" },
    /* By a reduction that takes the logarithm, and that takes the exponential too. */
    { "softmax,drop_dead",
      "%0 = input f32 [n,4]\n%1 = reduce(%0) mode=log_sum_exp axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n%4 = exp(%3)\n"
      "%5 = reduce(%4) mode=log_sum axes=[1] keepdims=1\n%6 = sub(%3, %5)\n%7 = reduce(%6) mode=max axes=[1] keepdims=1\n"
      "%8 = sub(%6, %7)\n%9 = exp(%8)\n%10 = reduce(%9) mode=log_sum axes=[1] keepdims=1\n%11 = sub(%8, %10)\noutput %11\n",
      "%0 = input f32 [n,4]\n%1 = softmax(%0) axis=1\n%2 = log_softmax(%1) axis=1\n%3 = log_softmax(%2) axis=1\noutput %3\n" },
    /* The greatest is added again. */
    { "softmax,drop_dead",
      "%0 = input f32 [n,4]\n%1 = reduce(%0) mode=max axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%3) mode=log_sum axes=[1] keepdims=1\n%5 = add(%4, %1)\n%6 = sub(%0, %5)\noutput %6\n",
      "%0 = input f32 [n,4]\n%1 = log_softmax(%0) axis=1\noutput %1\n" },
    /* Greatest along another dim, or two of them; a sum without the exponential. */
    { "softmax",
      "%0 = input f32 [3,4]\n%1 = reduce(%0) mode=max axes=[0] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%0) mode=max axes=[1] keepdims=1\n%5 = sub(%0, %4)\n%6 = exp(%5)\n%7 = reduce(%6) mode=sum axes=[1] keepdims=1\n"
      "%8 = div(%3, %7)\n%9 = exp(%0)\n%10 = reduce(%9) mode=log_sum axes=[1] keepdims=1\n%11 = sub(%9, %10)\noutput %8\noutput %11\n",
      "%0 = input f32 [3,4]\n%1 = reduce(%0) mode=max axes=[0] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%0) mode=max axes=[1] keepdims=1\n%5 = sub(%0, %4)\n%6 = exp(%5)\n%7 = reduce(%6) axes=[1] keepdims=1\n"
      "%8 = div(%3, %7)\n%9 = exp(%0)\n%10 = reduce(%9) mode=log_sum axes=[1] keepdims=1\n%11 = sub(%9, %10)\noutput %8\noutput %11\n" },
    { "layer_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[2] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n%8 = div(%2, %7)\n"
      "%9 = constant f32 [4] {1,2,3,4}\n%10 = mul(%8, %9)\n%11 = constant f32 [1,1,4] {5,6,7,8}\n%12 = add(%10, %11)\noutput %12\n",
      "%0 = input f32 [n,3,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = constant f32 [4] {5,6,7,8}\n"
      "%3 = layer_norm(%0, %1, %2) axis=2 epsilon=0.0010000000474974513\noutput %3\n" },
    /* As in TensorFlow: the scale meets the reciprocal root first. */
    { "layer_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[2] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = rsqrt(%6)\n"
      "%8 = constant f32 [4] {1,2,3,4}\n%9 = mul(%7, %8)\n%10 = mul(%0, %9)\n%11 = mul(%1, %9)\n%12 = constant f32 [4] {5,6,7,8}\n"
      "%13 = sub(%12, %11)\n%14 = add(%10, %13)\noutput %14\n",
      "%0 = input f32 [n,3,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = constant f32 [4] {5,6,7,8}\n"
      "%3 = layer_norm(%0, %1, %2) axis=2 epsilon=0.0010000000474974513\noutput %3\n" },
    /* Over the spatial dims, by the mean of squares. */
    { "layer_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[3,2] keepdims=1\n%2 = mul(%0, %0)\n"
      "%3 = reduce(%2) mode=mean axes=[2,3] keepdims=1\n%4 = mul(%1, %1)\n%5 = sub(%3, %4)\n%6 = constant f32 [] {0.001}\n"
      "%7 = add(%5, %6)\n%8 = rsqrt(%7)\n%9 = sub(%0, %1)\n%10 = mul(%9, %8)\n%11 = constant f32 [2,1,1] {2,3}\n%12 = mul(%10, %11)\n"
      "output %12\n",
      "%0 = input f32 [n,2,3,4]\n%1 = constant f32 [2] {2,3}\n%2 = constant f32 [2] {0,0}\n"
      "%3 = instance_norm(%0, %1, %2) epsilon=0.0010000000474974513\noutput %3\n" },
    /* The mean is read by others; the dims in the middle; squares of something else. */
    { "layer_norm",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[2] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n%8 = div(%2, %7)\n"
      "output %8\noutput %1\n",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[2] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n%8 = div(%2, %7)\n"
      "output %8\noutput %1\n" },
    { "layer_norm",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[1] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n%8 = div(%2, %7)\n"
      "output %8\n",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[1] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n%8 = div(%2, %7)\n"
      "output %8\n" },
    /* Scaled before the quotient; mean - x squared; what is an rms_norm already. */
    { "layer_norm,drop_dead",
      "%0 = input f32 [n,4]\n%1 = reduce(%0) mode=mean axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[1] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n"
      "%8 = constant f32 [4] {1,2,3,4}\n%9 = mul(%8, %2)\n%10 = div(%9, %7)\n%11 = reduce(%10) mode=mean axes=[1] keepdims=1\n"
      "%12 = sub(%11, %10)\n%13 = mul(%12, %12)\n%14 = reduce(%13) mode=mean axes=[1] keepdims=1\n%15 = add(%14, %5)\n%16 = sqrt(%15)\n"
      "%17 = sub(%10, %11)\n%18 = div(%17, %16)\n%19 = reduce(%18) mode=mean axes=[1] keepdims=1\n%20 = sub(%18, %19)\n"
      "%21 = rms_norm(%20, %8) axis=1 epsilon=0.001\noutput %21\n",
      "%0 = input f32 [n,4]\n%1 = constant f32 [4] {1,1,1,1}\n%2 = layer_norm(%0, %1) axis=1 epsilon=0.0010000000474974513\n"
      "%3 = constant f32 [4] {1,2,3,4}\n%4 = mul(%2, %3)\n%5 = constant f32 [4] {1,1,1,1}\n"
      "%6 = layer_norm(%4, %5) axis=1 epsilon=0.0010000000474974513\n%7 = layer_norm(%6, %3) axis=1 epsilon=0.001\noutput %7\n" },
    /* The mean of another dim, or read elsewhere. */
    { "layer_norm",
      "%0 = input f32 [3,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = reduce(%0) mode=mean axes=[0] keepdims=1\n%3 = sub(%0, %2)\n"
      "%4 = rms_norm(%3, %1) axis=1 epsilon=0.001\n%5 = reduce(%0) mode=mean axes=[1] keepdims=1\n%6 = sub(%0, %5)\n"
      "%7 = rms_norm(%6, %1) axis=1 epsilon=0.001\noutput %4\noutput %5\noutput %7\n",
      "%0 = input f32 [3,4]\n%1 = reduce(%0) mode=mean axes=[0] keepdims=1\n%2 = sub(%0, %1)\n%3 = constant f32 [4] {1,2,3,4}\n"
      "%4 = rms_norm(%2, %3) axis=1 epsilon=0.001\n%5 = reduce(%0) mode=mean axes=[1] keepdims=1\n%6 = sub(%0, %5)\n"
      "%7 = rms_norm(%6, %3) axis=1 epsilon=0.001\noutput %4\noutput %5\noutput %7\n" },
    { "rms_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,3,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=mean axes=[2] keepdims=1\n%3 = constant f32 [] {0.001}\n"
      "%4 = add(%2, %3)\n%5 = rsqrt(%4)\n%6 = mul(%0, %5)\n%7 = constant f32 [4] {1,2,3,4}\n%8 = mul(%6, %7)\noutput %8\n",
      "%0 = input f32 [n,3,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = rms_norm(%0, %1) axis=2 epsilon=0.0010000000474974513\noutput %2\n" },
    /* A scale that is no constant, on the root's side. */
    { "rms_norm,drop_dead",
      "%0 = input f32 [n,3,4]\n%1 = input f32 [4]\n%2 = mul(%0, %0)\n%3 = reduce(%2) mode=mean axes=[2] keepdims=1\n"
      "%4 = constant f32 [] {0.001}\n%5 = add(%3, %4)\n%6 = rsqrt(%5)\n%7 = mul(%6, %1)\n%8 = mul(%0, %7)\noutput %8\n",
      "%0 = input f32 [n,3,4]\n%1 = input f32 [4]\n%2 = constant f32 [4] {1,1,1,1}\n"
      "%3 = rms_norm(%0, %2) axis=2 epsilon=0.0010000000474974513\n%4 = mul(%3, %1)\noutput %4\n" },
    /* A sum is no mean. */
    { "rms_norm",
      "%0 = input f32 [n,3,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=sum axes=[2] keepdims=1\n%3 = constant f32 [] {0.001}\n"
      "%4 = add(%2, %3)\n%5 = rsqrt(%4)\n%6 = mul(%0, %5)\noutput %6\n",
      "%0 = input f32 [n,3,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) axes=[2] keepdims=1\n%3 = constant f32 [] {0.001}\n%4 = add(%2, %3)\n"
      "%5 = rsqrt(%4)\n%6 = mul(%0, %5)\noutput %6\n" },
    { "group_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,4,2,3]\n%1 = reshape(%0) shape=[n,2,-1]\n%2 = constant f32 [2] {1,2}\n%3 = constant f32 [2] {0,1}\n"
      "%4 = instance_norm(%1, %2, %3) epsilon=0.001\n%5 = reshape(%4) shape=[n,4,2,3]\n%6 = constant f32 [4,1,1] {1,2,3,4}\n"
      "%7 = mul(%5, %6)\n%8 = constant f32 [1,4,1,1] {5,6,7,8}\n%9 = add(%7, %8)\noutput %9\n",
      "%0 = input f32 [n,4,2,3]\n%1 = constant f32 [4] {1,2,6,8}\n%2 = constant f32 [4] {5,6,10,12}\n"
      "%3 = group_norm(%0, %1, %2) groups=2 epsilon=0.001\noutput %3\n" },
    { "group_norm,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = reshape(%0) shape=[n,2,2,6]\n%2 = constant f32 [2,6] {1,1,1,1,1,1,1,1,1,1,1,1}\n"
      "%3 = layer_norm(%1, %2) axis=2 epsilon=0.001\n%4 = reshape(%3) shape=[n,4,6]\noutput %4\n",
      "%0 = input f32 [n,4,6]\n%1 = constant f32 [4] {1,1,1,1}\n%2 = constant f32 [4] {0,0,0,0}\n"
      "%3 = group_norm(%0, %1, %2) groups=2 epsilon=0.001\noutput %3\n" },
    /* Groups that are not split channels; a layer norm with a scale of its own. */
    { "group_norm",
      "%0 = input f32 [4,4,6]\n%1 = reshape(%0) shape=[2,2,24]\n%2 = constant f32 [2] {1,1}\n%3 = constant f32 [2] {0,0}\n"
      "%4 = instance_norm(%1, %2, %3) epsilon=0.001\n%5 = reshape(%4) shape=[4,4,6]\noutput %5\n",
      "%0 = input f32 [4,4,6]\n%1 = reshape(%0) shape=[2,2,24]\n%2 = constant f32 [2] {1,1}\n%3 = constant f32 [2] {0,0}\n"
      "%4 = instance_norm(%1, %2, %3) epsilon=0.001\n%5 = reshape(%4) shape=[4,4,6]\noutput %5\n" },
    /* A constant along another dim, one that is added behind the root mean square, a norm that is read twice. */
    { "norm_affine",
      "%0 = input f32 [n,4,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = layer_norm(%0, %1) axis=2 epsilon=0.001\n"
      "%3 = constant f32 [4,1] {1,2,3,4}\n%4 = mul(%2, %3)\n%5 = rms_norm(%4, %1) axis=2 epsilon=0.001\n%6 = add(%5, %1)\n"
      "%7 = layer_norm(%6, %1) axis=2 epsilon=0.001\n%8 = add(%7, %1)\n%9 = mul(%7, %8)\noutput %9\n",
      "%0 = input f32 [n,4,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = layer_norm(%0, %1) axis=2 epsilon=0.001\n"
      "%3 = constant f32 [4,1] {1,2,3,4}\n%4 = mul(%2, %3)\n%5 = rms_norm(%4, %1) axis=2 epsilon=0.001\n%6 = add(%5, %1)\n"
      "%7 = layer_norm(%6, %1) axis=2 epsilon=0.001\n%8 = add(%7, %1)\n%9 = mul(%7, %8)\noutput %9\n" },
    { "narrow_norm,drop_dead",
      "%0 = input f16 [n,4]\n%1 = cast(%0) dtype=f32\n%2 = constant f32 [4] {1,2,3,4}\n%3 = rms_norm(%1, %2) axis=1 epsilon=0.001\n"
      "%4 = cast(%3) dtype=f16\n%5 = cast(%4) dtype=f32\n%6 = softmax(%5) axis=1\n%7 = cast(%6) dtype=f16\noutput %7\n",
      "%0 = input f16 [n,4]\n%1 = constant f16 [4] {1,2,3,4}\n%2 = rms_norm(%0, %1) axis=1 epsilon=0.001\n%3 = softmax(%2) axis=1\n"
      "output %3\n" },
    /* A scale that the narrow type does not hold; a result that is wanted in FP32; another type in front. */
    { "narrow_norm",
      "%0 = input f16 [n,4]\n%1 = cast(%0) dtype=f32\n%2 = constant f32 [4] {1,2,3,4.0001}\n"
      "%3 = rms_norm(%1, %2) axis=1 epsilon=0.001\n%4 = cast(%3) dtype=f16\n%5 = softmax(%1) axis=1\n%6 = cast(%5) dtype=f16\n"
      "%7 = softmax(%1) axis=1\n%8 = cast(%7) dtype=bf16\noutput %4\noutput %5\noutput %6\noutput %8\n",
      "%0 = input f16 [n,4]\n%1 = cast(%0) dtype=f32\n%2 = constant f32 [4] {1,2,3,4.0001}\n"
      "%3 = rms_norm(%1, %2) axis=1 epsilon=0.001\n%4 = cast(%3) dtype=f16\n%5 = softmax(%1) axis=1\n%6 = cast(%5) dtype=f16\n"
      "%7 = softmax(%1) axis=1\n%8 = cast(%7) dtype=bf16\noutput %4\noutput %5\noutput %6\noutput %8\n" },
    { "merge_reduce,drop_dead",
      "%0 = input f32 [n,4,3]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=sum axes=[1] keepdims=1\n%3 = sqrt(%2)\n%4 = abs(%0)\n"
      "%5 = reduce(%4) mode=sum axes=[2]\n%6 = exp(%0)\n%7 = reduce(%6) mode=sum axes=[0]\n%8 = log(%7)\n"
      "%9 = reduce(%0) mode=sum axes=[1,2]\n%10 = constant f32 [] {0.083333336}\n%11 = mul(%9, %10)\noutput %3\noutput %5\noutput %8\n"
      "output %11\n",
      "%0 = input f32 [n,4,3]\n%1 = exp(%0)\n%2 = reduce(%0) mode=l2 axes=[1] keepdims=1\n%3 = reduce(%0) mode=l1 axes=[2]\n"
      "%4 = reduce(%1) mode=log_sum axes=[0]\n%5 = reduce(%0) mode=mean axes=[1,2]\noutput %2\noutput %3\noutput %4\noutput %5\n" },
    /* Squares that are read twice, and a share of a number of elements that is not known. */
    { "merge_reduce",
      "%0 = input f32 [n,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=sum axes=[1]\n%3 = reduce(%0) mode=sum axes=[0]\n"
      "%4 = constant f32 [] {0.25}\n%5 = mul(%3, %4)\noutput %1\noutput %2\noutput %5\n",
      "%0 = input f32 [n,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) axes=[1]\n%3 = reduce(%0) axes=[0]\n%4 = constant f32 [] {0.25}\n"
      "%5 = mul(%3, %4)\noutput %1\noutput %2\noutput %5\n" },
    { "merge_reduce,drop_dead",
      "%0 = input f32 [n,4]\n%1 = reduce(%0) mode=sum_square axes=[1] keepdims=1\n%2 = constant f32 [] {4}\n%3 = div(%1, %2)\n"
      "output %3\n",
      "%0 = input f32 [n,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=mean axes=[1] keepdims=1\noutput %2\n" },

    { "transpose_to_reshape,drop_dead",
      "%0 = input f32 [n,1,4,1]\n%1 = transpose(%0) perm=[1,0,3,2]\n%2 = transpose(%0) perm=[2,1,0,3]\noutput %1\noutput %2\n",
      "%0 = input f32 [n,1,4,1]\n%1 = transpose(%0) perm=[2,1,0,3]\n%2 = reshape(%0) shape=[1,n,1,4]\noutput %2\noutput %1\n" },
    /* Dims that are split, joined where they lie side by side, and gained or lost. */
    { "reshape_first,drop_dead",
      "%0 = input f32 [n,6,8]\n%1 = transpose(%0) perm=[2,1,0]\n%2 = reshape(%1) shape=[4,2,1,6,n]\n%3 = transpose(%0) perm=[0,2,1]\n"
      "%4 = reshape(%3) shape=[n,8,2,3]\n%5 = transpose(%4) perm=[2,3,0,1]\n%6 = reshape(%5) shape=[6,n,8]\noutput %2\noutput %6\n",
      "%0 = input f32 [n,6,8]\n%1 = reshape(%0) shape=[n,6,4,2,1]\n%2 = transpose(%1) perm=[2,3,4,1,0]\n"
      "%3 = reshape(%0) shape=[n,2,3,8]\n%4 = reshape(%3) shape=[n,6,8]\n%5 = transpose(%4) perm=[0,2,1]\n"
      "%6 = transpose(%5) perm=[2,0,1]\noutput %2\noutput %6\n" },
    { "reshape_first,drop_dead",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[1] starts=[1] ends=[4] steps=[1]\n%2 = reshape(%1) shape=[n,1,3,2,4]\n"
      "%3 = slice(%0) axes=[1] starts=[1] ends=[4] steps=[2]\n%4 = reshape(%3) shape=[n,16]\noutput %2\noutput %4\n",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[1] starts=[1] ends=[4] steps=[2]\n%2 = reshape(%1) shape=[n,16]\n"
      "%3 = reshape(%0) shape=[n,1,6,2,4]\n%4 = slice(%3) axes=[2] starts=[1] ends=[4] steps=[1]\noutput %4\noutput %2\n" },
    /* Joined from afar; read twice. */
    { "reshape_first",
      "%0 = input f32 [n,6,8]\n%1 = transpose(%0) perm=[0,2,1]\n%2 = reshape(%1) shape=[n,48]\n%3 = transpose(%0) perm=[2,1,0]\n"
      "%4 = reshape(%3) shape=[8,6,n,1]\noutput %2\noutput %3\noutput %4\n",
      "%0 = input f32 [n,6,8]\n%1 = transpose(%0) perm=[0,2,1]\n%2 = reshape(%1) shape=[n,48]\n%3 = transpose(%0) perm=[2,1,0]\n"
      "%4 = reshape(%3) shape=[8,6,n,1]\noutput %2\noutput %3\noutput %4\n" },
    { "split_to_slices,drop_dead",
      "%0 = input f32 [n,7]\n%1:3 = split(%0) axis=1\n%4 = neg(%1)\n%5:2 = split(%0) axis=1 sizes=[2,5]\noutput %4\noutput %3\n"
      "output %6\n",
      "%0 = input f32 [n,7]\n%1 = slice(%0) axes=[1] starts=[0] ends=[3] steps=[1]\n%2 = neg(%1)\n"
      "%3 = slice(%0) axes=[1] starts=[6] ends=[7] steps=[1]\n%4 = slice(%0) axes=[1] starts=[2] ends=[7] steps=[1]\noutput %2\n"
      "output %3\noutput %4\n" },
    { "slice_first,drop_identity,drop_dead",
      "%0 = input f32 [n,8,3]\n%1 = slice(%0) axes=[1] starts=[2] ends=[-1] steps=[1]\n"
      "%2 = slice(%1) axes=[1] starts=[1] ends=[281474976710656] steps=[1]\n%3 = concat(%2, %0) axis=1\n"
      "%4 = slice(%3) axes=[1] starts=[0] ends=[4] steps=[1]\n%5 = slice(%3) axes=[1] starts=[5] ends=[7] steps=[1]\n%6 = neg(%4)\n"
      "output %6\noutput %5\n",
      "%0 = input f32 [n,8,3]\n%1 = slice(%0) axes=[1] starts=[3] ends=[7] steps=[1]\n%2 = neg(%1)\n"
      "%3 = slice(%0) axes=[1] starts=[1] ends=[3] steps=[1]\noutput %2\noutput %3\n" },
    { "slice_first,drop_dead",
      "%0 = input f32 [n,12]\n%1 = reshape(%0) shape=[n,3,4]\n%2 = slice(%1) axes=[1] starts=[1] ends=[2] steps=[1]\n"
      "%3 = transpose(%1) perm=[1,0,2]\n%4 = slice(%3) axes=[0] starts=[2] ends=[3] steps=[1]\noutput %2\noutput %4\n",
      "%0 = input f32 [n,12]\n%1 = slice(%0) axes=[1] starts=[4] ends=[8] steps=[1]\n%2 = reshape(%1) shape=[n,1,4]\n"
      "%3 = slice(%0) axes=[1] starts=[8] ends=[12] steps=[1]\n%4 = reshape(%3) shape=[n,1,4]\n%5 = transpose(%4) perm=[1,0,2]\n"
      "output %2\noutput %5\n" },
    /* Over the border of two parts, pieces apart, past a dim that stays, steps, and what others read whole. */
    { "slice_first",
      "%0 = input f32 [n,12]\n%1 = concat(%0, %0) axis=1\n%2 = slice(%1) axes=[1] starts=[10] ends=[14] steps=[1]\n"
      "%3 = reshape(%0) shape=[n,3,4]\n%4 = slice(%3) axes=[2] starts=[1] ends=[2] steps=[1]\n%5 = reshape(%0) shape=[n,1,12]\n"
      "%6 = slice(%5) axes=[2] starts=[1] ends=[2] steps=[1]\n%7 = transpose(%0) perm=[1,0]\n"
      "%8 = slice(%7) axes=[0] starts=[1] ends=[2] steps=[1]\n%9 = slice(%0) axes=[1] starts=[0] ends=[12] steps=[2]\n"
      "%10 = slice(%9) axes=[1] starts=[1] ends=[3] steps=[1]\noutput %2\noutput %4\noutput %6\noutput %7\noutput %8\noutput %10\n",
      "%0 = input f32 [n,12]\n%1 = concat(%0, %0) axis=1\n%2 = slice(%1) axes=[1] starts=[10] ends=[14] steps=[1]\n"
      "%3 = reshape(%0) shape=[n,3,4]\n%4 = slice(%3) axes=[2] starts=[1] ends=[2] steps=[1]\n%5 = reshape(%0) shape=[n,1,12]\n"
      "%6 = slice(%5) axes=[2] starts=[1] ends=[2] steps=[1]\n%7 = transpose(%0) perm=[1,0]\n"
      "%8 = slice(%7) axes=[0] starts=[1] ends=[2] steps=[1]\n%9 = slice(%0) axes=[1] starts=[0] ends=[12] steps=[2]\n"
      "%10 = slice(%9) axes=[1] starts=[1] ends=[3] steps=[1]\noutput %2\noutput %4\noutput %6\noutput %7\noutput %8\noutput %10\n" },
    { "merge_concats,drop_dead",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,3]\n%2 = concat(%0, %1) axis=1\n%3 = concat(%1, %2, %0) axis=1\n"
      "%4 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n%5 = slice(%0) axes=[1] starts=[2] ends=[3] steps=[1]\n"
      "%6 = concat(%4, %5) axis=1\noutput %3\noutput %6\n",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,3]\n%2 = concat(%1, %0, %1, %0) axis=1\n"
      "%3 = slice(%0) axes=[1] starts=[0] ends=[3] steps=[1]\noutput %2\noutput %3\n" },
    /* Another dim, read twice, slices with a gap. */
    { "merge_concats",
      "%0 = input f32 [4,4]\n%1 = concat(%0, %0) axis=0\n%2 = concat(%1, %1) axis=1\n%3 = concat(%0, %0) axis=1\n"
      "%4 = concat(%3, %0) axis=1\n%5 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%6 = slice(%0) axes=[1] starts=[3] ends=[4] steps=[1]\n%7 = concat(%5, %6) axis=1\noutput %2\noutput %3\noutput %4\noutput %7\n",
      "%0 = input f32 [4,4]\n%1 = concat(%0, %0)\n%2 = concat(%1, %1) axis=1\n%3 = concat(%0, %0) axis=1\n%4 = concat(%3, %0) axis=1\n"
      "%5 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n%6 = slice(%0) axes=[1] starts=[3] ends=[4] steps=[1]\n"
      "%7 = concat(%5, %6) axis=1\noutput %2\noutput %3\noutput %4\noutput %7\n" },
    { "flat_product,merge_reshapes,drop_identity,drop_dead",
      "%0 = input f32 [n,s,2]\n%1 = reshape(%0) shape=[-1,2]\n%2 = constant f32 [3,2] {1,2,3,4,5,6}\n%3 = constant f32 [3] {7,8,9}\n"
      "%4 = gemm(%1, %2, %3) trans_b=1 alpha=1 beta=1\n%5 = reshape(%4) shape=[n,s,3]\n%6 = relu(%5)\n%7 = reshape(%6) shape=[n*s,3]\n"
      "%8 = matmul(%7, %2)\n%9 = reshape(%8) shape=[n,s,2]\noutput %9\n",
      "%0 = input f32 [n,s,2]\n%1 = constant f32 [3,2] {1,2,3,4,5,6}\n%2 = matmul(%0, %1) trans_b=1\n%3 = constant f32 [3] {7,8,9}\n"
      "%4 = add(%2, %3)\n%5 = relu(%4)\n%6 = matmul(%5, %1)\noutput %6\n" },
    /* The flat product is read as such; an addend per row; another shape behind it. */
    { "flat_product",
      "%0 = input f32 [n,s,2]\n%1 = reshape(%0) shape=[-1,2]\n%2 = constant f32 [2,2] {1,2,3,4}\n%3 = gemm(%1, %2) alpha=1\n"
      "%4 = reshape(%3) shape=[n,s,2]\n%5 = gemm(%1, %2, %1) alpha=1 beta=1\n%6 = reshape(%5) shape=[n,s,2]\n"
      "%7 = gemm(%1, %2) alpha=1\n%8 = reshape(%7) shape=[n,s,2,1]\noutput %3\noutput %4\noutput %6\noutput %8\n",
      "%0 = input f32 [n,s,2]\n%1 = reshape(%0) shape=[-1,2]\n%2 = constant f32 [2,2] {1,2,3,4}\n%3 = gemm(%1, %2) alpha=1\n"
      "%4 = reshape(%3) shape=[n,s,2]\n%5 = gemm(%1, %2, %1) alpha=1 beta=1\n%6 = reshape(%5) shape=[n,s,2]\n"
      "%7 = gemm(%1, %2) alpha=1\n%8 = reshape(%7) shape=[n,s,2,1]\noutput %3\noutput %4\noutput %6\noutput %8\n" },
    /* There and back, round a product of rows, a bias, a norm and a reduction. */
    { "transpose_last,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,5,2]\n%1 = transpose(%0) perm=[1,0,2]\n%2 = constant f32 [2,3] {1,2,3,4,5,6}\n%3 = matmul(%1, %2)\n"
      "%4 = constant f32 [3] {7,8,9}\n%5 = add(%3, %4)\n%6 = layer_norm(%5, %4, %4) axis=2 epsilon=0.001\n"
      "%7 = constant f32 [5,1,1] {1,2,3,4,5}\n%8 = mul(%6, %7)\n%9 = reduce(%8) mode=max axes=[0] keepdims=1\n"
      "%10 = transpose(%8) perm=[1,0,2]\n%11 = transpose(%9) perm=[1,0,2]\noutput %10\noutput %11\n",
      "%0 = input f32 [n,5,2]\n%1 = constant f32 [2,3] {1,2,3,4,5,6}\n%2 = matmul(%0, %1)\n%3 = constant f32 [3] {7,8,9}\n"
      "%4 = add(%2, %3)\n%5 = layer_norm(%4, %3, %3) axis=2 epsilon=0.001\n%6 = constant f32 [5,1,1] {1,2,3,4,5}\n"
      "%7 = transpose(%6) perm=[1,0,2]\n%8 = mul(%5, %7)\n%9 = reduce(%8) mode=max axes=[1] keepdims=1\noutput %8\noutput %9\n" },
    /* Two transposed alike are joined before they are transposed; channels last between two that need them first. */
    { "transpose_last,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,3,4]\n%2 = transpose(%0) perm=[0,2,3,1]\n%3 = transpose(%1) perm=[0,2,3,1]\n"
      "%4 = add(%2, %3)\n%5 = constant f32 [2] {1,2}\n%6 = mul(%4, %5)\n%7 = relu(%6)\n%8 = transpose(%7) perm=[0,3,1,2]\n"
      "%9 = transpose(%1) perm=[0,3,1,2]\n%10 = concat(%9, %9) axis=1\noutput %8\noutput %10\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,3,4]\n%2 = transpose(%1) perm=[0,3,1,2]\n%3 = concat(%2, %2) axis=1\n"
      "%4 = add(%0, %1)\n%5 = constant f32 [2] {1,2}\n%6 = reshape(%5) shape=[1,1,1,2]\n%7 = transpose(%6) perm=[0,3,1,2]\n"
      "%8 = mul(%4, %7)\n%9 = relu(%8)\noutput %9\noutput %3\n" },
    /* What brings heads together stays, the order of batch and sequence goes on. */
    { "transpose_last,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,5,3]\n%1 = transpose(%0) perm=[2,0,1,3]\n%2 = reshape(%1) shape=[5,n,6]\n%3 = relu(%2)\n"
      "%4 = transpose(%3) perm=[1,0,2]\noutput %4\n",
      "%0 = input f32 [n,2,5,3]\n%1 = transpose(%0) perm=[0,2,1,3]\n%2 = reshape(%1) shape=[n,5,6]\n%3 = relu(%2)\noutput %3\n" },
    /* It would end in front of an output, of an operand in the other order, and of a product over the dim that moves. */
    { "transpose_last",
      "%0 = input f32 [5,5,2]\n%1 = transpose(%0) perm=[1,0,2]\n%2 = relu(%1)\n%3 = transpose(%2) perm=[1,0,2]\n%4 = add(%1, %0)\n"
      "%5 = transpose(%4) perm=[1,0,2]\n%6 = transpose(%0) perm=[0,2,1]\n"
      "%7 = constant f32 [5,5] {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25}\n%8 = matmul(%6, %7)\n"
      "%9 = transpose(%8) perm=[0,2,1]\noutput %2\noutput %3\noutput %5\noutput %9\n",
      "%0 = input f32 [5,5,2]\n%1 = transpose(%0) perm=[1,0,2]\n%2 = relu(%1)\n%3 = transpose(%2) perm=[1,0,2]\n%4 = add(%1, %0)\n"
      "%5 = transpose(%4) perm=[1,0,2]\n%6 = transpose(%0) perm=[0,2,1]\n"
      "%7 = constant f32 [5,5] {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25}\n%8 = matmul(%6, %7)\n"
      "%9 = transpose(%8) perm=[0,2,1]\noutput %2\noutput %3\noutput %5\noutput %9\n" },
    { "transpose_once,drop_dead",
      "%0 = input f32 [n,6,5]\n%1 = exp(%0)\n%2 = slice(%1) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%3 = slice(%1) axes=[1] starts=[2] ends=[6] steps=[1]\n%4 = transpose(%2) perm=[0,2,1]\n%5 = transpose(%3) perm=[0,2,1]\n"
      "output %4\noutput %5\n",
      "%0 = input f32 [n,6,5]\n%1 = exp(%0)\n%2 = transpose(%1) perm=[0,2,1]\n%3 = slice(%2) axes=[2] starts=[0] ends=[2] steps=[1]\n"
      "%4 = slice(%2) axes=[2] starts=[2] ends=[6] steps=[1]\noutput %3\noutput %4\n" },
    /* Transposed in different ways, or read as a whole. */
    { "transpose_once",
      "%0 = input f32 [3,6,5]\n%1 = exp(%0)\n%2 = slice(%1) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%3 = slice(%1) axes=[1] starts=[2] ends=[6] steps=[1]\n%4 = transpose(%2) perm=[0,2,1]\n%5 = transpose(%3) perm=[2,0,1]\n"
      "%6 = tanh(%0)\n%7 = slice(%6) axes=[1] starts=[0] ends=[2] steps=[1]\n%8 = transpose(%7) perm=[0,2,1]\noutput %4\noutput %5\n"
      "output %6\noutput %8\n",
      "%0 = input f32 [3,6,5]\n%1 = exp(%0)\n%2 = slice(%1) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%3 = slice(%1) axes=[1] starts=[2] ends=[6] steps=[1]\n%4 = transpose(%2) perm=[0,2,1]\n%5 = transpose(%3) perm=[2,0,1]\n"
      "%6 = tanh(%0)\n%7 = slice(%6) axes=[1] starts=[0] ends=[2] steps=[1]\n%8 = transpose(%7) perm=[0,2,1]\noutput %4\noutput %5\n"
      "output %6\noutput %8\n" },

    { "merge_products,drop_dead",
      "%0 = input f32 [n,s,2]\n%1 = constant f32 [2,1] {1,2}\n%2 = constant f32 [2,2] {3,4,5,6}\n"
      "%3 = constant f32 [2,3] {7,8,9,10,11,12}\n%4 = matmul(%0, %1)\n%5 = matmul(%0, %2)\n%6 = constant f32 [1,2] {13,14}\n"
      "%7 = add(%5, %6)\n%8 = matmul(%0, %3)\noutput %4\noutput %7\noutput %8\n",
      "%0 = input f32 [n,s,2]\n%1 = constant f32 [2,6] {1,3,4,7,8,9,2,5,6,10,11,12}\n%2 = matmul(%0, %1)\n"
      "%3 = constant f32 [6] {0,13,14,0,0,0}\n%4 = add(%2, %3)\n%5 = slice(%4) axes=[2] starts=[0] ends=[1] steps=[1]\n"
      "%6 = slice(%4) axes=[2] starts=[1] ends=[3] steps=[1]\n%7 = slice(%4) axes=[2] starts=[3] ends=[6] steps=[1]\noutput %5\n"
      "output %6\noutput %7\n" },
    { "merge_products,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [1,2] {1,2}\n%2 = constant f32 [2,2] {3,4,5,6}\n%3 = constant f32 [1] {7}\n"
      "%4 = gemm(%0, %1, %3) trans_b=1 alpha=1 beta=1\n%5 = matmul(%0, %2) trans_b=1\noutput %4\noutput %5\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [3,2] {1,2,3,4,5,6}\n%2 = matmul(%0, %1) trans_b=1\n%3 = constant f32 [3] {7,0,0}\n"
      "%4 = add(%2, %3)\n%5 = slice(%4) axes=[1] starts=[0] ends=[1] steps=[1]\n%6 = slice(%4) axes=[1] starts=[1] ends=[3] steps=[1]\n"
      "output %5\noutput %6\n" },
    /* The other way round, on the right, with a factor, of another value. */
    { "merge_products",
      "%0 = input f32 [2,2]\n%1 = constant f32 [2,2] {1,2,3,4}\n%2 = matmul(%0, %1)\n%3 = matmul(%0, %1) trans_b=1\n"
      "%4 = matmul(%1, %0)\n%5 = gemm(%0, %1) alpha=2\n%6 = matmul(%2, %1)\noutput %3\noutput %4\noutput %5\noutput %6\n",
      "%0 = input f32 [2,2]\n%1 = constant f32 [2,2] {1,2,3,4}\n%2 = matmul(%0, %1)\n%3 = matmul(%0, %1) trans_b=1\n"
      "%4 = matmul(%1, %0)\n%5 = gemm(%0, %1) alpha=2\n%6 = matmul(%2, %1)\noutput %3\noutput %4\noutput %5\noutput %6\n" },
    { "einsum_to_matmul,drop_dead",
      "%0 = input f32 [n,3,2,4]\n%1 = input f32 [n,5,2,4]\n%2 = einsum(%0, %1) equation=\"bqhd,bkhd->bhqk\"\n"
      "%3 = einsum(%2) equation=\"abcd->dcba\"\n%4 = input f32 [2,4,6]\n%5 = einsum(%0, %4) equation=\"b t h d, h d e -> b t e\"\n"
      "output %3\noutput %5\n",
      "%0 = input f32 [n,3,2,4]\n%1 = input f32 [n,5,2,4]\n%2 = input f32 [2,4,6]\n%3 = transpose(%0) perm=[0,2,1,3]\n"
      "%4 = transpose(%1) perm=[0,2,3,1]\n%5 = matmul(%3, %4)\n%6 = transpose(%5) perm=[3,2,1,0]\n%7 = reshape(%0) shape=[3*n,8]\n"
      "%8 = reshape(%2) shape=[8,6]\n%9 = matmul(%7, %8)\n%10 = reshape(%9) shape=[n,3,6]\noutput %6\noutput %10\n" },
    /* A diagonal, a sum over what one tensor has alone, an ellipsis, a dim that is broadcast, three tensors. */
    { "einsum_to_matmul",
      "%0 = input f32 [3,3]\n%1 = input f32 [1,3]\n%2 = einsum(%0) equation=\"ii->i\"\n%3 = einsum(%0, %0) equation=\"ij,kj->k\"\n"
      "%4 = einsum(%0, %0) equation=\"...j,...j->...\"\n%5 = einsum(%0, %1) equation=\"ij,ij->ij\"\n"
      "%6 = einsum(%0, %0, %0) equation=\"ij,jk,kl->il\"\n%7 = einsum(%0) equation=\"ij->i\"\noutput %2\noutput %3\noutput %4\n"
      "output %5\noutput %6\noutput %7\n",
      "%0 = input f32 [3,3]\n%1 = input f32 [1,3]\n%2 = einsum(%0) equation=\"ii->i\"\n%3 = einsum(%0, %0) equation=\"ij,kj->k\"\n"
      "%4 = einsum(%0, %0) equation=\"...j,...j->...\"\n%5 = einsum(%0, %1) equation=\"ij,ij->ij\"\n"
      "%6 = einsum(%0, %0, %0) equation=\"ij,jk,kl->il\"\n%7 = einsum(%0) equation=\"ij->i\"\noutput %2\noutput %3\noutput %4\n"
      "output %5\noutput %6\noutput %7\n" },
    /* Operands in the other order than their labels in the result. */
    { "einsum_to_matmul,drop_dead",
      "%0 = input f32 [n,5,2,4]\n%1 = input f32 [n,3,2,4]\n%2 = einsum(%0, %1) equation=\"aecd,abcd->acbe\"\noutput %2\n",
      "%0 = input f32 [n,5,2,4]\n%1 = input f32 [n,3,2,4]\n%2 = transpose(%1) perm=[0,2,1,3]\n%3 = transpose(%0) perm=[0,2,3,1]\n"
      "%4 = matmul(%2, %3)\noutput %4\n" },
    { "patches_to_matmul,drop_dead",
      "%0 = input f32 [n,2,4,8]\n%1 = constant f32 [1,2,2,4] {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\n%2 = input f32 [1]\n"
      "%3 = conv(%0, %1, %2) strides=[2,4] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n",
      "%0 = input f32 [n,2,4,8]\n%1 = input f32 [1]\n%2 = reshape(%0) shape=[n,2,2,2,2,4]\n%3 = transpose(%2) perm=[0,2,4,1,3,5]\n"
      "%4 = reshape(%3) shape=[n,4,16]\n%5 = constant f32 [1,2,2,4] {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\n%6 = reshape(%5) shape=[1,16]\n"
      "%7 = matmul(%4, %6) trans_b=1\n%8 = add(%7, %1)\n%9 = transpose(%8) perm=[0,2,1]\n%10 = reshape(%9) shape=[n,1,2,2]\noutput %10\n" },
    /* Windows that overlap, that leave a rest, padding, small patches. */
    { "patches_to_matmul",
      "%0 = input f32 [n,2,5,8]\n%1 = constant f32 [1,2,2,4] {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\n%2 = input f32 [n,1,4,8]\n"
      "%3 = constant f32 [1,1,2,2] {1,2,3,4}\n%4 = conv(%0, %1) strides=[2,4] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%5 = conv(%0, %1) strides=[3,4] dilations=[1,1] pads=[0,0,1,0] groups=1\n"
      "%6 = conv(%2, %3) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %4\noutput %5\noutput %6\n",
      "%0 = input f32 [n,2,5,8]\n%1 = input f32 [n,1,4,8]\n%2 = constant f32 [1,2,2,4] {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\n"
      "%3 = conv(%0, %2) strides=[2,4] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%4 = conv(%0, %2) strides=[3,4] dilations=[1,1] pads=[0,0,1,0] groups=1\n%5 = constant f32 [1,1,2,2] {1,2,3,4}\n"
      "%6 = conv(%1, %5) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\noutput %4\noutput %6\n" },
    { "inline_if,drop_dead",
      "%0 = constant bool [] {0}\n%1 = input f32 [n]\n%2 = if(%0, %1, %1) then_branch={\n  graph\n  %0 = capture f32 [n]\n"
      "  %1 = relu(%0)\n  output %1\n} else_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = constant f32 [] {3}\n  %2 = mul(%0, %1)\n"
      "  output %2\n}\noutput %2\n",
      "%0 = input f32 [n]\n%1 = constant f32 [] {3}\n%2 = mul(%0, %1)\noutput %2\n" },
    /* Not known. */
    { "inline_if",
      "%0 = input bool []\n%1 = input f32 [n]\n%2 = if(%0, %1, %1) then_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = relu(%0)\n"
      "  output %1\n} else_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = exp(%0)\n  output %1\n}\noutput %2\n",
      "%0 = input bool []\n%1 = input f32 [n]\n%2 = if(%0, %1, %1) then_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = relu(%0)\n"
      "  output %1\n} else_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = exp(%0)\n  output %1\n}\noutput %2\n" },

    /* The rotation of a half by the other, with tables that repeat; broadcast tables are given to each batch. */
    { "rotary_embedding,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [1,3,2]\n%2 = concat(%1, %1) axis=2\n%3 = cos(%2)\n%4 = sin(%2)\n"
      "%5 = reshape(%3) shape=[1,1,3,4]\n%6 = reshape(%4) shape=[1,1,3,4]\n%7 = mul(%0, %5)\n"
      "%8 = slice(%0) axes=[3] starts=[0] ends=[2] steps=[1]\n%9 = slice(%0) axes=[3] starts=[2] ends=[281474976710656] steps=[1]\n"
      "%10 = neg(%9)\n%11 = concat(%10, %8) axis=3\n%12 = mul(%6, %11)\n%13 = add(%12, %7)\noutput %13\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [1,3,2]\n%2 = concat(%1, %1) axis=2\n%3 = cos(%2)\n%4 = sin(%2)\n"
      "%5 = reshape(%3) shape=[1,1,3,4]\n%6 = reshape(%4) shape=[1,1,3,4]\n%7 = slice(%5) axes=[3] starts=[0] ends=[2] steps=[1]\n"
      "%8 = reshape(%7) shape=[1,3,2]\n%9 = expand(%8) shape=[n,3,2]\n%10 = slice(%6) axes=[3] starts=[0] ends=[2] steps=[1]\n"
      "%11 = reshape(%10) shape=[1,3,2]\n%12 = expand(%11) shape=[n,3,2]\n%13 = rotary_embedding(%0, %9, %12)\noutput %13\n" },
    /* Tables that do not repeat; the first half negated. */
    { "rotary_embedding",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [1,1,3,4]\n%2 = mul(%0, %1)\n%3 = slice(%0) axes=[3] starts=[0] ends=[2] steps=[1]\n"
      "%4 = slice(%0) axes=[3] starts=[2] ends=[4] steps=[1]\n%5 = neg(%4)\n%6 = concat(%5, %3) axis=3\n%7 = mul(%6, %1)\n"
      "%8 = add(%2, %7)\noutput %8\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [1,1,3,4]\n%2 = mul(%0, %1)\n%3 = slice(%0) axes=[3] starts=[0] ends=[2] steps=[1]\n"
      "%4 = slice(%0) axes=[3] starts=[2] ends=[4] steps=[1]\n%5 = neg(%4)\n%6 = concat(%5, %3) axis=3\n%7 = mul(%6, %1)\n"
      "%8 = add(%2, %7)\noutput %8\n" },
};

static pf_graph *graph_of_body(const char *text)
{
    pf_buf    whole;
    pf_graph *graph = NULL;

    pf_buf_init(&whole, 1 << 20);
    pf_buf_printf(&whole, "graph\n%s", text);
    graph = graph_of((const char *)whole.data);
    pf_buf_clear(&whole);
    return graph;
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pf_rewrite_options options = { .only = rows[i].only };
        pf_rewrite_report  report;
        pf_graph          *graph = graph_of_body(rows[i].before);
        outputs            before, after;
        pf_buf             text;
        pf_err             err = { 0 };

        run_graph(graph, i, &before);
        test_ok(pf_rewrite_run(graph, &options, &report, &err), &err);
        if (strcmp(text_of(graph, false, &text) + strlen("graph\n"), rows[i].after))
            fail_msg("%s made of\n%s\n%swhere this was wanted:\n%s", rows[i].only, rows[i].before, (char *)text.data, rows[i].after);
        run_graph(graph, i, &after);
        check_same(&before, &after, rows[i].before);
        clear_outputs(&before);
        clear_outputs(&after);
        pf_buf_clear(&text);
        pf_rewrite_report_clear(&report);
        pf_graph_free(graph);
    }
}

/* Every rule fires somewhere in the table. */
static void test_table_is_complete(void **state)
{
    uint32_t              count = 0;
    const pf_rule *const *all = pf_rules(&count);

    (void)state;
    for (uint32_t r = 0; r < count; r++) {
        bool fired = all[r]->phase == PF_RULES_BUILD;       /* no rewriting: test_parts.c */

        for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !fired; i++) {
            pf_rewrite_options options = { .only = rows[i].only };
            pf_rewrite_report  report;
            pf_graph          *graph = graph_of_body(rows[i].before);
            pf_err             err = { 0 };

            test_ok(pf_rewrite_run(graph, &options, &report, &err), &err);
            fired = report.uses[r].count > 0;
            pf_rewrite_report_clear(&report);
            pf_graph_free(graph);
        }
        if (!fired)
            fail_msg("no row of the table makes %s fire", all[r]->name);
        assert_ptr_equal(pf_rule_find(all[r]->name), all[r]);
        assert_true(all[r]->summary[0] != 0);
    }
}

/* A graph that is grown node by node; what an op refuses is left out.  Of doubles: deep in such a graph differences of nearly equal numbers show the
   rounding of floats, which rules do in other places. */
typedef struct grower { pf_graph *graph; pf_random random; pf_value_id pool[200]; uint32_t count; } grower;

static uint32_t below(grower *g, uint32_t limit) { return (uint32_t)pf_random_below(&g->random, limit); }
/* Rather one of the last values: deep graphs. */
static pf_value_id pick(grower *g)
{
    uint32_t recent = g->count < 4 ? g->count : 4;

    return below(g, 4) ? g->pool[g->count - 1 - below(g, recent)] : g->pool[below(g, g->count)];
}

static pf_value_id constant(grower *g, int32_t rank, const int64_t *dim, bool positive)
{
    static const double special[] = { 0, 1, -1, 2 };
    pf_shape            shape = { .rank = rank };
    int64_t             elems = 1;
    double             *data = NULL;
    pf_value_id         id = PF_NONE;
    uint32_t            uniform = below(g, 5);
    pf_err              err = { 0 };

    for (int32_t i = 0; i < rank; i++) {
        shape.dim[i] = dim[i];
        elems *= dim[i];
    }
    data = pf_arena_alloc(g->graph->arena, (size_t)elems * sizeof *data);
    assert_non_null(data);
    for (int64_t i = 0; i < elems; i++) {
        data[i] = uniform == 0 ? special[below(g, 4)] : pf_random_normal(&g->random) * 0.5;
        if (positive)
            data[i] = fabs(data[i]) + 0.5;
    }
    test_ok(pf_graph_add_constant(g->graph, "", PF_F64, &shape, data, (size_t)elems * sizeof *data, &id, &err), &err);
    return id;
}

static void add(grower *g, pf_op_kind op, const pf_value_id *in, uint32_t in_count, const void *attrs, uint32_t out_count)
{
    pf_value_id out[4];
    pf_err      err = { 0 };

    if (g->count + out_count > 200 || pf_graph_add_node(g->graph, op, "n", in, in_count, attrs, out_count, out, &err))
        return;
    for (uint32_t i = 0; i < out_count; i++) {
        const pf_shape *shape = &g->graph->values[out[i]].shape;
        bool            empty = false;

        for (int32_t d = 0; d < shape->rank; d++)
            empty |= pf_dim_is_number(shape->dim[d]) && shape->dim[d] < 1;
        if (!empty && g->graph->values[out[i]].dtype == PF_F64)
            g->pool[g->count++] = out[i];
    }
}

/* 0 where there are none, or their number is a symbol. */
static int64_t channels_of(const grower *g, pf_value_id x)
{
    const pf_shape *shape = &g->graph->values[x].shape;

    return shape->rank > 1 && pf_dim_is_number(shape->dim[1]) ? shape->dim[1] : 0;
}

static void grow_conv(grower *g)
{
    pf_value_id   in[3] = { pick(g), PF_NONE, PF_NONE };
    int64_t       k = 1 + 2 * below(g, 2), pad = below(g, 2);
    pf_conv_attrs attrs = { .strides = { 2, { 1 + below(g, 2), 1 } }, .dilations = { 2, { 1, 1 } }, .pads = { 4, { pad, pad, pad, 0 } }, .groups = 1 + below(g, 2) };

    if (g->graph->values[in[0]].shape.rank != 4 || !channels_of(g, in[0]) || channels_of(g, in[0]) % attrs.groups)
        return;
    in[1] = constant(g, 4, (int64_t[]){ 4, channels_of(g, in[0]) / attrs.groups, k, k }, false);
    if (below(g, 2))
        in[2] = constant(g, 1, (int64_t[]){ 4 }, false);
    add(g, PF_OP_CONV, in, 3 - (in[2] == PF_NONE && below(g, 2)), &attrs, 1);
}

static void grow_patches(grower *g)
{
    pf_value_id   in[2] = { pick(g), PF_NONE };
    pf_conv_attrs attrs = { .strides = { 2, { 2, 2 } }, .dilations = { 2, { 1, 1 } }, .pads = { 4, { 0 } }, .groups = 1 };

    if (g->graph->values[in[0]].shape.rank != 4 || !channels_of(g, in[0]))
        return;
    in[1] = constant(g, 4, (int64_t[]){ 4, channels_of(g, in[0]), 2, 2 }, false);
    add(g, PF_OP_CONV, in, 2, &attrs, 1);
}

static void grow_conv_transpose(grower *g)
{
    pf_value_id             in[2] = { pick(g), PF_NONE };
    pf_conv_transpose_attrs attrs = { .strides = { 2, { 1, 1 } }, .dilations = { 2, { 1, 1 } }, .pads = { 4, { 0, 0, 1, 0 } },
                                      .output_padding = { 2, { 0, 0 } }, .groups = 1 + below(g, 2) };

    if (g->graph->values[in[0]].shape.rank != 4 || !channels_of(g, in[0]) || channels_of(g, in[0]) % attrs.groups)
        return;
    in[1] = constant(g, 4, (int64_t[]){ channels_of(g, in[0]), 2, 2, 2 }, false);
    add(g, PF_OP_CONV_TRANSPOSE, in, 2, &attrs, 1);
}

static void grow_batch_norm(grower *g)
{
    pf_value_id         in[5] = { pick(g) };
    pf_batch_norm_attrs attrs = { .epsilon = 1e-5 };

    if (!channels_of(g, in[0]))
        return;
    for (int i = 1; i < 5; i++)
        in[i] = constant(g, 1, (int64_t[]){ channels_of(g, in[0]) }, i == 4);
    add(g, PF_OP_BATCH_NORM, in, 5, &attrs, 1);
}

static void grow_scale(grower *g)
{
    static const pf_op_kind ops[] = { PF_OP_ADD, PF_OP_MUL, PF_OP_SUB, PF_OP_DIV };
    pf_op_kind      op = ops[below(g, 4)];
    pf_value_id     x = pick(g), in[2] = { x, PF_NONE };
    const pf_shape *shape = &g->graph->values[x].shape;
    int64_t         dim[PF_MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    int32_t         axis = shape->rank > 1 && below(g, 4) ? 1 : (int32_t)below(g, (uint32_t)shape->rank);

    if (below(g, 3) && pf_dim_is_number(shape->dim[axis]))
        dim[axis] = shape->dim[axis];
    in[1] = constant(g, shape->rank, dim, op == PF_OP_DIV);
    if (below(g, 3) == 0 && op != PF_OP_DIV) {
        in[0] = in[1];
        in[1] = x;
    }
    add(g, op, in, 2, NULL, 1);
}

static void grow_unary(grower *g)
{
    static const pf_op_kind ops[] = { PF_OP_RELU, PF_OP_SIGMOID, PF_OP_IDENTITY, PF_OP_TANH, PF_OP_NEG };
    pf_value_id             in = pick(g);

    add(g, ops[below(g, 5)], &in, 1, NULL, 1);
}

/* Two values of one shape, but for one axis. A symbol and a number would be taken for equal, and here they are not. */
static bool agree(const grower *g, const pf_value_id *in, int32_t but)
{
    const pf_shape *a = &g->graph->values[in[0]].shape, *b = &g->graph->values[in[1]].shape;
    bool            same = a->rank == b->rank;

    for (int32_t i = 0; i < a->rank && same; i++)
        same = i == but || a->dim[i] == b->dim[i];
    return same;
}

static void grow_binary(grower *g)
{
    static const pf_op_kind ops[] = { PF_OP_ADD, PF_OP_MAX, PF_OP_SUB };
    pf_value_id             in[2] = { pick(g), pick(g) };

    if (agree(g, in, -1))
        add(g, ops[below(g, 3)], in, 2, NULL, 1);
}

static void grow_pad(grower *g)
{
    pf_value_id  in = pick(g);
    int32_t      rank = g->graph->values[in].shape.rank;
    pf_pad_attrs attrs = { .pads = { .count = 2 * rank }, .value = below(g, 4) ? 0 : 1 };

    for (int32_t i = 0; i < 2 * rank; i++)
        attrs.pads.at[i] = i % rank >= 2 ? below(g, 2) : 0;
    add(g, PF_OP_PAD, &in, 1, &attrs, 1);
}

static void grow_pool(grower *g)
{
    pf_value_id   in = pick(g);
    pf_pool_attrs attrs = { .kernel = { 2, { 2, 2 } }, .strides = { 2, { 1, 1 } }, .dilations = { 2, { 1, 1 } }, .pads = { 4, { below(g, 2), 0, 0, 0 } },
                            .count_include_pad = below(g, 2) };

    if (g->graph->values[in].shape.rank == 4)
        add(g, below(g, 2) ? PF_OP_MAX_POOL : PF_OP_AVERAGE_POOL, &in, 1, &attrs, 1);
}

static void grow_transpose(grower *g)
{
    pf_value_id        in = pick(g);
    int32_t            rank = g->graph->values[in].shape.rank, a = (int32_t)below(g, (uint32_t)rank), b = (int32_t)below(g, (uint32_t)rank);
    pf_transpose_attrs attrs = { .perm = { .count = rank } };

    for (int32_t i = 0; i < rank; i++)
        attrs.perm.at[i] = i == a ? b : i == b ? a : i;
    add(g, PF_OP_TRANSPOSE, &in, 1, &attrs, 1);
}

/* Two neighbouring dims become one, or everything after the first does. */
static void grow_reshape(grower *g)
{
    pf_value_id      in = pick(g);
    const pf_shape  *shape = &g->graph->values[in].shape;
    pf_reshape_attrs attrs = { .shape = { 0 } };

    if (shape->rank < 2)
        return;
    attrs.shape.count = below(g, 2) ? 2 : shape->rank - 1;
    for (int32_t i = 0; i < attrs.shape.count; i++)
        attrs.shape.at[i] = i == attrs.shape.count - 1 ? -1 : shape->dim[i];
    add(g, PF_OP_RESHAPE, &in, 1, &attrs, 1);
}

static void grow_product(grower *g)
{
    pf_value_id     in[3] = { pick(g), PF_NONE, PF_NONE };
    const pf_shape *shape = &g->graph->values[in[0]].shape;
    pf_dim          inner = shape->dim[shape->rank - 1];
    pf_gemm_attrs   attrs = { .trans_b = below(g, 2), .alpha = below(g, 2) ? 1 : 0.5, .beta = below(g, 2) };
    pf_matmul_attrs matmul = { .trans_b = attrs.trans_b };
    bool            is_gemm = shape->rank == 2 && below(g, 2);

    if (shape->rank < 2 || !pf_dim_is_number(inner) || inner > 300)
        return;
    in[1] = constant(g, 2, (int64_t[]){ attrs.trans_b ? 3 : inner, attrs.trans_b ? inner : 3 }, false);
    if (is_gemm && below(g, 2))
        in[2] = constant(g, 1, (int64_t[]){ 3 }, false);
    add(g, is_gemm ? PF_OP_GEMM : PF_OP_MATMUL, in, in[2] == PF_NONE ? 2 : 3, is_gemm ? (void *)&attrs : (void *)&matmul, 1);
}

static void grow_concat(grower *g)
{
    pf_value_id   in[2] = { pick(g), pick(g) };
    pf_axis_attrs attrs = { .axis = 1 };

    if (agree(g, in, 1))
        add(g, PF_OP_CONCAT, in, 1 + below(g, 2), &attrs, 1);
}

static void grow_slice(grower *g)
{
    pf_value_id    in = pick(g);
    pf_slice_attrs attrs = { .axes = { 1, { 1 } }, .starts = { 1, { below(g, 2) } }, .ends = { 1, { PF_SLICE_FAR } }, .steps = { 1, { 1 } } };

    add(g, PF_OP_SLICE, &in, 1, &attrs, 1);
}

static void grow_shape(grower *g)
{
    pf_value_id    in = pick(g), shape = PF_NONE;
    pf_shape_attrs attrs = { 0, g->graph->values[in].shape.rank };
    pf_cast_attrs  cast = { .dtype = PF_F64 };
    pf_err         err = { 0 };

    if (!pf_graph_add_node(g->graph, PF_OP_SHAPE, "", &in, 1, &attrs, 1, &shape, &err))
        add(g, PF_OP_CAST, &shape, 1, &cast, 1);
}

/* A reshape to a shape that is computed. */
static void grow_dynamic(grower *g)
{
    pf_value_id    in[2] = { pick(g), PF_NONE };
    pf_shape_attrs attrs = { 0, g->graph->values[in[0]].shape.rank };
    pf_err         err = { 0 };

    if (!pf_graph_add_node(g->graph, PF_OP_SHAPE, "", in, 1, &attrs, 1, &in[1], &err))
        add(g, PF_OP_RESHAPE_DYNAMIC, in, 2, NULL, 1);
}

/* A node that is there already, once more. */
static void grow_twin(grower *g)
{
    pf_node_id     producer = g->graph->values[pick(g)].producer;
    const pf_node *node = producer == PF_NONE ? NULL : &g->graph->nodes[producer];

    if (node && node->out_count == 1)
        add(g, node->op, node->in, node->in_count, node->attrs, 1);
}

/* All but the first dim becomes one, and a product follows. */
static void grow_head(grower *g)
{
    pf_value_id      in = pick(g);
    const pf_shape  *shape = &g->graph->values[in].shape;
    pf_reshape_attrs attrs = { .shape = { 2, { shape->dim[0], -1 } } };

    if (shape->rank < 2)
        return;
    add(g, PF_OP_RESHAPE, &in, 1, &attrs, 1);
    grow_product(g);
    grow_scale(g);
}

/* A node that is not one of those that others pick; PF_NONE when the op refuses it or one of its inputs is none. */
static pf_value_id step(grower *g, pf_op_kind op, const pf_value_id *in, uint32_t in_count, const void *attrs)
{
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    for (uint32_t i = 0; i < in_count; i++)
        if (in[i] == PF_NONE)
            return PF_NONE;
    return pf_graph_add_node(g->graph, op, "n", in, in_count, attrs, 1, &out, &err) ? PF_NONE : out;
}

static pf_value_id unary(grower *g, pf_op_kind op, pf_value_id x) { return step(g, op, &x, 1, NULL); }
static pf_value_id binary(grower *g, pf_op_kind op, pf_value_id a, pf_value_id b) { return step(g, op, (pf_value_id[]){ a, b }, 2, NULL); }

static pf_value_id number(grower *g, double value)
{
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    test_ok(pf_graph_add_scalar(g->graph, PF_F64, value, &out, &err), &err);
    return out;
}

/* The last node of a pattern is one that others pick. */
static void finish(grower *g, pf_op_kind op, pf_value_id a, pf_value_id b, const void *attrs)
{
    if (a != PF_NONE && b != PF_NONE)
        add(g, op, (pf_value_id[]){ a, b }, 2, attrs, 1);
}

static pf_value_id swapped(grower *g, pf_value_id x)
{
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    return pf_make_swapped(g->graph, "n", x, &out, &err) ? PF_NONE : out;
}

static void grow_square(grower *g)
{
    pf_value_id x = pick(g), small = unary(g, PF_OP_TANH, x);

    if (g->graph->values[x].shape.rank >= 2 && pf_dim_is_number(g->graph->values[x].shape.dim[g->graph->values[x].shape.rank - 1]))
        finish(g, PF_OP_MATMUL, small, swapped(g, small), NULL);
}

/* A condition on positions along the last dim that holds everywhere, or for the first ones. */
static void grow_positions(grower *g)
{
    pf_value_id    x = pick(g), in[3] = { PF_NONE, x, number(g, 2) }, limit = PF_NONE;
    pf_range_attrs attrs = { .dtype = PF_I64, .bounds = { 3, { 0, g->graph->values[x].shape.dim[g->graph->values[x].shape.rank - 1], 1 } } };
    pf_err         err = { 0 };

    test_ok(pf_graph_add_scalar(g->graph, PF_I64, below(g, 2), &limit, &err), &err);
    in[0] = binary(g, PF_OP_GREATER_EQUAL, step(g, PF_OP_RANGE, NULL, 0, &attrs), limit);
    if (in[0] != PF_NONE)
        add(g, PF_OP_WHERE, in, 3, NULL, 1);
}

static void grow_expand(grower *g)
{
    pf_value_id     x = pick(g), lowest = PF_NONE;
    const pf_shape *shape = &g->graph->values[x].shape;
    pf_reduce_attrs least_of = { .mode = PF_REDUCE_MIN, .axes = { 1, { shape->rank - 1 } }, .keepdims = 1 };
    pf_expand_attrs attrs = { .shape = { .count = shape->rank } };

    for (int32_t d = 0; d < shape->rank; d++)
        attrs.shape.at[d] = shape->dim[d];
    lowest = step(g, PF_OP_REDUCE, &x, 1, &least_of);
    finish(g, PF_OP_SUB, x, unary(g, PF_OP_TANH, step(g, PF_OP_EXPAND, &lowest, 1, &attrs)), NULL);
}

static void grow_gather(grower *g)
{
    pf_value_id   x = pick(g), index = PF_NONE;
    int64_t       at[2] = { 0, 1 + below(g, 2) };
    pf_axis_attrs attrs = { .axis = 1 };
    pf_err        err = { 0 };

    if (channels_of(g, x) < 3)
        return;
    test_ok(pf_graph_add_i64s(g->graph, at + below(g, 2), 1 + below(g, 1), &index, &err), &err);
    finish(g, PF_OP_GATHER, x, index, &attrs);
}

static void grow_attention(grower *g)
{
    pf_value_id   x = pick(g), scores = PF_NONE, mask = PF_NONE;
    pf_axis_attrs attrs = { .axis = g->graph->values[x].shape.rank - 1 };
    int64_t       queries = attrs.axis >= 2 && pf_dim_is_number(g->graph->values[x].shape.dim[attrs.axis - 1]) ? g->graph->values[x].shape.dim[attrs.axis - 1] : 0;

    if (!queries || queries > 20 || attrs.axis > 3)
        return;
    scores = binary(g, below(g, 2) ? PF_OP_MUL : PF_OP_DIV, binary(g, PF_OP_MATMUL, x, swapped(g, x)), number(g, 0.5));
    mask = constant(g, 2, (int64_t[]){ queries, queries }, false);
    if (below(g, 2))
        scores = binary(g, PF_OP_ADD, scores, mask);
    finish(g, PF_OP_MATMUL, step(g, PF_OP_SOFTMAX, &scores, 1, &attrs), x, NULL);
}

static pf_value_id with_number(grower *g, pf_op_kind op, pf_value_id x, double value) { return binary(g, op, x, number(g, value)); }

static pf_value_id reduced(grower *g, int32_t mode, pf_value_id x, bool keepdims)
{
    pf_reduce_attrs attrs = { .mode = mode, .axes = { 1, { g->graph->values[x].shape.rank - 1 } }, .keepdims = keepdims };

    return step(g, PF_OP_REDUCE, &x, 1, &attrs);
}

static pf_value_id like(grower *g, pf_value_id x, pf_value_id shaped)
{
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    return pf_make_reshape(g->graph, "n", x, &g->graph->values[shaped].shape, &out, &err) ? PF_NONE : out;
}

static pf_value_id cast_to(grower *g, pf_dtype dtype, pf_value_id x) { return step(g, PF_OP_CAST, &x, 1, &(pf_cast_attrs){ .dtype = (int32_t)dtype }); }

static int64_t last_dim(const grower *g, pf_value_id x)
{
    const pf_shape *shape = &g->graph->values[x].shape;

    return pf_dim_is_number(shape->dim[shape->rank - 1]) ? shape->dim[shape->rank - 1] : 0;
}

/* Layer norms and norms by the root of the mean square, with a scale or without. */
static void grow_norm(grower *g)
{
    pf_value_id x = pick(g), centered = x, root = PF_NONE, scale = PF_NONE;
    bool        divides = below(g, 2);

    if (last_dim(g, x) < 2)
        return;
    if (below(g, 2))
        centered = binary(g, PF_OP_SUB, x, reduced(g, PF_REDUCE_MEAN, x, true));
    root = below(g, 2) ? binary(g, PF_OP_MUL, centered, centered) : with_number(g, PF_OP_POW, centered, 2);
    root = unary(g, PF_OP_SQRT, with_number(g, PF_OP_ADD, reduced(g, PF_REDUCE_MEAN, root, true), 0.01));
    scale = constant(g, 1, (int64_t[]){ last_dim(g, x) }, true);
    if (below(g, 2))
        finish(g, PF_OP_MUL, divides ? binary(g, PF_OP_DIV, centered, root) : binary(g, PF_OP_MUL, centered, unary(g, PF_OP_RECIPROCAL, root)), scale, NULL);
    else
        finish(g, divides ? PF_OP_DIV : PF_OP_MUL, centered, divides ? root : unary(g, PF_OP_RECIPROCAL, root), NULL);
}

static void grow_group_norm(grower *g)
{
    pf_value_id      x = pick(g), in[3] = { PF_NONE, PF_NONE, PF_NONE };
    pf_reshape_attrs split = { .shape = { 3, { g->graph->values[x].shape.dim[0], 2, -1 } } }, whole = { .shape = { .count = 4 } };

    if (g->graph->values[x].shape.rank != 4 || channels_of(g, x) % 2 || !channels_of(g, x))
        return;
    in[0] = step(g, PF_OP_RESHAPE, &x, 1, &split);
    in[1] = constant(g, 1, (int64_t[]){ 2 }, true);
    in[2] = constant(g, 1, (int64_t[]){ 2 }, true);
    in[0] = step(g, PF_OP_INSTANCE_NORM, in, 3, &(pf_instance_norm_attrs){ .epsilon = 0.01 });
    for (int32_t d = 0; d < 4; d++)
        whole.shape.at[d] = g->graph->values[x].shape.dim[d];
    if (in[0] != PF_NONE)
        add(g, PF_OP_RESHAPE, in, 1, &whole, 1);
}

static void grow_softmax(grower *g)
{
    pf_value_id x = unary(g, PF_OP_TANH, pick(g)), e = unary(g, PF_OP_EXP, x);

    finish(g, PF_OP_DIV, e, reduced(g, PF_REDUCE_SUM, e, true), NULL);
}

/* The length of rows, its dims dropped and put back. */
static void grow_lengths(grower *g)
{
    pf_value_id x = pick(g), kept = reduced(g, PF_REDUCE_SUM, x, true), square = binary(g, PF_OP_MUL, x, x), length = PF_NONE;

    length = below(g, 2) ? reduced(g, PF_REDUCE_SUM, square, true) : like(g, reduced(g, PF_REDUCE_SUM, square, false), kept);
    finish(g, PF_OP_DIV, x, with_number(g, PF_OP_ADD, unary(g, PF_OP_SQRT, length), 1), NULL);
}

/* There and back; or a softmax of one element between types, which is exactly 1. */
static void grow_casts(grower *g)
{
    pf_value_id   x = pick(g), one = PF_NONE;
    pf_axis_attrs attrs = { .axis = g->graph->values[x].shape.rank - 1 };

    if (below(g, 2)) {
        finish(g, PF_OP_MAX, x, cast_to(g, PF_F64, cast_to(g, PF_F32, cast_to(g, PF_F64, cast_to(g, PF_F32, x)))), NULL);
        return;
    }
    one = cast_to(g, PF_F64, cast_to(g, PF_F16, unary(g, PF_OP_TANH, reduced(g, PF_REDUCE_MAX, x, true))));
    one = cast_to(g, PF_F16, step(g, PF_OP_SOFTMAX, &one, 1, &attrs));
    finish(g, PF_OP_MUL, x, cast_to(g, PF_F64, one), NULL);
}

/* Two branches of an image, each with the same function or without. */
static void grow_branches(grower *g)
{
    static const int64_t strides[] = { 1, 1 }, none[] = { 0, 0, 0, 0 };
    pf_value_id          x = pick(g), y[2] = { PF_NONE, PF_NONE };
    const pf_shape      *shape = &g->graph->values[x].shape;
    pf_conv_attrs        attrs = { .groups = 1, .strides = { .count = 2 }, .dilations = { .count = 2 }, .pads = { .count = 4 } };
    bool                 with_function = below(g, 2);

    if (shape->rank != 4 || !pf_dim_is_number(shape->dim[1]) || shape->dim[1] < 1)
        return;
    memcpy(attrs.strides.at, strides, sizeof strides);
    memcpy(attrs.dilations.at, strides, sizeof strides);
    memcpy(attrs.pads.at, none, sizeof none);
    for (int i = 0; i < 2; i++) {
        int64_t     channels = g->graph->values[x].shape.dim[1];
        pf_value_id w = constant(g, 4, (int64_t[]){ 1 + below(g, 3), channels, 1, 1 }, false);

        y[i] = step(g, PF_OP_CONV, (pf_value_id[]){ x, w }, 2, &attrs);
        if (with_function)
            y[i] = step(g, PF_OP_RELU, &y[i], 1, NULL);
        if (y[i] != PF_NONE)
            y[i] = step(g, PF_OP_REDUCE, &y[i], 1, &(pf_reduce_attrs){ .mode = PF_REDUCE_MAX, .axes = { .count = 1, .at = { 1 } }, .keepdims = 1 });
    }
    finish(g, PF_OP_ADD, y[0], y[1], NULL);
}

/* Of an input as it is: what other rules round in another way may fall on the other side of a tie. */
static void grow_quantized(grower *g)
{
    pf_value_id                x = cast_to(g, PF_F32, g->pool[below(g, 2)]), scale = PF_NONE, zero = PF_NONE, y = PF_NONE;
    pf_dtype                   dtype = (pf_dtype[]){ PF_U8, PF_I8, PF_I16 }[below(g, 3)];
    pf_quantize_linear_attrs   quantize = { .dtype = (int32_t)dtype };
    pf_dequantize_linear_attrs dequantize = { .dtype = PF_F32 };
    pf_err                     err = { 0 };

    test_ok(pf_graph_add_scalar(g->graph, PF_F32, 0.01 * (1 + below(g, 5)), &scale, &err), &err);
    test_ok(pf_graph_add_scalar(g->graph, dtype, below(g, 2) * 9, &zero, &err), &err);
    y = step(g, PF_OP_QUANTIZE_LINEAR, (pf_value_id[]){ x, scale, zero }, 3, &quantize);
    if (y != PF_NONE)
        y = cast_to(g, PF_F64, step(g, PF_OP_DEQUANTIZE_LINEAR, (pf_value_id[]){ y, scale, zero }, 3, &dequantize));
    finish(g, PF_OP_ADD, pick(g), y, NULL);
}

static void grow_activation(grower *g)
{
    pf_value_id x = pick(g), e = PF_NONE;

    switch (below(g, 6)) {
    case 0:
        finish(g, PF_OP_MUL, with_number(g, PF_OP_ADD, unary(g, PF_OP_ERF, with_number(g, PF_OP_DIV, x, 1.41421356237)), 1), with_number(g, PF_OP_MUL, x, 0.5), NULL);
        break;
    case 1:
        finish(g, PF_OP_MUL, x, unary(g, PF_OP_SIGMOID, below(g, 2) ? x : with_number(g, PF_OP_MUL, x, 1.702)), NULL);
        break;
    case 2:
        e = with_number(g, PF_OP_MIN, unary(g, PF_OP_RELU, with_number(g, PF_OP_ADD, x, 3)), 6);
        finish(g, PF_OP_MUL, x, with_number(g, PF_OP_DIV, e, 6), NULL);
        break;
    case 3:
        finish(g, PF_OP_MAX, with_number(g, PF_OP_MUL, x, 0.1), x, NULL);
        break;
    case 4:
        e = unary(g, PF_OP_LOG, with_number(g, PF_OP_ADD, unary(g, PF_OP_EXP, unary(g, PF_OP_TANH, x)), 1));
        finish(g, PF_OP_SUB, e, x, NULL);
        break;
    default:
        finish(g, PF_OP_SUB, with_number(g, PF_OP_MAX, unary(g, PF_OP_RELU, x), 0.5), x, NULL);
    }
}

static void grow_split(grower *g)
{
    pf_value_id   x = pick(g);
    pf_split_attrs attrs = { .axis = 1 };

    if (channels_of(g, x) > 1)
        add(g, PF_OP_SPLIT, &x, 1, &attrs, 2);
}

/* Rows of any shape through a product of matrices, flat in between. */
static void grow_flat(grower *g)
{
    pf_value_id      x = pick(g), w = PF_NONE;
    pf_reshape_attrs flat = { .shape = { 2, { -1, last_dim(g, x) } } };
    pf_gemm_attrs    attrs = { .alpha = 1, .beta = 1 };

    if (!last_dim(g, x) || last_dim(g, x) > 20 || g->graph->values[x].shape.rank < 3)
        return;
    w = constant(g, 2, (int64_t[]){ last_dim(g, x), last_dim(g, x) }, false);
    w = step(g, PF_OP_GEMM, (pf_value_id[]){ step(g, PF_OP_RESHAPE, &x, 1, &flat), w }, 2, &attrs);
    if (w != PF_NONE)
        finish(g, PF_OP_MAX, like(g, w, x), x, NULL);
}

static pf_value_id turned(grower *g, pf_value_id x)
{
    pf_transpose_attrs attrs = { .perm = { 4, { 1, 0, 2, 3 } } };

    return g->graph->values[x].shape.rank == 4 ? step(g, PF_OP_TRANSPOSE, &x, 1, &attrs) : PF_NONE;
}

/* Another order of dims, and back. */
static void grow_detour(grower *g)
{
    pf_value_id x = pick(g), y = turned(g, x);

    if (y != PF_NONE)
        finish(g, PF_OP_SUB, turned(g, with_number(g, PF_OP_MUL, unary(g, PF_OP_TANH, y), 2)), x, NULL);
}

/* Two slices of one value, each transposed. */
static void grow_turned_slices(grower *g)
{
    pf_value_id    x = unary(g, PF_OP_TANH, pick(g)), part[2] = { PF_NONE, PF_NONE };
    pf_slice_attrs attrs = { .axes = { 1, { 1 } }, .starts = { 1, { 0 } }, .ends = { 1, { 2 } }, .steps = { 1, { 1 } } };
    pf_axis_attrs  last = { .axis = g->graph->values[x].shape.rank - 1 };

    if (channels_of(g, x) != 4)
        return;
    part[0] = swapped(g, step(g, PF_OP_SLICE, &x, 1, &attrs));
    attrs.starts.at[0] = 2;
    attrs.ends.at[0] = 4;
    part[1] = swapped(g, step(g, PF_OP_SLICE, &x, 1, &attrs));
    finish(g, PF_OP_SUB, step(g, PF_OP_SOFTMAX, part, 1, &last), part[1], NULL);
}

static void grow_concats(grower *g)
{
    pf_value_id   x = pick(g), two = PF_NONE;
    pf_axis_attrs attrs = { .axis = 1 };

    if (channels_of(g, x) && channels_of(g, x) < 6)
        two = step(g, PF_OP_CONCAT, (pf_value_id[]){ x, x }, 2, &attrs);
    finish(g, PF_OP_CONCAT, two, x, &attrs);
}

/* Two products of one value. */
static void grow_products(grower *g)
{
    pf_value_id x = pick(g), a = PF_NONE, b = PF_NONE;

    if (g->graph->values[x].shape.rank < 2 || !last_dim(g, x) || last_dim(g, x) > 20)
        return;
    a = binary(g, PF_OP_MATMUL, x, constant(g, 2, (int64_t[]){ last_dim(g, x), 2 }, false));
    b = binary(g, PF_OP_MATMUL, x, constant(g, 2, (int64_t[]){ last_dim(g, x), 2 }, false));
    if (below(g, 2))
        b = binary(g, PF_OP_ADD, b, constant(g, 1, (int64_t[]){ 2 }, false));
    finish(g, PF_OP_SUB, unary(g, PF_OP_TANH, a), unary(g, PF_OP_EXP, unary(g, PF_OP_TANH, b)), NULL);
}

static void grow_einsum(grower *g)
{
    pf_value_id     x = unary(g, PF_OP_TANH, pick(g));
    pf_einsum_attrs attrs = { .equation = below(g, 2) ? "abcd,abed->acbe" : "abcd,abed->abce" };

    if (g->graph->values[x].shape.rank == 4)
        finish(g, PF_OP_EINSUM, x, x, &attrs);
}

/* A branch that works on an outer value. */
static pf_graph *branch(grower *g, pf_op_kind op, pf_value_id x)
{
    pf_graph   *body = pf_graph_new("", g->graph);
    pf_value_id inner = PF_NONE, out = PF_NONE;
    pf_err      err = { 0 };

    assert_non_null(body);
    test_ok(pf_graph_capture(body, x, &inner, &err), &err);
    test_ok(pf_graph_add_node(body, op, "n", &inner, 1, NULL, 1, &out, &err), &err);
    test_ok(pf_graph_add_output(body, out, NULL, &err), &err);
    return body;
}

static void grow_if(grower *g)
{
    pf_value_id x = pick(g), in[3] = { PF_NONE, x, x };
    pf_if_attrs attrs = { branch(g, PF_OP_TANH, x), branch(g, PF_OP_NEG, x) };
    pf_err      err = { 0 };

    test_ok(pf_graph_add_scalar(g->graph, PF_BOOL, below(g, 2), &in[0], &err), &err);
    add(g, PF_OP_IF, in, 3, &attrs, 1);
}

/* A reduction of a reduction, and one of what was transposed. */
static void grow_reductions(grower *g)
{
    pf_value_id     x = pick(g), inner = PF_NONE, moved = PF_NONE;
    int32_t         rank = g->graph->values[x].shape.rank;
    pf_reduce_attrs last = { .mode = PF_REDUCE_MEAN, .axes = { 1, { rank - 1 } }, .keepdims = below(g, 2) };
    pf_reduce_attrs next = { .mode = PF_REDUCE_MEAN, .axes = { 1, { rank - 2 } }, .keepdims = last.keepdims };

    if (rank < 3)
        return;
    inner = step(g, PF_OP_REDUCE, &x, 1, &last);
    if (inner != PF_NONE)
        add(g, PF_OP_REDUCE, &inner, 1, &next, 1);
    moved = swapped(g, x);
    if (moved != PF_NONE)
        add(g, PF_OP_REDUCE, &moved, 1, &next, 1);
}

/* Every other element along two dims. */
static void grow_corner(grower *g)
{
    pf_value_id    x = pick(g), corner = PF_NONE;
    pf_slice_attrs attrs = { .axes = { 1, { 1 } }, .starts = { 1, { 0 } }, .ends = { 1, { PF_SLICE_FAR } }, .steps = { 1, { 2 } } };

    corner = step(g, PF_OP_SLICE, &x, 1, &attrs);
    attrs.axes.at[0] = g->graph->values[x].shape.rank - 1;
    if (corner != PF_NONE && attrs.axes.at[0] > 1)
        add(g, PF_OP_SLICE, &corner, 1, &attrs, 1);
}

/* A transposed convolution of what is padded, and one that is cropped. */
static void grow_cropped(grower *g)
{
    pf_value_id             in[2] = { pick(g), PF_NONE }, whole = PF_NONE;
    int64_t                 channels = channels_of(g, in[0]);
    pf_conv_transpose_attrs attrs = { .strides = { 2, { 2, 2 } }, .dilations = { 2, { 1, 1 } }, .pads = { 4, { below(g, 2), 0, 2, 0 } },
                                      .output_padding = { 2, { 0, 0 } }, .groups = 1 };
    pf_pad_attrs            pads = { .pads = { 8, { 0, 0, 0, 0, 0, 0, 1, 0 } } };
    pf_slice_attrs          crop = { .axes = { 1, { 2 } }, .starts = { 1, { 2 - attrs.pads.at[0] } }, .ends = { 1, { PF_SLICE_FAR } },
                                     .steps = { 1, { 1 } } };

    if (!channels || channels > 6 || g->graph->values[in[0]].shape.rank != 4)
        return;
    in[1] = constant(g, 4, (int64_t[]){ channels, 2, 3, 3 }, false);
    whole = step(g, PF_OP_CONV_TRANSPOSE, in, 2, &attrs);
    if (whole != PF_NONE)
        add(g, PF_OP_SLICE, &whole, 1, &crop, 1);
    in[0] = step(g, PF_OP_PAD, in, 1, &pads);
    if (in[0] != PF_NONE)
        add(g, PF_OP_CONV_TRANSPOSE, in, 2, &attrs, 1);
}

static void (*const growers[])(grower *g) = {
    grow_reductions, grow_corner, grow_cropped, grow_cropped,
    grow_products, grow_einsum, grow_if, grow_patches,
    grow_concats, grow_quantized, grow_branches,
    grow_split, grow_flat, grow_reshape, grow_reshape, grow_transpose, grow_detour, grow_detour, grow_turned_slices, grow_turned_slices,
    grow_norm, grow_norm, grow_group_norm, grow_softmax, grow_lengths, grow_casts, grow_activation, grow_activation, grow_activation,
    grow_square, grow_positions, grow_positions, grow_positions, grow_positions, grow_expand, grow_gather, grow_attention,
    grow_conv,  grow_conv,      grow_conv_transpose, grow_batch_norm, grow_batch_norm, grow_scale,  grow_scale,  grow_scale, grow_unary, grow_binary,
    grow_pad,   grow_pad,       grow_pad,            grow_conv,       grow_pool,        grow_pool,   grow_transpose,      grow_reshape,    grow_product,    grow_concat, grow_slice,  grow_shape,
    grow_head,  grow_head,      grow_twin,           grow_dynamic,    grow_unary,  grow_transpose, grow_transpose,
};

static pf_graph *random_graph(uint64_t seed)
{
    grower         g = { .graph = pf_graph_new("", NULL) };
    static const int64_t image[] = { 0, 4, 6, 5 };
    pf_shape       shape = { .rank = 4 };
    pf_value_id    id = PF_NONE;
    pf_err         err = { 0 };

    assert_non_null(g.graph);
    pf_random_init(&g.random, seed);
    memcpy(shape.dim, image, sizeof image);
    shape.dim[0] = pf_dims_symbol(g.graph->dims, "n");
    for (int i = 0; i < 2; i++) {
        test_ok(pf_graph_add_input(g.graph, i ? "b" : "a", PF_F64, &shape, &id, &err), &err);
        g.pool[g.count++] = id;
    }
    for (int i = 0; i < RANDOM_NODES; i++)
        growers[below(&g, sizeof growers / sizeof growers[0])](&g);
    for (uint32_t i = 0; i < 6; i++)
        test_ok(pf_graph_add_output(g.graph, g.pool[i ? below(&g, g.count) : g.count - 1], NULL, &err), &err);
    test_ok(pf_graph_verify(g.graph, &err), &err);
    return g.graph;
}

/* All rules together keep what random graphs compute, come to an end, and do the same again on a copy. */
static void test_random_graphs(void **state)
{
    uint32_t              fired[RULE_LIMIT] = { 0 }, count = 0, impossible = 0;
    const pf_rule *const *all = pf_rules(&count);

    (void)state;
    assert_true(count <= RULE_LIMIT);
    for (uint64_t seed = 0; seed < RANDOM_GRAPHS; seed++) {
        pf_graph         *graph = random_graph(seed), *copy = NULL;
        pf_rewrite_report report;
        outputs           before, after;
        pf_buf            start, text, copy_text;
        pf_err            err = { 0 };

        if (try_graph(graph, seed, &before, &err)) {     /* a pool of nothing, where a size was not known when the pool was added */
            impossible++;
            pf_graph_free(graph);
            continue;
        }
        (void)text_of(graph, false, &start);
        copy = pf_graph_copy(graph, &err);
        assert_non_null(copy);
        test_ok(pf_rewrite_run(graph, NULL, &report, &err), &err);
        assert_int_equal(report.stopped, 0);
        for (uint32_t i = 0; i < report.count; i++)
            fired[i] += report.uses[i].count;
        pf_rewrite_report_clear(&report);
        run_graph(graph, seed, &after);
        check_same(&before, &after, (const char *)start.data);
        test_ok(pf_rewrite_run(copy, NULL, &report, &err), &err);
        pf_rewrite_report_clear(&report);
        assert_string_equal(text_of(graph, false, &text), text_of(copy, false, &copy_text));
        test_ok(pf_rewrite_run(graph, NULL, &report, &err), &err);
        for (uint32_t i = 0; i < report.count; i++)
            assert_int_equal(report.uses[i].count, 0);
        pf_rewrite_report_clear(&report);
        clear_outputs(&before);
        clear_outputs(&after);
        pf_buf_clear(&start);
        pf_buf_clear(&text);
        pf_buf_clear(&copy_text);
        pf_graph_free(copy);
        pf_graph_free(graph);
    }
    assert_true(impossible < RANDOM_GRAPHS / 4);
    for (uint32_t i = 0; i < count; i++)
        if (all[i]->default_on && all[i]->phase != PF_RULES_BUILD && fired[i] < 20)
            fail_msg("%s fired only %u times in %d graphs", all[i]->name, fired[i], RANDOM_GRAPHS);
}

/* What once went round in circles. */
static void test_ends(void **state)
{
    static const char *const bodies[] = {
        "%0 = input f32 [3]\n%1 = constant bool [] {1}\n%2 = expand(%1) shape=[3]\n%3 = identity(%0)\noutput %3\noutput %2\n",
        "%0 = input bool [2,0,4]\n%1 = reduce(%0) mode=max axes=[1] keepdims=1\noutput %1\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        pf_graph         *graph = graph_of_body(bodies[i]);
        pf_rewrite_report report;
        pf_err            err = { 0 };

        test_ok(pf_rewrite_run(graph, NULL, &report, &err), &err);
        assert_int_equal(report.stopped, 0);
        pf_rewrite_report_clear(&report);
        pf_graph_free(graph);
    }
}

/* With the log at debug the graph is verified after each rule that fired, and the result is the same. */
static void test_verified_steps(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        pf_graph *plain = random_graph(seed), *verified = random_graph(seed);
        pf_buf    text, verified_text;
        pf_err    err = { 0 };

        test_ok(pf_rewrite_run(plain, NULL, NULL, &err), &err);
        pf_log_set_filter("rewrite:debug");
        test_ok(pf_rewrite_run(verified, NULL, NULL, &err), &err);
        pf_log_set_filter("warn");
        assert_string_equal(text_of(plain, false, &text), text_of(verified, false, &verified_text));
        pf_buf_clear(&text);
        pf_buf_clear(&verified_text);
        pf_graph_free(plain);
        pf_graph_free(verified);
    }
}

static void test_options(void **state)
{
    static const char  body[] = "%0 = input f32 [n]\n%1 = identity(%0)\n%2 = relu(%1)\n%3 = neg(%0)\noutput %2\n";
    pf_rewrite_options no_dead = { .disabled = "drop_dead,merge_common" }, none = { .disabled = "all" }, bad = { .disabled = "drop_deaf" };
    pf_rewrite_report  report;
    pf_buf             text;
    pf_err             err = { 0 };
    pf_graph          *graph = graph_of_body(body);

    (void)state;
    assert_int_equal(pf_rewrite_run(graph, &bad, &report, &err), PF_INVALID);
    assert_non_null(strstr(err.msg, "drop_dead, "));
    pf_rewrite_report_clear(&report);
    pf_err_clear(&err);
    test_ok(pf_rewrite_run(graph, &none, &report, &err), &err);
    assert_int_equal(graph->nodes[2].live, true);
    pf_buf_init(&text, 10000);
    pf_rewrite_report_print(&report, true, &text);
    assert_int_equal(text.size, 0);
    pf_rewrite_report_clear(&report);
    test_ok(pf_rewrite_run(graph, &no_dead, &report, &err), &err);
    assert_true(graph->nodes[2].live && !graph->nodes[0].live);
    pf_rewrite_report_print(&report, false, &text);
    assert_string_equal((char *)text.data, "drop_identity 1\n");
    pf_rewrite_report_clear(&report);
    pf_buf_clear(&text);
    pf_graph_free(graph);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint64_t n = 0;; n++) {
            pf_graph         *graph = graph_of_body(rows[i].before);
            pf_rewrite_report report;
            pf_err            err = { 0 };
            pf_status         st = PF_OK;

            pf_alloc_fail_after(n);
            st = pf_rewrite_run(graph, NULL, &report, &err);
            pf_alloc_fail_after(UINT64_MAX);
            pf_rewrite_report_clear(&report);
            pf_graph_free(graph);
            if (!st)
                break;
            if (st != PF_NO_SPACE)
                fail_msg("allocation %u: %s", (unsigned)n, err.msg);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_table_is_complete), cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_verified_steps), cmocka_unit_test(test_ends), cmocka_unit_test(test_options), cmocka_unit_test(test_out_of_memory),
    };

    omp_set_num_threads(1);         /* products of this size are slower on more */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
