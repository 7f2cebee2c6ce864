/* Pieces of work of one kind, in threads of their own, which share the processors: where each piece has parts that only
   one core can work at, as runs of references have, many get more done than one at a time with all cores.
   Who waits is asked whether it is still wanted (engine/go_on.h), and pieces hear of it there. */
#ifndef PF_ENGINE_SIDE_BY_SIDE_H
#define PF_ENGINE_SIDE_BY_SIDE_H

#include <stdint.h>

#include "base/status.h"

/* Called once for each number below count, from any thread. */
typedef pf_status pf_piece(void *user, uint32_t number, pf_err *err);

/* Returns when all are done, at most most_at_once at a time.  Where one fails no others are begun, and its error is
   answered; of several that of the lowest number.  Where there is no room for threads, or only one processor, they are
   done one after the other here. */
pf_status pf_side_by_side(uint32_t count, uint32_t most_at_once, pf_piece *piece, void *user, pf_err *err);

#endif
