/* The blob store: complete or absent, named by its digest, counted. */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cache/store.h"
#include "cache/store_collect.h"

static pf_store *open_store(const char *name, uint64_t limit)
{
    pf_store *store = NULL;
    pf_err    err = { 0 };

    test_ok(pf_store_open(test_path(name), limit, &store, &err), &err);
    return store;
}

static void blobs_come_back(void **state)
{
    pf_store *store = open_store("back", 0);
    pf_digest digest = { 0 }, absent = { { 1 } };
    pf_buf    read_back = { 0 };
    uint64_t  bytes = 0;
    int       fd = -1;
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_store_put(store, "hello", 5, &digest, &err), &err);
    assert_true(pf_store_has(store, &digest, &bytes));
    assert_int_equal(bytes, 5);
    assert_false(pf_store_has(store, &absent, NULL));
    pf_buf_init(&read_back, 100);
    test_ok(pf_store_read(store, &digest, 5, &read_back, &err), &err);
    assert_string_equal((char *)read_back.data, "hello");
    test_ok(pf_store_open_blob(store, &digest, true, &fd, &bytes, &err), &err);
    close(fd);
    test_fails(pf_store_open_blob(store, &absent, true, &fd, &bytes, &err), PF_NOT_FOUND, &err);
    test_ok(pf_store_put(store, "hello", 5, NULL, &err), &err);
    assert_int_equal(pf_store_blob_count(store), 1);
    assert_int_equal(pf_store_bytes_used(store), 5);
    test_ok(pf_store_remove(store, &digest, &err), &err);
    test_fails(pf_store_remove(store, &digest, &err), PF_NOT_FOUND, &err);
    assert_int_equal(pf_store_bytes_used(store), 0);
    pf_buf_clear(&read_back);
    pf_store_close(store);
}

static void wrong_digest_publishes_nothing(void **state)
{
    pf_store        *store = open_store("wrong", 0);
    pf_store_writer *writer = NULL;
    pf_digest        expect = { { 9 } }, found = { 0 };
    pf_err           err = { 0 };

    (void)state;
    test_ok(pf_store_writer_open(store, &expect, 100, &writer, &err), &err);
    test_ok(pf_store_writer_add(writer, "abc", 3, &err), &err);
    test_fails(pf_store_writer_commit(writer, &found, NULL, &err), PF_MISMATCH, &err);
    assert_false(pf_store_has(store, &expect, NULL));
    assert_false(pf_store_has(store, &found, NULL));
    assert_int_equal(pf_store_blob_count(store), 0);
    pf_store_close(store);
}

static void limits_hold(void **state)
{
    pf_store        *store = open_store("limits", 10);
    pf_store_writer *writer = NULL;
    pf_err           err = { 0 };

    (void)state;
    test_ok(pf_store_writer_open(store, NULL, 4, &writer, &err), &err);
    test_ok(pf_store_writer_add(writer, "abc", 3, &err), &err);
    test_fails(pf_store_writer_add(writer, "de", 2, &err), PF_NO_SPACE, &err);
    test_fails(pf_store_writer_add(writer, "d", 1, &err), PF_INVALID, &err);
    pf_store_writer_abort(writer);
    test_ok(pf_store_put(store, "12345678", 8, NULL, &err), &err);
    test_fails(pf_store_put(store, "abc", 3, NULL, &err), PF_NO_SPACE, &err);
    test_ok(pf_store_put(store, "ab", 2, NULL, &err), &err);
    pf_store_close(store);
}

static void damage_is_found_and_healed(void **state)
{
    pf_store *store = open_store("damage", 0);
    pf_digest digest = { 0 };
    uint64_t  bytes = 0;
    char      path[4096] = "";
    int       fd = -1;
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_store_put(store, "hello", 5, &digest, &err), &err);
    test_ok(pf_store_path(store, &digest, path, sizeof path, &err), &err);
    fd = open(path, O_WRONLY);
    assert_int_equal(write(fd, "J", 1), 1);
    close(fd);
    test_ok(pf_store_open_blob(store, &digest, false, &fd, &bytes, &err), &err);
    close(fd);
    test_fails(pf_store_open_blob(store, &digest, true, &fd, &bytes, &err), PF_CORRUPT, &err);
    assert_int_equal(truncate(path, 2), 0);
    test_ok(pf_store_put(store, "hello", 5, NULL, &err), &err);
    test_ok(pf_store_open_blob(store, &digest, true, &fd, &bytes, &err), &err);
    close(fd);
    pf_store_close(store);
}

static bool sum(void *user, const pf_digest *digest, uint64_t bytes, int64_t used_wall_ns)
{
    uint64_t *total = user;

    (void)digest;
    *total += bytes;
    return used_wall_ns > 0;
}

/* Counts survive a clean close by the file, and a crash by counting; what was half-written is gone. */
static void counts_survive(void **state)
{
    pf_store        *store = open_store("counts", 0), *crashed = NULL;
    pf_store_writer *writer = NULL;
    uint64_t         total = 0;
    char             text[16] = "";
    pf_err           err = { 0 };

    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "%d", 100 + i);
        test_ok(pf_store_put(store, text, 3, NULL, &err), &err);
    }
    test_ok(pf_store_walk(store, sum, &total, &err), &err);
    assert_int_equal(total, 60);
    pf_store_close(store);
    store = open_store("counts", 0);
    assert_int_equal(pf_store_bytes_used(store), 60);
    assert_int_equal(pf_store_blob_count(store), 20);
    assert_false(pf_file_exists(test_path("counts/usage")));
    test_ok(pf_store_writer_open(store, NULL, 100, &writer, &err), &err);
    test_ok(pf_store_writer_add(writer, "half", 4, &err), &err);
    crashed = store;
    store = open_store("counts", 0);        /* as after a crash: the first one was not closed before */
    assert_int_equal(pf_store_bytes_used(store), 60);
    assert_int_equal(rmdir(test_path("counts/tmp")), 0);    /* empty again */
    pf_store_writer_abort(writer);
    pf_store_close(crashed);
    pf_store_close(store);
}

static pf_digest put_aged(pf_store *store, const char *text, int64_t used_s)
{
    struct timespec times[2] = { { used_s, 0 }, { used_s, 0 } };
    pf_digest       digest = { 0 };
    char            path[4096] = "";
    pf_err          err = { 0 };

    test_ok(pf_store_put(store, text, strlen(text), &digest, &err), &err);
    test_ok(pf_store_path(store, &digest, path, sizeof path, &err), &err);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    return digest;
}

/* Named ones stay however old; fresh ones stay however full; of the others the old go, and when full the least used. */
static void what_nobody_needs_is_collected(void **state)
{
    pf_store        *store = open_store("collect", 0);
    pf_digest        named = put_aged(store, "named", 1000), old = put_aged(store, "older", 2000);
    pf_digest        middle = put_aged(store, "middl", 80000), late = put_aged(store, "later", 90000),
                     fresh = put_aged(store, "fresh", 99990);
    pf_collect_rules rules = {.named = &named,
                              .named_count = 1,
                              .now_wall_ns = INT64_C(100000) * 1000000000,
                              .spare_ns = INT64_C(100) * 1000000000,
                              .age_ns = INT64_C(50000) * 1000000000,
                              .target_bytes = 1000};
    pf_collected     done = { 0 };
    bool             removed = true;
    pf_err           err = { 0 };

    (void)state;
    test_ok(pf_store_collect(store, &rules, &done, &err), &err);
    assert_int_equal(done.blobs, 1);
    assert_int_equal(done.kept_named, 1);
    assert_false(pf_store_has(store, &old, NULL));
    rules.target_bytes = 15;            /* of 20 */
    test_ok(pf_store_collect(store, &rules, &done, &err), &err);
    assert_false(pf_store_has(store, &middle, NULL));
    assert_true(pf_store_has(store, &late, NULL));
    rules.target_bytes = 0;
    test_ok(pf_store_collect(store, &rules, &done, &err), &err);
    assert_true(pf_store_has(store, &named, NULL) && pf_store_has(store, &fresh, NULL));
    assert_int_equal(pf_store_bytes_used(store), 10);
    test_ok(pf_store_remove_unused(store, &fresh, 0, &removed, &err), &err);     /* used since: it goes back */
    assert_false(removed);
    assert_true(pf_store_has(store, &fresh, NULL));
    pf_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blobs_come_back),
        cmocka_unit_test(wrong_digest_publishes_nothing),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(damage_is_found_and_healed),
        cmocka_unit_test(counts_survive),
        cmocka_unit_test(what_nobody_needs_is_collected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
