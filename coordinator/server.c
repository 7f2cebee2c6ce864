#include <poll.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "coordinator/server_private.h"

enum {
    BATCH_MESSAGES = 512,       /* stepped before the sockets are looked at again */
    RUN_MESSAGES = 32,          /* read from one socket before the other is looked at: to look costs system calls */
    BATCH_WRITES_MAX = 8192,    /* with so many waiting for the writer, no more are read */
    BEATS_REST_MS = 4,          /* after a turn that heard nothing but heartbeats, agents are left alone for so long */
    TURN_MS_MAX = 1000,         /* the loop turns at least so often: time jumps are seen by it */
};

pf_now pf_server_now(void)
{
    return (pf_now){ .boot_ns = pf_clock_boot_ns(), .wall_ns = pf_clock_wall_ns() };
}

pf_status pf_server_step(pf_server *server, const pf_event *event, pf_err *err)
{
    return pf_step(server->core, event, pf_server_now(), &server->batch[server->filling], err);
}

static pf_router *router_of(pf_server *server, uint64_t peer)
{
    return pf_router_role_of(peer) == PF_ROLE_AGENT ? &server->agents : &server->clients;
}

bool pf_server_send(pf_server *server, uint64_t peer, const void *frame, size_t bytes)
{
    if (pf_router_role_of(peer) == PF_GATEWAY_ROLE)
        return pf_gateway_give(server->gateway, peer, frame, bytes);
    return pf_router_send(router_of(server, peer), peer, frame, bytes);
}

/* ---- messages in */

/* What came on one socket, at most RUN_MESSAGES. */
static pf_status read_run(pf_server *server, pf_router *router, int *count, pf_err *err)
{
    pf_status st = PF_OK;
    zmq_msg_t frame;
    uint64_t  peer = 0;

    for (*count = 0; *count < RUN_MESSAGES && !st && !router->quiet && pf_router_receive(router, &peer, &frame);
         ++*count) {
        st = pf_server_take_frame(server, router, peer, &frame, err);
        zmq_msg_close(&frame);
    }
    return st;
}

/* Reads from both sockets in turn, until neither has many more or enough came; the next turn finds what comes then. */
static pf_status read_frames(pf_server *server, pf_err *err)
{
    uint64_t  heard = server->clients.received + server->agents.received, beats = server->beats;
    pf_status st = PF_OK;
    int       clients = 0, agents = 0, count = 0;

    do {
        st = read_run(server, &server->clients, &clients, err);
        if (!st)
            st = read_run(server, &server->agents, &agents, err);
        count += clients + agents;
    } while (!st && count < BATCH_MESSAGES && (clients == RUN_MESSAGES || agents == RUN_MESSAGES));
    heard = server->clients.received + server->agents.received - heard;
    server->only_beats = heard && heard == server->beats - beats;
    return st;
}

static pf_status take_calls(pf_server *server, pf_err *err)
{
    pf_status st = PF_OK;

    for (int i = 0; i < BATCH_MESSAGES && !st; i++) {
        pf_gateway_call *call = pf_gateway_take(server->gateway);
        if (!call)
            break;
        st = pf_server_take_call(server, call, err);
    }
    return st;
}

/* ---- messages out */

static pf_status send_all(pf_server *server, const pf_out *out, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < out->sends_count && !st; i++) {
        const pf_send *s = &out->send[i];
        pf_event       failed = { .kind = PF_EVENT_SEND_FAILED, .peer = s->peer, .lease = s->lease };
        if (pf_server_send(server, s->peer, out->bytes.data + s->at, s->bytes))
            continue;
        if (s->type == PF_MSG_OFFER)
            st = pf_server_step(server, &failed, err);
    }
    for (uint32_t i = 0; i < out->verifies_count && !st; i++)
        st = pf_verifier_give(server->verifier, out, &out->verify[i], err);
    return st;
}

static void note_batch(pf_server *server, const pf_out *out, int64_t commit_ns, int64_t start_ns)
{
    pf_histogram_add(&server->counts.commit_seconds, (double)commit_ns / 1e9);
    pf_histogram_add(&server->counts.ack_seconds, (double)(pf_clock_ns() - start_ns) / 1e9);
    pf_histogram_add(&server->counts.batch_writes, out->writes_count);
}

static void start_commit(pf_server *server)
{
    const pf_out *out = &server->batch[server->filling];

    server->filling = (server->filling + 1) % PF_SERVER_BATCHES;
    server->committing = true;
    pf_writer_give(server->writer, out);
}

/* The writer is done with its batch: what it promised may be told, while the writer goes on with the next one. */
static pf_status release_committed(pf_server *server, pf_err *err)
{
    int       index = (server->filling + PF_SERVER_BATCHES - 1) % PF_SERVER_BATCHES;
    int64_t   commit_ns = 0;
    pf_status st = PF_OK;

    if (!pf_writer_take(server->writer, &st, &commit_ns, err))
        return PF_OK;
    if (st)
        return st;
    server->committing = false;
    if (server->batch[server->filling].writes_count)
        start_commit(server);
    note_batch(server, &server->batch[index], commit_ns, server->batch_start_ns[index]);
    st = send_all(server, &server->batch[index], err);
    pf_out_reset(&server->batch[index]);
    return st;
}

/* Hands the filled batch on: to the writer when it writes, at once to the sockets when it does not.  Never past a batch
   that is still being written: an answer may speak of what stands in it. */
static pf_status release_filled(pf_server *server, pf_err *err)
{
    pf_out   *out = &server->batch[server->filling];
    pf_status st = PF_OK;

    if (server->committing || (out->writes_count == 0 && out->sends_count == 0 && out->verifies_count == 0))
        return PF_OK;
    if (out->writes_count) {
        start_commit(server);
        return PF_OK;
    }
    server->filling = (server->filling + 1) % PF_SERVER_BATCHES;
    st = send_all(server, out, err);
    pf_out_reset(out);
    return st;
}

static pf_status take_verdicts(pf_server *server, pf_err *err)
{
    pf_status   st = PF_OK;
    pf_verdict *verdict = pf_verifier_take(server->verifier);

    for (; verdict; verdict = st ? NULL : pf_verifier_take(server->verifier)) {
        st = pf_server_step(server, &verdict->event, err);
        pf_free(verdict);
    }
    return st;
}

static void send_timings(pf_server *server)
{
    for (pf_timing_reply *reply = pf_timing_service_take(server->timings); reply;
         reply = pf_timing_service_take(server->timings)) {
        if (reply->frame.size)
            pf_router_send(router_of(server, reply->peer), reply->peer, reply->frame.data, reply->frame.size);
        pf_timing_reply_free(reply);
    }
}

/* ---- the loop */

static int wait_ms(const pf_server *server)
{
    int64_t left_ns = pf_core_next_ns(server->core) - pf_clock_boot_ns();

    if (left_ns <= 0)
        return 0;
    return left_ns > TURN_MS_MAX * PF_NS_PER_MS ? TURN_MS_MAX : (int)(left_ns / PF_NS_PER_MS) + 1;
}

static bool is_full(const pf_server *server)
{
    return server->committing && server->batch[server->filling].writes_count > BATCH_WRITES_MAX;
}

/* Beats that change nothing can wait, and many are answered in one turn, for one wake of ZeroMQ's thread. */
static bool agents_rest(const pf_server *server)
{
    return server->only_beats && !server->committing && server->batch[server->filling].writes_count == 0;
}

enum { POLL_STOP, POLL_WRITER, POLL_VERIFIER, POLL_TIMINGS, POLL_CLIENTS, POLL_GATEWAY, POLL_AGENTS, POLL_COUNT };

/* How many of those are waited for: with too much to write, none that asks for more. */
static nfds_t poll_count(const pf_server *server, bool rest)
{
    return is_full(server) ? POLL_CLIENTS : rest ? POLL_AGENTS : POLL_COUNT;
}

/* A socket that is not quiet is looked at again before anything is waited for. */
static int poll_ms(const pf_server *server, nfds_t count, bool rest)
{
    int longest_ms = wait_ms(server);

    if ((count > POLL_CLIENTS && !server->clients.quiet) || (count > POLL_AGENTS && !server->agents.quiet))
        return 0;
    return rest && longest_ms > BEATS_REST_MS ? BEATS_REST_MS : longest_ms;
}

/* Waits for something to do.  False when told to stop.  zmq_poll would ask both sockets twice, with system calls each
   time. */
static bool wait_for_work(pf_server *server)
{
    bool          rest = agents_rest(server);
    nfds_t        count = poll_count(server, rest);
    struct pollfd items[POLL_COUNT] = {
        [POLL_STOP] = { .fd = server->stop_fd },
        [POLL_WRITER] = { .fd = pf_writer_fd(server->writer) },
        [POLL_VERIFIER] = { .fd = pf_verifier_fd(server->verifier) },
        [POLL_TIMINGS] = { .fd = pf_timing_service_fd(server->timings) },
        [POLL_CLIENTS] = { .fd = server->clients.fd },
        [POLL_GATEWAY] = { .fd = pf_gateway_fd(server->gateway) },
        [POLL_AGENTS] = { .fd = server->agents.fd },
    };

    for (nfds_t i = 0; i < count; i++)
        items[i].events = POLLIN;
    if (poll(items, count, poll_ms(server, count, rest)) < 0)
        return true;            /* EINTR: look again */
    if (items[POLL_CLIENTS].revents)
        server->clients.quiet = false;
    if (items[POLL_AGENTS].revents || rest)
        server->agents.quiet = false;
    return !(items[POLL_STOP].revents & POLLIN);
}

static pf_status turn(pf_server *server, pf_err *err)
{
    pf_event  tick = { .kind = PF_EVENT_TICK };
    pf_status st = PF_OK;

    if (server->committing)
        st = release_committed(server, err);
    if (server->batch[server->filling].writes_count == 0)
        server->batch_start_ns[server->filling] = pf_clock_ns();
    if (!st && !is_full(server))
        st = read_frames(server, err);
    if (!st && !is_full(server))
        st = take_calls(server, err);
    if (!st)
        st = take_verdicts(server, err);
    send_timings(server);
    if (!st)
        st = pf_server_keep_house(server, err);
    if (!st)
        st = pf_server_step(server, &tick, err);
    if (!st)
        st = release_filled(server, err);
    return st;
}

/* What is being committed at the end is still told: the writer finishes its batch in any case. */
static pf_status finish(pf_server *server, pf_err *err)
{
    struct pollfd item = { .fd = pf_writer_fd(server->writer), .events = POLLIN };
    pf_status     st = PF_OK;

    for (int i = 0; i < 3 && !st; i++) {
        if (server->committing && poll(&item, 1, 5000) > 0)
            st = release_committed(server, err);
        if (!st)
            st = release_filled(server, err);
    }
    return st;
}

pf_status pf_server_run(pf_server *server, pf_err *err)
{
    pf_status st = PF_OK;

    pf_metrics_set_refusal(server->metrics, NULL);
    do
        st = turn(server, err);
    while (!st && wait_for_work(server));
    pf_metrics_set_refusal(server->metrics, "stopping");
    return st ? st : finish(server, err);
}
