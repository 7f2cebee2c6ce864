/* Power cuts (FARM: T5).  Everything that LMDB writes to the job database is recorded, with its syncs; then the power
   is cut after each of the writes, and of what was not synced by then a random set of 512-byte sectors reaches the
   disk.  The database must then open and hold exactly what one of two commits left: the last that had returned, or the
   one that was being made.  A third kind of disk, which forgets what it was told to sync, must be found out, or this
   test would see nothing.  PF_CUTS=N: random cuts after each write (2; 200 with PF_LONG).  PF_SEED=N (1; today's with
   PF_LONG). */
#include "tests/farm/core_rig.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "coordinator/db.h"
#include "coordinator/rows.h"

enum { SECTOR = 512, FILE_MAX = 4 << 20, OPS_MAX = 20000, COMMITS_MAX = 1000, MAP_BYTES = 64 << 20, JOBS = 24 };

/* durable: of a descriptor that syncs itself */
typedef struct op { bool sync, durable; size_t at, bytes; uint8_t *data; } op;

static op       ops[OPS_MAX];
static uint32_t ops_count;
static ino_t    recorded_inode;         /* 0: nothing is recorded */

/* What the rows were after each commit, and how many operations had been recorded when it returned. */
static uint64_t commit_rows[COMMITS_MAX];
static uint32_t commit_end[COMMITS_MAX], commits_count;

/* ---- in place of libc's: LMDB calls these */

static bool is_recorded(int fd)
{
    struct stat info = { 0 };

    return recorded_inode && fstat(fd, &info) == 0 && info.st_ino == recorded_inode;
}

static void record(int fd, const void *data, size_t bytes, size_t at)
{
    op *o = NULL;

    assert_true(ops_count < OPS_MAX && at + bytes <= FILE_MAX);
    o = &ops[ops_count++];
    *o = (op){ .at = at, .bytes = bytes, .durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0, .data = malloc(bytes) };
    memcpy(o->data, data, bytes);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    if (is_recorded(fd))
        record(fd, data, bytes, (size_t)at);
    return syscall(SYS_pwrite64, fd, data, bytes, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    size_t at = is_recorded(fd) ? (size_t)lseek(fd, 0, SEEK_CUR) : 0;

    for (int i = 0; i < count && is_recorded(fd); at += parts[i].iov_len, i++)
        record(fd, parts[i].iov_base, parts[i].iov_len, at);
    return syscall(SYS_writev, fd, parts, count);
}

int fdatasync(int fd)
{
    if (is_recorded(fd))
        ops[ops_count++] = (op){ .sync = true };
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    if (is_recorded(fd))
        ops[ops_count++] = (op){ .sync = true };
    return (int)syscall(SYS_fsync, fd);
}

/* ---- what a database holds: a sum over its rows, so that their order does not matter */

static uint64_t row_sum(pf_table table, const void *key, size_t key_bytes, const void *value, size_t value_bytes)
{
    pf_hash   hash;
    pf_digest digest = { 0 };
    uint64_t  sum = 0;

    pf_hash_init(&hash);
    pf_hash_add_u64(&hash, (uint64_t)table);
    pf_hash_add_u64(&hash, key_bytes);
    pf_hash_add(&hash, key, key_bytes);
    pf_hash_add(&hash, value, value_bytes);
    pf_hash_end(&hash, &digest);
    memcpy(&sum, digest.byte, sizeof sum);
    return sum;
}

static uint64_t rig_sum(const rig *r)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < r->rows_count; i++)
        if (!r->row[i].removed)
            sum += row_sum(r->row[i].table, r->row[i].key, r->row[i].key_bytes, r->row[i].value, r->row[i].value_bytes);
    return sum;
}

static bool sum_table(MDB_txn *txn, pf_table table, uint64_t *sum)
{
    MDB_dbi     dbi = 0;
    MDB_cursor *cursor = NULL;
    MDB_val     key = { 0 }, value = { 0 };
    int         code = mdb_dbi_open(txn, pf_table_name(table), 0, &dbi);

    if (code)
        return code == MDB_NOTFOUND;
    if (mdb_cursor_open(txn, dbi, &cursor))
        return false;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !code;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        *sum += row_sum(table, key.mv_data, key.mv_size, value.mv_data, value.mv_size);
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND;
}

static bool file_sum(const char *folder, uint64_t *sum)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    bool     good = mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, PF_ROWS_COUNT) == 0 &&
                    mdb_env_set_mapsize(env, MAP_BYTES) == 0 &&
                    mdb_env_open(env, folder, MDB_RDONLY | MDB_NOLOCK, 0600) == 0 &&
                    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0;

    *sum = 0;
    for (int t = 0; t < PF_ROWS_COUNT && good; t++)
        good = sum_table(txn, (pf_table)t, sum);
    if (txn)
        mdb_txn_abort(txn);
    mdb_env_close(env);
    return good;
}

/* ---- the run that is recorded */

typedef struct recording { pf_db *db; rig *r; } recording;

static void commit(void *user, const pf_out *out)
{
    recording *rec = user;
    pf_err     err = { 0 };

    test_ok(pf_db_commit(rec->db, out, &err), &err);
    if (commits_count % 4 == 0 && pf_db_wants_room(rec->db))
        pf_db_make_room(rec->db);
    assert_true(commits_count < COMMITS_MAX);
    commit_rows[commits_count] = rig_sum(rec->r);
    commit_end[commits_count++] = ops_count;
}

static void run_farm(rig *r)
{
    rig_hello(r, AGENT_1, 1, 8);
    for (uint8_t i = 1; i <= JOBS; i++) {
        char     model[16] = "";
        rig_mail lease = { 0 };
        snprintf(model, sizeof model, "model%d", i);
        rig_submit(r, i % 2 ? CLIENT_1 : CLIENT_2, i, model, "cpu");
        if (i % 3 == 0 || !rig_has(r, AGENT_1, PF_MSG_OFFER))
            continue;
        lease = rig_lease(r, AGENT_1);
        rig_complete(r, AGENT_1, rig_offer_of(&lease), model);
        rig_verdict(r, 0, i % 4 ? PF_OK : PF_CORRUPT);
        pf_message_clear(&lease.message);
        rig_tick(r, PF_NS_PER_S);
        rig_beat(r, AGENT_1, 1, NULL, 0, 8);
        rig_drop_mail(r);
    }
    rig_tick(r, INT64_C(8) * 24 * 3600 * PF_NS_PER_S);      /* the history goes */
    rig_tick(r, INT64_C(8) * 24 * 3600 * PF_NS_PER_S);
}

static int make_recording(void **state)
{
    char        path[4200] = "";
    rig         r = { .written = commit };
    recording   rec = { .r = &r };
    struct stat info = { 0 };
    pf_err      err = { 0 };

    (void)state;
    snprintf(path, sizeof path, "%s/data.mdb", test_path("db"));
    test_ok(pf_dir_make(test_path("db"), &err), &err);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(stat(path, &info), 0);
    recorded_inode = info.st_ino;
    test_ok(pf_db_open(test_path("db"), MAP_BYTES, &rec.db, &err), &err);
    r.user = &rec;
    rig_open(&r);
    run_farm(&r);
    rig_close(&r);
    pf_db_close(rec.db);
    recorded_inode = 0;
    print_message("%u commits, %u operations\n", commits_count, ops_count);
    return 0;
}

static int drop_recording(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ops_count; i++)
        free(ops[i].data);
    return 0;
}

/* ---- the disk at a power cut */

typedef struct disk { uint8_t *bytes; size_t size; } disk;

static void put_sectors(disk *d, const op *o, pf_random *random, bool all)
{
    for (size_t done = 0; done < o->bytes;) {
        size_t left = SECTOR - (o->at + done) % SECTOR, take = left < o->bytes - done ? left : o->bytes - done;
        if (all || pf_random_below(random, 2)) {
            memcpy(d->bytes + o->at + done, o->data + done, take);
            d->size = o->at + done + take > d->size ? o->at + done + take : d->size;
        }
        done += take;
    }
}

/* What is on the disk when the power goes during the last of the first count operations; one more than there are: after
   the last.  forgetful: it has synced nothing. */
static void cut_power(uint32_t count, bool forgetful, pf_random *random, disk *d)
{
    uint32_t synced = 0;

    memset(d->bytes, 0, FILE_MAX);
    d->size = 0;
    for (uint32_t i = 0; i + 1 < count && !forgetful; i++)
        synced = ops[i].sync ? i + 1 : synced;
    for (uint32_t i = 0; i < count && i < ops_count; i++)
        if (!ops[i].sync)
            put_sectors(d, &ops[i], random, i < synced || (ops[i].durable && !forgetful && i + 1 < count));
}

/* Those that had returned by then. */
static uint32_t commits_before(uint32_t count)
{
    uint32_t commits = 0;

    while (commits < commits_count && commit_end[commits] < count)
        commits++;
    return commits;
}

/* In the child: does the product open it, and hold what it must? */
static bool recovers(const char *folder, uint32_t count)
{
    uint32_t       done = commits_before(count);
    uint64_t       sum = 0;
    pf_core_config config;
    pf_core       *core = NULL;
    pf_db         *db = NULL;
    bool           good = file_sum(folder, &sum);

    good = good && ((done == 0 && sum == 0) || (done > 0 && sum == commit_rows[done - 1]) ||
                    (done < commits_count && sum == commit_rows[done]));
    pf_core_config_init(&config);
    good = good && pf_core_new(&config, &core, NULL) == PF_OK && pf_db_open(folder, MAP_BYTES, &db, NULL) == PF_OK &&
           pf_db_load(db, core, NULL) == PF_OK;
    pf_db_close(db);
    pf_core_free(core);
    return good;
}

/* A child looks, because a database that is not whole may end who reads it. */
static bool try_disk(const disk *d, uint32_t count, bool quiet)
{
    static char path[4200];
    const char *folder = test_path("cut");
    int         status = 0, fd = -1;
    pid_t       child = -1;

    snprintf(path, sizeof path, "%s/data.mdb", folder);
    assert_int_equal(pf_dir_make(folder, NULL), PF_OK);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, d->bytes, d->size), (ssize_t)d->size);
    close(fd);
    child = fork();
    if (child == 0) {
        if (quiet)
            dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        _exit(recovers(folder, count) ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Before the first sync of a new database there may be nothing that opens; it holds nothing that was acknowledged. */
static uint32_t first_cut(void)
{
    uint32_t at = 0;

    while (at < ops_count && !ops[at].sync)
        at++;
    return at + 2;
}

static void every_cut_leaves_a_commit(void **state)
{
    uint64_t  seed = test_seed(), cuts = test_count("PF_CUTS", 2, 200), tried = 0;
    pf_random random = { 0 };
    disk      d = { .bytes = pf_alloc(FILE_MAX) };

    (void)state;
    assert_non_null(d.bytes);
    pf_random_init(&random, seed);
    for (uint32_t count = first_cut(); count <= ops_count + 1; count++)
        for (uint64_t i = 0; i < cuts; i++, tried++) {
            cut_power(count, false, &random, &d);
            if (!try_disk(&d, count, false))
                fail_msg("PF_SEED=%llu: during operation %u, cut %llu", (unsigned long long)seed, count,
                         (unsigned long long)i);
        }
    print_message("%llu power cuts\n", (unsigned long long)tried);
    pf_free(d.bytes);
}

static void a_disk_that_syncs_nothing_is_found_out(void **state)
{
    pf_random random = { 0 };
    disk      d = { .bytes = pf_alloc(FILE_MAX) };
    int       found = 0;

    (void)state;
    assert_non_null(d.bytes);
    pf_random_init(&random, test_seed());
    for (int i = 0; i < 20; i++) {
        cut_power(ops_count, true, &random, &d);
        found += !try_disk(&d, ops_count, true);
    }
    assert_true(found > 10);
    pf_free(d.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_leaves_a_commit),
        cmocka_unit_test(a_disk_that_syncs_nothing_is_found_out),
    };
    return cmocka_run_group_tests(tests, make_recording, drop_recording);
}
