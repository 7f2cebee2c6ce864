#include "proto/transfer/transfer.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "proto/farm_key.h"
#include "proto/transfer/transfer_private.h"

enum { TOKEN_S = 24 * 3600, CONNECT_S = 5, STALL_S = 60, ATTEMPTS = 5, LOW_SPEED_BYTES = 1024, TURN_MS = 100 };

#define FIRST_PAUSE_NS (200 * PF_NS_PER_MS)
#define MOST_PAUSE_NS  (5 * PF_NS_PER_S)

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode       curl_started = CURLE_FAILED_INIT;

static void start_curl(void)
{
    curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

pf_status pf_transfer_start(pf_err *err)
{
    pthread_once(&curl_once, start_curl);
    if (curl_started != CURLE_OK)
        return PF_FAIL(err, PF_INTERNAL, "libcurl does not start: %s", curl_easy_strerror(curl_started));
    return PF_OK;
}

static bool is_http(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

static pf_status make_token(char out[PF_FARM_TOKEN_BYTES], pf_err *err)
{
    pf_farm_key own;
    pf_status   st = pf_farm_key_own(&own, err);

    out[0] = 0;
    if (!st && own.name[0])
        st = pf_farm_token_make(&own, pf_clock_wall_ns() / PF_NS_PER_S, TOKEN_S, out, err);
    pf_farm_key_clear(&own);
    return st;
}

static pf_status set_token(pf_transfer *transfer, const char *token, pf_err *err)
{
    char      line[1024], own[PF_FARM_TOKEN_BYTES] = "";
    pf_status st = token ? PF_OK : make_token(own, err);

    if (st)
        return st;
    token = token ? token : own;
    if (!token[0])
        return PF_OK;
    if (snprintf(line, sizeof line, "Authorization: Bearer %s", token) >= (int)sizeof line)
        return PF_FAIL(err, PF_USAGE, "the farm's token is longer than 1000 characters");
    transfer->headers = curl_slist_append(NULL, line);
    return transfer->headers ? PF_OK : PF_FAIL_MEMORY(err, sizeof line);
}

static pf_status copy_url(pf_transfer *transfer, const char *url, pf_err *err)
{
    size_t length = strlen(url);

    if (!is_http(url))
        return PF_FAIL(err, PF_USAGE, "\"%.200s\" is not the URL of a farm; give one like http://host:7780", url);
    while (length && url[length - 1] == '/')
        length--;
    transfer->url = pf_strndup(url, length);
    return transfer->url ? PF_OK : PF_FAIL_MEMORY(err, length);
}

pf_status pf_transfer_new(const pf_transfer_options *options, pf_transfer **out, pf_err *err)
{
    pf_transfer *transfer = NULL;
    pf_status    st = pf_transfer_start(err);

    *out = NULL;
    if (st)
        return st;
    transfer = pf_calloc(1, sizeof *transfer);
    if (!transfer)
        return PF_FAIL_MEMORY(err, sizeof *transfer);
    transfer->connect_ns = options->connect_ns ? options->connect_ns : CONNECT_S * PF_NS_PER_S;
    transfer->stall_ns = options->stall_ns ? options->stall_ns : STALL_S * PF_NS_PER_S;
    transfer->attempts = options->attempts ? options->attempts : ATTEMPTS;
    transfer->keep_partial = options->keep_partial;
    transfer->watch = options->watch;
    transfer->user = options->user;
    st = copy_url(transfer, options->url, err);
    if (!st)
        st = set_token(transfer, options->token, err);
    if (!st) {
        transfer->curl = curl_easy_init();
        if (!transfer->curl)
            st = PF_FAIL(err, PF_NO_SPACE, "cannot set up a transfer: out of memory");
    }
    if (!st) {
        *out = transfer;
        transfer = NULL;
    }
    pf_transfer_free(transfer);
    return st;
}

void pf_transfer_free(pf_transfer *transfer)
{
    if (!transfer)
        return;
    curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(transfer->headers);
    pf_free(transfer->url);
    pf_free(transfer);
}

const char *pf_transfer_url(const pf_transfer *transfer)
{
    return transfer->url;
}

void pf_transfer_blob_path(const pf_digest *digest, char out[PF_TRANSFER_PATH_BYTES])
{
    char hex[PF_DIGEST_HEX_BYTES];

    pf_digest_to_hex(digest, hex);
    snprintf(out, PF_TRANSFER_PATH_BYTES, "/blobs/sha256/%s", hex);
}

/* ---- callbacks of libcurl */

/* The text of a refusal, kept as one line. */
static void keep_reason(pf_transfer_request *request, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes && request->reason_bytes + 1 < sizeof request->reason; i++)
        request->reason[request->reason_bytes++] = (unsigned char)data[i] < ' ' ? ' ' : data[i];
    while (request->reason_bytes && request->reason[request->reason_bytes - 1] == ' ')
        request->reason_bytes--;
    request->reason[request->reason_bytes] = 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    pf_transfer_request *request = user;
    size_t               bytes = size * count;

    curl_easy_getinfo(request->transfer->curl, CURLINFO_RESPONSE_CODE, &request->code);
    if (request->code >= 400) {
        keep_reason(request, data, bytes);
        return bytes;
    }
    if (!request->begun && request->begin && !request->begin(request))
        return 0;
    request->begun = true;
    if (request->add && !request->add(request, data, bytes))
        return 0;
    return bytes;
}

static size_t on_read(char *out, size_t size, size_t count, void *user)
{
    pf_transfer_request *request = user;
    size_t               bytes = size * count;

    return request->read(request, out, &bytes) ? bytes : CURL_READFUNC_ABORT;
}

static int on_seek(void *user, curl_off_t offset, int origin)
{
    pf_transfer_request *request = user;

    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    return request->rewind(request) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static int on_progress(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    pf_transfer_request *request = user;
    pf_transfer         *transfer = request->transfer;
    bool                 sends = request->read != NULL;
    uint64_t             done = (uint64_t)(sends ? up : down) + request->progress_base;
    uint64_t             total = (uint64_t)(sends ? up_total : down_total);

    if (!transfer->watch)
        return 0;
    return transfer->watch(transfer->user, done, total ? total + request->progress_base : 0) ? 0 : 1;
}

/* ---- one request */

void pf_transfer_set_authorities(CURL *curl)
{
    const char *file = getenv("SSL_CERT_FILE");

    if (file && file[0])
        curl_easy_setopt(curl, CURLOPT_CAINFO, file);
}

static void set_limits(pf_transfer *transfer, pf_transfer_request *request)
{
    CURL *curl = transfer->curl;

    pf_transfer_set_authorities(curl);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(transfer->connect_ns / PF_NS_PER_MS));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)LOW_SPEED_BYTES);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)((transfer->stall_ns + PF_NS_PER_S - 1) / PF_NS_PER_S));
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "planfarm");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer->headers);
}

static void set_method(pf_transfer *transfer, pf_transfer_request *request)
{
    CURL *curl = transfer->curl;
    char  range[32];

    if (request->head)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (request->from_byte) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)request->from_byte);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
    if (!request->read)
        return;
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, request);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, request);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->read_bytes);
}

/* What codes of refusal mean to us; the rest is UNREACHABLE from 500 on and INVALID below. */
static const struct { long code; pf_status status; } refusals[] = {
    { 401, PF_DENIED },   { 403, PF_DENIED },   { 404, PF_NOT_FOUND }, { 410, PF_NOT_FOUND }, { 413, PF_NO_SPACE },
    { 422, PF_CORRUPT },  { 429, PF_BUSY },     { 503, PF_BUSY },      { 507, PF_NO_SPACE },
};

/* The message of a refusal: a farm's is an object, a proxy's any text. */
static pf_status say_reason(const pf_transfer_request *request, pf_status st, pf_err *err)
{
    json_t     *object = json_loadb(request->reason, request->reason_bytes, 0, NULL);
    const char *message = json_string_value(json_object_get(object, "message"));
    char        line[512] = "";

    snprintf(line, sizeof line, "%.511s", request->reason);
    st = PF_FAIL(err, st, "%s", message ? message : line);
    json_decref(object);
    return st;
}

static pf_status refused(const pf_transfer *transfer, const pf_transfer_request *request, pf_err *err)
{
    pf_status st = request->code >= 500 ? PF_UNREACHABLE : PF_INVALID;

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i].code == request->code)
            st = refusals[i].status;
    }
    if (request->reason[0])
        return say_reason(request, st, err);
    return PF_FAIL(err, st, "the farm at %s answered %ld to a request for %s", transfer->url, request->code,
                   request->path);
}

static pf_status failed(const pf_transfer *transfer, const pf_transfer_request *request, CURLcode code,
                        const char *details, pf_err *err)
{
    const char *why = details[0] ? details : curl_easy_strerror(code);

    if (request->failure) {
        if (err && !err->msg[0])
            *err = request->failure_err;
        return request->failure;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return PF_FAIL(err, PF_CANCELLED, "the transfer was stopped");
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return PF_FAIL(err, PF_USAGE, "\"%s\" is not a usable URL: %s", transfer->url, why);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM)
        return PF_FAIL(err, PF_DENIED, "the farm at %s does not prove who it is: %s", transfer->url, why);
    if (code == CURLE_OUT_OF_MEMORY)
        return PF_FAIL(err, PF_NO_SPACE, "out of memory during a transfer");
    return PF_FAIL(err, PF_UNREACHABLE, "the farm at %s does not answer: %s", transfer->url, why);
}

pf_status pf_transfer_once(pf_transfer *transfer, pf_transfer_request *request, pf_err *err)
{
    char     details[CURL_ERROR_SIZE] = "";
    char     url[2048];
    CURLcode code = CURLE_OK;
    curl_off_t content_bytes = -1;

    if (snprintf(url, sizeof url, "%s%s", transfer->url, request->path) >= (int)sizeof url)
        return PF_FAIL(err, PF_USAGE, "the farm's URL is longer than 1500 characters");
    request->transfer = transfer;
    request->code = 0;
    request->begun = false;
    request->failure = PF_OK;
    request->reason[0] = 0;
    request->reason_bytes = 0;
    pf_err_clear(&request->failure_err);
    curl_easy_reset(transfer->curl);        /* keeps the connection */
    set_limits(transfer, request);
    set_method(transfer, request);
    curl_easy_setopt(transfer->curl, CURLOPT_URL, url);
    curl_easy_setopt(transfer->curl, CURLOPT_ERRORBUFFER, details);
    code = curl_easy_perform(transfer->curl);
    curl_easy_setopt(transfer->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &request->code);
    curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &content_bytes);
    request->content_bytes = content_bytes;
    if (!request->failure && request->code >= 400)      /* a server may refuse before it has read all of a body */
        return refused(transfer, request, err);
    if (code != CURLE_OK)
        return failed(transfer, request, code, details, err);
    if (request->code >= 300)
        return PF_FAIL(err, PF_INVALID, "the farm at %s redirects elsewhere, which is not followed", transfer->url);
    if (!request->begun && request->begin && !request->begin(request))   /* an empty body */
        return failed(transfer, request, CURLE_WRITE_ERROR, details, err);
    return PF_OK;
}

/* False when the watch wants to stop. */
static bool pause_for(const pf_transfer *transfer, int64_t ns)
{
    int64_t until_ns = pf_clock_ns() + ns;

    while (pf_clock_ns() < until_ns) {
        if (transfer->watch && !transfer->watch(transfer->user, 0, 0))
            return false;
        pf_clock_sleep_ns(TURN_MS * PF_NS_PER_MS);
    }
    return true;
}

pf_status pf_transfer_perform(pf_transfer *transfer, pf_transfer_request *request,
                              bool (*again)(pf_transfer_request *request), pf_err *err)
{
    int64_t   pause_ns = FIRST_PAUSE_NS;
    pf_err    why = { 0 };
    pf_status st = pf_transfer_once(transfer, request, &why);

    for (uint32_t i = 1; i < transfer->attempts && (st == PF_UNREACHABLE || st == PF_BUSY); i++) {
        if (!pause_for(transfer, pause_ns)) {
            pf_err_clear(&why);
            st = PF_FAIL(&why, PF_CANCELLED, "the transfer was stopped");
            break;
        }
        pause_ns = pause_ns * 2 < MOST_PAUSE_NS ? pause_ns * 2 : MOST_PAUSE_NS;
        pf_err_clear(&why);
        if (again && !again(request)) {
            st = request->failure;
            why = request->failure_err;
            break;
        }
        st = pf_transfer_once(transfer, request, &why);
    }
    return st ? PF_FAIL(err, st, "%s", why.msg) : PF_OK;
}

/* ---- texts */

static bool add_text(pf_transfer_request *request, const void *data, size_t bytes)
{
    pf_buf *out = request->user;

    if (pf_buf_put(out, data, bytes))
        return true;
    request->failure = PF_FAIL(&request->failure_err, PF_NO_SPACE, "the farm's answer at %s is longer than %zu bytes",
                               request->path, out->limit);
    return false;
}

static bool text_again(pf_transfer_request *request)
{
    pf_buf_reset(request->user);
    return true;
}

pf_status pf_transfer_get(pf_transfer *transfer, const char *path, size_t limit_bytes, pf_buf *out, pf_err *err)
{
    pf_transfer_request request = { .add = add_text, .user = out };
    pf_status           st = PF_OK;

    pf_buf_init(out, limit_bytes);
    if (snprintf(request.path, sizeof request.path, "%s", path) >= (int)sizeof request.path)
        return PF_FAIL(err, PF_INVALID, "the path %.200s... is too long", path);
    st = pf_transfer_perform(transfer, &request, text_again, err);
    if (st)
        pf_buf_clear(out);
    return st;
}
