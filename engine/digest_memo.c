#include "engine/digest_memo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

enum { TEXT_BYTES = 512, PATH_BYTES = 4096 };

/* A file written to within this time may be written to again without its times changing. */
#define SETTLE_NS (2 * PF_NS_PER_S)

typedef struct facts {
    uint64_t bytes, inode, device;
    int64_t  modified_ns, changed_ns;
} facts;

static int64_t to_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * PF_NS_PER_S + t->tv_nsec;
}

static pf_status read_facts(const char *path, facts *out, pf_err *err)
{
    struct stat s;

    if (stat(path, &s))
        return PF_FAIL(err, errno == ENOENT ? PF_NOT_FOUND : PF_IO, "%s: %s", path, strerror(errno));
    *out = (facts){ (uint64_t)s.st_size, s.st_ino, s.st_dev, to_ns(&s.st_mtim), to_ns(&s.st_ctim) };
    return PF_OK;
}

static bool same_facts(const facts *a, const facts *b)
{
    return a->bytes == b->bytes && a->inode == b->inode && a->device == b->device && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

static pf_status entry_path(const char *path, char *out, size_t capacity, pf_err *err)
{
    char      folder[PATH_BYTES], name[PF_DIGEST_HEX_BYTES + 16];
    char      hex[PF_DIGEST_HEX_BYTES];
    pf_digest key;
    pf_status st = pf_path_user_cache(folder, sizeof folder, err);

    if (st)
        return st;
    pf_digest_of(path, strlen(path), &key);
    pf_digest_to_hex(&key, hex);
    snprintf(name, sizeof name, "digests/%s", hex);
    return pf_path_join(folder, name, out, capacity, err);
}

/* One line: the facts that must hold, then the digest. */
static void print_facts(const facts *f, char out[TEXT_BYTES])
{
    snprintf(out, TEXT_BYTES, "planfarm-digest 1 %llu %llu %llu %lld %lld ", (unsigned long long)f->bytes,
             (unsigned long long)f->device, (unsigned long long)f->inode, (long long)f->modified_ns,
             (long long)f->changed_ns);
}

static bool recall(const char *entry, const facts *f, pf_digest *digest)
{
    char   head[TEXT_BYTES], hex[PF_DIGEST_HEX_BYTES];
    pf_buf text;
    pf_err ignored = { 0 };
    bool   good = false;

    print_facts(f, head);
    pf_buf_init(&text, TEXT_BYTES);
    if (!pf_file_read(entry, TEXT_BYTES, &text, &ignored) && text.size == strlen(head) + PF_DIGEST_HEX_BYTES &&
        !memcmp(text.data, head, strlen(head)) && text.data[text.size - 1] == '\n') {
        memcpy(hex, text.data + strlen(head), PF_DIGEST_HEX_BYTES - 1);
        hex[PF_DIGEST_HEX_BYTES - 1] = 0;
        good = pf_digest_from_hex(hex, digest);
    }
    pf_buf_clear(&text);
    return good;
}

static void remember(const char *entry, const facts *f, const pf_digest *digest)
{
    char   text[TEXT_BYTES], folder[PATH_BYTES], hex[PF_DIGEST_HEX_BYTES];
    pf_err err = { 0 };

    if (pf_clock_wall_ns() - f->changed_ns < SETTLE_NS)
        return;
    print_facts(f, text);
    pf_digest_to_hex(digest, hex);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", hex);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(entry, '/') - entry), entry);
    if (pf_dir_make(folder, &err) || pf_file_write(entry, text, strlen(text), &err))
        pf_log(PF_LOG_DEBUG, "digest", "not-remembered reason=\"%s\"", err.msg);
}

static pf_status hash_file(const char *path, const facts *before, pf_digest *digest, pf_err *err)
{
    facts     after = { 0 };
    uint64_t  bytes = 0;
    pf_status st = pf_file_digest(path, digest, &bytes, err);

    if (!st)
        st = read_facts(path, &after, err);
    if (!st && !same_facts(before, &after))
        st = PF_FAIL(err, PF_BUSY, "%s changed while it was read; try again when it is complete", path);
    return st;
}

pf_status pf_digest_memo_file(const char *path, pf_digest *digest, uint64_t *bytes, pf_err *err)
{
    char      entry[PATH_BYTES] = "";
    facts     f = { 0 };
    pf_err    no_cache = { 0 };
    pf_status st = PF_OK;
    bool      cached = false;

    *digest = (pf_digest){ 0 };
    *bytes = 0;
    st = read_facts(path, &f, err);
    if (st)
        return st;
    cached = f.bytes >= PF_DIGEST_MEMO_LEAST_BYTES && !entry_path(path, entry, sizeof entry, &no_cache);
    if (!cached || !recall(entry, &f, digest)) {
        st = hash_file(path, &f, digest, err);
        if (!st && cached)
            remember(entry, &f, digest);
    }
    *bytes = st ? 0 : f.bytes;
    return st;
}
