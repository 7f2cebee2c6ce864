/* Windows that slide over spatial dims: what convolutions and pools read alike. */
#ifndef PF_ENGINE_ONNX_CONV_H
#define PF_ENGINE_ONNX_CONV_H

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

typedef struct pf_onnx_window {
    int32_t spatial;                    /* dims behind batch and channel */
    pf_ints kernel, strides, dilations, pads;
    int32_t auto_pad;                   /* pf_auto_pad; PF_AUTO_PAD_NONE once the pads are known */
} pf_onnx_window;

/* Reads strides, dilations, pads and auto_pad for input x. Pads are filled in where sizes are numbers. */
pf_onnx_window pf_onnx_window_read(pf_onnx_node *node, pf_value_id x, pf_ints kernel);
/* Notes that there is room for a window in x, or with ceil_mode for its beginning: an open size has a bound by it. */
void           pf_onnx_window_need(pf_onnx_node *node, pf_value_id x, const pf_onnx_window *window, bool ceil_mode);
/* Attributes of a convolution of x with weights. */
pf_conv_attrs  pf_onnx_conv_attrs(pf_onnx_node *node, pf_value_id x, pf_value_id weights);

#endif
