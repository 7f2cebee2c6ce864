#include <stddef.h>
#include <string.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"

static const char *const modes[] = { "constant", "reflect", "edge", "wrap", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_pad_attrs, mode, modes), PF_ATTR_FIELD(pf_pad_attrs, pads, DIMS),
    PF_ATTR_FIELD(pf_pad_attrs, value, FLOAT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_pad_attrs *attrs = infer->node->attrs;
    const pf_value     *x = pf_infer_in(infer, 0);
    pf_dims            *dims = infer->graph->dims;
    pf_status           st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);
    pf_shape            out = { 0 };

    if (!st)
        st = pf_infer_count("pads", attrs->pads.count, 2 * x->shape.rank, err);
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 1, err);
    if (st)
        return st;
    out = x->shape;
    for (int32_t d = 0; d < out.rank; d++)
        out.dim[d] = pf_dim_add(dims, out.dim[d], pf_dim_add(dims, attrs->pads.at[d], attrs->pads.at[d + out.rank]));
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

int64_t pf_pad_source(int64_t i, int64_t size, int32_t mode)
{
    int64_t period = 2 * (size - 1);

    if (i >= 0 && i < size)
        return i;
    if (mode == PF_PAD_CONSTANT || size == 0)
        return -1;
    if (mode == PF_PAD_EDGE || size == 1)
        return i < 0 ? 0 : size - 1;
    if (mode == PF_PAD_WRAP)
        return (i % size + size) % size;
    i = (i % period + period) % period;
    return i < size ? i : period - i;
}

typedef struct job { const pf_tensor *x; pf_tensor *y; const pf_pad_attrs *attrs; const void *constant; } job;

/* One element of the result. */
static pf_status element(const job *j, int64_t linear, pf_err *err)
{
    int64_t index[PF_MAX_RANK] = { 0 }, rest = linear, from = 0;

    for (int32_t d = j->y->rank - 1; d >= 0; d--) {
        index[d] = rest % j->y->dim[d];
        rest /= j->y->dim[d];
    }
    for (int32_t d = 0; d < j->y->rank; d++) {
        int64_t i = pf_pad_source(index[d] - j->attrs->pads.at[d], j->x->dim[d], j->attrs->mode);

        if (i < 0)
            return pf_move_run(j->y->dtype, j->y->data, linear, 1, j->constant, 0, 1, 1, err);
        from = from * j->x->dim[d] + i;
    }
    return pf_move_run(j->y->dtype, j->y->data, linear, 1, j->x->data, from, 1, 1, err);
}

static void make_constant(const pf_reference_call *call, job *j, uint64_t *store)
{
    const pf_pad_attrs *attrs = call->attrs;

    j->constant = store;
    if (call->in_count > 1 && call->in[1].data) {
        j->constant = call->in[1].data;
        return;
    }
    if (pf_dtype_is_float(call->in[0].dtype))
        pf_dtype_set(call->in[0].dtype, store, 0, attrs->value);
    else if (call->in[0].dtype == PF_BOOL || pf_dtype_is_integer(call->in[0].dtype))
        pf_dtype_set_i64(call->in[0].dtype, store, 0, (int64_t)attrs->value);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    uint64_t  store[2] = { 0 };
    job       j = { .x = &call->in[0], .y = &call->out[0], .attrs = call->attrs };
    pf_status st = PF_OK;

    make_constant(call, &j, store);
    for (int64_t i = 0, count = pf_tensor_elems(j.y); i < count && !st; i++)
        st = element(&j, i, err);
    return st;
}

const pf_op_def pf_op_pad = {
    .name = "pad", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_pad_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
