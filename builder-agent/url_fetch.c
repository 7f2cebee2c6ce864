#include "builder-agent/url_fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "builder-agent/s3.h"
#include "proto/transfer/partial.h"
#include "proto/transfer/transfer_private.h"

enum { CONNECT_S = 10, STALL_S = 60, ATTEMPTS = 5, REDIRECTS_MAX = 5, LOW_SPEED_BYTES = 1024, TURN_MS = 100,
       ETAG_BYTES = 128, SHOWN_BYTES = 300 };

#define FIRST_PAUSE_NS (200 * PF_NS_PER_MS)
#define MOST_PAUSE_NS  (5 * PF_NS_PER_S)

typedef struct download {
    const pf_url_fetch *fetch;
    CURL      *curl;
    pf_partial partial;
    uint64_t   limit_bytes;
    char       shown[SHOWN_BYTES];          /* the URL without its query, which may hold a secret */
    char       url[PF_S3_URL_BYTES];        /* asked now, after redirects */
    char       etag[ETAG_BYTES];            /* of what the partial file is the beginning of; "": not known */
    char       next_etag[ETAG_BYTES];
    uint64_t   from_byte;
    uint64_t   range_from;                  /* of the answer's Content-Range; UINT64_MAX: none */
    bool       begun, refused_address;
    pf_status  failure;                     /* of a callback */
    pf_err     failure_err;
} download;

/* ---- addresses */

static bool is_link_local(const struct sockaddr *address)
{
    const struct sockaddr_in  *four = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;

    if (address->sa_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 16 == 0xa9fe;           /* 169.254.0.0/16 */
    return address->sa_family == AF_INET6 && (IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) ||
                                              (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) &&
                                               six->sin6_addr.s6_addr[12] == 169 && six->sin6_addr.s6_addr[13] == 254));
}

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    download *d = user;

    (void)purpose;
    d->refused_address = is_link_local(&address->addr);
    if (d->refused_address)
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* "host:port" of a URL, for comparing. */
static void place_of(const char *url, char out[256])
{
    const char *from = strstr(url, "://");

    from = from ? from + 3 : url;
    snprintf(out, 256, "%.*s", (int)strcspn(from, "/?#"), from);
}

static bool is_https(const char *url)
{
    return strncasecmp(url, "https://", 8) == 0;
}

static pf_status check_redirect(const download *d, const char *to, pf_err *err)
{
    char here[256], there[256];

    place_of(d->url, here);
    place_of(to, there);
    if (pf_s3_is(d->fetch->source->url))
        return PF_FAIL(err, PF_INVALID,
                       "%s: the store redirects elsewhere; set AWS_REGION or AWS_ENDPOINT_URL_S3 of the agent",
                       d->shown);
    if (pf_s3_is(to) || pf_model_source_check_url(to, NULL))
        return PF_FAIL(err, PF_INVALID, "%s redirects to something that is neither http nor https", d->shown);
    if (is_https(d->url) && !is_https(to))
        return PF_FAIL(err, PF_INVALID, "%s redirects from https to http", d->shown);
    if (strcasecmp(here, there) != 0 && !d->fetch->source->pinned)
        return PF_FAIL(err, PF_INVALID,
                       "%s redirects to %.100s, which is followed only when the submit gives the model's SHA-256",
                       d->shown, there);
    return PF_OK;
}

/* ---- callbacks of libcurl */

static void take_value(const char *line, size_t bytes, const char *name, char *out, size_t capacity)
{
    size_t length = strlen(name);

    if (bytes <= length || strncasecmp(line, name, length) != 0)
        return;
    while (length < bytes && line[length] == ' ')
        length++;
    while (bytes > length && (unsigned char)line[bytes - 1] <= ' ')
        bytes--;
    snprintf(out, capacity, "%.*s", (int)(bytes - length), line + length);
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    download *d = user;
    size_t    bytes = size * count;
    char      range[64] = "";

    if (bytes > 5 && strncasecmp(data, "HTTP/", 5) == 0)        /* another answer begins */
        d->next_etag[0] = 0;
    take_value(data, bytes, "etag:", d->next_etag, sizeof d->next_etag);
    take_value(data, bytes, "content-range:", range, sizeof range);
    if (strncasecmp(range, "bytes ", 6) == 0)
        d->range_from = strtoull(range + 6, NULL, 10);
    return bytes;
}

/* The first bytes of a good answer: they go on where we are, or begin anew. */
static pf_status begin(download *d, long code, pf_err *err)
{
    curl_off_t announced = -1;

    if (code == 206 && d->range_from != d->from_byte)
        return PF_FAIL(err, PF_UNREACHABLE, "%s answered with another range than was asked for", d->shown);
    if (code != 206 && d->partial.at) {
        pf_status st = pf_partial_start_over(&d->partial, err);
        if (st)
            return st;
    }
    curl_easy_getinfo(d->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    snprintf(d->etag, sizeof d->etag, "%s", d->next_etag);
    if (announced > 0 &&
        (uint64_t)announced > d->limit_bytes - (d->partial.at < d->limit_bytes ? d->partial.at : d->limit_bytes))
        return PF_FAIL(err, PF_INVALID, "%s is larger than the allowed %" PRIu64 " bytes", d->shown, d->limit_bytes);
    return PF_OK;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    download *d = user;
    size_t    bytes = size * count;
    long      code = 0;

    curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code >= 300)
        return bytes;           /* what a refusal or a redirect says in its body is not shown */
    if (!d->begun)
        d->failure = begin(d, code, &d->failure_err);
    d->begun = true;
    if (!d->failure && bytes > d->limit_bytes - d->partial.at)
        d->failure = PF_FAIL(&d->failure_err, PF_INVALID, "%s is larger than the allowed %" PRIu64 " bytes", d->shown,
                             d->limit_bytes);
    if (!d->failure)
        d->failure = pf_partial_add(&d->partial, data, bytes, d->shown, &d->failure_err);
    return d->failure ? 0 : bytes;
}

static int on_progress(void *user, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up)
{
    download *d = user;

    (void)up_total;
    (void)up;
    (void)done;
    if (!d->fetch->watch)
        return 0;
    return d->fetch->watch(d->fetch->user, d->partial.at, total > 0 ? d->from_byte + (uint64_t)total : 0) ? 0 : 1;
}

/* ---- one request */

static long milliseconds(int64_t ns, int64_t otherwise_s)
{
    return (long)((ns ? ns : otherwise_s * PF_NS_PER_S) / PF_NS_PER_MS);
}

static void set_options(download *d)
{
    CURL *curl = d->curl;

    pf_transfer_set_authorities(curl);
    curl_easy_setopt(curl, CURLOPT_URL, d->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(d->fetch->connect_ns, CONNECT_S));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)LOW_SPEED_BYTES);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (milliseconds(d->fetch->stall_ns, STALL_S) + 999) / 1000);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, d);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, d);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, d);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, d);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "planfarm");
}

/* The rest of what is here; without a digest only when the server says that it is still the same. */
static pf_status set_range(download *d, struct curl_slist **headers, pf_err *err)
{
    char line[ETAG_BYTES + 16] = "", range[32] = "";

    d->from_byte = d->partial.at;
    if (d->from_byte && !d->fetch->source->pinned && !d->etag[0]) {
        d->from_byte = 0;
        return pf_partial_start_over(&d->partial, err);
    }
    if (!d->from_byte)
        return PF_OK;
    snprintf(range, sizeof range, "%" PRIu64 "-", d->from_byte);
    curl_easy_setopt(d->curl, CURLOPT_RANGE, range);
    if (!d->etag[0] || strncmp(d->etag, "W/", 2) == 0)
        return PF_OK;
    snprintf(line, sizeof line, "If-Range: %s", d->etag);
    *headers = curl_slist_append(*headers, line);
    return *headers ? PF_OK : PF_FAIL_MEMORY(err, sizeof line);
}

static const struct { long code; pf_status status; } refusals[] = {
    { 401, PF_DENIED },    { 403, PF_DENIED }, { 404, PF_NOT_FOUND }, { 410, PF_NOT_FOUND }, { 408, PF_UNREACHABLE },
    { 416, PF_UNREACHABLE }, { 429, PF_BUSY }, { 503, PF_BUSY },
};

static pf_status refused(download *d, long code, pf_err *err)
{
    pf_status st = code >= 500 ? PF_UNREACHABLE : PF_INVALID;

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusals[i].code == code)
            st = refusals[i].status;
    if (code == 416)            /* shorter than what is here */
        pf_partial_start_over(&d->partial, NULL);
    return PF_FAIL(err, st, "%s answered %ld%s", d->shown, code, pf_s3_is(d->shown) ? pf_s3_advice(code) : "");
}

static pf_status failed(const download *d, CURLcode code, const char *details, pf_err *err)
{
    const char *why = details[0] ? details : curl_easy_strerror(code);

    if (d->failure)
        return PF_FAIL(err, d->failure, "%s", d->failure_err.msg);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return PF_FAIL(err, PF_CANCELLED, "the transfer was stopped");
    if (d->refused_address)
        return PF_FAIL(err, PF_DENIED, "%s lies at a link-local address, which agents do not ask", d->shown);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return PF_FAIL(err, PF_INVALID, "%s is no usable URL: %s", d->shown, why);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM)
        return PF_FAIL(err, PF_DENIED, "%s: the server does not prove who it is: %s", d->shown, why);
    return PF_FAIL(err, PF_UNREACHABLE, "%s: %s", d->shown, why);
}

/* *to: where it redirects to, borrowed from libcurl; NULL when it does not. */
static pf_status request(download *d, const char **to, pf_err *err)
{
    char               details[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURLcode           done = CURLE_OK;
    long               code = 0;
    pf_status          st = PF_OK;

    *to = NULL;
    d->begun = d->refused_address = false;
    d->failure = PF_OK;
    d->range_from = UINT64_MAX;
    pf_err_clear(&d->failure_err);
    curl_easy_reset(d->curl);
    set_options(d);
    st = set_range(d, &headers, err);
    if (!st && pf_s3_is(d->fetch->source->url))
        st = pf_s3_sign(d->curl, &headers, err);
    if (!st) {
        curl_easy_setopt(d->curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(d->curl, CURLOPT_ERRORBUFFER, details);
        done = curl_easy_perform(d->curl);
        curl_easy_setopt(d->curl, CURLOPT_ERRORBUFFER, NULL);
        curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &code);
        if (done == CURLE_OK && code >= 300 && code < 400)
            curl_easy_getinfo(d->curl, CURLINFO_REDIRECT_URL, to);
    }
    curl_slist_free_all(headers);
    if (st)
        return st;
    if (!d->failure && (code >= 400 || (code >= 300 && !*to)))
        return refused(d, code, err);
    if (done != CURLE_OK)
        return failed(d, done, details, err);
    if (!*to && !d->begun && d->partial.at && code != 206)      /* an empty file now */
        return pf_partial_start_over(&d->partial, err);
    return PF_OK;
}

/* ---- all of it */

static pf_status first_url(download *d, pf_err *err)
{
    const char *url = d->fetch->source->url;

    if (pf_s3_is(url))
        return pf_s3_url(url, d->url, err);
    snprintf(d->url, sizeof d->url, "%s", url);
    return PF_OK;
}

/* One attempt, with its redirects. */
static pf_status attempt(download *d, pf_err *err)
{
    const char *to = NULL;
    pf_status   st = first_url(d, err);

    for (int i = 0; !st; i++) {
        st = request(d, &to, err);
        if (st || !to)
            break;
        if (i == REDIRECTS_MAX)
            st = PF_FAIL(err, PF_INVALID, "%s redirects more than %d times", d->shown, REDIRECTS_MAX);
        else
            st = check_redirect(d, to, err);
        if (!st && snprintf(d->url, sizeof d->url, "%s", to) >= (int)sizeof d->url)
            st = PF_FAIL(err, PF_INVALID, "%s redirects to a URL that is too long", d->shown);
    }
    return st;
}

static bool pause_for(const pf_url_fetch *fetch, const download *d, int64_t ns)
{
    int64_t until_ns = pf_clock_ns() + ns;

    while (pf_clock_ns() < until_ns) {
        if (fetch->watch && !fetch->watch(fetch->user, d->partial.at, 0))
            return false;
        pf_clock_sleep_ns(TURN_MS * PF_NS_PER_MS);
    }
    return true;
}

static pf_status attempts(download *d, pf_err *err)
{
    uint32_t  most = d->fetch->attempts ? d->fetch->attempts : ATTEMPTS;
    int64_t   pause_ns = FIRST_PAUSE_NS;
    pf_err    why = { 0 };
    pf_status st = attempt(d, &why);

    for (uint32_t i = 1; i < most && (st == PF_UNREACHABLE || st == PF_BUSY); i++) {
        if (!pause_for(d->fetch, d, pause_ns))
            return PF_FAIL(err, PF_CANCELLED, "the transfer was stopped");
        pause_ns = pause_ns * 2 < MOST_PAUSE_NS ? pause_ns * 2 : MOST_PAUSE_NS;
        pf_err_clear(&why);
        st = attempt(d, &why);
    }
    return st ? PF_FAIL(err, st, "%s", why.msg) : PF_OK;
}

static bool is_right(const download *d)
{
    pf_digest found = { 0 };

    pf_partial_digest(&d->partial, &found);
    return !d->fetch->source->pinned || pf_digest_equal(&found, &d->fetch->source->sha256);
}

/* What an earlier process left may be damaged or of another file: then it is thrown away once. */
static pf_status fetch_all(download *d, pf_err *err)
{
    char      found_hex[PF_DIGEST_HEX_BYTES], wanted_hex[PF_DIGEST_HEX_BYTES];
    pf_digest found = { 0 };
    pf_status st = PF_OK;

    if (d->partial.at && d->fetch->source->pinned && is_right(d))
        return PF_OK;
    st = attempts(d, err);
    if (!st && !is_right(d) && d->partial.resumed_at) {
        st = pf_partial_start_over(&d->partial, err);
        st = st ? st : attempts(d, err);
    }
    if (st || is_right(d))
        return st;
    pf_partial_digest(&d->partial, &found);
    pf_digest_to_hex(&found, found_hex);
    pf_digest_to_hex(&d->fetch->source->sha256, wanted_hex);
    return PF_FAIL(err, PF_CORRUPT, "%s has the SHA-256 %s, but the submit says %s; give the one that you mean",
                   d->shown, found_hex, wanted_hex);
}

static uint64_t limit_of(const pf_url_fetch *fetch)
{
    uint64_t wanted = fetch->source->max_bytes;

    return wanted && wanted < fetch->limit_bytes ? wanted : fetch->limit_bytes;
}

static pf_status fetch_to(download *d, const char *path, pf_digest *digest, pf_err *err)
{
    char      name[PATH_MAX];
    pf_status st = PF_OK;

    if (snprintf(name, sizeof name, "%s.partial", path) >= (int)sizeof name)
        return PF_FAIL(err, PF_INVALID, "the path %.200s... is too long", path);
    st = pf_partial_open(name, d->limit_bytes, &d->partial, err);
    if (!st && d->partial.at && (!d->fetch->source->pinned || d->partial.at > d->limit_bytes))
        st = pf_partial_start_over(&d->partial, err);
    if (!st)
        st = fetch_all(d, err);
    if (!st)
        st = pf_partial_publish(&d->partial, path, err);
    if (!st && digest)
        pf_partial_digest(&d->partial, digest);
    return st;
}

static pf_status make_handle(CURL **out, pf_err *err)
{
    pf_status st = pf_transfer_start(err);

    if (st)
        return st;
    *out = curl_easy_init();
    return *out ? PF_OK : PF_FAIL(err, PF_NO_SPACE, "cannot set up a transfer: out of memory");
}

pf_status pf_url_fetch_get(const pf_url_fetch *fetch, const char *path, pf_digest *digest, pf_err *err)
{
    download *d = pf_calloc(1, sizeof *d);
    pf_status st = PF_OK;

    if (!d)
        return PF_FAIL_MEMORY(err, sizeof *d);
    d->fetch = fetch;
    d->partial.fd = -1;
    d->limit_bytes = limit_of(fetch);
    snprintf(d->shown, sizeof d->shown, "%.*s", (int)strcspn(fetch->source->url, "?#"), fetch->source->url);
    if (d->limit_bytes == 0)
        st = PF_FAIL(err, PF_INVALID, "this agent fetches no models by URL");
    if (!st)
        st = make_handle(&d->curl, err);
    if (!st)
        st = fetch_to(d, path, digest, err);
    pf_partial_close(&d->partial,
                     !st || (fetch->source->pinned && d->partial.at > 0 && st != PF_CORRUPT && st != PF_INVALID));
    curl_easy_cleanup(d->curl);
    pf_free(d);
    return st;
}
