/* Loaded into the coordinator by LD_PRELOAD: makes chosen system calls fail.
   BREAK_FDATASYNC_FROM=N: the N-th and all later ones end with EIO.  BREAK_STATFS=MAGIC: what statfs says. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

int fdatasync(int fd)
{
    static int         count;
    static int       (*real)(int);
    const char        *from = getenv("BREAK_FDATASYNC_FROM");

    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (from && __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) >= strtol(from, NULL, 10)) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int statfs(const char *path, struct statfs *info)
{
    static int (*real)(const char *, struct statfs *);
    const char  *magic = getenv("BREAK_STATFS");
    int          result = 0;

    if (!real)
        real = (int (*)(const char *, struct statfs *))dlsym(RTLD_NEXT, "statfs");
    result = real(path, info);
    if (result == 0 && magic)
        info->f_type = strtol(magic, NULL, 16);
    return result;
}
