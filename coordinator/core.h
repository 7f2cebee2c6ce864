/* The coordinator's core: everything that it decides, and nothing that it does.
   pf_step takes one event and the time, changes the state in memory, and says what is to be written and what is to be
   sent.  There are no sockets, clocks, files or threads in it, so that a simulator can run it with faults and a seed.

   Invariants
   1. What pf_step asks to send may go out only after everything that it asked to write, in this and all earlier steps,
      is on disk: a reply may speak of it.
   2. Every job that is not final has a deadline in the heap.
   3. At most one live job has a given plan key, and a plan key has at most one plan.
   4. A lease (job, attempt, fence) is written before its offer is sent; fences only grow, over restarts as well.
   5. The sum of the jobs in all states is the number of jobs (pf_core_check).
   6. Times in rows are wall times for people to read; deadlines are kept on the clock that the caller passes, are not
      stored, and begin anew when the state is loaded.
   Out of memory in the core is final: pf_step then returns NO_SPACE, nothing of the step may be acknowledged, and the
   process ends; what is on disk is whole.
   Thread   one. */
#ifndef PF_COORDINATOR_CORE_H
#define PF_COORDINATOR_CORE_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"
#include "coordinator/index.h"
#include "proto/limits.h"
#include "proto/manifest.h"
#include "proto/wire.h"

typedef struct pf_core pf_core;

/* ---- time, and the numbers that rule it */

typedef struct pf_now { int64_t boot_ns, wall_ns; } pf_now;

typedef struct pf_core_config {         /* open */
    int64_t  offer_ns;                  /* an offer is answered within */
    int64_t  ttl_ns;                    /* of a lease without a heartbeat */
    int64_t  heartbeat_ns;              /* between heartbeats */
    int64_t  orphan_budget_ns;          /* agents build on without contact for so long */
    int64_t  cancel_ns;                 /* a kill is acknowledged within */
    int64_t  verify_ns;
    int64_t  backoff_first_ns, backoff_limit_ns;
    int64_t  queue_timeout_ns, build_timeout_ns;    /* when a submit names none */
    int64_t  stall_ns[5];               /* by Pf__Phase: no progress for so long, by a lease that beats */
    int64_t  retention_ns;              /* final jobs are remembered for */
    int64_t  history_ns;                /* and their events for */
    int64_t  plan_retention_ns;         /* a plan is remembered so long after it was last asked for */
    int64_t  time_jump_ns;              /* a longer pause between two steps means that this process slept */
    int64_t  fair_spacing_ns;           /* what one more job of the same user waits for */
    int64_t  priority_worth_ns;         /* what one step of priority is worth in waiting */
    uint32_t charged_limit;             /* attempts before quarantine */
    uint32_t crash_agents_limit;        /* crashes on so many agents lead to quarantine */
    uint32_t sick_limit;                /* crashed jobs that make an agent sick */
    uint32_t jobs_limit;                /* live jobs; more are answered BUSY */
    uint32_t final_limit;               /* final jobs remembered */
    uint32_t ring_bytes;                /* events kept for one job */
    uint32_t watches_limit;
    uint64_t random_seed;               /* of the backoff's jitter */
    uint8_t  index_seed[PF_INDEX_SEED_BYTES];
    const char *software;               /* borrowed */
    const char *http_url;               /* borrowed; "" when clients know the host */
    uint32_t http_port;
    const Pf__SigningKey *const *keys;  /* borrowed; told in INFO and HELLO */
    uint32_t keys_count;
} pf_core_config;

void pf_core_config_init(pf_core_config *config);       /* the values of PROTOCOL.md */

/* ---- what is written */

typedef enum pf_table {
    PF_ROWS_META, PF_ROWS_TEXTS, PF_ROWS_CLASSES, PF_ROWS_AGENTS, PF_ROWS_PLANS, PF_ROWS_JOBS, PF_ROWS_SUBMITS,
    PF_ROWS_COUNT
} pf_table;

typedef struct pf_write {               /* places in pf_out.bytes */
    pf_table table;
    bool     remove;
    size_t   key_at, key_bytes, value_at, value_bytes;
} pf_write;

/* A lease as messages name it, with the agent's peer. */
typedef struct pf_lease_id { uint64_t job_id, fence; uint32_t attempt; } pf_lease_id;

typedef struct pf_send {
    uint64_t    peer;
    pf_msg_type type;
    size_t      at, bytes;              /* the frame, in pf_out.bytes */
    pf_lease_id lease;                  /* of an OFFER, for PF_EVENT_SEND_FAILED */
} pf_send;

/* Asks for the bytes of a finished plan to be hashed, and its manifest to be signed; answered by PF_EVENT_VERIFIED. */
typedef struct pf_verify {
    pf_lease_id lease;
    uint64_t    peer, correlation_id;   /* of the COMPLETE */
    pf_digest   plan_digest, log_digest;
    uint64_t    plan_bytes;
    size_t      manifest_at, manifest_bytes;    /* the unsigned text, in pf_out.bytes */
} pf_verify;

typedef struct pf_out {                 /* open; emptied by the caller with pf_out_reset between steps or batches */
    pf_buf     bytes;
    pf_write  *write;
    pf_send   *send;
    pf_verify *verify;
    uint32_t   writes_count, sends_count, verifies_count;
    uint32_t   writes_capacity, sends_capacity, verifies_capacity;
    bool       failed;
} pf_out;

void pf_out_init(pf_out *out);
void pf_out_clear(pf_out *out);
void pf_out_reset(pf_out *out);

/* ---- events */

typedef enum pf_event_kind {
    PF_EVENT_TICK,                      /* time has passed */
    PF_EVENT_MESSAGE,
    PF_EVENT_SEND_FAILED,               /* an offer could not be sent */
    PF_EVENT_VERIFIED,
    PF_EVENT_SPACE,                     /* the disk is full, or has room again */
} pf_event_kind;

typedef struct pf_event {               /* open; all pointers borrowed for the call */
    pf_event_kind     kind;
    uint64_t          peer;             /* who sent the message, or could not be reached */
    const pf_message *message;
    uint32_t          grants;           /* PF_GRANT_* of the sender */
    const char       *key_name;         /* of the sender's key, NULL without keys */
    const char      (*classes)[PF_CLASS_NAME_BYTES];    /* that an agent's key may build for; none: any */
    uint32_t          classes_count;
    /* SUBMIT: blobs of the model that are not in the store; FIND_BLOBS: those asked for that are not. */
    const pf_digest  *missing;
    uint32_t          missing_count;
    /* SUBMIT, PLAN_LOOKUP: those of pf_core_ask's digests that are not in the store. */
    const pf_digest  *absent;
    uint32_t          absent_count;
    /* SEND_FAILED, VERIFIED */
    pf_lease_id       lease;
    /* VERIFIED */
    uint64_t          correlation_id;
    pf_status         status;           /* OK, or why the object is not good */
    const char       *text;  /* OK: the signed manifest; else the reason. SPACE: the reason, NULL when there is room */
    pf_digest         plan_digest, log_digest;
    uint64_t          plan_bytes;
} pf_event;

/* ---- the core */

pf_status pf_core_new(const pf_core_config *config, pf_core **out, pf_err *err);
void      pf_core_free(pf_core *core);

/* So many rows of a table will be loaded; makes room for what they become, and no more.  Errors   NO_SPACE. */
pf_status pf_core_expect(pf_core *core, pf_table table, uint64_t rows, pf_err *err);
/* Rows that were written, table by table in the order of pf_table, before pf_core_start.
   Errors   CORRUPT: a row fails its checks; STALE: written by a newer version. */
pf_status pf_core_load(pf_core *core, pf_table table, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes, pf_err *err);
/* The same without a look at the row's checksum: somebody else looks at it before pf_core_start. */
pf_status pf_core_load_unchecked(pf_core *core, pf_table table, const void *key, size_t key_bytes, const void *value,
                                 size_t value_bytes, pf_err *err);
/* Tells of a row that will be loaded soon. */
void      pf_core_prefetch(const pf_core *core, pf_table table, const void *value, size_t value_bytes);
/* The rows are older than what was told since: before pf_core_start, lets epochs go on above this one and job ids far
   above those that are known, so that no lease, event or job of the lost time comes again with another meaning. */
void pf_core_skip(pf_core *core, uint64_t epoch);
/* Begins a new epoch: every lease gets a full ttl for its agent to come back. */
pf_status pf_core_start(pf_core *core, pf_now now, pf_out *out, pf_err *err);
/* Right after it: signs plans that lack a signature by one of these keys (plans.h). */
pf_status pf_core_sign_plans(pf_core *core, const pf_signing_key *keys, uint32_t keys_count, pf_out *out, pf_err *err);

/* Digests of plans that handling the event would name; the caller looks them up and fills event.absent.
   *digest is borrowed until the next call. */
pf_status pf_core_ask(pf_core *core, const pf_event *event, const pf_digest **digest, uint32_t *count, pf_err *err);
/* Appends to out.  Errors   NO_SPACE: see above; nothing else: bad messages are answered, not returned. */
pf_status pf_step(pf_core *core, const pf_event *event, pf_now now, pf_out *out, pf_err *err);

/* When the next TICK is due (boot_ns); INT64_MAX when nothing waits. */
int64_t pf_core_next_ns(const pf_core *core);

/* ---- looking at it */

enum { PF_JOB_STATES = 12 };            /* values of Pf__JobState */

typedef struct pf_core_stats {          /* open */
    uint64_t epoch;
    uint32_t jobs_by_state[PF_JOB_STATES], jobs, submits, plans, agents, agents_alive, classes, watches;
    uint64_t submits_total, hits_total, joins_total, offers_total, declines_total, leases_lost_total, commits_total;
    uint64_t late_wins_total, failures_total, quarantines_total, refusals_total, events_dropped_total, time_jumps_total;
} pf_core_stats;

typedef struct pf_class_stats {         /* open; text borrowed until the next pf_step */
    const char *name;
    uint32_t    queued, running, agents_alive;
    int64_t     oldest_wait_ns;         /* of the first some thousands in the queue, 0 when none */
    int64_t     build_ns;               /* moving average of builds, 0 when unknown */
} pf_class_stats;

/* The class whose timings a selector means now, by the digest that they are kept by.  Errors  NOT_FOUND: none; USAGE:
   one of several. */
pf_status pf_core_timings_of(const pf_core *core, const char *selector, pf_digest *timing_class, pf_err *err);
/* Whether an agent with that key declared a class with these timings: then the key may tell them. */
bool     pf_core_key_declares(const pf_core *core, const char *key_name, const pf_digest *timing_class);
void     pf_core_stats_get(const pf_core *core, pf_now now, pf_core_stats *out);
uint32_t pf_core_class_count(const pf_core *core);
void     pf_core_class_get(const pf_core *core, uint32_t index, pf_now now, pf_class_stats *out);
/* Calls each for every blob that a live entry names: plans, logs, and models of jobs that are not final. */
void     pf_core_named_blobs(const pf_core *core, void (*each)(void *user, const pf_digest *digest, bool is_model),
                             void *user);
/* The invariants above, for tests and a periodic look.  Errors   INTERNAL, with what does not hold. */
pf_status pf_core_check(const pf_core *core, pf_err *err);

#endif
