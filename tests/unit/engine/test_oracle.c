/* Inputs that the references get give outputs that say something. */
#include "base/alloc.h"
#include "engine/op.h"
#include "engine/oracle.h"
#include "tests/test.h"

enum { OUTPUTS_MAX = 3 };

/* How far outputs move when each element of x does so by a millionth of itself. */
static double moved_by_a_millionth(const char *text)
{
    pf_graph *graph = NULL;
    pf_oracle oracle = { 0 };
    pf_tensor found[OUTPUTS_MAX] = { 0 };
    pf_err    err = { 0 };
    double    most = 0;

    test_ok(pf_graph_parse(text, &graph, &err), &err);
    test_ok(pf_oracle_of_graph(graph, NULL, &oracle, &err), &err);
    for (int64_t i = 0; i < pf_tensor_elems(&oracle.in[0]); i++) {
        double x = pf_dtype_get(PF_F32, oracle.in[0].data, (uint64_t)i);

        pf_dtype_set(PF_F32, oracle.in[0].data, (uint64_t)i, x * (i % 2 ? 1 + 1e-6 : 1 - 1e-6));
    }
    test_ok(pf_interpret(graph, oracle.in, found, NULL, NULL, &err), &err);
    for (uint32_t o = 0; o < oracle.out_count; o++) {
        pf_difference difference = { 0 };

        test_ok(pf_tensor_compare(&found[o], &oracle.out[o], &difference, &err), &err);
        most = difference.max_rel_range > most ? difference.max_rel_range : most;
        pf_tensor_clear(&found[o]);
    }
    pf_oracle_clear(&oracle);
    pf_graph_free(graph);
    return most;
}

static void recurrent_nets_forget_roundings(void **state)
{
    (void)state;
    assert_true(moved_by_a_millionth(
        "graph \"\"\n%x = input f32 [100,1,64]\n%w = input f32 [1,512,64]\n%r = input f32 [1,512,128]\n"
        "%1:3 = lstm(%x, %w, %r) hidden=128 activations=[1,0,0] alphas=[0,0,0] betas=[0,0,0]\noutput %1\n") < 1e-5);
    assert_true(moved_by_a_millionth(
        "graph \"\"\n%x = input f32 [100,1,64]\n%w = input f32 [1,384,64]\n%r = input f32 [1,384,128]\n"
        "%1:2 = gru(%x, %w, %r) hidden=128 activations=[1,0] alphas=[0,0] betas=[0,0] linear_before_reset=1\n"
        "output %1\n") < 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(recurrent_nets_forget_roundings) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
