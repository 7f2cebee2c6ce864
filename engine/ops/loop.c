#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/bodies.h"
#include "engine/ops/stack.h"

enum { TRIPS, CONDITION, CARRIED };     /* inputs of the node; those of the body are iteration, condition, carried */

static const pf_attr_field fields[] = { PF_ATTR_FIELD(pf_loop_attrs, body, GRAPH),
                                        PF_ATTR_FIELD(pf_loop_attrs, carried, INT), { NULL } };

static pf_status check_body(const pf_infer *infer, const pf_loop_attrs *a, pf_err *err)
{
    uint32_t in = infer->node->in_count, out = infer->node->out_count;

    if (!a->body || a->carried < 0 || a->carried > in || in < CARRIED + a->carried || a->body->input_count != in)
        return PF_FAIL(err, PF_INVALID, "the body of the loop does not take what the node has");
    if (a->body->output_count != out + 1 || out < a->carried)
        return PF_FAIL(err, PF_INVALID, "the body of the loop does not give what the node has");
    return PF_OK;
}

static void set_scalar(pf_value *v, pf_dtype dtype)
{
    pf_value scalar = { .dtype = dtype };

    pf_bodies_set(v, &scalar);
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_loop_attrs *a = infer->node->attrs;
    pf_graph            *body = a->body;
    uint32_t             carried = (uint32_t)a->carried, captures = infer->node->in_count - CARRIED - carried;
    pf_status            st = check_body(infer, a, err);
    pf_dim               rounds = 0;

    if (st)
        return st;
    set_scalar(&body->values[body->inputs[0]], PF_I64);
    set_scalar(&body->values[body->inputs[1]], PF_BOOL);
    st = pf_bodies_set_captures(infer, body, CARRIED + carried, CARRIED + carried, captures, err);
    if (!st)
        st = pf_bodies_settle(infer, body, CARRIED, CARRIED, 1, carried, err);
    if (st)
        return st;
    rounds = pf_dims_fresh(infer->graph->dims, "rounds");
    for (uint32_t i = 0; i < infer->node->out_count; i++) {
        const pf_value *from = &body->values[i < carried ? body->inputs[CARRIED + i] : body->outputs[1 + i]];

        pf_bodies_set(&infer->out[i], from);
        if (i < carried || from->shape.rank < 0)
            continue;
        if (from->shape.rank == PF_MAX_RANK)
            return PF_FAIL(err, PF_UNSUPPORTED, "a scanned result has a rank over %d", PF_MAX_RANK);
        infer->out[i].shape.rank++;
        memcpy(infer->out[i].shape.dim + 1, from->shape.dim, (size_t)from->shape.rank * sizeof from->shape.dim[0]);
        infer->out[i].shape.dim[0] = rounds;
    }
    return PF_OK;
}

/* One run of a loop.  in: what the next round reads. */
typedef struct job {
    pf_reference_call   *call;
    const pf_loop_attrs *a;
    uint32_t             carried, scans;
    pf_tensor           *in, *out;                  /* of the body; owned */
    pf_tensor           *slices;                    /* scans lists of `capacity`, one after the other; owned */
    int64_t              rounds, capacity;
    int64_t              iteration;
    uint8_t              condition;
    bool                 made;                      /* the states in `in` come from a round and are owned */
} job;

static pf_status keep_slice(job *j, uint32_t scan, pf_tensor *made, pf_err *err)
{
    if (j->rounds == j->capacity) {
        int64_t    more = j->capacity ? j->capacity * 2 : 16;
        pf_tensor *grown = pf_calloc((size_t)(more * j->scans), sizeof *grown);

        if (!grown)
            return PF_FAIL_MEMORY(err, (size_t)(more * j->scans) * sizeof *grown);
        for (uint32_t s = 0; s < j->scans && j->capacity; s++)
            memcpy(grown + s * more, j->slices + s * j->capacity, (size_t)j->capacity * sizeof *grown);
        pf_free(j->slices);
        j->slices = grown;
        j->capacity = more;
    }
    j->slices[scan * j->capacity + j->rounds] = *made;
    memset(made, 0, sizeof *made);
    return PF_OK;
}

/* Results of a round become states and slices. */
static pf_status take_results(job *j, pf_err *err)
{
    pf_status st = PF_OK;

    j->condition = pf_tensor_elems(&j->out[0]) > 0 && *(const uint8_t *)j->out[0].data;
    pf_tensor_clear(&j->out[0]);
    for (uint32_t i = 0; i < j->carried; i++) {
        if (j->made)
            pf_tensor_clear(&j->in[CARRIED + i]);
        j->in[CARRIED + i] = j->out[1 + i];
        memset(&j->out[1 + i], 0, sizeof j->out[1 + i]);
    }
    j->made = true;
    for (uint32_t s = 0; s < j->scans && !st; s++)
        st = keep_slice(j, s, &j->out[1 + j->carried + s], err);
    return st;
}

static pf_status run_rounds(job *j, int64_t trips, pf_err *err)
{
    pf_status st = PF_OK;

    for (; !st && j->condition && (trips < 0 || j->rounds < trips); j->rounds++) {
        j->iteration = j->rounds;
        j->in[0] = (pf_tensor){ .dtype = PF_I64, .data = &j->iteration, .bytes = sizeof j->iteration };
        j->in[1] = (pf_tensor){ .dtype = PF_BOOL, .data = &j->condition, .bytes = sizeof j->condition };
        st = pf_interpret_body(j->a->body, j->in, j->out, j->call->bindings, err);
        if (!st)
            st = take_results(j, err);
    }
    return st;
}

static pf_status give_results(job *j, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < j->carried && !st; i++) {
        pf_tensor_clear(&j->call->out[i]);
        st = pf_tensor_copy(&j->in[CARRIED + i], &j->call->out[i], err);
    }
    for (uint32_t s = 0; s < j->scans && !st; s++)
        st = pf_stack_join(j->slices + s * j->capacity, j->rounds, 0, &j->call->out[j->carried + s], err);
    return st;
}

static void job_clear(job *j)
{
    for (uint32_t i = 0; j->made && i < j->carried; i++)
        pf_tensor_clear(&j->in[CARRIED + i]);
    for (int64_t i = 0; j->slices && i < j->capacity * j->scans; i++)
        pf_tensor_clear(&j->slices[i]);
    for (uint32_t i = 0; j->out && i < j->a->body->output_count; i++)
        pf_tensor_clear(&j->out[i]);
    pf_free(j->slices);
    pf_free(j->in);
    pf_free(j->out);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_loop_attrs *a = call->attrs;
    job                  j = { .call = call, .a = a, .carried = (uint32_t)a->carried,
                               .scans = call->out_count - (uint32_t)a->carried, .condition = 1 };
    int64_t              trips = call->in[TRIPS].data ? pf_dtype_get_i64(call->in[TRIPS].dtype, call->in[TRIPS].data, 0)
                                                      : -1;
    pf_status            st = PF_OK;

    trips = call->in[TRIPS].data && trips < 0 ? 0 : trips;
    if (call->in[CONDITION].data)
        j.condition = *(const uint8_t *)call->in[CONDITION].data;
    j.in = pf_calloc(call->in_count, sizeof *j.in);
    j.out = pf_calloc(a->body->output_count, sizeof *j.out);
    if (!j.in || !j.out)
        st = PF_FAIL_MEMORY(err, call->in_count * sizeof *j.in);
    for (uint32_t i = CARRIED; i < call->in_count && !st; i++) {
        j.in[i] = call->in[i];
        j.in[i].owned = false;
    }
    if (!st)
        st = run_rounds(&j, trips, err);
    if (!st)
        st = give_results(&j, err);
    job_clear(&j);
    return st;
}

const pf_op_def pf_op_loop = {
    .name = "loop", .klass = PF_CLASS_HOST, .in_min = 2, .in_max = 255, .out_min = 1, .out_max = 255,
    .attr_bytes = sizeof(pf_loop_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
