#include "cache/timing_db_env.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/lmdb_check.h"
#include "cache/lmdb_note.h"

/* How the tables lie: every key and value is described at timing_db_value.h.
   To change that:
   1. A new table needs nothing: older versions do not open it.
   2. Any other change raises FORMAT.  Records can be measured again, so another format is refused, not converted:
      the user moves it away, or exports with the older planfarm and imports with the newer one. */
enum { FORMAT = 1, READERS = 1024, FULL_BYTES = 1 << 20, MAP_STEP = 8, MAP_LEAST_BYTES = 64 << 20,
       LOCK_BYTES = (READERS + 16) * 64 };

static const char *const table_names[PF_TABLE_COUNT] = {
    [PF_TABLE_META] = "meta",         [PF_TABLE_RECORDS] = "records",   [PF_TABLE_CLASSES] = "classes",
    [PF_TABLE_PROBLEMS] = "problems", [PF_TABLE_COUNTERS] = "counters",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;        /* guards the list of open environments */
static pf_timing_env  *open_envs;

/* f_type values of statfs(2) and of the file systems' own headers. */
const char *pf_timing_env_network_name(uint64_t file_system_type)
{
    static const struct { uint64_t type; const char *name; } rows[] = {
        {0x6969, "NFS"},         {0x517b, "SMB"},           {0xff534d42, "CIFS"},   {0xfe534d42, "SMB"},
        {0x5346414f, "AFS"},     {0x6b414653, "AFS"},       {0x00c36400, "CephFS"}, {0x0bd00bd0, "Lustre"},
        {0x47504653, "GPFS"},    {0x73757245, "Coda"},      {0x7461636f, "OCFS2"},  {0x01161970, "GFS2"},
        {0x19830326, "BeeGFS"},  {0x20030528, "OrangeFS"},  {0xaad7aaea, "PanFS"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == file_system_type)
            return rows[i].name;
    return NULL;
}

/* LMDB's lock and its map are shared memory, which no network file system keeps coherent between hosts. */
static pf_status check_place(const char *folder, pf_err *err)
{
    struct statfs info = {0};
    const char   *name = NULL;

    if (statfs(folder, &info))
        return PF_FAIL_ERRNO(err, "look at", folder);
    name = pf_timing_env_network_name((uint64_t)info.f_type & 0xffffffffu);
    if (!name)
        return PF_OK;
    return PF_FAIL(err, PF_UNSUPPORTED,
                   "the timing cache %s lies on %s, a network file system, where it would be damaged; "
                   "use a folder on a local disk",
                   folder, name);
}

pf_status pf_timing_env_fail(const char *folder, const char *verb, int code, pf_err *err)
{
    static const struct { int code; pf_status status; const char *advice; } rows[] = {
        {MDB_MAP_FULL, PF_NO_SPACE, "move it away or give it more room"},
        {ENOSPC, PF_NO_SPACE, "free space on its disk"},
        {EDQUOT, PF_NO_SPACE, "free space within the quota of its disk"},
        {EACCES, PF_DENIED, "its readers write lock.mdb, too; get the right to, or name another folder"},
        {EROFS, PF_DENIED, "its file system is read-only; name another folder"},
        {ENOENT, PF_NOT_FOUND, "no file can be made in it; name another folder"},
        {EFBIG, PF_NO_SPACE, "allow this process larger files (ulimit -f)"},
        {ENOMEM, PF_NO_SPACE, "allow this process more address space (ulimit -v)"},
        {MDB_CORRUPTED, PF_CORRUPT, "move it away; the next build starts a new one"},
        {MDB_PAGE_NOTFOUND, PF_CORRUPT, "move it away; the next build starts a new one"},
        {MDB_INVALID, PF_CORRUPT, "it is no timing cache or damaged; move it away or name another folder"},
        {MDB_PANIC, PF_CORRUPT, "move it away; the next build starts a new one"},
        {MDB_BAD_TXN, PF_IO, "an earlier write failed; try again"},
        {MDB_VERSION_MISMATCH, PF_STALE, "another version of LMDB made it; move it away"},
        {MDB_READERS_FULL, PF_BUSY, "too many processes read it; try again later"},
        {MDB_MAP_RESIZED, PF_BUSY, "another process made it larger; try again"},
        {EAGAIN, PF_BUSY, "a process of another container that has the same process id uses it; "
                          "give each container a folder of its own"},
        {EBUSY, PF_BUSY, "another process holds it; try again later"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == code)
            return PF_FAIL(err, rows[i].status, "cannot %s the timing cache %s: %s; %s", verb, folder,
                           mdb_strerror(code), rows[i].advice);
    return PF_FAIL(err, code > 0 ? pf_status_from_errno(code) : PF_INTERNAL, "cannot %s the timing cache %s: %s", verb,
                   folder, mdb_strerror(code));
}

/* A damaged file would kill its reader; one that was cut short, with SIGBUS. */
static const char advice[] = "move it away, the next build starts a new one";

static pf_status look_at_head(const pf_timing_env *env, pf_err *err)
{
    char name[PATH_MAX + 32];

    snprintf(name, sizeof name, "the timing cache %s", env->folder);
    return pf_lmdb_check_head(env->folder, name, advice, err);
}

pf_status pf_timing_env_look(pf_timing_env *env, pf_err *err)
{
    int64_t   now_ns = pf_clock_wall_ns();
    pf_status status = PF_OK;
    char      name[PATH_MAX + 32];

    if (env->looked_now)
        return PF_OK;
    snprintf(name, sizeof name, "the timing cache %s", env->folder);
    status = pf_lmdb_check(env->mdb, name, advice, err);
    if (!status) {
        env->looked_wall_ns = now_ns;
        env->looked_now = true;
    }
    return status;
}

static pf_status check_format(pf_timing_env *env, MDB_txn *txn, pf_err *err)
{
    MDB_val   key = {6, (void *)"format"}, value = {0};
    pf_reader reader;
    uint32_t  format = 0;
    int       code = mdb_get(txn, env->table[PF_TABLE_META], &key, &value);

    if (code)
        return pf_timing_env_fail(env->folder, "open", code == MDB_NOTFOUND ? MDB_INVALID : code, err);
    pf_reader_init(&reader, value.mv_data, value.mv_size);
    format = pf_read_u32(&reader);
    if (format == FORMAT)
        return PF_OK;
    return PF_FAIL(err, PF_STALE,
                   "the timing cache %s has format %u and this planfarm reads format %d; move it away, or export it "
                   "with the planfarm that made it and import the file",
                   env->folder, format, FORMAT);
}

/* Makes the tables of a fresh environment; puts the format into one that has none. */
static pf_status open_tables(pf_timing_env *env, MDB_txn *txn, pf_err *err)
{
    uint8_t  format[4] = {FORMAT, 0, 0, 0};
    MDB_val  key = {6, (void *)"format"}, value = {sizeof format, format};
    unsigned flags = env->read_only ? 0 : MDB_CREATE;
    int      code = 0;

    for (int i = 0; i < PF_TABLE_COUNT && !code; i++)
        code = mdb_dbi_open(txn, table_names[i], flags, &env->table[i]);
    if (!code && !env->read_only)
        code = mdb_put(txn, env->table[PF_TABLE_META], &key, &value, MDB_NOOVERWRITE);
    if (code == MDB_KEYEXIST)
        code = 0;
    if (code)
        return pf_timing_env_fail(env->folder, "open", code == MDB_NOTFOUND ? MDB_INVALID : code, err);
    return check_format(env, txn, err);
}

static int try_map(pf_timing_env *env, uint64_t map_bytes)
{
    int code = mdb_env_create(&env->mdb);

    if (!code)
        code = mdb_env_set_maxdbs(env->mdb, PF_TABLE_COUNT);
    if (!code)
        code = mdb_env_set_maxreaders(env->mdb, READERS);
    if (!code)
        code = mdb_env_set_mapsize(env->mdb, (size_t)map_bytes);
    if (!code)
        code = mdb_env_open(env->mdb, env->folder, MDB_NOTLS | (env->read_only ? MDB_RDONLY : 0), 0664);
    if (code) {
        mdb_env_close(env->mdb);
        env->mdb = NULL;
    }
    return code;
}

/* LMDB writes its lock file through a shared map: without a block behind it, a full disk would kill the process with
   SIGBUS. So its blocks are taken first; the size stays, since LMDB reads the number of reader slots from it. */
static int reserve_lock_file(const pf_timing_env *env)
{
    char path[PATH_MAX];
    int  fd = -1, code = 0;

    if (env->read_only)
        return 0;
    if (snprintf(path, sizeof path, "%s/lock.mdb", env->folder) >= (int)sizeof path)
        return ENAMETOOLONG;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0664);
    if (fd < 0)
        return errno;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOCK_BYTES))
        /* a file system that cannot reserve is taken as it is */
        code = errno == ENOSPC || errno == EDQUOT ? errno : 0;
    close(fd);
    return code;
}

/* A process whose address space is limited gets a smaller map: room enough for most caches. */
static int map_file(pf_timing_env *env, uint64_t map_bytes)
{
    int code = reserve_lock_file(env);

    if (code)
        return code;
    code = try_map(env, map_bytes);

    while ((code == ENOMEM || code == EINVAL) && map_bytes / MAP_STEP >= MAP_LEAST_BYTES) {
        map_bytes /= MAP_STEP;
        code = try_map(env, map_bytes);
    }
    return code;
}

static pf_status open_mdb(pf_timing_env *env, uint64_t map_bytes, pf_err *err)
{
    MDB_txn  *txn = NULL;
    int       dead = 0;
    int       code = 0;
    pf_status status = look_at_head(env, err);

    if (status)
        return status;
    code = map_file(env, map_bytes);
    if (code == ENOENT && env->read_only)
        return PF_FAIL(err, PF_NOT_FOUND, "there is no timing cache in %s; a build with --cache makes one",
                       env->folder);
    if (code)
        return pf_timing_env_fail(env->folder, "open", code, err);
    env->looked_wall_ns = env->read_only ? 0 : pf_lmdb_take_note(env->mdb, env->folder);
    status = env->looked_wall_ns ? PF_OK : pf_timing_env_look(env, err);
    if (status)
        return status;
    mdb_reader_check(env->mdb, &dead);      /* slots of killed processes pin pages for ever */
    if (dead)
        pf_log(PF_LOG_INFO, "timing_db", "readers_cleared count=%d folder=%s", dead, env->folder);
    status = pf_timing_env_begin(env, !env->read_only, &txn, err);
    if (!status)
        status = open_tables(env, txn, err);
    if (!status)
        return pf_timing_env_commit(env, txn, err);
    mdb_txn_abort(txn);
    return status;
}

static pf_status open_new(const char *folder, const struct stat *info, uint64_t map_bytes, bool read_only,
                          pf_timing_env **out, pf_err *err)
{
    pf_timing_env *env = pf_calloc(1, sizeof *env);
    pf_status      status = PF_OK;

    if (!env)
        return PF_FAIL_MEMORY(err, sizeof *env);
    snprintf(env->folder, sizeof env->folder, "%s", folder);
    env->read_only = read_only;
    env->device = info->st_dev;
    env->inode = info->st_ino;
    env->users = 1;
    status = open_mdb(env, map_bytes, err);
    if (status) {
        mdb_env_close(env->mdb);
        pf_free(env);
        return status;
    }
    env->next = open_envs;
    open_envs = env;
    *out = env;
    return PF_OK;
}

static pf_timing_env *find_open(const struct stat *info)
{
    pf_timing_env *env = open_envs;

    while (env && (env->device != info->st_dev || env->inode != info->st_ino))
        env = env->next;
    return env;
}

static pf_status prepare_folder(const char *folder, bool read_only, struct stat *info, pf_err *err)
{
    pf_status status = read_only ? PF_OK : pf_dir_make(folder, err);

    if (status)
        return pf_err_add(err, status, "making the timing cache");
    if (stat(folder, info))
        return errno == ENOENT ? PF_FAIL(err, PF_NOT_FOUND, "there is no timing cache %s", folder)
                               : PF_FAIL_ERRNO(err, "open the timing cache", folder);
    if (!S_ISDIR(info->st_mode))
        return PF_FAIL(err, PF_INVALID, "%s is not a folder; a timing cache is one", folder);
    return check_place(folder, err);
}

pf_status pf_timing_env_open(const char *folder, uint64_t map_bytes, bool read_only, pf_timing_env **out, pf_err *err)
{
    struct stat info = {0};
    pf_status   status = prepare_folder(folder, read_only, &info, err);

    *out = NULL;
    if (status)
        return status;
    pthread_mutex_lock(&lock);
    *out = find_open(&info);
    if (!*out)
        status = open_new(folder, &info, map_bytes, read_only, out, err);
    else if ((*out)->read_only && !read_only)
        status = PF_FAIL(err, PF_BUSY, "the timing cache %s is open for reading in this process; close it first",
                         folder);
    else
        (*out)->users++;
    if (status)
        *out = NULL;
    pthread_mutex_unlock(&lock);
    return status;
}

void pf_timing_env_close(pf_timing_env *env)
{
    pf_timing_env **link = &open_envs;

    if (!env)
        return;
    pthread_mutex_lock(&lock);
    if (--env->users == 0) {
        while (*link && *link != env)
            link = &(*link)->next;
        if (*link)
            *link = env->next;
        if (!env->read_only && !env->broken)
            pf_lmdb_note(env->mdb, env->folder, env->looked_wall_ns);
        mdb_env_close(env->mdb);
        pf_free(env);
    }
    pthread_mutex_unlock(&lock);
}

pf_status pf_timing_env_begin(pf_timing_env *env, bool write, MDB_txn **out, pf_err *err)
{
    int code = 0, dead = 0;

    *out = NULL;
    if (write && env->read_only)
        return PF_FAIL(err, PF_DENIED, "the timing cache %s is open for reading only", env->folder);
    if (write && env->broken)
        return PF_FAIL(err, PF_IO, "an earlier write to the timing cache %s failed; nothing more is written to it",
                       env->folder);
    code = mdb_txn_begin(env->mdb, NULL, write ? 0 : MDB_RDONLY, out);
    if (code == MDB_READERS_FULL) {
        mdb_reader_check(env->mdb, &dead);
        code = mdb_txn_begin(env->mdb, NULL, write ? 0 : MDB_RDONLY, out);
    }
    return code ? pf_timing_env_fail(env->folder, write ? "write" : "read", code, err) : PF_OK;
}

/* LMDB says EIO both for a write that the disk had no room to finish and for a disk that fails. */
static bool is_disk_full(const pf_timing_env *env)
{
    struct statfs info = {0};

    return statfs(env->folder, &info) == 0 && (uint64_t)info.f_bavail * (uint64_t)info.f_bsize < FULL_BYTES;
}

pf_status pf_timing_env_commit(pf_timing_env *env, MDB_txn *txn, pf_err *err)
{
    int code = mdb_txn_commit(txn);

    if (!code)
        return PF_OK;
    if (code == EIO && is_disk_full(env))
        code = ENOSPC;
    if (code != ENOSPC && code != MDB_MAP_FULL && code != EDQUOT && code != EFBIG)
        env->broken = true;
    return pf_timing_env_fail(env->folder, "write", code, err);
}
