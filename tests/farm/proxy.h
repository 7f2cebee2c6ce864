/* A TCP proxy that does to connections what networks do, by a seed: it holds bytes back, hands them on one by one,
   breaks off in the middle of a frame, lets one side hang.  One thread; many connections. */
#ifndef PF_TESTS_FARM_PROXY_H
#define PF_TESTS_FARM_PROXY_H

#include <stdint.h>

typedef enum proxy_mode {
    PROXY_OPEN,                         /* hands everything on */
    PROXY_CHAOS,                        /* all of the above, at random */
    PROXY_NO_UP, PROXY_NO_DOWN,         /* nothing gets to the target; nothing comes back: the other way is open */
    PROXY_CLOSED,                       /* neither */
} proxy_mode;

typedef struct proxy proxy;

/* target: "tcp://127.0.0.1:PORT" or "http://127.0.0.1:PORT".  out: the same with the proxy's port.  Fails the test on
   error. */
proxy   *proxy_open(const char *target, uint64_t seed, char out[128]);
void     proxy_close(proxy *p);         /* NULL is fine */
void     proxy_set(proxy *p, proxy_mode mode);
uint32_t proxy_breaks(const proxy *p);  /* connections that it broke off */
uint32_t proxy_connections(const proxy *p);     /* that were ever made */

#endif
