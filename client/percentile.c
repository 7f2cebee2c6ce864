#include "client/percentile.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double pf_percentile(const double *sorted, uint32_t count, float percent)
{
    int64_t index = (int64_t)count - 1 - (int64_t)((1 - percent / 100) * (float)count);

    return sorted[index > 0 ? index : 0];
}

void pf_summarize(double *values, uint32_t count, pf_summary *out)
{
    double sum = 0, squares = 0;

    qsort(values, count, sizeof *values, ascending);
    for (uint32_t i = 0; i < count; i++)
        sum += values[i];
    *out = (pf_summary){.min = values[0], .max = values[count - 1], .mean = sum / count};
    for (uint32_t i = 0; i < count; i++)
        squares += (values[i] - out->mean) * (values[i] - out->mean);
    out->median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    out->p90 = pf_percentile(values, count, 90);
    out->p95 = pf_percentile(values, count, 95);
    out->p99 = pf_percentile(values, count, 99);
    out->variation_percent = out->mean > 0 ? 100 * sqrt(squares / count) / out->mean : 0;
}
