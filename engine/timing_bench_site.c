/* Where a problem's inputs and outputs lie: at home, where candidates are checked, and in places where they race. */
#include "base/alloc.h"
#include "engine/timing_bench_private.h"

/* ---- Memory of the arena, or as it comes */

static pf_status take(const pf_bench *bench, size_t bytes, void **out, pf_err *err)
{
    *out = pf_timing_arena_reserve(bench->arena, bytes ? bytes : 1);
    return *out ? PF_OK : pf_device_take(bench->device, NULL, bytes ? bytes : 1, out, err);
}

static void give_back(const pf_bench *bench, void *memory)
{
    if (memory && !pf_timing_arena_holds(bench->arena, memory))
        pf_device_give_back(bench->device, NULL, memory);
}

static void close_site(const pf_bench *bench, pf_bench_site *site)
{
    for (uint32_t i = 0; site->in && i < PF_BENCH_PLACES_MAX * bench->in_count; i++)
        give_back(bench, site->in[i]);
    for (uint32_t i = 0; site->out && i < PF_BENCH_PLACES_MAX * bench->out_count; i++)
        give_back(bench, site->out[i]);
    pf_free(site->in);
    pf_free(site->out);
    *site = (pf_bench_site){ 0 };
}

static pf_status open_site(const pf_bench *bench, pf_bench_site *out, pf_err *err)
{
    out->in = pf_calloc((size_t)PF_BENCH_PLACES_MAX * bench->in_count + 1, sizeof(void *));
    out->out = pf_calloc((size_t)PF_BENCH_PLACES_MAX * bench->out_count + 1, sizeof(void *));
    return out->in && out->out ? PF_OK : PF_FAIL_MEMORY(err, (bench->in_count + bench->out_count) * sizeof(void *));
}

void pf_bench_close_sites(pf_bench *bench)
{
    close_site(bench, &bench->home);
    close_site(bench, &bench->away);
}

/* ---- Home */

static pf_status upload(const pf_bench *bench, const void *host, size_t bytes, void **out, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = pf_device_take(bench->device, NULL, bytes ? bytes : 1, out, err);

    if (!st)
        st = ops->upload(bench->device, bench->stream, *out, host, bytes, err);
    return st ? st : ops->stream_sync(bench->device, bench->stream, err);
}

static pf_status bring_input(pf_bench *bench, uint32_t i, pf_err *err)
{
    const pf_tensor *tensor = &bench->oracle->in[i];
    pf_layout        layout = bench->problem->in_constant[i] ? PF_LAYOUT_LINEAR : bench->problem->in_layout[i];
    pf_status        st = pf_layout_bytes(layout, tensor->dtype, tensor->rank, tensor->dim, &bench->in_bytes[i], err);

    if (st || bench->problem->in_constant[i])
        return st;
    if (layout == PF_LAYOUT_LINEAR)
        return upload(bench, tensor->data, bench->in_bytes[i], &bench->home.in[i], err);
    st = pf_bench_need_room(bench->room, bench->in_bytes[i], err);
    if (st)
        return st;
    pf_layout_pack(layout, tensor, tensor->data, bench->room->memory);
    return upload(bench, bench->room->memory, bench->in_bytes[i], &bench->home.in[i], err);
}

static pf_status make_output(pf_bench *bench, uint32_t i, pf_err *err)
{
    const pf_tensor *tensor = &bench->oracle->out[i];
    pf_status        st = pf_layout_bytes(bench->problem->out_layout[i], tensor->dtype, tensor->rank, tensor->dim,
                                          &bench->out_bytes[i], err);

    if (!st)
        st = pf_device_take(bench->device, NULL, bench->out_bytes[i] + PF_BENCH_GUARD_BYTES, &bench->home.out[i], err);
    return st;
}

pf_status pf_bench_open_home(pf_bench *bench, pf_err *err)
{
    pf_status st = open_site(bench, &bench->home, err);

    for (uint32_t i = 0; i < bench->in_count && !st; i++)
        st = bring_input(bench, i, err);
    for (uint32_t i = 0; i < bench->out_count && !st; i++)
        st = make_output(bench, i, err);
    bench->home.places = 1;
    return st;
}

/* ---- Away */

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

static size_t place_bytes(const pf_bench *bench)
{
    size_t bytes = 0;

    for (uint32_t k = 0; k < bench->in_count; k++)
        bytes += bench->in_bytes[k];
    for (uint32_t k = 0; k < bench->out_count; k++)
        bytes += bench->out_bytes[k];
    return bytes;
}

/* Where data lie changes the time of short runs by up to a tenth on an H200, by which parts of its cache answer for an
   address: the same addresses give the same time again and again.  So where all of them together take no more than a
   third of that cache, runs take turns on several. */
static uint32_t places_for(const pf_bench *bench)
{
    size_t bytes = place_bytes(bench);

    return bench->device->ops->capture_begin ? places_within(bench->device->cache_bytes / 3 / (bytes ? bytes : 1)) : 1;
}

/* What is large is not copied only to be timed once. */
static bool stays_home(const pf_bench *bench, uint32_t number)
{
    return !number && places_for(bench) == 1 && place_bytes(bench) > pf_timing_arena_room(bench->arena);
}

static pf_status fill_place(const pf_bench *bench, uint32_t place, pf_bench_site *site, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    void               **in = site->in + (size_t)place * bench->in_count;
    void               **out = site->out + (size_t)place * bench->out_count;
    pf_status            st = PF_OK;

    for (uint32_t i = 0; i < bench->in_count && !st; i++) {
        if (!bench->home.in[i])
            continue;
        st = take(bench, bench->in_bytes[i], &in[i], err);
        if (!st)
            st = ops->copy(bench->device, bench->stream, in[i], bench->home.in[i], bench->in_bytes[i], err);
    }
    for (uint32_t i = 0; i < bench->out_count && !st; i++)
        st = take(bench, bench->out_bytes[i] + PF_BENCH_GUARD_BYTES, &out[i], err);
    return st ? st : ops->stream_sync(bench->device, bench->stream, err);
}

/* As many as there is memory for. */
static void fill_places(const pf_bench *bench, pf_bench_site *site)
{
    uint32_t wanted = places_for(bench), filled = 0;
    pf_err   ignored = { 0 };

    while (filled < wanted && !fill_place(bench, filled, site, &ignored))
        filled++;
    site->places = filled ? places_within(filled) : 0;
}

/* In the order in which candidates were prepared, whoever still races. */
static void reserve_copies(pf_bench *bench)
{
    for (uint32_t i = 0; i < bench->packed_count; i++) {
        size_t bytes = pf_bench_aligned(bench->packed[i].bytes) * pf_bench_site_of(bench)->places;

        bench->packed[i].copies = pf_timing_arena_reserve(bench->arena, bytes);
        bench->packed[i].filled = false;
    }
}

/* What was there before is given back last, so that what is not of the arena lies elsewhere. */
void pf_bench_move(pf_bench *bench, uint32_t number)
{
    pf_bench_site before = bench->away;
    pf_err        ignored = { 0 };

    bench->away = (pf_bench_site){ 0 };
    pf_timing_arena_begin(bench->arena, number);
    if (!stays_home(bench, number) && !open_site(bench, &bench->away, &ignored))
        fill_places(bench, &bench->away);
    if (!bench->away.places)
        close_site(bench, &bench->away);
    bench->away.workspace = pf_timing_arena_reserve(bench->arena, bench->workspace_bytes);
    reserve_copies(bench);
    close_site(bench, &before);
}

void pf_bench_go_home(pf_bench *bench)
{
    close_site(bench, &bench->away);
}
