#include <string.h>

#include "base/alloc.h"
#include "engine/timing_bench_private.h"

enum { GUARD = 0xa5, POISON = 0x7f };

static pf_status poison_outputs(pf_bench *bench, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = PF_OK;

    for (uint32_t i = 0; i < bench->out_count && !st; i++) {
        st = ops->fill(bench->device, bench->stream, bench->home.out[i], POISON, bench->out_bytes[i], err);
        if (!st)
            st = ops->fill(bench->device, bench->stream, (char *)bench->home.out[i] + bench->out_bytes[i], GUARD,
                           PF_BENCH_GUARD_BYTES, err);
    }
    return st;
}

static bool guard_intact(const uint8_t *guard)
{
    for (int i = 0; i < PF_BENCH_GUARD_BYTES; i++)
        if (guard[i] != GUARD)
            return false;
    return true;
}

static size_t largest_output(const pf_bench *bench)
{
    size_t most = 1;

    for (uint32_t i = 0; i < bench->out_count; i++)
        most = bench->out_bytes[i] > most ? bench->out_bytes[i] : most;
    return most;
}

static pf_status need_dense(pf_bench *bench, pf_err *err)
{
    if (!bench->dense)
        bench->dense = pf_alloc_aligned(PF_BENCH_GUARD_BYTES, largest_output(bench));
    return bench->dense ? PF_OK : PF_FAIL_MEMORY(err, largest_output(bench));
}

/* Between the channels of a result that lies in a wider value there are others. */
static pf_status check_gaps(pf_layout layout, const pf_tensor *tensor, const uint8_t *raw, size_t bytes, pf_err *err)
{
    uint8_t  *wanted = pf_layout_pitch(layout) ? pf_alloc_aligned(PF_BENCH_GUARD_BYTES, bytes) : NULL;
    pf_status st = PF_OK;

    if (!pf_layout_pitch(layout))
        return PF_OK;
    if (!wanted)
        return PF_FAIL_MEMORY(err, bytes);
    memset(wanted, POISON, bytes);
    pf_layout_pack(layout, tensor, tensor->data, wanted);
    if (memcmp(wanted, raw, bytes))
        st = PF_FAIL(err, PF_MISMATCH, "bytes between the channels of an output were written");
    pf_free(wanted);
    return st;
}

/* A layout that only puts elements elsewhere: none between them, none behind. */
static bool only_permutes(const pf_bench *bench, uint32_t i)
{
    pf_layout layout = bench->problem->out_layout[i];

    return layout != PF_LAYOUT_LINEAR && !pf_layout_pitch(layout) && bench->out_bytes[i] == bench->oracle->out[i].bytes;
}

/* In the output's own layout: the largest difference and the range do not depend on the order, and the answer is put
   into it but once. */
static bool agrees_as_it_lies(pf_bench *bench, uint32_t i, void *raw, double *error)
{
    const pf_tensor *reference = &bench->oracle->out[i];
    pf_tensor        test = *reference, expected = *reference;
    char             reason[128] = "";

    if (!only_permutes(bench, i))
        return false;
    if (!bench->expected[i]) {
        bench->expected[i] = pf_alloc_aligned(PF_BENCH_GUARD_BYTES, reference->bytes + 1);
        if (!bench->expected[i])
            return false;
        pf_alloc_expect_filling(bench->expected[i], reference->bytes);
        pf_layout_pack(bench->problem->out_layout[i], reference, reference->data, bench->expected[i]);
    }
    test.data = raw;
    expected.data = bench->expected[i];
    return pf_oracle_agrees(&test, &expected, bench->tolerance, error, reason, sizeof reason);
}

/* By the index of the element, so that the reason can name it. */
static pf_status compare_dense(pf_bench *bench, uint32_t i, uint8_t *raw, double *error, pf_err *err)
{
    const pf_tensor *reference = &bench->oracle->out[i];
    pf_tensor        tensor = { .dtype = reference->dtype, .rank = reference->rank, .data = raw };
    char             reason[128] = "";
    pf_status        st = PF_OK;

    memcpy(tensor.dim, reference->dim, sizeof tensor.dim);
    if (bench->problem->out_layout[i] != PF_LAYOUT_LINEAR) {
        st = need_dense(bench, err);
        if (st)
            return st;
        tensor.data = bench->dense;
        pf_layout_unpack(bench->problem->out_layout[i], &tensor, raw, tensor.data);
    }
    if (!pf_oracle_agrees(&tensor, reference, bench->tolerance, error, reason, sizeof reason))
        st = PF_FAIL(err, PF_MISMATCH, "output %u %s", i, reason);
    return st ? st : check_gaps(bench->problem->out_layout[i], &tensor, raw, bench->out_bytes[i], err);
}

static pf_status compare(pf_bench *bench, uint32_t i, uint8_t *raw, double *error, pf_err *err)
{
    return agrees_as_it_lies(bench, i, raw, error) ? PF_OK : compare_dense(bench, i, raw, error, err);
}

/* What lies behind it, and then the output itself, on the device as far as that does. */
static pf_status check_output(pf_bench *bench, uint32_t i, double *max_rel_error, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    uint8_t              guard[PF_BENCH_GUARD_BYTES] = { 0 };
    double               error = 0;
    pf_status            st = ops->download(bench->device, bench->stream, guard,
                                            (const char *)bench->home.out[i] + bench->out_bytes[i], sizeof guard, err);

    if (!st)
        st = ops->stream_sync(bench->device, bench->stream, err);
    if (!st && !guard_intact(guard))
        return PF_FAIL(err, PF_MISMATCH, "bytes behind output %u were written", i);
    if (!st && !pf_bench_agrees_there(bench, i, &error)) {
        st = pf_bench_need_room(bench->room, bench->out_bytes[i] + 1, err);
        if (!st)
            st = ops->download(bench->device, bench->stream, bench->room->memory, bench->home.out[i],
                               bench->out_bytes[i], err);
        if (!st)
            st = ops->stream_sync(bench->device, bench->stream, err);
        if (!st)
            st = compare(bench, i, bench->room->memory, &error, err);
    }
    *max_rel_error = error > *max_rel_error ? error : *max_rel_error;
    return st;
}

static pf_status check_outputs(pf_bench *bench, double *max_rel_error, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < bench->out_count && !st; i++)
        st = check_output(bench, i, max_rel_error, err);
    return st;
}

/* What says that it may overwrite an input must be right when it does. */
static pf_status check_in_place(pf_bench *bench, pf_bench_runner *r, double *max_rel_error, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    int32_t              slot = r->step->in_place;
    void               **bound = r->in;         /* of the first copy, which lies in the first place */
    void                *kept = slot >= 0 ? bound[slot] : NULL;
    pf_status            st = PF_OK;

    if (!kept || bench->in_bytes[slot] != bench->out_bytes[0])
        return PF_OK;
    st = poison_outputs(bench, err);
    if (!st)
        st = ops->copy(bench->device, bench->stream, bench->home.out[0], kept, bench->out_bytes[0], err);
    bound[slot] = bench->home.out[0];
    r->next_copy = 0;
    if (!st)
        st = pf_bench_enqueue(bench, r, err);
    bound[slot] = kept;
    if (!st)
        st = check_outputs(bench, max_rel_error, err);
    if (!st)
        st = ops->stream_sync(bench->device, bench->stream, err);
    return st ? pf_err_add(err, st, "in place") : PF_OK;
}

static pf_status run_timed(pf_bench *bench, pf_bench_runner *r, int64_t *ns, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = ops->event_record(bench->device, r->start, bench->stream, err);

    *ns = 0;
    r->next_copy = 0;
    if (!st)
        st = pf_bench_enqueue(bench, r, err);
    if (!st)
        st = ops->event_record(bench->device, r->end, bench->stream, err);
    return st ? st : ops->event_elapsed(bench->device, r->start, r->end, ns, err);
}

pf_status pf_bench_check(pf_bench *bench, pf_bench_runner *runner, double *max_rel_error, int64_t *first_ns,
                         pf_err *err)
{
    pf_status st = poison_outputs(bench, err);

    *max_rel_error = 0;
    if (!st)
        st = run_timed(bench, runner, first_ns, err);
    if (!st)
        st = check_outputs(bench, max_rel_error, err);
    return st ? st : check_in_place(bench, runner, max_rel_error, err);
}
