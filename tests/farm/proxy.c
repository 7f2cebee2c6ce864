#include "tests/farm/proxy.h"

#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"

enum { LINKS_MAX = 512, BLOCK_BYTES = 16384, TURN_MS = 5 };

/* One direction: bytes that were read and wait to be written. */
typedef struct pipe_half { uint8_t block[BLOCK_BYTES]; size_t at, bytes; int64_t resume_ns; bool ended; } pipe_half;

typedef struct conn { int near, far; pipe_half up, down; int64_t hangs_until_ns; } conn;    /* near: who connected */

struct proxy {
    int               listener;
    struct sockaddr_in target;
    pthread_t         thread;
    pf_random         random;
    conn             *links[LINKS_MAX];
    _Atomic int       mode;
    _Atomic bool      stop;
    _Atomic uint32_t  breaks, connections;
};

static bool chance(proxy *p, uint32_t in)
{
    return pf_random_below(&p->random, in) == 0;
}

static int64_t at_most_ms(proxy *p, uint32_t ms)
{
    return (int64_t)pf_random_below(&p->random, ms) * PF_NS_PER_MS;
}

/* ---- connections */

static void drop_link(conn **place, bool with_reset)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    conn         *l = *place;

    for (int side = 0; side < 2 && with_reset; side++)
        setsockopt(side ? l->far : l->near, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(l->near);
    if (l->far >= 0)
        close(l->far);
    pf_free(l);
    *place = NULL;
}

static void accept_link(proxy *p)
{
    int   one = 1, near = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), slot = 0;
    conn *l = NULL;

    if (near < 0)
        return;
    while (slot < LINKS_MAX && p->links[slot])
        slot++;
    l = slot < LINKS_MAX ? pf_calloc(1, sizeof *l) : NULL;
    if (!l) {
        close(near);
        return;
    }
    l->near = near;
    l->far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p->links[slot] = l;
    p->connections++;
    if (l->far < 0 || connect(l->far, (struct sockaddr *)&p->target, sizeof p->target) != 0) {
        drop_link(&p->links[slot], true);
        return;
    }
    fcntl(l->far, F_SETFL, O_NONBLOCK);
    setsockopt(l->near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(l->far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* ---- bytes.  False: the connection is to go. */

static bool take_in(pipe_half *half, int from)
{
    ssize_t got = 0;

    if (half->bytes || half->ended)
        return true;
    got = recv(from, half->block, sizeof half->block, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    half->ended = got == 0;
    half->at = 0;
    half->bytes = (size_t)got;
    return true;
}

static bool hand_on(pipe_half *half, int to, size_t most)
{
    size_t  bytes = half->bytes < most ? half->bytes : most;
    ssize_t put = bytes ? send(to, half->block + half->at, bytes, MSG_NOSIGNAL) : 0;

    if (put < 0)
        return errno == EAGAIN || errno == EINTR;
    half->at += (size_t)put;
    half->bytes -= (size_t)put;
    return !(half->ended && half->bytes == 0);
}

/* How much of what waits goes now, and what happens to the rest. */
static size_t piece(proxy *p, pipe_half *half, int64_t now_ns)
{
    if (p->mode != PROXY_CHAOS || half->bytes == 0)
        return BLOCK_BYTES;
    if (chance(p, 8))
        half->resume_ns = now_ns + at_most_ms(p, 150);
    if (chance(p, 100))
        half->resume_ns = now_ns + at_most_ms(p, 2500);
    if (chance(p, 10))
        return 1;
    return chance(p, 3) ? 1 + pf_random_below(&p->random, half->bytes) : half->bytes;
}

static bool carry(proxy *p, pipe_half *half, int from, int to, bool open, int64_t now_ns)
{
    if (!open || now_ns < half->resume_ns)
        return true;
    return take_in(half, from) && hand_on(half, to, piece(p, half, now_ns));
}

/* One side learns nothing of the other's end for a while. */
static void hang(proxy *p, conn *l, int64_t now_ns)
{
    close(l->far);
    l->far = -1;
    l->hangs_until_ns = now_ns + at_most_ms(p, 4000);
}

static bool serve_link(proxy *p, conn *l, int64_t now_ns)
{
    int  mode = p->mode;
    bool waits = l->up.bytes || l->down.bytes;

    if (l->far < 0)
        return now_ns < l->hangs_until_ns && mode == PROXY_CHAOS;
    if (mode == PROXY_CHAOS && waits && chance(p, 60)) {
        p->breaks++;
        if (chance(p, 2))
            return false;
        hang(p, l, now_ns);
        return true;
    }
    return carry(p, &l->up, l->near, l->far, mode != PROXY_NO_UP && mode != PROXY_CLOSED, now_ns) &&
           carry(p, &l->down, l->far, l->near, mode != PROXY_NO_DOWN && mode != PROXY_CLOSED, now_ns);
}

static void wait_for_something(proxy *p)
{
    struct pollfd fds[1 + 2 * LINKS_MAX];
    nfds_t        count = 0;
    int64_t       now_ns = pf_clock_ns();

    fds[count++] = (struct pollfd){ .fd = p->listener, .events = POLLIN };
    for (int i = 0; i < LINKS_MAX && p->mode <= PROXY_CHAOS; i++) {
        conn *l = p->links[i];
        if (l && l->far >= 0 && l->up.bytes == 0 && now_ns >= l->up.resume_ns)
            fds[count++] = (struct pollfd){ .fd = l->near, .events = POLLIN };
        if (l && l->far >= 0 && l->down.bytes == 0 && now_ns >= l->down.resume_ns)
            fds[count++] = (struct pollfd){ .fd = l->far, .events = POLLIN };
    }
    poll(fds, count, TURN_MS);
    if (fds[0].revents && p->mode != PROXY_CLOSED)
        accept_link(p);
}

static void *run(void *user)
{
    proxy *p = user;

    while (!p->stop) {
        int64_t now_ns = 0;
        wait_for_something(p);
        now_ns = pf_clock_ns();
        for (int i = 0; i < LINKS_MAX; i++)
            if (p->links[i] && !serve_link(p, p->links[i], now_ns))
                drop_link(&p->links[i], p->mode == PROXY_CHAOS);
    }
    return NULL;
}

/* ---- life */

proxy *proxy_open(const char *target, uint64_t seed, char out[128])
{
    proxy             *p = pf_calloc(1, sizeof *p);
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          bytes = sizeof own;
    const char        *colon = strrchr(target, ':');

    assert_non_null(p);
    p->target = own;
    p->target.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
    pf_random_init(&p->random, seed);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(listen(p->listener, 128), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&own, &bytes), 0);
    snprintf(out, 128, "%.*s:%d", (int)(colon - target), target, (int)ntohs(own.sin_port));
    assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
    return p;
}

void proxy_close(proxy *p)
{
    if (!p)
        return;
    p->stop = true;
    pthread_join(p->thread, NULL);
    for (int i = 0; i < LINKS_MAX; i++)
        if (p->links[i])
            drop_link(&p->links[i], false);
    close(p->listener);
    pf_free(p);
}

void proxy_set(proxy *p, proxy_mode mode)
{
    p->mode = mode;
}

uint32_t proxy_breaks(const proxy *p)
{
    return p->breaks;
}

uint32_t proxy_connections(const proxy *p)
{
    return p->connections;
}
