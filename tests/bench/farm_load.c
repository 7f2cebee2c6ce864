#include "tests/bench/farm_load.h"

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/bench/farm_figures.h"
#include "tests/bench/zmtp.h"

enum { READY_MAX = 256 };

typedef struct client { zmtp z; uint32_t flying; } client;

/* sent_ns: 0 when it was answered. */
typedef struct request { int64_t sent_ns; uint32_t client; } request;

typedef struct run {
    farm_load *load;
    client    *client;
    request   *request;
    double    *took_ms, *late_ms;
    pf_buf     frame;                   /* of the request that is being written */
    uint64_t   sent, heard, limit;      /* requests that may be sent in this part of the run */
    uint32_t   turn;                    /* of the clients, when paced */
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

static bool may_send(const run *r)
{
    return r->sent < r->limit && (!is_paced(r) || pf_clock_ns() >= due_ns(r));
}

static void send_next(run *r, uint32_t at)
{
    request *q = &r->request[r->sent];

    pf_buf_reset(&r->frame);
    r->load->request(r->load->user, r->sent, &r->frame);
    *q = (request){ .sent_ns = pf_clock_ns(), .client = at };
    if (is_paced(r))
        r->late_ms[sent_before(r)] = (double)(q->sent_ns - due_ns(r)) / 1e6;
    zmtp_put(&r->client[at].z, r->frame.data, r->frame.size);
    r->client[at].flying++;
    r->sent++;
}

static void flush(client *c)
{
    if (!zmtp_flush(&c->z))
        fail_msg("the coordinator closed a connection");
}

/* Sends what the client may have in flight, in one piece. */
static void fill_flight(run *r, uint32_t at, uint32_t in_flight)
{
    while (r->client[at].flying < in_flight && may_send(r))
        send_next(r, at);
    flush(&r->client[at]);
}

static void count_answer(run *r, uint32_t at, const pf_message *answer)
{
    uint64_t n = answer->header.correlation_id - 1;
    request *q = n < r->sent ? &r->request[n] : NULL;

    if (!q || !q->sent_ns || q->client != at || !r->load->is_answer(r->load->user, n, answer))
        fail_msg("a %s answers request %llu wrongly", answer->info->name, (unsigned long long)n);
    r->heard_ns = pf_clock_ns();
    r->heard++;
    r->client[at].flying--;
    if (r->counting)
        r->took_ms[r->load->answered++] = (double)(r->heard_ns - q->sent_ns) / 1e6;
    q->sent_ns = 0;
}

static void take_message(run *r, uint32_t at, const uint8_t *body, size_t bytes)
{
    pf_message message = { 0 };
    pf_err     err = { 0 };

    if (pf_wire_unpack(body, bytes, PF_ROLE_COORD, r->load->role, &message, &err) != PF_OK)
        fail_msg("what came is no answer: %s", err.msg);
    if (message.header.correlation_id)
        count_answer(r, at, &message);
    pf_message_clear(&message);
}

/* What came on a connection that has something to read, or takes more now. */
static void serve(run *r, uint32_t at, uint32_t in_flight)
{
    client        *c = &r->client[at];
    const uint8_t *body = NULL;
    size_t         bytes = 0;
    bool           more = true, broken = false;

    while (more) {
        if (!zmtp_fill(&c->z, &more))
            fail_msg("the coordinator closed a connection");
        while (zmtp_take(&c->z, &body, &bytes, &broken))
            take_message(r, at, body, bytes);
        if (broken)
            fail_msg("the coordinator sent a frame that no client expects");
    }
    fill_flight(r, at, in_flight);
}

/* Each due request on the next connection that may have one more in flight. */
static void send_due(run *r)
{
    for (uint32_t tried = 0; tried < r->load->sockets && may_send(r); tried++) {
        client *c = NULL;
        r->turn = (r->turn + 1) % r->load->sockets;
        c = &r->client[r->turn];
        if (c->flying >= r->load->in_flight)
            continue;
        send_next(r, r->turn);
        flush(c);
    }
}

/* Until an answer comes, or the next request is due. */
static int wait_ready(const run *r, struct epoll_event *ready)
{
    int64_t         left_ns = is_paced(r) && r->sent < r->limit ? due_ns(r) - pf_clock_ns() : PF_NS_PER_S;
    struct timespec left = { .tv_sec = left_ns / PF_NS_PER_S, .tv_nsec = left_ns % PF_NS_PER_S };

    return epoll_pwait2(r->poll_fd, ready, READY_MAX, left_ns > 0 ? &left : &(struct timespec){ 0 }, NULL);
}

/* Sends until the limit and hears all of it; before counting, one request on each connection. */
static void go_through(run *r, uint64_t limit)
{
    struct epoll_event ready[READY_MAX];
    bool               paced = is_paced(r);
    uint32_t           in_flight = paced ? 0 : r->counting ? r->load->in_flight : 1;

    r->limit = limit;
    r->heard_ns = pf_clock_ns();
    for (uint32_t i = 0; i < r->load->sockets; i++)
        fill_flight(r, i, in_flight);
    while (r->heard < limit && pf_clock_ns() - r->heard_ns < 20 * PF_NS_PER_S) {
        int count = wait_ready(r, ready);
        for (int i = 0; i < count; i++)
            serve(r, ready[i].data.u32, in_flight);
        if (paced)
            send_due(r);
    }
}

static void sum_up(run *r)
{
    farm_load *load = r->load;

    load->seconds = (double)(r->heard_ns - r->start_ns) / 1e9;
    if (load->answered == 0)
        return;
    qsort(r->took_ms, load->answered, sizeof *r->took_ms, farm_by_value);
    load->p50_ms = r->took_ms[load->answered / 2];
    load->p99_ms = r->took_ms[load->answered - 1 - load->answered / 100];
    load->max_ms = r->took_ms[load->answered - 1];
    qsort(r->late_ms, load->requests, sizeof *r->late_ms, farm_by_value);
    load->late_p99_ms = r->late_ms[load->requests - 1 - load->requests / 100];
}

/* Told of each change once (EPOLLET): serve reads all there is and sends all it can. */
static void open_clients(run *r)
{
    r->poll_fd = epoll_create1(0);
    for (uint32_t i = 0; i < r->load->sockets; i++) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i };
        if (!zmtp_open(&r->client[i].z, r->load->endpoint))
            fail_msg("the coordinator takes no connection at %s", r->load->endpoint);
        assert_int_equal(epoll_ctl(r->poll_fd, EPOLL_CTL_ADD, r->client[i].z.fd, &event), 0);
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
    size_t all = load->requests + load->sockets;
    run    r = { .load = load, .client = pf_calloc(load->sockets, sizeof *r.client),
                 .request = pf_calloc(all, sizeof *r.request), .took_ms = pf_calloc(all, sizeof *r.took_ms),
                 .late_ms = pf_calloc(all, sizeof *r.late_ms) };

    pf_buf_init(&r.frame, PF_WIRE_FRAME_BYTES);
    open_clients(&r);
    load->answered = 0;
    measure(&r);
    sum_up(&r);
    close(r.poll_fd);
    for (uint32_t i = 0; i < load->sockets; i++)
        zmtp_close(&r.client[i].z);
    pf_buf_clear(&r.frame);
    pf_free(r.client);
    pf_free(r.request);
    pf_free(r.took_ms);
    pf_free(r.late_ms);
}
