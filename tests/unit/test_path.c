#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

static void joins_inside_the_folder(void **state)
{
    static const struct { const char *folder, *relative, *joined; } rows[] = {
        {"/m", "a.bin", "/m/a.bin"},       {"/m", "data/a.bin", "/m/data/a.bin"}, {"/m", "./a.bin", "/m/./a.bin"},
        {"/m", "..a", "/m/..a"},           {"/m", "a..", "/m/a.."},               {"/m", "...", "/m/..."},
        {"/m", "a/..b/c", "/m/a/..b/c"},   {"", "a", "./a"},                      {"m", "a b", "m/a b"},
    };
    char   out[64];
    pf_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_ok(pf_path_join(rows[i].folder, rows[i].relative, out, sizeof out, &err), &err);
        assert_string_equal(out, rows[i].joined);
    }
}

static void never_leaves_the_folder(void **state)
{
    static const char *const rows[] = {"", "/", "/etc/passwd", "..", "../a", "a/..", "a/../b", "a//../..//b", "./..",
                                       "a/b/../../../c", "//a"};
    char   out[64];
    pf_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strcpy(out, "x");
        test_fails(pf_path_join("/m", rows[i], out, sizeof out, &err), PF_INVALID, &err);
        assert_string_equal(out, "");
    }
}

static void the_joined_path_has_to_fit(void **state)
{
    char   out[8];
    pf_err err = {0};

    (void)state;
    test_ok(pf_path_join("/m", "1234", out, sizeof out, &err), &err);
    assert_string_equal(out, "/m/1234");
    test_fails(pf_path_join("/m", "12345", out, sizeof out, &err), PF_INVALID, &err);
    assert_string_equal(out, "");
}

static void folders_are_made_with_their_parents(void **state)
{
    pf_err      err = {0};
    struct stat info = {0};

    (void)state;
    test_ok(pf_dir_make(test_path("a/b//c/"), &err), &err);
    test_ok(pf_dir_make(test_path("a/b/c"), &err), &err);
    assert_int_equal(stat(test_path("a/b/c"), &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    test_ok(pf_file_write(test_path("a/file"), "x", 1, &err), &err);
    test_fails(pf_dir_make(test_path("a/file"), &err), PF_INVALID, &err);
    assert_int_not_equal(pf_dir_make(test_path("a/file/below"), NULL), PF_OK);
    test_fails(pf_dir_make("", &err), PF_INVALID, &err);
}

static void folders_go_with_all_in_them_and_links_are_not_followed(void **state)
{
    pf_err err = {0};

    (void)state;
    test_ok(pf_dir_make(test_path("outside"), &err), &err);
    test_ok(pf_file_write(test_path("outside/precious"), "x", 1, &err), &err);
    test_ok(pf_dir_make(test_path("tree/one/two"), &err), &err);
    test_ok(pf_file_write(test_path("tree/one/file"), "x", 1, &err), &err);
    assert_int_equal(symlink(test_path("outside"), test_path("tree/one/link")), 0);
    assert_int_equal(symlink("nowhere", test_path("tree/broken")), 0);
    test_ok(pf_dir_remove(test_path("tree"), &err), &err);
    assert_false(pf_file_exists(test_path("tree")));
    assert_true(pf_file_exists(test_path("outside/precious")));
    test_ok(pf_dir_remove(test_path("tree"), &err), &err);     /* gone is gone */
}

static void what_is_no_folder_is_not_removed(void **state)
{
    pf_err err = {0};

    (void)state;
    test_ok(pf_dir_make(test_path("kept"), &err), &err);
    test_ok(pf_file_write(test_path("kept/file"), "x", 1, &err), &err);
    assert_int_equal(symlink(test_path("kept"), test_path("to_kept")), 0);
    test_fails(pf_dir_remove(test_path("kept/file"), &err), PF_INVALID, &err);
    test_fails(pf_dir_remove(test_path("to_kept"), &err), PF_INVALID, &err);
    assert_true(pf_file_exists(test_path("kept/file")));
}

static void the_cache_is_where_the_environment_says(void **state)
{
    char   out[64];
    pf_err err = {0};

    (void)state;
    setenv("XDG_CACHE_HOME", "/var/c", 1);
    setenv("HOME", "/home/u", 1);
    test_ok(pf_path_user_cache(out, sizeof out, &err), &err);
    assert_string_equal(out, "/var/c/planfarm");
    test_fails(pf_path_user_cache(out, 5, &err), PF_INVALID, &err);
    setenv("XDG_CACHE_HOME", "relative", 1);
    test_ok(pf_path_user_cache(out, sizeof out, &err), &err);
    assert_string_equal(out, "/home/u/.cache/planfarm");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    test_fails(pf_path_user_cache(out, sizeof out, &err), PF_NOT_FOUND, &err);
}

static void temporary_folders_are_new_and_lie_where_tmpdir_says(void **state)
{
    char   parent[4096] = "", one[4096] = "", other[4096] = "";
    pf_err err = {0};

    (void)state;
    snprintf(parent, sizeof parent, "%s", test_path("temporary"));
    test_ok(pf_dir_make(parent, &err), &err);
    assert_int_equal(setenv("TMPDIR", parent, 1), 0);
    test_ok(pf_dir_make_temporary("test", one, sizeof one, &err), &err);
    test_ok(pf_dir_make_temporary("test", other, sizeof other, &err), &err);
    assert_int_equal(strncmp(one, parent, strlen(parent)), 0);
    assert_non_null(strstr(one, "/planfarm-test-"));
    assert_string_not_equal(one, other);
    assert_true(pf_file_exists(one) && pf_file_exists(other));
    test_fails(pf_dir_make_temporary("test", one, 20, &err), PF_INVALID, &err);
    assert_string_equal(one, "");
    setenv("TMPDIR", test_path("absent"), 1);
    assert_int_equal(pf_dir_make_temporary("test", one, sizeof one, &err), PF_IO);
    assert_non_null(strstr(err.msg, "TMPDIR"));
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_inside_the_folder),
        cmocka_unit_test(never_leaves_the_folder),
        cmocka_unit_test(the_joined_path_has_to_fit),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(folders_go_with_all_in_them_and_links_are_not_followed),
        cmocka_unit_test(what_is_no_folder_is_not_removed),
        cmocka_unit_test(the_cache_is_where_the_environment_says),
        cmocka_unit_test(temporary_folders_are_new_and_lie_where_tmpdir_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
