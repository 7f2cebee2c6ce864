/* Pads that repeat what is inside (reflect, edge, wrap).  Of each dim a table says where its positions read from, made
   when the sizes are known; a line of the result is then one long copy with a few single elements at its ends. */
#include <omp.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/device_cpu.h"
#include "engine/epilogue.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/ops/move.h"
#include "engine/tactic.h"
#include "kernels/cpu_copy.h"

enum { SHORT_LINE = 64, SERIAL_BYTES = 32 << 10 };

/* `count` elements: element i is in[from[i]], and those in [low, high) are neighbours there too. */
typedef void line_function(const int64_t *from, int64_t count, int64_t low, int64_t high, const void *in, void *out);

typedef struct pad_impl {
    int32_t        rank;                                /* dims in the order of the result's memory */
    int64_t        dim[PF_MAX_RANK], *from[PF_MAX_RANK];    /* from: owned; in elements */
    int64_t        low, high;                           /* of the last dim */
    int64_t        lines;
    size_t         item_bytes;
    line_function *run;
    bool           empty;                               /* nothing is inside: the result holds `value` alone */
    uint64_t       value[2];
} pad_impl;

#define LINE_OF(name, type)                                                                                            \
    static void name(const int64_t *from, int64_t count, int64_t low, int64_t high, const void *in, void *out)         \
    {                                                                                                                  \
        const type *x = in;                                                                                            \
        type       *y = out;                                                                                           \
        for (int64_t i = 0; i < low; i++)                                                                              \
            y[i] = x[from[i]];                                                                                         \
        memcpy(y + low, x + from[low], (size_t)(high - low) * sizeof *y);                                              \
        for (int64_t i = high; i < count; i++)                                                                         \
            y[i] = x[from[i]];                                                                                         \
    }
typedef struct item16 { uint64_t half[2]; } item16;
LINE_OF(bytes1, uint8_t)
LINE_OF(bytes2, uint16_t)
LINE_OF(bytes4, uint32_t)
LINE_OF(bytes8, uint64_t)
LINE_OF(bytes16, item16)

static line_function *const functions[17] = { [1] = bytes1, [2] = bytes2, [4] = bytes4, [8] = bytes8, [16] = bytes16 };

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_graph_node(p->graph, 0);
    double         value = 0;

    (void)device;
    if (p->graph->node_count != 1 || node->op != PF_OP_PAD ||
        ((const pf_pad_attrs *)node->attrs)->mode == PF_PAD_CONSTANT)
        return "not a pad that repeats what is inside";
    if (p->graph->input_count != 1 || pf_problem_input_index(p, node->in[0]) != 0)
        return "a small constant is padded";
    if (node->in_count > 1 && node->in[1] != PF_NONE && !pf_problem_scalar(p, node->in[1], &value))
        return "the value of the padding is not known";
    if (pf_dtype_bits(pf_graph_value(p->graph, node->in[0])->dtype) < 8 ||
        pf_graph_value(p->graph, node->in[0])->dtype == PF_STRING)
        return "elements of less than a byte, or strings";
    return pf_layout_block(p->in_layout[0]) == 1 && pf_layout_block(p->out_layout[0]) == 1 ? NULL
                                                                                           : "channels in blocks";
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    static const pf_layout wanted[] = { PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST };

    (void)device;
    if (index >= sizeof wanted / sizeof wanted[0] || p->graph->input_count != 1 ||
        !pf_layout_fits(wanted[index], pf_problem_shape(p, p->graph->inputs[0])->rank))
        return false;
    in[0] = out[0] = wanted[index];
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "lines");
}

static void release(pf_step *step)
{
    pad_impl *impl = step->impl;

    for (int32_t d = 0; d < PF_MAX_RANK; d++)
        pf_free(impl->from[d]);
    pf_free(impl);
}

/* The dims of a value, the farthest neighbours first. */
static void memory_order(const pf_strides *s, int32_t rank, int32_t *order)
{
    for (int32_t d = 0; d < rank; d++) {
        int32_t at = d;

        for (; at > 0 && s->dim[order[at - 1]] < s->dim[d]; at--)
            order[at] = order[at - 1];
        order[at] = d;
    }
}

static pf_status make_tables(pad_impl *impl, const pf_problem *p, pf_err *err)
{
    const pf_node      *node = pf_graph_node(p->graph, 0);
    const pf_pad_attrs *attrs = node->attrs;
    const pf_shape     *x = pf_problem_shape(p, node->in[0]), *y = pf_problem_shape(p, node->out[0]);
    pf_strides          in = pf_layout_strides(p->in_layout[0], x->rank, x->dim),
                        out = pf_layout_strides(p->out_layout[0], y->rank, y->dim);
    int32_t             order[PF_MAX_RANK] = { 0 };

    memory_order(&out, y->rank, order);
    for (int32_t k = 0; k < y->rank; k++) {
        int32_t d = order[k];

        impl->dim[k] = y->dim[d];
        impl->from[k] = pf_calloc(y->dim[d] > 0 ? (size_t)y->dim[d] : 1, sizeof *impl->from[k]);
        if (!impl->from[k])
            return PF_FAIL_MEMORY(err, (size_t)y->dim[d] * sizeof *impl->from[k]);
        for (int64_t i = 0; i < y->dim[d]; i++) {
            int64_t from = pf_pad_source(i - attrs->pads.at[d], x->dim[d], attrs->mode);

            impl->empty = impl->empty || from < 0;
            impl->from[k][i] = from * in.dim[d];
        }
    }
    impl->rank = y->rank;
    return PF_OK;
}

/* A short last dim becomes one with the dim before it. */
static pf_status join_last(pad_impl *impl, pf_err *err)
{
    int32_t  last = impl->rank - 1;
    int64_t  size = impl->dim[last], count = size * impl->dim[last - 1];
    int64_t *joined = pf_calloc(count > 0 ? (size_t)count : 1, sizeof *joined);

    if (!joined)
        return PF_FAIL_MEMORY(err, (size_t)count * sizeof *joined);
    for (int64_t i = 0; i < count; i++)
        joined[i] = impl->from[last - 1][i / size] + impl->from[last][i % size];
    pf_free(impl->from[last - 1]);
    pf_free(impl->from[last]);
    impl->from[last] = NULL;
    impl->from[last - 1] = joined;
    impl->dim[last - 1] = count;
    impl->rank--;
    return PF_OK;
}

/* The longest run of the last dim whose elements are neighbours in the source. */
static void find_run(pad_impl *impl)
{
    const int64_t *from = impl->from[impl->rank - 1];

    for (int64_t i = 0, end = 0; i < impl->dim[impl->rank - 1]; i = end) {
        for (end = i + 1; end < impl->dim[impl->rank - 1] && from[end] == from[end - 1] + 1;)
            end++;
        if (end - i > impl->high - impl->low)
            impl->low = i, impl->high = end;
    }
}

static pf_status plan(pad_impl *impl, const pf_problem *p, pf_err *err)
{
    const pf_node *node = pf_graph_node(p->graph, 0);
    pf_dtype       dtype = pf_graph_value(p->graph, node->in[0])->dtype;
    double         value = ((const pf_pad_attrs *)node->attrs)->value;
    pf_status      st = make_tables(impl, p, err);

    if (node->in_count > 1 && node->in[1] != PF_NONE)
        (void)pf_problem_scalar(p, node->in[1], &value);
    pf_dtype_set(dtype, impl->value, 0, value);
    impl->item_bytes = pf_dtype_bits(dtype) / 8;
    impl->run = functions[impl->item_bytes];
    while (!st && impl->rank > 1 && impl->dim[impl->rank - 1] < SHORT_LINE)
        st = join_last(impl, err);
    if (st)
        return st;
    if (impl->rank)
        find_run(impl);
    impl->lines = 1;
    for (int32_t d = 0; d < impl->rank - 1; d++)
        impl->lines *= impl->dim[d];
    return PF_OK;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step  *step = NULL;
    pf_status st = PF_OK;

    (void)device, (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_pad, sizeof(pad_impl));
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof(pad_impl));
    st = plan(step->impl, p, err);
    if (st) {
        pf_step_free(step);
        return st;
    }
    *out = step;
    return PF_OK;
}

static void run_lines(const pad_impl *impl, const char *in, char *out, int64_t begin, int64_t end)
{
    int32_t last = impl->rank - 1;

    for (int64_t line = begin; line < end; line++) {
        int64_t rest = line, from = 0;

        for (int32_t d = last - 1; d >= 0; d--) {
            from += impl->from[d][rest % impl->dim[d]];
            rest /= impl->dim[d];
        }
        impl->run(impl->from[last], impl->dim[last], impl->low, impl->high, in + from * (int64_t)impl->item_bytes,
                  out + line * impl->dim[last] * (int64_t)impl->item_bytes);
    }
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const pad_impl *impl = step->impl;
    int64_t         elems = impl->lines * (impl->rank ? impl->dim[impl->rank - 1] : 1);
    int32_t         threads = elems * (int64_t)impl->item_bytes < SERIAL_BYTES ? 1 : pf_stream_cpu_threads(stream);

    (void)err;
    pf_stream_cpu_enter(stream);
    if (elems == 0)
        return PF_OK;
    if (impl->empty || impl->rank == 0) {
        pf_copy_fill(b->out[0], impl->empty ? impl->value : b->in[0], impl->item_bytes, elems, threads);
        return PF_OK;
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        int64_t me = omp_get_thread_num(), all = omp_get_num_threads();

        run_lines(impl, b->in[0], b->out[0], impl->lines * me / all, impl->lines * (me + 1) / all);
    }
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_pad = {
    .name = "cpu_pad", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
    .release = release,
};
