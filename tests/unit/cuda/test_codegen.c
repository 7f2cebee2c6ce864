/* Every skeleton makes code that NVRTC compiles for several kinds of card, for problems of the shapes that networks
   have. What it computes is compared with the reference where there is a GPU (tests/gpu). */
#include "tests/unit/cuda/programs.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/attention_form.h"
#include "engine/cuda/codegen.h"
#include "engine/cuda/codegen_attention.h"
#include "engine/cuda/codegen_column.h"
#include "engine/cuda/codegen_loop.h"
#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/codegen_wgmma.h"
#include "engine/cuda/codegen_recurrent.h"
#include "engine/cuda/codegen_row.h"
#include "engine/cuda/codegen_window.h"
#include "engine/device.h"

#define HALF_IMAGE "f16 [2,16,12,10]"

typedef pf_status generate_first(const pf_problem *p, pf_program *out, pf_err *err);

static const char *cluster_declines(const pf_problem *p) { return pf_codegen_recurrent_cluster_declines(p, 8); }

static pf_status cluster(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_recurrent_cluster(p, 8, out, err);
}

static const char *alone_declines(const pf_problem *p) { return pf_codegen_recurrent_cluster_declines(p, 1); }

static pf_status alone(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_recurrent_cluster(p, 1, out, err);
}

static pf_status loop_first(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_loop(p, pf_codegen_loop_widest(p), 256, 0, out, err);
}

static pf_status loop_tiles(const pf_problem *p, pf_program *out, pf_err *err)
{
    assert_true(pf_codegen_loop_turns(p));
    return pf_codegen_loop(p, pf_codegen_loop_widest(p), 256, 16, out, err);
}

static pf_status row_first(const pf_problem *p, pf_program *out, pf_err *err)
{
    pf_row_tuning tuning[1];

    pf_codegen_row_tunings(p, 132, tuning, 1);
    return pf_codegen_row(p, tuning, out, err);
}

static pf_status window_first(const pf_problem *p, pf_program *out, pf_err *err)
{
    pf_window_tuning tuning[1];

    pf_codegen_window_tunings(p, tuning, 1);
    return pf_codegen_window(p, tuning, out, err);
}

static pf_status column_shared(const pf_problem *p, pf_program *out, pf_err *err)
{
    pf_column_tuning tuning[1];

    pf_codegen_column_tunings(p, true, tuning, 1);
    assert_true(tuning->split > 1);
    return pf_codegen_column(p, tuning, out, err);
}

static pf_status column_first(const pf_problem *p, pf_program *out, pf_err *err)
{
    pf_column_tuning tuning[1];

    pf_codegen_column_tunings(p, false, tuning, 1);
    return pf_codegen_column(p, tuning, out, err);
}

static pf_status attention_first(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_attention(p, &(pf_attention_tuning){ 4, 1, 2, 64, 1, 0, 1 }, out, err);
}
static pf_status attention_shared(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_attention(p, &(pf_attention_tuning){ 2, 4, 3, 64, 1, 0, 1 }, out, err);
}

/* A head whole in shared memory, two tiles of queries one after the other. */
static pf_status attention_whole(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_attention(p, &(pf_attention_tuning){ 4, 1, 2, 64, 2, 1, 3 }, out, err);
}

/* Rows so short that some share a warp. */
static pf_status row_short(const pf_problem *p, pf_program *out, pf_err *err)
{
    pf_row_tuning tuning[1];

    pf_codegen_row_tunings(p, 132, tuning, 1);
    assert_in_range(tuning->threads, 1, 16);
    return pf_codegen_row(p, tuning, out, err);
}

static pf_status attention_groups(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_attention(p, &(pf_attention_tuning){ 8, 1, 2, 32, 1, 1, 1 }, out, err);
}

static pf_status matmul_split(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_matmul(p, &(pf_matmul_tuning){ 64, 64, 2, 2, 4, 4 }, out, err);
}

static pf_status matmul_narrow(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_matmul(p, &(pf_matmul_tuning){ 128, 16, 8, 1, 2, 5 }, out, err);
}

static pf_status matmul_whole(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_matmul(p, &(pf_matmul_tuning){ 128, 128, 2, 4, 1, 3 }, out, err);
}

static pf_status matmul_thin_few(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_matmul(p, &(pf_matmul_tuning){ 16, 64, 1, 4, 1, 8 }, out, err);
}

static pf_status matmul_thin(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_matmul(p, &(pf_matmul_tuning){ 16, 128, 1, 8, 8, 4 }, out, err);
}

static pf_status wgmma_shared(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 128, 256, 2, 1, 4 }, out, err);
}

static pf_status wgmma_own(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 64, 48, 1, 1, 12 }, out, err);
}

static pf_status wgmma_split(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 128, 192, 2, 4, 5 }, out, err);
}

static pf_status wgmma_three(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 192, 192, 3, 1, 4 }, out, err);
}

static pf_status wgmma_gate(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 64, 96, 1, 2, 8 }, out, err);
}

static pf_status wgmma_own_split(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 64, 48, 1, 2, 12 }, out, err);
}

static pf_value_id first_result(const pf_problem *p) { return p->graph->nodes[0].out[0]; }
static const char *behind_declines(const pf_problem *p) { return pf_codegen_behind_declines(p, first_result(p)); }

static pf_status behind_first(const pf_problem *p, pf_program *out, pf_err *err)
{
    return pf_codegen_behind(p, first_result(p), 256, out, err);
}

typedef struct sample {
    const char *name;
    const char *(*declines)(const pf_problem *p);
    generate_first *generate;
    const char *text;
    int least_card;             /* compute capability that the kernel needs; 0: any */
} sample;

static const sample samples[] = {
    { "bias, gelu, residual", pf_codegen_loop_declines, loop_first,
      "problem in=linear,linear*,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [8,128,768]\n%1 = input f16 [768]\n%2 = input f16 [8,128,768]\n%3 = add(%0, %1)\n"
      "%4 = gelu(%3)\n%5 = add(%4, %2)\noutput %5\n" },
    { "power of integers, and what is added to it", pf_codegen_loop_declines, loop_first,
      "problem in=linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input i32 [4,9]\n%1 = input i64 [9]\n%2 = pow(%0, %1)\n%3 = add(%2, %0)\noutput %3\n" },
    { "nchw to nhwc with cast", pf_codegen_loop_declines, loop_first,
      "problem in=linear out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f32 [2,64,14,14]\n%1 = cast(%0) dtype=f16\noutput %1\n" },
    { "sounds of an odd length to linear, in tiles", pf_codegen_loop_declines, loop_tiles,
      "problem in=nhwc out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,40,1,399]\n%1 = identity(%0)\noutput %1\n" },
    { "rows to columns, in tiles, for two results", pf_codegen_loop_declines, loop_tiles,
      "problem in=linear,linear* out=linear,linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [3,72,50]\n%1 = input f16 [72]\n%2 = transpose(%0) perm=[0,2,1]\n%3 = mul(%2, %1)\n"
      "%4 = cast(%2) dtype=f32\noutput %4\noutput %3\n" },
    { "stem padded to eight channels", pf_codegen_loop_declines, loop_first,
      "problem in=linear out=c8 numerics=0\n"
      "graph \"\"\n%0 = input f32 [2,3,32,32]\n%1 = cast(%0) dtype=f16\noutput %1\n" },
    { "transpose, slice, concat", pf_codegen_loop_declines, loop_first,
      "problem in=linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,12,128,64]\n%1 = input f16 [2,128,12,64]\n%2 = transpose(%0) perm=[0,2,1,3]\n"
      "%3 = slice(%2) axes=[3] starts=[0] ends=[32] steps=[1]\n"
      "%4 = slice(%1) axes=[3] starts=[32] ends=[64] steps=[1]\n%5 = concat(%3, %4) axis=3\noutput %5\n" },
    { "embedding and mask", pf_codegen_loop_declines, loop_first,
      "problem in=linear*,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1000,64]\n%1 = input i64 [2,16]\n%2 = gather(%0, %1)\n%3 = relu(%2)\noutput %3\n" },
    { "bilinear resize, channels last", pf_codegen_loop_declines, loop_first,
      "problem in=nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,16,10,10]\n"
      "%1 = resize(%0) mode=linear coordinates=half_pixel sizes=[1,16,25,40] cubic_a=-0.75\n%2 = relu(%1)\n"
      "output %2\n" },
    { "elements gathered along an axis", pf_codegen_loop_declines, loop_first,
      "problem in=linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input i64 [1,512]\n%1 = input i64 [1,16]\n%2 = gather_elements(%0, %1) axis=1\noutput %2\n" },
    { "positions gathered by several indices", pf_codegen_loop_declines, loop_first,
      "problem in=linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input bool [2,512]\n%1 = input i64 [2,1,7,9,2]\n%2 = gather_nd(%0, %1)\noutput %2\n" },
    { "embeddings, sum and norm in FP32, handed on in FP16", pf_codegen_row_declines, row_first,
      "problem in=linear,linear*,linear*,linear*,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input i64 [1,128]\n%1 = input f32 [30522,768]\n%2 = input f32 [1,1,768]\n"
      "%3 = input f32 [1,128,768]\n%4 = input f32 [768]\n%5 = input f32 [768]\n%6 = gather(%1, %0)\n%7 = add(%6, %2)\n"
      "%8 = add(%7, %3)\n%9 = layer_norm(%8, %4, %5) axis=2 epsilon=1e-12\n%10 = clip(%9) p=-65504 q=65504\n"
      "%11 = cast(%10) dtype=f16\noutput %11\n" },
    { "softmax with scale and mask", pf_codegen_row_declines, row_first,
      "problem in=linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,12,128,128]\n%1 = input f16 [2,1,1,128]\n%2 = add(%0, %1)\n"
      "%3 = softmax(%2) axis=3\noutput %3\n" },
    { "residual and layer norm, both wanted", pf_codegen_row_declines, row_first,
      "problem in=linear,linear,linear*,linear* out=linear,linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,128,768]\n%1 = input f16 [2,128,768]\n%2 = input f16 [768]\n%3 = input f16 [768]\n"
      "%4 = add(%0, %1)\n%5 = layer_norm(%4, %2, %3) axis=2 epsilon=1e-12\noutput %4\noutput %5\n" },
    { "layer norm of an image's channels, which are last", pf_codegen_row_declines, row_first,
      "problem in=nhwc,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,64,14,14]\n%1 = input f16 [64]\n%2 = input f16 [64]\n"
      "%3 = reshape(%0) shape=[1,64,196]\n%4 = transpose(%3) perm=[0,2,1]\n"
      "%5 = layer_norm(%4, %1, %2) axis=2 epsilon=1e-5\noutput %5\n" },
    { "mean of the last dims", pf_codegen_row_declines, row_first,
      "problem in=linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f32 [2,512,7,7]\n%1 = reduce(%0) mode=mean axes=[2,3] keepdims=1\noutput %1\n" },
    { "mean over tokens, in the middle", pf_codegen_row_declines, row_first,
      "problem in=linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,197,768]\n%1 = reduce(%0) mode=mean axes=[1] keepdims=0\n%2 = relu(%1)\n"
      "output %2\n" },
    { "sum over two dims apart, kept", pf_codegen_row_declines, row_first,
      "problem in=linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,5,7,16]\n%1 = reduce(%0) mode=sum axes=[0,2] keepdims=1\noutput %1\n" },
    { "softmax over channels", pf_codegen_row_declines, row_first,
      "problem in=linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,21,33,33]\n%1 = softmax(%0) axis=1\noutput %1\n" },
    { "layer norm of many short rows", pf_codegen_row_declines, row_short,
      "problem in=linear,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,700,96]\n%1 = input f16 [96]\n%2 = input f16 [96]\n"
      "%3 = layer_norm(%0, %1, %2) axis=2 epsilon=1e-5\noutput %3\n" },
    { "group norm and swish, channels last", pf_codegen_row_declines, row_first,
      "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input " HALF_IMAGE "\n%1 = input f16 [16]\n%2 = input f16 [16]\n"
      "%3 = group_norm(%0, %1, %2) groups=4 epsilon=1e-5\n%4 = swish(%3) p=1\noutput %4\n" },
    { "depthwise, bias, hard swish", pf_codegen_window_declines, window_first,
      "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input " HALF_IMAGE "\n%1 = input f16 [16,1,5,5]\n%2 = input f16 [16]\n"
      "%3 = conv(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[2,2,2,2] groups=16\n%4 = hard_swish(%3)\n"
      "output %4\n" },
    { "attention of a packed projection, additive mask, heads behind positions", pf_attention_declines, attention_first,
      "problem in=linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,128,2304]\n%1 = input i64 [2,128]\n%2 = reshape(%0) shape=[2,128,3,12,64]\n"
      "%3:3 = split(%2) axis=2 sizes=[1,1,1]\n%6 = reshape(%3) shape=[2,128,12,64]\n"
      "%7 = reshape(%4) shape=[2,128,12,64]\n%8 = reshape(%5) shape=[2,128,12,64]\n%9 = transpose(%6) perm=[0,2,1,3]\n"
      "%10 = transpose(%7) perm=[0,2,1,3]\n%11 = transpose(%8) perm=[0,2,1,3]\n%20 = constant f32 [] {-1000}\n"
      "%12 = cast(%1) dtype=f32\n%13 = mul(%12, %20)\n%14 = reshape(%13) shape=[2,1,1,128]\n"
      "%15 = attention(%9, %10, %11, %14) scale=0.125\n%16 = transpose(%15) perm=[0,2,1,3]\n"
      "%17 = reshape(%16) shape=[2,128,768]\noutput %17\n", 80 },
    { "attention of small heads, at places that are no multiple of eight", pf_attention_declines, attention_first,
      "problem in=linear,linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,4,100,20]\n%1 = input f16 [1,4,100,20]\n%2 = input f16 [1,4,100,20]\n"
      "%3 = attention(%0, %1, %2)\noutput %3\n", 80 },
    { "attention of long heads", pf_attention_declines, attention_first,
      "problem in=linear,linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,4,100,256]\n%1 = input f16 [1,4,100,256]\n%2 = input f16 [1,4,100,256]\n"
      "%3 = attention(%0, %1, %2)\noutput %3\n", 80 },
    { "causal attention, grouped heads", pf_attention_declines, attention_first,
      "problem in=linear,linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,8,100,128]\n%1 = input f16 [1,2,100,128]\n%2 = input f16 [1,2,100,128]\n"
      "%3 = attention(%0, %1, %2) causal=top_left\noutput %3\n", 80 },
    { "causal attention, keys shared by warps", pf_attention_declines, attention_shared,
      "problem in=linear,linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,8,100,128]\n%1 = input f16 [1,2,100,128]\n%2 = input f16 [1,2,100,128]\n"
      "%3 = attention(%0, %1, %2) causal=top_left\noutput %3\n", 80 },
    { "attention by warp groups, mask of bool, keys that end inside a tile", pf_attention_declines, attention_whole,
      "problem in=linear,linear,linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,8,100,64]\n%1 = input f16 [1,8,83,64]\n%2 = input f16 [1,8,83,64]\n"
      "%3 = input bool [100,83]\n%4 = attention(%0, %1, %2, %3)\noutput %4\n", 90 },
    { "causal attention by warp groups, keys in turn, heads of no multiple of 64",
      pf_attention_declines, attention_groups,
      "problem in=linear,linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input bf16 [1,8,300,80]\n%1 = input bf16 [1,2,300,80]\n%2 = input bf16 [1,2,300,80]\n"
      "%3 = attention(%0, %1, %2) causal=bottom_right\noutput %3\n", 90 },
    { "global average pool, channels last", pf_codegen_column_declines, column_first,
      "problem in=nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input " HALF_IMAGE "\n%1 = reduce(%0) mode=mean axes=[2,3] keepdims=1\n%2 = relu(%1)\n"
      "output %2\n" },
    { "global average pool of few large images", pf_codegen_column_declines, column_shared,
      "problem in=nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,24,56,56]\n%1 = reduce(%0) mode=mean axes=[2,3] keepdims=1\noutput %1\n", 90 },
    { "weighted sum of eight experts, residual", pf_codegen_column_declines, column_first,
      "problem in=linear,linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f32 [8,128,1]\n%1 = input f16 [8,128,512]\n%2 = input f32 [1,128,512]\n"
      "%3 = cast(%1) dtype=f32\n%4 = mul(%0, %3)\n%5 = reduce(%4) axes=[0] keepdims=1\n%6 = add(%5, %2)\n"
      "output %6\n" },
    { "largest of leading dims, few columns, which go", pf_codegen_column_declines, column_first,
      "problem in=linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [20,3,40,10]\n%1 = reduce(%0) mode=max axes=[0,2] keepdims=0\noutput %1\n" },
    { "one image: what broadcasts over the batch is at the same point", pf_codegen_window_declines, window_first,
      "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,16,12,10]\n%1 = input f16 [16,1,3,3]\n%2 = input f16 [16,1,1]\n"
      "%3 = conv(%0, %1, _) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=16\n%4 = add(%3, %2)\n"
      "%5 = sigmoid(%4)\n%6 = mul(%4, %5)\noutput %6\n" },
    { "product, bias, gelu, residual: in parts", pf_codegen_matmul_declines, matmul_split,
      "problem in=linear,linear*,linear*,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,128,768]\n%1 = input f16 [768,3072]\n%2 = input f16 [3072]\n"
      "%3 = input f16 [1,128,3072]\n%4 = matmul(%0, %1)\n%5 = add(%4, %2)\n%6 = gelu(%5)\n%7 = add(%6, %3)\n"
      "output %7\n", 90 },
    { "gemm with a transposed matrix, sums in f32", pf_codegen_matmul_declines, matmul_whole,
      "problem in=linear,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input bf16 [100,2048]\n%1 = input bf16 [1000,2048]\n%2 = input bf16 [1000]\n"
      "%3 = gemm(%0, %1, %2) trans_b=1 alpha=0.5 beta=1\n%4 = cast(%3) dtype=f32\noutput %4\n", 80 },
    { "in place behind a product: gelu, residual", behind_declines, behind_first,
      "problem in=linear,linear*,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,128,768]\n%1 = input f16 [768,3072]\n%2 = input f16 [1,128,3072]\n"
      "%3 = matmul(%0, %1)\n%4 = gelu(%3)\n%5 = add(%4, %2)\noutput %5\n" },
    { "rows that start at odd places", pf_codegen_matmul_declines, matmul_whole,
      "problem in=linear,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,128,768]\n%1 = input f16 [50257,768]\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = cast(%2) dtype=f32\noutput %3\n", 80 },
    { "rows that are no multiple of 16 bytes", pf_codegen_matmul_declines, matmul_thin_few,
      "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [32,10,1,1]\n%1 = input f16 [240,10,1,1]\n%2 = input f16 [240]\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%4 = sigmoid(%3)\n"
      "output %4\n", 80 },
    { "by warp groups: product, bias, gelu, residual, one tile for both", pf_codegen_wgmma_declines, wgmma_shared,
      "problem in=linear,linear*,linear*,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,128,768]\n%1 = input f16 [768,3072]\n%2 = input f16 [3072]\n"
      "%3 = input f16 [1,128,3072]\n%4 = matmul(%0, %1)\n%5 = add(%4, %2)\n%6 = gelu(%5)\n%7 = add(%6, %3)\n"
      "output %7\n", 90 },
    { "by warp groups: odd rows, a tile for each", pf_codegen_wgmma_declines, wgmma_own,
      "problem in=linear,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input bf16 [1,197,776]\n%1 = input bf16 [1001,776]\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = cast(%2) dtype=f32\noutput %3\n", 90 },
    { "by warp groups: residual, in parts of K", pf_codegen_wgmma_declines, wgmma_split,
      "problem in=linear,linear*,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,197,3072]\n%1 = input f16 [3072,768]\n%2 = input f16 [1,197,768]\n"
      "%3 = matmul(%0, %1)\n%4 = add(%3, %2)\noutput %4\n", 90 },
    { "by warp groups: convolution of one pixel", pf_codegen_wgmma_declines, wgmma_own,
      "problem in=nhwc,linear*,linear*,nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,512,7,7]\n%1 = input f16 [2048,512,1,1]\n%2 = input f16 [2048]\n"
      "%3 = input f16 [2,2048,7,7]\n%4 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%5 = add(%4, %3)\n%6 = relu(%5)\noutput %6\n", 90 },
    { "by warp groups: three for a tile, rows of several dims, gelu in bf16", pf_codegen_wgmma_declines, wgmma_three,
      "problem in=linear,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input bf16 [3,197,768]\n%1 = input bf16 [3072,768]\n%2 = input bf16 [3072]\n"
      "%3 = matmul(%0, %1) trans_b=1\n%4 = add(%3, %2)\n%5 = gelu(%4)\noutput %5\n", 90 },
    { "by warp groups: two results, one of them in f32, a factor for each row", pf_codegen_wgmma_declines, wgmma_shared,
      "problem in=linear,linear*,linear out=linear,linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,100,256]\n%1 = input f16 [1004,256]\n%2 = input f16 [2,100,1]\n"
      "%3 = matmul(%0, %1) trans_b=1\n%4 = mul(%3, %2)\n%5 = cast(%4) dtype=f32\n%6 = relu(%4)\noutput %5\n"
      "output %6\n", 90 },
    { "by warp groups: weights that nobody can pack", pf_codegen_wgmma_declines, wgmma_three,
      "problem in=linear,linear out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [200,256]\n%1 = input f16 [1000,256]\n%2 = matmul(%0, %1) trans_b=1\n"
      "output %2\n", 90 },
    { "by warp groups: runs of four columns, in parts of K", pf_codegen_wgmma_declines, wgmma_own_split,
      "problem in=linear,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [197,768]\n%1 = input f16 [768,200]\n%2 = input f16 [200]\n%3 = matmul(%0, %1)\n"
      "%4 = add(%3, %2)\noutput %4\n", 90 },
    { "by warp groups: rows at odd places, in f32", pf_codegen_wgmma_declines, wgmma_shared,
      "problem in=linear,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [200,256]\n%1 = input f16 [1003,256]\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = cast(%2) dtype=f32\noutput %3\n", 90 },
    { "by warp groups: rows at odd places, in f16, weights in rows of K", pf_codegen_wgmma_declines, wgmma_three,
      "problem in=linear,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [200,256]\n%1 = input f16 [256,1003]\n%2 = matmul(%0, %1)\n"
      "%3 = tanh(%2)\noutput %3\n", 90 },
    { "by warp groups: a gate", pf_codegen_wgmma_declines, wgmma_shared,
      "problem in=linear,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [200,256]\n%1 = input f16 [256,704]\n%2 = matmul(%0, %1)\n"
      "%3 = slice(%2) axes=[1] starts=[0] ends=[352] steps=[1]\n%4 = swish(%3) p=1\n"
      "%5 = slice(%2) axes=[1] starts=[352] ends=[704] steps=[1]\n%6 = mul(%4, %5)\noutput %6\n", 90 },
    { "by warp groups: a gate of runs of four columns, in parts of K", pf_codegen_wgmma_declines, wgmma_gate,
      "problem in=linear,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [70,256]\n%1 = input f16 [80,256]\n%2 = input f16 [80]\n"
      "%3 = matmul(%0, %1) trans_b=1\n%4 = add(%3, %2)\n"
      "%5 = slice(%4) axes=[1] starts=[40] ends=[80] steps=[1]\n%6 = gelu(%5)\n"
      "%7 = slice(%4) axes=[1] starts=[0] ends=[40] steps=[1]\n%8 = mul(%7, %6)\noutput %8\n", 90 },
    { "a gate, in parts of K", pf_codegen_matmul_declines, matmul_split,
      "problem in=linear,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [200,256]\n%1 = input f16 [256,704]\n%2 = matmul(%0, %1)\n"
      "%3 = slice(%2) axes=[1] starts=[0] ends=[352] steps=[1]\n%4 = swish(%3) p=1\n"
      "%5 = slice(%2) axes=[1] starts=[352] ends=[704] steps=[1]\n%6 = mul(%4, %5)\noutput %6\n", 90 },
    { "a gate with a bias, weights in rows of K", pf_codegen_matmul_declines, matmul_whole,
      "problem in=linear,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [3,256]\n%1 = input f16 [704,256]\n%2 = input f16 [704]\n"
      "%3 = gemm(%0, %1, %2) trans_b=1 alpha=1 beta=1\n"
      "%4 = slice(%3) axes=[1] starts=[352] ends=[704] steps=[1]\n%5 = gelu(%4)\n"
      "%6 = slice(%3) axes=[1] starts=[0] ends=[352] steps=[1]\n%7 = mul(%6, %5)\noutput %7\n", 90 },
    { "convolution of one pixel, residual, relu", pf_codegen_matmul_declines, matmul_thin,
      "problem in=nhwc,linear*,linear*,nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,512,7,7]\n%1 = input f16 [2048,512,1,1]\n%2 = input f16 [2048]\n"
      "%3 = input f16 [2,2048,7,7]\n%4 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%5 = add(%4, %3)\n%6 = relu(%5)\noutput %6\n", 90 },
    { "convolution with a window, strides and dilation, residual", pf_codegen_conv_declines, matmul_split,
      "problem in=nhwc,linear*,linear*,nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,72,30,17]\n%1 = input f16 [40,72,3,5]\n%2 = input f16 [40]\n"
      "%3 = input f16 [2,40,15,13]\n%4 = conv(%0, %1, %2) strides=[2,1] dilations=[1,2] pads=[1,2,0,2] groups=1\n"
      "%5 = add(%4, %3)\n%6 = relu(%5)\noutput %6\n", 90 },
    { "a stem: three channels padded to eight", pf_codegen_conv_declines, matmul_thin,
      "problem in=c8,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,3,64,64]\n%1 = input f16 [64,3,7,7]\n%2 = input f16 [64]\n"
      "%3 = conv(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[3,3,3,3] groups=1\n%4 = relu(%3)\noutput %4\n", 90 },
    { "convolution of eight channels in each of nine groups", pf_codegen_conv_declines, matmul_narrow,
      "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,72,30,17]\n%1 = input f16 [72,8,3,3]\n%2 = input f16 [72]\n"
      "%3 = conv(%0, %1, %2) strides=[2,1] dilations=[1,1] pads=[1,1,1,1] groups=9\n%4 = relu(%3)\noutput %4\n", 90 },
    { "convolution of four outputs", pf_codegen_conv_declines, matmul_narrow,
      "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,72,30,17]\n%1 = input f16 [4,72,3,3]\n%2 = input f16 [4]\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n%4 = relu(%3)\noutput %4\n", 90 },
    { "group norm of an image's large groups, which clusters share", pf_codegen_row_declines, row_first,
      "problem in=nhwc,linear*,linear* out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input f16 [1,64,40,40]\n%1 = input f16 [64]\n%2 = input f16 [64]\n"
      "%3 = group_norm(%0, %1, %2) groups=8 epsilon=1e-5\n%4 = swish(%3)\noutput %4\n", 90 },
    { "FP32 in parts: product in rows of K, gelu, handed on in FP16", pf_codegen_matmul_declines, matmul_split,
      "problem in=linear,linear*,linear* out=linear numerics=8\n"
      "graph \"\"\n%0 = input f32 [1,128,768]\n%1 = input f32 [768,3072]\n%2 = input f32 [3072]\n%3 = matmul(%0, %1)\n"
      "%4 = add(%3, %2)\n%5 = gelu(%4)\n%6 = cast(%5) dtype=f16\noutput %6\n", 90 },
    { "FP32 in parts: a gate of ten channels", pf_codegen_matmul_declines, matmul_thin_few,
      "problem in=nhwc,linear*,linear* out=nhwc numerics=8\n"
      "graph \"\"\n%0 = input f32 [1,10,1,1]\n%1 = input f32 [240,10,1,1]\n%2 = input f32 [240]\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%4 = sigmoid(%3)\n"
      "output %4\n", 90 },
    { "FP32 in parts: convolution with a window, residual", pf_codegen_conv_declines, matmul_split,
      "problem in=nhwc,linear*,linear*,nhwc out=nhwc numerics=8\n"
      "graph \"\"\n%0 = input f32 [2,36,30,17]\n%1 = input f32 [40,36,3,3]\n%2 = input f32 [40]\n"
      "%3 = input f32 [2,40,30,17]\n%4 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n"
      "%5 = add(%4, %3)\n%6 = relu(%5)\noutput %6\n", 90 },
    { "FP32 in parts: a stem of three channels padded to eight", pf_codegen_conv_declines, matmul_thin,
      "problem in=c8,linear*,linear* out=nhwc numerics=8\n"
      "graph \"\"\n%0 = input f32 [1,3,64,64]\n%1 = input f32 [64,3,7,7]\n%2 = input f32 [64]\n"
      "%3 = conv(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[3,3,3,3] groups=1\n%4 = relu(%3)\noutput %4\n", 90 },
    { "FP32 in parts: a batch of matrices for one x, gelu", pf_codegen_matmul_declines, matmul_split,
      "problem in=linear,linear* out=linear numerics=8\n"
      "graph \"\"\n%0 = input f32 [128,512]\n%1 = input f32 [8,512,1024]\n%2 = matmul(%0, %1)\n%3 = gelu(%2)\n"
      "output %3\n", 90 },
    { "FP32 in parts: scores of odd sizes, a mask", pf_codegen_matmul_declines, matmul_split,
      "problem in=linear,linear,linear out=linear numerics=8\n"
      "graph \"\"\n%0 = input f32 [2,3,33,70]\n%1 = input f32 [2,3,45,70]\n%2 = input f32 [2,1,1,45]\n"
      "%3 = matmul(%0, %1) trans_b=1\n%4 = add(%3, %2)\noutput %4\n", 90 },
    { "FP32 in parts: a batch of two inputs", pf_codegen_matmul_declines, matmul_whole,
      "problem in=linear,linear out=linear numerics=8\n"
      "graph \"\"\n%0 = input f32 [2,3,33,70]\n%1 = input f32 [2,3,70,80]\n%2 = matmul(%0, %1)\noutput %2\n", 90 },
    { "a cluster for an lstm of odd sizes, both ways", cluster_declines, cluster,
      "problem in=linear,linear*,linear*,linear* out=linear,linear,linear numerics=0\n"
      "graph \"\"\n%0 = input f32 [9,3,37]\n%1 = input f16 [2,492,37]\n%2 = input f16 [2,492,123]\n"
      "%3 = input f16 [2,984]\n%4:3 = lstm(%0, %1, %2, %3) direction=bidirectional hidden=123 "
      "activations=[1,0,0,1,0,0] alphas=[0,0,0,0,0,0] betas=[0,0,0,0,0,0]\noutput %4\noutput %5\noutput %6\n", 90 },
    { "a cluster for a gru whose weights do not stay in registers", cluster_declines, cluster,
      "problem in=linear,linear*,linear* out=linear numerics=0\n"
      "graph \"\"\n%0 = input bf16 [40,1,600]\n%1 = input bf16 [1,1920,600]\n%2 = input bf16 [1,1920,640]\n"
      "%3:2 = gru(%0, %1, %2) hidden=640 activations=[1,0] alphas=[0,0] betas=[0,0] linear_before_reset=1\n"
      "output %3\n", 90 },
    { "a block by itself for a small lstm", alone_declines, alone,
      "problem in=linear,linear*,linear*,linear*,linear,linear out=linear,linear,linear numerics=0\n"
      "graph \"\"\n%0 = input f16 [120,4,64]\n%1 = input f16 [1,256,64]\n%2 = input f16 [1,256,64]\n"
      "%3 = input f16 [1,512]\n%4 = input f16 [1,4,64]\n%5 = input f16 [1,4,64]\n"
      "%6:3 = lstm(%0, %1, %2, %3, _, %4, %5) hidden=64 activations=[1,0,0] alphas=[0,0,0] betas=[0,0,0]\n"
      "output %6\noutput %7\noutput %8\n", 90 },
    { "a block of 1024 threads for an lstm of odd sizes, both ways", alone_declines, alone,
      "problem in=linear,linear*,linear*,linear* out=linear,linear,linear numerics=0\n"
      "graph \"\"\n%0 = input f32 [9,3,37]\n%1 = input f16 [2,492,37]\n%2 = input f16 [2,492,123]\n"
      "%3 = input f16 [2,984]\n%4:3 = lstm(%0, %1, %2, %3) direction=bidirectional hidden=123 "
      "activations=[1,0,0,1,0,0] alphas=[0,0,0,0,0,0] betas=[0,0,0,0,0,0]\noutput %4\noutput %5\noutput %6\n", 90 },
    { "parts of wider images joined, into one of a wider image", pf_codegen_loop_declines, loop_first,
      "problem in=nhwc:128,nhwc,nhwc:40 out=nhwc:96 numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,32,7,5]\n%1 = input f16 [2,16,7,5]\n%2 = input f16 [2,24,7,5]\n"
      "%3 = concat(%0, %1, %2) axis=1\n%4 = relu(%3)\noutput %4\n" },
    { "convolution of one pixel from, beside and into wider images", pf_codegen_matmul_declines, matmul_split,
      "problem in=nhwc:600,linear*,linear*,nhwc:400 out=nhwc:256 numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,512,7,7]\n%1 = input f16 [200,512,1,1]\n%2 = input f16 [200]\n"
      "%3 = input f16 [2,200,7,7]\n%4 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%5 = add(%4, %3)\n%6 = relu(%5)\noutput %6\n", 90 },
    { "convolution with a window from, beside and into wider images", pf_codegen_conv_declines, matmul_whole,
      "problem in=nhwc:80,linear*,linear*,nhwc:48 out=nhwc:64 numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,72,30,17]\n%1 = input f16 [40,72,3,3]\n%2 = input f16 [40]\n"
      "%3 = input f16 [2,40,30,17]\n%4 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n"
      "%5 = add(%4, %3)\n%6 = relu(%5)\noutput %6\n", 90 },
    { "by warp groups: from a wider image into another one", pf_codegen_wgmma_declines, wgmma_own,
      "problem in=nhwc:640,linear*,linear* out=nhwc:512 numerics=0\n"
      "graph \"\"\n%0 = input f16 [2,512,7,7]\n%1 = input f16 [256,512,1,1]\n%2 = input f16 [256]\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%4 = relu(%3)\n"
      "output %4\n", 90 },
    { "max pool of a wider image, into another one", pf_codegen_window_declines, window_first,
      "problem in=nhwc:48 out=nhwc:32 numerics=0\n"
      "graph \"\"\n%0 = input " HALF_IMAGE "\n"
      "%1 = max_pool(%0) kernel=[3,3] strides=[2,2] dilations=[1,1] pads=[1,1,1,1]\noutput %1\n" },
    { "max pool", pf_codegen_window_declines, window_first,
      "problem in=nhwc out=nhwc numerics=0\n"
      "graph \"\"\n%0 = input " HALF_IMAGE "\n"
      "%1 = max_pool(%0) kernel=[3,3] strides=[2,2] dilations=[1,1] pads=[1,1,1,1]\noutput %1\n" },
};

static void compiles(const sample *s)
{
    static const int cards[] = { 75, 80, 90 };
    pf_err           err = {0};
    pf_problem      *p = problem_of(s->text);
    pf_program       program = {0};

    if (s->declines(p)) fail_msg("%s: declined: %s", s->name, s->declines(p));
    if (s->generate(p, &program, &err)) fail_msg("%s: %s", s->name, err.msg);
    assert_true(program.grid[0] > 0 && program.block[0] > 0);
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        if (cards[i] >= s->least_card) expect_compiles(&program, cards[i], s->name);
    pf_program_clear(&program);
    pf_problem_free(p);
}

/* The same problem with its numbers in three parts. */
static void what_is_taken_in_two_parts_compiles_in_three(void **state)
{
    static const char two[] = "numerics=8\n", three[] = "numerics=16\n";
    int               seen = 0;

    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        sample      one = samples[i];
        const char *at = strstr(one.text, two);
        char        text[2048] = "";

        if (!at) continue;
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - one.text), one.text, three, at + strlen(two));
        one.text = text;
        compiles(&one);
        seen++;
    }
    assert_true(seen > 4);
}

static void every_sample_compiles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) compiles(&samples[i]);
}

/* The plan keeps machine code by the digest of its source, so equal problems must give equal source. */
static void source_is_deterministic(void **state)
{
    pf_err     err = {0};
    pf_problem *p = NULL;
    pf_program  a = {0}, b = {0};

    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        test_ok(pf_problem_parse(samples[i].text, &p, &err), &err);
        test_ok(samples[i].generate(p, &a, &err), &err);
        test_ok(samples[i].generate(p, &b, &err), &err);
        assert_int_equal(a.source.size, b.source.size);
        assert_memory_equal(a.source.data, b.source.data, a.source.size);
        pf_program_clear(&a);
        pf_program_clear(&b);
        pf_problem_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_compiles), cmocka_unit_test(source_is_deterministic),
        cmocka_unit_test(what_is_taken_in_two_parts_compiles_in_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
