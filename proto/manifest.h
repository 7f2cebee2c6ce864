/* The signed text that names a plan: what was built, from what, for what, and what was measured.

     planfarm-manifest 1
     plan-key <hex>
     plan <hex> <bytes>
     model <hex> <name>
     spec <hex>
     class <hex> <name>
     builder-abi <text>
     created <seconds since 1970>
     summary <JSON object on one line>
     sig <key name>:<base64 of an Ed25519 signature over everything before the first sig line>
     sig ...

   The form is canonical: parsing and writing gives the same bytes.  Keys have numbered names ("farm-1", "farm-2"),
   so that a new key may sign beside an old one.
   Thread   any. */
#ifndef PF_PROTO_MANIFEST_H
#define PF_PROTO_MANIFEST_H

#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"
#include "proto/limits.h"

enum { PF_KEY_NAME_BYTES = 64, PF_PUBLIC_KEY_BYTES = 32, PF_SECRET_KEY_BYTES = 64 };

typedef struct pf_manifest {        /* open */
    pf_digest plan_key, plan, model, spec, device_class;
    uint64_t  plan_bytes;
    int64_t   created_s;
    char      model_name[PF_MODEL_NAME_BYTES], class_name[PF_CLASS_NAME_BYTES], builder_abi[PF_BUILDER_ABI_BYTES];
    char      summary_json[PF_SUMMARY_BYTES];
} pf_manifest;

typedef struct pf_public_key {      /* open */
    char    name[PF_KEY_NAME_BYTES];
    uint8_t byte[PF_PUBLIC_KEY_BYTES];
} pf_public_key;

typedef struct pf_signing_key {     /* open; wipe it with pf_signing_key_clear */
    pf_public_key public_key;
    uint8_t       secret[PF_SECRET_KEY_BYTES];
} pf_signing_key;

/* Appends the unsigned text.  Errors   INVALID: a field that does not fit on its line. */
pf_status pf_manifest_write(const pf_manifest *manifest, pf_buf *out, pf_err *err);
/* Appends a sig line; text holds a manifest from its first byte on. */
pf_status pf_manifest_sign(pf_buf *text, const pf_signing_key *key, pf_err *err);
/* Whether a signature says that it is by a key of that name; it is not verified. */
bool      pf_manifest_names_key(const char *text, size_t bytes, const char *key_name);
/* Appends the manifest to out, which is empty, with signatures by these keys in place of those that it has. */
pf_status pf_manifest_sign_anew(const char *text, size_t bytes, const pf_signing_key *keys, uint32_t keys_count,
                                pf_buf *out, pf_err *err);
/* Errors   CORRUPT: not a canonical manifest.  The signatures are not looked at: verify first. */
pf_status pf_manifest_parse(const char *text, size_t bytes, pf_manifest *out, pf_err *err);
/* Errors   DENIED: no signature by any of the keys holds.  CORRUPT: no manifest. */
pf_status pf_manifest_verify(const char *text, size_t bytes, const pf_public_key *keys, uint32_t keys_count,
                             pf_err *err);

/* Makes a key.  Errors   INTERNAL: libsodium does not start. */
pf_status pf_signing_key_new(const char *name, pf_signing_key *out, pf_err *err);
void      pf_signing_key_clear(pf_signing_key *key);
/* Reads, or makes and writes with mode 0600, FOLDER/NAME.key; writes FOLDER/NAME.pub beside it when absent. */
pf_status pf_signing_key_open(const char *folder, const char *name, pf_signing_key *out, pf_err *err);

/* The keys of a folder, FOLDER/farm-<N>.key for N from 1 on, newest first; the first key is made when there is none.
   *count is at most PF_SIGNING_KEYS_MAX.  make_next: makes one more, which is the newest then. */
enum { PF_SIGNING_KEYS_MAX = 8 };
pf_status pf_signing_keys_open(const char *folder, bool make_next, pf_signing_key out[PF_SIGNING_KEYS_MAX],
                               uint32_t *count, pf_err *err);

/* "planfarm-key <name> <base64>\n": how public keys are shown and stored. */
pf_status pf_public_key_write(const pf_public_key *key, pf_buf *out, pf_err *err);
pf_status pf_public_key_parse(const char *text, size_t bytes, pf_public_key *out, pf_err *err);

#endif
