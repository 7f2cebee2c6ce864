#include <math.h>
#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Scales that a network computes as new size over old size: which sizes they mean.  Exporters up to opset 10 write
   them. */

enum { TRACE_DEPTH = 16 };

typedef struct ratios { pf_dim_list over, under; } ratios;

static bool append(pf_dim_list *to, pf_dim dim)
{
    if (to->count == PF_ATTR_LIST)
        return false;
    to->at[to->count++] = dim;
    return true;
}

static const pf_node *maker_of(pf_onnx_node *node, pf_value_id value)
{
    pf_node_id maker = value == PF_NONE ? PF_NONE : pf_onnx_value(node, value)->producer;

    return maker == PF_NONE ? NULL : pf_graph_node(node->graph, maker);
}

/* Ops that leave whole numbers and their order as they are. */
static bool passes(pf_op_kind op)
{
    return op == PF_OP_CAST || op == PF_OP_RESHAPE || op == PF_OP_IDENTITY || op == PF_OP_FLOOR || op == PF_OP_CEIL ||
           op == PF_OP_ROUND;
}

static bool constant_numbers(const pf_tensor *tensor, pf_dim_list *out)
{
    for (int64_t i = 0; i < pf_tensor_elems(tensor); i++) {
        double number = pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)i);

        if (number != rint(number) || fabs(number) > 0x1p40 || !append(out, (pf_dim)number))
            return false;
    }
    return true;
}

/* Whole numbers, in whatever type, as dims. */
static bool collect_numbers(pf_onnx_node *node, pf_value_id value, int32_t depth, pf_dim_list *out)
{
    const pf_node *maker = maker_of(node, value);
    pf_tensor      tensor = { 0 };
    pf_dim_list    known = { 0 };
    bool           good = true;

    if (depth == TRACE_DEPTH)
        return false;
    if (pf_onnx_constant(node, value, &tensor))
        return constant_numbers(&tensor, out);
    if (pf_dtype_is_integer(pf_onnx_dtype(node, value)) && pf_onnx_known_dims(node, value, &known)) {
        for (int32_t i = 0; i < known.count && good; i++)
            good = append(out, known.at[i]);
        return good;
    }
    if (maker && passes(maker->op))
        return collect_numbers(node, maker->in[0], depth + 1, out);
    for (uint32_t i = 0; maker && maker->op == PF_OP_CONCAT && i < maker->in_count && good; i++)
        good = collect_numbers(node, maker->in[i], depth + 1, out);
    return good && maker && maker->op == PF_OP_CONCAT;
}

/* List elements of either side, one for all when it has one. */
static bool append_quotient(pf_onnx_node *node, const pf_node *division, ratios *out)
{
    pf_dim_list over = { 0 }, under = { 0 };
    int32_t     count = 0;
    bool        good = collect_numbers(node, division->in[0], 0, &over) &&
                       collect_numbers(node, division->in[1], 0, &under);

    count = over.count > under.count ? over.count : under.count;
    good = good && (over.count == count || over.count == 1) && (under.count == count || under.count == 1);
    for (int32_t i = 0; i < count && good; i++)
        good = append(&out->over, over.at[over.count == 1 ? 0 : i]) &&
               append(&out->under, under.at[under.count == 1 ? 0 : i]);
    return good;
}

static bool collect_ratios(pf_onnx_node *node, pf_value_id value, int32_t depth, ratios *out)
{
    const pf_node *maker = maker_of(node, value);
    pf_dim_list    numbers = { 0 };
    bool           good = depth < TRACE_DEPTH;

    if (good && collect_numbers(node, value, 0, &numbers)) {
        for (int32_t i = 0; i < numbers.count && good; i++)
            good = append(&out->over, numbers.at[i]) && append(&out->under, 1);
        return good;
    }
    if (!good || !maker || !pf_dtype_is_float(pf_onnx_dtype(node, value)))
        return false;
    if (maker->op == PF_OP_DIV)
        return append_quotient(node, maker, out);
    if (maker->op == PF_OP_CAST || maker->op == PF_OP_RESHAPE || maker->op == PF_OP_IDENTITY)
        return collect_ratios(node, maker->in[0], depth + 1, out);
    for (uint32_t i = 0; maker->op == PF_OP_CONCAT && i < maker->in_count && good; i++)
        good = collect_ratios(node, maker->in[i], depth + 1, out);
    return good && maker->op == PF_OP_CONCAT;
}

bool pf_onnx_scaled_dims(pf_onnx_node *node, pf_value_id scales, const pf_dim_list *dims, pf_dim_list *out)
{
    ratios found = { 0 };

    memset(out, 0, sizeof *out);
    if (node->status || scales == PF_NONE || !collect_ratios(node, scales, 0, &found) ||
        found.over.count != dims->count)
        return false;
    for (int32_t i = 0; i < dims->count; i++) {
        pf_dim over = found.over.at[i], under = found.under.at[i];

        if (over == under)
            out->at[i] = dims->at[i];
        else if (under == dims->at[i])
            out->at[i] = over;
        else if (under == 1 && pf_dim_is_number(over))
            out->at[i] = pf_dim_mul(node->graph->dims, dims->at[i], over);
        else
            return false;
    }
    out->count = dims->count;
    return true;
}
