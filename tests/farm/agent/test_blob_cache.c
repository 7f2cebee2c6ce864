/* Models that were fetched: kept, shared by processes, bounded. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "builder-agent/blob_cache.h"
#include "tests/farm/agent/http_script.h"
#include "tests/test.h"

enum { BYTES = 100 * 1024 };

static uint8_t       data[3][BYTES];
static pf_digest     digest[3];
static const char   *url;
static pf_blob_cache cache;

#define BLOB(i)     {.status = 200, .body = data[i], .bytes = BYTES, .ranges = true}

static int set_up(void **state)
{
    const http_reply nothing = {.status = 404};

    (void)state;
    for (int i = 0; i < 3; i++) {
        memset(data[i], 'a' + i, BYTES);
        pf_digest_of(data[i], BYTES, &digest[i]);
    }
    url = http_script_start(&nothing, 1);
    return 0;
}

static pf_transfer *open_cache(uint64_t limit)
{
    pf_transfer_options options = {.url = url, .keep_partial = true};
    pf_transfer        *transfer = NULL;
    pf_err              err = {0};

    test_ok(pf_blob_cache_init(&cache, test_path("agent"), limit, &err), &err);
    test_ok(pf_transfer_new(&options, &transfer, &err), &err);
    cache.transfer = transfer;
    return transfer;
}

static pf_status link_blob(int i, const char *target, pf_err *err)
{
    unlink(target);
    return pf_blob_cache_link(&cache, &digest[i], BYTES, target, err);
}

static bool holds(int i)
{
    char hex[PF_DIGEST_HEX_BYTES], path[PATH_MAX + 80];

    pf_digest_to_hex(&digest[i], hex);
    snprintf(path, sizeof path, "%s/%s", cache.blobs, hex);
    return pf_file_exists(path);
}

static void a_second_build_fetches_nothing(void **state)
{
    pf_transfer *transfer = open_cache(1 << 30);
    pf_digest    found;
    uint64_t     bytes = 0;
    pf_err       err = {0};

    (void)state;
    HTTP_SCRIPT(BLOB(0));
    test_ok(link_blob(0, test_path("one"), &err), &err);
    test_ok(link_blob(0, test_path("two"), &err), &err);
    assert_int_equal(http_script_requests(), 1);
    test_ok(pf_file_digest(test_path("two"), &found, &bytes, &err), &err);
    assert_true(pf_digest_equal(&found, &digest[0]));
    pf_transfer_free(transfer);
}

static void processes_share_one_fetch(void **state)
{
    pid_t pid = 0;
    int   ended = 0;

    (void)state;
    HTTP_SCRIPT({.status = 200, .body = data[1], .bytes = BYTES, .ranges = true, .sent_bytes = 1000}, BLOB(1));
    pid = fork();
    {
        pf_transfer *transfer = open_cache(1 << 30);
        pf_err       err = {0};
        pf_status    status = link_blob(1, test_path(pid ? "parent" : "child"), &err);
        pf_transfer_free(transfer);
        if (pid == 0)
            _exit(status);
        test_ok(status, &err);
    }
    assert_int_equal(waitpid(pid, &ended, 0), pid);
    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    assert_int_equal(http_script_requests(), 2);        /* one fetch, in two pieces */
}

static void the_least_recently_used_goes(void **state)
{
    pf_transfer *transfer = open_cache(2 * BYTES);
    pf_err       err = {0};

    (void)state;
    HTTP_SCRIPT(BLOB(0));
    test_ok(link_blob(0, test_path("a"), &err), &err);
    pf_blob_cache_trim(&cache, 0);
    assert_false(holds(0));
    test_ok(link_blob(0, test_path("a"), &err), &err);
    usleep(20000);
    HTTP_SCRIPT(BLOB(1));
    test_ok(link_blob(1, test_path("b"), &err), &err);
    usleep(20000);
    test_ok(link_blob(0, test_path("a"), &err), &err);      /* used again */
    usleep(20000);
    HTTP_SCRIPT(BLOB(2));
    test_ok(link_blob(2, test_path("c"), &err), &err);
    assert_true(holds(0) && !holds(1) && holds(2));
    assert_true(pf_file_exists(test_path("b")));            /* who linked it keeps it */
    pf_transfer_free(transfer);
}

static void a_shortened_blob_is_fetched_again(void **state)
{
    pf_transfer *transfer = open_cache(1 << 30);
    char         hex[PF_DIGEST_HEX_BYTES], path[PATH_MAX + 80];
    pf_err       err = {0};

    (void)state;
    HTTP_SCRIPT(BLOB(0));
    test_ok(link_blob(0, test_path("a"), &err), &err);
    pf_digest_to_hex(&digest[0], hex);
    snprintf(path, sizeof path, "%s/%s", cache.blobs, hex);
    unlink(path);
    test_ok(pf_file_write(path, "short", 5, &err), &err);
    HTTP_SCRIPT(BLOB(0));
    test_ok(link_blob(0, test_path("a"), &err), &err);
    assert_int_equal(http_script_requests(), 1);
    unlink(test_path("x"));
    test_fails(pf_blob_cache_link(&cache, &digest[0], BYTES + 1, test_path("x"), &err), PF_CORRUPT, &err);
    pf_transfer_free(transfer);
}

/* Of a model by URL nobody knows the size: its bytes are looked at. */
static void a_changed_blob_of_unknown_size_is_fetched_again(void **state)
{
    pf_transfer *transfer = open_cache(1 << 30);
    char         hex[PF_DIGEST_HEX_BYTES], path[PATH_MAX + 80];
    pf_digest    found = {0};
    uint64_t     bytes = 0;
    int          fd = -1;
    pf_err       err = {0};

    (void)state;
    HTTP_SCRIPT(BLOB(0));
    unlink(test_path("a"));
    test_ok(link_blob(0, test_path("a"), &err), &err);
    pf_digest_to_hex(&digest[0], hex);
    snprintf(path, sizeof path, "%s/%s", cache.blobs, hex);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "?????", 5, 100), 5);
    close(fd);
    HTTP_SCRIPT(BLOB(0));
    unlink(test_path("b"));
    test_ok(pf_blob_cache_link(&cache, &digest[0], PF_BLOB_BYTES_UNKNOWN, test_path("b"), &err), &err);
    assert_int_equal(http_script_requests(), 1);
    test_ok(pf_file_digest(test_path("b"), &found, &bytes, &err), &err);
    assert_true(pf_digest_equal(&found, &digest[0]));
    pf_transfer_free(transfer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_build_fetches_nothing),
        cmocka_unit_test(processes_share_one_fetch),
        cmocka_unit_test(the_least_recently_used_goes),
        cmocka_unit_test(a_shortened_blob_is_fetched_again),
        cmocka_unit_test(a_changed_blob_of_unknown_size_is_fetched_again),
    };

    return cmocka_run_group_tests_name("blob cache", tests, set_up, http_script_end);
}
