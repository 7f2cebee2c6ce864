#include "builder-agent/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

enum { JOURNAL_BYTES = 64 * 1024, WIPES_MAX = 20 };

static pf_status take_lock(pf_workdir *dir, pf_err *err)
{
    char      path[PATH_MAX];
    pf_status st = pf_path_join(dir->folder, "lock", path, sizeof path, err);

    if (st)
        return st;
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (dir->lock_fd < 0)
        return PF_FAIL_ERRNO(err, "open", path);
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return PF_OK;
    return PF_FAIL(err, PF_BUSY, "another agent uses %s; give each agent a --dir of its own", dir->folder);
}

static void keep_line(const pf_buf *text, char *out, size_t capacity)
{
    size_t bytes = text->size && text->data ? strcspn((const char *)text->data, "\n") : 0;

    snprintf(out, capacity, "%.*s", (int)(bytes < capacity ? bytes : capacity - 1),
             bytes ? (const char *)text->data : "");
}

static pf_status make_name(pf_workdir *dir, pf_err *err)
{
    char     host[64] = "";
    uint32_t mark = 0;

    if (gethostname(host, sizeof host - 1) || !pf_text_is_name(host, sizeof host))
        snprintf(host, sizeof host, "agent");
    if (getrandom(&mark, sizeof mark, 0) != sizeof mark)
        return PF_FAIL(err, PF_IO, "the system gives no random numbers: %s", strerror(errno));
    snprintf(dir->name, sizeof dir->name, "%s-%08" PRIx32, host, mark);
    return PF_OK;
}

static pf_status find_name(pf_workdir *dir, const char *name, pf_err *err)
{
    char      path[PATH_MAX];
    pf_buf    text = { 0 };
    pf_status st = pf_path_join(dir->folder, "name", path, sizeof path, err);

    if (name) {
        if (!pf_text_is_name(name, sizeof dir->name))
            return PF_FAIL(err, PF_USAGE, "\"%.100s\" is not a name for an agent; use letters, digits and ._-", name);
        snprintf(dir->name, sizeof dir->name, "%s", name);
        return PF_OK;
    }
    if (!st && pf_file_read(path, sizeof dir->name, &text, NULL) == PF_OK)
        keep_line(&text, dir->name, sizeof dir->name);
    pf_buf_clear(&text);
    if (st || pf_text_is_name(dir->name, sizeof dir->name))
        return st;
    st = make_name(dir, err);
    return st ? st : pf_file_write(path, dir->name, strlen(dir->name), err);
}

/* What ran when the last run was killed. */
static void read_journal(pf_workdir *dir)
{
    char   path[PATH_MAX];
    pf_buf text = { 0 };

    if (pf_path_join(dir->folder, "journal", path, sizeof path, NULL) == PF_OK &&
        pf_file_read(path, JOURNAL_BYTES, &text, NULL) == PF_OK) {
        for (size_t i = 0; i + 1 < text.size; i++) {
            if (text.data[i] == '\n')
                text.data[i] = ';';
        }
        keep_line(&text, dir->last_run, sizeof dir->last_run);
        pf_log(PF_LOG_WARN, "agent", "last_run_was_killed leases=\"%s\"", dir->last_run);
        unlink(path);
    }
    pf_buf_clear(&text);
}

/* A build of the killed run may need a moment to die; until then it may still write. */
static pf_status wipe(const pf_workdir *dir, pf_err *err)
{
    char      path[PATH_MAX];
    pf_status st = pf_path_join(dir->folder, "work", path, sizeof path, err);

    for (int i = 0; !st && i < WIPES_MAX; i++) {
        if (pf_dir_remove(path, NULL) == PF_OK)
            return pf_dir_make(path, err);
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
    }
    return st ? st : pf_dir_remove(path, err);
}

pf_status pf_workdir_open(pf_workdir *dir, const char *folder, const char *name, pf_err *err)
{
    pf_status st = PF_OK;

    memset(dir, 0, sizeof *dir);
    dir->lock_fd = -1;
    st = pf_dir_make(folder, err);
    if (!st && !realpath(folder, dir->folder))
        st = PF_FAIL_ERRNO(err, "find", folder);
    if (!st)
        st = take_lock(dir, err);
    if (!st)
        st = find_name(dir, name, err);
    if (!st) {
        read_journal(dir);
        st = wipe(dir, err);
    }
    if (st && dir->lock_fd >= 0) {
        close(dir->lock_fd);
        dir->lock_fd = -1;
    }
    return st;
}

void pf_workdir_close(pf_workdir *dir)
{
    char path[PATH_MAX];

    if (dir->lock_fd < 0)
        return;
    if (pf_path_join(dir->folder, "journal", path, sizeof path, NULL) == PF_OK)
        unlink(path);
    close(dir->lock_fd);
    dir->lock_fd = -1;
}

pf_status pf_workdir_begin(const pf_workdir *dir, uint64_t job_id, uint32_t attempt, uint64_t fence, char *out,
                           size_t capacity, pf_err *err)
{
    char      relative[128], model[PATH_MAX];
    pf_status st = PF_OK;

    snprintf(relative, sizeof relative, "work/%" PRIu64 ".%" PRIu32 ".%" PRIu64, job_id, attempt, fence);
    st = pf_path_join(dir->folder, relative, out, capacity, err);
    if (!st)
        st = pf_dir_remove(out, err);
    if (!st)
        st = pf_path_join(out, "model", model, sizeof model, err);
    return st ? st : pf_dir_make(model, err);
}

void pf_workdir_end(const char *folder)
{
    pf_err err = { 0 };

    if (pf_dir_remove(folder, &err))
        pf_log(PF_LOG_WARN, "agent", "scratch_not_removed folder=%s reason=\"%s\"", folder, err.msg);
}

void pf_workdir_journal(const pf_workdir *dir, const char *text)
{
    char   path[PATH_MAX];
    pf_err err = { 0 };

    if (pf_path_join(dir->folder, "journal", path, sizeof path, &err))
        return;
    if (!text[0])
        unlink(path);
    else if (pf_file_write(path, text, strlen(text), &err))
        pf_log(PF_LOG_WARN, "agent", "journal_not_written reason=\"%s\"", err.msg);
}
