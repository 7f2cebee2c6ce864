#include "engine/ops/product.h"

#include <stdbool.h>
#include <string.h>

#include "kernels/cpu_isa.h"

enum { ROWS = 4, COLUMNS = 8, DEPTH = 256, MOST_ROWS = 8, MOST_COLUMNS = 16 };

enum { LANES = 4 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(8)));

#define LOAD(from) (*(const lanes *)(from))
#define STORE(to, from) (*(lanes *)(to) = (from))

/* ROWS x COLUMNS sums in registers. */
PF_INLINE void tile_body(int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c, int64_t ldc)
{
    const double *a1 = a + lda, *a2 = a1 + lda, *a3 = a2 + lda;
    double       *c1 = c + ldc, *c2 = c1 + ldc, *c3 = c2 + ldc;
    lanes         s00 = LOAD(c), s01 = LOAD(c + LANES), s10 = LOAD(c1), s11 = LOAD(c1 + LANES);
    lanes         s20 = LOAD(c2), s21 = LOAD(c2 + LANES), s30 = LOAD(c3), s31 = LOAD(c3 + LANES);

    for (int64_t i = 0; i < k; i++, b += ldb) {
        const lanes b0 = LOAD(b), b1 = LOAD(b + LANES);

        s00 += a[i] * b0, s01 += a[i] * b1;
        s10 += a1[i] * b0, s11 += a1[i] * b1;
        s20 += a2[i] * b0, s21 += a2[i] * b1;
        s30 += a3[i] * b0, s31 += a3[i] * b1;
    }
    STORE(c, s00), STORE(c + LANES, s01), STORE(c1, s10), STORE(c1 + LANES, s11);
    STORE(c2, s20), STORE(c2 + LANES, s21), STORE(c3, s30), STORE(c3 + LANES, s31);
}

PF_WIDE static void tile(int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c, int64_t ldc)
{
    tile_body(k, a, lda, b, ldb, c, ldc);
}

#if defined(__x86_64__)
PF_TARGET_AVX2 static void tile_fused(int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                                      int64_t ldc)
{
    tile_body(k, a, lda, b, ldb, c, ldc);
}

enum { ROWS512 = 8, LANES512 = 8 };
typedef double lanes512 __attribute__((vector_size(LANES512 * sizeof(double)), aligned(8)));

#define LOAD512(from) (*(const lanes512 *)(from))

/* 8 x 16 sums in registers.  Not for AddressSanitizer: its stack of returned frames aligns them to 32 bytes, the
   compiler believes 64. */
__attribute__((no_sanitize("address"))) PF_TARGET_AVX512 static void tile_512(int64_t k, const double *a, int64_t lda,
                                                                              const double *b, int64_t ldb, double *c,
                                                                              int64_t ldc)
{
    lanes512 s[ROWS512][2];

    for (int r = 0; r < ROWS512; r++)
        s[r][0] = LOAD512(c + r * ldc), s[r][1] = LOAD512(c + r * ldc + LANES512);
    for (int64_t i = 0; i < k; i++, b += ldb) {
        const lanes512 b0 = LOAD512(b), b1 = LOAD512(b + LANES512);

#pragma GCC unroll 8
        for (int r = 0; r < ROWS512; r++)
            s[r][0] += a[r * lda + i] * b0, s[r][1] += a[r * lda + i] * b1;
    }
    for (int r = 0; r < ROWS512; r++)
        *(lanes512 *)(c + r * ldc) = s[r][0], *(lanes512 *)(c + r * ldc + LANES512) = s[r][1];
}
#endif

PF_WIDE static void edge(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb,
                         double *c, int64_t ldc)
{
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < k; i++) {
            const double x = a[r * lda + i];

            for (int64_t j = 0; j < n; j++)
                c[r * ldc + j] += x * b[i * ldb + j];
        }
}

/* How a tile is computed, and its size. */
typedef struct tile_shape {
    int64_t rows, columns;
    void  (*run)(int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c, int64_t ldc);
} tile_shape;

/* The tile's columns of b one row behind the other, zeros beyond n of them: read by every tile of rows, they lie
   together. */
static void pack(const tile_shape *t, int64_t n, int64_t k, const double *b, int64_t ldb, double *out)
{
    for (int64_t i = 0; i < k; i++) {
        double       *to = out + i * t->columns;
        const double *from = b + i * ldb;

        for (int64_t j = 0; j < n; j++)
            to[j] = from[j];
        for (int64_t j = n; j < t->columns; j++)
            to[j] = 0;
    }
}

/* A part of a tile, in a whole one of its own: what is beyond the part is zero.  b is packed. */
static void part_of_tile(const tile_shape *t, int64_t m, int64_t n, int64_t k, const double *a, int64_t lda,
                         const double *b, double *c, int64_t ldc)
{
    double own_a[MOST_ROWS * DEPTH], own_c[MOST_ROWS * MOST_COLUMNS] = { 0 };

    for (int64_t r = 0; r < t->rows && m < t->rows; r++)
        for (int64_t i = 0; i < k; i++)
            own_a[r * DEPTH + i] = r < m ? a[r * lda + i] : 0;
    for (int64_t r = 0; r < m; r++)
        memcpy(own_c + r * MOST_COLUMNS, c + r * ldc, (size_t)n * sizeof *c);
    t->run(k, m < t->rows ? own_a : a, m < t->rows ? DEPTH : lda, b, t->columns, own_c, MOST_COLUMNS);
    for (int64_t r = 0; r < m; r++)
        memcpy(c + r * ldc, own_c + r * MOST_COLUMNS, (size_t)n * sizeof *c);
}

/* Columns in the outer loop: their slice of b stays in the first-level cache for all rows.  A few rows alone are not
   worth a tile, some more not packing. */
static void panel(const tile_shape *t, int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b,
                  int64_t ldb, double *c, int64_t ldc)
{
    enum { FEW = 2, SOME = 32 };
    const int64_t rows = m % t->rows <= FEW ? m / t->rows * t->rows : m;
    double        packed[DEPTH * MOST_COLUMNS] __attribute__((aligned(64)));

    for (int64_t j = 0; j < n && rows; j += t->columns) {
        const int64_t columns = n - j < t->columns ? n - j : t->columns;
        const bool    is_packed = rows > SOME || columns < t->columns || rows % t->rows;

        if (is_packed)
            pack(t, columns, k, b + j, ldb, packed);
        for (int64_t r = 0; r < rows; r += t->rows)
            if (columns == t->columns && r + t->rows <= rows)
                t->run(k, a + r * lda, lda, is_packed ? packed : b + j, is_packed ? t->columns : ldb, c + r * ldc + j,
                       ldc);
            else
                part_of_tile(t, rows - r < t->rows ? rows - r : t->rows, columns, k, a + r * lda, lda, packed,
                             c + r * ldc + j, ldc);
    }
    edge(m - rows, n, k, a + rows * lda, lda, b, ldb, c + rows * ldc, ldc);
}

/* A block of b of DEPTH x WIDTH doubles stays in the second-level cache. */
enum { WIDTH = 256, CHUNK = 8 * ROWS, LEAST_WORK = 1 << 22 };

static void rows_of(const tile_shape *t, int64_t rows, int64_t n, int64_t k, const double *a, int64_t lda,
                    const double *b, int64_t ldb, double *c, int64_t ldc)
{
    for (int64_t j = 0; j < n; j += WIDTH)
        for (int64_t i = 0; i < k; i += DEPTH)
            panel(t, rows, n - j < WIDTH ? n - j : WIDTH, k - i < DEPTH ? k - i : DEPTH, a + i, lda, b + i * ldb + j,
                  ldb, c + j, ldc);
}

static const tile_shape plain = { ROWS, COLUMNS, tile };

/* Rows are shared out among threads; every element is still summed in one order, so the result does not depend on their
   number. */
void pf_product(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                int64_t ldc)
{
    const int64_t chunks = (m + CHUNK - 1) / CHUNK;

#pragma omp parallel for schedule(static) if (chunks > 1 && (double)m * (double)n * (double)k > LEAST_WORK)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t first = chunk * CHUNK, rows = m - first < CHUNK ? m - first : CHUNK;

        rows_of(&plain, rows, n, k, a + first * lda, lda, b, ldb, c + first * ldc, ldc);
    }
}

static const tile_shape *fastest(void)
{
#if defined(__x86_64__)
    static const tile_shape fused = { ROWS, COLUMNS, tile_fused }, fused512 = { ROWS512, 2 * LANES512, tile_512 };

    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq"))
        return &fused512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))        /* and F16C, which came before FMA */
        return &fused;
#endif
    return &plain;
}

void pf_product_of_floats(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb,
                          double *c, int64_t ldc)
{
    rows_of(fastest(), m, n, k, a, lda, b, ldb, c, ldc);
}
