/* Matrix products with bias and epilogue by oneDNN: as a matmul, and with constant weights also as an inner product ("
   ip"). Matrices of a batch may be read and written through windows: the transposes and reshapes round an attention's
   products cost nothing. */
#include <string.h>

#include "engine/onednn_weighted.h"
#include "engine/ops/attrs.h"
#include "engine/strided.h"

/* A product of concrete dims, as oneDNN is told of it. */
typedef struct product {
    pf_strided  a, b, y;                /* y: as the result of the epilogue is written */
    pf_value_id bias;                   /* PF_NONE: none */
    bool        trans_a, trans_b;
    bool        flat;                   /* all rows of a against one matrix b */
    pf_epilogue chain;
} product;

static bool is_constant_input(const pf_problem *p, pf_value_id value)
{
    uint32_t input = pf_problem_input_index(p, value);

    return input != UINT32_MAX && p->in_constant[input];
}

static bool is_activation(const pf_problem *p, pf_value_id value)
{
    uint32_t input = pf_problem_input_index(p, value);

    return input != UINT32_MAX && !p->in_constant[input];
}

static void push_front(pf_epilogue *chain, pf_epilogue_item item)
{
    memmove(&chain->items[1], &chain->items[0], chain->count * sizeof chain->items[0]);
    chain->items[0] = item;
    chain->count++;
}

/* alpha and c of a gemm: a bias where that is all there is, otherwise ops in front of the epilogue. */
static const char *read_gemm(const pf_problem *p, const pf_node *node, product *out)
{
    const pf_gemm_attrs *attrs = node->attrs;
    pf_value_id          c = node->in_count > 2 && attrs->beta != 0 ? node->in[2] : PF_NONE;
    pf_spread            spread = c == PF_NONE ? PF_SPREAD_OTHER
                                               : pf_spread_of(pf_problem_shape(p, c),
                                                              pf_problem_shape(p, node->out[0]), 1);

    out->trans_a = attrs->trans_a != 0;
    out->trans_b = attrs->trans_b != 0;
    if (c != PF_NONE && attrs->beta != 1)
        return "beta is neither 0 nor 1";
    if (c != PF_NONE && spread == PF_SPREAD_OTHER)
        return "c is broadcast along the columns";
    if (out->chain.count + 2 > PF_EPILOGUE_LIMIT)
        return "the epilogue is too long";
    if (c != PF_NONE && attrs->alpha == 1 && spread == PF_SPREAD_CHANNEL && is_constant_input(p, c))
        out->bias = c;
    else if (c != PF_NONE)
        push_front(&out->chain, (pf_epilogue_item){ .op = PF_OP_ADD, .value = node->out[0], .operand = c });
    if (attrs->alpha != 1)
        push_front(&out->chain, (pf_epilogue_item){ .op = PF_OP_MUL,
                                                    .value = node->out[0],
                                                    .operand = node->in[0],
                                                    .is_scalar = true,
                                                    .scalar = attrs->alpha });
    return NULL;
}

static const char *read_product(const pf_problem *p, product *out)
{
    const pf_node           *node = pf_problem_anchor(p);
    const pf_matmul_attrs   *attrs = node->attrs;
    const char              *reason = NULL;

    *out = (product){ .bias = PF_NONE };
    if (node->op != PF_OP_MATMUL && node->op != PF_OP_GEMM)
        return "not a matrix product";
    reason = pf_strided_read(p, node->in[0], &out->a);
    if (!reason)
        reason = pf_strided_read(p, node->in[1], &out->b);
    if (!reason)
        reason = pf_epilogue_read_to_moves(p, node->out[0], &out->chain);
    if (!reason)
        reason = pf_strided_write(p, out->chain.result, &out->y);
    if (reason)
        return reason;
    if (node->op == PF_OP_GEMM) {
        reason = read_gemm(p, node, out);
    } else {
        out->trans_a = attrs->trans_a != 0;
        out->trans_b = attrs->trans_b != 0;
    }
    out->flat = out->b.rank == 2 && !(out->trans_a && out->a.rank > 2);
    return reason;
}

static bool all_linear(const pf_problem *p)
{
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (!pf_layout_same_bytes(p->in_layout[i], PF_LAYOUT_LINEAR, pf_problem_shape(p, p->graph->inputs[i])))
            return false;
    return p->out_layout[0] == PF_LAYOUT_LINEAR;
}

/* oneDNN's fast kernels want rows or columns that are contiguous. */
static bool is_matrix(const pf_strided *x)
{
    return x->unit >= x->rank - 2;
}

static bool has_whole_operand(const pf_problem *p, const pf_epilogue *chain)
{
    for (uint32_t i = 0; i < chain->count; i++)
        if (chain->items[i].operand != PF_NONE && !chain->items[i].is_scalar
            && pf_shape_equal(pf_problem_shape(p, chain->items[i].operand), pf_problem_shape(p, chain->items[i].value)))
            return true;
    return false;
}

static const char *windows_decline(const pf_problem *p, const product *m)
{
    bool moved = !m->a.dense || !m->b.dense || !m->y.dense;

    if (!is_matrix(&m->a) || !is_matrix(&m->b) || m->y.unit != m->y.rank - 1)
        return "rows and columns are both strided";
    if (m->flat && moved)
        return "one product over rows that are strided";
    if (!m->flat &&
        pf_problem_shape(p, m->chain.result)->rank != pf_problem_shape(p, pf_problem_anchor(p)->out[0])->rank)
        return "a reshape in the epilogue of a batch of products";
    if (!m->y.dense && has_whole_operand(p, &m->chain))
        return "a whole operand of a result that is moved";
    if (is_constant_input(p, m->b.base) && m->b.steps)
        return "weights that are moved";
    return NULL;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    product     m;
    const char *reason = read_product(p, &m);

    (void)device;
    if (reason)
        return reason;
    if (pf_graph_value(p->graph, m.a.base)->dtype != PF_F32 || pf_graph_value(p->graph, m.b.base)->dtype != PF_F32)
        return "not f32";
    if (m.a.rank < 2 || m.b.rank < 2)
        return "a vector";
    if (!is_activation(p, m.a.base))
        return "the left matrix is a constant, or computed inside";
    if (pf_problem_input_index(p, m.b.base) == UINT32_MAX)
        return "the right matrix is computed inside";
    if (!all_linear(p))
        return "not linear";
    reason = windows_decline(p, &m);
    return reason ? reason : pf_onednn_epilogue_declines(p, &m.chain, pf_problem_shape(p, m.chain.result)->rank - 1);
}

/* ---- The operation */
typedef struct matrix { int32_t rank; int64_t dim[PF_MAX_RANK], stride[PF_MAX_RANK]; } matrix;

/* Dims of a window with the last two swapped where asked, padded in front to `rank`, and the strides that go with
   them. */
static matrix matrix_of(const pf_strided *x, bool swap, int32_t rank)
{
    matrix m = { .rank = rank };

    for (int32_t i = 0; i < rank; i++) {
        int32_t from = i - (rank - x->rank);

        m.dim[i] = from >= 0 ? x->dim[from] : 1;
        m.stride[i] = from >= 0 ? x->stride[from] : x->dim[0] * x->stride[0];
    }
    if (swap) {
        int64_t dim = m.dim[rank - 1], stride = m.stride[rank - 1];

        m.dim[rank - 1] = m.dim[rank - 2], m.stride[rank - 1] = m.stride[rank - 2];
        m.dim[rank - 2] = dim, m.stride[rank - 2] = stride;
    }
    return m;
}

/* May the first dims be stepped through as one, down to `keep`?  Dims of one element are nowhere in between. */
static bool front_merges(const matrix *m, int32_t keep)
{
    int32_t outer = -1;

    for (int32_t d = 0; d <= m->rank - keep; d++) {
        if (m->dim[d] == 1)
            continue;
        if (outer >= 0 && m->stride[outer] != m->stride[d] * m->dim[d])
            return false;
        outer = d;
    }
    return true;
}

static void merge_front(matrix *m, int32_t keep)
{
    while (m->rank > keep) {
        if (m->dim[1] == 1)
            m->stride[1] = m->stride[0];
        m->dim[1] *= m->dim[0];
        m->rank--;
        memmove(m->dim, m->dim + 1, (size_t)m->rank * sizeof m->dim[0]);
        memmove(m->stride, m->stride + 1, (size_t)m->rank * sizeof m->stride[0]);
    }
}

static bool same_batch(const matrix *a, const matrix *b)
{
    return memcmp(a->dim, b->dim, (size_t)(a->rank - 2) * sizeof a->dim[0]) == 0;
}

static pf_status strided(const matrix *m, dnnl_memory_desc_t *out, pf_err *err)
{
    dnnl_dims_t   dims = { 0 }, strides = { 0 };
    dnnl_status_t status = dnnl_success;

    memcpy(dims, m->dim, (size_t)m->rank * sizeof *dims);
    memcpy(strides, m->stride, (size_t)m->rank * sizeof *strides);
    status = dnnl_memory_desc_init_by_strides(out, m->rank, dims, dnnl_f32, strides);
    return status ? pf_onednn_fail(status, "describe a matrix", err) : PF_OK;
}

/* The three matrices with as few dims as the case allows. */
static void shape_matrices(const product *m, matrix *a, matrix *b, matrix *y)
{
    int32_t rank = m->y.rank;

    *a = matrix_of(&m->a, m->trans_a, m->flat ? m->a.rank : rank);
    *b = matrix_of(&m->b, m->trans_b, m->flat ? 2 : rank);
    *y = matrix_of(&m->y, false, rank);
    if (m->flat) {
        merge_front(a, 2);
        merge_front(y, 2);
    } else if (rank > 3 && same_batch(a, b) && front_merges(a, 3) && front_merges(b, 3) && front_merges(y, 3)) {
        merge_front(a, 3);
        merge_front(b, 3);
        merge_front(y, 3);
    }
}

static pf_status describe_bias(const product *m, const matrix *y, bool inner, pf_onednn_weighted *w, pf_err *err)
{
    matrix bias = { .rank = inner ? 1 : y->rank };

    w->bias = m->bias;
    if (m->bias == PF_NONE)
        return PF_OK;
    for (int32_t i = 0; i < bias.rank; i++)
        bias.dim[i] = i == bias.rank - 1 ? y->dim[y->rank - 1] : 1,
        bias.stride[i] = i == bias.rank - 1 ? 1 : y->dim[y->rank - 1];
    return strided(&bias, &w->bias_desc, err);
}

static pf_status describe_matrices(const pf_problem *p, const product *m, bool inner, pf_onednn_weighted *w, matrix *b,
                                   matrix *y, pf_err *err)
{
    matrix    a;
    pf_status st = PF_OK;

    shape_matrices(m, &a, b, y);
    if (inner) {                                /* oneDNN wants outputs by inputs there */
        matrix n = { 2, { b->dim[1], b->dim[0] }, { b->stride[1], b->stride[0] } };

        *b = n;
    }
    w->source_slot = pf_problem_input_index(p, m->a.base);
    w->weights = is_constant_input(p, m->b.base) ? m->b.base : PF_NONE;
    w->weights_slot = pf_problem_input_index(p, m->b.base);
    w->source_at = (size_t)m->a.offset * sizeof(float);
    w->weights_in_at = (size_t)m->b.offset * sizeof(float);
    st = strided(&a, &w->source_desc, err);
    if (!st)
        st = strided(b, &w->weights_from, err);
    if (!st)
        st = strided(y, &w->result_desc, err);
    return st ? st : describe_bias(m, y, inner, w, err);
}

static dnnl_status_t describe_op(bool inner, const dnnl_memory_desc_t *weights, pf_onednn_described *out)
{
    const pf_onednn_weighted *w = &out->w;
    const dnnl_memory_desc_t *bias = w->bias == PF_NONE ? NULL : &w->bias_desc;

    if (inner)
        return dnnl_inner_product_forward_desc_init(&out->desc.inner, dnnl_forward_inference, &w->source_desc, weights,
                                                    bias, &w->result_desc);
    return dnnl_matmul_desc_init(&out->desc.matmul, &w->source_desc, weights, bias, &w->result_desc);
}

static pf_status describe(const pf_device *device, const pf_problem *p, const dnnl_memory_desc_t *weights_to,
                          const pf_onednn_tuning *tuning, pf_onednn_described *out, pf_err *err)
{
    const bool         inner = strcmp(tuning->variant, "ip") == 0;
    product            m;
    matrix             b, y;
    pf_shape           result;
    dnnl_memory_desc_t weights;
    dnnl_status_t      status = dnnl_success;
    pf_status          st = PF_OK;

    *out = (pf_onednn_described){ .w = { .device = device, .epilogue = { .sum_input = -1 } } };
    (void)read_product(p, &m);
    st = describe_matrices(p, &m, inner, &out->w, &b, &y, err);
    if (st)
        return st;
    weights = weights_to ? *weights_to : out->w.weights_from;
    if (!weights_to && out->w.weights != PF_NONE && m.flat)
        st = pf_onednn_desc_any(PF_F32, b.rank, b.dim, &weights, err);
    result = (pf_shape){ .rank = y.rank };
    memcpy(result.dim, y.dim, sizeof result.dim);
    if (!st)
        st = pf_onednn_epilogue_make(p, &m.chain, &result, y.rank - 1, &out->w.result_desc, tuning->sum,
                                     &out->w.packed_bytes, &out->w.epilogue, err);
    if (st)
        return st;
    status = describe_op(inner, &weights, out);
    return status ? pf_onednn_fail(status, "describe this product", err) : PF_OK;
}

/* ---- Tunings */
static pf_status list(const pf_device *device, const pf_problem *p, bool sum, bool inner, int effort, bool *has_full,
                      pf_tuning_list *out, pf_err *err)
{
    static const char *const suffixes[2][2] = { { "", " ip" }, { " sum", " sum ip" } };
    pf_onednn_tuning         tuning = { .sum = sum };
    pf_onednn_described      op;
    pf_status                st = PF_OK;

    if (inner)
        memcpy(tuning.variant, "ip", sizeof "ip");
    st = describe(device, p, NULL, &tuning, &op, err);
    *has_full = op.w.epilogue.has_full_operand;
    if (!st && !(sum && op.w.epilogue.sum_input < 0))
        st = pf_onednn_list(device, &op.desc, op.w.epilogue.attr, "", suffixes[sum][inner], NULL, effort > 0 ? 4 : 0,
                            out, err);
    pf_onednn_epilogue_clear(&op.w.epilogue);
    return st;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    product   m = { .bias = PF_NONE };
    bool      has_full = false, inner = false;
    pf_status st = list(device, p, false, false, effort, &has_full, out, err);

    (void)read_product(p, &m);
    inner = m.flat && is_constant_input(p, m.b.base) && !m.trans_a;
    if (!st && inner && effort > 0)
        st = list(device, p, false, true, effort, &has_full, out, err);
    if (!st && has_full && effort > 0)
        st = list(device, p, true, false, effort, &has_full, out, err);
    if (!st && has_full && inner && effort > 0)
        st = list(device, p, true, true, effort, &has_full, out, err);
    return st ? st : pf_onednn_check_listed(out, "product", err);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    return pf_onednn_weighted_prepare(&pf_tactic_onednn_matmul, describe, device, p, tuning, saved, saved_bytes, out,
                                      err);
}

const pf_tactic pf_tactic_onednn_matmul = {
    .name = "onednn_matmul", .rev = 3, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = pf_tactic_prefers_linear, .tunings = tunings, .prepare = prepare,
    .pack = pf_onednn_weighted_pack,
    .enqueue = pf_onednn_weighted_enqueue, .save = pf_onednn_weighted_save, .release = pf_onednn_weighted_release,
};
