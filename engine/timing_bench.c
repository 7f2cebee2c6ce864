#include "engine/timing_bench_private.h"

#include "base/alloc.h"

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

/* When the device has none of its own kind left, any memory will do. */
pf_status pf_bench_need_room(pf_bench_room *room, size_t bytes, pf_err *err)
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
    st = pf_bench_need_room(bench->room, bench->in_bytes[i], err);
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

/* Samples hold a multiple of these numbers of short runs. */
static const uint32_t place_counts[] = { PF_BENCH_PLACES_MAX, 5, 2, 1 };

/* The greatest number that is possible. */
static uint32_t places_within(size_t most)
{
    int i = 0;

    while (place_counts[i] > 1 && place_counts[i] > most)
        i++;
    return place_counts[i];
}

/* Where data lie changes the time of short runs by up to a tenth on an H200, by which parts of its cache answer for an
   address: the same addresses give the same time again and again.  So where all of them together take no more than a
   third of that cache, runs take turns on several. */
static uint32_t places_for(const pf_bench *bench)
{
    size_t bytes = 0;

    if (!bench->device->ops->capture_begin)
        return 1;
    for (uint32_t k = 0; k < bench->in_count; k++)
        bytes += bench->in_bytes[k];
    for (uint32_t k = 0; k < bench->out_count; k++)
        bytes += bench->out_bytes[k];
    return places_within(bench->device->cache_bytes / 3 / (bytes ? bytes : 1));
}

/* The first place is filled already. */
static pf_status fill_place(pf_bench *bench, uint32_t place, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    void               **in = bench->in + (size_t)place * bench->in_count;
    void               **out = bench->out + (size_t)place * bench->out_count;
    pf_status            st = PF_OK;

    for (uint32_t i = 0; i < bench->in_count && !st; i++) {
        if (!bench->in[i])
            continue;
        st = pf_device_take(bench->device, NULL, bench->in_bytes[i] ? bench->in_bytes[i] : 1, &in[i], err);
        if (!st)
            st = ops->copy(bench->device, bench->stream, in[i], bench->in[i], bench->in_bytes[i], err);
    }
    for (uint32_t i = 0; i < bench->out_count && !st; i++)
        st = pf_device_take(bench->device, NULL, bench->out_bytes[i] + PF_BENCH_GUARD_BYTES, &out[i], err);
    return st ? st : ops->stream_sync(bench->device, bench->stream, err);
}

/* As many as there is memory for. */
static pf_status fill_places(pf_bench *bench, pf_err *err)
{
    uint32_t  wanted = places_for(bench), filled = 1;
    pf_status st = PF_OK;

    while (filled < wanted && !st) {
        st = fill_place(bench, filled, err);
        filled += !st;
    }
    if (st == PF_NO_SPACE)
        pf_err_clear(err);
    bench->places = places_within(filled);
    return st == PF_NO_SPACE ? PF_OK : st;
}

pf_status pf_bench_open(pf_device *device, pf_stream *stream, const pf_problem *problem, const pf_oracle *oracle,
                        pf_bench_room *room, pf_bench *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_bench){ .device = device, .stream = stream, .problem = problem, .oracle = oracle, .room = room,
                       .in_count = problem->graph->input_count, .out_count = problem->graph->output_count };
    out->tolerance = pf_oracle_tolerance(problem->graph, problem->numerics);
    out->in = pf_calloc((size_t)PF_BENCH_PLACES_MAX * out->in_count + 1, sizeof(void *));
    out->out = pf_calloc((size_t)PF_BENCH_PLACES_MAX * out->out_count + 1, sizeof(void *));
    out->in_bytes = pf_calloc(out->in_count + 1, sizeof *out->in_bytes);
    out->out_bytes = pf_calloc(out->out_count + 1, sizeof *out->out_bytes);
    out->expected = pf_calloc(out->out_count + 1, sizeof *out->expected);
    out->answers = pf_calloc(out->out_count + 1, sizeof *out->answers);
    if (!out->expected || !out->answers || !out->in || !out->out || !out->in_bytes || !out->out_bytes)
        st = PF_FAIL_MEMORY(err, (out->in_count + out->out_count) * sizeof(void *));
    for (uint32_t i = 0; i < out->in_count && !st; i++)
        st = place_input(out, i, err);
    for (uint32_t i = 0; i < out->out_count && !st; i++)
        st = place_output(out, i, err);
    if (!st)
        st = fill_places(out, err);
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
    free_all(bench, bench->in, PF_BENCH_PLACES_MAX * bench->in_count);
    free_all(bench, bench->out, PF_BENCH_PLACES_MAX * bench->out_count);
    free_all(bench, bench->answers, bench->out_count);
    if (bench->workspace)
        pf_device_give_back(bench->device, NULL, bench->workspace);
    for (uint32_t i = 0; i < bench->packed_count; i++)
        pf_device_give_back(bench->device, NULL, bench->packed[i].memory);
    for (uint32_t i = 0; bench->expected && i < bench->out_count; i++)
        pf_free(bench->expected[i]);
    pf_free(bench->expected);
    pf_free(bench->in_bytes);
    pf_free(bench->out_bytes);
    pf_free(bench->dense);
    *bench = (pf_bench){ 0 };
}

pf_status pf_bench_need_workspace(pf_bench *bench, size_t bytes, pf_err *err)
{
    pf_status st = PF_OK;

    if (bytes <= bench->workspace_bytes)
        return PF_OK;
    if (bench->workspace)
        pf_device_give_back(bench->device, NULL, bench->workspace);
    bench->workspace = NULL;
    bench->workspace_bytes = 0;
    st = pf_device_take(bench->device, NULL, bytes, &bench->workspace, err);
    bench->workspace_bytes = st ? 0 : bytes;
    return st;
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
    for (uint32_t i = 0; i < bench->places * bench->in_count; i++) {
        size_t bytes = bench->in_bytes[i % bench->in_count];

        move_one(bench, &bench->in[i], bytes ? bytes : 1, bytes);
    }
    for (uint32_t i = 0; i < bench->places * bench->out_count; i++)
        move_one(bench, &bench->out[i], bench->out_bytes[i % bench->out_count] + PF_BENCH_GUARD_BYTES, 0);
}
