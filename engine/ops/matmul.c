/* matmul and matmul_integer: NumPy's rules, transposition of the last two dims by attribute. */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/infer.h"
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

                sum += (uint64_t)pf_dtype_get_i64(a->t->dtype, a->t->data, (uint64_t)(batch_a * a->rows * a->columns + ia)) *
                       (uint64_t)pf_dtype_get_i64(b->t->dtype, b->t->data, (uint64_t)(batch_b * b->rows * b->columns + ib));
            }
            pf_dtype_set_i64(y->dtype, y->data, (uint64_t)(at + i * b->columns + j), (int64_t)sum);
        }
}

typedef struct job { operand a, b; double *ma, *mb, *my; int64_t held_a, held_b; } job;   /* which matrices ma and mb hold */

static void run_one(job *j, pf_reference_call *call, int64_t batch_a, int64_t batch_b, int64_t n)
{
    int64_t    size = j->a.rows * j->b.columns;
    pf_tensor *y = &call->out[0];

    if (pf_dtype_is_integer(call->in[0].dtype) && call->def == &pf_op_matmul) {
        product_i64(&j->a, &j->b, batch_a, batch_b, y, n * size);
        return;
    }
    if (batch_a != j->held_a) {
        read_matrix(&j->a, batch_a, j->ma);
        shift(j->ma, &j->a, call->in_count > 2 ? &call->in[2] : NULL, true, batch_a);
        j->held_a = batch_a;
    }
    if (batch_b != j->held_b) {
        read_matrix(&j->b, batch_b, j->mb);
        shift(j->mb, &j->b, call->in_count > 3 ? &call->in[3] : NULL, false, batch_b);
        j->held_b = batch_b;
    }
    memset(j->my, 0, (size_t)size * sizeof *j->my);
    pf_product(j->a.rows, j->b.columns, j->a.columns, j->ma, j->a.columns, j->mb, j->b.columns, j->my, j->b.columns);
    pf_rows_write(y->dtype, y->data, n * size, size, j->my);
}

static pf_status run_all(job *j, pf_reference_call *call, pf_err *err)
{
    pf_tensor        batches[2] = { j->a.batch, j->b.batch };
    const pf_tensor *list[2] = { &batches[0], &batches[1] };
    pf_broadcast     walk = { 0 };
    int32_t          rank = 0;
    int64_t          dim[PF_MAX_RANK] = { 0 }, n = 0;
    pf_status        st = pf_broadcast_dims(batches, 2, &rank, dim, err);

    if (!st)
        st = pf_broadcast_begin(&walk, rank, dim, list, 2, err);
    if (st || !pf_broadcast_any(&walk) || j->a.rows == 0 || j->b.columns == 0)
        return st;
    do {
        int32_t last = walk.rank - 1;

        for (int64_t i = 0; i < walk.dim[last]; i++)
            run_one(j, call, walk.at[0] + i * walk.stride[0][last], walk.at[1] + i * walk.stride[1][last], n++);
    } while (pf_broadcast_next(&walk));
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_matmul_attrs *attrs = call->attrs;
    job                    j = { .held_a = -1, .held_b = -1 };
    pf_status              st = PF_OK;

    j.a = operand_of(&call->in[0], attrs->trans_a, true);
    j.b = operand_of(&call->in[1], attrs->trans_b, false);
    if (j.a.columns != j.b.rows)
        return PF_FAIL(err, PF_INVALID, "%lld columns against %lld rows", (long long)j.a.columns, (long long)j.b.rows);
    j.ma = pf_rows_new(j.a.rows * j.a.columns);
    j.mb = pf_rows_new(j.b.rows * j.b.columns);
    j.my = pf_rows_new(j.a.rows * j.b.columns);
    if (!j.ma || !j.mb || !j.my)
        st = PF_FAIL_MEMORY(err, call->in[1].bytes * 2);
    else
        st = run_all(&j, call, err);
    pf_free(j.ma);
    pf_free(j.mb);
    pf_free(j.my);
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
