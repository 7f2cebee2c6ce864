#include "engine/precision.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/graph_private.h"
#include "engine/ops/attrs.h"
#include "engine/problem.h"

static const double F16_LARGEST = 65504.0, F16_LEAST = 0x1p-14;      /* below, bits are missing */
static const double BF16_LARGEST = 0x1.fep127;  /* FP32 goes on a little further: masks of its greatest number */

enum { TAPS_MOST = 64, CHANNELS_FEW = 8 };

/* Per value: whether it is narrow now; whether it is wide although computed from something narrow, and to be narrow
   where its users are; and its twins in either type once they were needed. */
typedef struct twin { bool narrow, lifted; pf_value_id as_narrow, as_wide; } twin;

typedef struct lowering {
    pf_graph *graph;
    pf_dtype  narrow;
    twin     *twins; uint32_t count, capacity;
    bool     *feeds_product;    /* by node of the network as it came, like the next */
    bool     *spared;           /* products that stay wide */
    bool     *decides;          /* what is ordered is computed from it with no product between */
    pf_err   *err;
} lowering;

static pf_status cover_values(lowering *low)
{
    if (pf_grow((void **)&low->twins, &low->capacity, low->graph->value_count, sizeof *low->twins))
        return PF_FAIL_MEMORY(low->err, low->graph->value_count * sizeof *low->twins);
    for (; low->count < low->graph->value_count; low->count++) low->twins[low->count] = (twin){ .as_narrow = PF_NONE,
                                                                                                .as_wide = PF_NONE };
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

static double largest_of(pf_dtype narrow) { return narrow == PF_F16 ? F16_LARGEST : BF16_LARGEST; }
static double saturated(double value, double largest)
{
    return value > largest ? largest : value < -largest ? -largest : value;
}

/* A constant in the narrow type. */
typedef struct narrowed { pf_late late; pf_constant from; } narrowed;

static void fill_narrowed(const pf_late *late, uint64_t first, uint64_t count, void *out)
{
    const narrowed *n = (const narrowed *)late;
    const float     largest = (float)largest_of(late->dtype);
    float           chunk[PF_LATE_CHUNK];

    for (uint64_t at = 0; at < count; at += PF_LATE_CHUNK) {
        uint64_t     part = count - at < PF_LATE_CHUNK ? count - at : PF_LATE_CHUNK;
        const float *from = pf_constant_part(&n->from, PF_F32, first + at, part, chunk);

        for (uint64_t i = 0; i < part; i++)
            chunk[i] = from[i] > largest ? largest : from[i] < -largest ? -largest : from[i];
        pf_dtype_convert(PF_F32, chunk, late->dtype, (uint8_t *)out + pf_dtype_bytes(late->dtype, at), part);
    }
}

static void forget_narrowed(const pf_late *late) { pf_constant_forget(&((const narrowed *)late)->from); }

/* Indices of a kernel's taps, the largest first. */
static void order_taps(const float *kernel, uint32_t taps, uint8_t *order)
{
    for (uint32_t i = 0; i < taps; i++) {
        uint32_t k = i;

        for (; k > 0 && fabsf(kernel[order[k - 1]]) < fabsf(kernel[i]); k--) order[k] = order[k - 1];
        order[k] = (uint8_t)i;
    }
}

/* Rounds so that the sum of each kernel's taps stays: what rounding takes from one is given to the next smaller one,
   whose last place is finer. Neighbours in an image are much alike, so the sum is what matters, and where few taps make
   an output nothing else evens the errors out. */
static void narrow_kernels(const lowering *low, const float *from, void *to, uint64_t count, uint32_t taps)
{
    uint8_t order[TAPS_MOST];
    double  largest = largest_of(low->narrow);

    for (uint64_t at = 0; at < count; at += taps) {
        double carry = 0;

        order_taps(from + at, taps, order);
        for (uint32_t i = 0; i < taps; i++) {
            uint64_t k = at + order[i];
            double   wanted = saturated(from[k] + carry, largest);

            pf_dtype_set(low->narrow, to, k, wanted);
            carry = wanted - pf_dtype_get(low->narrow, to, k);
        }
    }
}

static pf_status narrow_by_kernels(lowering *low, const pf_value *value, uint32_t taps, pf_value_id *out)
{
    pf_graph   *graph = low->graph;
    uint64_t    elems = (uint64_t)pf_shape_elems(graph->dims, &value->shape);
    size_t      bytes = pf_dtype_bytes(low->narrow, elems);
    const void *from = NULL;
    void       *data = pf_arena_alloc(graph->arena, bytes + 1);

    if (!data) return PF_FAIL_MEMORY(low->err, bytes);
    if (pf_constant_bytes(&value->constant, &from, low->err)) return PF_NO_SPACE;
    narrow_kernels(low, from, data, elems, taps);
    return pf_graph_add_constant(graph, value->name, low->narrow, &value->shape, data, bytes, out, low->err);
}

static pf_status narrow_each(lowering *low, const pf_value *value, pf_value_id *out)
{
    narrowed *n = pf_arena_alloc(low->graph->arena, sizeof *n);

    if (!n) return PF_FAIL_MEMORY(low->err, sizeof *n);
    n->late.fill = fill_narrowed;
    n->late.forget = forget_narrowed;
    n->late.dtype = low->narrow;
    n->from = value->constant;
    return pf_graph_add_late(low->graph, value->name, &value->shape, &n->late, out, low->err);
}

static pf_status narrow_constant(lowering *low, pf_value_id from, uint32_t taps, pf_value_id *out)
{
    pf_value  value = *pf_graph_value(low->graph, from);
    pf_status st = taps > 1 ? narrow_by_kernels(low, &value, taps, out) : narrow_each(low, &value, out);

    return st ? st : cover_values(low);
}

static pf_status limit_range(lowering *low, pf_value_id *value)
{
    pf_pointwise_attrs limits = { -largest_of(low->narrow), largest_of(low->narrow) };
    pf_value_id        from = *value;
    pf_status          st = pf_graph_add_node(low->graph, PF_OP_CLIP, "", &from, 1, &limits, 1, value, low->err);
    return st ? st : cover_values(low);
}

static pf_status as_narrow(lowering *low, pf_value_id value, uint32_t taps, pf_value_id *out);

/* In front of a view: what makes the value can then give it in the narrow type itself. */
static pf_status narrow_behind_view(lowering *low, const pf_node *view, pf_value_id *out)
{
    const pf_node node = *view;                 /* adding nodes moves them */
    pf_value_id   made = PF_NONE;
    pf_status     st = as_narrow(low, node.in[0], 1, &made);

    if (!st) st = pf_graph_add_node(low->graph, node.op, node.name, &made, 1, node.attrs, 1, out, low->err);
    return st ? st : cover_values(low);
}

static pf_status narrow_computed(lowering *low, pf_value_id value, pf_value_id *out)
{
    pf_node_id     id = low->graph->values[value].producer;
    const pf_node *producer = id == PF_NONE ? NULL : &low->graph->nodes[id];
    pf_status      st = PF_OK;

    if (producer && producer->op == PF_OP_RESHAPE && is_wide_float(low, producer->in[0]))
        return narrow_behind_view(low, producer, out);
    *out = value;
    st = limit_range(low, out);
    return st ? st : add_cast(low, *out, low->narrow, out);
}

static pf_status as_narrow(lowering *low, pf_value_id value, uint32_t taps, pf_value_id *out)
{
    pf_status st = PF_OK;

    *out = value;
    if (low->twins[value].narrow || !is_wide_float(low, value)) return PF_OK;
    if (low->twins[value].as_narrow == PF_NONE) {
        pf_value_id made = value;

        st = pf_graph_value(low->graph, value)->is_constant ? narrow_constant(low, value, taps, &made)
                                                            : narrow_computed(low, value, &made);
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
        if (node->in[i] != PF_NONE && (low->twins[node->in[i]].narrow || low->twins[node->in[i]].lifted)) return true;
    return false;
}

/* Whether FP16 holds the constant's numbers as well as any: neither too large nor so small that bits are missing. */
static bool fits_narrow(const lowering *low, const pf_value *value)
{
    int64_t elems = low->narrow == PF_F16 ? pf_shape_elems(low->graph->dims, &value->shape) : 0;

    for (int64_t i = 0; i < elems; i++) {
        float size = fabsf((float)pf_constant_get(&value->constant, PF_F32, (uint64_t)i));

        if (size > F16_LARGEST || (size > 0 && size < F16_LEAST)) return false;
    }
    return true;
}

static bool is_infinite(const lowering *low, pf_value_id id)
{
    const pf_value *value = &low->graph->values[id];

    return value->is_constant && is_wide_float(low, id) && pf_shape_elems(low->graph->dims, &value->shape) == 1 &&
           isinf(((const float *)value->constant.data)[0]);
}

/* What computes wide for one step, its users being narrow again.  A factor or divisor that was computed wide may have
   to be: a norm that is divided by, kept from 0 by an epsilon that FP16 cannot hold.  And infinity is put in where a
   test looks for it: the limit would hide it. */
static bool steps_wide(const lowering *low, const pf_node *node)
{
    if (node->op == PF_OP_WHERE && (is_infinite(low, node->in[1]) || is_infinite(low, node->in[2]))) return true;
    for (uint32_t i = 0; i < node->in_count && (node->op == PF_OP_MUL || node->op == PF_OP_DIV); i++) {
        const pf_value *value = &low->graph->values[node->in[i]];

        if (!low->twins[node->in[i]].narrow && !low->twins[node->in[i]].lifted && is_wide_float(low, node->in[i]) &&
            !(value->is_constant && fits_narrow(low, value)))
            return true;
    }
    return false;
}

/* What pow(x, 2) was: a square leaves the range of FP16 as easily. */
static bool is_square(const pf_node *node) { return node->op == PF_OP_MUL && node->in[0] == node->in[1]; }

/* A sum over thousands of values leaves the range of FP16 where a mean or a maximum does not. */
static bool grows(const pf_node *node)
{
    const pf_reduce_attrs *attrs = node->attrs;

    return node->op == PF_OP_REDUCE && attrs->mode != PF_REDUCE_MEAN && attrs->mode != PF_REDUCE_MAX &&
           attrs->mode != PF_REDUCE_MIN;
}

/* Tests read what is there without rounding the other side: a threshold that a limit or a last bit moved decides
   otherwise. */
static bool is_test(const lowering *low, const pf_node *node)
{
    return pf_op_is_pointwise(node->op) && !pf_dtype_is_float(low->graph->values[node->out[0]].dtype);
}

/* One product for each result: rows of positions times frequencies, of which sines are taken. Nothing is gained there,
   and an angle of a thousand is off by half a radian in FP16. */
static bool is_outer(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *shape = &graph->values[node->in[0]].shape;

    return node->op == PF_OP_MATMUL && shape->rank > 0 && shape->dim[shape->rank - 1] == 1;
}

enum { SLOTS = 8, ALL = 0xff };

/* Ops by what becomes of them: products are narrow whatever reaches them; of others some inputs (bits) stay wide though
   the rest is narrow. Scales that divide, coordinates, statistics: rounding them moves the result further than rounding
   what they are applied to. */
static const struct { pf_op_kind op; bool is_product; uint8_t wide_slots; } special[] = {
    { PF_OP_CONV, true, 0 }, { PF_OP_CONV_TRANSPOSE, true, 0 }, { PF_OP_DEFORM_CONV, true, 1 << 2 },
    { PF_OP_MATMUL, true, 0 },
    { PF_OP_GEMM, true, 0 }, { PF_OP_EINSUM, true, 0 }, { PF_OP_ATTENTION, true, 0 },
    { PF_OP_LSTM, true, 0 }, { PF_OP_GRU, true, 0 }, { PF_OP_RNN, true, 0 },
    { PF_OP_CUMULATE, false, ALL }, { PF_OP_DET, false, ALL },
    { PF_OP_AFFINE_GRID, false, ALL }, { PF_OP_DFT, false, ALL }, { PF_OP_STFT, false, ALL },
    { PF_OP_GRID_SAMPLE, false, 1 << 1 },
    { PF_OP_ROI_ALIGN, false, 1 << 1 }, { PF_OP_MAX_ROI_POOL, false, 1 << 1 }, { PF_OP_BATCH_NORM, false, ALL - 1 },
    { PF_OP_QUANTIZE_LINEAR, false, ALL - 1 }, { PF_OP_DEQUANTIZE_LINEAR, false, ALL },
    { PF_OP_DYNAMIC_QUANTIZE_LINEAR, false, ALL },
};

static bool is_product(pf_op_kind op)
{
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (special[i].op == op) return special[i].is_product;
    return false;
}

/* Products, and what is made of them. */
static bool works(const pf_graph *graph, const pf_node *node)
{
    return node->op == PF_OP_LINEAR_ATTENTION || (is_product(node->op) && !is_outer(graph, node));
}

uint32_t pf_precision_products(const pf_graph *graph)
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < graph->node_count; n++) {
        const pf_node *node = &graph->nodes[n];
        pf_graph      *bodies[GRAPH_BODY_LIMIT] = { 0 };
        uint32_t       held = node->live ? graph_bodies(pf_op_def_of(node->op), node->attrs, bodies) : 0;

        count += node->live && works(graph, node);
        for (uint32_t i = 0; i < held; i++)
            if (bodies[i]) count += pf_precision_products(bodies[i]);
    }
    return count;
}

static uint8_t wide_slots(pf_op_kind op)
{
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (special[i].op == op) return special[i].wide_slots;
    return 0;
}

/* What is behind the last products stays wide, as the outputs are: nothing reads it faster, and scores that nearly
   meet, coordinates and probabilities near 1 keep their bits.  So does what only products that stay wide read. */
static void mark_feeders(lowering *low, const pf_node_id *order, uint32_t count)
{
    const pf_graph *graph = low->graph;

    for (uint32_t i = count; i-- > 0;)
        for (uint32_t k = 0; k < graph->nodes[order[i]].out_count; k++)
            for (uint32_t u = 0; u < pf_graph_use_count(graph, graph->nodes[order[i]].out[k]); u++) {
                pf_node_id user = pf_graph_use(graph, graph->nodes[order[i]].out[k], u).node;

                if (user != PF_NONE && !low->spared[user] &&
                    (low->feeds_product[user] || works(graph, &graph->nodes[user])))
                    low->feeds_product[order[i]] = true;
            }
}

static bool is_point(const pf_graph *graph, pf_value_id value)
{
    const pf_shape *shape = &graph->values[value].shape;
    bool            point = shape->rank > 2;

    for (int32_t d = 2; d < shape->rank; d++) point &= shape->dim[d] == 1;
    return point;
}

/* A gate of channels. */
static bool is_gate(const pf_graph *graph, const pf_node *node)
{
    return node->op == PF_OP_CONV && is_point(graph, node->in[0]);
}

static pf_precision_care slice_of(uint32_t product, uint32_t total)
{
    uint64_t slice = total <= PF_CARE_SLICES ? product : (uint64_t)product * PF_CARE_SLICES / total;

    return (pf_precision_care)1 << slice;
}

static bool has_user(const pf_graph *graph, pf_value_id value)
{
    for (uint32_t u = 0; u < pf_graph_use_count(graph, value); u++)
        if (pf_graph_use(graph, value, u).node != PF_NONE)
            return true;
    return false;
}

/* The node orders what it reads there, and something is decided by it: an index that is only told is not. */
static bool orders(const pf_graph *graph, const pf_node *node, uint32_t slot)
{
    return slot == 0 &&
           (node->op == PF_OP_TOPK || (node->op == PF_OP_ARG_REDUCE && has_user(graph, node->out[0])));
}

static void mark_deciding(const pf_graph *graph, const pf_node_id *order, uint32_t count, bool *decides)
{
    for (uint32_t i = count; i-- > 0;)
        for (uint32_t k = 0; k < graph->nodes[order[i]].out_count; k++)
            for (uint32_t u = 0; u < pf_graph_use_count(graph, graph->nodes[order[i]].out[k]); u++) {
                pf_use         use = pf_graph_use(graph, graph->nodes[order[i]].out[k], u);
                const pf_node *user = use.node == PF_NONE ? NULL : &graph->nodes[use.node];

                if (user && (orders(graph, user, use.slot) || (decides[use.node] && !works(graph, user))))
                    decides[order[i]] = true;
            }
}

static void count_products(const pf_graph *graph, const pf_node_id *order, uint32_t count,
                           uint32_t *products, uint32_t *gates)
{
    *products = *gates = 0;
    for (uint32_t i = 0; i < count; i++) {
        const pf_node *node = &graph->nodes[order[i]];

        if (works(graph, node)) ++*(is_gate(graph, node) ? gates : products);
    }
}

static void spare_products(lowering *low, const pf_node_id *order, uint32_t count, pf_precision_care care)
{
    uint32_t total = 0, gates = 0, seen = 0;

    count_products(low->graph, order, count, &total, &gates);
    for (uint32_t i = 0; i < count; i++) {
        const pf_node *node = &low->graph->nodes[order[i]];

        if (!works(low->graph, node)) continue;
        low->spared[order[i]] = (care & (is_gate(low->graph, node) ? PF_CARE_GATES : slice_of(seen++, total))) ||
                                (care & PF_CARE_DECISIONS && low->decides[order[i]]);
    }
}

static bool runs_narrow(const lowering *low, pf_node_id id)
{
    const pf_node   *node = &low->graph->nodes[id];
    const pf_op_def *def = pf_op_def_of(node->op);

    if (def->klass == PF_CLASS_HOST || wide_slots(node->op) == ALL || grows(node) || is_test(low, node) ||
        low->spared[id])
        return false;
    if (is_product(node->op) && !is_outer(low->graph, node)) return true;
    if (!low->feeds_product[id] && !works(low->graph, node)) return false;
    if (def->klass == PF_CLASS_POINTWISE && (def->flags & PF_OPF_FP32_MATH || is_square(node))) return false;
    return meets_narrow(low, node) && !steps_wide(low, node);
}

/* Of each kernel, where few of them make an output: of an image's colours, or of each channel by itself. Else 1. */
static uint32_t taps_of(const lowering *low, const pf_node *node, uint32_t slot)
{
    const pf_shape *w = node->op == PF_OP_CONV && slot == 1 ? &low->graph->values[node->in[1]].shape : NULL;
    pf_dim          taps = 1;

    for (int32_t d = 2; w && w->rank > 2 && w->dim[1] <= CHANNELS_FEW && d < w->rank; d++)
        taps = pf_dim_mul(low->graph->dims, taps, w->dim[d]);
    return pf_dim_is_number(taps) && taps >= 1 && taps <= TAPS_MOST ? (uint32_t)taps : 1;
}

static pf_status set_input(lowering *low, pf_node_id id, uint32_t slot, bool narrow)
{
    pf_value_id in = low->graph->nodes[id].in[slot], made = in;
    bool        wide = slot < SLOTS && wide_slots(low->graph->nodes[id].op) & 1 << slot;
    pf_status   st = PF_OK;

    if (in == PF_NONE) return PF_OK;
    st = narrow && !wide ? as_narrow(low, in, taps_of(low, &low->graph->nodes[id], slot), &made)
                         : as_wide(low, in, &made);
    return st || made == in ? st : pf_graph_set_input(low->graph, id, slot, made, low->err);
}

/* Some ops have results of one type whatever they read (the scale of a dynamic quantization): inference says what
   became narrow. */
static pf_status note_outputs(lowering *low, pf_node_id id)
{
    const pf_node *node = &low->graph->nodes[id];
    pf_value      *made = pf_calloc(node->out_count, sizeof *made);
    pf_status      st = made ? graph_infer_node(low->graph, id, made, low->err)
                             : PF_FAIL_MEMORY(low->err, node->out_count * sizeof *made);

    for (uint32_t i = 0; i < node->out_count && !st; i++) {
        pf_value *value = &low->graph->values[node->out[i]];

        low->twins[node->out[i]].narrow = is_wide_float(low, node->out[i]) && made[i].dtype == low->narrow;
        value->dtype = made[i].dtype;
    }
    pf_free(made);
    return st ? pf_err_add(low->err, st, "%s \"%s\"", pf_op_def_of(node->op)->name, node->name) : PF_OK;
}

/* A cast in the model to FP32 of something narrow stays a cast; other casts read what is there. */
static pf_status lower_node(lowering *low, pf_node_id id)
{
    bool      narrow = runs_narrow(low, id);
    pf_status st = PF_OK;

    if (low->graph->nodes[id].op == PF_OP_CAST) return PF_OK;
    low->twins[low->graph->nodes[id].out[0]].lifted =
        !narrow && meets_narrow(low, &low->graph->nodes[id]) && steps_wide(low, &low->graph->nodes[id]);
    for (uint32_t i = 0; i < low->graph->nodes[id].in_count && !st; i++) st = set_input(low, id, i, narrow);
    return st || !narrow ? st : note_outputs(low, id);
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

static pf_status mark_nodes(lowering *low, const pf_node_id *order, uint32_t count, pf_precision_care care)
{
    low->feeds_product = pf_calloc(low->graph->node_count + 1, sizeof *low->feeds_product);
    low->spared = pf_calloc(low->graph->node_count + 1, sizeof *low->spared);
    low->decides = pf_calloc(low->graph->node_count + 1, sizeof *low->decides);
    if (!low->feeds_product || !low->spared || !low->decides)
        return PF_FAIL_MEMORY(low->err, 3 * (size_t)low->graph->node_count);
    mark_deciding(low->graph, order, count, low->decides);
    spare_products(low, order, count, care);
    mark_feeders(low, order, count);
    return PF_OK;
}

pf_status pf_precision_lower(pf_graph *graph, pf_dtype narrow, pf_precision_care care, pf_err *err)
{
    lowering    low = { .graph = graph, .narrow = narrow, .err = err };
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = PF_OK;

    if (care & PF_CARE_ALL) return PF_OK;
    st = pf_graph_order(graph, &order, &count, err);
    if (!st) st = mark_nodes(&low, order, count, care);
    if (!st) st = cover_values(&low);
    for (uint32_t i = 0; i < count && !st; i++) st = lower_node(&low, order[i]);
    if (!st) st = restore_outputs(&low);
    if (!st) pf_graph_remove_dead(graph);
    if (!st) st = pf_graph_infer(graph, err);
    pf_free(order);
    pf_free(low.feeds_product);
    pf_free(low.spared);
    pf_free(low.decides);
    pf_free(low.twins);
    return st;
}

/* Angles neither (is_outer). */
pf_status pf_precision_refuse_tf32(pf_graph *graph, pf_precision_care care, pf_err *err)
{
    lowering    low = { .graph = graph, .err = err };
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = pf_graph_order(graph, &order, &count, err);

    if (!st) st = mark_nodes(&low, order, count, care);
    for (uint32_t i = 0; i < count && !st; i++)
        if (low.spared[order[i]] || is_outer(graph, &graph->nodes[order[i]]))
            graph->nodes[order[i]].refuses |= PF_NUMERICS_TF32;
    pf_free(order);
    pf_free(low.feeds_product);
    pf_free(low.spared);
    pf_free(low.decides);
    return st;
}

static uint32_t count_decided(const pf_graph *graph, const pf_node_id *order, uint32_t count, uint32_t products,
                              const bool *decides)
{
    uint32_t seen = 0, last = 0;

    for (uint32_t i = 0; i < count; i++) {
        const pf_node *node = &graph->nodes[order[i]];

        if (!works(graph, node) || is_gate(graph, node)) continue;
        seen++;
        if (decides[order[i]]) last = seen;
    }
    return products <= PF_CARE_SLICES ? last : (last * PF_CARE_SLICES + products - 1) / products;
}

pf_status pf_precision_measure(const pf_graph *graph, pf_precision_size *out, pf_err *err)
{
    pf_node_id *order = NULL;
    uint32_t    count = 0, products = 0, gates = 0;
    bool       *decides = pf_calloc(graph->node_count + 1, sizeof *decides);
    pf_status   st = decides ? pf_graph_order(graph, &order, &count, err) : PF_FAIL_MEMORY(err, graph->node_count);

    *out = (pf_precision_size){ 0 };
    if (!st) {
        count_products(graph, order, count, &products, &gates);
        mark_deciding(graph, order, count, decides);
        *out = (pf_precision_size){ products < PF_CARE_SLICES ? products : PF_CARE_SLICES,
                                    count_decided(graph, order, count, products, decides), gates > 0 };
    }
    pf_free(order);
    pf_free(decides);
    return st;
}

pf_precision_care pf_precision_care_first(uint32_t slices)
{
    return ((pf_precision_care)1 << (slices < PF_CARE_SLICES ? slices : PF_CARE_SLICES)) - 1;
}

/* The first and the last of the products that are named, counted from 1; 0 where none are. */
static uint32_t first_in(pf_precision_care care)
{
    for (uint32_t i = 0; i < PF_CARE_SLICES; i++)
        if (care >> i & 1) return i + 1;
    return 0;
}

uint32_t pf_precision_care_last(pf_precision_care care)
{
    for (uint32_t i = PF_CARE_SLICES; i > 0; i--)
        if (care >> (i - 1) & 1) return i;
    return 0;
}

void pf_precision_care_text(pf_precision_care care, char *text, size_t capacity)
{
    const char *exact = care & PF_CARE_EXACT ? ", in three parts" : "";
    char        first[40] = "";
    uint32_t    from = first_in(care), to = pf_precision_care_last(care);
    bool        decisions = care & PF_CARE_DECISIONS, gates = care & PF_CARE_GATES;

    if (from > 1)
        snprintf(first, sizeof first, "%snumbers %u to %u", decisions || gates ? " and " : "", (unsigned)from,
                 (unsigned)to);
    else if (to) snprintf(first, sizeof first, "%sthe first %u", decisions || gates ? " and " : "", (unsigned)to);
    if (care & PF_CARE_ALL) snprintf(text, capacity, "all%s", exact);
    else if (!to && !decisions && !gates) snprintf(text, capacity, "nothing more%s", exact);
    else
        snprintf(text, capacity, "%s%s%s%s%s", decisions ? "decisions" : "", decisions && gates ? " and " : "",
                 gates ? "gates" : "", first, exact);
}
