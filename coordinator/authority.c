#include "coordinator/authority.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

struct pf_authority {
    pthread_mutex_t mutex;              /* guards ring */
    pf_key_ring     ring;
    bool            has_keys;
    pf_farm_key     server;
    char            ring_path[PATH_MAX];
    struct timespec ring_changed;
    off_t           ring_bytes;
};

static void note_change(pf_authority *authority)
{
    struct stat info = { 0 };

    if (stat(authority->ring_path, &info) != 0)
        return;
    authority->ring_changed = info.st_mtim;
    authority->ring_bytes = info.st_size;
}

pf_status pf_authority_open(const char *folder, pf_authority **out, pf_err *err)
{
    pf_authority *authority = pf_calloc(1, sizeof *authority);
    char          path[PATH_MAX] = "";
    pf_status     st = PF_OK;

    *out = NULL;
    if (!authority)
        return PF_FAIL_MEMORY(err, sizeof *authority);
    pthread_mutex_init(&authority->mutex, NULL);
    st = pf_path_join(folder, "farm.key", path, sizeof path, err);
    if (!st)
        st = pf_path_join(folder, "ring", authority->ring_path, sizeof authority->ring_path, err);
    if (!st && pf_file_exists(path)) {
        authority->has_keys = true;
        st = pf_farm_key_read(path, &authority->server, err);
    }
    note_change(authority);
    if (!st)
        st = pf_key_ring_read(authority->ring_path, &authority->ring, err);
    if (st) {
        pf_authority_close(authority);
        return st;
    }
    *out = authority;
    return PF_OK;
}

void pf_authority_close(pf_authority *authority)
{
    if (!authority)
        return;
    pf_farm_key_clear(&authority->server);
    pf_key_ring_clear(&authority->ring);
    pthread_mutex_destroy(&authority->mutex);
    pf_free(authority);
}

bool pf_authority_has_keys(const pf_authority *authority)
{
    return authority->has_keys;
}

const pf_farm_key *pf_authority_server(const pf_authority *authority)
{
    return &authority->server;
}

void pf_authority_refresh(pf_authority *authority)
{
    struct stat info = { 0 };
    pf_key_ring fresh = { 0 }, old = { 0 };
    pf_err      why = { 0 };

    if (stat(authority->ring_path, &info) != 0 ||
        (info.st_size == authority->ring_bytes && info.st_mtim.tv_sec == authority->ring_changed.tv_sec &&
         info.st_mtim.tv_nsec == authority->ring_changed.tv_nsec))
        return;
    note_change(authority);
    if (pf_key_ring_read(authority->ring_path, &fresh, &why)) {
        pf_log(PF_LOG_ERROR, "keys", "ring_not_read reason=\"%s\"", why.msg);
        return;
    }
    pthread_mutex_lock(&authority->mutex);
    old = authority->ring;
    authority->ring = fresh;
    pthread_mutex_unlock(&authority->mutex);
    pf_log(PF_LOG_INFO, "keys", "ring_read keys=%u", fresh.count);
    pf_key_ring_clear(&old);
}

static bool take(const pf_ring_entry *found, pf_ring_entry *out)
{
    if (found)
        *out = *found;
    return found != NULL;
}

bool pf_authority_find(pf_authority *authority, const char *name, pf_ring_entry *out)
{
    bool found = false;

    pthread_mutex_lock(&authority->mutex);
    found = take(pf_key_ring_find(&authority->ring, name), out);
    pthread_mutex_unlock(&authority->mutex);
    return found;
}

bool pf_authority_find_key(pf_authority *authority, const char *public_key, pf_ring_entry *out)
{
    bool found = false;

    pthread_mutex_lock(&authority->mutex);
    found = take(pf_key_ring_find_key(&authority->ring, public_key), out);
    pthread_mutex_unlock(&authority->mutex);
    return found;
}

pf_status pf_authority_check_token(pf_authority *authority, const char *token, pf_ring_entry *out, pf_err *err)
{
    char name[PF_FARM_KEY_NAME] = "";

    if (!pf_farm_token_name(token, name) || !pf_authority_find(authority, name, out))
        return PF_FAIL(err, PF_DENIED, "the token names no key that this farm knows");
    return pf_farm_token_check(token, &authority->server, out->public_key, pf_clock_wall_ns() / PF_NS_PER_S, err);
}
