#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/pointwise.h"

static bool is_numeric(pf_dtype d) { return pf_dtype_is_float(d) || pf_dtype_is_integer(d); }
static bool is_bool(pf_dtype d) { return d == PF_BOOL; }
static bool is_any(pf_dtype d) { return d != PF_DTYPE_NONE; }

/* What the operands of each rule must be, and from which operand on they must be of one type. */
static const struct { bool (*fits)(pf_dtype dtype); const char *what; uint32_t same_from; bool gives_bool; } rules[] = {
    [PF_RULE_SAME]    = { is_numeric, "a number", 0, false },
    [PF_RULE_FLOAT]   = { pf_dtype_is_float, "a float", 0, false },
    [PF_RULE_INT]     = { pf_dtype_is_integer, "an integer", 0, false },
    [PF_RULE_LOGIC]   = { is_bool, "bool", 0, true },
    [PF_RULE_COMPARE] = { is_any, "a value", 0, true },
    [PF_RULE_TEST]    = { pf_dtype_is_float, "a float", 0, true },
    [PF_RULE_WHERE]   = { is_any, "a value", 1, false },
    [PF_RULE_POW]     = { is_numeric, "a number", 1, false },
};

static pf_status check_types(const pf_pointwise_row *row, const pf_infer *infer, pf_err *err)
{
    uint32_t from = rules[row->rule].same_from;

    for (uint32_t i = 0; i < row->inputs; i++) {
        const pf_value *v = pf_infer_in(infer, i);

        if (!v)
            return PF_FAIL(err, PF_INVALID, "input %u of %s is left out", i, row->name);
        if (!rules[row->rule].fits(v->dtype))
            return PF_FAIL(err, PF_INVALID, "%s takes %s, but input %u is %s", row->name, rules[row->rule].what, i,
                           pf_dtype_name(v->dtype));
        if (i > from && v->dtype != pf_infer_in(infer, from)->dtype)
            return PF_FAIL(err, PF_INVALID, "%s takes one type, but inputs are %s and %s", row->name,
                           pf_dtype_name(pf_infer_in(infer, from)->dtype), pf_dtype_name(v->dtype));
    }
    if (row->rule == PF_RULE_WHERE && pf_infer_in(infer, 0)->dtype != PF_BOOL)
        return PF_FAIL(err, PF_INVALID, "the condition of where is %s, not bool",
                       pf_dtype_name(pf_infer_in(infer, 0)->dtype));
    return PF_OK;
}

static pf_dtype result_type(const pf_pointwise_row *row, const pf_infer *infer)
{
    if (rules[row->rule].gives_bool)
        return PF_BOOL;
    return pf_infer_in(infer, row->rule == PF_RULE_WHERE ? 1 : 0)->dtype;
}

pf_status pf_pointwise_infer(const pf_pointwise_row *row, pf_infer *infer, pf_err *err)
{
    pf_status st = check_types(row, infer, err);
    pf_shape  shape = { 0 };

    if (st)
        return st;
    if (pf_infer_any_rank_unknown(infer)) {
        pf_infer_unknown(infer, result_type(row, infer));
        return PF_OK;
    }
    shape = pf_infer_in(infer, 0)->shape;
    for (uint32_t i = 1; i < row->inputs && !st; i++) {
        pf_shape both = { 0 };

        st = pf_shape_broadcast(infer->graph->dims, &shape, &pf_infer_in(infer, i)->shape, &both, err);
        shape = both;
    }
    if (st)
        return st;
    pf_infer_set(infer, 0, result_type(row, infer), &shape);
    return pf_pointwise_content(row, infer, err);
}
