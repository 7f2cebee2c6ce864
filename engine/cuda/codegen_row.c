#include "engine/cuda/codegen_row.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_loop.h"
#include "engine/cuda/codegen_reduce.h"
#include "engine/epilogue.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { SOURCE_LIMIT_BYTES = 4 << 20, REGISTER_ELEMS = 64, THREADS_PER_BLOCK = 128, NORM_RANK_MAX = 5,
       SPLIT_MIN_ELEMS = 8192 /* of a row that blocks share: less is read before they have met */, SPLITS_MAX = 4,
       SPLIT_MOST = 8 /* blocks of a cluster, as every card takes */, WARP = 32,
       SHORT_MIN_ROWS = 1024 /* fewer leave most of the card idle when they share warps */,
       SHORT_MAX_ELEMS = 32, SHORT_MAX_CHUNKS = 8 /* of a thread */ };

/* The operation along rows, and how its statements read.  x is the row's element, identity what lanes beyond the row's
   end hold. */
typedef struct row_form {
    const pf_node *node;
    int            axis;            /* dims that count rows; those behind, in `order`, make up the row */
    int            order[PF_MAX_RANK];  /* dims of x: those that count rows first */
    bool           moved;           /* that is not their own order */
    bool           reduces;         /* outputs are one number a row */
    int64_t        groups;          /* group_norm: a row is one group of channels of one image; 0 otherwise */
} row_form;

static const char reductions[] = CG_REDUCTION_FUNCTORS
    /* Each block's number lies where it stays until the kernel ends: turns have places of their own. */
    "#if SPLIT > 1\n"
    "#define CLUSTER __cluster_dims__(SPLIT, 1, 1)\n"
    "#define PART ((int)blockIdx.x % SPLIT)\n"
    "#define MEET asm volatile(\"barrier.cluster.arrive.release.aligned;\\nbarrier.cluster.wait.acquire.aligned;\" "
    "::: \"memory\");\n"
    "template <class O> __device__ __forceinline__ float among(float v, int turn) {\n"
    "  __shared__ float own[2];\n"
    "  const unsigned at = (unsigned)__cvta_generic_to_shared(own + turn);\n"
    "  if (threadIdx.x == 0) own[turn] = v;\n"
    "  MEET\n"
    "  _Pragma(\"unroll\") for (int s = 0; s < SPLIT; ++s) {\n"
    "    unsigned there; float other;\n"
    "    asm volatile(\"mapa.shared::cluster.u32 %0, %1, %2;\" : \"=r\"(there) : \"r\"(at), \"r\"(s));\n"
    "    asm volatile(\"ld.shared::cluster.f32 %0, [%1];\" : \"=f\"(other) : \"r\"(there) : \"memory\");\n"
    "    v = s ? O::of(v, other) : other;\n"
    "  }\n"
    "  return v;\n"
    "}\n"
    "#else\n"
    "#define PART 0\n"
    "#define MEET\n"
    "template <class O> __device__ __forceinline__ float among(float v, int) { return v; }\n"
    "#endif\n"
    /* Short rows share a warp, and some of its lanes may have none. */
    "template <class O> __device__ __forceinline__ float across(float v, int turn) {\n"
    "  const unsigned lanes = T < 32 ? ((1u << T % 32) - 1) << threadIdx.y * T % 32 : 0xffffffffu;\n"
    "  _Pragma(\"unroll\") for (int m = T < 32 ? T / 2 : 16; m; m /= 2) v = O::of(v, __shfl_xor_sync(lanes, v, m));\n"
    "  if (T > 32) {\n"
    "    __shared__ float part[T > 32 ? T / 32 : 1];\n"
    "    __syncthreads();\n"
    "    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;\n"
    "    __syncthreads();\n"
    "    v = part[0];\n"
    "    _Pragma(\"unroll\") for (int w = 1; w < T / 32; ++w) v = O::of(v, part[w]);\n"
    "  }\n"
    "  return among<O>(v, turn);\n"
    "}\n";

/* ---- Recognizing */

/* The dims of the row go last. */
static void order_dims(row_form *form, int rank, const bool in_row[PF_MAX_RANK])
{
    int at = 0;

    for (int d = 0; d < rank; d++)
        if (!in_row[d]) form->order[at++] = d;
    form->axis = at;
    for (int d = 0; d < rank; d++)
        if (in_row[d]) form->order[at++] = d;
    for (int d = 0; d < rank; d++) form->moved |= form->order[d] != d;
}

static const char *order_reduction(const pf_graph *graph, const pf_node *node, row_form *form)
{
    const pf_reduce_attrs *attrs = node->attrs;
    int                    rank = pf_graph_value(graph, node->in[0])->shape.rank;
    bool                   reduced[PF_MAX_RANK] = {0};

    if (!cg_reduction_of(attrs->mode)) return "reduction without a form here";
    for (int i = 0; i < attrs->axes.count; i++) reduced[attrs->axes.at[i]] = true;
    order_dims(form, rank, reduced);
    return form->axis < rank ? NULL : "nothing is reduced";
}

static const char *order_along(row_form *form, int rank, int64_t axis)
{
    bool in_row[PF_MAX_RANK] = {0};

    in_row[axis] = true;
    order_dims(form, rank, in_row);
    return NULL;
}

static const char *row_of(const pf_graph *graph, const pf_node *node, row_form *form)
{
    int rank = pf_graph_value(graph, node->in[0])->shape.rank;

    form->node = node;
    for (int d = 0; d < rank; d++) form->order[d] = d;
    switch (node->op) {
    case PF_OP_SOFTMAX:
    case PF_OP_LOG_SOFTMAX:
        return order_along(form, rank, ((const pf_axis_attrs *)node->attrs)->axis);
    case PF_OP_LAYER_NORM:
        form->axis = (int)((const pf_layer_norm_attrs *)node->attrs)->axis;
        return node->out_count == 1 ? NULL : "mean and deviation are wanted too";
    case PF_OP_RMS_NORM:
        form->axis = (int)((const pf_rms_norm_attrs *)node->attrs)->axis;
        return NULL;
    case PF_OP_GROUP_NORM:
        form->axis = 2;
        form->groups = ((const pf_group_norm_attrs *)node->attrs)->groups;
        return rank >= 3 && rank <= NORM_RANK_MAX ? NULL : "no spatial dims, or more than three";
    case PF_OP_INSTANCE_NORM:
        form->axis = 2;
        form->groups = pf_graph_value(graph, node->in[0])->shape.dim[1];
        return rank >= 3 && rank <= NORM_RANK_MAX && form->groups > 0 ? NULL : "no spatial dims, or more than three";
    default:
        form->reduces = true;
        return order_reduction(graph, node, form);
    }
}

static bool is_row(const pf_node *node)
{
    pf_op_kind op = node->op;

    return op == PF_OP_SOFTMAX || op == PF_OP_LOG_SOFTMAX || op == PF_OP_LAYER_NORM || op == PF_OP_RMS_NORM ||
           op == PF_OP_REDUCE || op == PF_OP_GROUP_NORM || op == PF_OP_INSTANCE_NORM;
}

static const char *recognize(const pf_problem *p, row_form *form)
{
    const pf_node *node = NULL;
    const char    *reason = cg_find_anchor(p->graph, is_row, "no operation along rows", "two operations along rows",
                                           &node);

    memset(form, 0, sizeof *form);
    return reason ? reason : row_of(p->graph, node, form);
}

/* Group norms take all images in one layout, linear or channels-last.  Other rows are written linear, and read wherever
   their elements lie. */
static const char *check_layouts(const pf_problem *p, const row_form *form)
{
    const pf_graph *graph = p->graph;
    pf_layout       images = p->out_layout[0];
    int             rank = pf_graph_value(graph, form->node->in[0])->shape.rank;

    if (images != PF_LAYOUT_LINEAR && !(form->groups && images == PF_LAYOUT_CHANNELS_LAST)) return "layout";
    for (uint32_t i = 0; i < graph->input_count; i++) {
        bool image = form->groups && !p->in_constant[i] && pf_graph_value(graph, graph->inputs[i])->shape.rank == rank,
             reads = !form->groups && !p->in_constant[i] && p->in_layout[i] == PF_LAYOUT_CHANNELS_LAST;

        if (!reads && p->in_layout[i] != (image ? images : PF_LAYOUT_LINEAR)) return "layouts differ";
    }
    for (uint32_t i = 1; i < graph->output_count; i++)
        if (p->out_layout[i] != images) return "layouts differ";
    return NULL;
}

const char *pf_codegen_row_declines(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    row_form        form;
    const char     *reason = recognize(p, &form);
    const pf_shape *x = NULL;

    if (!reason) reason = cg_behind_declines(p->graph, form.node);
    if (reason) return reason;
    x = &pf_graph_value(graph, form.node->in[0])->shape;
    if (!pf_dtype_is_float(pf_graph_value(graph, form.node->in[0])->dtype)) return "not floats";
    if (graph->input_count + graph->output_count > CG_IN_OUT_MAX) return "too many inputs and outputs for one kernel";
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *out = pf_graph_value(graph, graph->outputs[i]);

        if (out->is_constant || out->producer == PF_NONE || !cg_storage_type(out->dtype))
            return "an output of no use here";
        if (!pf_shape_equal(&out->shape, form.reduces ? &pf_graph_value(graph, form.node->out[0])->shape : x))
            return "outputs of another shape";
    }
    return check_layouts(p, &form);
}

static int64_t row_length(const pf_problem *p, const row_form *form)
{
    const pf_shape *x = &pf_graph_value(p->graph, form->node->in[0])->shape;
    int64_t         length = form->groups ? x->dim[1] / form->groups : 1;

    for (int d = form->axis; d < x->rank; d++) length *= x->dim[form->order[d]];
    return length;
}

/* Extent of the dim that lanes count on. */
static int64_t lane_extent(const pf_problem *p, const row_form *form)
{
    const pf_shape *x = &pf_graph_value(p->graph, form->node->in[0])->shape;

    return form->groups && p->out_layout[0] == PF_LAYOUT_CHANNELS_LAST ? x->dim[1] / form->groups
                                                                       : x->dim[form->order[x->rank - 1]];
}

static int widest(const pf_problem *p, const row_form *form)
{
    const pf_value *x = pf_graph_value(p->graph, form->node->in[0]);
    /* neighbours of a moved row do not lie side by side */
    int             vector = form->moved ? 1 : 128 / (int)pf_dtype_bits(x->dtype);

    while (vector > 1 && lane_extent(p, form) % vector) vector /= 2;
    return vector;
}

static int64_t row_count(const pf_problem *p, const row_form *form)
{
    const pf_shape *x = &pf_graph_value(p->graph, form->node->in[0])->shape;
    int64_t         rows = 1;

    if (form->groups) return x->dim[0] * form->groups;
    for (int d = 0; d < form->axis; d++) rows *= x->dim[form->order[d]];
    return rows;
}

/* Few long rows leave most of the card idle, unless several blocks share each. */
static int split_tunings(const pf_problem *p, const row_form *form, int sm_count, pf_row_tuning *out, int max)
{
    int64_t length = row_length(p, form), rows = row_count(p, form);
    int     count = 0, vector = widest(p, form);

    if (!pf_problem_is_bound(p) || length < SPLIT_MIN_ELEMS || rows > sm_count) return 0;
    for (int split = SPLIT_MOST; split > 1; split /= 2)
        for (int threads = 1024; threads >= 256 && count < max; threads /= 2) {
            int64_t each = cg_up(length, (int64_t)threads * vector * split) * vector;

            if (each <= 32 && (threads == 256 || each >= 4) && rows * split <= 4 * (int64_t)sm_count)
                out[count++] = (pf_row_tuning){ vector, threads, split };
        }
    /* what is too long for their registers is read again from the cache, as many blocks at once as may share a row */
    for (int threads = 1024; threads >= 512 && !count && rows * SPLIT_MOST <= 4 * (int64_t)sm_count; threads /= 2)
        out[count++] = (pf_row_tuning){ vector, threads, SPLIT_MOST };
    return count;
}

/* Rows that a part of a warp keeps, so that a warp sends for several at once. */
static int short_tunings(const pf_problem *p, const row_form *form, pf_row_tuning *out, int max)
{
    int64_t length = row_length(p, form);
    int     count = 0, vector = widest(p, form);

    if (!pf_problem_is_bound(p) || row_count(p, form) < SHORT_MIN_ROWS) return 0;
    for (int threads = 1; threads < WARP && count < max; threads *= 2) {
        int64_t chunks = cg_up(length, (int64_t)threads * vector);

        if (chunks <= SHORT_MAX_CHUNKS && chunks * vector <= SHORT_MAX_ELEMS &&
            (int64_t)threads * vector < 2 * length)
            out[count++] = (pf_row_tuning){ vector, threads, 1 };
    }
    return count;
}

int pf_codegen_row_tunings(const pf_problem *p, int sm_count, pf_row_tuning *out, int max)
{
    row_form form;
    int      count = 0;
    int64_t  length = 0;

    recognize(p, &form);
    length = row_length(p, &form);
    count = split_tunings(p, &form, sm_count, out, max < SPLITS_MAX ? max : SPLITS_MAX);
    if (!count) count = short_tunings(p, &form, out, max);
    for (int vector = widest(p, &form); vector >= 1 && count < max; vector /= 2)
        for (int threads = 32; threads <= 1024 && count < max; threads *= 2) {
            int64_t chunks = (length + (int64_t)threads * vector - 1) / ((int64_t)threads * vector);

            if (chunks * vector <= 32 && (threads == 32 || (int64_t)threads * vector < 2 * length))
                out[count++] = (pf_row_tuning){ vector, threads, 1 };
        }
    if (!count || (count < max && out[count - 1].split > 1))
        out[count++] = (pf_row_tuning){ widest(p, &form), 1024, 1 };
    return count;
}

/* ---- Emitting */

typedef struct row_code {
    cg_context     cg;
    row_form       form;
    pf_buf         body;
    int64_t        length, chunks;
    bool           keeps;           /* the row stays in registers; else it is read again by each phase */
    bool           early[3];        /* by slot of the operation: fetched with the row */
    cg_point       point;           /* of an element of x */
} row_code;

/* Starts a loop over the row's elements, in which `j < D` is true. What is unrolled asks that only where a row ends
   inside: every way out would keep the loads behind it from being sent for at once. */
static void open_loop(row_code *row)
{
    cg_context *cg = &row->cg;
    pf_buf     *out = &row->body;

    cg_forget(cg);
    pf_buf_printf(out, row->keeps ? "  _Pragma(\"unroll\") for (int c = 0; c < C; ++c) {\n"
                                  : "  for (int c = 0; c < C; ++c) {\n");
    pf_buf_printf(out, "  const idx j = ((c * SPLIT + PART) * T + (idx)threadIdx.x) * V; %s\n  idx rest = j;\n",
                  row->keeps ? "if ((c + 1) * SPLIT * T * V > D && j >= D) break;" : "if (j >= D) break;");
    for (int v = cg->var_count - 1; v > row->form.axis; v--)
        pf_buf_printf(out, "  const idx i%d = rest %% %lld; rest /= %lld;\n", v, (long long)cg->var_extent[v],
                      (long long)cg->var_extent[v]);
    pf_buf_printf(out, "  const idx i%d = rest;\n", row->form.axis);
}

/* Starts a pass over the row's elements: afterwards v<id> holds x. */
static int32_t open_pass(row_code *row, bool first)
{
    cg_context *cg = &row->cg;
    pf_buf     *out = &row->body;
    int32_t     x = 0;

    open_loop(row);
    if (first || !row->keeps) x = cg_eval(cg, row->form.node->in[0], &row->point);
    else {
        x = ++cg->next_id;
        pf_buf_printf(out, "  float v%d[V]; LANES v%d[l] = kept[c * V + l];\n", x, x);
        if (!cg_bind(cg, row->form.node->in[0], &row->point, x)) return -1;
    }
    if (first && row->keeps) pf_buf_printf(out, "  LANES kept[c * V + l] = v%d[l];\n", x);
    return x;
}

static void close_pass(row_code *row) { pf_buf_printf(&row->body, "  }\n"); }

/* r<name>: `map` of every x joined over the row. */
static bool reduce_pass(row_code *row, bool first, const char *name, const char *map, const char *join,
                        const char *identity)
{
    int32_t x = 0;

    pf_buf_printf(&row->body, "  float r_%s = %s;\n", name, identity);
    x = open_pass(row, first);
    if (x < 0) return false;
    pf_buf_printf(&row->body, "  LANES { const float x = v%d[l]; r_%s = %s::of(r_%s, %s); }\n", x, name, join, name,
                  map);
    close_pass(row);
    pf_buf_printf(&row->body, "  r_%s = across<%s>(r_%s, %d);\n", name, join, name, !first);
    return true;
}

static double epsilon_of(const pf_node *node)
{
    switch (node->op) {
    case PF_OP_LAYER_NORM: return ((const pf_layer_norm_attrs *)node->attrs)->epsilon;
    case PF_OP_RMS_NORM: return ((const pf_rms_norm_attrs *)node->attrs)->epsilon;
    case PF_OP_GROUP_NORM: return ((const pf_group_norm_attrs *)node->attrs)->epsilon;
    default: return ((const pf_instance_norm_attrs *)node->attrs)->epsilon;
    }
}

static bool emit_statistics(row_code *row)
{
    pf_buf *out = &row->body;

    switch (row->form.node->op) {
    case PF_OP_SOFTMAX:
    case PF_OP_LOG_SOFTMAX:
        return reduce_pass(row, true, "most", "x", "op_max", "__int_as_float(0xff800000)") &&
               reduce_pass(row, false, "sum", "expf(x - r_most)", "op_sum", "0.0f") &&
               pf_buf_printf(out, row->form.node->op == PF_OP_SOFTMAX ? "  const float r_scale = 1.0f / r_sum;\n"
                                                                      : "  const float r_scale = logf(r_sum);\n");
    case PF_OP_LAYER_NORM:
    case PF_OP_GROUP_NORM:
    case PF_OP_INSTANCE_NORM:
        return reduce_pass(row, true, "sum", "x", "op_sum", "0.0f") &&
               pf_buf_printf(out, "  const float r_mean = r_sum * (1.0f / (float)D);\n") &&
               reduce_pass(row, false, "square", "(x - r_mean) * (x - r_mean)", "op_sum", "0.0f") &&
               pf_buf_printf(out, "  const float r_scale = rsqrtf(r_square * (1.0f / (float)D) + %.9ef);\n",
                             epsilon_of(row->form.node));
    case PF_OP_RMS_NORM:
        return reduce_pass(row, true, "square", "x * x", "op_sum", "0.0f") &&
               pf_buf_printf(out, "  const float r_scale = rsqrtf(r_square * (1.0f / (float)D) + %.9ef);\n",
                             epsilon_of(row->form.node));
    default: {
        const cg_reduction *mode = cg_reduction_of(((const pf_reduce_attrs *)row->form.node->attrs)->mode);

        return reduce_pass(row, true, "all", mode->map, mode->join, mode->identity) &&
               pf_buf_printf(out, "  float r_result; { const float r = r_all; r_result = %s; }\n", mode->finish);
    }
    }
}

/* The formula of one element from x and the row's numbers; s and b are scale and bias of norms. */
static const char *element_formula(pf_op_kind op)
{
    return op == PF_OP_SOFTMAX ? "expf(x - r_most) * r_scale" : op == PF_OP_LOG_SOFTMAX ? "x - r_most - r_scale"
         : op == PF_OP_RMS_NORM ? "x * r_scale * s" : "(x - r_mean) * r_scale * s + b";
}

/* Scale or bias of a norm at the element: its dims are the row's, or broadcast to them. -1 on failure, 0 when left
   out. */
static int32_t norm_operand(row_code *row, uint32_t slot)
{
    const pf_node  *node = row->form.node;
    const pf_shape *shape = NULL;
    cg_point        at = row->point;

    if (slot >= node->in_count || node->in[slot] == PF_NONE || node->op == PF_OP_SOFTMAX ||
        node->op == PF_OP_LOG_SOFTMAX)
        return 0;
    shape = &pf_graph_value(row->cg.problem->graph, node->in[slot])->shape;
    memset(at.at, 0, sizeof at.at);
    at.rank = shape->rank;
    if (row->form.groups) at.at[0] = row->point.at[1];
    else
        for (int d = 0; d < shape->rank; d++)
            if (shape->dim[d] != 1) at.at[d] = row->point.at[row->point.rank - shape->rank + d];
    return cg_eval(&row->cg, node->in[slot], &at);
}

static bool store_outputs(row_code *row, const cg_point *point)
{
    const pf_graph *graph = row->cg.problem->graph;

    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *value = pf_graph_value(graph, graph->outputs[i]);
        cg_index        address = cg_address(&row->cg, row->cg.problem->out_layout[i], value, point);
        int32_t         id = cg_eval(&row->cg, graph->outputs[i], point);

        if (id < 0) return false;
        cg_store(&row->cg, i, id, &address);
    }
    return true;
}

static const char *const operand_names[] = { "x", "s", "b" };    /* by slot, in element_formula */

static bool is_constant_operand(const row_code *row, uint32_t slot)
{
    const pf_node *node = row->form.node;
    uint32_t       input = 0;

    if (slot >= node->in_count || node->in[slot] == PF_NONE || node->op == PF_OP_SOFTMAX ||
        node->op == PF_OP_LOG_SOFTMAX || row->form.reduces)
        return false;
    input = pf_problem_input_index(row->cg.problem, node->in[slot]);
    return input != UINT32_MAX && row->cg.problem->in_constant[input];
}

/* Scale and bias that are constants, sent for along with the row: else they are waited for when it is known. */
static bool fetch_operands(row_code *row)
{
    for (uint32_t slot = 1; slot <= 2 && row->keeps; slot++) {
        int32_t id = 0;

        if (!is_constant_operand(row, slot)) continue;
        pf_buf_printf(&row->body, "  float early_%s[C * V];\n", operand_names[slot]);
        open_loop(row);
        id = norm_operand(row, slot);
        if (id < 0) return false;
        pf_buf_printf(&row->body, "  LANES early_%s[c * V + l] = v%d[l];\n", operand_names[slot], id);
        close_pass(row);
        row->early[slot] = true;
    }
    return true;
}

/* ", s = .." for one element of scale or bias; nothing when it is left out. */
static void name_operand(row_code *row, uint32_t slot, int32_t id)
{
    const char *name = operand_names[slot];

    if (row->early[slot]) pf_buf_printf(&row->body, ", %s = early_%s[c * V + l]", name, name);
    else if (id) pf_buf_printf(&row->body, ", %s = v%d[l]", name, id);
    else if (slot == 2) pf_buf_printf(&row->body, ", b = 0.0f");
}

static bool emit_elements(row_code *row)
{
    pf_buf *out = &row->body;
    int32_t x = open_pass(row, false), y = 0;
    int32_t scale = row->early[1] ? 0 : norm_operand(row, 1), bias = row->early[2] ? 0 : norm_operand(row, 2);

    if (x < 0 || scale < 0 || bias < 0) return false;
    y = ++row->cg.next_id;
    pf_buf_printf(out, "  float v%d[V]; LANES { const float x = v%d[l]", y, x);
    name_operand(row, 1, scale);
    name_operand(row, 2, bias);
    pf_buf_printf(out, "; v%d[l] = %s; }\n", y, element_formula(row->form.node->op));
    if (!cg_bind(&row->cg, row->form.node->out[0], &row->point, y) || !store_outputs(row, &row->point)) return false;
    close_pass(row);
    return true;
}

/* The point of the row's one result: x's dims that count rows, and zeros where dims were kept. */
static cg_point result_point(const row_code *row)
{
    const pf_graph *graph = row->cg.problem->graph;
    int             rank = pf_graph_value(graph, row->form.node->in[0])->shape.rank, next = 0;
    bool            counts[PF_MAX_RANK] = {0};
    cg_point        at = row->point;

    at.rank = pf_graph_value(graph, row->form.node->out[0])->shape.rank;
    memset(at.at, 0, sizeof at.at);
    for (int d = 0; d < row->form.axis; d++) counts[row->form.order[d]] = true;
    for (int d = 0; d < rank; d++)
        if (counts[d]) at.at[at.rank == rank ? d : next++] = row->point.at[d];
    return at;
}

/* All lanes hold the same number and store it to the same place. */
static bool emit_result(row_code *row)
{
    cg_point at = result_point(row);
    int32_t  y = ++row->cg.next_id;

    cg_forget(&row->cg);
    pf_buf_printf(&row->body, "  if (threadIdx.x == 0 && PART == 0) {\n"
                              "  float v%d[V]; LANES v%d[l] = r_result;\n", y, y);
    if (!cg_bind(&row->cg, row->form.node->out[0], &at, y) || !store_outputs(row, &at)) return false;
    pf_buf_printf(&row->body, "  }\n");
    return true;
}

/* Loop variables: those of the row's number first (form.axis of them), then those of the element, lanes last. */
static void open_space(row_code *row, const pf_problem *p)
{
    cg_context     *cg = &row->cg;
    const pf_value *value = pf_graph_value(p->graph, row->form.node->in[0]);
    const int64_t  *dim = value->shape.dim;
    int64_t         channels = row->form.groups ? dim[1] / row->form.groups : 0;
    bool            last = p->out_layout[0] == PF_LAYOUT_CHANNELS_LAST;
    int             rank = value->shape.rank, channel_var = last ? rank : 2;

    if (!row->form.groups) {
        cg_loop_over(cg, PF_LAYOUT_LINEAR, value, &row->point);
        for (int v = 0; row->form.moved && v < value->shape.rank; v++) {
            cg->var_extent[v] = dim[row->form.order[v]];
            row->point.at[row->form.order[v]] = cg_index_of(cg, v);
        }
        return;
    }
    cg->var_extent[0] = dim[0];
    cg->var_extent[1] = row->form.groups;
    cg->var_extent[channel_var] = channels;
    for (int d = 2; d < rank; d++) cg->var_extent[last ? d : d + 1] = dim[d];
    cg->var_count = rank + 1;
    cg->lane_var = rank;
    memset(&row->point, 0, sizeof row->point);
    row->point.rank = rank;
    row->point.at[0] = cg_index_of(cg, 0);
    row->point.at[1] = cg_index_add(cg, cg_index_scale(cg_index_of(cg, 1), channels), cg_index_of(cg, channel_var));
    for (int d = 2; d < rank; d++) row->point.at[d] = cg_index_of(cg, last ? d : d + 1);
}

static void emit_head(const row_code *row, const pf_row_tuning *tuning, int rows_per_block, int64_t rows, pf_buf *out)
{
    const cg_context *cg = &row->cg;
    char              functions[sizeof reductions + 160] = {0};

    snprintf(functions, sizeof functions, "#define T %d\n#define C %lld\n#define D %lld\n#define SPLIT %d\n%s",
             tuning->threads, (long long)row->chunks, (long long)row->length, tuning->split, reductions);
    pf_codegen_header(cg->problem, tuning->vector, tuning->threads * rows_per_block, rows * row->length, functions,
                      out);
    pf_buf_printf(out, "  const long long row = (long long)(blockIdx.x / SPLIT) * %d + threadIdx.y;\n"
                       "  if (row >= %lld) return;\n", rows_per_block, (long long)rows);
    if (row->form.axis) {
        pf_buf_printf(out, "  idx left = (idx)row;\n");
        for (int v = row->form.axis - 1; v > 0; v--)
            pf_buf_printf(out, "  const idx i%d = left %% %lld; left /= %lld;\n", v, (long long)cg->var_extent[v],
                          (long long)cg->var_extent[v]);
        pf_buf_printf(out, "  const idx i0 = left;\n");
    }
    if (row->keeps) pf_buf_printf(out, "  float kept[C * V];\n");
}

pf_status pf_codegen_row(const pf_problem *p, const pf_row_tuning *tuning, pf_program *out, pf_err *err)
{
    row_code  row = {0};
    int       rows_per_block = tuning->threads <= WARP ? THREADS_PER_BLOCK / tuning->threads : 1;
    int64_t   rows = 0;
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&row.body, SOURCE_LIMIT_BYTES);
    recognize(p, &row.form);
    rows = row_count(p, &row.form);
    row.length = row_length(p, &row.form);
    row.chunks = cg_up(row.length, (int64_t)tuning->threads * tuning->vector * tuning->split);
    row.keeps = row.chunks * tuning->vector <= REGISTER_ELEMS;
    cg_context_init(&row.cg, p, &row.body, tuning->vector, err);
    open_space(&row, p);
    if (!fetch_operands(&row) || !emit_statistics(&row) ||
        !(row.form.reduces ? emit_result(&row) : emit_elements(&row)))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the region cannot be evaluated");
    emit_head(&row, tuning, rows_per_block, rows, &out->source);
    pf_buf_put(&out->source, row.body.data, row.body.size);
    pf_buf_printf(&out->source, "  MEET\n}\n");         /* nobody leaves while others read what it has */
    if (!st && (row.body.failed || out->source.failed))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    out->grid[0] = (uint32_t)(cg_up(rows, rows_per_block) * tuning->split);
    out->grid[1] = out->grid[2] = out->block[2] = 1;
    out->block[0] = (uint32_t)tuning->threads;
    out->block[1] = (uint32_t)rows_per_block;
    cg_context_clear(&row.cg);
    pf_buf_clear(&row.body);
    if (st) pf_program_clear(out);
    return st;
}
