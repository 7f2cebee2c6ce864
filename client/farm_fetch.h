/* A plan from the farm into a file: the manifest's signature is checked first, then the bytes against its digest while
   they come in; the file gets its name when all of it is right. */
#ifndef PF_CLIENT_FARM_FETCH_H
#define PF_CLIENT_FARM_FETCH_H

#include "client/farm.h"
#include "client/farm_trust.h"

/* What names a plan: its key, or the others. */
typedef struct pf_farm_wanted {     /* open */
    pf_digest   plan_key, model;    /* zero: not given */
    const char *model_name, *selector, *spec_text;      /* NULL: not given */
} pf_farm_wanted;

/* Asks for the manifest and verifies it.
   Errors   NOT_FOUND; DENIED: not signed by a trusted key; CORRUPT: not about what was asked for. */
pf_status pf_farm_find_plan(pf_farm *farm, const pf_farm_trust *trust, const pf_farm_wanted *wanted, pf_manifest *out,
                            pf_err *err);
/* Fetches the plan of the manifest into path, and checks that it is the plan it says.
   Errors   CORRUPT: the bytes are not what was signed; nothing is left behind. */
pf_status pf_farm_fetch_plan(pf_farm *farm, pf_call *call, const pf_manifest *manifest, const char *path, pf_err *err);
/* The members of --json: those of a build, and of its manifest. */
void      pf_farm_put_manifest(json_t *to, const pf_manifest *manifest);
/* The same for people. */
void      pf_farm_say_manifest(pf_call *call, const pf_manifest *manifest, const char *path);

#endif
