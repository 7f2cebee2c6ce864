/* A process that the agent started: this same program in another mode, in a process group of its own, with its standard
   output and errors on one pipe and its records on another.  It dies with the agent (pf_child_enter), and what it
   started dies with it.
   Thread   the one that started it: the kernel ties the child's life to that thread. */
#ifndef PF_BUILDER_AGENT_CHILD_H
#define PF_BUILDER_AGENT_CHILD_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/status.h"

typedef struct pf_child {       /* open to readers; zero it before use */
    pid_t pid;                  /* 0: none, or reaped */
    int   output_fd, record_fd; /* owned, non-blocking; -1 after their end */
    bool  killed;               /* pf_child_kill was called */
} pf_child;

/* argv ends with NULL and does not begin with the program's name.  folder: where it works.
   Errors   NO_SPACE, IO: the system gives no process. */
pf_status pf_child_start(const char *const *argv, const char *folder, pf_child *out, pf_err *err);
/* Kills the whole group; nothing of it can refuse. */
void      pf_child_kill(pf_child *child);
/* Whether it has ended; then what was left of its group is killed, and wait_status is waitpid's. The pipes stay
   open. */
bool      pf_child_reap(pf_child *child, int *wait_status);
void      pf_child_close(pf_child *child);      /* kills and waits when it still runs; closes the pipes */
void      pf_child_close_fd(int *fd);           /* fine when it is -1 */
/* Reads once from the pipe, into out unless that is NULL, and closes it at its end.  False when nothing came. */
bool      pf_child_drain(int *fd, pf_buf *out);
/* Runs a child to its end and reads at most limit_bytes of its records and, into the end of err's sentence, its output.
   Initialises records.  Errors   TIMEOUT: killed after limit_ns; otherwise as the exit status says. */
pf_status pf_child_run(const char *const *argv, const char *folder, int64_t limit_ns, size_t limit_bytes,
                       pf_buf *records, pf_err *err);

/* For the child itself, first thing: die with the parent, leave no core, be the first to go when memory ends.
   False when the parent is gone already. */
bool      pf_child_enter(void);

#endif
