/* Each rule by a table of graphs before and after it: rows_<subject>.c.  What a graph computes may not change. */
#include <omp.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/rewrite.h"
#include "tests/unit/engine/rules/outputs.h"
#include "tests/unit/engine/rules/rows.h"

static const rule_rows *const subjects[] = { &rule_rows_known, &rule_rows_weights, &rule_rows_ops,
                                             &rule_rows_arithmetic, &rule_rows_moves };

/* Row i of all of them; NULL behind the last. */
static const rule_row *row_at(size_t i)
{
    for (size_t s = 0; s < sizeof subjects / sizeof *subjects; i -= subjects[s++]->count)
        if (i < subjects[s]->count)
            return &subjects[s]->at[i];
    return NULL;
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; row_at(i); i++) {
        const rule_row    *row = row_at(i);
        const char        *wanted = row->after == STAYS ? row->before : row->after;
        pf_rewrite_options options = { .only = row->only };
        pf_rewrite_report  report;
        pf_graph          *graph = graph_of_body(row->before);
        outputs            before, after;
        pf_buf             text;
        pf_err             err = { 0 };

        run_graph(graph, i, &before);
        test_ok(pf_rewrite_run(graph, &options, &report, &err), &err);
        if (strcmp(text_of(graph, false, &text) + strlen("graph\n"), wanted))
            fail_msg("%s made of\n%s\n%swhere this was wanted:\n%s", row->only, row->before, (char *)text.data, wanted);
        run_graph(graph, i, &after);
        check_same(&before, &after, row->before);
        clear_outputs(&before);
        clear_outputs(&after);
        pf_buf_clear(&text);
        pf_rewrite_report_clear(&report);
        pf_graph_free(graph);
    }
}

/* Every rule fires somewhere in the table. */
static void test_table_is_complete(void **state)
{
    uint32_t              count = 0;
    const pf_rule *const *all = pf_rules(&count);

    (void)state;
    for (uint32_t r = 0; r < count; r++) {
        bool fired = all[r]->phase == PF_RULES_BUILD;       /* no rewriting: test_parts.c */

        for (size_t i = 0; row_at(i) && !fired; i++) {
            pf_rewrite_options options = { .only = row_at(i)->only };
            pf_rewrite_report  report;
            pf_graph          *graph = graph_of_body(row_at(i)->before);
            pf_err             err = { 0 };

            test_ok(pf_rewrite_run(graph, &options, &report, &err), &err);
            fired = report.uses[r].count > 0;
            pf_rewrite_report_clear(&report);
            pf_graph_free(graph);
        }
        if (!fired)
            fail_msg("no row of the table makes %s fire", all[r]->name);
        assert_ptr_equal(pf_rule_find(all[r]->name), all[r]);
        assert_true(all[r]->summary[0] != 0);
    }
}

/* What once went round in circles. */
static void test_ends(void **state)
{
    static const char *const bodies[] = {
        "%0 = input f32 [3]\n%1 = constant bool [] {1}\n%2 = expand(%1) shape=[3]\n%3 = identity(%0)\noutput %3\n"
        "output %2\n",
        "%0 = input bool [2,0,4]\n%1 = reduce(%0) mode=max axes=[1] keepdims=1\noutput %1\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        pf_graph         *graph = graph_of_body(bodies[i]);
        pf_rewrite_report report;
        pf_err            err = { 0 };

        test_ok(pf_rewrite_run(graph, NULL, &report, &err), &err);
        assert_int_equal(report.stopped, 0);
        pf_rewrite_report_clear(&report);
        pf_graph_free(graph);
    }
}

static void test_options(void **state)
{
    static const char  body[] = "%0 = input f32 [n]\n%1 = identity(%0)\n%2 = relu(%1)\n%3 = neg(%0)\noutput %2\n";
    pf_rewrite_options no_dead = { .disabled = "drop_dead,merge_common" }, none = { .disabled = "all" },
                       bad = { .disabled = "drop_deaf" };
    pf_rewrite_report  report;
    pf_buf             text;
    pf_err             err = { 0 };
    pf_graph          *graph = graph_of_body(body);

    (void)state;
    assert_int_equal(pf_rewrite_run(graph, &bad, &report, &err), PF_USAGE);
    assert_non_null(strstr(err.msg, "drop_dead, "));
    pf_rewrite_report_clear(&report);
    pf_err_clear(&err);
    test_ok(pf_rewrite_run(graph, &none, &report, &err), &err);
    assert_int_equal(graph->nodes[2].live, true);
    pf_buf_init(&text, 10000);
    pf_rewrite_report_print(&report, true, &text);
    assert_int_equal(text.size, 0);
    pf_rewrite_report_clear(&report);
    test_ok(pf_rewrite_run(graph, &no_dead, &report, &err), &err);
    assert_true(graph->nodes[2].live && !graph->nodes[0].live);
    pf_rewrite_report_print(&report, false, &text);
    assert_string_equal((char *)text.data, "drop_identity 1\n");
    pf_rewrite_report_clear(&report);
    pf_buf_clear(&text);
    pf_graph_free(graph);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; row_at(i); i++)
        for (uint64_t n = 0;; n++) {
            pf_graph         *graph = graph_of_body(row_at(i)->before);
            pf_rewrite_report report;
            pf_err            err = { 0 };
            pf_status         st = PF_OK;

            pf_alloc_fail_after(n);
            st = pf_rewrite_run(graph, NULL, &report, &err);
            pf_alloc_fail_after(UINT64_MAX);
            pf_rewrite_report_clear(&report);
            pf_graph_free(graph);
            if (!st)
                break;
            if (st != PF_NO_SPACE)
                fail_msg("allocation %u: %s", (unsigned)n, err.msg);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_table_is_complete), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_options), cmocka_unit_test(test_out_of_memory),
    };

    omp_set_num_threads(1);         /* products of this size are slower on more */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
