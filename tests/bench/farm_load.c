#include "tests/bench/farm_load.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/alloc.h"
#include "base/clock.h"

typedef struct run {
    farm_load      *load;
    void          **socket;
    zmq_pollitem_t *item;
    uint32_t       *flying;
    int64_t        *sent_ns;            /* of each request */
    double         *took_ms;
    uint64_t        sent;
    int64_t         start_ns, heard_ns;
} run;

static void send_next(run *r, uint32_t at)
{
    pf_buf frame = { 0 };

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    r->load->request(r->load->user, r->sent, &frame);
    r->sent_ns[r->sent] = pf_clock_ns();
    if (zmq_send(r->socket[at], frame.data, frame.size, ZMQ_DONTWAIT) >= 0) {
        r->flying[at]++;
        r->sent++;
    }
    pf_buf_clear(&frame);
}

static bool may_send(const run *r)
{
    double due = r->load->per_second ? (double)(pf_clock_ns() - r->start_ns) / 1e9 * r->load->per_second : 1e18;

    return r->sent < r->load->requests && (double)r->sent < due;
}

static void fill(run *r)
{
    for (uint32_t i = 0; i < r->load->sockets; i++)
        while (r->flying[i] < r->load->in_flight && may_send(r)) {
            uint64_t before = r->sent;
            send_next(r, i);
            if (r->sent == before)
                break;
        }
}

static void take(run *r, uint32_t at)
{
    zmq_msg_t frame;

    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, r->socket[at], ZMQ_DONTWAIT) >= 0) {
        pf_reader in = { 0 };
        uint64_t  n = 0;
        pf_reader_init(&in, zmq_msg_data(&frame), zmq_msg_size(&frame));
        pf_read_bytes(&in, 16);
        n = pf_read_u64(&in) - 1;
        if (n >= r->load->requests)
            continue;
        r->heard_ns = pf_clock_ns();
        r->took_ms[r->load->answered++] = (double)(r->heard_ns - r->sent_ns[n]) / 1e6;
        r->flying[at]--;
        if (r->load->answer)
            r->load->answer(r->load->user, n, zmq_msg_data(&frame), zmq_msg_size(&frame));
        if (may_send(r))
            send_next(r, at);
    }
    zmq_msg_close(&frame);
}

static int by_value(const void *a, const void *b)
{
    double one = *(const double *)a, two = *(const double *)b;

    return one < two ? -1 : one > two;
}

static void sum_up(run *r)
{
    farm_load *load = r->load;

    load->seconds = (double)(r->heard_ns - r->start_ns) / 1e9;
    if (load->answered == 0)
        return;
    qsort(r->took_ms, load->answered, sizeof *r->took_ms, by_value);
    load->p50_ms = r->took_ms[load->answered / 2];
    load->p99_ms = r->took_ms[load->answered - 1 - load->answered / 100];
    load->max_ms = r->took_ms[load->answered - 1];
}

static void open_sockets(run *r, void *context)
{
    int linger = 0, high = 100000;

    for (uint32_t i = 0; i < r->load->sockets; i++) {
        r->socket[i] = zmq_socket(context, ZMQ_DEALER);
        zmq_setsockopt(r->socket[i], ZMQ_LINGER, &linger, sizeof linger);
        zmq_setsockopt(r->socket[i], ZMQ_SNDHWM, &high, sizeof high);
        zmq_connect(r->socket[i], r->load->endpoint);
        r->item[i] = (zmq_pollitem_t){ r->socket[i], 0, ZMQ_POLLIN, 0 };
    }
}

void farm_load_run(farm_load *load)
{
    void *context = zmq_ctx_new();
    run   r = { .load = load, .socket = pf_calloc(load->sockets, sizeof *r.socket), .item = pf_calloc(load->sockets, sizeof *r.item),
                .flying = pf_calloc(load->sockets, sizeof *r.flying), .sent_ns = pf_calloc(load->requests, sizeof *r.sent_ns),
                .took_ms = pf_calloc(load->requests + 1, sizeof *r.took_ms) };

    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, (int)load->sockets + 16);
    open_sockets(&r, context);
    load->answered = 0;
    r.start_ns = r.heard_ns = pf_clock_ns();
    fill(&r);
    while (load->answered < load->requests && pf_clock_ns() - r.heard_ns < 20 * PF_NS_PER_S) {
        zmq_poll(r.item, (int)load->sockets, load->per_second ? 1 : 1000);
        for (uint32_t i = 0; i < load->sockets; i++)
            if (r.item[i].revents & ZMQ_POLLIN)
                take(&r, i);
        if (load->per_second || load->answered == 0)
            fill(&r);
    }
    sum_up(&r);
    for (uint32_t i = 0; i < load->sockets; i++)
        zmq_close(r.socket[i]);
    zmq_ctx_term(context);
    pf_free(r.socket);
    pf_free(r.item);
    pf_free(r.flying);
    pf_free(r.sent_ns);
    pf_free(r.took_ms);
}
