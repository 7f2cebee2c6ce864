#include "client/cache_folder.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

static const pf_option options[] = {PF_CACHE_OPTION, {.name = NULL}};

static pf_status path_of(const char *given, char out[PATH_MAX], pf_err *err)
{
    char     *argv[] = {(char *)"build", (char *)"--cache", (char *)(uintptr_t)given};
    pf_call   call = {0};
    pf_args  *args = NULL;
    pf_status status = PF_OK;

    test_ok(pf_args_parse(options, given ? 3 : 1, argv, &args, err), err);
    call.args = args;
    status = pf_cache_folder_path(&call, out, PATH_MAX, err);
    pf_args_free(args);
    return status;
}

static void kernels_lie_beside_the_timings(void **state)
{
    char   folder[PATH_MAX], kernels[PATH_MAX];
    pf_err err = {0};

    (void)state;
    setenv("XDG_CACHE_HOME", "/home/someone/cache", 1);
    test_ok(path_of(NULL, folder, &err), &err);
    assert_string_equal(folder, "/home/someone/cache/planfarm/timing");
    test_ok(path_of("some/folder", folder, &err), &err);
    assert_string_equal(folder, "some/folder");
    test_ok(pf_cache_folder_kernels(folder, kernels, sizeof kernels, &err), &err);
    assert_string_equal(kernels, "some/folder/kernels");
}

static void a_folder_that_nobody_names_is_said(void **state)
{
    char   folder[PATH_MAX], longer[PATH_MAX + 1] = "";
    pf_err err = {0};

    (void)state;
    memset(longer, 'x', PATH_MAX);
    assert_int_equal(path_of(longer, folder, &err), PF_USAGE);
    pf_err_clear(&err);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_int_equal(path_of(NULL, folder, &err), PF_NOT_FOUND);
    assert_string_equal(folder, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_lie_beside_the_timings), cmocka_unit_test(a_folder_that_nobody_names_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
