/* Evaluation of a value at a point: constants, casts, and pointwise formulas from pointwise.def. */
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "engine/cuda/codegen_expr.h"
#include "engine/ops/attrs.h"

enum { RANK_MAX = CG_VARS - 2 };        /* scattering and blocked layouts take a variable more */

/* The formulas as text. */
typedef struct formula { const char *floats, *integers; } formula;
static const formula formulas[PF_OP_COUNT] = {
#define PF_POINTWISE(NAME, name, inputs, rule, flags, c, integer, cuda) [PF_OP_##NAME] = { #cuda, #integer },
#include "engine/pointwise.def"
#undef PF_POINTWISE
};

/* Where the result has 16 bits: what is as good as their rounding. */
static const char *const short_formulas[PF_OP_COUNT] = {
    [PF_OP_GELU] = "geluf_short(a)",
    [PF_OP_GELU_TANH] = "a * sigmoid_short(1.59576912f * (a + 0.044715f * a * a * a))",
    [PF_OP_SIGMOID] = "sigmoid_short(a)",
    [PF_OP_SWISH] = "a * sigmoid_short(p * a)",
};

/* Of FP32 what takes less than CPUs' form of it. */
static const char *const own_formulas[PF_OP_COUNT] = {
    [PF_OP_SIGMOID] = "sigmoidf(a)",
    [PF_OP_SWISH] = "a * sigmoidf(p * a)",
};

/* As power_i64 of engine/ops/pointwise_reference.c. */
static const char integer_power[] =
    "[](U x, I n) { U y = n < 0 ? (I)x == -1 ? n % 2 ? x : 1 : (I)x == 1 : 1; "
    "for (; n > 0; n >>= 1, x *= x) y *= n & 1 ? x : 1; return (I)y; }(a, b)";

static bool has(const char *text) { return text && strcmp(text, "NONE") != 0; }

const char *cg_lane_type(cg_type type)
{
    return type == CG_FLOAT ? "float" : type == CG_INT ? "long long" : "int";
}

void cg_declare(cg_context *cg, int32_t id, cg_type type)
{
    pf_buf_printf(cg->body, "  %s v%d[V]; ", cg_lane_type(type), id);
}

void cg_print_float(pf_buf *out, double value)
{
    char text[64] = {0};

    pf_number_print(text, sizeof text, "%.9g", value);
    if (isnan(value)) pf_buf_printf(out, "__int_as_float(0x7fc00000)");
    else if (isinf(value)) pf_buf_printf(out, value < 0 ? "__int_as_float(0xff800000)" : "__int_as_float(0x7f800000)");
    else pf_buf_printf(out, strpbrk(text, ".e") ? "(%sf)" : "(%s.0f)", text);
}

static void print_literal(pf_buf *out, pf_dtype dtype, const void *data, uint64_t i)
{
    if (pf_dtype_is_float(dtype)) cg_print_float(out, pf_dtype_get(dtype, data, i));
    else pf_buf_printf(out, "%lldLL", (long long)pf_dtype_get_i64(dtype, data, i));
}

/* A constant held in clear: a literal, or an array of a few indexed by the address. */
static int32_t eval_clear(cg_context *cg, const pf_value *value, const cg_point *point)
{
    int32_t  id = ++cg->next_id;
    cg_type  type = cg_type_of(value->dtype);
    int64_t  count = pf_shape_elems(cg->problem->graph->dims, &value->shape);
    cg_index address = count > 1 ? cg_address(cg, PF_LAYOUT_LINEAR, value, point) : cg_index_number(0);

    cg_declare(cg, id, type);
    if (count == 1) {
        pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
        print_literal(cg->body, value->dtype, value->constant.data, 0);
        pf_buf_printf(cg->body, ";\n");
        return id;
    }
    pf_buf_printf(cg->body, "{ const %s k[] = {", cg_lane_type(type));
    for (int64_t i = 0; i < count; i++) {
        pf_buf_printf(cg->body, i ? ", " : "");
        print_literal(cg->body, value->dtype, value->constant.data, (uint64_t)i);
    }
    pf_buf_printf(cg->body, "}; LANES { idx a = ");
    cg_index_print(cg, &address, "l", cg->body);
    pf_buf_printf(cg->body, "; v%d[l] = k[a < 0 || a >= %lld ? 0 : a]; } }\n", id, (long long)count);
    return id;
}

cg_point cg_broadcast_point(const cg_point *point, const pf_shape *in)
{
    cg_point result = *point;

    result.rank = in->rank;
    memset(result.at, 0, sizeof result.at);
    for (int d = 0; d < in->rank; d++)
        if (in->dim[d] != 1) result.at[d] = point->at[point->rank - in->rank + d];
    return result;
}

const pf_value *cg_input(const cg_context *cg, const pf_node *node, uint32_t i)
{
    return pf_graph_value(cg->problem->graph, node->in[i]);
}

/* Whether the float formula applies: by what the op computes on, which for `where` is what it chooses from. */
static bool uses_floats(const cg_context *cg, const pf_node *node)
{
    const pf_value *operand = cg_input(cg, node, node->op == PF_OP_WHERE ? 1 : 0);

    return has(formulas[node->op].floats) && cg_type_of(operand->dtype) != CG_INT;
}

static const char *float_formula(const pf_node *node, pf_dtype dtype)
{
    const char *text = pf_dtype_bits(dtype) <= 16 ? short_formulas[node->op] : own_formulas[node->op];

    return text ? text : formulas[node->op].floats;
}

/* NULL where there is none: a power has an exponent that may be a float. */
static const char *integer_formula(const pf_graph *graph, const pf_node *node)
{
    const char *text = formulas[node->op].integers;

    if (node->op == PF_OP_POW)
        return cg_type_of(pf_graph_value(graph, node->in[1])->dtype) == CG_INT ? integer_power : NULL;
    return has(text) ? text : NULL;
}

/* Integers keep the width of their type after every step. */
static const char *narrow(pf_dtype dtype)
{
    const char *type = cg_type_of(dtype) == CG_INT ? cg_storage_type(dtype) : NULL;

    return type ? type : "";
}

static int32_t eval_pointwise(cg_context *cg, const pf_node *node, const cg_point *point)
{
    static const char          names[] = "abc";
    const pf_pointwise_attrs  *attrs = node->attrs;
    const pf_value            *out = pf_graph_value(cg->problem->graph, node->out[0]);
    bool                       floats = uses_floats(cg, node);
    int32_t                    arg[3] = {0}, id = 0;
    const char                *cast = narrow(out->dtype);

    for (uint32_t i = 0; i < node->in_count; i++) {
        cg_point at = cg_broadcast_point(point, &cg_input(cg, node, i)->shape);

        arg[i] = cg_eval(cg, node->in[i], &at);
        if (arg[i] < 0) return -1;
    }
    id = ++cg->next_id;
    cg_declare(cg, id, cg_type_of(out->dtype));
    pf_buf_printf(cg->body, "{ ");
    if (floats && attrs) {
        pf_buf_printf(cg->body, "const float p = ");
        cg_print_float(cg->body, attrs->p);
        pf_buf_printf(cg->body, ", q = ");
        cg_print_float(cg->body, attrs->q);
        pf_buf_printf(cg->body, "; ");
    }
    if (!floats) pf_buf_printf(cg->body, "typedef long long I; typedef unsigned long long U; ");
    pf_buf_printf(cg->body, "LANES { ");
    for (uint32_t i = 0; i < node->in_count; i++)
        pf_buf_printf(cg->body, "%s %c = v%d[l]; ", floats ? "float" : "I", names[i], arg[i]);
    pf_buf_printf(cg->body, "v%d[l] = ", id);
    if (*cast) pf_buf_printf(cg->body, "(%s)", cast);
    pf_buf_printf(cg->body, "(%s); } }\n",
                  floats ? float_formula(node, out->dtype) : integer_formula(cg->problem->graph, node));
    return id;
}

static int32_t eval_cast(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_value *in = cg_input(cg, node, 0), *out = pf_graph_value(cg->problem->graph, node->out[0]);
    cg_type         from = cg_type_of(in->dtype), to = cg_type_of(out->dtype);
    int32_t         arg = cg_eval(cg, node->in[0], point), id = 0;
    const char     *cast = narrow(out->dtype);

    if (arg < 0 || (from == to && to != CG_INT)) return arg;
    id = ++cg->next_id;
    cg_declare(cg, id, to);
    pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
    if (*cast) pf_buf_printf(cg->body, "(%s)", cast);
    if (to == CG_FLOAT) pf_buf_printf(cg->body, "(float)v%d[l]", arg);
    else if (to == CG_BOOL) pf_buf_printf(cg->body, "v%d[l] != 0", arg);
    else if (from == CG_FLOAT) pf_buf_printf(cg->body, "to_i64(v%d[l])", arg);
    else pf_buf_printf(cg->body, "v%d[l]", arg);
    pf_buf_printf(cg->body, ";\n");
    return id;
}

static int32_t eval_node(cg_context *cg, const pf_value *value, const cg_point *point)
{
    const pf_node *node = pf_graph_node(cg->problem->graph, value->producer);

    if (cg_is_move(node->op)) return cg_eval_move(cg, node, value->slot, point);
    if (node->op == PF_OP_CAST) return eval_cast(cg, node, point);
    if (pf_op_is_pointwise(node->op)) return eval_pointwise(cg, node, point);
    PF_FAIL(cg->err, PF_UNSUPPORTED, "%s is wanted at a point other than the kernel's own",
            pf_op_def_of(node->op)->name);
    return -1;
}

static uint32_t input_index(const pf_graph *graph, pf_value_id value)
{
    uint32_t i = 0;

    while (i < graph->input_count && graph->inputs[i] != value) i++;
    return i;
}

int32_t cg_eval(cg_context *cg, pf_value_id id, const cg_point *point)
{
    const pf_graph *graph = cg->problem->graph;
    const pf_value *value = pf_graph_value(graph, id);
    int32_t         result = cg_known(cg, id, point);

    if (result) return result;
    if (value->is_constant) result = eval_clear(cg, value, point);
    else if (value->producer == PF_NONE) result = cg_load(cg, input_index(graph, id), value, point);
    else result = eval_node(cg, value, point);
    if (result > 0 && !cg_bind(cg, id, point, result)) {
        PF_FAIL_MEMORY(cg->err, sizeof *cg->memo);
        return -1;
    }
    return result;
}

/* Integers need a formula of their own; flags do with either. */
static bool has_formula(const pf_graph *graph, const pf_node *node)
{
    cg_type type = cg_type_of(pf_graph_value(graph, node->in[node->op == PF_OP_WHERE ? 1 : 0])->dtype);

    return integer_formula(graph, node) || (type != CG_INT && has(formulas[node->op].floats));
}

const char *cg_node_declines(const pf_graph *graph, const pf_node *node)
{
    for (uint32_t i = 0; i < node->in_count; i++) {
        const pf_value *in = node->in[i] == PF_NONE ? NULL : pf_graph_value(graph, node->in[i]);

        if (in && !cg_storage_type(in->dtype)) return "element type without a CUDA form";
        if (in && in->shape.rank > RANK_MAX) return "rank over 8";
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        const pf_value *out = pf_graph_value(graph, node->out[i]);

        if (!cg_storage_type(out->dtype)) return "element type without a CUDA form";
        if (out->shape.rank < 0 || out->shape.rank > RANK_MAX) return "rank over 8";
    }
    if (cg_is_move(node->op)) return cg_move_declines(graph, node);
    if (node->op == PF_OP_CAST) return NULL;
    return pf_op_is_pointwise(node->op) && has_formula(graph, node) ? NULL : "op without a formula";
}
