#include "client/tensor_file.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "client/npy.h"
#include "engine/onnx_tensor.h"

#define PROTO_LIMIT (UINT64_C(2) << 30)     /* protobuf's own limit of a message, bytes */

static pf_status take_proto(const Onnx__TensorProto *message, pf_tensor *out, pf_err *err)
{
    pf_arena      *arena = pf_arena_new();
    pf_onnx_files *files = pf_onnx_files_new(NULL);
    pf_onnx_data   data = {0};
    pf_tensor      borrowed = {0};
    pf_status      status = PF_OK;

    if (arena && files)
        status = pf_onnx_tensor_read(message, files, arena, &data, err);
    else
        status = PF_FAIL_MEMORY(err, sizeof data);
    if (!status) {
        borrowed = (pf_tensor){.dtype = data.dtype, .rank = data.shape.rank, .data = (void *)data.data, .bytes = data.bytes};
        for (int32_t d = 0; d < data.shape.rank; d++)
            borrowed.dim[d] = data.shape.dim[d];
        status = pf_tensor_copy(&borrowed, out, err);
    }
    pf_onnx_files_free(files);
    pf_arena_free(arena);
    return status;
}

static pf_status parse_proto(const void *data, size_t bytes, pf_tensor *out, pf_err *err)
{
    Onnx__TensorProto *message = NULL;
    pf_status          status = PF_OK;

    if (bytes > PROTO_LIMIT)
        return PF_FAIL(err, PF_INVALID, "it is no .npy file, and too large for a TensorProto");
    message = bytes ? onnx__tensor_proto__unpack(NULL, bytes, data) : NULL;
    if (!message || !message->data_type)
        status = PF_FAIL(err, PF_INVALID, "it is neither a .npy file nor an ONNX TensorProto");
    else
        status = take_proto(message, out, err);
    if (message)
        onnx__tensor_proto__free_unpacked(message, NULL);
    return status;
}

pf_status pf_tensor_file_read(const char *path, pf_dtype wanted, pf_tensor *out, pf_err *err)
{
    pf_mapping file = {0};
    pf_status  status = pf_file_map(path, &file, err);

    memset(out, 0, sizeof *out);
    if (status)
        return status;
    if (pf_npy_is(file.data, file.bytes))
        status = pf_npy_parse(file.data, file.bytes, wanted, out, err);
    else
        status = parse_proto(file.data, file.bytes, out, err);
    pf_file_unmap(&file);
    if (status)
        pf_tensor_clear(out);
    return status ? pf_err_add(err, status, "cannot read the tensor %s", path) : PF_OK;
}

pf_status pf_tensor_file_write(const char *path, const pf_tensor *tensor, pf_err *err)
{
    pf_buf    bytes;
    pf_status status = PF_OK;

    pf_buf_init(&bytes, SIZE_MAX);
    status = pf_npy_print(tensor, &bytes, err);
    if (!status)
        status = pf_file_write(path, bytes.data, bytes.size, err);
    pf_buf_clear(&bytes);
    return status ? pf_err_add(err, status, "cannot write the tensor %s", path) : PF_OK;
}

/* Parts of a name that are "." or ".." get their dots spelled, so that no name leaves its folder. */
static void put_safe_name(const char *name, pf_buf *out)
{
    while (*name) {
        size_t length = strcspn(name, "/");
        bool   dots = length <= 2 && strspn(name, ".") == length && length;

        for (size_t i = 0; i < length; i++)
            pf_buf_printf(out, dots ? "%%2E" : "%c", name[i]);
        name += length;
        if (*name && out->size)
            pf_buf_printf(out, "/");
        name += strspn(name, "/");
    }
}

pf_status pf_tensor_file_path(const char *folder, const char *name, char *out, size_t capacity, pf_err *err)
{
    pf_buf    relative;
    char     *slash = NULL;
    pf_status status = PF_OK;

    pf_buf_init(&relative, PATH_MAX);
    put_safe_name(name, &relative);
    pf_buf_printf(&relative, "%s.npy", relative.size ? "" : "_");
    if (relative.failed)
        status = PF_FAIL(err, PF_INVALID, "the tensor \"%.80s...\" has a name too long for a file", name);
    else
        status = pf_path_join(folder, (const char *)relative.data, out, capacity, err);
    pf_buf_clear(&relative);
    if (status)
        return status;
    slash = strrchr(out, '/');
    *slash = 0;
    status = pf_dir_make(out, err);
    *slash = '/';
    return status;
}
