/* Ctrl-C and SIGTERM.  Where nothing has to be put in order the process ends at once with INTERRUPTED's exit code;
   between pf_cancel_hold and pf_cancel_release the wish is only noted, the holder asks for it and ends cleanly.  A
   second signal ends the process at once.
   Thread   the main one. */
#ifndef PF_CLIENT_CANCEL_H
#define PF_CLIENT_CANCEL_H

#include <stdbool.h>

#include "base/status.h"

void      pf_cancel_init(bool json);                /* json: a sudden end prints its object, too */
void      pf_cancel_hold(void);                     /* nests */
void      pf_cancel_release(void);                  /* ends the process when a wish came meanwhile and nobody took it */
bool      pf_cancel_asked(void);
/* PF_OK, or INTERRUPTED once a wish has come; then the wish is taken. */
pf_status pf_cancel_check(pf_err *err);
/* The status of work that stops when it is told of a wish: CANCELLED by a wish, which is taken, is INTERRUPTED. */
pf_status pf_cancel_told(pf_status status);

#endif
