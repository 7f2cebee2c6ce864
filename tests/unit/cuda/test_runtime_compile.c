/* A plan for a range, at sizes that it holds no code for: what is compiled ahead of its steps.  Needs no card. */
#include "tests/test.h"

#include "engine/builder_range.h"
#include "engine/planfarm.h"
#include "engine/runtime_compile.h"
#include "tests/unit/cuda/front.h"

enum { USUAL = 128, STEPS = 4 };

#define SUM(a, b) "problem in=linear,linear out=linear numerics=0\ngraph\n" \
                  "%0 = input f16 [" a "]\n%1 = input f16 [" b "]\n%2 = add(%0, %1)\noutput %2\n"

/* Two layers alike, another, and one whose sizes are fixed. */
static const char *const texts[STEPS] = { SUM("n,64", "n,64"), SUM("n,64", "n,64"), SUM("n,32", "n,32"),
                                          SUM("7,64", "7,64") };

typedef struct fixture {
    pf_device        *device;
    pf_plan           plan;
    pf_plan_symbol    symbol;
    pf_plan_step      step[STEPS];
    pf_plan_candidate choice;
} fixture;

static void open_fixture(fixture *f)
{
    const pf_tactic *loop = NULL;
    pf_err           err = { 0 };

    *f = (fixture){ .symbol = { .name = "n", .least = 1, .usual = USUAL, .most = 1024 } };
    test_ok(front_open(&f->device, &err), &err);
    loop = pf_tactic_find("nvrtc_loop");
    assert_non_null(loop);
    f->choice = (pf_plan_candidate){ .tactic = loop->name, .tuning = "v=8 t=128", .rev = loop->rev };
    f->plan.dims = pf_dims_new();
    assert_non_null(f->plan.dims);
    pf_dims_symbol(f->plan.dims, "n");
    f->plan.symbols = &f->symbol;
    f->plan.symbol_count = 1;
    f->plan.steps = f->step;
    f->plan.step_count = STEPS;
    for (int s = 0; s < STEPS; s++) {
        f->step[s] = (pf_plan_step){ .name = "sum", .ranked = &f->choice, .ranked_count = 1 };
        test_ok(pf_problem_parse(texts[s], &f->step[s].problem, &err), &err);
    }
}

static void close_fixture(fixture *f)
{
    for (int s = 0; s < STEPS; s++) pf_problem_free(f->step[s].problem);
    pf_dims_free(f->plan.dims);
}

static void equal_layers_are_compiled_once(void **state)
{
    const int64_t usual = USUAL, other = 77;
    fixture       f;

    (void)state;
    open_fixture(&f);
    assert_int_equal(pf_runtime_compile(&f.plan, f.device, &usual), 0);
    assert_int_equal(pf_runtime_compile(&f.plan, f.device, &other), 2);
    close_fixture(&f);
}

/* Their steps say why, when it is their turn. */
static void choices_that_cannot_be_are_passed_over(void **state)
{
    const int64_t other = 77;
    fixture       f;

    (void)state;
    open_fixture(&f);
    f.choice.rev++;
    assert_int_equal(pf_runtime_compile(&f.plan, f.device, &other), 0);
    close_fixture(&f);
}

/* Two layers that add a weight each; the plan keeps only the first one as it is, so that the other one's tuning stays
   though the sizes are far from the usual ones. */
static void a_guess_needs_weights_as_they_are(void **state)
{
    static const char biased[] = "problem in=linear,linear* out=linear numerics=0\ngraph\n%0 = input f16 [n,64]\n"
                                 "%1 = input f16 [64]\n%2 = add(%0, %1)\noutput %2\n";
    const int64_t     far = 8 * USUAL, near = USUAL + 1;
    pf_plan_value     values[] = { { .home = PF_HOME_IO }, { .home = PF_HOME_WEIGHT, .index = 0 },
                                   { .home = PF_HOME_WEIGHT, .index = PF_NONE } };
    uint32_t          first[] = { 0, 1 }, second[] = { 0, 2 };
    fixture           f;
    pf_err            err = { 0 };

    (void)state;
    open_fixture(&f);
    f.choice.tuning = "v=4 t=512";      /* not what would be tried first */
    f.plan.values = values;
    f.plan.value_count = 3;
    f.plan.step_count = 2;
    for (int s = 0; s < 2; s++) {
        pf_problem_free(f.step[s].problem);
        test_ok(pf_problem_parse(biased, &f.step[s].problem, &err), &err);
        f.step[s].in = s ? second : first;
    }
    assert_int_equal(pf_runtime_compile(&f.plan, f.device, &far), 2);
    assert_int_equal(pf_runtime_compile(&f.plan, f.device, &near), 1);
    close_fixture(&f);
}

/* ---- While a plan is written: does its choice do for the least and the most sizes? */

#define PRODUCT(rows) "problem in=linear,linear* out=linear numerics=0\ngraph\n%0 = input f16 [" rows ",64]\n" \
                      "%1 = input f16 [64,32]\n%2 = matmul(%0, %1)\noutput %2\n"

static uint32_t count_range(const char *text, int64_t least, int64_t most)
{
    static const char name[] = "nvrtc_matmul";
    int64_t           usual = USUAL;
    pf_device        *device = NULL;
    pf_profile        profile = { 1, &least, &usual, &most };
    pf_tuning_list    tunings = { 0 };
    pf_problem       *bound = NULL;
    pf_plan_candidate choice = { .tactic = name };
    pf_plan_step      steps[2] = { { .ranked = &choice, .ranked_count = 1 }, { .ranked = &choice, .ranked_count = 1 } };
    pf_formats        formats = { .profile = &profile };
    pf_draft          draft = { .formats = &formats, .plan = { .steps = steps, .step_count = 2 } };
    uint32_t          count = 0;
    pf_err            err = { 0 };

    test_ok(front_open(&device, &err), &err);
    for (int s = 0; s < 2; s++) test_ok(pf_problem_parse(text, &steps[s].problem, &err), &err);
    formats.graph = steps[0].problem->graph;
    test_ok(pf_problem_bind(steps[0].problem, formats.graph->dims, &usual, &bound, &err), &err);
    test_ok(pf_tactic_find(name)->tunings(device, bound, 0, &tunings, &err), &err);
    choice.tuning = tunings.items[0].text;
    count = pf_builder_range_compile(&draft, device);
    pf_tuning_clear(&tunings);
    pf_problem_free(bound);
    for (int s = 0; s < 2; s++) pf_problem_free(steps[s].problem);
    return count;
}

static void both_ends_are_compiled_once(void **state)
{
    (void)state;
    assert_int_equal(count_range(PRODUCT("n"), 16, 512), 2);
    assert_int_equal(count_range(PRODUCT("n"), USUAL, 512), 1);
    assert_int_equal(count_range(PRODUCT("n"), USUAL, USUAL), 0);
    assert_int_equal(count_range(PRODUCT("96"), 16, 512), 0);
    assert_int_equal(count_range(SUM("n,64", "n,64"), 16, 512), 0);     /* packs nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_layers_are_compiled_once), cmocka_unit_test(choices_that_cannot_be_are_passed_over),
        cmocka_unit_test(a_guess_needs_weights_as_they_are), cmocka_unit_test(both_ends_are_compiled_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
