/* What the agent holds in memory.  Internal to agent, session, dispatch, lease, report, device_check. */
#ifndef PF_BUILDER_AGENT_STATE_H
#define PF_BUILDER_AGENT_STATE_H

#include "builder-agent/agent.h"
#include "builder-agent/child.h"
#include "builder-agent/fingerprint.h"
#include "builder-agent/line_log.h"
#include "builder-agent/record.h"
#include "builder-agent/workdir.h"
#include "proto/peer.h"

typedef struct pf_agent pf_agent;
typedef struct pf_lease pf_lease;

/* ---- devices and classes */

typedef struct pf_agent_class {
    pf_fingerprint print;
    char           devices[PF_AGENT_DEVICES_MAX * PF_DEVICE_BYTES];     /* "cuda:0 cuda:1" */
    uint32_t       slots;
} pf_agent_class;

typedef struct pf_agent_device {
    pf_job_device   named;
    pf_agent_class *device_class;
    pf_lease       *lease;              /* that runs on it; NULL: none */
    /* a device that failed */
    bool            suspect;
    char            reason[PF_REASON_BYTES];
    pf_child        check;              /* looks whether it works again */
    pf_buf          answer;
    int64_t         check_at_ns, check_until_ns;
} pf_agent_device;

/* ---- leases */

/* RUNNING --its process ends--> KEEPING_LOG --the log is stored, or could not be--> REPORTING --answered--> GONE
   RUNNING --pf_lease_kill--> KILLING --its process ends--> GONE, or KEEPING_LOG when the kill is to be
      told as a failure
   KEEPING_LOG, REPORTING --pf_lease_kill--> GONE */
typedef enum pf_lease_state {
    PF_LEASE_RUNNING, PF_LEASE_KILLING, PF_LEASE_KEEPING_LOG, PF_LEASE_REPORTING, PF_LEASE_GONE
} pf_lease_state;

typedef enum pf_lease_after_kill {
    PF_LEASE_DROP,                      /* nobody asks */
    PF_LEASE_ACKNOWLEDGE,               /* CANCEL_ACK */
    PF_LEASE_FAIL,                      /* FAILED, with what stands in `failure` */
} pf_lease_after_kill;

typedef struct pf_lease_failure {
    Pf__FailureKind kind;               /* NONE: a plan was built */
    uint32_t        exit_code;
    bool            crashed;
    char            message[PF_ERR_MSG_BYTES];
} pf_lease_failure;

struct pf_lease {
    pf_lease            *next;
    uint64_t             job_id, fence;
    uint32_t             attempt;
    uint8_t              trace_id[PF_WIRE_TRACE_BYTES];
    pf_lease_state       state;
    pf_lease_after_kill  after_kill;
    bool                 lost;          /* the coordinator does not list it */
    pf_agent_device     *device;
    char                 folder[PATH_MAX];
    /* the build's process */
    pf_child             child;
    pid_t                process;       /* its number, also when it is gone */
    pf_line_log          log;
    pf_record_reader     records;
    bool                 ended;         /* a DONE or FAILED record came */
    int64_t              build_until_ns, moved_ns;      /* boot: the whole build's deadline; last sign of progress */
    uint64_t             progress_count;
    pf_record            progress;
    bool                 progress_new;
    int64_t              progress_sent_ns, log_sent_ns;
    /* what came of it */
    pf_lease_failure     failure;
    pf_digest            plan_digest;
    uint64_t             plan_bytes;
    char                 summary[PF_SUMMARY_BYTES];
    /* the log on its way to the store */
    pf_child             log_child;
    int64_t              log_until_ns;
    bool                 log_stored;
    pf_digest            log_digest;
    /* the report */
    uint64_t             report_id;
    int64_t              report_sent_ns, report_until_ns;
};

/* ---- the agent */

struct pf_agent {
    const pf_agent_options *options;
    pf_workdir      dir;
    pf_peer        *peer;
    uint64_t        epoch;
    char            host[PF_AGENT_NAME_BYTES];
    char            http_url[PF_URL_BYTES];
    char            token[PF_URL_BYTES];
    pf_agent_class  classes[PF_AGENT_DEVICES_MAX];
    pf_agent_device devices[PF_AGENT_DEVICES_MAX];
    uint32_t        classes_count, devices_count;
    pf_lease       *leases;             /* owned */
    uint32_t        leases_count;
    /* the conversation */
    bool            member;             /* HELLO was answered on this connection */
    uint64_t        coordinator_epoch;
    uint64_t        asked_id;           /* HELLO or HEARTBEAT that waits for its answer; 0: none */
    int64_t         asked_ns;           /* boot: when it was sent */
    int64_t         next_ask_ns;        /* boot: when the next is due */
    bool            waiting;            /* something was asked for and nothing was heard since */
    uint32_t        refusals;           /* of HELLO or HEARTBEAT, one after the other */
    int64_t         quiet_since_ns;     /* boot: when that began */
    int64_t         turn_ns, woke_ns;   /* boot: the last turn of the loop; the last that came late */
    int64_t         contact_ns;         /* boot: when the last answered HELLO or HEARTBEAT was sent */
    int64_t         ttl_ns, orphan_budget_ns;
    bool            orphan;             /* the budget is used up */
    /* the end */
    bool            sick;               /* none of the devices works */
    pf_fingerprint  checked;            /* scratch of device_check.c: too large for the stack */
    bool            draining, stopping, replaced;   /* takes no more; ends now; ends because of another process */
    char            health[PF_REASON_BYTES];
    char            outdated[PF_REASON_BYTES];      /* why it drains: its programs were replaced; "" otherwise */
};

/* ---- agent.c */

/* Takes no more, ends when nothing runs, and says why: what is installed now is not what it offered. */
void    pf_agent_retire(pf_agent *agent, const char *reason);

/* ---- session.c: HELLO, HEARTBEAT, silence */

void    pf_session_tick(pf_agent *agent, int64_t now_ns);
int64_t pf_session_next_ns(const pf_agent *agent);      /* boot: when tick has something to do */
void    pf_session_beat_now(pf_agent *agent);           /* a slot became free, or draining began */
void    pf_session_goodbye(pf_agent *agent, const char *reason);
/* Sends without waiting; false when there is no connection.  *msg_id 0 takes a new one. */
bool    pf_session_send(pf_agent *agent, pf_msg_type type, uint64_t *msg_id, const uint8_t *trace_id,
                        const ProtobufCMessage *body);

/* ---- dispatch.c: what the coordinator says */

void    pf_dispatch(pf_agent *agent, const pf_message *message);

/* ---- device_check.c: devices that failed */

bool    pf_device_is_free(const pf_agent_device *device);
void    pf_device_suspect(pf_agent *agent, pf_agent_device *device, const char *reason);
void    pf_device_tick(pf_agent_device *device, int64_t now_ns);
void    pf_device_read(pf_agent_device *device, int fd);
void    pf_device_reap(pf_agent *agent, pf_agent_device *device);

/* ---- lease.c: the life of a lease */

/* Owns     nothing of the offer.  Errors   BUSY, NO_SPACE, INVALID...: why the offer is declined. */
pf_status pf_lease_start(pf_agent *agent, const Pf__Offer *offer, const uint8_t *trace_id, pf_err *err);
pf_lease *pf_lease_find(const pf_agent *agent, uint64_t job_id, uint32_t attempt, uint64_t fence);
void    pf_lease_kill(pf_agent *agent, pf_lease *lease, pf_lease_after_kill after, const char *reason);
/* Reads what its processes say, and notes when they have ended. */
void    pf_lease_read(pf_agent *agent, pf_lease *lease, int fd);
void    pf_lease_reap(pf_agent *agent, pf_lease *lease);
void    pf_lease_tick(pf_agent *agent, pf_lease *lease, int64_t now_ns);
bool    pf_lease_is_listed(const pf_lease *lease);      /* in HELLO and HEARTBEAT */
void    pf_lease_sweep(pf_agent *agent);                /* frees those that are GONE */
void    pf_lease_free(pf_lease *lease);                 /* kills what it runs */

/* ---- report.c: how a lease ends, told until answered */

void    pf_report_begin(pf_agent *agent, pf_lease *lease);      /* stores the log, then reports */
void    pf_report_reap(pf_agent *agent, pf_lease *lease);
void    pf_report_tick(pf_agent *agent, pf_lease *lease, int64_t now_ns);
void    pf_report_answered(pf_agent *agent, pf_lease *lease, const char *outcome);
void    pf_report_cancelled(pf_agent *agent, const pf_lease *lease);
/* In the child: PUTs the log of the lease with that folder. */
pf_status pf_report_log_main(const char *folder, pf_err *err);

#endif
