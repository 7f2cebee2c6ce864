#include "tests/test.h"

#include <string.h>

#include "base/buf.h"
#include "engine/op.h"
#include "engine/precision_choice.h"

enum { TEXT_LIMIT = 1 << 16, LAYERS = 8 };

#define POINT "strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1"

/* Eight convolutions of single pixels.  Those at `at` and behind it make two channels that hardly differ, and `gain`
   times their difference: at 100, what rounding takes from the channels becomes a few hundredths of the range.
   is_late: the last two do so as well, at 100.  The others pass two channels on. */
static pf_graph *network_of(uint32_t at, int gain, bool is_late)
{
    pf_err    err = { 0 };
    pf_graph *graph = NULL;
    pf_buf    text;

    pf_buf_init(&text, TEXT_LIMIT);
    pf_buf_printf(&text, "graph \"\"\n%%x = input f32 [1,2,8,8] \"x\"\n%%pass = constant f32 [2,2,1,1] {1,0,0,1}\n"
                         "%%alike = constant f32 [2,2,1,1] {1,1,1,%.4f}\n"
                         "%%apart = constant f32 [2,2,1,1] {%d,-%d,-%d,%d}\n"
                         "%%late_alike = constant f32 [2,2,1,1] {1,-1,1,-1.01}\n"
                         "%%late_apart = constant f32 [2,2,1,1] {100,-100,-100,100}\n%%c0 = relu(%%x)\n",
                  1 + 1.0 / gain, gain, gain, gain, gain);
    for (uint32_t i = 0; i < LAYERS; i++) {
        const char *late = !is_late || i < LAYERS - 2 ? "pass" : i == LAYERS - 2 ? "late_alike" : "late_apart";

        pf_buf_printf(&text, "%%c%u = conv(%%c%u, %%%s, _) " POINT "\n", i + 1, i,
                      i == at ? "alike" : i == at + 1 ? "apart" : late);
    }
    pf_buf_printf(&text, "output %%c%d \"y\"\n", LAYERS);
    test_ok(pf_graph_parse((const char *)text.data, &graph, &err), &err);
    pf_buf_clear(&text);
    return graph;
}

static pf_graph *network_with(uint32_t at)
{
    return network_of(at, 100, false);
}

static pf_precision_care care_of(const pf_graph *graph, const pf_precision_wish *wish, double *error)
{
    pf_err            err = { 0 };
    pf_precision_care care = PF_CARE_ALL;

    test_ok(pf_precision_choose(graph, graph, NULL, wish, &care, error, &err), &err);
    return care;
}

static const pf_precision_wish usual = { .narrow = PF_F16, .most_error = 1e-2, .most_care = PF_CARE_QUARTER };

static void a_tame_network_is_lowered_as_usual(void **state)
{
    pf_graph *graph = network_with(LAYERS);
    double    error = 0;

    (void)state;
    assert_int_equal(care_of(graph, &usual, &error), PF_CARE_USUAL);
    assert_true(error > 0 && error < 2e-3);
    pf_graph_free(graph);
}

static void as_much_stays_wide_as_is_needed(void **state)
{
    pf_graph *graph = network_with(0);
    double    error = 0;

    (void)state;
    assert_int_equal(care_of(graph, &usual, &error), PF_CARE_QUARTER);      /* the first two of eight */
    assert_true(error >= 0 && error < 5e-3);
    pf_graph_free(graph);
}

/* The layers that lose it all are the last. */
static void what_does_not_help_is_not_taken(void **state)
{
    pf_graph         *graph = network_with(LAYERS - 2);
    pf_precision_wish asked = { PF_F16, 1e-2, PF_CARE_ALL, true };
    double            error = 0;

    (void)state;
    assert_int_equal(care_of(graph, &usual, &error), PF_CARE_USUAL);
    assert_true(error > 1e-2);
    assert_int_equal(care_of(graph, &asked, &error), PF_CARE_ALL);
    assert_true(error < 1e-6);
    pf_graph_free(graph);
}

/* A tenth of the error goes with the first layers, but what is left is several times what is allowed. */
static void what_comes_nowhere_near_is_not_taken(void **state)
{
    pf_graph         *graph = network_of(0, 1000, true);
    pf_precision_wish asked = { PF_F16, 1e-2, PF_CARE_QUARTER, true };
    double            error = 0, error_raised = 0;

    (void)state;
    assert_int_equal(care_of(graph, &usual, &error), PF_CARE_USUAL);
    assert_int_equal(care_of(graph, &asked, &error_raised), PF_CARE_QUARTER);
    assert_true(error_raised > 2 * asked.most_error && error_raised < error / 2);
    pf_graph_free(graph);
}

/* It would take minutes. */
static void a_large_network_is_not_tried(void **state)
{
    static const char text[] =
        "graph \"\"\n%x = input f32 [256,64,512,512] \"x\"\n%w = input f32 [64,64,3,3] \"w\"\n"
        "%y = conv(%x, %w, _) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %y \"y\"\n";
    pf_err    err = { 0 };
    pf_graph *graph = NULL;
    double    error = 0;

    (void)state;
    test_ok(pf_graph_parse(text, &graph, &err), &err);
    assert_int_equal(care_of(graph, &usual, &error), PF_CARE_USUAL);
    assert_true(error < 0);
    pf_graph_free(graph);
}

/* Nothing is lowered, but products may round to TF32, whose last place is that of FP16. */
static void tf32_is_all_or_nothing(void **state)
{
    const pf_precision_wish tf32 = { PF_DTYPE_NONE, 1e-2, PF_CARE_HALF, false };
    pf_graph               *tame = network_with(LAYERS), *wild = network_with(LAYERS - 2);
    double                  error = 0;

    (void)state;
    assert_int_equal(care_of(tame, &tf32, &error), PF_CARE_USUAL);
    assert_true(error > 0 && error < 2e-3);
    assert_int_equal(care_of(wild, &tf32, &error), PF_CARE_ALL);
    assert_true(error > 1e-2);
    pf_graph_free(tame);
    pf_graph_free(wild);
}

static void each_care_has_a_name(void **state)
{
    (void)state;
    for (int care = PF_CARE_USUAL; care <= PF_CARE_ALL; care++)
        assert_true(strlen(pf_precision_care_name((pf_precision_care)care)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tame_network_is_lowered_as_usual), cmocka_unit_test(as_much_stays_wide_as_is_needed),
        cmocka_unit_test(what_does_not_help_is_not_taken),
        cmocka_unit_test(what_comes_nowhere_near_is_not_taken), cmocka_unit_test(a_large_network_is_not_tried),
        cmocka_unit_test(tf32_is_all_or_nothing), cmocka_unit_test(each_care_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
