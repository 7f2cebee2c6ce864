/* Weights of a few bits, with a scale for each block of an axis, become floats, which are made when they are read: no
   device here multiplies them as they are, and a device would take them apart again in each run.  Condition: all is
   constant, and there are scales for as many blocks as there are. */
#include "engine/ops/attrs.h"
#include "engine/ops/rows.h"
#include "engine/rewrite.h"
#include "engine/spell.h"

enum { X, SCALE, ZERO, CHUNK = 256 };

/* zero: its constant has no data where there is none. */
typedef struct blocks {
    pf_late     late;
    pf_constant from, scale, zero;
    pf_dtype    from_dtype, scale_dtype, zero_dtype;
    int64_t     size, block, count, inner;      /* of the axis, of one block; blocks; elements behind the axis */
} blocks;

/* The block that element i is of, and how many of the elements from i on are of it, or of one block more each. */
static int64_t block_of(const blocks *b, int64_t i, int64_t *run)
{
    int64_t behind = i % b->inner, along = i / b->inner % b->size, ahead = i / b->inner / b->size;

    *run = b->inner > 1 ? b->inner - behind : b->block - along % b->block;
    return (ahead * b->count + along / b->block) * b->inner + behind;
}

static void scale_run(const blocks *b, int64_t at, int64_t block, int64_t count, double *numbers)
{
    const int64_t step = b->inner > 1;
    double        scales[CHUNK], zeros[CHUNK] = { 0 };

    pf_rows_read(b->from_dtype, b->from.data, at, 1, count, numbers);
    pf_rows_read(b->scale_dtype, b->scale.data, block, step, count, scales);
    if (b->zero.data)
        pf_rows_read(b->zero_dtype, b->zero.data, block, step, count, zeros);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = (numbers[i] - zeros[i]) * scales[i];
}

static void fill(const pf_late *late, uint64_t first, uint64_t count, void *out)
{
    const blocks *b = (const blocks *)late;

    for (int64_t done = 0, run = 0; done < (int64_t)count; done += run) {
        int64_t block = block_of(b, (int64_t)first + done, &run), left = (int64_t)count - done;
        double  numbers[CHUNK];

        run = run < left ? run : left;
        run = run < CHUNK ? run : CHUNK;
        scale_run(b, (int64_t)first + done, block, run, numbers);
        pf_rows_write(late->dtype, out, done, run, numbers);
    }
}

static void forget(const pf_late *late)
{
    const blocks *b = (const blocks *)late;

    pf_constant_forget(&b->from);
    pf_constant_forget(&b->scale);
    pf_constant_forget(&b->zero);
}

static bool is_there(const pf_value *value) { return value->is_constant && value->constant.data; }

/* As many blocks as fit, in tensors of x's other dims. */
static bool has_blocks(const pf_value *x, const pf_value *of, int64_t axis, int64_t block)
{
    if (!is_there(of) || of->shape.rank != x->shape.rank)
        return false;
    for (int32_t d = 0; d < x->shape.rank; d++)
        if (of->shape.dim[d] != (d == axis ? (x->shape.dim[d] + block - 1) / block : x->shape.dim[d]))
            return false;
    return true;
}

static bool takes(const pf_graph *graph, const pf_node *node)
{
    const pf_dequantize_linear_attrs *attrs = node->attrs;
    const pf_value                   *x = &graph->values[node->in[X]];

    return node->op == PF_OP_DEQUANTIZE_LINEAR && attrs->block_size > 0 && is_there(x) && x->shape.rank >= 0 &&
           attrs->axis < x->shape.rank &&
           has_blocks(x, &graph->values[node->in[SCALE]], attrs->axis, attrs->block_size) &&
           (!pf_spell_has(node, ZERO) ||
            has_blocks(x, &graph->values[node->in[ZERO]], attrs->axis, attrs->block_size));
}

static blocks blocks_of(const pf_graph *graph, const pf_node *node)
{
    const pf_dequantize_linear_attrs *attrs = node->attrs;
    const pf_value *x = &graph->values[node->in[X]], *scale = &graph->values[node->in[SCALE]];
    blocks          out = { .late = { .fill = fill, .forget = forget, .dtype = (pf_dtype)attrs->dtype },
                            .from = x->constant, .scale = scale->constant, .from_dtype = x->dtype,
                            .scale_dtype = scale->dtype, .size = x->shape.dim[attrs->axis],
                            .block = attrs->block_size, .count = scale->shape.dim[attrs->axis], .inner = 1 };

    for (int32_t d = (int32_t)attrs->axis + 1; d < x->shape.rank; d++)
        out.inner *= x->shape.dim[d];
    if (pf_spell_has(node, ZERO)) {
        out.zero = graph->values[node->in[ZERO]].constant;
        out.zero_dtype = graph->values[node->in[ZERO]].dtype;
    }
    return out;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node     node = graph->nodes[id];
    blocks     *b = NULL;
    pf_shape    shape;
    pf_value_id made = PF_NONE;
    pf_status   st = PF_OK;

    if (!takes(graph, &node))
        return PF_OK;
    b = pf_arena_alloc(graph->arena, sizeof *b);
    if (!b)
        return PF_FAIL_MEMORY(err, sizeof *b);
    *b = blocks_of(graph, &node);
    shape = graph->values[node.in[X]].shape;
    st = pf_graph_add_late(graph, graph->values[node.out[0]].name, &shape, &b->late, &made, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, made, changed, err);
}

const pf_rule pf_rule_dequantize_blocks = {
    .name = "dequantize_blocks", .summary = "floats instead of weights with a scale for each block",
    .phase = PF_RULES_WEIGHTS, .default_on = true, .apply = apply,
};
