/* Figures of a list of times, by the rules of trtexec: median of the middle two, percentile p of n ascending values at
   index max(n - 1 - (int)((1 - p/100) * n), 0) without interpolation and in single precision (which decides where that
   product is near a whole number), coefficient of variation of the whole population. */
#ifndef PF_CLIENT_PERCENTILE_H
#define PF_CLIENT_PERCENTILE_H

#include <stdint.h>

typedef struct pf_summary { double min, max, mean, median, p90, p95, p99, variation_percent; } pf_summary;

/* values is sorted in place; count is at least 1. */
void   pf_summarize(double *values, uint32_t count, pf_summary *out);
double pf_percentile(const double *sorted, uint32_t count, float percent);

#endif
