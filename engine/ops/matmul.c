/* matmul and matmul_integer: NumPy's rules, transposition of the last two dims by attribute. */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/infer.h"
#include "engine/ops/matrices.h"
#include "engine/ops/product.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_matmul_attrs, trans_a, INT), PF_ATTR_FIELD(pf_matmul_attrs, trans_b, INT), { NULL },
};

/* The last two dims, [rows, columns] after transposition; a vector is a row (a) or a column (b). */
static void last_two(const pf_shape *s, bool transposed, bool is_a, pf_dim *rows, pf_dim *columns)
{
    if (s->rank == 1) {
        *rows = is_a ? 1 : s->dim[0];
        *columns = is_a ? s->dim[0] : 1;
        return;
    }
    *rows = s->dim[s->rank - (transposed ? 1 : 2)];
    *columns = s->dim[s->rank - (transposed ? 2 : 1)];
}

static pf_shape batch_of(const pf_shape *s) { return pf_infer_shape(s->rank > 2 ? s->rank - 2 : 0, s->dim); }

static pf_status infer_product(pf_infer *infer, pf_dtype dtype, pf_err *err)
{
    const pf_matmul_attrs *attrs = infer->node->attrs;
    const pf_value        *a = pf_infer_in(infer, 0), *b = pf_infer_in(infer, 1);
    pf_shape               left = { 0 }, right = { 0 }, out = { 0 };
    pf_dim                 m = 0, k = 0, k2 = 0, n = 0;
    pf_status              st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_rank(infer, 1, 1, PF_MAX_RANK, err);
    if (st)
        return st;
    last_two(&a->shape, attrs->trans_a, true, &m, &k);
    last_two(&b->shape, attrs->trans_b, false, &k2, &n);
    st = pf_infer_dims_agree(infer, k, k2, "the dims that are summed over", err);
    left = batch_of(&a->shape);
    right = batch_of(&b->shape);
    if (!st)
        st = pf_shape_broadcast(infer->graph->dims, &left, &right, &out, err);
    if (st)
        return st;
    if (a->shape.rank > 1)
        out.dim[out.rank++] = m;
    if (b->shape.rank > 1)
        out.dim[out.rank++] = n;
    pf_infer_set(infer, 0, dtype, &out);
    return PF_OK;
}

static pf_status infer_matmul(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_present(infer, 2, err);

    if (!st)
        st = pf_infer_same_dtype(infer, 0, 1, err);
    return st ? st : infer_product(infer, pf_infer_in(infer, 0)->dtype, err);
}

static pf_status infer_integer(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_integer(infer, 0, err);

    if (!st)
        st = pf_infer_integer(infer, 1, err);
    return st ? st : infer_product(infer, PF_I32, err);
}

typedef struct operand { const pf_tensor *t; bool transposed; pf_tensor batch; int64_t rows, columns; } operand;

static operand operand_of(const pf_tensor *t, bool transposed, bool is_a)
{
    operand o = { .t = t, .transposed = transposed && t->rank > 1, .rows = 1, .columns = 1 };

    o.batch.rank = t->rank > 2 ? t->rank - 2 : 0;
    memcpy(o.batch.dim, t->dim, sizeof o.batch.dim);
    if (t->rank == 1) {
        o.rows = is_a ? 1 : t->dim[0];
        o.columns = is_a ? t->dim[0] : 1;
    } else {
        o.rows = t->dim[t->rank - (transposed ? 1 : 2)];
        o.columns = t->dim[t->rank - (transposed ? 2 : 1)];
    }
    return o;
}

/* Matrix number `batch` as rows x columns of doubles. */
static void read_matrix(const operand *o, int64_t batch, double *out)
{
    int64_t at = batch * o->rows * o->columns;

    if (!o->transposed) {
        pf_rows_read(o->t->dtype, o->t->data, at, 1, o->rows * o->columns, out);
        return;
    }
    for (int64_t r = 0; r < o->rows; r++)
        pf_rows_read(o->t->dtype, o->t->data, at + r, o->rows, o->columns, out + r * o->columns);
}

/* Zero points: a scalar, or one per row of a, or one per column of b. */
static void shift(double *matrix, const operand *o, const pf_tensor *zero, bool by_row, int64_t batch)
{
    int64_t count = zero && zero->data ? pf_tensor_elems(zero) : 0, line = by_row ? o->rows : o->columns;

    for (int64_t i = 0; i < o->rows * o->columns && count > 0; i++) {
        int64_t at = by_row ? i / o->columns : i % o->columns;

        at = count == 1 ? 0 : count == line ? at : (batch * line + at) % count;
        matrix[i] -= pf_dtype_get(zero->dtype, zero->data, (uint64_t)at);
    }
}

/* Exact, modulo 2^64, for products of wide integers. */
static void product_i64(const operand *a, const operand *b, int64_t batch_a, int64_t batch_b, pf_tensor *y, int64_t at)
{
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t j = 0; j < b->columns; j++) {
            uint64_t sum = 0;

            for (int64_t k = 0; k < a->columns; k++) {
                int64_t ia = a->transposed ? k * a->rows + i : i * a->columns + k;
                int64_t ib = b->transposed ? j * b->rows + k : k * b->columns + j;

                sum += (uint64_t)pf_dtype_get_i64(a->t->dtype, a->t->data,
                                                  (uint64_t)(batch_a * a->rows * a->columns + ia)) *
                       (uint64_t)pf_dtype_get_i64(b->t->dtype, b->t->data,
                                                  (uint64_t)(batch_b * b->rows * b->columns + ib));
            }
            pf_dtype_set_i64(y->dtype, y->data, (uint64_t)(at + i * b->columns + j), (int64_t)sum);
        }
}

/* Pairs of matrices that are multiplied, by their numbers in a and b. */
typedef struct pairs { int64_t count, *a, *b; } pairs;

static void pairs_clear(pairs *p)
{
    pf_free(p->a);
    pf_free(p->b);
}

static pf_status list_pairs(const operand *a, const operand *b, pairs *out, pf_err *err)
{
    pf_tensor        batches[2] = { a->batch, b->batch };
    const pf_tensor *list[2] = { &batches[0], &batches[1] };
    pf_broadcast     walk = { 0 };
    int32_t          rank = 0;
    int64_t          dim[PF_MAX_RANK] = { 0 }, count = 1;
    pf_status        st = pf_broadcast_dims(batches, 2, &rank, dim, err);

    if (!st)
        st = pf_broadcast_begin(&walk, rank, dim, list, 2, err);
    if (st || !pf_broadcast_any(&walk) || a->rows == 0 || b->columns == 0)
        return st;
    for (int32_t d = 0; d < walk.rank; d++)
        count *= walk.dim[d];
    out->a = pf_calloc((size_t)count, sizeof *out->a);
    out->b = pf_calloc((size_t)count, sizeof *out->b);
    if (!out->a || !out->b)
        return PF_FAIL_MEMORY(err, (size_t)count * sizeof *out->a);
    do {
        int32_t last = walk.rank - 1;

        for (int64_t i = 0; i < walk.dim[last]; i++, out->count++) {
            out->a[out->count] = walk.at[0] + i * walk.stride[0][last];
            out->b[out->count] = walk.at[1] + i * walk.stride[1][last];
        }
    } while (pf_broadcast_next(&walk));
    return PF_OK;
}

static pf_matrix matrix_of(const operand *o, int64_t batch)
{
    return (pf_matrix){ o->t, batch * o->rows * o->columns, o->rows, o->columns, o->transposed };
}

static pf_status multiply_floats(const operand *a, const operand *b, const pairs *p, pf_tensor *y, pf_err *err)
{
    pf_matrix *left = pf_calloc(2 * (size_t)p->count + 1, sizeof *left), *right = left + p->count;
    pf_status  st = left ? PF_OK : PF_FAIL_MEMORY(err, 2 * (size_t)p->count * sizeof *left);

    for (int64_t i = 0; i < p->count && !st; i++) {
        left[i] = matrix_of(a, p->a[i]);
        right[i] = matrix_of(b, p->b[i]);
    }
    if (!st)
        st = pf_matrices_multiply(left, right, p->count, y, err);
    pf_free(left);
    return st;
}

/* A matrix of each operand and of the output, in doubles; which of them are held. */
typedef struct job { double *a, *b, *y; int64_t held_a, held_b; } job;

static void multiply_shifted_one(job *j, const operand *a, const operand *b, const pairs *p, int64_t n,
                                 const pf_reference_call *call)
{
    pf_tensor *y = &call->out[0];
    int64_t    size = a->rows * b->columns;

    if (p->a[n] != j->held_a) {
        read_matrix(a, p->a[n], j->a);
        shift(j->a, a, call->in_count > 2 ? &call->in[2] : NULL, true, p->a[n]);
        j->held_a = p->a[n];
    }
    if (p->b[n] != j->held_b) {
        read_matrix(b, p->b[n], j->b);
        shift(j->b, b, call->in_count > 3 ? &call->in[3] : NULL, false, p->b[n]);
        j->held_b = p->b[n];
    }
    memset(j->y, 0, (size_t)size * sizeof *j->y);
    pf_product(a->rows, b->columns, a->columns, j->a, a->columns, j->b, b->columns, j->y, b->columns);
    pf_rows_write(y->dtype, y->data, n * size, size, j->y);
}

/* 8-bit integers less their zero points: exact in doubles. */
static pf_status multiply_shifted(const operand *a, const operand *b, const pairs *p, const pf_reference_call *call,
                                  pf_err *err)
{
    job       j = { pf_rows_new(a->rows * a->columns), pf_rows_new(b->rows * b->columns),
                    pf_rows_new(a->rows * b->columns), -1, -1 };
    pf_status st = j.a && j.b && j.y ? PF_OK : PF_FAIL_MEMORY(err, call->in[1].bytes * 2);

    for (int64_t n = 0; n < p->count && !st; n++)
        multiply_shifted_one(&j, a, b, p, n, call);
    pf_free(j.a);
    pf_free(j.b);
    pf_free(j.y);
    return st;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_matmul_attrs *attrs = call->attrs;
    operand                a = operand_of(&call->in[0], attrs->trans_a, true),
                           b = operand_of(&call->in[1], attrs->trans_b, false);
    pairs                  p = { 0 };
    pf_status              st = PF_OK;

    if (a.columns != b.rows)
        return PF_FAIL(err, PF_INVALID, "%lld columns against %lld rows", (long long)a.columns, (long long)b.rows);
    st = list_pairs(&a, &b, &p, err);
    if (!st && call->def != &pf_op_matmul)
        st = multiply_shifted(&a, &b, &p, call, err);
    else if (!st && !pf_dtype_is_integer(call->in[0].dtype))
        st = multiply_floats(&a, &b, &p, &call->out[0], err);
    else
        for (int64_t n = 0; n < p.count && !st; n++)
            product_i64(&a, &b, p.a[n], p.b[n], &call->out[0], n * a.rows * b.columns);
    pairs_clear(&p);
    return st;
}

const pf_op_def pf_op_matmul = {
    .name = "matmul", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_matmul_attrs), .attr_fields = fields, .infer = infer_matmul, .reference = reference,
};
const pf_op_def pf_op_matmul_integer = {
    .name = "matmul_integer", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 4, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_matmul_attrs), .attr_fields = fields, .infer = infer_integer, .reference = reference,
};
