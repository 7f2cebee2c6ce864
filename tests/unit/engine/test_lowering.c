/* What a lowered network computes, against the same network in FP32: the front of a build, then both by the references.
   Without arguments: small networks.  test_lowering [--bf16] [--care] [--front] [--layers] FILE...: ONNX files, one
   line each, for work on the lowering; --care leaves the first layers alone, --front stops before anything is computed,
   --layers shows where the error comes in. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/config.h"
#include "engine/op.h"
#include "engine/oracle.h"
#include "engine/planfarm.h"
#include "engine/precision.h"
#include "engine/profile.h"
#include "engine/region.h"
#include "engine/rewrite.h"
#include "tests/unit/engine/networks.h"

#define F16_LIMIT  1e-2     /* of an output's range */
#define BF16_LIMIT 8e-2

typedef struct front {
    pf_graph  *original, *low;
    pf_profile profile;
} front;

static void front_clear(front *f)
{
    pf_profile_clear(&f->profile);
    pf_graph_free(f->low);
    pf_graph_free(f->original);
    *f = (front){ 0 };
}

static pf_status form_regions(const pf_graph *graph, pf_err *err)
{
    pf_device      *device = cpu();
    pf_region_rules rules = { 0 };
    pf_regions      regions = { 0 };
    pf_status       st = pf_regions_form(graph, device, &rules, &regions, err);

    pf_regions_clear(&regions);
    pf_device_close(device);
    return st;
}

/* As engine/builder.c does it. */
static pf_status make_front(const pf_graph *graph, pf_dtype narrow, pf_precision_care care, front *out, pf_err *err)
{
    pf_config *config = config_of("");
    pf_status  st = PF_OK;

    *out = (front){ .original = pf_graph_copy(graph, err) };
    st = out->original ? pf_profile_apply(config, out->original, &out->profile, err) : PF_NO_SPACE;
    if (!st)
        st = pf_graph_verify(out->original, err);
    if (!st)
        out->low = pf_graph_copy(out->original, err);
    if (!st && out->low)
        st = pf_rewrite_run(out->low, NULL, NULL, err);
    if (!st)
        st = pf_precision_lower(out->low, narrow, care, err);
    if (!st)
        st = pf_graph_verify(out->low, err);
    if (!st)
        st = pf_profile_cover(&out->profile, out->low, err);
    if (!st)
        st = form_regions(out->low, err);
    pf_config_free(config);
    return st;
}

/* ---- Files */

typedef struct kept { pf_tensor *tensors; uint32_t count; } kept;      /* by value */

static void keep_value(void *user, pf_value_id value, pf_tensor *tensor)
{
    kept *k = user;

    if (value < k->count && tensor->rank >= 0 && pf_dtype_is_float(tensor->dtype))
        (void)pf_tensor_copy(tensor, &k->tensors[value], NULL);
}

typedef struct shown { const pf_graph *low; kept wide; double worst; } shown;

/* Prints each value whose error is larger than all before. */
static void show_layer(void *user, pf_value_id value, pf_tensor *tensor)
{
    shown        *s = user;
    pf_difference d = { 0 };
    pf_tensor    *reference = value < s->wide.count ? &s->wide.tensors[value] : NULL, test = { 0 };
    pf_node_id    node = s->low->values[value].producer;

    if (!reference || !reference->data || node == PF_NONE)
        return;
    test = *reference;
    if (tensor->rank < 0 || pf_tensor_elems(tensor) != pf_tensor_elems(&test) || pf_tensor_alloc(&test, NULL))
        return;
    for (int64_t i = 0; i < pf_tensor_elems(&test); i++)
        pf_dtype_set(test.dtype, test.data, (uint64_t)i, pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)i));
    if (!pf_tensor_compare(&test, reference, &d, NULL) &&
        (d.max_rel_range > 1.05 * s->worst || d.nan_count || d.inf_count)) {
        s->worst = d.max_rel_range;
        printf("    %-20s %-4s error %.2e cosine %.7f not finite %lld  \"%.80s\"\n",
               pf_op_def_of(s->low->nodes[node].op)->name, pf_dtype_name(tensor->dtype), d.max_rel_range, d.cosine,
               (long long)(d.nan_count + d.inf_count), s->low->nodes[node].name);
    }
    pf_tensor_clear(&test);
}

/* Values of the rewritten graph keep their ids when it is lowered. */
static pf_status show_layers(const front *f, const pf_oracle *oracle, pf_err *err)
{
    pf_graph  *wide = pf_graph_copy(f->original, err);
    shown      s = { .low = f->low };
    pf_tensor *outputs = pf_calloc(f->original->output_count + 1, sizeof *outputs);
    pf_status  st = wide ? pf_rewrite_run(wide, NULL, NULL, err) : PF_NO_SPACE;

    s.wide.count = wide ? wide->value_count : 0;
    s.wide.tensors = pf_calloc(s.wide.count + 1, sizeof *s.wide.tensors);
    for (int turn = 0; turn < 2 && !st; turn++) {
        st = turn ? pf_interpret(f->low, oracle->in, outputs, show_layer, &s, err)
                  : pf_interpret(wide, oracle->in, outputs, keep_value, &s.wide, err);
        for (uint32_t i = 0; i < f->original->output_count; i++)
            pf_tensor_clear(&outputs[i]);
    }
    for (uint32_t i = 0; i < s.wide.count; i++)
        pf_tensor_clear(&s.wide.tensors[i]);
    pf_free(s.wide.tensors);
    pf_free(outputs);
    pf_graph_free(wide);
    return st;
}

typedef struct outcome { double error, cosine; int64_t not_finite; } outcome;

static pf_status compute(const front *f, const pf_oracle *oracle, outcome *out, pf_err *err)
{
    pf_tensor *outputs = pf_calloc(f->low->output_count + 1, sizeof *outputs);
    pf_status  st = outputs ? pf_interpret(f->low, oracle->in, outputs, NULL, NULL, err) : PF_NO_SPACE;

    *out = (outcome){ 0, 1, 0 };
    for (uint32_t i = 0; i < f->low->output_count && !st; i++) {
        pf_difference d = { 0 };

        if (oracle->out[i].rank < 0 || !pf_dtype_is_float(oracle->out[i].dtype))
            continue;
        st = pf_tensor_compare(&outputs[i], &oracle->out[i], &d, err);
        out->error = d.max_rel_range > out->error ? d.max_rel_range : out->error;
        out->cosine = d.cosine < out->cosine ? d.cosine : out->cosine;
        out->not_finite += d.nan_count + d.inf_count;
    }
    for (uint32_t i = 0; i < f->low->output_count && outputs; i++)
        pf_tensor_clear(&outputs[i]);
    pf_free(outputs);
    return st;
}

typedef struct wishes { pf_dtype narrow; pf_precision_care care; bool front_only, layers; } wishes;

static pf_status try_file(const char *path, const wishes *w, outcome *result, pf_err *err)
{
    pf_network *network = NULL;
    front       f = { 0 };
    pf_oracle   oracle = { 0 };
    pf_status   st = pf_network_import(path, &network, err);

    if (!st)
        st = make_front(pf_network_graph(network), w->narrow, w->care, &f, err);
    if (!st && !w->front_only)
        st = pf_oracle_of_graph(f.original, f.profile.usual, &oracle, err);
    if (!st && !w->front_only)
        st = compute(&f, &oracle, result, err);
    if (!st && w->layers)
        st = show_layers(&f, &oracle, err);
    pf_oracle_clear(&oracle);
    front_clear(&f);
    pf_network_free(network);
    return st;
}

static int try_files(int count, char **arguments)
{
    wishes w = { .narrow = PF_F16 };
    int    failures = 0;

    for (int i = 1; i < count; i++) {
        pf_err  err = { 0 };
        outcome result = { 0, 1, 0 };
        bool    bad = false;

        if (!strcmp(arguments[i], "--bf16"))
            w.narrow = PF_BF16;
        else if (!strcmp(arguments[i], "--care"))
            w.care = PF_CARE_GATES | pf_precision_care_first(PF_CARE_SLICES / 4);
        else if (!strcmp(arguments[i], "--front"))
            w.front_only = true;
        else if (!strcmp(arguments[i], "--layers"))
            w.layers = true;
        else {
            bad = try_file(arguments[i], &w, &result, &err) != PF_OK;
            bad |= result.error > (w.narrow == PF_F16 ? F16_LIMIT : BF16_LIMIT) || result.not_finite;
            printf("%s %s error %.2e cosine %.6f not finite %lld  %s\n", bad ? "BAD" : "ok ", arguments[i],
                   result.error, result.cosine, (long long)result.not_finite, err.msg);
            fflush(stdout);
            failures += bad;
        }
    }
    return failures ? 1 : 0;
}

/* ---- Small networks */

static void check_graph(const char *name, const char *text, uint64_t seed)
{
    const pf_dtype types[] = { PF_F16, PF_BF16 };
    const double   limits[] = { F16_LIMIT, BF16_LIMIT };
    pf_graph      *graph = NULL;
    pf_err         refused = { 0 };

    test_ok(pf_graph_parse(text, &graph, &refused), &refused);      /* whole when the profile has been applied */
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        pf_err    err = { 0 };
        front     f = { 0 };
        pf_oracle oracle = { 0 };
        outcome   result = { 0 };
        pf_status st = make_front(graph, types[i], seed % 2 ? PF_CARE_GATES : PF_CARE_USUAL, &f, &err);

        if (!st)
            st = pf_oracle_of_graph(f.original, f.profile.usual, &oracle, &err);
        if (!st)
            st = compute(&f, &oracle, &result, &err);
        if (st || result.error > limits[i] || result.not_finite) {
            fprintf(stderr, "%s\n", text);
            fail_msg("%s %llu as %s: %s, error %.2e, %lld not finite", name, (unsigned long long)seed,
                     pf_dtype_name(types[i]), err.msg, result.error, (long long)result.not_finite);
        }
        pf_oracle_clear(&oracle);
        front_clear(&f);
    }
    pf_graph_free(graph);
}

#define PRODUCT "%w = input f32 [16,16] \"w\"\n%c = matmul(%x, %w)\n"

static const struct { const char *name, *text; } samples[] = {
    { "a dynamic quantization, whose scale is FP32 whatever it reads",
      "graph \"\"\n%x = input f32 [4,16] \"x\"\n" PRODUCT
      "%20:3 = dynamic_quantize_linear(%c)\n%k = input u8 [16,8] \"k\"\n%i = matmul_integer(%20, %k, %22)\n"
      "%f = cast(%i) dtype=f32\n"
      "%v = input f32 [8] \"v\"\n%t = mul(%21, %v)\n%y = mul(%f, %t)\noutput %y\n" },
    { "a scale that FP16 cannot hold",
      "graph \"\"\n%x = input f32 [4,16] \"x\"\n" PRODUCT
      "%m = constant f32 [] {1e-6}\n%d = mul(%c, %m)\n%s = constant f32 [] {3e-7}\n%z = constant i8 [] {0}\n"
      "%q = quantize_linear(%c, %s, %z) dtype=i8\n"
      "%b = constant f32 [] {0.1}\n%r = quantize_linear(%c, %b, %z) dtype=i8\n"
      "%f = dequantize_linear(%r, %b, %z) dtype=f32\noutput %f\n" },
    { "positions times frequencies",
      "graph \"\"\n%p = input i64 [2,1,40] \"p\"\n%f = constant f32 [1,3,1] {1,0.1,0.01}\n%k = constant f32 [] {30}\n"
      "%r = cast(%p) dtype=f32\n%t = mul(%r, %k)\n%a = matmul(%f, %t)\n%s = sin(%a)\noutput %s\n" },
    { "a sum of many",
      "graph \"\"\n%x = input f32 [8,4096] \"x\"\n%w = input f32 [4096,256] \"w\"\n%c = matmul(%x, %w)\n%a = abs(%c)\n"
      "%s = reduce(%a) mode=sum axes=[0,1] keepdims=1\n%y = div(%a, %s)\noutput %y\n" },
    { "a mask of minus infinity, found by a test",
      "graph \"\"\n%x = input f32 [4,16] \"x\"\n" PRODUCT
      "%i = constant f32 [] {-inf}\n%o = constant f32 [] {0}\n%l = less(%c, %o)\n%m = where(%l, %i, %c)\n"
      "%t = equal(%m, %i)\n"
      "%y = where(%t, %o, %m)\noutput %y\n" },
    { "points of a grid",
      "graph \"\"\n%x = input f32 [1,4,16,16] \"x\"\n%w = input f32 [4,4,1,1] \"w\"\n"
      "%c = conv(%x, %w, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%g = input f32 [1,9,9,2] \"g\"\n"
      "%b = tanh(%g)\n"
      "%y = grid_sample(%c, %b) mode=linear\noutput %y\n" },
    { "sizes that nobody gave: an image that is halved and joined again",
      "graph \"\"\n%x = input f32 [batch,3,h,w] \"x\"\n%k = input f32 [3,3,3,3] \"k\"\n"
      "%a = conv(%x, %k, _) strides=[2,2] dilations=[1,1] pads=[1,1,1,1] groups=1\n"
      "%b = max_pool(%a) kernel=[3,3] strides=[3,3] dilations=[1,1] pads=[0,0,0,0]\n%y = relu(%b)\noutput %y\n" },
    { "a table of positions as long as the sequence",
      "graph \"\"\n%x = input f32 [batch,seq,4] \"x\"\n%t = input f32 [6,4] \"t\"\n"
      "%s = slice(%t) axes=[0] starts=[0] ends=[seq] steps=[1]\n"
      "%y = add(%x, %s)\noutput %y\n" },
};

static void samples_compute_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        check_graph(samples[i].name, samples[i].text, 0);
}

/* Steps of random networks over values [4,16]: $n is the new one, $a and $b are earlier ones. What may leave the range
   goes through tanh. */
static const char *const steps[] = {
    "%$n = matmul(%$a, %w)\n", "%$n = matmul(%$a, %w)\n", "%$n = add(%$a, %$b)\n", "%$n = sub(%$a, %$b)\n",
    "%m$n = mul(%$a, %$b)\n%$n = tanh(%m$n)\n",
    "%m$n = mul(%$a, %$a)\n%r$n = reduce(%m$n) mode=mean axes=[1] keepdims=1\n%e$n = add(%r$n, %eps)\n"
    "%s$n = sqrt(%e$n)\n%$n = div(%$a, %s$n)\n",
    "%l$n = less(%$a, %$b)\n%$n = where(%l$n, %$a, %$b)\n",
    "%l$n = less(%101, %zero)\n%m$n = where(%l$n, %inf, %$a)\n%$n = softmax(%m$n) axis=0\n",
    "%c$n = cast(%$a) dtype=f64\n%d$n = abs(%c$n)\n%$n = cast(%d$n) dtype=f32\n",
    "%c$n = slice(%$a) axes=[1] starts=[0] ends=[5] steps=[1]\n"
    "%d$n = slice(%$b) axes=[1] starts=[3] ends=[14] steps=[1]\n%$n = concat(%c$n, %d$n) axis=1\n",
    "%t$n = tanh(%$a)\n%q$n = quantize_linear(%t$n, %step, %i8) dtype=i16\n"
    "%d$n = dequantize_linear(%q$n, %step, %i8) dtype=f32\n%$n = add(%d$n, %$b)\n",
    "%1$n0:3 = dynamic_quantize_linear(%$a)\n%i$n = matmul_integer(%1$n0, %u8, %1$n2)\n%f$n = cast(%i$n) dtype=f32\n"
    "%r$n = mul(%f$n, %1$n1)\n%m$n = mul(%r$n, %small)\n%$n = tanh(%m$n)\n",
    "%t$n = tanh(%$a)\n%e$n = exp(%t$n)\n%s$n = reduce(%e$n) mode=sum axes=[1] keepdims=1\n%$n = div(%e$n, %s$n)\n",
    "%h$n = shape(%$a)\n%c$n = cast(%h$n) dtype=f32\n%s$n = reduce(%c$n) mode=prod axes=[0] keepdims=0\n"
    "%$n = div(%$a, %s$n)\n",
    "%g$n = layer_norm(%$a, %gain) axis=1 epsilon=1e-5\n%$n = gelu(%g$n)\n", "%s$n = sigmoid(%$a)\n"
                                                                             "%$n = mul(%s$n, %$b)\n",
    "%r$n = reshape(%$a) shape=[16,4]\n%$n = transpose(%r$n) perm=[1,0]\n",
};
enum { STEPS = sizeof steps / sizeof steps[0], LENGTH = 12, TEXT_BYTES = 1 << 16 };

static void add_step(pf_random *random, uint32_t number, pf_buf *out)
{
    uint32_t a = 100 + (uint32_t)pf_random_below(random, number - 100),
             b = 100 + (uint32_t)pf_random_below(random, number - 100);

    for (const char *at = steps[pf_random_below(random, STEPS)]; *at; at++)
        if (*at == '$') {
            at++;
            pf_buf_printf(out, "%u", *at == 'n' ? number : *at == 'a' ? a : b);
        } else {
            pf_buf_put_u8(out, (uint8_t)*at);
        }
}

static void random_networks_compute_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= test_count("PF_LOWERING_NETWORKS", 300, 20000); seed++) {
        pf_random random;
        pf_buf    text;

        pf_random_init(&random, seed);
        pf_buf_init(&text, TEXT_BYTES);
        pf_buf_printf(&text, "graph \"\"\n%%100 = input f32 [4,16] \"x\"\n%%101 = input f32 [4,16] \"y\"\n"
                             "%%v = input f32 [16,16] \"w\"\n"
                      "%%quarter = constant f32 [] {0.25}\n%%w = mul(%%v, %%quarter)\n"
                      "%%u8 = input u8 [16,16] \"table\"\n%%eps = constant f32 [] {1e-5}\n"
                      "%%zero = constant f32 [] {0}\n%%inf = constant f32 [] {-3e38}\n"
                      "%%step = constant f32 [] {0.0001}\n%%small = constant f32 [] {0.002}\n"
                      "%%i8 = constant i16 [] {0}\n%%gain = input f32 [16] \"gain\"\n");
        for (uint32_t i = 0; i < LENGTH; i++)
            add_step(&random, 102 + i, &text);
        pf_buf_printf(&text, "output %%%d\noutput %%%d\n", 101 + LENGTH, 100 + LENGTH);
        assert_false(text.failed);
        check_graph("random network", (const char *)text.data, seed);
        pf_buf_clear(&text);
    }
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(samples_compute_the_same),
                                        cmocka_unit_test(random_networks_compute_the_same) };

    return count > 1 ? try_files(count, arguments) : cmocka_run_group_tests(tests, NULL, NULL);
}
