/* A change of layout by oneDNN: one identity whose input and output lie differently. */
#include <string.h>

#include "engine/onednn_single.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_graph  *graph = p->graph;
    dnnl_data_type_t type = dnnl_data_type_undef;

    (void)device;
    if (graph->node_count != 1 || graph->input_count != 1 || graph->nodes[0].op != PF_OP_IDENTITY)
        return "not a change of layout";
    if (!pf_onednn_dtype(graph->values[graph->inputs[0]].dtype, &type))
        return "oneDNN has no such type";
    if (p->in_layout[0] == p->out_layout[0])
        return "the layouts are equal";
    if (graph->values[graph->inputs[0]].shape.rank > 5)
        return "more than 3 spatial dims";
    return NULL;
}

/* Every pair of layouts. */
static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    const uint32_t from = index / PF_LAYOUT_COUNT, to = index % PF_LAYOUT_COUNT;

    (void)device;
    if (from >= PF_LAYOUT_COUNT || p->graph->input_count != 1 || p->graph->output_count != 1
        || pf_problem_shape(p, p->graph->inputs[0])->rank < 3)
        return false;
    in[0] = (pf_layout)from;
    out[0] = (pf_layout)to;
    return true;
}

static pf_status describe(const pf_problem *p, dnnl_memory_desc_t *from, dnnl_memory_desc_t *to, pf_err *err)
{
    pf_status st = pf_onednn_desc_value(p, p->graph->inputs[0], p->in_layout[0], from, err);

    return st ? st : pf_onednn_desc_value(p, p->graph->outputs[0], p->out_layout[0], to, err);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "first");        /* oneDNN lists no others for reorders */
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    dnnl_engine_t         engine = pf_device_cpu_dnnl(device);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_memory_desc_t    from, to;
    pf_onednn_args        args = { .count = 0 };
    dnnl_status_t         status = dnnl_success;
    pf_status             st = describe(p, &from, &to, err);

    (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    pf_device_cpu_enter(device);
    if (!st)
        st = pf_onednn_attr(&attr, err);
    if (!st) {
        status = dnnl_reorder_primitive_desc_create(&desc, &from, engine, &to, engine, attr);
        st = status ? pf_onednn_fail(status, "change this layout", err) : PF_OK;
    }
    if (!st) {
        pf_onednn_args_add(&args, DNNL_ARG_FROM, PF_ONEDNN_IN, 0, 0, &from);
        pf_onednn_args_add(&args, DNNL_ARG_TO, PF_ONEDNN_OUT, 0, 0, &to);
        st = pf_onednn_single_new(&pf_tactic_onednn_reorder, device, desc, &args, out, err);
    }
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

const pf_tactic pf_tactic_onednn_reorder = {
    .name = "onednn_reorder", .rev = 1, .flags = PF_TACTIC_PITCHED, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare,
    .enqueue = pf_onednn_single_enqueue, .release = pf_onednn_single_release,
};
