/* An agent that speaks the real protocol and builds nothing: it takes offers, says progress, uploads the bytes that its
   script makes of the job, and completes.  It runs in a thread of the test. */
#ifndef PF_TESTS_FARM_SCRIPTED_AGENT_H
#define PF_TESTS_FARM_SCRIPTED_AGENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/farm/daemon.h"

typedef struct scripted_agent {         /* open; fill in the first part, zero the rest */
    const daemon_process *daemon;       /* read anew at each connect, so that it may be restarted on other ports */
    const char *name, *class_name;      /* "cpu" */
    const char *hardware;               /* sets its class apart from others of that name; may be NULL */
    int         slots;
    int64_t     build_ns;               /* how long a build takes */
    bool        hold;                   /* never ends a build */

    pthread_t        thread;
    _Atomic bool     stop, no_goodbye;
    _Atomic uint32_t offers, commits, kills, welcomes;
    _Atomic uint32_t busy;              /* builds that it has now */
} scripted_agent;

void scripted_agent_start(scripted_agent *agent);
void scripted_agent_await(const scripted_agent *agent);         /* until the coordinator has welcomed it */
void scripted_agent_stop(scripted_agent *agent);
/* Has a fresh coordinator's first job built by such an agent, and leaves it a second one that waits.  Returns the
   first. */
uint64_t scripted_build_of_two(daemon_process *d, uint64_t *waiting);

#endif
