/* Running sums and products along an axis: floats add up in doubles, integers wrap. */
#include "engine/device_cpu.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"

enum { STRIP = 32, SERIAL_ELEMS = 1 << 13 };    /* columns at a time: their running results stay in the first cache */

typedef struct cumulate_impl cumulate_impl;

/* `columns` neighbouring lines from element `first` on. */
typedef void strip_function(const cumulate_impl *impl, const void *x, void *y, int64_t first, int64_t columns);

struct cumulate_impl {
    int64_t         outer, size, inner;
    bool            product, exclusive, reverse;
    strip_function *run;
};

#define STRIP_OF(name, type, wide)                                                                                     \
    static void name(const cumulate_impl *impl, const void *from, void *to, int64_t first, int64_t columns)            \
    {                                                                                                                  \
        const type *x = (const type *)from + first;                                                                    \
        type       *y = (type *)to + first;                                                                            \
        wide        sum[STRIP];                                                                                        \
        for (int64_t k = 0; k < columns; k++)                                                                          \
            sum[k] = (wide)impl->product;                                                                              \
        for (int64_t i = 0; i < impl->size; i++) {                                                                     \
            int64_t row = (impl->reverse ? impl->size - 1 - i : i) * impl->inner;                                      \
            for (int64_t k = 0; k < columns; k++) {                                                                    \
                wide before = sum[k], next = impl->product ? before * (wide)x[row + k] : before + (wide)x[row + k];    \
                y[row + k] = (type)(impl->exclusive ? before : next);                                                  \
                sum[k] = next;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
    }
STRIP_OF(floats, float, double)
STRIP_OF(ints, uint32_t, uint32_t)
STRIP_OF(longs, uint64_t, uint64_t)

static strip_function *function_of(pf_dtype dtype)
{
    static const struct { pf_dtype dtype; strip_function *run; } rows[] = {
        { PF_F32, floats }, { PF_I32, ints }, { PF_U32, ints }, { PF_I64, longs }, { PF_U64, longs },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].dtype == dtype)
            return rows[i].run;
    return NULL;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_graph_node(p->graph, 0);

    (void)device;
    if (p->graph->node_count != 1 || node->op != PF_OP_CUMULATE)
        return "not a running sum alone";
    if (p->graph->input_count != 1)
        return "a small constant is summed up";
    if (!function_of(pf_graph_value(p->graph, node->in[0])->dtype))
        return "elements that are neither f32 nor integers of 32 or 64 bits";
    return p->in_layout[0] == PF_LAYOUT_LINEAR && p->out_layout[0] == PF_LAYOUT_LINEAR ? NULL : "not linear";
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    return p->graph->input_count == 1 && pf_tactic_prefers_linear(device, p, index, in, out);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "strips");
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    const pf_node           *node = pf_graph_node(p->graph, 0);
    const pf_cumulate_attrs *attrs = node->attrs;
    const pf_value          *x = pf_graph_value(p->graph, node->in[0]);
    pf_step                 *step = NULL;
    cumulate_impl           *impl = NULL;

    (void)device, (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_cumulate, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    *impl = (cumulate_impl){ 1, x->shape.dim[attrs->axis], 1, attrs->mode == PF_CUMULATE_PROD, attrs->exclusive,
                             attrs->reverse, function_of(x->dtype) };
    for (int32_t d = 0; d < x->shape.rank; d++)
        *(d < attrs->axis ? &impl->outer : &impl->inner) *= d == attrs->axis ? 1 : x->shape.dim[d];
    *out = step;
    return PF_OK;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const cumulate_impl *impl = step->impl;
    int64_t              parts = (impl->inner + STRIP - 1) / STRIP;
    bool                 parallel = impl->outer * impl->size * impl->inner >= SERIAL_ELEMS;

    (void)err;
    pf_stream_cpu_enter(stream);
#pragma omp parallel for num_threads(pf_stream_cpu_threads(stream)) if (parallel) schedule(static)
    for (int64_t i = 0; i < impl->outer * parts; i++) {
        int64_t from = i % parts * STRIP;

        impl->run(impl, b->in[0], b->out[0], i / parts * impl->size * impl->inner + from,
                  impl->inner - from < STRIP ? impl->inner - from : STRIP);
    }
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_cumulate = {
    .name = "cpu_cumulate", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
};
