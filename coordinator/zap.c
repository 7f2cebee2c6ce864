#include "coordinator/zap.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_meter.h"

static const char ENDPOINT[] = "inproc://zeromq.zap.01";
static const char CONTROL[] = "inproc://planfarm.zap.control";

enum { FRAMES = 7, FRAME_BYTES = 256, RAW_KEY_BYTES = 32, TEST_MS = 5000 };

struct pf_zap {
    void           *handler, *control_in, *control_out;
    pf_authority   *authority;
    pthread_t       thread;
    pthread_mutex_t mutex;                      /* of stranger */
    char            stranger[PF_Z85_BYTES];     /* public key of the self-test that runs; else empty */
};

/* A request: version, request id, domain, address, identity, mechanism, credentials. */
typedef struct request { char frame[FRAMES][FRAME_BYTES]; size_t bytes[FRAMES]; int count; } request;

static bool receive(void *socket, request *r)
{
    int    more = 1;
    size_t size = sizeof more;

    memset(r, 0, sizeof *r);
    while (more) {
        char spare[FRAME_BYTES];
        bool kept = r->count < FRAMES;
        int  bytes = zmq_recv(socket, kept ? r->frame[r->count] : spare, FRAME_BYTES - 1, 0);
        if (bytes < 0)
            return false;
        if (kept)
            r->bytes[r->count] = (size_t)bytes < FRAME_BYTES - 1 ? (size_t)bytes : FRAME_BYTES - 1;
        r->count++;
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    }
    return true;
}

static void send_frame(void *socket, const char *text, size_t bytes, bool more)
{
    zmq_send(socket, text, bytes, more ? ZMQ_SNDMORE : 0);
}

/* False where it brings none. */
static bool key_of(const request *r, char key[PF_Z85_BYTES])
{
    return r->count == FRAMES && strcmp(r->frame[0], "1.0") == 0 && strcmp(r->frame[5], "CURVE") == 0 &&
           r->bytes[6] == RAW_KEY_BYTES && zmq_z85_encode(key, (const uint8_t *)r->frame[6], RAW_KEY_BYTES);
}

/* Whether the coordinator itself asks, as a stranger. */
static bool is_self_test(pf_zap *zap, const char *key)
{
    bool is_own = false;

    pthread_mutex_lock(&zap->mutex);
    is_own = key[0] && strcmp(key, zap->stranger) == 0;
    pthread_mutex_unlock(&zap->mutex);
    return is_own;
}

static void answer(pf_zap *zap, const request *r)
{
    static pf_log_meter refusals = PF_LOG_METER_INIT;
    char          key[PF_Z85_BYTES] = "", name[PF_FARM_KEY_NAME] = "";
    pf_ring_entry entry = { 0 };
    bool          known = key_of(r, key) && pf_authority_find_key(zap->authority, key, &entry);
    uint64_t      left_out = 0;

    if (known)
        snprintf(name, sizeof name, "%s", entry.name);
    else if (!is_self_test(zap, key) && pf_log_meter_take(&refusals, pf_clock_ns(), &left_out))
        pf_log(PF_LOG_WARN, "keys", "refused address=%s mechanism=%s left_out=%llu", r->frame[3], r->frame[5],
               (unsigned long long)left_out);
    send_frame(zap->handler, "1.0", 3, true);
    send_frame(zap->handler, r->frame[1], r->bytes[1], true);
    send_frame(zap->handler, known ? "200" : "400", 3, true);
    send_frame(zap->handler, known ? "OK" : "unknown key", known ? 2 : 11, true);
    send_frame(zap->handler, name, strlen(name), true);
    send_frame(zap->handler, "", 0, false);
}

static void *run(void *user)
{
    pf_zap *zap = user;

    for (;;) {
        zmq_pollitem_t items[] = { { zap->handler, 0, ZMQ_POLLIN, 0 }, { zap->control_in, 0, ZMQ_POLLIN, 0 } };
        request        r;
        if (zmq_poll(items, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (items[1].revents & ZMQ_POLLIN)
            return NULL;
        if ((items[0].revents & ZMQ_POLLIN) && receive(zap->handler, &r))
            answer(zap, &r);
    }
}

static void close_sockets(pf_zap *zap)
{
    if (zap->handler)
        zmq_close(zap->handler);
    if (zap->control_in)
        zmq_close(zap->control_in);
    if (zap->control_out)
        zmq_close(zap->control_out);
}

pf_status pf_zap_start(void *context, pf_authority *authority, pf_zap **out, pf_err *err)
{
    pf_zap *zap = pf_calloc(1, sizeof *zap);

    *out = NULL;
    if (!zap)
        return PF_FAIL_MEMORY(err, sizeof *zap);
    zap->authority = authority;
    pthread_mutex_init(&zap->mutex, NULL);
    zap->handler = zmq_socket(context, ZMQ_REP);
    zap->control_in = zmq_socket(context, ZMQ_PAIR);
    zap->control_out = zmq_socket(context, ZMQ_PAIR);
    if (zap->handler && zap->control_in && zap->control_out && zmq_bind(zap->handler, ENDPOINT) == 0 &&
        zmq_bind(zap->control_in, CONTROL) == 0 && zmq_connect(zap->control_out, CONTROL) == 0 &&
        pthread_create(&zap->thread, NULL, run, zap) == 0) {
        *out = zap;
        return PF_OK;
    }
    close_sockets(zap);
    pthread_mutex_destroy(&zap->mutex);
    pf_free(zap);
    return PF_FAIL(err, PF_INTERNAL, "cannot start the check of keys: %s", zmq_strerror(errno));
}

void pf_zap_stop(pf_zap *zap)
{
    if (!zap)
        return;
    zmq_send(zap->control_out, "", 0, 0);
    pthread_join(zap->thread, NULL);
    close_sockets(zap);
    pthread_mutex_destroy(&zap->mutex);
    pf_free(zap);
}

/* ---- the self-test */

static void set_stranger(pf_zap *zap, const char *public_key)
{
    pthread_mutex_lock(&zap->mutex);
    snprintf(zap->stranger, sizeof zap->stranger, "%s", public_key);
    pthread_mutex_unlock(&zap->mutex);
}

/* The number of the next event of the monitor; 0 when none came in time. */
static int next_event(void *monitor)
{
    zmq_msg_t message;
    uint16_t  number = 0;

    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, monitor, 0) >= (int)sizeof number)
        memcpy(&number, zmq_msg_data(&message), sizeof number);
    while (zmq_msg_more(&message) && zmq_msg_recv(&message, monitor, 0) >= 0)
        ;
    zmq_msg_close(&message);
    return number;
}

static pf_status watch_handshake(void *monitor, const char *endpoint, pf_err *err)
{
    int64_t deadline_ns = pf_clock_ns() + TEST_MS * PF_NS_PER_MS;

    while (pf_clock_ns() < deadline_ns) {
        int event = next_event(monitor);
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            return PF_FAIL(err, PF_DENIED, "%s lets in keys that nobody granted; it was closed", endpoint);
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ||
            event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
            return PF_OK;
    }
    return PF_FAIL(err, PF_TIMEOUT, "%s did not answer the test that it refuses unknown keys", endpoint);
}

pf_status pf_zap_self_test(pf_zap *zap, const char *endpoint, const char *server_public_key, pf_err *err)
{
    static const char MONITOR[] = "inproc://planfarm.zap.monitor";
    pf_farm_key       stranger = { 0 };
    void             *context = zmq_ctx_new(), *socket = NULL, *monitor = NULL;
    int               zero = 0, wait_ms = TEST_MS;
    pf_status         st = pf_farm_key_new("stranger", server_public_key, &stranger, err);

    set_stranger(zap, stranger.public_key);
    socket = zmq_socket(context, ZMQ_DEALER);
    monitor = zmq_socket(context, ZMQ_PAIR);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, stranger.server_key, PF_Z85_BYTES);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, stranger.public_key, PF_Z85_BYTES);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, stranger.secret_key, PF_Z85_BYTES);
    zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    if (!st && (zmq_socket_monitor(socket, MONITOR, ZMQ_EVENT_ALL) != 0 || zmq_connect(monitor, MONITOR) != 0 ||
                zmq_connect(socket, endpoint) != 0))
        st = PF_FAIL(err, PF_INTERNAL, "cannot test %s: %s", endpoint, zmq_strerror(errno));
    if (!st)
        st = watch_handshake(monitor, endpoint, err);
    zmq_close(monitor);
    zmq_close(socket);
    zmq_ctx_term(context);
    set_stranger(zap, "");
    pf_farm_key_clear(&stranger);
    return st;
}
