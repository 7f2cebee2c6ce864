#include "kernels/cpu_isa.h"
PF_KERNEL_MATH

#include "kernels/cpu_reduce.h"

#include "kernels/cpu_math.h"

enum { LANES = 16, WIDTH = 256 };

#define KEEP(x)         (x)
#define SQUARE(x)       ((x) * (x))
#define ADD(a, b)       ((a) + (b))
#define MULTIPLY(a, b)  ((a) * (b))
#define GREATER(a, b)   ((a) > (b) || (a) != (a) ? (a) : (b))     /* NaN stays */
#define LESSER(a, b)    ((a) < (b) || (a) != (a) ? (a) : (b))

/* Contiguous elements to one: LANES running results, joined at the end.  Long sums are cut into parts, so that their error grows with the
   number of parts and of their elements instead of the product. */
#define ROW(name, first, take, join)                                                    \
    PF_INLINE float name##_part(const float *x, int64_t n)                              \
    {                                                                                   \
        float   lanes[LANES], out = first;                                              \
        int64_t i = 0;                                                                  \
        for (int k = 0; k < LANES; k++)                                                 \
            lanes[k] = first;                                                           \
        for (; i + LANES <= n; i += LANES)                                              \
            for (int k = 0; k < LANES; k++)                                             \
                lanes[k] = join(lanes[k], take(x[i + k]));                              \
        for (; i < n; i++)                                                              \
            out = join(out, take(x[i]));                                                \
        for (int k = 0; k < LANES; k++)                                                 \
            out = join(out, lanes[k]);                                                  \
        return out;                                                                     \
    }                                                                                   \
    PF_INLINE float name##_row(const float *x, int64_t n)                               \
    {                                                                                   \
        float out = first;                                                              \
        for (int64_t i = 0; i < n; i += 4096)                                           \
            out = join(out, name##_part(x + i, n - i < 4096 ? n - i : 4096));           \
        return out;                                                                     \
    }                                                                                   \
    /* columns: each element of y on its own, some registers' width at a time */       \
    PF_INLINE void name##_columns(const float *x, int64_t reduced, int64_t inner, int64_t step, float *y)   \
    {                                                                                   \
        for (int64_t from = 0; from < inner; from += WIDTH) {                           \
            int64_t count = inner - from < WIDTH ? inner - from : WIDTH;                \
            float   lanes[WIDTH];                                                       \
            for (int64_t k = 0; k < count; k++)                                         \
                lanes[k] = first;                                                       \
            for (int64_t r = 0; r < reduced; r++)                                       \
                for (int64_t k = 0; k < count; k++)                                     \
                    lanes[k] = join(lanes[k], take(x[r * step + from + k]));            \
            for (int64_t k = 0; k < count; k++)                                         \
                y[from + k] = lanes[k];                                                 \
        }                                                                               \
    }                                                                                   \
    PF_INLINE void name##_body(const float *x, int64_t reduced, int64_t inner, int64_t step, float *y)      \
    {                                                                                   \
        if (inner == 1 && step == 1)                                                    \
            y[0] = name##_row(x, reduced);                                              \
        else                                                                            \
            name##_columns(x, reduced, inner, step, y);                                 \
    }                                                                                   \
    PF_ISA_VARIANTS(void, name, (const float *x, int64_t reduced, int64_t inner, int64_t step, float *y), (x, reduced, inner, step, y))

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
PF_ISA_VARIANTS(void, reduce_exp, (const float *x, int64_t reduced, int64_t inner, int64_t step, float *y), (x, reduced, inner, step, y))

void pf_reduce_run(pf_isa isa, pf_reduce_kind kind, const float *x, int64_t reduced, int64_t inner, int64_t step, float *y)
{
    static void (*const *const kinds[PF_REDUCE_KIND_COUNT])(const float *, int64_t, int64_t, int64_t, float *) = {
        [PF_REDUCE_KIND_SUM] = reduce_sum_table, [PF_REDUCE_KIND_MAX] = reduce_max_table, [PF_REDUCE_KIND_MIN] = reduce_min_table,
        [PF_REDUCE_KIND_PROD] = reduce_prod_table, [PF_REDUCE_KIND_ABS] = reduce_abs_table, [PF_REDUCE_KIND_SQUARE] = reduce_square_table,
        [PF_REDUCE_KIND_LOG_SUM_EXP] = reduce_exp_table,
    };

    kinds[kind][isa](x, reduced, inner, step, y);
}
