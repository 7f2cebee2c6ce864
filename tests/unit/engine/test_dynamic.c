/* Plans for ranges of sizes: batches, sequences and images of sizes that the plan was not timed for agree with the
   references too, on inputs that are new each time. */
#include "engine/op.h"
#include "tests/unit/engine/swapping_store.h"

enum { WIDTH = 32, HEADS = 4, TOKENS = 100, LONGEST = 40, INPUTS_MAX = 4, OUTPUTS_MAX = 2, SYMBOLS = 3 };

#define TOLERANCE 1e-4      /* of an output's range: the contract of FP32 plans */

/* What one size of each symbol makes of the inputs: dims above 0 are themselves, -1 is the first symbol, -2 the second,
   ... */
typedef struct input { const char *name; pf_dtype dtype; int32_t rank; int64_t dim[4]; } input;

typedef struct subject {
    pf_network *(*make)(void);
    input        inputs[INPUTS_MAX];
    uint32_t     input_count, output_count;
    /* least, usual and most of the profile first; then others inside it; up to one that is 0 */
    int64_t      sizes[8][SYMBOLS];
} subject;

static pf_tensor_id product(pf_network *net, const char *name, pf_tensor_id x, int64_t rows, int64_t columns,
                            uint64_t seed)
{
    pf_tensor_id y = layer(net, "matmul", name, "", 2,
                           (pf_tensor_id[]){ x,
                                             random_constant(net, "w", 2, (int64_t[]){ rows, columns }, 0.2, seed) });

    return layer(net, "add", "bias", "", 2,
                 (pf_tensor_id[]){ y, random_constant(net, "b", 1, (int64_t[]){ columns }, 0.1, seed + 100) });
}

static pf_tensor_id norm(pf_network *net, const char *name, pf_tensor_id x, uint64_t seed)
{
    pf_tensor_id in[3] = { x, random_constant(net, "scale", 1, (int64_t[]){ WIDTH }, 1, seed),
                           random_constant(net, "shift", 1, (int64_t[]){ WIDTH }, 0.1, seed + 1) };

    return layer(net, "layer_norm", name, "axis=2 epsilon=1e-5", 3, in);
}

static pf_tensor_id heads_of(pf_network *net, const char *name, pf_tensor_id x, const char *perm, uint64_t seed)
{
    pf_tensor_id y = product(net, name, x, WIDTH, WIDTH, seed);

    y = layer(net, "reshape", name, "shape=[batch,seq,4,8]", 1, &y);
    return layer(net, "transpose", name, perm, 1, &y);
}

static pf_tensor_id attention(pf_network *net, pf_tensor_id x, pf_tensor_id mask)
{
    pf_tensor_id q = heads_of(net, "q", x, "perm=[0,2,1,3]", 11), k = heads_of(net, "k", x, "perm=[0,2,3,1]", 12);
    pf_tensor_id v = heads_of(net, "v", x, "perm=[0,2,1,3]", 13),
                 y = layer(net, "matmul", "scores", "", 2, (pf_tensor_id[]){ q, k });

    y = layer(net, "mul", "scaled", "", 2,
              (pf_tensor_id[]){ y, random_constant(net, "scale", 1, (int64_t[]){ 1 }, 0.3, 14) });
    y = layer(net, "add", "masked", "", 2, (pf_tensor_id[]){ y, mask });
    y = layer(net, "softmax", "softmax", "axis=3", 1, &y);
    y = layer(net, "matmul", "mixed", "", 2, (pf_tensor_id[]){ y, v });
    y = layer(net, "transpose", "back", "perm=[0,2,1,3]", 1, &y);
    y = layer(net, "reshape", "joined", "shape=[batch,seq,32]", 1, &y);
    return product(net, "projected", y, WIDTH, WIDTH, 15);
}

/* Tokens to vectors, positions by a slice as long as the sequence, one layer of a transformer, a classifier over the
   mean. */
static pf_network *transformer(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, mask = PF_NONE, positions = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("transformer", &net, &err), &err);
    test_ok(pf_network_input(net, "ids", PF_I64, "[batch,seq]", &x, &err), &err);
    test_ok(pf_network_input(net, "mask", PF_F32, "[batch,seq]", &mask, &err), &err);
    x = layer(net, "gather", "embedding", "axis=0", 2,
              (pf_tensor_id[]){ random_constant(net, "table", 2, (int64_t[]){ TOKENS, WIDTH }, 1, 1), x });
    positions = random_constant(net, "positions", 2, (int64_t[]){ LONGEST, WIDTH }, 1, 2);
    positions = layer(net, "slice", "positions", "axes=[0] starts=[0] ends=[seq] steps=[1]", 1, &positions);
    x = layer(net, "add", "placed", "", 2, (pf_tensor_id[]){ x, positions });
    x = norm(net, "norm1", x, 3);
    mask = layer(net, "reshape", "mask4", "shape=[batch,1,1,seq]", 1, &mask);
    x = layer(net, "add", "residual1", "", 2, (pf_tensor_id[]){ x, attention(net, x, mask) });
    x = norm(net, "norm2", x, 5);
    y = product(net, "up", x, WIDTH, 2 * WIDTH, 7);
    y = layer(net, "relu", "relu", "", 1, &y);
    x = layer(net, "add", "residual2", "", 2, (pf_tensor_id[]){ x, product(net, "down", y, 2 * WIDTH, WIDTH, 8) });
    test_ok(pf_network_output(net, x, "hidden", &err), &err);
    x = layer(net, "reduce", "mean", "mode=mean axes=[1] keepdims=0", 1, &x);
    test_ok(pf_network_output(net, product(net, "classes", x, WIDTH, 10, 9), "classes", &err), &err);
    return net;
}

/* Images of any size: strides and pads round in many ways. */
static pf_network *images(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("images", &net, &err), &err);
    test_ok(pf_network_input(net, "image", PF_F32, "[batch,3,h,w]", &x, &err), &err);
    x = layer(net, "conv", "stem", "strides=[2,2] pads=[1,1,1,1] dilations=[1,1] groups=1", 2,
              (pf_tensor_id[]){ x, random_constant(net, "w", 4, (int64_t[]){ 16, 3, 3, 3 }, 0.2, 1) });
    x = layer(net, "relu", "relu", "", 1, &x);
    y = layer(net, "conv", "depthwise", "strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=16", 2,
              (pf_tensor_id[]){ x, random_constant(net, "w", 4, (int64_t[]){ 16, 1, 3, 3 }, 0.3, 2) });
    y = layer(net, "sigmoid", "gate", "", 1, &y);
    x = layer(net, "mul", "gated", "", 2, (pf_tensor_id[]){ x, y });
    x = layer(net, "max_pool", "pool", "kernel=[3,3] strides=[2,2] pads=[1,1,1,1] dilations=[1,1]", 1, &x);
    x = conv3x3(net, "conv", x, 16, 24, 3);
    test_ok(pf_network_output(net, x, "features", &err), &err);
    x = layer(net, "reduce", "mean", "mode=mean axes=[2,3] keepdims=0", 1, &x);
    test_ok(pf_network_output(net, product(net, "classes", x, 24, 10, 4), "classes", &err), &err);
    return net;
}

/* One step of decoding: what was there and what is new together, so that a size is the sum of two. */
static pf_network *decoder(void)
{
    pf_network  *net = NULL;
    pf_tensor_id q = PF_NONE, past = PF_NONE, fresh = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("decoder", &net, &err), &err);
    test_ok(pf_network_input(net, "query", PF_F32, "[batch,4,seq,8]", &q, &err), &err);
    test_ok(pf_network_input(net, "past", PF_F32, "[batch,4,past,8]", &past, &err), &err);
    test_ok(pf_network_input(net, "new", PF_F32, "[batch,4,seq,8]", &fresh, &err), &err);
    past = layer(net, "concat", "keys", "axis=2", 2, (pf_tensor_id[]){ past, fresh });
    test_ok(pf_network_output(net, past, "present", &err), &err);
    y = layer(net, "transpose", "turned", "perm=[0,1,3,2]", 1, &past);
    y = layer(net, "matmul", "scores", "", 2, (pf_tensor_id[]){ q, y });
    y = layer(net, "softmax", "softmax", "axis=3", 1, &y);
    y = layer(net, "matmul", "mixed", "", 2, (pf_tensor_id[]){ y, past });
    test_ok(pf_network_output(net, y, "out", &err), &err);
    return net;
}

static const subject transformer_subject = {
    transformer, { { "ids", PF_I64, 2, { -1, -2 } }, { "mask", PF_F32, 2, { -1, -2 } } }, 2, 2,
    { { 1, 1 }, { 2, 16 }, { 5, LONGEST }, { 1, 16 }, { 3, 7 }, { 4, 33 }, { 2, 16 } },
};
static const subject images_subject = {
    images, { { "image", PF_F32, 4, { -1, 3, -2, -3 } } }, 1, 2,
    { { 1, 17, 16 }, { 2, 32, 32 }, { 4, 48, 50 }, { 3, 33, 21 }, { 1, 32, 47 }, { 2, 20, 20 } },
};
static const subject decoder_subject = {
    decoder,
    { { "query", PF_F32, 4, { -1, 4, -2, 8 } }, { "past", PF_F32, 4, { -1, 4, -3, 8 } },
      { "new", PF_F32, 4, { -1, 4, -2, 8 } } },
    3, 2, { { 1, 1, 1 }, { 2, 1, 12 }, { 3, 9, 40 }, { 1, 1, 39 }, { 3, 4, 2 }, { 2, 9, 17 } },
};

static int64_t dim_of(const input *in, int32_t d, const int64_t *sizes)
{
    return in->dim[d] > 0 ? in->dim[d] : sizes[-in->dim[d] - 1];
}

/* "min_shapes=ids:1x1,mask:1x1\n" */
static void print_shapes(const subject *s, const char *key, const int64_t *sizes, char *out, size_t capacity)
{
    size_t used = strlen(out);

    used += (size_t)snprintf(out + used, capacity - used, "%s=", key);
    for (uint32_t i = 0; i < s->input_count; i++) {
        used += (size_t)snprintf(out + used, capacity - used, "%s%s:", i ? "," : "", s->inputs[i].name);
        for (int32_t d = 0; d < s->inputs[i].rank; d++)
            used += (size_t)snprintf(out + used, capacity - used, "%s%lld", d ? "x" : "",
                                     (long long)dim_of(&s->inputs[i], d, sizes));
    }
    snprintf(out + used, capacity - used, "\n");
}

static void agree_at(const subject *s, pf_context *context, pf_network *net, const int64_t *sizes, uint64_t seed)
{
    pf_tensor inputs[INPUTS_MAX] = { 0 }, outputs[OUTPUTS_MAX] = { 0 }, references[OUTPUTS_MAX] = { 0 };
    pf_err    err = { 0 };

    for (uint32_t i = 0; i < s->input_count; i++) {
        inputs[i] = (pf_tensor){ .dtype = s->inputs[i].dtype, .rank = s->inputs[i].rank };
        for (int32_t d = 0; d < inputs[i].rank; d++)
            inputs[i].dim[d] = dim_of(&s->inputs[i], d, sizes);
        test_ok(pf_tensor_alloc(&inputs[i], &err), &err);
        pf_tensor_fill_random(&inputs[i], seed + i);
    }
    test_ok(pf_context_run_host(context, inputs, outputs, &err), &err);
    test_ok(pf_interpret(pf_network_graph(net), inputs, references, NULL, NULL, &err), &err);
    for (uint32_t i = 0; i < s->output_count; i++) {
        pf_difference difference = { 0 };

        test_ok(pf_tensor_compare(&outputs[i], &references[i], &difference, &err), &err);
        if (difference.max_rel_range > TOLERANCE || difference.nan_count)
            fail_msg("output %u at %lld, %lld, %lld differs by %g of its range", i, (long long)sizes[0],
                     (long long)sizes[1], (long long)sizes[2], difference.max_rel_range);
        pf_tensor_clear(&outputs[i]);
        pf_tensor_clear(&references[i]);
    }
    for (uint32_t i = 0; i < s->input_count; i++)
        pf_tensor_clear(&inputs[i]);
}

static built build_of(const subject *s, const char *effort, pf_timing_store *store)
{
    char spec[1024] = "";

    snprintf(spec, sizeof spec, "effort=%s\n", effort);
    print_shapes(s, "min_shapes", s->sizes[0], spec, sizeof spec);
    print_shapes(s, "opt_shapes", s->sizes[1], spec, sizeof spec);
    print_shapes(s, "max_shapes", s->sizes[2], spec, sizeof spec);
    return build(s->make(), spec, store);
}

static void agrees_everywhere(const subject *s, built *b)
{
    pf_context *context = NULL;
    pf_err      err = { 0 };

    test_ok(pf_context_new(b->plan, b->device, NULL, &context, &err), &err);
    for (int i = 0; i < 8 && s->sizes[i][0]; i++)
        agree_at(s, context, b->net, s->sizes[i], 1000 + 10 * (uint64_t)i);
    pf_context_free(context);
}

/* As it is built first, and with the second candidate of every layer, as if that had been better in the network. */
static void check_choices(const subject *s)
{
    swapping_store store = { .of = wrap_store(swapping_merge), .swaps = true };
    built          first = build_of(s, "2", &store.of.base), second = build_of(s, "2", &store.of.base);

    assert_int_equal(store.kept, 1);
    agrees_everywhere(s, &first);
    agrees_everywhere(s, &second);
    drop(&first);
    drop(&second);
    store.of.inner->close(store.of.inner);
}

static void batches_and_sequences_of_a_transformer(void **state)
{
    (void)state;
    check_choices(&transformer_subject);
}

static void batches_and_sizes_of_images(void **state)
{
    (void)state;
    check_choices(&images_subject);
}

static void sums_of_sizes_in_a_decoder(void **state)
{
    (void)state;
    check_choices(&decoder_subject);
}

/* Rows of four become rows of eight, which an odd number of them does not. */
static void sizes_that_do_not_divide_are_refused(void **state)
{
    const int64_t dims[2] = { 3, 4 };
    pf_device    *device = cpu();
    pf_network   *net = NULL;
    pf_plan      *plan = NULL;
    pf_context   *context = NULL;
    pf_tensor_id  x = PF_NONE;
    pf_err        err = { 0 };

    (void)state;
    test_ok(pf_network_new("rows", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[n,4]", &x, &err), &err);
    x = layer(net, "relu", "relu", "", 1, &x);
    x = layer(net, "reshape", "longer", "shape=[-1,8]", 1, &x);
    test_ok(pf_network_output(net, x, "y", &err), &err);
    plan = plan_of(net, "effort=0\nmin_shapes=x:2x4\nopt_shapes=x:4x4\nmax_shapes=x:8x4\n", device);
    test_ok(pf_context_new(plan, device, NULL, &context, &err), &err);
    test_ok(pf_context_set_shape(context, pf_plan_find_io(plan, "x"), dims, 2, &err), &err);
    assert_int_equal(pf_context_ready(context, &err), PF_INVALID);
    assert_non_null(strstr(err.msg, "do not go with this network"));
    pf_context_free(context);
    pf_plan_free(plan);
    pf_network_free(net);
    pf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_and_sequences_of_a_transformer),
        cmocka_unit_test(batches_and_sizes_of_images),
        cmocka_unit_test(sums_of_sizes_in_a_decoder),
        cmocka_unit_test(sizes_that_do_not_divide_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
