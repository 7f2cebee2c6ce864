/* Another candidate for all steps of a problem, ready to run inside a network whose plan has its own. */
#ifndef PF_ENGINE_REFINE_VARIANT_H
#define PF_ENGINE_REFINE_VARIANT_H

#include "engine/refine_private.h"

typedef struct pf_refine_net {
    const pf_draft  *draft;
    pf_context      *context;           /* of the draft's plan; ready and bound */
    pf_device       *device;
    pf_timing_arena *arena;             /* borrowed; where variants lie; NULL: in memory as it comes */
    uint32_t         step_count;
    uint32_t        *group_of;          /* by step: steps of one problem are one group */
} pf_refine_net;

typedef struct pf_refine_constants {    /* of a step; both NULL where it has none */
    void  *packed;                      /* device memory: as the candidate wants them */
    void **in;      /* owned; all inputs, with the constants that the plan's candidate did without */
} pf_refine_constants;

typedef struct pf_refine_variant {      /* step NULL: the plan's own */
    pf_step             *step;          /* owned */
    void                *workspace;     /* device memory, the arena's or owned, as that of the constants */
    pf_refine_constants *constants;     /* owned; by step of the network, or NULL */
    bool                 stays;         /* longer than its place: not in the arena */
    uint32_t             rank;
} pf_refine_variant;

/* rank: in the choice of the group's first step; stays: as in the variant.  A candidate that cannot take the place is
   none: then the variant stays empty.  The caller drops it in any case.  Errors   DEVICE, NO_SPACE. */
pf_status pf_refine_variant_make(const pf_refine_net *net, uint32_t group, uint32_t first, uint32_t rank, bool stays,
                                 pf_refine_variant *out, pf_err *err);
void      pf_refine_variant_drop(const pf_refine_net *net, pf_refine_variant *variant);

#endif
