/* How far a build is: one line that is drawn over again when standard error is a terminal, else, with --verbose, a
   plain line at each change of phase and now and then.
   Thread   the one that draws. */
#ifndef PF_CLIENT_PROGRESS_H
#define PF_CLIENT_PROGRESS_H

#include "client/verb.h"
#include "engine/planfarm.h"

typedef struct pf_progress_bar {
    bool     on_terminal, verbose;
    bool     drawn;                 /* a line stands on the terminal */
    int64_t  last_ns;               /* when the last line was written */
    pf_phase phase;                 /* of the last line */
    bool     begun;
} pf_progress_bar;

void pf_progress_begin(pf_progress_bar *bar, const pf_call *call);
void pf_progress_show(pf_progress_bar *bar, const pf_progress *progress);
void pf_progress_end(pf_progress_bar *bar);     /* clears the line */
/* The text of the line, without colours or line end. */
void pf_progress_text(const pf_progress *progress, char *out, size_t capacity);

#endif
