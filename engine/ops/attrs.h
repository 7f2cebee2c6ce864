/* Attribute structs of all ops, and what each ONNX op becomes.
   The IR has no opsets and no defaults that depend on them: whoever makes a node fills every field that its op reads,
   and a struct of zeros means what the comment says.  Axes are counted from the front (0 <= axis < rank).
   "dims" are pf_dim: numbers or expressions; while a reference runs they are numbers.

   ONNX ops that are not ops here:
     Constant                        a constant value of the graph
     ConstantOfShape                 expand of a scalar constant
     Flatten Squeeze Unsqueeze       reshape (dims of the input are symbols, so the target is known)
     Dropout                         identity (the mask: expand of true)
     Sum Max Min                     a chain of add, max, min;  Mean: chain of add, then mul by 1/n
     Clip                            clip when the bounds are constants and x is a float; else max, then min
     Gelu Swish HardSwish            gelu or gelu_tanh; swish with p = alpha; hard_swish      SwiGLU: swish, mul
     GlobalAveragePool, GlobalMaxPool  reduce over the spatial axes with keepdims
     GlobalLpPool                    reduce l1 or l2; other p: abs, pow, reduce sum, pow
     ReduceX                         reduce with all axes listed; with no axes and noop_with_empty_axes: identity
     ArgMax ArgMin                   arg_reduce            CumSum CumProd      cumulate
     Greater Less Not ...            pointwise rows; BitShift: shift_left, shift_right; Mod: mod or fmod
     CastLike                        cast                  Upsample            resize, coordinates asymmetric, nearest
                                     floor
     Scatter                         scatter_elements      QLinearConv, QLinearMatMul  dequantize_linear, op,
                                     quantize_linear
     CenterCropPad                   pad, slice            SoftmaxCrossEntropyLoss     log_softmax, nll_loss
     HannWindow ...                  window                RandomNormalLike ...        random_normal with the input's
                                     dims
     SequenceEmpty                   sequence_construct of nothing
     SequenceMap                     loop over sequence_at and sequence_insert
     CausalConvWithState             concat with the past, conv with a group per channel, swish; slice for the next past
     Attention (3-D inputs, past)    reshape and transpose to [batch, heads, seq, head]; concat of past and present;
                                     attention */
#ifndef PF_ENGINE_OPS_ATTRS_H
#define PF_ENGINE_OPS_ATTRS_H

#include "engine/attr.h"

/* All rows of pointwise.def. */
typedef struct pf_pointwise_attrs { double p, q; } pf_pointwise_attrs;

/* softmax, log_softmax, hardmax; concat, gather, gather_elements */
typedef struct pf_axis_attrs { int64_t axis; } pf_axis_attrs;

/* What fills in the pads when they depend on a size that is still a symbol. */
typedef enum pf_auto_pad { PF_AUTO_PAD_NONE, PF_AUTO_PAD_SAME_UPPER, PF_AUTO_PAD_SAME_LOWER } pf_auto_pad;

/* conv: x [N,C,spatial...], w [M,C/groups,kernel...], optional bias [M].  conv_integer: x, w, optional zero points.
   One entry per spatial dim; pads: all begins, then all ends (count 2 * spatial). groups >= 1. */
typedef struct pf_conv_attrs {
    pf_ints strides, dilations, pads;
    int64_t groups;
    int32_t auto_pad;               /* pf_auto_pad; when set, pads is empty */
} pf_conv_attrs;

/* conv_transpose: x [N,C,spatial...], w [C,M/groups,kernel...], optional bias [M]. */
typedef struct pf_conv_transpose_attrs {
    pf_ints     strides, dilations, pads, output_padding;
    pf_dim_list output_shape;       /* spatial dims; empty: from the formula. When set, pads is empty and auto_pad says
                                       where the odd one goes */
    int64_t     groups;
    int32_t     auto_pad;
} pf_conv_transpose_attrs;

/* deform_conv: x, w, offset, optional bias, optional mask. */
typedef struct pf_deform_conv_attrs {
    pf_ints strides, dilations, pads;
    int64_t groups, offset_groups;
} pf_deform_conv_attrs;

/* max_pool (outputs: y, optional int64 indices), average_pool, lp_pool. Lists as in pf_conv_attrs. */
typedef struct pf_pool_attrs {
    pf_ints kernel, strides, dilations, pads;
    int32_t auto_pad;
    int64_t ceil_mode;              /* 1: sizes round up */
    int64_t count_include_pad;      /* average_pool: padding counts in the divisor */
    int64_t column_major;           /* max_pool: indices count columns first (ONNX storage_order) */
    int64_t p;                      /* lp_pool */
} pf_pool_attrs;

/* max_unpool: x, indices. */
typedef struct pf_max_unpool_attrs {
    pf_ints     kernel, strides, pads;
    pf_dim_list output_shape;       /* all dims; empty: from the formula */
} pf_max_unpool_attrs;

/* max_roi_pool: x, rois [n,5]. */
typedef struct pf_max_roi_pool_attrs { pf_ints pooled_shape; double spatial_scale; } pf_max_roi_pool_attrs;

/* roi_align: x, rois [n,4], batch_indices [n]. */
typedef struct pf_roi_align_attrs {
    int32_t mode;                   /* avg, max */
    int32_t coordinates;            /* half_pixel, output_half_pixel */
    int64_t output_height, output_width, sampling_ratio;
    double  spatial_scale;
} pf_roi_align_attrs;
enum { PF_ROI_AVG, PF_ROI_MAX };
enum { PF_ROI_HALF_PIXEL, PF_ROI_OUTPUT_HALF_PIXEL };

/* matmul, by NumPy's rules, after swapping the last two dims of a or b where asked. */
typedef struct pf_matmul_attrs { int64_t trans_a, trans_b; } pf_matmul_attrs;

/* gemm: y = alpha * op(a) op(b) + beta * c; a, b rank 2; c optional, broadcast to [M,N].  alpha is 1 unless the model
   says otherwise: set it. */
typedef struct pf_gemm_attrs { int64_t trans_a, trans_b; double alpha, beta; } pf_gemm_attrs;

typedef struct pf_einsum_attrs { const char *equation; } pf_einsum_attrs;

/* attention: q [B,Hq,Sq,D], k [B,Hkv,Skv,D], v [B,Hkv,Skv,Dv], optional mask (bool: true attends; float: added)
   broadcast to [B,Hq,Sq,Skv] (keys behind a shorter mask are left out), optional valid_kv int64 [B]: keys from there on
   are padding.  Hq is a multiple of Hkv (grouped queries).
   y [B,Hq,Sq,Dv] = softmax(scale * q k^T [+ mask]) v, 0 where no key may be seen;  optional second output: the scores
   at `scores`. */
typedef struct pf_attention_attrs {
    double  scale;                  /* 0: 1/sqrt(D) */
    double  softcap;                /* 0: none; else s = softcap * tanh(s / softcap) before the mask */
    int32_t causal;
    int32_t scores;                 /* which scores the second output holds */
} pf_attention_attrs;
/* Query i sees keys up to i; or (bottom right) up to i + keys - queries, where keys is valid_kv when given. */
enum { PF_CAUSAL_NONE, PF_CAUSAL_TOP_LEFT, PF_CAUSAL_BOTTOM_RIGHT };
enum { PF_SCORES_SCALED, PF_SCORES_CAPPED, PF_SCORES_MASKED, PF_SCORES_SOFTMAX };  /* ONNX qk_matmul_output_mode 0..3 */

/* rotary_embedding: x [B,H,S,D], cos and sin [B,S,R/2] or, with optional position_ids [B,S], [positions,R/2]. */
typedef struct pf_rotary_embedding_attrs {
    int64_t interleaved;
    int64_t rotary_dim;             /* R: how many of D rotate; 0: all */
} pf_rotary_embedding_attrs;

/* linear_attention: q [B,T,q_heads*K], k [B,T,kv_heads*K], v [B,T,kv_heads*V], optional past state [B,kv_heads,K,V],
   decay [B,T,kv_heads or kv_heads*K] (gated rules), beta [B,T,kv_heads or 1] (delta rules); y [B,T,q_heads*V], present
   state. */
typedef struct pf_linear_attention_attrs {
    int32_t rule;
    int64_t q_heads, kv_heads;
    double  scale;                  /* 0: 1/sqrt(K) */
} pf_linear_attention_attrs;
enum { PF_LINEAR_PLAIN, PF_LINEAR_GATED, PF_LINEAR_DELTA, PF_LINEAR_GATED_DELTA };

/* reduce: axes listed (none: nothing is reduced, the function of one element is still applied). */
typedef struct pf_reduce_attrs {
    int32_t mode;
    pf_ints axes;
    int64_t keepdims;
} pf_reduce_attrs;
enum { PF_REDUCE_SUM, PF_REDUCE_MEAN, PF_REDUCE_MAX, PF_REDUCE_MIN, PF_REDUCE_PROD, PF_REDUCE_L1, PF_REDUCE_L2,
       PF_REDUCE_LOG_SUM, PF_REDUCE_LOG_SUM_EXP, PF_REDUCE_SUM_SQUARE };

typedef struct pf_arg_reduce_attrs {
    int32_t mode;
    int64_t axis, keepdims, select_last;
} pf_arg_reduce_attrs;
enum { PF_ARG_MAX, PF_ARG_MIN };

typedef struct pf_cumulate_attrs {
    int32_t mode;
    int64_t axis, exclusive, reverse;
} pf_cumulate_attrs;
enum { PF_CUMULATE_SUM, PF_CUMULATE_PROD };

/* topk: values and int64 indices; ties: the lower index first. unsorted results may come in any order; the reference
   sorts. */
typedef struct pf_topk_attrs {
    pf_dim_list k;                  /* one entry */
    int64_t     axis, smallest, unsorted;
} pf_topk_attrs;

/* batch_norm: x [N,C,...], scale, bias, mean, var [C].  training: also running mean and var out, from batch
   statistics. */
typedef struct pf_batch_norm_attrs { double epsilon, momentum; int64_t training; } pf_batch_norm_attrs;
/* instance_norm: x [N,C,...], scale, bias [C]. */
typedef struct pf_instance_norm_attrs { double epsilon; } pf_instance_norm_attrs;
/* group_norm: x [N,C,...], scale, bias [C] (opset 18 gives them per group: the importer repeats them). */
typedef struct pf_group_norm_attrs { int64_t groups; double epsilon; } pf_group_norm_attrs;
/* layer_norm: x, scale, optional bias over dims axis...; optional outputs mean and 1/deviation. */
typedef struct pf_layer_norm_attrs { int64_t axis; double epsilon; } pf_layer_norm_attrs;
/* rms_norm: x, scale. */
typedef struct pf_rms_norm_attrs { int64_t axis; double epsilon; } pf_rms_norm_attrs;
typedef struct pf_lp_norm_attrs { int64_t axis, p; } pf_lp_norm_attrs;
typedef struct pf_mean_variance_norm_attrs { pf_ints axes; } pf_mean_variance_norm_attrs;
typedef struct pf_lrn_attrs { int64_t size; double alpha, beta, bias; } pf_lrn_attrs;

/* nll_loss: log probabilities [N,C,...], target [N,...], optional weight [C]. */
typedef struct pf_nll_loss_attrs {
    int32_t reduction;
    int64_t has_ignore_index, ignore_index;
} pf_nll_loss_attrs;
enum { PF_LOSS_MEAN, PF_LOSS_SUM, PF_LOSS_NONE };

/* cast */
typedef struct pf_cast_attrs {
    int32_t dtype;
    int32_t overflow;               /* 8-bit floats only: what does not fit becomes the largest number, or infinity (NaN
                                       where there is none) */
    int32_t rounding;               /* f8e8m0 only */
} pf_cast_attrs;
enum { PF_OVERFLOW_SATURATE, PF_OVERFLOW_INFINITY };
enum { PF_ROUND_UP, PF_ROUND_DOWN, PF_ROUND_NEAREST };

typedef struct pf_dtype_attrs { int32_t dtype; } pf_dtype_attrs;         /* bit_cast */

/* quantize_linear: x, scale, optional zero point.  Scale of one element: per tensor; rank 1: along axis; rank of x:
   blocks of block_size along axis. */
typedef struct pf_quantize_linear_attrs {
    int32_t dtype;                  /* of y */
    int32_t overflow;
    int64_t axis, block_size;       /* 0: no blocks */
} pf_quantize_linear_attrs;
/* dequantize_linear: x, scale, optional zero point. */
typedef struct pf_dequantize_linear_attrs {
    int32_t dtype;                  /* of y */
    int64_t axis, block_size;
} pf_dequantize_linear_attrs;

/* reshape: the target. One entry may be -1: what remains. 0 is a size of zero. */
typedef struct pf_reshape_attrs { pf_dim_list shape; } pf_reshape_attrs;
/* reshape_dynamic: x, int64 shape that is known only when the network runs.  expand_dynamic: x, shape. */
typedef struct pf_reshape_dynamic_attrs { int64_t allow_zero; } pf_reshape_dynamic_attrs;
/* shape: dims start..end-1 of the input as int64.  ONNX's clamping is done by the importer. */
typedef struct pf_shape_attrs { int64_t start, end; } pf_shape_attrs;
/* dim_values: no input; a constant of dtype made of dims. rank 0 (one entry) or 1. What known shape arithmetic
   becomes. */
typedef struct pf_dim_values_attrs { int32_t dtype; int64_t rank; pf_dim_list values; } pf_dim_values_attrs;

typedef struct pf_transpose_attrs { pf_ints perm; } pf_transpose_attrs;
/* split: sizes along axis, one per output; empty: equal parts, the last may be smaller (ceil(dim / outputs) each). */
typedef struct pf_split_attrs { int64_t axis; pf_dim_list sizes; } pf_split_attrs;
/* slice: one entry per axis named. Starts and ends count from the end when negative numbers, and are clamped, as in
   NumPy. PF_SLICE_FAR stands for INT64_MAX, -PF_SLICE_FAR for INT64_MIN. Symbolic starts and ends are not negative.
   steps are not 0. */
typedef struct pf_slice_attrs { pf_ints axes; pf_dim_list starts, ends; pf_ints steps; } pf_slice_attrs;
#define PF_SLICE_FAR (INT64_C(1) << 48)
/* slice_dynamic: x, starts, ends, (axes and steps are attributes). */
typedef struct pf_slice_dynamic_attrs { pf_ints axes, steps; } pf_slice_dynamic_attrs;

/* pad: x, optional scalar that overrides value.  pads: begins of all dims, then ends; negative ones crop. */
typedef struct pf_pad_attrs { int32_t mode; pf_dim_list pads; double value; } pf_pad_attrs;
enum { PF_PAD_CONSTANT, PF_PAD_REFLECT, PF_PAD_EDGE, PF_PAD_WRAP };

/* expand: broadcast with this shape in both directions, as ONNX Expand. */
typedef struct pf_expand_attrs { pf_dim_list shape; } pf_expand_attrs;
typedef struct pf_tile_attrs { pf_dim_list repeats; } pf_tile_attrs;   /* one per dim */
typedef struct pf_gather_nd_attrs { int64_t batch_dims; } pf_gather_nd_attrs;

typedef enum pf_scatter_reduction { PF_SCATTER_NONE, PF_SCATTER_ADD, PF_SCATTER_MUL, PF_SCATTER_MAX,
                                    PF_SCATTER_MIN } pf_scatter_reduction;
typedef struct pf_scatter_elements_attrs { int64_t axis; int32_t reduction; } pf_scatter_elements_attrs;
typedef struct pf_scatter_nd_attrs { int32_t reduction; } pf_scatter_nd_attrs;
/* tensor_scatter: past cache, update, optional write_indices [batch]. */
typedef struct pf_tensor_scatter_attrs { int64_t axis; int32_t mode; } pf_tensor_scatter_attrs;
enum { PF_TENSOR_SCATTER_LINEAR, PF_TENSOR_SCATTER_CIRCULAR };

/* resize: one entry per dim of x in scales, sizes or both.  sizes say what comes out (without them floor(dim * scale),
   in floats); scales say how coordinates map (without them size / dim).  keep_aspect needs dims that are numbers and no
   scales. */
typedef struct pf_resize_attrs {
    int32_t     mode, coordinates, nearest, keep_aspect;
    pf_floats   scales;
    pf_dim_list sizes;
    pf_ints     aspect_axes;        /* with keep_aspect: the axes that sizes speak of */
    pf_floats   roi;                /* tf_crop_and_resize: starts of all dims, then ends */
    double      cubic_a;            /* ONNX default -0.75: set it */
    int64_t     exclude_outside, antialias;
    double      extrapolation_value;
} pf_resize_attrs;
enum { PF_RESIZE_NEAREST, PF_RESIZE_LINEAR, PF_RESIZE_CUBIC };
enum { PF_RESIZE_HALF_PIXEL, PF_RESIZE_HALF_PIXEL_SYMMETRIC, PF_RESIZE_PYTORCH_HALF_PIXEL, PF_RESIZE_ALIGN_CORNERS,
       PF_RESIZE_ASYMMETRIC, PF_RESIZE_TF_CROP_AND_RESIZE, PF_RESIZE_TF_HALF_PIXEL_FOR_NN };
enum { PF_NEAREST_ROUND_PREFER_FLOOR, PF_NEAREST_ROUND_PREFER_CEIL, PF_NEAREST_FLOOR, PF_NEAREST_CEIL };
enum { PF_ASPECT_STRETCH, PF_ASPECT_NOT_LARGER, PF_ASPECT_NOT_SMALLER };

/* grid_sample: x [N,C,spatial...], grid [N,out...,spatial count]. */
typedef struct pf_grid_sample_attrs { int32_t mode, padding; int64_t align_corners; } pf_grid_sample_attrs;
enum { PF_GRID_LINEAR, PF_GRID_NEAREST, PF_GRID_CUBIC };
enum { PF_GRID_ZEROS, PF_GRID_BORDER, PF_GRID_REFLECTION };
/* affine_grid: theta [N,2,3] or [N,3,4]; size: N,C,H,W or N,C,D,H,W. */
typedef struct pf_affine_grid_attrs { pf_dim_list size; int64_t align_corners; } pf_affine_grid_attrs;

typedef struct pf_depth_to_space_attrs { int64_t block; int32_t order; } pf_depth_to_space_attrs;
enum { PF_DEPTH_DCR, PF_DEPTH_CRD };
typedef struct pf_space_to_depth_attrs { int64_t block; int32_t order; } pf_space_to_depth_attrs;
/* col2im: x [N, C * product(block), L]. */
typedef struct pf_col2im_attrs { pf_dim_list image; pf_ints block, strides, dilations, pads; } pf_col2im_attrs;
/* reverse_sequence: x, lengths. */
typedef struct pf_reverse_sequence_attrs { int64_t batch_axis, time_axis; } pf_reverse_sequence_attrs;
typedef struct pf_trilu_attrs { int64_t upper, k; } pf_trilu_attrs;
/* one_hot: indices, values [off, on].  The new dim is at axis (0 <= axis <= rank). */
typedef struct pf_one_hot_attrs { int64_t axis; pf_dim_list depth; } pf_one_hot_attrs;
typedef struct pf_eye_like_attrs { int32_t dtype; int64_t k; } pf_eye_like_attrs;
/* range: either no inputs and three dims (integer dtype), or three scalars (start, limit, delta), whose dtype it
   has. */
typedef struct pf_range_attrs { int32_t dtype; pf_dim_list bounds; } pf_range_attrs;

/* lstm, gru, rnn: ONNX's inputs in ONNX's order, [seq,batch,input] or with batch_first [batch,seq,input].  activations:
   ids of pf_rnn_activation, as many per direction as the op has (lstm 3, gru 2, rnn 1), with alphas and betas beside
   them. */
typedef struct pf_rnn_attrs {
    int32_t   direction;
    int64_t   hidden;
    pf_ints   activations;
    pf_floats alphas, betas;
    double    clip;                 /* 0: none */
    int64_t   linear_before_reset, input_forget, batch_first;
} pf_rnn_attrs;
enum { PF_RNN_FORWARD, PF_RNN_REVERSE, PF_RNN_BIDIRECTIONAL };
typedef enum pf_rnn_activation { PF_RNN_TANH, PF_RNN_SIGMOID, PF_RNN_RELU, PF_RNN_AFFINE, PF_RNN_LEAKY_RELU,
                                 PF_RNN_THRESHOLDED_RELU, PF_RNN_SCALED_TANH, PF_RNN_HARD_SIGMOID, PF_RNN_ELU,
                                 PF_RNN_SOFTSIGN, PF_RNN_SOFTPLUS } pf_rnn_activation;

/* dft: x [...,signal,...,1 or 2] along axis; length empty: the signal's. */
typedef struct pf_dft_attrs { int64_t axis, inverse, onesided; pf_dim_list length; } pf_dft_attrs;
/* stft: signal [batch,length,1 or 2], optional window. */
typedef struct pf_stft_attrs { int64_t frame_step, frame_length, onesided; } pf_stft_attrs;
typedef struct pf_window_attrs { int32_t kind, dtype; int64_t symmetric; pf_dim_list size; } pf_window_attrs;
enum { PF_WINDOW_HANN, PF_WINDOW_HAMMING, PF_WINDOW_BLACKMAN };
typedef struct pf_mel_weight_matrix_attrs {
    int32_t dtype;
    int64_t bins, dft_length, sample_rate;
    double  lower_hertz, upper_hertz;
} pf_mel_weight_matrix_attrs;

/* Random ops: the same seed gives the same numbers; seed 0 is a seed like any other. */
typedef struct pf_random_normal_attrs {
    int32_t     dtype;
    double      mean, scale;
    int64_t     seed;
    pf_dim_list shape;
} pf_random_normal_attrs;
typedef struct pf_random_uniform_attrs {
    int32_t     dtype;
    double      low, high;
    int64_t     seed;
    pf_dim_list shape;
} pf_random_uniform_attrs;
typedef struct pf_bernoulli_attrs { int32_t dtype; int64_t seed; } pf_bernoulli_attrs;
typedef struct pf_multinomial_attrs { int32_t dtype; int64_t samples, seed; } pf_multinomial_attrs;

/* non_max_suppression: boxes [batches,boxes,4], scores [batches,classes,boxes]; selected [n,3] int64. */
typedef struct pf_non_max_suppression_attrs {
    int64_t center_point_box, max_output_boxes;
    double  iou_threshold, score_threshold;
    int64_t has_score_threshold;
} pf_non_max_suppression_attrs;
/* compress, of x and a condition, has a pf_axis_attrs; without an axis the importer flattens x. */

/* flatten: axis is not looked at. */
typedef struct pf_unique_attrs { int64_t axis, flatten, unsorted; } pf_unique_attrs;

/* Bodies take what they read from outside as inputs behind their own: see captures in engine/graph.h.
   if: cond, captures of then, captures of else. */
typedef struct pf_if_attrs { struct pf_graph *then_branch, *else_branch; } pf_if_attrs;
/* loop: trip count or none, cond or none, carried..., captures...  body: iteration, cond, carried..., captures... ->
   cond, carried..., scanned... */
typedef struct pf_loop_attrs { struct pf_graph *body; int64_t carried; } pf_loop_attrs;
/* scan: states..., scanned..., captures...  One axis and direction (1: backwards) per scanned input and output. */
typedef struct pf_scan_attrs {
    struct pf_graph *body;
    int64_t states, scans;
    pf_ints input_axes, input_directions, output_axes, output_directions;
} pf_scan_attrs;

/* Read when there are no inputs. */
typedef struct pf_sequence_construct_attrs { int32_t dtype; } pf_sequence_construct_attrs;
typedef struct pf_concat_from_sequence_attrs { int64_t axis, new_axis; } pf_concat_from_sequence_attrs;
/* split_to_sequence: x, optional sizes (a scalar: equal parts). */
typedef struct pf_split_to_sequence_attrs { int64_t axis, keepdims; } pf_split_to_sequence_attrs;
typedef struct pf_optional_attrs { int32_t dtype; } pf_optional_attrs;  /* read when there is no input */

/* Delimiter NULL: white space; maxsplit 0: all. */
typedef struct pf_string_split_attrs { const char *delimiter; int64_t maxsplit; } pf_string_split_attrs;
/* string_normalizer: x, optional stopwords. */
typedef struct pf_string_normalizer_attrs { int32_t change_case; int64_t case_sensitive; } pf_string_normalizer_attrs;
enum { PF_CASE_NONE, PF_CASE_LOWER, PF_CASE_UPPER };
typedef struct pf_regex_attrs { const char *pattern; } pf_regex_attrs;
/* tf_idf: x, ngram_counts, ngram_indexes, pool (int64 or string), optional weights. */
typedef struct pf_tf_idf_attrs { int32_t mode; int64_t min_length, max_length, max_skip; } pf_tf_idf_attrs;
enum { PF_TF, PF_IDF, PF_TFIDF };

#endif
