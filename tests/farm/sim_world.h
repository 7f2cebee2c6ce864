/* The simulator's state, and what its parts ask of each other: things that happen and the network (sim.c), the
   coordinator around the core (sim_coordinator.c), agents (sim_agents.c), clients (sim_clients.c).
   Peers: clients are 1 .. CLIENTS, the operator is 50, agents are 101 .. 100 + AGENTS. */
#ifndef PF_TESTS_FARM_SIM_WORLD_H
#define PF_TESTS_FARM_SIM_WORLD_H

#include "tests/farm/core_rig.h"
#include "tests/farm/sim.h"

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/heap.h"

#define S PF_NS_PER_S
#define MS PF_NS_PER_MS

enum {
    AGENTS = 4, CLIENTS = 3, SUBMITS_PER_CLIENT = 8, SLOTS = 2, MODELS = 12, STORE_MAX = 512, JOURNAL_MAX = 64,
    FAULT_SECONDS = 400, QUIET_SECONDS = 40000, CHECK_EVERY = 16,
};

/* ---- things that will happen */

typedef enum happening_kind { TO_COORDINATOR, TO_PEER, COMMIT, VERIFY_DONE, AGENT_TURN, CLIENT_TURN, CORE_TICK, CHAOS,
                              CRASH } happening_kind;

typedef struct happening {
    uint64_t       tie;
    uint32_t       place;
    happening_kind kind;
    uint64_t       peer;                /* of a message; index of an agent or client */
    uint64_t       life;                /* of the coordinator that it belongs to: stale ones are ignored */
    uint8_t       *frame;
    size_t         bytes;
    pf_out        *batch;
    pf_verify      verify;
    char          *manifest;
} happening;

typedef struct running {
    bool            used, ended;
    Pf__FailureKind failure;
    pf_lease_id     lease;
    char            plan[64];
    int64_t         end_ns, next_say_ns;
    uint64_t        progress;
} running;

typedef struct agent {
    uint64_t epoch;
    bool     known;                     /* the coordinator answered HELLO */
    int64_t  asleep_until_ns, cut_until_ns, next_beat_ns;
    uint64_t beat_id;                   /* msg_id of the last heartbeat, and what it listed */
    pf_lease_id listed[SLOTS];
    uint32_t listed_count;
    running  build[SLOTS];
} agent;

typedef struct journal {
    uint8_t  id[PF_SUBMIT_ID_BYTES];
    bool     used, acked, keyed, cancelled;
    uint64_t job_id;
    uint32_t model, seen_state;
} journal;

typedef struct client {
    journal  entry[SUBMITS_PER_CLIENT];
    uint64_t asked_id;                  /* msg_id of the last request, and which entry it was about */
    uint32_t asked_entry, made;
} client;

typedef struct stored { pf_digest digest; bool good; } stored;

typedef struct sim {
    rig        r;                       /* disk, configuration, clock; its core is the running coordinator */
    pf_random  random;
    pf_heap    future;
    uint64_t   next_tie, next_msg_id, life;     /* life: of the coordinator */
    int        faults;
    bool       quiet;                   /* the faults are over */
    int64_t    start_ns, disk_free_ns;
    agent      agent[AGENTS];
    client     client[CLIENTS];
    stored     store[STORE_MAX];
    uint32_t   stored_count;
    pf_digest  committed_key[STORE_MAX], committed_plan[STORE_MAX];
    uint32_t   committed_count;
    uint64_t   fence_of_job[JOURNAL_MAX * 4];
    sim_counts *counts;
} sim;

bool    sim_chance(sim *s, double p);
int64_t sim_between(sim *s, int64_t low, int64_t high);
/* Something that happens after so long; the caller fills in the rest. */
happening *sim_plan(sim *s, happening_kind kind, int64_t after_ns);
/* A frame on its way to or from a peer, delayed, lost or doubled as the faults want it. */
void    sim_post(sim *s, happening_kind kind, uint64_t peer, const uint8_t *frame, size_t bytes);
/* The same for a message from a peer to the coordinator; msg_id 0: a new one. */
void    sim_say(sim *s, uint64_t peer, pf_msg_type type, uint64_t msg_id, const ProtobufCMessage *body);

/* ---- sim_coordinator.c */
void    sim_step(sim *s, const pf_event *event);
const stored *sim_find_stored(const sim *s, const pf_digest *digest);
void    sim_on_commit(sim *s, const happening *h);
void    sim_on_verify(sim *s, const happening *h);
void    sim_to_coordinator(sim *s, const happening *h);
/* The process dies: what was not committed is gone; a batch may have been committed whose answers nobody will hear. */
void    sim_crash(sim *s);
void    sim_add_stats(sim *s);          /* to the counts; of a core that ends */

/* ---- sim_agents.c */
bool    sim_agent_is_away(const sim *s, const agent *a);
void    sim_agent_receive(sim *s, uint64_t index, const pf_message *message);
void    sim_agent_reset(sim *s, uint64_t index, bool new_process);
void    sim_on_agent_turn(sim *s, const happening *h);

/* ---- sim_clients.c */
void    sim_client_receive(sim *s, uint64_t index, const pf_message *message);
void    sim_on_client_turn(sim *s, const happening *h);

#endif
