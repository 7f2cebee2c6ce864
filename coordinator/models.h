/* Which blobs of a model are not in the store yet.  Lists of files that were read are kept for a while.
   Thread   one. */
#ifndef PF_COORDINATOR_MODELS_H
#define PF_COORDINATOR_MODELS_H

#include "base/hash.h"
#include "base/status.h"
#include "cache/store.h"

typedef struct pf_models pf_models;

pf_status pf_models_new(const pf_store *store, pf_models **out, pf_err *err);
void      pf_models_free(pf_models *models);
/* *missing is borrowed until the next call; the model manifest itself when that is absent.
   Errors   INVALID: the blob of that digest is no model manifest. */
pf_status pf_models_missing(pf_models *models, const pf_digest *model, const pf_digest **missing, uint32_t *count,
                            pf_err *err);
/* Calls each for every file of the model, when its manifest is here. */
void      pf_models_files(pf_models *models, const pf_digest *model, void (*each)(void *user, const pf_digest *digest),
                          void *user);

#endif
