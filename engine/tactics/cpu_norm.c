/* Layer, RMS, group and instance normalization: each row, or each group of channels, by one thread. */
#include <string.h>

#include "base/alloc.h"
#include "engine/device_cpu.h"
#include "engine/epilogue.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"
#include "kernels/cpu_norm.h"

enum { SERIAL_ELEMS = 1 << 13 };

typedef struct norm_impl {
    pf_isa   isa;
    uint32_t x, scale, bias;                    /* inputs; bias UINT32_MAX: none */
    bool     groups;
    pf_norm_rows  rows;                         /* pointers are filled by each run */
    pf_norm_group group;
    int64_t  images, groups_per_image, image_step, group_step;
} norm_impl;

static bool is_rows(pf_op_kind op) { return op == PF_OP_LAYER_NORM || op == PF_OP_RMS_NORM; }

static bool is_groups(pf_op_kind op) { return op == PF_OP_GROUP_NORM || op == PF_OP_INSTANCE_NORM; }

/* scale and bias have the shape of a row: no broadcasting within it. */
static bool is_row_shape(const pf_shape *row, const pf_shape *x, int64_t axis)
{
    if (row->rank != x->rank - axis)
        return false;
    for (int32_t d = 0; d < row->rank; d++)
        if (row->dim[d] != x->dim[axis + d])
            return false;
    return true;
}

static int64_t axis_of(const pf_node *node)
{
    return node->op == PF_OP_LAYER_NORM ? ((const pf_layer_norm_attrs *)node->attrs)->axis
                                        : ((const pf_rms_norm_attrs *)node->attrs)->axis;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node  *node = pf_problem_anchor(p);
    const pf_value *x = NULL;

    (void)device;
    if (p->graph->node_count != 1 || (!is_rows(node->op) && !is_groups(node->op)))
        return "not a normalization alone";
    if (p->graph->output_count != 1 || p->graph->outputs[0] != node->out[0])
        return "statistics are outputs";
    x = pf_graph_value(p->graph, node->in[0]);
    for (uint32_t i = 0; i < node->in_count; i++) {
        uint32_t input = node->in[i] == PF_NONE ? UINT32_MAX : pf_problem_input_index(p, node->in[i]);

        if (node->in[i] != PF_NONE && (input == UINT32_MAX || pf_graph_value(p->graph, node->in[i])->dtype != PF_F32))
            return "not f32";
        if (i > 0 && node->in[i] != PF_NONE && is_rows(node->op) &&
            !is_row_shape(pf_problem_shape(p, node->in[i]), &x->shape, axis_of(node)))
            return "scale or bias is broadcast";
        if (i > 0 && input != UINT32_MAX && p->in_layout[input] != PF_LAYOUT_LINEAR)
            return "scale or bias is not linear";
    }
    if (p->in_layout[pf_problem_input_index(p, node->in[0])] != p->out_layout[0])
        return "source and result have different layouts";
    if (p->out_layout[0] != PF_LAYOUT_LINEAR && (is_rows(node->op) || p->out_layout[0] != PF_LAYOUT_CHANNELS_LAST))
        return "not linear";
    return NULL;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    const pf_node *node = pf_problem_anchor(p);
    bool           last = index == 1;

    (void)device;
    if ((!is_rows(node->op) && !is_groups(node->op)) || index > (is_groups(node->op) ? 1 : 0) ||
        p->graph->output_count != 1)
        return false;
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        in[i] = last && p->graph->inputs[i] == node->in[0] ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;
    out[0] = last ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "rows");
}

static int64_t product(const pf_shape *shape, int64_t from)
{
    int64_t out = 1;

    for (int64_t d = from; d < shape->rank; d++)
        out *= shape->dim[d];
    return out;
}

static void plan_rows(norm_impl *impl, const pf_node *node, const pf_shape *x)
{
    impl->rows.n = product(x, axis_of(node));
    impl->rows.rows = impl->rows.n ? product(x, 0) / impl->rows.n : 0;
    impl->rows.root = node->op == PF_OP_RMS_NORM;
    impl->rows.epsilon = (float)(impl->rows.root ? ((const pf_rms_norm_attrs *)node->attrs)->epsilon
                                                 : ((const pf_layer_norm_attrs *)node->attrs)->epsilon);
}

static void plan_groups(norm_impl *impl, const pf_node *node, const pf_shape *x, bool last)
{
    bool    instance = node->op == PF_OP_INSTANCE_NORM;
    int64_t groups = instance ? x->dim[1] : ((const pf_group_norm_attrs *)node->attrs)->groups, places = product(x, 2);

    impl->groups = true;
    impl->images = x->dim[0];
    impl->groups_per_image = groups;
    impl->image_step = x->dim[1] * places;
    impl->group = (pf_norm_group){ .channels = x->dim[1] / groups, .n = places, .channel_step = last ? 1 : places,
                                   .step = last ? x->dim[1] : 1 };
    impl->group_step = impl->group.channels * impl->group.channel_step;
    impl->group.epsilon = (float)(instance ? ((const pf_instance_norm_attrs *)node->attrs)->epsilon
                                           : ((const pf_group_norm_attrs *)node->attrs)->epsilon);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    const pf_node *node = pf_problem_anchor(p);
    pf_step       *step = NULL;
    norm_impl     *impl = NULL;

    (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_norm, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    impl->isa = pf_device_cpu_isa(device);
    impl->x = pf_problem_input_index(p, node->in[0]);
    impl->scale = pf_problem_input_index(p, node->in[1]);
    impl->bias = node->in_count > 2 && node->in[2] != PF_NONE ? pf_problem_input_index(p, node->in[2]) : UINT32_MAX;
    if (is_rows(node->op))
        plan_rows(impl, node, pf_problem_shape(p, node->in[0]));
    else
        plan_groups(impl, node, pf_problem_shape(p, node->in[0]), p->out_layout[0] == PF_LAYOUT_CHANNELS_LAST);
    step->in_place = (int32_t)impl->x;
    *out = step;
    return PF_OK;
}

static void run_rows(const norm_impl *impl, const pf_bindings *b, int32_t threads)
{
    int64_t parts = impl->rows.rows * impl->rows.n < SERIAL_ELEMS ? 1 : threads;

#pragma omp parallel for num_threads(threads) if (parts > 1) schedule(static)
    for (int64_t part = 0; part < parts; part++) {
        pf_norm_rows run = impl->rows;
        int64_t      from = impl->rows.rows * part / parts;

        run.rows = impl->rows.rows * (part + 1) / parts - from;
        run.x = (const float *)b->in[impl->x] + from * run.n;
        run.y = (float *)b->out[0] + from * run.n;
        run.scale = b->in[impl->scale];
        run.bias = impl->bias == UINT32_MAX ? NULL : b->in[impl->bias];
        pf_norm_rows_run(impl->isa, &run);
    }
}

static void run_groups(const norm_impl *impl, const pf_bindings *b, int32_t threads)
{
    int64_t count = impl->images * impl->groups_per_image, elems = count * impl->group.channels * impl->group.n;

#pragma omp parallel for num_threads(threads) if (elems >= SERIAL_ELEMS) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        pf_norm_group run = impl->group;
        int64_t       group = i % impl->groups_per_image,
                      at = i / impl->groups_per_image * impl->image_step + group * impl->group_step;

        run.x = (const float *)b->in[impl->x] + at;
        run.y = (float *)b->out[0] + at;
        run.scale = (const float *)b->in[impl->scale] + group * run.channels;
        run.bias = (const float *)b->in[impl->bias] + group * run.channels;
        pf_norm_group_run(impl->isa, &run);
    }
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const norm_impl *impl = step->impl;

    (void)err;
    pf_stream_cpu_enter(stream);
    (impl->groups ? run_groups : run_rows)(impl, b, pf_stream_cpu_threads(stream));
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_norm = {
    .name = "cpu_norm", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
};
