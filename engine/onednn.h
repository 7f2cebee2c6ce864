/* What the tactics on oneDNN share: descriptions of tensors, one operation with its arguments, and the choice among
   implementations. */
#ifndef PF_ENGINE_ONEDNN_H
#define PF_ENGINE_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

#include "engine/device_cpu.h"
#include "engine/epilogue.h"
#include "engine/tactic.h"

/* ---- Failures: "oneDNN cannot <what>".  UNSUPPORTED for what it does not implement, NO_SPACE, otherwise DEVICE. */
pf_status pf_onednn_fail(dnnl_status_t status, const char *what, pf_err *err);

/* ---- Descriptions of tensors */
bool      pf_onednn_dtype(pf_dtype dtype, dnnl_data_type_t *out);       /* false: oneDNN has no such type */
/* A tensor of concrete dims in a layout. rank 0 is described as one element. */
pf_status pf_onednn_desc(pf_layout layout, pf_dtype dtype, int32_t rank, const int64_t *dim, dnnl_memory_desc_t *out,
                         pf_err *err);
/* Whether images that lie apart, in the way that a value with a pitch does, are each in one piece: channels are not
   between other channels. */
bool      pf_onednn_by_image(const pf_problem *p);
/* One image of a value, and the bytes from it to the next. */
pf_status pf_onednn_desc_image(const pf_problem *p, pf_value_id value, pf_layout layout, dnnl_memory_desc_t *out,
                               size_t *image_bytes, pf_err *err);
pf_status pf_onednn_desc_value(const pf_problem *p, pf_value_id value, pf_layout layout, dnnl_memory_desc_t *out,
                               pf_err *err);
/* The format is left to the implementation. */
pf_status pf_onednn_desc_any(pf_dtype dtype, int32_t rank, const int64_t *dim, dnnl_memory_desc_t *out, pf_err *err);
/* As kept in a plan: field by field, so that a later oneDNN with another struct reads them. */
void      pf_onednn_desc_write(const dnnl_memory_desc_t *desc, pf_buf *out);
pf_status pf_onednn_desc_read(pf_reader *from, dnnl_memory_desc_t *out, pf_err *err);       /* CORRUPT */

/* ---- One operation: a primitive and where its arguments lie at run time.  Immutable once made; several threads may
   run it at once. */
typedef enum pf_onednn_place { PF_ONEDNN_IN, PF_ONEDNN_OUT, PF_ONEDNN_PACKED, PF_ONEDNN_WORKSPACE } pf_onednn_place;

typedef struct pf_onednn_arg {
    int                name;        /* DNNL_ARG_* */
    pf_onednn_place    place;
    uint32_t           slot;        /* IN, OUT: index in the bindings; PACKED: the value that is packed there */
    size_t             offset;      /* in the memory at that place */
    size_t             image_bytes; /* from one image to the next; 0: the same for all */
    dnnl_memory_desc_t desc;
} pf_onednn_arg;

enum { PF_ONEDNN_ARGS = 48 };
/* images: the op is run so often, each time on an image of its own; 0 counts as 1.  The library's fast kernels take no
   tensor with gaps; where there are gaps between images alone, each image is one without. */
typedef struct pf_onednn_args { pf_onednn_arg at[PF_ONEDNN_ARGS]; uint32_t count; int64_t images; } pf_onednn_args;

void pf_onednn_args_add(pf_onednn_args *args, int name, pf_onednn_place place, uint32_t slot, size_t offset,
                        const dnnl_memory_desc_t *desc);

typedef struct pf_onednn_op pf_onednn_op;

/* Scratch bytes that a primitive of this description wants; the scratchpad's mode is always `user`. */
size_t    pf_onednn_scratch_bytes(const_dnnl_primitive_desc_t desc);
/* The scratchpad, when there is one, must be among the args.  The caller destroys desc.
   at_once: how many runs of the op at the same time need no memory of their own; PF_ONEDNN_AT_ONCE where steps are run
   by contexts. */
enum { PF_ONEDNN_AT_ONCE = 4 };
pf_status pf_onednn_op_new(const pf_device *device, const_dnnl_primitive_desc_t desc, const pf_onednn_args *args,
                           uint32_t at_once, pf_onednn_op **out, pf_err *err);
void      pf_onednn_op_free(pf_onednn_op *op);
pf_status pf_onednn_op_run(const pf_onednn_op *op, const pf_bindings *bindings, pf_stream *stream, pf_err *err);

/* ---- Attributes */
/* Attributes that only say that the scratchpad is the user's. The caller destroys them. */
pf_status pf_onednn_attr(dnnl_primitive_attr_t *out, pf_err *err);

typedef struct pf_onednn_epilogue {
    dnnl_primitive_attr_t attr;         /* owned; scratchpad mode user */
    pf_onednn_args        args;         /* of binary post-ops */
    int32_t               sum_input;    /* the input that a sum post-op takes from the destination's memory; -1: none */
    bool                  has_full_operand;     /* some operand has the result's full shape */
} pf_onednn_epilogue;

/* Why the chain cannot be post-ops on a result with channels at `axis`: a static string, or NULL. Layout of full
   operands: that of the output. */
const char *pf_onednn_epilogue_declines(const pf_problem *p, const pf_epilogue *chain, int32_t axis);
/* shape: of the destination as the primitive sees it, which the result's elements fill in the same order (a matmul
   flattens); its channel axis.  full: description of operands of the full shape.  use_sum: the first full operand of an
   add becomes a sum.  packed_bytes: constants are placed behind it, and it grows. */
pf_status pf_onednn_epilogue_make(const pf_problem *p, const pf_epilogue *chain, const pf_shape *shape, int32_t axis,
                                  const dnnl_memory_desc_t *full, bool use_sum, size_t *packed_bytes,
                                  pf_onednn_epilogue *out, pf_err *err);
void        pf_onednn_epilogue_clear(pf_onednn_epilogue *epilogue);
/* Copies the constants of the epilogue to their places. */
void        pf_onednn_epilogue_pack(const pf_problem *p, const pf_onednn_args *args, const pf_tensor *constants,
                                    void *packed);
/* Bytes of a constant input, or of a constant in clear. */
const void *pf_onednn_constant(const pf_problem *p, const pf_tensor *constants, pf_value_id value);
/* Brings the sum's operand into the destination, unless it is there already. */
void        pf_onednn_prefill(const pf_stream *stream, const void *operand, void *destination, size_t bytes);

/* ---- Implementations
   A tuning names one: "impl=jit:avx512_core", with " sum" behind it when the residual is summed in place.  Names are
   the library's, and mean the same wherever its version is the same. "fixed:" in front: the packing holds for one
   binding of the dims alone. */
typedef struct pf_onednn_tuning { char impl[96]; bool sum, fixed; char variant[24]; } pf_onednn_tuning;
pf_status pf_onednn_tuning_read(const char *text, pf_onednn_tuning *out, pf_err *err);
/* Lists the implementations of an operation as tunings, in the library's order.  Effort 0: the first; below 4: those
   written for the device's best instruction set, and the general ones (gemm) only when there are no such; plain loops
   ("ref") only when there is nothing else at all.
   prefix and suffix: "fixed:", " sum".  avoid: implementations whose name holds this are left out; NULL: none.
   A library that refuses adds nothing. */
pf_status pf_onednn_list(const pf_device *device, const_dnnl_op_desc_t desc, const_dnnl_primitive_attr_t attr,
                         const char *prefix, const char *suffix, const char *avoid, int effort, pf_tuning_list *out,
                         pf_err *err);
/* Errors  UNSUPPORTED: nothing was listed for what is to be computed. */
pf_status pf_onednn_check_listed(const pf_tuning_list *list, const char *what, pf_err *err);
/* The implementation of that name; empty: the first. any: take the first when the named one is not offered.
   Errors  UNSUPPORTED. */
pf_status pf_onednn_choose(const pf_device *device, const_dnnl_op_desc_t desc, const_dnnl_primitive_attr_t attr,
                           const char *impl, bool any, dnnl_primitive_desc_t *out, pf_err *err);

/* Reorders host data from one description to another, on the calling thread's cores. */
pf_status pf_onednn_reorder(const pf_device *device, const dnnl_memory_desc_t *from_desc, const void *from,
                            const dnnl_memory_desc_t *to_desc, void *to, pf_err *err);

#endif
