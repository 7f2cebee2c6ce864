#include "engine/precision.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

static const double F16_LARGEST = 65504.0;

/* Per value: whether it is narrow now, and its twins in either type once they were needed. */
typedef struct twin { bool narrow; pf_value_id as_narrow, as_wide; } twin;

typedef struct lowering {
    pf_graph *graph;
    pf_dtype  narrow;
    twin     *twins; uint32_t count, capacity;
    pf_err   *err;
} lowering;

static pf_status cover_values(lowering *low)
{
    if (pf_grow((void **)&low->twins, &low->capacity, low->graph->value_count, sizeof *low->twins))
        return PF_FAIL_MEMORY(low->err, low->graph->value_count * sizeof *low->twins);
    for (; low->count < low->graph->value_count; low->count++) low->twins[low->count] = (twin){ false, PF_NONE, PF_NONE };
    return PF_OK;
}

static bool is_wide_float(const lowering *low, pf_value_id value)
{
    const pf_value *v = pf_graph_value(low->graph, value);

    return v->kind == PF_VALUE_TENSOR && v->dtype == PF_F32;
}

static pf_status add_cast(lowering *low, pf_value_id from, pf_dtype to, pf_value_id *out)
{
    pf_cast_attrs attrs = { .dtype = (int32_t)to };
    pf_status     st = pf_graph_add_node(low->graph, PF_OP_CAST, "", &from, 1, &attrs, 1, out, low->err);

    return st ? st : cover_values(low);
}

static double saturated(double value, double largest) { return value > largest ? largest : value < -largest ? -largest : value; }

static pf_status narrow_constant(lowering *low, pf_value_id from, pf_value_id *out)
{
    pf_graph *graph = low->graph;
    pf_value  value = *pf_graph_value(graph, from);
    uint64_t  elems = (uint64_t)pf_shape_elems(graph->dims, &value.shape);
    size_t    bytes = pf_dtype_bytes(low->narrow, elems);
    void     *data = pf_arena_alloc(graph->arena, bytes ? bytes : 1);
    pf_status st = PF_OK;

    if (!data) return PF_FAIL_MEMORY(low->err, bytes);
    if (low->narrow == PF_F16)
        for (uint64_t i = 0; i < elems; i++)
            ((uint16_t *)data)[i] = pf_f16_from_f32((float)saturated(((const float *)value.constant.data)[i], F16_LARGEST));
    else pf_dtype_convert(value.dtype, value.constant.data, low->narrow, data, elems);
    st = pf_graph_add_constant(graph, value.name, low->narrow, &value.shape, data, bytes, out, low->err);
    return st ? st : cover_values(low);
}

/* BF16 has FP32's range: only FP16 needs the limit. */
static pf_status limit_range(lowering *low, pf_value_id *value)
{
    pf_pointwise_attrs limits = { -F16_LARGEST, F16_LARGEST };
    pf_value_id        from = *value;
    pf_status          st = PF_OK;

    if (low->narrow != PF_F16) return PF_OK;
    st = pf_graph_add_node(low->graph, PF_OP_CLIP, "", &from, 1, &limits, 1, value, low->err);
    return st ? st : cover_values(low);
}

static pf_status as_narrow(lowering *low, pf_value_id value, pf_value_id *out)
{
    pf_status st = PF_OK;

    *out = value;
    if (low->twins[value].narrow || !is_wide_float(low, value)) return PF_OK;
    if (low->twins[value].as_narrow == PF_NONE) {
        pf_value_id made = value;

        if (pf_graph_value(low->graph, value)->is_constant) st = narrow_constant(low, value, &made);
        else {
            st = limit_range(low, &made);
            if (!st) st = add_cast(low, made, low->narrow, &made);
        }
        if (st) return st;
        low->twins[value].as_narrow = made;
        low->twins[made].narrow = true;
    }
    *out = low->twins[value].as_narrow;
    return PF_OK;
}

static pf_status as_wide(lowering *low, pf_value_id value, pf_value_id *out)
{
    pf_status st = PF_OK;

    *out = value;
    if (!low->twins[value].narrow) return PF_OK;
    if (low->twins[value].as_wide == PF_NONE) {
        pf_value_id made = PF_NONE;

        st = add_cast(low, value, PF_F32, &made);
        if (st) return st;
        low->twins[value].as_wide = made;
    }
    *out = low->twins[value].as_wide;
    return PF_OK;
}

/* Whether something narrow reaches the node: what is computed from wide values and constants alone stays wide. */
static bool meets_narrow(const lowering *low, const pf_node *node)
{
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != PF_NONE && low->twins[node->in[i]].narrow) return true;
    return false;
}

/* What pow(x, 2) was: a square leaves the range of FP16 as easily. */
static bool is_square(const pf_node *node) { return node->op == PF_OP_MUL && node->in[0] == node->in[1]; }

static bool runs_narrow(const lowering *low, const pf_node *node)
{
    const pf_op_def *def = pf_op_def_of(node->op);
    bool             wide_math = def->flags & PF_OPF_FP32_MATH || is_square(node);

    if (def->klass == PF_CLASS_HOST || node->op == PF_OP_CAST) return false;
    if (def->klass == PF_CLASS_ANCHOR && !wide_math) return true;
    if (def->klass == PF_CLASS_POINTWISE && wide_math) return false;
    return meets_narrow(low, node);
}

/* A cast in the model to FP32 of something narrow stays a cast; other casts read what is there. */
static pf_status lower_node(lowering *low, pf_node_id id)
{
    pf_graph *graph = low->graph;
    bool      narrow = runs_narrow(low, pf_graph_node(graph, id));
    bool      indifferent = graph->nodes[id].op == PF_OP_CAST;
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < graph->nodes[id].in_count && !indifferent; i++) {
        pf_value_id in = graph->nodes[id].in[i], made = in;

        if (in == PF_NONE) continue;
        st = narrow ? as_narrow(low, in, &made) : as_wide(low, in, &made);
        if (!st) st = pf_graph_set_input(graph, id, i, made, low->err);
        if (st) return st;
    }
    for (uint32_t i = 0; i < graph->nodes[id].out_count && narrow; i++)
        low->twins[graph->nodes[id].out[i]].narrow = is_wide_float(low, graph->nodes[id].out[i]);
    return PF_OK;
}

static pf_status restore_outputs(lowering *low)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < low->graph->output_count && !st; i++) {
        pf_value_id made = PF_NONE;

        st = as_wide(low, low->graph->outputs[i], &made);
        if (!st) st = pf_graph_set_output(low->graph, i, made, low->err);
    }
    return st;
}

pf_status pf_precision_lower(pf_graph *graph, pf_dtype narrow, pf_err *err)
{
    lowering    low = { .graph = graph, .narrow = narrow, .err = err };
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = pf_graph_order(graph, &order, &count, err);

    if (!st) st = cover_values(&low);
    for (uint32_t i = 0; i < count && !st; i++) st = lower_node(&low, order[i]);
    if (!st) st = restore_outputs(&low);
    if (!st) st = pf_graph_infer(graph, err);
    pf_free(order);
    pf_free(low.twins);
    return st;
}
