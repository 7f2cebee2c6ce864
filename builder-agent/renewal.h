/* How long a lease holds, as the agent tells its build's process: in a file of the lease's folder, anew at each
   heartbeat that the coordinator answered.  When it is over the process builds on, since the coordinator may be back in
   time, but tells the farm no timings: another agent may hold the job by then.
   Thread   any. */
#ifndef PF_BUILDER_AGENT_RENEWAL_H
#define PF_BUILDER_AGENT_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

/* until_ns: boot.  A disk that does not take it ends the lease no sooner than the last one said. */
void pf_renewal_note(const char *folder, int64_t until_ns);
/* Whether the lease holds now; false when nothing was noted. */
bool pf_renewal_holds(const char *folder);

#endif
