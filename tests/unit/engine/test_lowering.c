/* What a lowered network computes, against the same network in FP32: the front of a build, then both by the references.
   Without arguments: small networks.  test_lowering [--bf16] [--front] [--layers] FILE...: ONNX files, one line each, for work on the lowering; --front stops
   before anything is computed, --layers shows where the error comes in. */
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
static pf_status make_front(pf_network *network, pf_dtype narrow, front *out, pf_err *err)
{
    pf_config *config = config_of("");
    pf_status  st = PF_OK;

    *out = (front){ .original = pf_graph_copy(pf_network_graph(network), err) };
    st = out->original ? pf_profile_apply(config, out->original, &out->profile, err) : PF_NO_SPACE;
    if (!st)
        st = pf_graph_verify(out->original, err);
    if (!st)
        out->low = pf_graph_copy(out->original, err);
    if (!st && out->low)
        st = pf_rewrite_run(out->low, NULL, NULL, err);
    if (!st)
        st = pf_precision_lower(out->low, narrow, err);
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
    if (!pf_tensor_compare(&test, reference, &d, NULL) && (d.max_rel_range > 1.05 * s->worst || d.nan_count || d.inf_count)) {
        s->worst = d.max_rel_range;
        printf("    %-20s %-4s error %.2e cosine %.7f not finite %lld  \"%.80s\"\n", pf_op_def_of(s->low->nodes[node].op)->name,
               pf_dtype_name(tensor->dtype), d.max_rel_range, d.cosine, (long long)(d.nan_count + d.inf_count), s->low->nodes[node].name);
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
        st = turn ? pf_interpret(f->low, oracle->in, outputs, show_layer, &s, err) : pf_interpret(wide, oracle->in, outputs, keep_value, &s.wide, err);
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

typedef struct wishes { pf_dtype narrow; bool front_only, layers; } wishes;

static pf_status try_file(const char *path, const wishes *w, outcome *result, pf_err *err)
{
    pf_network *network = NULL;
    front       f = { 0 };
    pf_oracle   oracle = { 0 };
    pf_status   st = pf_network_import(path, &network, err);

    if (!st)
        st = make_front(network, w->narrow, &f, err);
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
        else if (!strcmp(arguments[i], "--front"))
            w.front_only = true;
        else if (!strcmp(arguments[i], "--layers"))
            w.layers = true;
        else {
            bad = try_file(arguments[i], &w, &result, &err) != PF_OK;
            bad |= result.error > (w.narrow == PF_F16 ? 1e-2 : 8e-2) || result.not_finite;
            printf("%s %s error %.2e cosine %.6f not finite %lld  %s\n", bad ? "BAD" : "ok ", arguments[i], result.error, result.cosine,
                   (long long)result.not_finite, err.msg);
            fflush(stdout);
            failures += bad;
        }
    }
    return failures ? 1 : 0;
}

int main(int count, char **arguments)
{
    return count > 1 ? try_files(count, arguments) : 0;
}
