/* oneDNN's implementations of an operation as tunings, and reordering on the host. */
#include <stdio.h>
#include <string.h>

#include "engine/onednn.h"

pf_status pf_onednn_tuning_read(const char *text, pf_onednn_tuning *out, pf_err *err)
{
    const char *at = text, *end = NULL;

    *out = (pf_onednn_tuning){ 0 };
    out->fixed = strncmp(at, "fixed:", 6) == 0;
    if (out->fixed)
        at += 6;
    if (strncmp(at, "impl=", 5) != 0)
        return PF_FAIL(err, PF_INVALID, "tuning %s is not of the form impl=<name>", text);
    at += 5;
    end = at + strcspn(at, " ");
    if (end == at || (size_t)(end - at) >= sizeof out->impl)
        return PF_FAIL(err, PF_INVALID, "tuning %s names no implementation", text);
    memcpy(out->impl, at, (size_t)(end - at));
    if (strncmp(end, " sum", 4) == 0) {
        out->sum = true;
        end += 4;
    }
    if (*end == ' ' && strlen(end + 1) < sizeof out->variant)
        snprintf(out->variant, sizeof out->variant, "%s", end + 1);
    else if (*end)
        return PF_FAIL(err, PF_INVALID, "tuning %s has unknown words at its end", text);
    return PF_OK;
}

static const char *impl_name(const_dnnl_primitive_desc_t desc)
{
    const char *name = NULL;

    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name) || !name)
        return "";
    return name;
}

/* How much an implementation may be worth: those of a lower rank are listed only when there are none above. */
typedef enum worth { PLAIN, GENERAL, OLDER, BEST } worth;

static worth worth_of(const pf_device *device, const char *name)
{
    if (strncmp(name, "ref", 3) == 0 || strstr(name, "_ref:") || strstr(name, ":ref") ||
        strncmp(name, "simple", 6) == 0)
        return PLAIN;
    if (strstr(name, "gemm") && !strstr(name, "brgemm"))
        return GENERAL;
    if (strstr(name, "sse41") || ((device->caps & PF_CAP_AVX512) && strstr(name, "avx") && !strstr(name, "avx512")))
        return OLDER;
    return BEST;
}

/* Library names hold no blanks in practice; one that did could not be read back. */
static bool can_be_named(const char *name)
{
    return *name && !strchr(name, ' ') && strlen(name) < 80;
}

typedef struct lister {
    const pf_device           *device;
    const_dnnl_op_desc_t       desc;
    const_dnnl_primitive_attr_t attr;
    const char                *prefix, *suffix, *avoid;
} lister;

/* One walk over the implementations: counts those of each worth, or adds those of at least `least`. */
static pf_status walk(const lister *l, uint32_t counts[BEST + 1], worth least, uint32_t limit, pf_tuning_list *out,
                      pf_err *err)
{
    dnnl_primitive_desc_iterator_t all = NULL;
    pf_status                      st = PF_OK;
    uint32_t                       added = 0;

    if (dnnl_primitive_desc_iterator_create(&all, l->desc, l->attr, pf_device_cpu_dnnl(l->device), NULL))
        return PF_OK;
    do {
        dnnl_primitive_desc_t one = dnnl_primitive_desc_iterator_fetch(all);
        const char           *name = one ? impl_name(one) : "";
        bool                  listed = can_be_named(name) && !(l->avoid && strstr(name, l->avoid));

        if (listed && counts)
            counts[worth_of(l->device, name)]++;
        if (listed && out && added < limit && worth_of(l->device, name) >= least) {
            st = pf_tuning_add(out, err, "%simpl=%s%s", l->prefix, name, l->suffix);
            added++;
        }
        if (one)
            dnnl_primitive_desc_destroy(one);
    } while (!st && dnnl_primitive_desc_iterator_next(all) == dnnl_success);
    dnnl_primitive_desc_iterator_destroy(all);
    return st;
}

pf_status pf_onednn_list(const pf_device *device, const_dnnl_op_desc_t desc, const_dnnl_primitive_attr_t attr,
                         const char *prefix, const char *suffix, const char *avoid, int effort, pf_tuning_list *out,
                         pf_err *err)
{
    lister    l = { device, desc, attr, prefix, suffix, avoid };
    uint32_t  counts[BEST + 1] = { 0 };
    worth     least = BEST;
    pf_status st = PF_OK;

    pf_device_cpu_enter(device);
    st = walk(&l, counts, PLAIN, 0, NULL, err);
    while (least > PLAIN && counts[least] == 0)
        least--;
    if (effort >= 4 && least > GENERAL)
        least = GENERAL;
    if (least == PLAIN && out->count)           /* another variant of the operation has something better */
        return st;
    return st ? st : walk(&l, NULL, least, effort > 0 ? UINT32_MAX : 1, out, err);
}

pf_status pf_onednn_check_listed(const pf_tuning_list *list, const char *what, pf_err *err)
{
    return list->count ? PF_OK : PF_FAIL(err, PF_UNSUPPORTED, "oneDNN has no implementation of this %s", what);
}

pf_status pf_onednn_choose(const pf_device *device, const_dnnl_op_desc_t desc, const_dnnl_primitive_attr_t attr,
                           const char *impl, bool any, dnnl_primitive_desc_t *out, pf_err *err)
{
    dnnl_primitive_desc_iterator_t all = NULL;
    dnnl_primitive_desc_t          first = NULL;
    dnnl_status_t                  status = dnnl_success;

    *out = NULL;
    pf_device_cpu_enter(device);
    status = dnnl_primitive_desc_iterator_create(&all, desc, attr, pf_device_cpu_dnnl(device), NULL);
    if (status)
        return pf_onednn_fail(status, "compute this", err);
    do {
        dnnl_primitive_desc_t one = dnnl_primitive_desc_iterator_fetch(all);

        if (one && (!impl[0] || strcmp(impl_name(one), impl) == 0))
            *out = one;
        else if (one && any && !first)
            first = one;
        else if (one)
            dnnl_primitive_desc_destroy(one);
    } while (!*out && dnnl_primitive_desc_iterator_next(all) == dnnl_success);
    dnnl_primitive_desc_iterator_destroy(all);
    if (!*out) {
        *out = first;
        first = NULL;
    }
    if (first)
        dnnl_primitive_desc_destroy(first);
    return *out ? PF_OK : PF_FAIL(err, PF_UNSUPPORTED, "oneDNN does not offer %s for this case", impl);
}

static pf_status run_reorder(dnnl_engine_t engine, const_dnnl_primitive_desc_t desc, dnnl_exec_arg_t *args)
{
    dnnl_primitive_t primitive = NULL;
    dnnl_stream_t    stream = NULL;
    dnnl_status_t    status = dnnl_primitive_create(&primitive, desc);

    if (!status)
        status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    if (!status)
        status = dnnl_primitive_execute(primitive, stream, 2, args);
    if (!status)
        status = dnnl_stream_wait(stream);
    if (stream)
        dnnl_stream_destroy(stream);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    return status ? PF_DEVICE : PF_OK;
}

pf_status pf_onednn_reorder(const pf_device *device, const dnnl_memory_desc_t *from_desc, const void *from,
                            const dnnl_memory_desc_t *to_desc, void *to, pf_err *err)
{
    dnnl_engine_t         engine = pf_device_cpu_dnnl(device);
    dnnl_primitive_desc_t desc = NULL;
    dnnl_memory_t         a = NULL, b = NULL;
    dnnl_status_t         status = dnnl_success;
    pf_status             st = PF_OK;

    pf_device_cpu_enter_alone();        /* bound by memory, while other threads write and hash what was packed before */
    status = dnnl_reorder_primitive_desc_create(&desc, from_desc, engine, to_desc, engine, NULL);
    if (!status)
        status = dnnl_memory_create(&a, from_desc, engine, (void *)(uintptr_t)from);
    if (!status)
        status = dnnl_memory_create(&b, to_desc, engine, to);
    if (status)
        st = pf_onednn_fail(status, "pack weights", err);
    else if (run_reorder(engine, desc, (dnnl_exec_arg_t[]){ { DNNL_ARG_FROM, a }, { DNNL_ARG_TO, b } }))
        st = PF_FAIL(err, PF_DEVICE, "oneDNN failed while packing weights");
    if (a)
        dnnl_memory_destroy(a);
    if (b)
        dnnl_memory_destroy(b);
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    pf_device_cpu_enter(device);
    return st;
}
