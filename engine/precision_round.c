#include "engine/precision_round.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/problem.h"

enum { PARALLEL_FROM = 1 << 14, OPERANDS_MOST = 3 };

#define BF16_LARGEST 0x1.fep127f

/* ---- One number */

static uint32_t bits_of(float value)
{
    uint32_t bits = 0;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float of_bits(uint32_t bits)
{
    float value = 0;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Without its last `dropped` bits. */
static float to_bits(float value, uint32_t dropped)
{
    uint32_t bits = bits_of(value), last = (uint32_t)1 << dropped;

    return of_bits((bits + (last / 2 - 1) + (bits >> dropped & 1)) & ~(last - 1));
}

static float to_bf16(float value)
{
    return fabsf(value) > BF16_LARGEST ? copysignf(BF16_LARGEST, value) : to_bits(value, 16);
}

static float round_to_tf32(float value) { return isfinite(value) ? to_bits(value, 13) : value; }

/* The parts of FP32's greatest numbers add up to 2^128, which devices never form. */
static float round_to_parts(float value)
{
    float large = to_bf16(value), both = large + to_bf16(value - large);

    return !isfinite(value) ? value : isfinite(both) ? both : copysignf(FLT_MAX, value);
}

static float round_sum(float value) { return isfinite(value) ? to_bits(value, 2) : value; }

static float (*const roundings[PF_ROUND_COUNT])(float) = {
    [PF_ROUND_TF32] = round_to_tf32, [PF_ROUND_PARTS] = round_to_parts, [PF_ROUND_SUM] = round_sum,
};

float pf_round(pf_rounding how, float value) { return roundings[how] ? roundings[how](value) : value; }

/* ---- A network */

/* How many inputs are operands of products, the first ones: 0 where nothing multiplies on tensor cores. */
static uint32_t operands_of(const pf_node *node)
{
    static const struct { pf_op_kind op; uint32_t count; } ops[] = {
        { PF_OP_CONV, 2 },   { PF_OP_CONV_TRANSPOSE, 2 }, { PF_OP_MATMUL, 2 },
        { PF_OP_GEMM, 2 },   { PF_OP_EINSUM, 2 },         { PF_OP_ATTENTION, OPERANDS_MOST },
    };

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (ops[i].op == node->op)
            return ops[i].count < node->in_count ? ops[i].count : node->in_count;
    return 0;
}

/* Of each value the copy that is rounded in each way, PF_NONE until it is needed. */
typedef struct copies { pf_value_id (*of)[PF_ROUND_COUNT]; uint32_t count; } copies;

static pf_status copy_for(pf_graph *graph, copies *c, pf_value_id value, pf_rounding how, pf_value_id *out, pf_err *err)
{
    pf_status st = PF_OK;

    if (c->of[value][how] == PF_NONE)
        st = pf_graph_add_node(graph, PF_OP_IDENTITY, "", &value, 1, NULL, 1, &c->of[value][how], err);
    *out = c->of[value][how];
    return st;
}

static pf_status round_operands(pf_graph *graph, copies *c, pf_node_id id, pf_rounding how, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < operands_of(&graph->nodes[id]) && !st; i++) {
        pf_value_id in = graph->nodes[id].in[i], made = PF_NONE;

        if (in == PF_NONE || in >= c->count || graph->values[in].dtype != PF_F32)
            continue;
        st = copy_for(graph, c, in, how, &made, err);
        if (!st)
            st = pf_graph_set_input(graph, id, i, made, err);
    }
    return st;
}

static void note_sum(pf_rounded *r, const pf_node *node)
{
    if (node->live && operands_of(node) && r->graph->values[node->out[0]].dtype == PF_F32)
        r->how[node->out[0]] = PF_ROUND_SUM;
}

static pf_status note_copies(pf_rounded *r, const copies *c, pf_err *err)
{
    r->count = r->graph->value_count;
    r->how = pf_calloc(r->count + 1, sizeof *r->how);
    if (!r->how)
        return PF_FAIL_MEMORY(err, r->count);
    for (uint32_t v = 0; v < c->count; v++)
        for (int how = 0; how < PF_ROUND_COUNT; how++)
            if (c->of[v][how] != PF_NONE)
                r->how[c->of[v][how]] = (uint8_t)how;
    return PF_OK;
}

pf_status pf_rounded_new(pf_graph *graph, bool with_tf32, bool with_parts, pf_rounded *out, pf_err *err)
{
    uint32_t  nodes = graph->node_count;
    copies    c = { pf_calloc(graph->value_count + 1, sizeof *c.of), graph->value_count };
    pf_status st = c.of ? PF_OK : PF_FAIL_MEMORY(err, graph->value_count * sizeof *c.of);

    *out = (pf_rounded){ .graph = graph };
    for (uint32_t v = 0; v < c.count && !st; v++)
        for (int how = 0; how < PF_ROUND_COUNT; how++)
            c.of[v][how] = PF_NONE;
    for (pf_node_id id = 0; id < nodes && !st; id++) {
        bool        tf32 = with_tf32 && !(graph->nodes[id].refuses & PF_NUMERICS_TF32);

        if (graph->nodes[id].live && (tf32 || with_parts))
            st = round_operands(graph, &c, id, tf32 ? PF_ROUND_TF32 : PF_ROUND_PARTS, err);
    }
    if (!st)
        st = note_copies(out, &c, err);
    for (pf_node_id id = 0; id < nodes && !st && !with_parts; id++)
        if (!with_tf32 || graph->nodes[id].refuses & PF_NUMERICS_TF32)
            note_sum(out, &graph->nodes[id]);
    pf_free(c.of);
    if (st)
        pf_rounded_clear(out);
    return st;
}

void pf_rounded_clear(pf_rounded *r)
{
    pf_graph_free(r->graph);
    pf_free(r->how);
    *r = (pf_rounded){ 0 };
}

void pf_rounded_watch(void *user, pf_value_id value, pf_tensor *tensor)
{
    const pf_rounded *r = user;
    pf_rounding       how = value < r->count ? (pf_rounding)r->how[value] : PF_ROUND_NOT;
    bool              is_rounded = how != PF_ROUND_NOT && tensor->owned && tensor->dtype == PF_F32;
    int64_t           count = is_rounded ? pf_tensor_elems(tensor) : 0;
    float            *data = tensor->data;

#pragma omp parallel for schedule(static) if (count > PARALLEL_FROM)
    for (int64_t i = 0; i < count; i++)
        data[i] = roundings[how](data[i]);
}
