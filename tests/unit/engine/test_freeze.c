/* Inputs that become constants. */
#include "tests/test.h"

#include <string.h>

#include "engine/freeze.h"
#include "tests/unit/engine/networks.h"

#define INPUTS "graph \"\"\n%c = input bool [1] \"which\"\n%x = input f32 [n,2] \"x\"\n%k = input i8 [2] \"times\"\n"

static pf_graph *frozen(const char *text, const char *spec, pf_status *st, pf_err *err)
{
    pf_config *config = config_of(spec);
    pf_graph  *graph = NULL;

    test_ok(pf_graph_parse(text, &graph, err), err);
    *st = pf_freeze_inputs(config, graph, err);
    pf_config_free(config);
    return graph;
}

static void a_frozen_input_is_a_constant(void **state)
{
    pf_err          err = { 0 };
    pf_status       st = PF_OK;
    pf_graph       *graph = frozen(INPUTS "%y = mul(%k, %k)\noutput %x\noutput %y\noutput %c\n",
                                   "freeze_inputs=times:-3,which:true\n", &st, &err);
    const pf_value *which = &graph->values[graph->outputs[2]];
    const pf_value *times = &graph->values[graph->nodes[0].in[0]];

    (void)state;
    test_ok(st, &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    assert_int_equal(graph->input_count, 1);
    assert_string_equal(graph->values[graph->inputs[0]].name, "x");
    assert_true(which->is_constant && !which->is_input);
    assert_int_equal(*(const uint8_t *)which->constant.data, 1);
    assert_int_equal(((const int8_t *)times->constant.data)[1], -3);
    pf_graph_free(graph);
}

static void what_can_hold_no_such_value_is_refused(void **state)
{
    static const struct { const char *spec, *why; } wrong[] = {
        { "freeze_inputs=nobody:1\n", "has no such input" },
        { "freeze_inputs=x:1\n", "dims are all numbers" },
        { "freeze_inputs=which:2\n", "has none such" },
        { "freeze_inputs=times:200\n", "has none such" },
        { "freeze_inputs=times:0.5\n", "has none such" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        pf_err    err = { 0 };
        pf_status st = PF_OK;

        pf_graph_free(frozen(INPUTS "output %x\n", wrong[i].spec, &st, &err));
        assert_int_equal(st, PF_USAGE);
        assert_non_null(strstr(err.msg, wrong[i].why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frozen_input_is_a_constant),
        cmocka_unit_test(what_can_hold_no_such_value_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
