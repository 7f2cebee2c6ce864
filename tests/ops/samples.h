/* The networks of samples.def. */
#ifndef PF_TESTS_OPS_SAMPLES_H
#define PF_TESTS_OPS_SAMPLES_H

#include "engine/planfarm.h"

typedef struct op_sample { const char *name, *text; } op_sample;

extern const op_sample op_samples[];
extern const uint32_t  op_sample_count;

/* Made from the text; weights are normal numbers, scaled so that sums of products stay near 1. */
pf_status op_sample_network(const op_sample *sample, pf_network **out, pf_err *err);

#endif
