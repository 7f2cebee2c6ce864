/* The model's files, from the farm into the lease's folder. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "builder-agent/blob_cache.h"
#include "builder-agent/job.h"
#include "builder-agent/url_fetch.h"
#include "engine/model_bundle.h"
#include "proto/model_manifest.h"

typedef struct fetch {
    pf_job_run *run;
    uint64_t    before_bytes, total_bytes;      /* of the files before this one; of all */
    pf_model_source source;                     /* of a model by URL */
    pf_model_source now;  /* the file of it that is fetched now; max_bytes: what is left of the limit */
} fetch;

static bool on_bytes(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    fetch   *f = user;
    uint64_t done = f->before_bytes + done_bytes;
    char     json[96];

    (void)total_bytes;
    snprintf(json, sizeof json, "{\"done_bytes\":%" PRIu64 ",\"total_bytes\":%" PRIu64 "}", done, f->total_bytes);
    return pf_job_tell(f->run, PF__PHASE__PHASE_FETCH, f->total_bytes ? (uint32_t)(done * 1000 / f->total_bytes) : 0,
                       "fetching the model", json);
}

/* The size becomes known with the first bytes. */
static bool on_url_bytes(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    fetch *f = user;

    f->total_bytes = total_bytes ? f->before_bytes + total_bytes : 0;
    return on_bytes(user, done_bytes, total_bytes);
}

static pf_status open_transfer(fetch *f, pf_transfer **out, pf_err *err)
{
    const pf_job_file  *job = f->run->job;
    pf_transfer_options options = { .url = job->http_url, .token = job->token[0] ? job->token : NULL,
                                    .keep_partial = true, .watch = on_bytes, .user = f };

    return pf_transfer_new(&options, out, err);
}

/* What the model digest names: a list of files, or a URL. */
static pf_status get_text(pf_job_run *run, pf_buf *text, pf_err *err)
{
    char      hex[PF_DIGEST_HEX_BYTES], path[128];
    pf_digest found = { 0 };
    pf_status st = PF_OK;

    pf_digest_to_hex(&run->job->model, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    st = pf_transfer_get(run->transfer, path, PF_MODEL_MANIFEST_BYTES, text, err);
    run->model_at_fault = st == PF_NOT_FOUND;
    if (st == PF_NOT_FOUND)
        return pf_err_add(err, st,
                          "the farm lost the list of the model's files; submit the model again, which stores it again");
    if (st)
        return pf_err_add(err, st, "the list of the model's files cannot be fetched");
    pf_digest_of(text->data, text->size, &found);
    if (!pf_digest_equal(&found, &run->job->model))
        return PF_FAIL(err, PF_CORRUPT, "the list of the model's files has another digest than it should");
    return PF_OK;
}

static pf_status make_folder_of(char *path, pf_err *err)
{
    char     *slash = strrchr(path, '/');
    pf_status st = PF_OK;

    *slash = 0;
    st = pf_dir_make(path, err);
    *slash = '/';
    return st;
}

static pf_status place_file(pf_blob_cache *cache, pf_job_run *run, const pf_model_file *file, pf_err *err)
{
    char      model[PATH_MAX], path[PATH_MAX];
    pf_status st = pf_path_join(run->folder, "model", model, sizeof model, err);

    if (!st)
        st = pf_path_join(model, file->name, path, sizeof path, err);
    if (!st)
        st = make_folder_of(path, err);
    if (!st)
        st = pf_blob_cache_link(cache, &file->digest, file->bytes, path, err);
    run->model_at_fault = st == PF_NOT_FOUND;
    if (st == PF_NOT_FOUND)
        return pf_err_add(err, st, "the farm lost the model's file %s; submit the model again, which stores it again",
                          file->name);
    return st ? pf_err_add(err, st, "the model's file %s cannot be fetched", file->name) : PF_OK;
}

static pf_status open_cache(fetch *f, pf_blob_cache **out, pf_err *err)
{
    const pf_job_file *job = f->run->job;

    *out = pf_calloc(1, sizeof **out);
    if (!*out)
        return PF_FAIL_MEMORY(err, sizeof **out);
    (*out)->user = f;
    return pf_blob_cache_init(*out, job->agent_folder, job->cache_limit_bytes, err);
}

static pf_status place_files(fetch *f, const pf_model_manifest *list, pf_err *err)
{
    pf_blob_cache *cache = NULL;
    pf_transfer   *transfer = NULL;
    pf_status      st = open_cache(f, &cache, err);

    if (!st)
        st = open_transfer(f, &transfer, err);
    if (!st) {
        cache->transfer = transfer;
        cache->watch = on_bytes;
        cache->user = f;
    }
    for (uint32_t i = 0; i < list->files_count && !st; i++) {
        st = place_file(cache, f->run, &list->file[i], err);
        f->before_bytes += list->file[i].bytes;
    }
    pf_transfer_free(transfer);
    pf_free(cache);
    return st;
}

static pf_status fetch_files(fetch *f, const pf_buf *text, pf_err *err)
{
    pf_model_manifest list = { 0 };
    pf_status         st = pf_model_manifest_parse(text->data, text->size, &list, err);

    for (uint32_t i = 0; i < list.files_count && !st; i++)
        f->total_bytes += list.file[i].bytes;
    if (!st)
        st = place_files(f, &list, err);
    pf_model_manifest_clear(&list);
    return st;
}

static bool drop_damaged(pf_job_run *run, const pf_model_manifest *list)
{
    const pf_job_file *job = run->job;
    char               model[PATH_MAX], path[PATH_MAX];
    pf_blob_cache     *cache = pf_calloc(1, sizeof *cache);
    bool               damaged = false;

    if (!cache || pf_blob_cache_init(cache, job->agent_folder, job->cache_limit_bytes, NULL) ||
        pf_path_join(run->folder, "model", model, sizeof model, NULL)) {
        pf_free(cache);
        return false;
    }
    for (uint32_t i = 0; i < list->files_count; i++) {
        pf_digest found = { 0 };
        uint64_t  bytes = 0;
        if (pf_path_join(model, list->file[i].name, path, sizeof path, NULL) == PF_OK &&
            pf_file_digest(path, &found, &bytes, NULL) == PF_OK && !pf_digest_equal(&found, &list->file[i].digest)) {
            pf_blob_cache_drop(cache, &list->file[i].digest);
            damaged = true;
        }
    }
    pf_free(cache);
    return damaged;
}

bool pf_job_drop_damaged(pf_job_run *run)
{
    bool              damaged = false;
    pf_model_manifest list = { 0 };
    pf_buf            text = { 0 };

    if (get_text(run, &text, NULL) == PF_OK && pf_model_manifest_parse(text.data, text.size, &list, NULL) == PF_OK)
        damaged = drop_damaged(run, &list);
    pf_model_manifest_clear(&list);
    pf_buf_clear(&text);
    return damaged;
}

/* ---- by URL */

static pf_status get_url(fetch *f, const char *path, pf_digest *digest, pf_err *err)
{
    pf_url_fetch how = {.source = &f->now, .limit_bytes = f->run->job->url_limit_bytes,
                        .watch = on_url_bytes, .user = f};
    pf_status    st = pf_url_fetch_get(&how, path, digest, err);

    f->run->model_at_fault = st == PF_INVALID || st == PF_NOT_FOUND || st == PF_DENIED || st == PF_CORRUPT;
    return st;
}

static pf_status origin(void *user, const char *path, pf_err *err)
{
    return get_url(user, path, NULL, err);
}

/* With a known digest it comes by way of the cache: it may be there, and what was begun is gone on with. */
static pf_status place_url(fetch *f, const char *path, pf_digest *found, pf_err *err)
{
    pf_blob_cache *cache = NULL;
    pf_status      st = PF_OK;

    if (!f->now.pinned)
        return get_url(f, path, found, err);
    *found = f->now.sha256;
    st = open_cache(f, &cache, err);
    if (!st) {
        cache->origin = origin;
        cache->watch = on_url_bytes;
        cache->user = f;
        st = pf_blob_cache_link(cache, &f->now.sha256, PF_BLOB_BYTES_UNKNOWN, path, err);
    }
    pf_free(cache);
    return st;
}

static pf_status bytes_of(const char *path, uint64_t *bytes, pf_err *err)
{
    struct stat info = { 0 };

    if (stat(path, &info) != 0)
        return PF_FAIL_ERRNO(err, "look at", path);
    *bytes = (uint64_t)info.st_size;
    return PF_OK;
}

/* What the whole model may still have; the URL and the digest of f->now are set. */
static pf_status place_part(fetch *f, const char *folder, const char *name, pf_err *err)
{
    const uint64_t wanted = f->source.max_bytes, own = f->run->job->url_limit_bytes;
    const uint64_t limit = wanted && wanted < own ? wanted : own;
    char           path[PATH_MAX], hex[PF_DIGEST_HEX_BYTES];
    pf_digest      found = { 0 };
    uint64_t       bytes = 0;
    pf_status      st = pf_path_join(folder, name, path, sizeof path, err);

    if (!st && own && f->before_bytes >= limit) {
        f->run->model_at_fault = true;
        st = PF_FAIL(err, PF_INVALID, "the model with its weights is larger than the allowed %" PRIu64 " bytes", limit);
    }
    f->now.max_bytes = limit - f->before_bytes;
    if (!st)
        st = make_folder_of(path, err);
    if (!st)
        st = place_url(f, path, &found, err);
    if (!st)
        st = bytes_of(path, &bytes, err);
    if (st)
        return st;
    f->before_bytes += bytes;
    pf_digest_to_hex(&found, hex);
    /* into the job's log, for who wants to give it the next time */
    pf_log(f->source.pinned ? PF_LOG_INFO : PF_LOG_WARN, "job", "model_fetched job=%llu file=\"%s\" sha256=%s%s",
           (unsigned long long)f->run->job->job_id, name, hex,
           f->source.pinned ? "" : " hint=\"submit with it, and the plan is found again\"");
    return PF_OK;
}

static pf_status place_weights(fetch *f, const char *folder, const char *location, pf_err *err)
{
    const pf_digest *digest = pf_model_source_find(&f->source, location);
    pf_status        st = PF_OK;

    if (f->source.pinned && !digest)
        st = PF_FAIL(err, PF_INVALID,
                     "the model has weights in \"%s\", whose digest the submit does not say; give --data-sha256 %s=HEX",
                     location, location);
    if (!st)
        st = pf_model_source_beside(f->source.url, location, f->now.url, err);
    f->run->model_at_fault = st != PF_OK;
    if (digest)
        f->now.sha256 = *digest;
    if (!st)
        st = place_part(f, folder, location, err);
    return st ? pf_err_add(err, st, "the model's weights file %s", location) : PF_OK;
}

static bool has_file(const pf_model_bundle *bundle, const char *location)
{
    for (uint32_t i = 1; i < bundle->count; i++)
        if (strcmp(bundle->file[i].name, location) == 0)
            return true;
    return false;
}

/* Which there are, only the model itself says. */
static pf_status place_all_weights(fetch *f, const char *folder, pf_err *err)
{
    char            path[PATH_MAX];
    pf_model_bundle bundle = { 0 };
    pf_status       st = pf_path_join(folder, PF_MODEL_ONNX_NAME, path, sizeof path, err);

    if (!st)
        st = pf_model_bundle_list(path, &bundle, err);
    f->run->model_at_fault = st == PF_INVALID || st == PF_UNSUPPORTED;
    for (uint32_t i = 0; i < f->source.files_count && !st; i++)
        if (!has_file(&bundle, f->source.file[i].location)) {
            st = PF_FAIL(err, PF_INVALID, "the submit gives a digest of \"%s\", and the model has no such weights file",
                         f->source.file[i].location);
            f->run->model_at_fault = true;
        }
    for (uint32_t i = 1; i < bundle.count && !st; i++)
        st = place_weights(f, folder, bundle.file[i].name, err);
    pf_model_bundle_clear(&bundle);
    return st;
}

static pf_status fetch_url(fetch *f, const pf_buf *text, pf_err *err)
{
    char      folder[PATH_MAX];
    pf_status st = pf_model_source_parse(text->data, text->size, &f->source, err);

    f->run->model_by_url = true;
    f->now = f->source;
    if (!st)
        st = pf_path_join(f->run->folder, "model", folder, sizeof folder, err);
    if (!st)
        st = place_part(f, folder, PF_MODEL_ONNX_NAME, err);
    if (!st)
        st = place_all_weights(f, folder, err);
    return st ? pf_err_add(err, st, "the model cannot be fetched") : PF_OK;
}

pf_status pf_job_fetch(pf_job_run *run, pf_err *err)
{
    fetch    *f = pf_calloc(1, sizeof *f);
    pf_buf    text = { 0 };
    pf_status st = f ? PF_OK : PF_FAIL_MEMORY(err, sizeof *f);

    if (st)
        return st;
    f->run = run;
    st = get_text(run, &text, err);
    if (!st && pf_model_source_is(text.data, text.size))
        st = fetch_url(f, &text, err);
    else if (!st)
        st = fetch_files(f, &text, err);
    pf_buf_clear(&text);
    pf_free(f);
    return st;
}
