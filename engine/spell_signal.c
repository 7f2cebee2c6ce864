/* Fourier transforms as products with their tables, and windows that overlap as sums of what lies side by side. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/divisor.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/ops/fourier.h"
#include "engine/spell.h"

enum { TABLE_MOST = 1 << 22,    /* elements: 16 MiB */
       PARTS_MOST = 16,         /* of a frame */
       SHIFTS_MOST = 64, WINDOW_DIMS = 2 };

/* ---- Transforms */

/* A transform of n points, of which `size` come in and `bins` go out, each as `from` and `to` numbers: real parts and
   imaginary ones. */
typedef struct transform {
    int64_t n, size, bins, from, to;
    bool    inverse, halved;    /* halved: half a spectrum comes in, which its other half mirrors */
} transform;

/* What element i of the input adds to bin k, by parts. */
static double share(const transform *t, const pf_complex *table, int64_t i, int64_t from, int64_t k, int64_t to)
{
    pf_complex turn = table[i * k % t->n];
    double     scale = t->inverse ? 1.0 / (double)t->n : 1, sine = t->inverse ? turn.im : -turn.im;

    if (i >= t->n || (t->halved && i > t->n / 2))
        return 0;
    if (t->halved && i != 0 && 2 * i != t->n)
        scale *= 2;
    if (from == to)
        return scale * turn.re;
    return scale * (to ? sine : -sine);
}

/* Of size * from rows and bins * to columns; NULL: out of memory. */
static float *table_of(pf_arena *arena, const transform *t)
{
    int64_t     columns = t->bins * t->to;
    float      *matrix = pf_arena_alloc(arena, (size_t)(t->size * t->from * columns) * sizeof *matrix);
    pf_complex *table = pf_arena_alloc(arena, (size_t)t->n * sizeof *table);

    if (!matrix || !table)
        return NULL;
    pf_fourier_table(t->n, table);
    for (int64_t row = 0; row < t->size * t->from; row++)
        for (int64_t column = 0; column < columns; column++)
            matrix[row * columns + column] = (float)share(t, table, row / t->from, row % t->from, column / t->to,
                                                          column % t->to);
    return matrix;
}

static bool is_small(const transform *t)
{
    return t->n >= 1 && t->size >= 1 && t->bins >= 1 && t->size <= TABLE_MOST && t->bins <= TABLE_MOST &&
           t->size * t->from <= TABLE_MOST / (t->bins * t->to);
}

static pf_value_id matrix_of(pf_speller *s, const transform *t)
{
    const pf_shape shape = { .rank = 2, .dim = { t->size * t->from, t->bins * t->to } };
    float         *data = s->status ? NULL : table_of(s->graph->arena, t);
    pf_value_id    out = PF_NONE;

    if (s->status)
        return PF_NONE;
    if (!data)
        s->status = PF_FAIL(s->err, PF_NO_SPACE, "a transform of %lld points", (long long)t->n);
    else
        s->status = pf_graph_add_constant(s->graph, s->name, PF_F32, &shape, data,
                                          (size_t)(shape.dim[0] * shape.dim[1]) * sizeof *data, &out, s->err);
    return s->status ? PF_NONE : out;
}

/* Turns dim `axis` and the last but one round: they swap places. */
static pf_value_id swapped(pf_speller *s, pf_value_id x, int64_t axis)
{
    int32_t rank = pf_spell_shape(s, x)->rank;
    int64_t perm[PF_MAX_RANK];

    for (int32_t d = 0; d < rank; d++)
        perm[d] = d == axis ? rank - 2 : d == rank - 2 ? axis : d;
    return axis == rank - 2 ? x : pf_spell_transpose(s, x, perm);
}

void pf_spell_dft(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_dft_attrs *a = node->attrs;
    const pf_shape      x = *pf_spell_shape(s, node->in[0]), y = s->graph->values[node->out[0]].shape;
    pf_dtype            dtype = pf_spell_dtype(s, node->in[0]);
    int32_t             last = x.rank - 1;
    transform           t = { .inverse = a->inverse != 0, .halved = a->inverse && a->onesided };
    pf_shape            lines = { .rank = last };
    pf_value_id         z = PF_NONE;

    if (!pf_dim_is_number(x.dim[a->axis]) || !pf_dim_is_number(y.dim[a->axis]) || dtype == PF_F64)
        return;
    t.size = x.dim[a->axis];
    t.bins = y.dim[a->axis];
    t.from = x.dim[last];
    t.to = y.dim[last];
    t.n = a->onesided && !a->inverse ? a->length.count ? a->length.at[0] : t.size : t.bins;
    if (!is_small(&t))
        return;
    z = swapped(s, pf_spell_cast(s, node->in[0], PF_F32), a->axis);
    memcpy(lines.dim, pf_spell_shape(s, z)->dim, sizeof lines.dim);
    lines.dim[last - 1] = t.size * t.from;
    z = pf_spell_binary(s, PF_OP_MATMUL, pf_spell_reshape(s, z, last, lines.dim), matrix_of(s, &t));
    lines.dim[last - 1] = t.bins;
    lines.dim[last] = t.to;
    z = swapped(s, pf_spell_reshape(s, z, last + 1, lines.dim), a->axis);
    out[0] = pf_spell_cast(s, z, dtype);
}

/* [N,length,parts] as [N,frames,frame * parts]: each frame is made of neighbouring pieces, and the same piece of all
   frames lies at even distances. PF_NONE: too many pieces. */
static pf_value_id frames_of(pf_speller *s, pf_value_id x, const pf_stft_attrs *a, int64_t frames)
{
    const pf_shape shape = *pf_spell_shape(s, x);
    int64_t        piece = pf_common_divisor(a->frame_step, a->frame_length), pieces = a->frame_length / piece;
    int64_t        step = a->frame_step / piece, count = (frames - 1) * step + pieces;
    pf_axis_attrs  beside = { .axis = 2 };
    pf_value_id    parts[PARTS_MOST];

    if (pieces > PARTS_MOST)
        return PF_NONE;
    x = pf_spell_slice(s, x, 1, 0, count * piece);
    x = pf_spell_reshape(s, x, 3, (pf_dim[]){ shape.dim[0], count, piece * shape.dim[2] });
    for (int64_t i = 0; i < pieces; i++) {
        pf_slice_attrs slice = { .axes = { 1, { 1 } }, .starts = { 1, { i } },
                                 .ends = { 1, { i + (frames - 1) * step + 1 } }, .steps = { 1, { step } } };

        parts[i] = pf_spell_node(s, PF_OP_SLICE, &x, 1, &slice);
    }
    return pieces == 1 ? parts[0] : pf_spell_node(s, PF_OP_CONCAT, parts, (uint32_t)pieces, &beside);
}

void pf_spell_stft(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_stft_attrs *a = node->attrs;
    const pf_shape       x = *pf_spell_shape(s, node->in[0]), y = s->graph->values[node->out[0]].shape;
    pf_dtype             dtype = pf_spell_dtype(s, node->in[0]);
    transform            t = { .n = a->frame_length, .size = a->frame_length, .from = x.dim[2], .to = 2 };
    pf_value_id          z = PF_NONE, matrix = PF_NONE, window = PF_NONE;

    if (!pf_dim_is_number(x.dim[1]) || !pf_dim_is_number(y.dim[1]) || y.dim[1] < 1 || dtype == PF_F64)
        return;
    t.bins = y.dim[2];
    if (!is_small(&t))
        return;
    z = frames_of(s, pf_spell_cast(s, node->in[0], PF_F32), a, y.dim[1]);
    if (z == PF_NONE)
        return;
    matrix = matrix_of(s, &t);
    if (pf_spell_has(node, 1)) {
        window = pf_spell_reshape(s, pf_spell_cast(s, node->in[1], PF_F32), 3, (pf_dim[]){ t.n, 1, 1 });
        matrix = pf_spell_reshape(s, matrix, 3, (pf_dim[]){ t.n, t.from, t.bins * t.to });
        matrix = pf_spell_reshape(s, pf_spell_binary(s, PF_OP_MUL, matrix, window), 2,
                                  (pf_dim[]){ t.n * t.from, t.bins * t.to });
    }
    z = pf_spell_reshape(s, pf_spell_binary(s, PF_OP_MATMUL, z, matrix), 4, y.dim);
    out[0] = pf_spell_cast(s, z, dtype);
}

/* ---- Windows that overlap */

/* One spatial dim of an image that windows are added up in: the window is cut into pieces as long as a stride, and the
   same piece of all windows lies side by side. */
typedef struct overlap {
    int64_t image, windows, block, stride, dilation, begin;
    int64_t pieces;
} overlap;

static bool overlap_of(const pf_col2im_attrs *a, int32_t d, overlap *out)
{
    int32_t dims = a->image.count;
    int64_t end = a->pads.count ? a->pads.at[d + dims] : 0;

    *out = (overlap){ .image = a->image.at[d], .block = a->block.at[d],
                      .stride = a->strides.count ? a->strides.at[d] : 1,
                      .dilation = a->dilations.count ? a->dilations.at[d] : 1,
                      .begin = a->pads.count ? a->pads.at[d] : 0 };
    if (!pf_dim_is_number(out->image) || (out->stride != 1 && out->dilation != 1))
        return false;
    out->windows = (out->image + out->begin + end - (out->block - 1) * out->dilation - 1) / out->stride + 1;
    out->pieces = (out->block + out->stride - 1) / out->stride;
    return out->windows > 0;
}

/* Piece (p, q) of all windows, [N,C,block,block,windows,windows] as an image. */
static pf_value_id shifted(pf_speller *s, pf_value_id x, const overlap *o, const int64_t *piece)
{
    const pf_shape shape = *pf_spell_shape(s, x);
    pf_pad_attrs   pad = { .mode = PF_PAD_CONSTANT, .pads = { 8, { 0 } } };
    pf_dim         dim[4] = { shape.dim[0], shape.dim[1] };

    for (int32_t d = 0; d < WINDOW_DIMS; d++) {
        int64_t begin = piece[d] * o[d].stride * o[d].dilation - o[d].begin, size = o[d].windows * o[d].stride;

        x = pf_spell_slice(s, x, 2 + d, piece[d] * o[d].stride, (piece[d] + 1) * o[d].stride);
        dim[2 + d] = size;
        pad.pads.at[2 + d] = begin;
        pad.pads.at[6 + d] = o[d].image - size - begin;
    }
    x = pf_spell_reshape(s, pf_spell_transpose(s, x, (int64_t[]){ 0, 1, 4, 2, 5, 3 }), 4, dim);
    return pf_spell_node(s, PF_OP_PAD, &x, 1, &pad);
}

void pf_spell_col2im(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_col2im_attrs *a = node->attrs;
    const pf_shape         y = s->graph->values[node->out[0]].shape;
    int32_t                dims = a->image.count;
    overlap                o[WINDOW_DIMS] = { { 1, 1, 1, 1, 1, 0, 1 }, { 1, 1, 1, 1, 1, 0, 1 } };
    pf_pad_attrs           fill = { .mode = PF_PAD_CONSTANT, .pads = { 12, { 0 } } };
    pf_value_id            x = PF_NONE, sum = PF_NONE;

    for (int32_t d = 0; d < dims; d++)
        if (dims > WINDOW_DIMS || !overlap_of(a, d, &o[WINDOW_DIMS - dims + d]))
            return;
    if (o[0].pieces * o[1].pieces > SHIFTS_MOST || !pf_dtype_is_float(pf_spell_dtype(s, node->in[0])))
        return;
    x = pf_spell_reshape(s, node->in[0], 6, (pf_dim[]){ y.dim[0], y.dim[1], o[0].block, o[1].block, o[0].windows,
                                                        o[1].windows });
    for (int32_t d = 0; d < WINDOW_DIMS; d++)
        fill.pads.at[8 + d] = o[d].pieces * o[d].stride - o[d].block;
    if (fill.pads.at[8] || fill.pads.at[9])
        x = pf_spell_node(s, PF_OP_PAD, &x, 1, &fill);
    for (int64_t i = 0; i < o[0].pieces * o[1].pieces; i++) {
        pf_value_id part = shifted(s, x, o, (int64_t[]){ i / o[1].pieces, i % o[1].pieces });

        sum = i ? pf_spell_binary(s, PF_OP_ADD, sum, part) : part;
    }
    out[0] = pf_spell_reshape(s, sum, y.rank, y.dim);
}
