/* Shape arithmetic through pointwise ops: on numbers by the integer form of the op, on expressions by the rules
   below. */
#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/pointwise.h"

/* A function answers PF_DIM_INVALID when it cannot tell. */
typedef pf_dim symbolic_fn(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c);

static pf_dim add(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c) { (void)c; return pf_dim_add(dims, a, b); }
static pf_dim sub(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c) { (void)c; return pf_dim_sub(dims, a, b); }
static pf_dim mul(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c) { (void)c; return pf_dim_mul(dims, a, b); }
static pf_dim max(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c) { (void)c; return pf_dim_max(dims, a, b); }
static pf_dim min(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c) { (void)c; return pf_dim_min(dims, a, b); }
static pf_dim neg(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c) { (void)b, (void)c; return pf_dim_sub(dims, 0, a); }

/* Nothing is rounded where one divides the other, which may be 0 as far as is known: then nothing has a value.
   Truncation and floor agree where neither is negative; else the part above zero and the part below are rounded each to
   its side. */
static pf_dim divide(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    pf_dim exact = pf_dim_exact_div(dims, a, b);

    (void)c;
    if (exact != PF_DIM_INVALID)
        return exact;
    if (!pf_content_less(dims, 0, b))
        return PF_DIM_INVALID;
    if (pf_content_less_equal(dims, 0, a))
        return pf_dim_floor_div(dims, a, b);
    return pf_dim_sub(dims, pf_dim_floor_div(dims, pf_dim_max(dims, a, 0), b),
                      pf_dim_floor_div(dims, pf_dim_max(dims, pf_dim_sub(dims, 0, a), 0), b));
}

/* What is left has the divisor's sign, as of pf_dim_mod. */
static pf_dim modulo(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    (void)c;
    return pf_content_less(dims, 0, b) ? pf_dim_mod(dims, a, b) : PF_DIM_INVALID;
}

/* What is left has the sign of what is divided. */
static pf_dim remainder_of(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    return pf_content_less_equal(dims, 0, a) ? modulo(dims, a, b, c) : PF_DIM_INVALID;
}

static pf_dim less(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    (void)c;
    if (pf_content_less(dims, a, b))
        return 1;
    return pf_content_less_equal(dims, b, a) ? 0 : PF_DIM_INVALID;
}

static pf_dim less_equal(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    (void)c;
    if (pf_content_less_equal(dims, a, b))
        return 1;
    return pf_content_less(dims, b, a) ? 0 : PF_DIM_INVALID;
}

static pf_dim greater(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c) { return less(dims, b, a, c); }
static pf_dim greater_equal(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c) { return less_equal(dims, b, a, c); }

static pf_dim equal(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    (void)c;
    if (a == b)
        return 1;
    return pf_content_less(dims, a, b) || pf_content_less(dims, b, a) ? 0 : PF_DIM_INVALID;
}

static pf_dim sign(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    (void)b, (void)c;
    return pf_content_less(dims, 0, a) ? 1 : PF_DIM_INVALID;
}

static pf_dim absolute(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    (void)b, (void)c;
    return pf_content_less_equal(dims, 0, a) ? a : PF_DIM_INVALID;
}

static pf_dim where(pf_dims *dims, pf_dim a, pf_dim b, pf_dim c)
{
    (void)dims;
    if (pf_dim_is_symbolic(a))
        return PF_DIM_INVALID;
    return a != 0 ? b : c;
}

static symbolic_fn *const symbolic[PF_OP_COUNT] = {
    [PF_OP_ADD] = add, [PF_OP_SUB] = sub, [PF_OP_MUL] = mul, [PF_OP_DIV] = divide, [PF_OP_MOD] = modulo,
    [PF_OP_FMOD] = remainder_of,
    [PF_OP_MAX] = max, [PF_OP_MIN] = min, [PF_OP_NEG] = neg, [PF_OP_ABS] = absolute, [PF_OP_SIGN] = sign,
    [PF_OP_EQUAL] = equal, [PF_OP_LESS] = less, [PF_OP_LESS_EQUAL] = less_equal, [PF_OP_GREATER] = greater,
    [PF_OP_GREATER_EQUAL] = greater_equal, [PF_OP_WHERE] = where,
};

static pf_dim on_numbers(const pf_pointwise_row *row, const pf_dim *operand)
{
    int64_t          out = 0;
    pf_pointwise_i64 run = { &out, &operand[0], &operand[1], &operand[2], 1 };

    row->i64(&run);
    return pf_dim_is_symbolic(out) ? PF_DIM_INVALID : out;
}

pf_status pf_pointwise_content(const pf_pointwise_row *row, pf_infer *infer, pf_err *err)
{
    pf_content in[3] = { { .count = 1 }, { .count = 1 }, { .count = 1 } }, out = { .count = 1 };
    symbolic_fn *fn = symbolic[infer->node->op];

    if (row->rule == PF_RULE_POW || row->rule == PF_RULE_FLOAT || row->rule == PF_RULE_TEST)
        return PF_OK;
    for (uint32_t i = 0; i < row->inputs; i++) {
        in[i] = pf_content_of(infer, i);
        if (in[i].count < 0)
            return PF_OK;
        out.count = in[i].count != 1 ? in[i].count : out.count;
    }
    for (int32_t k = 0; k < out.count; k++) {
        pf_dim x[3] = { 0 };
        bool   numbers = true;

        for (uint32_t i = 0; i < row->inputs; i++) {
            x[i] = in[i].at[in[i].count == 1 ? 0 : k];
            numbers = numbers && pf_dim_is_number(x[i]);
        }
        out.at[k] = numbers ? on_numbers(row, x) : fn ? fn(infer->graph->dims, x[0], x[1], x[2]) : PF_DIM_INVALID;
        if (out.at[k] == PF_DIM_INVALID)
            return PF_OK;
    }
    return pf_content_set(infer, &out, err);
}
