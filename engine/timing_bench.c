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

pf_status pf_bench_open(pf_device *device, pf_stream *stream, const pf_problem *problem, const pf_oracle *oracle,
                        pf_bench_room *room, pf_timing_arena *arena, pf_bench *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_bench){ .device = device, .stream = stream, .problem = problem, .oracle = oracle, .room = room,
                       .arena = arena, .in_count = problem->graph->input_count,
                       .out_count = problem->graph->output_count };
    out->tolerance = pf_oracle_tolerance(problem->graph, problem->numerics);
    out->in_bytes = pf_calloc(out->in_count + 1, sizeof *out->in_bytes);
    out->out_bytes = pf_calloc(out->out_count + 1, sizeof *out->out_bytes);
    out->expected = pf_calloc(out->out_count + 1, sizeof *out->expected);
    out->answers = pf_calloc(out->out_count + 1, sizeof *out->answers);
    if (!out->expected || !out->answers || !out->in_bytes || !out->out_bytes)
        st = PF_FAIL_MEMORY(err, (out->in_count + out->out_count) * sizeof(void *));
    if (!st)
        st = pf_bench_open_home(out, err);
    if (st)
        pf_bench_close(out);
    return st;
}

void pf_bench_close(pf_bench *bench)
{
    if (!bench || !bench->device)
        return;
    pf_bench_close_sites(bench);
    for (uint32_t i = 0; bench->answers && i < bench->out_count; i++)
        pf_device_give_back(bench->device, NULL, bench->answers[i]);
    pf_device_give_back(bench->device, NULL, bench->workspace);
    for (uint32_t i = 0; i < bench->packed_count; i++)
        pf_device_give_back(bench->device, NULL, bench->packed[i].memory);
    for (uint32_t i = 0; bench->expected && i < bench->out_count; i++)
        pf_free(bench->expected[i]);
    pf_free(bench->answers);
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
