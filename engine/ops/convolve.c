#include "engine/ops/convolve.h"

#include "base/alloc.h"
#include "engine/ops/product.h"
#include "engine/ops/rows.h"

pf_status pf_convolve_infer(pf_infer *infer, pf_dtype dtype, pf_err *err)
{
    const pf_conv_attrs *a = infer->node->attrs;
    pf_sliding_attrs     window = { &a->strides, &a->dilations, &a->pads, a->auto_pad, false };
    const pf_value      *x = pf_infer_in(infer, 0), *w = pf_infer_in(infer, 1);
    pf_dims             *dims = infer->graph->dims;
    pf_status            st = pf_infer_rank(infer, 0, 3, PF_MAX_RANK, err);
    pf_shape             out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 1, 3, PF_MAX_RANK, err);
    if (!st && x->shape.rank != w->shape.rank)
        st = PF_FAIL(err, PF_INVALID, "input has rank %d but weights have %d", x->shape.rank, w->shape.rank);
    if (!st)
        st = pf_sliding_check(&window, x->shape.rank - 2, err);
    if (!st && a->groups < 1)
        st = PF_FAIL(err, PF_INVALID, "groups is %lld", (long long)a->groups);
    if (!st)
        st = pf_infer_dims_agree(infer, x->shape.dim[1], pf_dim_mul(dims, w->shape.dim[1], a->groups),
                                 "channels of input and weights", err);
    if (!st && pf_dim_is_number(w->shape.dim[0]) && w->shape.dim[0] % a->groups)
        st = PF_FAIL(err, PF_INVALID, "%lld outputs do not divide into %lld groups", (long long)w->shape.dim[0],
                     (long long)a->groups);
    if (st)
        return st;
    out = x->shape;
    out.dim[1] = w->shape.dim[0];
    for (int32_t d = 2; d < out.rank; d++)
        out.dim[d] = pf_sliding_out(dims, &window, d - 2, out.rank - 2, x->shape.dim[d], w->shape.dim[d]);
    pf_infer_set(infer, 0, dtype, &out);
    return pf_infer_check_out(infer, err);
}

/* ---- Parts that threads take.  How it is cut does not hang on their number, nor does a sum's order on the cut. */

enum {
    DEPTH = 256,                        /* rows unfolded at a time */
    POSITIONS = 504, MOST_POSITIONS = 1 << 13,          /* of an image; more where one channel meets one */
    MOST_ROWS = 512, FEW_ROWS = 32, FEW_PARTS = 64,     /* outputs of a group; fewer where there would be few parts */
    TURN = 1 << 18,                     /* multiplications that a thread takes at once */
    LEAST_WORK = 1 << 16,
};

typedef struct cutting { int64_t positions, blocks, rows, row_parts, parts; } cutting;

/* What one thread works in. */
typedef struct room { double *plane, *matrix, *y; int64_t channel, first; } room;

typedef struct part { int64_t image, group, row, rows, from, count; } part;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t rows_of(const pf_convolution *c) { return c->outputs / c->groups; }
static int64_t channels_of(const pf_convolution *c) { return c->channels / c->groups; }
static bool    is_depthwise(const pf_convolution *c) { return rows_of(c) == 1 && channels_of(c) == 1; }

static cutting cut_up(const pf_convolution *c)
{
    int64_t columns = c->s.out_elems, rows = rows_of(c), images = c->x->dim[0] * c->groups;
    cutting out = { .positions = least(columns, is_depthwise(c) ? MOST_POSITIONS : POSITIONS) };

    if (columns < 1 || rows < 1)
        return out;
    out.blocks = (columns + out.positions - 1) / out.positions;
    out.rows = least(rows, MOST_ROWS);
    while (out.rows > FEW_ROWS && images * out.blocks * ((rows + out.rows - 1) / out.rows) < FEW_PARTS)
        out.rows = (out.rows + 1) / 2;
    out.row_parts = (rows + out.rows - 1) / out.rows;
    out.parts = images * out.blocks * out.row_parts;
    return out;
}

static part part_at(const pf_convolution *c, const cutting *cut, int64_t number)
{
    int64_t block = number % cut->blocks, row_part = number / cut->blocks % cut->row_parts,
            image = number / cut->blocks / cut->row_parts;
    part    p = { .image = image / c->groups, .group = image % c->groups, .row = row_part * cut->rows,
                  .from = block * cut->positions };

    p.rows = least(rows_of(c) - p.row, cut->rows);
    p.count = least(c->s.out_elems - p.from, cut->positions);
    return p;
}

/* Elements of a channel that a part needs, at most. */
static int64_t most_span(const pf_convolution *c, const cutting *cut)
{
    int64_t most = 0;

    for (int64_t block = 0; block < cut->blocks; block++) {
        int64_t first = 0, end = 0, from = block * cut->positions;

        pf_sliding_span(&c->s, from, least(c->s.out_elems - from, cut->positions), &first, &end);
        most = end - first > most ? end - first : most;
    }
    return most;
}

static void room_clear(room *r)
{
    pf_free(r->plane);
    pf_free(r->matrix);
    pf_free(r->y);
}

static bool room_init(room *r, const pf_convolution *c, const cutting *cut)
{
    int64_t depth = is_depthwise(c) ? 0 : least(channels_of(c) * c->s.kernel_elems, DEPTH);

    r->plane = pf_rows_new(most_span(c, cut));
    r->matrix = pf_rows_new(depth * cut->positions);
    r->y = pf_rows_new(cut->rows * cut->positions);
    return r->plane && r->matrix && r->y;
}

/* The part's elements of a channel of its group. */
static void read_channel(const pf_convolution *c, const part *p, int64_t channel, room *r)
{
    int64_t end = 0, at = (p->image * c->channels + p->group * channels_of(c) + channel) * c->s.in_elems;

    pf_sliding_span(&c->s, p->from, p->count, &r->first, &end);
    pf_rows_read(c->x->dtype, c->x->data, at + r->first, 1, end - r->first, r->plane);
    for (int64_t i = 0; i < end - r->first && c->x_zero != 0; i++)
        r->plane[i] -= c->x_zero;
    r->channel = channel;
}

static void unfold(const pf_convolution *c, const part *p, int64_t row, room *r, double *out)
{
    int64_t channel = row / c->s.kernel_elems;

    if (channel != r->channel)
        read_channel(c, p, channel, r);
    pf_sliding_unfold(&c->s, r->plane, r->first, row % c->s.kernel_elems, p->from, p->count, out);
}

static void multiply(const pf_convolution *c, const part *p, room *r)
{
    const int64_t k = channels_of(c) * c->s.kernel_elems;
    const double *w = c->w + (p->group * rows_of(c) + p->row) * k;

    for (int64_t from = 0; from < k; from += DEPTH) {
        int64_t depth = least(k - from, DEPTH);

        for (int64_t i = 0; i < depth; i++)
            unfold(c, p, from + i, r, r->matrix + i * p->count);
        (c->floats ? pf_product_of_floats : pf_product)(p->rows, p->count, depth, w + from, k, r->matrix, p->count,
                                                        r->y, p->count);
    }
}

static void add_taps(const pf_convolution *c, const part *p, room *r)
{
    const int64_t k = c->s.kernel_elems;

    read_channel(c, p, 0, r);
    for (int64_t tap = 0; tap < k; tap++)
        pf_sliding_add(&c->s, r->plane, r->first, tap, c->w[p->group * k + tap], p->from, p->count, r->y);
}

static void run_part(const pf_convolution *c, const part *p, room *r)
{
    int64_t output = p->group * rows_of(c) + p->row;

    for (int64_t row = 0; row < p->rows; row++)
        for (int64_t i = 0; i < p->count; i++)
            r->y[row * p->count + i] = c->bias ? c->bias[output + row] : 0;
    r->channel = -1;
    (is_depthwise(c) ? add_taps : multiply)(c, p, r);
    for (int64_t row = 0; row < p->rows; row++)
        pf_rows_write(c->y->dtype, c->y->data, (p->image * c->outputs + output + row) * c->s.out_elems + p->from,
                      p->count, r->y + row * p->count);
}

pf_status pf_convolve(const pf_convolution *conv, pf_err *err)
{
    const cutting cut = cut_up(conv);
    int64_t   work = cut.rows * cut.positions * channels_of(conv) * conv->s.kernel_elems,
              turn = work > 0 && work < TURN ? TURN / work : 1;
    bool      failed = false;

#pragma omp parallel if (cut.parts > turn && cut.parts * work > LEAST_WORK)
    {
        room own = { 0 };
        bool ready = room_init(&own, conv, &cut);

        if (!ready) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic, turn)
        for (int64_t i = 0; i < cut.parts; i++) {
            part p = part_at(conv, &cut, i);

            if (ready)
                run_part(conv, &p, &own);
        }
        room_clear(&own);
    }
    return failed ? PF_FAIL_MEMORY(err, (uint64_t)((cut.rows + DEPTH) * cut.positions) * sizeof(double)) : PF_OK;
}
