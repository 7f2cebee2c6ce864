/* Sliding windows: the arithmetic that convolutions and pools share.
   Sizes from https://onnx.ai/onnx/operators/onnx__Conv.html and onnx__MaxPool.html. */
#ifndef PF_ENGINE_OPS_SLIDING_H
#define PF_ENGINE_OPS_SLIDING_H

#include "engine/ops/attrs.h"
#include "engine/ops/infer.h"

enum { PF_SLIDING_DIMS = PF_MAX_RANK - 2 };

/* Strides, dilations and pads of a window over `spatial` dims, as in pf_conv_attrs. */
typedef struct pf_sliding_attrs {
    const pf_ints *strides, *dilations, *pads;
    int32_t        auto_pad;
    bool           ceil_mode;
} pf_sliding_attrs;

pf_status pf_sliding_check(const pf_sliding_attrs *attrs, int32_t spatial, pf_err *err);
/* Size of output dim `axis` for input size and kernel size; negative where there is no room for the kernel. */
pf_dim    pf_sliding_out(pf_dims *dims, const pf_sliding_attrs *attrs, int32_t axis, int32_t spatial, pf_dim in,
                         pf_dim kernel);

/* The same with numbers, for references. */
typedef struct pf_sliding {
    int32_t spatial;
    int64_t in[PF_SLIDING_DIMS], out[PF_SLIDING_DIMS], kernel[PF_SLIDING_DIMS], stride[PF_SLIDING_DIMS],
            dilation[PF_SLIDING_DIMS];
    int64_t begin[PF_SLIDING_DIMS], end[PF_SLIDING_DIMS];       /* pads */
    int64_t in_elems, out_elems, kernel_elems;                  /* products */
} pf_sliding;
/* in, kernel and out hold `spatial` sizes. */
void      pf_sliding_init(pf_sliding *s, const pf_sliding_attrs *attrs, int32_t spatial, const int64_t *in,
                          const int64_t *kernel, const int64_t *out);

/* A row of the matrix whose product with the weights is a convolution: what kernel position `tap` meets at the output
   positions [from, from + count), 0 in the padding.
   x: the channel's elements from number x_first on, as many as pf_sliding_span says. */
void      pf_sliding_unfold(const pf_sliding *s, const double *x, int64_t x_first, int64_t tap, int64_t from,
                            int64_t count, double *out);
/* The same times w, added to sum; the padding adds nothing. */
void      pf_sliding_add(const pf_sliding *s, const double *x, int64_t x_first, int64_t tap, double w, int64_t from,
                         int64_t count, double *sum);
/* The elements [*first, *end) of a channel hold all that these output positions meet. */
void      pf_sliding_span(const pf_sliding *s, int64_t from, int64_t count, int64_t *first, int64_t *end);

/* Splits a linear index over `size` (one number per spatial dim) into an index per dim. */
void      pf_sliding_position(const pf_sliding *s, int64_t linear, const int64_t *size, int64_t *index);

#endif
