/* What a build's process is to do: written by the agent as "job" into the lease's folder, read by the process, and left
   there for whoever looks at a failed build.
   Thread   any. */
#ifndef PF_BUILDER_AGENT_JOB_FILE_H
#define PF_BUILDER_AGENT_JOB_FILE_H

#include <limits.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "proto/limits.h"

enum { PF_URL_BYTES = 512, PF_DEVICE_BYTES = 32, PF_ISA_BYTES = 16 };

typedef struct pf_job_device {      /* open: how to open the device */
    char    name[PF_DEVICE_BYTES];  /* "cpu", "cuda:0" */
    char    isa[PF_ISA_BYTES];      /* "" : what is there */
    int32_t threads, share_percent;
} pf_job_device;

typedef struct pf_job_file {        /* open; large: keep it off the stack */
    uint64_t      job_id;
    uint32_t      attempt;
    pf_job_device device;
    pf_digest     device_class, plan_key, model;
    char          model_name[PF_MODEL_NAME_BYTES];
    char          builder_abi[PF_BUILDER_ABI_BYTES];    /* that the agent offered, and the plan key was made with */
    char          http_url[PF_URL_BYTES];
    char          token[PF_URL_BYTES];          /* "" : none */
    char          agent_folder[PATH_MAX];
    char          coordinator[PF_URL_BYTES];    /* its address for agents; "": timings stay with this agent */
    uint64_t      cache_limit_bytes;            /* of fetched models */
    uint64_t      url_limit_bytes;              /* of one that is fetched by its URL; 0: none is */
    char          spec_text[PF_SPEC_TEXT_BYTES];
} pf_job_file;

#define PF_JOB_FILE_NAME "job"

/* Errors   NO_SPACE: the disk is full; INVALID: a text that is no UTF-8. */
pf_status pf_job_file_write(const pf_job_file *job, const char *folder, pf_err *err);
/* Errors   CORRUPT. */
pf_status pf_job_file_read(const char *folder, pf_job_file *out, pf_err *err);

#endif
