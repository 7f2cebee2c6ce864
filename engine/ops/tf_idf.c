/* tf_idf: counts of n-grams of a pool in each row.  Rules from
   https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer.html. */
#include <stddef.h>
#include <string.h>

#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

enum { X, COUNTS, INDEXES, POOL, WEIGHTS };

static const char *const modes[] = { "tf", "idf", "tfidf", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_tf_idf_attrs, mode, modes), PF_ATTR_FIELD(pf_tf_idf_attrs, min_length, INT),
    PF_ATTR_FIELD(pf_tf_idf_attrs, max_length, INT), PF_ATTR_FIELD(pf_tf_idf_attrs, max_skip, INT), { NULL },
};

static int64_t i64_at(const void *data, int64_t i) { return ((const int64_t *)data)[i]; }

/* The greatest column that an n-gram counts in. */
static pf_status width_of(const pf_infer *infer, int64_t *width, pf_err *err)
{
    const pf_value *indexes = pf_infer_in(infer, INDEXES);

    *width = 0;
    if (!indexes || !indexes->is_constant || indexes->dtype != PF_I64 || indexes->shape.rank != 1)
        return PF_FAIL(err, PF_INVALID, "ngram_indexes is not a constant list of int64");
    for (int64_t i = 0; i < indexes->shape.dim[0]; i++) {
        int64_t at = i64_at(indexes->constant.data, i);

        if (at < 0 || at > INT32_MAX)
            return PF_FAIL(err, PF_INVALID, "an n-gram has index %lld", (long long)at);
        *width = at + 1 > *width ? at + 1 : *width;
    }
    return PF_OK;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_tf_idf_attrs *a = infer->node->attrs;
    const pf_value        *x = pf_infer_in(infer, X);
    pf_status              st = pf_infer_rank(infer, X, 0, 2, err);
    int64_t                width = 0;
    pf_shape               out = { 0 };

    if (!st)
        st = width_of(infer, &width, err);
    if (!st)
        st = pf_infer_vector(infer, WEIGHTS, pf_infer_in(infer, INDEXES)->shape.dim[0], "weights", err);
    if (!st && (a->min_length < 1 || a->max_length < a->min_length || a->max_skip < 0))
        st = PF_FAIL(err, PF_INVALID, "n-grams of %lld to %lld", (long long)a->min_length, (long long)a->max_length);
    if (!st && x->dtype != PF_STRING && x->dtype != PF_I32 && x->dtype != PF_I64)
        st = PF_FAIL(err, PF_INVALID, "the input is %s", pf_dtype_name(x->dtype));
    if (!st && (x->dtype == PF_STRING) != (pf_infer_in(infer, POOL)->dtype == PF_STRING))
        st = PF_FAIL(err, PF_INVALID, "input and pool have different types");
    if (st)
        return st;
    if (x->shape.rank == 2)
        out.dim[out.rank++] = x->shape.dim[0];
    out.dim[out.rank++] = width;
    pf_infer_set(infer, 0, PF_F32, &out);
    return PF_OK;
}

static bool same_item(const pf_tensor *x, int64_t i, const pf_tensor *pool, int64_t k)
{
    if (x->dtype == PF_STRING) {
        const char *a = ((char *const *)x->data)[i], *b = ((char *const *)pool->data)[k];

        return strcmp(a ? a : "", b ? b : "") == 0;
    }
    return pf_dtype_get_i64(x->dtype, x->data, (uint64_t)i) == i64_at(pool->data, k);
}

/* Which n-gram of the pool is x[at], x[at + step], ... (n items)?  -1 when none.  Grams are numbered through all
   lengths. */
static int64_t find_gram(const pf_reference_call *call, int64_t at, int64_t step, int64_t n)
{
    const pf_tensor *counts = &call->in[COUNTS], *pool = &call->in[POOL];
    int64_t          number = 0;

    for (int64_t length = 1; length <= pf_tensor_elems(counts); length++) {
        int64_t from = i64_at(counts->data, length - 1);
        int64_t to = length < pf_tensor_elems(counts) ? i64_at(counts->data, length) : pf_tensor_elems(pool);

        for (int64_t gram = from; gram + length <= to; gram += length, number++) {
            bool same = length == n && gram >= 0 && gram + length <= pf_tensor_elems(pool);

            for (int64_t k = 0; k < n && same; k++)
                same = same_item(&call->in[X], at + k * step, pool, gram + k);
            if (same)
                return number;
        }
    }
    return -1;
}

static void count_row(const pf_reference_call *call, int64_t from, int64_t size, float *row)
{
    const pf_tf_idf_attrs *a = call->attrs;

    for (int64_t n = a->min_length; n <= a->max_length; n++)
        for (int64_t skip = 0; skip <= a->max_skip && (skip == 0 || n > 1); skip++)
            for (int64_t at = 0; at + (n - 1) * (skip + 1) < size; at++) {
                int64_t gram = find_gram(call, from + at, skip + 1, n);

                if (gram >= 0 && gram < pf_tensor_elems(&call->in[INDEXES]))
                    row[i64_at(call->in[INDEXES].data, gram)] += 1;
            }
}

static void weigh_row(const pf_reference_call *call, float *row)
{
    const pf_tf_idf_attrs *a = call->attrs;
    const pf_tensor       *weights = call->in_count > WEIGHTS && call->in[WEIGHTS].data ? &call->in[WEIGHTS] : NULL;

    for (int64_t g = 0; g < pf_tensor_elems(&call->in[INDEXES]) && a->mode != PF_TF; g++) {
        float *cell = &row[i64_at(call->in[INDEXES].data, g)], weight = weights ? ((const float *)weights->data)[g] : 1;

        if (*cell > 0)
            *cell = a->mode == PF_IDF ? weight : *cell * weight;
    }
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_tensor *x = &call->in[X];
    pf_tensor       *y = &call->out[0];
    int64_t          rows = x->rank == 2 ? x->dim[0] : 1, size = x->rank == 0 ? 1 : x->dim[x->rank - 1],
                     width = y->dim[y->rank - 1];
    pf_status        st = PF_OK;

    st = pf_rows_need(call, WEIGHTS, pf_tensor_elems(&call->in[INDEXES]), "weights", err);
    for (int64_t r = 0; r < rows && !st; r++) {
        count_row(call, r * size, size, (float *)y->data + r * width);
        weigh_row(call, (float *)y->data + r * width);
    }
    return st;
}

const pf_op_def pf_op_tf_idf = {
    .name = "tf_idf", .klass = PF_CLASS_HOST, .in_min = 4, .in_max = 5, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_tf_idf_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
