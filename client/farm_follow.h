/* Watching jobs until they end. */
#ifndef PF_CLIENT_FARM_FOLLOW_H
#define PF_CLIENT_FARM_FOLLOW_H

#include "client/farm.h"
#include "client/farm_names.h"

/* What a build printed: a LOG event, or a GAP in the events. */
typedef void pf_farm_log_sink(void *user, const Pf__Event *event);

typedef struct pf_farm_follow {     /* open */
    bool     logs;                  /* show what builds print */
    pf_farm_log_sink *sink;         /* not NULL: only what builds print is told, and to it */
    void    *user;
    bool     known;                 /* ends when all was told that the farm remembers */
    uint64_t events, gaps, dropped; /* seen; dropped is 0 for gaps of unknown size */
} pf_farm_follow;

/* Shows events on standard error until all jobs are final, and answers their last states.  A farm that goes away is
   waited for, as long as PF_FARM_AWAY_NS.
   Owns     jobs: pf_message_clear; its body is a Pf__StatusReply.
   Errors   INTERRUPTED: the user wishes to stop; the builds go on, and the message says how to see them again.
            UNREACHABLE. */
#define PF_FARM_AWAY_NS (INT64_C(120) * 1000000000)
pf_status pf_farm_follow_jobs(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_farm_follow *follow,
                              pf_message *jobs, pf_err *err);
pf_status pf_farm_ask_status(pf_farm *farm, const pf_farm_names *names, pf_message *out, pf_err *err);

#endif
