#include "kernels/cpu_isa.h"
PF_KERNEL_MATH

#include "kernels/cpu_norm.h"

#include <math.h>

/* Sixteen running sums at once: the compiler makes them one, two or four registers. */
typedef float lanes __attribute__((vector_size(64), aligned(4)));
enum { LANES = 16 };

/* Written out, as an index that varies would put the lanes on the stack; AddressSanitizer's own stack is not aligned
   for 64 bytes. */
PF_INLINE float sum_of(lanes v)
{
    return (((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]))) +
           (((v[8] + v[9]) + (v[10] + v[11])) + ((v[12] + v[13]) + (v[14] + v[15])));
}

PF_INLINE float row_sum(const float *x, int64_t n)
{
    lanes   a = { 0 }, b = { 0 };
    float   rest = 0;
    int64_t i = 0;

    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        a += *(const lanes *)(x + i);
        b += *(const lanes *)(x + i + LANES);
    }
    for (; i < n; i++)
        rest += x[i];
    a += b;
    return sum_of(a) + rest;
}

/* Sum of (x - mean)^2. */
PF_INLINE float row_squares(const float *x, int64_t n, float mean)
{
    lanes   a = { 0 }, b = { 0 };
    float   rest = 0;
    int64_t i = 0;

    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        lanes u = *(const lanes *)(x + i) - mean, v = *(const lanes *)(x + i + LANES) - mean;

        a += u * u;
        b += v * v;
    }
    for (; i < n; i++)
        rest += (x[i] - mean) * (x[i] - mean);
    a += b;
    return sum_of(a) + rest;
}

PF_INLINE void norm_rows_body(const pf_norm_rows *run)
{
    for (int64_t r = 0; r < run->rows; r++) {
        const float *x = run->x + r * run->n, *scale = run->scale, *bias = run->bias;
        float       *y = run->y + r * run->n;
        float        mean = run->root ? 0.0f : row_sum(x, run->n) / (float)run->n;
        float        factor = 1.0f / sqrtf(row_squares(x, run->n, mean) / (float)run->n + run->epsilon);

        if (bias) {
            PF_INDEPENDENT
            for (int64_t i = 0; i < run->n; i++)
                y[i] = (x[i] - mean) * factor * scale[i] + bias[i];
        } else {
            PF_INDEPENDENT
            for (int64_t i = 0; i < run->n; i++)
                y[i] = (x[i] - mean) * factor * scale[i];
        }
    }
}

PF_ISA_VARIANTS(void, norm_rows, (const pf_norm_rows *run), (run))

void pf_norm_rows_run(pf_isa isa, const pf_norm_rows *run)
{
    norm_rows_table[isa](run);
}

/* Channels lie one behind the other: rows. */
PF_INLINE void group_of_rows(const pf_norm_group *run)
{
    float count = (float)(run->channels * run->n), mean = 0, factor = 0;

    for (int64_t c = 0; c < run->channels; c++)
        mean += row_sum(run->x + c * run->channel_step, run->n);
    mean /= count;
    for (int64_t c = 0; c < run->channels; c++)
        factor += row_squares(run->x + c * run->channel_step, run->n, mean);
    factor = 1.0f / sqrtf(factor / count + run->epsilon);
    for (int64_t c = 0; c < run->channels; c++) {
        const float *x = run->x + c * run->channel_step;
        float       *y = run->y + c * run->channel_step;
        float        scale = factor * run->scale[c], shift = run->bias[c] - mean * scale;

        PF_INDEPENDENT
        for (int64_t i = 0; i < run->n; i++)
            y[i] = x[i] * scale + shift;
    }
}

/* Channels lie beside each other: short rows of channels, `step` apart. */
PF_INLINE void group_of_columns(const pf_norm_group *run)
{
    double sum = 0, squares = 0;
    float  count = (float)(run->channels * run->n), mean = 0, factor = 0;

    for (int64_t i = 0; i < run->n; i++)
        sum += row_sum(run->x + i * run->step, run->channels);
    mean = (float)sum / count;
    for (int64_t i = 0; i < run->n; i++)
        squares += row_squares(run->x + i * run->step, run->channels, mean);
    factor = 1.0f / sqrtf((float)squares / count + run->epsilon);
    for (int64_t i = 0; i < run->n; i++) {
        const float *x = run->x + i * run->step;
        float       *y = run->y + i * run->step;

        PF_INDEPENDENT
        for (int64_t c = 0; c < run->channels; c++)
            y[c] = (x[c] - mean) * factor * run->scale[c] + run->bias[c];
    }
}

PF_INLINE void norm_group_body(const pf_norm_group *run)
{
    if (run->step == 1)
        group_of_rows(run);
    else
        group_of_columns(run);
}

PF_ISA_VARIANTS(void, norm_group, (const pf_norm_group *run), (run))

void pf_norm_group_run(pf_isa isa, const pf_norm_group *run)
{
    norm_group_table[isa](run);
}
