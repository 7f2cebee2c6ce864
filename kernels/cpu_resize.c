#include "kernels/cpu_resize.h"

#include <string.h>

/* y = sum of weight * x[at], over runs of `count` floats. */
PF_INLINE void combine(const float *x, float *y, const pf_resize_taps *taps, int64_t position, int64_t count)
{
    int32_t begin = taps->first[position], end = taps->first[position + 1];

    for (int32_t k = begin; k < end; k++) {
        const float *from = x + taps->at[k] * count;
        float        weight = taps->weight[k];

        if (k == begin) {
            PF_INDEPENDENT
            for (int64_t i = 0; i < count; i++)
                y[i] = weight * from[i];
        } else {
            PF_INDEPENDENT
            for (int64_t i = 0; i < count; i++)
                y[i] += weight * from[i];
        }
    }
}

static int is_copy(const pf_resize_taps *taps, int64_t position)
{
    int32_t begin = taps->first[position];

    return taps->first[position + 1] == begin + 1 && taps->weight[begin] == 1.0f;
}

/* Single floats: no run to combine, so the taps are the inner loop. */
PF_INLINE void columns_of_floats(const float *x, float *y, const pf_resize_taps *columns)
{
    for (int64_t i = 0; i < columns->to; i++) {
        float sum = 0;

        for (int32_t k = columns->first[i]; k < columns->first[i + 1]; k++)
            sum += columns->weight[k] * x[columns->at[k]];
        y[i] = sum;
    }
}

PF_INLINE void resize_row_body(const float *x, float *y, int64_t row, const pf_resize_taps *rows,
                               const pf_resize_taps *columns, int64_t inner, float *scratch)
{
    int64_t      width = columns->from * inner;
    const float *source = scratch;

    if (is_copy(rows, row))
        source = x + rows->at[rows->first[row]] * width;
    else
        combine(x, scratch, rows, row, width);
    if (inner == 1) {
        columns_of_floats(source, y, columns);
        return;
    }
    for (int64_t i = 0; i < columns->to; i++)
        if (is_copy(columns, i))
            memcpy(y + i * inner, source + columns->at[columns->first[i]] * inner, (size_t)inner * sizeof *y);
        else
            combine(source, y + i * inner, columns, i, inner);
}

PF_ISA_VARIANTS(void, resize_row,
                (const float *x, float *y, int64_t row, const pf_resize_taps *rows, const pf_resize_taps *columns,
                 int64_t inner, float *scratch),
                (x, y, row, rows, columns, inner, scratch))

void pf_resize_row(pf_isa isa, const float *x, float *y, int64_t row, const pf_resize_taps *rows,
                   const pf_resize_taps *columns, int64_t inner, float *scratch)
{
    resize_row_table[isa](x, y, row, rows, columns, inner, scratch);
}
