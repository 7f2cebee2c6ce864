/* The output of a build: kept in a file as a whole, in memory as the lines that the coordinator has not got yet, and
   as its last lines for the message of a crash.
   Thread   one at a time. */
#ifndef PF_BUILDER_AGENT_LINE_LOG_H
#define PF_BUILDER_AGENT_LINE_LOG_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

enum { PF_LINE_BYTES = 2048, PF_LINE_TAIL = 6, PF_LINE_TAIL_BYTES = 200, PF_LINE_LOG_BYTES = 64 << 20 };

typedef struct pf_line_log {            /* open to readers */
    int      fd;                        /* owned; -1: no file, or it failed */
    uint64_t bytes;                     /* in the file, at most PF_LINE_LOG_BYTES */
    pf_hash  hash;                      /* of them */
    char     line[PF_LINE_BYTES];       /* that is not complete yet */
    size_t   line_bytes;
    pf_buf   pending;                   /* whole lines to send */
    uint64_t dropped_before, dropped_after;     /* lines left out before and after those */
    char     tail[PF_LINE_TAIL][PF_LINE_TAIL_BYTES];
    uint32_t tail_count;                /* lines seen so far */
} pf_line_log;

/* Makes the file.  Errors   IO, NO_SPACE. */
pf_status pf_line_log_open(pf_line_log *log, const char *path, pf_err *err);
void      pf_line_log_close(pf_line_log *log);          /* once; fine when opening failed */
/* Longer lines are cut, bytes that are no text become '?'.  A file that cannot grow is given up without failing. */
void      pf_line_log_add(pf_line_log *log, const char *data, size_t bytes);
/* Completes a last line that has no end. */
void      pf_line_log_end(pf_line_log *log);
/* Reads what the non-blocking fd holds now; false at its end. */
bool      pf_line_log_fill(pf_line_log *log, int fd);
/* What was pending was sent. */
void      pf_line_log_sent(pf_line_log *log);
void      pf_line_log_digest(const pf_line_log *log, pf_digest *digest);
/* The last lines, joined by " | ". */
void      pf_line_log_last(const pf_line_log *log, char *out, size_t capacity);

#endif
