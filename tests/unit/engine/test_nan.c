/* What is not a number stays none on the CPU, but where oneDNN's functions behind a convolution make one of it:
   README.md names those. */
#include <math.h>
#include <stdio.h>

#include "tests/unit/engine/built.h"

enum { CHANNELS = 16, SIDE = 6, PLANE = SIDE * SIDE, AT = 2 * SIDE + 3 };

typedef struct function { const char *op, *attrs; bool kept_by_onednn; } function;

static const function functions[] = {
    { "relu", "", false },           { "clip", "p=0 q=6", false },
    { "hard_sigmoid", "p=0.2 q=0.5", false }, { "exp", "", false },
    { "leaky_relu", "p=0.1", true }, { "elu", "p=1", true },
    { "sigmoid", "", true },         { "tanh", "", true },
    { "swish", "p=1", true },        { "hard_swish", "", true },
    { "gelu", "", true },            { "gelu_tanh", "", true },
    { "mish", "", true },            { "softplus", "", true },
    { "abs", "", true },             { "sqrt", "", true },
    { "neg", "", true },
};

/* x f32 [1,CHANNELS,SIDE,SIDE] -> a convolution of 1x1, or nothing -> the function. */
static pf_network *network(const function *f, bool behind_conv)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("nan", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[1,16,6,6]", &x, &err), &err);
    if (behind_conv)
        x = layer(net, "conv", "conv", "strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1", 2,
                  (pf_tensor_id[]){ x, random_constant(net, "w", 4, (int64_t[]){ CHANNELS, CHANNELS, 1, 1 }, 0.2, 3) });
    y = layer(net, f->op, "function", f->attrs, 1, (pf_tensor_id[]){ x });
    test_ok(pf_network_output(net, y, "y", &err), &err);
    return net;
}

/* Runs it where all inputs of one place are NaN; every channel of that place, and no other, depends on them. */
static void run_with_nan(const function *f, bool behind_conv, pf_tensor *y)
{
    built       b = build(network(f, behind_conv), "effort=0\n", NULL);
    pf_tensor   x = random_tensor(PF_F32, 4, (int64_t[]){ 1, CHANNELS, SIDE, SIDE }, 7);
    pf_context *context = NULL;
    pf_err      err = { 0 };

    for (int c = 0; c < CHANNELS; c++)
        for (int i = 0; i < PLANE; i++)
            ((float *)x.data)[c * PLANE + i] = i == AT ? NAN : fabsf(((float *)x.data)[c * PLANE + i]);
    test_ok(pf_context_new(b.plan, b.device, NULL, &context, &err), &err);
    *y = (pf_tensor){ 0 };
    test_ok(pf_context_run_host(context, &x, y, &err), &err);
    pf_context_free(context);
    pf_tensor_clear(&x);
    drop(&b);
}

static void expect_nan(const function *f, const pf_tensor *y)
{
    for (int c = 0; c < CHANNELS; c++)
        if (!isnan(((const float *)y->data)[c * PLANE + AT]))
            fail_msg("%s makes %g of what is not a number", f->op, (double)((const float *)y->data)[c * PLANE + AT]);
    assert_false(isnan(((const float *)y->data)[AT + 1]) && strcmp(f->op, "sqrt") != 0);
}

static void functions_of_their_own_keep_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        pf_tensor y = { 0 };

        run_with_nan(&functions[i], false, &y);
        expect_nan(&functions[i], &y);
        pf_tensor_clear(&y);
    }
}

static void most_functions_behind_a_convolution_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        pf_tensor y = { 0 };

        if (!functions[i].kept_by_onednn)
            continue;
        run_with_nan(&functions[i], true, &y);
        expect_nan(&functions[i], &y);
        pf_tensor_clear(&y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_of_their_own_keep_it),
        cmocka_unit_test(most_functions_behind_a_convolution_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
