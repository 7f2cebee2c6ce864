#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/bodies.h"
#include "engine/ops/stack.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_scan_attrs, body, GRAPH), PF_ATTR_FIELD(pf_scan_attrs, states, INT),
    PF_ATTR_FIELD(pf_scan_attrs, scans, INT),
    PF_ATTR_FIELD(pf_scan_attrs, input_axes, INTS), PF_ATTR_FIELD(pf_scan_attrs, input_directions, INTS),
    PF_ATTR_FIELD(pf_scan_attrs, output_axes, INTS), PF_ATTR_FIELD(pf_scan_attrs, output_directions, INTS), { NULL },
};

static pf_status check_body(const pf_infer *infer, const pf_scan_attrs *a, pf_err *err)
{
    int64_t   in = infer->node->in_count, out = infer->node->out_count;
    pf_status st = PF_OK;

    if (!a->body || a->states < 0 || a->scans < 1 || a->states > in || a->scans > in - a->states ||
        a->body->input_count != in)
        return PF_FAIL(err, PF_INVALID, "the body of the scan does not take what the node has");
    if (a->body->output_count != out || a->states > out)
        return PF_FAIL(err, PF_INVALID, "the body of the scan does not give what the node has");
    st = pf_infer_count("input_axes", a->input_axes.count, (int32_t)a->scans, err);
    if (!st)
        st = pf_infer_count("input_directions", a->input_directions.count, (int32_t)a->scans, err);
    if (!st)
        st = pf_infer_count("output_axes", a->output_axes.count, (int32_t)(out - a->states), err);
    return st ? st : pf_infer_count("output_directions", a->output_directions.count, (int32_t)(out - a->states), err);
}

/* The body sees scanned inputs without their axis, whose size all of them share. */
static pf_status set_slices(pf_infer *infer, const pf_scan_attrs *a, pf_dim *length, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < a->scans && !st; s++) {
        uint32_t        slot = (uint32_t)a->states + s;
        const pf_value *x = pf_infer_in(infer, slot);
        pf_value        slice = { 0 };

        st = pf_infer_rank(infer, slot, 1, PF_MAX_RANK, err);
        if (!st)
            st = pf_infer_axis(a->input_axes.at[s], x->shape.rank, err);
        if (st)
            return st;
        slice.dtype = x->dtype;
        for (int32_t d = 0; d < x->shape.rank; d++)
            if (d != a->input_axes.at[s])
                slice.shape.dim[slice.shape.rank++] = x->shape.dim[d];
        pf_bodies_set(&a->body->values[a->body->inputs[slot]], &slice);
        if (s > 0)
            st = pf_infer_dims_agree(infer, *length, x->shape.dim[a->input_axes.at[s]], "lengths of scanned inputs",
                                     err);
        if (s == 0 || pf_dim_is_symbolic(*length))
            *length = x->shape.dim[a->input_axes.at[s]];
    }
    return st;
}

static pf_status set_scanned(pf_value *out, const pf_value *slice, int64_t axis, pf_dim length, pf_err *err)
{
    pf_bodies_set(out, slice);
    if (slice->shape.rank < 0)
        return PF_OK;
    if (slice->shape.rank == PF_MAX_RANK || axis < 0 || axis > slice->shape.rank)
        return PF_FAIL(err, PF_INVALID, "axis %lld of a result of rank %d", (long long)axis, slice->shape.rank + 1);
    out->shape.rank = slice->shape.rank + 1;
    for (int32_t d = 0; d < out->shape.rank; d++)
        out->shape.dim[d] = d == axis ? length : slice->shape.dim[d < axis ? d : d - 1];
    return PF_OK;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_scan_attrs *a = infer->node->attrs;
    uint32_t             states = (uint32_t)a->states, formal = (uint32_t)(a->states + a->scans);
    pf_status            st = check_body(infer, a, err);
    pf_dim               length = 0;

    if (!st)
        st = set_slices(infer, a, &length, err);
    if (!st)
        st = pf_bodies_set_captures(infer, a->body, formal, formal, infer->node->in_count - formal, err);
    if (!st)
        st = pf_bodies_settle(infer, a->body, 0, 0, 0, states, err);
    for (uint32_t i = 0; i < infer->node->out_count && !st; i++) {
        if (i < states)
            pf_bodies_set(&infer->out[i], &a->body->values[a->body->inputs[i]]);
        else
            st = set_scanned(&infer->out[i], &a->body->values[a->body->outputs[i]], a->output_axes.at[i - states],
                             length, err);
    }
    return st;
}

typedef struct job {
    pf_reference_call   *call;
    const pf_scan_attrs *a;
    uint32_t             states, scans, results;
    int64_t              length;
    bool                 made;                  /* the states in `in` come from a round and are owned */
    pf_tensor           *in, *out, *slices;     /* of the body; slices: results lists of length.  Owned */
} job;

static pf_status run_round(job *j, int64_t round, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < j->scans && !st; s++) {
        int64_t at = j->a->input_directions.at[s] ? j->length - 1 - round : round;

        st = pf_stack_take(&j->call->in[j->states + s], j->a->input_axes.at[s], at, &j->in[j->states + s], err);
    }
    if (!st)
        st = pf_interpret_body(j->a->body, j->in, j->out, j->call->bindings, err);
    for (uint32_t s = 0; s < j->scans; s++)
        pf_tensor_clear(&j->in[j->states + s]);
    for (uint32_t i = 0; i < j->states && !st; i++) {
        if (j->made)
            pf_tensor_clear(&j->in[i]);
        j->in[i] = j->out[i];
    }
    for (uint32_t r = 0; r < j->results && !st; r++) {
        int64_t at = j->a->output_directions.at[r] ? j->length - 1 - round : round;

        j->slices[r * j->length + at] = j->out[j->states + r];
    }
    if (!st) {
        memset(j->out, 0, j->call->out_count * sizeof *j->out);
        j->made = true;
    }
    return st;
}

static pf_status give_results(job *j, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < j->states && !st; i++) {
        pf_tensor_clear(&j->call->out[i]);
        st = pf_tensor_copy(&j->in[i], &j->call->out[i], err);
    }
    for (uint32_t r = 0; r < j->results && !st; r++)
        st = pf_stack_join(j->slices + r * j->length, j->length, j->a->output_axes.at[r], &j->call->out[j->states + r],
                           err);
    return st;
}

static void job_clear(job *j)
{
    for (uint32_t i = 0; j->made && i < j->states; i++)
        pf_tensor_clear(&j->in[i]);
    for (int64_t i = 0; j->slices && i < j->length * j->results; i++)
        pf_tensor_clear(&j->slices[i]);
    pf_free(j->slices);
    pf_free(j->in);
    pf_free(j->out);
}

static pf_status check_lengths(const job *j, pf_err *err)
{
    for (uint32_t s = 0; s < j->scans; s++)
        if (j->call->in[j->states + s].dim[j->a->input_axes.at[s]] != j->length)
            return PF_FAIL(err, PF_INVALID, "scanned inputs have different lengths");
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_scan_attrs *a = call->attrs;
    job                  j = { .call = call, .a = a, .states = (uint32_t)a->states, .scans = (uint32_t)a->scans };
    pf_status            st = PF_OK;

    j.results = call->out_count - j.states;
    j.length = call->in[j.states].dim[a->input_axes.at[0]];
    st = check_lengths(&j, err);
    if (st)
        return st;
    j.in = pf_calloc(call->in_count, sizeof *j.in);
    j.out = pf_calloc(call->out_count, sizeof *j.out);
    j.slices = pf_calloc((size_t)(j.length * j.results) + 1, sizeof *j.slices);
    if (!j.in || !j.out || !j.slices)
        st = PF_FAIL_MEMORY(err, (size_t)(j.length * j.results) * sizeof *j.slices);
    for (uint32_t i = 0; i < call->in_count && !st; i++) {
        if (i >= j.states && i < j.states + j.scans)
            continue;
        j.in[i] = call->in[i];
        j.in[i].owned = false;
    }
    for (int64_t r = 0; r < j.length && !st; r++)
        st = run_round(&j, r, err);
    if (!st)
        st = give_results(&j, err);
    job_clear(&j);
    return st;
}

const pf_op_def pf_op_scan = {
    .name = "scan", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 255, .out_min = 1, .out_max = 255,
    .attr_bytes = sizeof(pf_scan_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
