/* A connection to a farm.  Its address is the coordinator's HTTP URL (http://host:7780), where the port for clients is
   asked for, or that port itself (tcp://host:7701).
   Thread   one. */
#ifndef PF_CLIENT_FARM_H
#define PF_CLIENT_FARM_H

#include "client/verb.h"
#include "proto/farm_key.h"
#include "proto/manifest.h"
#include "proto/peer.h"
#include "proto/transfer/transfer.h"

enum { PF_FARM_URL_BYTES = 512, PF_FARM_KEYS_MAX = 8 };

/* Rows of an option table. */
#define PF_IDENTITY_OPTIONS \
    {.name = "key_file", .kind = PF_OPTION_TEXT, .value = "FILE", \
     .help = "your key for a farm with keys; $PLANFARM_KEY otherwise"}, \
    {.name = "token_file", .kind = PF_OPTION_TEXT, .value = "FILE", \
     .help = "holds a token for its HTTP port; made of the key otherwise"}
#define PF_FARM_OPTION \
    {.name = "farm", .kind = PF_OPTION_TEXT, .value = "URL", \
     .help = "the farm, like http://host:7780; $PLANFARM_FARM otherwise"}, \
    PF_IDENTITY_OPTIONS

typedef struct pf_farm {            /* open to readers; zero it before use */
    char          url[PF_FARM_URL_BYTES];       /* as given */
    char          http_url[PF_FARM_URL_BYTES];
    bool          is_local;         /* on this machine's loopback */
    bool          wants_key;        /* it has keys, as far as is known */
    pf_farm_key   own;              /* of this user; an empty name without one */
    char          token[PF_FARM_TOKEN_BYTES];       /* given; "": made of the key */
    pf_peer      *peer;
    pf_call      *call;             /* borrowed: that the farm was opened for */
    uint64_t      epoch;
    char          software[128];
    pf_public_key key[PF_FARM_KEYS_MAX];        /* that it says it signs with; trust is another matter: farm_trust.h */
    uint32_t      keys_count;
} pf_farm;

/* url: NULL takes --farm or the environment.
   Errors   USAGE: no address; UNREACHABLE, within a few seconds; DENIED: the farm has keys and no key was given, or the
   key's file is not good. */
pf_status pf_farm_open(pf_call *call, const char *url, pf_farm *farm, pf_err *err);
void      pf_farm_close(pf_farm *farm);

/* One request and its answer, within PF_FARM_ANSWER_NS; a farm that is busy is asked again for a while.
   Owns     out: pf_message_clear. */
#define PF_FARM_ANSWER_NS (INT64_C(10) * 1000000000)
pf_status pf_farm_call(pf_farm *farm, pf_msg_type type, const ProtobufCMessage *body, pf_msg_type expect,
                       pf_message *out, pf_err *err);
/* For blobs.  watch may be NULL. */
pf_status pf_farm_transfer(const pf_farm *farm, pf_transfer_watch *watch, void *user, pf_transfer **out, pf_err *err);

#endif
