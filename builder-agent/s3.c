#include "builder-agent/s3.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BUCKET_BYTES = 64, CREDENTIAL_BYTES = 512, TOKEN_BYTES = 8192 };

bool pf_s3_is(const char *url)
{
    return strncasecmp(url, "s3://", 5) == 0;
}

/* The first of two variables that says something; otherwise the fallback. */
static const char *variable(const char *name, const char *other, const char *fallback)
{
    const char *value = getenv(name);

    if (!value || !value[0])
        value = getenv(other);
    return value && value[0] ? value : fallback;
}

static const char *region(void)
{
    return variable("AWS_REGION", "AWS_DEFAULT_REGION", "us-east-1");
}

/* The key as a path: everything but unreserved characters and '/' as %XX. */
static bool put_key(const char *key, char *out, size_t capacity)
{
    size_t used = strlen(out);

    for (; *key && used + 4 < capacity; key++) {
        bool plain = isalnum((unsigned char)*key) || strchr("-_.~/", *key);
        used += (size_t)snprintf(out + used, capacity - used, plain ? "%c" : "%%%02X", (unsigned char)*key);
    }
    return *key == 0;
}

static bool put_place(const char *bucket, char *out, size_t capacity)
{
    const char *endpoint = variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL);
    size_t      bytes = endpoint ? strlen(endpoint) : 0;

    while (bytes && endpoint[bytes - 1] == '/')
        bytes--;
    if (endpoint)
        return snprintf(out, capacity, "%.*s/%s/", (int)bytes, endpoint, bucket) < (int)capacity;
    if (strchr(bucket, '.'))            /* as part of the host's name it would not fit the certificate */
        return snprintf(out, capacity, "https://s3.%s.amazonaws.com/%s/", region(), bucket) < (int)capacity;
    return snprintf(out, capacity, "https://%s.s3.%s.amazonaws.com/", bucket, region()) < (int)capacity;
}

pf_status pf_s3_url(const char *url, char out[PF_S3_URL_BYTES], pf_err *err)
{
    const char *from = url + 5, *key = from + strcspn(from, "/");
    char        bucket[BUCKET_BYTES] = "";

    out[0] = 0;
    if (key == from || key - from >= BUCKET_BYTES || !*key || !key[1])
        return PF_FAIL(err, PF_INVALID, "\"%.200s\" names no object; give s3://BUCKET/KEY", url);
    memcpy(bucket, from, (size_t)(key - from));
    if (strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(bucket))
        return PF_FAIL(err, PF_INVALID, "\"%s\" is no name of a bucket", bucket);
    if (!put_place(bucket, out, PF_S3_URL_BYTES) || !put_key(key + 1, out, PF_S3_URL_BYTES))
        return PF_FAIL(err, PF_INVALID, "the address of %.100s is too long", url);
    return PF_OK;
}

/* SHA-256 of nothing: a GET has no body. */
static const char EMPTY_BODY[] =
    "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pf_status pf_s3_sign(CURL *curl, struct curl_slist **headers, pf_err *err)
{
    const char *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY"),
               *token = getenv("AWS_SESSION_TOKEN");
    char        scope[128] = "", user[CREDENTIAL_BYTES] = "", line[TOKEN_BYTES] = "";

    if (!id || !id[0] || !secret || !secret[0])
        return PF_OK;
    snprintf(scope, sizeof scope, "aws:amz:%.60s:s3", region());
    if (snprintf(user, sizeof user, "%s:%s", id, secret) >= (int)sizeof user ||
        snprintf(line, sizeof line, "x-amz-security-token: %s", token ? token : "") >= (int)sizeof line)
        return PF_FAIL(err, PF_INVALID, "the AWS credentials of this agent are longer than any that are known");
    *headers = curl_slist_append(*headers, EMPTY_BODY);
    if (*headers && token && token[0])
        *headers = curl_slist_append(*headers, line);
    if (!*headers)
        return PF_FAIL_MEMORY(err, sizeof line);
    curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, scope);
    curl_easy_setopt(curl, CURLOPT_USERPWD, user);
    return PF_OK;
}

const char *pf_s3_advice(long code)
{
    const char *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");

    if (code == 400)
        return "; is AWS_REGION of the agent's environment that of the bucket?";
    if (code != 401 && code != 403)
        return "";
    if (!id || !id[0] || !secret || !secret[0])
        return "; the agent's environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    return "; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the agent's environment are not let in";
}
