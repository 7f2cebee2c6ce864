#include "builder-agent/job_file.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

enum { FILE_BYTES = 1 << 20 };

typedef enum kind { TEXT, DIGEST, I32, U32, U64 } kind;

/* Every field, in the order of the file. */
static const struct field { const char *name; kind kind; size_t offset, bytes; } fields[] = {
#define FIELD(name, kind, member) { name, kind, offsetof(pf_job_file, member), sizeof ((pf_job_file *)0)->member }
    FIELD("job", U64, job_id),
    FIELD("attempt", U32, attempt),
    FIELD("device", TEXT, device.name),
    FIELD("isa", TEXT, device.isa),
    FIELD("threads", I32, device.threads),
    FIELD("share", I32, device.share_percent),
    FIELD("class", DIGEST, device_class),
    FIELD("plan_key", DIGEST, plan_key),
    FIELD("model", DIGEST, model),
    FIELD("model_name", TEXT, model_name),
    FIELD("builder_abi", TEXT, builder_abi),
    FIELD("http", TEXT, http_url),
    FIELD("token", TEXT, token),
    FIELD("agent_folder", TEXT, agent_folder),
    FIELD("coordinator", TEXT, coordinator),
    FIELD("cache_limit_bytes", U64, cache_limit_bytes),
    FIELD("url_limit_bytes", U64, url_limit_bytes),
    FIELD("spec", TEXT, spec_text),
#undef FIELD
};

enum { FIELDS_COUNT = sizeof fields / sizeof fields[0] };

static json_t *value_of(const pf_job_file *job, const struct field *field)
{
    const char *at = (const char *)job + field->offset;
    char        hex[PF_DIGEST_HEX_BYTES];

    switch (field->kind) {
    case TEXT: return json_string(at);
    case DIGEST: pf_digest_to_hex((const pf_digest *)at, hex); return json_string(hex);
    case I32: return json_integer(*(const int32_t *)at);
    case U32: return json_integer(*(const uint32_t *)at);
    case U64: return json_integer((json_int_t)*(const uint64_t *)at);
    }
    return NULL;
}

pf_status pf_job_file_write(const pf_job_file *job, const char *folder, pf_err *err)
{
    char      path[PATH_MAX];
    json_t   *object = json_object();
    char     *text = pf_alloc(FILE_BYTES);
    bool      whole = object != NULL;
    size_t    bytes = 0;
    pf_status st = text ? pf_path_join(folder, PF_JOB_FILE_NAME, path, sizeof path, err)
                        : PF_FAIL_MEMORY(err, FILE_BYTES);

    for (int i = 0; i < FIELDS_COUNT; i++)
        whole = json_object_set_new(object, fields[i].name, value_of(job, &fields[i])) == 0 && whole;
    if (!st && whole)
        bytes = json_dumpb(object, text, FILE_BYTES, JSON_INDENT(2));
    if (!st && (bytes == 0 || bytes > FILE_BYTES))
        st = PF_FAIL(err, PF_INVALID, "the offered job holds text that is not UTF-8");
    if (!st)
        st = pf_file_write(path, text, bytes, err);
    pf_free(text);
    json_decref(object);
    return st;
}

static bool take_text(const json_t *value, char *out, size_t capacity)
{
    const char *text = json_string_value(value);

    return text && snprintf(out, capacity, "%s", text) < (int)capacity;
}

static bool take_value(const json_t *value, const struct field *field, pf_job_file *out)
{
    char      *at = (char *)out + field->offset;
    json_int_t number = json_integer_value(value);

    if (field->kind == TEXT)
        return take_text(value, at, field->bytes);
    if (field->kind == DIGEST)
        return json_is_string(value) && pf_digest_from_hex(json_string_value(value), (pf_digest *)at);
    if (!json_is_integer(value))
        return false;
    if (field->kind == U64)
        *(uint64_t *)at = (uint64_t)number;
    else if (field->kind == U32)
        *(uint32_t *)at = (uint32_t)number;
    else
        *(int32_t *)at = (int32_t)number;
    return true;
}

pf_status pf_job_file_read(const char *folder, pf_job_file *out, pf_err *err)
{
    char      path[PATH_MAX];
    pf_buf    text = { 0 };
    json_t   *object = NULL;
    pf_status st = pf_path_join(folder, PF_JOB_FILE_NAME, path, sizeof path, err);

    memset(out, 0, sizeof *out);
    if (!st)
        st = pf_file_read(path, FILE_BYTES, &text, err);
    if (!st) {
        object = json_loadb((const char *)text.data, text.size, 0, NULL);
        for (int i = 0; i < FIELDS_COUNT && !st; i++) {
            if (!take_value(json_object_get(object, fields[i].name), &fields[i], out))
                st = PF_FAIL(err, PF_CORRUPT, "%s has no good \"%s\"", path, fields[i].name);
        }
    }
    json_decref(object);
    pf_buf_clear(&text);
    return st;
}
