#include "engine/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timing_class.h"
#include "engine/device_cpu.h"
#include "engine/device_module.h"

enum { ORDINAL_MAX = 1023 };

static pf_status open_cuda(const char *name, const pf_device_options *options, pf_device **out, pf_err *err)
{
    const pf_device_module *module = NULL;
    char                   *end = NULL;
    long                    ordinal = strtol(name + 5, &end, 10);
    pf_status               st = PF_OK;

    if (end == name + 5 || *end || ordinal < 0 || ordinal > ORDINAL_MAX)
        return PF_FAIL(err, PF_NOT_FOUND, "no device is called %s; say cuda:0", name);
    st = pf_device_module_load(PF_DEVICE_CUDA_MODULE, &module, err);
    if (st)
        return pf_err_add(err, st, "device %s cannot be opened", name);
    return module->open((int)ordinal, options, out, err);
}

pf_status pf_device_open(const char *name, const pf_device_options *options, pf_device **out, pf_err *err)
{
    static const pf_device_options defaults = { 0 };
    pf_status st = PF_OK;

    *out = NULL;
    if (!options)
        options = &defaults;
    if (strcmp(name, "cpu") == 0)
        st = pf_device_cpu_open(options, out, err);
    else if (strncmp(name, "cuda:", 5) == 0)
        st = open_cuda(name, options, out, err);
    else
        return PF_FAIL(err, PF_NOT_FOUND, "no device is called %s; there are cpu and cuda:N", name);
    if (!st && options->allocator)
        (*out)->allocator = *options->allocator;
    return st;
}

void pf_device_close(pf_device *device)
{
    if (device)
        device->ops->close(device);
}

pf_status pf_device_keep_kernels(pf_device *device, const char *folder, pf_err *err)
{
    return device->ops->keep_kernels ? device->ops->keep_kernels(device, folder, err) : PF_OK;
}

/* Length of "key" in "key=value\n", or of the line when it has no '='. */
static size_t key_length(const char *line)
{
    return strcspn(line, "=\n");
}

static const char *next_line(const char *line)
{
    const char *end = strchrnul(line, '\n');

    return *end ? end + 1 : end;
}

/* Copies the value of a line; "nothing" for a key that is not there. */
static void value_of(const char *line, const char *key, size_t length, char *out, size_t capacity)
{
    bool present = *line && key_length(line) == length && strncmp(line, key, length) == 0;
    const char *value = present ? line + length + (line[length] == '=') : "absent";

    snprintf(out, capacity, "%.*s", (int)strcspn(value, "\n"), value);
}

void pf_device_digest_class(pf_device *device)
{
    pf_digest_of(device->class_text, strlen(device->class_text), &device->class_digest);
    pf_timing_class_text(device->class_text, device->timing_text);
    pf_timing_class_digest(device->class_text, &device->timing_digest);
}

void pf_device_class_difference(const char *plan_class, const char *this_class, char *out, size_t capacity)
{
    const char *a = plan_class, *b = this_class;

    if (capacity)
        out[0] = 0;
    while (*a || *b) {
        size_t length_a = strcspn(a, "\n"), length_b = strcspn(b, "\n");
        char   needs[128] = "", is[128] = "";

        if (length_a == length_b && strncmp(a, b, length_a) == 0) {
            a = next_line(a);
            b = next_line(b);
            continue;
        }
        /* Lines are sorted by key: the lesser key is the one that the other text lacks. */
        const char *first = !*b || (*a && strncmp(a, b, key_length(a) + 1) <= 0) ? a : b;
        size_t      length = key_length(first);

        value_of(b, first, length, is, sizeof is);
        value_of(a, first, length, needs, sizeof needs);
        snprintf(out, capacity, "%.*s is %s, the plan needs %s", (int)length, first, is, needs);
        return;
    }
}
