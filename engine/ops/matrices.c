#include "engine/ops/matrices.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/ops/product.h"
#include "engine/ops/rows.h"

enum {
    ROWS = 128, COLUMNS = 256, DEPTH = 256,     /* of a block of a and of b: they stay in the second-level cache */
    MOST_ROWS = 512,                            /* that a block of b is converted for */
    FEW_ROWS = 32, FEW_BLOCKS = 64,             /* fewer where there would be fewer blocks */
    AHEAD = 4, LINE_BYTES = 64,                 /* rows are far apart: they are asked for some rows ahead */
    LINES = 8,                                  /* transposed together: a cache line of doubles */
    LEAST_WORK = 1 << 20,
};

typedef struct job {
    const pf_matrix *a, *b;
    pf_tensor       *y;
    int64_t          rows, columns, depth;      /* of the whole */
    int64_t          block_rows, row_blocks, column_blocks;
    void (*multiply)(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb,
                     double *c, int64_t ldc);
} job;

/* What one thread works in. */
typedef struct room { double a[ROWS * DEPTH], b[DEPTH * COLUMNS], y[MOST_ROWS * COLUMNS], lines[LINES * DEPTH]; } room;

/* Asks for elements that are read soon. */
static void expect(const pf_matrix *m, int64_t at, int64_t count)
{
    int64_t     bytes = pf_dtype_bits(m->tensor->dtype) / 8;
    const char *from = (const char *)m->tensor->data + (m->at + at) * bytes;

    for (int64_t i = 0; i < count * bytes; i += LINE_BYTES)
        __builtin_prefetch(from + i);
}

/* Lines of memory become columns. */
static void read_transposed(const pf_matrix *m, int64_t row, int64_t column, int64_t rows, int64_t columns,
                            double *lines, double *out, int64_t ld)
{
    for (int64_t c = 0; c < columns; c += LINES) {
        int64_t count = columns - c < LINES ? columns - c : LINES;

        for (int64_t i = 0; i < count; i++) {
            if (c + i + AHEAD < columns)
                expect(m, (column + c + i + AHEAD) * m->rows + row, rows);
            pf_rows_read(m->tensor->dtype, m->tensor->data, m->at + (column + c + i) * m->rows + row, 1, rows,
                         lines + i * DEPTH);
        }
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < count; i++)
                out[r * ld + c + i] = lines[i * DEPTH + r];
    }
}

static void read_block(const pf_matrix *m, int64_t row, int64_t column, int64_t rows, int64_t columns, double *lines,
                       double *out, int64_t ld)
{
    if (m->transposed) {
        read_transposed(m, row, column, rows, columns, lines, out, ld);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        if (r + AHEAD < rows)
            expect(m, (row + r + AHEAD) * m->columns + column, columns);
        pf_rows_read(m->tensor->dtype, m->tensor->data, m->at + (row + r) * m->columns + column, 1, columns,
                     out + r * ld);
    }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void run_block(const job *j, int64_t block, room *own)
{
    int64_t          column = block % j->column_blocks * COLUMNS,
                     row = block / j->column_blocks % j->row_blocks * j->block_rows;
    int64_t          which = block / j->column_blocks / j->row_blocks;
    int64_t          rows = least(j->rows - row, j->block_rows), columns = least(j->columns - column, COLUMNS);
    const pf_matrix *a = &j->a[which], *b = &j->b[which];

    for (int64_t r = 0; r < rows; r++)
        memset(own->y + r * COLUMNS, 0, (size_t)columns * sizeof *own->y);
    for (int64_t k = 0; k < j->depth; k += DEPTH) {
        int64_t depth = least(j->depth - k, DEPTH);

        read_block(b, k, column, depth, columns, own->lines, own->b, COLUMNS);
        for (int64_t r = 0; r < rows; r += ROWS) {
            read_block(a, row + r, k, least(rows - r, ROWS), depth, own->lines, own->a, DEPTH);
            j->multiply(least(rows - r, ROWS), columns, depth, own->a, DEPTH, own->b, COLUMNS, own->y + r * COLUMNS,
                        COLUMNS);
        }
    }
    for (int64_t r = 0; r < rows; r++)
        pf_rows_write(j->y->dtype, j->y->data, (which * j->rows + row + r) * j->columns + column, columns,
                      own->y + r * COLUMNS);
}

static void cut(job *j, int64_t count)
{
    j->column_blocks = (j->columns + COLUMNS - 1) / COLUMNS;
    j->block_rows = MOST_ROWS;
    while (j->block_rows > FEW_ROWS &&
           count * j->column_blocks * ((j->rows + j->block_rows - 1) / j->block_rows) < FEW_BLOCKS)
        j->block_rows /= 2;
    j->row_blocks = (j->rows + j->block_rows - 1) / j->block_rows;
}

/* Matrices that follow each other, all multiplied by one, are one tall matrix. */
static bool is_tall(const pf_matrix *a, const pf_matrix *b, int64_t count)
{
    for (int64_t i = 1; i < count; i++)
        if (a[i].transposed || b[i].at != b->at || a[i].at != a->at + i * a->rows * a->columns)
            return false;
    return count > 1;
}

/* Products of floats of 32 bits are exact in doubles. */
static bool has_floats(const pf_tensor *tensor)
{
    return pf_dtype_is_float(tensor->dtype) && pf_dtype_bits(tensor->dtype) <= 32;
}

pf_status pf_matrices_multiply(const pf_matrix *a, const pf_matrix *b, int64_t count, pf_tensor *y, pf_err *err)
{
    pf_matrix tall = { 0 };
    job       j = { .a = a, .b = b, .y = y };
    int64_t   blocks = 0;
    double    work = 0;
    bool      failed = false;

    if (!count || !a->rows || !b->columns)
        return PF_OK;
    if (is_tall(a, b, count)) {
        tall = *a;
        tall.rows *= count;
        j.a = a = &tall;
        count = 1;
    }
    j.rows = a->rows;
    j.columns = b->columns;
    j.depth = a->columns;
    j.multiply = has_floats(a->tensor) && has_floats(b->tensor) ? pf_product_of_floats : pf_product;
    cut(&j, count);
    blocks = count * j.row_blocks * j.column_blocks;
    work = (double)j.rows * (double)j.columns * (double)j.depth * (double)count;
#pragma omp parallel if (blocks > 1 && work > LEAST_WORK)
    {
        room *own = pf_alloc_aligned(64, sizeof *own);

        if (!own) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < blocks; i++)
            if (own)
                run_block(&j, i, own);
        pf_free(own);
    }
    return failed ? PF_FAIL_MEMORY(err, sizeof(room)) : PF_OK;
}
