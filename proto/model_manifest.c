#include "proto/model_manifest.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "proto/limits.h"

static const char HEAD[] = "planfarm-model 1\n";

void pf_model_manifest_clear(pf_model_manifest *manifest)
{
    pf_free(manifest->file);
    memset(manifest, 0, sizeof *manifest);
}

static pf_status check_name(const pf_model_manifest *manifest, const char *name, pf_err *err)
{
    char      joined[PF_MODEL_FILE_NAME + 8] = "";
    uint32_t  count = manifest->files_count;
    pf_status st = PF_OK;

    if (!pf_text_is_line(name, 1, PF_MODEL_FILE_NAME))
        return PF_FAIL(err, PF_INVALID, "a model's file name is empty, too long or holds control characters");
    st = pf_path_join("d", name, joined, sizeof joined, err);
    if (st)
        return pf_err_add(err, st, "model file \"%s\"", name);
    if (count == 0 && strcmp(name, PF_MODEL_ONNX_NAME) != 0)
        return PF_FAIL(err, PF_INVALID, "a model's first file is \"%s\", not " PF_MODEL_ONNX_NAME, name);
    if (count > 0 && strcmp(name, PF_MODEL_ONNX_NAME) == 0)
        return PF_FAIL(err, PF_INVALID, PF_MODEL_ONNX_NAME " comes twice in the model");
    if (count > 1 && strcmp(manifest->file[count - 1].name, name) >= 0)
        return PF_FAIL(err, PF_INVALID, "model file \"%s\" is out of order", name);
    return PF_OK;
}

pf_status pf_model_manifest_add(pf_model_manifest *manifest, const char *name, const pf_digest *digest, uint64_t bytes,
                                pf_err *err)
{
    pf_model_file *file = NULL;
    void          *items = manifest->file;
    pf_status      st = check_name(manifest, name, err);

    if (st)
        return st;
    if (manifest->files_count >= PF_MODEL_FILES_MAX)
        return PF_FAIL(err, PF_INVALID, "the model has more than %d files", PF_MODEL_FILES_MAX);
    if (pf_grow(&items, &manifest->capacity, manifest->files_count + 1, sizeof *file))
        return PF_FAIL_MEMORY(err, sizeof *file);
    manifest->file = items;
    file = &manifest->file[manifest->files_count++];
    memset(file, 0, sizeof *file);
    file->digest = *digest;
    file->bytes = bytes;
    memcpy(file->name, name, strlen(name));
    return PF_OK;
}

pf_status pf_model_manifest_write(const pf_model_manifest *manifest, pf_buf *out, pf_err *err)
{
    char hex[PF_DIGEST_HEX_BYTES] = "";

    pf_buf_printf(out, "%s", HEAD);
    for (uint32_t i = 0; i < manifest->files_count; i++) {
        pf_digest_to_hex(&manifest->file[i].digest, hex);
        pf_buf_printf(out, "%s %" PRIu64 " %s\n", hex, manifest->file[i].bytes, manifest->file[i].name);
    }
    if (out->failed)
        return PF_FAIL(err, PF_NO_SPACE, "the model's list of files is larger than %zu bytes", out->limit);
    return PF_OK;
}

/* Reads decimal digits up to a blank; no sign, no leading zero but "0" itself. */
static const char *read_size(const char *at, uint64_t *bytes)
{
    char *end = NULL;

    if (!isdigit((unsigned char)*at) || (*at == '0' && at[1] != ' '))
        return NULL;
    errno = 0;
    *bytes = strtoull(at, &end, 10);
    return errno == 0 && *end == ' ' ? end + 1 : NULL;
}

static pf_status parse_line(const char *line, size_t bytes, pf_model_manifest *out, pf_err *err)
{
    char        text[PF_DIGEST_HEX_BYTES + 24 + PF_MODEL_FILE_NAME] = "";
    const char *name = NULL;
    uint64_t    file_bytes = 0;
    pf_digest   digest = { 0 };

    if (bytes >= sizeof text || bytes < PF_DIGEST_HEX_BYTES || memchr(line, 0, bytes))
        return PF_FAIL(err, PF_CORRUPT, "a line of %zu bytes is no model file", bytes);
    memcpy(text, line, bytes);
    if (text[PF_DIGEST_HEX_BYTES - 1] != ' ')
        return PF_FAIL(err, PF_CORRUPT, "a line has no digest");
    text[PF_DIGEST_HEX_BYTES - 1] = 0;
    if (!pf_digest_from_hex(text, &digest))
        return PF_FAIL(err, PF_CORRUPT, "a line has no digest");
    name = read_size(text + PF_DIGEST_HEX_BYTES, &file_bytes);
    if (!name)
        return PF_FAIL(err, PF_CORRUPT, "a line has no size");
    return pf_model_manifest_add(out, name, &digest, file_bytes, err);
}

pf_status pf_model_manifest_parse(const void *text, size_t bytes, pf_model_manifest *out, pf_err *err)
{
    const char *at = text, *end = at + bytes;
    uint32_t    line_number = 2;
    pf_status   st = PF_OK;
    pf_err      why = { 0 };

    memset(out, 0, sizeof *out);
    if (bytes > PF_MODEL_MANIFEST_BYTES || bytes < sizeof HEAD || memcmp(at, HEAD, sizeof HEAD - 1) != 0)
        return PF_FAIL(err, PF_CORRUPT, "%zu bytes are no model manifest", bytes);
    for (at += sizeof HEAD - 1; at < end && !st; line_number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            st = PF_FAIL(&why, PF_CORRUPT, "the last line is cut");
        else
            st = parse_line(at, (size_t)(stop - at), out, &why);
        at = stop ? stop + 1 : end;
    }
    if (!st && out->files_count == 0)
        st = PF_FAIL(&why, PF_CORRUPT, "no files are listed");
    if (st) {
        pf_model_manifest_clear(out);
        st = PF_FAIL(err, PF_CORRUPT, "model manifest, line %u: %s", line_number - 1, why.msg);
    }
    return st;
}
