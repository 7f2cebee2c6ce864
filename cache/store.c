#include "cache/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"

struct pf_store {
    char            *folder;
    uint64_t         limit_bytes;
    _Atomic uint64_t bytes_used, blob_count, removed_count;
    atomic_bool      removed_from[256];  /* folders whose removals may not last yet, by the first byte of the digests */
};

struct pf_store_writer {
    pf_store *store;
    int       fd;
    bool      failed, expecting;
    uint64_t  bytes, limit_bytes;
    pf_digest expect;
    pf_hash   hash;
    char      path[PATH_MAX];
};

enum { READ_CHUNK_BYTES = 1 << 18, USAGE_FILE_BYTES = 128 };

static pf_status join(const pf_store *store, const char *relative, char *out, size_t capacity, pf_err *err)
{
    return pf_path_join(store->folder, relative, out, capacity, err);
}

static void blob_name(const pf_digest *digest, char out[96])
{
    char hex[PF_DIGEST_HEX_BYTES] = "";

    pf_digest_to_hex(digest, hex);
    snprintf(out, 96, "sha256/%.2s/%s", hex, hex);
}

pf_status pf_store_path(const pf_store *store, const pf_digest *digest, char *out, size_t capacity, pf_err *err)
{
    char name[96] = "";

    blob_name(digest, name);
    return join(store, name, out, capacity, err);
}

/* ---- how much there is */

static bool count_blob(void *user, const pf_digest *digest, uint64_t bytes, int64_t used_wall_ns)
{
    pf_store *store = user;

    (void)digest;
    (void)used_wall_ns;
    store->bytes_used += bytes;
    store->blob_count++;
    return true;
}

/* Reads the counts of the last clean close, and removes them so that a crash is seen; else counts anew. */
static pf_status load_usage(pf_store *store, pf_err *err)
{
    char      path[PATH_MAX] = "";
    uint64_t  bytes = 0, count = 0;
    pf_buf    text = { 0 };
    pf_status st = join(store, "usage", path, sizeof path, err);

    if (st)
        return st;
    pf_buf_init(&text, USAGE_FILE_BYTES);
    if (pf_file_read(path, USAGE_FILE_BYTES - 1, &text, NULL) == PF_OK &&
        sscanf((const char *)text.data, "%" SCNu64 " bytes %" SCNu64 " blobs", &bytes, &count) == 2) {
        store->bytes_used = bytes;
        store->blob_count = count;
    } else {
        st = pf_store_walk(store, count_blob, store, err);
    }
    pf_buf_clear(&text);
    if (unlink(path) != 0 && errno != ENOENT && !st)
        st = PF_FAIL_ERRNO(err, "remove", path);
    return st;
}

/* Counts that last longer than a removal would count too little. */
static pf_status sync_removals(pf_store *store)
{
    char      path[PATH_MAX] = "";
    pf_digest digest = { 0 };
    pf_status st = PF_OK;

    for (int i = 0; i < 256 && !st; i++) {
        digest.byte[0] = (uint8_t)i;
        if (!store->removed_from[i])
            continue;
        st = pf_store_path(store, &digest, path, sizeof path, NULL);
        st = st ? st : pf_file_sync_name(path, NULL);
    }
    return st;
}

static void save_usage(pf_store *store)
{
    char path[PATH_MAX] = "", text[USAGE_FILE_BYTES] = "";

    if (sync_removals(store))
        return;
    snprintf(text, sizeof text, "%" PRIu64 " bytes %" PRIu64 " blobs\n", store->bytes_used, store->blob_count);
    if (join(store, "usage", path, sizeof path, NULL) == PF_OK)
        pf_file_write(path, text, strlen(text), NULL);      /* without it the next open counts */
}

uint64_t pf_store_bytes_used(const pf_store *store)
{
    return store->bytes_used;
}

uint64_t pf_store_blob_count(const pf_store *store)
{
    return store->blob_count;
}

uint64_t pf_store_removed_count(const pf_store *store)
{
    return store->removed_count;
}

/* ---- opening */

static pf_status make_folders(pf_store *store, pf_err *err)
{
    char      path[PATH_MAX] = "", part[16] = "";
    pf_status st = join(store, "tmp", path, sizeof path, err);

    if (!st)
        st = pf_dir_remove(path, err);
    if (!st)
        st = pf_dir_make(path, err);
    for (unsigned i = 0; i < 256 && !st; i++) {
        snprintf(part, sizeof part, "sha256/%02x", i);
        st = join(store, part, path, sizeof path, err);
        if (!st)
            st = pf_dir_make(path, err);
    }
    return st;
}

/* A blob lasts no longer than the folders that it is in; and counts that were removed must not come back. */
static pf_status sync_folders(const pf_store *store, pf_err *err)
{
    static const char *const inner[] = { "sha256/00", "sha256" };
    char                     path[PATH_MAX] = "";
    pf_status                st = pf_file_sync_name(store->folder, err);

    for (size_t i = 0; i < sizeof inner / sizeof inner[0] && !st; i++) {
        st = join(store, inner[i], path, sizeof path, err);
        if (!st)
            st = pf_file_sync_name(path, err);
    }
    return st;
}

pf_status pf_store_open(const char *folder, uint64_t limit_bytes, pf_store **out, pf_err *err)
{
    pf_status st = PF_OK;
    pf_store *store = pf_calloc(1, sizeof *store);

    *out = NULL;
    if (!store)
        return PF_FAIL_MEMORY(err, sizeof *store);
    store->limit_bytes = limit_bytes ? limit_bytes : UINT64_MAX;
    store->folder = pf_strdup(folder);
    st = store->folder ? make_folders(store, err) : PF_FAIL_MEMORY(err, strlen(folder));
    if (!st)
        st = load_usage(store, err);
    if (!st)
        st = sync_folders(store, err);
    if (!st) {
        *out = store;
        return PF_OK;
    }
    pf_free(store->folder);
    pf_free(store);
    return pf_err_add(err, st, "blob store %s", folder);
}

void pf_store_close(pf_store *store)
{
    if (!store)
        return;
    save_usage(store);
    pf_free(store->folder);
    pf_free(store);
}

/* ---- reading */

bool pf_store_has(const pf_store *store, const pf_digest *digest, uint64_t *bytes)
{
    char        path[PATH_MAX] = "";
    struct stat info = { 0 };

    if (pf_store_path(store, digest, path, sizeof path, NULL) || stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    if (bytes)
        *bytes = (uint64_t)info.st_size;
    return true;
}

/* Hashes all of fd and sets it back to its start. */
static pf_status verify_fd(int fd, const pf_digest *digest, const char *path, pf_err *err)
{
    uint8_t  *chunk = pf_alloc(READ_CHUNK_BYTES);
    pf_hash   hash;
    pf_digest found = { 0 };
    ssize_t   got = 0;
    pf_status st = PF_OK;

    if (!chunk)
        return PF_FAIL_MEMORY(err, READ_CHUNK_BYTES);
    pf_hash_init(&hash);
    for (;;) {
        got = read(fd, chunk, READ_CHUNK_BYTES);
        if (got > 0)
            pf_hash_add(&hash, chunk, (size_t)got);
        else if (got == 0 || errno != EINTR)
            break;
    }
    pf_hash_end(&hash, &found);
    if (got < 0 || lseek(fd, 0, SEEK_SET) != 0)
        st = PF_FAIL_ERRNO(err, "read", path);
    else if (!pf_digest_equal(&found, digest))
        st = PF_FAIL(err, PF_CORRUPT, "%s does not hold the bytes that its name says; remove it and store it again",
                     path);
    pf_free(chunk);
    return st;
}

pf_status pf_store_open_blob(const pf_store *store, const pf_digest *digest, bool verify, int *fd, uint64_t *bytes,
                             pf_err *err)
{
    char        path[PATH_MAX] = "";
    struct stat info = { 0 };
    int         opened = -1;
    pf_status   st = pf_store_path(store, digest, path, sizeof path, err);

    *fd = -1;
    *bytes = 0;
    if (st)
        return st;
    opened = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (opened < 0)
        return PF_FAIL_ERRNO(err, "open", path);
    if (fstat(opened, &info) != 0)
        st = PF_FAIL_ERRNO(err, "look at", path);
    else if (verify)
        st = verify_fd(opened, digest, path, err);
    if (st) {
        close(opened);
        return st;
    }
    *fd = opened;
    *bytes = (uint64_t)info.st_size;
    return PF_OK;
}

pf_status pf_store_read(const pf_store *store, const pf_digest *digest, size_t limit_bytes, pf_buf *out, pf_err *err)
{
    char      path[PATH_MAX] = "";
    size_t    before = out->size;
    pf_digest found = { 0 };
    pf_status st = pf_store_path(store, digest, path, sizeof path, err);

    if (!st)
        st = pf_file_read(path, limit_bytes, out, err);
    if (st)
        return st;
    pf_digest_of(out->data + before, out->size - before, &found);
    if (!pf_digest_equal(&found, digest))
        return PF_FAIL(err, PF_CORRUPT, "%s does not hold the bytes that its name says", path);
    return PF_OK;
}

pf_status pf_store_check(pf_store *store, const pf_digest *digest, pf_err *err)
{
    uint64_t  bytes = 0;
    int       fd = -1;
    pf_status st = pf_store_open_blob(store, digest, true, &fd, &bytes, err);

    if (fd >= 0)
        close(fd);
    if (st == PF_CORRUPT)
        pf_store_remove(store, digest, NULL);
    return st;
}

void pf_store_touch(const pf_store *store, const pf_digest *digest)
{
    char path[PATH_MAX] = "";

    if (pf_store_path(store, digest, path, sizeof path, NULL) == PF_OK)
        utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}

static void count_removed(pf_store *store, const pf_digest *digest, uint64_t bytes)
{
    store->bytes_used -= bytes;
    store->blob_count--;
    store->removed_count++;
    store->removed_from[digest->byte[0]] = true;
}

pf_status pf_store_remove(pf_store *store, const pf_digest *digest, pf_err *err)
{
    char        path[PATH_MAX] = "";
    struct stat info = { 0 };
    pf_status   st = pf_store_path(store, digest, path, sizeof path, err);

    if (st)
        return st;
    if (lstat(path, &info) != 0 || unlink(path) != 0)
        return PF_FAIL_ERRNO(err, "remove", path);
    count_removed(store, digest, (uint64_t)info.st_size);
    return PF_OK;
}

/* What is taken aside is found no more; a use that came just before shows in its time, and then it goes back. */
pf_status pf_store_remove_unused(pf_store *store, const pf_digest *digest, int64_t since_wall_ns, bool *removed,
                                 pf_err *err)
{
    char        path[PATH_MAX] = "", aside[PATH_MAX] = "", name[96] = "", hex[PF_DIGEST_HEX_BYTES] = "";
    struct stat info = { 0 };
    pf_status   st = pf_store_path(store, digest, path, sizeof path, err);

    *removed = false;
    pf_digest_to_hex(digest, hex);
    snprintf(name, sizeof name, "tmp/aside-%s", hex);
    if (!st)
        st = join(store, name, aside, sizeof aside, err);
    if (st)
        return st;
    if (rename(path, aside) != 0)
        return PF_FAIL_ERRNO(err, "take aside", path);
    if (lstat(aside, &info) != 0)
        return PF_FAIL_ERRNO(err, "look at", aside);
    if (info.st_mtim.tv_sec * PF_NS_PER_S + info.st_mtim.tv_nsec > since_wall_ns)
        return rename(aside, path) == 0 ? PF_OK : PF_FAIL_ERRNO(err, "put back", path);
    if (unlink(aside) != 0)
        return PF_FAIL_ERRNO(err, "remove", aside);
    count_removed(store, digest, (uint64_t)info.st_size);
    *removed = true;
    return PF_OK;
}

/* ---- writing */

static pf_status check_limits(const pf_store_writer *writer, uint64_t more, pf_err *err)
{
    uint64_t used = writer->store->bytes_used + writer->bytes;

    if (more > writer->limit_bytes - writer->bytes)
        return PF_FAIL(err, PF_NO_SPACE, "the object is larger than %" PRIu64 " bytes, which is the limit here",
                       writer->limit_bytes);
    if (used > writer->store->limit_bytes || more > writer->store->limit_bytes - used)
        return PF_FAIL(err, PF_NO_SPACE,
                       "the blob store holds its limit of %" PRIu64 " bytes; remove what is not needed",
                       writer->store->limit_bytes);
    return PF_OK;
}

pf_status pf_store_writer_open(pf_store *store, const pf_digest *expect, uint64_t limit_bytes, pf_store_writer **out,
                               pf_err *err)
{
    char             name[64] = "";
    uint64_t         random[2] = { 0 };
    pf_status        st = PF_OK;
    pf_store_writer *writer = pf_calloc(1, sizeof *writer);

    *out = NULL;
    if (!writer)
        return PF_FAIL_MEMORY(err, sizeof *writer);
    *writer = (pf_store_writer){ .store = store, .fd = -1, .limit_bytes = limit_bytes };
    if (expect) {
        writer->expect = *expect;
        writer->expecting = true;
    }
    pf_hash_init(&writer->hash);
    randombytes_buf(random, sizeof random);
    snprintf(name, sizeof name, "tmp/%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    st = check_limits(writer, 0, err);
    if (!st)
        st = join(store, name, writer->path, sizeof writer->path, err);
    if (!st) {
        writer->fd = open(writer->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (writer->fd < 0)
            st = PF_FAIL_ERRNO(err, "make", writer->path);
    }
    if (st) {
        pf_store_writer_abort(writer);
        return st;
    }
    *out = writer;
    return PF_OK;
}

static pf_status write_all(int fd, const uint8_t *data, size_t bytes, const char *path, pf_err *err)
{
    while (bytes > 0) {
        ssize_t wrote = write(fd, data, bytes);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return PF_FAIL_ERRNO(err, "write", path);
        data += wrote;
        bytes -= (size_t)wrote;
    }
    return PF_OK;
}

pf_status pf_store_writer_add(pf_store_writer *writer, const void *data, size_t bytes, pf_err *err)
{
    pf_status st = PF_OK;

    if (writer->failed)
        return PF_FAIL(err, PF_INVALID, "writing %s failed before", writer->path);
    st = check_limits(writer, bytes, err);
    if (!st)
        st = write_all(writer->fd, data, bytes, writer->path, err);
    if (st) {
        writer->failed = true;
        return st;
    }
    pf_hash_add(&writer->hash, data, bytes);
    writer->bytes += bytes;
    return PF_OK;
}

/* Renames the temporary file to its final name.  Two writers of one blob may meet here: both are right, and either
   makes the name last.  A damaged one is replaced. */
static pf_status publish(pf_store_writer *writer, const pf_digest *digest, bool *was_there, pf_err *err)
{
    char      path[PATH_MAX] = "";
    pf_status st = pf_store_path(writer->store, digest, path, sizeof path, err);

    if (st)
        return st;
    *was_there = pf_store_check(writer->store, digest, NULL) == PF_OK;
    if (*was_there) {
        pf_store_touch(writer->store, digest);
        return pf_file_sync_name(path, err);
    }
    if (fsync(writer->fd) != 0)
        return PF_FAIL_ERRNO(err, "sync", writer->path);
    if (rename(writer->path, path) != 0)
        return PF_FAIL_ERRNO(err, "publish", path);
    writer->path[0] = 0;
    writer->store->bytes_used += writer->bytes;
    writer->store->blob_count++;
    return pf_file_sync_name(path, err);
}

pf_status pf_store_writer_commit(pf_store_writer *writer, pf_digest *digest, bool *was_there, pf_err *err)
{
    pf_digest found = { 0 };
    bool      there = false;
    pf_status st = PF_OK;

    pf_hash_end(&writer->hash, &found);
    if (writer->failed)
        st = PF_FAIL(err, PF_INVALID, "writing %s failed before", writer->path);
    else if (writer->expecting && !pf_digest_equal(&found, &writer->expect))
        st = PF_FAIL(err, PF_MISMATCH, "the %" PRIu64 " bytes that came have another digest than their name says",
                     writer->bytes);
    else
        st = publish(writer, &found, &there, err);
    if (digest)
        *digest = found;
    if (was_there)
        *was_there = there;
    pf_store_writer_abort(writer);
    return st;
}

void pf_store_writer_abort(pf_store_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->fd >= 0 && writer->path[0])
        unlink(writer->path);
    pf_free(writer);
}

pf_status pf_store_put(pf_store *store, const void *data, size_t bytes, pf_digest *digest, pf_err *err)
{
    pf_store_writer *writer = NULL;
    pf_status        st = pf_store_writer_open(store, NULL, UINT64_MAX, &writer, err);

    if (st)
        return st;
    st = pf_store_writer_add(writer, data, bytes, err);
    if (st) {
        pf_store_writer_abort(writer);
        return st;
    }
    return pf_store_writer_commit(writer, digest, NULL, err);
}

/* ---- all of them */

/* Takes fd.  False when the visitor wants no more. */
static bool walk_folder(int fd, pf_store_visit *each, void *user)
{
    DIR           *dir = fdopendir(fd);
    struct dirent *entry = NULL;
    bool           more = true;

    if (!dir) {
        close(fd);
        return true;
    }
    while (more) {
        struct stat info = { 0 };
        pf_digest   digest = { 0 };
        entry = readdir(dir);
        if (!entry)
            break;
        if (!pf_digest_from_hex(entry->d_name, &digest) ||
            fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
            continue;
        more = each(user, &digest, (uint64_t)info.st_size, info.st_mtim.tv_sec * PF_NS_PER_S + info.st_mtim.tv_nsec);
    }
    closedir(dir);
    return more;
}

pf_status pf_store_walk(const pf_store *store, pf_store_visit *each, void *user, pf_err *err)
{
    char path[PATH_MAX] = "", part[16] = "";
    bool more = true;

    for (unsigned i = 0; i < 256 && more; i++) {
        pf_status st = PF_OK;
        int       fd = -1;
        snprintf(part, sizeof part, "sha256/%02x", i);
        st = join(store, part, path, sizeof path, err);
        if (st)
            return st;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return PF_FAIL_ERRNO(err, "list", path);
        more = walk_folder(fd, each, user);
    }
    return PF_OK;
}
