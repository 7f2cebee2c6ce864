#include "coordinator/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cache/lmdb_check.h"
#include "coordinator/room.h"
#include "coordinator/rows.h"

struct pf_db {
    MDB_env *env;
    MDB_dbi  table[PF_ROWS_COUNT];
    pf_room  room;
};

enum { READERS_MAX = 1024, ROOM_SPARE_BYTES = 1 << 30 };

static bool is_damage(int code)
{
    return code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID || code == MDB_PANIC;
}

static pf_status fail(pf_err *err, int code, const char *doing)
{
    pf_status st = code == ENOSPC || code == EDQUOT || code == MDB_MAP_FULL ? PF_NO_SPACE
                   : is_damage(code) ? PF_CORRUPT
                   : code == MDB_NOTFOUND ? PF_NOT_FOUND : PF_IO;

    return PF_FAIL(err, st, "cannot %s the job database: %s", doing, mdb_strerror(code));
}

static int open_tables(pf_db *db)
{
    MDB_txn *txn = NULL;
    int      code = mdb_txn_begin(db->env, NULL, 0, &txn);

    for (int i = 0; i < PF_ROWS_COUNT && !code; i++)
        code = mdb_dbi_open(txn, pf_table_name((pf_table)i), MDB_CREATE, &db->table[i]);
    if (!code)
        return mdb_txn_commit(txn);
    if (txn)
        mdb_txn_abort(txn);
    return code;
}

/* LMDB syncs what it writes, but not that its file and folder are there. */
static pf_status open_file(pf_db *db, const char *folder, uint64_t map_bytes, pf_err *err)
{
    char      path[PATH_MAX] = "";
    pf_status st = pf_path_join(folder, "data.mdb", path, sizeof path, err);

    if (!st)
        st = pf_file_sync_name(path, err);
    if (!st)
        st = pf_file_sync_name(folder, err);
    return st ? st : pf_room_open(path, map_bytes, ROOM_SPARE_BYTES, &db->room, err);
}

pf_status pf_db_open(const char *folder, uint64_t map_bytes, pf_db **out, pf_err *err)
{
    static const char name[] = "the job database", advice[] = "go back to a copy with --restore";
    pf_db            *db = pf_calloc(1, sizeof *db);
    int               code = 0;
    pf_status         st = PF_OK;

    *out = NULL;
    if (!db)
        return PF_FAIL_MEMORY(err, sizeof *db);
    db->room.fd = -1;
    st = pf_dir_make(folder, err);
    if (!st)
        st = pf_lmdb_check_head(folder, name, advice, err);
    if (st)
        goto out;
    code = mdb_env_create(&db->env);
    if (!code)
        code = mdb_env_set_maxdbs(db->env, PF_ROWS_COUNT);
    if (!code)
        code = mdb_env_set_maxreaders(db->env, READERS_MAX);
    if (!code)
        code = mdb_env_set_mapsize(db->env, map_bytes);
    if (!code)
        code = mdb_env_open(db->env, folder, MDB_NOTLS, 0600);
    if (!code)
        st = pf_lmdb_check(db->env, name, advice, err);
    if (st)
        goto out;
    if (!code)
        code = open_tables(db);
    if (code) {
        st = fail(err, code, "open");
        goto out;
    }
    st = open_file(db, folder, map_bytes, err);
    if (st)
        goto out;
    pf_db_check_readers(db);
    *out = db;
    db = NULL;
out:
    pf_db_close(db);
    return st;
}

void pf_db_close(pf_db *db)
{
    if (!db)
        return;
    pf_room_close(&db->room);
    if (db->env)
        mdb_env_close(db->env);
    pf_free(db);
}

void pf_db_check_readers(pf_db *db)
{
    int dead = 0;

    mdb_reader_check(db->env, &dead);
}

/* ---- walking over all rows */

typedef struct row { pf_table table; MDB_val key, value; } row;

/* What is done with a row; next is the one after it in the table, or NULL.  Anything but OK ends the walk. */
typedef pf_status visit(void *user, const row *at, const row *next, pf_err *err);

static pf_status walk_rows(MDB_cursor *cursor, pf_table table, visit *each, void *user, pf_err *err)
{
    row       two[2] = { { .table = table }, { .table = table } };
    pf_status st = PF_OK;
    int       code = mdb_cursor_get(cursor, &two[0].key, &two[0].value, MDB_FIRST);

    for (int i = 0; !code && !st; i = 1 - i) {
        row *next = &two[1 - i];
        code = mdb_cursor_get(cursor, &next->key, &next->value, MDB_NEXT);
        st = each(user, &two[i], code ? NULL : next, err);
    }
    return !st && code != MDB_NOTFOUND ? fail(err, code, "read") : st;
}

static pf_status walk_table(pf_db *db, MDB_txn *txn, pf_table table, visit *each, void *user, pf_err *err)
{
    MDB_cursor *cursor = NULL;
    pf_status   st = PF_OK;
    int         code = mdb_cursor_open(txn, db->table[table], &cursor);

    if (code)
        return fail(err, code, "read");
    st = walk_rows(cursor, table, each, user, err);
    mdb_cursor_close(cursor);
    return st;
}

static pf_status walk(pf_db *db, visit *each, void *user, pf_err *err)
{
    MDB_txn  *txn = NULL;
    int       code = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    pf_status st = PF_OK;

    if (code)
        return fail(err, code, "read");
    for (int i = 0; i < PF_ROWS_COUNT && !st; i++)
        st = walk_table(db, txn, (pf_table)i, each, user, err);
    mdb_txn_abort(txn);
    return st;
}

/* How many rows will come. */
static pf_status announce(pf_db *db, pf_core *core, pf_err *err)
{
    MDB_txn  *txn = NULL;
    pf_status st = PF_OK;
    int       code = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);

    for (int i = 0; i < PF_ROWS_COUNT && !code && !st; i++) {
        MDB_stat stat = { 0 };
        code = mdb_stat(txn, db->table[i], &stat);
        if (!code)
            st = pf_core_expect(core, (pf_table)i, stat.ms_entries, err);
    }
    if (txn)
        mdb_txn_abort(txn);
    return code ? fail(err, code, "read") : st;
}

/* ---- loading: one thread takes the rows in while another looks at their checksums */

typedef struct checker {
    pf_db    *db;
    pthread_t thread;
    pf_status status;
    pf_err    err;
} checker;

static pf_status check_row(void *user, const row *at, const row *next, pf_err *err)
{
    const uint8_t *fields = NULL;
    size_t         fields_bytes = 0;

    (void)user;
    (void)next;
    return pf_rows_check(at->table, at->key.mv_data, at->key.mv_size, at->value.mv_data, at->value.mv_size, &fields,
                         &fields_bytes, err);
}

static void *run_checker(void *user)
{
    checker *c = user;

    c->status = walk(c->db, check_row, NULL, &c->err);
    return NULL;
}

static pf_status take_row(void *user, const row *at, const row *next, pf_err *err)
{
    pf_core *core = user;

    if (next)
        pf_core_prefetch(core, next->table, next->value.mv_data, next->value.mv_size);
    return pf_core_load_unchecked(core, at->table, at->key.mv_data, at->key.mv_size, at->value.mv_data,
                                  at->value.mv_size, err);
}

pf_status pf_db_load(pf_db *db, pf_core *core, pf_err *err)
{
    checker   c = { .db = db };
    pf_err    why = { 0 };
    pf_status st = announce(db, core, err);

    if (st)
        return st;
    if (pthread_create(&c.thread, NULL, run_checker, &c) != 0)
        return PF_FAIL(err, PF_NO_SPACE, "cannot start a thread that checks the job database");
    st = walk(db, take_row, core, &why);
    pthread_join(c.thread, NULL);
    if (c.status)                       /* what it says of a damaged row is nearer to the cause */
        return PF_FAIL(err, c.status, "%s", c.err.msg);
    return st ? PF_FAIL(err, st, "%s", why.msg) : PF_OK;
}

/* ---- the same over damaged rows */

typedef struct survey {
    pf_core  *core;
    uint64_t *counts;
    void    (*bad)(void *user, pf_status st, const pf_err *why);
    void     *user;
} survey;

static pf_status survey_row(void *user, const row *at, const row *next, pf_err *err)
{
    const survey *s = user;
    pf_err        why = { 0 };
    pf_status     st = pf_core_load(s->core, at->table, at->key.mv_data, at->key.mv_size, at->value.mv_data,
                                    at->value.mv_size, &why);

    (void)next;
    s->counts[at->table]++;
    if (st == PF_NO_SPACE)
        return PF_FAIL(err, st, "%s", why.msg);
    if (st)
        s->bad(s->user, st, &why);
    return PF_OK;
}

pf_status pf_db_load_all(pf_db *db, pf_core *core, uint64_t counts[PF_ROWS_COUNT],
                         void (*bad)(void *user, pf_status st, const pf_err *why), void *user, pf_err *err)
{
    survey s = { .core = core, .counts = counts, .bad = bad, .user = user };

    return walk(db, survey_row, &s, err);
}

/* LMDB writes to a descriptor that is given, so the file can have another name until it is whole. */
pf_status pf_db_copy(pf_db *db, const char *path, pf_err *err)
{
    char      part[PATH_MAX] = "";
    int       fd = -1, code = 0;
    pf_status st = PF_OK;

    if ((size_t)snprintf(part, sizeof part, "%s.part", path) >= sizeof part)
        return PF_FAIL(err, PF_INVALID, "the path %.200s is too long", path);
    fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return PF_FAIL_ERRNO(err, "make", part);
    code = mdb_env_copyfd2(db->env, fd, MDB_CP_COMPACT);
    if (code)
        st = fail(err, code, "copy");
    else if (fsync(fd) != 0 || rename(part, path) != 0)
        st = PF_FAIL_ERRNO(err, "write", path);
    close(fd);
    if (st)
        unlink(part);
    return st;
}

static int apply(pf_db *db, MDB_txn *txn, const pf_out *out, const pf_write *write)
{
    MDB_val key = { write->key_bytes, out->bytes.data + write->key_at };
    MDB_val value = { write->value_bytes, out->bytes.data + write->value_at };
    int     code = 0;

    if (!write->remove)
        return mdb_put(txn, db->table[write->table], &key, &value, 0);
    code = mdb_del(txn, db->table[write->table], &key, NULL);
    return code == MDB_NOTFOUND ? 0 : code;
}

pf_status pf_db_commit(pf_db *db, const pf_out *out, pf_err *err)
{
    MDB_txn *txn = NULL;
    int      code = mdb_txn_begin(db->env, NULL, 0, &txn);

    if (code)
        return fail(err, code, "write to");
    for (uint32_t i = 0; i < out->writes_count && !code; i++)
        code = apply(db, txn, out, &out->write[i]);
    if (code)
        mdb_txn_abort(txn);
    else
        code = mdb_txn_commit(txn);
    return code ? fail(err, code, "write to") : PF_OK;
}

static uint64_t used_bytes(const pf_db *db)
{
    uint64_t used = 0, limit = 0;

    pf_db_usage(db, &used, &limit);
    return used;
}

bool pf_db_wants_room(const pf_db *db)
{
    return pf_room_is_wanted(&db->room, used_bytes(db));
}

bool pf_db_make_room(pf_db *db)
{
    return pf_room_make(&db->room, used_bytes(db));
}

pf_status pf_db_get(pf_db *db, pf_table table, const void *key, size_t key_bytes, pf_buf *out, pf_err *err)
{
    MDB_txn  *txn = NULL;
    MDB_val   k = { key_bytes, (void *)key }, value = { 0 };
    int       code = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    pf_status st = PF_OK;

    if (code)
        return fail(err, code, "read");
    code = mdb_get(txn, db->table[table], &k, &value);
    if (code)
        st = fail(err, code, "read from");
    else if (!pf_buf_put(out, value.mv_data, value.mv_size))
        st = PF_FAIL_MEMORY(err, value.mv_size);
    mdb_txn_abort(txn);
    return st;
}

void pf_db_usage(const pf_db *db, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    MDB_envinfo info = { 0 };
    MDB_stat    stat = { 0 };

    mdb_env_info(db->env, &info);
    mdb_env_stat(db->env, &stat);
    *used_bytes = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    *limit_bytes = info.me_mapsize;
}
