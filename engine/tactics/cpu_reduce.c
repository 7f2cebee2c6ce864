/* Reductions of floats over neighbouring axes, in any mode. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/device_cpu.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"
#include "kernels/cpu_reduce.h"

enum { SERIAL_ELEMS = 1 << 13, COLUMNS_PER_TASK = 64, COLUMNS_LEAST = 16 };

typedef enum finish { PLAIN, MEAN, ROOT, LOG } finish;

/* By PF_REDUCE_*. */
static const struct mode_row { pf_reduce_kind kind; finish finish; } modes[] = {
    [PF_REDUCE_SUM] = { PF_REDUCE_KIND_SUM, PLAIN },
    [PF_REDUCE_MEAN] = { PF_REDUCE_KIND_SUM, MEAN },
    [PF_REDUCE_MAX] = { PF_REDUCE_KIND_MAX, PLAIN },
    [PF_REDUCE_MIN] = { PF_REDUCE_KIND_MIN, PLAIN },
    [PF_REDUCE_PROD] = { PF_REDUCE_KIND_PROD, PLAIN },
    [PF_REDUCE_L1] = { PF_REDUCE_KIND_ABS, PLAIN },
    [PF_REDUCE_L2] = { PF_REDUCE_KIND_SQUARE, ROOT },
    [PF_REDUCE_LOG_SUM] = { PF_REDUCE_KIND_SUM, LOG },
    [PF_REDUCE_LOG_SUM_EXP] = { PF_REDUCE_KIND_LOG_SUM_EXP, PLAIN },
    [PF_REDUCE_SUM_SQUARE] = { PF_REDUCE_KIND_SQUARE, PLAIN },
};

typedef struct reduce_impl {
    pf_isa           isa;
    struct mode_row  mode;
    int64_t          outer, reduced, inner;
} reduce_impl;

/* The axes as a range [first, end) of neighbours; false when something else lies between them. */
static bool axes_range(const pf_reduce_attrs *attrs, int64_t *first, int64_t *end)
{
    uint32_t seen = 0;

    *first = PF_MAX_RANK;
    *end = 0;
    for (int32_t i = 0; i < attrs->axes.count; i++) {
        int64_t axis = attrs->axes.at[i];

        if (axis < 0 || axis >= PF_MAX_RANK)
            return false;
        seen |= 1u << axis;
        *first = axis < *first ? axis : *first;
        *end = axis + 1 > *end ? axis + 1 : *end;
    }
    return attrs->axes.count > 0 && seen == ((1u << *end) - 1u) - ((1u << *first) - 1u);
}

/* Over all places of each channel, and of a kind that leaves the zeros which pad a block of channels zero. */
static bool is_of_channels(const pf_reduce_attrs *attrs, const pf_shape *x)
{
    int64_t first = 0, end = 0;

    return x->rank > 2 && axes_range(attrs, &first, &end) && first == 2 && end == x->rank &&
           modes[attrs->mode].finish != LOG && modes[attrs->mode].kind != PF_REDUCE_KIND_LOG_SUM_EXP;
}

/* Results lie channel by channel, whatever the layout of x; y without the reduced dims must come out the same. */
static bool leaves_in_order(const pf_problem *p, const pf_shape *x, const pf_shape *y)
{
    int64_t block = pf_layout_block(p->in_layout[0]);

    if (p->out_layout[0] == p->in_layout[0])
        return true;
    if (p->out_layout[0] != PF_LAYOUT_LINEAR)
        return pf_layout_same_bytes(p->out_layout[0], p->in_layout[0], y);
    return p->in_layout[0] == PF_LAYOUT_CHANNELS_LAST || (pf_dim_is_number(x->dim[1]) && x->dim[1] % block == 0);
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node  *node = pf_problem_anchor(p);
    const pf_shape *x = NULL;
    int64_t         first = 0, end = 0;

    (void)device;
    if (p->graph->node_count != 1 || node->op != PF_OP_REDUCE)
        return "not a reduction alone";
    if (pf_graph_value(p->graph, node->in[0])->dtype != PF_F32)
        return "not f32";
    if (p->graph->input_count != 1)
        return "a small constant is reduced";
    if (!axes_range(node->attrs, &first, &end))
        return "the axes are not neighbours";
    x = pf_problem_shape(p, node->in[0]);
    if (p->in_layout[0] == PF_LAYOUT_LINEAR)
        return p->out_layout[0] == PF_LAYOUT_LINEAR ? NULL : "another layout than that of the source";
    if (!is_of_channels(node->attrs, x))
        return "not over all places of each channel";
    return leaves_in_order(p, x, pf_problem_shape(p, node->out[0])) ? NULL : "the result lies in another order";
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    static const pf_layout wanted[] = { PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_C16, PF_LAYOUT_C8 };
    const pf_node         *node = pf_problem_anchor(p);

    (void)device;
    if (p->graph->input_count != 1 || p->graph->output_count != 1 || index >= sizeof wanted / sizeof wanted[0])
        return false;
    if (index &&
        (node->op != PF_OP_REDUCE || !is_of_channels(node->attrs, pf_problem_shape(p, node->in[0]))))
        return false;
    in[0] = wanted[index];
    out[0] = pf_layout_fits(wanted[index], pf_problem_shape(p, p->graph->outputs[0])->rank)
                 ? wanted[index]
                 : PF_LAYOUT_LINEAR;
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "rows");
}

/* The dims as [outer, reduced, inner]; in other layouts than LINEAR the channels, or those of one block, are the inner
   ones. */
static void measure(reduce_impl *impl, pf_layout layout, const pf_shape *x, int64_t first, int64_t end)
{
    int64_t block = pf_layout_block(layout);

    for (int32_t d = 0; d < x->rank; d++)
        *(d < first ? &impl->outer : d < end ? &impl->reduced : &impl->inner) *= x->dim[d];
    if (layout == PF_LAYOUT_LINEAR)
        return;
    impl->outer = layout == PF_LAYOUT_CHANNELS_LAST ? x->dim[0] : x->dim[0] * ((x->dim[1] + block - 1) / block);
    impl->inner = layout == PF_LAYOUT_CHANNELS_LAST ? x->dim[1] : block;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    const pf_node         *node = pf_problem_anchor(p);
    const pf_reduce_attrs *attrs = node->attrs;
    const pf_shape        *x = pf_problem_shape(p, node->in[0]);
    pf_step               *step = NULL;
    reduce_impl           *impl = NULL;
    int64_t                first = 0, end = 0;

    (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p) || !axes_range(attrs, &first, &end))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_reduce, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    *impl = (reduce_impl){ pf_device_cpu_isa(device), modes[attrs->mode], 1, 1, 1 };
    measure(impl, p->in_layout[0], x, first, end);
    *out = step;
    return PF_OK;
}

static void finish_row(const reduce_impl *impl, float *y, int64_t count)
{
    for (int64_t i = 0; i < count && impl->mode.finish == MEAN; i++)
        y[i] /= (float)impl->reduced;
    for (int64_t i = 0; i < count && impl->mode.finish == ROOT; i++)
        y[i] = sqrtf(y[i]);
    for (int64_t i = 0; i < count && impl->mode.finish == LOG; i++)
        y[i] = logf(y[i]);
}

/* Few columns are cut finer when there are threads to spare; results do not depend on the cut. */
static int64_t columns_per_task(const reduce_impl *impl, int threads)
{
    int64_t whole = impl->outer * ((impl->inner + COLUMNS_PER_TASK - 1) / COLUMNS_PER_TASK);

    return whole >= threads ? COLUMNS_PER_TASK : COLUMNS_LEAST;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const reduce_impl *impl = step->impl;
    int64_t            width = columns_per_task(impl, pf_stream_cpu_threads(stream)),
                       parts = (impl->inner + width - 1) / width;
    int64_t            tasks = impl->outer * parts;

    (void)err;
    pf_stream_cpu_enter(stream);
#pragma omp parallel for num_threads(pf_stream_cpu_threads(stream)) \
    if (tasks * impl->reduced * impl->inner >= SERIAL_ELEMS * parts) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        int64_t      outer = i / parts, from = i % parts * width;
        int64_t      count = impl->inner - from < width ? impl->inner - from : width;
        const float *x = (const float *)b->in[0] + outer * impl->reduced * impl->inner + from;
        float       *y = (float *)b->out[0] + outer * impl->inner + from;

        pf_reduce_run(impl->isa, impl->mode.kind, x, impl->reduced, count, impl->inner, y);
        finish_row(impl, y, count);
    }
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_reduce = {
    .name = "cpu_reduce", .rev = 2, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
};
