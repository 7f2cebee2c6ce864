/* The builder's front for a CUDA card without one: regions are formed as for a compute capability 9.0 card, every
   candidate that our own tactics offer for them is generated and compiled, and what only the host would compute is
   listed.  Libraries that list their candidates on a card alone (cuDNN, cuBLASLt) are believed when they take a
   problem. */
#ifndef PF_TESTS_UNIT_CUDA_FRONT_H
#define PF_TESTS_UNIT_CUDA_FRONT_H

#include "engine/device.h"
#include "engine/graph.h"
#include "engine/precision.h"

typedef struct front_options {
    const char *precision;      /* "fp16", "bf16"; NULL: FP32 */
    int         tunings;        /* compiled per tactic and layout; 0: nothing is compiled */
    bool        all_tactics;    /* not only the first two that take the problem */
    bool        prints_problems;    /* texts of those that are left to the host or do not compile */
    bool        prints_steps;       /* of each region's first form: the first tactic that takes a problem; its text */
    bool        chooses_precision;  /* as a build does, by the references */
    bool        compares;           /* what is built with what was given, by the references, at two shapes */
    const char *shapes[3];          /* least, usual, most: as build's options for them, or NULL */
} front_options;

typedef struct front_result {
    uint32_t problems, on_host, compiled, failed;
    uint32_t late;              /* regions that the references run, since data decides sizes */
    char     hosts[1024];       /* "topk 2, gather_nd 1": nodes of the problems that only the host computes; how many */
    char     first_failure[1024];
    double   compile_s, slowest_s;      /* of all that was compiled, and of one */
    char     slowest[128];              /* its tactic and tuning */
    double   choice_s, expected_error;  /* what choosing the precision took, and what came of it; -1: not tried */
    char     care[PF_CARE_TEXT_BYTES];  /* empty: not chosen */
    double   apart[2];      /* at the usual and the least shapes, as shares of the outputs' ranges; -1: not compared */
} front_result;

/* Opens the device module and a device without a card; the same for the whole process. Errors  NOT_FOUND. */
pf_status front_open(pf_device **device, pf_err *err);
/* graph: shapes are set already. */
pf_status front_examine(pf_device *device, const pf_graph *graph, const front_options *options, front_result *out,
                        pf_err *err);
/* The same of a file, at the shapes that it has, with symbols at 1. */
pf_status front_examine_model(pf_device *device, const char *path, const front_options *options, front_result *out,
                              pf_err *err);

#endif
