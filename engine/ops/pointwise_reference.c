#include <string.h>

#include "engine/ops/attrs.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/move.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/rows.h"

enum { CHUNK = 512 };

typedef struct evaluation {
    const pf_pointwise_row *row;
    pf_reference_call      *call;
    pf_broadcast            walk;       /* operands, then the output */
    void                  (*chunk)(struct evaluation *e, int64_t from, int64_t count);
} evaluation;

static void chunk_f64(evaluation *e, int64_t from, int64_t count)
{
    double                    buffer[4][CHUNK];
    const pf_pointwise_attrs *attrs = e->call->attrs;
    uint32_t                  last = e->walk.rank - 1, n = e->row->inputs;
    pf_pointwise_f64          run = { buffer[3], buffer[0], buffer[1], buffer[2], attrs->p, attrs->q, count };

    for (uint32_t i = 0; i < n; i++)
        pf_rows_read(e->call->in[i].dtype, e->call->in[i].data, e->walk.at[i] + from * e->walk.stride[i][last],
                     e->walk.stride[i][last], count, buffer[i]);
    e->row->f64(&run);
    pf_rows_write(e->call->out[0].dtype, e->call->out[0].data, e->walk.at[n] + from, count, buffer[3]);
}

static void power_i64(const pf_pointwise_i64 *run)
{
    for (int64_t k = 0; k < run->count; k++) {
        uint64_t base = (uint64_t)run->a[k], power = 1;
        int64_t  exponent = run->b[k];

        if (exponent < 0)
            power = run->a[k] == 1 ? 1 : run->a[k] == -1 ? (exponent % 2 ? (uint64_t)-1 : 1) : 0;
        for (; exponent > 0; exponent >>= 1, base *= base)
            power *= exponent & 1 ? base : 1;
        run->out[k] = (int64_t)power;
    }
}

static void chunk_i64(evaluation *e, int64_t from, int64_t count)
{
    int64_t          buffer[4][CHUNK];
    uint32_t         last = e->walk.rank - 1, n = e->row->inputs;
    pf_pointwise_i64 run = { buffer[3], buffer[0], buffer[1], buffer[2], count };
    bool             wide = e->call->in[n - 1].dtype == PF_U64;

    for (uint32_t i = 0; i < n; i++)
        pf_rows_read_i64(e->call->in[i].dtype, e->call->in[i].data, e->walk.at[i] + from * e->walk.stride[i][last],
                         e->walk.stride[i][last], count, buffer[i]);
    (e->row->rule == PF_RULE_POW ? power_i64 : wide ? e->row->u64 : e->row->i64)(&run);
    pf_rows_write_i64(e->call->out[0].dtype, e->call->out[0].data, e->walk.at[n] + from, count, buffer[3]);
}

/* Types that are neither floats nor integers (strings, complex): only equal and where know them. */
static pf_status other_row(evaluation *e, pf_err *err)
{
    uint32_t   last = e->walk.rank - 1, n = e->row->inputs;
    pf_tensor *in = (pf_tensor *)e->call->in, *out = &e->call->out[0];
    pf_status  st = PF_OK;

    for (int64_t k = 0; k < e->walk.dim[last] && !st; k++) {
        int64_t at[4] = { 0 };

        for (uint32_t i = 0; i <= n; i++)
            at[i] = e->walk.at[i] + k * e->walk.stride[i][last];
        if (e->row->rule == PF_RULE_WHERE) {
            uint32_t from = pf_dtype_get_i64(PF_BOOL, in[0].data, (uint64_t)at[0]) ? 1 : 2;

            st = pf_move_run(out->dtype, out->data, at[3], 1, in[from].data, at[from], 1, 1, err);
        } else if (in[0].dtype == PF_STRING && strcmp(e->row->name, "equal") == 0) {
            const char *a = ((char **)in[0].data)[at[0]], *b = ((char **)in[1].data)[at[1]];

            ((uint8_t *)out->data)[at[2]] = strcmp(a ? a : "", b ? b : "") == 0;
        } else {
            st = PF_FAIL(err, PF_UNSUPPORTED, "%s of %s is not computed", e->row->name, pf_dtype_name(in[0].dtype));
        }
    }
    return st;
}

/* By integers when all operands that carry numbers are integers or bools; by doubles when one is a float. */
static void choose(evaluation *e)
{
    bool other = false, integral = true;

    for (uint32_t i = e->row->rule == PF_RULE_WHERE; i < e->row->inputs; i++) {
        pf_dtype d = e->call->in[i].dtype;

        other = other || !(pf_dtype_is_whole(d) || pf_dtype_is_float(d));
        integral = integral && pf_dtype_is_whole(d);
    }
    e->chunk = other ? NULL : integral ? chunk_i64 : chunk_f64;
}

static pf_status run_others(evaluation *e, pf_err *err)
{
    pf_status st = PF_OK;

    do
        st = other_row(e, err);
    while (!st && pf_broadcast_next(&e->walk));
    return st;
}

/* Rows from first to end, in chunks. */
static void run_rows(const evaluation *whole, int64_t first, int64_t end)
{
    evaluation e = *whole;
    int64_t    count = e.walk.dim[e.walk.rank - 1];

    pf_broadcast_seek(&e.walk, first);
    for (int64_t row = first; row < end; row++, pf_broadcast_next(&e.walk))
        for (int64_t from = 0; from < count; from += CHUNK)
            e.chunk(&e, from, count - from < CHUNK ? count - from : CHUNK);
}

/* Shared out among threads: some rows each, or parts of the only one.  Elements of less than a byte share bytes, which
   one thread writes. */
static void run_all(evaluation *e)
{
    int64_t count = e->walk.dim[e->walk.rank - 1], rows = pf_broadcast_rows(&e->walk),
            part = PF_ROWS_ALONE / 4 / count + 1;
    bool    shared = rows * count > PF_ROWS_ALONE && pf_dtype_bits(e->call->out[0].dtype) >= 8;

    if (rows == 1) {
#pragma omp parallel for schedule(static) if (shared)
        for (int64_t from = 0; from < count; from += CHUNK)
            e->chunk(e, from, count - from < CHUNK ? count - from : CHUNK);
        return;
    }
#pragma omp parallel for schedule(static) if (shared)
    for (int64_t first = 0; first < rows; first += part)
        run_rows(e, first, first + part < rows ? first + part : rows);
}

pf_status pf_pointwise_reference(const pf_pointwise_row *row, pf_reference_call *call, pf_err *err)
{
    evaluation       e = { .row = row, .call = call };
    const pf_tensor *operand[4] = { &call->in[0], &call->in[1], &call->in[2], NULL };
    int32_t          rank = 0;
    int64_t          dim[PF_MAX_RANK] = { 0 };
    pf_status        st = pf_broadcast_dims(call->in, row->inputs, &rank, dim, err);

    if (!st)
        st = pf_rows_size(&call->out[0], rank, dim, err);
    if (st)
        return st;
    operand[row->inputs] = &call->out[0];
    st = pf_broadcast_begin(&e.walk, rank, dim, operand, row->inputs + 1, err);
    if (st || !pf_broadcast_any(&e.walk))
        return st;
    choose(&e);
    if (!e.chunk)
        return run_others(&e, err);
    run_all(&e);
    return PF_OK;
}
