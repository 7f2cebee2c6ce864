#include "engine/onednn_single.h"

#include "base/alloc.h"

typedef struct single_impl { pf_onednn_op *op; } single_impl;

pf_status pf_onednn_single_new(const pf_tactic *tactic, const pf_device *device, dnnl_primitive_desc_t desc,
                               pf_onednn_args *args, pf_step **out, pf_err *err)
{
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    pf_step                  *step = pf_step_new(tactic, sizeof(single_impl));
    pf_status                 st = step ? PF_OK : PF_FAIL_MEMORY(err, sizeof(single_impl));

    *out = NULL;
    if (scratch && dnnl_memory_desc_get_size(scratch))
        pf_onednn_args_add(args, DNNL_ARG_SCRATCHPAD, PF_ONEDNN_WORKSPACE, 0, 0, scratch);
    if (!st) {
        step->workspace_bytes = pf_onednn_scratch_bytes(desc);
        st = pf_onednn_op_new(device, desc, args, PF_ONEDNN_AT_ONCE, &((single_impl *)step->impl)->op, err);
    }
    dnnl_primitive_desc_destroy(desc);
    if (st)
        pf_step_free(step);
    else
        *out = step;
    return st;
}

pf_status pf_onednn_single_prepare(const pf_tactic *tactic, const pf_device *device, const_dnnl_op_desc_t desc,
                                   const char *tuning, pf_onednn_args *args, pf_step **out, pf_err *err)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t chosen = NULL;
    pf_onednn_tuning      choice;
    pf_status             st = pf_onednn_tuning_read(tuning, &choice, err);

    *out = NULL;
    if (!st)
        st = pf_onednn_attr(&attr, err);
    if (!st)
        /* nothing is packed: at other sizes another may do */
        st = pf_onednn_choose(device, desc, attr, choice.impl, true, &chosen, err);
    if (!st)
        st = pf_onednn_single_new(tactic, device, chosen, args, out, err);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

pf_status pf_onednn_single_tunings(const pf_device *device, const_dnnl_op_desc_t desc, int effort, pf_tuning_list *out,
                                   pf_err *err)
{
    dnnl_primitive_attr_t attr = NULL;
    pf_status             st = pf_onednn_attr(&attr, err);

    if (!st)
        st = pf_onednn_list(device, desc, attr, "", "", NULL, effort, out, err);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st ? st : pf_onednn_check_listed(out, "operation", err);
}

pf_status pf_onednn_single_enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err)
{
    pf_stream_cpu_enter(stream);
    return pf_onednn_op_run(((const single_impl *)step->impl)->op, bindings, stream, err);
}

void pf_onednn_single_release(pf_step *step)
{
    pf_onednn_op_free(((single_impl *)step->impl)->op);
    pf_free(step->impl);
}
