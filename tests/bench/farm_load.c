#include "tests/bench/farm_load.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zmq.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { READY_MAX = 256 };

typedef struct run {
    farm_load *load;
    void     **socket;
    uint32_t  *flying;
    int64_t   *sent_ns;                 /* of each request */
    double    *took_ms, *late_ms;
    uint64_t   sent, heard, limit;      /* requests that may be sent in this part of the run */
    uint32_t   turn;                    /* of the sockets, when paced */
    int64_t    start_ns, heard_ns;
    int        poll_fd;
    bool       counting;
} run;

/* Of those that count. */
static uint64_t sent_before(const run *r)
{
    return r->sent - (r->limit - r->load->requests);
}

/* When the next request is to be sent; only while paced. */
static int64_t due_ns(const run *r)
{
    return r->start_ns + (int64_t)((double)sent_before(r) * 1e9 / r->load->per_second);
}

static bool is_paced(const run *r)
{
    return r->counting && r->load->per_second;
}

static bool send_next(run *r, uint32_t at)
{
    pf_buf frame = { 0 };
    bool   sent = false;

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    r->load->request(r->load->user, r->sent, &frame);
    r->sent_ns[r->sent] = pf_clock_ns();
    if (is_paced(r))
        r->late_ms[sent_before(r)] = (double)(r->sent_ns[r->sent] - due_ns(r)) / 1e6;
    sent = zmq_send(r->socket[at], frame.data, frame.size, ZMQ_DONTWAIT) >= 0;
    r->flying[at] += sent;
    r->sent += sent;
    pf_buf_clear(&frame);
    return sent;
}

static bool may_send(const run *r)
{
    return r->sent < r->limit && (!is_paced(r) || pf_clock_ns() >= due_ns(r));
}

/* Until an answer comes, or the next request is due. */
static int wait_ready(const run *r, struct epoll_event *ready)
{
    int64_t         left_ns = is_paced(r) && r->sent < r->limit ? due_ns(r) - pf_clock_ns() : PF_NS_PER_S;
    struct timespec left = { .tv_sec = left_ns / PF_NS_PER_S, .tv_nsec = left_ns % PF_NS_PER_S };

    return epoll_pwait2(r->poll_fd, ready, READY_MAX, left_ns > 0 ? &left : &(struct timespec){ 0 }, NULL);
}

/* False when nothing waits. */
static bool take_one(run *r, uint32_t at, zmq_msg_t *frame)
{
    pf_reader in = { 0 };
    uint64_t  n = 0;

    if (zmq_msg_recv(frame, r->socket[at], ZMQ_DONTWAIT) < 0)
        return false;
    pf_reader_init(&in, zmq_msg_data(frame), zmq_msg_size(frame));
    pf_read_bytes(&in, 16);
    n = pf_read_u64(&in) - 1;
    if (n >= r->sent)
        return true;
    r->heard_ns = pf_clock_ns();
    r->heard++;
    r->flying[at]--;
    if (r->counting)
        r->took_ms[r->load->answered++] = (double)(r->heard_ns - r->sent_ns[n]) / 1e6;
    if (r->load->answer)
        r->load->answer(r->load->user, n, zmq_msg_data(frame), zmq_msg_size(frame));
    return true;
}

/* Takes and sends until the socket has nothing: ZeroMQ tells of more only after that. */
static void serve(run *r, uint32_t at, uint32_t in_flight)
{
    zmq_msg_t frame;
    bool      sent = true;

    zmq_msg_init(&frame);
    while (sent) {
        sent = false;
        while (take_one(r, at, &frame))
            ;
        while (r->flying[at] < in_flight && may_send(r) && send_next(r, at))
            sent = true;
    }
    zmq_msg_close(&frame);
}

static void serve_due(run *r)
{
    for (uint32_t tried = 0; tried < r->load->sockets && may_send(r); tried++) {
        r->turn = (r->turn + 1) % r->load->sockets;
        serve(r, r->turn, r->flying[r->turn] < r->load->in_flight ? r->flying[r->turn] + 1 : r->flying[r->turn]);
    }
}

/* Sends until the limit and hears all of it; before counting, one request on each socket. */
static void go_through(run *r, uint64_t limit)
{
    struct epoll_event ready[READY_MAX];
    bool               paced = is_paced(r);
    uint32_t           in_flight = r->counting && !paced ? r->load->in_flight : 0;

    r->limit = limit;
    r->heard_ns = pf_clock_ns();
    for (uint32_t i = 0; i < r->load->sockets && !r->counting; i++)
        send_next(r, i);
    for (uint32_t i = 0; i < r->load->sockets; i++)
        serve(r, i, in_flight);
    while (r->heard < limit && pf_clock_ns() - r->heard_ns < 20 * PF_NS_PER_S) {
        int count = wait_ready(r, ready);
        for (int i = 0; i < count; i++)
            serve(r, ready[i].data.u32, in_flight);
        if (paced)
            serve_due(r);
    }
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
    qsort(r->late_ms, load->requests, sizeof *r->late_ms, by_value);
    load->late_p99_ms = r->late_ms[load->requests - 1 - load->requests / 100];
}

static void open_sockets(run *r, void *context)
{
    int linger = 0, high = 100000, fd = -1;

    r->poll_fd = epoll_create1(0);
    for (uint32_t i = 0; i < r->load->sockets; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };
        size_t             bytes = sizeof fd;
        r->socket[i] = zmq_socket(context, ZMQ_DEALER);
        zmq_setsockopt(r->socket[i], ZMQ_LINGER, &linger, sizeof linger);
        zmq_setsockopt(r->socket[i], ZMQ_SNDHWM, &high, sizeof high);
        zmq_connect(r->socket[i], r->load->endpoint);
        if (zmq_getsockopt(r->socket[i], ZMQ_FD, &fd, &bytes) == 0)
            epoll_ctl(r->poll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void measure(run *r)
{
    farm_load *load = r->load;

    go_through(r, load->sockets);
    if (load->begin)
        load->begin(load->user);
    r->counting = true;
    r->start_ns = pf_clock_ns();
    go_through(r, load->sockets + load->requests);
    if (load->end)
        load->end(load->user);
}

void farm_load_run(farm_load *load)
{
    void  *context = zmq_ctx_new();
    size_t all = load->requests + load->sockets;
    run    r = { .load = load, .socket = pf_calloc(load->sockets, sizeof *r.socket),
                 .flying = pf_calloc(load->sockets, sizeof *r.flying),
                 .sent_ns = pf_calloc(all, sizeof *r.sent_ns), .took_ms = pf_calloc(all, sizeof *r.took_ms),
                 .late_ms = pf_calloc(all, sizeof *r.late_ms) };

    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, (int)load->sockets + 16);
    open_sockets(&r, context);
    load->answered = 0;
    measure(&r);
    sum_up(&r);
    close(r.poll_fd);
    for (uint32_t i = 0; i < load->sockets; i++)
        zmq_close(r.socket[i]);
    zmq_ctx_term(context);
    pf_free(r.socket);
    pf_free(r.flying);
    pf_free(r.sent_ns);
    pf_free(r.took_ms);
    pf_free(r.late_ms);
}
