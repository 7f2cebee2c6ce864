#include "client/device_choice.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cache_folder.h"
#include "client/output.h"

enum { VALUE_BYTES = sizeof ((pf_class_device *)NULL)->device };

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

static int32_t class_number(const char *text, const char *key)
{
    char value[VALUE_BYTES];

    class_value(text, key, value);
    return (int32_t)strtol(value, NULL, 10);
}

void pf_class_device_read(const char *class_text, pf_class_device *out)
{
    class_value(class_text, "device", out->device);
    class_value(class_text, strcmp(out->device, "cpu") == 0 ? "model_name" : "name", out->product);
    class_value(class_text, "isa", out->isa);
    out->threads = class_number(class_text, "threads");
    out->share_percent = class_number(class_text, "share_percent");
}

pf_status pf_device_choose(const pf_call *call, int32_t share_percent, pf_device **out, pf_err *err)
{
    const char       *name = pf_args_text(call->args, "device");
    pf_device_options options = {.threads = (int32_t)pf_args_int(call->args, "threads"),
                                 .isa = pf_args_text(call->args, "isa"), .share_percent = share_percent};

    return pf_device_open(name ? name : "cpu", &options, out, err);
}

/* Opens a device like the plan's; a machine that has none like it gives its own, which pf_plan_fits then refuses by the
   field. */
static pf_status open_like(const pf_call *call, const char *class_text, pf_device **out, pf_err *err)
{
    pf_class_device   like = {0};
    const char       *name = pf_args_text(call->args, "device"), *cap = pf_args_text(call->args, "isa");
    pf_device_options options = {.threads = (int32_t)pf_args_int(call->args, "threads")};
    pf_status         status = PF_OK;

    pf_class_device_read(class_text, &like);
    if (!name)
        name = strcmp(like.device, "cpu") == 0 ? "cpu" : "cuda:0";
    if (!options.threads && strcmp(name, "cpu") == 0)
        options.threads = like.threads;
    options.isa = cap ? cap : strcmp(name, "cpu") == 0 && like.isa[0] ? like.isa : NULL;
    options.share_percent = like.share_percent;
    status = pf_device_open(name, &options, out, cap ? err : NULL);
    if (status == PF_OK || cap)
        return status;
    options.isa = NULL;
    return pf_device_open(name, &options, out, err);
}

static bool has_range(const pf_plan *plan)
{
    bool any = false;

    for (uint32_t i = 0; i < pf_plan_io_count(plan); i++) {
        const pf_io *io = pf_plan_io(plan, i);

        for (int32_t d = 0; d < io->rank; d++)
            any |= io->dim[d] < 0;
    }
    return any;
}

/* Beside the timings of this user's builds: a plan for a range that meets a size for the first time compiles for it,
   the next process does not. */
static void keep_kernels(pf_call *call, const pf_plan *plan, pf_device *device)
{
    char      timings[PATH_MAX], folder[PATH_MAX];
    pf_err    why = {0};
    pf_status status = PF_OK;

    if (!device->ops->keep_kernels)
        return;
    status = pf_cache_folder_path(call, timings, sizeof timings, &why);
    if (!status)
        status = pf_cache_folder_kernels(timings, folder, sizeof folder, &why);
    if (!status)
        status = pf_device_keep_kernels(device, folder, &why);
    if (status && has_range(plan))
        pf_warn(call, "kernels for sizes that the plan has no code for are not kept: %s", why.msg);
}

pf_status pf_device_choose_for_plan(pf_call *call, const pf_plan *plan, pf_device **out, pf_err *err)
{
    pf_status status = open_like(call, pf_plan_class_text(plan), out, err);

    if (status)
        return status;
    status = pf_plan_fits(plan, *out, err);
    if (!status) {
        keep_kernels(call, plan, *out);
        return PF_OK;
    }
    pf_device_close(*out);
    *out = NULL;
    return status;
}
