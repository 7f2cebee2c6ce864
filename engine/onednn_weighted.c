#include "engine/onednn_weighted.h"

#include <string.h>

#include "base/alloc.h"

enum { PACK_ALIGNMENT = 64 };

/* What a plan saved: how the weights are packed. */
static pf_status read_packing(const void *saved, size_t saved_bytes, dnnl_memory_desc_t *weights_to, pf_err *err)
{
    pf_reader reader;
    pf_status st = PF_OK;

    pf_reader_init(&reader, saved, saved_bytes);
    st = pf_onednn_desc_read(&reader, weights_to, err);
    if (!st && !pf_reader_done(&reader))
        st = PF_FAIL(err, PF_CORRUPT, "what a plan saved of a oneDNN step has %zu bytes too many",
                     reader.size - reader.at);
    return st;
}

static size_t place(pf_onednn_weighted *w, const dnnl_memory_desc_t *desc)
{
    size_t at = (w->packed_bytes + PACK_ALIGNMENT - 1) / PACK_ALIGNMENT * PACK_ALIGNMENT;

    w->packed_bytes = at + dnnl_memory_desc_get_size(desc);
    return at;
}

static void add_activation(pf_onednn_args *args, int name, pf_onednn_place at, uint32_t slot, size_t offset,
                           const dnnl_memory_desc_t *desc, size_t image_bytes)
{
    pf_onednn_args_add(args, name, at, slot, offset, desc);
    if (args->count <= PF_ONEDNN_ARGS)
        args->at[args->count - 1].image_bytes = image_bytes;
}

static void add_args(pf_onednn_weighted *w, const_dnnl_primitive_desc_t desc, pf_onednn_args *args)
{
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);

    *args = w->epilogue.args;
    args->images = w->images;
    add_activation(args, DNNL_ARG_SRC, PF_ONEDNN_IN, w->source_slot, w->source_at, &w->source_desc,
                   w->source_image_bytes);
    add_activation(args, DNNL_ARG_DST, PF_ONEDNN_OUT, 0, 0, &w->result_desc, w->result_image_bytes);
    if (w->weights != PF_NONE) {
        w->weights_at = place(w, &w->weights_to);
        pf_onednn_args_add(args, DNNL_ARG_WEIGHTS, PF_ONEDNN_PACKED, w->weights, w->weights_at, &w->weights_to);
    } else {
        pf_onednn_args_add(args, DNNL_ARG_WEIGHTS, PF_ONEDNN_IN, w->weights_slot, w->weights_in_at, &w->weights_from);
    }
    if (w->bias != PF_NONE) {
        w->bias_at = place(w, &w->bias_desc);
        pf_onednn_args_add(args, DNNL_ARG_BIAS, PF_ONEDNN_PACKED, w->bias, w->bias_at, &w->bias_desc);
    }
    if (scratch && dnnl_memory_desc_get_size(scratch))
        pf_onednn_args_add(args, DNNL_ARG_SCRATCHPAD, PF_ONEDNN_WORKSPACE, 0, 0, scratch);
}

/* An input that is summed and read as something else besides must not be overwritten. */
static bool reads_twice(const pf_onednn_args *args, int32_t input)
{
    for (uint32_t i = 0; i < args->count; i++)
        if (args->at[i].place == PF_ONEDNN_IN && (int32_t)args->at[i].slot == input)
            return true;
    return false;
}

static pf_status finish(pf_onednn_weighted *w, const_dnnl_primitive_desc_t desc, pf_step *step, pf_err *err)
{
    const dnnl_memory_desc_t *weights = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    pf_onednn_args            args = { .count = 0 };

    if (weights)
        w->weights_to = *weights;
    add_args(w, desc, &args);
    step->workspace_bytes = pf_onednn_scratch_bytes(desc);
    step->packed_bytes = w->packed_bytes;
    step->in_place = reads_twice(&args, w->epilogue.sum_input) ? -1 : w->epilogue.sum_input;
    return pf_onednn_op_new(w->device, desc, &args, PF_ONEDNN_AT_ONCE, &w->op, err);
}

/* Both the operation and the primitive description chosen for it are taken, on failure too. */
static pf_status make_step(const pf_tactic *tactic, const pf_onednn_weighted *w, dnnl_primitive_desc_t desc,
                           pf_step **out, pf_err *err)
{
    pf_step           *step = pf_step_new(tactic, sizeof *w);
    pf_onednn_epilogue own = w->epilogue;
    pf_status          st = PF_OK;

    *out = NULL;
    if (!step) {
        pf_onednn_epilogue_clear(&own);
        dnnl_primitive_desc_destroy(desc);
        return PF_FAIL_MEMORY(err, sizeof *w);
    }
    memcpy(step->impl, w, sizeof *w);
    st = finish(step->impl, desc, step, err);
    dnnl_primitive_desc_destroy(desc);
    if (st)
        pf_step_free(step);
    else
        *out = step;
    return st;
}

/* Where nothing is packed, another implementation may step in at sizes for which the named one is not offered (a dim of
   1). */
pf_status pf_onednn_weighted_prepare(const pf_tactic *tactic, pf_onednn_describe *describe, pf_device *device,
                                     const pf_problem *p, const char *tuning, const void *saved, size_t saved_bytes,
                                     pf_step **out, pf_err *err)
{
    pf_onednn_described   op = { .w = { .epilogue = { .sum_input = -1 } } };
    pf_onednn_tuning      choice;
    dnnl_memory_desc_t    packed;
    dnnl_primitive_desc_t desc = NULL;
    pf_status             st = pf_onednn_tuning_read(tuning, &choice, err);

    *out = NULL;
    if (!st && saved_bytes)
        st = read_packing(saved, saved_bytes, &packed, err);
    if (!st)
        st = describe(device, p, saved_bytes ? &packed : NULL, &choice, &op, err);
    if (!st)
        st = pf_onednn_choose(device, &op.desc, op.w.epilogue.attr, choice.impl,
                              saved_bytes > 0 || op.w.weights == PF_NONE, &desc, err);
    if (!st)
        return make_step(tactic, &op.w, desc, out, err);
    pf_onednn_epilogue_clear(&op.w.epilogue);
    return st;
}

pf_status pf_onednn_weighted_pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed,
                                  pf_err *err)
{
    const pf_onednn_weighted *w = step->impl;

    pf_onednn_epilogue_pack(p, &w->epilogue.args, constants, packed);
    if (w->bias != PF_NONE)
        memcpy((char *)packed + w->bias_at, pf_onednn_constant(p, constants, w->bias),
               dnnl_memory_desc_get_size(&w->bias_desc));
    if (w->weights == PF_NONE)
        return PF_OK;
    return pf_onednn_reorder(w->device, &w->weights_from, pf_onednn_constant(p, constants, w->weights), &w->weights_to,
                             (char *)packed + w->weights_at, err);
}

pf_status pf_onednn_weighted_enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err)
{
    const pf_onednn_weighted *w = step->impl;

    pf_stream_cpu_enter(stream);
    if (w->epilogue.sum_input >= 0)
        pf_onednn_prefill(stream, bindings->in[w->epilogue.sum_input], bindings->out[0],
                          dnnl_memory_desc_get_size(&w->result_desc));
    return pf_onednn_op_run(w->op, bindings, stream, err);
}

pf_status pf_onednn_weighted_save(const pf_step *step, pf_buf *out, pf_err *err)
{
    const pf_onednn_weighted *w = step->impl;

    if (w->weights == PF_NONE)
        return PF_OK;
    pf_onednn_desc_write(&w->weights_to, out);
    return out->failed ? PF_FAIL(err, PF_NO_SPACE, "what a oneDNN step saves does not fit") : PF_OK;
}

void pf_onednn_weighted_release(pf_step *step)
{
    pf_onednn_weighted *w = step->impl;

    pf_onednn_op_free(w->op);
    pf_onednn_epilogue_clear(&w->epilogue);
    pf_free(w);
}
