#include "client/tensor_file.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "client/npy.h"
#include "engine/onnx_tensor.h"

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
        status = pf_onnx_tensor_parse(file.data, file.bytes, out, err);
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

pf_status pf_tensor_file_name(const char *folder, const char *name, char *out, size_t capacity, pf_err *err)
{
    pf_buf    relative;
    pf_status status = PF_OK;

    pf_buf_init(&relative, PATH_MAX);
    put_safe_name(name, &relative);
    pf_buf_printf(&relative, "%s.npy", relative.size ? "" : "_");
    if (relative.failed)
        status = PF_FAIL(err, PF_INVALID, "the tensor \"%.80s...\" has a name too long for a file", name);
    else
        status = pf_path_join(folder, (const char *)relative.data, out, capacity, err);
    pf_buf_clear(&relative);
    return status;
}

pf_status pf_tensor_file_path(const char *folder, const char *name, char *out, size_t capacity, pf_err *err)
{
    pf_status status = pf_tensor_file_name(folder, name, out, capacity, err);
    char     *slash = NULL;

    if (status)
        return status;
    slash = strrchr(out, '/');
    *slash = 0;
    status = pf_dir_make(out, err);
    *slash = '/';
    return status;
}
