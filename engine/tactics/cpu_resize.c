/* Resize of the last two dims (linear) or of the two spatial ones (channels last), in every mode, by tables of taps. */
#include <omp.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/device_cpu.h"
#include "engine/op.h"
#include "engine/ops/resize_weights.h"
#include "engine/tactic.h"
#include "kernels/cpu_resize.h"

enum { SERIAL_ELEMS = 1 << 13 };

typedef struct resize_impl {
    pf_isa         isa;
    int64_t        planes, inner;
    pf_resize_taps rows, columns;       /* tables are owned */
} resize_impl;

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node         *node = pf_problem_anchor(p);
    const pf_resize_attrs *attrs = node->attrs;
    const pf_shape        *x = NULL, *y = NULL;
    int32_t                first = 0;

    (void)device;
    if (p->graph->node_count != 1 || node->op != PF_OP_RESIZE)
        return "not a resize alone";
    x = pf_problem_shape(p, node->in[0]);
    y = pf_problem_shape(p, node->out[0]);
    if (pf_graph_value(p->graph, node->in[0])->dtype != PF_F32)
        return "not f32";
    if (attrs->coordinates == PF_RESIZE_TF_CROP_AND_RESIZE || attrs->keep_aspect != PF_ASPECT_STRETCH)
        return "crops, or keeps the aspect ratio";
    if (p->in_layout[0] != p->out_layout[0] || pf_layout_block(p->in_layout[0]) > 1)
        return "neither linear nor channels last";
    if (x->rank > 4 && p->in_layout[0] != PF_LAYOUT_LINEAR)
        return "more than 2 spatial dims";
    first = p->in_layout[0] == PF_LAYOUT_LINEAR ? x->rank - 2 : 2;
    for (int32_t d = 0; d < first; d++)
        if (x->dim[d] != y->dim[d] || (attrs->scales.count && attrs->scales.at[d] != 1))
            return "another dim than the last two is resized";
    return NULL;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    (void)device;
    if (pf_problem_anchor(p)->op != PF_OP_RESIZE || index > 1 ||
        (index == 0 && pf_problem_shape(p, p->graph->inputs[0])->rank < 3))
        return false;
    in[0] = out[0] = index == 0 ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "rows");
}

static void taps_clear(pf_resize_taps *taps)
{
    pf_free((void *)(uintptr_t)taps->first);
    pf_free((void *)(uintptr_t)taps->at);
    pf_free((void *)(uintptr_t)taps->weight);
}

static void release(pf_step *step)
{
    resize_impl *impl = step->impl;

    taps_clear(&impl->rows);
    taps_clear(&impl->columns);
    pf_free(impl);
}

/* Weights of zero are left out. */
static pf_status taps_from(const pf_resize_weights *w, pf_resize_taps *taps, pf_err *err)
{
    size_t   most = (size_t)(w->to * w->taps) + 1;
    int32_t *first = pf_alloc(((size_t)w->to + 1) * sizeof *first), *at = pf_alloc(most * sizeof *at), count = 0;
    float   *weight = pf_alloc(most * sizeof *weight);

    taps->first = first, taps->at = at, taps->weight = weight;
    if (!first || !at || !weight)
        return PF_FAIL_MEMORY(err, most * sizeof *weight);
    for (int64_t i = 0; i < w->to; i++) {
        first[i] = count;
        for (int64_t k = 0; k < w->taps; k++)
            if (w->weight[i * w->taps + k] != 0) {
                at[count] = (int32_t)w->at[i * w->taps + k];
                weight[count++] = (float)w->weight[i * w->taps + k];
            }
    }
    first[w->to] = count;
    return PF_OK;
}

/* dim < 0: there is none, so one place that stays. */
static pf_status make_taps(const pf_problem *p, int32_t dim, pf_resize_taps *taps, pf_err *err)
{
    const pf_node         *node = pf_problem_anchor(p);
    const pf_resize_attrs *attrs = node->attrs;
    pf_resize_attrs        plain = { .mode = PF_RESIZE_NEAREST, .coordinates = PF_RESIZE_ASYMMETRIC };
    pf_resize_axis         axis = { .from = 1, .to = 1, .scale = 1 };
    pf_resize_weights      weights = { 0 };
    pf_status              st = PF_OK;

    if (dim >= 0) {
        axis.from = pf_problem_shape(p, node->in[0])->dim[dim];
        axis.to = pf_problem_shape(p, node->out[0])->dim[dim];
        axis.scale = attrs->scales.count ? attrs->scales.at[dim] : axis.from ? (double)axis.to / (double)axis.from : 1;
    }
    if (axis.from > INT32_MAX / 64 || axis.to > INT32_MAX / 64)
        return PF_FAIL(err, PF_UNSUPPORTED, "a dim of %lld is too long to be resized", (long long)axis.from);
    if (axis.from != axis.to || axis.scale != 1)
        plain = *attrs;
    taps->from = axis.from;
    taps->to = axis.to;
    st = pf_resize_weights_init(&weights, &plain, &axis, err);
    if (!st)
        st = taps_from(&weights, taps, err);
    pf_resize_weights_clear(&weights);
    return st;
}

static pf_status fill(const pf_problem *p, resize_impl *impl, pf_err *err)
{
    const pf_shape *x = pf_problem_shape(p, pf_problem_anchor(p)->in[0]);
    bool            last = p->in_layout[0] == PF_LAYOUT_CHANNELS_LAST;
    int32_t         rows = x->rank - 2, columns = x->rank - 1;
    pf_status       st = PF_OK;

    if (last && x->rank == 3)
        rows = -1;
    impl->inner = last ? x->dim[1] : 1;
    impl->planes = 1;
    for (int32_t d = 0; d < x->rank; d++)
        if (d != rows && d != columns && !(last && d == 1))
            impl->planes *= x->dim[d];
    st = make_taps(p, rows, &impl->rows, err);
    return st ? st : make_taps(p, columns, &impl->columns, err);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step     *step = NULL;
    resize_impl *impl = NULL;
    pf_status    st = PF_OK;

    (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_resize, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    impl->isa = pf_device_cpu_isa(device);
    st = fill(p, impl, err);
    if (st) {
        pf_step_free(step);
        return st;
    }
    step->workspace_bytes = (size_t)(impl->columns.from * impl->inner) * sizeof(float) * (size_t)device->threads;
    *out = step;
    return PF_OK;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const resize_impl *impl = step->impl;
    int32_t            threads = pf_stream_cpu_threads(stream);
    int64_t            in_plane = impl->rows.from * impl->columns.from * impl->inner,
                       out_row = impl->columns.to * impl->inner;
    int64_t            rows = impl->planes * impl->rows.to;

    (void)err;
    pf_stream_cpu_enter(stream);
#pragma omp parallel for num_threads(threads) if (rows * out_row >= SERIAL_ELEMS) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        const float *x = (const float *)b->in[0] + i / impl->rows.to * in_plane;
        float       *scratch = (float *)b->workspace + omp_get_thread_num() * impl->columns.from * impl->inner;

        pf_resize_row(impl->isa, x, (float *)b->out[0] + i * out_row, i % impl->rows.to, &impl->rows, &impl->columns,
                      impl->inner, scratch);
    }
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_resize = {
    .name = "cpu_resize", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
    .release = release,
};
