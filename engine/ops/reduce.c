/* reduce: sum, mean, max ... over any set of axes. */
#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static const char *const modes[] = { "sum", "mean", "max", "min", "prod", "l1", "l2", "log_sum", "log_sum_exp",
                                     "sum_square", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_reduce_attrs, mode, modes), PF_ATTR_FIELD(pf_reduce_attrs, axes, INTS),
    PF_ATTR_FIELD(pf_reduce_attrs, keepdims, INT), { NULL },
};

static pf_status reduce_content(pf_infer *infer, const pf_reduce_attrs *attrs, pf_err *err)
{
    pf_dims   *dims = infer->graph->dims;
    pf_content in = pf_content_of(infer, 0), out = { .count = 1 };

    if (in.count < 1 || (attrs->axes.count == 0 && in.count != 1))
        return PF_OK;
    out.at[0] = in.at[0];
    for (int32_t i = 1; i < in.count; i++) {
        if (attrs->mode == PF_REDUCE_PROD)
            out.at[0] = pf_dim_mul(dims, out.at[0], in.at[i]);
        else if (attrs->mode == PF_REDUCE_SUM)
            out.at[0] = pf_dim_add(dims, out.at[0], in.at[i]);
        else if (attrs->mode == PF_REDUCE_MAX)
            out.at[0] = pf_dim_max(dims, out.at[0], in.at[i]);
        else if (attrs->mode == PF_REDUCE_MIN)
            out.at[0] = pf_dim_min(dims, out.at[0], in.at[i]);
        else
            return PF_OK;
    }
    return attrs->mode <= PF_REDUCE_PROD && attrs->mode != PF_REDUCE_MEAN ? pf_content_set(infer, &out, err) : PF_OK;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_reduce_attrs *attrs = infer->node->attrs;
    const pf_value        *x = pf_infer_in(infer, 0);
    pf_status              st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);
    pf_shape               out = { 0 };

    if (!st)
        st = pf_infer_axes(&attrs->axes, x->shape.rank, err);
    if (!st && x->dtype == PF_BOOL && attrs->mode != PF_REDUCE_MAX && attrs->mode != PF_REDUCE_MIN)
        st = PF_FAIL(err, PF_INVALID, "%s of bool", modes[attrs->mode]);
    if (st)
        return st;
    for (int32_t d = 0; d < x->shape.rank; d++) {
        if (!pf_ints_have(&attrs->axes, d))
            out.dim[out.rank++] = x->shape.dim[d];
        else if (attrs->keepdims)
            out.dim[out.rank++] = 1;
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    return reduce_content(infer, attrs, err);
}

/* Each mode: where it starts, how it takes an element, how it ends.  log_sum_exp takes exp(x - max), in two passes. */
static double take_sum(double acc, double x) { return acc + x; }
static double take_max(double acc, double x) { return x > acc || isnan(x) ? x : acc; }
static double take_min(double acc, double x) { return x < acc || isnan(x) ? x : acc; }
static double take_prod(double acc, double x) { return acc * x; }
static double take_abs(double acc, double x) { return acc + fabs(x); }
static double take_square(double acc, double x) { return acc + x * x; }
static double end_same(double acc, double count) { (void)count; return acc; }
static double end_mean(double acc, double count) { return acc / count; }
static double end_root(double acc, double count) { (void)count; return sqrt(acc); }
static double end_log(double acc, double count) { (void)count; return log(acc); }

static const struct {
    double start;
    double (*take)(double acc, double x);
    double (*end)(double acc, double count);
} steps[] = {
    [PF_REDUCE_SUM] = { 0, take_sum, end_same },         [PF_REDUCE_MEAN] = { 0, take_sum, end_mean },
    [PF_REDUCE_MAX] = { -INFINITY, take_max, end_same }, [PF_REDUCE_MIN] = { INFINITY, take_min, end_same },
    [PF_REDUCE_PROD] = { 1, take_prod, end_same },       [PF_REDUCE_L1] = { 0, take_abs, end_same },
    [PF_REDUCE_L2] = { 0, take_square, end_root },       [PF_REDUCE_LOG_SUM] = { 0, take_sum, end_log },
    [PF_REDUCE_LOG_SUM_EXP] = { 0, take_sum, end_log },  [PF_REDUCE_SUM_SQUARE] = { 0, take_square, end_same },
};

/* Walks x in order and tells for each element which output it belongs to. */
typedef struct walk { int32_t rank; int64_t dim[PF_MAX_RANK], step[PF_MAX_RANK], index[PF_MAX_RANK], at; } walk;

/* Of the dims from first on. */
static void walk_init(walk *w, const pf_tensor *x, const pf_ints *axes, int32_t first)
{
    int64_t dense = 1;

    *w = (walk){ .rank = x->rank - first };
    for (int32_t d = w->rank - 1; d >= 0; d--) {
        bool reduced = pf_ints_have(axes, d + first);

        w->dim[d] = x->dim[d + first];
        w->step[d] = reduced ? 0 : dense;
        dense *= reduced ? 1 : w->dim[d];
    }
}

static void walk_next(walk *w)
{
    for (int32_t d = w->rank - 1; d >= 0; d--) {
        w->at += w->step[d];
        if (++w->index[d] < w->dim[d])
            return;
        w->at -= w->step[d] * w->dim[d];
        w->index[d] = 0;
    }
}

typedef struct accumulation {
    const pf_tensor *x;
    const pf_ints   *axes;
    double         (*take)(double acc, double x);
    const double    *minus;         /* NULL, or one for each output */
} accumulation;

/* The elements from `at` on, count of them, of the dims from first on. */
static void accumulate_part(const accumulation *a, int32_t first, int64_t at, int64_t count, const double *minus,
                            double *acc)
{
    enum { CHUNK = 1024 };
    double row[CHUNK];
    walk   w;

    walk_init(&w, a->x, a->axes, first);
    for (int64_t from = 0; from < count; from += CHUNK) {
        int64_t n = count - from < CHUNK ? count - from : CHUNK;

        pf_rows_read(a->x->dtype, a->x->data, at + from, 1, n, row);
        for (int64_t i = 0; i < n; i++, walk_next(&w))
            acc[w.at] = a->take(acc[w.at], minus ? exp(row[i] - minus[w.at]) : row[i]);
    }
}

/* Where the outer dims stay, each of their elements has outputs of its own, and threads share them. */
static void accumulate(const accumulation *a, double start, double *acc, int64_t outputs)
{
    int32_t first = 0;
    int64_t outer = 1, count = pf_tensor_elems(a->x);

    for (; first < a->x->rank && !pf_ints_have(a->axes, first); first++)
        outer *= a->x->dim[first];
    for (int64_t o = 0; o < outputs; o++)
        acc[o] = start;
    if (!count)
        return;
#pragma omp parallel for schedule(static) if (outer > 1 && count > PF_ROWS_ALONE)
    for (int64_t o = 0; o < outer; o++)
        accumulate_part(a, first, o * (count / outer), count / outer,
                        a->minus ? a->minus + o * (outputs / outer) : NULL, acc + o * (outputs / outer));
}

/* 64-bit integers do not fit doubles: sums and products wrap, as the type does. */
static void accumulate_i64(const pf_tensor *x, const pf_ints *axes, int32_t mode, int64_t *acc)
{
    int64_t count = pf_tensor_elems(x);
    walk    w;

    walk_init(&w, x, axes, 0);
    for (int64_t i = 0; i < count; i++, walk_next(&w)) {
        int64_t  v = pf_dtype_get_i64(x->dtype, x->data, (uint64_t)i), a = acc[w.at];
        uint64_t u = (uint64_t)v;
        bool     less = x->dtype == PF_U64 ? u < (uint64_t)a : v < a, is_negative = x->dtype != PF_U64 && v < 0;

        if (mode == PF_REDUCE_PROD)
            acc[w.at] = (int64_t)((uint64_t)a * u);
        else if (mode == PF_REDUCE_MAX || mode == PF_REDUCE_MIN)
            acc[w.at] = less == (mode == PF_REDUCE_MIN) ? v : a;
        else
            acc[w.at] = (int64_t)((uint64_t)a + (mode == PF_REDUCE_SUM_SQUARE          ? u * u
                                                 : mode == PF_REDUCE_L1 && is_negative ? 0 - u
                                                                                       : u));
    }
}

/* The identity of each mode for a type: what a reduction of nothing gives. */
static int64_t start_i64(pf_dtype dtype, int32_t mode)
{
    uint32_t bits = pf_dtype_bits(dtype);
    bool     is_signed = pf_dtype_kind_of(dtype) == PF_KIND_INT;

    if (mode == PF_REDUCE_MAX)
        return is_signed ? (bits == 64 ? INT64_MIN : -(INT64_C(1) << (bits - 1))) : 0;
    if (mode == PF_REDUCE_MIN)
        return dtype == PF_BOOL ? 1
               : bits == 64     ? (is_signed ? INT64_MAX : -1)
                                : (INT64_C(1) << (bits - is_signed)) - 1;
    return mode == PF_REDUCE_PROD;
}

static bool is_exact(pf_dtype dtype, int32_t mode)
{
    return (dtype == PF_BOOL || pf_dtype_is_integer(dtype)) && mode != PF_REDUCE_MEAN && mode != PF_REDUCE_L2 &&
           mode != PF_REDUCE_LOG_SUM && mode != PF_REDUCE_LOG_SUM_EXP;
}

static pf_status reduce_i64(const pf_reference_call *call, int64_t outputs, pf_err *err)
{
    const pf_reduce_attrs *attrs = call->attrs;
    pf_tensor             *y = &call->out[0];
    int64_t               *acc = pf_calloc((size_t)outputs + 1, sizeof *acc);

    if (!acc)
        return PF_FAIL_MEMORY(err, (size_t)outputs * sizeof *acc);
    for (int64_t o = 0; o < outputs; o++)
        acc[o] = start_i64(y->dtype, attrs->mode);
    accumulate_i64(&call->in[0], &attrs->axes, attrs->mode, acc);
    pf_rows_write_i64(y->dtype, y->data, 0, outputs, acc);
    pf_free(acc);
    return PF_OK;
}

static pf_status reduce_f64(const pf_reference_call *call, int64_t outputs, pf_err *err)
{
    const pf_reduce_attrs *attrs = call->attrs;
    const pf_tensor       *x = &call->in[0];
    bool                   two_passes = attrs->mode == PF_REDUCE_LOG_SUM_EXP;
    double                *acc = pf_rows_new(outputs), *most = two_passes ? pf_rows_new(outputs) : NULL;
    double                 count = outputs ? (double)pf_tensor_elems(x) / (double)outputs : 0;
    pf_status              st = PF_OK;

    if (!acc || (two_passes && !most)) {
        st = PF_FAIL_MEMORY(err, (size_t)outputs * sizeof *acc);
        goto out;
    }
    if (two_passes)
        accumulate(&(accumulation){ x, &attrs->axes, take_max, NULL }, -INFINITY, most, outputs);
    for (int64_t o = 0; o < outputs && two_passes; o++)
        most[o] = isinf(most[o]) ? 0 : most[o];
    accumulate(&(accumulation){ x, &attrs->axes, steps[attrs->mode].take, most }, steps[attrs->mode].start, acc,
               outputs);
    for (int64_t o = 0; o < outputs; o++)
        acc[o] = steps[attrs->mode].end(acc[o], count) + (most ? most[o] : 0);
    pf_rows_store(&call->out[0], acc);
out:
    pf_free(acc);
    pf_free(most);
    return st;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_reduce_attrs *attrs = call->attrs;
    int64_t                outputs = pf_tensor_elems(&call->out[0]);

    if (is_exact(call->in[0].dtype, attrs->mode))
        return reduce_i64(call, outputs, err);
    return reduce_f64(call, outputs, err);
}

const pf_op_def pf_op_reduce = {
    .name = "reduce", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_reduce_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
