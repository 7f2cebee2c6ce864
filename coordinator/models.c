#include "coordinator/models.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "proto/model_manifest.h"
#include "proto/model_source.h"

enum { KEPT = 256 };

/* A model found whole is not looked at again for so long, while no blob is removed. */
#define BELIEVED_NS (1 * PF_NS_PER_S)
#define TOUCH_NS    (600 * PF_NS_PER_S)         /* nor is its use noted; much less than what the collector spares */

typedef struct kept {
    pf_digest         model;
    pf_model_manifest manifest;
    bool              used;
    int64_t           whole_ns;         /* pf_clock_ns when all its blobs were last found; 0: never */
    uint64_t          removed_count;    /* of the store, then */
    int64_t           touched_ns;
} kept;

struct pf_models {
    const pf_store *store;
    kept            kept[KEPT];         /* by the first byte of the digest */
    pf_digest      *missing;            /* owned */
    uint32_t        missing_capacity;
};

pf_status pf_models_new(const pf_store *store, pf_models **out, pf_err *err)
{
    *out = pf_calloc(1, sizeof **out);
    if (!*out)
        return PF_FAIL_MEMORY(err, sizeof **out);
    (*out)->store = store;
    return PF_OK;
}

void pf_models_free(pf_models *models)
{
    if (!models)
        return;
    for (int i = 0; i < KEPT; i++)
        pf_model_manifest_clear(&models->kept[i].manifest);
    pf_free(models->missing);
    pf_free(models);
}

/* Reads the manifest, or finds it among those that were read; it must be in the store. */
static pf_status find_manifest(pf_models *models, const pf_digest *model, const pf_model_manifest **out, pf_err *err)
{
    kept           *slot = &models->kept[model->byte[0]];
    pf_buf          text = { 0 };
    pf_model_source source;
    pf_status       st = PF_OK;

    *out = &slot->manifest;
    if (slot->used && pf_digest_equal(&slot->model, model))
        return PF_OK;
    pf_model_manifest_clear(&slot->manifest);
    slot->used = false;
    pf_buf_init(&text, PF_MODEL_MANIFEST_BYTES + 1);
    st = pf_store_read(models->store, model, PF_MODEL_MANIFEST_BYTES, &text, err);
    if (!st && pf_model_source_is(text.data, text.size))
        st = pf_model_source_parse(text.data, text.size, &source, err);  /* agents fetch it: there are no files here */
    else if (!st)
        st = pf_model_manifest_parse(text.data, text.size, &slot->manifest, err);
    pf_buf_clear(&text);
    if (st)
        return st;
    slot->model = *model;
    slot->used = true;
    slot->whole_ns = slot->touched_ns = 0;
    return PF_OK;
}

static pf_status add_missing(pf_models *models, uint32_t *count, const pf_digest *digest, pf_err *err)
{
    void *items = models->missing;

    if (pf_grow(&items, &models->missing_capacity, *count + 1, sizeof *models->missing))
        return PF_FAIL_MEMORY(err, sizeof *models->missing);
    models->missing = items;
    models->missing[(*count)++] = *digest;
    return PF_OK;
}

pf_status pf_models_missing(pf_models *models, const pf_digest *model, const pf_digest **missing, uint32_t *count,
                            pf_err *err)
{
    kept                    *slot = &models->kept[model->byte[0]];
    const pf_model_manifest *manifest = NULL;
    int64_t                  now_ns = pf_clock_ns();
    uint64_t                 removed_count = pf_store_removed_count(models->store);
    bool                     touch = false;
    pf_err                   why = { 0 };
    pf_status                st = PF_OK;

    *count = 0;
    *missing = models->missing;
    if (slot->used && pf_digest_equal(&slot->model, model) && slot->whole_ns && now_ns - slot->whole_ns < BELIEVED_NS &&
        slot->removed_count == removed_count)
        return PF_OK;
    if (!pf_store_has(models->store, model, NULL)) {
        st = add_missing(models, count, model, err);
        *missing = models->missing;
        return st;
    }
    st = find_manifest(models, model, &manifest, &why);
    if (st)
        return PF_FAIL(err, st == PF_NO_SPACE ? st : PF_INVALID, "model_digest names no list of a model's files: %s",
                       why.msg);
    touch = slot->touched_ns == 0 || now_ns - slot->touched_ns > TOUCH_NS;
    if (touch)
        pf_store_touch(models->store, model);
    for (uint32_t i = 0; i < manifest->files_count && !st; i++) {
        uint64_t bytes = 0;
        if (!pf_store_has(models->store, &manifest->file[i].digest, &bytes) || bytes != manifest->file[i].bytes)
            st = add_missing(models, count, &manifest->file[i].digest, err);
        else if (touch)
            pf_store_touch(models->store, &manifest->file[i].digest);
    }
    *missing = models->missing;
    slot->whole_ns = st || *count ? 0 : now_ns;
    slot->removed_count = removed_count;
    slot->touched_ns = touch ? now_ns : slot->touched_ns;
    return st;
}

void pf_models_files(pf_models *models, const pf_digest *model, void (*each)(void *user, const pf_digest *digest),
                     void *user)
{
    const pf_model_manifest *manifest = NULL;

    if (!pf_store_has(models->store, model, NULL) || find_manifest(models, model, &manifest, NULL))
        return;
    for (uint32_t i = 0; i < manifest->files_count; i++)
        each(user, &manifest->file[i].digest);
}
