/* Kernels for regions of pointwise ops and moves: one thread, a few neighbouring elements of the output. */
#ifndef PF_ENGINE_CUDA_CODEGEN_LOOP_H
#define PF_ENGINE_CUDA_CODEGEN_LOOP_H

#include "engine/cuda/codegen.h"
#include "engine/cuda/program.h"

/* Why the problem cannot be one such kernel, or NULL. */
const char *pf_codegen_loop_declines(const pf_problem *p);
/* Elements that one thread may compute at most: 16 bytes of the widest output, dividing the innermost extent. */
int         pf_codegen_loop_widest(const pf_problem *p);
/* Is its one input of size read along another dim than the outputs are written along, as where images change layout? */
bool        pf_codegen_loop_turns(const pf_problem *p);
/* along: where something turns, blocks are tiles of both dims with so many threads along the one that is read: what a
   warp reads a little of, its neighbours read the rest of.  0: no tiles. */
pf_status   pf_codegen_loop(const pf_problem *p, int vector, int threads, int along, pf_program *out, pf_err *err);
/* A kernel for what is computed behind `value`, which out0 holds when it starts: in place, element by element. The
   problem has one output, of the value's shape and type, and both lie linear. */
const char *pf_codegen_behind_declines(const pf_problem *p, pf_value_id value);
pf_status   pf_codegen_behind(const pf_problem *p, pf_value_id value, int threads, pf_program *out, pf_err *err);
/* Prelude, index type, device functions of the skeleton's own, the kernel, and the head up to its opening brace of
   region(), in which it does its work.  functions may define CLUSTER: which blocks form clusters. */
void        pf_codegen_header(const pf_problem *p, int vector, int threads, int64_t elems, const char *functions,
                              pf_buf *out);

#endif
