/* LSTM, GRU and plain recurrent layers by oneDNN, one operation for each direction.
   Gates stand in another order there for LSTM (i f c o instead of i o f c), and the two biases are one, but for the one
   that a GRU multiplies. */
#include <string.h>

#include "base/alloc.h"
#include "engine/onednn.h"
#include "engine/ops/attrs.h"

enum { X, W, R, BIAS, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES };
enum { Y, Y_H, Y_C, OUTPUTS };
enum { DIRECTIONS = 2, GATES = 4, FUNCTIONS = 3, ALIGNMENT = 64 };

typedef struct kind {
    pf_op_kind op;
    int32_t    gates, biases, functions;
    int32_t    gate_from[GATES];        /* which of ONNX's gates stands there */
    int32_t    activations[FUNCTIONS];
} kind;

static const kind kinds[] = {
    { PF_OP_LSTM, 4, 4, 3, { 0, 2, 3, 1 }, { PF_RNN_SIGMOID, PF_RNN_TANH, PF_RNN_TANH } },
    { PF_OP_GRU, 3, 3, 2, { 0, 1, 2 }, { PF_RNN_SIGMOID, PF_RNN_TANH } },
    { PF_OP_RNN, 1, 1, 1, { 0 }, { PF_RNN_TANH } },
};

static const kind *kind_of(const pf_node *node)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].op == node->op)
            return &kinds[i];
    return NULL;
}

static const pf_node *node_of(const pf_problem *p) { return pf_graph_node(p->graph, 0); }

static pf_value_id operand(const pf_node *node, uint32_t slot)
{
    return slot < node->in_count ? node->in[slot] : PF_NONE;
}

static bool is_constant(const pf_problem *p, pf_value_id value)
{
    uint32_t input = pf_problem_input_index(p, value);

    return input == UINT32_MAX || p->in_constant[input];
}

/* ---- What is declined */

static const char *attrs_decline(const pf_rnn_attrs *attrs, const kind *k)
{
    if (attrs->clip > 0 || attrs->input_forget)
        return "limited or coupled gates";
    if (attrs->batch_first)
        return "the batch comes first";
    for (int32_t i = 0; i < attrs->activations.count; i++) {
        bool relu = k->op == PF_OP_RNN && attrs->activations.at[i] == PF_RNN_RELU &&
                    attrs->activations.at[0] == PF_RNN_RELU;

        if (attrs->activations.at[i] != k->activations[i % k->functions] && !relu)
            return "other functions than the usual ones";
    }
    return NULL;
}

static const char *operands_decline(const pf_problem *p, const pf_node *node)
{
    if (operand(node, LENGTHS) != PF_NONE || operand(node, PEEPHOLES) != PF_NONE)
        return "sequences of several lengths, or peepholes";
    if (node->op == PF_OP_LSTM && (operand(node, INITIAL_H) == PF_NONE) != (operand(node, INITIAL_C) == PF_NONE))
        return "only one of the two initial states";
    for (uint32_t i = W; i <= BIAS; i++)
        if (operand(node, i) != PF_NONE && !is_constant(p, node->in[i]))
            return "weights or bias are not constants";
    if (pf_problem_input_index(p, node->in[X]) == UINT32_MAX || is_constant(p, node->in[X]))
        return "the source is not an input";
    return NULL;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = node_of(p);
    const kind    *k = p->graph->node_count == 1 ? kind_of(node) : NULL;
    const char    *reason = NULL;

    (void)device;
    if (!k)
        return "not a recurrent layer alone";
    if (pf_graph_value(p->graph, node->in[X])->dtype != PF_F32)
        return "not f32";
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (p->in_layout[i] != PF_LAYOUT_LINEAR)
            return "not linear";
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        if (p->out_layout[i] != PF_LAYOUT_LINEAR)
            return "not linear";
    reason = attrs_decline(node->attrs, k);
    return reason ? reason : operands_decline(p, node);
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    (void)device;
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        in[i] = PF_LAYOUT_LINEAR;
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        out[i] = PF_LAYOUT_LINEAR;
    return index == 0;
}

/* ---- The operation */

typedef struct rnn_op {
    const kind        *k;
    int64_t            seq, batch, input, hidden, biases;
    uint32_t           directions;
    bool               has_state;       /* an initial one; else it is zero */
    dnnl_memory_desc_t x, state, weights_x, weights_h, bias, y, nothing;
    dnnl_rnn_desc_t    desc[DIRECTIONS];
} rnn_op;

static dnnl_status_t describe_tensor(dnnl_memory_desc_t *out, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(out, rank, dims, dnnl_f32, tag);
}

/* free_form: the form of the weights is left to the implementation. */
static dnnl_status_t describe_tensors(rnn_op *o, bool free_form)
{
    const dnnl_dims_t x = { o->seq, o->batch, o->input }, y = { o->seq, o->batch, o->hidden },
                      state = { 1, 1, o->batch, o->hidden };
    const dnnl_dims_t wx = { 1, 1, o->input, o->k->gates, o->hidden }, wh = { 1, 1, o->hidden, o->k->gates, o->hidden };
    const dnnl_dims_t bias = { 1, 1, o->biases, o->hidden };
    dnnl_format_tag_t form = free_form ? dnnl_format_tag_any : dnnl_ldigo;
    dnnl_status_t     status = describe_tensor(&o->x, 3, x, dnnl_tnc);

    if (!status)
        status = describe_tensor(&o->y, 3, y, dnnl_tnc);
    if (!status)
        status = describe_tensor(&o->state, 4, state, dnnl_ldnc);
    if (!status)
        status = describe_tensor(&o->weights_x, 5, wx, form);
    if (!status)
        status = describe_tensor(&o->weights_h, 5, wh, form);
    return status ? status : describe_tensor(&o->bias, 4, bias, dnnl_ldgo);
}

static dnnl_status_t describe_direction(rnn_op *o, const pf_rnn_attrs *attrs, uint32_t d)
{
    bool                      backwards = attrs->direction == PF_RNN_REVERSE || d == 1;
    dnnl_rnn_direction_t      way = backwards ? dnnl_unidirectional_right2left : dnnl_unidirectional_left2right;
    const dnnl_memory_desc_t *state = o->has_state ? &o->state : &o->nothing;
    dnnl_alg_kind_t           function = attrs->activations.at[0] == PF_RNN_RELU ? dnnl_eltwise_relu
                                                                                 : dnnl_eltwise_tanh;

    if (o->k->op == PF_OP_LSTM)
        return dnnl_lstm_forward_desc_init(&o->desc[d], dnnl_forward_inference, way, &o->x, state, state, &o->weights_x,
                                           &o->weights_h, &o->bias, &o->y, &o->state, &o->state, dnnl_rnn_flags_undef);
    if (o->k->op == PF_OP_RNN)
        return dnnl_vanilla_rnn_forward_desc_init(&o->desc[d], dnnl_forward_inference, function, way, &o->x, state,
                                                  &o->weights_x, &o->weights_h, &o->bias, &o->y, &o->state,
                                                  dnnl_rnn_flags_undef, 0, 0);
    return (attrs->linear_before_reset ? dnnl_lbr_gru_forward_desc_init
                                       : dnnl_gru_forward_desc_init)(&o->desc[d], dnnl_forward_inference, way, &o->x,
                                                                     state, &o->weights_x, &o->weights_h, &o->bias,
                                                                     &o->y, &o->state, dnnl_rnn_flags_undef);
}

static pf_status describe(const pf_problem *p, bool free_form, rnn_op *o, pf_err *err)
{
    const pf_node      *node = node_of(p);
    const pf_rnn_attrs *attrs = node->attrs;
    const pf_shape     *x = pf_problem_shape(p, node->in[X]);
    dnnl_status_t       status = dnnl_success;

    *o = (rnn_op){ .k = kind_of(node), .seq = x->dim[0], .batch = x->dim[1], .input = x->dim[2],
                   .hidden = attrs->hidden };
    if (!pf_shape_is_static(x))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    if (o->seq < 1 || o->batch < 1 || o->input < 1)
        return PF_FAIL(err, PF_UNSUPPORTED, "oneDNN has no recurrent layer over nothing");
    o->biases = o->k->biases + (o->k->op == PF_OP_GRU && attrs->linear_before_reset);
    o->directions = attrs->direction == PF_RNN_BIDIRECTIONAL ? 2 : 1;
    o->has_state = operand(node, INITIAL_H) != PF_NONE;
    status = describe_tensors(o, free_form);
    for (uint32_t d = 0; d < o->directions && !status; d++)
        status = describe_direction(o, attrs, d);
    return status ? pf_onednn_fail(status, "describe this recurrent layer", err) : PF_OK;
}

static pf_status list(const pf_device *device, const pf_problem *p, bool free_form, int effort, pf_tuning_list *out,
                      pf_err *err)
{
    dnnl_primitive_attr_t attr = NULL;
    rnn_op                o;
    pf_status             st = describe(p, free_form, &o, err);

    if (!st)
        st = pf_onednn_attr(&attr, err);
    if (!st)
        st = pf_onednn_list(device, &o.desc[0], attr, free_form ? PF_TUNING_FIXED : "", "", NULL, effort, out, err);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

/* With effort 0 nothing is known of the shapes that follow, so weights are packed in the one plain way. */
static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    pf_status st = list(device, p, false, effort, out, err);

    if (!st && effort > 0)
        st = list(device, p, true, effort, out, err);
    return st ? st : pf_onednn_check_listed(out, "layer", err);
}

/* ---- Steps */

typedef struct rnn_impl {
    const pf_device   *device;          /* borrowed: outlives its steps */
    rnn_op             op;              /* its descriptions of the weights are those that the primitives want */
    pf_onednn_op      *ops[DIRECTIONS];
    size_t             weights_x_at[DIRECTIONS], weights_h_at[DIRECTIONS], bias_at[DIRECTIONS];
    size_t             initial_at[2];   /* of states that are constants */
    size_t             packed_bytes;
    uint32_t           outs[OUTPUTS];   /* slots; UINT32_MAX: nobody reads it */
    size_t             out_at[OUTPUTS]; /* in the workspace, where there is no slot, and of Y with two directions */
} rnn_impl;

static size_t reserve(size_t *bytes, size_t more)
{
    size_t at = (*bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    *bytes = at + more;
    return at;
}

static size_t state_bytes(const rnn_op *o) { return (size_t)(o->batch * o->hidden) * sizeof(float); }

static void find_outputs(const pf_problem *p, rnn_impl *impl)
{
    const pf_node *node = node_of(p);

    for (uint32_t i = 0; i < OUTPUTS; i++) {
        impl->outs[i] = UINT32_MAX;
        for (uint32_t o = 0; o < p->graph->output_count && i < node->out_count; o++)
            if (p->graph->outputs[o] == node->out[i])
                impl->outs[i] = o;
    }
}

static void place(const pf_problem *p, rnn_impl *impl, size_t *workspace)
{
    const pf_node *node = node_of(p);
    rnn_op        *o = &impl->op;
    size_t         y = (size_t)o->seq * state_bytes(o);

    for (uint32_t d = 0; d < o->directions; d++) {
        impl->weights_x_at[d] = reserve(&impl->packed_bytes, dnnl_memory_desc_get_size(&o->weights_x));
        impl->weights_h_at[d] = reserve(&impl->packed_bytes, dnnl_memory_desc_get_size(&o->weights_h));
        impl->bias_at[d] = reserve(&impl->packed_bytes, dnnl_memory_desc_get_size(&o->bias));
    }
    for (uint32_t i = 0; i < 2; i++)
        if (operand(node, INITIAL_H + i) != PF_NONE && is_constant(p, node->in[INITIAL_H + i]))
            impl->initial_at[i] = reserve(&impl->packed_bytes, o->directions * state_bytes(o));
    for (uint32_t i = 0; i < OUTPUTS; i++)
        if (impl->outs[i] == UINT32_MAX || (i == Y && o->directions > 1))
            impl->out_at[i] = reserve(workspace, i == Y ? y : o->directions * state_bytes(o));
}

static void add_state(const pf_problem *p, const rnn_impl *impl, uint32_t d, uint32_t which, pf_onednn_args *args)
{
    static const int names[] = { DNNL_ARG_SRC_ITER, DNNL_ARG_SRC_ITER_C };
    pf_value_id      value = operand(node_of(p), INITIAL_H + which);
    size_t           offset = d * state_bytes(&impl->op);

    if (value == PF_NONE)
        return;
    if (is_constant(p, value))
        pf_onednn_args_add(args, names[which], PF_ONEDNN_PACKED, 0, impl->initial_at[which] + offset, &impl->op.state);
    else
        pf_onednn_args_add(args, names[which], PF_ONEDNN_IN, pf_problem_input_index(p, value), offset, &impl->op.state);
}

static void add_result(const rnn_impl *impl, uint32_t i, int name, size_t offset, const dnnl_memory_desc_t *desc,
                       pf_onednn_args *args)
{
    if (impl->outs[i] == UINT32_MAX || (i == Y && impl->op.directions > 1))
        pf_onednn_args_add(args, name, PF_ONEDNN_WORKSPACE, 0, impl->out_at[i] + offset, desc);
    else
        pf_onednn_args_add(args, name, PF_ONEDNN_OUT, impl->outs[i], offset, desc);
}

static void fill_args(const pf_problem *p, const rnn_impl *impl, uint32_t d, const_dnnl_primitive_desc_t desc,
                      pf_onednn_args *args)
{
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    const rnn_op             *o = &impl->op;

    pf_onednn_args_add(args, DNNL_ARG_SRC_LAYER, PF_ONEDNN_IN, pf_problem_input_index(p, node_of(p)->in[X]), 0, &o->x);
    add_state(p, impl, d, 0, args);
    if (o->k->op == PF_OP_LSTM)
        add_state(p, impl, d, 1, args);
    pf_onednn_args_add(args, DNNL_ARG_WEIGHTS_LAYER, PF_ONEDNN_PACKED, 0, impl->weights_x_at[d], &o->weights_x);
    pf_onednn_args_add(args, DNNL_ARG_WEIGHTS_ITER, PF_ONEDNN_PACKED, 0, impl->weights_h_at[d], &o->weights_h);
    pf_onednn_args_add(args, DNNL_ARG_BIAS, PF_ONEDNN_PACKED, 0, impl->bias_at[d], &o->bias);
    add_result(impl, Y, DNNL_ARG_DST_LAYER, 0, &o->y, args);
    add_result(impl, Y_H, DNNL_ARG_DST_ITER, d * state_bytes(o), &o->state, args);
    if (o->k->op == PF_OP_LSTM)
        add_result(impl, Y_C, DNNL_ARG_DST_ITER_C, d * state_bytes(o), &o->state, args);
    if (scratch && dnnl_memory_desc_get_size(scratch))
        pf_onednn_args_add(args, DNNL_ARG_SCRATCHPAD, PF_ONEDNN_WORKSPACE, 0, 0, scratch);
}

static pf_status choose(const pf_device *device, const rnn_op *o, const pf_onednn_tuning *tuning,
                        dnnl_primitive_desc_t *out, pf_err *err)
{
    dnnl_primitive_attr_t attr = NULL;
    pf_status             st = pf_onednn_attr(&attr, err);

    for (uint32_t d = 0; d < o->directions && !st; d++)
        st = pf_onednn_choose(device, &o->desc[d], attr, tuning->impl, true, &out[d], err);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

/* A form that is no arrangement in blocks depends on how many threads run, which a plan's bytes must not. */
static pf_status take_forms(rnn_op *o, const_dnnl_primitive_desc_t desc, pf_err *err)
{
    const dnnl_memory_desc_t *x = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    const dnnl_memory_desc_t *h = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 1);

    if (!x || !h || x->format_kind != dnnl_blocked || h->format_kind != dnnl_blocked)
        return PF_FAIL(err, PF_UNSUPPORTED, "oneDNN packs these weights for one number of threads");
    o->weights_x = *x;
    o->weights_h = *h;
    return PF_OK;
}

static pf_status make_ops(const pf_problem *p, rnn_impl *impl, const dnnl_primitive_desc_t *descs, size_t *workspace,
                          pf_err *err)
{
    pf_status st = take_forms(&impl->op, descs[0], err);

    for (uint32_t d = 0; d < impl->op.directions; d++)
        *workspace = pf_onednn_scratch_bytes(descs[d]) > *workspace ? pf_onednn_scratch_bytes(descs[d]) : *workspace;
    if (!st) {
        find_outputs(p, impl);
        place(p, impl, workspace);
    }
    for (uint32_t d = 0; d < impl->op.directions && !st; d++) {
        pf_onednn_args args = { .count = 0 };

        fill_args(p, impl, d, descs[d], &args);
        st = pf_onednn_op_new(impl->device, descs[d], &args, PF_ONEDNN_AT_ONCE, &impl->ops[d], err);
    }
    return st;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step              *step = pf_step_new(&pf_tactic_onednn_rnn, sizeof(rnn_impl));
    rnn_impl             *impl = step ? step->impl : NULL;
    dnnl_primitive_desc_t descs[DIRECTIONS] = { NULL };
    pf_onednn_tuning      choice;
    pf_status             st = step ? pf_onednn_tuning_read(tuning, &choice, err) : PF_FAIL_MEMORY(err, sizeof *impl);

    (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!st) {
        impl->device = device;
        st = describe(p, choice.fixed, &impl->op, err);
    }
    if (!st)
        st = choose(device, &impl->op, &choice, descs, err);
    if (!st)
        st = make_ops(p, impl, descs, &step->workspace_bytes, err);
    for (uint32_t d = 0; d < DIRECTIONS; d++)
        if (descs[d])
            dnnl_primitive_desc_destroy(descs[d]);
    if (st) {
        pf_step_free(step);
        return st;
    }
    step->packed_bytes = impl->packed_bytes;
    *out = step;
    return PF_OK;
}

/* ---- Weights */

static pf_status pack_weights(const rnn_impl *impl, const float *from, int64_t columns,
                              const dnnl_memory_desc_t *to_desc, void *to, pf_err *err)
{
    const rnn_op      *o = &impl->op;
    const dnnl_dims_t  dims = { 1, 1, columns, o->k->gates, o->hidden };
    size_t             gate = (size_t)(o->hidden * columns);
    float             *ordered = pf_alloc(gate * (size_t)o->k->gates * sizeof *ordered);
    dnnl_memory_desc_t from_desc;
    dnnl_status_t      status = describe_tensor(&from_desc, 5, dims, dnnl_ldgoi);
    pf_status          st = ordered ? PF_OK : PF_FAIL_MEMORY(err, gate * (size_t)o->k->gates * sizeof *ordered);

    if (!st && status)
        st = pf_onednn_fail(status, "describe weights", err);
    for (int32_t g = 0; g < o->k->gates && !st; g++)
        memcpy(ordered + (size_t)g * gate, from + (size_t)o->k->gate_from[g] * gate, gate * sizeof *ordered);
    if (!st)
        st = pf_onednn_reorder(impl->device, &from_desc, ordered, to_desc, to, err);
    pf_free(ordered);
    return st;
}

static void pack_bias(const rnn_op *o, const float *from, float *to)
{
    int64_t      rows = o->k->gates * o->hidden;
    const float *of_h = from + rows;

    for (int32_t g = 0; g < o->k->gates; g++)
        for (int64_t i = 0; i < o->hidden; i++) {
            int64_t at = o->k->gate_from[g] * o->hidden + i;
            bool    apart = o->biases > o->k->gates && g == o->k->gates - 1;

            to[g * o->hidden + i] = from[at] + (apart ? 0 : of_h[at]);
            if (apart)
                to[(g + 1) * o->hidden + i] = of_h[at];
        }
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    const rnn_impl *impl = step->impl;
    const rnn_op   *o = &impl->op;
    const pf_node  *node = node_of(p);
    const float    *w = pf_onednn_constant(p, constants, node->in[W]),
                   *r = pf_onednn_constant(p, constants, node->in[R]);
    const float    *bias = operand(node, BIAS) == PF_NONE ? NULL : pf_onednn_constant(p, constants, node->in[BIAS]);
    int64_t         rows = o->k->gates * o->hidden;
    char           *to = packed;
    pf_status       st = PF_OK;

    memset(packed, 0, impl->packed_bytes);      /* the gaps too: a plan's bytes are the same each time */
    for (uint32_t d = 0; d < o->directions && !st; d++) {
        st = pack_weights(impl, w + d * rows * o->input, o->input, &o->weights_x, to + impl->weights_x_at[d], err);
        if (!st)
            st = pack_weights(impl, r + d * rows * o->hidden, o->hidden, &o->weights_h, to + impl->weights_h_at[d],
                              err);
        if (bias)
            pack_bias(o, bias + d * 2 * rows, (float *)(void *)(to + impl->bias_at[d]));
    }
    for (uint32_t i = 0; i < 2; i++)
        if (operand(node, INITIAL_H + i) != PF_NONE && is_constant(p, node->in[INITIAL_H + i]))
            memcpy(to + impl->initial_at[i], pf_onednn_constant(p, constants, node->in[INITIAL_H + i]),
                   o->directions * state_bytes(o));
    return st;
}

/* ---- Running */

/* Of two directions each has its own rows: [seq, directions, batch, hidden]. */
static void spread_rows(const rnn_impl *impl, uint32_t d, const pf_bindings *b)
{
    const rnn_op *o = &impl->op;
    size_t        row = state_bytes(o);
    const char   *from = (const char *)b->workspace + impl->out_at[Y];
    char         *to = (char *)b->out[impl->outs[Y]] + d * row;

    for (int64_t t = 0; t < o->seq; t++)
        memcpy(to + (size_t)t * o->directions * row, from + (size_t)t * row, row);
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const rnn_impl *impl = step->impl;
    pf_status       st = PF_OK;

    pf_stream_cpu_enter(stream);
    for (uint32_t d = 0; d < impl->op.directions && !st; d++) {
        st = pf_onednn_op_run(impl->ops[d], b, stream, err);
        if (!st && impl->op.directions > 1 && impl->outs[Y] != UINT32_MAX)
            spread_rows(impl, d, b);
    }
    return st;
}

static void release(pf_step *step)
{
    rnn_impl *impl = step->impl;

    for (uint32_t d = 0; d < DIRECTIONS; d++)
        pf_onednn_op_free(impl->ops[d]);
    pf_free(impl);
}

const pf_tactic pf_tactic_onednn_rnn = {
    .name = "onednn_rnn", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .pack = pack, .enqueue = enqueue,
    .release = release,
};
