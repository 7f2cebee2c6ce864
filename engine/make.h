/* Nodes that rules make, one call each.  All infer at once, and a call that would make nothing new hands its input on.
   name: of what the node stands for, as in pf_graph_add_node. */
#ifndef PF_ENGINE_MAKE_H
#define PF_ENGINE_MAKE_H

#include "engine/graph.h"

pf_status pf_make_reshape(pf_graph *graph, const char *name, pf_value_id x, const pf_shape *shape, pf_value_id *out,
                          pf_err *err);
pf_status pf_make_transpose(pf_graph *graph, const char *name, pf_value_id x, const int64_t *perm, pf_value_id *out,
                            pf_err *err);
/* The last two dims change places; rank 2 at least. */
pf_status pf_make_swapped(pf_graph *graph, const char *name, pf_value_id x, pf_value_id *out, pf_err *err);
/* [start, end) of one axis; numbers or dims that are not negative. */
pf_status pf_make_slice(pf_graph *graph, const char *name, pf_value_id x, int64_t axis, pf_dim start, pf_dim end,
                        int64_t step, pf_value_id *out, pf_err *err);
pf_status pf_make_expand(pf_graph *graph, const char *name, pf_value_id x, const pf_shape *shape, pf_value_id *out,
                         pf_err *err);
pf_status pf_make_cast(pf_graph *graph, const char *name, pf_value_id x, pf_dtype dtype, pf_value_id *out, pf_err *err);
pf_status pf_make_concat(pf_graph *graph, const char *name, const pf_value_id *in, uint32_t count, int64_t axis,
                         pf_value_id *out, pf_err *err);
/* A pointwise op of one input and its parameters, and of two. */
pf_status pf_make_unary(pf_graph *graph, pf_op_kind op, const char *name, pf_value_id x, double p, double q,
                        pf_value_id *out, pf_err *err);
pf_status pf_make_binary(pf_graph *graph, pf_op_kind op, const char *name, pf_value_id a, pf_value_id b,
                         pf_value_id *out, pf_err *err);
/* op(x, a scalar constant of x's type). */
pf_status pf_make_with_number(pf_graph *graph, pf_op_kind op, const char *name, pf_value_id x, double number,
                              pf_value_id *out, pf_err *err);
pf_status pf_make_matmul(pf_graph *graph, const char *name, pf_value_id a, pf_value_id b, bool trans_a, bool trans_b,
                         pf_value_id *out, pf_err *err);
/* A constant [n...] of one value. */
pf_status pf_make_filled(pf_graph *graph, pf_dtype dtype, const pf_shape *shape, double value, pf_value_id *out,
                         pf_err *err);

#endif
