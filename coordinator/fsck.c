#include "coordinator/fsck.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache/store.h"
#include "coordinator/db.h"

typedef struct look {
    pf_fsck_report *report;
    pf_store       *store;
    bool            repair;
    void          (*say)(void *user, const char *line);
    void           *user;
} look;

/* Before it looks at any blob's bytes, since a damaged one may be removed then. */
static void find_plan(void *user, const pf_digest *digest, bool is_model)
{
    char  hex[PF_DIGEST_HEX_BYTES] = "", line[200] = "";
    look *l = user;

    if (is_model)
        return;
    l->report->plans++;
    if (pf_store_has(l->store, digest, NULL))
        return;
    l->report->plans_missing++;
    pf_digest_to_hex(digest, hex);
    snprintf(line, sizeof line, "the plan or log %s is not in the store", hex);
    l->say(l->user, line);
}

static bool check_blob(void *user, const pf_digest *digest, uint64_t bytes, int64_t used_wall_ns)
{
    look     *l = user;
    int       fd = -1;
    pf_err    why = { 0 };
    pf_status st = pf_store_open_blob(l->store, digest, true, &fd, &bytes, &why);

    (void)used_wall_ns;
    if (fd >= 0)
        close(fd);
    l->report->blobs++;
    if (!st)
        return true;
    l->report->blobs_damaged++;
    if (l->repair)
        pf_store_remove(l->store, digest, NULL);
    l->say(l->user, why.msg);
    return true;
}

static void bad_row(void *user, pf_status st, const pf_err *why)
{
    look *l = user;

    (void)st;
    l->report->bad_rows++;
    l->say(l->user, why->msg);
}

static pf_status check_rows(pf_db *db, pf_core *core, look *l, pf_err *err)
{
    pf_out    out;
    pf_now    now = { pf_clock_boot_ns(), pf_clock_wall_ns() };
    pf_status st = pf_db_load_all(db, core, l->report->rows, bad_row, l, err);

    if (!st && l->report->bad_rows)
        return PF_FAIL(err, PF_CORRUPT, "%llu rows of the job database are damaged; go back to a copy with --restore",
                       (unsigned long long)l->report->bad_rows);
    pf_out_init(&out);
    if (!st)
        st = pf_core_start(core, now, &out, err);
    if (!st && pf_core_check(core, err))
        st = PF_CORRUPT;
    pf_out_clear(&out);
    return st;
}

pf_status pf_fsck(const pf_state_dir *dir, uint64_t map_bytes, bool repair, void (*say)(void *user, const char *line),
                  void *user, pf_fsck_report *out, pf_err *err)
{
    char           path[PATH_MAX] = "";
    pf_core_config config;
    pf_core       *core = NULL;
    pf_db         *db = NULL;
    look           l = { .report = out, .repair = repair, .say = say, .user = user };
    pf_status      st = pf_state_dir_join(dir, "db", path, sizeof path, err);

    memset(out, 0, sizeof *out);
    pf_core_config_init(&config);
    if (!st)
        st = pf_db_open(path, map_bytes, &db, err);
    out->has_opened = !st;
    if (!st)
        st = pf_state_dir_join(dir, "blobs", path, sizeof path, err);
    if (!st)
        st = pf_store_open(path, 0, &l.store, err);
    if (!st)
        st = pf_core_new(&config, &core, err);
    if (!st)
        st = check_rows(db, core, &l, err);
    if (!st) {
        pf_core_named_blobs(core, find_plan, &l);
        st = pf_store_walk(l.store, check_blob, &l, err);
    }
    pf_core_free(core);
    pf_store_close(l.store);
    pf_db_close(db);
    return st;
}
