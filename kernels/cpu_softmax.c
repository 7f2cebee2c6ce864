#pragma GCC optimize("no-math-errno", "no-trapping-math")
#include "kernels/cpu_softmax.h"

#include "kernels/cpu_math.h"

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
    float   most[LANES], out = -INFINITY;
    int64_t i = 0;

    for (int k = 0; k < LANES; k++)
        most[k] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            most[k] = x[i + k] > most[k] ? x[i + k] : most[k];
    for (int k = 0; k < LANES; k++)
        out = most[k] > out ? most[k] : out;
    for (; i < n; i++)
        out = x[i] > out ? x[i] : out;
    return out;
}

/* Replaces x by exp(x - most) and returns the sum. */
PF_INLINE float exponentials(float *x, int64_t n, float most)
{
    float   sums[LANES] = { 0 }, sum = 0;
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            x[i + k] = pf_math_exp(x[i + k] - most);
            sums[k] += x[i + k];
        }
    for (; i < n; i++) {
        x[i] = pf_math_exp(x[i] - most);
        sum += x[i];
    }
    for (int k = 0; k < LANES; k++)
        sum += sums[k];
    return sum;
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
