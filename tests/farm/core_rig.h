/* The coordinator's core between a disk and a network that are arrays, for tests that drive it step by step. */
#ifndef PF_TESTS_FARM_CORE_RIG_H
#define PF_TESTS_FARM_CORE_RIG_H

#include "tests/test.h"

#include "base/map.h"
#include "coordinator/core.h"
#include "proto/manifest.h"
#include "tests/farm/hello.h"

typedef struct rig_row { pf_table table; uint8_t *key, *value; size_t key_bytes, value_bytes; bool removed; } rig_row;
typedef struct rig_mail { uint64_t peer; pf_message message; pf_lease_id lease; } rig_mail;

typedef struct rig {                    /* open; zero it before rig_open */
    void         (*written)(void *user, const pf_out *out);  /* set before rig_open: called for what each step writes */
    void          *user;
    pf_core_config config;
    pf_core       *core;
    pf_now         now;
    pf_out         out;
    rig_row       *row;                 /* the disk */
    uint32_t       rows_count, rows_capacity;
    pf_map        *row_of_key;
    rig_mail      *mail;                /* what was sent and not yet looked at */
    uint32_t       mail_count, mail_capacity;
    pf_verify     *verify;              /* with manifests in verify_text */
    char         **verify_text;
    uint32_t       verifies_count, verifies_capacity;
    pf_signing_key key;
    pf_digest      missing[4], absent[4];       /* told with the next message */
    uint32_t       missing_count, absent_count;
    uint64_t       next_msg_id;
    bool           check_always;        /* pf_core_check after each step */
} rig;

void rig_open(rig *r);                  /* a new disk, and a core started on it */
void rig_close(rig *r);
void rig_restart(rig *r);               /* another core on the same disk; what was in memory is gone */

/* Puts the writes of out on the disk. */
void rig_apply(rig *r, const pf_out *out);
const rig_row *rig_find_row(const rig *r, pf_table table, const void *key, size_t key_bytes);     /* NULL when absent */

/* Steps; writes go to the disk, sends to mail, verifications to verify. */
pf_status rig_step(rig *r, const pf_event *event);
void      rig_tick(rig *r, int64_t after_ns);
void      rig_say(rig *r, uint64_t peer, pf_msg_type type, const ProtobufCMessage *body);
void      rig_verdict(rig *r, uint32_t verify_index, pf_status status);      /* and forgets the verification */

/* The first mail of that type for the peer (0: anyone), taken out, for the caller to clear; fails the test when there
   is none. */
rig_mail rig_take(rig *r, uint64_t peer, pf_msg_type type);
bool     rig_has(const rig *r, uint64_t peer, pf_msg_type type);
void     rig_drop_mail(rig *r);

/* ---- ready-made messages; peers below 100 are clients */

enum { CLIENT_1 = 1, CLIENT_2 = 2, AGENT_1 = 101, AGENT_2 = 102, AGENT_3 = 103 };

typedef struct rig_request {            /* points into itself: it stays where it was begun */
    Pf__Submit submit;                  /* to be said; of one model, by its name, and one selector, which it borrows */
    uint8_t    id[PF_SUBMIT_ID_BYTES];
    pf_digest  model;
    char      *selectors[1];
} rig_request;

void     rig_request_begin(rig_request *request, uint32_t id, const char *model, const char *selector);
/* Says it; the id of the last of its jobs, 0 when it is refused. */
uint64_t rig_request_say(rig *r, uint64_t client, const rig_request *request);
/* Both, with a spec, and as a user for each client. */
uint64_t rig_submit(rig *r, uint64_t client, uint8_t id, const char *model, const char *selector);
void     rig_hello(rig *r, uint64_t peer, uint64_t epoch, uint32_t slots);      /* agent "a<peer>" of class cpu-test */
void     rig_beat(rig *r, uint64_t peer, uint64_t epoch, const Pf__Offer *const *leases, uint32_t count,
                  uint32_t free_slots);
void     rig_answer(rig *r, uint64_t peer, const Pf__Offer *offer, bool accept);
void     rig_complete(rig *r, uint64_t peer, const Pf__Offer *offer, const char *plan);
void     rig_fail(rig *r, uint64_t peer, const Pf__Offer *offer, Pf__FailureKind kind, bool crashed);
/* Lies in mail, which the caller clears in any case; NULL when the job is unknown. */
const Pf__JobStatus *rig_status(rig *r, uint64_t job_id, rig_mail *mail);
Pf__JobState rig_state(rig *r, uint64_t job_id);        /* NONE when unknown */
/* Takes the next offer for the agent and accepts it; the mail is the caller's to clear. */
rig_mail rig_lease(rig *r, uint64_t peer);
const Pf__Offer *rig_offer_of(const rig_mail *mail);

#endif
