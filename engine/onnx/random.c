#include <string.h>

#include "engine/onnx_import.h"
#include "engine/onnx_scope.h"
#include "engine/ops/attrs.h"

/* ONNX's seed is a float. Without one the node's place in the model is the seed, so that a model gives the same numbers
   each time. */
static int64_t read_seed(pf_onnx_node *node)
{
    float    seed = (float)pf_onnx_float(node, "seed", 0);
    uint32_t bits = 0;

    if (!pf_onnx_has_attr(node, "seed"))
        return node->scope->state->node_count;
    memcpy(&bits, &seed, sizeof bits);
    return bits;
}

static pf_dim_list shape_like(pf_onnx_node *node)
{
    pf_dim_list out = { pf_onnx_rank(node, pf_onnx_in(node, 0)) };

    for (int32_t i = 0; i < out.count; i++)
        out.at[i] = pf_onnx_dim(node, pf_onnx_in(node, 0), i);
    return out;
}

static void normal(pf_onnx_node *node, pf_dim_list shape, pf_dtype when_absent)
{
    pf_random_normal_attrs attrs = { (int32_t)pf_onnx_dtype_attr(node, "dtype", when_absent),
                                     pf_onnx_float(node, "mean", 0), pf_onnx_float(node, "scale", 1), read_seed(node),
                                     shape };

    node->out[0] = pf_onnx_emit0(node, PF_OP_RANDOM_NORMAL, &attrs);
}

static void uniform(pf_onnx_node *node, pf_dim_list shape, pf_dtype when_absent)
{
    pf_random_uniform_attrs attrs = { (int32_t)pf_onnx_dtype_attr(node, "dtype", when_absent),
                                      pf_onnx_float(node, "low", 0), pf_onnx_float(node, "high", 1), read_seed(node),
                                      shape };

    node->out[0] = pf_onnx_emit0(node, PF_OP_RANDOM_UNIFORM, &attrs);
}

void pf_onnx_random_normal(pf_onnx_node *node)
{
    normal(node, pf_onnx_as_dims(pf_onnx_ints(node, "shape")), PF_F32);
}

void pf_onnx_random_normal_like(pf_onnx_node *node)
{
    normal(node, shape_like(node), pf_onnx_dtype(node, pf_onnx_in(node, 0)));
}

void pf_onnx_random_uniform(pf_onnx_node *node)
{
    uniform(node, pf_onnx_as_dims(pf_onnx_ints(node, "shape")), PF_F32);
}

void pf_onnx_random_uniform_like(pf_onnx_node *node)
{
    uniform(node, shape_like(node), pf_onnx_dtype(node, pf_onnx_in(node, 0)));
}

void pf_onnx_bernoulli(pf_onnx_node *node)
{
    pf_bernoulli_attrs attrs = { (int32_t)pf_onnx_dtype_attr(node, "dtype", pf_onnx_dtype(node, pf_onnx_in(node, 0))),
                                 read_seed(node) };

    node->out[0] = pf_onnx_emit1(node, PF_OP_BERNOULLI, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_multinomial(pf_onnx_node *node)
{
    pf_multinomial_attrs attrs = { (int32_t)pf_onnx_dtype_attr(node, "dtype", PF_I32),
                                   pf_onnx_int(node, "sample_size", 1), read_seed(node) };

    node->out[0] = pf_onnx_emit1(node, PF_OP_MULTINOMIAL, &attrs, pf_onnx_in(node, 0));
}
