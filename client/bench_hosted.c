/* Queries with host tensors, one after the other, timed by the host's clock. */
#include "base/alloc.h"
#include "base/clock.h"
#include "client/bench_stream.h"
#include "engine/op.h"
#include "engine/plan.h"

/* ---- Which plans */

static bool uses_unknown(const pf_plan *plan, pf_dim dim)
{
    for (uint32_t s = 0; s < plan->symbol_count; s++)
        if (plan->symbols[s].usual == PF_UNBOUND && pf_dim_uses(plan->dims, dim, s))
            return true;
    return false;
}

static bool is_hosted(const pf_plan *plan, uint32_t io)
{
    const pf_plan_value *value = &plan->values[plan->io_value[io]];

    if (value->home != PF_HOME_TAIL)
        return false;
    if (plan->io[io].is_input || value->dtype == PF_STRING || pf_plan_io_kind(plan, io) != PF_VALUE_TENSOR)
        return true;
    for (int32_t d = 0; d < value->shape.rank; d++)
        if (uses_unknown(plan, value->shape.dim[d]))
            return true;
    return false;
}

bool pf_bench_is_hosted(const pf_plan *plan)
{
    for (uint32_t i = 0; i < plan->io_count; i++)
        if (is_hosted(plan, i))
            return true;
    return false;
}

/* ---- Queries */

typedef struct outputs { pf_tensor *tensors; uint32_t count; } outputs;         /* cleared after each query */

static pf_status set_up(pf_bench_stream *s, pf_err *err)
{
    const pf_plan *plan = s->shared->plan;
    outputs       *out = s->impl = pf_calloc(1, sizeof *out);

    if (s->shared->options->profiler)
        return PF_FAIL(err, PF_UNSUPPORTED, "a plan that takes host tensors has no queries of the device alone that "
                       "%s's profiler could record; leave --profiler out", s->shared->device->name);
    for (uint32_t i = 0; i < plan->io_count && out; i++)
        out->count += !plan->io[i].is_input;
    if (out)
        out->tensors = pf_calloc(out->count + 1, sizeof *out->tensors);
    return out && out->tensors ? PF_OK : PF_FAIL_MEMORY(err, plan->io_count * sizeof *out->tensors);
}

static void tear_down(pf_bench_stream *s)
{
    outputs *out = s->impl;

    if (out)
        pf_free(out->tensors);
    pf_free(out);
}

static double since_origin_ms(const pf_bench_stream *s)
{
    return (double)(pf_clock_ns() - s->shared->origin_ns) / 1e6;
}

static pf_status run_query(pf_bench_stream *s, pf_err *err)
{
    outputs  *out = s->impl;
    double    start_ms = since_origin_ms(s), end_ms = 0, ms = 0;
    pf_status status = pf_context_run_host(s->context, s->shared->inputs, out->tensors, err);

    end_ms = since_origin_ms(s);
    ms = end_ms - start_ms;
    s->now_ms = start_ms;
    for (uint32_t i = 0; i < out->count; i++)
        pf_tensor_clear(&out->tensors[i]);
    return status ? status
                  : pf_bench_keep(s, &(pf_query){.compute_ms = ms, .enqueue_ms = ms, .latency_ms = ms}, start_ms,
                                  end_ms, err);
}

static pf_status run(pf_bench_stream *s, pf_err *err)
{
    pf_status status = PF_OK;

    while (!status && !pf_bench_is_done(s))
        status = run_query(s, err);
    pf_bench_look(s);
    return status;
}

const pf_bench_kind pf_bench_hosted = {.set_up = set_up, .run = run, .tear_down = tear_down};
