/* How much of a network a build leaves in FP32, when it may lower: the least for which the lowered network, run by the
   references on a few sets of generated inputs, is close enough to the network itself.  Nothing of it hangs on a
   device, a clock or a thread. */
#ifndef PF_ENGINE_PRECISION_CHOICE_H
#define PF_ENGINE_PRECISION_CHOICE_H

#include "engine/oracle.h"
#include "engine/precision.h"

typedef struct pf_precision_wish {
    pf_dtype narrow;        /* PF_F16, PF_BF16, or PF_DTYPE_NONE: nothing is lowered, but products may round to TF32 */
    double   most_error;    /* of each float output, as a share of its range */
    bool     must;          /* tried whatever the references take, and with everything in FP32 though it is not enough;
                               otherwise large networks are not, and what is not enough is left, mostly */
} pf_precision_wish;

/* Errors are the largest seen: with care, and with nothing raised; -1: nothing could be compared. */
typedef struct pf_precision_choice { pf_precision_care care; double error, lowered_error; } pf_precision_choice;

/* original: what the user asked for. rewritten: the same, with nothing lowered. bindings: of original's symbols.
   first: NULL, or takes what pf_oracle_of_graph answers for original, where that was computed; else it stays empty.
   Errors   NO_SPACE. */
pf_status pf_precision_choose(const pf_graph *original, const pf_graph *rewritten, const int64_t *bindings,
                              const pf_precision_wish *wish, pf_precision_choice *out, pf_oracle *first, pf_err *err);

#endif
