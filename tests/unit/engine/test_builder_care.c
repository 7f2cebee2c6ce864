#include "engine/builder_care.h"
#include "tests/unit/engine/graphs.h"

#define FIRST(n) pf_precision_care_first(n)
#define FRONT    (PF_CARE_DECISIONS | PF_CARE_GATES)

/* What is built next, where a plan turns out to be off by too much; three parts are never given up again. */
static void each_step_raises_more(void **state)
{
    static const pf_precision_care none = PF_CARE_USUAL, all = PF_CARE_ALL, exact = PF_CARE_EXACT;
    const struct { pf_precision_care from, to; } steps[] = {
        { none, FRONT | FIRST(8) },
        { FRONT | FIRST(8), FRONT | FIRST(16) },
        { PF_CARE_GATES | FIRST(30), all },
        { all, all | exact },
        { exact | FIRST(10), exact | FRONT | FIRST(20) },
        { exact | FIRST(42), all | exact },
    };
    pf_config *config = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(pf_config_new(&config, &err), &err);
    test_ok(pf_config_set(config, "fp16", "1", &err), &err);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        assert_int_equal(pf_builder_more_care(config, steps[i].from), steps[i].to);
    pf_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_step_raises_more) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
