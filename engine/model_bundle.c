#include "engine/model_bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "engine/digest_memo.h"
#include "engine/onnx_external.h"
#include "engine/onnx_parse.h"
#include "engine/onnx_walk.h"

static const char onnx_name[] = "model.onnx";

enum { MANIFEST_LIMIT = 1 << 21 };

typedef struct listing {
    pf_model_bundle *bundle;
    const char      *folder;            /* NULL: files are only named */
} listing;

void pf_model_bundle_clear(pf_model_bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->count; i++) {
        pf_free(bundle->file[i].name);
        pf_free(bundle->file[i].path);
    }
    pf_free(bundle->file);
    memset(bundle, 0, sizeof *bundle);
}

static pf_status add_file(pf_model_bundle *bundle, const char *name, const char *path, pf_err *err)
{
    pf_model_bundle_file *file = NULL;

    if (bundle->count == PF_MODEL_BUNDLE_FILES_MAX)
        return PF_FAIL(err, PF_INVALID, "the model has more than %d weights files", PF_MODEL_BUNDLE_FILES_MAX - 1);
    if (pf_grow((void **)&bundle->file, &bundle->capacity, bundle->count + 1, sizeof *file))
        return PF_FAIL_MEMORY(err, sizeof *file);
    file = &bundle->file[bundle->count++];
    *file = (pf_model_bundle_file){ .name = pf_strdup(name), .path = pf_strdup(path) };
    return file->name && file->path ? PF_OK : PF_FAIL_MEMORY(err, strlen(path));
}

static bool is_line(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return strlen(name) < PF_MODEL_BUNDLE_NAME_BYTES;
}

static bool has_name(const pf_model_bundle *bundle, const char *name)
{
    for (uint32_t i = 1; i < bundle->count; i++)
        if (!strcmp(bundle->file[i].name, name))
            return true;
    return false;
}

static pf_status add_external(void *user, const Onnx__TensorProto *tensor, pf_err *err)
{
    const listing   *list = user;
    pf_onnx_external external;
    char             path[PF_ONNX_PATH_BYTES];
    pf_status        st = PF_OK;

    if (!pf_onnx_is_external(tensor))
        return PF_OK;
    st = pf_onnx_external_read(tensor, &external, err);
    if (st || has_name(list->bundle, external.location))
        return st;
    if (!is_line(external.location))
        return PF_FAIL(err, PF_INVALID, "a weights file has a name of %d bytes or more, or with control characters",
                       PF_MODEL_BUNDLE_NAME_BYTES);
    if (!strcmp(external.location, onnx_name))
        return PF_FAIL(err, PF_INVALID, "a weights file is named \"%s\", which stands for the model itself; rename it",
                       onnx_name);
    if (list->folder) {
        st = pf_onnx_external_path(list->folder, external.location, path, sizeof path, err);
    } else {
        st = pf_path_join("model", external.location, path, sizeof path, err);      /* nowhere else */
        path[0] = 0;
    }
    return st ? st : add_file(list->bundle, external.location, path, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const pf_model_bundle_file *)a)->name, ((const pf_model_bundle_file *)b)->name);
}

static pf_status list_files(const char *path, bool look, pf_model_bundle *bundle, pf_err *err)
{
    char              real[PATH_MAX], folder[PF_ONNX_PATH_BYTES];
    Onnx__ModelProto *model = NULL;
    listing           list = { bundle, look ? folder : NULL };
    pf_status         st = pf_onnx_folder_of(path, folder, sizeof folder, err);

    if (!st && !realpath(path, real))
        st = errno == ENOENT ? PF_FAIL(err, PF_NOT_FOUND, "there is no such file")
                             : PF_FAIL(err, pf_status_from_errno(errno), "%s", strerror(errno));
    if (!st)
        st = pf_onnx_parse_file(path, &model, err);
    if (!st)
        st = add_file(bundle, onnx_name, real, err);
    if (!st)
        st = pf_onnx_each_tensor(model, add_external, &list, err);
    if (!st && bundle->count > 2)
        qsort(bundle->file + 1, bundle->count - 1, sizeof *bundle->file, by_name);
    pf_onnx_model_free(model);
    return st;
}

pf_status pf_model_bundle_open(const char *path, pf_model_bundle *out, pf_err *err)
{
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    st = list_files(path, true, out, err);
    for (uint32_t i = 0; !st && i < out->count; i++)
        st = pf_digest_memo_file(out->file[i].path, &out->file[i].digest, &out->file[i].bytes, err);
    if (!st)
        return PF_OK;
    pf_model_bundle_clear(out);
    return pf_err_add(err, st, "%.300s", path);
}

pf_status pf_model_bundle_list(const char *path, pf_model_bundle *out, pf_err *err)
{
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    st = list_files(path, false, out, err);
    if (!st)
        return PF_OK;
    pf_model_bundle_clear(out);
    return st;
}

pf_status pf_model_bundle_manifest(const pf_model_bundle *bundle, pf_buf *out, pf_err *err)
{
    char hex[PF_DIGEST_HEX_BYTES];

    pf_buf_printf(out, "planfarm-model 1\n");
    for (uint32_t i = 0; i < bundle->count; i++) {
        pf_digest_to_hex(&bundle->file[i].digest, hex);
        pf_buf_printf(out, "%s %" PRIu64 " %s\n", hex, bundle->file[i].bytes, bundle->file[i].name);
    }
    return out->failed ? PF_FAIL(err, PF_NO_SPACE, "the model's list of files is larger than %zu bytes", out->limit)
                       : PF_OK;
}

pf_status pf_model_bundle_digest(const pf_model_bundle *bundle, pf_digest *out, pf_err *err)
{
    pf_buf    text;
    pf_status st = PF_OK;

    pf_buf_init(&text, MANIFEST_LIMIT);
    st = pf_model_bundle_manifest(bundle, &text, err);
    if (!st)
        pf_digest_of(text.data, text.size, out);
    pf_buf_clear(&text);
    return st;
}

pf_status pf_model_bundle_digest_of(const char *path, pf_digest *out, pf_err *err)
{
    pf_model_bundle bundle = { 0 };
    pf_status       st = pf_model_bundle_open(path, &bundle, err);

    *out = (pf_digest){ 0 };
    if (!st)
        st = pf_model_bundle_digest(&bundle, out, err);
    pf_model_bundle_clear(&bundle);
    return st;
}
