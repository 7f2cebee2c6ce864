/* A farm on this machine: a coordinator and an agent as children of this process, on loopback ports.
   Whatever becomes of this process, they do not outlive it: the kernel kills them with it.
   Thread   the one that started it. */
#ifndef PF_CLIENT_LOCAL_FARM_H
#define PF_CLIENT_LOCAL_FARM_H

#include <limits.h>
#include <sys/types.h>

#include "client/verb.h"

typedef struct pf_local_process {   /* open to readers */
    const char *name;               /* "planfarm-agent" */
    pid_t       pid;                /* 0: it has ended */
    int         wait_status;        /* once it has */
    char        log_path[PATH_MAX];
} pf_local_process;

typedef struct pf_local_farm {      /* open to readers; zero it but for lock_fd, -1, before use */
    char             folder[PATH_MAX];
    char             programs[PATH_MAX];        /* where the programs are: beside this one */
    pf_local_process coordinator, agent;
    char             http_url[256], client[256], agent_endpoint[256];
    int              lock_fd;                   /* of the folder; -1: none */
} pf_local_farm;

/* folder: of the farm; made when absent.  http_port 0: that of the last time where it is free, else any; so are the
   other ports.
   Errors   BUSY: a farm runs in that folder; NOT_FOUND: the programs are not beside this one; TIMEOUT. */
pf_status pf_local_farm_start_coordinator(pf_local_farm *farm, const char *folder, int http_port, pf_err *err);
/* arguments: more options for planfarm-agent, up to NULL. */
pf_status pf_local_farm_start_agent(pf_local_farm *farm, const char *const *arguments, pf_err *err);
/* Looks whether one of them has ended: OK when not, else what it said last. */
pf_status pf_local_farm_check(pf_local_farm *farm, pf_err *err);
/* Ends the agent, then the coordinator, each within a few seconds. */
void      pf_local_farm_stop(pf_local_farm *farm);

#endif
