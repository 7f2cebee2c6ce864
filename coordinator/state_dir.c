#include "coordinator/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "coordinator/state_format.h"

/* File systems that answer before the bytes are safe, or whose locks and mappings are not shared as LMDB needs.
   Numbers from statfs(2) and linux/magic.h. */
static const struct file_system { uint32_t magic; const char *name; } refused[] = {
    { 0x6969, "NFS" },          { 0x517b, "SMB" },        { 0xff534d42, "CIFS" },  { 0xfe534d42, "SMB2" },
    { 0x5346414f, "AFS" },      { 0x6b414653, "AFS" },    { 0x00c36400, "Ceph" },  { 0x01021997, "9P" },
    { 0x65735546, "FUSE" },     { 0x0bd00bd0, "Lustre" }, { 0x47504653, "GPFS" },  { 0x73757245, "Coda" },
    { 0x01161970, "GFS2" },     { 0x7461636f, "OCFS2" },  { 0x564c, "NCP" },
};

enum { OVERLAY_MAGIC = 0x794c7630 };

static pf_status check_file_system(const char *path, pf_err *err)
{
    struct statfs info = { 0 };

    if (statfs(path, &info) != 0)
        return PF_FAIL_ERRNO(err, "look at", path);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if ((uint32_t)info.f_type == refused[i].magic)
            return PF_FAIL(err, PF_UNSUPPORTED,
                           "%s lies on %s, which does not keep a database safe; give --state a folder "
                           "on a local disk",
                           path, refused[i].name);
    if ((uint32_t)info.f_type == OVERLAY_MAGIC)
        pf_log(PF_LOG_WARN, "state", "overlay path=%s hint=\"a container's layer is lost with the container\"", path);
    return PF_OK;
}

pf_status pf_state_dir_join(const pf_state_dir *dir, const char *name, char *out, size_t capacity, pf_err *err)
{
    return pf_path_join(dir->path, name, out, capacity, err);
}

static pf_status take_lock(pf_state_dir *dir, pf_err *err)
{
    char      path[PATH_MAX] = "";
    pf_status st = pf_state_dir_join(dir, "lock", path, sizeof path, err);

    if (st)
        return st;
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (dir->lock_fd < 0)
        return PF_FAIL_ERRNO(err, "open", path);
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return PF_OK;
    if (errno != EWOULDBLOCK)
        return PF_FAIL_ERRNO(err, "lock", path);
    return PF_FAIL(err, PF_BUSY, "another coordinator runs on %s; stop it first, or give another --state", dir->path);
}

pf_status pf_state_dir_open(const char *path, uint64_t reserve_bytes, bool any_file_system, pf_state_dir *out,
                            pf_err *err)
{
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    out->lock_fd = -1;
    out->reserve_bytes = reserve_bytes;
    if ((size_t)snprintf(out->path, sizeof out->path, "%s", path) >= sizeof out->path - 64)
        return PF_FAIL(err, PF_INVALID, "the path of the state folder is too long");
    st = pf_dir_make(path, err);
    if (!st && !any_file_system)
        st = check_file_system(path, err);
    if (!st)
        st = take_lock(out, err);
    if (!st)
        st = pf_state_format_open(out, err);
    if (!st)
        pf_state_dir_reserve(out);
    if (st)
        pf_state_dir_close(out);
    return st;
}

void pf_state_dir_close(pf_state_dir *dir)
{
    if (dir->lock_fd >= 0)
        close(dir->lock_fd);
    dir->lock_fd = -1;
}

uint64_t pf_state_dir_free_bytes(const pf_state_dir *dir)
{
    struct statvfs info = { 0 };

    if (statvfs(dir->path, &info) != 0)
        return 0;
    return (uint64_t)info.f_bavail * info.f_frsize;
}

bool pf_state_dir_release(pf_state_dir *dir)
{
    char path[PATH_MAX] = "";

    if (!dir->reserved || pf_state_dir_join(dir, "reserve", path, sizeof path, NULL))
        return false;
    dir->reserved = false;
    return unlink(path) == 0;
}

bool pf_state_dir_reserve(pf_state_dir *dir)
{
    char path[PATH_MAX] = "";
    int  fd = -1, failed = 0;

    if (dir->reserved || dir->reserve_bytes == 0)
        return true;
    if (pf_state_dir_join(dir, "reserve", path, sizeof path, NULL))
        return false;
    unlink(path);
    if (pf_state_dir_free_bytes(dir) < 2 * dir->reserve_bytes)
        return false;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    failed = posix_fallocate(fd, 0, (off_t)dir->reserve_bytes);
    close(fd);
    if (failed)
        unlink(path);
    dir->reserved = !failed;
    return dir->reserved;
}
