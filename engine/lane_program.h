/* A problem of pointwise ops as a program over lanes (kernels/cpu_lanes.h): every op runs on a short run of elements
   that stays in the first cache, then the next op on the same run.  Operands may be broadcast, of other types, and in
   other layouts than the result. */
#ifndef PF_ENGINE_LANE_PROGRAM_H
#define PF_ENGINE_LANE_PROGRAM_H

#include "engine/problem.h"
#include "kernels/cpu_lanes.h"

enum { PF_LANE_SOURCES = 24, PF_LANE_OPS = 128, PF_LANE_OUTPUTS = 8, PF_LANE_RANK = PF_MAX_RANK + 2 };

typedef struct pf_lane_source {         /* register i is source i */
    uint32_t input;                     /* problem input; UINT32_MAX: a constant in clear */
    const void *data;                   /* of a constant in clear; borrowed from the problem's graph */
    pf_dtype dtype;
    int64_t  stride[PF_LANE_RANK];      /* elements, per dim of the program */
} pf_lane_source;

typedef struct pf_lane_op { pf_lane_function *run; uint16_t y, a, b, c; float p, q; } pf_lane_op;
typedef struct pf_lane_output { uint16_t reg; pf_dtype dtype; } pf_lane_output;

typedef struct pf_lane_program {
    int32_t        rank;                /* at least 2; dims in the order of the result's memory, neighbours merged where
                                           all operands allow */
    int64_t        dim[PF_LANE_RANK];
    pf_lane_source sources[PF_LANE_SOURCES]; uint32_t source_count;
    pf_lane_op     ops[PF_LANE_OPS];         uint32_t op_count;
    pf_lane_output outputs[PF_LANE_OUTPUTS]; uint32_t output_count;
    uint32_t       register_count;
    int64_t        run;                 /* lanes at once */
    int32_t        in_place;            /* problem input that output 0 may overwrite, or -1 */
} pf_lane_program;

/* Why the problem cannot be such a program: a static string, or NULL. Symbolic dims are fine. */
const char *pf_lane_program_declines(const pf_problem *p);
/* p is bound and not declined; it must outlive the program. run: lanes at once, a multiple of 16. */
pf_status   pf_lane_program_make(const pf_problem *p, pf_isa isa, int64_t run, pf_lane_program *out, pf_err *err);
size_t      pf_lane_program_workspace(const pf_lane_program *program, int32_t threads);
void        pf_lane_program_run(const pf_lane_program *program, void *const *in, void *const *out, void *workspace,
                                int32_t threads);

#endif
