/* What a problem's answer is: random inputs and the outputs that the plain references give for them.  Computed once for
   all layouts of a problem, since layouts do not change what is computed.
   Floats are drawn from normal(0,1), integers below 100; where a reference refuses these (an index past its table) or
   answers nothing finite (a logarithm of negative numbers), positive floats and smaller integers are tried. */
#ifndef PF_ENGINE_ORACLE_H
#define PF_ENGINE_ORACLE_H

#include "engine/problem.h"

typedef struct pf_oracle {
    pf_digest  semantics;       /* of the problem's text without its layouts */
    pf_tensor *in;              /* owned; dense rows, one per input of the problem, constants too */
    pf_tensor *out;             /* owned; one per output */
    uint32_t   in_count, out_count;
    uint32_t   restrained;     /* how often other inputs were tried, as the references refused those before */
} pf_oracle;

void      pf_oracle_semantics(const pf_problem *problem, pf_digest *out);
/* problem is bound.  Errors  whatever the references answer for the most harmless inputs. */
pf_status pf_oracle_make(const pf_problem *problem, pf_oracle *out, pf_err *err);
/* The same of a whole network, at these values of its symbols. Integer inputs called a mask or a type are drawn from 0
   and 1. */
pf_status pf_oracle_of_graph(const pf_graph *graph, const int64_t *bindings, pf_oracle *out, pf_err *err);
/* The same; watch (engine/op.h) sees every value, of the last draw last. */
pf_status pf_oracle_of_graph_watched(const pf_graph *graph, const int64_t *bindings,
                                     void (*watch)(void *user, pf_value_id value, pf_tensor *tensor), void *user,
                                     pf_oracle *out, pf_err *err);
/* Other inputs of the same kind for each number; of 0 the same.  watch: as above, or NULL. */
pf_status pf_oracle_of_draw(const pf_graph *graph, const int64_t *bindings, uint32_t number,
                            void (*watch)(void *user, pf_value_id value, pf_tensor *tensor), void *user,
                            pf_oracle *out, pf_err *err);
/* Of that only the inputs, those that are tried first. */
pf_status pf_oracle_inputs_of_draw(const pf_graph *graph, const int64_t *bindings, uint32_t number, pf_oracle *out,
                                   pf_err *err);
void      pf_oracle_clear(pf_oracle *oracle);

/* How far floats may be from the reference, relative to the reference's range, by the lowest precision that a graph
   works in. */
double    pf_oracle_tolerance(const pf_graph *graph, uint32_t numerics);
/* Is `test` right?  *max_rel_error is answered either way; reason says by how much and where when it is not.
   Integers and booleans must be equal; 8-bit integers that floats were rounded to may be off by one. */
bool      pf_oracle_agrees(const pf_tensor *test, const pf_tensor *reference, double tolerance, double *max_rel_error,
                           char *reason, size_t capacity);

#endif
