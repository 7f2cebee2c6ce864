#include "engine/ops/move.h"

#include <string.h>

#include "base/alloc.h"

typedef struct run { void *out; int64_t out_at, out_step; const void *in; int64_t in_at, in_step, count; } run;

#define MOVE_TYPE(bits, type) \
    static pf_status move_##bits(const run *r, pf_err *err) \
    { \
        type       *out = (type *)r->out + r->out_at; \
        const type *in = (const type *)r->in + r->in_at; \
        (void)err; \
        if (r->in_step == 1 && r->out_step == 1) { \
            memcpy(out, in, (size_t)r->count * sizeof *out); \
            return PF_OK; \
        } \
        for (int64_t i = 0; i < r->count; i++) \
            out[i * r->out_step] = in[i * r->in_step]; \
        return PF_OK; \
    }
typedef struct wide { uint64_t half[2]; } wide;
MOVE_TYPE(8, uint8_t)
MOVE_TYPE(16, uint16_t)
MOVE_TYPE(32, uint32_t)
MOVE_TYPE(64, uint64_t)
MOVE_TYPE(128, wide)

static pf_status move_packed(const run *r, pf_dtype bits_as)
{
    for (int64_t i = 0; i < r->count; i++)
        pf_dtype_set_i64(bits_as, r->out, (uint64_t)(r->out_at + i * r->out_step),
                         pf_dtype_get_i64(bits_as, r->in, (uint64_t)(r->in_at + i * r->in_step)));
    return PF_OK;
}

static pf_status move_4(const run *r, pf_err *err) { (void)err; return move_packed(r, PF_U4); }
static pf_status move_2(const run *r, pf_err *err) { (void)err; return move_packed(r, PF_U2); }

static pf_status move_strings(const run *r, pf_err *err)
{
    char             **out = (char **)r->out + r->out_at;
    const char *const *in = (const char *const *)r->in + r->in_at;

    for (int64_t i = 0; i < r->count; i++) {
        const char *text = in[i * r->in_step];
        char       *copy = pf_strdup(text ? text : "");

        if (!copy)
            return PF_FAIL_MEMORY(err, 1);
        pf_free(out[i * r->out_step]);
        out[i * r->out_step] = copy;
    }
    return PF_OK;
}

static const struct { uint32_t bits; pf_status (*move)(const run *r, pf_err *err); } movers[] = {
    { 2, move_2 }, { 4, move_4 }, { 8, move_8 }, { 16, move_16 }, { 32, move_32 }, { 64, move_64 }, { 128, move_128 },
};

static pf_status move_run(pf_dtype dtype, const run *r, pf_err *err)
{
    uint32_t bits = pf_dtype_bits(dtype);

    if (dtype == PF_STRING)
        return move_strings(r, err);
    for (size_t i = 0; i < sizeof movers / sizeof *movers; i++)
        if (movers[i].bits == bits)
            return movers[i].move(r, err);
    return PF_FAIL(err, PF_INTERNAL, "elements of %u bits cannot be moved", bits);
}

pf_status pf_move_run(pf_dtype dtype, void *out, int64_t out_at, int64_t out_step, const void *in, int64_t in_at,
                      int64_t in_step, int64_t count, pf_err *err)
{
    run r = { out, out_at, out_step, in, in_at, in_step, count };

    return move_run(dtype, &r, err);
}

/* Where an odometer over dim[0..rank-1) stands. */
typedef struct place { int64_t index[PF_MAX_RANK], in_at, out_at; } place;

static void go_to(const pf_move *m, int64_t row, place *p)
{
    *p = (place){ .in_at = m->in_at, .out_at = m->out_at };
    for (int32_t d = m->rank - 2; d >= 0; d--) {
        p->index[d] = row % m->dim[d];
        row /= m->dim[d];
        p->in_at += p->index[d] * m->in_stride[d];
        p->out_at += p->index[d] * m->out_stride[d];
    }
}

static void advance(const pf_move *m, place *p)
{
    for (int32_t d = m->rank - 2; d >= 0; d--) {
        p->in_at += m->in_stride[d];
        p->out_at += m->out_stride[d];
        if (++p->index[d] < m->dim[d])
            return;
        p->in_at -= p->index[d] * m->in_stride[d];
        p->out_at -= p->index[d] * m->out_stride[d];
        p->index[d] = 0;
    }
}

static pf_status move_rows(pf_dtype dtype, const pf_move *move, const void *in, void *out, int64_t first, int64_t end,
                           pf_err *err)
{
    int32_t   last = move->rank - 1;
    place     p = { 0 };
    pf_status st = PF_OK;

    go_to(move, first, &p);
    for (int64_t row = first; row < end && !st; row++, advance(move, &p))
        st = pf_move_run(dtype, out, p.out_at, last < 0 ? 1 : move->out_stride[last], in, p.in_at,
                         last < 0 ? 1 : move->in_stride[last], last < 0 ? 1 : move->dim[last], err);
    return st;
}

/* Do no two elements land on one place? */
static bool is_apart(const pf_move *m)
{
    for (int32_t d = 0; d < m->rank; d++)
        if (m->dim[d] > 1 && m->out_stride[d] == 0)
            return false;
    return true;
}

/* Numbers of whole bytes are shared out among threads: moving them cannot fail. */
pf_status pf_move_all(pf_dtype dtype, const pf_move *move, const void *in, void *out, pf_err *err)
{
    enum { ALONE = 1 << 16 };
    int64_t rows = 1, count = move->rank > 0 ? move->dim[move->rank - 1] : 1, part = 0;

    for (int32_t d = 0; d < move->rank; d++)
        if (move->dim[d] <= 0)
            return PF_OK;
    for (int32_t d = 0; d < move->rank - 1; d++)
        rows *= move->dim[d];
    if (rows * count <= ALONE || dtype == PF_STRING || pf_dtype_bits(dtype) < 8 || !is_apart(move))
        return move_rows(dtype, move, in, out, 0, rows, err);
    part = ALONE / 4 / count + 1;
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < rows; first += part)
        move_rows(dtype, move, in, out, first, first + part < rows ? first + part : rows, NULL);
    return PF_OK;
}

pf_status pf_move_whole(const pf_tensor *in, pf_tensor *out, pf_err *err)
{
    enum { PART = 1 << 16 };
    int64_t   count = pf_tensor_elems(in), parts = count / PART;
    pf_move   move = { .rank = 2, .dim = { parts, PART }, .in_stride = { PART, 1 }, .out_stride = { PART, 1 } };
    pf_status st = pf_move_all(in->dtype, &move, in->data, out->data, err);

    if (!st && count > parts * PART)
        st = pf_move_run(in->dtype, out->data, parts * PART, 1, in->data, parts * PART, 1, count - parts * PART, err);
    return st;
}

pf_status pf_index_read(const pf_tensor *indices, int64_t i, int64_t size, int64_t *out, pf_err *err)
{
    int64_t k = pf_dtype_get_i64(indices->dtype, indices->data, (uint64_t)i);

    *out = k < 0 ? k + size : k;
    if (*out < 0 || *out >= size)
        return PF_FAIL(err, PF_INVALID, "index %lld is outside of %lld elements", (long long)k, (long long)size);
    return PF_OK;
}
