#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/precision_choice.h"
#include "engine/precision_round.h"
#include "tests/unit/engine/graphs.h"

enum { TEXT_LIMIT = 1 << 16, LAYERS = 8 };

#define POINT "strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1"

/* Eight convolutions of single pixels.  Those at `at` and behind it make two channels that hardly differ, and `gain`
   times their difference: at 100, what rounding takes from the channels becomes a few hundredths of the range.
   is_late: the last two do so as well, at 100.  The others pass two channels on. */
static pf_graph *network_of(uint32_t at, int gain, bool is_late)
{
    pf_graph *graph = NULL;
    pf_buf    text;

    pf_buf_init(&text, TEXT_LIMIT);
    pf_buf_printf(&text, "graph \"\"\n%%x = input f32 [1,2,8,8] \"x\"\n%%pass = constant f32 [2,2,1,1] {1,0,0,1}\n"
                         "%%alike = constant f32 [2,2,1,1] {1,1,1,%.9g}\n"
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
    graph = graph_of((const char *)text.data);
    pf_buf_clear(&text);
    return graph;
}

static pf_graph *network_with(uint32_t at)
{
    return network_of(at, 100, false);
}

/* The care that is chosen, and between what its error lies. */
static void expect_care(const pf_graph *graph, const pf_precision_wish *wish, pf_precision_care care, double above,
                        double below)
{
    pf_err            err = { 0 };
    pf_precision_choice found = { 0 };

    test_ok(pf_precision_choose(graph, graph, NULL, wish, &found, NULL, &err), &err);
    assert_int_equal(found.care, care);
    assert_true(found.error > above && found.error < below);
}

static const pf_precision_wish usual = { .narrow = PF_F16, .most_error = 1e-2 };
static const pf_precision_wish asked = { .narrow = PF_F16, .most_error = 1e-2, .must = true };

static void a_tame_network_is_lowered_as_usual(void **state)
{
    pf_graph *graph = network_with(LAYERS);

    (void)state;
    expect_care(graph, &usual, PF_CARE_USUAL, 0, 2e-3);
    pf_graph_free(graph);
}

/* The references refuse the inputs that come first, or make no numbers of them: those that they take are compared. */
static void inputs_are_those_that_the_references_take(void **state)
{
    static const char *const texts[] = {
        "graph \"\"\n%i = input i64 [16] \"i\"\n%t = constant f32 [3,2] {0.1,0.2,0.3,0.4,0.5,0.6}\n"
        "%m = constant f32 [2,2] {1,0.3,0.7,1}\n%g = gather(%t, %i) axis=0\n%y = matmul(%g, %m)\noutput %y \"y\"\n",
        "graph \"\"\n%x = input f32 [16,2] \"x\"\n%m = constant f32 [2,2] {1,0.3,0.7,1}\n"
        "%l = log(%x)\n%y = matmul(%l, %m)\noutput %y \"y\"\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pf_graph *graph = graph_of(texts[i]);

        expect_care(graph, &usual, PF_CARE_USUAL, -1e-9, 2e-3);
        pf_graph_free(graph);
    }
}

static void as_much_stays_wide_as_is_needed(void **state)
{
    pf_graph *graph = network_with(1);

    (void)state;
    expect_care(graph, &usual, pf_precision_care_first(3), 0, 5e-3);
    pf_graph_free(graph);
}

/* Two experts whose scores hardly differ, and what the better one of them gives.  In FP16 some rows go to the other
   one; with the router in FP32, few products of many, none does. */
static void decisions_alone_are_tried_first(void **state)
{
    static const char text[] =
        "graph \"\"\n%x = input f32 [64,8] \"x\"\n%r = constant f32 [8,2] {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1.02}\n"
        "%e = constant f32 [8,2] {1,-1,1,-1,1,-1,1,-1,1,-1,1,-1,1,-1,1,-1}\n%m = constant f32 [2,2] {1,0,0,1}\n"
        "%a = matmul(%x, %e)\n%b = matmul(%a, %m)\n%s = matmul(%x, %r)\n%5:2 = topk(%s) k=[1] axis=1\n"
        "%y = gather_elements(%b, %6) axis=1\noutput %y \"y\"\n";
    pf_graph *graph = graph_of(text);

    (void)state;
    expect_care(graph, &usual, PF_CARE_DECISIONS, 0, 5e-3);
    pf_graph_free(graph);
}

static pf_precision_care last_five(void)
{
    return pf_precision_care_first(LAYERS) & ~pf_precision_care_first(LAYERS - 5);
}

/* The layers that lose it all are the last: those in front matter less. */
static void the_front_is_lowered_where_the_end_is_what_matters(void **state)
{
    pf_graph *graph = network_with(LAYERS - 2);

    (void)state;
    expect_care(graph, &usual, last_five(), 0, 7e-3);
    expect_care(graph, &asked, last_five(), 0, 7e-3);
    pf_graph_free(graph);
}

/* Two experts whose scores are equal but for a last bit, which another order of adding up turns as well. The second one
   gives so much of what the first one does. named: the picks can be told apart from others. */
static pf_graph *experts_of(double second, bool named)
{
    char text[1024] = "", column[256] = "";

    for (int i = 0; i < 8; i++)
        snprintf(column + strlen(column), sizeof column - strlen(column), "%s1,%g", i ? "," : "", second);
    snprintf(text, sizeof text,
             "graph \"\"\n%%x = input f32 [64,8] \"x\"\n"
             "%%r = constant f32 [8,2] {.7,.7,.7,.7,.7,.7,.7,.7,.7,.7,.7,.7,.7,.7,.7,.70000006}\n"
             "%%e = constant f32 [8,2] {%s}\n%%m = constant f32 [2,2] {1,0,0,1}\n"
             "%%a = matmul(%%x, %%e)\n%%b = matmul(%%a, %%m)\n%%s = matmul(%%x, %%r)\n"
             "%%5%s, %%6%s = topk(%%s) k=[1] axis=1\n%%y = gather_elements(%%b, %%6) axis=1\noutput %%y \"y\"\n",
             column, named ? " \"best\"" : "", named ? " \"picked\"" : "");
    return graph_of(text);
}

/* Which of them is picked no precision says; all else is as usual. */
static void picks_between_equals_are_given(void **state)
{
    pf_graph *graph = experts_of(-1, true);

    (void)state;
    expect_care(graph, &usual, PF_CARE_USUAL, 0, 2e-3);
    expect_care(graph, &asked, PF_CARE_USUAL, 0, 2e-3);
    pf_graph_free(graph);
}

/* What is off by more than half of its range would be refused: everything is raised, the slower way where it helps. */
static void what_no_precision_helps_is_left(void **state)
{
    pf_graph *alike = experts_of(0.5, false), *apart = experts_of(-1, false);

    (void)state;
    expect_care(alike, &usual, PF_CARE_USUAL, 2 * usual.most_error, 0.5);
    expect_care(alike, &asked, PF_CARE_ALL | PF_CARE_EXACT, 2 * usual.most_error, 0.5);
    expect_care(apart, &usual, PF_CARE_ALL, 0.5, INFINITY);
    pf_graph_free(alike);
    pf_graph_free(apart);
}

/* The difference of two channels that agree in all of the 16 bits that two parts hold: all of FP32's are needed. */
static void three_parts_are_taken_where_two_are_not_enough(void **state)
{
    const pf_precision_wish tf32 = { .narrow = PF_DTYPE_NONE, .most_error = 1e-2 };
    pf_graph               *near = network_of(0, 1000, true), *wild = network_of(0, 2000, false);

    (void)state;
    expect_care(near, &usual, PF_CARE_EXACT | pf_precision_care_first(LAYERS), 0, 5e-3);
    expect_care(wild, &usual, PF_CARE_EXACT | pf_precision_care_first(2), 0, 5e-3);
    expect_care(wild, &asked, PF_CARE_EXACT | pf_precision_care_first(2), 0, 5e-3);
    expect_care(wild, &tf32, PF_CARE_EXACT | pf_precision_care_first(2), 0, 5e-3);
    pf_graph_free(near);
    pf_graph_free(wild);
}

/* Sums of FP32 themselves are off by more than is allowed, but by much less than with anything lowered. */
static void the_best_that_there_is_is_taken(void **state)
{
    pf_graph *graph = network_of(0, 100000, false);

    (void)state;
    expect_care(graph, &usual, PF_CARE_EXACT | pf_precision_care_first(LAYERS), usual.most_error, 2 * usual.most_error);
    expect_care(graph, &asked, PF_CARE_ALL | PF_CARE_EXACT, usual.most_error, 2 * usual.most_error);
    pf_graph_free(graph);
}

/* The largest magnitude among the inputs of a draw. */
static double largest_of(const pf_graph *graph, uint32_t draw)
{
    pf_oracle oracle = { 0 };
    double    most = 0;
    pf_err    err = { 0 };

    test_ok(pf_oracle_of_draw(graph, NULL, draw, NULL, NULL, &oracle, &err), &err);
    for (int64_t i = 0; i < pf_tensor_elems(&oracle.in[0]); i++)
        most = fmax(most, fabs(pf_dtype_get(oracle.in[0].dtype, oracle.in[0].data, (uint64_t)i)));
    pf_oracle_clear(&oracle);
    return most;
}

static pf_graph *network_of_gain(double gain)
{
    char text[1024];

    snprintf(text, sizeof text, "graph \"\"\n%%x = input f32 [64,2] \"x\"\n%%a = constant f32 [2,2] {%.1f,0,0,%.1f}\n"
                                "%%b = constant f32 [2,2] {0.00006103515625,0,0,0.00006103515625}\n"
                                "%%c = matmul(%%x, %%a)\n%%d = matmul(%%c, %%b)\noutput %%d \"y\"\n", gain, gain);
    return graph_of(text);
}

/* What lies between is beyond FP16 for some inputs, though not for the first. */
static void no_numbers_for_any_inputs_are_raised(void **state)
{
    pf_graph *graph = network_of_gain(1);
    double    first = largest_of(graph, 0), most = first;

    (void)state;
    for (uint32_t draw = 1; draw < 6; draw++) most = fmax(most, largest_of(graph, draw));
    assert_true(most > first * 1.02);
    pf_graph_free(graph);
    graph = network_of_gain(65504 / ((most + first) / 2));
    expect_care(graph, &usual, pf_precision_care_first(2), -1, 1e-2);
    pf_graph_free(graph);
}

/* How often the references were asked about so many sets of inputs. */
typedef struct tries { int of[7]; } tries;

static void note_try(void *user, pf_log_level level, const char *line)
{
    tries      *t = user;
    const char *of = strstr(line, " of_draws=");
    int         draws = of ? of[strlen(" of_draws=")] - '0' : 0;

    (void)level;
    if (draws > 0 && draws < 7)
        t->of[draws]++;
}

/* The first set of inputs shows that much has to be raised; three are asked at once. */
static void few_draws_are_asked_where_much_is_raised(void **state)
{
    pf_graph *much = network_of(0, 500, true), *little = network_with(1);
    tries     of_much = { 0 }, of_little = { 0 };

    (void)state;
    pf_log_set_filter("builder:debug");
    pf_log_set_sink(note_try, &of_much);
    expect_care(much, &usual, pf_precision_care_first(LAYERS), 0, 6e-3);
    pf_log_set_sink(note_try, &of_little);
    expect_care(little, &usual, pf_precision_care_first(3), 0, 5e-3);
    pf_log_set_sink(NULL, NULL);
    pf_log_set_filter(NULL);
    assert_int_equal(of_much.of[6], 0);
    assert_true(of_much.of[3] > 2);
    assert_int_equal(of_little.of[3], 1);
    assert_true(of_little.of[6] > 1);
    pf_graph_free(much);
    pf_graph_free(little);
}

/* It would take minutes. */
static void a_large_network_is_not_tried(void **state)
{
    static const char text[] =
        "graph \"\"\n%x = input f32 [256,64,512,512] \"x\"\n%w = input f32 [64,64,3,3] \"w\"\n"
        "%y = conv(%x, %w, _) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %y \"y\"\n";
    pf_graph *graph = graph_of(text);

    (void)state;
    expect_care(graph, &usual, PF_CARE_USUAL, -INFINITY, 0);
    pf_graph_free(graph);
}

/* Nothing is lowered, but products may round to TF32, whose last place is that of FP16. */
static void tf32_is_kept_where_it_does_no_harm(void **state)
{
    const pf_precision_wish tf32 = { .narrow = PF_DTYPE_NONE, .most_error = 1e-2 };
    pf_graph               *tame = network_with(LAYERS), *front = network_with(1);
    pf_graph               *wild = network_of(LAYERS - 2, 9000, false);

    (void)state;
    expect_care(tame, &tf32, PF_CARE_USUAL, 0, 2e-3);
    expect_care(front, &tf32, pf_precision_care_first(3), 0, 5e-3);
    expect_care(wild, &tf32, PF_CARE_EXACT | last_five(), 0, 7e-3);
    pf_graph_free(tame);
    pf_graph_free(front);
    pf_graph_free(wild);
}

/* Sums that stay FP32 in the device's memory are not rounded: a mask that is added, a residual. */
static void only_operands_of_products_are_rounded(void **state)
{
    static const char text[] =
        "graph \"\"\n%x = input f32 [4,8] \"x\"\n%w = constant f32 [8,1] {1,1,1,1,1,1,1,1}\n"
        "%big = constant f32 [] {4096.3}\n"
        "%t = add(%x, %big)\n%s = sub(%t, %big)\n%y = matmul(%s, %w)\noutput %y \"y\"\n";
    const pf_precision_wish tf32 = { .narrow = PF_DTYPE_NONE, .most_error = 5e-3 };
    pf_graph               *graph = graph_of(text);

    (void)state;
    expect_care(graph, &tf32, PF_CARE_USUAL, 0, 1e-3);
    pf_graph_free(graph);
}

static void numbers_are_rounded_as_devices_do(void **state)
{
    static const struct { pf_rounding how; float value, rounded; } cases[] = {
        { PF_ROUND_TF32, 0x1.001p0f, 0x1p0f },          { PF_ROUND_TF32, 0x1.003p0f, 0x1.004p0f },
        { PF_ROUND_TF32, 0x1.002p0f, 0x1p0f },          { PF_ROUND_TF32, -0x1.006p0f, -0x1.008p0f },
        { PF_ROUND_TF32, INFINITY, INFINITY },          { PF_ROUND_PARTS, 0x1.8181p0f, 0x1.8181p0f },
        { PF_ROUND_PARTS, 0x1.00fffep0f, 0x1.01p0f },   { PF_ROUND_PARTS, 0x1.fffffep127f, 0x1.fffffep127f },
        { PF_ROUND_PARTS, -0x1.ffp127f, -0x1.ffp127f }, { PF_ROUND_PARTS, INFINITY, INFINITY },
        { PF_ROUND_NOT, 0x1.000002p0f, 0x1.000002p0f }, { PF_ROUND_SUM, 0x1.000002p0f, 0x1p0f },
        { PF_ROUND_SUM, 0x1.000006p0f, 0x1.000008p0f }, { PF_ROUND_SUM, -INFINITY, -INFINITY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(pf_round(cases[i].how, cases[i].value) == cases[i].rounded);
    assert_true(isnan(pf_round(PF_ROUND_PARTS, NAN)) && isnan(pf_round(PF_ROUND_TF32, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_alone_are_tried_first),
        cmocka_unit_test(inputs_are_those_that_the_references_take),
        cmocka_unit_test(a_tame_network_is_lowered_as_usual), cmocka_unit_test(as_much_stays_wide_as_is_needed),
        cmocka_unit_test(the_front_is_lowered_where_the_end_is_what_matters),
        cmocka_unit_test(what_no_precision_helps_is_left),
        cmocka_unit_test(three_parts_are_taken_where_two_are_not_enough),
        cmocka_unit_test(a_large_network_is_not_tried), cmocka_unit_test(picks_between_equals_are_given),
        cmocka_unit_test(few_draws_are_asked_where_much_is_raised), cmocka_unit_test(the_best_that_there_is_is_taken),
        cmocka_unit_test(no_numbers_for_any_inputs_are_raised), cmocka_unit_test(tf32_is_kept_where_it_does_no_harm),
        cmocka_unit_test(only_operands_of_products_are_rounded), cmocka_unit_test(numbers_are_rounded_as_devices_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
