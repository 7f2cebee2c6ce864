/* Regions: the parts into which a graph is cut, each computed by one step (or a few, see forms).
   Invariants of what pf_regions_form gives:
   1. every live node is in exactly one region, and in every form of that region exactly once;
   2. regions stand in an order in which producers come first, and so do the groups of a form: regions contracted to
      points are acyclic;
   3. equal graphs, devices and filters give equal regions.
   How regions grow, always asking whether some tactic besides oracles still takes the whole: an anchor takes the
   pointwise ops and moves behind it while every value in between has no other use, or is taken in two slices that meet
   again, then those before it (a sum that others read too may be computed inside and handed out); what is left of
   pointwise ops and moves forms groups from their last node backwards, a conversion into an output of the network's
   with what it converts though others read that too; views that nobody took in are aliases.
   Thread   one at a time per graph. */
#ifndef PF_ENGINE_REGION_H
#define PF_ENGINE_REGION_H

#include "engine/tactic.h"

typedef enum pf_region_kind {
    PF_REGION_STEP,             /* solved by tactics */
    /* one reshape: its output is the same bytes as its input when that is LINEAR (see pf_layout_same_bytes) */
    PF_REGION_VIEW,
    PF_REGION_HOST,             /* one op that only the host can run */
} pf_region_kind;

/* Nodes that one step computes. */
typedef struct pf_group {
    pf_node_id  *nodes;         /* producers first */
    uint32_t     count;
    pf_problem  *problem;       /* all layouts LINEAR; NULL for HOST */
    pf_value_id *in, *out;      /* values of the graph that the problem's inputs and outputs stand for; NULL for HOST */
} pf_group;

/* One way to cut the region's nodes into groups. */
typedef struct pf_region_form { pf_group *groups; uint32_t count; } pf_region_form;

typedef struct pf_region {
    pf_region_kind  kind;
    pf_region_form *forms;      /* the fewest steps first; others are worth timing when that one turns out slow. At
                                   least one */
    uint32_t        form_count;
    bool            contested;  /* its forms are to be timed with any effort */
} pf_region;

typedef struct pf_regions {     /* all owned */
    pf_region *items;
    uint32_t   count, capacity;
} pf_regions;

typedef struct pf_region_rules {
    uint32_t    numerics;                       /* PF_NUMERICS_* of all problems */
    bool      (*allows)(const void *user, const pf_tactic *tactic);     /* NULL: every tactic may be used */
    const void *user;
} pf_region_rules;

/* Errors  INVALID: the graph has a cycle; UNSUPPORTED: a node cannot be made a problem; NO_SPACE. */
pf_status pf_regions_form(const pf_graph *graph, const pf_device *device, const pf_region_rules *rules, pf_regions *out,
                          pf_err *err);
void      pf_regions_clear(pf_regions *regions);
/* The tactic besides oracles that would take the problem, in some layouts; NULL when only an oracle does. */
const pf_tactic *pf_region_taker(const pf_device *device, const pf_problem *problem, const pf_region_rules *rules);

#endif
