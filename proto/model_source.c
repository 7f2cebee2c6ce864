#include "proto/model_source.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

static const char HEAD[] = "planfarm-model-url 1\n";

bool pf_model_source_is_url(const char *text)
{
    size_t bytes = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

    return bytes > 0 && strncmp(text + bytes, "://", 3) == 0;
}

pf_status pf_model_source_check_url(const char *url, pf_err *err)
{
    static const char *const schemes[] = { "http://", "https://", "s3://" };
    bool                     s3 = strncasecmp(url, "s3://", 5) == 0;    /* its keys hold any character, and no %XX */
    const char              *host = NULL;
    size_t                   host_bytes = 0;

    if (strlen(url) >= PF_MODEL_URL_BYTES)
        return PF_FAIL(err, PF_INVALID, "the model's URL is longer than %d characters", PF_MODEL_URL_BYTES - 1);
    for (const char *at = url; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f || (!s3 && (*at == ' ' || (unsigned char)*at > '~')))
            return PF_FAIL(err, PF_INVALID, s3 ? "the model's URL holds a control character" :
                           "the model's URL holds a blank or a character that is not ASCII; write it as %%XX");
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && !host; i++)
        if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
            host = url + strlen(schemes[i]);
    if (!host)
        return PF_FAIL(err, PF_INVALID, "models are fetched by http, https or s3, not from \"%.100s\"", url);
    host_bytes = strcspn(host, "/?#");
    if (host_bytes == 0)
        return PF_FAIL(err, PF_INVALID, "the model's URL \"%.100s\" names no host", url);
    if (memchr(host, '@', host_bytes))
        return PF_FAIL(err, PF_INVALID,
                       "the model's URL holds a user or password, which would be stored with the job; give the agents "
                       "access instead");
    return PF_OK;
}

/* ---- weights beside the model */

pf_status pf_model_source_add(pf_model_source *source, const char *location, const pf_digest *sha256, pf_err *err)
{
    char                  joined[PF_MODEL_LOCATION_BYTES + 4];
    pf_model_source_file *file = NULL;

    for (const char *at = location; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return PF_FAIL(err, PF_INVALID, "the name of a weights file holds a control character");
    if (strlen(location) >= PF_MODEL_LOCATION_BYTES)
        return PF_FAIL(err, PF_INVALID, "the name of a weights file has more than %d bytes",
                       PF_MODEL_LOCATION_BYTES - 1);
    if (pf_path_join("m", location, joined, sizeof joined, NULL))
        return PF_FAIL(err, PF_INVALID, "the weights file \"%.100s\" does not lie in the folder of the model's URL",
                       location);
    if (pf_model_source_find(source, location))
        return PF_FAIL(err, PF_INVALID, "the weights file \"%.100s\" is named twice", location);
    if (source->files_count == PF_MODEL_SOURCE_FILES_MAX)
        return PF_FAIL(err, PF_INVALID, "a model by URL may have %d weights files; keep them in fewer",
                       PF_MODEL_SOURCE_FILES_MAX);
    file = &source->file[source->files_count++];
    file->sha256 = *sha256;
    snprintf(file->location, sizeof file->location, "%s", location);
    return PF_OK;
}

const pf_digest *pf_model_source_find(const pf_model_source *source, const char *location)
{
    for (uint32_t i = 0; i < source->files_count; i++)
        if (strcmp(source->file[i].location, location) == 0)
            return &source->file[i].sha256;
    return NULL;
}

pf_status pf_model_source_beside(const char *url, const char *location, char out[PF_MODEL_URL_BYTES], pf_err *err)
{
    bool   s3 = strncasecmp(url, "s3://", 5) == 0;      /* its keys hold any character */
    size_t path_bytes = s3 ? strlen(url) : strcspn(url, "?#"), query_bytes = strcspn(url + path_bytes, "#"), used = 0;
    size_t host_end = (size_t)(strstr(url, "://") - url) + 3;

    host_end += strcspn(url + host_end, "/?#");
    while (path_bytes > host_end && url[path_bytes - 1] != '/')
        path_bytes--;
    used = (size_t)snprintf(out, PF_MODEL_URL_BYTES, "%.*s%s", (int)path_bytes, url, path_bytes > host_end ? "" : "/");
    for (const char *at = location; *at && used < PF_MODEL_URL_BYTES; at++) {
        bool plain = s3 || isalnum((unsigned char)*at) || strchr("-_.~/", *at);
        used += (size_t)snprintf(out + used, PF_MODEL_URL_BYTES - used, plain ? "%c" : "%%%02X", (unsigned char)*at);
    }
    if (used < PF_MODEL_URL_BYTES && !s3)
        used += (size_t)snprintf(out + used, PF_MODEL_URL_BYTES - used, "%.*s", (int)query_bytes,
                                 url + strcspn(url, "?#"));
    return used < PF_MODEL_URL_BYTES
               ? PF_OK
               : PF_FAIL(err, PF_INVALID, "the URL of the weights file \"%.100s\" is too long", location);
}

/* ---- the text */

static void put_hex(pf_buf *out, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        pf_buf_printf(out, "%02x", data[i]);
}

pf_status pf_model_source_write(const pf_model_source *source, pf_buf *out, pf_err *err)
{
    pf_status st = pf_model_source_check_url(source->url, err);

    if (st)
        return st;
    pf_buf_printf(out, "%surl %s\n%s ", HEAD, source->url, source->pinned ? "sha256" : "once");
    if (source->pinned)
        put_hex(out, source->sha256.byte, sizeof source->sha256.byte);
    else
        put_hex(out, source->once, sizeof source->once);
    pf_buf_printf(out, "\nmax_bytes %" PRIu64 "\n", source->max_bytes);
    if (source->files_count)
        pf_buf_printf(out, "files %" PRIu32 "\n", source->files_count);
    for (uint32_t i = 0; i < source->files_count; i++) {
        put_hex(out, source->file[i].sha256.byte, sizeof source->file[i].sha256.byte);
        pf_buf_printf(out, " %s\n", source->file[i].location);
    }
    return out->failed ? PF_FAIL_MEMORY(err, PF_MODEL_URL_BYTES) : PF_OK;
}

bool pf_model_source_is(const void *text, size_t bytes)
{
    return bytes >= sizeof HEAD - 1 && memcmp(text, HEAD, sizeof HEAD - 1) == 0;
}

/* Copies the value of the line "name value"; *at moves behind it. */
static bool take_line(const char **at, const char *end, const char *name, char *out, size_t capacity)
{
    const char *stop = memchr(*at, '\n', (size_t)(end - *at)), *from = *at + strlen(name) + 1;

    if (!stop || from > stop || strncmp(*at, name, strlen(name)) != 0 || from[-1] != ' ' ||
        (size_t)(stop - from) >= capacity || memchr(from, 0, (size_t)(stop - from)))
        return false;
    memcpy(out, from, (size_t)(stop - from));
    out[stop - from] = 0;
    *at = stop + 1;
    return true;
}

static bool take_once(const char *hex, uint8_t once[PF_MODEL_ONCE_BYTES])
{
    char      padded[PF_DIGEST_HEX_BYTES] = "";
    pf_digest digest = { 0 };

    if (strlen(hex) != 2 * PF_MODEL_ONCE_BYTES)
        return false;
    snprintf(padded, sizeof padded, "%s%032d", hex, 0);
    if (!pf_digest_from_hex(padded, &digest))
        return false;
    memcpy(once, digest.byte, PF_MODEL_ONCE_BYTES);
    return true;
}

static bool take_number(const char **at, const char *end, const char *name, uint64_t *out)
{
    char word[32] = "", again[32] = "";

    if (!take_line(at, end, name, word, sizeof word))
        return false;
    *out = strtoull(word, NULL, 10);
    snprintf(again, sizeof again, "%" PRIu64, *out);
    return strcmp(again, word) == 0;
}

static bool take_files(const char **at, const char *end, pf_model_source *out)
{
    uint64_t count = 0;

    if (!out->pinned || !take_number(at, end, "files", &count) || count == 0 || count > PF_MODEL_SOURCE_FILES_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        char      hex[PF_DIGEST_HEX_BYTES] = "", location[PF_MODEL_LOCATION_BYTES] = "";
        pf_digest sha256 = { 0 };
        if (end - *at < PF_DIGEST_HEX_BYTES)
            return false;
        memcpy(hex, *at, PF_DIGEST_HEX_BYTES - 1);
        if (!pf_digest_from_hex(hex, &sha256) || !take_line(at, end, hex, location, sizeof location) ||
            pf_model_source_add(out, location, &sha256, NULL))
            return false;
    }
    return true;
}

pf_status pf_model_source_parse(const void *text, size_t bytes, pf_model_source *out, pf_err *err)
{
    const char *at = text, *end = at + bytes;
    char        word[PF_DIGEST_HEX_BYTES] = "";
    bool        good = pf_model_source_is(text, bytes);

    memset(out, 0, sizeof *out);
    at += good ? sizeof HEAD - 1 : 0;
    good = good && take_line(&at, end, "url", out->url, sizeof out->url) &&
           pf_model_source_check_url(out->url, NULL) == PF_OK;
    out->pinned = good && take_line(&at, end, "sha256", word, sizeof word);
    if (out->pinned)
        good = pf_digest_from_hex(word, &out->sha256);
    else
        good = good && take_line(&at, end, "once", word, sizeof word) && take_once(word, out->once);
    good = good && take_number(&at, end, "max_bytes", &out->max_bytes) &&
           (at == end || (take_files(&at, end, out) && at == end));
    if (good)
        return PF_OK;
    memset(out, 0, sizeof *out);
    return PF_FAIL(err, PF_CORRUPT, "%zu bytes are no URL of a model", bytes);
}
