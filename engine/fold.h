/* Arithmetic on constants, for rules: read in double, computed in double, rounded once. */
#ifndef PF_ENGINE_FOLD_H
#define PF_ENGINE_FOLD_H

#include "engine/rewrite.h"

/* Is value a constant of a float or integer type whose elements are all the same?  Then *out is it. */
bool      pf_fold_uniform(const pf_graph *graph, pf_value_id value, double *out);
/* Reads a constant that, broadcast against a tensor of that rank, varies along one axis of `size` elements at most:
   out[size] gets its elements. False when it is no constant or varies elsewhere. */
bool      pf_fold_along(const pf_graph *graph, pf_value_id value, int32_t rank, int32_t axis, int64_t size,
                        double *out);
/* A new constant [size], or of a rank with `size` at one axis and ones elsewhere, from doubles. */
pf_status pf_fold_vector(pf_graph *graph, pf_dtype dtype, const double *items, int64_t size, pf_value_id *out,
                         pf_err *err);
pf_status pf_fold_axis_vector(pf_graph *graph, pf_dtype dtype, const double *items, int64_t size, int32_t rank,
                              int32_t axis, pf_value_id *out, pf_err *err);

/* A node that is linear in its weights, per output channel: conv, conv_transpose, gemm, matmul with a constant
   matrix. */
typedef struct pf_fold_linear {
    pf_node_id  node;
    pf_value_id x, weights, bias;       /* bias PF_NONE: none, and none possible for a matmul of rank other than 2 */
    bool        takes_bias;
    int32_t     channel_axis;           /* of the output */
    int64_t     channels;
} pf_fold_linear;

/* Is value made by such a node, with constant weights and bias?  Who folds something into it asks too that nobody else
   uses value. */
bool      pf_fold_find_linear(const pf_graph *graph, pf_value_id value, pf_fold_linear *out);
/* A node that makes scale[m] * (what linear makes) + shift[m]; each NULL for ones or zeros.  A shift needs takes_bias.
   *out is its output. name: of what was folded in. */
pf_status pf_fold_into_linear(pf_graph *graph, const pf_fold_linear *linear, const double *scale, const double *shift,
                              const char *name, pf_value_id *out, pf_err *err);

#endif
