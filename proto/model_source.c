#include "proto/model_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char HEAD[] = "planfarm-model-url 1\n";

bool pf_model_source_is_url(const char *text)
{
    size_t bytes = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

    return bytes > 0 && strncmp(text + bytes, "://", 3) == 0;
}

pf_status pf_model_source_check_url(const char *url, pf_err *err)
{
    static const char *const schemes[] = { "http://", "https://", "s3://" };
    const char              *host = NULL;
    size_t                   host_bytes = 0;

    if (strlen(url) >= PF_MODEL_URL_BYTES)
        return PF_FAIL(err, PF_INVALID, "the model's URL is longer than %d characters", PF_MODEL_URL_BYTES - 1);
    for (const char *at = url; *at; at++)
        if (*at <= ' ' || *at > '~')
            return PF_FAIL(err, PF_INVALID, "the model's URL holds a blank or a character that is not ASCII; write it as %%XX");
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && !host; i++)
        if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
            host = url + strlen(schemes[i]);
    if (!host)
        return PF_FAIL(err, PF_INVALID, "models are fetched by http, https or s3, not from \"%.100s\"", url);
    host_bytes = strcspn(host, "/?#");
    if (host_bytes == 0)
        return PF_FAIL(err, PF_INVALID, "the model's URL \"%.100s\" names no host", url);
    if (memchr(host, '@', host_bytes))
        return PF_FAIL(err, PF_INVALID, "the model's URL holds a user or password, which would be stored with the job; give the agents "
                       "access instead");
    return PF_OK;
}

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

    if (!stop || from > stop || strncmp(*at, name, strlen(name)) != 0 || from[-1] != ' ' || (size_t)(stop - from) >= capacity ||
        memchr(from, 0, (size_t)(stop - from)))
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

pf_status pf_model_source_parse(const void *text, size_t bytes, pf_model_source *out, pf_err *err)
{
    const char *at = text, *end = at + bytes;
    char        word[PF_DIGEST_HEX_BYTES] = "", again[PF_DIGEST_HEX_BYTES] = "";
    bool        good = pf_model_source_is(text, bytes);

    memset(out, 0, sizeof *out);
    at += good ? sizeof HEAD - 1 : 0;
    good = good && take_line(&at, end, "url", out->url, sizeof out->url) && pf_model_source_check_url(out->url, NULL) == PF_OK;
    out->pinned = good && take_line(&at, end, "sha256", word, sizeof word);
    if (out->pinned)
        good = pf_digest_from_hex(word, &out->sha256);
    else
        good = good && take_line(&at, end, "once", word, sizeof word) && take_once(word, out->once);
    good = good && take_line(&at, end, "max_bytes", word, sizeof word) && at == end;
    out->max_bytes = good ? strtoull(word, NULL, 10) : 0;
    snprintf(again, sizeof again, "%" PRIu64, out->max_bytes);
    if (good && strcmp(again, word) == 0)
        return PF_OK;
    memset(out, 0, sizeof *out);
    return PF_FAIL(err, PF_CORRUPT, "%zu bytes are no URL of a model", bytes);
}
