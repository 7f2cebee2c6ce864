#include "builder-agent/fingerprint.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "builder-agent/child.h"
#include "engine/planfarm.h"

enum { ANSWER_BYTES = 64 * 1024 };

#define ANSWER_NS (90 * PF_NS_PER_S)    /* the first context on a GPU may take long after a reboot */

pf_status pf_fingerprint_main(const pf_job_device *device, int fd, pf_err *err)
{
    pf_device_options options = { .threads = device->threads, .isa = device->isa[0] ? device->isa : NULL,
                                  .share_percent = device->share_percent };
    pf_device        *opened = NULL;
    json_t           *object = NULL;
    pf_status         st = pf_device_open(device->name, &options, &opened, err);

    if (st)
        return st;
    object = json_pack("{s:s, s:s, s:s}", "class_text", opened->class_text, "class_name", opened->class_name,
                       "builder_abi", pf_builder_abi());
    if (!object || json_dumpfd(object, fd, JSON_COMPACT))
        st = PF_FAIL(err, PF_IO, "the agent does not listen any more");
    json_decref(object);
    pf_device_close(opened);
    return st;
}

static bool take_text(const json_t *object, const char *name, char *out, size_t capacity)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text && text[0] && snprintf(out, capacity, "%s", text) < (int)capacity;
}

/* The name up to its first dash is an alias: "h100-sxm" is also found as "h100". */
static void add_aliases(pf_fingerprint *out)
{
    size_t bytes = strcspn(out->class_name, "-");

    out->aliases_count = 0;
    if (bytes > 0 && out->class_name[bytes])
        snprintf(out->alias[out->aliases_count++], PF_CLASS_NAME_BYTES, "%.*s", (int)bytes, out->class_name);
}

pf_status pf_fingerprint_parse(const pf_buf *answer, const char *device, pf_fingerprint *out, pf_err *err)
{
    json_t   *object = json_loadb((const char *)answer->data, answer->size, 0, NULL);
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    if (!take_text(object, "class_text", out->class_text, sizeof out->class_text) ||
        !take_text(object, "class_name", out->class_name, sizeof out->class_name) ||
        !take_text(object, "builder_abi", out->builder_abi, sizeof out->builder_abi))
        st = PF_FAIL(err, PF_CORRUPT, "the process that looked at %s answered with something else", device);
    json_decref(object);
    if (st)
        return st;
    pf_digest_of(out->class_text, strlen(out->class_text), &out->class_digest);
    add_aliases(out);
    return PF_OK;
}

void pf_fingerprint_arguments(const pf_job_device *device, char numbers[2][16],
                              const char *argv[PF_FINGERPRINT_ARGUMENTS])
{
    snprintf(numbers[0], 16, "%d", (int)device->threads);
    snprintf(numbers[1], 16, "%d", (int)device->share_percent);
    argv[0] = "--describe";
    argv[1] = device->name;
    argv[2] = numbers[0];
    argv[3] = numbers[1];
    argv[4] = device->isa;
    argv[5] = NULL;
}

pf_status pf_fingerprint_take(const pf_job_device *device, pf_fingerprint *out, pf_err *err)
{
    char        numbers[2][16];
    const char *argv[PF_FINGERPRINT_ARGUMENTS];
    pf_buf      answer = { 0 };
    pf_status   st = PF_OK;

    pf_fingerprint_arguments(device, numbers, argv);
    st = pf_child_run(argv, "/", ANSWER_NS, ANSWER_BYTES, &answer, err);
    if (!st)
        st = pf_fingerprint_parse(&answer, device->name, out, err);
    pf_buf_clear(&answer);
    return st ? pf_err_add(err, st, "the device %s", device->name) : PF_OK;
}
