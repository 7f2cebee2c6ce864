/* Answers of references that are made ahead, by a thread of its own: while a device times and compares, the cores would
   have nothing to do.  It gives way to who times: its niceness is that of compilers, and a core is left free. */
#ifndef PF_ENGINE_ORACLE_AHEAD_H
#define PF_ENGINE_ORACLE_AHEAD_H

#include "engine/device.h"
#include "engine/oracle.h"

typedef struct pf_oracle_ahead pf_oracle_ahead;

typedef struct pf_oracle_wanted {
    const pf_graph *graph;              /* borrowed until the end */
    const int64_t  *bindings;           /* of its symbols; NULL: it has none. Borrowed until the end */
} pf_oracle_wanted;

/* Does it pay?  Not where the processor itself is what times, nor on few cores. */
bool      pf_oracle_ahead_pays(const pf_device *device);
/* Begins to make what is wanted, one after the other, as long as answers that nobody took hold less than most_bytes. */
pf_status pf_oracle_ahead_start(const pf_oracle_wanted *wanted, uint32_t count, uint64_t most_bytes,
                                pf_oracle_ahead **out, pf_err *err);
/* Waits where it is being made.  False: it failed, or was not begun and will not be, or nobody wants it any more
   (engine/go_on.h); the caller makes it itself, and learns of the reason. *out has no semantics.  ahead NULL: false. */
bool      pf_oracle_ahead_take(pf_oracle_ahead *ahead, uint32_t number, pf_oracle *out);
/* What is being made is stopped at its next node. */
void      pf_oracle_ahead_end(pf_oracle_ahead *ahead);

#endif
