/* Who may do what: the farm's own key and the ring, as STATE/keys/farm.key and STATE/keys/ring hold them.
   A farm without farm.key has no keys: everyone may do everything, and it listens on loopback alone.
   The ring is read again when its file changes, so granting and revoking need no restart.
   Thread   any; pf_authority_refresh one. */
#ifndef PF_COORDINATOR_AUTHORITY_H
#define PF_COORDINATOR_AUTHORITY_H

#include "proto/farm_key.h"

typedef struct pf_authority pf_authority;

/* folder: STATE/keys.  Errors   DENIED, CORRUPT: the files. */
pf_status pf_authority_open(const char *folder, pf_authority **out, pf_err *err);
void      pf_authority_close(pf_authority *authority);          /* NULL is fine */
bool      pf_authority_has_keys(const pf_authority *authority);
const pf_farm_key *pf_authority_server(const pf_authority *authority);     /* borrowed; only with keys */

/* Reads the ring again when its file has changed; one that is damaged is logged, and the old one stays. */
void pf_authority_refresh(pf_authority *authority);

/* The entry of a name or of a public key, copied; false when it is not in the ring. */
bool pf_authority_find(pf_authority *authority, const char *name, pf_ring_entry *out);
bool pf_authority_find_key(pf_authority *authority, const char *public_key, pf_ring_entry *out);
/* The entry that a bearer token belongs to.  Errors   DENIED. */
pf_status pf_authority_check_token(pf_authority *authority, const char *token, pf_ring_entry *out, pf_err *err);

#endif
