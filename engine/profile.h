/* The range of shapes that a plan serves: for each symbol of the graph its least, usual and greatest value.
   A build spec names shapes of inputs; these give the symbols in them their values.  `shapes` is all three at once; of
   min_shapes, opt_shapes and max_shapes a missing opt is max, else min; a missing min or max is opt.  A symbol that no
   shape mentions is timed and tuned at the least size that the network takes (mostly 1), and may be up to
   PF_PROFILE_MOST, or four times the usual where that is as large, or what the network has tables for. */
#ifndef PF_ENGINE_PROFILE_H
#define PF_ENGINE_PROFILE_H

#include "engine/graph.h"
#include "engine/planfarm.h"

enum { PF_PROFILE_MOST = 1024 };

typedef struct pf_profile {
    uint32_t count;             /* of symbols; those made later, by rewriting, are data-dependent and have no range */
    int64_t *least, *usual, *most;      /* owned; PF_UNBOUND where data decides */
} pf_profile;

/* Sets the graph's input shapes: dims of one value become numbers, the other symbols get their bounds; infers again.
   Errors   USAGE: a shape of the spec does not fit its input, contradicts another one, or there is no such input;
            INVALID: the network does not accept these shapes. */
pf_status pf_profile_apply(const pf_config *config, pf_graph *graph, pf_profile *out, pf_err *err);
/* Symbols that rewriting added since then: nothing gives them a value before a run. */
pf_status pf_profile_cover(pf_profile *profile, const pf_graph *graph, pf_err *err);
void      pf_profile_clear(pf_profile *profile);

#endif
