#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "coordinator/server_private.h"

void pf_server_options_init(pf_server_options *options)
{
    *options = (pf_server_options){
        .listen = "127.0.0.1", .http_url = "", .software = "planfarm", .client_port = 7701, .agent_port = 7702,
        .http_port = 7780, .map_bytes = UINT64_C(64) << 30, .reserve_bytes = UINT64_C(16) << 20,
        .blob_limit_bytes = UINT64_C(1) << 40, .blob_age_ns = 30 * 24 * 3600 * PF_NS_PER_S,
        .blob_spare_ns = 3600 * PF_NS_PER_S, .backup_ns = 3600 * PF_NS_PER_S,
    };
    pf_core_config_init(&options->core);
}

/* Without keys nobody is asked who he is, so nobody from outside may come. */
static pf_status check_listen(const char *address, bool has_keys, pf_err *err)
{
    if (has_keys || strncmp(address, "127.", 4) == 0)
        return PF_OK;
    return PF_FAIL(err, PF_DENIED,
                   "listening on %s would let anyone on the network in: make keys first (planfarm keys new), "
                   "or listen on 127.0.0.1",
                   address);
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
        snprintf(reachable, sizeof reachable, everywhere ? "tcp://127.0.0.1%s" : "%s",
                 everywhere ? port : endpoints[i]);
        st = pf_zap_self_test(server->zap, reachable, key->public_key, err);
    }
    return st;
}

static pf_status open_sockets(pf_server *server, pf_err *err)
{
    const pf_server_options *o = &server->options;
    pf_http_options          http = {.address = o->listen, .port = o->http_port,
                                     .blob_limit_bytes = o->blob_limit_bytes, .store = server->store, .db = server->db,
                                     .metrics = server->metrics, .client_endpoint = server->clients.endpoint,
                                     .agent_endpoint = server->agents.endpoint, .authority = server->authority,
                                     .gateway = server->gateway};
    const pf_farm_key       *key = pf_authority_has_keys(server->authority) ? pf_authority_server(server->authority)
                                                                            : NULL;
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
        server->key_message[i].public_key = (ProtobufCBinaryData){
            PF_PUBLIC_KEY_BYTES, server->key[i].public_key.byte,
        };
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
        st = pf_core_start(server->core, pf_server_now(), out, err);
    if (!st)
        st = pf_core_sign_plans(server->core, server->key, server->keys_count, out, err);
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

    pf_core_stats_get(server->core, pf_server_now(), &stats);
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
    for (int i = 0; i < PF_SERVER_BATCHES; i++)
        pf_out_init(&server->batch[i]);
    server->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    server->missing = pf_calloc(PF_SERVER_MISSING_MAX, sizeof *server->missing);
    st = server->stop_fd < 0 || !server->missing ? PF_FAIL(err, PF_NO_SPACE, "out of memory or file descriptors")
                                                 : PF_OK;
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
    for (int i = 0; i < PF_SERVER_BATCHES; i++)
        pf_out_clear(&server->batch[i]);
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
