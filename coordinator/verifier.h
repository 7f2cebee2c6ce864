/* Hashes finished plans and signs their manifests, on a thread of its own: plans can be large.
   Thread   give, take and stop by one thread, the owner. */
#ifndef PF_COORDINATOR_VERIFIER_H
#define PF_COORDINATOR_VERIFIER_H

#include "cache/store.h"
#include "coordinator/core.h"
#include "proto/manifest.h"

typedef struct pf_verifier pf_verifier;

typedef struct pf_verdict {             /* open */
    pf_event event;                     /* of kind VERIFIED; its text lies in text */
    char     text[PF_MANIFEST_BYTES];
} pf_verdict;

/* Manifests are signed by all keys.  store and keys are borrowed until pf_verifier_stop. */
pf_status pf_verifier_start(pf_store *store, const pf_signing_key *keys, uint32_t keys_count, pf_verifier **out,
                            pf_err *err);
void      pf_verifier_stop(pf_verifier *verifier);      /* drops what waits; NULL is fine */
/* Copies what it needs of out. */
pf_status pf_verifier_give(pf_verifier *verifier, const pf_out *out, const pf_verify *verify, pf_err *err);
int       pf_verifier_fd(const pf_verifier *verifier);  /* readable when there are verdicts */
/* The next verdict, owned by the caller (pf_free); NULL when there is none. */
pf_verdict *pf_verifier_take(pf_verifier *verifier);

#endif
