/* The part of a plan that the host runs after the steps, by the references. */
#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/runtime.h"

void pf_context_clear_tail(pf_context *c)
{
    for (uint32_t i = 0; c->tail_outputs && i < c->plan->tail.out_count; i++)
        pf_tensor_clear(&c->tail_outputs[i]);
}

/* An input that only the tail knows: the caller's tensor as it is, whatever it is. */
static pf_status give_host_input(const pf_context *c, const pf_plan_value *value, pf_tensor *out, pf_err *err)
{
    const pf_tensor *given = c->host_inputs[value->index];

    if (!given)
        return PF_FAIL(err, PF_INVALID, "input \"%s\" lives on the host: this plan runs with host tensors alone",
                       value->name);
    *out = *given;
    out->owned = false;
    return PF_OK;
}

static pf_status give_value(pf_context *c, uint32_t v, pf_stream *stream, pf_tensor *out, pf_err *err)
{
    const pf_plan_value *value = &c->plan->values[v];
    pf_status            st = PF_OK;

    *out = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank };
    if (value->home == PF_HOME_TAIL)
        return give_host_input(c, value, out, err);
    st = pf_context_value_dims(c, v, out->dim, err);
    if (!st)
        st = pf_tensor_measure(out, err);
    if (!st && c->device->host_is_device) {
        out->data = c->value_pointer[v];
        return PF_OK;
    }
    if (!st)
        st = pf_tensor_alloc(out, err);
    return st ? st : c->device->ops->download(c->device, stream, out->data, c->value_pointer[v], out->bytes, err);
}

/* Memory bound for an output must hold it exactly: its size was not known when it was bound. */
static pf_status leave_output(pf_context *c, uint32_t output, pf_stream *stream, pf_err *err)
{
    uint32_t         io = c->plan->tail.out[output];
    const pf_tensor *tensor = &c->tail_outputs[output];
    int64_t          dim[PF_MAX_RANK] = { 0 };

    if (io == PF_NONE || !c->bound[io])
        return PF_OK;
    if (tensor->dtype == PF_STRING)
        return PF_FAIL(err, PF_UNSUPPORTED, "output \"%s\" is of strings: take it with host tensors and bind no memory",
                       c->plan->io[io].name);
    if (c->plan->io[io].rank != tensor->rank || pf_context_value_dims(c, c->plan->io_value[io], dim, NULL) ||
        memcmp(dim, tensor->dim, (size_t)tensor->rank * sizeof *dim))
        return PF_FAIL(err, PF_UNSUPPORTED,
                       "the size of output \"%s\" comes out of the run: take it with host tensors, and bind no memory",
                       c->plan->io[io].name);
    return c->device->ops->upload(c->device, stream, c->bound[io], tensor->data, tensor->bytes, err);
}

pf_status pf_context_run_tail(pf_context *c, pf_stream *stream, pf_err *err)
{
    const pf_plan_tail *tail = &c->plan->tail;
    pf_tensor          *inputs = pf_calloc(tail->in_count + 1, sizeof *inputs);
    pf_status           st = inputs ? PF_OK : PF_FAIL_MEMORY(err, tail->in_count * sizeof *inputs);

    pf_context_clear_tail(c);
    for (uint32_t i = 0; i < tail->in_count && !st; i++)
        st = give_value(c, tail->in[i], stream, &inputs[i], err);
    if (!st)
        st = c->device->ops->stream_sync(c->device, stream, err);
    if (!st)
        st = pf_interpret(tail->graph, inputs, c->tail_outputs, NULL, NULL, err);
    for (uint32_t i = 0; i < tail->out_count && !st; i++)
        st = leave_output(c, i, stream, err);
    for (uint32_t i = 0; inputs && i < tail->in_count; i++)
        if (inputs[i].owned)            /* the others are the caller's, with their items */
            pf_tensor_clear(&inputs[i]);
    pf_free(inputs);
    return st ? pf_err_add(err, st, "the part that the host runs") : PF_OK;
}
