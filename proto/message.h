/* The table of messages: what each is called, who may send it, how large it may be.  Made from messages.def. */
#ifndef PF_PROTO_MESSAGE_H
#define PF_PROTO_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

typedef enum pf_msg_type {
    PF_MSG_NONE = 0,
#define PF_MSG(id, name, body, from, to, since, max_bytes, grant) PF_MSG_##name = id,
#include "proto/messages.def"
#undef PF_MSG
} pf_msg_type;

/* Ends of a connection; a set of them where a message may come from or go to several. */
enum {
    PF_ROLE_CLIENT = 1,
    PF_ROLE_AGENT  = 2,
    PF_ROLE_ANY    = PF_ROLE_CLIENT | PF_ROLE_AGENT,
    PF_ROLE_COORD  = 4,
};

/* What a key may be allowed to do; a set of them. */
enum {
    PF_GRANT_NONE        = 0,
    PF_GRANT_SUBMIT      = 1,
    PF_GRANT_FETCH       = 2,
    PF_GRANT_AGENT       = 4,
    PF_GRANT_CACHE_WRITE = 8,
    PF_GRANT_ADMIN       = 16,
    PF_GRANT_PEER        = 32,
};

typedef struct pf_msg_info {    /* open, immutable */
    pf_msg_type type;
    const char *name;           /* "SUBMIT" */
    const ProtobufCMessageDescriptor *body;
    uint32_t    from, to;       /* PF_ROLE_* sets */
    uint16_t    since;          /* protocol version */
    uint32_t    max_bytes;      /* of the body */
    uint32_t    grant;          /* PF_GRANT_* that the sender needs, all of them */
} pf_msg_info;

/* Static, or NULL when there is no such message. */
const pf_msg_info *pf_msg_find(uint32_t type);
const pf_msg_info *pf_msg_find_name(const char *name);
/* For tests and lists: the rows in the order of messages.def. */
const pf_msg_info *pf_msg_table(uint32_t *count);

#endif
