#include <string.h>

#include "base/alloc.h"
#include "engine/timing_bench_private.h"

static size_t constant_bytes(const pf_bench *bench)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < bench->in_count; i++)
        bytes += bench->problem->in_constant[i] ? bench->in_bytes[i] : 0;
    return bytes;
}

static uint32_t copies_for(size_t bytes, size_t cold_bytes)
{
    size_t copies = bytes && cold_bytes ? cold_bytes / bytes + 1 : 1;

    return copies > PF_BENCH_COPIES_MAX ? PF_BENCH_COPIES_MAX : (uint32_t)copies;
}

static pf_status pack_on_host(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    size_t     bytes = r->step->packed_bytes;
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
        st = r->step->tactic->pack(r->step, bench->problem, constants, host, err);
    if (!st)
        st = ops->upload(bench->device, bench->stream, r->constants, host, bytes, err);
    if (!st)
        st = ops->stream_sync(bench->device, bench->stream, err);
    pf_free(constants);
    return st;
}

/* Steps of a tactic that say the same pack alike; 0: they do not say. */
static uint32_t packs_as(const pf_step *step)
{
    return step->tactic->flags & PF_TACTIC_PACKS_ONE_WAY ? 1 : step->packed_as;
}

static const void *find_packed(const pf_bench *bench, const pf_step *step)
{
    for (uint32_t i = 0; i < bench->packed_count; i++) {
        const pf_bench_packed *packed = &bench->packed[i];

        if (packed->tactic == step->tactic && packed->as == packs_as(step) && packed->bytes == step->packed_bytes)
            return packed->memory;
    }
    return NULL;
}

/* Where there is no memory, the next one packs again. */
static void keep_packed(pf_bench *bench, const pf_bench_runner *r)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_bench_packed      packed = { r->step->tactic, packs_as(r->step), r->step->packed_bytes, NULL };
    pf_err               ignored = { 0 };

    if (!packed.as || bench->packed_count == PF_BENCH_PACKED_MAX ||
        pf_device_take(bench->device, NULL, packed.bytes, &packed.memory, &ignored))
        return;
    if (ops->copy(bench->device, bench->stream, packed.memory, r->constants, packed.bytes, &ignored))
        pf_device_give_back(bench->device, NULL, packed.memory);
    else
        bench->packed[bench->packed_count++] = packed;
}

/* The first copy. */
static pf_status pack_first(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    const void *alike = find_packed(bench, r->step);
    pf_status   st = PF_OK;

    if (alike)
        return bench->device->ops->copy(bench->device, bench->stream, r->constants, alike, r->step->packed_bytes, err);
    st = pack_on_host(bench, r, err);
    if (!st)
        keep_packed(bench, r);
    return st;
}

static size_t aligned(size_t bytes)
{
    return bytes ? (bytes + PF_DEVICE_ALIGNMENT - 1) / PF_DEVICE_ALIGNMENT * PF_DEVICE_ALIGNMENT : PF_DEVICE_ALIGNMENT;
}

/* The first copy, of constants that are bound as they are. */
static pf_status upload_first(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    char                *at = r->constants;
    pf_status            st = PF_OK;

    for (uint32_t i = 0; i < bench->in_count && !st; i++)
        if (bench->problem->in_constant[i]) {
            st = ops->upload(bench->device, bench->stream, at, bench->oracle->in[i].data, bench->in_bytes[i], err);
            at += aligned(bench->in_bytes[i]);
        }
    return st ? st : ops->stream_sync(bench->device, bench->stream, err);
}

/* Inputs of a copy: the bench's own, and constants that are bound as they are. */
static void bind_copy(const pf_bench *bench, pf_bench_runner *r, uint32_t copy, char *at)
{
    void *const *placed = bench->in + (size_t)(copy % bench->places) * bench->in_count;
    void       **in = r->in + (size_t)copy * bench->in_count;

    if (r->step->packed_bytes)
        r->packed[copy] = at;
    for (uint32_t i = 0; i < bench->in_count; i++) {
        in[i] = bench->problem->in_constant[i] ? (r->step->packed_bytes ? NULL : at) : placed[i];
        if (bench->problem->in_constant[i] && !r->step->packed_bytes)
            at += aligned(bench->in_bytes[i]);
    }
}

/* One goes up, the others are copied on the device. */
static pf_status fill_copies(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    size_t               bytes = r->step->packed_bytes ? aligned(r->step->packed_bytes) : 0;
    pf_status            st = PF_OK;

    for (uint32_t i = 0; i < bench->in_count && !r->step->packed_bytes; i++)
        bytes += bench->problem->in_constant[i] ? aligned(bench->in_bytes[i]) : 0;
    if (bytes)
        st = pf_device_take(bench->device, NULL, bytes * r->copies, &r->constants, err);
    if (!st && bytes)
        st = (r->step->packed_bytes ? pack_first : upload_first)(bench, r, err);
    for (uint32_t c = 1; c < r->copies && bytes && !st; c++)
        st = ops->copy(bench->device, bench->stream, (char *)r->constants + c * bytes, r->constants, bytes, err);
    for (uint32_t c = 0; c < r->copies && !st; c++)
        bind_copy(bench, r, c, bytes ? (char *)r->constants + c * bytes : NULL);
    return st ? st : ops->stream_sync(bench->device, bench->stream, err);
}

static pf_status fill_runner(pf_bench *bench, size_t cold_bytes, pf_bench_runner *r, pf_err *err)
{
    pf_status st = PF_OK;

    r->copies = copies_for(r->step->packed_bytes ? r->step->packed_bytes : constant_bytes(bench), cold_bytes);
    r->copies = r->copies > bench->places ? r->copies : bench->places;
    r->packed = pf_calloc(r->copies, sizeof(void *));
    r->in = pf_calloc((size_t)r->copies * bench->in_count + 1, sizeof(void *));
    if (!r->packed || !r->in)
        return PF_FAIL_MEMORY(err, r->copies * (bench->in_count + 1) * sizeof(void *));
    st = fill_copies(bench, r, err);
    if (!st)
        st = bench->device->ops->event_new(bench->device, &r->start, err);
    if (!st)
        st = bench->device->ops->event_new(bench->device, &r->end, err);
    return st;
}

pf_status pf_bench_prepare(pf_bench *bench, const pf_tactic *tactic, const char *tuning, uint64_t workspace_limit_bytes,
                           size_t cold_bytes, pf_bench_runner *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_bench_runner){ .repeats = 1 };
    st = tactic->prepare(bench->device, bench->problem, tuning, NULL, 0, &out->step, err);
    if (!st && workspace_limit_bytes && out->step->workspace_bytes > workspace_limit_bytes)
        st = PF_FAIL(err, PF_NO_SPACE, "it needs %zu bytes of workspace, the limit is %llu", out->step->workspace_bytes,
                     (unsigned long long)workspace_limit_bytes);
    if (!st)
        st = pf_bench_need_workspace(bench, out->step->workspace_bytes, err);
    if (!st)
        st = fill_runner(bench, cold_bytes, out, err);
    if (st)
        pf_bench_release(bench, out);
    return st;
}

void pf_bench_release(pf_bench *bench, pf_bench_runner *r)
{
    const pf_device_ops *ops = bench->device->ops;

    if (r->graph)
        ops->graph_free(bench->device, r->graph);
    if (r->start)
        ops->event_free(bench->device, r->start);
    if (r->end)
        ops->event_free(bench->device, r->end);
    pf_device_give_back(bench->device, NULL, r->constants);
    pf_free(r->packed);
    pf_free(r->in);
    pf_step_free(r->step);
    *r = (pf_bench_runner){ 0 };
}

pf_status pf_bench_enqueue(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    uint32_t    copy = r->next_copy;
    pf_bindings b = { r->in + (size_t)copy * bench->in_count,
                      bench->out + (size_t)(copy % bench->places) * bench->out_count, r->packed[copy],
                      bench->workspace };

    r->next_copy = copy + 1 == r->copies ? 0 : copy + 1;
    return r->step->tactic->enqueue(r->step, &b, bench->stream, err);
}
