/* An epilogue as oneDNN's post-ops. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "engine/onednn.h"

enum { POST_OPS_LIMIT = 20, PACK_ALIGNMENT = 64 };

/* Which of an item's numbers stands for alpha and beta. */
typedef enum number { ZERO, ONE, MINUS_ONE, P, Q } number;

static const struct unary_row { pf_op_kind op; dnnl_alg_kind_t alg; number alpha, beta; } unary_rows[] = {
    { PF_OP_RELU,       dnnl_eltwise_relu, ZERO, ZERO },
    { PF_OP_LEAKY_RELU, dnnl_eltwise_relu, P, ZERO },
    { PF_OP_CLIP,       dnnl_eltwise_clip, P, Q },
    { PF_OP_ELU,        dnnl_eltwise_elu, P, ZERO },
    { PF_OP_SIGMOID,    dnnl_eltwise_logistic, ZERO, ZERO },
    { PF_OP_TANH,       dnnl_eltwise_tanh, ZERO, ZERO },
    { PF_OP_SWISH,      dnnl_eltwise_swish, P, ZERO },
    { PF_OP_HARD_SWISH, dnnl_eltwise_hardswish, ZERO, ZERO },
    { PF_OP_HARD_SIGMOID, dnnl_eltwise_linear, P, Q },          /* then clipped to 0..1 */
    { PF_OP_GELU,       dnnl_eltwise_gelu_erf, ZERO, ZERO },
    { PF_OP_GELU_TANH,  dnnl_eltwise_gelu_tanh, ZERO, ZERO },
    { PF_OP_MISH,       dnnl_eltwise_mish, ZERO, ZERO },
    { PF_OP_SOFTPLUS,   dnnl_eltwise_soft_relu, ZERO, ZERO },
    { PF_OP_EXP,        dnnl_eltwise_exp, ZERO, ZERO },
    { PF_OP_ABS,        dnnl_eltwise_abs, ZERO, ZERO },
    { PF_OP_SQRT,       dnnl_eltwise_sqrt, ZERO, ZERO },
    { PF_OP_NEG,        dnnl_eltwise_linear, MINUS_ONE, ZERO },
};

static const struct binary_row { pf_op_kind op; dnnl_alg_kind_t alg; } binary_rows[] = {
    { PF_OP_ADD, dnnl_binary_add }, { PF_OP_SUB, dnnl_binary_sub }, { PF_OP_MUL, dnnl_binary_mul },
    { PF_OP_DIV, dnnl_binary_div }, { PF_OP_MAX, dnnl_binary_max }, { PF_OP_MIN, dnnl_binary_min },
};

static const struct unary_row *find_unary(pf_op_kind op)
{
    for (size_t i = 0; i < sizeof unary_rows / sizeof unary_rows[0]; i++)
        if (unary_rows[i].op == op)
            return &unary_rows[i];
    return NULL;
}

static const struct binary_row *find_binary(pf_op_kind op)
{
    for (size_t i = 0; i < sizeof binary_rows / sizeof binary_rows[0]; i++)
        if (binary_rows[i].op == op)
            return &binary_rows[i];
    return NULL;
}

/* An operand that is a number makes the op linear, or a clip.  False: there is no such form. */
static bool scalar_form(const pf_epilogue_item *item, dnnl_alg_kind_t *alg, float *alpha, float *beta)
{
    float c = (float)item->scalar;

    *alg = dnnl_eltwise_linear;
    *alpha = 1;
    *beta = 0;
    switch (item->op) {
    case PF_OP_ADD:
        *beta = c;
        return true;
    case PF_OP_SUB:
        *alpha = item->operand_first ? -1.0f : 1.0f;
        *beta = item->operand_first ? c : -c;
        return true;
    case PF_OP_MUL:
        *alpha = c;
        return true;
    case PF_OP_DIV:
        *alpha = 1.0f / c;
        return !item->operand_first && c != 0;
    case PF_OP_MAX:
        *alg = dnnl_eltwise_clip;
        *alpha = c;
        *beta = INFINITY;
        return true;
    case PF_OP_MIN:
        *alg = dnnl_eltwise_clip;
        *alpha = -INFINITY;
        *beta = c;
        return true;
    default:
        return false;
    }
}

/* The channel axis of the result, as counted in the shape that an item works on: reshapes in between keep the last
   dims. */
static int32_t axis_of_item(const pf_problem *p, const pf_epilogue *chain, const pf_epilogue_item *item, int32_t axis)
{
    return axis - pf_graph_value(p->graph, chain->result)->shape.rank +
           pf_graph_value(p->graph, item->value)->shape.rank;
}

static const char *operand_declines(const pf_problem *p, const pf_epilogue *chain, const pf_epilogue_item *item,
                                    int32_t axis)
{
    const pf_value *operand = pf_graph_value(p->graph, item->operand), *result = pf_graph_value(p->graph, item->value);
    pf_spread       spread = pf_spread_of(&operand->shape, &result->shape, axis_of_item(p, chain, item, axis));
    uint32_t        input = pf_problem_input_index(p, item->operand);

    if (operand->dtype != PF_F32)
        return "an operand of the epilogue is not f32";
    if (input == UINT32_MAX && !operand->is_constant)
        return "an operand of the epilogue is computed beside it";
    if (item->operand_first && item->op == PF_OP_DIV)
        return "the epilogue divides by the result";
    if (spread == PF_SPREAD_OTHER)
        return "an operand of the epilogue is broadcast in a way that oneDNN lacks";
    if (spread == PF_SPREAD_FULL)
        return input == UINT32_MAX || p->in_constant[input] ? "an operand of the epilogue is a whole constant"
               : p->in_layout[input] != p->out_layout[0]
                   ? "an operand of the epilogue has another layout than the result"
                   : NULL;
    if (input != UINT32_MAX && !p->in_constant[input] &&
        !pf_layout_same_bytes(p->in_layout[input], PF_LAYOUT_LINEAR, &operand->shape))
        return "a broadcast operand of the epilogue is not linear";
    return NULL;
}

/* ---- Which post-ops a chain becomes */

/* One function, or the operands of items first..last one after the other. */
typedef struct post_op {
    bool            is_function;
    dnnl_alg_kind_t alg;
    float           alpha, beta;
    uint32_t        first, last;        /* items of the chain that it stands for */
} post_op;

typedef struct post_op_list { uint32_t count; post_op at[POST_OPS_LIMIT]; } post_op_list;

static const char *push_post_op(post_op_list *list, const post_op *op)
{
    post_op *before = list->count ? &list->at[list->count - 1] : NULL;

    if (before && before->is_function && op->is_function && before->alg == dnnl_eltwise_linear &&
        op->alg == dnnl_eltwise_linear) {
        before->alpha *= op->alpha;                     /* a2 (a1 x + b1) + b2 */
        before->beta = before->beta * op->alpha + op->beta;
        before->last = op->last;
        return NULL;
    }
    if (list->count == POST_OPS_LIMIT)
        return "the epilogue is too long for oneDNN";
    list->at[list->count++] = *op;
    return NULL;
}

static float number_of(const pf_epilogue_item *item, number which)
{
    const float values[] = { [ZERO] = 0, [ONE] = 1, [MINUS_ONE] = -1, [P] = (float)item->p, [Q] = (float)item->q };

    return values[which];
}

static const char *push_item(post_op_list *list, const pf_epilogue *chain, uint32_t i)
{
    const pf_epilogue_item *item = &chain->items[i];
    const struct unary_row *row = item->operand == PF_NONE ? find_unary(item->op) : NULL;
    post_op                 op = { .first = i, .last = i }, upper = { true, dnnl_eltwise_clip, 0, 1, i, i };
    const char             *reason = NULL;

    if (item->operand == PF_NONE && !row)
        return "oneDNN has no such op for an epilogue";
    if (row) {
        op = (post_op){ true, row->alg, number_of(item, row->alpha), number_of(item, row->beta), i, i };
        reason = push_post_op(list, &op);
        return reason || item->op != PF_OP_HARD_SIGMOID ? reason : push_post_op(list, &upper);
    }
    op.is_function = item->is_scalar && scalar_form(item, &op.alg, &op.alpha, &op.beta);
    if (!op.is_function && !find_binary(item->op))
        return "oneDNN has no such op for an epilogue";
    return push_post_op(list, &op);
}

/* oneDNN (2.6, its brgemm kernels) gives two functions of one kind in one primitive the numbers of the first: relu, *a,
   tanh, +b comes out wrong.  A later one with other numbers takes its numbers as operands instead. */
static bool is_mixed_up(const post_op_list *list, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (list->at[k].is_function && list->at[i].is_function && list->at[k].alg == list->at[i].alg &&
            (list->at[k].alpha != list->at[i].alpha || list->at[k].beta != list->at[i].beta))
            return true;
    return false;
}

static const char *list_post_ops(const pf_epilogue *chain, post_op_list *list)
{
    const char *reason = NULL;

    list->count = 0;
    for (uint32_t i = 0; i < chain->count && !reason; i++)
        reason = push_item(list, chain, i);
    for (uint32_t i = 0; i < list->count && !reason; i++) {
        if (!is_mixed_up(list, i))
            continue;
        list->at[i].is_function = false;
        for (uint32_t k = list->at[i].first; k <= list->at[i].last; k++)
            if (chain->items[k].operand == PF_NONE || !find_binary(chain->items[k].op))
                reason = "oneDNN mixes up two functions of one kind";
    }
    return reason;
}

const char *pf_onednn_epilogue_declines(const pf_problem *p, const pf_epilogue *chain, int32_t axis)
{
    post_op_list list = { 0 };
    const char  *reason = list_post_ops(chain, &list);

    for (uint32_t i = 0; i < list.count && !reason; i++)
        for (uint32_t k = list.at[i].first; k <= list.at[i].last && !list.at[i].is_function && !reason; k++)
            reason = operand_declines(p, chain, &chain->items[k], axis);
    return reason;
}

/* ---- Making the attributes */
pf_status pf_onednn_attr(dnnl_primitive_attr_t *out, pf_err *err)
{
    dnnl_status_t status = dnnl_primitive_attr_create(out);

    if (status)
        return pf_onednn_fail(status, "make attributes", err);
    status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    return status ? pf_onednn_fail(status, "make attributes", err) : PF_OK;
}

typedef struct maker {
    const pf_problem   *p;
    const pf_epilogue  *chain;
    const pf_shape     *shape;
    int32_t             axis;
    const dnnl_memory_desc_t *full;
    bool                use_sum;
    size_t             *packed_bytes;
    dnnl_post_ops_t     ops;
    int                 count;          /* post-ops so far */
    pf_onednn_epilogue *out;
} maker;

static dnnl_status_t add_eltwise(maker *m, dnnl_alg_kind_t alg, float alpha, float beta)
{
    m->count++;
    return dnnl_post_ops_append_eltwise(m->ops, 1.0f, alg, alpha, beta);
}

static pf_status operand_desc(const maker *m, pf_spread spread, pf_dtype dtype, dnnl_memory_desc_t *out, pf_err *err)
{
    int64_t dim[PF_MAX_RANK] = { 0 };

    if (spread == PF_SPREAD_FULL) {
        *out = *m->full;
        return PF_OK;
    }
    for (int32_t i = 0; i < m->shape->rank; i++)
        dim[i] = spread == PF_SPREAD_CHANNEL && i == m->axis ? m->shape->dim[i] : 1;
    return pf_onednn_desc(PF_LAYOUT_LINEAR, dtype, m->shape->rank, dim, out, err);
}

static void add_operand(maker *m, pf_value_id value, const dnnl_memory_desc_t *desc)
{
    uint32_t input = pf_problem_input_index(m->p, value);
    int      name = DNNL_ARG_ATTR_MULTIPLE_POST_OP(m->count) | DNNL_ARG_SRC_1;

    if (input != UINT32_MAX && !m->p->in_constant[input]) {
        pf_onednn_args_add(&m->out->args, name, PF_ONEDNN_IN, input, 0, desc);
        return;
    }
    *m->packed_bytes = (*m->packed_bytes + PACK_ALIGNMENT - 1) / PACK_ALIGNMENT * PACK_ALIGNMENT;
    pf_onednn_args_add(&m->out->args, name, PF_ONEDNN_PACKED, value, *m->packed_bytes, desc);
    *m->packed_bytes += dnnl_memory_desc_get_size(desc);
}

static int32_t result_axis(const maker *m, const pf_shape *result)
{
    return result->rank - (m->shape->rank - m->axis);       /* a flattened result keeps its last dims */
}

static pf_status add_binary(maker *m, const pf_epilogue_item *item, pf_err *err)
{
    const pf_value    *operand = pf_graph_value(m->p->graph, item->operand),
                      *result = pf_graph_value(m->p->graph, item->value);
    pf_spread          spread = pf_spread_of(&operand->shape, &result->shape, result_axis(m, &result->shape));
    dnnl_alg_kind_t    alg = find_binary(item->op)->alg;
    dnnl_memory_desc_t desc;
    dnnl_status_t      status = dnnl_success;
    pf_status          st = operand_desc(m, spread, operand->dtype, &desc, err);

    if (st)
        return st;
    m->out->has_full_operand |= spread == PF_SPREAD_FULL;
    if (m->use_sum && spread == PF_SPREAD_FULL && item->op == PF_OP_ADD && m->out->sum_input < 0) {
        m->out->sum_input = (int32_t)pf_problem_input_index(m->p, item->operand);
        m->count++;
        status = dnnl_post_ops_append_sum(m->ops, 1.0f);
        return status ? pf_onednn_fail(status, "append a sum to an operation", err) : PF_OK;
    }
    if (item->op == PF_OP_SUB && item->operand_first) {     /* operand - x = (-x) + operand */
        status = add_eltwise(m, dnnl_eltwise_linear, -1, 0);
        alg = dnnl_binary_add;
    }
    if (!status) {
        add_operand(m, item->operand, &desc);
        m->count++;
        status = dnnl_post_ops_append_binary(m->ops, alg, &desc);
    }
    return status ? pf_onednn_fail(status, "append an operand to an operation", err) : PF_OK;
}

static pf_status add_post_op(maker *m, const post_op *op, pf_err *err)
{
    dnnl_status_t status = dnnl_success;
    pf_status     st = PF_OK;

    if (op->is_function) {
        status = add_eltwise(m, op->alg, op->alpha, op->beta);
        return status ? pf_onednn_fail(status, "append a function to an operation", err) : PF_OK;
    }
    for (uint32_t k = op->first; k <= op->last && !st; k++) {
        if (m->count >= POST_OPS_LIMIT)
            return PF_FAIL(err, PF_UNSUPPORTED, "an epilogue of more than %d ops", POST_OPS_LIMIT);
        st = add_binary(m, &m->chain->items[k], err);
    }
    return st;
}

pf_status pf_onednn_epilogue_make(const pf_problem *p, const pf_epilogue *chain, const pf_shape *shape, int32_t axis,
                                  const dnnl_memory_desc_t *full, bool use_sum, size_t *packed_bytes,
                                  pf_onednn_epilogue *out, pf_err *err)
{
    maker         m = { p, chain, shape, axis, full, use_sum, packed_bytes, NULL, 0, out };
    dnnl_status_t status = dnnl_success;
    post_op_list  list = { 0 };
    const char   *reason = list_post_ops(chain, &list);
    pf_status     st = PF_OK;

    *out = (pf_onednn_epilogue){ .sum_input = -1 };
    st = reason ? PF_FAIL(err, PF_UNSUPPORTED, "%s", reason) : pf_onednn_attr(&out->attr, err);
    if (!st) {
        status = dnnl_post_ops_create(&m.ops);
        st = status ? pf_onednn_fail(status, "make post-ops", err) : PF_OK;
    }
    for (uint32_t i = 0; i < list.count && !st; i++)
        st = add_post_op(&m, &list.at[i], err);
    if (!st && m.count) {
        status = dnnl_primitive_attr_set_post_ops(out->attr, m.ops);
        st = status ? pf_onednn_fail(status, "set an epilogue", err) : PF_OK;
    }
    if (m.ops)
        dnnl_post_ops_destroy(m.ops);
    if (st)
        pf_onednn_epilogue_clear(out);
    return st;
}

void pf_onednn_epilogue_clear(pf_onednn_epilogue *epilogue)
{
    if (epilogue->attr)
        dnnl_primitive_attr_destroy(epilogue->attr);
    *epilogue = (pf_onednn_epilogue){ .sum_input = -1 };
}

const void *pf_onednn_constant(const pf_problem *p, const pf_tensor *constants, pf_value_id value)
{
    const pf_value *v = pf_graph_value(p->graph, value);

    return v->is_constant ? v->constant.data : constants[pf_problem_input_index(p, value)].data;
}

void pf_onednn_epilogue_pack(const pf_problem *p, const pf_onednn_args *args, const pf_tensor *constants, void *packed)
{
    for (uint32_t i = 0; i < args->count; i++)
        if (args->at[i].place == PF_ONEDNN_PACKED)
            memcpy((char *)packed + args->at[i].offset, pf_onednn_constant(p, constants, args->at[i].slot),
                   dnnl_memory_desc_get_size(&args->at[i].desc));
}

void pf_onednn_prefill(const pf_stream *stream, const void *operand, void *destination, size_t bytes)
{
    size_t part = (bytes / (size_t)pf_stream_cpu_threads(stream) + 4095) / 4096 * 4096;

    if (operand == destination)
        return;
#pragma omp parallel for schedule(static)
    for (size_t at = 0; at < bytes; at += part)
        memcpy((char *)destination + at, (const char *)operand + at, bytes - at < part ? bytes - at : part);
}
