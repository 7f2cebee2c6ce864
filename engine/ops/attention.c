/* attention: scores of queries against keys, softmax, weighted values.
   Semantics of https://onnx.ai/onnx/operators/onnx__Attention.html after its inputs are brought to rank 4. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/product.h"
#include "engine/ops/rows.h"

enum { Q, K, V, MASK, VALID };

static const char *const causals[] = { "none", "top_left", "bottom_right", NULL };
static const char *const scores[] = { "scaled", "capped", "masked", "softmax", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_attention_attrs, scale, FLOAT), PF_ATTR_FIELD(pf_attention_attrs, softcap, FLOAT),
    PF_ATTR_ENUM_FIELD(pf_attention_attrs, causal, causals), PF_ATTR_ENUM_FIELD(pf_attention_attrs, scores, scores),
    { NULL },
};

static pf_status check_dims(const pf_infer *infer, pf_err *err)
{
    const pf_dim *q = pf_infer_in(infer, Q)->shape.dim, *k = pf_infer_in(infer, K)->shape.dim,
                 *v = pf_infer_in(infer, V)->shape.dim;
    pf_status     st = pf_infer_dims_agree(infer, q[0], k[0], "batch of q and k", err);

    if (!st)
        st = pf_infer_dims_agree(infer, q[0], v[0], "batch of q and v", err);
    if (!st)
        st = pf_infer_dims_agree(infer, k[1], v[1], "heads of k and v", err);
    if (!st)
        st = pf_infer_dims_agree(infer, q[3], k[3], "head size of q and k", err);
    if (!st)
        st = pf_infer_dims_agree(infer, k[2], v[2], "length of k and v", err);
    if (!st && pf_dim_is_number(q[1]) && pf_dim_is_number(k[1]) && (k[1] == 0 || q[1] % k[1]))
        st = PF_FAIL(err, PF_INVALID, "%lld query heads do not divide into %lld key heads", (long long)q[1],
                     (long long)k[1]);
    return st;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_value *q = pf_infer_in(infer, Q), *mask = pf_infer_in(infer, MASK);
    pf_status       st = PF_OK;
    pf_shape        out = { 0 };

    for (uint32_t i = Q; i <= V && !st; i++) {
        st = pf_infer_rank(infer, i, 4, 4, err);
        if (!st)
            st = pf_infer_float(infer, i, err);
    }
    if (!st)
        st = check_dims(infer, err);
    if (!st && mask && mask->dtype != PF_BOOL && !pf_dtype_is_float(mask->dtype))
        st = PF_FAIL(err, PF_INVALID, "the mask is %s, which is neither bool nor a float", pf_dtype_name(mask->dtype));
    if (!st && mask && mask->shape.rank > 4)
        st = PF_FAIL(err, PF_INVALID, "the mask has rank %d", mask->shape.rank);
    if (!st)
        st = pf_infer_vector(infer, VALID, q->shape.dim[0], "valid_kv", err);
    if (st)
        return st;
    out = q->shape;
    out.dim[3] = pf_infer_in(infer, V)->shape.dim[3];
    pf_infer_set(infer, 0, q->dtype, &out);
    out.dim[3] = pf_infer_in(infer, K)->shape.dim[2];
    pf_infer_set(infer, 1, q->dtype, &out);
    return PF_OK;
}

typedef struct job {
    const pf_attention_attrs *attrs;
    const pf_tensor          *mask, *valid;                             /* NULL when left out */
    int64_t                   heads, kv_heads, queries, keys, depth, width;
    double                    scale;
} job;

/* What one thread works in: one head. */
typedef struct room { double *q, *k_transposed, *v, *score, *bias, *y; } room;

/* What the mask adds to the score of query i and key j: 0, a number, or minus infinity. */
static double mask_at(const pf_tensor *m, int64_t b, int64_t h, int64_t i, int64_t j)
{
    int64_t index[4] = { b, h, i, j }, at = 0;
    double  value = 0;

    if (m->rank > 0 && m->dim[m->rank - 1] > 1 && j >= m->dim[m->rank - 1])
        return -INFINITY;
    for (int32_t d = 0; d < m->rank; d++)
        at = at * m->dim[d] + (m->dim[d] == 1 ? 0 : index[d + 4 - m->rank]);
    value = pf_dtype_get(m->dtype, m->data, (uint64_t)at);
    if (m->dtype == PF_BOOL)
        return value != 0 ? 0 : -INFINITY;
    return value;
}

static void fill_bias(const job *j, int64_t b, int64_t h, double *bias)
{
    int64_t valid = j->valid ? pf_dtype_get_i64(j->valid->dtype, j->valid->data, (uint64_t)b) : j->keys;
    int64_t ahead = j->attrs->causal == PF_CAUSAL_BOTTOM_RIGHT ? valid - j->queries : 0;

    for (int64_t i = 0; i < j->queries; i++)
        for (int64_t k = 0; k < j->keys; k++) {
            bool hidden = k >= valid || (j->attrs->causal != PF_CAUSAL_NONE && k > i + ahead);

            bias[i * j->keys + k] = hidden ? -INFINITY : j->mask ? mask_at(j->mask, b, h, i, k) : 0;
        }
}

static void softmax_row(double *row, const double *bias, int64_t size)
{
    double most = -INFINITY, sum = 0;
    bool   any = false;

    for (int64_t k = 0; k < size; k++) {
        any = any || bias[k] > -INFINITY;
        most = row[k] > most ? row[k] : most;
    }
    for (int64_t k = 0; k < size; k++) {
        row[k] = any ? exp(row[k] - (isinf(most) ? 0 : most)) : 0;
        sum += row[k];
    }
    for (int64_t k = 0; k < size && sum != 0; k++)
        row[k] /= sum;
}

/* Writes the scores out when this is the stage that was asked for. */
static void emit(const job *j, const double *score, pf_reference_call *call, int32_t stage, int64_t head)
{
    int64_t size = j->queries * j->keys;

    if (call->out_count > 1 && j->attrs->scores == stage)
        pf_rows_write(call->out[1].dtype, call->out[1].data, head * size, size, score);
}

static void read_head(const job *j, const pf_reference_call *call, int64_t head, int64_t kv, room *own)
{
    pf_rows_read(call->in[Q].dtype, call->in[Q].data, head * j->queries * j->depth, 1, j->queries * j->depth, own->q);
    for (int64_t d = 0; d < j->depth; d++)
        pf_rows_read(call->in[K].dtype, call->in[K].data, kv * j->keys * j->depth + d, j->depth, j->keys,
                     own->k_transposed + d * j->keys);
    pf_rows_read(call->in[V].dtype, call->in[V].data, kv * j->keys * j->width, 1, j->keys * j->width, own->v);
    memset(own->score, 0, (size_t)(j->queries * j->keys) * sizeof *own->score);
    memset(own->y, 0, (size_t)(j->queries * j->width) * sizeof *own->y);
}

static void run_head(const job *j, pf_reference_call *call, int64_t b, int64_t h, room *own)
{
    int64_t head = b * j->heads + h, kv = b * j->kv_heads + h / (j->heads / j->kv_heads), size = j->queries * j->keys;
    double  cap = j->attrs->softcap;

    read_head(j, call, head, kv, own);
    pf_product(j->queries, j->keys, j->depth, own->q, j->depth, own->k_transposed, j->keys, own->score, j->keys);
    fill_bias(j, b, h, own->bias);
    for (int64_t i = 0; i < size; i++)
        own->score[i] *= j->scale;
    emit(j, own->score, call, PF_SCORES_SCALED, head);
    for (int64_t i = 0; i < size && cap != 0; i++)
        own->score[i] = cap * tanh(own->score[i] / cap);
    emit(j, own->score, call, PF_SCORES_CAPPED, head);
    for (int64_t i = 0; i < size; i++)
        own->score[i] += own->bias[i];
    emit(j, own->score, call, PF_SCORES_MASKED, head);
    for (int64_t i = 0; i < j->queries; i++)
        softmax_row(own->score + i * j->keys, own->bias + i * j->keys, j->keys);
    emit(j, own->score, call, PF_SCORES_SOFTMAX, head);
    pf_product(j->queries, j->width, j->keys, own->score, j->keys, own->v, j->width, own->y, j->width);
    pf_rows_write(call->out[0].dtype, call->out[0].data, head * j->queries * j->width, j->queries * j->width, own->y);
}

static bool take_room(const job *j, room *own)
{
    own->q = pf_rows_new(j->queries * j->depth);
    own->k_transposed = pf_rows_new(j->keys * j->depth);
    own->v = pf_rows_new(j->keys * j->width);
    own->score = pf_rows_new(j->queries * j->keys);
    own->bias = pf_rows_new(j->queries * j->keys);
    own->y = pf_rows_new(j->queries * j->width);
    return own->q && own->k_transposed && own->v && own->score && own->bias && own->y;
}

static void leave_room(room *own)
{
    pf_free(own->q);
    pf_free(own->k_transposed);
    pf_free(own->v);
    pf_free(own->score);
    pf_free(own->bias);
    pf_free(own->y);
}

/* Heads are shared out among threads; one alone is shared out by its products. */
static pf_status run_heads(const job *j, pf_reference_call *call, pf_err *err)
{
    const int64_t count = call->in[Q].dim[0] * j->heads;
    bool          failed = false;

#pragma omp parallel if (count > 1 && count * j->queries * j->keys * j->depth > PF_ROWS_ALONE)
    {
        room own = { 0 };
        bool ready = take_room(j, &own);

        if (!ready) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < count; i++)
            if (ready)
                run_head(j, call, i / j->heads, i % j->heads, &own);
        leave_room(&own);
    }
    return failed ? PF_FAIL_MEMORY(err, (size_t)(j->queries * j->keys) * sizeof(double)) : PF_OK;
}

/* Each dim is 1 or that of the scores; the last may be shorter. */
static pf_status check_mask(const pf_tensor *m, const int64_t *q, const int64_t *k, pf_err *err)
{
    int64_t score[4] = { q[0], q[1], q[2], k[2] };

    for (int32_t d = 0; d < m->rank; d++) {
        int64_t want = score[d + 4 - m->rank];

        if (m->dim[d] != 1 && (d == m->rank - 1 ? m->dim[d] > want : m->dim[d] != want))
            return PF_FAIL(err, PF_INVALID, "dim %d of the mask is %lld where %lld is needed", d, (long long)m->dim[d],
                           (long long)want);
    }
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const int64_t *q = call->in[Q].dim, *k = call->in[K].dim, *v = call->in[V].dim;
    job            j = { .attrs = call->attrs, .heads = q[1], .kv_heads = k[1], .queries = q[2], .keys = k[2],
                         .depth = q[3], .width = v[3] };
    pf_status      st = PF_OK;

    if (k[0] != q[0] || v[0] != q[0] || k[3] != q[3] || v[2] != k[2] || v[1] != k[1] || k[1] == 0 || q[1] % k[1])
        return PF_FAIL(err, PF_INVALID, "the dims of q, k and v do not fit together");
    st = pf_rows_need(call, VALID, q[0], "valid_kv", err);
    if (!st && call->in_count > MASK && call->in[MASK].data)
        st = check_mask(&call->in[MASK], q, k, err);
    if (st)
        return st;
    j.mask = call->in_count > MASK && call->in[MASK].data ? &call->in[MASK] : NULL;
    j.valid = call->in_count > VALID && call->in[VALID].data ? &call->in[VALID] : NULL;
    j.scale = j.attrs->scale != 0 ? j.attrs->scale : 1 / sqrt((double)j.depth);
    return run_heads(&j, call, err);
}

const pf_op_def pf_op_attention = {
    .name = "attention", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = 5, .out_min = 1, .out_max = 2,
    .attr_bytes = sizeof(pf_attention_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
