/* The model's files, from the farm into the lease's folder. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "builder-agent/blob_cache.h"
#include "builder-agent/job.h"
#include "builder-agent/url_fetch.h"
#include "proto/model_manifest.h"

typedef struct fetch {
    pf_job_run *run;
    uint64_t    before_bytes, total_bytes;      /* of the files before this one; of all */
    pf_model_source source;                     /* of a model by URL */
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

    f->total_bytes = total_bytes;
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
        return pf_err_add(err, st, "the farm lost the list of the model's files; submit the model again, which stores it again");
    if (st)
        return pf_err_add(err, st, "the list of the model's files cannot be fetched");
    pf_digest_of(text->data, text->size, &found);
    if (!pf_digest_equal(&found, &run->job->model))
        return PF_FAIL(err, PF_CORRUPT, "the list of the model's files has another digest than it should");
    return PF_OK;
}

static pf_status place_file(pf_blob_cache *cache, pf_job_run *run, const pf_model_file *file, pf_err *err)
{
    char      model[PATH_MAX], path[PATH_MAX];
    char     *slash = NULL;
    pf_status st = pf_path_join(run->folder, "model", model, sizeof model, err);

    if (!st)
        st = pf_path_join(model, file->name, path, sizeof path, err);
    slash = st ? NULL : strrchr(path, '/');
    if (slash) {
        *slash = 0;
        st = pf_dir_make(path, err);
        *slash = '/';
    }
    if (!st)
        st = pf_blob_cache_link(cache, &file->digest, file->bytes, path, err);
    run->model_at_fault = st == PF_NOT_FOUND;
    if (st == PF_NOT_FOUND)
        return pf_err_add(err, st, "the farm lost the model's file %s; submit the model again, which stores it again", file->name);
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
    pf_url_fetch how = { .source = &f->source, .limit_bytes = f->run->job->url_limit_bytes, .watch = on_url_bytes, .user = f };
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

    if (!f->source.pinned)
        return get_url(f, path, found, err);
    *found = f->source.sha256;
    st = open_cache(f, &cache, err);
    if (!st) {
        cache->origin = origin;
        cache->watch = on_url_bytes;
        cache->user = f;
        st = pf_blob_cache_link(cache, &f->source.sha256, PF_BLOB_BYTES_UNKNOWN, path, err);
    }
    pf_free(cache);
    return st;
}

static pf_status fetch_url(fetch *f, const pf_buf *text, pf_err *err)
{
    char      folder[PATH_MAX], path[PATH_MAX], hex[PF_DIGEST_HEX_BYTES];
    pf_digest found = { 0 };
    pf_status st = pf_model_source_parse(text->data, text->size, &f->source, err);

    f->run->model_by_url = true;
    if (!st)
        st = pf_path_join(f->run->folder, "model", folder, sizeof folder, err);
    if (!st)
        st = pf_dir_make(folder, err);
    if (!st)
        st = pf_path_join(folder, PF_MODEL_ONNX_NAME, path, sizeof path, err);
    if (!st)
        st = place_url(f, path, &found, err);
    if (st)
        return pf_err_add(err, st, "the model cannot be fetched");
    pf_digest_to_hex(&found, hex);
    /* into the job's log, for who wants to give it the next time */
    pf_log(f->source.pinned ? PF_LOG_INFO : PF_LOG_WARN, "job", "model_fetched job=%llu sha256=%s%s",
           (unsigned long long)f->run->job->job_id, hex, f->source.pinned ? "" : " hint=\"submit with it, and the plan is found again\"");
    return PF_OK;
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
