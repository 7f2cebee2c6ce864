#include "engine/timing_bench.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/device_capture.h"

enum { GUARD = 0xa5, POISON = 0x7f };

/* ---- Host memory to pass through */

void pf_bench_room_clear(pf_bench_room *room)
{
    if (!room)
        return;
    if (room->of_device)
        room->device->ops->host_free(room->device, room->memory);
    else
        pf_free(room->memory);
    room->memory = NULL;
    room->bytes = 0;
    room->of_device = false;
}

/* room->memory has so many bytes afterwards; what was in it is lost.  When the device has none of its own kind left,
   any memory will do. */
static pf_status need_room(pf_bench_room *room, size_t bytes, pf_err *err)
{
    const pf_device_ops *ops = room->device->ops;

    if (room->memory && bytes <= room->bytes)
        return PF_OK;
    pf_bench_room_clear(room);
    room->of_device = ops->host_alloc && !ops->host_alloc(room->device, bytes, &room->memory, NULL);
    if (!room->of_device)
        room->memory = pf_alloc_aligned(PF_BENCH_GUARD_BYTES, bytes);
    if (!room->memory)
        return PF_FAIL_MEMORY(err, bytes);
    room->bytes = bytes;
    return PF_OK;
}

/* ---- The problem's data */

static pf_status upload(pf_bench *bench, const void *host, size_t bytes, void **out, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = pf_device_take(bench->device, NULL, bytes ? bytes : 1, out, err);

    if (!st)
        st = ops->upload(bench->device, bench->stream, *out, host, bytes, err);
    return st ? st : ops->stream_sync(bench->device, bench->stream, err);
}

static pf_status place_input(pf_bench *bench, uint32_t i, pf_err *err)
{
    const pf_tensor *tensor = &bench->oracle->in[i];
    pf_layout        layout = bench->problem->in_constant[i] ? PF_LAYOUT_LINEAR : bench->problem->in_layout[i];
    pf_status        st = pf_layout_bytes(layout, tensor->dtype, tensor->rank, tensor->dim, &bench->in_bytes[i], err);

    if (st || bench->problem->in_constant[i])
        return st;
    if (layout == PF_LAYOUT_LINEAR)
        return upload(bench, tensor->data, bench->in_bytes[i], &bench->in[i], err);
    st = need_room(bench->room, bench->in_bytes[i], err);
    if (st)
        return st;
    pf_layout_pack(layout, tensor, tensor->data, bench->room->memory);
    return upload(bench, bench->room->memory, bench->in_bytes[i], &bench->in[i], err);
}

static pf_status place_output(pf_bench *bench, uint32_t i, pf_err *err)
{
    const pf_tensor *tensor = &bench->oracle->out[i];
    pf_status        st = pf_layout_bytes(bench->problem->out_layout[i], tensor->dtype, tensor->rank, tensor->dim,
                                          &bench->out_bytes[i], err);

    if (!st)
        st = pf_device_take(bench->device, NULL, bench->out_bytes[i] + PF_BENCH_GUARD_BYTES, &bench->out[i], err);
    return st;
}

pf_status pf_bench_open(pf_device *device, pf_stream *stream, const pf_problem *problem, const pf_oracle *oracle,
                        pf_bench_room *room, pf_bench *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_bench){ .device = device, .stream = stream, .problem = problem, .oracle = oracle, .room = room,
                       .in_count = problem->graph->input_count, .out_count = problem->graph->output_count };
    out->tolerance = pf_oracle_tolerance(problem->graph, problem->numerics);
    out->in = pf_calloc(out->in_count + 1, sizeof(void *));
    out->out = pf_calloc(out->out_count + 1, sizeof(void *));
    out->in_bytes = pf_calloc(out->in_count + 1, sizeof *out->in_bytes);
    out->out_bytes = pf_calloc(out->out_count + 1, sizeof *out->out_bytes);
    out->expected = pf_calloc(out->out_count + 1, sizeof *out->expected);
    if (!out->expected || !out->in || !out->out || !out->in_bytes || !out->out_bytes)
        st = PF_FAIL_MEMORY(err, (out->in_count + out->out_count) * sizeof(void *));
    for (uint32_t i = 0; i < out->in_count && !st; i++)
        st = place_input(out, i, err);
    for (uint32_t i = 0; i < out->out_count && !st; i++)
        st = place_output(out, i, err);
    if (st)
        pf_bench_close(out);
    return st;
}

static void free_all(pf_bench *bench, void **pointers, uint32_t count)
{
    for (uint32_t i = 0; pointers && i < count; i++)
        if (pointers[i])
            pf_device_give_back(bench->device, NULL, pointers[i]);
    pf_free(pointers);
}

void pf_bench_close(pf_bench *bench)
{
    if (!bench || !bench->device)
        return;
    free_all(bench, bench->in, bench->in_count);
    free_all(bench, bench->out, bench->out_count);
    if (bench->workspace)
        pf_device_give_back(bench->device, NULL, bench->workspace);
    for (uint32_t i = 0; bench->expected && i < bench->out_count; i++)
        pf_free(bench->expected[i]);
    pf_free(bench->expected);
    pf_free(bench->in_bytes);
    pf_free(bench->out_bytes);
    pf_free(bench->dense);
    *bench = (pf_bench){ 0 };
}

static pf_status need_workspace(pf_bench *bench, size_t bytes, pf_err *err)
{
    if (bytes <= bench->workspace_bytes)
        return PF_OK;
    if (bench->workspace)
        pf_device_give_back(bench->device, NULL, bench->workspace);
    bench->workspace = NULL;
    bench->workspace_bytes = 0;
    if (pf_device_take(bench->device, NULL, bytes, &bench->workspace, err))
        return PF_NO_SPACE;
    bench->workspace_bytes = bytes;
    return PF_OK;
}

/* The old memory is given back last, so that the new one is another. */
static void move_one(pf_bench *bench, void **pointer, size_t bytes, size_t filled_bytes)
{
    const pf_device_ops *ops = bench->device->ops;
    void                *to = NULL;
    pf_err               ignored = { 0 };
    pf_status            st = PF_OK;

    if (!*pointer)
        return;
    st = pf_device_take(bench->device, NULL, bytes, &to, &ignored);
    if (!st && filled_bytes)
        st = ops->copy(bench->device, bench->stream, to, *pointer, filled_bytes, &ignored);
    if (!st)
        st = ops->stream_sync(bench->device, bench->stream, &ignored);
    pf_device_give_back(bench->device, NULL, st ? to : *pointer);
    *pointer = st ? *pointer : to;
}

void pf_bench_move(pf_bench *bench)
{
    for (uint32_t i = 0; i < bench->in_count; i++)
        move_one(bench, &bench->in[i], bench->in_bytes[i] ? bench->in_bytes[i] : 1, bench->in_bytes[i]);
    for (uint32_t i = 0; i < bench->out_count; i++)
        move_one(bench, &bench->out[i], bench->out_bytes[i] + PF_BENCH_GUARD_BYTES, 0);
}

/* ---- Runners */

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

/* The first copy, packed on the host. */
static pf_status pack_first(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    size_t     bytes = r->step->packed_bytes;
    void      *host = pf_alloc_aligned(PF_BENCH_GUARD_BYTES, bytes);
    pf_tensor *constants = pf_calloc(bench->in_count + 1, sizeof *constants);
    pf_status  st = host && constants ? PF_OK : PF_FAIL_MEMORY(err, bytes);

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
    pf_free(host);
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
    void **in = r->in + (size_t)copy * bench->in_count;

    if (r->step->packed_bytes)
        r->packed[copy] = at;
    for (uint32_t i = 0; i < bench->in_count; i++) {
        in[i] = bench->problem->in_constant[i] ? (r->step->packed_bytes ? NULL : at) : bench->in[i];
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
        st = need_workspace(bench, out->step->workspace_bytes, err);
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

static pf_status run(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    uint32_t    copy = r->next_copy;
    pf_bindings b = { r->in + (size_t)copy * bench->in_count, bench->out, r->packed[copy], bench->workspace };

    r->next_copy = copy + 1 == r->copies ? 0 : copy + 1;
    return r->step->tactic->enqueue(r->step, &b, bench->stream, err);
}

/* ---- Right or wrong */

static pf_status poison_outputs(pf_bench *bench, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = PF_OK;

    for (uint32_t i = 0; i < bench->out_count && !st; i++) {
        st = ops->fill(bench->device, bench->stream, bench->out[i], POISON, bench->out_bytes[i], err);
        if (!st)
            st = ops->fill(bench->device, bench->stream, (char *)bench->out[i] + bench->out_bytes[i], GUARD,
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

/* Room for the largest output and its guard. */
static size_t largest_output(const pf_bench *bench)
{
    size_t most = 0;

    for (uint32_t i = 0; i < bench->out_count; i++)
        most = bench->out_bytes[i] > most ? bench->out_bytes[i] : most;
    return most + PF_BENCH_GUARD_BYTES;
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

static pf_status compare(pf_bench *bench, uint32_t i, uint8_t *raw, double *max_rel_error, pf_err *err)
{
    double    error = 0;
    pf_status st = PF_OK;

    if (!guard_intact(raw + bench->out_bytes[i]))
        return PF_FAIL(err, PF_MISMATCH, "bytes behind output %u were written", i);
    if (!agrees_as_it_lies(bench, i, raw, &error))
        st = compare_dense(bench, i, raw, &error, err);
    *max_rel_error = error > *max_rel_error ? error : *max_rel_error;
    return st;
}

static pf_status check_output(pf_bench *bench, uint32_t i, double *max_rel_error, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = need_room(bench->room, largest_output(bench), err);

    if (!st)
        st = ops->download(bench->device, bench->stream, bench->room->memory, bench->out[i],
                           bench->out_bytes[i] + PF_BENCH_GUARD_BYTES, err);
    if (!st)
        st = ops->stream_sync(bench->device, bench->stream, err);
    return st ? st : compare(bench, i, bench->room->memory, max_rel_error, err);
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
    void                *kept = slot >= 0 ? r->in[(size_t)r->next_copy * bench->in_count + (uint32_t)slot] : NULL;
    void               **bound = r->in + (size_t)r->next_copy * bench->in_count;
    pf_status            st = PF_OK;

    if (!kept || bench->in_bytes[slot] != bench->out_bytes[0])
        return PF_OK;
    st = poison_outputs(bench, err);
    if (!st)
        st = ops->copy(bench->device, bench->stream, bench->out[0], kept, bench->out_bytes[0], err);
    bound[slot] = bench->out[0];
    if (!st)
        st = run(bench, r, err);
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
    if (!st)
        st = run(bench, r, err);
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

/* ---- Samples */

static pf_status run_repeats(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < r->repeats && !st; i++)
        st = run(bench, r, err);
    return st;
}

pf_status pf_bench_sample(pf_bench *bench, pf_bench_runner *r, int64_t *ns, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = ops->event_record(bench->device, r->start, bench->stream, err);

    *ns = 0;
    if (!st)
        st = r->graph ? ops->graph_launch(bench->device, r->graph, bench->stream, err) : run_repeats(bench, r, err);
    if (!st)
        st = ops->event_record(bench->device, r->end, bench->stream, err);
    if (!st)
        st = ops->event_elapsed(bench->device, r->start, r->end, ns, err);
    *ns = *ns / r->repeats > 0 ? *ns / r->repeats : 1;
    return st;
}

typedef struct repeated { pf_bench *bench; pf_bench_runner *runner; } repeated;

static pf_status enqueue_repeats(void *user, pf_err *err)
{
    const repeated *all = user;

    return run_repeats(all->bench, all->runner, err);
}

bool pf_bench_captures(const pf_bench *bench, const pf_bench_runner *r)
{
    return bench->device->ops->capture_begin && r->step->capturable;
}

/* Where the device captures, the first run after code was loaded says nothing: the better of two does. */
static pf_status glance_once(pf_bench *bench, pf_bench_runner *r, int64_t enough_ns, int64_t *ns, pf_err *err)
{
    int64_t   again_ns = INT64_MAX;
    pf_status st = pf_bench_sample(bench, r, ns, err);

    if (!st && *ns >= enough_ns && pf_bench_captures(bench, r))
        st = pf_bench_sample(bench, r, &again_ns, err);
    *ns = again_ns < *ns ? again_ns : *ns;
    return st;
}

pf_status pf_bench_glance(pf_bench *bench, pf_bench_runner *r, int64_t batch_ns, int64_t *ns, pf_err *err)
{
    pf_status st = glance_once(bench, r, batch_ns / 4, ns, err);

    if (st || *ns >= batch_ns / 4)
        return st;
    r->repeats = 8;                             /* one run tells little of a short one */
    return pf_bench_sample(bench, r, ns, err);
}

/* One number for all that are short, however long a few runs seemed to take: what a launch costs is then a part of
   their times that is the same in every build. */
static int64_t captured_repeats(int64_t wanted)
{
    return wanted > 25 ? 40 : 20;
}

pf_status pf_bench_calibrate(pf_bench *bench, pf_bench_runner *r, int64_t ns, int64_t batch_ns, uint32_t limit,
                             pf_err *err)
{
    repeated all = { bench, r };
    bool     captures = pf_bench_captures(bench, r);
    int64_t  repeats = batch_ns / ns + 1;

    repeats = captures ? captured_repeats(repeats) : repeats;
    r->repeats = repeats > limit ? limit : (uint32_t)repeats;
    return captures ? pf_device_capture(bench->device, bench->stream, enqueue_repeats, &all, &r->graph, err) : PF_OK;
}
