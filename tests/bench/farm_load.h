/* Many clients of a coordinator in one thread: connections that each keep some requests in flight, closed loop or
   paced.  All are connected, and have been answered once, before anything is counted. */
#ifndef PF_TESTS_BENCH_FARM_LOAD_H
#define PF_TESTS_BENCH_FARM_LOAD_H

#include <stdint.h>

#include "base/buf.h"
#include "proto/wire.h"

typedef struct farm_load {          /* open; fill in the first part */
    const char *endpoint;
    uint32_t    role;               /* PF_ROLE_CLIENT or PF_ROLE_AGENT: what they are */
    uint32_t    sockets, in_flight; /* per socket */
    uint64_t    requests;           /* in all, without the first one of each socket */
    double      per_second;         /* 0: as fast as answers come */
    /* Writes the n-th request; its msg_id must be n + 1.  Requests 0 .. sockets - 1 are the first ones of the sockets,
       which are not counted. */
    void      (*request)(void *user, uint64_t n, pf_buf *frame);
    /* Whether that answers the n-th request as it should. */
    bool      (*is_answer)(void *user, uint64_t n, const pf_message *answer);
    void       *user;
    /* Called when counting begins and ends; may be NULL. */
    void      (*begin)(void *user);
    void      (*end)(void *user);
    /* what came of it */
    double      seconds;
    uint64_t    answered;
    double      p50_ms, p99_ms, max_ms;
    double      late_p99_ms;        /* paced: how late requests were sent, which is the load's own doing */
} farm_load;

/* Runs until all is answered, or nothing came for 20 s.  The test fails when a connection breaks, or when a message
   comes that does not answer, and for the first time, a request of the connection on which it came; one that says to
   answer nothing may come at any time. */
void farm_load_run(farm_load *load);

#endif
