/* Ops that no tactic of a device takes, written out as others that some take: attention as products and a softmax, a
   convolution over one dim as one over two, a number's quantization as arithmetic; and a few that are better so.  Asked
   once the network is rewritten and lowered, so that whole ops have the first word.
   Only where the reference is no tactic of the device itself: on the host nothing is gained. */
#ifndef PF_ENGINE_SPELL_H
#define PF_ENGINE_SPELL_H

#include "engine/profile.h"
#include "engine/region.h"

/* Changes the graph in place; constants among what was written are folded. rules as in pf_regions_form. */
pf_status pf_spell_out(pf_graph *graph, const pf_device *device, const pf_profile *profile,
                       const pf_region_rules *rules, pf_err *err);

/* Ops that are written out though some tactic takes them.
   A product over a dim of one has nothing to add up: as a multiplication that broadcasts it is one kernel with what is
   pointwise round it. */
bool pf_spell_adds_nothing(const pf_graph *graph, const pf_node *node);
/* A reduction along the last dim of what a convolution made: where channels are last in memory it is along columns. */
bool pf_spell_reduces_lines(const pf_graph *graph, const pf_node *node);

/* Is value made by an op that is_source accepts, or by at most a few pointwise ops behind one? */
bool pf_spell_is_behind(const pf_graph *graph, pf_value_id value, bool (*is_source)(pf_op_kind op));

/* What is pointwise, and norms of channels, go in front of a reshape of an image's places that was left behind what was
   written out. */
pf_status pf_spell_lift(pf_graph *graph, pf_err *err);

/* ---- For the files spell_*.c: a node in the making, one call each.  After a failure every call answers PF_NONE. */
typedef struct pf_speller {
    pf_graph   *graph;
    const char *name;           /* of the op that is written out */
    pf_status   status;
    pf_err     *err;
} pf_speller;

/* Writes the op out: out[o] is what output o becomes; out[0] PF_NONE: not in this form. */
typedef void pf_spelling(pf_speller *s, const pf_node *node, pf_value_id *out);

const pf_shape *pf_spell_shape(const pf_speller *s, pf_value_id x);
pf_dtype        pf_spell_dtype(const pf_speller *s, pf_value_id x);
pf_value_id     pf_spell_node(pf_speller *s, pf_op_kind op, const pf_value_id *in, uint32_t count, const void *attrs);
pf_value_id     pf_spell_reshape(pf_speller *s, pf_value_id x, int32_t rank, const pf_dim *dim);
pf_value_id     pf_spell_transpose(pf_speller *s, pf_value_id x, const int64_t *perm);
pf_value_id     pf_spell_slice(pf_speller *s, pf_value_id x, int64_t axis, pf_dim start, pf_dim end);
pf_value_id     pf_spell_cast(pf_speller *s, pf_value_id x, pf_dtype dtype);
pf_value_id     pf_spell_unary(pf_speller *s, pf_op_kind op, pf_value_id x, double p, double q);
pf_value_id     pf_spell_binary(pf_speller *s, pf_op_kind op, pf_value_id a, pf_value_id b);
pf_value_id     pf_spell_number(pf_speller *s, pf_op_kind op, pf_value_id x, double number);
pf_value_id     pf_spell_reduce(pf_speller *s, int32_t mode, pf_value_id x, const pf_ints *axes);     /* keeps dims */
/* 0, 1, ... along a dim of n, as [n,1...] with `behind` ones. */
pf_value_id     pf_spell_range(pf_speller *s, pf_dim start, pf_dim end, int32_t behind);
/* Is this op's input there? */
bool            pf_spell_has(const pf_node *node, uint32_t slot);

pf_spelling pf_spell_attention, pf_spell_matmul, pf_spell_conv, pf_spell_conv_transpose, pf_spell_pool,
    pf_spell_channel_norm, pf_spell_depth_to_space, pf_spell_space_to_depth, pf_spell_quantize, pf_spell_dequantize,
    pf_spell_dynamic_quantize, pf_spell_matmul_integer, pf_spell_hardmax, pf_spell_lp_norm,
    pf_spell_mean_variance_norm, pf_spell_lrn, pf_spell_concat, pf_spell_dim_values, pf_spell_reduce_op,
    pf_spell_one_hot, pf_spell_lines, pf_spell_batch_norm, pf_spell_resize, pf_spell_rotary_embedding,
    pf_spell_dft, pf_spell_stft, pf_spell_col2im, pf_spell_deform_conv, pf_spell_max_unpool;

#endif
