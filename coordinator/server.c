#include "coordinator/server.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "coordinator/authority.h"
#include "coordinator/backup.h"
#include "coordinator/collector.h"
#include "coordinator/db.h"
#include "coordinator/gateway.h"
#include "coordinator/http.h"
#include "coordinator/metrics.h"
#include "coordinator/models.h"
#include "coordinator/router.h"
#include "coordinator/state_dir.h"
#include "coordinator/timing_service.h"
#include "coordinator/verifier.h"
#include "coordinator/writer.h"
#include "coordinator/zap.h"

enum {
    BATCH_MESSAGES = 512,               /* stepped before the sockets are looked at again */
    RUN_MESSAGES = 32,                  /* read from one socket before the other is looked at: to look costs system calls */
    BATCH_WRITES_MAX = 8192,            /* with so many waiting for the writer, no more are read */
    BEATS_REST_MS = 4,                  /* after a turn that heard nothing but heartbeats, agents are left alone for so long */
    TURN_MS_MAX = 1000,                 /* the loop turns at least so often: time jumps are seen by it */
    FIND_BLOBS_MAX = 16384,
    ENDPOINTS_BYTES = 1024,
};

#define HOUSEKEEPING_NS (INT64_C(1) * 1000000000)
#define READER_CHECK_NS (INT64_C(10) * 1000000000)
#define COLLECT_NS      (INT64_C(600) * 1000000000)     /* between two passes of the collector */
#define COLLECT_SOON_NS (INT64_C(10) * 1000000000)      /* the same, while the store is nearly full */

struct pf_server {
    pf_server_options options;
    pf_state_dir      dir;
    pf_db            *db;
    pf_store         *store;
    pf_core          *core;
    pf_models        *models;
    pf_writer        *writer;
    pf_verifier      *verifier;
    pf_timing_service *timings;
    pf_collector     *collector;
    pf_backup        *backup;
    pf_metrics       *metrics;
    pf_gateway       *gateway;          /* to the core, for HTTP */
    pf_http          *http;
    void             *context;
    pf_authority     *authority;
    pf_zap           *zap;
    pf_router         clients, agents;
    pf_signing_key    key[PF_SIGNING_KEYS_MAX];     /* newest first; all sign */
    uint32_t          keys_count;
    Pf__SigningKey    key_message[PF_SIGNING_KEYS_MAX];
    const Pf__SigningKey *key_list[PF_SIGNING_KEYS_MAX];
    pf_buf            keys_text;
    pf_server_counts  counts;
    int               stop_fd;
    pf_out            batch[2];         /* the one being filled, and the one being committed */
    int               filling;          /* index of the first */
    bool              committing;
    uint64_t          beats;            /* heartbeats that came */
    bool              only_beats;       /* the last turn heard nothing else */
    int64_t           batch_start_ns[2];
    int64_t           housekeeping_ns, readers_ns, collect_ns, backup_ns;
    pf_digest        *missing;          /* for FIND_BLOBS */
    char              endpoints[ENDPOINTS_BYTES];
};

void pf_server_options_init(pf_server_options *options)
{
    *options = (pf_server_options){
        .listen = "127.0.0.1", .http_url = "", .software = "planfarm", .client_port = 7701, .agent_port = 7702,
        .http_port = 7780, .map_bytes = UINT64_C(64) << 30, .reserve_bytes = UINT64_C(16) << 20,
        .blob_limit_bytes = UINT64_C(1) << 40, .blob_age_ns = 30 * 24 * 3600 * PF_NS_PER_S, .blob_spare_ns = 3600 * PF_NS_PER_S,
        .backup_ns = 3600 * PF_NS_PER_S,
    };
    pf_core_config_init(&options->core);
}

static pf_now now(void)
{
    return (pf_now){ .boot_ns = pf_clock_boot_ns(), .wall_ns = pf_clock_wall_ns() };
}

/* ---- opening */

/* Without keys nobody is asked who he is, so nobody from outside may come. */
static pf_status check_listen(const char *address, bool has_keys, pf_err *err)
{
    if (has_keys || strncmp(address, "127.", 4) == 0)
        return PF_OK;
    return PF_FAIL(err, PF_DENIED, "listening on %s would let anyone on the network in: make keys first (planfarm keys new), "
                   "or listen on 127.0.0.1", address);
}

static pf_status open_state(pf_server *server, pf_err *err)
{
    const pf_server_options *o = &server->options;
    char                     path[PATH_MAX] = "";
    pf_status                st = pf_state_dir_open(o->state, o->reserve_bytes, o->any_file_system, &server->dir, err);

    if (!st)
        st = pf_state_dir_join(&server->dir, "endpoints", path, sizeof path, err);
    if (!st)
        unlink(path);           /* of a process that was killed */
    if (!st)
        st = pf_state_dir_join(&server->dir, "keys", path, sizeof path, err);
    if (!st)
        st = pf_signing_keys_open(path, false, server->key, &server->keys_count, err);
    if (!st)
        st = pf_authority_open(path, &server->authority, err);
    if (!st)
        st = check_listen(o->listen, pf_authority_has_keys(server->authority), err);
    if (!st)
        st = pf_state_dir_join(&server->dir, "blobs", path, sizeof path, err);
    if (!st)
        st = pf_store_open(path, o->blobs_limit_bytes, &server->store, err);
    if (!st)
        st = pf_state_dir_join(&server->dir, "db", path, sizeof path, err);
    if (!st)
        st = pf_db_open(path, o->map_bytes, &server->db, err);
    return st;
}

/* The handler must not only run but be asked.  0.0.0.0 is reached at loopback. */
static pf_status test_strangers(const pf_server *server, const pf_farm_key *key, pf_err *err)
{
    const char *endpoints[] = { server->clients.endpoint, server->agents.endpoint };
    pf_status   st = PF_OK;

    for (int i = 0; i < 2 && !st; i++) {
        char        reachable[300] = "";
        const char *port = strrchr(endpoints[i], ':');
        bool        everywhere = strncmp(endpoints[i], "tcp://0.0.0.0:", 14) == 0;
        snprintf(reachable, sizeof reachable, everywhere ? "tcp://127.0.0.1%s" : "%s", everywhere ? port : endpoints[i]);
        st = pf_zap_self_test(reachable, key->public_key, err);
    }
    return st;
}

static pf_status open_sockets(pf_server *server, pf_err *err)
{
    const pf_server_options *o = &server->options;
    pf_http_options          http = { .address = o->listen, .port = o->http_port, .blob_limit_bytes = o->blob_limit_bytes,
                                      .store = server->store, .db = server->db, .metrics = server->metrics,
                                      .client_endpoint = server->clients.endpoint, .agent_endpoint = server->agents.endpoint,
                                      .authority = server->authority, .gateway = server->gateway };
    const pf_farm_key       *key = pf_authority_has_keys(server->authority) ? pf_authority_server(server->authority) : NULL;
    pf_status                st = PF_OK;

    server->context = zmq_ctx_new();
    if (!server->context)
        return PF_FAIL(err, PF_NO_SPACE, "cannot start ZeroMQ: %s", strerror(errno));
    if (key)
        st = pf_zap_start(server->context, server->authority, &server->zap, err);
    if (!st)
        st = pf_router_open(server->context, PF_ROLE_CLIENT, o->listen, o->client_port, key, &server->clients, err);
    if (!st)
        st = pf_router_open(server->context, PF_ROLE_AGENT, o->listen, o->agent_port, key, &server->agents, err);
    if (!st && key)
        st = test_strangers(server, key, err);
    pf_buf_init(&server->keys_text, 4096);
    for (uint32_t i = 0; i < server->keys_count && !st; i++)
        st = pf_public_key_write(&server->key[i].public_key, &server->keys_text, err);
    http.keys_text = (const char *)server->keys_text.data;
    if (!st)
        st = pf_http_start(&http, &server->http, err);
    return st;
}

static void tell_core_of_itself(pf_server *server)
{
    pf_core_config *config = &server->options.core;

    for (uint32_t i = 0; i < server->keys_count; i++) {
        pf__signing_key__init(&server->key_message[i]);
        server->key_message[i].name = server->key[i].public_key.name;
        server->key_message[i].public_key = (ProtobufCBinaryData){ PF_PUBLIC_KEY_BYTES, server->key[i].public_key.byte };
        server->key_list[i] = &server->key_message[i];
    }
    config->keys = server->key_list;
    config->keys_count = server->keys_count;
    config->software = server->options.software;
    config->http_url = server->options.http_url;
    config->http_port = (uint32_t)pf_http_port(server->http);
    randombytes_buf(&config->random_seed, sizeof config->random_seed);
    randombytes_buf(config->index_seed, sizeof config->index_seed);
}

/* The new epoch is on disk before anybody hears of it. */
static pf_status start_core(pf_server *server, pf_err *err)
{
    pf_out   *out = &server->batch[server->filling];
    pf_status st = PF_OK;

    tell_core_of_itself(server);
    st = pf_core_new(&server->options.core, &server->core, err);
    if (!st)
        st = pf_db_load(server->db, server->core, err);
    if (!st)
        st = pf_core_start(server->core, now(), out, err);
    if (!st)
        st = pf_core_check(server->core, err);
    if (!st)
        st = pf_db_commit(server->db, out, err);
    pf_out_reset(out);
    return st;
}

static pf_status start_timings(pf_server *server, pf_err *err)
{
    char      path[PATH_MAX] = "";
    pf_status st = pf_state_dir_join(&server->dir, "timing", path, sizeof path, err);

    return st ? st : pf_timing_service_start(path, server->options.map_bytes, &server->timings, err);
}

static pf_status publish_endpoints(pf_server *server, pf_err *err)
{
    char          path[PATH_MAX] = "";
    pf_core_stats stats;
    pf_status     st = pf_state_dir_join(&server->dir, "endpoints", path, sizeof path, err);

    pf_core_stats_get(server->core, now(), &stats);
    snprintf(server->endpoints, sizeof server->endpoints,
             "{\"client\": \"%s\", \"agent\": \"%s\", \"http\": \"http://%s:%d\", \"pid\": %d, \"epoch\": %llu}\n",
             server->clients.endpoint, server->agents.endpoint, server->options.listen, pf_http_port(server->http),
             (int)getpid(), (unsigned long long)stats.epoch);
    return st ? st : pf_file_write(path, server->endpoints, strlen(server->endpoints), err);
}

pf_status pf_server_open(const pf_server_options *options, pf_server **out, pf_err *err)
{
    pf_server *server = pf_calloc(1, sizeof *server);
    pf_status  st = PF_OK;

    *out = NULL;
    if (!server)
        return PF_FAIL_MEMORY(err, sizeof *server);
    server->options = *options;
    server->dir.lock_fd = -1;
    server->counts.commit_seconds.first = server->counts.ack_seconds.first = 1e-4;
    server->counts.batch_writes.first = 1;
    pf_out_init(&server->batch[0]);
    pf_out_init(&server->batch[1]);
    server->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    server->missing = pf_calloc(FIND_BLOBS_MAX, sizeof *server->missing);
    st = server->stop_fd < 0 || !server->missing ? PF_FAIL(err, PF_NO_SPACE, "out of memory or file descriptors") : PF_OK;
    if (!st)
        st = open_state(server, err);
    if (!st)
        st = pf_metrics_new(&server->metrics, err);
    if (!st)
        st = pf_models_new(server->store, &server->models, err);
    if (!st)
        st = pf_gateway_open(&server->gateway, err);
    if (!st)
        st = open_sockets(server, err);
    if (!st)
        st = start_core(server, err);
    if (!st)
        st = pf_writer_start(server->db, &server->dir, &server->writer, err);
    if (!st)
        st = pf_verifier_start(server->store, server->key, server->keys_count, &server->verifier, err);
    if (!st)
        st = start_timings(server, err);
    if (!st)
        st = pf_collector_start(server->store, &server->collector, err);
    if (!st)
        st = pf_backup_start(server->db, &server->dir, &server->backup, err);
    if (!st)
        st = publish_endpoints(server, err);
    if (st) {
        pf_server_close(server);
        return st;
    }
    *out = server;
    return PF_OK;
}

void pf_server_close(pf_server *server)
{
    char path[PATH_MAX] = "";

    if (!server)
        return;
    if (server->endpoints[0] && pf_state_dir_join(&server->dir, "endpoints", path, sizeof path, NULL) == PF_OK)
        unlink(path);
    pf_http_stop(server->http);
    pf_gateway_close(server->gateway);
    pf_verifier_stop(server->verifier);
    pf_timing_service_stop(server->timings);
    pf_collector_stop(server->collector);
    pf_backup_stop(server->backup);
    pf_writer_stop(server->writer);
    pf_router_close(&server->clients);
    pf_router_close(&server->agents);
    pf_zap_stop(server->zap);
    if (server->context)
        zmq_ctx_term(server->context);
    pf_core_free(server->core);
    pf_models_free(server->models);
    pf_metrics_free(server->metrics);
    pf_db_close(server->db);
    pf_store_close(server->store);
    for (uint32_t i = 0; i < server->keys_count; i++)
        pf_signing_key_clear(&server->key[i]);
    pf_authority_close(server->authority);
    pf_buf_clear(&server->keys_text);
    pf_out_clear(&server->batch[0]);
    pf_out_clear(&server->batch[1]);
    pf_free(server->missing);
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    pf_state_dir_close(&server->dir);
    pf_free(server);
}

const char *pf_server_endpoints(const pf_server *server)
{
    return server->endpoints;
}

void pf_server_stop(pf_server *server)
{
    uint64_t one = 1;
    ssize_t  wrote = write(server->stop_fd, &one, sizeof one);

    (void)wrote;        /* it fails only when it is readable already */
}

/* ---- one step */

static pf_status step(pf_server *server, const pf_event *event, pf_err *err)
{
    return pf_step(server->core, event, now(), &server->batch[server->filling], err);
}

static pf_router *router_of(pf_server *server, uint64_t peer)
{
    return pf_router_role_of(peer) == PF_ROLE_AGENT ? &server->agents : &server->clients;
}

/* Answers a peer of any kind.  False when it is gone or takes nothing. */
static bool send_frame(pf_server *server, uint64_t peer, const void *frame, size_t bytes)
{
    if (pf_router_role_of(peer) == PF_GATEWAY_ROLE)
        return pf_gateway_give(server->gateway, peer, frame, bytes);
    return pf_router_send(router_of(server, peer), peer, frame, bytes);
}

/* ---- messages in */

static void answer_bad_frame(pf_server *server, uint64_t peer, const pf_wire_header *asked, pf_status st, const pf_err *why)
{
    pf_wire_header header = { .correlation_id = asked->msg_id };
    Pf__Error      error = PF__ERROR__INIT;
    pf_buf         frame = { 0 };

    error.exit_code = (uint32_t)pf_status_exit_code(st);
    error.message = (char *)why->msg;
    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    if (pf_wire_pack(PF_MSG_ERROR, &header, &error.base, &frame, NULL) == PF_OK)
        send_frame(server, peer, frame.data, frame.size);
    pf_buf_clear(&frame);
}

/* The blobs that a request names are looked up here, so that the core needs no files. */
static pf_status look_up_model(pf_server *server, const Pf__Submit *submit, pf_event *event, pf_err *err)
{
    pf_digest model = { 0 };

    if (submit->model_digest.len != sizeof model.byte)
        return PF_OK;           /* the core refuses it */
    memcpy(model.byte, submit->model_digest.data, sizeof model.byte);
    return pf_models_missing(server->models, &model, &event->missing, &event->missing_count, err);
}

static pf_status look_up_blobs(pf_server *server, const Pf__FindBlobs *asked, pf_event *event, pf_err *err)
{
    if (asked->n_digest > FIND_BLOBS_MAX)
        return PF_FAIL(err, PF_INVALID, "more than %d blobs are asked for at once", FIND_BLOBS_MAX);
    event->missing = server->missing;
    for (size_t i = 0; i < asked->n_digest; i++) {
        pf_digest *digest = &server->missing[event->missing_count];
        if (asked->digest[i].len != sizeof digest->byte)
            return PF_FAIL(err, PF_INVALID, "a digest has %zu bytes, not %d", asked->digest[i].len, PF_DIGEST_BYTES);
        memcpy(digest->byte, asked->digest[i].data, sizeof digest->byte);
        if (pf_store_has(server->store, digest, NULL))
            pf_store_touch(server->store, digest);
        else
            event->missing_count++;
    }
    return PF_OK;
}

/* Plans that the answer would name: those whose bytes are gone, at the front of server->missing. */
static pf_status look_up_plans(pf_server *server, pf_event *event, pf_err *err)
{
    const pf_digest *asked = NULL;
    uint32_t         count = 0;
    pf_status        st = pf_core_ask(server->core, event, &asked, &count, err);

    event->absent = server->missing;
    for (uint32_t i = 0; i < count && !st; i++)
        if (pf_store_has(server->store, &asked[i], NULL))
            pf_store_touch(server->store, &asked[i]);
        else
            server->missing[event->absent_count++] = asked[i];
    return st;
}

static pf_status look_up(pf_server *server, pf_event *event, pf_err *err)
{
    const pf_message *message = event->message;
    pf_status         st = PF_OK;

    if (message->info->type == PF_MSG_FIND_BLOBS)
        return look_up_blobs(server, (const Pf__FindBlobs *)message->body, event, err);
    if (message->info->type == PF_MSG_SUBMIT)
        st = look_up_model(server, (const Pf__Submit *)message->body, event, err);
    if (!st && (message->info->type == PF_MSG_SUBMIT || message->info->type == PF_MSG_PLAN_LOOKUP))
        st = look_up_plans(server, event, err);
    return st;
}

static bool is_timing(pf_msg_type type)
{
    return type == PF_MSG_TIMING_LOOKUP || type == PF_MSG_TIMING_STORE || type == PF_MSG_TIMING_EXPORT;
}

/* Who may not tell timings of any class may still tell those of the classes that its agents declared. */
static bool may_store(const pf_server *server, const pf_event *event)
{
    const Pf__TimingStore *asked = (const Pf__TimingStore *)event->message->body;
    pf_digest              device_class = { 0 };

    if (event->grants & PF_GRANT_CACHE_WRITE)
        return true;
    pf_digest_of(asked->class_text, strlen(asked->class_text), &device_class);
    return (event->grants & PF_GRANT_AGENT) && pf_core_key_declares(server->core, event->key_name, &device_class);
}

static pf_status check_timing_grant(const pf_server *server, const pf_event *event, pf_err *err)
{
    bool stores = event->message->info->type == PF_MSG_TIMING_STORE;

    if (stores ? may_store(server, event) : (event->grants & PF_GRANT_FETCH) != 0)
        return PF_OK;
    return PF_FAIL(err, PF_DENIED, "the key \"%s\" may not send %s%s", event->key_name, event->message->info->name,
                   stores ? " for a class that none of its agents has; that needs the grant cache-write" : ", which needs the grant fetch");
}

/* The timing cache has a thread of its own, which answers. */
static pf_status give_timing(pf_server *server, uint64_t peer, pf_message *message, pf_err *err)
{
    const Pf__TimingExport *asked = (const Pf__TimingExport *)message->body;
    bool                    one_class = message->info->type == PF_MSG_TIMING_EXPORT && asked->selector[0];
    pf_digest               device_class = { 0 };
    pf_status               st = one_class ? pf_core_resolve(server->core, asked->selector, &device_class, err) : PF_OK;

    if (st)
        return st;
    return pf_timing_service_give(server->timings, peer, message, one_class ? &device_class : NULL, err);
}

/* Who sent it (name may be NULL): looked up anew for each message, so that a revoked key can do nothing more on an open
   connection. */
static void identify(pf_server *server, const char *name, pf_ring_entry *entry, pf_event *event)
{
    if (!pf_authority_has_keys(server->authority))
        return;
    event->key_name = name ? name : "";
    event->grants = 0;
    if (!name || !pf_authority_find(server->authority, name, entry))
        return;
    event->grants = entry->grants;
    event->classes = (const char (*)[PF_CLASS_NAME_BYTES])entry->device_class;
    event->classes_count = entry->classes_count;
}

static pf_status take_frame(pf_server *server, pf_router *router, uint64_t peer, zmq_msg_t *frame, pf_err *err)
{
    pf_message message = { 0 };
    pf_err     why = { 0 };
    pf_status  st = pf_wire_unpack(zmq_msg_data(frame), zmq_msg_size(frame), router->role, PF_ROLE_COORD, &message, &why);
    pf_event   event = { .kind = PF_EVENT_MESSAGE, .peer = peer, .message = &message, .grants = UINT32_MAX };
    bool       timing = !st && is_timing(message.info->type);
    pf_ring_entry entry = { 0 };

    if (!st)
        identify(server, pf_router_key_name(frame), &entry, &event);
    if (timing)
        st = check_timing_grant(server, &event, &why);
    if (timing && !st) {
        st = give_timing(server, peer, &message, &why);
    } else if (!st) {
        st = look_up(server, &event, &why);
    }
    if (st == PF_INVALID && !message.info) {
        router->dropped++;
        st = PF_OK;
    } else if (st) {
        answer_bad_frame(server, peer, &message.header, st, &why);
        st = PF_OK;
    } else if (!timing) {
        server->beats += message.info->type == PF_MSG_HEARTBEAT;
        st = step(server, &event, err);
    }
    pf_message_clear(&message);
    return st;
}

/* What came on one socket, at most RUN_MESSAGES. */
static pf_status read_run(pf_server *server, pf_router *router, int *count, pf_err *err)
{
    pf_status st = PF_OK;
    zmq_msg_t frame;
    uint64_t  peer = 0;

    for (*count = 0; *count < RUN_MESSAGES && !st && !router->quiet && pf_router_receive(router, &peer, &frame); ++*count) {
        st = take_frame(server, router, peer, &frame, err);
        zmq_msg_close(&frame);
    }
    return st;
}

/* Reads from both sockets in turn, until neither has many more or enough came; the next turn finds what comes meanwhile. */
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

/* The same for one that came by HTTP.  Its connection waits for exactly one answer. */
static pf_status take_call(pf_server *server, pf_gateway_call *call, pf_err *err)
{
    pf_message    message = { 0 };
    pf_err        why = { 0 };
    pf_ring_entry entry = { 0 };
    pf_status     st = pf_wire_unpack(call->frame.data, call->frame.size, PF_ROLE_CLIENT, PF_ROLE_COORD, &message, &why);
    pf_event      event = { .kind = PF_EVENT_MESSAGE, .peer = call->peer, .message = &message, .grants = UINT32_MAX };

    if (!st) {
        identify(server, call->key_name, &entry, &event);
        st = look_up(server, &event, &why);
    }
    if (st)
        answer_bad_frame(server, call->peer, &message.header, st, &why);
    st = st ? PF_OK : step(server, &event, err);
    pf_message_clear(&message);
    return st;
}

static pf_status take_calls(pf_server *server, pf_err *err)
{
    pf_status st = PF_OK;

    for (int i = 0; i < BATCH_MESSAGES && !st; i++) {
        pf_gateway_call *call = pf_gateway_take(server->gateway);
        if (!call)
            break;
        st = take_call(server, call, err);
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
        if (send_frame(server, s->peer, out->bytes.data + s->at, s->bytes))
            continue;
        if (s->type == PF_MSG_OFFER)
            st = step(server, &failed, err);
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

/* The writer is done with its batch: what it promised may be told. */
static pf_status release_committed(pf_server *server, pf_err *err)
{
    int       index = 1 - server->filling;
    int64_t   commit_ns = 0;
    pf_status st = PF_OK;

    if (!pf_writer_take(server->writer, &st, &commit_ns, err))
        return PF_OK;
    if (st)
        return st;
    server->committing = false;
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
    server->filling = 1 - server->filling;
    if (out->writes_count) {
        server->committing = true;
        pf_writer_give(server->writer, out);
        return PF_OK;
    }
    st = send_all(server, out, err);
    pf_out_reset(out);
    return st;
}

/* ---- now and then */

static pf_status watch_disk(pf_server *server, pf_err *err)
{
    static const char full[] = "the coordinator's disk is full: make room there; nothing that was accepted is lost";
    uint64_t          used = 0, limit = 0;
    bool              refuse = false;
    pf_event          event = { .kind = PF_EVENT_SPACE };

    server->counts.free_bytes = pf_state_dir_free_bytes(&server->dir);
    pf_db_usage(server->db, &used, &limit);
    refuse = !pf_state_dir_reserve(&server->dir) || server->counts.free_bytes < server->options.reserve_bytes ||
             used > limit - limit / 8;
    if (refuse == server->counts.refusing)
        return PF_OK;
    server->counts.refusing = refuse;
    pf_metrics_set_refusal(server->metrics, refuse ? full : NULL);
    pf_log(PF_LOG_WARN, "state", "disk refusing=%d free_bytes=%llu", refuse, (unsigned long long)server->counts.free_bytes);
    event.text = refuse ? full : NULL;
    return step(server, &event, err);
}

/* ---- what may be collected */

enum { RECENT_NAMES = 1024 };

typedef struct names {
    pf_server *server;
    pf_digest *list;
    uint32_t   count, capacity;
    bool       failed;
    pf_digest  recent[RECENT_NAMES];    /* many jobs name the same models */
} names;

static void add_name(void *user, const pf_digest *digest)
{
    names *n = user;
    void  *items = n->list;

    if (n->failed || pf_grow(&items, &n->capacity, n->count + 1, sizeof *n->list)) {
        n->failed = true;
        return;
    }
    n->list = items;
    n->list[n->count++] = *digest;
}

static void add_named(void *user, const pf_digest *digest, bool is_model)
{
    names     *n = user;
    pf_digest *recent = &n->recent[(digest->byte[0] | digest->byte[1] << 8) % RECENT_NAMES];

    if (pf_digest_equal(recent, digest))
        return;
    *recent = *digest;
    add_name(n, digest);
    if (is_model)
        pf_models_files(n->server->models, digest, add_name, n);
}

/* Nine tenths of the limit, so that uploads need not wait for it. */
static uint64_t store_target(const pf_server *server)
{
    uint64_t limit = server->options.blobs_limit_bytes;

    return limit ? limit - limit / 10 : UINT64_MAX;
}

static void collect(pf_server *server)
{
    names            n;
    bool             nearly_full = pf_store_bytes_used(server->store) > store_target(server);
    int64_t          now_ns = pf_clock_ns();
    pf_collect_rules rules = { .now_wall_ns = pf_clock_wall_ns(), .spare_ns = server->options.blob_spare_ns,
                               .age_ns = server->options.blob_age_ns, .target_bytes = store_target(server) };

    if (now_ns < server->collect_ns - (nearly_full ? COLLECT_NS - COLLECT_SOON_NS : 0) || pf_collector_is_busy(server->collector))
        return;
    server->collect_ns = now_ns + COLLECT_NS;
    memset(&n, 0, sizeof n);
    n.server = server;
    pf_core_named_blobs(server->core, add_named, &n);
    rules.named_count = n.count;
    if (n.failed)
        pf_free(n.list);        /* without all names nothing is collected */
    else
        pf_collector_give(server->collector, &rules, n.list);
}

static void count_timings(pf_server *server)
{
    pf_timing_totals totals;

    pf_timing_service_totals(server->timings, &totals);
    server->counts.timing_lookups = totals.lookups;
    server->counts.timing_hits = totals.hits;
    server->counts.timing_stored = totals.stored;
    server->counts.timing_refused = totals.refused;
}

static void count_collected(pf_server *server)
{
    pf_collected totals;

    pf_collector_totals(server->collector, &totals);
    server->counts.collected_blobs = totals.blobs;
    server->counts.collected_bytes = totals.bytes;
}

static pf_status keep_house(pf_server *server, pf_err *err)
{
    int64_t   now_ns = pf_clock_ns();
    pf_status st = PF_OK;

    if (now_ns < server->housekeeping_ns)
        return PF_OK;
    server->housekeeping_ns = now_ns + HOUSEKEEPING_NS;
    server->counts.blobs_bytes = pf_store_bytes_used(server->store);
    server->counts.blobs_count = pf_store_blob_count(server->store);
    count_timings(server);
    count_collected(server);
    collect(server);
    if (server->options.backup_ns && now_ns >= server->backup_ns && !server->counts.refusing) {
        server->backup_ns = now_ns + server->options.backup_ns;
        pf_backup_make(server->backup);
    }
    server->counts.backup_ns = pf_backup_made_ns(server->backup);
    st = watch_disk(server, err);
    pf_metrics_gather(server->metrics, server->core, now(), server->db, &server->counts, &server->clients, &server->agents);
    pf_authority_refresh(server->authority);
    if (now_ns >= server->readers_ns) {
        server->readers_ns = now_ns + READER_CHECK_NS;
        pf_db_check_readers(server->db);
    }
    return st;
}

static pf_status take_verdicts(pf_server *server, pf_err *err)
{
    pf_status   st = PF_OK;
    pf_verdict *verdict = pf_verifier_take(server->verifier);

    for (; verdict; verdict = st ? NULL : pf_verifier_take(server->verifier)) {
        st = step(server, &verdict->event, err);
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

/* Waits for something to do.  False when told to stop.  zmq_poll would ask both sockets twice, with system calls each time. */
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

    if (server->batch[server->filling].writes_count == 0)
        server->batch_start_ns[server->filling] = pf_clock_ns();
    if (server->committing)
        st = release_committed(server, err);
    if (!st && !is_full(server))
        st = read_frames(server, err);
    if (!st && !is_full(server))
        st = take_calls(server, err);
    if (!st)
        st = take_verdicts(server, err);
    send_timings(server);
    if (!st)
        st = keep_house(server, err);
    if (!st)
        st = step(server, &tick, err);
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
