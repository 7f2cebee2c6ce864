/* The agent: takes builds from the coordinator, runs each in a process of its own, and hands back what came of it.
   It computes nothing itself and waits for nothing but its one poll, so that it can always beat and always kill.

   Invariants
   1. Whatever runs has a lease, and a lease that does not hold any more runs nothing: what the coordinator's
      answer to a heartbeat does not list is killed with its whole process group.
   2. A lease ends with COMPLETE, FAILED or CANCEL_ACK; COMPLETE and FAILED are repeated until they are answered.
   3. A device has at most one lease that runs.
   4. Without contact for orphan_budget everything that runs is killed; the clock is CLOCK_BOOTTIME, so that time asleep
      counts.
   Thread   one. */
#ifndef PF_BUILDER_AGENT_AGENT_H
#define PF_BUILDER_AGENT_AGENT_H

#include <signal.h>
#include <stdint.h>

#include "base/status.h"

enum { PF_AGENT_DEVICES_MAX = 16 };

typedef struct pf_agent_options {       /* open; strings are borrowed while the agent runs */
    const char *coordinator;            /* "tcp://host:7702" */
    const char *http_url;               /* NULL: what the coordinator says */
    const char *folder;
    const char *name;                   /* NULL: kept in the folder */
    const char *isa;                    /* NULL: what is there */
    const char *token_file;             /* bearer token for HTTP; NULL: none */
    int32_t     threads;                /* 0: all cores */
    int32_t     share_percent;          /* 0: the whole device */
    uint64_t    cache_limit_bytes;      /* of fetched models */
    uint64_t    url_limit_bytes;        /* of one that is fetched by its URL; 0: none is */
    const char *device[PF_AGENT_DEVICES_MAX];
    uint32_t    devices_count;
} pf_agent_options;

/* Runs until it is drained (SIGTERM, or an operator), stopped (SIGINT, or a second SIGTERM) or replaced.  The caller
   has blocked the signals below in all threads.
   Errors   CANCELLED: another process took its name. */
pf_status pf_agent_run(const pf_agent_options *options, pf_err *err);
/* What it is told by: SIGTERM, SIGINT, SIGHUP and SIGCHLD. */
void      pf_agent_signals(sigset_t *set);

#endif
