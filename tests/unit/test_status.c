#include <errno.h>
#include <string.h>

#include "tests/test.h"

static void every_status_has_its_own_row(void **state)
{
    (void)state;
    for (int i = 0; i < PF_STATUS_COUNT; i++) {
        assert_true(pf_status_name(i)[0] && pf_status_text(i)[0]);
        assert_int_equal(pf_status_from_exit_code(pf_status_exit_code(i)), i);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(pf_status_name(i), pf_status_name(k));
    }
}

static void known_rows(void **state)
{
    (void)state;
    assert_string_equal(pf_status_name(PF_CORRUPT), "CORRUPT");
    assert_int_equal(pf_status_exit_code(PF_OK), 0);
    assert_int_equal(pf_status_exit_code(PF_CORRUPT), 67);
    assert_true(pf_status_may_retry(PF_BUSY));
    assert_false(pf_status_may_retry(PF_INVALID));
}

static void strange_numbers_are_internal(void **state)
{
    (void)state;
    assert_int_equal(pf_status_from_exit_code(1), PF_INTERNAL);
    assert_int_equal(pf_status_from_exit_code(-1), PF_INTERNAL);
    assert_string_equal(pf_status_name((pf_status)12345), "INTERNAL");
    assert_string_equal(pf_status_name((pf_status)-1), "INTERNAL");
}

static void errno_tells_what_to_do(void **state)
{
    (void)state;
    assert_int_equal(pf_status_from_errno(ENOSPC), PF_NO_SPACE);
    assert_int_equal(pf_status_from_errno(EDQUOT), PF_NO_SPACE);
    assert_int_equal(pf_status_from_errno(ENOENT), PF_NOT_FOUND);
    assert_int_equal(pf_status_from_errno(EACCES), PF_DENIED);
    assert_int_equal(pf_status_from_errno(EIO), PF_IO);
}

static void the_first_message_stays(void **state)
{
    pf_err err = {0};

    (void)state;
    assert_int_equal(PF_FAIL(&err, PF_INVALID, "node %d has no input", 7), PF_INVALID);
    assert_int_equal(PF_FAIL(&err, PF_IO, "and the disk burns"), PF_IO);
    assert_int_equal(err.status, PF_INVALID);
    assert_string_equal(err.msg, "node 7 has no input");
    assert_non_null(strstr(err.file, "test_status.c"));
    assert_true(err.line > 0);
}

static void context_goes_in_front(void **state)
{
    pf_err err = {0};

    (void)state;
    PF_FAIL(&err, PF_CORRUPT, "the header is short");
    assert_int_equal(pf_err_add(&err, PF_CORRUPT, "loading %s", "a.plan"), PF_CORRUPT);
    assert_string_equal(err.msg, "loading a.plan: the header is short");
    pf_err_add(&err, PF_CORRUPT, "job %d", 3);
    assert_string_equal(err.msg, "job 3: loading a.plan: the header is short");
    assert_int_equal(err.status, PF_CORRUPT);
}

static void context_without_a_message_takes_the_text_of_the_status(void **state)
{
    pf_err err = {0};

    (void)state;
    assert_int_equal(pf_err_add(&err, PF_BUSY, "asking"), PF_BUSY);
    assert_int_equal(err.status, PF_BUSY);
    assert_string_equal(err.msg, "asking: try again later");
}

static void long_messages_are_cut(void **state)
{
    pf_err err = {0};
    char   text[2 * PF_ERR_MSG_BYTES];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    PF_FAIL(&err, PF_INVALID, "%s", text);
    assert_int_equal(strlen(err.msg), PF_ERR_MSG_BYTES - 1);
    pf_err_add(&err, PF_INVALID, "front");
    assert_int_equal(strlen(err.msg), PF_ERR_MSG_BYTES - 1);
    assert_memory_equal(err.msg, "front: xxx", 10);
    pf_err_add(&err, PF_INVALID, "%s", text);
    assert_int_equal(strlen(err.msg), PF_ERR_MSG_BYTES - 1);
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(PF_FAIL(NULL, PF_IO, "unheard"), PF_IO);
    assert_int_equal(pf_err_add(NULL, PF_IO, "unheard"), PF_IO);
    pf_err_clear(NULL);
}

static void a_cleared_error_can_be_used_again(void **state)
{
    pf_err err = {0};

    (void)state;
    PF_FAIL(&err, PF_IO, "first");
    pf_err_clear(&err);
    assert_int_equal(err.status, PF_OK);
    PF_FAIL_MEMORY(&err, 42);
    assert_int_equal(err.status, PF_NO_SPACE);
    assert_non_null(strstr(err.msg, "42 bytes"));
}

static void what_is_passed_on_says_what_it_said(void **state)
{
    pf_err own = {0}, err = {0}, earlier = {0};

    (void)state;
    pf_err_set(&own, PF_NO_SPACE, "there.c", 7, "no room");
    pf_err_at(&own, "conv1");
    pf_err_set(&earlier, PF_IO, "here.c", 1, "it was gone");
    assert_int_equal(pf_err_pass(&err, PF_NO_SPACE, &own), PF_NO_SPACE);
    assert_string_equal(err.msg, "no room");
    assert_string_equal(err.node, "conv1");
    assert_string_equal(err.file, "there.c");
    assert_int_equal(err.line, 7);
    pf_err_pass(&earlier, PF_NO_SPACE, &own);
    assert_string_equal(earlier.msg, "it was gone");
    assert_int_equal(pf_err_pass(NULL, PF_NO_SPACE, &own), PF_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_own_row),
        cmocka_unit_test(known_rows),
        cmocka_unit_test(strange_numbers_are_internal),
        cmocka_unit_test(errno_tells_what_to_do),
        cmocka_unit_test(the_first_message_stays),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(context_without_a_message_takes_the_text_of_the_status),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(a_cleared_error_can_be_used_again),
        cmocka_unit_test(what_is_passed_on_says_what_it_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
