/* The model's files, from the farm into the lease's folder. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "builder-agent/blob_cache.h"
#include "builder-agent/job.h"
#include "proto/model_manifest.h"

typedef struct fetch {
    pf_job_run *run;
    uint64_t    before_bytes, total_bytes;      /* of the files before this one; of all */
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

static pf_status open_transfer(fetch *f, pf_transfer **out, pf_err *err)
{
    const pf_job_file  *job = f->run->job;
    pf_transfer_options options = { .url = job->http_url, .token = job->token[0] ? job->token : NULL,
                                    .keep_partial = true, .watch = on_bytes, .user = f };

    return pf_transfer_new(&options, out, err);
}

static pf_status get_list(pf_job_run *run, pf_model_manifest *out, pf_err *err)
{
    char      hex[PF_DIGEST_HEX_BYTES], path[128];
    pf_buf    text = { 0 };
    pf_digest found = { 0 };
    pf_status st = PF_OK;

    pf_digest_to_hex(&run->job->model, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    st = pf_transfer_get(run->transfer, path, PF_MODEL_MANIFEST_BYTES, &text, err);
    if (st)
        return pf_err_add(err, st, "the list of the model's files cannot be fetched");
    pf_digest_of(text.data, text.size, &found);
    if (!pf_digest_equal(&found, &run->job->model))
        st = PF_FAIL(err, PF_CORRUPT, "the list of the model's files has another digest than it should");
    else
        st = pf_model_manifest_parse(text.data, text.size, out, err);
    pf_buf_clear(&text);
    return st;
}

static pf_status place_file(pf_blob_cache *cache, const pf_job_run *run, const pf_model_file *file, pf_err *err)
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
    return st ? pf_err_add(err, st, "the model's file %s cannot be fetched", file->name) : PF_OK;
}

static pf_status place_files(fetch *f, const pf_model_manifest *list, pf_err *err)
{
    const pf_job_file *job = f->run->job;
    pf_blob_cache     *cache = pf_calloc(1, sizeof *cache);
    pf_transfer       *transfer = NULL;
    pf_status          st = cache ? PF_OK : PF_FAIL_MEMORY(err, sizeof *cache);

    if (!st)
        st = pf_blob_cache_init(cache, job->agent_folder, job->cache_limit_bytes, err);
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

pf_status pf_job_fetch(pf_job_run *run, pf_err *err)
{
    fetch             f = { .run = run };
    pf_model_manifest list = { 0 };
    pf_status         st = get_list(run, &list, err);

    for (uint32_t i = 0; i < list.files_count && !st; i++)
        f.total_bytes += list.file[i].bytes;
    if (!st)
        st = place_files(&f, &list, err);
    pf_model_manifest_clear(&list);
    return st;
}
