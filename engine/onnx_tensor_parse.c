/* A tensor by itself, as node tests and exporters store inputs: a file that is one TensorProto. */
#include "base/alloc.h"
#include "engine/onnx_tensor.h"

#define PROTO_LIMIT (UINT64_C(2) << 30)     /* protobuf's own limit of a message, bytes */

static pf_status take(const Onnx__TensorProto *message, pf_tensor *out, pf_err *err)
{
    pf_arena      *arena = pf_arena_new();
    pf_onnx_files *files = pf_onnx_files_new(NULL);
    pf_onnx_data   data = { 0 };
    pf_tensor      borrowed = { 0 };
    pf_status      st = PF_OK;

    if (arena && files)
        st = pf_onnx_tensor_read(message, files, arena, &data, err);
    else
        st = PF_FAIL_MEMORY(err, sizeof data);
    if (!st) {
        borrowed = (pf_tensor){ .dtype = data.dtype, .rank = data.shape.rank, .data = (void *)(uintptr_t)data.data,
                                .bytes = data.bytes };
        for (int32_t d = 0; d < data.shape.rank; d++)
            borrowed.dim[d] = data.shape.dim[d];
        st = pf_tensor_copy(&borrowed, out, err);
    }
    pf_onnx_files_free(files);
    pf_arena_free(arena);
    return st;
}

pf_status pf_onnx_tensor_parse(const void *data, size_t bytes, pf_tensor *out, pf_err *err)
{
    Onnx__TensorProto *message = NULL;
    pf_status          st = PF_OK;

    *out = (pf_tensor){ 0 };
    if (bytes > PROTO_LIMIT)
        return PF_FAIL(err, PF_INVALID, "it is no .npy file, and too large for a TensorProto");
    message = bytes ? onnx__tensor_proto__unpack(NULL, bytes, data) : NULL;
    if (!message || !message->data_type)
        st = PF_FAIL(err, PF_INVALID, "it is neither a .npy file nor an ONNX TensorProto");
    else
        st = take(message, out, err);
    if (message)
        onnx__tensor_proto__free_unpacked(message, NULL);
    return st;
}
