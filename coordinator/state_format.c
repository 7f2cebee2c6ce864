#include "coordinator/state_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

static const char PREFIX[] = "planfarm-state ";

/* ---- steps */

/* Rows are written anew only as they change, so the database as it is now is all that an older planfarm can read. */
static pf_status keep_database(const pf_state_dir *dir, const char *name, pf_err *err)
{
    char       from[PATH_MAX] = "", folder[PATH_MAX] = "", to[PATH_MAX] = "";
    pf_mapping database = { 0 };
    pf_status  st = pf_state_dir_join(dir, "db/data.mdb", from, sizeof from, err);

    if (!st && !pf_file_exists(from))
        return PF_OK;
    if (!st)
        st = pf_state_dir_join(dir, "backup", folder, sizeof folder, err);
    if (!st)
        st = pf_path_join(folder, name, to, sizeof to, err);
    if (!st)
        st = pf_dir_make(folder, err);
    if (!st)
        st = pf_file_map(from, &database, err);
    if (!st)
        st = pf_file_write(to, database.data, database.bytes, err);
    pf_file_unmap(&database);
    return st;
}

static pf_status keep_database_of_1(const pf_state_dir *dir, pf_err *err)
{
    return keep_database(dir, "format-1.mdb", err);
}

static pf_status keep_database_of_2(const pf_state_dir *dir, pf_err *err)
{
    return keep_database(dir, "format-2.mdb", err);
}

typedef pf_status step(const pf_state_dir *dir, pf_err *err);
/* [n - 1]: from n to n + 1 */
static step *const steps[PF_STATE_FORMAT - 1] = { keep_database_of_1, keep_database_of_2 };

/* ---- the file */

static pf_status write_version(const char *path, int version, pf_err *err)
{
    char text[64] = "";
    int  bytes = snprintf(text, sizeof text, "%s%d\n", PREFIX, version);

    return pf_file_write(path, text, (size_t)bytes, err);
}

static pf_status read_version(const pf_state_dir *dir, const char *path, long *version, pf_err *err)
{
    pf_buf    text = { 0 };
    char     *end = NULL;
    pf_status st = pf_file_read(path, 255, &text, err);

    *version = 0;
    if (!st && text.size > sizeof PREFIX - 1 && memcmp(text.data, PREFIX, sizeof PREFIX - 1) == 0)
        *version = strtol((char *)text.data + sizeof PREFIX - 1, &end, 10);
    if (!st && (!end || strcmp(end, "\n") != 0 || *version < 1))
        st = PF_FAIL(err, PF_CORRUPT, "the file %s is not as planfarm writes it; go back to a copy of %s", path,
                     dir->path);
    pf_buf_clear(&text);
    return st;
}

static pf_status upgrade(const pf_state_dir *dir, const char *path, long version, pf_err *err)
{
    pf_status st = PF_OK;

    for (; version < PF_STATE_FORMAT && !st; version++) {
        st = steps[version - 1](dir, err);
        if (!st)
            st = write_version(path, (int)version + 1, err);
        if (st)
            return pf_err_add(err, st, "%s cannot be brought from version %ld to %ld", dir->path, version, version + 1);
        pf_log(PF_LOG_WARN, "state", "upgraded path=%s version=%ld", dir->path, version + 1);
    }
    return st;
}

pf_status pf_state_format_open(const pf_state_dir *dir, pf_err *err)
{
    char      path[PATH_MAX] = "", db[PATH_MAX] = "";
    long      version = 0;
    pf_status st = pf_state_dir_join(dir, "format", path, sizeof path, err);

    if (!st)
        st = pf_state_dir_join(dir, "db/data.mdb", db, sizeof db, err);
    if (!st && !pf_file_exists(path)) {
        if (pf_file_exists(db))
            return PF_FAIL(err, PF_CORRUPT,
                           "%s has a database and no format file; it is not a state folder as planfarm left it",
                           dir->path);
        return write_version(path, PF_STATE_FORMAT, err);
    }
    if (!st)
        st = read_version(dir, path, &version, err);
    if (!st && version > PF_STATE_FORMAT)
        return PF_FAIL(err, PF_STALE,
                       "%s was made by a newer planfarm (state version %ld, this one knows up to %d); use that one, "
                       "or give another --state",
                       dir->path, version, PF_STATE_FORMAT);
    return st ? st : upgrade(dir, path, version, err);
}
