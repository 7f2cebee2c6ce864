/* What the agent's devices are.  Devices are opened in short-lived processes only: the agent itself must never hold a
   context on a GPU, which would take memory and hang with a device that hangs. */
#ifndef PF_BUILDER_AGENT_FINGERPRINT_H
#define PF_BUILDER_AGENT_FINGERPRINT_H

#include "base/buf.h"
#include "builder-agent/job_file.h"
#include "proto/limits.h"

typedef struct pf_fingerprint {         /* open */
    char      class_text[PF_CLASS_TEXT_BYTES], class_name[PF_CLASS_NAME_BYTES], builder_abi[PF_BUILDER_ABI_BYTES];
    char      alias[PF_CLASS_ALIASES_MAX][PF_CLASS_NAME_BYTES];
    uint32_t  aliases_count;
    pf_digest class_digest;
} pf_fingerprint;

enum { PF_FINGERPRINT_ARGUMENTS = 6 };

/* The arguments of the child that describes the device; they borrow device and numbers. */
void      pf_fingerprint_arguments(const pf_job_device *device, char numbers[2][16],
                                   const char *argv[PF_FINGERPRINT_ARGUMENTS]);
/* What the child wrote.  Errors   CORRUPT. */
pf_status pf_fingerprint_parse(const pf_buf *answer, const char *device, pf_fingerprint *out, pf_err *err);
/* Asks a child process and waits for it.  Errors   NOT_FOUND, DEVICE, UNSUPPORTED as the engine says; TIMEOUT;
   CORRUPT. */
pf_status pf_fingerprint_take(const pf_job_device *device, pf_fingerprint *out, pf_err *err);
/* In the child: opens the device and writes what it is to fd, as JSON. */
pf_status pf_fingerprint_main(const pf_job_device *device, int fd, pf_err *err);

#endif
