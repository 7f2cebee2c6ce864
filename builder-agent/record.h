/* What a build's process tells the agent, through a pipe: records of a u32 length, a kind and its fields.
   The reader trusts nothing: a process may be dying while it writes.
   Thread   one at a time. */
#ifndef PF_BUILDER_AGENT_RECORD_H
#define PF_BUILDER_AGENT_RECORD_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"
#include "proto/farm.pb-c.h"
#include "proto/limits.h"

enum { PF_RECORD_BYTES = 12 * 1024, PF_RECORD_FD = 3 };     /* the pipe's number in the build's process */

typedef enum pf_record_kind {
    PF_RECORD_PROGRESS = 1,
    PF_RECORD_DONE,
    PF_RECORD_FAILED,
    PF_RECORD_REPLACED,             /* the programs of this agent are others now; as FAILED */
    PF_RECORD_KIND_END
} pf_record_kind;

typedef struct pf_record {          /* open */
    pf_record_kind  kind;
    Pf__Phase       phase;          /* PROGRESS */
    uint32_t        permille;       /* PROGRESS */
    Pf__FailureKind failure;        /* FAILED, REPLACED */
    uint32_t        exit_code;      /* FAILED, REPLACED: of base/status.def */
    pf_digest       plan_digest;    /* DONE */
    uint64_t        plan_bytes;     /* DONE */
    char            text[PF_ERR_MSG_BYTES];     /* PROGRESS: for people; FAILED, REPLACED: the sentence */
    char            json[PF_SUMMARY_BYTES];     /* PROGRESS, DONE: one object */
} pf_record;

/* Errors   IO: the reader is gone. */
pf_status pf_record_write(int fd, const pf_record *record, pf_err *err);

typedef struct pf_record_reader { pf_buf bytes; } pf_record_reader;

void      pf_record_reader_init(pf_record_reader *reader);
void      pf_record_reader_clear(pf_record_reader *reader);
/* Reads what the non-blocking fd holds now.  *end: the writer has closed.  Errors   IO, NO_SPACE. */
pf_status pf_record_reader_fill(pf_record_reader *reader, int fd, bool *end, pf_err *err);
/* Takes the next whole record; *found is false when there is none.  Errors   CORRUPT: no record of ours. */
pf_status pf_record_reader_next(pf_record_reader *reader, pf_record *out, bool *found, pf_err *err);

#endif
