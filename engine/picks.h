/* What a network picks by its scores: the first k in their order, the greatest one.  Where scores hardly differ the
   last bit of one turns what is picked, and with it all that hangs on it, though nothing is off by more than a
   rounding.  So a run is compared with another that is made to pick the same, and what it picks must be nearly as good
   by the other's scores, too.
   Where what is picked has as many elements as data says (boxes that do not overlap, elements that are not zero),
   nobody can be made to pick the same.  There what it is picked from is compared, and nothing behind it. */
#ifndef PF_ENGINE_PICKS_H
#define PF_ENGINE_PICKS_H

#include "engine/graph.h"
#include "engine/tensor.h"

typedef struct pf_pick {
    const char *name;           /* pf_picks_name of the indices: by that a pick is found in a rewritten copy */
    pf_value_id scores, best, picked;   /* best: the scores that were picked, or PF_NONE. picked: their indices */
    int64_t     axis;
    pf_tensor   of_scores;      /* owned; while following */
    pf_tensor   indices;        /* owned; of the run that was noted, or no data */
} pf_pick;

/* What goes into a pick of as many elements as data says. */
typedef struct pf_crossing {
    const char *name;           /* pf_picks_name */
    pf_value_id value;
    pf_tensor   tensor;         /* owned; of the run that was noted, or no data */
} pf_crossing;

typedef struct pf_picks {
    pf_pick     *items; uint32_t count;             /* owned */
    pf_crossing *crossings; uint32_t crossing_count;    /* owned */
    bool        *is_behind;     /* owned; by output of the graph: it hangs on such a pick */
    bool         failed;        /* memory was short: some are missing */
} pf_picks;

/* The value's name, or where it has none that of its node, if it is the last that the node makes; else "".
   Borrowed. */
const char *pf_picks_name(const pf_graph *graph, pf_value_id value);
/* All of them that have names; of top-k and arg-max those whose indices somebody reads.  graph outlives it. */
pf_status pf_picks_open(const pf_graph *graph, pf_picks *out, pf_err *err);
void      pf_picks_close(pf_picks *picks);
/* user: the pf_picks of the graph that runs.  Keeps what it picks; a pf_interpret_watch. */
void      pf_picks_note(void *user, pf_value_id value, pf_tensor *tensor);
/* The same of a run elsewhere, for the value of that name; of other values nothing is kept. */
void      pf_picks_note_named(pf_picks *picks, const char *name, const pf_tensor *tensor);

typedef struct pf_following {
    pf_picks       *own;        /* of the graph that runs */
    const pf_picks *given;      /* noted; what has no name in common with these picks by itself */
    double          loss;       /* out: the most by which a score that is given is worse than the graph's own pick of
                                   that rank, or a crossing is off, as a share of its range (of integers: the share
                                   that differ); INFINITY where it cannot be a pick */
} pf_following;

/* user: a pf_following.  Makes the graph pick what is given; a pf_interpret_watch. */
void      pf_picks_follow(void *user, pf_value_id value, pf_tensor *tensor);

#endif
