/* Who is connected to the HTTP port.  When it is crowded, a newcomer is let in at the cost of the address that holds
   the most connections: the one of them that moved the fewest bytes a second is shut down, such as are served last.  So
   no client keeps others out, nor those of its own address, however many requests it begins and never ends; and an
   address from which everybody comes, as that of a proxy, is no limit.
   Thread   any. */
#ifndef PF_COORDINATOR_HTTP_CROWD_H
#define PF_COORDINATOR_HTTP_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pf_http_crowd  pf_http_crowd;
typedef struct pf_http_member pf_http_member;

/* capacity: connections at most; from `crowded` on somebody has to go for each who comes. */
pf_status pf_http_crowd_new(uint32_t capacity, uint32_t crowded, pf_http_crowd **out, pf_err *err);
void      pf_http_crowd_free(pf_http_crowd *crowd);
/* fd is the connection's socket, open until it leaves.  NULL when out of memory: then it is not watched. */
pf_http_member *pf_http_crowd_enter(pf_http_crowd *crowd, int fd, uint32_t address);
void      pf_http_crowd_leave(pf_http_crowd *crowd, pf_http_member *member);     /* NULL is fine */
/* A request of it was read up to the end of its headers, or was answered. */
void      pf_http_crowd_serving(pf_http_crowd *crowd, pf_http_member *member, bool serving);

#endif
