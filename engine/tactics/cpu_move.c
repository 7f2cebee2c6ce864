/* Ops that only move elements: transpose, concat, split, slice, pad, expand, tile, blocks between depth and space,
   changes of layout. Each is one nest of loops, or one for each input or output; element types do not matter. */
#include <string.h>

#include "base/alloc.h"
#include "engine/device_cpu.h"
#include "engine/epilogue.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"
#include "kernels/cpu_copy.h"

enum { CLEAR_BYTES = 16 * PF_PROBLEM_CLEAR };

/* in UINT32_MAX: the source is a small constant of the problem, held here. */
typedef struct move { pf_copy copy; uint32_t in, out; uint8_t clear[CLEAR_BYTES]; } move;

typedef struct move_impl {
    move    *moves;
    uint32_t count;
    size_t   item_bytes;
    int64_t  fill_count;            /* elements of output 0 that are set first; 0: none */
    uint8_t  fill[16];
} move_impl;

/* ---- Building nests of loops */
typedef struct mover {
    const pf_problem *p;
    const pf_node    *node;
    move_impl        *impl;
    pf_layout         in_layout[PF_PROBLEM_VALUES];     /* by slot of the node */
} mover;

/* A place along one dim of a value, as elements from its start. */
static int64_t place(const pf_strides *s, int32_t dim, int64_t index)
{
    return dim == 1 && s->block > 1 ? index / s->block * s->dim[1] + index % s->block : index * s->dim[dim];
}

/* One side of a loop: index along `dim` grows by `step`; dim -1: that side stays where it is. */
typedef struct side { int32_t dim; int64_t step; } side;

static int64_t stride_of(const pf_strides *s, side x)
{
    return x.dim < 0 ? 0 : s->dim[x.dim] * x.step;
}

static bool is_blocked(const pf_strides *s, side x)
{
    return s->block > 1 && x.dim == 1;
}

static void push_loop(pf_copy *c, int64_t count, int64_t in, int64_t out)
{
    c->dim[c->rank] = count;
    c->in_stride[c->rank] = in;
    c->out_stride[c->rank++] = out;
}

/* Channels in blocks are two loops: over blocks, and inside one. declines has made sure that blocks are whole. */
static void add_loop(pf_copy *c, int64_t count, const pf_strides *si, side in, const pf_strides *so, side out)
{
    int64_t block = is_blocked(si, in) ? si->block : is_blocked(so, out) ? so->block : 1;

    if (block == 1) {
        push_loop(c, count, stride_of(si, in), stride_of(so, out));
        return;
    }
    push_loop(c, count / block, is_blocked(si, in) ? si->dim[1] : stride_of(si, in) * block,
              is_blocked(so, out) ? so->dim[1] : stride_of(so, out) * block);
    push_loop(c, block, is_blocked(si, in) ? 1 : stride_of(si, in), is_blocked(so, out) ? 1 : stride_of(so, out));
}

typedef struct ends { pf_strides in, out; const pf_shape *in_shape, *out_shape; } ends;

static ends ends_of(const mover *m, uint32_t in_slot, uint32_t out_slot)
{
    ends e;

    e.in_shape = pf_problem_shape(m->p, m->node->in[in_slot]);
    e.out_shape = pf_problem_shape(m->p, m->node->out[out_slot]);
    e.in = pf_layout_strides(m->in_layout[in_slot], e.in_shape->rank, e.in_shape->dim);
    e.out = pf_layout_strides(m->p->out_layout[out_slot], e.out_shape->rank, e.out_shape->dim);
    return e;
}

static pf_copy *new_move(mover *m, uint32_t in_slot, uint32_t out_slot)
{
    const pf_value *source = pf_graph_value(m->p->graph, m->node->in[in_slot]);
    move           *one = &m->impl->moves[m->impl->count++];

    one->in = pf_problem_input_index(m->p, m->node->in[in_slot]);
    one->out = out_slot;
    if (one->in == UINT32_MAX)
        memcpy(one->clear, source->constant.data,
               source->constant.bytes < CLEAR_BYTES ? source->constant.bytes : CLEAR_BYTES);
    return &one->copy;
}

/* Index i of every dim of in becomes start + step * i of the same dim of out, or the other way round, for count[d] of
   them. */
static void move_same_dims(mover *m, uint32_t in_slot, uint32_t out_slot, const int64_t *count, const int64_t *in_start,
                           const int64_t *in_step, const int64_t *out_start)
{
    ends     e = ends_of(m, in_slot, out_slot);
    pf_copy *c = new_move(m, in_slot, out_slot);

    for (int32_t d = 0; d < e.in_shape->rank; d++) {
        add_loop(c, count[d], &e.in, (side){ d, in_step ? in_step[d] : 1 }, &e.out, (side){ d, 1 });
        c->in_at += in_start ? place(&e.in, d, in_start[d]) : 0;
        c->out_at += out_start ? place(&e.out, d, out_start[d]) : 0;
    }
}

static void build_identity(mover *m)
{
    move_same_dims(m, 0, 0, pf_problem_shape(m->p, m->node->in[0])->dim, NULL, NULL, NULL);
}

static void build_transpose(mover *m)
{
    const pf_transpose_attrs *attrs = m->node->attrs;
    ends                      e = ends_of(m, 0, 0);
    pf_copy                  *c = new_move(m, 0, 0);

    for (int32_t d = 0; d < e.out_shape->rank; d++)
        add_loop(c, e.out_shape->dim[d], &e.in, (side){ (int32_t)attrs->perm.at[d], 1 }, &e.out, (side){ d, 1 });
}

static void build_concat(mover *m)
{
    int64_t axis = ((const pf_axis_attrs *)m->node->attrs)->axis, start[PF_MAX_RANK] = { 0 };

    for (uint32_t i = 0; i < m->node->in_count; i++) {
        const pf_shape *shape = pf_problem_shape(m->p, m->node->in[i]);

        move_same_dims(m, i, 0, shape->dim, NULL, NULL, start);
        start[axis] += shape->dim[axis];
    }
}

static void build_split(mover *m)
{
    int64_t axis = ((const pf_split_attrs *)m->node->attrs)->axis, start[PF_MAX_RANK] = { 0 };

    for (uint32_t i = 0; i < m->node->out_count; i++) {
        const pf_shape *shape = pf_problem_shape(m->p, m->node->out[i]);
        bool            wanted = pf_graph_is_output(m->p->graph, m->node->out[i]);

        if (wanted)
            move_same_dims(m, 0, i, shape->dim, start, NULL, NULL);
        start[axis] += shape->dim[axis];
    }
}

/* The first index of a slice, as NumPy counts: from the end when negative, then kept inside. */
static int64_t first_index(int64_t start, int64_t size, int64_t step)
{
    int64_t most = step < 0 ? size - 1 : size;

    if (start >= PF_SLICE_FAR)
        return most;
    if (start <= -PF_SLICE_FAR)
        return 0;
    start += start < 0 ? size : 0;
    return start < 0 ? 0 : start > most ? most : start;
}

static void build_slice(mover *m)
{
    const pf_slice_attrs *attrs = m->node->attrs;
    const pf_shape       *x = pf_problem_shape(m->p, m->node->in[0]);
    int64_t               start[PF_MAX_RANK] = { 0 }, step[PF_MAX_RANK];

    for (int32_t d = 0; d < PF_MAX_RANK; d++)
        step[d] = 1;
    for (int32_t i = 0; i < attrs->axes.count; i++) {
        int64_t axis = attrs->axes.at[i];

        step[axis] = attrs->steps.at[i];
        start[axis] = first_index(attrs->starts.at[i], x->dim[axis], step[axis]);
    }
    move_same_dims(m, 0, 0, pf_problem_shape(m->p, m->node->out[0])->dim, start, step, NULL);
}

static void build_pad(mover *m)
{
    const pf_pad_attrs *attrs = m->node->attrs;
    const pf_shape     *x = pf_problem_shape(m->p, m->node->in[0]), *y = pf_problem_shape(m->p, m->node->out[0]);
    int64_t             in_start[PF_MAX_RANK] = { 0 }, out_start[PF_MAX_RANK] = { 0 }, count[PF_MAX_RANK] = { 0 };
    double              value = attrs->value;

    if (m->node->in_count > 1 && m->node->in[1] != PF_NONE)
        (void)pf_problem_scalar(m->p, m->node->in[1], &value);
    m->impl->fill_count = 1;
    for (int32_t d = 0; d < x->rank; d++) {
        int64_t begin = attrs->pads.at[d], end = attrs->pads.at[d + x->rank];

        in_start[d] = begin < 0 ? -begin : 0;
        out_start[d] = begin > 0 ? begin : 0;
        count[d] = x->dim[d] - in_start[d] - (end < 0 ? -end : 0);
        m->impl->fill_count *= y->dim[d];
        if (count[d] < 0)
            count[d] = 0;
    }
    pf_dtype_set(pf_graph_value(m->p->graph, m->node->out[0])->dtype, m->impl->fill, 0, value);
    move_same_dims(m, 0, 0, count, in_start, NULL, out_start);
}

static void build_expand(mover *m)
{
    ends     e = ends_of(m, 0, 0);
    pf_copy *c = new_move(m, 0, 0);
    int32_t  shift = e.out_shape->rank - e.in_shape->rank;

    for (int32_t d = 0; d < e.out_shape->rank; d++)
        add_loop(c, e.out_shape->dim[d], &e.in,
                 (side){ d < shift || e.in_shape->dim[d - shift] == 1 ? -1 : d - shift, 1 }, &e.out, (side){ d, 1 });
}

static void build_tile(mover *m)
{
    ends     e = ends_of(m, 0, 0);
    pf_copy *c = new_move(m, 0, 0);

    for (int32_t d = 0; d < e.out_shape->rank; d++) {
        int64_t size = e.in_shape->dim[d];

        add_loop(c, size ? e.out_shape->dim[d] / size : 0, &e.in, (side){ -1, 1 }, &e.out, (side){ d, size });
        add_loop(c, size, &e.in, (side){ d, 1 }, &e.out, (side){ d, 1 });
    }
}

/* Loops: image, channel of the plane's side, block row, block column, row, column. `plane` has the larger plane. */
static void build_blocks(mover *m, int64_t b, bool crd, bool to_space)
{
    ends             e = ends_of(m, 0, 0);
    pf_copy         *c = new_move(m, 0, 0);
    const pf_shape  *plane = to_space ? e.out_shape : e.in_shape, *deep = to_space ? e.in_shape : e.out_shape;
    const pf_strides *sd = to_space ? &e.in : &e.out, *sp = to_space ? &e.out : &e.in;
    int64_t          channels = plane->dim[1];
    const struct { int64_t count; side deep, plane; } loops[6] = {
        { plane->dim[0], { 0, 1 }, { 0, 1 } },
        { channels, { 1, crd ? b * b : 1 }, { 1, 1 } },
        { b, { 1, crd ? b : b * channels }, { 2, 1 } },
        { b, { 1, crd ? 1 : channels }, { 3, 1 } },
        { deep->dim[2], { 2, 1 }, { 2, b } },
        { deep->dim[3], { 3, 1 }, { 3, b } },
    };

    for (int i = 0; i < 6; i++)
        push_loop(c, loops[i].count, stride_of(to_space ? sd : sp, to_space ? loops[i].deep : loops[i].plane),
                  stride_of(to_space ? sp : sd, to_space ? loops[i].plane : loops[i].deep));
}

static void build_depth_to_space(mover *m)
{
    const pf_depth_to_space_attrs *attrs = m->node->attrs;

    build_blocks(m, attrs->block, attrs->order == PF_DEPTH_CRD, true);
}

static void build_space_to_depth(mover *m)
{
    build_blocks(m, ((const pf_space_to_depth_attrs *)m->node->attrs)->block, false, false);
}

/* blocks: may work on channels in blocks, where they are whole. */
static const struct row { pf_op_kind op; void (*build)(mover *m); bool blocks; } rows[] = {
    { PF_OP_IDENTITY, build_identity, true },
    { PF_OP_CONCAT, build_concat, true },
    { PF_OP_SPLIT, build_split, true },
    { PF_OP_SLICE, build_slice, true },
    { PF_OP_TRANSPOSE, build_transpose, false },
    { PF_OP_PAD, build_pad, false },
    { PF_OP_EXPAND, build_expand, false },
    { PF_OP_TILE, build_tile, false },
    { PF_OP_DEPTH_TO_SPACE, build_depth_to_space, false },
    { PF_OP_SPACE_TO_DEPTH, build_space_to_depth, false },
};

static const struct row *row_of(pf_op_kind op)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == op)
            return &rows[i];
    return NULL;
}

/* ---- What is declined */
static bool fills_blocks(const pf_shape *shape, pf_layout layout)
{
    int64_t block = pf_layout_block(layout);

    return block == 1 || (pf_dim_is_number(shape->dim[1]) && shape->dim[1] % block == 0);
}

/* Value i of the problem's inputs and outputs. */
static const pf_shape *end_shape(const pf_problem *p, uint32_t i)
{
    return pf_problem_shape(p, i < p->graph->input_count ? p->graph->inputs[i]
                                                         : p->graph->outputs[i - p->graph->input_count]);
}

static pf_layout end_layout(const pf_problem *p, uint32_t i)
{
    return i < p->graph->input_count ? p->in_layout[i] : p->out_layout[i - p->graph->input_count];
}

/* Where any value is in blocks, all must have whole ones: loops over channels are cut in the same places on both
   sides. */
static const char *blocks_decline(const pf_problem *p, const pf_node *node, const struct row *row)
{
    uint32_t  count = p->graph->input_count + p->graph->output_count;
    pf_layout blocked = PF_LAYOUT_LINEAR;

    for (uint32_t i = 0; i < count; i++) {
        pf_layout kind = pf_layout_kind(end_layout(p, i));

        if (pf_layout_block(kind) > 1 && blocked != PF_LAYOUT_LINEAR && blocked != kind)
            return "blocks of two sizes";
        if (pf_layout_block(kind) > 1)
            blocked = kind;
    }
    if (blocked == PF_LAYOUT_LINEAR)
        return NULL;
    if (!row->blocks)
        return "channels in blocks";
    for (uint32_t i = 0; i < count; i++)
        if (end_shape(p, i)->rank < 2 || !fills_blocks(end_shape(p, i), blocked))
            return "channels do not fill blocks";
    for (int32_t i = 0; node->op == PF_OP_SLICE && i < ((const pf_slice_attrs *)node->attrs)->axes.count; i++)
        if (((const pf_slice_attrs *)node->attrs)->axes.at[i] == 1)
            return "channels in blocks are sliced";
    return NULL;
}

static const char *pad_declines(const pf_problem *p, const pf_node *node)
{
    double value = 0;

    if (((const pf_pad_attrs *)node->attrs)->mode != PF_PAD_CONSTANT)
        return "pads that are not constant";
    if (node->in_count > 1 && node->in[1] != PF_NONE && !pf_problem_scalar(p, node->in[1], &value))
        return "the value of the padding is not known";
    return NULL;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node    *node = pf_graph_node(p->graph, 0);
    const struct row *row = p->graph->node_count == 1 ? row_of(node->op) : NULL;
    const pf_value   *x = NULL;

    (void)device;
    if (!row)
        return "not a move";
    x = pf_graph_value(p->graph, node->in[0]);
    if (pf_dtype_bits(x->dtype) < 8 || x->dtype == PF_STRING)
        return "elements of less than a byte, or strings";
    if (x->shape.rank > 7)
        return "more than 7 dims";
    if (node->op == PF_OP_PAD && pad_declines(p, node))
        return pad_declines(p, node);
    if (node->op == PF_OP_PAD && pf_layout_pitch(p->out_layout[0]))
        return "what lies between channels would be filled too";
    return blocks_decline(p, node, row);
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    static const pf_layout wanted[] = { PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_C16, PF_LAYOUT_C8 };
    const pf_graph        *graph = p->graph;

    (void)device;
    if (index >= sizeof wanted / sizeof wanted[0])
        return false;
    for (uint32_t i = 0; i < graph->input_count; i++)
        in[i] = !p->in_constant[i] && pf_layout_fits(wanted[index], pf_problem_shape(p, graph->inputs[i])->rank)
                    ? wanted[index]
                    : PF_LAYOUT_LINEAR;
    for (uint32_t i = 0; i < graph->output_count; i++)
        out[i] = pf_layout_fits(wanted[index], pf_problem_shape(p, graph->outputs[i])->rank) ? wanted[index]
                                                                                             : PF_LAYOUT_LINEAR;
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "loops");
}

static void release(pf_step *step)
{
    pf_free(((move_impl *)step->impl)->moves);
    pf_free(step->impl);
}

/* Outputs of a split that nobody reads are not outputs of the problem. */
static void number_outputs(const mover *m)
{
    for (uint32_t i = 0; i < m->impl->count; i++)
        for (uint32_t o = 0; o < m->p->graph->output_count; o++)
            if (m->p->graph->outputs[o] == m->node->out[m->impl->moves[i].out]) {
                m->impl->moves[i].out = o;
                break;
            }
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step *step = NULL;
    mover    m = { .p = p, .node = pf_graph_node(p->graph, 0) };

    (void)device, (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_move, sizeof *m.impl);
    if (step) {
        m.impl = step->impl;
        m.impl->moves = pf_calloc(m.node->in_count + m.node->out_count, sizeof *m.impl->moves);
    }
    if (!step || !m.impl->moves) {
        pf_step_free(step);
        return PF_FAIL_MEMORY(err, sizeof *m.impl);
    }
    for (uint32_t i = 0; i < m.node->in_count; i++) {
        uint32_t input = m.node->in[i] == PF_NONE ? UINT32_MAX : pf_problem_input_index(p, m.node->in[i]);

        m.in_layout[i] = input == UINT32_MAX ? PF_LAYOUT_LINEAR : p->in_layout[input];
    }
    m.impl->item_bytes = pf_dtype_bits(pf_graph_value(p->graph, m.node->in[0])->dtype) / 8;
    row_of(m.node->op)->build(&m);
    number_outputs(&m);
    for (uint32_t i = 0; i < m.impl->count; i++)
        pf_copy_normalize(&m.impl->moves[i].copy);
    *out = step;
    return PF_OK;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const move_impl *impl = step->impl;
    int32_t          threads = pf_stream_cpu_threads(stream);

    (void)err;
    pf_stream_cpu_enter(stream);
    if (impl->fill_count)
        pf_copy_fill(b->out[0], impl->fill, impl->item_bytes, impl->fill_count, threads);
    for (uint32_t i = 0; i < impl->count; i++)
        pf_copy_run(&impl->moves[i].copy, impl->item_bytes,
                    impl->moves[i].in == UINT32_MAX ? impl->moves[i].clear : b->in[impl->moves[i].in],
                    b->out[impl->moves[i].out], threads);
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_move = {
    .name = "cpu_move", .rev = 1, .flags = PF_TACTIC_PITCHED, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
    .release = release,
};
