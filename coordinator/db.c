#include "coordinator/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "coordinator/rows.h"

struct pf_db {
    MDB_env *env;
    MDB_dbi  table[PF_ROWS_COUNT];
};

enum { READERS_MAX = 1024 };

static pf_status fail(pf_err *err, int code, const char *doing)
{
    pf_status st = code == ENOSPC || code == EDQUOT || code == MDB_MAP_FULL ? PF_NO_SPACE
                   : code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID || code == MDB_PANIC ? PF_CORRUPT
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
static pf_status sync_names(const char *folder, pf_err *err)
{
    char      path[PATH_MAX] = "";
    pf_status st = pf_path_join(folder, "data.mdb", path, sizeof path, err);

    if (!st)
        st = pf_file_sync_name(path, err);
    return st ? st : pf_file_sync_name(folder, err);
}

pf_status pf_db_open(const char *folder, uint64_t map_bytes, pf_db **out, pf_err *err)
{
    pf_db    *db = pf_calloc(1, sizeof *db);
    int       code = 0;
    pf_status st = PF_OK;

    *out = NULL;
    if (!db)
        return PF_FAIL_MEMORY(err, sizeof *db);
    st = pf_dir_make(folder, err);
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
        code = open_tables(db);
    if (code) {
        st = fail(err, code, "open");
        goto out;
    }
    st = sync_names(folder, err);
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
    if (db->env)
        mdb_env_close(db->env);
    pf_free(db);
}

void pf_db_check_readers(pf_db *db)
{
    int dead = 0;

    mdb_reader_check(db->env, &dead);
}

/* How a walk over all rows goes. */
typedef struct walk {
    pf_core  *core;
    uint64_t *counts;                   /* may be NULL */
    void    (*bad)(void *user, pf_status st, const pf_err *why);    /* NULL: the first bad row ends it */
    void     *user;
} walk;

static pf_status load_row(const walk *w, pf_table table, const MDB_val *key, const MDB_val *value, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = pf_core_load(w->core, table, key->mv_data, key->mv_size, value->mv_data, value->mv_size, &why);

    if (w->counts)
        w->counts[table]++;
    if (!st)
        return PF_OK;
    if (!w->bad || st == PF_NO_SPACE)
        return PF_FAIL(err, st, "%s", why.msg);
    w->bad(w->user, st, &why);
    return PF_OK;
}

static pf_status load_table(pf_db *db, MDB_txn *txn, pf_table table, const walk *w, pf_err *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val     key = { 0 }, value = { 0 };
    MDB_stat    stat = { 0 };
    pf_status   st = PF_OK;
    int         code = mdb_stat(txn, db->table[table], &stat);

    if (!code)
        code = mdb_cursor_open(txn, db->table[table], &cursor);
    if (code)
        return fail(err, code, "read");
    st = pf_core_expect(w->core, table, stat.ms_entries, err);
    for (code = st ? 0 : mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !code && !st;
         code = st ? 0 : mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        st = load_row(w, table, &key, &value, err);
    mdb_cursor_close(cursor);
    if (!st && code != MDB_NOTFOUND)
        st = fail(err, code, "read");
    return st;
}

static pf_status load(pf_db *db, const walk *w, pf_err *err)
{
    MDB_txn  *txn = NULL;
    int       code = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    pf_status st = PF_OK;

    if (code)
        return fail(err, code, "read");
    for (int i = 0; i < PF_ROWS_COUNT && !st; i++)
        st = load_table(db, txn, (pf_table)i, w, err);
    mdb_txn_abort(txn);
    return st;
}

pf_status pf_db_load(pf_db *db, pf_core *core, pf_err *err)
{
    walk w = { .core = core };

    return load(db, &w, err);
}

pf_status pf_db_load_all(pf_db *db, pf_core *core, uint64_t counts[PF_ROWS_COUNT],
                         void (*bad)(void *user, pf_status st, const pf_err *why), void *user, pf_err *err)
{
    walk w = { .core = core, .counts = counts, .bad = bad, .user = user };

    return load(db, &w, err);
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
