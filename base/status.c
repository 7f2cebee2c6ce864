#include "base/status.h"
#include "base/error_list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct row {
    const char *name, *text;
    bool        retry;
    int         exit_code;
} rows[PF_STATUS_COUNT] = {
#define PF_STATUS(name, retry, exit_code, text) {#name, text, retry, exit_code},
#include "base/status.def"
#undef PF_STATUS
};

/* A number outside the list can only come from a defect. */
static const struct row *row_of(pf_status status)
{
    return (unsigned)status < PF_STATUS_COUNT ? &rows[status] : &rows[PF_INTERNAL];
}

const char *pf_status_name(pf_status status)
{
    return row_of(status)->name;
}

const char *pf_status_text(pf_status status)
{
    return row_of(status)->text;
}

int pf_status_exit_code(pf_status status)
{
    return row_of(status)->exit_code;
}

bool pf_status_may_retry(pf_status status)
{
    return row_of(status)->retry;
}

pf_status pf_status_from_exit_code(int exit_code)
{
    for (int i = 0; i < PF_STATUS_COUNT; i++)
        if (rows[i].exit_code == exit_code)
            return (pf_status)i;
    return PF_INTERNAL;
}

pf_status pf_status_from_errno(int code)
{
    static const struct { int code; pf_status status; } codes[] = {
        {ENOENT, PF_NOT_FOUND}, {ENOTDIR, PF_NOT_FOUND}, {EACCES, PF_DENIED},   {EPERM, PF_DENIED},
        {EROFS, PF_DENIED},     {ENOSPC, PF_NO_SPACE},   {EDQUOT, PF_NO_SPACE}, {EFBIG, PF_NO_SPACE},
        {ENOMEM, PF_NO_SPACE},  {ELOOP, PF_INVALID},     {ENAMETOOLONG, PF_INVALID},
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code)
            return codes[i].status;
    return PF_IO;
}

pf_status pf_err_set(pf_err *err, pf_status status, const char *file, int line, const char *format, ...)
{
    va_list args;

    if (!err || err->status != PF_OK)
        return status;
    err->status = status;
    err->file = file;
    err->line = line;
    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    return status;
}

pf_status pf_err_add(pf_err *err, pf_status status, const char *format, ...)
{
    char    reason[PF_ERR_MSG_BYTES];
    size_t  used = 0;
    va_list args;

    if (!err)
        return status;
    if (err->status == PF_OK)
        err->status = status;
    snprintf(reason, sizeof reason, "%s", err->msg[0] ? err->msg : pf_status_text(status));
    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    used = strlen(err->msg);
    snprintf(err->msg + used, sizeof err->msg - used, ": %s", reason);
    return status;
}

void pf_err_at(pf_err *err, const char *node)
{
    if (err && !err->node[0] && node)
        snprintf(err->node, sizeof err->node, "%s", node);
}

pf_status pf_err_pass(pf_err *err, pf_status status, const pf_err *own)
{
    if (own->node[0])
        pf_err_at(err, own->node);
    return pf_err_set(err, status, own->file, own->line, "%s", own->msg);
}

void pf_err_note(pf_err *err, pf_status status, const char *node, const char *format, ...)
{
    char    text[PF_ERR_MSG_BYTES];
    va_list args;

    if (!err || !err->list)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pf_error_list_add(err->list, status, node, text);
}

void pf_err_clear(pf_err *err)
{
    if (err)
        *err = (pf_err){ .list = err->list };
}
