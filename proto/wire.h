/* The envelope around every message: one ZeroMQ frame of a fixed header and a protobuf body.

   Header, little endian, PF_WIRE_HEADER_BYTES long:
     0  magic          "PFRM"
     4  version        u16, highest protocol version that the sender speaks
     6  type           u16, of messages.def
     8  msg_id         u64, chosen by the sender; a repeated message keeps it
     16 correlation_id u64, msg_id of the request that this answers, or 0
     24 trace_id       16 bytes, carried from a submit through its offer into the agent's logs; zero when none
     40 body_bytes     u32
     44 reserved       u32, written 0, not read
   Role, size and version are checked from the table before the body is looked at, and unpacking a body may not
   use more than PF_WIRE_UNPACK_BYTES of memory. */
#ifndef PF_PROTO_WIRE_H
#define PF_PROTO_WIRE_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"
#include "proto/farm.pb-c.h"
#include "proto/message.h"

enum {
    PF_WIRE_VERSION      = 1,   /* spoken by this build */
    PF_WIRE_VERSION_MIN  = 1,   /* oldest that is understood */
    PF_WIRE_HEADER_BYTES = 48,
    PF_WIRE_TRACE_BYTES  = 16,
    PF_WIRE_FRAME_BYTES  = 1 << 20,     /* no frame is larger: the sockets' ZMQ_MAXMSGSIZE */
    PF_WIRE_UNPACK_BYTES = 16 << 20,
};

typedef struct pf_wire_header {     /* open */
    uint16_t version, type;
    uint64_t msg_id, correlation_id;
    uint8_t  trace_id[PF_WIRE_TRACE_BYTES];
    uint32_t body_bytes;
} pf_wire_header;

typedef struct pf_message {         /* open; zero it before use */
    pf_wire_header     header;
    const pf_msg_info *info;        /* static */
    ProtobufCMessage  *body;        /* NULL until unpacked; cast it to the type of info->body; never freed by itself */
    void              *memory;      /* owned; all that the body is made of */
} pf_message;

void pf_message_clear(pf_message *message);     /* frees the body and zeroes it */

/* Appends header and body to out.  header->body_bytes and version are filled in here; header->type is taken from
   type.  Errors   INVALID: the body is larger than the table allows. */
pf_status pf_wire_pack(pf_msg_type type, const pf_wire_header *header, const ProtobufCMessage *body, pf_buf *out,
                       pf_err *err);

/* Reads and checks the header alone; data is borrowed.  sender and receiver are PF_ROLE_* of the two ends.
   On every status but INVALID *header is filled in, so that the error can be sent back.
   Errors   INVALID: not one of our frames, or the length is wrong: do not answer.  STALE: a protocol version that is
            too old.  UNSUPPORTED: unknown type.  DENIED: wrong role.  NO_SPACE: larger than the table allows. */
pf_status pf_wire_check(const void *data, size_t bytes, uint32_t sender, uint32_t receiver, pf_wire_header *header,
                        const pf_msg_info **info, pf_err *err);

/* pf_wire_check, then unpacks the body.  On failure out->body is NULL; header and info as above.
   Errors   as above, CORRUPT: the body does not parse, NO_SPACE: memory. */
pf_status pf_wire_unpack(const void *data, size_t bytes, uint32_t sender, uint32_t receiver, pf_message *out,
                         pf_err *err);

/* The digest in a bytes field. INVALID, with the field's name, when it has not the right length. */
pf_status pf_wire_digest(const ProtobufCBinaryData *field, const char *name, pf_digest *out, pf_err *err);
/* A bytes field that borrows the digest. */
ProtobufCBinaryData pf_wire_bytes(const pf_digest *digest);
/* Makes a message (or a record with its three fields) one of the run of a job that another one is of; pointers. */
#define PF_WIRE_SAME_RUN(to, from) \
    ((to)->job_id = (from)->job_id, (to)->attempt = (from)->attempt, (to)->fence = (from)->fence)

#endif
