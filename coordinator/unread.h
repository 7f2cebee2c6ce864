/* Answers that ZeroMQ has taken and not yet written to a connection, in bytes: ZeroMQ bounds their number alone, and a
   thousand large ones for each client that does not read are more than there is memory.  Small answers are not counted
   here, since their number bounds them.
   Thread   one at a time, but for the end of messages, which ZeroMQ tells from its own threads, also after the free. */
#ifndef PF_COORDINATOR_UNREAD_H
#define PF_COORDINATOR_UNREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

enum { PF_UNREAD_SMALL_BYTES = 4 << 10, PF_UNREAD_PEER_BYTES = 4 << 20, PF_UNREAD_TOTAL_BYTES = 256 << 20 };

typedef struct pf_unread pf_unread;

pf_unread *pf_unread_new(void);                         /* NULL when out of memory */
void       pf_unread_free(pf_unread *unread);           /* NULL is fine */
/* Makes a message of the bytes that is counted until it is written or thrown away.  False when the peer, or all
   together, have too much that is not read, or memory is out; then out is no message.  One answer a peer always gets
   when the total allows it. */
bool       pf_unread_message(pf_unread *unread, uint64_t peer, const void *frame, size_t bytes, zmq_msg_t *out);

#endif
