/* Loaded into the coordinator by LD_PRELOAD: makes chosen system calls fail, or kills the process at one.
   BREAK_FDATASYNC_FROM=N: the N-th and all later ones end with EIO.  BREAK_STATFS=MAGIC: what statfs says.
   BREAK_KILL=CALL:before:N or CALL:after:N, CALL one of pwrite writev write fdatasync fsync rename send: SIGKILL there.
   BREAK_FAIL=CALL:ERRNO:N: the N-th of these calls does nothing and ends with that error; ERRNO 0: it writes half.
   BREAK_WALL=FILE: its first 8 bytes, mapped, are the seconds by which the wall clock is wrong. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define REAL(name, result, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) \
        real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

enum { CALLS = 7 };
static const char *const call_name[CALLS] = { "pwrite", "writev", "write", "fdatasync", "fsync", "rename", "send" };
enum { PWRITE, WRITEV, WRITE, FDATASYNC, FSYNC, RENAME, SEND };

static int  made[CALLS];                /* calls so far */
static int  chosen = -1, failing = -1;
static int  chosen_count, failing_count, failing_code;
static char chosen_after;

/* CALL:WORD:N.  The call's index, -1 when there is none; *word is between the colons. */
static int parse(const char *name, const char **word, int *count)
{
    const char *text = getenv(name), *first = text ? strchr(text, ':') : NULL,
               *last = first ? strrchr(text, ':') : NULL;

    for (int i = 0; last && i < CALLS; i++)
        if (strncmp(text, call_name[i], (size_t)(first - text)) == 0 && call_name[i][first - text] == 0) {
            *word = first + 1;
            *count = (int)strtol(last + 1, NULL, 10);
            return i;
        }
    return -1;
}

__attribute__((constructor)) static void choose(void)
{
    const char *word = "";

    chosen = parse("BREAK_KILL", &word, &chosen_count);
    chosen_after = word[0] == 'a';
    failing = parse("BREAK_FAIL", &word, &failing_count);
    failing_code = failing >= 0 ? (int)strtol(word, NULL, 10) : 0;
}

/* The call is the one that fails; for a failing_code of 0 *bytes is halved instead. */
static int fails(int call, int number, size_t *bytes)
{
    if (call != failing || number != failing_count)
        return 0;
    if (failing_code == 0) {
        *bytes /= 2;
        return 0;
    }
    errno = failing_code;
    return 1;
}

/* Counts the call; the number is for the look behind it. */
static int before(int call)
{
    int number = __atomic_add_fetch(&made[call], 1, __ATOMIC_RELAXED);

    if (call == chosen && !chosen_after && number == chosen_count)
        raise(SIGKILL);
    return number;
}

static void after(int call, int number)
{
    int code = errno;

    if (call == chosen && chosen_after && number == chosen_count)
        raise(SIGKILL);
    errno = code;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    REAL("pwrite", ssize_t, int, const void *, size_t, off_t);
    int     number = before(PWRITE);
    ssize_t done = fails(PWRITE, number, &bytes) ? -1 : real(fd, data, bytes, at);

    after(PWRITE, number);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL("writev", ssize_t, int, const struct iovec *, int);
    int     number = before(WRITEV);
    ssize_t done = real(fd, parts, count);

    after(WRITEV, number);
    return done;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    REAL("write", ssize_t, int, const void *, size_t);
    int     number = before(WRITE);
    ssize_t done = real(fd, data, bytes);

    after(WRITE, number);
    return done;
}

int fdatasync(int fd)
{
    REAL("fdatasync", int, int);
    const char *from = getenv("BREAK_FDATASYNC_FROM");
    size_t      none = 0;
    int         number = before(FDATASYNC), done = 0;

    if (from && number >= strtol(from, NULL, 10)) {
        errno = EIO;
        return -1;
    }
    done = fails(FDATASYNC, number, &none) ? -1 : real(fd);
    after(FDATASYNC, number);
    return done;
}

int fsync(int fd)
{
    REAL("fsync", int, int);
    size_t none = 0;
    int    number = before(FSYNC), done = fails(FSYNC, number, &none) ? -1 : real(fd);

    after(FSYNC, number);
    return done;
}

int rename(const char *from, const char *to)
{
    REAL("rename", int, const char *, const char *);
    size_t none = 0;
    int    number = before(RENAME), done = fails(RENAME, number, &none) ? -1 : real(from, to);

    after(RENAME, number);
    return done;
}

ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
    REAL("send", ssize_t, int, const void *, size_t, int);
    int     number = before(SEND);
    ssize_t done = fails(SEND, number, &bytes) ? -1 : real(fd, data, bytes, flags);

    after(SEND, number);
    return done;
}

int statfs(const char *path, struct statfs *info)
{
    REAL("statfs", int, const char *, struct statfs *);
    const char *magic = getenv("BREAK_STATFS");
    int         result = real(path, info);

    if (result == 0 && magic)
        info->f_type = strtol(magic, NULL, 16);
    return result;
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    REAL("clock_gettime", int, clockid_t, struct timespec *);
    static const int64_t *wrong;
    const char           *path = wrong ? NULL : getenv("BREAK_WALL");
    int                   fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1, result = real(id, out);

    if (fd >= 0) {
        wrong = mmap(NULL, sizeof *wrong, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (result == 0 && id == CLOCK_REALTIME && wrong && wrong != MAP_FAILED)
        out->tv_sec += *wrong;
    return result;
}
