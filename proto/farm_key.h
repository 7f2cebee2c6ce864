/* Who somebody is to a farm with keys: a CURVE key pair (X25519) with the farm's own public key, in one file.
   The same key opens the ZeroMQ sockets (CURVE) and makes the bearer tokens for HTTP.

   Key file, mode 0600:                       Ring, STATE/keys/ring, what each key may do:
     planfarm-farm-key 1                        planfarm-key-ring 1
     name ci                                    <name> <public> <grant,...>
     public <Z85, 40 characters>                ...
     secret <Z85>                             Grants: submit, fetch, agent, agent:<class>, cache-write, admin, peer.
     server <Z85>

   Token: "pf1.<name>.<expires, seconds since 1970>.<MAC>", the MAC being HMAC-SHA-512-256 of what stands before it, in
   base64url, under the secret that both ends compute from their own secret key and the other's public key.
   Thread   any. */
#ifndef PF_PROTO_FARM_KEY_H
#define PF_PROTO_FARM_KEY_H

#include <stdint.h>

#include "base/status.h"
#include "proto/limits.h"

enum {
    PF_Z85_BYTES        = 41,           /* a key as text, with its terminating zero */
    PF_FARM_KEY_NAME    = PF_USER_BYTES,
    PF_FARM_TOKEN_BYTES = 256,
    PF_RING_CLASSES_MAX = 8,
};

#define PF_FARM_KEY_VARIABLE "PLANFARM_KEY"     /* names the key file of this user */

typedef struct pf_farm_key {            /* open; wipe it with pf_farm_key_clear */
    char name[PF_FARM_KEY_NAME];
    char public_key[PF_Z85_BYTES], secret_key[PF_Z85_BYTES], server_key[PF_Z85_BYTES];
} pf_farm_key;

/* A fresh pair; server_key is copied ("" while it is not known).  Errors   INVALID: the name. */
pf_status pf_farm_key_new(const char *name, const char *server_key, pf_farm_key *out, pf_err *err);
void      pf_farm_key_clear(pf_farm_key *key);
/* Errors   BUSY: the file is there already; IO, NO_SPACE. */
pf_status pf_farm_key_write(const pf_farm_key *key, const char *path, pf_err *err);
/* Errors   NOT_FOUND; DENIED: others can read the file; CORRUPT. */
pf_status pf_farm_key_read(const char *path, pf_farm_key *out, pf_err *err);
/* The key in the file that the environment names; with an empty name when it names none. */
pf_status pf_farm_key_own(pf_farm_key *out, pf_err *err);

/* ---- tokens */

/* key: the user's.  lifetime_s from now_s on. */
pf_status pf_farm_token_make(const pf_farm_key *key, int64_t now_s, int64_t lifetime_s, char out[PF_FARM_TOKEN_BYTES],
                             pf_err *err);
/* The name that a token claims; false when it is none. */
bool      pf_farm_token_name(const char *token, char name[PF_FARM_KEY_NAME]);
/* server: the farm's own key; user_public_key: of the name that the token claims.
   Errors   DENIED: false, or over. */
pf_status pf_farm_token_check(const char *token, const pf_farm_key *server, const char *user_public_key, int64_t now_s,
                              pf_err *err);

/* ---- the ring */

typedef struct pf_ring_entry {          /* open */
    char     name[PF_FARM_KEY_NAME], public_key[PF_Z85_BYTES];
    uint32_t grants;                    /* PF_GRANT_* */
    /* agents: those that it may build for; none: any */
    char     device_class[PF_RING_CLASSES_MAX][PF_CLASS_NAME_BYTES];
    uint32_t classes_count;
} pf_ring_entry;

typedef struct pf_key_ring {            /* open; zero it before use */
    pf_ring_entry *entry;               /* owned */
    uint32_t       count, capacity;
} pf_key_ring;

void pf_key_ring_clear(pf_key_ring *ring);
/* An absent file is an empty ring.  Errors   CORRUPT with the line. */
pf_status pf_key_ring_read(const char *path, pf_key_ring *out, pf_err *err);
pf_status pf_key_ring_write(const pf_key_ring *ring, const char *path, pf_err *err);
/* Adds the key, or gives one that is there these grants.  grants: "submit,fetch".  Errors   INVALID. */
pf_status pf_key_ring_grant(pf_key_ring *ring, const char *name, const char *public_key, const char *grants,
                            pf_err *err);
/* Errors   NOT_FOUND. */
pf_status pf_key_ring_revoke(pf_key_ring *ring, const char *name, pf_err *err);
const pf_ring_entry *pf_key_ring_find(const pf_key_ring *ring, const char *name);  /* NULL when absent */
const pf_ring_entry *pf_key_ring_find_key(const pf_key_ring *ring, const char *public_key);
/* The grants of an entry as text. */
void      pf_ring_entry_grants(const pf_ring_entry *entry, char *out, size_t capacity);

#endif
