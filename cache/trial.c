#include "cache/trial.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/file.h"
#include "cache/trial_private.h"

enum { OPEN_TRIES = 8, SENTENCE_BYTES = 512 };

struct pf_trial {
    int      fd;                        /* locked */
    uint8_t *file;                      /* mapped */
    pf_buf   room;                      /* a note before it goes into the file */
    char     path[PATH_MAX];
    char     sentence[SENTENCE_BYTES];  /* for whoever is there when it crashes */
};

static _Atomic(pf_trial *) watched;
static _Atomic(void (*)(const char *sentence)) say_sentence;
/* Read in a signal handler, where memory of a thread must not be made first. */
static _Thread_local volatile bool stands_aside __attribute__((tls_model("initial-exec")));

/* Volatile and in this order: the process may end between any two. */
static void put_u32(pf_trial *t, size_t at, uint32_t value)
{
    *(volatile uint32_t *)(void *)(t->file + at) = htole32(value);
    atomic_signal_fence(memory_order_seq_cst);
}

/* ---- The file */

/* Who settles what others left holds the file for a moment, and may remove it before it is locked here. */
static pf_status lock_file(pf_trial *t, pf_err *err)
{
    struct stat mine = {0}, there = {0};

    for (int i = 0; i < OPEN_TRIES; i++) {
        t->fd = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (t->fd < 0)
            return PF_FAIL_ERRNO(err, "make", t->path);
        if (!flock(t->fd, LOCK_EX | LOCK_NB) && !fstat(t->fd, &mine) && !stat(t->path, &there) &&
            mine.st_ino == there.st_ino)
            return PF_OK;
        close(t->fd);
        t->fd = -1;
        pf_clock_sleep_ns(PF_NS_PER_MS);
    }
    return PF_FAIL(err, PF_BUSY, "another process holds %s", t->path);
}

/* With its room on the disk: a page that cannot be written to would end the process. */
static pf_status map_file(pf_trial *t, pf_err *err)
{
    int   code = ftruncate(t->fd, 0) ? errno : posix_fallocate(t->fd, 0, PF_TRIAL_FILE_BYTES);
    void *at = MAP_FAILED;

    if (code)
        return PF_FAIL(err, pf_status_from_errno(code), "cannot make room for %s: %s", t->path, strerror(code));
    at = mmap(NULL, PF_TRIAL_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
    if (at == MAP_FAILED)
        return PF_FAIL_ERRNO(err, "map", t->path);
    t->file = at;
    put_u32(t, 0, PF_TRIAL_MAGIC);
    put_u32(t, 4, PF_TRIAL_VERSION);
    return PF_OK;
}

static pf_status name_file(const char *folder, char path[PATH_MAX], pf_err *err)
{
    char      name[32] = "", trials[PATH_MAX] = "";
    pf_status status = pf_path_join(folder, PF_TRIAL_FOLDER, trials, sizeof trials, err);

    snprintf(name, sizeof name, "%ld", (long)getpid());
    if (!status)
        status = pf_dir_make(trials, err);
    return status ? status : pf_path_join(trials, name, path, PATH_MAX, err);
}

pf_status pf_trial_open(const char *folder, pf_trial **out, pf_err *err)
{
    pf_trial *t = pf_calloc(1, sizeof *t), *nobody = NULL;
    pf_status status = PF_OK;

    *out = NULL;
    if (!t)
        return PF_FAIL_MEMORY(err, sizeof *t);
    t->fd = -1;
    pf_buf_init(&t->room, PF_TRIAL_FILE_BYTES - PF_TRIAL_HEAD_BYTES);
    status = name_file(folder, t->path, err);
    if (!status)
        status = lock_file(t, err);
    if (!status)
        status = map_file(t, err);
    if (status) {
        pf_trial_close(t);
        return status;
    }
    atomic_compare_exchange_strong(&watched, &nobody, t);
    *out = t;
    return PF_OK;
}

void pf_trial_close(pf_trial *trial)
{
    pf_trial *own = trial;

    if (!trial)
        return;
    atomic_compare_exchange_strong(&watched, &own, NULL);
    if (trial->file) {
        unlink(trial->path);
        munmap(trial->file, PF_TRIAL_FILE_BYTES);
    }
    if (trial->fd >= 0)
        close(trial->fd);
    pf_buf_clear(&trial->room);
    pf_free(trial);
}

/* ---- Notes */

static bool encode(pf_trial *t, const char *class_text, const char *problem_text, const pf_timing_entry *candidate)
{
    pf_timing_record record = {0};
    pf_buf           one = {0};
    pf_status        status = pf_timing_record_put(&record, candidate, NULL);

    pf_buf_init(&one, PF_TRIAL_FILE_BYTES);
    pf_buf_reset(&t->room);
    if (!status && pf_timing_record_encode(&record, &one)) {
        pf_buf_put_string(&t->room, class_text);
        pf_buf_put_string(&t->room, problem_text);
        pf_buf_put_blob(&t->room, one.data, one.size);
    }
    pf_buf_clear(&one);
    pf_timing_record_clear(&record);
    return t->room.size > 0 && !t->room.failed;
}

void pf_trial_begin(pf_trial *t, const char *class_text, const char *problem_text, const pf_timing_entry *candidate)
{
    uint64_t numbers[3] = {0};

    pf_trial_end(t);
    if (!encode(t, class_text, problem_text, candidate))
        return;
    numbers[0] = htole64((uint64_t)pf_clock_ns());
    numbers[1] = htole64(t->room.size);
    numbers[2] = htole64(pf_checksum(0, t->room.data, t->room.size));
    memcpy(t->file + PF_TRIAL_SINCE_AT, numbers, sizeof numbers);
    memcpy(t->file + PF_TRIAL_HEAD_BYTES, t->room.data, t->room.size);
    snprintf(t->sentence, sizeof t->sentence,
             "the candidate %s %s crashes; that is noted, and the next build leaves it out", candidate->tactic,
             candidate->reason[0] ? candidate->reason : candidate->tuning);
    put_u32(t, PF_TRIAL_ACTIVE_AT, 1);
}

void pf_trial_end(pf_trial *t)
{
    put_u32(t, PF_TRIAL_ACTIVE_AT, 0);
}

/* ---- Crashes */

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct sigaction before[sizeof crashes / sizeof *crashes];

/* What another process sends is no crash of ours. */
static bool is_own(const siginfo_t *info)
{
    return info->si_code > 0 || info->si_pid == getpid();
}

/* Only what a signal handler may call.  It takes its course when this returns: a faulting instruction faults again, and
   what was sent is sent again. */
static void on_crash(int number, siginfo_t *info, void *context)
{
    pf_trial *t = atomic_load(&watched);
    void (*say)(const char *sentence) = atomic_load(&say_sentence);

    (void)context;
    if (t && is_own(info) && !stands_aside && *(volatile uint32_t *)(void *)(t->file + PF_TRIAL_ACTIVE_AT)) {
        put_u32(t, PF_TRIAL_SIGNAL_AT, (uint32_t)number);
        if (say)
            say(t->sentence);
    }
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        if (crashes[i] == number)
            sigaction(number, &before[i], NULL);
    if (info->si_code <= 0)
        raise(number);
}

void pf_trial_watch(void (*say)(const char *sentence))
{
    static atomic_flag watches = ATOMIC_FLAG_INIT;
    struct sigaction   action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    atomic_store(&say_sentence, say);
    if (atomic_flag_test_and_set(&watches))
        return;
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        sigaction(crashes[i], &action, &before[i]);
}

void pf_trial_stand_aside(void)
{
    stands_aside = true;
}
