/* The plan is run once, and its outputs are compared with the references' on generated inputs.  Where they differ, or
   where nothing ran alone before and some of its layers seem to, each layer is examined by itself. */
#ifndef PF_ENGINE_BUILDER_CHECK_H
#define PF_ENGINE_BUILDER_CHECK_H

#include "engine/builder_blame.h"
#include "engine/oracle.h"
#include "engine/plan.h"
#include "engine/profile.h"
#include "engine/step_tries.h"

typedef struct pf_builder_check {
    const pf_graph   *original;         /* with the profile's shapes, and not rewritten: what the user asked for */
    const pf_graph   *rewritten;        /* what the plan was made of: to find the layer that is off */
    const pf_value_id *graph_value;     /* value of the plan -> value of rewritten */
    const pf_profile *profile;
    uint32_t          numerics;
    bool              nothing_timed;    /* no candidate was compared with the references alone */
    const pf_oracle  *known;            /* what pf_oracle_of_graph answers for original at the usual shapes, or NULL:
                                           it is computed */
    pf_step_tries     tries;
} pf_builder_check;

/* What came out: what plans keep of it, and what only the build's report says. */
typedef struct pf_builder_verdict {
    pf_plan_check plan;
    double        least_cosine;  /* of the float outputs with the references' at the usual shapes; -1: not compared */
    bool          by_rounding;          /* an output is beyond tolerance although no single layer is */
    uint64_t      device_bytes;         /* that a context holds at the usual shapes: pf_context_device_bytes */
    pf_blames     blames;               /* owned; layers that are wrong or failed, when the check did not succeed */
} pf_builder_verdict;

/* Runs the plan at the usual and at the least shapes.
   Errors   MISMATCH: an output is beyond tolerance, or a layer is; the sentence names the first such layer. Others: a
            layer could not be made ready or run, or memory is short. out->blames is filled in either case; the caller
            clears it. */
pf_status pf_builder_check_plan(pf_plan *plan, pf_device *device, const pf_builder_check *check,
                                pf_builder_verdict *out, pf_err *err);
/* Of one output: floats within tolerance of the range; integers equal, but for a few where two scores are alike. */
bool      pf_builder_check_agrees(const pf_tensor *test, const pf_tensor *reference, double tolerance, double *error,
                                  char *reason, size_t capacity);
/* Does it hold what gives other numbers each time?  Nothing can be compared with those. */
bool      pf_builder_check_is_random(const pf_graph *graph);

#endif
