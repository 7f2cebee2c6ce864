/* What the core holds in memory.  Internal to the core's files: core, job, submit, agents, classes, plans, events,
   watches, rows, on_client, on_agent. */
#ifndef PF_COORDINATOR_STATE_H
#define PF_COORDINATOR_STATE_H

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/core.h"
#include "coordinator/heap.h"
#include "coordinator/index.h"
#include "coordinator/job_table.h"
#include "coordinator/pool.h"
#include "proto/limits.h"

typedef struct pf_job    pf_job;
typedef struct pf_agent  pf_agent;
typedef struct pf_class  pf_class;
typedef struct pf_submit pf_submit;
typedef struct pf_plan   pf_plan;
typedef struct pf_watch  pf_watch;

/* One text that many things may name: specs, models, users. Kept while somebody does. */
enum { PF_TEXT_KEY_BYTES = 16, PF_TEXT_SHORT_BYTES = 1024 };

typedef struct pf_text {
    uint8_t  key[PF_TEXT_KEY_BYTES];    /* a hash of the bytes with a secret: it says who is the same, and is told to
                                           nobody */
    uint32_t refs, bytes;
    uint32_t stored_refs;  /* of those, by rows that name it by digest: it has a row of its own while there are any */
    char     data[];            /* zero-terminated; behind one of more than PF_TEXT_SHORT_BYTES stands its digest */
} pf_text;

/* A text that has a row of its own, while rows are loaded. */
typedef struct pf_stored_text {
    pf_digest digest;
    pf_text  *text;             /* holds a reference */
} pf_stored_text;

/* What many jobs have in common: what is built under which names, and for whom.  Kept once, while a job names it. */
typedef struct pf_order_key {   /* texts by their addresses; one reference to each */
    pf_digest model_digest;
    pf_text  *model_name, *user, *selector, *builder_abi;       /* builder_abi may be NULL */
} pf_order_key;

typedef struct pf_order {
    pf_order_key of;
    uint32_t     refs;
} pf_order;

/* ---- events of a job */

typedef struct pf_job_event {
    struct pf_job_event *next;
    uint64_t             sequence, dropped;
    int64_t              wall_ns;
    Pf__EventKind        kind;
    Pf__JobState         state;
    Pf__Phase            phase;
    uint32_t             permille, attempt;
    uint32_t             text_bytes, json_bytes;    /* both zero-terminated in data, text first */
    char                 data[];
} pf_job_event;

typedef struct pf_ring {
    pf_job_event *first, *last;
    uint32_t      bytes;
    uint64_t      dropped_through;      /* sequence of the last event that was dropped, 0 when none */
    uint64_t      dropped_count;
} pf_ring;

/* ---- jobs */

enum { PF_CRASHED_ON_MAX = 4 };

/* How far the agent is; only while it runs. */
typedef struct pf_progress {
    Pf__Phase phase;
    uint32_t  permille;
    uint64_t  count;
    pf_text  *text, *json;              /* may be NULL */
} pf_progress;

/* What is known of a job once something happened to it: apart, since most jobs of a long queue only wait. */
typedef struct pf_run {
    int64_t     lease_until_ns, stall_at_ns, build_until_ns;    /* boot; while LEASED */
    int64_t     offered_ns;             /* boot; 0 when not since the start */
    pf_job     *agent_next, *agent_previous;    /* among the agent's leases, while it is held */
    uint64_t    beat;                   /* of the last heartbeat that listed it */
    uint64_t    fence;
    pf_agent   *agent;                  /* that holds it, or last held it; may be NULL */
    pf_text    *message;                /* may be NULL */
    uint32_t    charged, exit_code;
    Pf__FailureKind failure;
    struct pf_watch_link *watchers;
    pf_job     *final_next, *final_previous;    /* final jobs, oldest change first */
    uint64_t    crashed_on[PF_CRASHED_ON_MAX];  /* hashes of agent names */
    uint32_t    crashed_on_count;
    pf_progress progress;
    pf_ring     ring;
    pf_digest   plan_digest, log_digest;
    uint64_t    plan_bytes;
} pf_run;

extern const pf_run pf_no_run;          /* all zero */

struct pf_job {                         /* a queue may be a million of them long: see the order before adding to it */
    uint64_t     id;
    pf_digest    plan_key;              /* zero while its class is not known */
    pf_order    *order;                 /* holds a reference */
    pf_text     *spec;
    pf_class    *device_class;          /* NULL: waits for an agent that declares the selector */
    const pf_run *run;                  /* owned, written through pf_run_of; pf_no_run until there is one */
    struct pf_submit_item *items;       /* submits that name it, by next_of_job */
    int64_t      created_ns, changed_ns;        /* wall */
    int64_t      queue_key;             /* place in the queue: a wall time, see sched.h */
    uint8_t      trace_id[PF_WIRE_TRACE_BYTES];
    uint32_t     heap_place, queue_place;
    uint32_t     attempt, waiters;
    uint32_t     build_timeout_s, queue_timeout_s;
    int8_t       priority;
    uint8_t      state;                 /* Pf__JobState */
    bool         held : 1, dirty : 1;
    bool         verifying_late : 1;    /* a COMPLETE of a lost lease is being verified */
};

/* The job's run, to be changed; made when it has none.  When memory is out the core has failed, and what is written is
   lost with it. */
pf_run *pf_run_of(pf_core *core, pf_job *job);

static inline bool pf_state_is_final(Pf__JobState state)
{
    return state >= PF__JOB_STATE__STATE_COMMITTED;
}

/* ---- submits */

enum { PF_SUBMIT_BODY_BYTES = 12 };

typedef struct pf_submit_item {         /* read through submit.h */
    union {
        pf_job    *job;
        pf_digest *plan_key;            /* owned; of a plan whose job is forgotten: a job knows its own */
    };
    pf_text *selector;
    struct pf_submit_item *next_of_job;
    uint8_t  place;                     /* among the submit's */
    bool     has_job, hit, joined, given_up;
} pf_submit_item;

struct pf_submit {
    uint8_t        id[PF_SUBMIT_ID_BYTES];
    uint64_t       serial;              /* key of its row */
    uint8_t        body[PF_SUBMIT_BODY_BYTES];  /* beginning of the hash of what was asked for */
    uint32_t       items_count;
    pf_submit_item item[];
};

/* ---- device classes, agents */

struct pf_class {
    pf_digest digest;
    pf_digest timing_digest;            /* of its timings: base/timing_class.h */
    char      name[PF_CLASS_NAME_BYTES];
    pf_text  *text, *builder_abi;
    char      alias[PF_CLASS_ALIASES_MAX][PF_CLASS_NAME_BYTES];
    uint32_t  aliases_count;
    int64_t   seen_ns;                  /* wall: when an agent last declared it */
    pf_heap   queue;                    /* of jobs */
    struct pf_slot *ready_first, *ready_last;   /* agents that may have room, longest waiting first */
    struct pf_slot *slots;              /* all agents that declared it, by next_of_class */
    pf_index  users;                    /* of struct user in sched.c */
    uint32_t  users_limit;              /* with so many, those who wait for nothing are forgotten */
    uint32_t  running;
    int64_t   build_ns;                 /* moving average, 0 when unknown */
    bool      dirty;                    /* something may be offered */
};

/* One class of one agent. */
typedef struct pf_slot {
    pf_agent *agent;
    pf_class *device_class;
    uint32_t  slots, credit, held;      /* credit: as last told by the agent */
    bool      ready;                    /* in the class's list */
    struct pf_slot *next_ready, *next_of_class;
} pf_slot;

enum { PF_SICK_JOBS_MAX = 8, PF_REPLACED_MAX = 4 };

struct pf_agent {
    char      name[PF_AGENT_NAME_BYTES];        /* zero-padded: it is an index key */
    uint64_t  peer;                     /* 0 when not connected */
    uint64_t  epoch;
    uint64_t  replaced[PF_REPLACED_MAX];        /* epochs that another process of the same name took over from */
    char      key_name[PF_USER_BYTES];  /* of the key that its name belongs to; "" without keys */
    char      host[PF_AGENT_NAME_BYTES], software[PF_AGENT_NAME_BYTES], health[PF_REASON_BYTES];
    pf_text  *builder_abi;              /* NULL until its first HELLO */
    int64_t   seen_boot_ns, seen_ns;    /* last heard of; 0 when not since the start */
    int64_t   rest_until_ns;            /* boot: no offers before */
    int64_t   foreign_since_ns;         /* boot: since when it lists leases that do not hold; 0 when it does not */
    bool      drain_asked, draining;    /* by an operator; by itself */
    bool      sick, sick_told;          /* by its deeds; by itself */
    uint64_t  crashed_jobs[PF_SICK_JOBS_MAX];
    uint32_t  crashed_jobs_count;
    pf_slot  *slot[PF_AGENT_CLASSES_MAX];       /* owned */
    uint32_t  slots_count;
    pf_job   *leases;
    uint32_t  leases_count;
};

/* ---- plans */

struct pf_plan {
    pf_digest plan_key, plan_digest, model_digest;
    uint64_t  plan_bytes, job_id;
    int64_t   created_ns;
    int64_t   used_ns;                  /* wall: when it was last asked for, about */
    uint64_t  named;                    /* the last sweep that found a submit which names it */
    pf_class *device_class;
    pf_text  *model_name;
    pf_digest spec_digest;
    char     *manifest;                 /* owned, signed */
    pf_plan  *newer, *older;            /* all plans in the order in which they were made */
};

/* ---- watches: long polls that wait */

typedef struct pf_watch_link {
    pf_watch *watch;
    pf_job   *job;
    struct pf_watch_link *next, *previous;      /* of the job */
} pf_watch_link;

struct pf_watch {
    uint64_t  peer, correlation_id, after_sequence;
    uint32_t  heap_place, max_bytes;
    bool      ready;
    pf_watch *next_ready;
    uint32_t  links_count;
    pf_watch_link link[];
};

/* ---- all of it */

/* 2026-01-01: no farm is older, and a wall clock before it was never set. */
#define PF_FARMS_BEGAN_NS (INT64_C(1767225600) * PF_NS_PER_S)

struct pf_core {
    pf_core_config config;
    pf_random      random;
    pf_now         now;
    pf_out        *out;                 /* of the running step */
    bool           failed;              /* out of memory */
    pf_run         lost_run;            /* takes what is written after that, see pf_run_of */
    uint16_t       row_version;         /* of the row that is being loaded */
    uint64_t       epoch, next_job_id, next_submit_serial, next_fence, next_sequence, next_msg_id, next_beat;
    pf_index       texts, orders, live_keys, submits, classes, agents, peers, plans, watches_by_peer;
    pf_index       stored_texts;        /* until all rows are in */
    pf_job_table   jobs;
    pf_pool        pool;                /* of jobs, submits, texts */
    pf_heap        deadlines, watch_deadlines;  /* of jobs; of watches */
    pf_job        *final_oldest, *final_newest;
    uint32_t       final_count;
    pf_plan       *newest_plan;
    int64_t        sweep_at_ns;         /* boot: when plans that nobody asks for are looked for again */
    int64_t        clock_offset_ns;     /* of the wall clock to the other, as the last sweeps saw it */
    uint64_t       sweeps;
    pf_watch      *ready_watches;
    pf_buf         row;                 /* the one that is being written */
    pf_job       **dirty;               /* jobs whose rows this step changed */
    uint32_t       dirty_count, dirty_capacity;
    pf_class     **class_list;          /* in the order in which they were first seen */
    uint32_t       classes_count, classes_capacity;
    pf_job       **pending;             /* jobs that wait for their class to be declared */
    uint32_t       pending_count, pending_capacity;
    pf_digest     *asked;               /* pf_core_ask's answer */
    uint32_t       asked_capacity;
    pf_text       *recent[64];          /* by a short hash: texts that were taken of late, see text.c */
    char          *refusal;             /* why submits are refused, NULL when they are not */
    uint32_t       by_state[PF_JOB_STATES];
    pf_core_stats  stats;               /* its *_total counters */
};

/* ---- core.c: what all files use */

void  pf_core_fail(pf_core *core);                      /* out of memory */
void *pf_core_alloc(pf_core *core, size_t bytes);       /* zeroed; NULL after pf_core_fail */
void *pf_core_take(pf_core *core, size_t bytes);        /* the same from the pool, given back to it */
/* Queues a message; correlation_id 0 for one that answers nothing. */
void  pf_core_send(pf_core *core, uint64_t peer, pf_msg_type type, uint64_t correlation_id,
                   const ProtobufCMessage *body);
void  pf_core_send_traced(pf_core *core, uint64_t peer, pf_msg_type type, uint64_t correlation_id,
                          const uint8_t trace_id[PF_WIRE_TRACE_BYTES], const ProtobufCMessage *body);
void  pf_core_reply(pf_core *core, const pf_event *event, pf_msg_type type, const ProtobufCMessage *body);
void  pf_core_refuse(pf_core *core, const pf_event *event, pf_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void  pf_core_refuse_reason(pf_core *core, const pf_event *event, Pf__ErrorReason reason, const char *text);
/* The event's missing blobs for an answer, whose list the caller frees. */
ProtobufCBinaryData *pf_core_missing(pf_core *core, const pf_event *event, size_t *count);
/* A copy of bytes in the step's out, and where it is. */
size_t pf_core_bytes(pf_core *core, const void *data, size_t bytes);
void  pf_core_write(pf_core *core, pf_table table, const void *key, size_t key_bytes, const pf_buf *value);
void  pf_core_remove(pf_core *core, pf_table table, const void *key, size_t key_bytes);

/* ---- text.c */

pf_text    *pf_text_take(pf_core *core, const char *text);      /* one reference; NULL after pf_core_fail */
/* The same of a text that ends otherwise. */
pf_text    *pf_text_take_bytes(pf_core *core, const char *text, size_t bytes);
pf_text    *pf_text_again(pf_text *text);                       /* one more; NULL is fine */
void        pf_text_drop(pf_core *core, pf_text *text);         /* NULL is fine */
void        pf_text_free(pf_core *core, pf_text *text);         /* memory only */
void        pf_text_set(pf_core *core, pf_text **place, const char *text);      /* NULL or "" empties it */
const char *pf_text_of(const pf_text *text);                    /* "" for NULL */
void        pf_text_digest(const pf_text *text, pf_digest *out);
/* A row names the text by its digest, or no longer does. */
void        pf_text_stored(pf_core *core, pf_text *text);
void        pf_text_unstored(pf_core *core, pf_text *text);

/* The text that has a row of its own under the digest; NULL when there is none.  Only while rows are loaded. */
pf_text    *pf_text_stored_find(const pf_core *core, const pf_digest *digest);
/* What was loaded and is named by no row goes, and so does its row. */
void        pf_text_end_loading(pf_core *core);

/* ---- order.c */

/* Takes over the references that key holds, in any case; NULL after pf_core_fail. */
pf_order *pf_order_take(pf_core *core, const pf_order_key *key);
void      pf_order_drop(pf_core *core, pf_order *order);        /* NULL is fine */

#endif
