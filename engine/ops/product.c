#include "engine/ops/product.h"

enum { ROWS = 4, COLUMNS = 8, DEPTH = 256 };

/* AVX2 where the machine has it. Without FMA: contraction would change the last bit from machine to machine. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("default", "avx2")))
#else
#define WIDE
#endif

enum { LANES = 4 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(8)));

#define LOAD(from) (*(const lanes *)(from))
#define STORE(to, from) (*(lanes *)(to) = (from))

/* ROWS x COLUMNS sums in registers. */
WIDE static void tile(int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c, int64_t ldc)
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

static void edge(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c, int64_t ldc)
{
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < k; i++) {
            const double x = a[r * lda + i];

            for (int64_t j = 0; j < n; j++)
                c[r * ldc + j] += x * b[i * ldb + j];
        }
}

static void panel(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c, int64_t ldc)
{
    int64_t r = 0;

    for (; r + ROWS <= m; r += ROWS) {
        int64_t j = 0;

        for (; j + COLUMNS <= n; j += COLUMNS)
            tile(k, a + r * lda, lda, b + j, ldb, c + r * ldc + j, ldc);
        if (j < n)
            edge(ROWS, n - j, k, a + r * lda, lda, b + j, ldb, c + r * ldc + j, ldc);
    }
    if (r < m)
        edge(m - r, n, k, a + r * lda, lda, b, ldb, c + r * ldc, ldc);
}

/* Rows are shared out among threads; every element is still summed in one order, so the result does not depend on their number. */
void pf_product(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c, int64_t ldc)
{
    enum { WIDTH = 256, CHUNK = 8 * ROWS, LEAST_WORK = 1 << 22 };   /* a block of b of DEPTH x WIDTH doubles stays in the second-level cache */
    const int64_t chunks = (m + CHUNK - 1) / CHUNK;

#pragma omp parallel for schedule(static) if (chunks > 1 && (double)m * (double)n * (double)k > LEAST_WORK)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t first = chunk * CHUNK, rows = m - first < CHUNK ? m - first : CHUNK;

        for (int64_t j = 0; j < n; j += WIDTH)
            for (int64_t i = 0; i < k; i += DEPTH)
                panel(rows, n - j < WIDTH ? n - j : WIDTH, k - i < DEPTH ? k - i : DEPTH, a + first * lda + i, lda, b + i * ldb + j, ldb,
                      c + first * ldc + j, ldc);
    }
}
