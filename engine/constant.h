/* Constants of graphs: bytes, or a way to make them.  What rewriting makes of large weights (scaled, joined, rounded)
   is made when it is read, a range at a time: so a plan's weights go from the model's mapped file through all that at
   once, and of networks that are not chosen in the end nothing is made.
   Thread   any. */
#ifndef PF_ENGINE_CONSTANT_H
#define PF_ENGINE_CONSTANT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "engine/dtype.h"

/* Smaller constants are never late, and their data may be read as it is. */
enum { PF_LATE_LEAST_BYTES = 1 << 20, PF_LATE_CHUNK = 1024 };

typedef struct pf_late pf_late;

/* Dense, row-major, little endian. */
typedef struct pf_constant {
    const void *data;           /* borrowed from the arena or from a mapped file that the graph keeps open; NULL: late,
                                   or no bytes */
    size_t      bytes;
    pf_late    *late;           /* borrowed, or NULL */
} pf_constant;

/* The head of what a maker keeps in its graph's arena; elements of whole bytes. */
struct pf_late {
    void (*fill)(const pf_late *late, uint64_t first, uint64_t count, void *out);      /* elements; any thread */
    void (*forget)(const pf_late *late);    /* pf_constant_forget of what it is made of */
    pf_dtype        dtype;
    _Atomic(void *) made;       /* owned: all of it, once somebody asked for all */
};

/* All bytes where nothing must be made for that, or NULL. */
const void *pf_constant_find(const pf_constant *constant);
/* All bytes, made by all cores if need be and kept; borrowed for the graph's life.  Errors   NO_SPACE. */
pf_status   pf_constant_bytes(const pf_constant *constant, const void **out, pf_err *err);
/* All bytes into the caller's memory, by all cores; nothing is kept. */
void        pf_constant_copy(const pf_constant *constant, void *out);
/* The elements [first, first + count) of a constant of dtype: where they lie, or in room, which holds as many.
   first must be the start of a byte. */
const void *pf_constant_part(const pf_constant *constant, pf_dtype dtype, uint64_t first, uint64_t count, void *room);
double      pf_constant_get(const pf_constant *constant, pf_dtype dtype, uint64_t index);
void        pf_constant_digest(const pf_constant *constant, pf_digest *out);
/* What of its bytes lies in mapped files need not stay in memory (base/file.h). */
void        pf_constant_forget(const pf_constant *constant);
/* Do they share their bytes? */
bool        pf_constant_shares(const pf_constant *a, const pf_constant *b);
/* For graphs: gives back what was made. */
void        pf_late_release(void *late);

#endif
