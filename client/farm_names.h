/* What people call jobs: a job's number, or a submit's id of 32 hex digits. */
#ifndef PF_CLIENT_FARM_NAMES_H
#define PF_CLIENT_FARM_NAMES_H

#include "client/verb.h"
#include "proto/farm.pb-c.h"
#include "proto/limits.h"

enum { PF_FARM_JOBS_MAX = 1000, PF_SUBMIT_HEX_BYTES = 2 * PF_SUBMIT_ID_BYTES + 1 };

typedef struct pf_farm_names {      /* open; borrowed by the requests made of it */
    uint8_t             submit_id[PF_SUBMIT_ID_BYTES];
    bool                has_submit;
    ProtobufCBinaryData submit;     /* of submit_id, empty without one */
    uint64_t           *job_id;     /* owned */
    uint32_t            jobs_count, jobs_capacity;
} pf_farm_names;

/* The verb's operands: any number of jobs and at most one submit.  pf_farm_names_clear.
   Errors   USAGE: none, or something else. */
pf_status pf_farm_names_parse(const pf_args *args, pf_farm_names *out, pf_err *err);
void      pf_farm_names_of_submit(const uint8_t submit_id[PF_SUBMIT_ID_BYTES], pf_farm_names *out);
void      pf_farm_names_clear(pf_farm_names *names);
void      pf_farm_submit_hex(const uint8_t submit_id[PF_SUBMIT_ID_BYTES], char out[PF_SUBMIT_HEX_BYTES]);

#endif
