/* Internal to api*.c. */
#ifndef PF_COORDINATOR_API_PRIVATE_H
#define PF_COORDINATOR_API_PRIVATE_H

#include "coordinator/api.h"

/* Fills the frame of one kind of request. */
typedef pf_status pf_api_pack_fn(const pf_api_request *request, pf_api_call *call, pf_err *err);
/* Puts the members of the answer into `to`, and may change *code, which is 200. */
typedef void pf_api_answer_fn(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code);

typedef struct pf_api_route {           /* open, static */
    const char       *method, *path;
    pf_msg_type       type, reply;
    pf_api_pack_fn   *pack;
    pf_api_answer_fn *answer;
} pf_api_route;

#define PF_API(method, path, name, type, reply) \
    pf_api_pack_fn   pf_api_pack_##name; \
    pf_api_answer_fn pf_api_answer_##name;
#include "coordinator/api.def"
#undef PF_API

/* Packs body as call->type. */
pf_status pf_api_pack_body(pf_api_call *call, const ProtobufCMessage *body, pf_err *err);

#endif
