#include "engine/layout.h"

#include <stdio.h>
#include <string.h>

static const struct layout_row { const char *name; int32_t block; } rows[PF_LAYOUT_COUNT] = {
#define PF_LAYOUT(NAME, text, block) [PF_LAYOUT_##NAME] = { #text, block },
#include "engine/layouts.def"
#undef PF_LAYOUT
};

pf_layout pf_layout_kind(pf_layout layout)
{
    return (pf_layout)((unsigned)layout & ((1u << PF_LAYOUT_PITCH_SHIFT) - 1));
}

int64_t pf_layout_pitch(pf_layout layout) { return (int64_t)((unsigned)layout >> PF_LAYOUT_PITCH_SHIFT); }

pf_layout pf_layout_pitched(pf_layout kind, int64_t pitch)
{
    return (pf_layout)((unsigned)pf_layout_kind(kind) | (unsigned)pitch << PF_LAYOUT_PITCH_SHIFT);
}

const char *pf_layout_name(pf_layout layout)
{
    return pf_layout_kind(layout) < PF_LAYOUT_COUNT ? rows[pf_layout_kind(layout)].name : "?";
}

pf_layout_text pf_layout_print(pf_layout layout)
{
    pf_layout_text text = { "" };

    if (pf_layout_pitch(layout))
        snprintf(text.at, sizeof text.at, "%s:%u", pf_layout_name(layout), (unsigned)pf_layout_pitch(layout));
    else
        snprintf(text.at, sizeof text.at, "%s", pf_layout_name(layout));
    return text;
}

/* The number behind the colon; 0 when there is none that may be. */
static int64_t read_pitch(const char *text)
{
    int64_t pitch = 0;

    for (; *text >= '0' && *text <= '9' && pitch < PF_LAYOUT_PITCH_LIMIT; text++) {
        if (pitch == 0 && *text == '0')
            return 0;
        pitch = pitch * 10 + (*text - '0');
    }
    return *text || pitch >= PF_LAYOUT_PITCH_LIMIT ? 0 : pitch;
}

pf_layout pf_layout_from_name(const char *name)
{
    size_t  length = strcspn(name, ":");
    int64_t pitch = name[length] ? read_pitch(name + length + 1) : 0;
    int     i = 0;

    while (i < PF_LAYOUT_COUNT && (strlen(rows[i].name) != length || strncmp(rows[i].name, name, length)))
        i++;
    if (i == PF_LAYOUT_COUNT || (name[length] && !pitch))
        return PF_LAYOUT_COUNT;
    return pf_layout_pitched((pf_layout)i, pitch);
}

bool pf_layout_fits(pf_layout layout, int32_t rank)
{
    pf_layout kind = pf_layout_kind(layout);

    if ((unsigned)kind >= PF_LAYOUT_COUNT ||
        (pf_layout_pitch(layout) && (rank < 2 || pf_layout_pitch(layout) % pf_layout_block(kind))))
        return false;
    return kind == PF_LAYOUT_LINEAR || rank >= 3;
}

bool pf_layout_takes(pf_layout layout, const pf_shape *shape)
{
    int64_t pitch = pf_layout_pitch(layout);

    if (!pf_layout_fits(layout, shape->rank))
        return false;
    return !pitch || (pf_dim_is_number(shape->dim[1]) && shape->dim[1] > 0 && shape->dim[1] <= pitch &&
                      shape->dim[1] % pf_layout_block(layout) == 0);
}

/* Channels that the layout stores for `channels` of them: a whole number of blocks. */
static int64_t stored_channels(pf_layout layout, int64_t channels)
{
    int64_t block = rows[pf_layout_kind(layout)].block;

    if (pf_layout_pitch(layout))
        return pf_layout_pitch(layout);
    return block > 1 ? (channels + block - 1) / block * block : channels;
}

pf_status pf_layout_bytes(pf_layout layout, pf_dtype dtype, int32_t rank, const int64_t *dim, size_t *bytes,
                          pf_err *err)
{
    pf_tensor  tensor = { .dtype = dtype, .rank = rank };
    pf_strides s = { { 0 }, 0, 0 };
    int64_t    last = 0;
    pf_status  st = PF_OK;

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
    if (pf_layout_pitch(layout) && (dim[1] < 1 || dim[1] > pf_layout_pitch(layout) || dim[1] % pf_layout_block(layout)))
        return PF_FAIL(err, PF_INVALID, "%lld channels do not lie in layout %s", (long long)dim[1],
                       pf_layout_print(layout).at);
    st = pf_tensor_measure(&tensor, err);
    if (st || !pf_layout_pitch(layout) || !tensor.bytes) {
        *bytes = tensor.bytes;
        return st;
    }
    s = pf_layout_strides(layout, rank, dim);
    for (int32_t i = 0; i < rank; i++)
        last += ((i == 1 ? dim[1] / s.block : dim[i]) - 1) * s.dim[i];
    *bytes = pf_dtype_bytes(dtype, (uint64_t)(last + s.block));
    return PF_OK;
}

int32_t pf_layout_order(pf_layout layout, const pf_shape *shape, int32_t *order)
{
    bool    last = layout == PF_LAYOUT_CHANNELS_LAST;
    int32_t count = 0;

    for (int32_t i = 0; i < shape->rank; i++) {
        int32_t d = !last || i == 0 ? i : i + 1 < shape->rank ? i + 1 : 1;

        if (shape->dim[d] != 1)
            order[count++] = d;
    }
    return count;
}

/* A tensor seen as [n][channel][spatial]. */
typedef struct extent { int64_t n, channels, spatial, stored, block; } extent;

static extent extent_of(pf_layout layout, const pf_tensor *tensor)
{
    extent e = { 1, 1, 1, 1, rows[pf_layout_kind(layout)].block };

    if (tensor->rank > 0)
        e.n = tensor->dim[0];
    if (tensor->rank > 1)
        e.channels = tensor->dim[1];
    for (int32_t i = 2; i < tensor->rank; i++)
        e.spatial *= tensor->dim[i];
    e.stored = stored_channels(layout, e.channels);
    if (pf_layout_kind(layout) == PF_LAYOUT_LINEAR)
        e.block = 1;
    else if (e.block <= 1)
        e.block = e.stored > 0 ? e.stored : 1;      /* channels last: one block of all channels */
    return e;
}

typedef struct bytes_move { const extent *e; bool packing; const char *from; char *to; } bytes_move;

/* The places [first, end) of image n. Where channels follow each other, threads and caches do best with some places of
   all channels at a time. */
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

static const struct {
    uint32_t bits;
    void (*move)(const bytes_move *m, int64_t n, int64_t first, int64_t end);
} place_movers[] = {
    { 8, move_places_8 },   { 16, move_places_16 },   { 32, move_places_32 },
    { 64, move_places_64 }, { 128, move_places_128 },
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
            place_movers[i].move(&m, p / parts, p % parts * PLACES,
                                 p % parts * PLACES + PLACES < e->spatial ? p % parts * PLACES + PLACES : e->spatial);
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

    if (layout == PF_LAYOUT_LINEAR)     /* and no pitch */
        memcpy(to, from, pf_dtype_bytes(tensor->dtype, (uint64_t)pf_tensor_elems(tensor)));
    else if (bits < 8)
        move_elements(&e, packing, tensor->dtype, from, to);
    else
        move_bytes(&e, packing, bits, from, to);
}

void pf_layout_pack(pf_layout to, const pf_tensor *tensor, const void *linear, void *packed)
{
    extent e = extent_of(to, tensor);

    if (e.stored != e.channels && !pf_layout_pitch(to))     /* between the channels of a pitch others live */
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
    int64_t block = pf_layout_block(layout);

    return block > 1 ? block : pf_layout_kind(layout) == PF_LAYOUT_CHANNELS_LAST ? channels : 1;
}

bool pf_layout_same_bytes(pf_layout a, pf_layout b, const pf_shape *shape)
{
    bool    one_place = true;
    int64_t channels = 0;

    if (a == b || (shape->rank < 3 && pf_layout_pitch(a) == pf_layout_pitch(b)))
        return true;
    if (pf_layout_pitch(a) != pf_layout_pitch(b))
        return false;
    channels = shape->dim[1];
    for (int32_t i = 2; i < shape->rank; i++)
        one_place = one_place && shape->dim[i] == 1;
    if (pf_layout_block(a) > 1 || pf_layout_block(b) > 1) {     /* padding must be absent from both */
        if (pf_dim_is_symbolic(channels) || channels % pf_layout_block(a) || channels % pf_layout_block(b))
            return false;
        return one_place || channel_run(a, channels) == channel_run(b, channels);
    }
    return one_place || channels == 1;
}

int64_t pf_layout_block(pf_layout layout)
{
    int32_t block = rows[pf_layout_kind(layout)].block;

    return block > 1 ? block : 1;
}

pf_strides pf_layout_strides(pf_layout layout, int32_t rank, const int64_t *dim)
{
    pf_strides s = { .block = pf_layout_block(layout) };
    bool       last = pf_layout_kind(layout) == PF_LAYOUT_CHANNELS_LAST && rank > 1;
    int64_t    step = s.block;

    s.in_block = s.block > 1;
    if (last) {
        s.dim[1] = 1;
        step = stored_channels(layout, dim[1]);
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
bool pf_layout_part(pf_layout layout, pf_dtype dtype, const pf_shape *shape, int32_t axis, int64_t start, int64_t count,
                    uint64_t *offset_bytes)
{
    int64_t    block = axis == 1 ? pf_layout_block(layout) : 1, end = start + count;
    pf_strides s = { { 0 }, 0, 0 };
    uint64_t   elems = 0;

    *offset_bytes = 0;
    if (!pf_shape_is_static(shape) || !pf_layout_fits(layout, shape->rank) || pf_dtype_bits(dtype) < 8 || axis < 0 ||
        axis >= shape->rank || start < 0 || count < 1 || end > shape->dim[axis] || start % block ||
        (end % block && end != shape->dim[axis]))
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

bool pf_layout_channels(pf_layout kind, pf_dtype dtype, const pf_shape *shape, int64_t start, int64_t count,
                        uint64_t *offset_bytes)
{
    int64_t block = pf_layout_block(kind), channels = shape->rank > 1 ? shape->dim[1] : 0, elems = start;

    *offset_bytes = 0;
    if (pf_dtype_bits(dtype) < 8 || !pf_layout_fits(kind, shape->rank) || pf_dim_is_symbolic(channels) ||
        channels >= PF_LAYOUT_PITCH_LIMIT || start < 0 || start > channels || count < 1 || count > channels - start ||
        start % block || count % block || channels % block)
        return false;
    for (int32_t d = 2; d < shape->rank && start && pf_layout_kind(kind) != PF_LAYOUT_CHANNELS_LAST; d++)
        if (pf_dim_is_symbolic(shape->dim[d]) || __builtin_mul_overflow(elems, shape->dim[d], &elems) ||
            elems > INT64_MAX / 16)
            return false;
    *offset_bytes = pf_dtype_bytes(dtype, (uint64_t)elems);
    return *offset_bytes % PF_LAYOUT_CHANNELS_ALIGNMENT == 0;
}
