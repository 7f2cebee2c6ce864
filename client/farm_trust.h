/* Which keys may sign a farm's manifests.  --key gives one; otherwise the farm's own keys are kept in the user's
   configuration the first time that the farm is used, and count from then on:
   $XDG_CONFIG_HOME/planfarm/farms/<host_port>.keys, or under $HOME/.config.  A farm on this machine's loopback may
   change its keys, with a warning: farms are made and thrown away there.
   Thread   one. */
#ifndef PF_CLIENT_FARM_TRUST_H
#define PF_CLIENT_FARM_TRUST_H

#include "client/farm.h"

#define PF_KEY_OPTION \
    {.name = "key", .kind = PF_OPTION_TEXT, .value = "FILE|TEXT", \
     .help = "the public key that must have signed, instead of the one kept for the farm"}

typedef struct pf_farm_trust {      /* open */
    pf_public_key key[PF_FARM_KEYS_MAX];
    uint32_t      keys_count;
} pf_farm_trust;

/* Errors   DENIED: the farm signs with other keys than the first time; INVALID: --key is no key. */
pf_status pf_farm_trust_load(pf_call *call, const pf_farm *farm, pf_farm_trust *out, pf_err *err);

#endif
