#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 64 * 1024, NAME_ATTEMPTS = 8 };

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* O_NONBLOCK, so that a pipe put in place of a file cannot stop the program. */
static pf_status open_regular(const char *path, int *fd, uint64_t *bytes, pf_err *err)
{
    struct stat info = {0};

    *bytes = 0;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return PF_FAIL_ERRNO(err, "open", path);
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode)) {
        *bytes = (uint64_t)info.st_size;
        return PF_OK;
    }
    close(*fd);
    *fd = -1;
    return PF_FAIL(err, PF_INVALID, "%s is not a regular file; give the path of a file", path);
}

/* ---- Mappings: those that are known can be forgotten; any beyond the table stay in memory, and work all the same */

enum { MAPPINGS_KNOWN = 64 };

static pf_mapping      known_mapping[MAPPINGS_KNOWN];
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

/* Puts to in the place of from. */
static void exchange_known(const uint8_t *from, const pf_mapping *to)
{
    int i = 0;

    pthread_mutex_lock(&known_lock);
    while (i < MAPPINGS_KNOWN && known_mapping[i].data != from)
        i++;
    if (i < MAPPINGS_KNOWN)
        known_mapping[i] = *to;
    pthread_mutex_unlock(&known_lock);
}

/* The whole pages that hold bytes of both. */
static void forget_pages(const pf_mapping *mapping, uintptr_t first, uintptr_t end)
{
    uintptr_t start = (uintptr_t)mapping->data, page = (uintptr_t)sysconf(_SC_PAGESIZE);

    first = first > start ? first / page * page : start;
    end = end < start + mapping->bytes ? end : start + mapping->bytes;
    if (first < end)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

void pf_file_forget(const void *data, size_t bytes)
{
    pthread_mutex_lock(&known_lock);
    for (int i = 0; i < MAPPINGS_KNOWN; i++)
        if (known_mapping[i].data)
            forget_pages(&known_mapping[i], (uintptr_t)data, (uintptr_t)data + bytes);
    pthread_mutex_unlock(&known_lock);
}

pf_status pf_file_map(const char *path, pf_mapping *out, pf_err *err)
{
    static const uint8_t nothing[1];
    int                  fd = -1;
    uint64_t             bytes = 0;
    void                *data = NULL;
    pf_status            status = PF_OK;

    *out = (pf_mapping){0};
    status = open_regular(path, &fd, &bytes, err);
    if (status)
        return status;
    if (bytes == 0) {
        out->data = nothing;
        goto out;
    }
    data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        status = PF_FAIL_ERRNO(err, "map", path);
        goto out;
    }
    *out = (pf_mapping){.data = data, .bytes = bytes};
    exchange_known(NULL, out);
out:
    close(fd);
    return status;
}

void pf_file_unmap(pf_mapping *mapping)
{
    static const pf_mapping none;

    if (mapping->bytes)
        exchange_known(mapping->data, &none);
    if (mapping->bytes)
        munmap((void *)(uintptr_t)mapping->data, mapping->bytes);
    *mapping = (pf_mapping){0};
}

/* Like read(2), but goes on after a signal. */
static ssize_t read_some(int fd, void *out, size_t bytes)
{
    ssize_t got = -1;

    do {
        got = read(fd, out, bytes);
    } while (got < 0 && errno == EINTR);
    return got;
}

static pf_status read_all(int fd, const char *path, pf_buf *out, pf_err *err)
{
    uint8_t chunk[CHUNK_BYTES];
    ssize_t got = 1;

    while (got > 0) {
        got = read_some(fd, chunk, sizeof chunk);
        if (got < 0)
            return PF_FAIL_ERRNO(err, "read", path);
        if (pf_buf_put(out, chunk, (size_t)got))
            continue;
        if ((size_t)got > out->limit - out->size)
            return PF_FAIL(err, PF_NO_SPACE, "%s holds more than the allowed %zu bytes", path, out->limit);
        return PF_FAIL_MEMORY(err, out->size + (size_t)got);
    }
    return PF_OK;
}

pf_status pf_file_read(const char *path, size_t limit_bytes, pf_buf *out, pf_err *err)
{
    int       fd = -1;
    uint64_t  bytes = 0;
    pf_status status = PF_OK;

    pf_buf_init(out, limit_bytes);
    status = open_regular(path, &fd, &bytes, err);
    if (!status && bytes > limit_bytes)
        status = PF_FAIL(err, PF_NO_SPACE, "%s holds %" PRIu64 " bytes, more than the allowed %zu", path, bytes,
                         limit_bytes);
    if (!status)
        status = read_all(fd, path, out, err);
    if (status)
        pf_buf_clear(out);
    close_if_open(fd);
    return status;
}

pf_status pf_file_digest(const char *path, pf_digest *digest, uint64_t *bytes, pf_err *err)
{
    uint8_t   chunk[CHUNK_BYTES];
    pf_hash   hash;
    int       fd = -1;
    ssize_t   got = 1;
    uint64_t  total = 0;
    pf_status status = PF_OK;

    memset(digest, 0, sizeof *digest);
    *bytes = 0;
    status = open_regular(path, &fd, &total, err);
    if (status)
        return status;
    pf_hash_init(&hash);
    for (total = 0; got > 0; total += (uint64_t)got) {
        got = read_some(fd, chunk, sizeof chunk);
        if (got < 0) {
            status = PF_FAIL_ERRNO(err, "read", path);
            goto out;
        }
        pf_hash_add(&hash, chunk, (size_t)got);
    }
    pf_hash_end(&hash, digest);
    *bytes = total;
out:
    close(fd);
    return status;
}

pf_status pf_file_target(const char *path, char *out, pf_err *err)
{
    char        folder[PATH_MAX];
    struct stat info = {0};
    bool        is_there = stat(path, &info) == 0;

    out[0] = 0;
    if (is_there && !S_ISREG(info.st_mode))
        return PF_FAIL(err, PF_INVALID, "cannot write %s: it is there and is no file; give the path of a file", path);
    if (snprintf(out, PATH_MAX, "%s", path) >= PATH_MAX)
        return PF_FAIL(err, PF_INVALID, "the path %s is too long", path);
    if (is_there && lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && !realpath(path, out))
        return PF_FAIL_ERRNO(err, "follow", path);
    pf_path_folder(out, folder);
    return access(folder, W_OK | X_OK) ? PF_FAIL_ERRNO(err, "write", path) : PF_OK;
}

/* A name beside path.  It is drawn: process numbers are not unique on a volume that several containers share. */
static pf_status draw_name(const char *path, char *name, size_t capacity, pf_err *err)
{
    uint64_t drawn = 0;

    if (getentropy(&drawn, sizeof drawn))
        return PF_FAIL_ERRNO(err, "draw a temporary name for", path);
    if (snprintf(name, capacity, "%s.%016" PRIx64 ".tmp", path, drawn) >= (int)capacity)
        return PF_FAIL(err, PF_INVALID, "the path %s is too long", path);
    return PF_OK;
}

static pf_status create_temporary(const char *path, char *name, size_t capacity, int *fd, pf_err *err)
{
    *fd = -1;
    errno = EEXIST;
    for (int i = 0; *fd < 0 && errno == EEXIST && i < NAME_ATTEMPTS; i++) {
        pf_status status = draw_name(path, name, capacity, err);

        if (status)
            return status;
        *fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    return *fd < 0 ? PF_FAIL_ERRNO(err, "create a file beside", path) : PF_OK;
}

static bool write_all(int fd, const uint8_t *data, size_t bytes)
{
    while (bytes) {
        ssize_t put = write(fd, data, bytes);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        data += put;
        bytes -= (size_t)put;
    }
    return true;
}

pf_status pf_file_sync_name(const char *path, pf_err *err)
{
    char      folder[PATH_MAX];
    int       fd = -1;
    pf_status status = PF_OK;

    pf_path_folder(path, folder);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        status = PF_FAIL_ERRNO(err, "make lasting a change in", folder);
    close_if_open(fd);
    return status;
}

static pf_status write_file(const char *path, const void *data, size_t bytes, bool lasting, pf_err *err)
{
    char      target[PATH_MAX], temporary[PATH_MAX] = "";
    int       fd = -1;
    pf_status status = pf_file_target(path, target, err);

    if (!status)
        status = create_temporary(target, temporary, sizeof temporary, &fd, err);
    if (status)
        return status;
    if (!write_all(fd, data, bytes) || (lasting && fsync(fd))) {
        status = PF_FAIL_ERRNO(err, "write", path);
        goto out;
    }
    if (rename(temporary, target)) {
        status = PF_FAIL_ERRNO(err, "replace", path);
        goto out;
    }
    temporary[0] = 0;
    status = lasting ? pf_file_sync_name(target, err) : PF_OK;
out:
    close(fd);
    if (temporary[0])
        unlink(temporary);
    return status;
}

pf_status pf_file_write(const char *path, const void *data, size_t bytes, pf_err *err)
{
    return write_file(path, data, bytes, true, err);
}

pf_status pf_file_put(const char *path, const void *data, size_t bytes, pf_err *err)
{
    return write_file(path, data, bytes, false, err);
}

/* ---- Files without a name */

pf_status pf_file_unnamed(const char *folder, int *fd, pf_err *err)
{
    *fd = folder ? open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666) : -1;
    if (*fd < 0)
        *fd = memfd_create("planfarm", MFD_CLOEXEC);
    return *fd < 0 ? PF_FAIL_ERRNO(err, "make", "a file without a name") : PF_OK;
}

/* What to call a file that has no name: "a file in FOLDER". */
static void describe_unnamed(int fd, char *out, size_t capacity)
{
    char    self[64], path[PATH_MAX] = "";
    char   *slash = NULL;
    ssize_t bytes = 0;

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    bytes = readlink(self, path, sizeof path - 1);
    slash = bytes > 0 ? strrchr(path, '/') : NULL;
    if (!slash || slash == path) {
        snprintf(out, capacity, "a file in memory");
        return;
    }
    *slash = 0;
    snprintf(out, capacity, "a file in %s", path);
}

pf_status pf_file_write_at(int fd, const void *data, size_t bytes, uint64_t offset, pf_err *err)
{
    const uint8_t *from = data;

    while (bytes) {
        ssize_t put = pwrite(fd, from, bytes, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            char what[PATH_MAX + 16];
            int  why = errno;

            describe_unnamed(fd, what, sizeof what);
            errno = why;
            return PF_FAIL_ERRNO(err, "write", what);
        }
        from += put;
        offset += (uint64_t)put;
        bytes -= (size_t)put;
    }
    return PF_OK;
}

pf_status pf_file_map_unnamed(int fd, pf_mapping *out, pf_err *err)
{
    struct stat info = {0};
    void       *data = MAP_FAILED;

    *out = (pf_mapping){0};
    if (!fstat(fd, &info))
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return PF_FAIL_ERRNO(err, "map", "a file without a name");
    *out = (pf_mapping){.data = data, .bytes = (size_t)info.st_size};
    exchange_known(NULL, out);
    return PF_OK;
}

/* A link to the file, under a name that is not there yet. */
static pf_status link_temporary(int fd, const char *path, char *name, size_t capacity, pf_err *err)
{
    char        self[64];
    struct stat info = {0};
    pf_status   status = PF_OK;

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (fstat(fd, &info) || info.st_nlink)
        return PF_FAIL(err, PF_UNSUPPORTED, "the file for %s has a name already", path);
    for (int i = 0; i < NAME_ATTEMPTS; i++) {
        status = draw_name(path, name, capacity, err);
        if (status)
            return status;
        if (!linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW))
            return PF_OK;
        if (errno != EEXIST)
            break;
    }
    name[0] = 0;
    return PF_FAIL(err, PF_UNSUPPORTED, "the file cannot get the name %s: %s", path, strerror(errno));
}

pf_status pf_file_name(int fd, const char *path, pf_err *err)
{
    char      target[PATH_MAX], temporary[PATH_MAX] = "";
    pf_status status = pf_file_target(path, target, err);

    if (!status)
        status = link_temporary(fd, target, temporary, sizeof temporary, err);
    if (status)
        return status;
    if (!fsync(fd) && !rename(temporary, target))
        return pf_file_sync_name(target, err);
    status = PF_FAIL_ERRNO(err, "write", path);
    unlink(temporary);
    return status;
}

bool pf_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
