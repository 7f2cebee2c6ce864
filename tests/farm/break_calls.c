/* Loaded into the coordinator by LD_PRELOAD: makes chosen system calls fail, or kills the process at one.
   BREAK_FDATASYNC_FROM=N: the N-th and all later ones end with EIO.  BREAK_STATFS=MAGIC: what statfs says.
   BREAK_KILL=CALL:before:N or CALL:after:N, CALL one of pwrite writev write fdatasync fsync rename send: SIGKILL there. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define REAL(name, result, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) \
        real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

enum { CALLS = 7 };
static const char *const call_name[CALLS] = { "pwrite", "writev", "write", "fdatasync", "fsync", "rename", "send" };
enum { PWRITE, WRITEV, WRITE, FDATASYNC, FSYNC, RENAME, SEND };

static int  made[CALLS];                /* calls so far */
static int  chosen = -1;
static int  chosen_count;
static char chosen_after;

__attribute__((constructor)) static void choose(void)
{
    const char *text = getenv("BREAK_KILL"), *when = text ? strchr(text, ':') : NULL, *number = when ? strrchr(text, ':') : NULL;

    for (int i = 0; number && i < CALLS; i++)
        if (strncmp(text, call_name[i], (size_t)(when - text)) == 0 && call_name[i][when - text] == 0)
            chosen = i;
    if (number) {
        chosen_after = when[1] == 'a';
        chosen_count = (int)strtol(number + 1, NULL, 10);
    }
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
    ssize_t done = real(fd, data, bytes, at);

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
    int         number = before(FDATASYNC), done = 0;

    if (from && number >= strtol(from, NULL, 10)) {
        errno = EIO;
        return -1;
    }
    done = real(fd);
    after(FDATASYNC, number);
    return done;
}

int fsync(int fd)
{
    REAL("fsync", int, int);
    int number = before(FSYNC), done = real(fd);

    after(FSYNC, number);
    return done;
}

int rename(const char *from, const char *to)
{
    REAL("rename", int, const char *, const char *);
    int number = before(RENAME), done = real(from, to);

    after(RENAME, number);
    return done;
}

ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
    REAL("send", ssize_t, int, const void *, size_t, int);
    int     number = before(SEND);
    ssize_t done = real(fd, data, bytes, flags);

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
