#include <string.h>

#include "base/alloc.h"
#include "engine/config.h"
#include "tests/unit/engine/networks.h"

static void expect_text(pf_config *config, const char *text)
{
    char  *got = NULL;
    pf_err err = { 0 };

    test_ok(pf_config_text(config, &got, &err), &err);
    assert_string_equal(got, text);
    pf_free(got);
}

static void the_text_holds_what_is_not_default(void **state)
{
    pf_config *config = config_of("");
    pf_err     err = { 0 };

    (void)state;
    expect_text(config, "");
    test_ok(pf_config_set(config, "effort", "5", &err), &err);
    test_ok(pf_config_set(config, "tf32", "true", &err), &err);
    test_ok(pf_config_set(config, "workspace", "32M", &err), &err);
    expect_text(config, "tf32=1\nworkspace=33554432\neffort=5\n");
    test_ok(pf_config_set(config, "effort", "2", &err), &err);
    test_ok(pf_config_set(config, "tf32", "0", &err), &err);
    expect_text(config, "workspace=33554432\n");
    assert_string_equal(pf_config_get(config, "effort"), "2");
    assert_null(pf_config_get(config, "nothing"));
    pf_config_free(config);
}

static void equal_meanings_have_equal_texts(void **state)
{
    pf_config *a = config_of("opt_shapes=x:1x3, y : 2x4 \nworkspace=1024K\n"),
              *b = config_of("workspace=1M\nopt_shapes=y:2x4,x:1x3\n");

    (void)state;
    expect_text(a, "opt_shapes=x:1x3,y:2x4\nworkspace=1048576\n");
    expect_text(b, "opt_shapes=x:1x3,y:2x4\nworkspace=1048576\n");
    pf_config_free(a);
    pf_config_free(b);
    a = config_of("max_error=1e-2\n");
    expect_text(a, "max_error=0.01\n");
    pf_config_free(a);
}

static void shapes_are_read(void **state)
{
    pf_config            *config = config_of("shapes=gpu_0/data:0:8x3x224x224,mask:4,one:\n");
    pf_named_shapes       shapes = { 0 };
    const pf_named_shape *shape = NULL;
    pf_err                err = { 0 };

    (void)state;
    test_ok(pf_config_shapes(config, PF_CONFIG_shapes, &shapes, &err), &err);
    assert_int_equal(shapes.count, 3);
    shape = pf_named_shapes_find(&shapes, "gpu_0/data:0");
    assert_non_null(shape);
    assert_int_equal(shape->rank, 4);
    assert_int_equal(shape->dim[3], 224);
    assert_int_equal(pf_named_shapes_find(&shapes, "one")->rank, 0);
    assert_null(pf_named_shapes_find(&shapes, "two"));
    pf_named_shapes_clear(&shapes);
    pf_config_free(config);
}

static void values_are_read(void **state)
{
    pf_config      *config = config_of("freeze_inputs=net/past:0:false, scale : 0.1,a:-2\n");
    pf_named_values values = { 0 };
    pf_err          err = { 0 };

    (void)state;
    expect_text(config, "freeze_inputs=a:-2,net/past:0:0,scale:0.10000000000000001\n");
    test_ok(pf_config_values(config, PF_CONFIG_freeze_inputs, &values, &err), &err);
    assert_int_equal(values.count, 3);
    assert_string_equal(values.items[1].name, "net/past:0");
    assert_true(values.items[1].value == 0 && values.items[2].value == 0.1);
    pf_named_values_clear(&values);
    pf_config_free(config);
}

static void refuses_what_it_cannot_mean(void **state)
{
    static const char *const bad[][2] = {
        { "effort", "6" }, { "effort", "two" }, { "effort", "" }, { "share", "0" }, { "share", "101" },
        { "fp16", "maybe" }, { "max_error", "little" }, { "max_error", "nan" }, { "max_error", "0,01" },
        { "workspace", "-1" }, { "workspace", "1Q" }, { "workspace", "1MM" }, { "workspace", "99999999999T" },
        { "shapes", "x" }, { "shapes", "x:1x" }, { "shapes", "x:-1" }, { "shapes", ":1" }, { "shapes", "x:1,x:2" },
        { "shapes", "x:1x1x1x1x1x1x1x1x1" }, { "tactics", "a\nb" }, { "no_such_key", "1" },
        { "freeze_inputs", "x" }, { "freeze_inputs", "x:" }, { "freeze_inputs", ":1" }, { "freeze_inputs", "x:yes" },
        { "freeze_inputs", "x:inf" }, { "freeze_inputs", "x:1,x:1" }, { "freeze_inputs", "x:1x2" },
    };
    pf_config *config = config_of("");
    pf_err     err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        test_fails(pf_config_set(config, bad[i][0], bad[i][1], &err), PF_USAGE, &err);
    expect_text(config, "");
    pf_config_free(config);
    test_fails(pf_config_parse("effort\n", &config, &err), PF_USAGE, &err);
}

static void says_by_name_what_is_not_built(void **state)
{
    static const char *const unbuilt[] = { "fp16=1\n", "bf16=1\n", "int8=1\n", "fp8=1\n", "share=50\n" };
    pf_device *device = cpu();
    pf_err     err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof unbuilt / sizeof unbuilt[0]; i++) {
        pf_config *config = config_of(unbuilt[i]);
        char       key[16] = "";

        memcpy(key, unbuilt[i], strcspn(unbuilt[i], "="));
        assert_int_equal(pf_config_check(config, device, &err), PF_UNSUPPORTED);
        assert_non_null(strstr(err.msg, key));
        pf_err_clear(&err);
        pf_config_free(config);
    }
    pf_device_close(device);
}

static void refuses_contradictions(void **state)
{
    static const char *const wrong[] = { "shapes=x:1\nopt_shapes=x:2\n", "tactics=no_such_tactic\n",
                                         "tactics=-no_such_tactic\n", "max_error=1\n", "max_error=-0.5\n" };
    pf_device *device = cpu();
    pf_err     err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        pf_config *config = config_of(wrong[i]);

        test_fails(pf_config_check(config, device, &err), PF_USAGE, &err);
        pf_config_free(config);
    }
    pf_device_close(device);
}

static void tactics_are_filtered(void **state)
{
    pf_config *only = config_of("tactics=reference\n"), *without = config_of("tactics=-reference\n"),
              *all = config_of(""), *some = config_of("tactics=onednn_conv,-reference,onednn_pool\n"),
              *but_two = config_of("tactics=-onednn_conv,-reference\n");

    (void)state;
    assert_true(pf_config_allows_tactic(some, "onednn_conv") && pf_config_allows_tactic(some, "onednn_pool"));
    assert_false(pf_config_allows_tactic(some, "reference") || pf_config_allows_tactic(some, "onednn_matmul"));
    assert_false(pf_config_allows_tactic(but_two, "onednn_conv") || pf_config_allows_tactic(but_two, "reference"));
    assert_true(pf_config_allows_tactic(but_two, "onednn_matmul"));
    pf_config_free(some);
    pf_config_free(but_two);
    assert_true(pf_config_allows_tactic(only, "reference") && !pf_config_allows_tactic(only, "onednn_conv"));
    assert_true(!pf_config_allows_tactic(without, "reference") && pf_config_allows_tactic(without, "onednn_conv"));
    assert_true(pf_config_allows_tactic(all, "reference"));
    pf_config_free(only);
    pf_config_free(without);
    pf_config_free(all);
}

static void replay_is_no_part_of_the_key(void **state)
{
    pf_config *config = config_of("effort=3\nreplay=1\n");
    char      *text = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(pf_config_key_text(config, &text, &err), &err);
    assert_string_equal(text, "effort=3\n");
    pf_free(text);
    pf_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_holds_what_is_not_default),
        cmocka_unit_test(equal_meanings_have_equal_texts),
        cmocka_unit_test(shapes_are_read),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(refuses_what_it_cannot_mean),
        cmocka_unit_test(says_by_name_what_is_not_built),
        cmocka_unit_test(refuses_contradictions),
        cmocka_unit_test(tactics_are_filtered),
        cmocka_unit_test(replay_is_no_part_of_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
