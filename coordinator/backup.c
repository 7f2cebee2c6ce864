#include "coordinator/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "coordinator/core.h"
#include "coordinator/worker.h"

struct pf_backup {
    pf_db              *db;
    const pf_state_dir *dir;
    pf_worker          *worker;
    pf_task             task;           /* there is one at a time */
    bool                busy;
    int64_t             made_ns, copied_ns;     /* copied_ns is the worker's while busy */
};

/* ---- numbers of the copies that are there */

typedef struct numbers { uint64_t lowest, highest; uint32_t count; } numbers;

static bool number_of(const char *name, uint64_t *number)
{
    char *end = NULL;

    if (strncmp(name, "jobs-", 5) != 0)
        return false;
    *number = strtoull(name + 5, &end, 10);
    return strcmp(end, ".mdb") == 0;
}

static numbers look(const char *folder)
{
    numbers        found = { .lowest = UINT64_MAX };
    DIR           *dir = opendir(folder);
    struct dirent *entry = dir ? readdir(dir) : NULL;

    for (; entry; entry = readdir(dir)) {
        uint64_t number = 0;
        if (!number_of(entry->d_name, &number))
            continue;
        found.count++;
        found.lowest = number < found.lowest ? number : found.lowest;
        found.highest = number > found.highest ? number : found.highest;
    }
    if (dir)
        closedir(dir);
    return found;
}

static pf_status name_copy(const char *folder, uint64_t number, char out[PATH_MAX], pf_err *err)
{
    char name[64] = "";

    snprintf(name, sizeof name, "jobs-%llu.mdb", (unsigned long long)number);
    return pf_path_join(folder, name, out, PATH_MAX, err);
}

/* ---- making one */

static void drop_oldest(const char *folder)
{
    char path[PATH_MAX] = "";

    for (numbers there = look(folder); there.count > PF_BACKUPS_KEPT; there = look(folder))
        if (name_copy(folder, there.lowest, path, NULL) || unlink(path) != 0)
            return;
}

static pf_status make(pf_backup *backup, pf_err *err)
{
    char      folder[PATH_MAX] = "", path[PATH_MAX] = "";
    pf_status st = pf_state_dir_join(backup->dir, "backup", folder, sizeof folder, err);

    if (!st)
        st = pf_dir_make(folder, err);
    if (!st)
        st = name_copy(folder, look(folder).highest + 1, path, err);
    if (!st)
        st = pf_db_copy(backup->db, path, err);
    if (!st)
        drop_oldest(folder);
    return st;
}

static void work(void *user, const pf_tasks *tasks)
{
    pf_backup *backup = user;
    pf_err     err = { 0 };

    (void)tasks;
    if (make(backup, &err))
        pf_log(PF_LOG_ERROR, "state", "no_backup reason=\"%s\"", err.msg);
    else
        backup->copied_ns = pf_clock_wall_ns();
}

pf_status pf_backup_start(pf_db *db, const pf_state_dir *dir, pf_backup **out, pf_err *err)
{
    pf_backup        *backup = pf_calloc(1, sizeof *backup);
    pf_worker_options options = { .name = "backup", .at_once = 1, .finishes = true, .work = work, .user = backup };
    pf_status         st = PF_OK;

    *out = NULL;
    if (!backup)
        return PF_FAIL_MEMORY(err, sizeof *backup);
    backup->db = db;
    backup->dir = dir;
    st = pf_worker_start(&options, &backup->worker, err);
    if (st)
        pf_free(backup);
    else
        *out = backup;
    return st;
}

void pf_backup_stop(pf_backup *backup)
{
    if (!backup)
        return;
    pf_worker_stop(backup->worker);
    pf_free(backup);
}

int64_t pf_backup_made_ns(pf_backup *backup)
{
    if (backup->busy && pf_worker_take(backup->worker)) {
        backup->busy = false;
        backup->made_ns = backup->copied_ns;
    }
    return backup->made_ns;
}

void pf_backup_make(pf_backup *backup)
{
    pf_backup_made_ns(backup);          /* hears whether the one before is done */
    if (!backup->busy)
        backup->busy = pf_worker_give(backup->worker, &backup->task, 1);
}

/* ---- going back */

static pf_status find_latest(const pf_state_dir *dir, char out[PATH_MAX], pf_err *err)
{
    char      folder[PATH_MAX] = "";
    numbers   there = { 0 };
    pf_status st = pf_state_dir_join(dir, "backup", folder, sizeof folder, err);

    if (st)
        return st;
    there = look(folder);
    if (there.count == 0)
        return PF_FAIL(err, PF_NOT_FOUND, "there is no copy of the job database in %s", folder);
    return name_copy(folder, there.highest, out, err);
}

/* Epochs are 24 bits (core.c).  Counted in two minutes since 2026 they last until 2089, and a farm starts less
   often. */
static uint64_t epoch_of_time(int64_t wall_ns)
{
    const int64_t since_2026_s = wall_ns / PF_NS_PER_S - INT64_C(1767225600);

    return since_2026_s > 0 ? (uint64_t)since_2026_s / 120 : 0;
}

/* Every row is read, and what the next start says stands apart from what was said after the copy was made. */
static pf_status renew(pf_db *db, pf_err *err)
{
    pf_core_config config;
    pf_core       *core = NULL;
    pf_out         out;
    pf_now         now = { pf_clock_boot_ns(), pf_clock_wall_ns() };
    pf_status      st = PF_OK;

    pf_core_config_init(&config);
    pf_out_init(&out);
    st = pf_core_new(&config, &core, err);
    if (!st)
        st = pf_db_load(db, core, err);
    if (!st) {
        pf_core_skip(core, epoch_of_time(now.wall_ns));
        st = pf_core_start(core, now, &out, err);
    }
    if (!st)
        st = pf_db_commit(db, &out, err);
    pf_out_clear(&out);
    pf_core_free(core);
    return st;
}

/* The copy is tried in a folder of its own before anything is moved. */
static pf_status stage(const char *path, const char *folder, pf_err *err)
{
    char       data[PATH_MAX] = "";
    pf_mapping copy = { 0 };
    pf_db     *db = NULL;
    uint64_t   bytes = 0;
    pf_status  st = pf_dir_remove(folder, err);

    if (!st)
        st = pf_dir_make(folder, err);
    if (!st)
        st = pf_path_join(folder, "data.mdb", data, sizeof data, err);
    if (!st)
        st = pf_file_map(path, &copy, err);
    if (!st)
        st = pf_file_write(data, copy.data, copy.bytes, err);
    bytes = copy.bytes;
    pf_file_unmap(&copy);
    if (!st)
        st = pf_db_open(folder, bytes + (UINT64_C(64) << 20), &db, err);
    if (!st)
        st = renew(db, err);
    pf_db_close(db);
    return st;
}

/* At any moment there is a whole database named db: the two folders change places at once. */
static pf_status put_in_place(const char *fresh, const char *db, const char *before, pf_err *err)
{
    if (!pf_file_exists(db))
        return rename(fresh, db) == 0 ? PF_OK : PF_FAIL_ERRNO(err, "put in place", fresh);
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, db, RENAME_EXCHANGE) != 0)
        return PF_FAIL_ERRNO(err, "put in place", fresh);
    return rename(fresh, before) == 0 ? PF_OK : PF_FAIL_ERRNO(err, "move aside", fresh);
}

pf_status pf_backup_restore(const pf_state_dir *dir, const char *path, char used[PATH_MAX], pf_err *err)
{
    char      fresh[PATH_MAX] = "", db[PATH_MAX] = "", before[PATH_MAX] = "";
    pf_status st = path ? PF_OK : find_latest(dir, used, err);

    if (path)
        snprintf(used, PATH_MAX, "%s", path);
    if (!st)
        st = pf_state_dir_join(dir, "db.restored", fresh, sizeof fresh, err);
    if (!st)
        st = pf_state_dir_join(dir, "db.before", before, sizeof before, err);
    if (!st)
        st = pf_state_dir_join(dir, "db", db, sizeof db, err);
    if (!st)
        st = stage(used, fresh, err);
    if (!st)
        st = pf_dir_remove(before, err);
    if (!st)
        st = put_in_place(fresh, db, before, err);
    if (!st)
        st = pf_file_sync_name(db, err);
    return st;
}
