/* Blobs over a connection that does what connections do. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "proto/transfer/transfer.h"
#include "tests/farm/agent/http_script.h"
#include "tests/test.h"

enum { BYTES = 300 * 1024 };

#define MOST UINT64_C(1000000)

static uint8_t     data[BYTES];
static pf_digest   digest;
static const char *url;

#define WHOLE   {.status = 200, .body = data, .bytes = BYTES, .ranges = true}
#define BROKEN  {.status = 200, .body = data, .bytes = BYTES, .ranges = true, .sent_bytes = 100000}

static int set_up(void **state)
{
    const http_reply nothing = {.status = 404};
    pf_random        random;

    (void)state;
    pf_random_init(&random, 1);
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (uint8_t)pf_random_u64(&random);
    pf_digest_of(data, BYTES, &digest);
    url = http_script_start(&nothing, 1);
    return 0;
}

static pf_transfer *open_transfer(bool keep_partial, int64_t stall_ns)
{
    pf_transfer_options options = {.url = url, .keep_partial = keep_partial, .stall_ns = stall_ns, .attempts = 4};
    pf_transfer        *transfer = NULL;
    pf_err              err = {0};

    test_ok(pf_transfer_new(&options, &transfer, &err), &err);
    return transfer;
}

static pf_status get(bool keep_partial, uint64_t limit, pf_err *err)
{
    pf_transfer *transfer = open_transfer(keep_partial, 2 * PF_NS_PER_S);
    pf_status    status = pf_transfer_get_blob(transfer, &digest, limit, test_path("blob"), err);

    pf_transfer_free(transfer);
    return status;
}

static void is_whole(void)
{
    pf_digest found;
    uint64_t  bytes = 0;
    pf_err    err = {0};

    test_ok(pf_file_digest(test_path("blob"), &found, &bytes, &err), &err);
    assert_true(pf_digest_equal(&found, &digest));
    unlink(test_path("blob"));
}

static unsigned names_left(void)
{
    DIR           *dir = opendir(test_folder());
    struct dirent *entry = NULL;
    unsigned       count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void a_blob_arrives(void **state)
{
    pf_err err = {0};

    (void)state;
    HTTP_SCRIPT(WHOLE);
    test_ok(get(false, MOST, &err), &err);
    assert_int_equal(http_script_requests(), 1);
    is_whole();
    assert_int_equal(names_left(), 0);
}

static void a_broken_connection_is_gone_on_with(void **state)
{
    pf_err err = {0};

    (void)state;
    HTTP_SCRIPT(BROKEN, BROKEN, WHOLE);
    test_ok(get(false, MOST, &err), &err);
    assert_int_equal(http_script_requests(), 3);
    assert_string_equal(http_script_last_range(), "bytes=200000-");
    is_whole();
}

static void a_server_without_ranges_starts_over(void **state)
{
    pf_err err = {0};

    (void)state;
    HTTP_SCRIPT(BROKEN, {.status = 200, .body = data, .bytes = BYTES});
    test_ok(get(false, MOST, &err), &err);
    is_whole();
}

static void what_a_killed_process_left_is_gone_on_with(void **state)
{
    pf_err err = {0};

    (void)state;
    HTTP_SCRIPT(BROKEN, {.status = 404});
    test_fails(get(true, MOST, &err), PF_NOT_FOUND, &err);
    assert_int_equal(names_left(), 1);
    HTTP_SCRIPT(WHOLE);
    test_ok(get(true, MOST, &err), &err);
    assert_string_equal(http_script_last_range(), "bytes=100000-");
    is_whole();
    assert_int_equal(names_left(), 0);
}

static void a_damaged_rest_is_thrown_away(void **state)
{
    char   hex[PF_DIGEST_HEX_BYTES], name[64];
    pf_err err = {0};

    (void)state;
    pf_digest_to_hex(&digest, hex);
    snprintf(name, sizeof name, "blob.%.16s.partial", hex);
    test_ok(pf_file_write(test_path(name), "something else", 14, &err), &err);
    HTTP_SCRIPT(WHOLE);
    test_ok(get(true, MOST, &err), &err);
    is_whole();
    test_ok(pf_file_write(test_path(name), data, BYTES, &err), &err);   /* whole already: only the name was missing */
    HTTP_SCRIPT(WHOLE);
    test_ok(get(true, MOST, &err), &err);
    assert_int_equal(http_script_requests(), 0);
    is_whole();
}

static void other_bytes_are_refused(void **state)
{
    static uint8_t other[BYTES];
    pf_err         err = {0};

    (void)state;
    memcpy(other, data, BYTES);
    other[BYTES / 2] ^= 1;
    HTTP_SCRIPT({.status = 200, .body = other, .bytes = BYTES, .ranges = true});
    test_fails(get(true, MOST, &err), PF_CORRUPT, &err);
    assert_int_equal(names_left(), 0);
}

static void more_than_allowed_is_refused(void **state)
{
    pf_err err = {0};

    (void)state;
    HTTP_SCRIPT(WHOLE);
    test_fails(get(false, BYTES - 1, &err), PF_NO_SPACE, &err);
    assert_int_equal(http_script_requests(), 1);
    assert_int_equal(names_left(), 0);
}

static void a_busy_server_is_asked_again(void **state)
{
    pf_err err = {0};

    (void)state;
    HTTP_SCRIPT({.status = 503}, {.status = 500}, WHOLE);
    test_ok(get(false, MOST, &err), &err);
    assert_int_equal(http_script_requests(), 3);
    is_whole();
}

static void silence_ends_an_attempt(void **state)
{
    int64_t began = pf_clock_ns();
    pf_err  err = {0};

    (void)state;
    HTTP_SCRIPT({.status = 200, .body = data, .bytes = BYTES, .ranges = true, .sent_bytes = 1000, .stalls = true},
                WHOLE);
    test_ok(get(false, MOST, &err), &err);
    assert_true(pf_clock_ns() - began < 8 * PF_NS_PER_S);
    assert_string_equal(http_script_last_range(), "bytes=1000-");
    is_whole();
}

static void a_refusal_says_what_the_server_said(void **state)
{
    static const char object[] =
        "{\"error\": \"NOT_FOUND\", \"exit_code\": 66, \"message\": \"no \\\"such\\\" blob\"}\n";
    pf_err            err = {0};

    (void)state;
    HTTP_SCRIPT({.status = 507, .body = "the disk\nof the farm is full", .bytes = 28});
    assert_int_equal(get(false, MOST, &err), PF_NO_SPACE);
    assert_string_equal(err.msg, "the disk of the farm is full");
    assert_int_equal(http_script_requests(), 1);
    pf_err_clear(&err);
    HTTP_SCRIPT({.status = 404, .body = object, .bytes = sizeof object - 1});
    assert_int_equal(get(false, MOST, &err), PF_NOT_FOUND);
    assert_string_equal(err.msg, "no \"such\" blob");
}

static void redirects_are_not_followed(void **state)
{
    pf_err err = {0};

    (void)state;
    HTTP_SCRIPT({.status = 302, .header = "Location: http://127.0.0.1:1/\r\n"});
    test_fails(get(false, MOST, &err), PF_INVALID, &err);
    assert_int_equal(http_script_requests(), 1);
}

static void nobody_there_is_told_soon(void **state)
{
    pf_transfer_options options = {.url = "http://127.0.0.1:1/", .attempts = 2};
    pf_transfer        *transfer = NULL;
    int64_t             began = pf_clock_ns();
    pf_err              err = {0};

    (void)state;
    test_ok(pf_transfer_new(&options, &transfer, &err), &err);
    assert_string_equal(pf_transfer_url(transfer), "http://127.0.0.1:1");
    test_fails(pf_transfer_get_blob(transfer, &digest, MOST, test_path("blob"), &err), PF_UNREACHABLE, &err);
    assert_true(pf_clock_ns() - began < 5 * PF_NS_PER_S);
    pf_transfer_free(transfer);
    options.url = "ftp://example";
    test_fails(pf_transfer_new(&options, &transfer, &err), PF_USAGE, &err);
}

static bool stop_at_once(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)user, (void)done_bytes, (void)total_bytes;
    return false;
}

static void a_watch_can_stop_it(void **state)
{
    pf_transfer_options options = {.url = url, .watch = stop_at_once};
    pf_transfer        *transfer = NULL;
    pf_err              err = {0};

    (void)state;
    HTTP_SCRIPT(WHOLE);
    test_ok(pf_transfer_new(&options, &transfer, &err), &err);
    test_fails(pf_transfer_get_blob(transfer, &digest, MOST, test_path("blob"), &err), PF_CANCELLED, &err);
    pf_transfer_free(transfer);
    assert_int_equal(names_left(), 0);
}

static void a_put_brings_every_byte(void **state)
{
    pf_transfer *transfer = open_transfer(false, 2 * PF_NS_PER_S);
    pf_err       err = {0};
    const void  *got = NULL;
    size_t       bytes = 0;

    (void)state;
    test_ok(pf_file_write(test_path("up"), data, BYTES, &err), &err);
    HTTP_SCRIPT({.status = 503}, {.status = 201});
    test_ok(pf_transfer_put_blob(transfer, &digest, test_path("up"), &err), &err);
    got = http_script_put(&bytes);
    assert_int_equal(bytes, BYTES);
    assert_memory_equal(got, data, BYTES);
    HTTP_SCRIPT({.status = 201});
    test_ok(pf_transfer_put_bytes(transfer, &digest, "short", 5, &err), &err);
    got = http_script_put(&bytes);
    assert_int_equal(bytes, 5);
    HTTP_SCRIPT({.status = 422, .body = "another digest", .bytes = 14});
    test_fails(pf_transfer_put_blob(transfer, &digest, test_path("up"), &err), PF_CORRUPT, &err);
    unlink(test_path("up"));
    pf_transfer_free(transfer);
}

static void a_text_has_its_limit(void **state)
{
    pf_transfer *transfer = open_transfer(false, 2 * PF_NS_PER_S);
    pf_buf       text = {0};
    pf_err       err = {0};

    (void)state;
    HTTP_SCRIPT({.status = 200, .body = "hello", .bytes = 5});
    test_ok(pf_transfer_get(transfer, "/x", 5, &text, &err), &err);
    assert_string_equal((const char *)text.data, "hello");
    pf_buf_clear(&text);
    test_fails(pf_transfer_get(transfer, "/x", 4, &text, &err), PF_NO_SPACE, &err);
    pf_transfer_free(transfer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blob_arrives),
        cmocka_unit_test(a_broken_connection_is_gone_on_with),
        cmocka_unit_test(a_server_without_ranges_starts_over),
        cmocka_unit_test(what_a_killed_process_left_is_gone_on_with),
        cmocka_unit_test(a_damaged_rest_is_thrown_away),
        cmocka_unit_test(other_bytes_are_refused),
        cmocka_unit_test(more_than_allowed_is_refused),
        cmocka_unit_test(a_busy_server_is_asked_again),
        cmocka_unit_test(silence_ends_an_attempt),
        cmocka_unit_test(a_refusal_says_what_the_server_said),
        cmocka_unit_test(redirects_are_not_followed),
        cmocka_unit_test(nobody_there_is_told_soon),
        cmocka_unit_test(a_watch_can_stop_it),
        cmocka_unit_test(a_put_brings_every_byte),
        cmocka_unit_test(a_text_has_its_limit),
    };

    return cmocka_run_group_tests_name("transfer", tests, set_up, http_script_end);
}
