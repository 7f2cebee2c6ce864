/* What no kernel computes runs on the host, by the plain references: operands are copied there and back around a host
   function, all of it in stream order, so that the rest of the network stays on the device and in one captured graph.
   Slow, and never chosen while anything else applies. */
#include <string.h>

#include "base/alloc.h"
#include "engine/cuda/cuda_device.h"
#include "engine/cuda/tactics.h"

enum { ALIGNMENT = 256 };

typedef struct host_impl {
    pf_device *device;
    pf_step  *step;                     /* of the tactic `reference` */
    uint32_t  in_count, out_count;
    void    **in, **out;                /* places in memory */
    size_t   *in_bytes, *out_bytes;
    uint8_t  *memory;                   /* pinned: inputs, outputs, the reference's workspace */
    void     *workspace;
    bool      keeps_gaps;               /* an output lies in a wider value, whose other channels stay as they are */
    _Atomic pf_status status;           /* of the last run; a thread of CUDA's writes it */
} host_impl;

static const pf_tactic *reference(void) { return pf_tactic_find("reference"); }

static const char *declines(const pf_device *device, const pf_problem *p)
{
    return reference() ? reference()->declines(device, p) : "no reference";
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    return reference()->tunings(device, p, effort, out, err);
}

static void release(pf_step *step)
{
    host_impl *impl = step->impl;

    pf_step_free(impl->step);
    if (impl->memory) PF_CUDA_DROP(impl->device, cudaFreeHost(impl->memory));
    pf_free(impl->in);
    pf_free(impl->out);
    pf_free(impl->in_bytes);
    pf_free(impl->out_bytes);
    pf_free(impl);
}

static pf_status measure(const pf_problem *p, pf_layout layout, pf_value_id id, size_t *bytes, pf_err *err)
{
    const pf_value *value = pf_graph_value(p->graph, id);

    return pf_layout_bytes(layout, value->dtype, value->shape.rank, value->shape.dim, bytes, err);
}

static size_t rounded(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static pf_status measure_all(host_impl *impl, const pf_problem *p, size_t *total, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < impl->in_count && !st; i++) {
        st = measure(p, p->in_layout[i], p->graph->inputs[i], &impl->in_bytes[i], err);
        *total += rounded(impl->in_bytes[i]);
    }
    for (uint32_t i = 0; i < impl->out_count && !st; i++) {
        st = measure(p, p->out_layout[i], p->graph->outputs[i], &impl->out_bytes[i], err);
        impl->keeps_gaps |= pf_layout_pitch(p->out_layout[i]) > 0;
        *total += rounded(impl->out_bytes[i]);
    }
    return st;
}

static pf_status place(host_impl *impl, const pf_problem *p, pf_err *err)
{
    size_t    total = 0, at = 0;
    pf_status st = PF_OK;

    impl->in = pf_calloc(impl->in_count + 1, sizeof *impl->in);
    impl->out = pf_calloc(impl->out_count + 1, sizeof *impl->out);
    impl->in_bytes = pf_calloc(impl->in_count + 1, sizeof *impl->in_bytes);
    impl->out_bytes = pf_calloc(impl->out_count + 1, sizeof *impl->out_bytes);
    if (!impl->in || !impl->out || !impl->in_bytes || !impl->out_bytes) return PF_FAIL_MEMORY(err, sizeof *impl->in);
    st = measure_all(impl, p, &total, err);
    if (st) return st;
    PF_CUDA_ON(impl->device, err,
               cudaMallocHost((void **)&impl->memory, total + impl->step->workspace_bytes + ALIGNMENT));
    for (uint32_t i = 0; i < impl->in_count; at += rounded(impl->in_bytes[i++])) impl->in[i] = impl->memory + at;
    for (uint32_t i = 0; i < impl->out_count; at += rounded(impl->out_bytes[i++])) impl->out[i] = impl->memory + at;
    impl->workspace = impl->memory + at;
    return PF_OK;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step   *step = pf_step_new(&pf_tactic_cuda_host, sizeof(host_impl));
    host_impl *impl = step ? step->impl : NULL;
    pf_status  st = PF_OK;

    *out = NULL;
    if (!step) return PF_FAIL_MEMORY(err, sizeof *impl);
    impl->device = device;
    impl->in_count = p->graph->input_count;
    impl->out_count = p->graph->output_count;
    st = reference()->prepare(device, p, tuning, saved, saved_bytes, &impl->step, err);
    if (!st) st = place(impl, p, err);
    if (st) {
        pf_step_free(step);
        return st;
    }
    step->capturable = step->alone = true;
    step->in_place = -1;
    *out = step;
    return PF_OK;
}

/* A host function may not call CUDA; a failure shows as outputs of zeros, or as they were, and at the next enqueue. */
static void run(void *user)
{
    host_impl  *impl = user;
    pf_bindings bindings = { .in = impl->in, .out = impl->out, .workspace = impl->workspace };

    impl->status = reference()->enqueue(impl->step, &bindings, NULL, NULL);
    for (uint32_t i = 0; i < impl->out_count && impl->status && !impl->keeps_gaps; i++)
        memset(impl->out[i], 0, impl->out_bytes[i]);
}

static pf_status enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err)
{
    host_impl *impl = step->impl;

    if (impl->status) return PF_FAIL(err, impl->status, "a layer that runs on the host failed in an earlier run");
    PF_CUDA_TRY(err, pf_cuda_enter(impl->device));
    for (uint32_t i = 0; i < impl->in_count; i++)
        PF_CUDA_TRY(err, cudaMemcpyAsync(impl->in[i], bindings->in[i], impl->in_bytes[i], cudaMemcpyDeviceToHost,
                                         pf_cuda_stream(stream)));
    for (uint32_t i = 0; i < impl->out_count && impl->keeps_gaps; i++)
        PF_CUDA_TRY(err, cudaMemcpyAsync(impl->out[i], bindings->out[i], impl->out_bytes[i], cudaMemcpyDeviceToHost,
                                         pf_cuda_stream(stream)));
    PF_CUDA_TRY(err, cudaLaunchHostFunc(pf_cuda_stream(stream), run, impl));
    for (uint32_t i = 0; i < impl->out_count; i++)
        PF_CUDA_TRY(err, cudaMemcpyAsync(bindings->out[i], impl->out[i], impl->out_bytes[i], cudaMemcpyHostToDevice,
                                         pf_cuda_stream(stream)));
    return PF_OK;
}

const pf_tactic pf_tactic_cuda_host = {
    .name = "cuda_host", .rev = 1, .flags = PF_TACTIC_ORACLE | PF_TACTIC_PITCHED, .needs = PF_CAP_CUDA,
    .declines = declines, .tunings = tunings, .prepare = prepare, .enqueue = enqueue, .release = release,
};
