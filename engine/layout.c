#include "engine/layout.h"

#include <string.h>

static const struct layout_row { const char *name; int32_t block; } rows[PF_LAYOUT_COUNT] = {
#define PF_LAYOUT(NAME, text, block) [PF_LAYOUT_##NAME] = { #text, block },
#include "engine/layouts.def"
#undef PF_LAYOUT
};

const char *pf_layout_name(pf_layout layout)
{
    return (unsigned)layout < PF_LAYOUT_COUNT ? rows[layout].name : "?";
}

pf_layout pf_layout_from_name(const char *name)
{
    int i = 0;

    while (i < PF_LAYOUT_COUNT && strcmp(rows[i].name, name) != 0)
        i++;
    return (pf_layout)i;
}

bool pf_layout_fits(pf_layout layout, int32_t rank)
{
    return layout == PF_LAYOUT_LINEAR || ((unsigned)layout < PF_LAYOUT_COUNT && rank >= 3);
}

/* Channels that the layout stores for `channels` of them: a whole number of blocks. */
static int64_t stored_channels(pf_layout layout, int64_t channels)
{
    int64_t block = rows[layout].block;

    return block > 1 ? (channels + block - 1) / block * block : channels;
}

pf_status pf_layout_bytes(pf_layout layout, pf_dtype dtype, int32_t rank, const int64_t *dim, size_t *bytes, pf_err *err)
{
    pf_tensor tensor = { .dtype = dtype, .rank = rank };
    pf_status st = PF_OK;

    *bytes = 0;
    if (rank < 0 || rank > PF_MAX_RANK || !pf_layout_fits(layout, rank))
        return PF_FAIL(err, PF_INVALID, "layout %s does not fit a tensor of rank %d", pf_layout_name(layout), rank);
    for (int32_t i = 0; i < rank; i++)
        tensor.dim[i] = dim[i];
    if (rank > 1) {
        if (dim[1] > INT64_MAX - 64)
            return PF_FAIL(err, PF_INVALID, "a tensor has %lld channels", (long long)dim[1]);
        tensor.dim[1] = stored_channels(layout, dim[1]);
    }
    st = pf_tensor_measure(&tensor, err);
    if (!st)
        *bytes = tensor.bytes;
    return st;
}

/* A tensor seen as [n][channel][spatial]. */
typedef struct extent { int64_t n, channels, spatial, stored, block; } extent;

static extent extent_of(pf_layout layout, const pf_tensor *tensor)
{
    extent e = { 1, 1, 1, 1, rows[layout].block };

    if (tensor->rank > 0)
        e.n = tensor->dim[0];
    if (tensor->rank > 1)
        e.channels = tensor->dim[1];
    for (int32_t i = 2; i < tensor->rank; i++)
        e.spatial *= tensor->dim[i];
    e.stored = stored_channels(layout, e.channels);
    if (e.block <= 1)
        e.block = e.stored > 0 ? e.stored : 1;      /* channels last: one block of all channels */
    return e;
}

typedef struct bytes_move { const extent *e; bool packing; const char *from; char *to; } bytes_move;

/* The places [first, end) of image n. Where channels follow each other, threads and caches do best with some places of all channels at a time. */
#define MOVE_PLACES(bits, type) \
    static void move_places_##bits(const bytes_move *m, int64_t n, int64_t first, int64_t end) \
    { \
        const extent *e = m->e; \
        for (int64_t c = 0; c < e->channels; c++) { \
            const int64_t linear = (n * e->channels + c) * e->spatial; \
            const int64_t packed = (n * e->stored + c / e->block * e->block) * e->spatial + c % e->block; \
            const type   *from = (const type *)m->from + (m->packing ? linear : packed); \
            type         *to = (type *)m->to + (m->packing ? packed : linear); \
            const int64_t from_step = m->packing ? 1 : e->block, to_step = m->packing ? e->block : 1; \
            for (int64_t s = first; s < end; s++) \
                to[s * to_step] = from[s * from_step]; \
        } \
    }
typedef struct wide { uint64_t half[2]; } wide;
MOVE_PLACES(8, uint8_t)
MOVE_PLACES(16, uint16_t)
MOVE_PLACES(32, uint32_t)
MOVE_PLACES(64, uint64_t)
MOVE_PLACES(128, wide)

static const struct { uint32_t bits; void (*move)(const bytes_move *m, int64_t n, int64_t first, int64_t end); } place_movers[] = {
    { 8, move_places_8 }, { 16, move_places_16 }, { 32, move_places_32 }, { 64, move_places_64 }, { 128, move_places_128 },
};

static void move_bytes(const extent *e, bool packing, uint32_t bits, const void *from, void *to)
{
    enum { PLACES = 64, ALONE = 1 << 16 };
    const bytes_move m = { e, packing, from, to };
    const int64_t    parts = (e->spatial + PLACES - 1) / PLACES;

    for (size_t i = 0; i < sizeof place_movers / sizeof place_movers[0]; i++) {
        if (place_movers[i].bits != bits)
            continue;
#pragma omp parallel for schedule(static) if (e->n * e->channels * e->spatial > ALONE)
        for (int64_t p = 0; p < e->n * parts; p++)
            place_movers[i].move(&m, p / parts, p % parts * PLACES, p % parts * PLACES + PLACES < e->spatial ? p % parts * PLACES + PLACES : e->spatial);
    }
}

/* Types of less than a byte. */
static void move_elements(const extent *e, bool packing, pf_dtype dtype, const void *from, void *to)
{
    for (int64_t n = 0; n < e->n; n++)
        for (int64_t c = 0; c < e->channels; c++)
            for (int64_t s = 0; s < e->spatial; s++) {
                int64_t linear = (n * e->channels + c) * e->spatial + s;
                int64_t packed = (n * e->stored + c / e->block * e->block) * e->spatial + s * e->block + c % e->block;

                pf_dtype_set(dtype, to, (uint64_t)(packing ? packed : linear),
                             pf_dtype_get(dtype, from, (uint64_t)(packing ? linear : packed)));
            }
}

static void move(pf_layout layout, const pf_tensor *tensor, bool packing, const void *from, void *to)
{
    extent e = extent_of(layout, tensor);
    uint32_t bits = pf_dtype_bits(tensor->dtype);

    if (layout == PF_LAYOUT_LINEAR)
        memcpy(to, from, pf_dtype_bytes(tensor->dtype, (uint64_t)pf_tensor_elems(tensor)));
    else if (bits < 8)
        move_elements(&e, packing, tensor->dtype, from, to);
    else
        move_bytes(&e, packing, bits, from, to);
}

void pf_layout_pack(pf_layout to, const pf_tensor *tensor, const void *linear, void *packed)
{
    extent e = extent_of(to, tensor);

    if (e.stored != e.channels)
        memset(packed, 0, pf_dtype_bytes(tensor->dtype, (uint64_t)(e.n * e.stored * e.spatial)));
    move(to, tensor, true, linear, packed);
}

void pf_layout_unpack(pf_layout from, const pf_tensor *tensor, const void *packed, void *linear)
{
    move(from, tensor, false, packed, linear);
}

/* Channels that follow each other in memory: all for CHANNELS_LAST, 1 for LINEAR. */
static int64_t channel_run(pf_layout layout, int64_t channels)
{
    return rows[layout].block > 1 ? rows[layout].block : layout == PF_LAYOUT_CHANNELS_LAST ? channels : 1;
}

bool pf_layout_same_bytes(pf_layout a, pf_layout b, const pf_shape *shape)
{
    bool    one_place = true;
    int64_t channels = 0;

    if (a == b || shape->rank < 3)
        return true;
    channels = shape->dim[1];
    for (int32_t i = 2; i < shape->rank; i++)
        one_place = one_place && shape->dim[i] == 1;
    if (rows[a].block > 1 || rows[b].block > 1) {           /* padding must be absent from both */
        if (pf_dim_is_symbolic(channels) || stored_channels(a, channels) != channels || stored_channels(b, channels) != channels)
            return false;
        return one_place || channel_run(a, channels) == channel_run(b, channels);
    }
    return one_place || channels == 1;
}

int64_t pf_layout_block(pf_layout layout)
{
    return rows[layout].block > 1 ? rows[layout].block : 1;
}

pf_strides pf_layout_strides(pf_layout layout, int32_t rank, const int64_t *dim)
{
    pf_strides s = { .block = pf_layout_block(layout) };
    bool       last = layout == PF_LAYOUT_CHANNELS_LAST && rank > 1;
    int64_t    step = s.block;

    s.in_block = s.block > 1;
    if (last) {
        s.dim[1] = 1;
        step = dim[1];
    }
    for (int32_t i = rank; i-- > 0;) {
        if (i == 1 && last)
            continue;
        s.dim[i] = step;
        step *= i == 1 ? stored_channels(layout, dim[1]) / s.block : dim[i];
    }
    return s;
}

/* Nothing but dims of one place may lie outside of the axis; a block is cut nowhere but at the tensor's own end. */
bool pf_layout_part(pf_layout layout, pf_dtype dtype, const pf_shape *shape, int32_t axis, int64_t start, int64_t count, uint64_t *offset_bytes)
{
    int64_t    block = axis == 1 ? pf_layout_block(layout) : 1, end = start + count;
    pf_strides s = { { 0 }, 0, 0 };
    uint64_t   elems = 0;

    *offset_bytes = 0;
    if (!pf_shape_is_static(shape) || !pf_layout_fits(layout, shape->rank) || pf_dtype_bits(dtype) < 8 || axis < 0 || axis >= shape->rank ||
        start < 0 || count < 1 || end > shape->dim[axis] || start % block || (end % block && end != shape->dim[axis]))
        return false;
    s = pf_layout_strides(layout, shape->rank, shape->dim);
    for (int32_t d = 0; d < shape->rank; d++) {
        bool one_place = d == 1 ? stored_channels(layout, shape->dim[1]) <= s.block : shape->dim[d] == 1;

        if (d != axis && !one_place && s.dim[d] > s.dim[axis])
            return false;
    }
    elems = (uint64_t)(start / block) * (uint64_t)s.dim[axis];
    *offset_bytes = pf_dtype_bytes(dtype, elems);
    return *offset_bytes % PF_LAYOUT_PART_ALIGNMENT == 0;
}
