#include "cache/lmdb_note.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/file.h"

#define MAGIC UINT32_C(0x4b4c4650)      /* "PFLK" */

enum { VERSION = 1, NOTE_BYTES = 64 };

typedef struct state { uint64_t inode, bytes; int64_t changed_ns; uint64_t transaction; } state;

static bool read_state(MDB_env *env, const char *folder, state *out)
{
    MDB_envinfo info = {0};
    struct stat file = {0};
    char        path[PATH_MAX] = "";

    if (mdb_env_info(env, &info) || pf_path_join(folder, "data.mdb", path, sizeof path, NULL) || stat(path, &file))
        return false;
    *out = (state){file.st_ino, (uint64_t)file.st_size, file.st_mtim.tv_sec * PF_NS_PER_S + file.st_mtim.tv_nsec,
                   info.me_last_txnid};
    return true;
}

static bool is_same(const state *a, const state *b)
{
    return a->inode == b->inode && a->bytes == b->bytes && a->changed_ns == b->changed_ns &&
           a->transaction == b->transaction;
}

/* Takes the note away.  Little endian: magic and version u32, the state and the time of the look u64, their sum. */
static bool take_note(const char *folder, state *out, int64_t *looked_wall_ns)
{
    char      path[PATH_MAX] = "";
    pf_buf    note = {0};
    uint64_t  sum = 0;
    pf_reader reader;
    bool      good = !pf_path_join(folder, "looked", path, sizeof path, NULL) &&
                     !pf_file_read(path, NOTE_BYTES, &note, NULL) && !unlink(path);

    pf_reader_init(&reader, note.data, note.size);
    good = good && pf_read_u32(&reader) == MAGIC && pf_read_u32(&reader) == VERSION;
    out->inode = pf_read_u64(&reader);
    out->bytes = pf_read_u64(&reader);
    out->changed_ns = (int64_t)pf_read_u64(&reader);
    out->transaction = pf_read_u64(&reader);
    *looked_wall_ns = (int64_t)pf_read_u64(&reader);
    sum = good && !reader.failed ? pf_checksum(0, note.data, reader.at) : 0;
    good = good && pf_read_u64(&reader) == sum && pf_reader_done(&reader);
    pf_buf_clear(&note);
    return good;
}

int64_t pf_lmdb_take_note(MDB_env *env, const char *folder)
{
    state   noted = {0}, now = {0};
    int64_t looked_wall_ns = 0, age_ns = 0;

    if (!take_note(folder, &noted, &looked_wall_ns) || !read_state(env, folder, &now) || !is_same(&noted, &now))
        return 0;
    age_ns = pf_clock_wall_ns() - looked_wall_ns;
    return age_ns >= 0 && age_ns < PF_LMDB_NOTE_NS ? looked_wall_ns : 0;
}

/* The kernel's own times are those of its last tick, which a write just after may share. */
static bool sign(const char *folder)
{
    int64_t         now_ns = pf_clock_wall_ns();
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {now_ns / PF_NS_PER_S, now_ns % PF_NS_PER_S}};
    char            path[PATH_MAX] = "";

    return !pf_path_join(folder, "data.mdb", path, sizeof path, NULL) && !utimensat(AT_FDCWD, path, times, 0);
}

void pf_lmdb_note(MDB_env *env, const char *folder, int64_t looked_wall_ns)
{
    state  before = {0}, now = {0};
    char   path[PATH_MAX] = "";
    pf_buf note = {0};

    if (!read_state(env, folder, &before) || !sign(folder) || !read_state(env, folder, &now) ||
        now.transaction != before.transaction || pf_path_join(folder, "looked", path, sizeof path, NULL))
        return;         /* or somebody writes */
    pf_buf_init(&note, NOTE_BYTES);
    pf_buf_put_u32(&note, MAGIC);
    pf_buf_put_u32(&note, VERSION);
    pf_buf_put_u64(&note, now.inode);
    pf_buf_put_u64(&note, now.bytes);
    pf_buf_put_u64(&note, (uint64_t)now.changed_ns);
    pf_buf_put_u64(&note, now.transaction);
    pf_buf_put_u64(&note, (uint64_t)looked_wall_ns);
    if (!note.failed)
        pf_buf_put_u64(&note, pf_checksum(0, note.data, note.size));
    if (!note.failed)
        (void)pf_file_put(path, note.data, note.size, NULL);
    pf_buf_clear(&note);
}
