#include "base/alloc.h"
#include "base/clock.h"
#include "client/bench_loop.h"
#include "engine/op.h"
#include "engine/plan.h"

typedef struct hosted_loop {
    pf_context             *context;
    const pf_tensor        *inputs;
    pf_tensor              *outputs;    /* owned; cleared after each query */
    uint32_t                output_count;
    const pf_bench_options *options;
    pf_bench               *out;
    int64_t                 origin_ns, first_ns;    /* start; start of the first query that counts */
} hosted_loop;

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

static pf_status keep(hosted_loop *l, int64_t start_ns, int64_t end_ns, pf_err *err)
{
    pf_bench    *out = l->out;
    const double ms = (double)(end_ns - start_ns) / 1e6;

    if ((double)(start_ns - l->origin_ns) / 1e6 < l->options->warmup_ms) {
        out->warmup_count++;
        return PF_OK;
    }
    if (!out->count)
        l->first_ns = start_ns;
    out->walltime_s = (double)(end_ns - l->first_ns) / (double)PF_NS_PER_S;
    return pf_bench_keep(out, &(pf_query){.compute_ms = ms, .enqueue_ms = ms, .latency_ms = ms}, err);
}

static pf_status run_query(hosted_loop *l, pf_err *err)
{
    int64_t   start_ns = pf_clock_ns();
    pf_status status = pf_context_run_host(l->context, l->inputs, l->outputs, err);
    int64_t   end_ns = pf_clock_ns();

    for (uint32_t i = 0; i < l->output_count; i++)
        pf_tensor_clear(&l->outputs[i]);
    return status ? status : keep(l, start_ns, end_ns, err);
}

static bool is_done(const hosted_loop *l)
{
    return l->out->count >= l->options->iterations && l->out->walltime_s >= l->options->duration_s;
}

pf_status pf_bench_run_hosted(const pf_plan *plan, pf_device *device, pf_context *context, const pf_tensor *inputs,
                              const pf_bench_options *options, pf_bench *out, pf_err *err)
{
    hosted_loop l = {.context = context, .inputs = inputs, .options = options, .out = out};
    pf_status   status = PF_OK;

    *out = (pf_bench){0};
    if (options->profiler)
        return PF_FAIL(err, PF_UNSUPPORTED, "a plan that takes host tensors has no queries of the device alone that "
                       "%s's profiler could record; leave --profiler out", device->name);
    for (uint32_t i = 0; i < plan->io_count; i++)
        l.output_count += !plan->io[i].is_input;
    l.outputs = pf_calloc(l.output_count + 1, sizeof *l.outputs);
    status = l.outputs ? PF_OK : PF_FAIL_MEMORY(err, l.output_count * sizeof *l.outputs);
    l.origin_ns = pf_clock_ns();
    while (!status && !is_done(&l))
        status = run_query(&l, err);
    pf_free(l.outputs);
    if (status)
        pf_bench_clear(out);
    return status;
}
