#include "engine/onnx_external.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"

bool pf_onnx_is_external(const Onnx__TensorProto *tensor)
{
    return tensor->has_data_location && tensor->data_location == 1;
}

static pf_status read_number(const char *key, const char *text, uint64_t *out, pf_err *err)
{
    char              *end = NULL;
    unsigned long long value = 0;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || *text == '+')
        return PF_FAIL(err, PF_INVALID, "external data with %s \"%.40s\", which is no number of bytes", key, text);
    *out = value;
    return PF_OK;
}

static pf_status read_entry(const char *key, const char *value, pf_onnx_external *out, pf_err *err)
{
    if (!strcmp(key, "location"))
        out->location = value;
    if (!strcmp(key, "offset"))
        return read_number(key, value, &out->offset, err);
    if (!strcmp(key, "length")) {
        out->has_bytes = true;
        return read_number(key, value, &out->bytes, err);
    }
    return PF_OK;                       /* checksum, basepath: not needed */
}

pf_status pf_onnx_external_read(const Onnx__TensorProto *tensor, pf_onnx_external *out, pf_err *err)
{
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; !st && i < tensor->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = tensor->external_data[i];

        st = read_entry(entry->key ? entry->key : "", entry->value ? entry->value : "", out, err);
    }
    if (!st && (!out->location || !*out->location))
        st = PF_FAIL(err, PF_INVALID, "external data without a location");
    return st;
}

static pf_status real_path(const char *path, char out[PATH_MAX], pf_err *err)
{
    if (realpath(path, out))
        return PF_OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return PF_FAIL(err, PF_NOT_FOUND, "%s is missing; put the weights beside the model", path);
    return PF_FAIL(err, PF_IO, "%s: %s", path, strerror(errno));
}

static bool is_inside(const char *folder, const char *path)
{
    size_t bytes = strlen(folder);

    if (bytes && folder[bytes - 1] == '/')
        bytes--;                        /* the root folder */
    return !strncmp(folder, path, bytes) && path[bytes] == '/';
}

pf_status pf_onnx_external_path(const char *folder, const char *location, char *out, size_t capacity, pf_err *err)
{
    char      joined[PATH_MAX], real[PATH_MAX], real_folder[PATH_MAX];
    pf_status st = pf_path_join(folder, location, joined, sizeof joined, err);

    if (!st)
        st = real_path(folder, real_folder, err);
    if (!st)
        st = real_path(joined, real, err);
    if (st)
        return st;
    if (!strcmp(real_folder, real))
        return PF_FAIL(err, PF_INVALID, "the weights file \"%.200s\" is the model's folder itself; name a file in it",
                       location);
    if (!is_inside(real_folder, real))
        return PF_FAIL(err, PF_INVALID,
                       "the weights file \"%.200s\" is a link out of the model's folder; copy the file there",
                       location);
    if (strlen(real) >= capacity)
        return PF_FAIL(err, PF_INVALID, "the path of the weights file \"%.200s\" is too long", location);
    memcpy(out, real, strlen(real) + 1);
    return PF_OK;
}

pf_status pf_onnx_folder_of(const char *path, char *out, size_t capacity, pf_err *err)
{
    const char *slash = strrchr(path, '/');
    size_t      bytes = slash ? (size_t)(slash - path) : 1;

    if (bytes + 2 > capacity)
        return PF_FAIL(err, PF_INVALID, "the path has more than %zu bytes", capacity);
    snprintf(out, capacity, "%.*s%s", (int)bytes, slash ? path : ".", slash == path ? "/" : "");
    return PF_OK;
}

struct pf_onnx_files {
    char       *folder;
    pf_map     *index;          /* location -> position in maps */
    pf_mapping *maps;
    uint32_t    count, capacity;
};

pf_onnx_files *pf_onnx_files_new(const char *folder)
{
    pf_onnx_files *files = pf_calloc(1, sizeof *files);

    if (!files)
        return NULL;
    files->index = pf_map_new();
    files->folder = folder ? pf_strdup(folder) : NULL;
    if (!files->index || (folder && !files->folder)) {
        pf_onnx_files_free(files);
        return NULL;
    }
    return files;
}

void pf_onnx_files_free(pf_onnx_files *files)
{
    if (!files)
        return;
    for (uint32_t i = 0; i < files->count; i++)
        pf_file_unmap(&files->maps[i]);
    pf_free(files->maps);
    pf_map_free(files->index);
    pf_free(files->folder);
    pf_free(files);
}

static pf_status map_location(pf_onnx_files *files, const char *location, pf_mapping *out, pf_err *err)
{
    char      path[PF_ONNX_PATH_BYTES];
    pf_status st = PF_OK;

    if (pf_grow((void **)&files->maps, &files->capacity, files->count + 1, sizeof *files->maps))
        return PF_FAIL_MEMORY(err, sizeof *files->maps);
    st = pf_onnx_external_path(files->folder, location, path, sizeof path, err);
    if (!st)
        st = pf_file_map(path, out, err);
    if (st)
        return st;
    files->maps[files->count] = *out;
    if (!pf_map_set(files->index, location, files->count)) {
        pf_file_unmap(out);
        return PF_FAIL_MEMORY(err, strlen(location));
    }
    files->count++;
    return PF_OK;
}

static pf_status find_location(pf_onnx_files *files, const char *location, pf_mapping *out, pf_err *err)
{
    uint64_t at = 0;

    if (!files->folder)
        return PF_FAIL(err, PF_INVALID, "the weights lie in the file \"%.200s\", and a model in memory has no folder",
                       location);
    if (!pf_map_get(files->index, location, &at))
        return map_location(files, location, out, err);
    *out = files->maps[at];
    return PF_OK;
}

pf_status pf_onnx_files_data(pf_onnx_files *files, const Onnx__TensorProto *tensor, uint64_t bytes, const void **data,
                             pf_err *err)
{
    pf_onnx_external external;
    pf_mapping       map = { 0 };
    pf_status        st = pf_onnx_external_read(tensor, &external, err);

    *data = NULL;
    if (!st)
        st = find_location(files, external.location, &map, err);
    if (st)
        return st;
    if (external.has_bytes && external.bytes != bytes)
        return PF_FAIL(err, PF_INVALID, "external data of %llu bytes where its type and shape need %llu",
                       (unsigned long long)external.bytes, (unsigned long long)bytes);
    if (external.offset > map.bytes || bytes > map.bytes - external.offset)
        return PF_FAIL(
            err, PF_INVALID,
            "the weights file \"%.200s\" of %zu bytes ends before byte %llu; it is cut short or of another model",
            external.location, map.bytes, (unsigned long long)external.offset + (unsigned long long)bytes);
    *data = map.data + external.offset;
    return PF_OK;
}
