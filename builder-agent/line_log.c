#include "builder-agent/line_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/limits.h"

enum { CHUNK_BYTES = 16 * 1024 };

pf_status pf_line_log_open(pf_line_log *log, const char *path, pf_err *err)
{
    memset(log, 0, sizeof *log);
    pf_hash_init(&log->hash);
    pf_buf_init(&log->pending, PF_LOG_TEXT_BYTES - 1);
    log->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return log->fd < 0 ? PF_FAIL_ERRNO(err, "make", path) : PF_OK;
}

static void close_file(pf_line_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

void pf_line_log_close(pf_line_log *log)
{
    close_file(log);
    pf_buf_clear(&log->pending);
}

/* A full disk costs the rest of the log, not the build. */
static void to_file(pf_line_log *log, const char *line, size_t bytes)
{
    ssize_t now = -1;

    if (log->fd < 0 || log->bytes + bytes > PF_LINE_LOG_BYTES)
        return;
    do
        now = write(log->fd, line, bytes);
    while (now < 0 && errno == EINTR);
    if (now > 0) {
        pf_hash_add(&log->hash, line, (size_t)now);
        log->bytes += (uint64_t)now;
    }
    if (now != (ssize_t)bytes)
        close_file(log);
}

static void end_line(pf_line_log *log)
{
    char *tail = log->tail[log->tail_count % PF_LINE_TAIL];

    log->line[log->line_bytes] = 0;
    snprintf(tail, PF_LINE_TAIL_BYTES, "%.*s", PF_LINE_TAIL_BYTES - 1, log->line);
    log->tail_count++;
    log->line[log->line_bytes++] = '\n';
    to_file(log, log->line, log->line_bytes);
    if (log->pending.size + log->line_bytes <= log->pending.limit && !log->dropped_after)
        pf_buf_put(&log->pending, log->line, log->line_bytes);
    else
        log->dropped_after++;
    log->line_bytes = 0;
}

void pf_line_log_add(pf_line_log *log, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c == '\n')
            end_line(log);
        else if (log->line_bytes < PF_LINE_BYTES - 2)
            log->line[log->line_bytes++] = (c < ' ' && c != '\t') || c >= 127 ? '?' : (char)c;
    }
}

void pf_line_log_end(pf_line_log *log)
{
    if (log->line_bytes)
        end_line(log);
}

bool pf_line_log_fill(pf_line_log *log, int fd)
{
    char    chunk[CHUNK_BYTES];
    ssize_t got = -1;

    do
        got = read(fd, chunk, sizeof chunk);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK;
    pf_line_log_add(log, chunk, (size_t)got);
    return got > 0;
}

void pf_line_log_sent(pf_line_log *log)
{
    pf_buf_reset(&log->pending);
    log->dropped_before = log->dropped_after;
    log->dropped_after = 0;
}

void pf_line_log_digest(const pf_line_log *log, pf_digest *digest)
{
    pf_hash hash = log->hash;

    pf_hash_end(&hash, digest);
}

void pf_line_log_last(const pf_line_log *log, char *out, size_t capacity)
{
    uint32_t count = log->tail_count < PF_LINE_TAIL ? log->tail_count : PF_LINE_TAIL;
    size_t   at = 0;

    out[0] = 0;
    for (uint32_t i = log->tail_count - count; i < log->tail_count && at < capacity; i++) {
        int now = snprintf(out + at, capacity - at, "%s%s", at ? " | " : "", log->tail[i % PF_LINE_TAIL]);
        at += now > 0 ? (size_t)now : 0;
    }
}
