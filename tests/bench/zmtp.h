/* A client's end of a ZeroMQ connection, spoken over plain TCP: ZMTP 3.0 (rfc.zeromq.org/spec/23) with the mechanism
   NULL, as a DEALER, messages of one frame.  No threads and no queue between threads, so that a load of many clients
   costs less than what it measures.
   Thread   one at a time for a connection. */
#ifndef PF_TESTS_BENCH_ZMTP_H
#define PF_TESTS_BENCH_ZMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { ZMTP_READ_BYTES = 16384 };       /* the largest frame that is taken */

typedef struct zmtp {                   /* open; zero it before use */
    int     fd;
    pf_buf  out;
    size_t  out_sent;                   /* bytes of out that the system has taken */
    size_t  in_at, in_end;              /* what lies in in and was not taken yet */
    uint8_t in[ZMTP_READ_BYTES];
} zmtp;

/* Connects to "tcp://ADDRESS:PORT" and exchanges greetings and READY; from then on nothing waits.  False, with nothing
   left open, when there is nobody or it speaks otherwise. */
bool zmtp_open(zmtp *z, const char *endpoint);
void zmtp_close(zmtp *z);
/* Puts a message behind what is to be sent. */
void zmtp_put(zmtp *z, const void *body, size_t bytes);
/* Gives the system as much of it as it takes; the rest goes when called again, once the connection is writable.  False
   when it is broken. */
bool zmtp_flush(zmtp *z);
/* Reads what came, once; *more when the room for it was filled, so that more may wait.  False when the other side
   closed the connection. */
bool zmtp_fill(zmtp *z, bool *more);
/* The next whole message of what was read, borrowed until the next zmtp_fill.  False when there is none; *broken then
   tells of a frame that this end does not expect. */
bool zmtp_take(zmtp *z, const uint8_t **body, size_t *bytes, bool *broken);

#endif
