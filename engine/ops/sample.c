#include "engine/ops/sample.h"

#include <math.h>

void pf_sample_linear(pf_sample *sample, int32_t d, double x)
{
    double  low = floor(x);
    int64_t size = sample->size[d];

    sample->taps = 2;
    for (int32_t t = 0; t < 2; t++) {
        double at = low + t;

        sample->at[d][t] = at >= 0 && at < (double)size ? (int64_t)at : -1;
        sample->weight[d][t] = t ? x - low : 1 - (x - low);
    }
}

double pf_sample_value(const pf_sample *sample, const double *image)
{
    int64_t combinations = 1;
    double  sum = 0;

    for (int32_t d = 0; d < sample->dims; d++)
        combinations *= sample->taps;
    for (int64_t c = 0; c < combinations; c++) {
        int64_t rest = c, at = 0, step = 1;
        double  weight = 1;

        for (int32_t d = sample->dims - 1; d >= 0 && weight != 0; d--) {
            int32_t t = (int32_t)(rest % sample->taps);

            rest /= sample->taps;
            weight *= sample->at[d][t] < 0 ? 0 : sample->weight[d][t];
            at += sample->at[d][t] * step;
            step *= sample->size[d];
        }
        if (weight != 0)
            sum += weight * image[at];
    }
    return sum;
}
