/* How far rounding alone may take a network's outputs.  Most networks keep errors as small as they come in.  Where
   values are rounded to a few bits, as in quantized networks, or where a layer multiplies differences, an error in the
   last place of one value may grow into a whole step of the output; a plan then cannot agree with the references by a
   fixed tolerance, nor can any two correct programs. */
#ifndef PF_ENGINE_BUILDER_NOISE_H
#define PF_ENGINE_BUILDER_NOISE_H

#include "engine/oracle.h"

enum { PF_NOISE_RUNS = 3 };

/* Largest and root of mean square, relative to the output's range. */
typedef struct pf_noise { double most, deviation; } pf_noise;

/* Runs the references a few times on the oracle's inputs with each float that a node computes moved by a rounding to
   the type of lowest precision that `graph` or `lowered` holds (their difference is what the build was allowed), and by
   what sums in FP32 are off. noise has one item for each output, all zero for one that is no tensor of floats or 8-bit
   integers. */
pf_status pf_builder_noise(const pf_graph *graph, const pf_graph *lowered, uint32_t numerics, const pf_oracle *oracle,
                           pf_noise *noise, pf_err *err);
/* The same, run by run: noise becomes what the first run + 1 runs give, when it held what the first `run` gave; all
   zero before the first. */
pf_status pf_builder_noise_more(const pf_graph *graph, const pf_graph *lowered, uint32_t numerics,
                                const pf_oracle *oracle, uint32_t run, pf_noise *noise, pf_err *err);
/* Is what differs no more than what rounding does?  Once it is, more runs say so too. */
bool      pf_builder_is_noise(const pf_tensor *test, const pf_tensor *reference, const pf_noise *noise);
/* And is that little enough for the comparison to show something? */
bool      pf_builder_within_noise(const pf_tensor *test, const pf_tensor *reference, const pf_noise *noise);

#endif
