/* Triangles of matrices: each line is copied from or up to the diagonal, and zeros elsewhere; element types do not
   matter. */
#include <string.h>

#include "engine/device_cpu.h"
#include "engine/epilogue.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"

enum { SERIAL_BYTES = 64 << 10 };

typedef struct trilu_impl {
    int64_t lines, rows, columns, k;    /* lines: of all matrices; k: the diagonal, kept next to the matrix */
    size_t  item_bytes;
    bool    upper;
} trilu_impl;

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_graph_node(p->graph, 0);
    pf_dtype       dtype = pf_graph_value(p->graph, node->out[0])->dtype;

    (void)device;
    if (p->graph->node_count != 1 || node->op != PF_OP_TRILU)
        return "not a triangle alone";
    if (p->graph->input_count != 1)
        return "a small constant is cut";
    if (pf_dtype_bits(dtype) < 8 || dtype == PF_STRING)
        return "elements of less than a byte, or strings";
    return p->in_layout[0] == PF_LAYOUT_LINEAR && p->out_layout[0] == PF_LAYOUT_LINEAR ? NULL : "not linear";
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    return p->graph->input_count == 1 && pf_tactic_prefers_linear(device, p, index, in, out);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "lines");
}

static int64_t bounded(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    const pf_node        *node = pf_graph_node(p->graph, 0);
    const pf_trilu_attrs *attrs = node->attrs;
    const pf_value       *x = pf_graph_value(p->graph, node->in[0]);
    pf_step              *step = NULL;
    trilu_impl           *impl = NULL;

    (void)device, (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_trilu, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    impl->rows = x->shape.dim[x->shape.rank - 2];
    impl->columns = x->shape.dim[x->shape.rank - 1];
    impl->k = bounded(attrs->k, -impl->rows, impl->columns);
    impl->upper = attrs->upper != 0;
    impl->item_bytes = pf_dtype_bits(x->dtype) / 8;
    impl->lines = 1;
    for (int32_t d = 0; d < x->shape.rank - 1; d++)
        impl->lines *= x->shape.dim[d];
    step->in_place = p->in_constant[0] ? -1 : 0;
    *out = step;
    return PF_OK;
}

static void run_line(const trilu_impl *impl, const char *x, char *y, int64_t line)
{
    int64_t edge = line % impl->rows + impl->k;
    size_t  low = (size_t)(impl->upper ? bounded(edge, 0, impl->columns) : 0) * impl->item_bytes,
            end = (size_t)impl->columns * impl->item_bytes;
    size_t  high = impl->upper ? end : (size_t)bounded(edge + 1, 0, impl->columns) * impl->item_bytes;

    x += (size_t)line * end;
    y += (size_t)line * end;
    memset(y, 0, low);
    if (x != y)
        memcpy(y + low, x + low, high - low);
    memset(y + high, 0, end - high);
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const trilu_impl *impl = step->impl;
    bool              parallel = (size_t)(impl->lines * impl->columns) * impl->item_bytes >= SERIAL_BYTES;

    (void)err;
    pf_stream_cpu_enter(stream);
#pragma omp parallel for num_threads(pf_stream_cpu_threads(stream)) if (parallel) schedule(static)
    for (int64_t line = 0; line < impl->lines; line++)
        run_line(impl, b->in[0], b->out[0], line);
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_trilu = {
    .name = "cpu_trilu", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
};
