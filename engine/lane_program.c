#include "engine/lane_program.h"

#include <string.h>

#include "engine/epilogue.h"
#include "engine/ops/attrs.h"

enum { NO_REGISTER = UINT16_MAX };

/* ---- What can be a program */
static bool is_cast(pf_op_kind op) { return op == PF_OP_CAST; }

/* Everything is computed once for each element of the result, so a function of a smaller tensor is better done
   before. */
static bool repeats_work(const pf_graph *graph, const pf_node *node)
{
    const pf_value *own = pf_graph_value(graph, node->out[0]);

    return pf_dtype_is_float(own->dtype) &&
           !pf_shape_equal(&own->shape, &pf_graph_value(graph, graph->outputs[0])->shape);
}

static const char *node_declines(const pf_graph *graph, const pf_node *node)
{
    const pf_dtype in = node->in_count ? pf_graph_value(graph, node->in[node->op == PF_OP_WHERE ? 1 : 0])->dtype
                                       : PF_DTYPE_NONE;

    if (repeats_work(graph, node))
        return "a function of a tensor that is smaller than the result";

    if (node->op == PF_OP_IDENTITY)
        return NULL;
    if (is_cast(node->op)) {
        const pf_cast_attrs *attrs = node->attrs;

        return attrs->dtype == PF_F64 || in == PF_F64 ? "a cast of doubles" : NULL;
    }
    if (!pf_op_is_pointwise(node->op))
        return "not pointwise";
    if (pf_lanes_is_float(in) ? !pf_lanes_float(PF_ISA_BASE, node->op) : !pf_lanes_integer(node->op))
        return "an op that has no lane function";
    if (node->op == PF_OP_POW && !pf_lanes_is_float(pf_graph_value(graph, node->in[1])->dtype))
        return "a power with an integer exponent";
    return NULL;
}

/* Channels must fill blocks: what lies in the padding must stay zero. */
static const char *layout_declines(const pf_value *value, pf_layout layout)
{
    int64_t block = pf_layout_block(layout);

    if (block > 1 && (pf_dim_is_symbolic(value->shape.dim[1]) || value->shape.dim[1] % block))
        return "channels do not fill blocks";
    return NULL;
}

static const char *values_decline(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    const pf_shape *result = &pf_graph_value(graph, graph->outputs[0])->shape;
    const char     *reason = NULL;

    for (uint32_t i = 0; i < graph->value_count; i++)
        if (!pf_lanes_has(graph->values[i].dtype))
            return "a type that has no lanes";
    for (uint32_t i = 0; i < graph->output_count && !reason; i++) {
        if (!pf_shape_equal(&pf_graph_value(graph, graph->outputs[i])->shape, result) ||
            p->out_layout[i] != p->out_layout[0])
            return "outputs of different shapes or layouts";
        reason = layout_declines(pf_graph_value(graph, graph->outputs[i]), p->out_layout[i]);
    }
    for (uint32_t i = 0; i < graph->input_count && !reason; i++)
        reason = layout_declines(pf_graph_value(graph, graph->inputs[i]), p->in_layout[i]);
    return reason;
}

static bool same_block(pf_layout a, pf_layout b)
{
    return pf_layout_block(a) == 1 || pf_layout_block(b) == 1 || pf_layout_block(a) == pf_layout_block(b);
}

const char *pf_lane_program_declines(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    uint32_t        nodes = 0;
    const char     *reason = NULL;

    if (graph->output_count == 0 || graph->output_count > PF_LANE_OUTPUTS)
        return "too many outputs";
    for (uint32_t i = 0; i < graph->node_count && !reason; i++, nodes++)
        reason = node_declines(graph, &graph->nodes[i]);
    if (reason)
        return reason;
    if (nodes > PF_LANE_OPS / 2 || graph->value_count - nodes > PF_LANE_SOURCES)
        return "too many ops or operands";
    for (uint32_t i = 0; i < graph->input_count; i++)
        for (uint32_t j = 0; j < graph->output_count; j++)
            if (!same_block(p->in_layout[i], p->out_layout[j]))
                return "blocks of two sizes";
    return values_decline(p);
}

/* ---- Dims and strides
   The result's dims in the order of its memory; where any value is in blocks, channels are two dims: blocks, and places
   in a block. */
typedef struct physical {
    int32_t count;
    int32_t logical[PF_LANE_RANK];      /* the dim of the result */
    int64_t part[PF_LANE_RANK];         /* steps of the logical dim that one step here makes: the block's size, or 1 */
    int64_t dim[PF_LANE_RANK];
} physical;

static void add_dim(physical *x, int32_t logical, int64_t part, int64_t dim)
{
    x->logical[x->count] = logical;
    x->part[x->count] = part;
    x->dim[x->count++] = dim;
}

static void physical_of(const pf_shape *shape, pf_layout layout, int64_t block, physical *x)
{
    bool last = layout == PF_LAYOUT_CHANNELS_LAST, blocked = pf_layout_block(layout) > 1;

    x->count = 0;
    for (int32_t i = 0; i < shape->rank; i++) {
        if (i != 1 || block == 1) {
            if (!(i == 1 && last))
                add_dim(x, i, 1, shape->dim[i]);
            continue;
        }
        if (!last)
            add_dim(x, 1, block, shape->dim[1] / block);
        if (!last && !blocked)
            add_dim(x, 1, 1, block);
    }
    if (last && block > 1)
        add_dim(x, 1, block, shape->dim[1] / block);
    if (last || blocked)
        add_dim(x, 1, 1, block > 1 ? block : shape->dim[1]);
}

/* Elements that a step along the program's dim d moves in a value that is broadcast to the result. */
static int64_t step_of(const physical *x, int32_t d, const pf_shape *shape, int32_t result_rank, pf_layout layout,
                       const pf_strides *s)
{
    int32_t own = x->logical[d] - (result_rank - shape->rank);
    bool    channels_blocked = pf_layout_block(layout) > 1 && own == 1;

    if (own < 0 || shape->dim[own] == 1)
        return 0;
    if (channels_blocked)
        return x->part[d] > 1 ? s->dim[1] : s->in_block;
    return s->dim[own] * x->part[d];
}

/* ---- Building */
typedef struct builder {
    const pf_problem *p;
    pf_lane_program  *out;
    pf_isa            isa;
    uint16_t          reg_of[PF_LANE_SOURCES + PF_LANE_OPS];    /* by value */
    uint32_t          uses[PF_LANE_SOURCES + PF_LANE_OPS];      /* reads still to come, by value */
    bool              busy[PF_LANE_SOURCES + 2 * PF_LANE_OPS];  /* by register */
} builder;

static void add_source(builder *b, pf_value_id value, const physical *x, pf_layout layout, int32_t result_rank)
{
    const pf_value *v = pf_graph_value(b->p->graph, value);
    pf_lane_source *source = &b->out->sources[b->out->source_count];
    pf_strides      s = pf_layout_strides(layout, v->shape.rank, v->shape.dim);

    source->input = v->is_constant ? UINT32_MAX : pf_problem_input_index(b->p, value);
    source->data = v->is_constant ? v->constant.data : NULL;
    source->dtype = v->dtype;
    for (int32_t d = 0; d < x->count; d++)
        source->stride[d] = step_of(x, d, &v->shape, result_rank, layout, &s);
    b->reg_of[value] = (uint16_t)b->out->source_count;
    b->busy[b->out->source_count++] = true;
}

/* A result has a register that nothing else uses: it lies in the result's memory, which may be an operand's too. */
static uint16_t take_register(builder *b, pf_value_id value)
{
    uint16_t reg = (uint16_t)(pf_graph_is_output(b->p->graph, value) ? b->out->register_count : b->out->source_count);

    while (b->busy[reg])
        reg++;
    b->busy[reg] = true;
    if (reg >= b->out->register_count)
        b->out->register_count = reg + 1u;
    return reg;
}

/* One read of the value is done; its register is free after the last, unless it is a source's. */
static void drop_use(builder *b, pf_value_id value)
{
    if (value != PF_NONE && --b->uses[value] == 0 && b->reg_of[value] >= b->out->source_count)
        b->busy[b->reg_of[value]] = false;
}

static void emit(builder *b, pf_lane_function *run, uint16_t y, uint16_t a, uint16_t b2, uint16_t c, float p, float q)
{
    b->out->ops[b->out->op_count++] = (pf_lane_op){ run, y, a, b2, c, p, q };
}

/* Powers that are cheaper than a power. */
static bool emit_power(builder *b, const pf_node *node, uint16_t y)
{
    double   exponent = 0;
    uint16_t a = b->reg_of[node->in[0]];

    if (node->op != PF_OP_POW || !pf_problem_scalar(b->p, node->in[1], &exponent))
        return false;
    if (exponent == 2)
        emit(b, pf_lanes_float(b->isa, PF_OP_MUL), y, a, a, a, 0, 0);
    else if (exponent == 0.5)
        emit(b, pf_lanes_float(b->isa, PF_OP_SQRT), y, a, a, a, 0, 0);
    else if (exponent == -1)
        emit(b, pf_lanes_float(b->isa, PF_OP_RECIPROCAL), y, a, a, a, 0, 0);
    else if (exponent == -0.5)
        emit(b, pf_lanes_float(b->isa, PF_OP_RSQRT), y, a, a, a, 0, 0);
    else
        return false;
    return true;
}

static void emit_cast(builder *b, const pf_node *node, uint16_t y)
{
    pf_dtype from = pf_graph_value(b->p->graph, node->in[0])->dtype,
             to = pf_graph_value(b->p->graph, node->out[0])->dtype;
    uint16_t a = b->reg_of[node->in[0]];
    bool     is_signed = pf_dtype_kind_of(to) == PF_KIND_INT;

    if (to == PF_BOOL)
        emit(b, pf_lanes_is_float(from) ? pf_lanes_float_to_bool : pf_lanes_integer_to_bool, y, a, a, a, 0, 0);
    else if (pf_lanes_is_float(to))
        emit(b, pf_lanes_integer_to_float, y, a, a, a, 0, 0);
    else
        emit(b, pf_lanes_is_float(from) ? pf_lanes_float_to_integer : pf_lanes_wrap, y, a, a, a,
             (float)pf_dtype_bits(to), is_signed);
}

/* Integers narrower than lanes keep the low bits of what was computed. */
static void emit_wrap(builder *b, const pf_node *node, uint16_t y)
{
    pf_dtype dtype = pf_graph_value(b->p->graph, node->out[0])->dtype;

    if (pf_dtype_is_integer(dtype) && pf_dtype_bits(dtype) < 64)
        emit(b, pf_lanes_wrap, y, y, y, y, (float)pf_dtype_bits(dtype), pf_dtype_kind_of(dtype) == PF_KIND_INT);
}

static void emit_pointwise(builder *b, const pf_node *node, uint16_t y)
{
    const pf_pointwise_attrs *attrs = node->attrs;
    pf_dtype                  in = pf_graph_value(b->p->graph, node->in[node->op == PF_OP_WHERE ? 1 : 0])->dtype;
    uint16_t                  r[3] = { 0 };

    for (uint32_t i = 0; i < 3; i++)
        r[i] = i < node->in_count ? b->reg_of[node->in[i]] : r[0];
    emit(b, pf_lanes_is_float(in) ? pf_lanes_float(b->isa, node->op) : pf_lanes_integer(node->op), y, r[0], r[1], r[2],
         attrs ? (float)attrs->p : 0, attrs ? (float)attrs->q : 0);
    emit_wrap(b, node, y);
}

/* Lanes stay as they are: between floats the type in memory is all that differs. */
static bool keeps_lanes(const pf_graph *graph, const pf_node *node)
{
    return node->op == PF_OP_IDENTITY
        || (is_cast(node->op) && pf_lanes_is_float(pf_graph_value(graph, node->in[0])->dtype)
            && pf_lanes_is_float(pf_graph_value(graph, node->out[0])->dtype));
}

static void emit_node(builder *b, const pf_node *node)
{
    uint16_t y = NO_REGISTER;

    if (keeps_lanes(b->p->graph, node)) {       /* another name for the same register; its reads are counted there */
        b->reg_of[node->out[0]] = b->reg_of[node->in[0]];
        b->uses[node->in[0]] += b->uses[node->out[0]];
        b->uses[node->out[0]] = UINT32_MAX;     /* never falls to 0 */
        drop_use(b, node->in[0]);
        return;
    }
    y = take_register(b, node->out[0]);
    if (is_cast(node->op))
        emit_cast(b, node, y);
    else if (!emit_power(b, node, y))
        emit_pointwise(b, node, y);
    b->reg_of[node->out[0]] = y;
    for (uint32_t i = 0; i < node->in_count; i++)
        drop_use(b, node->in[i]);
}

/* ---- Merging dims */
static bool merges(const pf_lane_program *x, int32_t d)
{
    for (uint32_t i = 0; i < x->source_count; i++)
        if (x->sources[i].stride[d] != x->sources[i].stride[d + 1] * x->dim[d + 1])
            return false;
    return true;
}

static void remove_dim(pf_lane_program *x, int32_t d)
{
    x->rank--;
    memmove(&x->dim[d], &x->dim[d + 1], (size_t)(x->rank - d) * sizeof x->dim[0]);
    for (uint32_t i = 0; i < x->source_count; i++)
        memmove(&x->sources[i].stride[d], &x->sources[i].stride[d + 1], (size_t)(x->rank - d) * sizeof x->dim[0]);
}

static void merge_dims(pf_lane_program *x)
{
    for (int32_t d = x->rank - 1; d >= 0; d--)
        if (x->dim[d] == 1 && x->rank > 1)
            remove_dim(x, d);
    for (int32_t d = x->rank - 2; d >= 0; d--)
        if (merges(x, d)) {
            x->dim[d + 1] *= x->dim[d];
            remove_dim(x, d);
        }
}

/* Rows and columns are always there. */
static void pad_rank(pf_lane_program *x)
{
    while (x->rank < 2) {
        memmove(&x->dim[1], &x->dim[0], (size_t)x->rank * sizeof x->dim[0]);
        x->dim[0] = 1;
        for (uint32_t i = 0; i < x->source_count; i++) {
            memmove(&x->sources[i].stride[1], &x->sources[i].stride[0], (size_t)x->rank * sizeof x->dim[0]);
            x->sources[i].stride[0] = 0;
        }
        x->rank++;
    }
}

static bool is_dense(const pf_lane_program *x, const pf_lane_source *source)
{
    int64_t step = 1;

    for (int32_t d = x->rank - 1; d >= 0; d--) {
        if (x->dim[d] != 1 && source->stride[d] != step)
            return false;
        step *= x->dim[d];
    }
    return true;
}

/* Every run reads all its operands before the last op writes the result, so an operand of the same places may be
   overwritten. */
static int32_t find_in_place(const builder *b)
{
    const pf_lane_program *x = b->out;

    if (x->output_count != 1)
        return -1;
    for (uint32_t i = 0; i < x->source_count; i++) {
        const pf_lane_source *source = &x->sources[i];

        if (source->input != UINT32_MAX && !b->p->in_constant[source->input] && source->dtype == x->outputs[0].dtype &&
            is_dense(x, source))
            return (int32_t)source->input;
    }
    return -1;
}

static void count_uses(builder *b)
{
    const pf_graph *graph = b->p->graph;

    for (uint32_t v = 0; v < graph->value_count; v++)
        b->uses[v] = pf_graph_use_count(graph, v);
}

static void add_sources(builder *b, const physical *x)
{
    const pf_graph *graph = b->p->graph;
    int32_t         rank = pf_graph_value(graph, graph->outputs[0])->shape.rank;

    for (uint32_t i = 0; i < graph->input_count; i++)
        add_source(b, graph->inputs[i], x, b->p->in_layout[i], rank);
    for (pf_value_id v = 0; v < graph->value_count; v++)
        if (graph->values[v].is_constant)
            add_source(b, v, x, PF_LAYOUT_LINEAR, rank);
    b->out->register_count = b->out->source_count;
}

pf_status pf_lane_program_make(const pf_problem *p, pf_isa isa, int64_t run, pf_lane_program *out, pf_err *err)
{
    const pf_graph *graph = p->graph;
    builder         b = { .p = p, .out = out, .isa = isa };
    physical        x;
    int64_t         block = pf_layout_block(p->out_layout[0]);

    *out = (pf_lane_program){ .run = run, .in_place = -1 };
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    for (uint32_t i = 0; i < graph->input_count; i++)
        if (pf_layout_block(p->in_layout[i]) > block)
            block = pf_layout_block(p->in_layout[i]);
    physical_of(&pf_graph_value(graph, graph->outputs[0])->shape, p->out_layout[0], block, &x);
    out->rank = x.count;
    memcpy(out->dim, x.dim, sizeof out->dim);
    count_uses(&b);
    add_sources(&b, &x);
    for (pf_node_id n = 0; n < graph->node_count; n++)      /* a problem's nodes stand in order */
        emit_node(&b, &graph->nodes[n]);
    for (uint32_t i = 0; i < graph->output_count; i++)
        out->outputs[out->output_count++] = (pf_lane_output){ b.reg_of[graph->outputs[i]],
                                                              pf_graph_value(graph, graph->outputs[i])->dtype };
    if (out->rank == 0) {
        out->rank = 1;
        out->dim[0] = 1;
    }
    merge_dims(out);
    pad_rank(out);
    out->in_place = find_in_place(&b);
    return PF_OK;
}
