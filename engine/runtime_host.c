/* Runs with tensors of the host, or with generated ones: for tools and for the builder's own check. */
#include <string.h>

#include "base/alloc.h"
#include "engine/runtime.h"

/* ---- Host tensors */

static bool direct(const pf_context *c, const void *pointer)
{
    return c->device->host_is_device && (uintptr_t)pointer % PF_IO_ALIGNMENT == 0;
}

/* Binds memory of at least bytes that the context owns. */
static pf_status bind_staging(pf_context *c, uint32_t io, size_t bytes, pf_err *err)
{
    pf_status st = PF_OK;

    if (bytes > c->staging_bytes[io]) {
        pf_resident_free(c->resident, c->staging[io]);
        c->staging_bytes[io] = 0;
        st = pf_resident_alloc(c->resident, bytes, &c->staging[io], err);
        if (!st)
            c->staging_bytes[io] = bytes;
    }
    return st ? st : pf_context_bind(c, io, c->staging[io], err);
}

static pf_status check_host_input(const pf_io *io, const pf_tensor *tensor, pf_err *err)
{
    pf_tensor measured = *tensor;

    if (tensor->dtype != io->dtype)
        return PF_FAIL(err, PF_INVALID, "input \"%s\" is %s, not %s", io->name, pf_dtype_name(io->dtype),
                       pf_dtype_name(tensor->dtype));
    if (tensor->rank < 0 || tensor->rank > PF_MAX_RANK || pf_tensor_measure(&measured, NULL) ||
        measured.bytes > tensor->bytes)
        return PF_FAIL(err, PF_INVALID, "the tensor for input \"%s\" holds fewer bytes than its dims say", io->name);
    return PF_OK;
}

static bool in_tail(const pf_context *c, uint32_t io)
{
    return c->plan->values[c->plan->io_value[io]].home == PF_HOME_TAIL;
}

static pf_status give_shapes(pf_context *c, const pf_tensor *inputs, pf_err *err)
{
    pf_status st = PF_OK;
    uint32_t  at = 0;

    for (uint32_t i = 0; i < c->plan->io_count && !st; i++) {
        if (!c->plan->io[i].is_input)
            continue;
        c->host_inputs[i] = &inputs[at];
        if (in_tail(c, i)) {            /* the tail checks what it gets */
            at++;
            continue;
        }
        st = check_host_input(&c->plan->io[i], &inputs[at], err);
        if (!st)
            st = pf_context_set_shape(c, i, inputs[at].dim, inputs[at].rank, err);
        at++;
    }
    return st;
}

static pf_status give_inputs(pf_context *c, const pf_tensor *inputs, pf_err *err)
{
    pf_status st = PF_OK;
    uint32_t  at = 0;

    for (uint32_t i = 0; i < c->plan->io_count && !st; i++) {
        size_t bytes = 0;

        if (!c->plan->io[i].is_input)
            continue;
        bytes = c->instance->value_bytes[c->plan->io_value[i]];
        if (in_tail(c, i)) {
            at++;
            continue;
        }
        if (direct(c, inputs[at].data)) {
            st = pf_context_bind(c, i, inputs[at].data, err);
        } else {
            st = bind_staging(c, i, bytes, err);
            if (!st)
                st = c->device->ops->upload(c->device, c->stream, c->staging[i], inputs[at].data, bytes, err);
        }
        at++;
    }
    return st;
}

static pf_status make_outputs(pf_context *c, pf_tensor *outputs, pf_err *err)
{
    pf_status st = PF_OK;
    uint32_t  at = 0;

    for (uint32_t i = 0; i < c->plan->io_count && !st; i++) {
        pf_tensor *tensor = &outputs[at];

        if (c->plan->io[i].is_input)
            continue;
        at++;
        if (in_tail(c, i))
            continue;
        *tensor = (pf_tensor){ .dtype = c->plan->io[i].dtype };
        st = pf_context_shape(c, i, tensor->dim, &tensor->rank, err);
        if (!st)
            st = pf_tensor_alloc(tensor, err);
        if (!st)
            st = direct(c, tensor->data) ? pf_context_bind(c, i, tensor->data, err)
                                         : bind_staging(c, i, tensor->bytes, err);
    }
    return st;
}

/* What the tail computed is handed over. */
static void take_tail_output(pf_context *c, uint32_t io, pf_tensor *out)
{
    for (uint32_t i = 0; i < c->plan->tail.out_count; i++)
        if (c->plan->tail.out[i] == io) {
            *out = c->tail_outputs[i];
            c->tail_outputs[i] = (pf_tensor){ 0 };
        }
}

static pf_status take_outputs(pf_context *c, pf_tensor *outputs, pf_err *err)
{
    pf_status st = PF_OK;
    uint32_t  at = 0;

    for (uint32_t i = 0; i < c->plan->io_count && !st; i++) {
        if (c->plan->io[i].is_input)
            continue;
        if (in_tail(c, i))
            take_tail_output(c, i, &outputs[at]);
        else if (c->bound[i] != outputs[at].data)
            st = c->device->ops->download(c->device, c->stream, outputs[at].data, c->bound[i], outputs[at].bytes, err);
        at++;
    }
    return st ? st : c->device->ops->stream_sync(c->device, c->stream, err);
}

static uint32_t output_count(const pf_context *c)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->plan->io_count; i++)
        count += !c->plan->io[i].is_input;
    return count;
}

/* The caller's memory must not stay bound: it is gone when the caller frees it. */
static void unbind(pf_context *c)
{
    for (uint32_t i = 0; i < c->plan->io_count; i++) {
        c->host_inputs[i] = NULL;
        if (c->bound[i] != c->staging[i])
            pf_context_bind(c, i, NULL, NULL);
    }
}

pf_status pf_context_run_host(pf_context *c, const pf_tensor *inputs, pf_tensor *outputs, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < output_count(c); i++)
        outputs[i] = (pf_tensor){ 0 };
    st = give_shapes(c, inputs, err);
    if (!st)
        st = pf_context_prepare(c, err);
    if (!st)
        st = give_inputs(c, inputs, err);
    if (!st)
        st = make_outputs(c, outputs, err);
    if (!st)
        st = pf_context_run(c, err);
    if (!st)
        st = take_outputs(c, outputs, err);
    unbind(c);
    for (uint32_t i = 0; st && i < output_count(c); i++)
        pf_tensor_clear(&outputs[i]);
    return st;
}

/* ---- Layer by layer */

pf_status pf_context_fetch(pf_context *c, uint32_t v, pf_tensor *out, pf_err *err)
{
    const pf_plan_value *value = &c->plan->values[v];
    size_t               bytes = c->instance->value_bytes[v];
    void                *raw = pf_alloc_aligned(PF_PLAN_ALIGNMENT, bytes ? bytes : 1);
    pf_status            st = raw ? PF_OK : PF_FAIL_MEMORY(err, bytes);

    *out = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank };
    if (!st)
        st = pf_context_value_dims(c, v, out->dim, err);
    if (!st)
        st = pf_tensor_alloc(out, err);
    if (!st)
        st = c->device->ops->download(c->device, c->stream, raw, c->value_pointer[v], bytes, err);
    if (!st)
        st = c->device->ops->stream_sync(c->device, c->stream, err);
    if (!st)
        pf_layout_unpack(value->layout, out, raw, out->data);
    pf_free(raw);
    return st;
}

static pf_status show_outputs(pf_context *c, uint32_t s, pf_context_watch *watch, void *user, bool *go_on, pf_err *err)
{
    const pf_plan_step *step = &c->plan->steps[s];
    pf_status           st = PF_OK;

    for (uint32_t i = 0; i < step->problem->graph->output_count && *go_on && !st; i++) {
        pf_tensor tensor = { 0 };

        st = pf_context_fetch(c, step->out[i], &tensor, err);
        if (!st)
            *go_on = watch(user, s, step->out[i], &tensor);
        pf_tensor_clear(&tensor);
    }
    return st;
}

pf_status pf_context_run_watched(pf_context *c, pf_context_watch *watch, void *user, pf_err *err)
{
    pf_status st = pf_context_prepare(c, err);
    bool      go_on = true;

    for (uint32_t s = 0; s < c->plan->step_count && go_on && !st; s++) {
        st = pf_context_enqueue_step(c, s, c->stream, err);
        if (!st)
            st = show_outputs(c, s, watch, user, &go_on, err);
    }
    return st;
}

/* ---- Runs without the caller's tensors */

/* An input that nobody gave: random floats, and integers that are positions in any table. */
static pf_status fill_staging(pf_context *c, uint32_t io, pf_err *err)
{
    pf_tensor tensor = { .dtype = c->plan->io[io].dtype, .rank = c->plan->io[io].rank };
    pf_status st = pf_context_value_dims(c, c->plan->io_value[io], tensor.dim, err);

    if (!st)
        st = pf_tensor_alloc(&tensor, err);
    if (!st && pf_dtype_is_float(tensor.dtype))
        pf_tensor_fill_random(&tensor, io + 1);
    if (!st)
        st = c->device->ops->upload(c->device, c->stream, c->staging[io], tensor.data, tensor.bytes, err);
    if (!st)
        st = c->device->ops->stream_sync(c->device, c->stream, err);
    pf_tensor_clear(&tensor);
    return st;
}

pf_status pf_context_bind_rest(pf_context *c, pf_err *err)
{
    pf_status st = pf_context_prepare(c, err);

    for (uint32_t i = 0; i < c->plan->io_count && !st; i++) {
        if (c->bound[i] || in_tail(c, i))
            continue;
        st = bind_staging(c, i, c->instance->value_bytes[c->plan->io_value[i]], err);
        if (!st && c->plan->io[i].is_input)
            st = fill_staging(c, i, err);
    }
    return st ? st : pf_context_prepare(c, err);
}
