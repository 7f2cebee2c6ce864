/* Tensors of an ONNX file as dense little-endian data. */
#ifndef PF_ENGINE_ONNX_TENSOR_H
#define PF_ENGINE_ONNX_TENSOR_H

#include "base/arena.h"
#include "engine/dim.h"
#include "engine/dtype.h"
#include "engine/onnx_external.h"
#include "engine/tensor.h"

/* Sparse tensors are made dense; more than this is refused. */
#define PF_ONNX_DENSE_LIMIT_BYTES (UINT64_C(2) << 30)

typedef struct pf_onnx_data {
    pf_dtype    dtype;
    pf_shape    shape;          /* static */
    const void *data;           /* borrowed from the message, a mapped file or the arena; never NULL, aligned */
    size_t      bytes;
} pf_onnx_data;

/* Errors   INVALID: data that does not fit type and shape; UNSUPPORTED: rank above PF_MAX_RANK or an unknown type. */
pf_status pf_onnx_tensor_read(const Onnx__TensorProto *tensor, pf_onnx_files *files, pf_arena *arena, pf_onnx_data *out,
                              pf_err *err);
pf_status pf_onnx_sparse_read(const Onnx__SparseTensorProto *sparse, pf_onnx_files *files, pf_arena *arena,
                              pf_onnx_data *out, pf_err *err);
/* The bytes of a TensorProto as a tensor that out owns.  Errors  INVALID: they are none. */
pf_status pf_onnx_tensor_parse(const void *data, size_t bytes, pf_tensor *out, pf_err *err);

#endif
