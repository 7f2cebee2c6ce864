/* Where a build's timings live: the timing db in the agent's folder, shared by the builds of all its devices, and the
   farm's (timing_farm.h).
   Thread   one. */
#ifndef PF_BUILDER_AGENT_TIMING_HOME_H
#define PF_BUILDER_AGENT_TIMING_HOME_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/timing_record.h"

typedef struct pf_timing_home pf_timing_home;

/* coordinator: its address for agents; "": the farm is left alone.  lease_folder: see timing_farm.h. */
pf_status        pf_timing_home_open(const char *agent_folder, const char *coordinator, const char *lease_folder,
                                     pf_timing_home **out, pf_err *err);
/* Did a build that is gone crash while it tried a candidate, and does nobody know that yet?  pid 0: any build.  Opening
   the home tells. */
bool             pf_timing_home_crashed(const char *agent_folder, pid_t pid);
/* Making one candidate ready and running it takes seconds at most. */
#define PF_TIMING_STOOD_STILL_NS (30 * PF_NS_PER_S)

/* Blames the candidate that a build, which was ended, had tried for so long. */
void             pf_timing_home_blame(const char *agent_folder, pid_t pid);
void             pf_timing_home_close(pf_timing_home *home);            /* NULL is fine */
pf_timing_store *pf_timing_home_store(pf_timing_home *home);            /* borrowed until close */
/* The folder of compiled kernels beside them; borrowed until close. */
const char      *pf_timing_home_kernels(const pf_timing_home *home);
const char      *pf_timing_home_warning(const pf_timing_home *home);    /* timings that were not kept; NULL: none */

#endif
