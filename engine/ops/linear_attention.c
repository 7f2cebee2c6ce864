/* linear_attention: a state of keys and values per head that every step decays, corrects and reads.
   Recurrences from https://onnx.ai/onnx/operators/onnx__LinearAttention.html. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

enum { Q, K, V, PAST, DECAY, BETA, INPUTS };

static const char *const rules[] = { "linear", "gated", "delta", "gated_delta", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_linear_attention_attrs, rule, rules), PF_ATTR_FIELD(pf_linear_attention_attrs, q_heads, INT),
    PF_ATTR_FIELD(pf_linear_attention_attrs, kv_heads, INT), PF_ATTR_FIELD(pf_linear_attention_attrs, scale, FLOAT),
    { NULL },
};

static bool is_gated(int32_t rule) { return rule == PF_LINEAR_GATED || rule == PF_LINEAR_GATED_DELTA; }
static bool is_delta(int32_t rule) { return rule == PF_LINEAR_DELTA || rule == PF_LINEAR_GATED_DELTA; }

static pf_status check_inputs(const pf_infer *infer, const pf_linear_attention_attrs *a, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = Q; i <= V && !st; i++) {
        st = pf_infer_rank(infer, i, 3, 3, err);
        if (!st)
            st = pf_infer_float(infer, i, err);
    }
    if (!st && (a->kv_heads < 1 || a->q_heads < 1 || a->q_heads > INT32_MAX || a->q_heads % a->kv_heads))
        st = PF_FAIL(err, PF_INVALID, "%lld query heads and %lld key heads", (long long)a->q_heads,
                     (long long)a->kv_heads);
    if (!st && is_gated(a->rule))
        st = pf_infer_rank(infer, DECAY, 3, 3, err);
    if (!st && is_delta(a->rule))
        st = pf_infer_rank(infer, BETA, 3, 3, err);
    if (!st && pf_infer_in(infer, PAST))
        st = pf_infer_rank(infer, PAST, 4, 4, err);
    return st;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_linear_attention_attrs *a = infer->node->attrs;
    pf_dims                         *dims = infer->graph->dims;
    pf_status                        st = check_inputs(infer, a, err);
    const pf_value                  *q = pf_infer_in(infer, Q), *past = pf_infer_in(infer, PAST);
    pf_shape                         out = { 0 }, state = { .rank = 4 };

    if (st)
        return st;
    state.dim[0] = q->shape.dim[0];
    state.dim[1] = a->kv_heads;
    state.dim[2] = pf_dim_floor_div(dims, q->shape.dim[2], a->q_heads);
    state.dim[3] = pf_dim_floor_div(dims, pf_infer_in(infer, V)->shape.dim[2], a->kv_heads);
    out = q->shape;
    out.dim[2] = pf_dim_mul(dims, state.dim[3], a->q_heads);
    pf_infer_set(infer, 0, q->dtype, &out);
    pf_infer_set(infer, 1, past ? past->dtype : q->dtype, &state);
    return pf_infer_check_out(infer, err);
}

typedef struct job {
    const pf_linear_attention_attrs *a;
    int64_t                          batch, steps, depth, width, decays, betas;  /* K, V; columns of decay and beta */
    double                           scale;
    double                          *in[INPUTS], *y, *state, *update;  /* owned; state and update of one head */
} job;

/* The sizes that the arithmetic below relies on. */
static pf_status check_sizes(const pf_reference_call *call, const job *j, pf_err *err)
{
    int64_t   rows = j->batch * j->steps, kv = j->a->kv_heads;
    pf_status st = pf_rows_need(call, Q, rows * j->a->q_heads * j->depth, "q", err);

    if (!st)
        st = pf_rows_need(call, K, rows * kv * j->depth, "k", err);
    if (!st)
        st = pf_rows_need(call, V, rows * kv * j->width, "v", err);
    if (!st)
        st = pf_rows_need(call, PAST, j->batch * kv * j->depth * j->width, "the past state", err);
    if (!st && is_gated(j->a->rule))
        st = pf_rows_need(call, DECAY, rows * (j->decays == kv ? kv : kv * j->depth), "decay", err);
    if (!st && is_delta(j->a->rule))
        st = pf_rows_need(call, BETA, rows * (j->betas == 1 ? 1 : kv), "beta", err);
    return st;
}

static void decay_state(job *j, int64_t row, int64_t head)
{
    for (int64_t d = 0; d < j->depth; d++) {
        int64_t at = j->decays == j->a->kv_heads ? row * j->decays + head
                                                 : (row * j->a->kv_heads + head) * j->depth + d;
        double  keep = exp(j->in[DECAY][at]);

        for (int64_t w = 0; w < j->width; w++)
            j->state[d * j->width + w] *= keep;
    }
}

/* What is written for the key: the value, or how far the state is from it. */
static void make_update(job *j, const double *k, const double *v, int64_t row, int64_t head)
{
    double rate = is_delta(j->a->rule) ? j->in[BETA][j->betas == 1 ? row : row * j->betas + head] : 1;

    for (int64_t w = 0; w < j->width; w++) {
        double held = 0;

        for (int64_t d = 0; d < j->depth && is_delta(j->a->rule); d++)
            held += j->state[d * j->width + w] * k[d];
        j->update[w] = rate * (v[w] - held);
    }
}

static void step(job *j, int64_t row, int64_t head)
{
    int64_t       kv = j->a->kv_heads, group = j->a->q_heads / kv;
    const double *k = j->in[K] + (row * kv + head) * j->depth, *v = j->in[V] + (row * kv + head) * j->width;

    if (is_gated(j->a->rule))
        decay_state(j, row, head);
    make_update(j, k, v, row, head);
    for (int64_t d = 0; d < j->depth; d++)
        for (int64_t w = 0; w < j->width; w++)
            j->state[d * j->width + w] += k[d] * j->update[w];
    for (int64_t h = head * group; h < (head + 1) * group; h++) {
        const double *q = j->in[Q] + (row * j->a->q_heads + h) * j->depth;
        double       *y = j->y + (row * j->a->q_heads + h) * j->width;

        for (int64_t d = 0; d < j->depth; d++)
            for (int64_t w = 0; w < j->width; w++)
                y[w] += j->scale * q[d] * j->state[d * j->width + w];
    }
}

static void run_head(job *j, pf_reference_call *call, int64_t b, int64_t head)
{
    int64_t size = j->depth * j->width, at = (b * j->a->kv_heads + head) * size;

    memset(j->state, 0, (size_t)size * sizeof *j->state);
    if (j->in[PAST])
        memcpy(j->state, j->in[PAST] + at, (size_t)size * sizeof *j->state);
    for (int64_t t = 0; t < j->steps; t++)
        step(j, b * j->steps + t, head);
    if (call->out_count > 1)
        pf_rows_write(call->out[1].dtype, call->out[1].data, at, size, j->state);
}

static bool read_all(job *j, const pf_reference_call *call)
{
    bool fine = true;

    for (uint32_t i = 0; i < call->in_count && i < INPUTS; i++)
        if (call->in[i].data) {
            j->in[i] = pf_rows_doubles(&call->in[i]);
            fine = fine && j->in[i];
        }
    j->y = pf_rows_new(pf_tensor_elems(&call->out[0]));
    j->state = pf_rows_new(j->depth * j->width);
    j->update = pf_rows_new(j->width);
    return fine && j->y && j->state && j->update;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_linear_attention_attrs *a = call->attrs;
    const int64_t                   *q = call->in[Q].dim;
    job                              j = { .a = a, .batch = q[0], .steps = q[1], .depth = q[2] / a->q_heads,
                                           .width = call->in[V].dim[2] / a->kv_heads };
    pf_status                        st = PF_OK;

    j.decays = is_gated(a->rule) ? call->in[DECAY].dim[2] : 0;
    j.betas = is_delta(a->rule) ? call->in[BETA].dim[2] : 0;
    j.scale = a->scale != 0 ? a->scale : 1 / sqrt((double)j.depth);
    st = check_sizes(call, &j, err);
    if (st)
        return st;
    if (!read_all(&j, call))
        st = PF_FAIL_MEMORY(err, call->in[Q].bytes * 2);
    for (int64_t i = 0; i < j.batch * a->kv_heads && !st; i++)
        run_head(&j, call, i / a->kv_heads, i % a->kv_heads);
    if (!st)
        pf_rows_store(&call->out[0], j.y);
    for (uint32_t i = 0; i < INPUTS; i++)
        pf_free(j.in[i]);
    pf_free(j.y);
    pf_free(j.state);
    pf_free(j.update);
    return st;
}

const pf_op_def pf_op_linear_attention = {
    .name = "linear_attention", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = INPUTS, .out_min = 1, .out_max = 2,
    .attr_bytes = sizeof(pf_linear_attention_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
