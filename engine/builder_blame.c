#include "engine/builder_blame.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/builder_check.h"
#include "engine/builder_noise.h"
#include "engine/go_on.h"
#include "engine/op.h"

typedef struct examination {
    pf_context        *context;
    const pf_graph    *graph;
    const pf_value_id *graph_value;
    pf_blames         *blames;
} examination;

/* A layer, and what goes in and comes out; all owned. */
typedef struct layer {
    uint32_t    step;
    pf_problem *problem;                /* bound */
    pf_tensor  *in, *out, *expected;
} layer;

void pf_blames_clear(pf_blames *blames)
{
    pf_free(blames->items);
    *blames = (pf_blames){ 0 };
}

pf_status pf_blames_add(pf_blames *blames, const pf_blame *blame, const char *why, pf_err *err)
{
    if (pf_grow((void **)&blames->items, &blames->capacity, blames->count + 1, sizeof *blames->items))
        return PF_FAIL_MEMORY(err, (blames->count + 1) * sizeof *blames->items);
    blames->items[blames->count] = *blame;
    snprintf(blames->items[blames->count].why, sizeof blame->why, "%.127s", why);
    blames->count++;
    return PF_OK;
}

static void clear_tensors(pf_tensor *tensors, uint32_t count)
{
    for (uint32_t i = 0; tensors && i < count; i++)
        pf_tensor_clear(&tensors[i]);
    pf_free(tensors);
}

static void close_layer(layer *l)
{
    const pf_graph *graph = l->problem ? l->problem->graph : NULL;

    if (graph) {
        clear_tensors(l->in, graph->input_count);
        clear_tensors(l->out, graph->output_count);
        clear_tensors(l->expected, graph->output_count);
    }
    pf_problem_free(l->problem);
    *l = (layer){ 0 };
}

static pf_status open_layer(const examination *x, uint32_t s, layer *out, pf_err *err)
{
    const pf_plan *plan = x->context->plan;
    pf_status      st = PF_OK;

    *out = (layer){ .step = s };
    st = pf_problem_bind(plan->steps[s].problem, plan->dims, x->context->instance->bindings, &out->problem, err);
    if (st)
        return st;
    out->in = pf_calloc(out->problem->graph->input_count + 1, sizeof *out->in);
    out->out = pf_calloc(out->problem->graph->output_count + 1, sizeof *out->out);
    out->expected = pf_calloc(out->problem->graph->output_count + 1, sizeof *out->expected);
    return out->in && out->out && out->expected ? PF_OK : PF_FAIL_MEMORY(err, sizeof *out->in);
}

/* Constants are in the plan as its choice packed them: they are read where that took them from. */
static pf_status read_constant(const pf_value *value, pf_tensor *out, pf_err *err)
{
    const void *data = NULL;
    pf_status   st = pf_constant_bytes(&value->constant, &data, err);

    *out = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank, .bytes = value->constant.bytes };
    memcpy(out->dim, value->shape.dim, sizeof out->dim);
    out->data = (void *)(uintptr_t)data;
    return st;
}

static pf_status take_inputs(const examination *x, layer *l, pf_err *err)
{
    const pf_plan_step *step = &x->context->plan->steps[l->step];
    pf_status           st = PF_OK;

    for (uint32_t i = 0; i < l->problem->graph->input_count && !st; i++) {
        const pf_value *value = pf_graph_value(x->graph, x->graph_value[step->in[i]]);

        st = value->is_constant ? read_constant(value, &l->in[i], err)
                                : pf_context_fetch(x->context, step->in[i], &l->in[i], err);
    }
    return st;
}

static pf_status take_outputs(const examination *x, layer *l, pf_err *err)
{
    const pf_plan_step *step = &x->context->plan->steps[l->step];
    pf_status           st = PF_OK;

    for (uint32_t i = 0; i < l->problem->graph->output_count && !st; i++)
        st = pf_context_fetch(x->context, step->out[i], &l->out[i], err);
    return st;
}

/* Of what is not finite in the reference, nothing can be said. */
static bool is_finite(const pf_tensor *tensor)
{
    int64_t count = pf_dtype_is_float(tensor->dtype) ? pf_tensor_elems(tensor) : 0;

    for (int64_t i = 0; i < count; i++)
        if (!isfinite(pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)i)))
            return false;
    return true;
}

static pf_status is_explained(const layer *l, uint32_t output, bool *explained, pf_err *err)
{
    const pf_graph *graph = l->problem->graph;
    const pf_oracle oracle = { .in = l->in, .out = l->expected, .in_count = graph->input_count,
                               .out_count = graph->output_count };
    pf_noise       *noise = pf_calloc(graph->output_count + 1, sizeof *noise);
    pf_status       st = noise ? PF_OK : PF_FAIL_MEMORY(err, graph->output_count * sizeof *noise);

    if (!st)
        st = pf_builder_noise(graph, graph, l->problem->numerics, &oracle, noise, err);
    *explained = !st && pf_builder_is_noise(&l->out[output], &l->expected[output], &noise[output]);
    pf_free(noise);
    return st;
}

static pf_status blame(const examination *x, uint32_t step, pf_status status, double error, const char *why,
                       pf_err *err)
{
    const pf_instance *instance = x->context->instance;
    const pf_blame     one = { .step = step, .candidate = instance->ranked[step], .guessed = instance->guessed[step],
                               .status = status, .error = error };

    return pf_blames_add(x->blames, &one, why, err);
}

static pf_status judge(const examination *x, const layer *l, pf_err *err)
{
    const pf_graph *graph = l->problem->graph;
    double          tolerance = pf_oracle_tolerance(graph, l->problem->numerics);
    pf_status       st = PF_OK;

    for (uint32_t i = 0; i < graph->output_count && !st; i++) {
        char   why[128] = "";
        double error = 0;
        bool   explained = false;

        if (!is_finite(&l->expected[i]) ||
            pf_builder_check_agrees(&l->out[i], &l->expected[i], tolerance, &error, why, sizeof why))
            continue;
        st = is_explained(l, i, &explained, err);
        if (!st && !explained)
            return blame(x, l->step, PF_MISMATCH, error, why, err);
    }
    return st;
}

/* *failed: the device did, and what comes after it cannot be run. */
static pf_status run_layer(const examination *x, layer *l, bool *failed, pf_err *err)
{
    pf_context *c = x->context;
    pf_err      why = { 0 };
    pf_status   st = pf_context_enqueue_step(c, l->step, c->stream, &why);

    if (!st)
        st = c->device->ops->stream_sync(c->device, c->stream, &why);
    *failed = st != PF_OK;
    return st ? blame(x, l->step, st, 0, why.msg, err) : take_outputs(x, l, err);
}

static pf_status examine(const examination *x, uint32_t s, bool *failed, pf_err *err)
{
    layer     l = { 0 };
    bool      known = false;
    pf_err    ignored = { 0 };
    pf_status st = open_layer(x, s, &l, err);

    if (!st)
        st = take_inputs(x, &l, err);
    if (!st) {
        pf_status computed = pf_builder_check_is_random(l.problem->graph)
                                 ? PF_UNSUPPORTED
                                 : pf_interpret(l.problem->graph, l.in, l.expected, NULL, NULL, &ignored);

        known = computed == PF_OK;
        st = pf_go_on_ended(computed) ? pf_err_pass(err, computed, &ignored) : PF_OK;
    }
    if (!st)
        st = run_layer(x, &l, failed, err);
    if (!st && known && !*failed)
        st = judge(x, &l, err);
    close_layer(&l);
    return st;
}

pf_status pf_builder_blame(pf_context *context, const pf_graph *graph, const pf_value_id *graph_value, pf_blames *out,
                           pf_err *err)
{
    const examination x = { context, graph, graph_value, out };
    bool              failed = false;
    pf_status         st = pf_context_prepare(context, err);

    for (uint32_t s = 0; s < context->plan->step_count && !st && !failed; s++)
        st = examine(&x, s, &failed, err);
    return st;
}
