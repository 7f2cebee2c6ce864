/* How far builds on a farm are: one line drawn over again when standard error is a terminal, else plain lines, few of
   them.  Nothing when JSON was asked for and standard error is no terminal.
   Thread   the one that draws. */
#ifndef PF_CLIENT_FARM_PROGRESS_H
#define PF_CLIENT_FARM_PROGRESS_H

#include "client/verb.h"
#include "proto/farm.pb-c.h"

typedef struct pf_farm_progress {
    bool    on_terminal, quiet, drawn;
    int64_t drawn_ns;
    char    step[64];               /* of the last plain line */
} pf_farm_progress;

void pf_farm_progress_begin(pf_farm_progress *bar, const pf_call *call);
void pf_farm_progress_bytes(pf_farm_progress *bar, const char *verb, const char *what, uint64_t done_bytes,
                            uint64_t total_bytes);
/* A PROGRESS event; label: "job 12". */
void pf_farm_progress_event(pf_farm_progress *bar, const char *label, const Pf__Event *event);
/* A line that stays. */
void pf_farm_progress_line(pf_farm_progress *bar, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pf_farm_progress_end(pf_farm_progress *bar);       /* clears the line that is drawn */

#endif
