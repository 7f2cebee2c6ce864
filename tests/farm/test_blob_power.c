/* Power cuts under the blob store (FARM: T5).  Every call by which the store changes its folder is recorded: files that
   are made, written, synced, renamed and removed, folders that are made and synced.  Then the power is cut after each
   of them.  Of what was not synced by then a random part is on the disk: sectors of files, and names, each for itself,
   as POSIX leaves it.  The store must then open, count right, hold every blob whose commit had returned, and hold
   nothing under a digest that has another one.
   A disk that forgets what it was told to sync must be found out.
   PF_CUTS=N: random cuts after each call (1; 200 with PF_LONG).  PF_SEED=N (1; today's with PF_LONG). */
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "cache/store.h"

enum { SECTOR = 512, OPS_MAX = 4000, FILES_MAX = 200, FILE_BYTES = 4096, NAMES_MAX = 1000, NAME_BYTES = 128, BLOBS = 12,
       MARKS_MAX = 200 };

typedef enum op_kind { MAKE_FOLDER, MAKE_FILE, WRITE, SYNC, SYNC_FOLDER, RENAME, REMOVE } op_kind;

typedef struct op {
    op_kind  kind;
    char     path[NAME_BYTES], to[NAME_BYTES];      /* below the store's folder; to: of RENAME */
    int      file;                                  /* its number, of MAKE_FILE, WRITE, SYNC */
    size_t   at, bytes;
    uint8_t *data;
} op;

static op     ops[OPS_MAX];
static int    ops_count, files_count, first_cut;
static ino_t  file_inode[FILES_MAX];                /* of the file that has this number */
static char   root[PATH_MAX];                       /* recorded are calls below it; "": none */
static bool   dry;  /* syncs are not carried out: what the disk would have is made up here */

/* What the journal says: from operation `count` on the blob must be there, or may be gone. */
typedef struct mark { pf_digest digest; int count; bool there; } mark;
static mark marks[MARKS_MAX];
static int  marks_count;

/* ---- in place of libc's */

static const char *below_root(const char *path)
{
    size_t bytes = strlen(root);

    return bytes && strncmp(path, root, bytes) == 0 && (path[bytes] == '/' || !path[bytes]) ? path + bytes : NULL;
}

static const char *path_of(int fd)
{
    static char path[PATH_MAX];
    char        link[64];
    ssize_t     bytes = 0;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    bytes = readlink(link, path, sizeof path - 1);
    path[bytes > 0 ? bytes : 0] = 0;
    return below_root(path);
}

static op *add_op(op_kind kind, const char *path)
{
    op *o = &ops[ops_count++];

    assert_true(ops_count <= OPS_MAX && strlen(path) < NAME_BYTES);
    *o = (op){ .kind = kind };
    snprintf(o->path, sizeof o->path, "%s", path);
    return o;
}

static int number_of(int fd)
{
    struct stat info = { 0 };

    for (int i = files_count - 1; i >= 0 && fstat(fd, &info) == 0; i--)
        if (file_inode[i] == info.st_ino)
            return i;
    return -1;
}

int open(const char *path, int flags, ...)
{
    va_list     more;
    mode_t      mode = 0;
    struct stat info = { 0 };
    bool        makes = (flags & O_CREAT) && below_root(path) && lstat(path, &info) != 0;
    int         fd = -1;

    va_start(more, flags);
    mode = flags & O_CREAT ? (mode_t)va_arg(more, int) : 0;
    va_end(more);
    fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && makes && fstat(fd, &info) == 0) {
        assert_true(files_count < FILES_MAX);
        add_op(MAKE_FILE, below_root(path))->file = files_count;
        file_inode[files_count++] = info.st_ino;
    }
    return fd;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    int     file = root[0] && path_of(fd) ? number_of(fd) : -1;
    off_t   at = file >= 0 ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t wrote = syscall(SYS_write, fd, data, bytes);

    if (file >= 0 && wrote > 0) {
        op *o = add_op(WRITE, "");
        o->file = file;
        o->at = (size_t)at;
        o->bytes = (size_t)wrote;
        assert_true(o->at + o->bytes <= FILE_BYTES);
        o->data = malloc(o->bytes);
        memcpy(o->data, data, o->bytes);
    }
    return wrote;
}

int fsync(int fd)
{
    const char *path = root[0] ? path_of(fd) : NULL;
    struct stat info = { 0 };

    if (path && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
        add_op(SYNC_FOLDER, path);
    else if (path)
        add_op(SYNC, "")->file = number_of(fd);
    return dry || path ? 0 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    int code = (int)syscall(SYS_rename, from, to);

    if (!code && below_root(from)) {
        op *o = add_op(RENAME, below_root(from));
        snprintf(o->to, sizeof o->to, "%s", below_root(to));
    }
    return code;
}

int unlink(const char *path)
{
    int code = (int)syscall(SYS_unlink, path);

    if (!code && below_root(path))
        add_op(REMOVE, below_root(path));
    return code;
}

int mkdir(const char *path, mode_t mode)
{
    int code = (int)syscall(SYS_mkdir, path, mode);

    if (!code && below_root(path))
        add_op(MAKE_FOLDER, below_root(path));
    return code;
}

/* ---- the run that is recorded */

/* Those of even seed are one write long, the others several. */
static size_t blob_of(unsigned seed, uint8_t out[FILE_BYTES])
{
    pf_random random = { 0 };
    size_t    bytes = 0;

    pf_random_init(&random, seed);
    bytes = 100 + pf_random_below(&random, 3000);
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(1 + pf_random_below(&random, 255));
    return bytes;
}

static void note(const pf_digest *digest, bool there)
{
    assert_true(marks_count < MARKS_MAX);
    marks[marks_count++] = (mark){ *digest, ops_count, there };
}

static void store_blob(pf_store *store, unsigned seed)
{
    static uint8_t   data[FILE_BYTES];
    size_t           bytes = blob_of(seed, data), part = seed % 2 ? 700 : bytes;
    pf_store_writer *writer = NULL;
    pf_digest        digest = { 0 };
    pf_err           err = { 0 };

    test_ok(pf_store_writer_open(store, NULL, UINT64_MAX, &writer, &err), &err);
    for (size_t at = 0; at < bytes; at += part)
        test_ok(pf_store_writer_add(writer, data + at, part < bytes - at ? part : bytes - at, &err), &err);
    test_ok(pf_store_writer_commit(writer, &digest, NULL, &err), &err);
    note(&digest, true);
}

static void remove_blob(pf_store *store, unsigned seed)
{
    static uint8_t data[FILE_BYTES];
    pf_digest      digest = { 0 };
    bool           removed = false;
    pf_err         err = { 0 };

    pf_digest_of(data, blob_of(seed, data), &digest);
    note(&digest, false);
    test_ok(pf_store_remove_unused(store, &digest, INT64_MAX, &removed, &err), &err);
    assert_true(removed);
}

/* What a writer leaves that is given up, or whose bytes are others than were promised. */
static void fail_to_store(pf_store *store)
{
    pf_store_writer *writer = NULL;
    pf_digest        other = { { 7 } };
    pf_err           err = { 0 };

    test_ok(pf_store_writer_open(store, &other, UINT64_MAX, &writer, &err), &err);
    test_ok(pf_store_writer_add(writer, "another one", 11, &err), &err);
    test_fails(pf_store_writer_commit(writer, NULL, NULL, &err), PF_MISMATCH, &err);
}

static int make_recording(void **state)
{
    pf_store *store = NULL;
    pf_err    err = { 0 };

    (void)state;
    snprintf(root, sizeof root, "%s", test_path("recorded"));
    for (unsigned life = 0; life < 3; life++) {
        test_ok(pf_store_open(root, 0, &store, &err), &err);
        first_cut = first_cut ? first_cut : ops_count;
        for (unsigned i = 0; i < BLOBS; i++)
            store_blob(store, life * BLOBS + i);
        fail_to_store(store);
        remove_blob(store, life * BLOBS + 1);
        store_blob(store, life * BLOBS + 1);            /* gone, and again */
        store_blob(store, life * BLOBS + 2);            /* there already */
        remove_blob(store, life * BLOBS + 3);
        pf_store_close(store);
    }
    root[0] = 0;
    print_message("%d calls\n", ops_count);
    return 0;
}

static int drop_recording(void **state)
{
    (void)state;
    for (int i = 0; i < ops_count; i++)
        free(ops[i].data);
    return 0;
}

/* ---- the disk at a power cut */

typedef struct name { char path[NAME_BYTES]; bool folder, gone; int file; } name;

typedef struct disk {
    name    names[NAMES_MAX];
    int     names_count;
    uint8_t data[FILES_MAX][FILE_BYTES];
    size_t  size[FILES_MAX];
} disk;

static name *find_name(disk *d, const char *path)
{
    for (int i = 0; i < d->names_count; i++)
        if (strcmp(d->names[i].path, path) == 0)
            return &d->names[i];
    return NULL;
}

static void put_name(disk *d, const char *path, bool folder, int file)
{
    name *n = find_name(d, path);

    if (!n) {
        assert_true(d->names_count < NAMES_MAX);
        n = &d->names[d->names_count++];
        snprintf(n->path, sizeof n->path, "%s", path);
    }
    n->folder = folder;
    n->file = file;
    n->gone = false;
}

static void drop_name(disk *d, const char *path)
{
    name *n = find_name(d, path);

    if (n)
        n->gone = true;
}

/* Whether the folder that holds path was synced between operation at and the cut. */
static bool name_synced(const char *path, int at, int count)
{
    char folder[NAME_BYTES];

    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    for (int i = at + 1; i + 1 < count; i++)
        if (ops[i].kind == SYNC_FOLDER && strcmp(ops[i].path, folder) == 0)
            return true;
    return false;
}

static bool data_synced(int file, int at, int count)
{
    for (int i = at + 1; i + 1 < count; i++)
        if (ops[i].kind == SYNC && ops[i].file == file)
            return true;
    return false;
}

static void put_sectors(disk *d, const op *o, bool all, pf_random *random)
{
    for (size_t done = 0; done < o->bytes;) {
        size_t left = SECTOR - (o->at + done) % SECTOR, take = left < o->bytes - done ? left : o->bytes - done;
        if (all || pf_random_below(random, 2)) {
            memcpy(d->data[o->file] + o->at + done, o->data + done, take);
            d->size[o->file] = o->at + done + take > d->size[o->file] ? o->at + done + take : d->size[o->file];
        }
        done += take;
    }
}

/* The number of the file that stands under path before operation at. */
static int file_at(const char *path, int at)
{
    while (--at >= 0) {
        if (ops[at].kind == MAKE_FILE && strcmp(ops[at].path, path) == 0)
            return ops[at].file;
        if (ops[at].kind == RENAME && strcmp(ops[at].to, path) == 0)
            return file_at(ops[at].path, at);
    }
    return -1;
}

/* What is on the disk when the power goes during the last of the first count operations.  forgetful: syncs did
   nothing. */
static void cut_power(int count, bool forgetful, pf_random *random, disk *d)
{
    memset(d, 0, sizeof *d);
    put_name(d, "", true, -1);
    for (int i = 0; i < count && i < ops_count; i++) {
        const op *o = &ops[i];
        if (o->kind == WRITE) {
            put_sectors(d, o, !forgetful && data_synced(o->file, i, count), random);
            continue;
        }
        if (o->kind == SYNC || o->kind == SYNC_FOLDER)
            continue;
        if ((!forgetful && name_synced(o->path, i, count)) || pf_random_below(random, 2)) {
            if (o->kind == MAKE_FOLDER || o->kind == MAKE_FILE)
                put_name(d, o->path, o->kind == MAKE_FOLDER, o->file);
            else
                drop_name(d, o->path);
        }
        if (o->kind == RENAME && ((!forgetful && name_synced(o->to, i, count)) || pf_random_below(random, 2)))
            put_name(d, o->to, false, file_at(o->path, i));
    }
}

/* Files whose folder is not there are lost with it. */
static void write_disk(const disk *d, const char *folder)
{
    char path[PATH_MAX];

    assert_int_equal(pf_dir_remove(folder, NULL), PF_OK);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < d->names_count; i++) {
            const name *n = &d->names[i];
            int         fd = -1;
            snprintf(path, sizeof path, "%s%s", folder, n->path);
            if (n->gone || n->folder != (pass == 0))
                continue;
            if (n->folder) {
                mkdir(path, 0777);
                continue;
            }
            fd = open(path, O_WRONLY | O_CREAT, 0600);
            if (fd < 0)
                continue;
            assert_int_equal(write(fd, d->data[n->file], d->size[n->file]), (ssize_t)d->size[n->file]);
            close(fd);
        }
}

/* ---- the store afterwards */

typedef struct counts { pf_store *store; uint64_t bytes, blobs, wrong; } counts;

static bool is_sound(const pf_store *store, const pf_digest *digest)
{
    pf_buf data = { 0 };
    bool   sound = false;

    pf_buf_init(&data, FILE_BYTES);
    sound = pf_store_read(store, digest, FILE_BYTES, &data, NULL) == PF_OK;
    pf_buf_clear(&data);
    return sound;
}

static bool count_blob(void *user, const pf_digest *digest, uint64_t bytes, int64_t used_wall_ns)
{
    counts *c = user;

    (void)used_wall_ns;
    c->bytes += bytes;
    c->blobs++;
    c->wrong += !is_sound(c->store, digest);
    return true;
}

/* The last mark before the cut decides; while a removal is under way both are right. */
static bool must_be_there(int m, int count)
{
    if (!marks[m].there || marks[m].count >= count)
        return false;
    for (int i = m + 1; i < marks_count && marks[i].count < count; i++)
        if (pf_digest_equal(&marks[i].digest, &marks[m].digest))
            return false;
    return true;
}

static const char *recovers(const char *folder, int count)
{
    counts      c = { 0 };
    const char *wrong = NULL;

    if (pf_store_open(folder, 0, &c.store, NULL))
        return "it does not open";
    for (int i = 0; i < marks_count; i++)
        if (must_be_there(i, count) && !is_sound(c.store, &marks[i].digest))
            wrong = "a blob that was acknowledged is lost";
    pf_store_walk(c.store, count_blob, &c, NULL);
    if (!wrong && c.wrong)
        wrong = "a blob has other bytes than its name says";
    if (!wrong && (c.bytes != pf_store_bytes_used(c.store) || c.blobs != pf_store_blob_count(c.store)))
        wrong = "the counts are of another time";
    pf_store_close(c.store);
    return wrong;
}

static const char *try_cut(int count, bool forgetful, pf_random *random)
{
    static disk d;
    char        folder[PATH_MAX];

    snprintf(folder, sizeof folder, "%s", test_path("cut"));
    cut_power(count, forgetful, random, &d);
    write_disk(&d, folder);
    return recovers(folder, count);
}

static void every_cut_keeps_what_was_acknowledged(void **state)
{
    uint64_t  seed = test_seed(), cuts = test_count("PF_CUTS", 1, 200), tried = 0;
    pf_random random = { 0 };

    (void)state;
    pf_random_init(&random, seed);
    dry = true;
    /* the folders are all alike */
    for (int count = 1; count <= ops_count + 1; count += count < first_cut - 4 ? 16 : 1)
        for (uint64_t i = 0; i < cuts; i++, tried++) {
            const char *wrong = try_cut(count, false, &random);
            if (wrong)
                fail_msg("PF_SEED=%llu: during call %d, cut %llu: %s", (unsigned long long)seed, count,
                         (unsigned long long)i, wrong);
        }
    dry = false;
    print_message("%llu power cuts\n", (unsigned long long)tried);
}

static void a_disk_that_syncs_nothing_is_found_out(void **state)
{
    pf_random random = { 0 };
    int       found = 0;

    (void)state;
    pf_random_init(&random, test_seed());
    dry = true;
    for (int i = 0; i < 20; i++)
        found += try_cut(ops_count, true, &random) != NULL;
    dry = false;
    assert_true(found > 10);
}

/* ---- damage of other kinds: found when read, removed by a check, and mended by the next who stores it */

typedef struct damage { const char *what; void (*make)(const char *path, size_t bytes); } damage;

static void shorten(const char *path, size_t bytes)
{
    assert_int_equal(truncate(path, (off_t)bytes / 2), 0);
}

static void empty(const char *path, size_t bytes)
{
    (void)bytes;
    assert_int_equal(truncate(path, 0), 0);
}

static void lengthen(const char *path, size_t bytes)
{
    assert_int_equal(truncate(path, (off_t)bytes + 1), 0);
}

static void overwrite(const char *path, const void *data, size_t bytes, off_t at)
{
    int fd = open(path, O_WRONLY);

    assert_int_equal(pwrite(fd, data, bytes, at), (ssize_t)bytes);
    close(fd);
}

static void flip(const char *path, size_t bytes)
{
    overwrite(path, "", 1, (off_t)bytes / 2);           /* no byte of a blob here is zero */
}

static void tear(const char *path, size_t bytes)
{
    static const uint8_t zeros[SECTOR];

    overwrite(path, zeros, bytes < SECTOR ? bytes : SECTOR, 0);
}

static void lose(const char *path, size_t bytes)
{
    (void)bytes;
    assert_int_equal(unlink(path), 0);
}

static const damage damages[] = {
    { "shortened", shorten }, { "emptied", empty }, { "lengthened", lengthen }, { "flipped", flip }, { "torn", tear },
    { "lost", lose },
};

static void try_damage(pf_store *store, const damage *kind, bool check)
{
    static uint8_t data[FILE_BYTES];
    size_t         bytes = blob_of(99, data);
    char           path[PATH_MAX];
    pf_digest      digest = { 0 };
    pf_status      wanted = kind->make == lose ? PF_NOT_FOUND : PF_CORRUPT;
    pf_err         err = { 0 };

    print_message("%s%s\n", kind->what, check ? ", then checked" : "");
    test_ok(pf_store_put(store, data, bytes, &digest, &err), &err);
    test_ok(pf_store_path(store, &digest, path, sizeof path, &err), &err);
    kind->make(path, bytes);
    assert_false(is_sound(store, &digest));
    if (check) {
        test_fails(pf_store_check(store, &digest, &err), wanted, &err);
        assert_false(pf_store_has(store, &digest, NULL));
    }
    test_ok(pf_store_put(store, data, bytes, &digest, &err), &err);
    assert_true(is_sound(store, &digest));
    test_ok(pf_store_check(store, &digest, &err), &err);
}

static void damaged_blobs_are_found_and_mended(void **state)
{
    pf_store *store = NULL;
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_store_open(test_path("damaged"), 0, &store, &err), &err);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        try_damage(store, &damages[i], false);
        try_damage(store, &damages[i], true);
    }
    pf_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_keeps_what_was_acknowledged),
        cmocka_unit_test(a_disk_that_syncs_nothing_is_found_out),
        cmocka_unit_test(damaged_blobs_are_found_and_mended),
    };

    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);        /* what is on the disk is made up here: memory does, and is quicker */
    return cmocka_run_group_tests(tests, make_recording, drop_recording);
}
