#include "tests/unit/engine/graphs.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/region.h"

static pf_device *device;

static int open_device(void **state)
{
    pf_err err = { 0 };

    (void)state;
    test_ok(pf_device_open("cpu", NULL, &device, &err), &err);
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    pf_device_close(device);
    return 0;
}

static pf_regions regions_of(const pf_graph *graph, const pf_region_rules *rules)
{
    pf_regions regions = { 0 };
    pf_err     err = { 0 };

    test_ok(pf_regions_form(graph, device, rules, &regions, &err), &err);
    return regions;
}

/* "conv+add+relu | max_pool | reshape": the first forms. */
static const char *describe(const pf_graph *graph, const pf_regions *regions)
{
    static char text[4096];

    text[0] = 0;
    for (uint32_t r = 0; r < regions->count; r++) {
        const pf_group *group = &regions->items[r].forms[0].groups[0];

        strcat(text, r ? " | " : "");
        for (uint32_t i = 0; i < group->count; i++) {
            strcat(text, i ? "+" : "");
            strcat(text, pf_op_def_of(graph->nodes[group->nodes[i]].op)->name);
        }
    }
    return text;
}

/* Invariants 1 and 2 of engine/region.h, for every form. */
static void check_invariants(const pf_graph *graph, const pf_regions *regions)
{
    bool *done = pf_calloc(graph->node_count + 1, sizeof *done);

    assert_non_null(done);
    for (uint32_t r = 0; r < regions->count; r++) {
        const pf_region *region = &regions->items[r];

        for (uint32_t f = 0; f < region->form_count; f++) {
            uint32_t nodes = 0;

            for (uint32_t g = 0; g < region->forms[f].count; g++) {
                const pf_group *group = &region->forms[f].groups[g];

                for (uint32_t i = 0; i < group->count; i++, nodes++) {
                    const pf_node *node = pf_graph_node(graph, group->nodes[i]);

                    for (uint32_t k = 0; k < node->in_count; k++) {
                        pf_node_id from = node->in[k] == PF_NONE ? PF_NONE
                                                                 : pf_graph_value(graph, node->in[k])->producer;

                        assert_true(from == PF_NONE || done[from]);
                    }
                    done[group->nodes[i]] = true;
                }
            }
            assert_int_equal(nodes, region->forms[0].groups[0].count);
            /* the next form does them again */
            for (uint32_t g = 0; f + 1 < region->form_count && g < region->forms[f].count; g++)
                for (uint32_t i = 0; i < region->forms[f].groups[g].count; i++)
                    done[region->forms[f].groups[g].nodes[i]] = false;
        }
    }
    for (pf_node_id n = 0; n < graph->node_count; n++)
        assert_int_equal(done[n], graph->nodes[n].live);
    pf_free(done);
}

static void forms(const char *text, const char *wanted)
{
    pf_graph  *graph = graph_of(text);
    pf_regions regions = regions_of(graph, NULL);

    check_invariants(graph, &regions);
    assert_string_equal(describe(graph, &regions), wanted);
    pf_regions_clear(&regions);
    pf_graph_free(graph);
}

#define CONV " strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"

static void anchors_take_what_follows(void **state)
{
    (void)state;
    forms("graph \"\"\n%x = input f32 [1,16,8,8]\n%w = constant f32 [16,16,1,1] sha256:00\n%r = relu(%x)\n"
          "output %r\n", "relu");
    forms("graph \"\"\n%x = input f32 [1,16,8,8]\n%w = input f32 [2,32]\n%y = transpose(%w) perm=[1,0]\n%z = exp(%x)\n"
          "%t = neg(%z)\noutput %t\noutput %y\n",
          "transpose | exp+neg");
}

/* A graph with weights, which a text alone cannot hold. */
static pf_graph *residual_block(void)
{
    static float weights[16 * 16];
    pf_graph    *g = pf_graph_new("block", NULL);
    pf_shape     x = { .rank = 4, .dim = { 1, 16, 8, 8 } }, w = { .rank = 4, .dim = { 16, 16, 1, 1 } };
    pf_value_id  in = 0, c = 0, a = 0, b = 0, s = 0, r = 0, p = 0;
    pf_err       err = { 0 };
    struct { pf_ints strides, dilations, pads; int64_t groups; int32_t auto_pad; } attrs = {
        { 2, { 1, 1 } }, { 2, { 1, 1 } }, { 4, { 0 } }, 1, 0,
    };

    assert_non_null(g);
    test_ok(pf_graph_add_input(g, "x", PF_F32, &x, &in, &err), &err);
    test_ok(pf_graph_add_constant(g, "w", PF_F32, &w, weights, sizeof weights, &c, &err), &err);
    test_ok(pf_graph_add_node(g, PF_OP_CONV, "a", (pf_value_id[]){ in, c }, 2, &attrs, 1, &a, &err), &err);
    test_ok(pf_graph_add_node(g, PF_OP_CONV, "b", (pf_value_id[]){ in, c }, 2, &attrs, 1, &b, &err), &err);
    test_ok(pf_graph_add_node(g, PF_OP_ADD, "s", (pf_value_id[]){ a, b }, 2, NULL, 1, &s, &err), &err);
    test_ok(pf_graph_add_node(g, PF_OP_RELU, "r", &s, 1, NULL, 1, &r, &err), &err);
    test_ok(pf_graph_add_node(g, PF_OP_SIGMOID, "p", &r, 1, NULL, 1, &p, &err), &err);
    test_ok(pf_graph_add_output(g, p, "y", &err), &err);
    test_ok(pf_graph_add_output(g, r, "z", &err), &err);
    return g;
}

static void a_residual_goes_to_one_convolution(void **state)
{
    pf_graph  *graph = residual_block();
    pf_regions regions = regions_of(graph, NULL), again = regions_of(graph, NULL);

    (void)state;
    check_invariants(graph, &regions);
    /* relu's result is read twice: the chain ends */
    assert_string_equal(describe(graph, &regions), "conv | conv+add+relu | sigmoid");
    assert_int_equal(regions.items[1].form_count, 2);
    assert_int_equal(regions.items[1].forms[1].count, 2);                               /* conv, then add and relu */
    assert_int_equal(regions.count, again.count);
    for (uint32_t r = 0; r < regions.count; r++)
        assert_string_equal(regions.items[r].forms[0].groups[0].problem->text,
                            again.items[r].forms[0].groups[0].problem->text);
    pf_regions_clear(&regions);
    pf_regions_clear(&again);
    pf_graph_free(graph);
}

static bool only_reference(const void *user, const pf_tactic *tactic)
{
    (void)user;
    return (tactic->flags & PF_TACTIC_ORACLE) != 0;
}

static void without_takers_every_node_is_alone(void **state)
{
    pf_graph  *graph = residual_block();
    pf_regions regions = regions_of(graph, &(pf_region_rules){ .allows = only_reference });

    (void)state;
    check_invariants(graph, &regions);
    assert_string_equal(describe(graph, &regions), "conv | conv | add | relu | sigmoid");
    assert_null(pf_region_taker(device, regions.items[0].forms[0].groups[0].problem,
                                &(pf_region_rules){ .allows = only_reference }));
    pf_regions_clear(&regions);
    pf_graph_free(graph);
}

static void pointwise_nets_are_one_region(void **state)
{
    (void)state;
    forms("graph \"\"\n%x = input f32 [4,30]\n%s = sigmoid(%x)\n%m = mul(%x, %s)\n%a = add(%m, %x)\noutput %a\n",
          "sigmoid+mul+add");
    /* what is read outside stays outside, and so does what has another shape */
    forms("graph \"\"\n%x = input f32 [4,30]\n%y = input f32 [30]\n%e = exp(%y)\n%s = add(%x, %e)\n%t = neg(%s)\n"
          "output %t\noutput %s\n",
          "exp | add | neg");
    /* but what an output of the network is converted from, which one step writes in both types */
    forms("graph \"\"\n%x = input f32 [4,30]\n%y = input f32 [30,5]\n%s = exp(%x)\n%t = neg(%s)\n"
          "%m = matmul(%t, %y)\n%c = cast(%t) dtype=f16\noutput %m\noutput %c\n",
          "exp+neg+cast | matmul");
}

static void views_and_host_ops_are_marked(void **state)
{
    pf_graph  *graph = graph_of("graph \"\"\n%x = input f32 [4,6]\n%r = reshape(%x) shape=[24]\n%n = non_zero(%r)\n"
                                "output %n\n");
    pf_regions regions = regions_of(graph, NULL);

    (void)state;
    assert_int_equal(regions.count, 2);
    assert_int_equal(regions.items[0].kind, PF_REGION_VIEW);
    assert_int_equal(regions.items[1].kind, PF_REGION_HOST);
    assert_null(regions.items[1].forms[0].groups[0].problem);
    pf_regions_clear(&regions);
    pf_graph_free(graph);
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    pf_graph *graph = residual_block();

    (void)state;
    for (uint64_t successes = 0; successes < 400; successes += 7) {
        pf_regions regions = { 0 };
        pf_err     err = { 0 };
        pf_status  st = PF_OK;

        pf_alloc_fail_after(successes);
        st = pf_regions_form(graph, device, NULL, &regions, &err);
        pf_alloc_fail_after(UINT64_MAX);
        pf_regions_clear(&regions);
        if (st == PF_OK)
            break;
        assert_int_equal(st, PF_NO_SPACE);
    }
    pf_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchors_take_what_follows), cmocka_unit_test(a_residual_goes_to_one_convolution),
        cmocka_unit_test(without_takers_every_node_is_alone), cmocka_unit_test(pointwise_nets_are_one_region),
        cmocka_unit_test(views_and_host_ops_are_marked), cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
