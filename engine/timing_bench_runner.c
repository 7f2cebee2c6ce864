#include "base/alloc.h"
#include "engine/timing_bench_private.h"

/* ---- Where its runs find what they read and write */

static uint32_t copies_for(size_t bytes, size_t cold_bytes)
{
    size_t copies = bytes && cold_bytes ? cold_bytes / bytes + 1 : 1;

    return copies > PF_BENCH_COPIES_MAX ? PF_BENCH_COPIES_MAX : (uint32_t)copies;
}

/* Inputs of a copy: the bench's own, and constants that are bound as they are. */
static void bind_copy(const pf_bench *bench, pf_bench_runner *r, uint32_t copy, char *at)
{
    const pf_bench_site *site = pf_bench_site_of(bench);
    void *const         *placed = site->in + (size_t)(copy % site->places) * bench->in_count;
    void               **in = r->in + (size_t)copy * bench->in_count;

    if (r->step->packed_bytes)
        r->packed[copy] = at;
    for (uint32_t i = 0; i < bench->in_count; i++) {
        in[i] = bench->problem->in_constant[i] ? (r->step->packed_bytes ? NULL : at) : placed[i];
        if (bench->problem->in_constant[i] && !r->step->packed_bytes)
            at += pf_bench_aligned(bench->in_bytes[i]);
    }
}

/* at: the first of them, so many bytes apart. */
static pf_status bind_copies(const pf_bench *bench, pf_bench_runner *r, uint32_t copies, char *at, size_t apart,
                             pf_err *err)
{
    r->packed = pf_calloc(copies, sizeof(void *));
    r->in = pf_calloc((size_t)copies * bench->in_count + 1, sizeof(void *));
    if (!r->packed || !r->in)
        return PF_FAIL_MEMORY(err, copies * (bench->in_count + 1) * sizeof(void *));
    r->copies = copies;
    for (uint32_t c = 0; c < copies; c++)
        bind_copy(bench, r, c, at ? at + c * apart : NULL);
    return PF_OK;
}

/* Weights that are to be cold are a runner's own: others would bring shared ones into the cache.  At home one copy is
   enough, the first. */
static pf_status find_copies(pf_bench *bench, pf_bench_runner *r, uint32_t copies, size_t bytes, bool cold, void **out,
                             pf_err *err)
{
    pf_status st = PF_OK;

    *out = cold || !bytes ? NULL : pf_bench_shared_copies(bench, r);
    if (*out || !bytes)
        return PF_OK;
    *out = r->constants;
    if (copies == 1 && !bench->away.places)
        return PF_OK;
    st = pf_device_take(bench->device, NULL, pf_bench_aligned(bytes) * copies, &r->copied, err);
    *out = r->copied;
    return st ? st : pf_bench_copy_constants(bench, r->constants, bytes, r->copied, copies, err);
}

pf_status pf_bench_bind(pf_bench *bench, size_t cold_bytes, pf_bench_runner *r, pf_err *err)
{
    size_t    bytes = pf_bench_constant_bytes(bench, r->step);
    uint32_t  copies = copies_for(bytes, cold_bytes), places = pf_bench_site_of(bench)->places;
    void     *at = NULL;
    pf_status st = PF_OK;

    pf_bench_unbind(bench, r);
    st = find_copies(bench, r, copies > places ? copies : places, bytes, copies > 1, &at, err);
    return st ? st : bind_copies(bench, r, copies > places ? copies : places, at, pf_bench_aligned(bytes), err);
}

void pf_bench_unbind(pf_bench *bench, pf_bench_runner *r)
{
    if (r->graph)
        bench->device->ops->graph_free(bench->device, r->graph);
    pf_device_give_back(bench->device, NULL, r->copied);
    pf_free(r->packed);
    pf_free(r->in);
    r->graph = NULL;
    r->copied = NULL;
    r->packed = r->in = NULL;
    r->copies = r->next_copy = 0;
    r->repeats = 1;
}

/* ---- Life */

pf_status pf_bench_prepare(pf_bench *bench, const pf_tactic *tactic, const char *tuning, pf_bench_runner *out,
                           pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = PF_OK;

    *out = (pf_bench_runner){ .repeats = 1 };
    st = tactic->prepare(bench->device, bench->problem, tuning, NULL, 0, &out->step, err);
    if (!st)
        st = pf_bench_need_workspace(bench, out->step->workspace_bytes, err);
    if (!st)
        st = pf_bench_bring_constants(bench, out, err);
    if (!st)
        st = bind_copies(bench, out, 1, out->constants, 0, err);
    if (!st)
        st = ops->event_new(bench->device, &out->start, err);
    if (!st)
        st = ops->event_new(bench->device, &out->end, err);
    if (st)
        pf_bench_release(bench, out);
    return st;
}

void pf_bench_release(pf_bench *bench, pf_bench_runner *r)
{
    const pf_device_ops *ops = bench->device->ops;

    pf_bench_unbind(bench, r);
    if (r->start)
        ops->event_free(bench->device, r->start);
    if (r->end)
        ops->event_free(bench->device, r->end);
    if (r->owns_constants)
        pf_device_give_back(bench->device, NULL, r->constants);
    pf_step_free(r->step);
    *r = (pf_bench_runner){ 0 };
}

pf_status pf_bench_enqueue(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    const pf_bench_site *site = pf_bench_site_of(bench);
    uint32_t             copy = r->next_copy;
    pf_bindings b = { r->in + (size_t)copy * bench->in_count,
                      site->out + (size_t)(copy % site->places) * bench->out_count, r->packed[copy],
                      bench->away.workspace ? bench->away.workspace : bench->workspace };

    r->next_copy = copy + 1 == r->copies ? 0 : copy + 1;
    return r->step->tactic->enqueue(r->step, &b, bench->stream, err);
}
