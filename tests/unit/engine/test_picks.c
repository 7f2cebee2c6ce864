#include "engine/picks.h"

#include <math.h>

#include "tests/unit/engine/graphs.h"
#include "tests/unit/engine/tensors.h"

/* The first two of each row, and a value that hangs on which they are. */
static const char first_two[] =
    "graph\n%x = input f32 [2,4] \"x\"\n%other = constant f32 [2,4] {1,2,3,4,5,6,7,8}\n"
    "%v \"best\", %i \"picked\" = topk(%x) k=[2] axis=1\n%y = gather_elements(%other, %i) axis=1\n"
    "output %v\noutput %y\n";

enum { OUTPUTS = 2, ELEMS = 4 };

typedef struct answer { float best[ELEMS], behind[ELEMS]; double loss; } answer;

/* What the graph answers for x when the indices are given. */
static answer follow(const float x[8], const int64_t indices[ELEMS])
{
    pf_graph    *graph = graph_of(first_two);
    pf_picks     given = { 0 }, own = { 0 };
    pf_following following = { &own, &given, 0 };
    pf_tensor    input = { .dtype = PF_F32, .rank = 2, .dim = { 2, 4 }, .data = (void *)(uintptr_t)x, .bytes = 32 };
    pf_tensor    picked = { .dtype = PF_I64, .rank = 2, .dim = { 2, 2 }, .data = (void *)(uintptr_t)indices,
                            .bytes = 32 };
    pf_tensor    outputs[OUTPUTS] = { { 0 } };
    answer       out = { .loss = 0 };
    pf_err       err = { 0 };

    test_ok(pf_picks_open(graph, &given, &err), &err);
    test_ok(pf_picks_open(graph, &own, &err), &err);
    assert_int_equal(own.count, 1);
    pf_picks_note_named(&given, "nobody", &picked);
    assert_null(given.items[0].indices.data);
    pf_picks_note_named(&given, "picked", &picked);
    test_ok(pf_interpret(graph, &input, outputs, pf_picks_follow, &following, &err), &err);
    for (int i = 0; i < ELEMS; i++) {
        out.best[i] = ((const float *)outputs[0].data)[i];
        out.behind[i] = ((const float *)outputs[1].data)[i];
    }
    out.loss = following.loss;
    for (int i = 0; i < OUTPUTS; i++)
        pf_tensor_clear(&outputs[i]);
    pf_picks_close(&given);
    pf_picks_close(&own);
    pf_graph_free(graph);
    return out;
}

static void what_is_nearly_as_good_is_picked_instead(void **state)
{
    answer a = follow((const float[]){ 4, 3.996f, 0, -4, -1, 1, 2, 3 }, (const int64_t[]){ 1, 0, 3, 2 });

    (void)state;
    assert_true(a.best[0] == 3.996f && a.best[1] == 4 && a.best[2] == 3 && a.best[3] == 2);
    assert_true(a.behind[0] == 2 && a.behind[1] == 1 && a.behind[2] == 8 && a.behind[3] == 7);
    assert_true(fabs(a.loss - 0.004 / 8) < 1e-6);
}

static void what_is_worse_is_told(void **state)
{
    answer a = follow((const float[]){ 4, 3, 0, -4, -1, 1, 2, 3 }, (const int64_t[]){ 0, 3, 3, 2 });

    (void)state;
    assert_true(fabs(a.loss - 7.0 / 8) < 1e-6);
}

/* The range is that of the scores which are none. */
static void masks_are_no_scores(void **state)
{
    answer a = follow((const float[]){ 4, 3, 0, -3e38f, 4, 3, 0, -INFINITY }, (const int64_t[]){ 1, 0, 0, 1 });

    (void)state;
    assert_true(fabs(a.loss - 1.0 / 4) < 1e-6);
}

/* A number where the graph picks none, or none where it picks one, is no pick. */
static void what_is_no_number_is_no_score(void **state)
{
    answer a = follow((const float[]){ NAN, 3, 0, -4, -1, 1, 2, 3 }, (const int64_t[]){ 1, 2, 3, 2 });
    answer b = follow((const float[]){ NAN, 3, 0, -4, -1, 1, 2, 3 }, (const int64_t[]){ 0, 1, 3, 2 });

    (void)state;
    assert_true(isinf(a.loss) != isinf(b.loss));    /* the reference puts it first or last */
}

static void nobody_picks_an_element_twice(void **state)
{
    answer a = follow((const float[]){ 4, 4, 0, -4, -1, 1, 2, 3 }, (const int64_t[]){ 1, 1, 3, 2 });

    (void)state;
    assert_true(isinf(a.loss));
}

/* The graph's own picks stay. */
static void what_is_no_element_is_not_picked(void **state)
{
    answer a = follow((const float[]){ 4, 3, 0, -4, -1, 1, 2, 3 }, (const int64_t[]){ 0, 4, 3, 2 });

    (void)state;
    assert_true(a.behind[0] == 1 && a.behind[1] == 2);
}

/* Nobody can be told to find as many. */
static void what_goes_into_finding_is_compared(void **state)
{
    pf_graph    *graph = graph_of("graph\n%x = input f32 [4] \"x\"\n%d \"doubled\" = add(%x, %x)\n"
                                  "%n \"found\" = non_zero(%d) finds=[found]\n%y = cast(%n) dtype=f32\n"
                                  "output %d\noutput %y\n");
    pf_picks     given = { 0 }, own = { 0 };
    pf_following following = { &own, &given, 0 };
    float        one[] = { 1, 0, 2, -2 }, other[] = { 1, 0.04f, 2, -2 };
    pf_tensor    input = { .dtype = PF_F32, .rank = 1, .dim = { 4 }, .data = one, .bytes = sizeof one },
                 outputs[OUTPUTS] = { { 0 } };
    pf_err       err = { 0 };

    (void)state;
    test_ok(pf_picks_open(graph, &given, &err), &err);
    test_ok(pf_picks_open(graph, &own, &err), &err);
    assert_true(!own.is_behind[0] && own.is_behind[1]);
    assert_int_equal(own.crossing_count, 1);
    test_ok(pf_interpret(graph, &input, outputs, pf_picks_note, &given, &err), &err);
    for (int i = 0; i < OUTPUTS; i++)
        pf_tensor_clear(&outputs[i]);
    input.data = other;
    test_ok(pf_interpret(graph, &input, outputs, pf_picks_follow, &following, &err), &err);
    assert_true(fabs(following.loss - 0.04 / 4) < 1e-6);
    for (int i = 0; i < OUTPUTS; i++)
        pf_tensor_clear(&outputs[i]);
    pf_picks_close(&given);
    pf_picks_close(&own);
    pf_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_nearly_as_good_is_picked_instead), cmocka_unit_test(what_is_worse_is_told),
        cmocka_unit_test(masks_are_no_scores), cmocka_unit_test(what_is_no_number_is_no_score),
        cmocka_unit_test(nobody_picks_an_element_twice),
        cmocka_unit_test(what_is_no_element_is_not_picked), cmocka_unit_test(what_goes_into_finding_is_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
