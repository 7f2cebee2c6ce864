/* How every fallible function answers.
   Order of parameters: inputs, outputs, pf_err *err.  Outputs are NULL or 0 on entry to the function body and
   valid only on PF_OK.  err may be NULL.  The first failure writes the message; callers add context in front. */
#ifndef PF_BASE_STATUS_H
#define PF_BASE_STATUS_H

#include <stdbool.h>

typedef enum pf_status {
#define PF_STATUS(name, retry, exit_code, text) PF_##name,
#include "base/status.def"
#undef PF_STATUS
    PF_STATUS_COUNT
} pf_status;

enum { PF_ERR_MSG_BYTES = 1024, PF_ERR_NODE_BYTES = 128 };

typedef struct pf_error_list pf_error_list;             /* base/error_list.h */

/* Caller-owned, usually on the stack; zero it before use. */
typedef struct pf_err {
    pf_status   status;
    const char *file;                   /* where it was first written: static string */
    int         line;
    char        msg[PF_ERR_MSG_BYTES];  /* one sentence: the thing, the reason, what to do */
    char        node[PF_ERR_NODE_BYTES];/* the layer, or node of the model, that it is about; or "" */
    pf_error_list *list;  /* borrowed, may be NULL: takes what leads to a failure, and what a build survives */
} pf_err;

const char *pf_status_name(pf_status status);      /* "CORRUPT" */
const char *pf_status_text(pf_status status);
int         pf_status_exit_code(pf_status status);
bool        pf_status_may_retry(pf_status status);
/* The status with that exit code; PF_INTERNAL when there is none. */
pf_status   pf_status_from_exit_code(int exit_code);
/* What a caller should do about a failed system call: ENOSPC is NO_SPACE, ENOENT is NOT_FOUND, ...; otherwise IO. */
pf_status   pf_status_from_errno(int code);

/* Writes the message unless one is there already, and returns status. */
pf_status pf_err_set(pf_err *err, pf_status status, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Puts "context: " in front of the message and returns status. */
pf_status pf_err_add(pf_err *err, pf_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What was written into own, in case it would not matter, matters: writes it unless a message is there already, and
   returns status. */
pf_status pf_err_pass(pf_err *err, pf_status status, const pf_err *own);
/* Says which node a failure is about; the first one to say so is right. */
void pf_err_at(pf_err *err, const char *node);
/* Puts one thing that went wrong into err's list, if it has one; err itself stays as it is. */
void pf_err_note(pf_err *err, pf_status status, const char *node, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void pf_err_clear(pf_err *err);                         /* keeps the list */

#define PF_FAIL(err, status, ...) pf_err_set((err), (status), __FILE__, __LINE__, __VA_ARGS__)

/* "cannot <verb> <name>: <what errno says>"; for files that include <errno.h> and <string.h>. */
#define PF_FAIL_ERRNO(err, verb, name) \
    PF_FAIL((err), pf_status_from_errno(errno), "cannot %s %s: %s", (verb), (name), strerror(errno))

/* The reason of a failed allocation is always the same sentence. */
#define PF_FAIL_MEMORY(err, bytes) \
    PF_FAIL((err), PF_NO_SPACE, "out of memory: %zu bytes were asked for", (size_t)(bytes))

#endif
