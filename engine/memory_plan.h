/* Where values live in one block of memory: offsets by lifetime, so that values which are never alive together share
   bytes.  The offsets are the smaller of two layouts: greedy by size (Pisarchyk and Lee 2020, "Efficient Memory
   Management for Deep Neural Net Inference") and best fit in order of execution.  A pure function of its input: the
   same items give the same offsets everywhere; a builder asks it at the shapes that are timed, a runtime again at each
   shape that it meets. */
#ifndef PF_ENGINE_MEMORY_PLAN_H
#define PF_ENGINE_MEMORY_PLAN_H

#include "base/status.h"
#include "engine/graph.h"

enum { PF_MEMORY_ALIGNMENT = 256 };

typedef struct pf_memory_item {
    size_t   bytes;             /* 0: takes no memory, its offset is 0 */
    uint32_t first, last;       /* the steps that write it first and use it last, both included */
    uint32_t alias_of;          /* PF_NONE, or an earlier item whose bytes these are: a view */
    uint32_t may_take;          /* PF_NONE, or an earlier item that the step `first` may overwrite, if nothing needs it
                                   afterwards */
    size_t   offset;            /* answered; a multiple of PF_MEMORY_ALIGNMENT */
} pf_memory_item;

typedef struct pf_memory_plan {
    size_t   bytes;             /* of the block */
    size_t   lower_bound_bytes; /* the most bytes alive at one step: no layout can need less */
    uint32_t taken_in_place;    /* items that took the memory of a dying one */
} pf_memory_plan;

/* Fills items[].offset and *out.  Errors  INVALID: an item names a later one, or lives backwards; NO_SPACE. */
pf_status pf_memory_plan_make(pf_memory_item *items, uint32_t count, pf_memory_plan *out, pf_err *err);

#endif
