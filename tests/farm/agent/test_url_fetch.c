/* Models by URL, from servers that answer as real ones do on bad days. */
#include "tests/test.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "builder-agent/s3.h"
#include "builder-agent/url_fetch.h"
#include "tests/farm/agent/http_script.h"

static const char MODEL[] = "a model of some length, so that it can break off in the middle of it";
enum { MODEL_BYTES = sizeof MODEL - 1 };

static char      base[64];
static pf_digest model_digest;

static int set_up(void **state)
{
    http_reply nothing = { .status = 404 };

    (void)state;
    snprintf(base, sizeof base, "%s", http_script_start(&nothing, 1));
    pf_digest_of(MODEL, MODEL_BYTES, &model_digest);
    return 0;
}

static pf_model_source source_of(const char *path, bool pinned)
{
    pf_model_source source = { .pinned = pinned, .sha256 = model_digest };

    snprintf(source.url, sizeof source.url, "%s%s", path[0] == '/' ? base : "", path);
    return source;
}

/* A fresh place for each, unless again is set. */
static const char *place(bool again)
{
    static char path[4096];
    static int  count;
    char        name[32];

    snprintf(name, sizeof name, "model%d", again ? count : ++count);
    snprintf(path, sizeof path, "%s", test_path(name));
    return path;
}

static pf_status get(const pf_model_source *source, const char *path, uint32_t attempts, pf_digest *digest, pf_err *err)
{
    pf_url_fetch fetch = { .source = source, .limit_bytes = 1 << 20, .attempts = attempts, .stall_ns = PF_NS_PER_S };

    return pf_url_fetch_get(&fetch, path, digest, err);
}

static void holds_model(const char *path)
{
    pf_buf text = { 0 };
    pf_err err = { 0 };

    test_ok(pf_file_read(path, 1 << 20, &text, &err), &err);
    assert_int_equal(text.size, MODEL_BYTES);
    assert_memory_equal(text.data, MODEL, MODEL_BYTES);
    pf_buf_clear(&text);
}

static bool has_partial(const char *path)
{
    char partial[4200];

    snprintf(partial, sizeof partial, "%s.partial", path);
    return pf_file_exists(partial);
}

#define WHOLE { .status = 200, .body = MODEL, .bytes = MODEL_BYTES }

static void it_comes_whole(void **state)
{
    http_reply      script[] = { WHOLE };
    pf_model_source pinned = source_of("/m.onnx?key=secret", true), open = source_of("/m.onnx", false);
    pf_digest       found = { 0 };
    const char     *path = place(false);
    pf_err          err = { 0 };

    (void)state;
    http_script_set(script, 1);
    test_ok(get(&pinned, path, 3, &found, &err), &err);
    assert_true(pf_digest_equal(&found, &model_digest));
    assert_false(has_partial(path));
    holds_model(path);
    path = place(false);
    memset(&found, 0, sizeof found);
    test_ok(get(&open, path, 3, &found, &err), &err);
    assert_true(pf_digest_equal(&found, &model_digest));
    holds_model(path);
}

/* It breaks off; the rest is asked for and put behind what came. */
static void a_truncated_transfer_is_gone_on_with(void **state)
{
    http_reply      ranges[] = {
        { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .sent_bytes = 20, .ranges = true },
        { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .ranges = true },
    };
    http_reply      no_ranges[] = { { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .sent_bytes = 20 }, WHOLE };
    http_reply      etags[] =
        {{.status = 200,
          .body = MODEL,
          .bytes = MODEL_BYTES,
          .sent_bytes = 20,
          .ranges = true,
          .header = "ETag: \"1\"\r\n"},
         {.status = 200, .body = MODEL, .bytes = MODEL_BYTES, .ranges = true, .header = "ETag: \"1\"\r\n"}};
    pf_model_source pinned = source_of("/m", true), open = source_of("/m", false);
    const char     *path = place(false);
    pf_err          err = { 0 };

    (void)state;
    http_script_set(ranges, 2);
    test_ok(get(&pinned, path, 3, NULL, &err), &err);
    assert_string_equal(http_script_last_range(), "bytes=20-");
    holds_model(path);
    path = place(false);
    http_script_set(no_ranges, 2);
    test_ok(get(&pinned, path, 3, NULL, &err), &err);
    holds_model(path);
    path = place(false);
    http_script_set(ranges, 2);  /* without digest or ETag nobody knows that it is the same file: all of it again */
    test_ok(get(&open, path, 3, NULL, &err), &err);
    assert_string_equal(http_script_last_range(), "");
    holds_model(path);
    path = place(false);
    http_script_set(etags, 2);
    test_ok(get(&open, path, 3, NULL, &err), &err);
    assert_string_equal(http_script_last_range(), "bytes=20-");
    assert_non_null(strstr(http_script_last_head(), "If-Range: \"1\""));
    holds_model(path);
}

/* What an attempt that was given up left is the beginning of the next one, unless it is of something else. */
static void the_next_one_goes_on(void **state)
{
    http_reply      cut[] = {
        { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .sent_bytes = 30, .ranges = true }
    };
    http_reply      rest[] = { { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .ranges = true } };
    pf_model_source pinned = source_of("/m", true);
    const char     *path = place(false);
    char            partial[4200];
    pf_err          err = { 0 };

    (void)state;
    http_script_set(cut, 1);
    test_fails(get(&pinned, path, 1, NULL, &err), PF_UNREACHABLE, &err);
    assert_true(has_partial(path));
    http_script_set(rest, 1);
    test_ok(get(&pinned, path, 1, NULL, &err), &err);
    assert_string_equal(http_script_last_range(), "bytes=30-");
    holds_model(path);
    path = place(false);
    snprintf(partial, sizeof partial, "%s.partial", path);
    test_ok(pf_file_write(partial, "something else", 14, &err), &err);
    http_script_set(rest, 1);
    test_ok(get(&pinned, path, 2, NULL, &err), &err);
    holds_model(path);
}

static void another_digest_is_refused(void **state)
{
    http_reply      script[] = { { .status = 200, .body = "not the model", .bytes = 13 } };
    pf_model_source pinned = source_of("/m", true);
    const char     *path = place(false);
    pf_err          err = { 0 };
    pf_status       st = PF_OK;

    (void)state;
    http_script_set(script, 1);
    st = get(&pinned, path, 3, NULL, &err);
    assert_int_equal(http_script_requests(), 1);        /* asking again would not help */
    assert_non_null(strstr(err.msg, "but the submit says"));
    test_fails(st, PF_CORRUPT, &err);
    assert_false(pf_file_exists(path));
    assert_false(has_partial(path));
}

static void too_large_is_refused(void **state)
{
    http_reply      announced[] = { WHOLE },
                    unannounced[] = { { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .unannounced = true } };
    pf_model_source source = source_of("/m", true);
    pf_url_fetch    none = { .source = &source, .limit_bytes = 0 };
    const char     *path = place(false);
    pf_err          err = { 0 };

    (void)state;
    source.max_bytes = MODEL_BYTES - 1;
    http_script_set(announced, 1);
    test_fails(get(&source, path, 3, NULL, &err), PF_INVALID, &err);
    http_script_set(unannounced, 1);
    test_fails(get(&source, path, 3, NULL, &err), PF_INVALID, &err);
    assert_false(pf_file_exists(path));
    assert_false(has_partial(path));
    source.max_bytes = MODEL_BYTES;
    test_ok(get(&source, path, 3, NULL, &err), &err);
    test_fails(pf_url_fetch_get(&none, place(false), NULL, &err), PF_INVALID, &err);
}

static void what_may_pass_is_tried_again(void **state)
{
    http_reply      passes[] = { { .status = 503 }, { .status = 0 }, { .status = 500 }, WHOLE },
                    gone[] = { { .status = 404 } };
    http_reply      forbidden[] = { { .status = 403 } };
    http_reply      stalls[] = {
        { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .sent_bytes = 10, .stalls = true }, WHOLE,
    };
    pf_model_source source = source_of("/m", true);
    const char     *path = place(false);
    pf_err          err = { 0 };

    (void)state;
    http_script_set(passes, 4);
    test_ok(get(&source, path, 5, NULL, &err), &err);
    assert_int_equal(http_script_requests(), 4);
    http_script_set(gone, 1);
    test_fails(get(&source, place(false), 5, NULL, &err), PF_NOT_FOUND, &err);
    assert_int_equal(http_script_requests(), 1);
    http_script_set(forbidden, 1);
    test_fails(get(&source, place(false), 5, NULL, &err), PF_DENIED, &err);
    http_script_set(stalls, 2);
    path = place(false);
    test_ok(get(&source, path, 3, NULL, &err), &err);
    holds_model(path);
}

static void redirects_are_looked_at(void **state)
{
    char            same[128], other[128], loop[128];
    http_reply      script[2] = { { .status = 302 }, WHOLE };
    pf_model_source pinned = source_of("/m", true), open = source_of("/m", false);
    pf_err          err = { 0 };

    (void)state;
    snprintf(same, sizeof same, "Location: %s/there\r\n", base);
    snprintf(other, sizeof other, "Location: http://localhost%s/there\r\n", strrchr(base, ':'));
    snprintf(loop, sizeof loop, "Location: /again\r\n");
    script[0].header = same;
    http_script_set(script, 2);
    test_ok(get(&open, place(false), 1, NULL, &err), &err);
    assert_non_null(strstr(http_script_last_head(), "GET /there "));
    script[0].header = other;
    http_script_set(script, 2);
    test_ok(get(&pinned, place(false), 1, NULL, &err), &err);
    http_script_set(script, 2);
    test_fails(get(&open, place(false), 1, NULL, &err), PF_INVALID, &err);
    script[0].header = "Location: file:///etc/passwd\r\n";
    http_script_set(script, 2);
    test_fails(get(&pinned, place(false), 3, NULL, &err), PF_INVALID, &err);
    assert_int_equal(http_script_requests(), 1);
    script[0].header = loop;
    http_script_set(script, 1);
    test_fails(get(&pinned, place(false), 3, NULL, &err), PF_INVALID, &err);
    assert_int_equal(http_script_requests(), 6);
}

static void places_nobody_should_ask_are_not_asked(void **state)
{
    static const char *const wrong[] = { "ftp://host/m", "file:///etc/passwd", "http://", "https://user:pass@host/m",
                                         "http://host/a b", "gopher://x/", "s3:///key" };
    pf_model_source          meta = source_of("http://169.254.169.254/latest/meta-data", true);
    pf_err                   err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        test_fails(pf_model_source_check_url(wrong[i], &err), PF_INVALID, &err);
    test_fails(get(&meta, place(false), 1, NULL, &err), PF_DENIED, &err);
}

static void sources_are_written_and_read(void **state)
{
    pf_model_source source = source_of("https://host/m?x=1", true), back, open = source_of("s3://bucket/key", false);
    pf_buf          text = { 0 };
    pf_err          err = { 0 };

    (void)state;
    source.max_bytes = 77;
    pf_buf_init(&text, 1 << 20);
    test_ok(pf_model_source_write(&source, &text, &err), &err);
    test_ok(pf_model_source_parse(text.data, text.size, &back, &err), &err);
    assert_string_equal(back.url, source.url);
    assert_true(back.pinned && pf_digest_equal(&back.sha256, &source.sha256) && back.max_bytes == 77);
    for (size_t i = 0; i < text.size; i++)      /* cut anywhere it is refused */
        test_fails(pf_model_source_parse(text.data, i, &back, &err), PF_CORRUPT, &err);
    pf_buf_reset(&text);
    memset(open.once, 0xa5, sizeof open.once);
    test_ok(pf_model_source_write(&open, &text, &err), &err);
    test_ok(pf_model_source_parse(text.data, text.size, &back, &err), &err);
    assert_true(!back.pinned && memcmp(back.once, open.once, sizeof open.once) == 0);
    pf_buf_reset(&text);
    source = source_of("https://host/m", true);
    test_ok(pf_model_source_add(&source, "w/a b.bin", &model_digest, &err), &err);
    test_ok(pf_model_source_add(&source, "v", &model_digest, &err), &err);
    test_fails(pf_model_source_add(&source, "v", &model_digest, &err), PF_INVALID, &err);
    test_fails(pf_model_source_add(&source, "../v", &model_digest, &err), PF_INVALID, &err);
    test_fails(pf_model_source_add(&source, "/v", &model_digest, &err), PF_INVALID, &err);
    test_fails(pf_model_source_add(&source, "v\nw", &model_digest, &err), PF_INVALID, &err);
    test_ok(pf_model_source_write(&source, &text, &err), &err);
    test_ok(pf_model_source_parse(text.data, text.size, &back, &err), &err);
    assert_int_equal(back.files_count, 2);
    assert_string_equal(back.file[0].location, "w/a b.bin");
    assert_true(pf_digest_equal(pf_model_source_find(&back, "v"), &model_digest) && !pf_model_source_find(&back, "x"));
    for (size_t i = 0; i < text.size; i++)      /* but where the list begins */
        assert_int_equal(pf_model_source_parse(text.data, i, &back, NULL),
                         memcmp(text.data + i, "files 2", i + 7 <= text.size ? 7 : 0) == 0 && i + 7 <= text.size
                             ? PF_OK
                             : PF_CORRUPT);
    pf_buf_clear(&text);
}

static void weights_lie_beside_the_model(void **state)
{
    static const struct { const char *url, *location, *wanted; } cases[] = {
        { "https://h/a/m.onnx", "w.bin", "https://h/a/w.bin" },
        { "https://h:8/a/m.onnx?k=1/2#f", "x/w 1%.bin", "https://h:8/a/x/w%201%25.bin?k=1/2" },
        { "http://h/m?q", "w?#", "http://h/w%3F%23?q" },
        { "http://h?m=1", "w", "http://h/w?m=1" },
        { "http://h", "w", "http://h/w" },
        { "s3://bucket/dir/m.onnx", "w 1.bin", "s3://bucket/dir/w 1.bin" },
        { "s3://bucket/a?b/m", "w#", "s3://bucket/a?b/w#" },
    };
    char   out[PF_MODEL_URL_BYTES], *url = test_malloc(PF_MODEL_URL_BYTES);
    pf_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_ok(pf_model_source_beside(cases[i].url, cases[i].location, out, &err), &err);
        assert_string_equal(out, cases[i].wanted);
    }
    memset(url, 'a', PF_MODEL_URL_BYTES);
    memcpy(url, "http://h/", 9);
    memcpy(url + PF_MODEL_URL_BYTES - 3, "/m", 3);
    test_fails(pf_model_source_beside(url, "a longer name", out, &err), PF_INVALID, &err);
    test_free(url);
}

/* ---- S3: the server's side of AWS Signature Version 4, after its description */

static void header_value(const char *head, const char *name, char *out, size_t capacity)
{
    size_t length = strlen(name);

    out[0] = 0;
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
            snprintf(out, capacity, "%.*s", (int)strcspn(line + length + 4, "\r"), line + length + 4);
}

static void hmac(const void *key, size_t key_bytes, const char *text, uint8_t out[32])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, key_bytes);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)text, strlen(text));
    crypto_auth_hmacsha256_final(&state, out);
}

static void hex_of(const uint8_t bytes[32], char out[65])
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* Signs what the head says was signed, with the secret that we know, and compares. */
static void signature_holds(const char *head, const char *path, const char *secret)
{
    char        authorization[2048], date[32], value[1024], names[256] = "", given[65] = "", canonical[4096],
                to_sign[512], hex[65], key[128];
    uint8_t     a[32], b[32];
    pf_digest   digest = { 0 };
    const char *signed_names = NULL;
    char       *rest = NULL;
    int         used = 0;

    header_value(head, "Authorization", authorization, sizeof authorization);
    header_value(head, "X-Amz-Date", date, sizeof date);
    assert_non_null(strstr(authorization, "AWS4-HMAC-SHA256 Credential=ID/"));
    assert_non_null(strstr(authorization, "/eu-test-1/s3/aws4_request"));
    signed_names = strstr(authorization, "SignedHeaders=") + 14;
    snprintf(names, sizeof names, "%.*s", (int)strcspn(signed_names, ","), signed_names);
    snprintf(given, sizeof given, "%.64s", strstr(authorization, "Signature=") + 10);
    used = snprintf(canonical, sizeof canonical, "GET\n%s\n\n", path);
    snprintf(key, sizeof key, "%s", names);
    for (char *name = strtok_r(key, ";", &rest); name; name = strtok_r(NULL, ";", &rest)) {
        header_value(head, name, value, sizeof value);
        used += snprintf(canonical + used, sizeof canonical - (size_t)used, "%s:%s\n", name, value);
    }
    assert_non_null(strstr(names, "host"));
    assert_non_null(strstr(names, "x-amz-content-sha256"));
    assert_non_null(strstr(names, "x-amz-security-token"));
    header_value(head, "x-amz-content-sha256", value, sizeof value);
    snprintf(canonical + used, sizeof canonical - (size_t)used, "\n%s\n%s", names, value);
    pf_digest_of(canonical, strlen(canonical), &digest);
    pf_digest_to_hex(&digest, hex);
    snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%s\n%.8s/eu-test-1/s3/aws4_request\n%s", date, date, hex);
    snprintf(key, sizeof key, "AWS4%s", secret);
    date[8] = 0;
    hmac(key, strlen(key), date, a);
    hmac(a, sizeof a, "eu-test-1", b);
    hmac(b, sizeof b, "s3", a);
    hmac(a, sizeof a, "aws4_request", b);
    hmac(b, sizeof b, to_sign, a);
    hex_of(a, hex);
    assert_string_equal(hex, given);
}

static void s3_requests_are_signed(void **state)
{
    http_reply      script[] = {
        { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .sent_bytes = 10, .ranges = true },
        { .status = 200, .body = MODEL, .bytes = MODEL_BYTES, .ranges = true },
    };
    http_reply      redirect[] = { { .status = 307, .header = "Location: http://elsewhere/\r\n" } };
    pf_model_source source = source_of("s3://models/dir/net+1=a.onnx", true);
    char            url[PF_S3_URL_BYTES];
    const char     *path = place(false);
    pf_err          err = { 0 };

    (void)state;
    setenv("AWS_ENDPOINT_URL_S3", base, 1);
    setenv("AWS_REGION", "eu-test-1", 1);
    setenv("AWS_ACCESS_KEY_ID", "ID", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "a secret/key", 1);
    setenv("AWS_SESSION_TOKEN", "session-token", 1);
    http_script_set(script, 2);
    test_ok(get(&source, path, 3, NULL, &err), &err);
    assert_string_equal(http_script_last_range(), "bytes=10-");
    assert_non_null(strstr(http_script_last_head(), "GET /models/dir/net%2B1%3Da.onnx "));
    signature_holds(http_script_last_head(), "/models/dir/net%2B1%3Da.onnx", "a secret/key");
    holds_model(path);
    http_script_set(redirect, 1);
    test_fails(get(&source, place(false), 3, NULL, &err), PF_INVALID, &err);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    http_script_set(script + 1, 1);
    test_ok(get(&source, place(false), 3, NULL, &err), &err);
    assert_null(strstr(http_script_last_head(), "Authorization"));
    unsetenv("AWS_ENDPOINT_URL_S3");
    test_ok(pf_s3_url("s3://bucket/a/b", url, &err), &err);
    assert_string_equal(url, "https://bucket.s3.eu-test-1.amazonaws.com/a/b");
    test_ok(pf_s3_url("s3://with.dot/a", url, &err), &err);
    assert_string_equal(url, "https://s3.eu-test-1.amazonaws.com/with.dot/a");
    test_fails(pf_s3_url("s3://bucket", url, &err), PF_INVALID, &err);
    test_fails(pf_s3_url("s3://BUCKET/x", url, &err), PF_INVALID, &err);
    unsetenv("AWS_REGION");
    test_ok(pf_s3_url("s3://bucket/a", url, &err), &err);
    assert_string_equal(url, "https://bucket.s3.us-east-1.amazonaws.com/a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_whole),
        cmocka_unit_test(a_truncated_transfer_is_gone_on_with),
        cmocka_unit_test(the_next_one_goes_on),
        cmocka_unit_test(another_digest_is_refused),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(redirects_are_looked_at),
        cmocka_unit_test(places_nobody_should_ask_are_not_asked),
        cmocka_unit_test(sources_are_written_and_read),
        cmocka_unit_test(weights_lie_beside_the_model),
        cmocka_unit_test(s3_requests_are_signed),
    };
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("all_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("ALL_PROXY");
    return cmocka_run_group_tests(tests, set_up, http_script_end);
}
