/* Small networks for the tests of building and running. */
#ifndef PF_TESTS_UNIT_ENGINE_NETWORKS_H
#define PF_TESTS_UNIT_ENGINE_NETWORKS_H

#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/op.h"
#include "engine/planfarm.h"
#include "tests/unit/engine/tensors.h"

/* A constant of normal values times scale. */
static inline pf_tensor_id random_constant(pf_network *net, const char *name, int32_t rank, const int64_t *dim,
                                           double scale, uint64_t seed)
{
    pf_tensor    tensor = { .dtype = PF_F32, .rank = rank };
    pf_tensor_id id = PF_NONE;
    pf_random    random;
    pf_err       err = { 0 };

    for (int32_t d = 0; d < rank; d++)
        tensor.dim[d] = dim[d];
    test_ok(pf_tensor_alloc(&tensor, &err), &err);
    pf_random_init(&random, seed);
    for (int64_t i = 0; i < pf_tensor_elems(&tensor); i++)
        ((float *)tensor.data)[i] = (float)(pf_random_normal(&random) * scale);
    test_ok(pf_network_constant(net, name, &tensor, &id, &err), &err);
    pf_tensor_clear(&tensor);
    return id;
}

static inline pf_tensor_id layer(pf_network *net, const char *op, const char *name, const char *attrs, uint32_t count,
                                 const pf_tensor_id *in)
{
    pf_tensor_id out = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_layer(net, op, name, in, count, attrs, 1, &out, &err), &err);
    return out;
}

static inline pf_tensor_id conv3x3(pf_network *net, const char *name, pf_tensor_id x, int64_t in, int64_t out,
                                   uint64_t seed)
{
    pf_tensor_id w = random_constant(net, "w", 4, (int64_t[]){ out, in, 3, 3 }, 0.15, seed);
    pf_tensor_id b = random_constant(net, "b", 1, (int64_t[]){ out }, 0.1, seed + 1000);

    return layer(net, "conv", name, "strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1", 3,
                 (pf_tensor_id[]){ x, w, b });
}

/* A residual, a pool, a mean and ten logits, of 16 channels. */
static inline void classify(pf_network *net, pf_tensor_id z, pf_tensor_id residual)
{
    pf_err err = { 0 };

    z = layer(net, "add", "add", "", 2, (pf_tensor_id[]){ z, residual });
    z = layer(net, "relu", "relu2", "", 1, (pf_tensor_id[]){ z });
    z = layer(net, "max_pool", "pool", "kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]", 1,
              (pf_tensor_id[]){ z });
    z = layer(net, "reduce", "mean", "mode=mean axes=[2,3] keepdims=0", 1, (pf_tensor_id[]){ z });
    z = layer(net, "gemm", "fc", "trans_b=1 alpha=1 beta=1", 3,
              (pf_tensor_id[]){ z, random_constant(net, "fc.w", 2, (int64_t[]){ 10, 16 }, 0.3, 5),
                                random_constant(net, "fc.b", 1, (int64_t[]){ 10 }, 0.1, 6) });
    test_ok(pf_network_output(net, z, "logits", &err), &err);
}

/* Two convolutions with a residual between, a pool, a classifier: the shapes of a real network, small. */
static inline pf_network *residual_network(const char *input_shape)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE, z = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("residual", &net, &err), &err);
    test_ok(pf_network_input(net, "input", PF_F32, input_shape, &x, &err), &err);
    y = layer(net, "relu", "relu1", "", 1, (pf_tensor_id[]){ conv3x3(net, "conv1", x, 3, 16, 1) });
    z = conv3x3(net, "conv2", y, 16, 16, 2);
    classify(net, z, y);
    return net;
}

/* A stem, a convolution of each channel, one of single pixels with a residual, a pool, a classifier: a card has kernels
   of our own for all of these in 16 bits, whatever the batch, and needs no library. */
static inline pf_network *separable_network(const char *input_shape)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE, z = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("separable", &net, &err), &err);
    test_ok(pf_network_input(net, "input", PF_F32, input_shape, &x, &err), &err);
    y = layer(net, "relu", "relu1", "", 1, (pf_tensor_id[]){ conv3x3(net, "stem", x, 3, 16, 1) });
    z = layer(net, "conv", "each", "strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=16", 2,
              (pf_tensor_id[]){ y, random_constant(net, "each.w", 4, (int64_t[]){ 16, 1, 3, 3 }, 0.3, 2) });
    z = layer(net, "conv", "pixels", "strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1", 2,
              (pf_tensor_id[]){ z, random_constant(net, "pixels.w", 4, (int64_t[]){ 16, 16, 1, 1 }, 0.3, 3) });
    classify(net, z, y);
    return net;
}

static inline pf_config *config_of(const char *text)
{
    pf_config *config = NULL;
    pf_err     err = { 0 };

    test_ok(pf_config_parse(text, &config, &err), &err);
    return config;
}

static inline pf_device *cpu(void)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    test_ok(pf_device_open("cpu", NULL, &device, &err), &err);
    return device;
}

static inline pf_plan *plan_of(pf_network *net, const char *config_text, pf_device *device)
{
    pf_config *config = config_of(config_text);
    pf_plan   *plan = NULL;
    pf_err     err = { 0 };

    test_ok(pf_build(net, config, device, NULL, &plan, NULL, &err), &err);
    pf_config_free(config);
    return plan;
}

/* Is the output what the interpreter makes of the network's one input, as near as plans of FP32 must come? */
static inline void expect_interpreted(pf_network *net, const pf_tensor *input, const pf_tensor *output)
{
    pf_tensor reference = { 0 };
    pf_err    err = { 0 };

    test_ok(pf_interpret(pf_network_graph(net), input, &reference, NULL, NULL, &err), &err);
    expect_close(output, &reference, 1e-4);
    pf_tensor_clear(&reference);
}

#endif
