/* Which job goes to which agent.  Internal to the core.

   Each class has one queue, ordered by a static key, the wall time at which the job would be its turn:
     key = max(now, the user's last key + spacing) - priority * worth
   So users who queue much at once do not push others aside (their jobs lie spacing apart; when none is left in the
   queue, the next one lies one spacing from now at most), a higher priority is worth a stretch of waiting, and
   everything gets old enough in the end.  A job that comes back to the queue keeps its key.
   Agents that may have room stand in the class's ready list, longest waiting first; whether they really do is looked at
   when they are taken. */
#ifndef PF_COORDINATOR_SCHED_H
#define PF_COORDINATOR_SCHED_H

#include "coordinator/state.h"

void     pf_sched_push(pf_core *core, pf_job *job);     /* gives it its queue_key when that is 0 */
void     pf_sched_remove(pf_core *core, pf_job *job);   /* fine when it is in no queue */
uint32_t pf_sched_ahead(const pf_job *job);             /* jobs of its class that come first */
void     pf_sched_ready(pf_core *core, pf_slot *slot);  /* the slot may have room */
/* After the wall clock was set back: what came while it stood ahead has come now, or it would be behind all that comes
   for as long.  Nothing happens while the clock is not set. */
void     pf_sched_follow_clock(pf_core *core);
void     pf_sched_run(pf_core *core);                   /* offers what can be offered */
/* Takes an agent's slot out of the ready list, before the slot goes away. */
void     pf_sched_unready(pf_slot *slot);
void     pf_sched_clear_class(pf_class *device_class);  /* frees queue and users */

#endif
