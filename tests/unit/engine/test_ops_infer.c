/* Shapes and contents that ops infer, with symbols, and what they refuse. A case is a graph whose last value is asked
   about. */
#include <string.h>

#include "tests/unit/engine/graphs.h"

/* %in = inputs, one line each; op: the call; shape: of the result, as pf_shape_print writes it. */
typedef struct shape_case { const char *inputs, *op, *shape; } shape_case;

static const shape_case shape_cases[] = {
    /* broadcasting */
    {"%a = input f32 [batch,1,seq]\n%b = input f32 [heads,1]\n", "add(%a, %b)", "[batch,heads,seq]"},
    {"%a = input f32 [n_1,8]\n%b = input f32 [n_2,8]\n", "add(%a, %b)", "[n_1,8]"},
    {"%a = input f32 [n_1,8]\n%b = input f32 [n_2,8]\n", "add(%b, %a)", "[n_1,8]"},
    {"%a = input f32 [batch,4]\n%b = input f32 []\n", "mul(%a, %b)", "[batch,4]"},
    {"%a = input f32 [n]\n%b = input f32 [7]\n", "mul(%a, %b)", "[7]"},
    {"%a = input bool [n,1]\n%b = input i64 [1,m]\n%c = input i64 []\n", "where(%a, %b, %c)", "[n,m]"},
    /* products */
    {"%a = input f32 [batch,heads,seq,64]\n%b = input f32 [batch,heads,64,past + seq]\n", "matmul(%a, %b)",
     "[batch,heads,seq,past + seq]"},
    {"%a = input f32 [64]\n%b = input f32 [n,64,3]\n", "matmul(%a, %b)", "[n,3]"},
    {"%a = input f32 [5,64]\n%b = input f32 [64]\n", "matmul(%a, %b)", "[5]"},
    {"%a = input f32 [n,7,5]\n%b = input f32 [9,7]\n", "matmul(%a, %b) trans_a=1 trans_b=1", "[n,5,9]"},
    {"%a = input f32 [8,n]\n%b = input f32 [4,8]\n", "gemm(%a, %b) trans_a=1 trans_b=1 alpha=1 beta=1", "[n,4]"},
    {"%a = input f32 [b,i,j]\n%b = input f32 [b,j,k]\n", "einsum(%a, %b) equation=\"bij,bjk->bki\"", "[b,k,i]"},
    {"%a = input f32 [b,2,i,j]\n%b = input f32 [j,k]\n", "einsum(%a, %b) equation=\"...ij,jk\"", "[b,2,i,k]"},
    /* windows: 224 is known, h is not */
    {"%x = input f32 [n,3,224,h]\n%w = input f32 [64,3,7,7]\n",
     "conv(%x, %w) strides=[2,2] dilations=[1,1] pads=[3,3,3,3] groups=1", "[n,64,112,floor((h + 1)/2)]"},
    {"%x = input f32 [n,8,h,w]\n%w = input f32 [8,1,3,3]\n",
     "conv(%x, %w) strides=[1,1] dilations=[2,2] pads=[2,2,2,2] groups=8", "[n,8,h,w]"},
    {"%x = input f32 [n,8,h,9]\n%w = input f32 [4,8,3,3]\n",
     "conv(%x, %w) strides=[2,2] dilations=[1,1] groups=1 auto_pad=same_upper", "[n,4,floor((h + 1)/2),5]"},
    {"%x = input f32 [n,8,h,w]\n%w = input f32 [8,4,2,2]\n",
     "conv_transpose(%x, %w) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1",
     "[n,4,2*h,2*w]"},
    {"%x = input f32 [1,2,5,5]\n", "max_pool(%x) kernel=[2,2] strides=[2,2] dilations=[1,1] pads=[0,0,0,0] ceil_mode=1",
     "[1,2,3,3]"},
    /* the fourth window would start in the padding at the end */
    {"%x = input f32 [1,2,4,4]\n", "max_pool(%x) kernel=[1,1] strides=[2,2] dilations=[1,1] pads=[0,0,1,1] ceil_mode=1",
     "[1,2,2,2]"},
    /* views and moves */
    {"%x = input f32 [batch,seq,768]\n", "reshape(%x) shape=[batch,seq,12,-1]", "[batch,seq,12,64]"},
    {"%x = input f32 [batch,seq,12,64]\n", "reshape(%x) shape=[-1,768]", "[batch*seq,768]"},
    {"%x = input f32 [0,4]\n", "reshape(%x) shape=[0,-1]", "[0,0]"},
    {"%x = input f32 [a,b,c]\n", "transpose(%x) perm=[2,0,1]", "[c,a,b]"},
    {"%x = input f32 [n,past]\n%y = input f32 [n,seq]\n", "concat(%x, %y) axis=1", "[n,past + seq]"},
    {"%x = input f32 [m,3]\n%y = input f32 [4,3]\n", "concat(%x, %y) axis=0", "[m + 4,3]"},
    {"%x = input f32 [seq,4]\n", "slice(%x) axes=[0] starts=[1] ends=[281474976710656] steps=[1]", "[seq - 1,4]"},
    {"%x = input f32 [seq]\n", "slice(%x) axes=[0] starts=[-1] ends=[281474976710656] steps=[1]", "[1]"},
    {"%x = input f32 [seq]\n", "slice(%x) axes=[0] starts=[0] ends=[10] steps=[1]", "[min(seq,10)]"},
    {"%x = input f32 [10]\n", "slice(%x) axes=[0] starts=[-2] ends=[-281474976710656] steps=[-3]", "[3]"},
    {"%x = input f32 [10]\n", "slice(%x) axes=[0] starts=[7] ends=[3] steps=[1]", "[0]"},
    {"%x = input f32 [4,5,6]\n%i = input i64 [n,2]\n", "gather(%x, %i) axis=1", "[4,n,2,6]"},
    {"%x = input f32 [b,5,6]\n%i = input i64 [b,n,1]\n", "gather_nd(%x, %i) batch_dims=1", "[b,n,6]"},
    {"%x = input f32 [1,seq]\n", "expand(%x) shape=[batch,1,1]", "[batch,1,seq]"},
    {"%x = input f32 [h,w]\n", "pad(%x) pads=[1,0,2,-1]", "[h + 3,w - 1]"},
    {"%x = input f32 [n,4,h,w]\n", "depth_to_space(%x) block=2", "[n,1,2*h,2*w]"},
    {"%x = input f32 [1,1,h,9]\n", "resize(%x) scales=[1,1,2,0.5]", "[1,1,2*h,4]"},
    {"%x = input f32 [1,1,h,w]\n%y = input f32 [a,b]\n", "resize(%x) sizes=[1,1,a,b]", "[1,1,a,b]"},
    {"", "range() dtype=i64 bounds=[0,seq,1]", "[max(seq,0)]"},
    {"", "range() dtype=i32 bounds=[10,0,-3]", "[4]"},
    {"%x = input f32 [n,8]\n", "topk(%x) k=[3] axis=1", "[n,3]"},
    {"%x = input i64 [n]\n%v = input f32 [2]\n", "one_hot(%x, %v) axis=1 depth=[classes]", "[n,classes]"},
    /* norms, reductions */
    {"%x = input f32 [n,c,h,w]\n", "reduce(%x) mode=mean axes=[2,3] keepdims=1", "[n,c,1,1]"},
    {"%x = input f32 [n,c,h,w]\n", "reduce(%x) mode=max axes=[3,1]", "[n,h]"},
    {"%q = input f16 [b,32,s,128]\n%k = input f16 [b,8,t,128]\n%v = input f16 [b,8,t,64]\n", "attention(%q, %k, %v)",
     "[b,32,s,64]"},
    {"%x = input f32 [seq,n,16]\n%w = input f32 [2,128,16]\n%r = input f32 [2,128,32]\n",
     "lstm(%x, %w, %r) direction=bidirectional hidden=32 activations=[1,0,0,1,0,0] alphas=[0,0,0,0,0,0] "
     "betas=[0,0,0,0,0,0]",
     "[seq,2,n,32]"},
    {"%x = input f32 [n,len,1]\n", "stft(%x) frame_step=160 frame_length=400 onesided=1",
     "[n,floor((len + -400)/160) + 1,201,2]"},
};

static pf_graph *case_graph(const char *inputs, const char *op, pf_err *err, pf_status *st)
{
    pf_graph *graph = NULL;
    pf_buf    text;

    pf_buf_init(&text, 1 << 16);
    pf_buf_printf(&text, "graph\n%s%%out = %s\noutput %%out\n", inputs, op);
    *st = pf_graph_parse((const char *)text.data, &graph, err);
    pf_buf_clear(&text);
    return graph;
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shape_cases / sizeof *shape_cases; i++) {
        const shape_case *c = &shape_cases[i];
        pf_err            err = { 0 };
        pf_status         st = PF_OK;
        pf_graph         *graph = case_graph(c->inputs, c->op, &err, &st);
        pf_shape          want = { 0 };
        pf_buf            text;

        if (st)
            fail_msg("%s: %s", c->op, err.msg);
        test_ok(pf_graph_verify(graph, &err), &err);
        test_ok(pf_shape_parse(graph->dims, c->shape, &want, &err), &err);
        pf_buf_init(&text, 4096);
        pf_shape_print(graph->dims, &graph->values[graph->outputs[0]].shape, &text);
        if (!pf_shape_equal(&want, &graph->values[graph->outputs[0]].shape))
            fail_msg("%s gives %s, not %s", c->op, (const char *)text.data, c->shape);
        pf_buf_clear(&text);
        pf_graph_free(graph);
    }
}

typedef struct refusal { const char *inputs, *op; pf_status status; const char *says; } refusal;

static const refusal refusals[] = {
    { "%a = input f32 [3]\n%b = input f32 [4]\n", "add(%a, %b)", PF_INVALID, "broadcast" },
    { "%a = input f32 [3]\n%b = input i64 [3]\n", "add(%a, %b)", PF_INVALID, "one type" },
    { "%a = input i64 [3]\n", "exp(%a)", PF_INVALID, "takes a float" },
    { "%a = input f32 [3]\n", "not(%a)", PF_INVALID, "takes bool" },
    { "%a = input f32 [2,3]\n%b = input f32 [4,5]\n", "matmul(%a, %b)", PF_INVALID, "3 and 4 should be equal" },
    { "%x = input f32 [1,4,8,8]\n%w = input f32 [6,4,3,3]\n",
      "conv(%x, %w) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=4", PF_INVALID, "channels" },
    { "%x = input f32 [1,4,8,8]\n%w = input f32 [6,2,3,3]\n",
      "conv(%x, %w) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=4", PF_INVALID, "channels" },
    { "%x = input f32 [1,4,2,2]\n%w = input f32 [6,4,3,3]\n",
      "conv(%x, %w) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1", PF_INVALID, "would be" },
    { "%x = input f32 [1,4,8,8]\n%w = input f32 [6,4,3,3]\n",
      "conv(%x, %w) strides=[0,1] dilations=[1,1] pads=[0,0,0,0] groups=1", PF_INVALID, "strides" },
    { "%x = input f32 [2,3]\n", "reshape(%x) shape=[4]", PF_INVALID, "6 elements" },
    { "%x = input f32 [2,3]\n", "reshape(%x) shape=[-1,-1]", PF_INVALID, "two dims" },
    { "%x = input f32 [2,3]\n", "transpose(%x) perm=[0,0]", PF_INVALID, "twice" },
    { "%x = input f32 [2,3]\n", "softmax(%x) axis=2", PF_INVALID, "axis 2" },
    { "%x = input f32 [2,3]\n", "split(%x) axis=1 sizes=[1]", PF_INVALID, "should be equal" },
    { "%x = input f32 [2,3]\n", "slice(%x) axes=[0] starts=[0] ends=[1] steps=[0]", PF_INVALID, "step 0" },
    { "%x = input f32 [2,3]\n", "topk(%x) k=[4] axis=1", PF_INVALID, "k is 4" },
    { "%x = input f32 [2,3]\n", "pad(%x) pads=[0,-4,0,0]", PF_INVALID, "would be -1" },
    { "%x = input f32 [2,6,4]\n%s = input f32 [6]\n", "group_norm(%x, %s, %s) groups=4", PF_INVALID, "divide" },
    { "%x = input f32 [2,6,4]\n%s = input f32 [5]\n", "instance_norm(%x, %s, %s)", PF_INVALID, "scale" },
    { "%x = input f32 [?]\n", "softmax(%x)", PF_UNSUPPORTED, "rank" },
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *c = &refusals[i];
        pf_err         err = { 0 };
        pf_status      st = PF_OK;
        pf_graph      *graph = case_graph(c->inputs, c->op, &err, &st);

        if (st != c->status || !strstr(err.msg, c->says))
            fail_msg("%s: %s: %s", c->op, pf_status_name(st), err.msg);
        pf_graph_free(graph);
    }
}

/* Shape arithmetic as exporters write it; the last line's value must have this content. */
typedef struct content_case { const char *lines, *content; } content_case;

#define THROUGH_FLOATS "%x = input f32 [h]\n%s = shape(%x) end=1\n%f = cast(%s) dtype=f32\n%c = constant f32 [] "

static const content_case content_cases[] = {
    {"%x = input f32 [batch,3,224]\n%out = shape(%x) end=3\n", "batch 3 224"},
    {"%x = input f32 [batch,seq,768]\n%s = shape(%x) end=3\n%i = constant i64 [] {1}\n%out = gather(%s, %i)\n", "seq"},
    {"%x = input f32 [batch,seq]\n%a = shape(%x) end=1\n%b = shape(%x) start=1 end=2\n%m = mul(%a, %b)\n%c = constant "
     "i64 [1] {64}\n"
     "%out = concat(%m, %c)\n",
     "batch*seq 64"},
    {"%x = input f32 [h,w]\n%s = shape(%x) end=2\n%two = constant i64 [] {2}\n%out = div(%s, %two)\n",
     "floor(h/2) floor(w/2)"},
    {"%x = input f32 [h]\n%s = shape(%x) end=1\n%c = constant i64 [] {-3}\n%n = add(%s, %c)\n%two = constant i64 [] "
     "{2}\n%out = div(%n, %two)\n",
     "floor(max(0,h - 3)/2) - floor(max(-h + 3,0)/2)"},
    {"%x = input f32 [h,4]\n%s = shape(%x) end=2\n%out = slice(%s) axes=[0] starts=[-1] ends=[-281474976710656] "
     "steps=[-1]\n",
     "4 h"},
    /* Where(Equal(shape, -1), 1, shape), which exporters write round Expand: a size is never -1 */
    {"%x = input f32 [batch,4]\n%s = shape(%x) end=2\n%m = constant i64 [] {-1}\n%e = equal(%s, %m)\n%one = constant "
     "i64 [2] {1,1}\n"
     "%out = where(%e, %one, %s)\n",
     "batch 4"},
    {"%x = input f32 [batch,seq]\n%s = shape(%x) end=2\n%out = reduce(%s) mode=prod axes=[0]\n", "batch*seq"},
    {"%x = input f32 [batch,seq]\n%out = size(%x)\n", "batch*seq"},
    {"%x = input f32 [batch,seq]\n%s = shape(%x) end=2\n%c = cast(%s) dtype=i32\n%out = reshape(%c) shape=[2]\n",
     "batch seq"},
    {"%out = range() dtype=i64 bounds=[2,11,3]\n", "2 5 8"},
    {"%out = dim_values() dtype=i64 rank=1 values=[n,2*n]\n", "n 2*n"},
    {"%c = constant i64 [] {3}\n%out = expand(%c) shape=[3]\n", "3 3 3"},
    {"%a = constant i64 [2] {-7,7}\n%b = constant i64 [2] {2,-2}\n%out = div(%a, %b)\n", "-3 -3"},
    {"%a = constant i64 [2] {-7,7}\n%b = constant i64 [2] {2,-2}\n%out = mod(%a, %b)\n", "1 -1"},
    {"%x = input f32 [seq]\n%s = shape(%x) end=1\n%c = constant i64 [1] {5}\n%out = min(%s, %c)\n", "min(5,seq)"},
    /* what is missing to a multiple of 8; and PyTorch's pads, the last dim first, as the standard has them */
    {"%x = input f32 [h]\n%s = shape(%x) end=1\n%c = constant i64 [] {8}\n%m = mod(%s, %c)\n%n = sub(%c, %m)\n"
     "%out = mod(%n, %c)\n",
     "8*floor((h + 7)/8) - h"},
    {"%x = input f32 [a,b,c,d]\n%s = shape(%x) end=4\n%p = reshape(%s) shape=[-1,2]\n%r = slice(%p) axes=[0] "
     "starts=[-1] ends=[-281474976710656] steps=[-1]\n%t = transpose(%r) perm=[1,0]\n%out = reshape(%t) shape=[-1]\n",
     "c a d b"},
    {"%x = input f32 [a,b,c,d]\n%s = shape(%x) end=4\n%p = reshape(%s) shape=[2,2]\n%r = slice(%p) axes=[0,1] "
     "starts=[1,0] ends=[2,1] steps=[1,1]\n%out = reshape(%r) shape=[]\n",
     "c"},
    /* how often windows are repeated: b - 1 may be 0 as far as is known, and then nothing has a value */
    {"%x = input f32 [a,b]\n%s = shape(%x) end=1\n%t = shape(%x) start=1 end=2\n%c = constant i64 [1] {1}\n"
     "%d = sub(%t, %c)\n%m = mul(%s, %d)\n%out = div(%m, %d)\n",
     "a"},
    /* int(math.ceil(h / 2) * 2), int(h / 3) and int(h / 4 * 4), which is no rounded quotient, nor is h / 0.5 */
    {THROUGH_FLOATS "{2}\n%d = div(%f, %c)\n%u = ceil(%d)\n%m = mul(%u, %c)\n%out = cast(%m) dtype=i64\n",
     "2*floor((h + 1)/2)"},
    {THROUGH_FLOATS "{3}\n%d = div(%f, %c)\n%out = cast(%d) dtype=i64\n", "floor(h/3)"},
    {THROUGH_FLOATS "{4}\n%d = div(%f, %c)\n%m = mul(%d, %c)\n%out = cast(%m) dtype=i64\n", ""},
    {THROUGH_FLOATS "{0.5}\n%d = div(%f, %c)\n%out = cast(%d) dtype=i64\n", ""},
    {"%x = input f32 [1]\n%d = floor(%x)\n%out = cast(%d) dtype=i64\n", ""},
};

static void print_content(const pf_graph *graph, const pf_value *v, pf_buf *out)
{
    for (uint32_t i = 0; i < v->content_count; i++) {
        pf_buf_printf(out, i ? " " : "");
        pf_dim_print(graph->dims, v->content[i], out);
    }
}

static void test_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof content_cases / sizeof *content_cases; i++) {
        const content_case *c = &content_cases[i];
        pf_graph           *graph = NULL;
        pf_err              err = { 0 };
        pf_buf              text, content;

        pf_buf_init(&text, 1 << 16);
        pf_buf_init(&content, 1 << 16);
        pf_buf_printf(&text, "graph\n%soutput %%out\n", c->lines);
        test_ok(pf_graph_parse((const char *)text.data, &graph, &err), &err);
        print_content(graph, &graph->values[graph->outputs[0]], &content);
        if (strcmp(content.data ? (const char *)content.data : "", c->content))
            fail_msg("%s has content '%s', not '%s'", c->lines, content.data ? (const char *)content.data : "",
                     c->content);
        pf_buf_clear(&text);
        pf_buf_clear(&content);
        pf_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_shapes), cmocka_unit_test(test_refusals),
                                        cmocka_unit_test(test_content) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
