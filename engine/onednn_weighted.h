/* A oneDNN operation of a source and constant weights with an optional bias and an epilogue: convolution, its
   transpose, matrix product. The tactic describes the operation; packing, running and saving are the same for all. */
#ifndef PF_ENGINE_ONEDNN_WEIGHTED_H
#define PF_ENGINE_ONEDNN_WEIGHTED_H

#include "engine/onednn.h"

typedef struct pf_onednn_weighted {
    const pf_device   *device;          /* borrowed: outlives its steps */
    /* Filled by the tactic in its pf_onednn_describe. */
    pf_value_id        weights, bias;   /* constants of the problem; PF_NONE: the weights are an activation, there is no
                                           bias */
    uint32_t           weights_slot;    /* input index of weights that are an activation */
    dnnl_memory_desc_t weights_from;    /* of the constant as the problem holds it, in the primitive's dims */
    dnnl_memory_desc_t bias_desc;
    dnnl_memory_desc_t source_desc, result_desc;
    uint32_t           source_slot;
    int64_t            images;          /* 0: the descriptions are of all images; else of one of so many */
    size_t             source_image_bytes, result_image_bytes;      /* from one image to the next, with images */
    size_t             source_at, weights_in_at;    /* bytes into an activation at which its description begins */
    pf_onednn_epilogue epilogue;        /* made with packed_bytes below */
    size_t             packed_bytes;
    /* The rest is filled as the step is made. */
    pf_onednn_op      *op;
    dnnl_memory_desc_t weights_to;
    size_t             weights_at, bias_at;
} pf_onednn_weighted;

/* What a tactic tells oneDNN, and the step that it is for.  Its epilogue is the owner's to clear. */
typedef struct pf_onednn_described {
    union { dnnl_convolution_desc_t convolution; dnnl_matmul_desc_t matmul; dnnl_inner_product_desc_t inner; } desc;
    pf_onednn_weighted w;
} pf_onednn_described;

/* Describes the operation as the tuning has it, whose implementation does not matter here.  weights_to: how a plan has
   the weights packed; NULL: that is free. */
typedef pf_status pf_onednn_describe(const pf_device *device, const pf_problem *p, const dnnl_memory_desc_t *weights_to,
                                     const pf_onednn_tuning *tuning, pf_onednn_described *out, pf_err *err);

/* A tactic's prepare, but for what it describes. */
pf_status pf_onednn_weighted_prepare(const pf_tactic *tactic, pf_onednn_describe *describe, pf_device *device,
                                     const pf_problem *p, const char *tuning, const void *saved, size_t saved_bytes,
                                     pf_step **out, pf_err *err);

/* Members of pf_tactic, for steps whose impl is a pf_onednn_weighted. */
pf_status pf_onednn_weighted_pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed,
                                  pf_err *err);
pf_status pf_onednn_weighted_enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err);
pf_status pf_onednn_weighted_save(const pf_step *step, pf_buf *out, pf_err *err);
void      pf_onednn_weighted_release(pf_step *step);

#endif
