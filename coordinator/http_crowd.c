#include "coordinator/http_crowd.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

/* A connection this young has a rate that says little; it is spared while there is room for a few more. */
#define YOUNG_NS (2 * PF_NS_PER_S)

enum { LAST_PLACES = 8 };

struct pf_http_member {
    int      fd;
    uint32_t address, place;            /* in the crowd's list */
    int64_t  since_ns;
    bool     serving, shut;
};

struct pf_http_crowd {
    pthread_mutex_t  mutex;             /* guards the rest, and keeps sockets open that are looked at */
    pf_http_member **member;
    uint32_t         count, capacity, crowded, shut_count;
};

pf_status pf_http_crowd_new(uint32_t capacity, uint32_t crowded, pf_http_crowd **out, pf_err *err)
{
    pf_http_crowd *crowd = pf_calloc(1, sizeof *crowd);

    *out = NULL;
    if (!crowd)
        return PF_FAIL_MEMORY(err, sizeof *crowd);
    pthread_mutex_init(&crowd->mutex, NULL);
    crowd->crowded = crowded;
    if (pf_grow((void **)&crowd->member, &crowd->capacity, capacity, sizeof *crowd->member)) {
        pf_http_crowd_free(crowd);
        return PF_FAIL_MEMORY(err, capacity * sizeof *crowd->member);
    }
    crowd->capacity = capacity;
    *out = crowd;
    return PF_OK;
}

void pf_http_crowd_free(pf_http_crowd *crowd)
{
    if (!crowd)
        return;
    for (uint32_t i = 0; i < crowd->count; i++)
        pf_free(crowd->member[i]);
    pthread_mutex_destroy(&crowd->mutex);
    pf_free(crowd->member);
    pf_free(crowd);
}

static uint32_t connections_of(const pf_http_crowd *crowd, uint32_t address)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < crowd->count; i++)
        count += crowd->member[i]->address == address && !crowd->member[i]->shut;
    return count;
}

static uint32_t fullest_address(const pf_http_crowd *crowd)
{
    uint32_t best = 0, best_count = 0;

    for (uint32_t i = 0; i < crowd->count; i++) {
        uint32_t count = crowd->member[i]->address == best ? 0 : connections_of(crowd, crowd->member[i]->address);
        if (count > best_count) {
            best = crowd->member[i]->address;
            best_count = count;
        }
    }
    return best;
}

static double bytes_per_s(const pf_http_member *member, int64_t now_ns)
{
    struct tcp_info info = { 0 };
    socklen_t       bytes = sizeof info;

    getsockopt(member->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes);       /* 0 bytes when it cannot be asked */
    return ((double)info.tcpi_bytes_acked + (double)info.tcpi_bytes_received) * 1e9 /
           (double)(now_ns - member->since_ns + 1);
}

/* NULL when all are to be spared. */
static pf_http_member *slowest_of(const pf_http_crowd *crowd, uint32_t address, bool spare_young)
{
    int64_t         now_ns = pf_clock_ns();
    pf_http_member *best = NULL;
    double          best_rate = 0;

    for (uint32_t i = 0; i < crowd->count; i++) {
        pf_http_member *member = crowd->member[i];
        double          rate = 0;
        if (member->address != address || member->shut || (spare_young && now_ns - member->since_ns < YOUNG_NS))
            continue;
        rate = bytes_per_s(member, now_ns);
        if (best && (member->serving > best->serving || (member->serving == best->serving && rate >= best_rate)))
            continue;
        best = member;
        best_rate = rate;
    }
    return best;
}

/* The socket stays open, so that its number means nothing else until its connection leaves. */
static void make_room(pf_http_crowd *crowd)
{
    uint32_t        staying = crowd->count - crowd->shut_count;
    pf_http_member *member = NULL;

    if (staying < crowd->crowded)
        return;
    member = slowest_of(crowd, fullest_address(crowd), staying + LAST_PLACES < crowd->capacity);
    if (!member)
        return;
    member->shut = true;
    crowd->shut_count++;
    shutdown(member->fd, SHUT_RDWR);
    pf_log(PF_LOG_INFO, "http", "crowded connections=%u shut=1 serving=%d", staying, member->serving);
}

pf_http_member *pf_http_crowd_enter(pf_http_crowd *crowd, int fd, uint32_t address)
{
    pf_http_member *member = pf_calloc(1, sizeof *member);

    if (!member)
        return NULL;
    member->fd = fd;
    member->address = address;
    member->since_ns = pf_clock_ns();
    pthread_mutex_lock(&crowd->mutex);
    make_room(crowd);
    if (crowd->count < crowd->capacity) {
        member->place = crowd->count;
        crowd->member[crowd->count++] = member;
    } else {
        pf_free(member);
        member = NULL;
    }
    pthread_mutex_unlock(&crowd->mutex);
    return member;
}

void pf_http_crowd_leave(pf_http_crowd *crowd, pf_http_member *member)
{
    if (!member)
        return;
    pthread_mutex_lock(&crowd->mutex);
    crowd->shut_count -= member->shut;
    crowd->member[member->place] = crowd->member[--crowd->count];
    crowd->member[member->place]->place = member->place;
    pthread_mutex_unlock(&crowd->mutex);
    pf_free(member);
}

void pf_http_crowd_serving(pf_http_crowd *crowd, pf_http_member *member, bool serving)
{
    if (!member)
        return;
    pthread_mutex_lock(&crowd->mutex);
    member->serving = serving;
    pthread_mutex_unlock(&crowd->mutex);
}
