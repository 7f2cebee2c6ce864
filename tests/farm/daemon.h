/* A real planfarm-coordinator on free ports, and what a client needs to talk to it. */
#ifndef PF_TESTS_FARM_DAEMON_H
#define PF_TESTS_FARM_DAEMON_H

#include <sys/types.h>

#include "base/buf.h"
#include "proto/limits.h"
#include "proto/peer.h"

typedef struct daemon_process {         /* open; zero it before use */
    char  state[4096];
    char  client[128], agent[128], http[128];   /* where it listens */
    pid_t pid;
    char  preload[4096];                /* put into LD_PRELOAD of the process when not empty */
    char  variable[32], value[96];      /* put into its environment when not empty */
} daemon_process;

/* A folder of the test's that no coordinator has used yet; borrowed as of test_path. */
const char *daemon_fresh_state(void);
/* Starts it and waits until it listens.  extra: more arguments, ended by NULL; may be NULL. */
void daemon_start(daemon_process *d, const char *state, const char *const *extra);
/* False when it ended instead. */
bool daemon_try_start(daemon_process *d, const char *state, const char *const *extra);
bool daemon_has_ended(daemon_process *d);       /* by itself; true again until the next start */
/* Starts it and returns its exit code: for starts that must fail. */
int  daemon_start_fails(daemon_process *d, const char *state, const char *const *extra);
void daemon_kill(daemon_process *d);    /* SIGKILL */
int  daemon_stop(daemon_process *d);    /* SIGTERM; its exit code */
long daemon_resident_kib(const daemon_process *d);
int  daemon_wait(daemon_process *d, int seconds);   /* exit code of one that ends by itself; -1 when it does not */

pf_peer *daemon_client(const daemon_process *d);
pf_peer *daemon_agent(const daemon_process *d);

/* ---- HTTP */

typedef struct http_answer { long code; pf_buf body; char etag[128], range[128]; } http_answer;

/* headers: more request headers, ended by NULL; may be NULL. data NULL: no body. */
void http_request(const char *method, const char *base, const char *path, const char *const *headers, const void *data,
                  size_t bytes, http_answer *out);
void http_answer_clear(http_answer *answer);
/* PUT of a blob; returns the code. */
long http_put_blob(const daemon_process *d, const void *data, size_t bytes, pf_digest *digest);
/* Uploads a model of one file and returns its model digest. */
pf_digest http_put_model(const daemon_process *d, const char *onnx);

/* ---- requests; each fails the test when the answer is not what it should be */

/* One SUBMIT to completion or timeout. *job_id 0 when blobs are missing. */
pf_status try_submit(pf_peer *client, const uint8_t id[PF_SUBMIT_ID_BYTES], const pf_digest *model, const char *name,
                     const char *selector, int64_t timeout_ns, uint64_t *job_id, pf_err *err);
uint64_t  must_submit(pf_peer *client, uint8_t id, const pf_digest *model, const char *name);
/* A copy of the job's status; free it with pf__job_status__free_unpacked(s, NULL). NULL when the job is unknown. */
Pf__JobStatus *job_status(pf_peer *client, uint64_t job_id);
/* Takes the job out of quarantine where it is in it. */
void      kick_quarantined(pf_peer *client, uint64_t job_id);
/* Fails the test after seconds, or a minute where that is longer: a busy machine takes its time. */
void      await_state(pf_peer *client, uint64_t job_id, Pf__JobState state, int seconds);

#endif
