#include "engine/builder_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/builder_glance.h"
#include "engine/builder_noise.h"
#include "engine/builder_picks.h"
#include "engine/go_on.h"
#include "engine/op.h"
#include "engine/oracle.h"
#include "engine/runtime.h"

#define NETWORK_TOLERANCE_FACTOR 10     /* errors of layers add up */
#define LARGE_WORKSPACE_BYTES    (1 << 20)
#define FLIPPED_SHARE            0.01   /* of an integer output: where two scores are nearly equal, either may win */

/* How one run's outputs are to the references': the largest error, the least cosine. */
typedef struct answer { double error, cosine; bool by_rounding; pf_blames *blames; } answer;

/* ---- Outputs */

static double flipped_share(const pf_tensor *test, const pf_tensor *reference)
{
    int64_t count = pf_tensor_elems(reference), flipped = 0;

    for (int64_t i = 0; i < count; i++)
        flipped += pf_dtype_get(test->dtype, test->data, (uint64_t)i) !=
                   pf_dtype_get(reference->dtype, reference->data, (uint64_t)i);
    return count ? (double)flipped / (double)count : 0;
}

/* Sequences and optionals item by item; of texts only the shape, since nothing but the references makes them. */
static bool same_items(const pf_tensor *test, const pf_tensor *reference, double tolerance, double *error, char *reason,
                       size_t capacity)
{
    bool same = reference->rank >= 0 ? pf_tensor_same_shape(test, reference)
                                     : test->rank < 0 && test->item_count == reference->item_count;

    snprintf(reason, capacity, "has another shape or number of items");
    for (int64_t i = 0; i < reference->item_count && same && reference->rank < 0; i++)
        same = pf_builder_check_agrees(&test->items[i], &reference->items[i], tolerance, error, reason, capacity);
    return same;
}

bool pf_builder_check_agrees(const pf_tensor *test, const pf_tensor *reference, double tolerance, double *error,
                             char *reason, size_t capacity)
{
    if (reference->rank < 0 || reference->dtype == PF_STRING)
        return same_items(test, reference, tolerance, error, reason, capacity);
    if (pf_oracle_agrees(test, reference, tolerance, error, reason, capacity))
        return true;
    if (pf_dtype_is_float(reference->dtype) || !pf_tensor_same_shape(test, reference))
        return false;
    *error = flipped_share(test, reference);
    return *error <= FLIPPED_SHARE;
}

/* ---- Which layer is off: the rewritten graph again by the references, value by value */

typedef struct kept { pf_tensor *tensors; uint32_t count; bool failed; } kept;      /* by value of the graph */

static void keep_value(void *user, pf_value_id value, pf_tensor *tensor)
{
    kept *k = user;

    if (value < k->count && tensor->rank >= 0 && !k->tensors[value].data)
        k->failed |= pf_tensor_copy(tensor, &k->tensors[value], NULL) != PF_OK;
}

static void drop_kept(kept *k)
{
    for (uint32_t i = 0; k->tensors && i < k->count; i++)
        pf_tensor_clear(&k->tensors[i]);
    pf_free(k->tensors);
    *k = (kept){ 0 };
}

/* All values of the rewritten graph, which picks what is given; drop_kept also after a failure. */
static pf_status keep_references(const pf_builder_check *check, const pf_oracle *oracle, const pf_picks *given,
                                 kept *out, double *loss, pf_err *err)
{
    uint32_t   count = check->rewritten->output_count;
    pf_tensor *outputs = pf_calloc(count + 1, sizeof *outputs);
    pf_status  st = PF_OK;

    *out = (kept){ .count = check->rewritten->value_count };
    out->tensors = pf_calloc(out->count + 1, sizeof *out->tensors);
    if (!outputs || !out->tensors)
        st = PF_FAIL_MEMORY(err, out->count * sizeof *out->tensors);
    if (!st)
        st = pf_builder_picks_follow(check->rewritten, given, oracle, keep_value, out, outputs, loss, err);
    if (!st && out->failed)
        st = PF_FAIL(err, PF_NO_SPACE, "no memory for the values of \"%s\"", check->rewritten->name);
    for (uint32_t i = 0; outputs && i < count; i++)
        pf_tensor_clear(&outputs[i]);
    pf_free(outputs);
    return st;
}

/* Inputs and outputs stay bound while the layers are watched; but what the tail gives or takes is no memory of the
   context's, and a later run would write there. */
static pf_status bind_again(pf_context *context, const pf_oracle *oracle, pf_tensor *outputs, pf_err *err)
{
    const pf_plan *plan = context->plan;
    uint32_t       in = 0, out = 0;
    pf_status      st = PF_OK;

    for (uint32_t i = 0; i < plan->io_count && !st; i++) {
        void *memory = plan->io[i].is_input ? oracle->in[in++].data : outputs[out++].data;

        if (plan->values[plan->io_value[i]].home != PF_HOME_TAIL)
            st = pf_context_bind(context, i, context->device->host_is_device ? memory : context->staging[i], err);
    }
    return st;
}

/* Who is to blame.  A device that is gone answers nothing, and whoever broke it is not known.  Errors  CANCELLED. */
static pf_status examine(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                         pf_tensor *outputs, pf_blames *out, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = context->device->ops->stream_sync(context->device, context->stream, &why);

    if (!st)
        st = bind_again(context, oracle, outputs, &why);
    if (!st)
        st = pf_builder_blame(context, check->rewritten, check->graph_value, out, &why);
    if (st == PF_CANCELLED)
        return pf_err_pass(err, st, &why);
    if (st)
        pf_log(PF_LOG_WARN, "builder", "not-examined reason=\"%s\"", why.msg);
    return PF_OK;
}

/* Only the layers' sentence, in front of what they led to. */
static pf_status layer_is_off(const pf_plan *plan, const pf_blames *blames, pf_err *err)
{
    const pf_blame          *first = &blames->items[0];
    const pf_plan_candidate *choice = &plan->steps[first->step].ranked[first->candidate];

    pf_err_at(err, plan->steps[first->step].name);
    return PF_FAIL(err, first->status, "layer \"%s\" with %s (%s) %s%s", plan->steps[first->step].name, choice->tactic,
                   first->guessed ? "its first guess" : choice->tuning,
                   first->status == PF_MISMATCH ? "" : "failed: ", first->why);
}

static pf_status mismatch(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                          pf_tensor *outputs, const char *output, const char *reason, answer *out, pf_err *err)
{
    pf_status st = PF_OK;

    if (!out->blames->count)
        st = examine(context, check, oracle, outputs, out->blames, err);
    if (st)
        return st;
    out->by_rounding = !out->blames->count;
    if (out->by_rounding)
        return PF_FAIL(err, PF_MISMATCH, "the plan's output \"%s\" %s; no layer by itself is wrong", output, reason);
    st = layer_is_off(context->plan, out->blames, err);
    return pf_err_add(err, st, "the plan's output \"%s\" %s", output, reason);
}

/* Outputs of the tail hang on decisions that a last bit may turn (which box is kept).  What feeds the tail does not:
   when that agrees, all is well, since the tail is run by the references themselves. */
static pf_status compare_crossing(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                                  const pf_picks *given, double tolerance, double *error, bool *agree, pf_err *err)
{
    const pf_plan_tail *tail = &context->plan->tail;
    kept                references = { 0 };
    double              loss = 0;
    pf_status           st = keep_references(check, oracle, given, &references, &loss, err);

    *error = 0;
    *agree = loss <= tolerance;
    for (uint32_t i = 0; i < tail->in_count && !st; i++) {
        const pf_tensor *reference = &references.tensors[check->graph_value[tail->in[i]]];
        pf_tensor        tensor = { 0 };
        char             reason[128] = "";
        double           one = 0;

        if (context->plan->values[tail->in[i]].home != PF_HOME_ARENA || !reference->data)
            continue;
        st = pf_context_fetch(context, tail->in[i], &tensor, err);
        *agree &= !st && pf_builder_check_agrees(&tensor, reference, tolerance, &one, reason, sizeof reason);
        *error = one > *error ? one : *error;
        pf_tensor_clear(&tensor);
    }
    drop_kept(&references);
    return st;
}

static bool is_tail_output(const pf_plan *plan, uint32_t output)
{
    return output < plan->tail.out_count && plan->tail.out[output] != PF_NONE;
}

bool pf_builder_check_is_random(const pf_graph *graph)
{
    for (uint32_t n = 0; n < graph->node_count; n++)
        if (graph->nodes[n].live && (pf_op_def_of(graph->nodes[n].op)->flags & PF_OPF_RANDOM))
            return true;
    return false;
}

static const char *output_name(const pf_plan *plan, uint32_t output)
{
    for (uint32_t i = 0; i < plan->io_count; i++)
        if (!plan->io[i].is_input && output-- == 0)
            return plan->io[i].name;
    return "";
}

/* What the device picked, and what the references answer when they pick the same; found when an output needs it. */
typedef struct followed {
    bool       is_tried, is_known;  /* it is not where nothing is picked */
    pf_picks   picks;
    pf_tensor *outputs;
    double     loss;
} followed;

static void clear_followed(const pf_builder_check *check, followed *f)
{
    for (uint32_t i = 0; f->outputs && i < check->original->output_count; i++)
        pf_tensor_clear(&f->outputs[i]);
    pf_free(f->outputs);
    pf_picks_close(&f->picks);
}

/* Where it cannot be found, outputs are judged by themselves. */
static pf_status find_followed(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                               pf_tensor *outputs, followed *f, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = f->is_tried ? PF_OK : bind_again(context, oracle, outputs, &why);

    if (f->is_tried)
        return PF_OK;
    f->is_tried = true;
    if (!st)
        st = pf_builder_picks_take(context, check->rewritten, check->graph_value, check->original, &f->picks, &why);
    f->is_known = !st && f->picks.count + f->picks.crossing_count;
    if (f->is_known) {
        f->outputs = pf_calloc(check->original->output_count + 1, sizeof *f->outputs);
        st = f->outputs ? pf_builder_picks_follow(check->original, &f->picks, oracle, NULL, NULL, f->outputs, &f->loss,
                                                  &why)
                        : PF_FAIL_MEMORY(&why, sizeof *f->outputs);
    }
    f->is_known &= !st;
    return pf_go_on_ended(st) ? pf_err_pass(err, st, &why) : PF_OK;
}

/* Two scores are nearly equal, and the device picked the other one. */
static pf_status agrees_in_picks(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                                 pf_tensor *outputs, uint32_t output, double tolerance, followed *f, double *error,
                                 bool *agree, pf_err *err)
{
    char      reason[128] = "";
    pf_status st = find_followed(context, check, oracle, outputs, f, err);

    *agree = !st && f->is_known && f->loss <= tolerance &&
             pf_builder_check_agrees(&outputs[output], &f->outputs[output], tolerance, error, reason, sizeof reason);
    if (f->is_known)
        pf_log(PF_LOG_INFO, "builder", "picked-otherwise output=%u loss=%.2g error=%.2g", output, f->loss, *error);
    return st;
}

/* Outputs of the tail on a decision that a last bit turned. */
static pf_status agrees_in_tail(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                                const followed *f, double tolerance, uint32_t output, double *error, bool *agree,
                                pf_err *err)
{
    *agree = false;
    if (!is_tail_output(context->plan, output))
        return PF_OK;
    *error = 0;
    *agree = pf_builder_check_is_random(check->original);
    return *agree ? PF_OK : compare_crossing(context, check, oracle, &f->picks, tolerance, error, agree, err);
}

/* What rounding does to each output, as far as runs showed it. */
typedef struct noises { pf_noise *of; uint32_t runs; } noises;

/* A network that makes much of the last bits.  That is measured when the first output needs it, in as many runs as it
   takes to explain the outputs. */
static pf_status agrees_in_noise(const pf_builder_check *check, const pf_oracle *oracle, const pf_tensor *test,
                                 uint32_t output, noises *noise, bool *agree, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = PF_OK;

    if (!noise->of)
        noise->of = pf_calloc(oracle->out_count + 1, sizeof *noise->of);
    if (!noise->of)
        return PF_FAIL_MEMORY(err, oracle->out_count * sizeof *noise->of);
    *agree = noise->runs && pf_builder_within_noise(test, &oracle->out[output], &noise->of[output]);
    while (!*agree && noise->runs < PF_NOISE_RUNS) {
        st = pf_builder_noise_more(check->original, check->rewritten, check->numerics, oracle, noise->runs, noise->of,
                                   &why);
        noise->runs = st ? PF_NOISE_RUNS : noise->runs + 1;
        if (pf_go_on_ended(st))
            return pf_err_pass(err, st, &why);
        *agree = pf_builder_within_noise(test, &oracle->out[output], &noise->of[output]);
    }
    if (*agree)
        pf_log(PF_LOG_INFO, "builder", "within-noise output=%u rounding=%.2g runs=%u", output, noise->of[output].most,
               noise->runs);
    return PF_OK;
}

/* 1 of what holds no floats. */
static double cosine_of(const pf_tensor *test, const pf_tensor *reference)
{
    pf_difference difference = { 0 };

    if (reference->rank < 0 || !pf_dtype_is_float(reference->dtype) ||
        pf_tensor_compare(test, reference, &difference, NULL))
        return 1;
    return difference.cosine;
}

static pf_status compare_outputs(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                                 pf_tensor *outputs, answer *out, pf_err *err)
{
    double    tolerance = NETWORK_TOLERANCE_FACTOR * pf_oracle_tolerance(check->rewritten, check->numerics);
    noises    noise = { 0 };
    followed  follows = { 0 };
    pf_status st = PF_OK;

    out->cosine = 1;
    for (uint32_t i = 0; i < oracle->out_count && !st; i++) {
        char   reason[128] = "";
        double one = 0, cosine = cosine_of(&outputs[i], &oracle->out[i]);
        bool   agree = pf_builder_check_agrees(&outputs[i], &oracle->out[i], tolerance, &one, reason, sizeof reason);

        if (!agree) {
            st = agrees_in_picks(context, check, oracle, outputs, i, tolerance, &follows, &one, &agree, err);
            cosine = agree ? cosine_of(&outputs[i], &follows.outputs[i]) : cosine;
        }
        if (!agree && !st)
            st = agrees_in_tail(context, check, oracle, &follows, tolerance, i, &one, &agree, err);
        if (!agree && !st)
            st = agrees_in_noise(check, oracle, &outputs[i], i, &noise, &agree, err);
        if (!agree && !st)
            st = mismatch(context, check, oracle, outputs, output_name(context->plan, i), reason, out, err);
        out->error = one > out->error ? one : out->error;
        out->cosine = cosine < out->cosine ? cosine : out->cosine;
    }
    pf_free(noise.of);
    clear_followed(check, &follows);
    return st;
}

/* ---- Layers that nobody looked at before */

typedef struct glancing {
    const pf_glance *glance;
    const pf_plan   *plan;
    double           tolerance;
    bool             differs;
} glancing;

static bool glance_at(void *user, uint32_t step, uint32_t value, const pf_tensor *tensor)
{
    glancing *g = user;

    (void)step;
    g->differs = pf_glance_differs(g->glance, g->plan->values[value].name, tensor, g->tolerance);
    return !g->differs;
}

/* Outputs may hide a wrong layer: a network with weights drawn at random makes little of most of its values. */
static pf_status compare_layers(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                                pf_tensor *outputs, const pf_glance *glance, answer *out, pf_err *err)
{
    glancing  g = { glance, context->plan,
                    NETWORK_TOLERANCE_FACTOR * pf_oracle_tolerance(check->rewritten, check->numerics), false };
    pf_err    why = { 0 };
    pf_status st = bind_again(context, oracle, outputs, &why);

    if (st) {                           /* no reason to refuse a plan */
        pf_log(PF_LOG_WARN, "builder", "layers-not-compared reason=\"%s\"", why.msg);
        return PF_OK;
    }
    st = pf_context_run_watched(context, glance_at, &g, err);
    if (!st && g.differs)
        st = examine(context, check, oracle, outputs, out->blames, err);
    return st || !out->blames->count ? st : layer_is_off(context->plan, out->blames, err);
}

/* The layer that could not be made ready, or not be enqueued. */
static void blame_failed(const pf_context *context, pf_status status, const pf_err *why, pf_blames *out)
{
    uint32_t made = context->resident->failed_step, run = context->failed_step;

    if (made != PF_NONE)
        (void)pf_blames_add(out, &(pf_blame){ .step = made, .status = status }, why->msg, NULL);
    else if (run != PF_NONE)
        (void)pf_blames_add(out, &(pf_blame){ .step = run, .candidate = context->instance->ranked[run],
                                              .guessed = context->instance->guessed[run], .status = status },
                            why->msg, NULL);
}

static pf_status run_and_compare(pf_context *context, const pf_builder_check *check, const pf_oracle *oracle,
                                 const pf_glance *glance, answer *out, pf_err *err)
{
    pf_tensor *outputs = pf_calloc(check->original->output_count + 1, sizeof *outputs);
    pf_status  st = outputs ? PF_OK : PF_FAIL_MEMORY(err, check->original->output_count * sizeof *outputs);

    if (!st)
        st = pf_context_run_host(context, oracle->in, outputs, err);
    if (st)
        goto out;
    if (check->nothing_timed)
        st = compare_layers(context, check, oracle, outputs, glance, out, err);
    if (!st)
        st = compare_outputs(context, check, oracle, outputs, out, err);
out:
    for (uint32_t i = 0; outputs && i < check->original->output_count; i++)
        pf_tensor_clear(&outputs[i]);
    pf_free(outputs);
    return st;
}

static pf_status expect(const pf_builder_check *check, const int64_t *bindings, pf_glance *glance, pf_oracle *out,
                        pf_err *err)
{
    return check->nothing_timed
               ? pf_oracle_of_graph_watched(check->original, bindings, pf_glance_take, glance, out, err)
               : pf_oracle_of_graph(check->original, bindings, out, err);
}

static pf_status check_at(pf_context *context, const pf_builder_check *check, const int64_t *bindings, answer *out,
                          pf_err *err)
{
    bool      is_known = check->known && !check->nothing_timed && bindings == check->profile->usual;
    pf_oracle oracle = { 0 };
    pf_glance glance = { 0 };
    pf_err    reason = { 0 };
    pf_status st = check->nothing_timed ? pf_glance_open(check->original, &glance, err) : PF_OK;

    *out = (answer){ 0, -1, false, out->blames };
    if (st)
        goto out;
    st = is_known ? PF_OK : expect(check, bindings, &glance, &oracle, &reason);
    pf_graph_forget_constants(check->original);         /* while the plan runs, its own weights are in memory */
    if (pf_go_on_ended(st)) {
        st = pf_err_pass(err, st, &reason);
    } else if (st) {                    /* it wants inputs that mean something: sizes, positions in its tables */
        pf_log(PF_LOG_WARN, "builder", "not-compared reason=\"%s\"", reason.msg);
        out->error = -1;
        st = PF_OK;
    } else {
        st = run_and_compare(context, check, is_known ? check->known : &oracle, &glance, out, err);
    }
out:
    pf_glance_close(&glance);
    pf_oracle_clear(&oracle);
    return st;
}

/* ---- The whole */

/* Prepares the usual shapes without a run. */
static pf_status ready_at(pf_context *context, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < context->plan->io_count && !st; i++) {
        const pf_io *io = &context->plan->io[i];

        if (io->is_input && context->plan->values[context->plan->io_value[i]].home == PF_HOME_IO)
            st = pf_context_set_shape(context, i, io->opt, io->rank, err);
    }
    return st ? st : pf_context_prepare(context, err);
}

/* Up to two digits, so that the last bits of a sum do not reach the plan. */
static double round_up(double error)
{
    double unit = error > 0 ? pow(10, floor(log10(error)) - 1) : 1;

    return error > 0 ? ceil(error / unit) * unit : error < 0 ? -1 : 0;
}

static bool has_range(const pf_profile *profile)
{
    for (uint32_t s = 0; s < profile->count; s++)
        if (profile->least[s] != profile->usual[s])
            return true;
    return false;
}

/* Memory is short before anything ran: whose scratch is the largest, if that is much. */
static void blame_greedy(const pf_plan *plan, const pf_err *why, pf_blames *out)
{
    uint32_t greedy = 0;

    for (uint32_t s = 1; s < plan->step_count; s++)
        if (plan->steps[s].workspace_bytes > plan->steps[greedy].workspace_bytes)
            greedy = s;
    if (plan->step_count && plan->steps[greedy].workspace_bytes >= LARGE_WORKSPACE_BYTES)
        (void)pf_blames_add(out, &(pf_blame){ .step = greedy, .status = PF_NO_SPACE }, why->msg, NULL);
}

static pf_status check_shapes(pf_context *context, const pf_builder_check *check, pf_builder_verdict *out, pf_err *err)
{
    answer    usual = { -1, -1, false, &out->blames }, least = { -1, -1, false, &out->blames };
    pf_status st = check_at(context, check, check->profile->usual, &usual, err);

    if (!st) {
        out->plan.memory_bytes = context->instance->memory.bytes;
        out->plan.memory_lower_bound_bytes = context->instance->memory.lower_bound_bytes;
        out->device_bytes = pf_context_device_bytes(context);
        least = usual;
    }
    if (!st && has_range(check->profile)) {
        st = check_at(context, check, check->profile->least, &least, err);
        if (st)
            st = pf_err_add(err, st, "at the least shapes");
    }
    out->by_rounding = usual.by_rounding || least.by_rounding;
    out->least_cosine = usual.cosine;
    out->plan.max_rel_error = round_up(usual.error);
    out->plan.max_rel_error_least = round_up(least.error);
    return st;
}

pf_status pf_builder_check_plan(pf_plan *plan, pf_device *device, const pf_builder_check *check,
                                pf_builder_verdict *out, pf_err *err)
{
    pf_context *context = NULL;
    pf_err      why = { .list = err ? err->list : NULL };
    pf_status   st = pf_context_new(plan, device, NULL, &context, &why);

    *out = (pf_builder_verdict){ .plan = { .max_rel_error = -1, .max_rel_error_least = -1 }, .least_cosine = -1 };
    if (!st) {
        context->resident->tries = check->tries;
        st = ready_at(context, &why);
    }
    if (st == PF_NO_SPACE)
        blame_greedy(plan, &why, &out->blames);
    else if (!st)
        st = check_shapes(context, check, out, &why);
    if (context && st && st != PF_MISMATCH && !pf_go_on_ended(st) && !out->blames.count)
        blame_failed(context, st, &why, &out->blames);
    if (st)
        st = pf_err_pass(err, st, &why);
    pf_context_free(context);
    return st;
}
