#include "base/error_list.h"

#include <stdio.h>

#include "base/alloc.h"
#include "tests/test.h"

static pf_error_list *new_list(void)
{
    pf_error_list *list = NULL;
    pf_err         err = { 0 };

    test_ok(pf_error_list_new(&list, &err), &err);
    return list;
}

static void notes_are_kept_with_code_and_node(void **state)
{
    pf_error_list *list = new_list();
    pf_err         err = { .list = list };
    pf_error       one = { 0 };

    (void)state;
    pf_err_note(&err, PF_UNSUPPORTED, "conv7", "%s is not supported", "Foo");
    pf_err_note(&err, PF_MISMATCH, NULL, "differs");
    assert_int_equal(err.status, PF_OK);
    assert_int_equal(pf_error_list_count(list), 2);
    pf_error_list_at(list, 0, &one);
    assert_int_equal(one.status, PF_UNSUPPORTED);
    assert_string_equal(one.node, "conv7");
    assert_string_equal(one.message, "Foo is not supported");
    pf_error_list_at(list, 1, &one);
    assert_string_equal(one.node, "");
    pf_error_list_at(list, 2, &one);
    assert_null(one.message);
    pf_error_list_clear(list);
    assert_int_equal(pf_error_list_count(list), 0);
    pf_error_list_free(list);
}

static void without_a_list_a_note_is_nothing(void **state)
{
    pf_err err = { 0 };

    (void)state;
    pf_err_note(&err, PF_INVALID, "x", "unheard");
    pf_err_note(NULL, PF_INVALID, "x", "unheard");
    assert_int_equal(err.status, PF_OK);
    assert_string_equal(err.msg, "");
}

static void the_first_node_stands_and_clearing_keeps_the_list(void **state)
{
    pf_error_list *list = new_list();
    pf_err         err = { .list = list };

    (void)state;
    PF_FAIL(&err, PF_INVALID, "no");
    pf_err_at(&err, "inner");
    pf_err_at(&err, "outer");
    pf_err_at(NULL, "nowhere");
    assert_string_equal(err.node, "inner");
    pf_err_clear(&err);
    assert_string_equal(err.node, "");
    assert_int_equal(err.status, PF_OK);
    assert_ptr_equal(err.list, list);
    pf_error_list_free(list);
    pf_error_list_free(NULL);
}

static void too_many_are_counted(void **state)
{
    pf_error_list *list = new_list();

    (void)state;
    for (int i = 0; i < PF_ERRORS_KEPT + 5; i++)
        pf_error_list_add(list, PF_IO, "n", "m");
    assert_int_equal(pf_error_list_count(list), PF_ERRORS_KEPT);
    assert_int_equal(pf_error_list_dropped(list), 5);
    pf_error_list_clear(list);
    pf_alloc_fail_after(0);
    pf_error_list_add(list, PF_IO, "n", "m");
    pf_alloc_fail_after(UINT64_MAX);
    assert_int_equal(pf_error_list_count(list), 0);
    assert_int_equal(pf_error_list_dropped(list), 1);
    pf_error_list_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_are_kept_with_code_and_node),
        cmocka_unit_test(without_a_list_a_note_is_nothing),
        cmocka_unit_test(the_first_node_stands_and_clearing_keeps_the_list),
        cmocka_unit_test(too_many_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
