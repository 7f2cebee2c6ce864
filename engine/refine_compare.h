/* Is one arrangement of a network faster than another?  Both are run in turns. */
#ifndef PF_ENGINE_REFINE_COMPARE_H
#define PF_ENGINE_REFINE_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* At most so many rounds may be asked for. */
enum { PF_REFINE_ROUNDS_MAX = 64 };

/* One run of the arrangement that stands, or of the other one. */
typedef pf_status pf_refine_run(void *user, bool other, int64_t *ns, pf_err *err);

/* *gain_ns: by how much the other is faster; 0 when it is not clearly so.  A third of the rounds shows most that are
   not.  One that seems faster is run twice as often once more and must be faster again: of the many that are tried,
   some seem so by chance. */
pf_status pf_refine_compare(pf_refine_run *run, void *user, int rounds, int64_t *gain_ns, pf_err *err);

#endif
