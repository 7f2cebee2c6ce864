/* What processes that are gone left in the folder of trials. */
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/trial.h"
#include "cache/trial_private.h"

typedef struct note {
    uint32_t         signal;            /* 0: no crash */
    int64_t          since_ns;
    char            *class_text, *problem_text;
    pf_timing_record candidate;
} note;

static void note_clear(note *n)
{
    pf_free(n->class_text);
    pf_free(n->problem_text);
    pf_timing_record_clear(&n->candidate);
    *n = (note){0};
}

static char *read_text(pf_reader *reader)
{
    size_t         bytes = pf_read_u32(reader);
    const uint8_t *at = pf_read_bytes(reader, bytes);

    return at && !memchr(at, 0, bytes) ? pf_strndup((const char *)at, bytes) : NULL;
}

static bool read_candidate(pf_reader *reader, note *out)
{
    size_t         bytes = 0;
    const uint8_t *encoded = NULL;

    out->class_text = read_text(reader);
    out->problem_text = read_text(reader);
    encoded = pf_read_blob(reader, &bytes);
    return out->class_text && out->problem_text && encoded && pf_reader_done(reader) &&
           !pf_timing_record_decode(encoded, bytes, &out->candidate, NULL) && out->candidate.count == 1;
}

/* False: nothing was tried, or it cannot be read. */
static bool read_note(const uint8_t *file, size_t bytes, note *out)
{
    pf_reader      head, body;
    uint32_t       magic = 0, version = 0, active = 0;
    uint64_t       size = 0, sum = 0;
    const uint8_t *payload = NULL;

    pf_reader_init(&head, file, bytes);
    magic = pf_read_u32(&head);
    version = pf_read_u32(&head);
    active = pf_read_u32(&head);
    out->signal = pf_read_u32(&head);
    out->since_ns = (int64_t)pf_read_u64(&head);
    size = pf_read_u64(&head);
    sum = pf_read_u64(&head);
    payload = size <= PF_TRIAL_FILE_BYTES ? pf_read_bytes(&head, (size_t)size) : NULL;
    if (magic != PF_TRIAL_MAGIC || version != PF_TRIAL_VERSION || !active || !payload ||
        pf_checksum(0, payload, (size_t)size) != sum)
        return false;
    pf_reader_init(&body, payload, (size_t)size);
    return read_candidate(&body, out);
}

/* The file of a process that is gone, locked; -1 otherwise. */
static int take_file(int folder, const char *name, int access)
{
    int fd = openat(folder, name, access | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || !flock(fd, LOCK_EX | LOCK_NB))
        return fd;
    close(fd);
    return -1;
}

static bool find_trial(int fd, note *out)
{
    uint8_t *file = pf_alloc(PF_TRIAL_FILE_BYTES);
    ssize_t  bytes = file ? pread(fd, file, PF_TRIAL_FILE_BYTES, 0) : -1;
    bool     found = bytes > 0 && read_note(file, (size_t)bytes, out);

    pf_free(file);
    return found;
}

static bool find_crash(int fd, note *out)
{
    return find_trial(fd, out) && out->signal;
}

static pf_status settle(note *n, pf_timing_store *store, pf_err *err)
{
    pf_timing_entry *candidate = &n->candidate.entries[0];
    bool             stood_still = n->signal == PF_TRIAL_STOOD_STILL;
    const char      *name = stood_still ? NULL : sigabbrev_np((int)n->signal);

    candidate->status = stood_still ? PF_TIMING_TIMEOUT : PF_TIMING_FAILED;
    candidate->wall_ns = pf_clock_wall_ns();
    if (stood_still)
        snprintf(candidate->reason, sizeof candidate->reason, "a build that tried it stood still and was ended");
    else
        snprintf(candidate->reason, sizeof candidate->reason, "a build that tried it died of SIG%s", name ? name : "?");
    pf_log(PF_LOG_WARN, "timing", "left_out tactic=%s tuning=\"%s\" reason=\"%s\"", candidate->tactic,
           candidate->tuning, candidate->reason);
    return store->merge(store, n->class_text, n->problem_text, &n->candidate, err);
}

/* Named by the number of a process. */
static bool is_trial(const char *name)
{
    return name[0] && name[strspn(name, "0123456789")] == 0;
}

static DIR *open_trials(const char *folder)
{
    char path[PATH_MAX] = "";

    return pf_path_join(folder, PF_TRIAL_FOLDER, path, sizeof path, NULL) ? NULL : opendir(path);
}

bool pf_trial_blame(const char *folder, pid_t pid, int64_t least_ns)
{
    DIR     *dir = open_trials(folder);
    uint32_t stood_still = htole32(PF_TRIAL_STOOD_STILL);
    char     name[32] = "";
    note     n = {0};
    int64_t  age_ns = 0;
    int      fd = -1;
    bool     blamed = false;

    snprintf(name, sizeof name, "%ld", (long)pid);
    if (dir)
        fd = take_file(dirfd(dir), name, O_RDWR);
    if (fd >= 0 && find_trial(fd, &n) && !n.signal) {
        age_ns = pf_clock_ns() - n.since_ns;
        blamed = age_ns >= least_ns && pwrite(fd, &stood_still, sizeof stood_still, PF_TRIAL_SIGNAL_AT) > 0;
    }
    note_clear(&n);
    if (fd >= 0)
        close(fd);
    if (dir)
        closedir(dir);
    return blamed;
}

/* What is done with the file of a process that is gone; crash: NULL when it did not crash. */
typedef struct visitor {
    pf_status (*visit)(void *user, int folder, const char *name, note *crash, pf_err *err);
    void       *user;
    pid_t       only;                   /* 0: all processes */
} visitor;

static pf_status visit_file(const visitor *v, int folder, const char *name, pf_err *err)
{
    note      n = {0};
    int       fd = take_file(folder, name, O_RDONLY);
    pf_status status = PF_OK;

    if (fd < 0)
        return PF_OK;
    status = v->visit(v->user, folder, name, find_crash(fd, &n) ? &n : NULL, err);
    note_clear(&n);
    close(fd);
    return status;
}

static pf_status visit_all(const visitor *v, const char *folder, pf_err *err)
{
    DIR           *dir = open_trials(folder);
    struct dirent *entry = NULL;
    pf_status      status = PF_OK;

    while (dir && !status && (entry = readdir(dir)) != NULL)
        if (is_trial(entry->d_name) && (!v->only || strtol(entry->d_name, NULL, 10) == (long)v->only))
            status = visit_file(v, dirfd(dir), entry->d_name, err);
    if (dir)
        closedir(dir);
    return status;
}

static pf_status note_crash(void *user, int folder, const char *name, note *crash, pf_err *err)
{
    bool *crashed = user;

    (void)folder, (void)name, (void)err;
    *crashed |= crash != NULL;
    return PF_OK;
}

bool pf_trial_crashed(const char *folder, pid_t pid)
{
    bool crashed = false;

    visit_all(&(visitor){note_crash, &crashed, pid}, folder, NULL);
    return crashed;
}

static pf_status settle_file(void *user, int folder, const char *name, note *crash, pf_err *err)
{
    pf_status status = crash ? settle(crash, user, err) : PF_OK;

    if (!status)
        unlinkat(folder, name, 0);
    return status;
}

pf_status pf_trial_settle(const char *folder, pf_timing_store *store, pf_err *err)
{
    return visit_all(&(visitor){settle_file, store, 0}, folder, err);
}
