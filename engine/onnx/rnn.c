#include <string.h>
#include <strings.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* LSTM, GRU and RNN. Activations are listed per direction; alphas and betas are taken from their lists by those that
   have one. */

static const struct activation {
    const char       *name;
    pf_rnn_activation id;
    bool              has_alpha, has_beta;
    double            alpha, beta;
} activations[] = {
    { "Tanh", PF_RNN_TANH }, { "Sigmoid", PF_RNN_SIGMOID }, { "Relu", PF_RNN_RELU }, { "Softsign", PF_RNN_SOFTSIGN },
    { "Softplus", PF_RNN_SOFTPLUS },
    { "Affine", PF_RNN_AFFINE, true, true, 1.0, 0.0 },
    { "LeakyRelu", PF_RNN_LEAKY_RELU, true, false, 0.01, 0 },
    { "ThresholdedRelu", PF_RNN_THRESHOLDED_RELU, true, false, 1.0, 0 },
    { "ScaledTanh", PF_RNN_SCALED_TANH, true, true, 1.0, 1.0 },
    { "HardSigmoid", PF_RNN_HARD_SIGMOID, true, true, 0.2, 0.5 },
    { "Elu", PF_RNN_ELU, true, false, 1.0, 0 },
};

static const struct activation *find_activation(pf_onnx_node *node, const char *name)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (!strcasecmp(activations[i].name, name))
            return &activations[i];
    pf_onnx_fail(node, PF_UNSUPPORTED, "the activation \"%.40s\"", name);
    return &activations[0];
}

static void read_activations(pf_onnx_node *node, const char *const *defaults, uint32_t per_direction,
                             uint32_t directions, pf_rnn_attrs *attrs)
{
    pf_floats    alphas = pf_onnx_floats(node, "activation_alpha"), betas = pf_onnx_floats(node, "activation_beta");
    uint32_t     given = 0, count = per_direction * directions;
    const char **names = pf_onnx_strings(node, "activations", &given);
    int32_t      alpha = 0, beta = 0;

    if (!node->status && given && given != count)
        pf_onnx_fail(node, PF_INVALID, "%u activations where %u are needed", given, count);
    for (uint32_t i = 0; !node->status && i < count; i++) {
        const struct activation *a = find_activation(node, given ? names[i] : defaults[i % per_direction]);

        attrs->activations.at[i] = a->id;
        attrs->alphas.at[i] = a->has_alpha && alpha < alphas.count ? alphas.at[alpha++] : a->alpha;
        attrs->betas.at[i] = a->has_beta && beta < betas.count ? betas.at[beta++] : a->beta;
    }
    attrs->activations.count = attrs->alphas.count = attrs->betas.count = (int32_t)count;
}

/* hidden_size may be left out: the recurrence weights [directions, gates * hidden, hidden] say it. */
static int64_t read_hidden(pf_onnx_node *node)
{
    pf_dim hidden = pf_onnx_dim(node, pf_onnx_in(node, 2), 2);

    if (!node->status && !pf_dim_is_number(hidden))
        pf_onnx_fail(node, PF_UNSUPPORTED, "a hidden size that is not a number");
    if (!node->status && pf_onnx_int(node, "hidden_size", hidden) != hidden)
        pf_onnx_fail(node, PF_INVALID, "attribute \"hidden_size\" is %lld and the weights say %lld",
                     (long long)pf_onnx_int(node, "hidden_size", hidden), (long long)hidden);
    return hidden;
}

static void recurrent(pf_onnx_node *node, pf_op_kind op, const char *const *defaults, uint32_t per_direction)
{
    static const char *const directions[] = { "forward", "reverse", "bidirectional", NULL };
    pf_rnn_attrs             attrs = {
        .direction = pf_onnx_choice(node, "direction", "forward", directions),
        .hidden = read_hidden(node),
        .clip = pf_onnx_float(node, "clip", 0),
        .linear_before_reset = pf_onnx_int(node, "linear_before_reset", 0),
        .input_forget = pf_onnx_int(node, "input_forget", 0),
        .batch_first = pf_onnx_int(node, "layout", 0),
    };

    read_activations(node, defaults, per_direction, attrs.direction == PF_RNN_BIDIRECTIONAL ? 2 : 1, &attrs);
    pf_onnx_emit_same(node, op, &attrs);
}

void pf_onnx_lstm(pf_onnx_node *node)
{
    static const char *const defaults[] = { "Sigmoid", "Tanh", "Tanh" };

    recurrent(node, PF_OP_LSTM, defaults, 3);
}

void pf_onnx_gru(pf_onnx_node *node)
{
    static const char *const defaults[] = { "Sigmoid", "Tanh" };

    recurrent(node, PF_OP_GRU, defaults, 2);
}

void pf_onnx_rnn(pf_onnx_node *node)
{
    static const char *const defaults[] = { "Tanh" };

    recurrent(node, PF_OP_RNN, defaults, 1);
}
