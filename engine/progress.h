/* What a build tells its caller while it works, and the caller's wish to stop. */
#ifndef PF_ENGINE_PROGRESS_H
#define PF_ENGINE_PROGRESS_H

#include "engine/planfarm.h"

typedef struct pf_build_progress {
    const pf_build_options *options;    /* may be NULL */
    pf_progress now;
    int64_t     start_ns, told_ns;
    int64_t     time_phase_ns;          /* when timing began; 0: not yet */
    int64_t     spent_ns[PF_PART_COUNT];
    bool        cancelled;
} pf_build_progress;

void      pf_progress_start(pf_build_progress *progress, const pf_build_options *options);
/* Tells now, whatever was told when.  Errors  CANCELLED: the caller wants no more. */
pf_status pf_progress_phase(pf_build_progress *progress, pf_phase phase, pf_err *err);
/* What was done since from_ns (pf_clock_ns) was that part of the build. */
void      pf_progress_spent(pf_build_progress *progress, pf_part part, int64_t from_ns);
void      pf_progress_log_spent(const pf_build_progress *progress);
/* Tells if nothing was told for a while; false when the caller wants no more.  user: the pf_build_progress. */
bool      pf_progress_tick(void *user);

#endif
