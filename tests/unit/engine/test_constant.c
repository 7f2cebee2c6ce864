/* What rewriting makes of large weights is the same whether they are made at once, by parts or one by one, and what
   plain loops say. */
#include "tests/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/precision.h"
#include "engine/rewrite.h"

enum { ROWS = 700, FIRST = 800, SECOND = 333, ALL = FIRST + SECOND };

static float first_weights[ROWS * FIRST], second_weights[ROWS * SECOND], gains[ROWS];

static void draw(float *out, size_t count, uint64_t seed)
{
    pf_random random;

    pf_random_init(&random, seed);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(pf_random_normal(&random) * (i % 1000 ? 1 : 40000));    /* some beyond the range of FP16 */
}

static pf_value_id add_weights(pf_graph *graph, bool trans, int64_t columns, const float *data)
{
    pf_shape    shape = { 2, { trans ? columns : ROWS, trans ? ROWS : columns } };
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    test_ok(pf_graph_add_constant(graph, "w", PF_F32, &shape, data, (size_t)(ROWS * columns) * sizeof *data, &out,
                                  &err), &err);
    return out;
}

/* x, perhaps times a gain for each column, times one matrix or each of two. */
static pf_graph *network(bool trans, bool gained, int products)
{
    pf_graph   *graph = pf_graph_new("", NULL);
    pf_shape    shape = { 2, { 3, ROWS } }, gain = { 1, { ROWS } };
    pf_value_id x = PF_NONE, scale = PF_NONE, y = PF_NONE;
    pf_err      err = { 0 };

    assert_non_null(graph);
    test_ok(pf_graph_add_input(graph, "x", PF_F32, &shape, &x, &err), &err);
    test_ok(pf_graph_add_constant(graph, "g", PF_F32, &gain, gains, sizeof gains, &scale, &err), &err);
    if (gained)
        test_ok(pf_make_binary(graph, PF_OP_MUL, "m", x, scale, &x, &err), &err);
    for (int i = 0; i < products; i++) {
        pf_value_id w = add_weights(graph, trans, i ? SECOND : FIRST, i ? second_weights : first_weights);

        test_ok(pf_make_matmul(graph, i ? "b" : "a", x, w, false, trans, &y, &err), &err);
        test_ok(pf_graph_add_output(graph, y, i ? "b" : "a", &err), &err);
    }
    test_ok(pf_rewrite_run(graph, NULL, NULL, &err), &err);
    return graph;
}

/* The weights of the one product that is left. */
static const pf_value *weights_of(const pf_graph *graph)
{
    const pf_value *found = NULL;

    for (uint32_t n = 0; n < graph->node_count; n++)
        if (graph->nodes[n].live && graph->nodes[n].op == PF_OP_MATMUL) {
            assert_null(found);
            found = &graph->values[graph->nodes[n].in[1]];
        }
    assert_non_null(found);
    assert_true(found->is_constant);
    return found;
}

static float expected_at(bool trans, bool gained, int64_t columns, int64_t i)
{
    int64_t      row = trans ? i % ROWS : i / columns, column = trans ? i / ROWS : i % columns;
    bool         is_first = column < FIRST;
    int64_t      width = is_first ? FIRST : SECOND, at = is_first ? column : column - FIRST;
    const float *weights = is_first ? first_weights : second_weights;
    double       item = weights[trans ? at * ROWS + row : row * width + at];

    return (float)(gained ? item * gains[row] : item);
}

static double narrowed(pf_dtype dtype, float item)
{
    const float most = dtype == PF_F16 ? 65504 : 3e38f;
    uint16_t    code = 0;

    pf_dtype_set(dtype, &code, 0, item > most ? most : item < -most ? -most : item);
    return pf_dtype_get(dtype, &code, 0);
}

static void parts_are_the_whole(const pf_value *w, const uint8_t *whole)
{
    static uint8_t  copy[ROWS * ALL * sizeof(float)];
    static uint64_t room[9 * PF_LATE_CHUNK];
    const size_t    item = pf_dtype_bytes(w->dtype, 1);
    const uint64_t  elems = w->constant.bytes / item;
    pf_digest       digest = { 0 }, made = { 0 };

    pf_constant_copy(&w->constant, copy);
    assert_memory_equal(copy, whole, w->constant.bytes);
    for (uint64_t at = 0; at < elems; at += 40009) {
        uint64_t count = elems - at < 9 * PF_LATE_CHUNK ? elems - at : 9 * PF_LATE_CHUNK;

        assert_memory_equal(pf_constant_part(&w->constant, w->dtype, at, count, room), whole + at * item,
                            count * item);
        assert_true(pf_constant_get(&w->constant, w->dtype, at) == pf_dtype_get(w->dtype, whole, at));
    }
    pf_constant_digest(&w->constant, &digest);
    pf_digest_of(whole, w->constant.bytes, &made);
    assert_true(pf_digest_equal(&digest, &made));
}

static void check(bool trans, bool gained, int products, pf_dtype dtype)
{
    pf_graph       *graph = network(trans, gained, products), *copy = NULL;
    int64_t         columns = products > 1 ? ALL : FIRST;
    const pf_value *w = NULL;
    const void     *made = NULL, *again = NULL;
    uint8_t        *whole = NULL;
    pf_err          err = { 0 };

    if (dtype != PF_F32)
        test_ok(pf_precision_lower(graph, dtype, PF_CARE_USUAL, &err), &err);
    copy = pf_graph_copy(graph, &err);
    w = weights_of(copy);
    assert_true(w->dtype == dtype && w->constant.late && !pf_constant_find(&w->constant));
    whole = pf_alloc(w->constant.bytes);
    assert_non_null(whole);
    for (int64_t i = 0; i < ROWS * columns; i++) {
        float item = expected_at(trans, gained, columns, i);

        pf_dtype_set(dtype, whole, (uint64_t)i, dtype == PF_F32 ? item : narrowed(dtype, item));
    }
    parts_are_the_whole(w, whole);
    test_ok(pf_constant_bytes(&w->constant, &made, &err), &err);
    test_ok(pf_constant_bytes(&weights_of(graph)->constant, &again, &err), &err);
    assert_ptr_equal(made, again);
    assert_memory_equal(made, whole, w->constant.bytes);
    parts_are_the_whole(w, whole);
    pf_constant_forget(&w->constant);
    pf_free(whole);
    pf_graph_free(copy);
    pf_graph_free(graph);
}

static void late_weights_are_what_they_are_made_of(void **state)
{
    (void)state;
    draw(first_weights, ROWS * FIRST, 1);
    draw(second_weights, ROWS * SECOND, 2);
    for (int i = 0; i < ROWS; i++)
        gains[i] = 0.5f + (float)(i % 17) / 8;
    for (int trans = 0; trans < 2; trans++) {
        check(trans, false, 2, PF_F32);
        check(trans, true, 1, PF_F32);
        check(trans, false, 2, PF_F16);
        check(trans, true, 1, PF_F16);
        check(trans, true, 1, PF_BF16);
    }
}

/* A product that leaves the range of floats stays outside the weights. */
static void what_overflows_is_not_folded(void **state)
{
    pf_graph *graph = NULL;
    uint32_t  muls = 0;

    (void)state;
    draw(first_weights, ROWS * FIRST, 1);
    first_weights[ROWS * FIRST - 1] = 1e38f;
    gains[ROWS - 1] = 1e3f;
    graph = network(false, true, 1);
    for (uint32_t n = 0; n < graph->node_count; n++)
        muls += graph->nodes[n].live && graph->nodes[n].op == PF_OP_MUL;
    assert_int_equal(muls, 1);
    assert_ptr_equal(weights_of(graph)->constant.data, first_weights);
    pf_graph_free(graph);
}

static void without_memory_nothing_is_made(void **state)
{
    pf_graph       *graph = NULL;
    const pf_value *w = NULL;
    const void     *made = NULL;
    pf_err          err = { 0 };

    (void)state;
    graph = network(false, false, 2);
    w = weights_of(graph);
    pf_alloc_fail_after(0);
    test_fails(pf_constant_bytes(&w->constant, &made, &err), PF_NO_SPACE, &err);
    pf_alloc_fail_after(UINT64_MAX);
    assert_null(made);
    test_ok(pf_constant_bytes(&w->constant, &made, &err), &err);
    pf_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_weights_are_what_they_are_made_of), cmocka_unit_test(what_overflows_is_not_folded),
        cmocka_unit_test(without_memory_nothing_is_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
