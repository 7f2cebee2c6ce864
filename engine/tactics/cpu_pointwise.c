/* Any chain or net of pointwise ops in one pass over memory. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/device_cpu.h"
#include "engine/lane_program.h"
#include "engine/tactic.h"

typedef struct pointwise_impl {
    pf_problem     *problem;        /* a copy: the program points at its constants */
    pf_lane_program program;
} pointwise_impl;

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const char *reason = pf_lane_program_declines(p);

    (void)device;
    if (reason)
        return reason;
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        if (pf_layout_pitch(p->out_layout[i]))
            return "the result lies in a wider value";
    /* whole operands must lie as the result does, or every element is a jump */
    for (uint32_t i = 0; i < p->graph->input_count; i++) {
        const pf_shape *shape = pf_problem_shape(p, p->graph->inputs[i]);

        if (!p->in_constant[i] && pf_shape_equal(shape, pf_problem_shape(p, p->graph->outputs[0])) &&
            p->graph->node_count > 1 && !pf_layout_same_bytes(pf_layout_kind(p->in_layout[i]), p->out_layout[0], shape))
            return "operand and result have different layouts";
    }
    return NULL;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    static const pf_layout wanted[] = { PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_C16, PF_LAYOUT_C8 };
    const pf_graph        *graph = p->graph;

    (void)device;
    if (index >= sizeof wanted / sizeof wanted[0])
        return false;
    for (uint32_t i = 0; i < graph->output_count; i++)
        out[i] = pf_layout_fits(wanted[index], pf_graph_value(graph, graph->outputs[i])->shape.rank) ? wanted[index]
                                                                                                     : PF_LAYOUT_LINEAR;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const pf_shape *shape = &pf_graph_value(graph, graph->inputs[i])->shape;
        bool            full = pf_shape_equal(shape, &pf_graph_value(graph, graph->outputs[0])->shape);

        in[i] = full && !p->in_constant[i] ? out[0] : PF_LAYOUT_LINEAR;
    }
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int runs[] = { 512, 2048, 256 };
    pf_status        st = PF_OK;

    (void)device, (void)p;
    for (int i = 0; i < (effort > 2 ? 3 : effort > 0 ? 2 : 1) && !st; i++)
        st = pf_tuning_add(out, err, "run=%d", runs[i]);
    return st;
}

static void release(pf_step *step)
{
    pf_problem_free(((pointwise_impl *)step->impl)->problem);
    pf_free(step->impl);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step        *step = NULL;
    pointwise_impl *impl = NULL;
    long            run = strncmp(tuning, "run=", 4) == 0 ? strtol(tuning + 4, NULL, 10) : 0;
    pf_status       st = PF_OK;

    (void)saved, (void)saved_bytes;
    *out = NULL;
    if (run < 16 || run > 65536 || run % 16)
        return PF_FAIL(err, PF_INVALID, "tuning %s is not run=<multiple of 16>", tuning);
    step = pf_step_new(&pf_tactic_cpu_pointwise, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    st = pf_problem_with_layouts(p, p->in_layout, p->out_layout, &impl->problem, err);
    if (!st)
        st = pf_lane_program_make(impl->problem, pf_device_cpu_isa(device), run, &impl->program, err);
    if (st) {
        pf_step_free(step);
        return st;
    }
    step->workspace_bytes = pf_lane_program_workspace(&impl->program, device->threads);
    step->in_place = impl->program.in_place;
    *out = step;
    return PF_OK;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const pointwise_impl *impl = step->impl;

    (void)err;
    pf_stream_cpu_enter(stream);
    pf_lane_program_run(&impl->program, b->in, b->out, b->workspace, pf_stream_cpu_threads(stream));
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_pointwise = {
    .name = "cpu_pointwise", .rev = 1, .flags = PF_TACTIC_PITCHED, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
    .release = release,
};
