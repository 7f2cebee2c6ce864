#include "kernels/cpu_copy.h"

#include <omp.h>
#include <stdbool.h>
#include <string.h>

enum { TILE = 16, SERIAL_BYTES = 64 << 10, PART_BYTES = 32 << 10 };

typedef struct item16 { uint64_t half[2]; } item16;

/* ---- Putting the loops in order */
static void swap_dims(pf_copy *c, int32_t a, int32_t b)
{
    int64_t dim = c->dim[a], in = c->in_stride[a], out = c->out_stride[a];

    c->dim[a] = c->dim[b], c->in_stride[a] = c->in_stride[b], c->out_stride[a] = c->out_stride[b];
    c->dim[b] = dim, c->in_stride[b] = in, c->out_stride[b] = out;
}

static void drop_dim(pf_copy *c, int32_t at)
{
    c->rank--;
    for (int32_t i = at; i < c->rank; i++)
        c->dim[i] = c->dim[i + 1], c->in_stride[i] = c->in_stride[i + 1], c->out_stride[i] = c->out_stride[i + 1];
}

void pf_copy_normalize(pf_copy *c)
{
    for (int32_t i = c->rank; i-- > 0;)
        if (c->dim[i] == 1)
            drop_dim(c, i);
    for (int32_t i = 1; i < c->rank; i++)  /* few dims: insertion; results are never stepped through backwards */
        for (int32_t j = i; j > 0 && c->out_stride[j - 1] < c->out_stride[j]; j--)
            swap_dims(c, j - 1, j);
    for (int32_t i = c->rank - 1; i-- > 0;)
        if (c->in_stride[i] == c->in_stride[i + 1] * c->dim[i + 1] &&
            c->out_stride[i] == c->out_stride[i + 1] * c->dim[i + 1]) {
            c->dim[i + 1] *= c->dim[i];
            drop_dim(c, i);
        }
}

/* ---- The innermost loops, by size of item */
/* A square of 4 by 4 words that turns in registers: rows of the result are columns of the source, both contiguous
   inside. */
typedef uint32_t word4 __attribute__((vector_size(16)));

static inline word4 load4(const uint32_t *from)
{
    word4 x;

    memcpy(&x, from, sizeof x);
    return x;
}

static inline void turn_square(const uint32_t *from, int64_t in_column, uint32_t *to, int64_t out_row)
{
    word4 a = load4(from), b = load4(from + in_column), c = load4(from + 2 * in_column),
          d = load4(from + 3 * in_column);
    word4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    word4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    word4 rows[4] = {
        __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5), __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
        __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5), __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7),
    };

    for (int i = 0; i < 4; i++)
        memcpy(to + i * out_row, &rows[i], sizeof rows[i]);
}

static void turn_tile(const uint32_t *from, int64_t in_column, uint32_t *to, int64_t out_row)
{
    for (int64_t i = 0; i < TILE; i += 4)
        for (int64_t j = 0; j < TILE; j += 4)
            turn_square(from + i + j * in_column, in_column, to + i * out_row + j, out_row);
}

#define ROW_AND_TILE(type) \
    static void row_##type(const void *in, void *out, int64_t count, int64_t in_step, int64_t out_step) \
    { \
        const type *from = in; \
        type       *to = out; \
        if (in_step == 1 && out_step == 1) { \
            memcpy(to, from, (size_t)count * sizeof *to); \
            return; \
        } \
        if (in_step == 0 && out_step == 1) { \
            const type value = *from; \
            for (int64_t i = 0; i < count; i++) \
                to[i] = value; \
            return; \
        } \
        for (int64_t i = 0; i < count; i++) \
            to[i * out_step] = from[i * in_step]; \
    } \
    /* rows of the result are columns of the source: small squares, so that both sides stay in the cache */ \
    static void tiles_##type(const void *in, void *out, int64_t rows, int64_t columns, int64_t in_row, \
                             int64_t in_column, int64_t out_row) \
    { \
        for (int64_t r = 0; r < rows; r += TILE) \
            for (int64_t c = 0; c < columns; c += TILE) { \
                int64_t     height = rows - r < TILE ? rows - r : TILE; \
                int64_t     width = columns - c < TILE ? columns - c : TILE; \
                const type *from = (const type *)in + r * in_row + c * in_column; \
                type       *to = (type *)out + r * out_row + c; \
                if (sizeof(type) == 4 && height == TILE && width == TILE && in_row == 1) { \
                    turn_tile((const uint32_t *)(const void *)from, in_column, (uint32_t *)(void *)to, out_row); \
                    continue; \
                } \
                for (int64_t i = 0; i < height; i++) \
                    for (int64_t j = 0; j < width; j++) \
                        to[i * out_row + j] = from[i * in_row + j * in_column]; \
            } \
    }
ROW_AND_TILE(uint8_t)
ROW_AND_TILE(uint16_t)
ROW_AND_TILE(uint32_t)
ROW_AND_TILE(uint64_t)
ROW_AND_TILE(item16)

typedef struct inner {
    size_t bytes;
    void (*row)(const void *in, void *out, int64_t count, int64_t in_step, int64_t out_step);
    void (*tiles)(const void *in, void *out, int64_t rows, int64_t columns, int64_t in_row, int64_t in_column,
                  int64_t out_row);
} inner;

static const inner inners[] = {
    { 1, row_uint8_t, tiles_uint8_t }, { 2, row_uint16_t, tiles_uint16_t }, { 4, row_uint32_t, tiles_uint32_t },
    { 8, row_uint64_t, tiles_uint64_t }, { 16, row_item16, tiles_item16 },
};

static const inner *inner_of(size_t bytes)
{
    const inner *found = inners;

    while (found->bytes != bytes)
        found++;
    return found;
}

/* ---- The outer loops */
/* Moves dim `at` next to the innermost one. */
static void bring_down(pf_copy *c, int32_t at)
{
    for (; at + 2 < c->rank && at + 2 < PF_COPY_RANK; at++)
        swap_dims(c, at, at + 1);
}

/* The dim along which the source is contiguous while the result is so along the last: a transposition.  -1: none. */
static int32_t transposed_dim(const pf_copy *c)
{
    if (c->rank < 2 || c->out_stride[c->rank - 1] != 1 || c->in_stride[c->rank - 1] == 1 ||
        c->in_stride[c->rank - 1] == 0)
        return -1;
    for (int32_t i = 0; i < c->rank - 1; i++)
        if (c->in_stride[i] == 1 && c->dim[i] >= 4)
            return i;
    return -1;
}

typedef struct job {
    pf_copy      copy;
    const inner *kind;
    bool         transposes;
    /* the last outer dim (rows of a transposition, else the innermost) is cut into parts of this many */
    int64_t      part, parts;
    int64_t      outer;                 /* iterations of all dims before it */
    const char  *in;
    char        *out;
} job;

static int32_t split_dim(const job *j) { return j->copy.rank - (j->transposes ? 2 : 1); }

static void run_part(const job *j, int64_t number)
{
    const pf_copy *c = &j->copy;
    int32_t        split = split_dim(j), last = c->rank - 1;
    int64_t        from = number % j->parts * j->part, rest = number / j->parts;
    int64_t        count = c->dim[split] - from < j->part ? c->dim[split] - from : j->part;
    int64_t        in = c->in_at + from * c->in_stride[split], out = c->out_at + from * c->out_stride[split];

    for (int32_t d = split - 1; d >= 0; d--) {
        in += rest % c->dim[d] * c->in_stride[d];
        out += rest % c->dim[d] * c->out_stride[d];
        rest /= c->dim[d];
    }
    const char *source = j->in + in * (int64_t)j->kind->bytes;
    char       *result = j->out + out * (int64_t)j->kind->bytes;

    if (j->transposes)
        j->kind->tiles(source, result, count, c->dim[last], c->in_stride[split], c->in_stride[last],
                       c->out_stride[split]);
    else
        j->kind->row(source, result, count, c->in_stride[last], c->out_stride[last]);
}

static void run_range(const job *j, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        run_part(j, i);
}

static void cut(job *j)
{
    const pf_copy *c = &j->copy;
    int32_t        split = split_dim(j);
    int64_t        row_bytes = (int64_t)j->kind->bytes * (j->transposes ? c->dim[c->rank - 1] : 1);

    j->outer = 1;
    for (int32_t d = 0; d < split; d++)
        j->outer *= c->dim[d];
    j->part = row_bytes > 0 && PART_BYTES / row_bytes > TILE ? PART_BYTES / row_bytes / TILE * TILE : TILE;
    if (j->part > c->dim[split])
        j->part = c->dim[split] > 0 ? c->dim[split] : 1;
    j->parts = (c->dim[split] + j->part - 1) / j->part;
}

void pf_copy_run(const pf_copy *copy, size_t item_bytes, const void *in, void *out, int32_t threads)
{
    job     j;
    int64_t total = 0;
    int32_t transposed = -1;

    memset(&j, 0, sizeof j);
    j.copy = *copy;
    j.kind = inner_of(item_bytes);
    j.in = in;
    j.out = out;
    if (j.copy.rank == 0) {
        j.copy.rank = 1;
        j.copy.dim[0] = j.copy.in_stride[0] = j.copy.out_stride[0] = 1;
    }
    transposed = transposed_dim(&j.copy);
    if (transposed >= 0) {
        bring_down(&j.copy, transposed);
        j.transposes = true;
    }
    cut(&j);
    total = j.outer * j.parts;
    if (threads <= 1 || total < 2 ||
        total * j.part * (j.transposes ? j.copy.dim[j.copy.rank - 1] : 1) * (int64_t)item_bytes < SERIAL_BYTES) {
        run_range(&j, 0, total);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        int64_t me = omp_get_thread_num(), all = omp_get_num_threads();

        run_range(&j, total * me / all, total * (me + 1) / all);
    }
}

void pf_copy_fill(void *out, const void *value, size_t item_bytes, int64_t count, int32_t threads)
{
    pf_copy fill = { .rank = 1, .dim = { count }, .in_stride = { 0 }, .out_stride = { 1 } };

    pf_copy_run(&fill, item_bytes, value, out, threads);
}
