#include "coordinator/gateway.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "proto/wire.h"

struct pf_gateway {
    pthread_mutex_t  mutex;             /* guards all below */
    pf_gateway_call *first, *last;      /* asked and not done, oldest first */
    pf_gateway_call *next;              /* the first that was not taken */
    uint32_t         number;            /* of the last peer */
    bool             stopped;
    int              fd;                /* readable while next is set */
    _Atomic bool     has_next;          /* the same, to be seen without the mutex */
};

pf_status pf_gateway_open(pf_gateway **out, pf_err *err)
{
    pf_gateway *gateway = pf_calloc(1, sizeof *gateway);

    *out = NULL;
    if (!gateway)
        return PF_FAIL_MEMORY(err, sizeof *gateway);
    pthread_mutex_init(&gateway->mutex, NULL);
    gateway->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (gateway->fd < 0) {
        pf_gateway_close(gateway);
        return PF_FAIL(err, PF_NO_SPACE, "out of file descriptors");
    }
    *out = gateway;
    return PF_OK;
}

void pf_gateway_close(pf_gateway *gateway)
{
    if (!gateway)
        return;
    if (gateway->fd >= 0)
        close(gateway->fd);
    pthread_mutex_destroy(&gateway->mutex);
    pf_free(gateway);
}

static void set_next(pf_gateway *gateway, pf_gateway_call *next)
{
    uint64_t count = 1;
    ssize_t  done = 0;

    if (next && !gateway->next)
        done = write(gateway->fd, &count, sizeof count);
    else if (!next && gateway->next)
        done = read(gateway->fd, &count, sizeof count);
    (void)done;
    gateway->next = next;
    atomic_store(&gateway->has_next, next != NULL);
}

void pf_gateway_stop(pf_gateway *gateway)
{
    pf_gateway_call *call = NULL;

    pthread_mutex_lock(&gateway->mutex);
    gateway->stopped = true;
    call = gateway->first;
    gateway->first = gateway->last = NULL;
    set_next(gateway, NULL);
    pthread_mutex_unlock(&gateway->mutex);
    while (call) {
        pf_gateway_call *next = call->next;
        call->done(call);
        call = next;
    }
}

/* Numbers come again after four billion calls; one that still waits then is passed over. */
static uint64_t new_peer(pf_gateway *gateway)
{
    const pf_gateway_call *call = gateway->first;
    uint64_t               peer = 0;

    do {
        peer = (uint64_t)PF_GATEWAY_ROLE << 32 | ++gateway->number;
        for (call = gateway->first; call && call->peer != peer;)
            call = call->next;
    } while (call);
    return peer;
}

static void append(pf_gateway *gateway, pf_gateway_call *call)
{
    call->peer = new_peer(gateway);
    call->taken = false;
    call->next = NULL;
    if (gateway->last)
        gateway->last->next = call;
    else
        gateway->first = call;
    gateway->last = call;
    if (!gateway->next)
        set_next(gateway, call);
}

bool pf_gateway_ask(pf_gateway *gateway, pf_gateway_call *call)
{
    bool stopped = false;

    pf_buf_init(&call->answer, PF_WIRE_FRAME_BYTES);
    pthread_mutex_lock(&gateway->mutex);
    stopped = gateway->stopped;
    if (!stopped)
        append(gateway, call);
    pthread_mutex_unlock(&gateway->mutex);
    return !stopped;
}

int pf_gateway_fd(const pf_gateway *gateway)
{
    return gateway->fd;
}

pf_gateway_call *pf_gateway_take(pf_gateway *gateway)
{
    pf_gateway_call *call = NULL;

    if (!atomic_load(&gateway->has_next))
        return NULL;
    pthread_mutex_lock(&gateway->mutex);
    call = gateway->next;
    if (call) {
        call->taken = true;
        set_next(gateway, call->next);
    }
    pthread_mutex_unlock(&gateway->mutex);
    return call;
}

/* Out of the list; NULL when there is none. */
static pf_gateway_call *find_taken(pf_gateway *gateway, uint64_t peer)
{
    pf_gateway_call *before = NULL, *call = gateway->first;

    for (; call && call->taken && call->peer != peer; call = call->next)
        before = call;
    if (!call || !call->taken)
        return NULL;
    if (before)
        before->next = call->next;
    else
        gateway->first = call->next;
    if (gateway->last == call)
        gateway->last = before;
    return call;
}

bool pf_gateway_give(pf_gateway *gateway, uint64_t peer, const void *frame, size_t bytes)
{
    pf_gateway_call *call = NULL;

    pthread_mutex_lock(&gateway->mutex);
    call = find_taken(gateway, peer);
    pthread_mutex_unlock(&gateway->mutex);
    if (!call)
        return false;
    pf_buf_put(&call->answer, frame, bytes);
    call->done(call);
    return true;
}
