/* The keys in a coordinator's state folder, as `planfarm keys` changes them. */
#ifndef PF_CLIENT_KEY_STATE_H
#define PF_CLIENT_KEY_STATE_H

#include <limits.h>

#include "client/verb.h"
#include "proto/farm_key.h"

/* The row of an option table. */
#define PF_STATE_OPTION \
    {.name = "state", .kind = PF_OPTION_TEXT, .value = "DIR", .help = "the coordinator's state folder"}

typedef struct pf_key_state {       /* open; zero it before use */
    char        ring_path[PATH_MAX], farm_path[PATH_MAX];
    pf_key_ring ring;
} pf_key_state;

/* Reads the ring of --state.  Errors   USAGE: no --state; NOT_FOUND: no such folder. */
pf_status pf_key_state_open(const pf_call *call, pf_key_state *out, pf_err *err);
pf_status pf_key_state_save(const pf_key_state *state, pf_err *err);
void      pf_key_state_close(pf_key_state *state);
/* The farm's public key; its pair is made when there is none yet, *made tells. */
pf_status pf_key_state_farm(const pf_key_state *state, char public_key[PF_Z85_BYTES], bool *made, pf_err *err);
json_t   *pf_key_state_json(const pf_ring_entry *entry);

#endif
