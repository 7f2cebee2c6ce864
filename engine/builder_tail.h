/* The part of a network that cannot be planned ahead: ops that only the host runs (control flow, sequences, texts), and
   all that depends on them or on sizes that only data decides.  It is kept as a graph, the plan's tail, which the
   references run after the steps.  What feeds it must leave the steps, as outputs of the network do. */
#ifndef PF_ENGINE_BUILDER_TAIL_H
#define PF_ENGINE_BUILDER_TAIL_H

#include "engine/profile.h"
#include "engine/region.h"

/* A value that must be there, LINEAR, when the steps have run.  output: of the network; PF_NONE: the tail reads it. */
typedef struct pf_leaving { pf_value_id value; uint32_t output; } pf_leaving;

typedef struct pf_tail {
    bool        *late;              /* by region: it belongs to the tail */
    bool        *late_value;        /* by value: steps do not know it */
    pf_leaving  *leaving;           uint32_t leaving_count;
    pf_value_id *crossing;          uint32_t crossing_count;    /* the tail's inputs behind the network's own */
    pf_graph    *graph;             /* owned; NULL when nothing is late. Its inputs: the network's, then the crossing
                                       values; its outputs: the network's, those among them that the steps compute
                                       handed through */
} pf_tail;

pf_status pf_builder_tail(const pf_graph *graph, const pf_device *device, const pf_profile *profile,
                          const pf_region_rules *rules, const pf_regions *regions, pf_tail *out, pf_err *err);
void      pf_builder_tail_clear(pf_tail *tail);

#endif
