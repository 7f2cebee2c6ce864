#include "kernels/cpu_isa.h"
PF_KERNEL_MATH

#include "kernels/cpu_softmax.h"

#include "kernels/cpu_math.h"

/* Sixteen at once: the compiler makes them one, two or four registers. */
typedef float   lanes __attribute__((vector_size(64), aligned(4)));
typedef int32_t lane_bits __attribute__((vector_size(64), aligned(4)));
enum { LANES = 16 };

PF_INLINE void apply_scale(const pf_softmax_row *r)
{
    float *x = r->x, scale = r->scale, cap = r->softcap;

    if (cap != 0.0f) {
        for (int64_t i = 0; i < r->visible; i++)
            x[i] = cap * pf_math_tanh(x[i] * scale / cap);
        return;
    }
    for (int64_t i = 0; i < r->visible; i++)
        x[i] *= scale;
}

PF_INLINE void apply_masks(const pf_softmax_row *r)
{
    float *x = r->x;

    if (r->mask && r->mask_step)
        for (int64_t i = 0; i < r->visible; i++)
            x[i] += r->mask[i];
    else if (r->mask)
        for (int64_t i = 0; i < r->visible; i++)
            x[i] += r->mask[0];
    if (r->keep && r->mask_step)
        for (int64_t i = 0; i < r->visible; i++)
            x[i] = r->keep[i] ? x[i] : -INFINITY;
    else if (r->keep && !r->keep[0])
        for (int64_t i = 0; i < r->visible; i++)
            x[i] = -INFINITY;
}

PF_INLINE float greatest(const float *x, int64_t n)
{
    lanes   most = (lanes){ 0 } - INFINITY;
    float   out = -INFINITY;
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        lanes     next = *(const lanes *)(x + i);
        lane_bits more = next > most;

        most = (lanes)((more & (lane_bits)next) | (~more & (lane_bits)most));
    }
    for (int k = 0; k < LANES; k++)
        out = most[k] > out ? most[k] : out;
    for (; i < n; i++)
        out = x[i] > out ? x[i] : out;
    return out;
}

PF_INLINE float total(const float *x, int64_t n)
{
    lanes   sums = { 0 };
    float   sum = 0;
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        sums += *(const lanes *)(x + i);
    for (; i < n; i++)
        sum += x[i];
    for (int k = 0; k < LANES; k++)
        sum += sums[k];
    return sum;
}

/* Replaces x by exp(x - most) and returns the sum. */
PF_INLINE float exponentials(float *x, int64_t n, float most)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = pf_math_exp(x[i] - most);
    return total(x, n);
}

PF_INLINE void softmax_row_body(const pf_softmax_row *r)
{
    float most = 0, factor = 0;

    apply_scale(r);
    apply_masks(r);
    most = greatest(r->x, r->visible);
    if (most > -INFINITY)
        factor = 1.0f / exponentials(r->x, r->visible, most);
    for (int64_t i = 0; i < r->visible; i++)
        r->x[i] = most > -INFINITY ? r->x[i] * factor : 0.0f;
    for (int64_t i = r->visible; i < r->n; i++)
        r->x[i] = 0.0f;
}

PF_ISA_VARIANTS(void, softmax_row, (const pf_softmax_row *r), (r))

void pf_softmax_row_run(pf_isa isa, const pf_softmax_row *row)
{
    softmax_row_table[isa](row);
}
