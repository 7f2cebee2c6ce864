#include "builder-agent/blob_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

enum { TURN_MS = 100, NAME_BYTES = 128 };

pf_status pf_blob_cache_init(pf_blob_cache *cache, const char *folder, uint64_t limit_bytes, pf_err *err)
{
    pf_status st = PF_OK;

    memset(cache, 0, sizeof *cache);
    cache->limit_bytes = limit_bytes;
    st = pf_path_join(folder, "blobs", cache->blobs, sizeof cache->blobs, err);
    if (!st)
        st = pf_path_join(folder, "locks", cache->locks, sizeof cache->locks, err);
    if (!st)
        st = pf_dir_make(cache->blobs, err);
    return st ? st : pf_dir_make(cache->locks, err);
}

/* The lock of all digests with these first two digits. */
static pf_status open_lock(const pf_blob_cache *cache, const char *hex, int *fd, pf_err *err)
{
    char      name[3] = { hex[0], hex[1], 0 }, path[PATH_MAX];
    pf_status st = pf_path_join(cache->locks, name, path, sizeof path, err);

    if (st)
        return st;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    return *fd < 0 ? PF_FAIL_ERRNO(err, "open", path) : PF_OK;
}

static uint64_t size_of(const char *path)
{
    struct stat info = { 0 };

    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

static bool is_of_size(const char *path, uint64_t bytes)
{
    return bytes == PF_BLOB_BYTES_UNKNOWN || size_of(path) == bytes;
}

/* Who knows the size compares the digest of the whole model later; of others nobody would see it. */
static bool is_sound(const char *path, const pf_digest *digest, uint64_t bytes)
{
    pf_digest found = { 0 };
    uint64_t  found_bytes = 0;

    if (access(path, R_OK) != 0 || !is_of_size(path, bytes))
        return false;
    return bytes != PF_BLOB_BYTES_UNKNOWN ||
           (pf_file_digest(path, &found, &found_bytes, NULL) == PF_OK && pf_digest_equal(&found, digest));
}

/* Waits while another process fetches; what it has fetched counts as progress. */
static pf_status wait_for_lock(const pf_blob_cache *cache, const char *path, const char *hex, uint64_t bytes, int fd,
                               pf_err *err)
{
    char partial[PATH_MAX + 32];

    snprintf(partial, sizeof partial, "%s.%.16s.partial", path, hex);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return PF_FAIL_ERRNO(err, "lock", cache->locks);
        if (cache->watch && !cache->watch(cache->user, size_of(partial), bytes == PF_BLOB_BYTES_UNKNOWN ? 0 : bytes))
            return PF_FAIL(err, PF_CANCELLED, "the transfer was stopped");
        pf_clock_sleep_ns(TURN_MS * PF_NS_PER_MS);
    }
    return PF_OK;
}

static pf_status fetch_once(pf_blob_cache *cache, const pf_digest *digest, uint64_t bytes, const char *path,
                            pf_err *err)
{
    if (cache->origin)
        return cache->origin(cache->user, path, err);
    return pf_transfer_get_blob(cache->transfer, digest, bytes, path, err);
}

static pf_status fetch(pf_blob_cache *cache, const pf_digest *digest, uint64_t bytes, const char *path, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = fetch_once(cache, digest, bytes, path, &why);

    if (st == PF_NO_SPACE) {        /* perhaps older models are what fills the disk */
        pf_blob_cache_trim(cache, 0);
        pf_err_clear(&why);
        st = fetch_once(cache, digest, bytes, path, &why);
    }
    if (st)
        return PF_FAIL(err, st, "%s", why.msg);
    return PF_OK;
}

static pf_status link_blob(pf_blob_cache *cache, const pf_digest *digest, uint64_t bytes, const char *path,
                           const char *target, pf_err *err)
{
    pf_status st = PF_OK;

    if (!is_sound(path, digest, bytes)) {
        unlink(path);
        st = fetch(cache, digest, bytes, path, err);
    }
    if (st)
        return st;
    if (!is_of_size(path, bytes)) {
        unlink(path);
        return PF_FAIL(err, PF_CORRUPT, "a file of the model has not the %" PRIu64 " bytes that its list says", bytes);
    }
    utimensat(AT_FDCWD, path, NULL, 0);
    return link(path, target) ? PF_FAIL_ERRNO(err, "make", target) : PF_OK;
}

pf_status pf_blob_cache_link(pf_blob_cache *cache, const pf_digest *digest, uint64_t bytes, const char *target,
                             pf_err *err)
{
    char      hex[PF_DIGEST_HEX_BYTES], path[PATH_MAX];
    int       fd = -1;
    pf_status st = PF_OK;

    pf_digest_to_hex(digest, hex);
    st = pf_path_join(cache->blobs, hex, path, sizeof path, err);
    if (!st)
        st = open_lock(cache, hex, &fd, err);
    if (!st)
        st = wait_for_lock(cache, path, hex, bytes, fd, err);
    if (!st)
        st = link_blob(cache, digest, bytes, path, target, err);
    if (fd >= 0)
        close(fd);
    if (!st)
        pf_blob_cache_trim(cache, cache->limit_bytes);
    return st;
}

/* ---- trimming */

typedef struct entry { char name[NAME_BYTES]; uint64_t bytes; int64_t used_ns; } entry;
typedef struct listing { entry *items; uint32_t count, capacity; uint64_t bytes; } listing;

static int older_first(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

static void add_entry(listing *list, int folder, const char *name)
{
    struct stat info = { 0 };
    entry      *item = NULL;

    if (strlen(name) < 64 || fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) || !S_ISREG(info.st_mode) ||
        pf_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items))
        return;
    item = &list->items[list->count++];
    snprintf(item->name, sizeof item->name, "%s", name);
    item->bytes = (uint64_t)info.st_size;
    item->used_ns = (int64_t)info.st_mtim.tv_sec * PF_NS_PER_S + info.st_mtim.tv_nsec;
    list->bytes += item->bytes;
}

static void list_blobs(const pf_blob_cache *cache, listing *list)
{
    DIR           *dir = opendir(cache->blobs);
    struct dirent *item = NULL;

    if (!dir)
        return;
    for (item = readdir(dir); item; item = readdir(dir))
        add_entry(list, dirfd(dir), item->d_name);
    closedir(dir);
    if (list->count)
        qsort(list->items, list->count, sizeof *list->items, older_first);
}

/* False when somebody holds it. */
static bool remove_blob(const pf_blob_cache *cache, const char *hex)
{
    char path[PATH_MAX];
    int  fd = -1;
    bool removed = false;

    if (open_lock(cache, hex, &fd, NULL))
        return false;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && pf_path_join(cache->blobs, hex, path, sizeof path, NULL) == PF_OK)
        removed = unlink(path) == 0;
    close(fd);
    return removed;
}

void pf_blob_cache_drop(pf_blob_cache *cache, const pf_digest *digest)
{
    char hex[PF_DIGEST_HEX_BYTES];

    pf_digest_to_hex(digest, hex);
    if (remove_blob(cache, hex))
        pf_log(PF_LOG_ERROR, "agent", "model_file_damaged removed=1 digest=%s", hex);
}

void pf_blob_cache_trim(pf_blob_cache *cache, uint64_t keep_bytes)
{
    listing list = { 0 };

    list_blobs(cache, &list);
    for (uint32_t i = 0; i < list.count && list.bytes > keep_bytes; i++) {
        if (!remove_blob(cache, list.items[i].name))
            continue;
        list.bytes -= list.items[i].bytes;
        pf_log(PF_LOG_INFO, "agent", "model_file_dropped digest=%s bytes=%" PRIu64, list.items[i].name,
               list.items[i].bytes);
    }
    pf_free(list.items);
}
