/* Constants of candidates in device memory: packed as a step wants them, or as they are. */
#include <string.h>

#include "base/alloc.h"
#include "engine/timing_bench_private.h"

size_t pf_bench_aligned(size_t bytes)
{
    return bytes ? (bytes + PF_DEVICE_ALIGNMENT - 1) / PF_DEVICE_ALIGNMENT * PF_DEVICE_ALIGNMENT : PF_DEVICE_ALIGNMENT;
}

size_t pf_bench_constant_bytes(const pf_bench *bench, const pf_step *step)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < bench->in_count && !step->packed_bytes; i++)
        bytes += bench->problem->in_constant[i] ? pf_bench_aligned(bench->in_bytes[i]) : 0;
    return step->packed_bytes ? step->packed_bytes : bytes;
}

static pf_status pack(pf_bench *bench, const pf_step *step, void *to, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    size_t     bytes = step->packed_bytes;
    pf_tensor *constants = pf_calloc(bench->in_count + 1, sizeof *constants);
    pf_status  st = constants ? pf_bench_need_room(bench->room, bytes, err) : PF_FAIL_MEMORY(err, bytes);
    void      *host = bench->room->memory;

    for (uint32_t i = 0; i < bench->in_count && !st; i++) {
        constants[i] = bench->oracle->in[i];
        constants[i].owned = false;
        if (!bench->problem->in_constant[i])
            constants[i].data = NULL;
    }
    if (!st)
        memset(host, 0, bytes);
    if (!st)
        st = step->tactic->pack(step, bench->problem, constants, host, err);
    if (!st)
        st = ops->upload(bench->device, bench->stream, to, host, bytes, err);
    if (!st)
        st = ops->stream_sync(bench->device, bench->stream, err);
    pf_free(constants);
    return st;
}

/* Constants that are bound as they are. */
static pf_status bring(pf_bench *bench, char *to, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = PF_OK;

    for (uint32_t i = 0; i < bench->in_count && !st; i++)
        if (bench->problem->in_constant[i]) {
            st = ops->upload(bench->device, bench->stream, to, bench->oracle->in[i].data, bench->in_bytes[i], err);
            to += pf_bench_aligned(bench->in_bytes[i]);
        }
    return st ? st : ops->stream_sync(bench->device, bench->stream, err);
}

/* ---- Those who pack alike */

/* Steps of a tactic that say the same pack alike; as 0: they do not say. */
static pf_bench_packed form_of(const pf_bench *bench, const pf_step *step)
{
    size_t bytes = pf_bench_constant_bytes(bench, step);

    if (!step->packed_bytes)
        return (pf_bench_packed){ .as = 1, .bytes = bytes };
    return (pf_bench_packed){ .tactic = step->tactic, .bytes = bytes,
                              .as = step->tactic->flags & PF_TACTIC_PACKS_ONE_WAY ? 1 : step->packed_as };
}

static pf_bench_packed *find(pf_bench *bench, const pf_bench_packed *form)
{
    for (uint32_t i = 0; i < bench->packed_count; i++) {
        pf_bench_packed *packed = &bench->packed[i];

        if (packed->tactic == form->tactic && packed->as == form->as && packed->bytes == form->bytes)
            return packed;
    }
    return NULL;
}

/* For all who pack so, while there is room for more of them; else the runner's own. */
static void keep(pf_bench *bench, pf_bench_packed *form, pf_bench_runner *r)
{
    r->constants = form->memory;
    r->owns_constants = !form->as || bench->packed_count == PF_BENCH_PACKED_MAX;
    if (!r->owns_constants)
        bench->packed[bench->packed_count++] = *form;
}

pf_status pf_bench_bring_constants(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    pf_bench_packed  form = form_of(bench, r->step);
    pf_bench_packed *alike = find(bench, &form);
    pf_status        st = PF_OK;

    if (alike)
        r->constants = alike->memory;
    if (alike || !form.bytes)
        return PF_OK;
    st = pf_device_take(bench->device, NULL, form.bytes, &form.memory, err);
    if (!st)
        st = form.tactic ? pack(bench, r->step, form.memory, err) : bring(bench, form.memory, err);
    if (st)
        pf_device_give_back(bench->device, NULL, form.memory);
    else
        keep(bench, &form, r);
    return st;
}

/* ---- Copies */

pf_status pf_bench_copy_constants(const pf_bench *bench, const void *from, size_t bytes, void *to, uint32_t count,
                                  pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = PF_OK;

    for (uint32_t c = 0; c < count && !st; c++)
        st = ops->copy(bench->device, bench->stream, (char *)to + c * pf_bench_aligned(bytes), from, bytes, err);
    return st ? st : ops->stream_sync(bench->device, bench->stream, err);
}

void *pf_bench_shared_copies(pf_bench *bench, const pf_bench_runner *r)
{
    pf_bench_packed  form = form_of(bench, r->step);
    pf_bench_packed *packed = r->owns_constants ? NULL : find(bench, &form);
    pf_err           ignored = { 0 };

    if (!packed || !packed->copies)
        return NULL;
    if (!packed->filled)
        packed->filled = !pf_bench_copy_constants(bench, packed->memory, packed->bytes, packed->copies,
                                                  pf_bench_site_of(bench)->places, &ignored);
    return packed->filled ? packed->copies : NULL;
}
