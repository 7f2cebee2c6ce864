/* All rules on random graphs.  What a graph computes may not change. */
#include <omp.h>
#include <string.h>

#include "base/log.h"
#include "engine/rewrite.h"
#include "tests/unit/engine/rules/grow.h"
#include "tests/unit/engine/rules/outputs.h"

enum { RANDOM_GRAPHS = 1300, RANDOM_NODES = 50, RULE_LIMIT = 64 };

/* One is picked at random, so what stands here more often comes more often. */
static grow *const growers[] = {
    grow_reductions, grow_corner, grow_cropped, grow_cropped, grow_shuffled, grow_shuffled,
    grow_products, grow_einsum, grow_if, grow_patches, grow_patches,
    grow_concats, grow_quantized, grow_blocks, grow_branches,
    grow_split, grow_flat, grow_reshape, grow_reshape, grow_transpose, grow_detour, grow_detour, grow_turned_slices,
    grow_turned_slices, grow_tokens, grow_scatter, grow_block,
    grow_norm, grow_norm, grow_group_norm, grow_softmax, grow_lengths, grow_casts, grow_activation, grow_activation,
    grow_activation,
    grow_square, grow_positions, grow_positions, grow_positions, grow_positions, grow_positions, grow_expand,
    grow_gather,
    grow_attention,
    grow_conv, grow_conv, grow_conv, grow_conv, grow_conv_transpose, grow_batch_norm, grow_batch_norm, grow_scale,
    grow_scale,
    grow_scale, grow_unary, grow_binary,
    grow_pad,   grow_pad,       grow_pad,            grow_conv,       grow_pool,        grow_pool,   grow_transpose,
    grow_reshape,    grow_product,    grow_concat, grow_slice,  grow_shape,
    grow_head,  grow_head,      grow_twin,           grow_dynamic,    grow_unary,  grow_transpose, grow_transpose,
    grow_repeated, grow_one_window,
};

static pf_graph *random_graph(uint64_t seed)
{
    grower         g = { .graph = pf_graph_new("", NULL) };
    static const int64_t image[] = { 0, 4, 6, 5 };
    pf_shape       shape = { .rank = 4 };
    pf_value_id    id = PF_NONE;
    pf_err         err = { 0 };

    assert_non_null(g.graph);
    pf_random_init(&g.random, seed);
    memcpy(shape.dim, image, sizeof image);
    shape.dim[0] = pf_dims_symbol(g.graph->dims, "n");
    for (int i = 0; i < 2; i++) {
        test_ok(pf_graph_add_input(g.graph, i ? "b" : "a", PF_F64, &shape, &id, &err), &err);
        g.pool[g.count++] = id;
    }
    for (int i = 0; i < RANDOM_NODES; i++)
        growers[below(&g, sizeof growers / sizeof growers[0])](&g);
    for (uint32_t i = 0; i < 6; i++)
        test_ok(pf_graph_add_output(g.graph, g.pool[i ? below(&g, g.count) : g.count - 1], NULL, &err), &err);
    test_ok(pf_graph_verify(g.graph, &err), &err);
    return g.graph;
}

/* All rules together keep what random graphs compute, come to an end, and do the same again on a copy. */
static void test_random_graphs(void **state)
{
    uint32_t              fired[RULE_LIMIT] = { 0 }, count = 0, impossible = 0;
    const pf_rule *const *all = pf_rules(&count);

    (void)state;
    assert_true(count <= RULE_LIMIT);
    for (uint64_t seed = 0; seed < RANDOM_GRAPHS; seed++) {
        pf_graph         *graph = random_graph(seed), *copy = NULL;
        pf_rewrite_report report;
        outputs           before, after;
        pf_buf            start, text, copy_text;
        pf_err            err = { 0 };

        /* a pool of nothing, where a size was not known when the pool was added */
        if (try_graph(graph, seed, &before, &err)) {
            impossible++;
            pf_graph_free(graph);
            continue;
        }
        (void)text_of(graph, false, &start);
        copy = pf_graph_copy(graph, &err);
        assert_non_null(copy);
        test_ok(pf_rewrite_run(graph, NULL, &report, &err), &err);
        assert_int_equal(report.stopped, 0);
        for (uint32_t i = 0; i < report.count; i++)
            fired[i] += report.uses[i].count;
        pf_rewrite_report_clear(&report);
        run_graph(graph, seed, &after);
        check_same(&before, &after, (const char *)start.data);
        test_ok(pf_rewrite_run(copy, NULL, &report, &err), &err);
        pf_rewrite_report_clear(&report);
        assert_string_equal(text_of(graph, false, &text), text_of(copy, false, &copy_text));
        test_ok(pf_rewrite_run(graph, NULL, &report, &err), &err);
        for (uint32_t i = 0; i < report.count; i++)
            assert_int_equal(report.uses[i].count, 0);
        pf_rewrite_report_clear(&report);
        clear_outputs(&before);
        clear_outputs(&after);
        pf_buf_clear(&start);
        pf_buf_clear(&text);
        pf_buf_clear(&copy_text);
        pf_graph_free(copy);
        pf_graph_free(graph);
    }
    assert_true(impossible < RANDOM_GRAPHS / 4);
    for (uint32_t i = 0; i < count; i++)
        if (all[i]->default_on && all[i]->phase != PF_RULES_BUILD && fired[i] < 20)
            fail_msg("%s fired only %u times in %d graphs", all[i]->name, fired[i], RANDOM_GRAPHS);
}

/* With the log at debug the graph is verified after each rule that fired, and the result is the same. */
static void test_verified_steps(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        pf_graph *plain = random_graph(seed), *verified = random_graph(seed);
        pf_buf    text, verified_text;
        pf_err    err = { 0 };

        test_ok(pf_rewrite_run(plain, NULL, NULL, &err), &err);
        pf_log_set_filter("rewrite:debug");
        test_ok(pf_rewrite_run(verified, NULL, NULL, &err), &err);
        pf_log_set_filter("warn");
        assert_string_equal(text_of(plain, false, &text), text_of(verified, false, &verified_text));
        pf_buf_clear(&text);
        pf_buf_clear(&verified_text);
        pf_graph_free(plain);
        pf_graph_free(verified);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_graphs), cmocka_unit_test(test_verified_steps) };

    omp_set_num_threads(1);         /* products of this size are slower on more */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
