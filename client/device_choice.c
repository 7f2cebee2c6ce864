#include "client/device_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 64 };

/* The value of a line "key=value" of a class text; "" when absent. */
static void class_value(const char *text, const char *key, char out[VALUE_BYTES])
{
    size_t length = strlen(key);

    out[0] = 0;
    while (text && *text) {
        if (strncmp(text, key, length) == 0 && text[length] == '=') {
            snprintf(out, VALUE_BYTES, "%.*s", (int)strcspn(text + length + 1, "\n"), text + length + 1);
            return;
        }
        text = strchr(text, '\n');
        text += text ? 1 : 0;
    }
}

pf_status pf_device_choose(const pf_call *call, int32_t share_percent, pf_device **out, pf_err *err)
{
    const char       *name = pf_args_text(call->args, "device");
    pf_device_options options = {.threads = (int32_t)pf_args_int(call->args, "threads"), .isa = pf_args_text(call->args, "isa"),
                                 .share_percent = share_percent};

    return pf_device_open(name ? name : "cpu", &options, out, err);
}

/* Opens a device like the plan's; a machine that has none like it gives its own, which pf_plan_fits then refuses by the field. */
static pf_status open_like(const pf_call *call, const char *class_text, pf_device **out, pf_err *err)
{
    char              device[VALUE_BYTES], threads[VALUE_BYTES], isa[VALUE_BYTES], share[VALUE_BYTES];
    const char       *name = pf_args_text(call->args, "device"), *cap = pf_args_text(call->args, "isa");
    pf_device_options options = {.threads = (int32_t)pf_args_int(call->args, "threads")};
    pf_status         status = PF_OK;

    class_value(class_text, "device", device);
    class_value(class_text, "threads", threads);
    class_value(class_text, "isa", isa);
    class_value(class_text, "share", share);
    if (!name)
        name = strcmp(device, "cpu") == 0 ? "cpu" : "cuda:0";
    if (!options.threads && strcmp(name, "cpu") == 0)
        options.threads = (int32_t)strtol(threads, NULL, 10);
    options.isa = cap ? cap : strcmp(name, "cpu") == 0 && isa[0] ? isa : NULL;
    options.share_percent = (int32_t)strtol(share, NULL, 10);
    status = pf_device_open(name, &options, out, cap ? err : NULL);
    if (status == PF_OK || cap)
        return status;
    options.isa = NULL;
    return pf_device_open(name, &options, out, err);
}

pf_status pf_device_choose_for_plan(const pf_call *call, const pf_plan *plan, pf_device **out, pf_err *err)
{
    pf_status status = open_like(call, pf_plan_class_text(plan), out, err);

    if (status)
        return status;
    status = pf_plan_fits(plan, *out, err);
    if (!status)
        return PF_OK;
    pf_device_close(*out);
    *out = NULL;
    return status;
}
