/* Moves at a point: they change the point and pass it on. */
#include <string.h>

#include "engine/cuda/codegen_expr.h"
#include "engine/ops/attrs.h"

static int32_t eval_transpose(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_transpose_attrs *attrs = node->attrs;
    cg_point                  at = *point;

    for (int d = 0; d < point->rank; d++) at.at[attrs->perm.at[d]] = point->at[d];
    return cg_eval(cg, node->in[0], &at);
}

static int32_t eval_expand(cg_context *cg, const pf_node *node, const cg_point *point)
{
    cg_point at = cg_broadcast_point(point, &cg_input(cg, node, 0)->shape);

    return cg_eval(cg, node->in[0], &at);
}

/* Groups of dims with equal products are split and joined on their own, so that most reshapes stay affine. */
static int32_t eval_reshape(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_shape *in = &cg_input(cg, node, 0)->shape;
    const pf_shape *out = &pf_graph_value(cg->problem->graph, node->out[0])->shape;
    cg_point        at = *point;
    int             o = 0, i = 0;

    at.rank = in->rank;
    memset(at.at, 0, sizeof at.at);
    while (o < out->rank || i < in->rank) {
        int      o_end = o, i_end = i;
        int64_t  o_size = 1, i_size = 1;
        cg_index linear = cg_index_number(0);

        do {
            if (o_size <= i_size && o_end < out->rank) o_size *= out->dim[o_end++];
            else if (i_end < in->rank) i_size *= in->dim[i_end++];
            else o_size *= out->dim[o_end++];
        } while (o_size != i_size && (o_end < out->rank || i_end < in->rank));
        for (int d = o; d < o_end; d++) linear = cg_index_add(cg, cg_index_mul(cg, linear, out->dim[d]), point->at[d]);
        for (int d = i_end - 1; d > i; d--) cg_index_split(cg, linear, in->dim[d], &linear, &at.at[d]);
        if (i_end > i) at.at[i] = linear;
        o = o_end;
        i = i_end;
    }
    return cg_eval(cg, node->in[0], &at);
}

static int64_t slice_start(int64_t start, int64_t step, int64_t size)
{
    if (start < 0) start += size;
    if (start < 0) start = step < 0 ? -1 : 0;
    return start > size - (step < 0) ? size - (step < 0) : start;
}

static int32_t eval_slice(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_slice_attrs *attrs = node->attrs;
    const pf_shape       *in = &cg_input(cg, node, 0)->shape;
    cg_point              at = *point;

    for (int k = 0; k < attrs->axes.count; k++) {
        int64_t axis = attrs->axes.at[k], step = attrs->steps.count ? attrs->steps.at[k] : 1;

        at.at[axis] = cg_index_mul(cg, at.at[axis], step);
        at.at[axis].constant += slice_start(attrs->starts.at[k], step, in->dim[axis]);
    }
    return cg_eval(cg, node->in[0], &at);
}

static int32_t eval_split(cg_context *cg, const pf_node *node, uint32_t slot, const cg_point *point)
{
    const pf_split_attrs *attrs = node->attrs;
    cg_point              at = *point;

    for (uint32_t k = 0; k < slot; k++)
        at.at[attrs->axis].constant += pf_graph_value(cg->problem->graph, node->out[k])->shape.dim[attrs->axis];
    return cg_eval(cg, node->in[0], &at);
}

static int32_t eval_tile(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_shape *in = &cg_input(cg, node, 0)->shape;
    cg_point        at = *point;
    cg_index        times = {0};

    for (int d = 0; d < in->rank; d++) cg_index_split(cg, point->at[d], in->dim[d], &times, &at.at[d]);
    return cg_eval(cg, node->in[0], &at);
}

/* v<id>: what stands in the padding. */
static int32_t eval_padding(cg_context *cg, const pf_node *node)
{
    const pf_pad_attrs *attrs = node->attrs;
    cg_type             type = cg_type_of(pf_graph_value(cg->problem->graph, node->out[0])->dtype);
    cg_point            at = {0};
    int32_t             computed = node->in_count > 1 && node->in[1] != PF_NONE ? cg_eval(cg, node->in[1], &at) : 0,
                        id = 0;

    if (computed < 0) return -1;
    id = ++cg->next_id;
    cg_declare(cg, id, type);
    pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
    if (computed) pf_buf_printf(cg->body, "v%d[l]", computed);
    else if (type == CG_FLOAT) cg_print_float(cg->body, attrs->value);
    else pf_buf_printf(cg->body, "%lldLL", (long long)attrs->value);
    pf_buf_printf(cg->body, ";\n");
    return id;
}

static int32_t eval_pad(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_pad_attrs *attrs = node->attrs;
    const pf_shape     *in = &cg_input(cg, node, 0)->shape;
    cg_point            at = *point;
    int32_t             id = 0, inside = 0;

    if (attrs->mode != PF_PAD_CONSTANT) return cg_eval_repeating_pad(cg, node, point);

    for (int d = 0; d < in->rank; d++) {
        int64_t begin = attrs->pads.at[d], end = attrs->pads.at[in->rank + d];

        if (!begin && !end) continue;
        at.at[d].constant -= begin;
        at = cg_guarded(cg, &at, &at.at[d], 0, in->dim[d]);
    }
    inside = cg_eval(cg, node->in[0], &at);
    if (inside < 0 || at.guard == point->guard) return inside;
    id = eval_padding(cg, node);
    if (id > 0) cg_take_where(cg, id, at.guard, inside);
    return id;
}

/* The index that an integer value picks along an axis of `size`, counting from the end when negative. Out of range it
   reads element 0: the reference refuses such indices, a kernel must only stay inside. */
static cg_index picked_by(cg_context *cg, int32_t which, int64_t size)
{
    cg_index picked = { .opaque = ++cg->next_id };

    pf_buf_printf(cg->body,
                  "  idx o%d[V]; LANES { long long k = v%d[l]; k += k < 0 ? %lld : 0; o%d[l] = k < 0 || k >= %lld ? 0 "
                  ": (idx)k; }\n",
                  picked.opaque, which, (long long)size, picked.opaque, (long long)size);
    return picked;
}

static int32_t eval_gather_elements(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int64_t  axis = ((const pf_axis_attrs *)node->attrs)->axis;
    int32_t  which = cg_eval(cg, node->in[1], point);
    cg_point at = *point;

    if (which < 0) return -1;
    at.at[axis] = picked_by(cg, which, cg_input(cg, node, 0)->shape.dim[axis]);
    return cg_eval(cg, node->in[0], &at);
}

/* The last dim of the indices says where along the first dims (behind the batch dims) of the data. */
static int32_t eval_gather_nd(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int64_t         batch = ((const pf_gather_nd_attrs *)node->attrs)->batch_dims;
    const pf_shape *data = &cg_input(cg, node, 0)->shape, *index = &cg_input(cg, node, 1)->shape;
    int             outer = index->rank - 1, picked = (int)index->dim[outer];
    cg_point        at = *point, index_at = *point;

    at.rank = data->rank;
    index_at.rank = index->rank;
    memset(at.at, 0, sizeof at.at);
    for (int d = 0; d < batch; d++) at.at[d] = point->at[d];
    for (int k = 0; k < picked; k++) {
        int32_t which = 0;

        index_at.at[outer] = cg_index_number(k);
        which = cg_eval(cg, node->in[1], &index_at);
        if (which < 0) return -1;
        at.at[batch + k] = picked_by(cg, which, data->dim[batch + k]);
    }
    for (int d = (int)batch + picked; d < data->rank; d++) at.at[d] = point->at[outer + d - batch - picked];
    return cg_eval(cg, node->in[0], &at);
}

static int32_t eval_gather(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int64_t         axis = ((const pf_axis_attrs *)node->attrs)->axis;
    const pf_shape *data = &cg_input(cg, node, 0)->shape, *index = &cg_input(cg, node, 1)->shape;
    cg_point        at = *point, index_at = *point;
    int32_t         which = 0;
    cg_index        picked = {0};

    index_at.rank = index->rank;
    for (int d = 0; d < index->rank; d++) index_at.at[d] = point->at[axis + d];
    which = cg_eval(cg, node->in[1], &index_at);
    if (which < 0) return -1;
    picked = picked_by(cg, which, data->dim[axis]);
    picked.step = 1;
    for (int d = 0; d < index->rank; d++) picked.step &= cg_index_is_uniform(cg, &index_at.at[d]);
    at.rank = data->rank;
    for (int d = 0; d < data->rank; d++)
        at.at[d] = d < axis ? point->at[d] : d == axis ? picked : point->at[d - 1 + index->rank];
    return cg_eval(cg, node->in[0], &at);
}

/* An integer that follows from the point alone: start + delta * index. */
static int32_t eval_index(cg_context *cg, cg_index index)
{
    int32_t id = ++cg->next_id;

    cg_declare(cg, id, CG_INT);
    pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
    cg_index_print(cg, &index, "l", cg->body);
    pf_buf_printf(cg->body, ";\n");
    return id;
}

static int32_t eval_range(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_range_attrs *attrs = node->attrs;
    cg_index              index = cg_index_mul(cg, point->at[0], attrs->bounds.at[2]);

    index.constant += attrs->bounds.at[0];
    return eval_index(cg, index);
}

static int32_t eval_trilu(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_trilu_attrs *attrs = node->attrs;
    int                   rank = point->rank;
    int32_t               x = cg_eval(cg, node->in[0], point), id = 0;

    if (x < 0) return -1;
    id = ++cg->next_id;
    cg_declare(cg, id, cg_type_of(cg_input(cg, node, 0)->dtype));
    pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
    cg_index_print(cg, &point->at[rank - 1], "l", cg->body);
    pf_buf_printf(cg->body, " - ");
    cg_index_print(cg, &point->at[rank - 2], "l", cg->body);
    pf_buf_printf(cg->body, " %s %lld ? v%d[l] : 0;\n", attrs->upper ? ">=" : "<=", (long long)attrs->k, x);
    return id;
}

static int32_t eval_eye(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int64_t k = ((const pf_eye_like_attrs *)node->attrs)->k;
    cg_type type = cg_type_of(pf_graph_value(cg->problem->graph, node->out[0])->dtype);
    int32_t id = ++cg->next_id;

    cg_declare(cg, id, type);
    pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
    cg_index_print(cg, &point->at[1], "l", cg->body);
    pf_buf_printf(cg->body, " - ");
    cg_index_print(cg, &point->at[0], "l", cg->body);
    pf_buf_printf(cg->body, " == %lld;\n", (long long)k);
    return id;
}

static int32_t eval_same(cg_context *cg, const pf_node *node, const cg_point *point)
{
    return cg_eval(cg, node->in[0], point);
}

static const char *declines_range(const pf_graph *graph, const pf_node *node)
{
    const pf_range_attrs *attrs = node->attrs;

    (void)graph;
    return node->in_count || attrs->bounds.count != 3 || !pf_dtype_is_integer((pf_dtype)attrs->dtype)
               ? "range with computed bounds"
               : NULL;
}

static const char *declines_pad(const pf_graph *graph, const pf_node *node)
{
    const pf_pad_attrs *attrs = node->attrs;
    const pf_shape     *x = &pf_graph_value(graph, node->in[0])->shape;

    for (int d = 0; d < attrs->pads.count; d++)
        if (attrs->pads.at[d] != 0 && attrs->mode != PF_PAD_CONSTANT && x->dim[d % x->rank] == 0)
            return "padding from nothing";
    return NULL;
}

static const char *declines_gather_nd(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *index = &pf_graph_value(graph, node->in[1])->shape;

    return index->rank > 0 && pf_dim_is_number(index->dim[index->rank - 1]) ? NULL : "indices of unknown depth";
}

static bool is_pool(pf_op_kind op)
{
    return op == PF_OP_MAX_POOL || op == PF_OP_AVERAGE_POOL || op == PF_OP_LP_POOL;
}

/* Moves that need no output slot, by op.  declines NULL: every one of the kind is taken. */
static const struct {
    int32_t     (*eval)(cg_context *cg, const pf_node *node, const cg_point *point);
    const char *(*declines)(const pf_graph *graph, const pf_node *node);
} moves[PF_OP_COUNT] = {
    [PF_OP_IDENTITY] = { eval_same }, [PF_OP_TRANSPOSE] = { eval_transpose }, [PF_OP_EXPAND] = { eval_expand },
    [PF_OP_RESHAPE] = { eval_reshape }, [PF_OP_SLICE] = { eval_slice }, [PF_OP_TILE] = { eval_tile },
    [PF_OP_CONCAT] = { cg_eval_concat }, [PF_OP_PAD] = { eval_pad, declines_pad }, [PF_OP_GATHER] = { eval_gather },
    [PF_OP_GATHER_ELEMENTS] = { eval_gather_elements }, [PF_OP_GATHER_ND] = { eval_gather_nd, declines_gather_nd },
    [PF_OP_RANGE] = { eval_range, declines_range }, [PF_OP_TRILU] = { eval_trilu }, [PF_OP_EYE_LIKE] = { eval_eye },
    [PF_OP_RESIZE] = { cg_eval_resize, cg_resize_declines },
    [PF_OP_GRID_SAMPLE] = { cg_eval_grid_sample, cg_grid_sample_declines },
    [PF_OP_REVERSE_SEQUENCE] = { cg_eval_reverse_sequence }, [PF_OP_TENSOR_SCATTER] = { cg_eval_tensor_scatter },
    [PF_OP_SCATTER_ELEMENTS] = { cg_eval_scatter, cg_scatter_declines },
    [PF_OP_SCATTER_ND] = { cg_eval_scatter, cg_scatter_declines },
};

bool cg_is_move(pf_op_kind op) { return op == PF_OP_SPLIT || is_pool(op) || moves[op].eval; }

int32_t cg_eval_move(cg_context *cg, const pf_node *node, uint32_t slot, const cg_point *point)
{
    if (node->op == PF_OP_SPLIT) return eval_split(cg, node, slot, point);
    return is_pool(node->op) ? cg_eval_pool(cg, node, slot, point) : moves[node->op].eval(cg, node, point);
}

const char *cg_move_declines(const pf_graph *graph, const pf_node *node)
{
    if (is_pool(node->op)) return cg_pool_declines(graph, node);
    return moves[node->op].declines ? moves[node->op].declines(graph, node) : NULL;
}
