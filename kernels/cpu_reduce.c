#include "kernels/cpu_isa.h"
PF_KERNEL_MATH

#include "kernels/cpu_reduce.h"

#include "kernels/cpu_math.h"

enum {
    LANES = 16,
    STRIP = 64,         /* columns at a time: four registers of 16 */
    BLOCK = 16,         /* columns of a block of channels, whose rows follow one another */
    PART = 32,          /* rows that are summed up as floats */
};

#define KEEP(x)         (x)
#define SQUARE(x)       ((x) * (x))
#define ADD(a, b)       ((a) + (b))
#define MULTIPLY(a, b)  ((a) * (b))
#define GREATER(a, b)   ((a) > (b) || (a) != (a) ? (a) : (b))     /* NaN stays */
#define LESSER(a, b)    ((a) < (b) || (a) != (a) ? (a) : (b))

/* Contiguous elements to one: LANES running results, joined at the end.  Long sums are cut into parts, which are added
   up as doubles, so that their error is that of one part. */
#define ROW(name, first, take, join) \
    PF_INLINE float name##_part(const float *x, int64_t n) \
    { \
        float lanes[LANES], out = first; \
        int64_t i = 0; \
        for (int k = 0; k < LANES; k++) \
            lanes[k] = first; \
        for (; i + LANES <= n; i += LANES) \
            for (int k = 0; k < LANES; k++) \
                lanes[k] = join(lanes[k], take(x[i + k])); \
        for (; i < n; i++) \
            out = join(out, take(x[i])); \
        for (int k = 0; k < LANES; k++) \
            out = join(out, lanes[k]); \
        return out; \
    } \
    PF_INLINE float name##_row(const float *x, int64_t n) \
    { \
        double out = (double)first; \
        for (int64_t i = 0; i < n; i += LANES * PART) \
            out = join(out, (double)name##_part(x + i, n - i < LANES * PART ? n - i : LANES * PART)); \
        return (float)out; \
    } \
    /* columns: each element of y on its own.  STRIP running results stay in registers: of STRIP columns, or of \
       STRIP / BLOCK rows of a block of channels, which are joined at the end.  As in rows, parts keep the error of \
       long sums small. */ \
    PF_INLINE void name##_strip(const float *x, int64_t rows, int64_t step, const int width, double *y) \
    { \
        for (int64_t r = 0; r < rows; r += PART) { \
            float lanes[STRIP]; \
            for (int k = 0; k < width; k++) \
                lanes[k] = first; \
            for (int64_t i = r; i < rows && i < r + PART; i++) \
                for (int k = 0; k < width; k++) \
                    lanes[k] = join(lanes[k], take(x[i * step + k])); \
            for (int k = 0; k < width; k++) \
                y[k] = r ? join(y[k], (double)lanes[k]) : (double)lanes[k]; \
        } \
    } \
    PF_INLINE void name##_block(const float *x, int64_t reduced, float *y) \
    { \
        double strip[STRIP]; \
        int64_t whole = reduced / (STRIP / BLOCK) * (STRIP / BLOCK); \
        for (int k = 0; k < STRIP; k++) \
            strip[k] = first; \
        name##_strip(x, reduced / (STRIP / BLOCK), STRIP, STRIP, strip); \
        for (int64_t i = whole; i < reduced; i++) \
            for (int k = 0; k < BLOCK; k++) \
                strip[k] = join(strip[k], (double)take(x[i * BLOCK + k])); \
        for (int k = 0; k < BLOCK; k++) \
            y[k] = (float)join(join(strip[k], strip[BLOCK + k]), join(strip[2 * BLOCK + k], strip[3 * BLOCK + k])); \
    } \
    PF_INLINE void name##_few(const float *x, int64_t reduced, int64_t count, int64_t step, double *y) \
    { \
        for (int64_t r = 0; r < reduced; r += PART) { \
            float lanes[STRIP]; \
            for (int64_t k = 0; k < count; k++) \
                lanes[k] = first; \
            for (int64_t i = r; i < reduced && i < r + PART; i++) \
                for (int64_t k = 0; k < count; k++) \
                    lanes[k] = join(lanes[k], take(x[i * step + k])); \
            for (int64_t k = 0; k < count; k++) \
                y[k] = r ? join(y[k], (double)lanes[k]) : (double)lanes[k]; \
        } \
    } \
    PF_INLINE void name##_columns(const float *x, int64_t reduced, int64_t inner, int64_t step, float *y) \
    { \
        if (inner == BLOCK && step == BLOCK) { \
            name##_block(x, reduced, y); \
            return; \
        } \
        for (int64_t from = 0, count = 0; from < inner; from += count) { \
            double total[STRIP] = {0}; \
            int64_t left = inner - from; \
            count = left >= STRIP ? STRIP : left >= BLOCK ? BLOCK : left; \
            if (count == STRIP) \
                name##_strip(x + from, reduced, step, STRIP, total); \
            else if (count == BLOCK) \
                name##_strip(x + from, reduced, step, BLOCK, total); \
            else \
                name##_few(x + from, reduced, count, step, total); \
            for (int64_t k = 0; k < count; k++) \
                y[from + k] = reduced ? (float)total[k] : first; \
        } \
    } \
    PF_INLINE void name##_body(const float *x, int64_t reduced, int64_t inner, int64_t step, float *y) \
    { \
        if (inner == 1 && step == 1) \
            y[0] = name##_row(x, reduced); \
        else \
            name##_columns(x, reduced, inner, step, y); \
    } \
    PF_ISA_VARIANTS(void, name, (const float *x, int64_t reduced, int64_t inner, int64_t step, float *y), \
                    (x, reduced, inner, step, y))

ROW(reduce_sum, 0.0f, KEEP, ADD)
ROW(reduce_max, -INFINITY, KEEP, GREATER)
ROW(reduce_min, INFINITY, KEEP, LESSER)
ROW(reduce_prod, 1.0f, KEEP, MULTIPLY)
ROW(reduce_abs, 0.0f, fabsf, ADD)
ROW(reduce_square, 0.0f, SQUARE, ADD)

PF_INLINE void reduce_exp_body(const float *x, int64_t reduced, int64_t inner, int64_t step, float *y)
{
    reduce_max_columns(x, reduced, inner, step, y);
    for (int64_t k = 0; k < inner; k++) {
        float most = y[k], sum = 0;

        for (int64_t r = 0; r < reduced; r++)
            sum += pf_math_exp(x[r * step + k] - most);
        y[k] = isfinite(most) ? most + pf_math_log(sum) : most;
    }
}
PF_ISA_VARIANTS(void, reduce_exp, (const float *x, int64_t reduced, int64_t inner, int64_t step, float *y),
                (x, reduced, inner, step, y))

void pf_reduce_run(pf_isa isa, pf_reduce_kind kind, const float *x, int64_t reduced, int64_t inner, int64_t step,
                   float *y)
{
    static void (*const *const kinds[PF_REDUCE_KIND_COUNT])(const float *, int64_t, int64_t, int64_t, float *) = {
        [PF_REDUCE_KIND_SUM] = reduce_sum_table, [PF_REDUCE_KIND_MAX] = reduce_max_table,
        [PF_REDUCE_KIND_MIN] = reduce_min_table,
        [PF_REDUCE_KIND_PROD] = reduce_prod_table, [PF_REDUCE_KIND_ABS] = reduce_abs_table,
        [PF_REDUCE_KIND_SQUARE] = reduce_square_table, [PF_REDUCE_KIND_LOG_SUM_EXP] = reduce_exp_table,
    };

    kinds[kind][isa](x, reduced, inner, step, y);
}
