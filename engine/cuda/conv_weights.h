/* Weights of a convolution as kernels for channels-last data want them. */
#ifndef PF_ENGINE_CUDA_CONV_WEIGHTS_H
#define PF_ENGINE_CUDA_CONV_WEIGHTS_H

#include "engine/tensor.h"

/* O I H W to O H W I, I padded with zeros to that many channels; volumes with a D before the H.  Shapes: weights of
   rank 4 or 5, of an element type of whole bytes; to has room for O * D * H * W * channels elements. */
void pf_conv_weights_pack(const pf_tensor *weights, int64_t channels, void *to);

#endif
