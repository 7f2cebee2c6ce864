/* Blobs coming in. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/transfer/partial.h"
#include "proto/transfer/transfer_private.h"

static bool start_over(pf_transfer_request *request)
{
    request->progress_base = 0;
    request->failure = pf_partial_start_over(request->user, &request->failure_err);
    return !request->failure;
}

/* A server that does not know ranges sends everything again. */
static bool begin(pf_transfer_request *request)
{
    const pf_partial *partial = request->user;

    if (request->from_byte && request->code != 206)
        return start_over(request);
    request->progress_base = partial->at;
    return true;
}

static bool add(pf_transfer_request *request, const void *data, size_t bytes)
{
    request->failure = pf_partial_add(request->user, data, bytes, request->path, &request->failure_err);
    return !request->failure;
}

static bool go_on(pf_transfer_request *request)
{
    const pf_partial *partial = request->user;

    request->from_byte = partial->at;
    return true;
}

static bool is_whole(const pf_partial *partial, const pf_digest *digest)
{
    pf_digest found = { 0 };

    pf_partial_digest(partial, &found);
    return pf_digest_equal(&found, digest);
}

/* The farm is asked to look at its copy, so that a damaged one is missed from now on and can be stored again. */
static pf_status other_bytes(pf_transfer *transfer, const char *path, pf_err *err)
{
    pf_transfer_request check = { .head = true };

    snprintf(check.path, sizeof check.path, "%.400s?check", path);
    if (pf_transfer_once(transfer, &check, NULL) == PF_NOT_FOUND)
        return PF_FAIL(err, PF_CORRUPT, "the farm at %s had a damaged %s, which is removed now; submit the model again",
                       transfer->url, path);
    return PF_FAIL(err, PF_CORRUPT,
                   "the bytes that the farm at %s gave for %s have another digest; its store is damaged "
                   "or something between changed them",
                   transfer->url, path);
}

/* Fetches what is missing.  What an earlier process left may be damaged or too long: then it is thrown away once. */
static pf_status fetch(pf_transfer *transfer, pf_partial *partial, const pf_digest *digest, pf_err *err)
{
    pf_transfer_request request = { .begin = begin, .add = add, .user = partial };
    bool                had_some = partial->at > 0;
    pf_err              why = { 0 };
    pf_status           st = PF_OK;

    pf_transfer_blob_path(digest, request.path);
    if (had_some && is_whole(partial, digest))
        return PF_OK;
    request.from_byte = partial->at;
    st = pf_transfer_perform(transfer, &request, go_on, &why);
    if (had_some && partial->resumed_at &&
        (st == PF_INVALID || st == PF_NO_SPACE || (!st && !is_whole(partial, digest)))) {
        pf_err_clear(&why);
        if (!start_over(&request))
            return PF_FAIL(err, request.failure, "%s", request.failure_err.msg);
        request.from_byte = 0;
        st = pf_transfer_perform(transfer, &request, go_on, &why);
    }
    if (st)
        return PF_FAIL(err, st, "%s", why.msg);
    return is_whole(partial, digest) ? PF_OK : other_bytes(transfer, request.path, err);
}

static pf_status open_partial(const pf_digest *digest, uint64_t limit_bytes, const char *path, pf_partial *out,
                              pf_err *err)
{
    char hex[PF_DIGEST_HEX_BYTES], name[PATH_MAX];

    pf_digest_to_hex(digest, hex);
    if (snprintf(name, sizeof name, "%s.%.16s.partial", path, hex) >= (int)sizeof name)
        return PF_FAIL(err, PF_INVALID, "the path %.200s... is too long", path);
    return pf_partial_open(name, limit_bytes, out, err);
}

pf_status pf_transfer_get_blob(pf_transfer *transfer, const pf_digest *digest, uint64_t limit_bytes, const char *path,
                               pf_err *err)
{
    pf_partial partial = { .fd = -1 };
    pf_status  st = open_partial(digest, limit_bytes, path, &partial, err);

    if (!st)
        st = fetch(transfer, &partial, digest, err);
    if (!st)
        st = pf_partial_publish(&partial, path, err);
    pf_partial_close(&partial,
                     !st || (transfer->keep_partial && partial.at > 0 && st != PF_CORRUPT && st != PF_NO_SPACE));
    return st;
}
