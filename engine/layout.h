/* How a value's elements lie in memory. */
#ifndef PF_ENGINE_LAYOUT_H
#define PF_ENGINE_LAYOUT_H

#include "engine/dim.h"
#include "engine/tensor.h"

typedef enum pf_layout {
#define PF_LAYOUT(NAME, text, block) PF_LAYOUT_##NAME,
#include "engine/layouts.def"
#undef PF_LAYOUT
    PF_LAYOUT_COUNT,
    PF_LAYOUT_PITCH_SHIFT = 8, PF_LAYOUT_PITCH_LIMIT = 1 << 20,
} pf_layout;

/* A value may lie in a wider one: its channels (dim 1) are some that follow each other of `pitch` channels, whose other
   dims are its own.  Then the layout is a kind, one of those above, and the pitch together; channels and pitch fill
   blocks.  0: no pitch, the layout is its kind. */
pf_layout   pf_layout_pitched(pf_layout kind, int64_t pitch);
pf_layout   pf_layout_kind(pf_layout layout);
int64_t     pf_layout_pitch(pf_layout layout);
enum { PF_LAYOUT_TEXT_BYTES = 24 };
typedef struct pf_layout_text { char at[PF_LAYOUT_TEXT_BYTES]; } pf_layout_text;
const char *pf_layout_name(pf_layout layout);                    /* of the kind */
pf_layout_text pf_layout_print(pf_layout layout);                /* "nhwc", "nhwc:256" */
pf_layout   pf_layout_from_name(const char *name);  /* of what pf_layout_print writes; PF_LAYOUT_COUNT when unknown */
bool        pf_layout_fits(pf_layout layout, int32_t rank);
/* Can a value of these dims lie so?  What fits by rank, and with a pitch holds no more channels than that. */
bool        pf_layout_takes(pf_layout layout, const pf_shape *shape);
/* Bytes of a tensor in that layout, padding included; with a pitch, from its first element to its last. */
pf_status   pf_layout_bytes(pf_layout layout, pf_dtype dtype, int32_t rank, const int64_t *dim, size_t *bytes,
                            pf_err *err);
/* Do a and b put the elements of a tensor of that shape at the same places, so that no conversion is needed? Symbols
   count as any number. */
bool        pf_layout_same_bytes(pf_layout a, pf_layout b, const pf_shape *shape);
/* The dims in the order in which they lie in memory, the outermost first, without those of one place: their count.
   layout: without blocks. */
int32_t     pf_layout_order(pf_layout layout, const pf_shape *shape, int32_t *order);
/* Elements between neighbours along each dim of a tensor whose dims are numbers.  In blocks, dim[1] is from block to
   block and in_block between channels of one; block is 1 elsewhere. */
typedef struct pf_strides { int64_t dim[PF_MAX_RANK], in_block, block; } pf_strides;
pf_strides  pf_layout_strides(pf_layout layout, int32_t rank, const int64_t *dim);
/* Are `count` places of dim `axis` from `start` on one run of bytes in a tensor of that shape, laid out as a tensor of
   their own would be? Then *offset_bytes is where it begins, a multiple of PF_LAYOUT_PART_ALIGNMENT.  false too when a
   dim is a symbol. */
enum { PF_LAYOUT_PART_ALIGNMENT = 64 };
bool        pf_layout_part(pf_layout layout, pf_dtype dtype, const pf_shape *shape, int32_t axis, int64_t start,
                           int64_t count, uint64_t *offset_bytes);
/* Where `count` channels from `start` on begin in a tensor of that shape, as a value with the pitch of all its
   channels: a multiple of PF_LAYOUT_CHANNELS_ALIGNMENT that is known although dims may be symbols.  false when there is
   no such place. */
enum { PF_LAYOUT_CHANNELS_ALIGNMENT = 32 };
bool        pf_layout_channels(pf_layout kind, pf_dtype dtype, const pf_shape *shape, int64_t start, int64_t count,
                               uint64_t *offset_bytes);
int64_t     pf_layout_block(pf_layout layout);                   /* channels per block; 1: no blocks */
/* Host conversion between LINEAR and any layout; padding is written as zero. tensor gives dtype and dims; both buffers
   are whole. */
void        pf_layout_pack(pf_layout to, const pf_tensor *tensor, const void *linear, void *packed);
void        pf_layout_unpack(pf_layout from, const pf_tensor *tensor, const void *packed, void *linear);

#endif
