/* What the contexts of one plan share on one device: the weights there, and the steps prepared for recent shapes.
   Invariants
   1. A resident lives as long as a context uses it; an instance as long as a context uses it or it is among the recent
      ones.
   2. Instances are immutable once made: steps, memory plan, packed weights.  One with a step that works in memory of
      its own is one context's at a time; others get another of the same shapes.
   3. Everything here is made and dropped under one lock of the process, so preparing is done by one thread at a
      time. */
#ifndef PF_ENGINE_RUNTIME_RESIDENT_H
#define PF_ENGINE_RUNTIME_RESIDENT_H

#include "engine/plan.h"
#include "engine/step_tries.h"

enum { PF_INSTANCES_KEPT = 8 };

typedef struct pf_residents pf_residents;

/* The steps of a plan made ready for one value of each symbol. */
typedef struct pf_instance {
    int64_t    *bindings;               /* by symbol of the plan */
    pf_step   **steps;                  /* by step of the plan */
    bool       *is_shared;              /* the step is an earlier one's */
    uint32_t   *ranked;                 /* which candidate of the step's it is */
    bool       *guessed;                /* with its tactic's first guess for these sizes, not with the plan's tuning */
    void      **packed;  /* device copy of each step's packed constants, or NULL; owned when packed_here */
    bool       *packed_here;
    size_t     *value_bytes;            /* by value */
    size_t     *value_offset;           /* by value, in the arena: of roots that live there */
    size_t     *workspace_offset;       /* by step, in the arena */
    pf_memory_plan memory;
    bool        capturable;
    const void *owner;                  /* the context that used it last */
    uint32_t    users;
    uint64_t    used_at;                /* counts up: the lowest was used longest ago */
} pf_instance;

typedef struct pf_resident {
    pf_plan     *plan;
    pf_device   *device;
    pf_allocator allocator;             /* alloc NULL: the device's own */
    void       **blobs;                 /* device pointers by blob; NULL when not there yet */
    bool        *blob_owned;            /* false: points into the plan's bytes, or into weights */
    void        *weights;               /* owned; the block of those that were brought at once */
    size_t       weights_bytes;
    pf_instance *instances[PF_INSTANCES_KEPT];
    uint64_t     clock;
    uint32_t     users;
    bool         apart;                 /* no output lies on an input, though its step may work in place */
    pf_step_tries tries;
    uint32_t     failed_step;           /* why the last instance could not be made; PF_NONE: none failed */
    struct pf_resident *next;
} pf_resident;

pf_status pf_residents_new(pf_residents **out, pf_err *err);
void      pf_residents_free(pf_residents *residents);

/* The resident of the plan for this device and allocator; made when there is none. Dropped by pf_resident_drop. */
pf_status pf_resident_take(pf_plan *plan, pf_device *device, const pf_allocator *allocator, pf_resident **out,
                           pf_err *err);
void      pf_resident_drop(pf_resident *resident);
/* From its next instance on no output lies where an input does: so another candidate may run in place of each step,
   also one that cannot work in place. */
void      pf_resident_keep_apart(pf_resident *resident);
/* An instance for these bindings that the context may use; made when there is none.  Dropped by pf_instance_drop. */
pf_status pf_instance_take(pf_resident *resident, const void *context, const int64_t *bindings, pf_instance **out,
                           pf_err *err);
/* Once more one that somebody uses: of equal ones, take may give another. */
void      pf_instance_hold(pf_instance *instance);
void      pf_instance_drop(pf_resident *resident, pf_instance *instance);

/* Device memory by the resident's allocator, PF_PLAN_ALIGNMENT aligned; bytes 0 gives NULL. */
pf_status pf_resident_alloc(pf_resident *resident, size_t bytes, void **out, pf_err *err);
void      pf_resident_free(pf_resident *resident, void *pointer);
/* Bytes of blobs that lie on the device, and of constants that the instance packed there.  Takes the lock. */
uint64_t  pf_resident_bytes(const pf_resident *resident, const pf_instance *instance);
/* runtime_weights.c; called under the lock. */
/* The blob on the device, copied there on first use. */
pf_status pf_resident_blob(pf_resident *resident, uint32_t blob, void **out, pf_err *err);
/* Those that the plan's choices read, all at once.  What does not come so, for want of memory too, is brought when it
   is asked for. */
void      pf_resident_bring_weights(pf_resident *resident);
uint64_t  pf_resident_weight_bytes(const pf_resident *resident);
void      pf_resident_clear_weights(pf_resident *resident);

/* runtime_instance.c; called under the lock. */
pf_status pf_instance_make(pf_resident *resident, const int64_t *bindings, pf_instance **out, pf_err *err);
void      pf_instance_free(pf_resident *resident, pf_instance *instance);

#endif
