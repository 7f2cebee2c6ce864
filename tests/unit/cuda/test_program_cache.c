#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "engine/cuda/program_cache.h"
#include "engine/cuda/program_folder.h"
#include "tests/test.h"

static const pf_digest one_class = { { 1 } }, other_class = { { 2 } }, key = { { 3 } }, other_key = { { 4 } };

static pf_program_cache *cache_in(const char *folder, const pf_digest *device_class)
{
    pf_program_cache *cache = pf_program_cache_new();
    pf_err            err = { 0 };

    assert_non_null(cache);
    if (folder) test_ok(pf_program_cache_keep_in(cache, folder, device_class, &err), &err);
    return cache;
}

static void keep(pf_program_cache *cache, const char *text)
{
    uint8_t *code = pf_alloc(strlen(text));

    assert_non_null(code);
    memcpy(code, text, strlen(text));
    pf_program_cache_keep(cache, &key, code, strlen(text));
}

static void holds(pf_program_cache *cache, const char *text)
{
    size_t   bytes = 0;
    uint8_t *code = pf_program_cache_copy(cache, &key, &bytes);

    assert_non_null(code);
    assert_int_equal(bytes, strlen(text));
    assert_memory_equal(code, text, bytes);
    pf_free(code);
}

static void without_a_folder_it_lives_in_memory(void **state)
{
    pf_program_cache *cache = cache_in(NULL, NULL);

    (void)state;
    assert_false(pf_program_cache_has(cache, &key));
    keep(cache, "code");
    holds(cache, "code");
    assert_false(pf_program_cache_has(cache, &other_key));
    pf_program_cache_free(cache);
}

/* Pages that nobody writes to take no memory. */
static void beyond_its_limit_memory_begins_anew(void **state)
{
    enum { HALF_BYTES = 150 << 20 };
    pf_program_cache *cache = cache_in(NULL, NULL);
    uint8_t          *half = pf_calloc(1, HALF_BYTES), *other_half = pf_calloc(1, HALF_BYTES);

    (void)state;
    assert_non_null(half);
    assert_non_null(other_half);
    pf_program_cache_keep(cache, &key, half, HALF_BYTES);
    assert_true(pf_program_cache_has(cache, &key));
    pf_program_cache_keep(cache, &other_key, other_half, HALF_BYTES);
    assert_true(pf_program_cache_has(cache, &other_key));
    assert_false(pf_program_cache_has(cache, &key));
    pf_program_cache_free(cache);
}

static void the_next_finds_what_one_kept(void **state)
{
    const char       *folder = test_path("kernels");
    pf_program_cache *cache = cache_in(folder, &one_class);

    (void)state;
    keep(cache, "code");
    pf_program_cache_free(cache);
    cache = cache_in(folder, &one_class);
    assert_true(pf_program_cache_has(cache, &key));
    holds(cache, "code");
    assert_false(pf_program_cache_has(cache, &other_key));
    pf_program_cache_free(cache);
    cache = cache_in(folder, &other_class);
    assert_false(pf_program_cache_has(cache, &key));
    pf_program_cache_free(cache);
}

static void a_damaged_file_counts_as_absent(void **state)
{
    char              command[4300] = "", folder[4096] = "";
    pf_program_cache *cache = NULL;

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("damaged"));
    cache = cache_in(folder, &one_class);
    keep(cache, "code of some length");
    pf_program_cache_free(cache);
    snprintf(command, sizeof command,
             "for f in '%s'/*; do printf X | dd of=\"$f\" bs=1 seek=40 conv=notrunc 2>/dev/null; done", folder);
    assert_int_equal(system(command), 0);
    cache = cache_in(folder, &one_class);
    assert_false(pf_program_cache_has(cache, &key));
    pf_program_cache_free(cache);
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
    pf_program_cache *cache = pf_program_cache_new();
    const char       *path = test_path("file");
    char              below[4200] = "";
    pf_err            err = { 0 };

    (void)state;
    test_ok(pf_file_write(path, "x", 1, &err), &err);
    snprintf(below, sizeof below, "%s/kernels", path);
    assert_int_not_equal(pf_program_cache_keep_in(cache, below, &one_class, &err), PF_OK);
    assert_true(err.msg[0] != 0);
    keep(cache, "code");
    holds(cache, "code");
    pf_program_cache_free(cache);
}

/* Sparse files stand for a gibibyte and more. */
static void beyond_its_limit_the_oldest_go(void **state)
{
    char              folder[4096] = "", path[4200] = "";
    pf_program_folder opened = { 0 };
    pf_err            err = { 0 };

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("full"));
    test_ok(pf_dir_make(folder, &err), &err);
    for (int i = 0; i < 3; i++) {
        struct timespec times[2] = { { .tv_sec = 1000 + i }, { .tv_sec = 1000 + i } };

        snprintf(path, sizeof path, "%s/%d", folder, i);
        test_ok(pf_file_write(path, "x", 1, &err), &err);
        assert_int_equal(truncate(path, 400 << 20), 0);
        assert_int_equal(utimensat(0, path, times, 0), 0);
    }
    test_ok(pf_program_folder_open(&opened, folder, &one_class, &err), &err);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%d", folder, i);
        assert_int_equal(pf_file_exists(path), i > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_folder_it_lives_in_memory),
        cmocka_unit_test(beyond_its_limit_memory_begins_anew), cmocka_unit_test(the_next_finds_what_one_kept),
        cmocka_unit_test(a_damaged_file_counts_as_absent),
        cmocka_unit_test(a_folder_that_cannot_be_made_is_an_error), cmocka_unit_test(beyond_its_limit_the_oldest_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
