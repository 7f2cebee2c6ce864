/* Reading an image at a point between its pixels: what grid_sample, deform_conv and roi_align share. */
#ifndef PF_ENGINE_OPS_SAMPLE_H
#define PF_ENGINE_OPS_SAMPLE_H

#include <stdint.h>

enum { PF_SAMPLE_DIMS = 6, PF_SAMPLE_TAPS = 4 };

/* Along each dim some pixels and their weights; at -1 is a pixel outside that counts as 0. */
typedef struct pf_sample {
    int32_t dims, taps;
    int64_t size[PF_SAMPLE_DIMS], at[PF_SAMPLE_DIMS][PF_SAMPLE_TAPS];
    double  weight[PF_SAMPLE_DIMS][PF_SAMPLE_TAPS];
} pf_sample;

/* Sets dim d to the two pixels round x. */
void   pf_sample_linear(pf_sample *sample, int32_t d, double x);
/* The weighted sum over all combinations of taps; image is dense, of sample->size. */
double pf_sample_value(const pf_sample *sample, const double *image);

#endif
