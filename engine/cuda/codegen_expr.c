/* Evaluation of a value at a point: pointwise formulas from pointwise.def, and moves as changes of the point. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/cuda/codegen.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { RANK_MAX = CG_VARS - 2 };        /* scattering and blocked layouts take a variable more */

/* The formulas as text. */
typedef struct formula { const char *floats, *integers; } formula;
static const formula formulas[PF_OP_COUNT] = {
#define PF_POINTWISE(NAME, name, inputs, rule, flags, c, integer, cuda) [PF_OP_##NAME] = { #cuda, #integer },
#include "engine/pointwise.def"
#undef PF_POINTWISE
};

static bool has(const char *text) { return text && strcmp(text, "NONE") != 0; }

void cg_context_init(cg_context *cg, const pf_problem *problem, pf_buf *body, int vector, pf_err *err)
{
    memset(cg, 0, sizeof *cg);
    cg->problem = problem;
    cg->body = body;
    cg->vector = vector;
    cg->err = err;
}

void cg_context_clear(cg_context *cg)
{
    pf_free(cg->memo);
    cg->memo = NULL;
    cg->memo_count = cg->memo_capacity = 0;
}

void cg_forget(cg_context *cg) { cg->memo_count = 0; }

static bool index_equal(const cg_index *a, const cg_index *b)
{
    return a->constant == b->constant && a->opaque == b->opaque && !memcmp(a->coef, b->coef, sizeof a->coef);
}

static bool point_equal(const cg_point *a, const cg_point *b)
{
    if (a->rank != b->rank || a->guard != b->guard) return false;
    for (int d = 0; d < a->rank; d++)
        if (!index_equal(&a->at[d], &b->at[d])) return false;
    return true;
}

static int32_t known(const cg_context *cg, pf_value_id value, const cg_point *point)
{
    for (uint32_t i = 0; i < cg->memo_count; i++)
        if (cg->memo[i].value == value && point_equal(&cg->memo[i].point, point)) return cg->memo[i].id;
    return 0;
}

bool cg_bind(cg_context *cg, pf_value_id value, const cg_point *point, int32_t id)
{
    if (pf_grow((void **)&cg->memo, &cg->memo_capacity, cg->memo_count + 1, sizeof *cg->memo)) return false;
    cg->memo[cg->memo_count++] = (cg_memo){ value, *point, id };
    return true;
}

static const char *lane_type(cg_type type) { return type == CG_FLOAT ? "float" : type == CG_INT ? "long long" : "int"; }

static void declare(cg_context *cg, int32_t id, cg_type type)
{
    pf_buf_printf(cg->body, "  %s v%d[V]; ", lane_type(type), id);
}

/* 9 digits without a point or an exponent are an integer literal to C. */
static void print_float(pf_buf *out, double value)
{
    char text[64] = {0};

    snprintf(text, sizeof text, "%.9g", value);
    if (isnan(value)) pf_buf_printf(out, "__int_as_float(0x7fc00000)");
    else if (isinf(value)) pf_buf_printf(out, value < 0 ? "__int_as_float(0xff800000)" : "__int_as_float(0x7f800000)");
    else pf_buf_printf(out, strpbrk(text, ".e") ? "(%sf)" : "(%s.0f)", text);
}

static void print_literal(pf_buf *out, pf_dtype dtype, const void *data, uint64_t i)
{
    if (pf_dtype_is_float(dtype)) print_float(out, pf_dtype_get(dtype, data, i));
    else pf_buf_printf(out, "%lldLL", (long long)pf_dtype_get_i64(dtype, data, i));
}

/* A constant held in clear: a literal, or an array of a few indexed by the address. */
static int32_t eval_clear(cg_context *cg, const pf_value *value, const cg_point *point)
{
    int32_t  id = ++cg->next_id;
    cg_type  type = cg_type_of(value->dtype);
    int64_t  count = pf_shape_elems(cg->problem->graph->dims, &value->shape);
    cg_index address = count > 1 ? cg_address(cg, PF_LAYOUT_LINEAR, value, point) : cg_index_number(0);

    declare(cg, id, type);
    if (count == 1) {
        pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
        print_literal(cg->body, value->dtype, value->constant.data, 0);
        pf_buf_printf(cg->body, ";\n");
        return id;
    }
    pf_buf_printf(cg->body, "{ const %s k[] = {", lane_type(type));
    for (int64_t i = 0; i < count; i++) {
        pf_buf_printf(cg->body, i ? ", " : "");
        print_literal(cg->body, value->dtype, value->constant.data, (uint64_t)i);
    }
    pf_buf_printf(cg->body, "}; LANES { idx a = ");
    cg_index_print(cg, &address, "l", cg->body);
    pf_buf_printf(cg->body, "; v%d[l] = k[a < 0 || a >= %lld ? 0 : a]; } }\n", id, (long long)count);
    return id;
}

/* The point of input `in` when the output of a broadcasting op is at `point`: dims align at the end, sizes of 1 stay at
   0. */
static cg_point broadcast_point(const cg_point *point, const pf_shape *in)
{
    cg_point result = *point;

    result.rank = in->rank;
    memset(result.at, 0, sizeof result.at);
    for (int d = 0; d < in->rank; d++)
        if (in->dim[d] != 1) result.at[d] = point->at[point->rank - in->rank + d];
    return result;
}

static const pf_value *input_value(const cg_context *cg, const pf_node *node, uint32_t i)
{
    return pf_graph_value(cg->problem->graph, node->in[i]);
}

/* Whether the float formula applies: by what the op computes on, which for `where` is what it chooses from. */
static bool uses_floats(const cg_context *cg, const pf_node *node)
{
    const pf_value *operand = input_value(cg, node, node->op == PF_OP_WHERE ? 1 : 0);

    return has(formulas[node->op].floats) && cg_type_of(operand->dtype) != CG_INT;
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
        cg_point at = broadcast_point(point, &input_value(cg, node, i)->shape);

        arg[i] = cg_eval(cg, node->in[i], &at);
        if (arg[i] < 0) return -1;
    }
    id = ++cg->next_id;
    declare(cg, id, cg_type_of(out->dtype));
    pf_buf_printf(cg->body, "{ ");
    if (floats && attrs) {
        pf_buf_printf(cg->body, "const float p = ");
        print_float(cg->body, attrs->p);
        pf_buf_printf(cg->body, ", q = ");
        print_float(cg->body, attrs->q);
        pf_buf_printf(cg->body, "; ");
    }
    if (!floats) pf_buf_printf(cg->body, "typedef long long I; typedef unsigned long long U; ");
    pf_buf_printf(cg->body, "LANES { ");
    for (uint32_t i = 0; i < node->in_count; i++)
        pf_buf_printf(cg->body, "%s %c = v%d[l]; ", floats ? "float" : "I", names[i], arg[i]);
    pf_buf_printf(cg->body, "v%d[l] = ", id);
    if (*cast) pf_buf_printf(cg->body, "(%s)", cast);
    pf_buf_printf(cg->body, "(%s); } }\n", floats ? formulas[node->op].floats : formulas[node->op].integers);
    return id;
}

static int32_t eval_cast(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_value *in = input_value(cg, node, 0), *out = pf_graph_value(cg->problem->graph, node->out[0]);
    cg_type         from = cg_type_of(in->dtype), to = cg_type_of(out->dtype);
    int32_t         arg = cg_eval(cg, node->in[0], point), id = 0;
    const char     *cast = narrow(out->dtype);

    if (arg < 0 || (from == to && to != CG_INT)) return arg;
    id = ++cg->next_id;
    declare(cg, id, to);
    pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
    if (*cast) pf_buf_printf(cg->body, "(%s)", cast);
    if (to == CG_FLOAT) pf_buf_printf(cg->body, "(float)v%d[l]", arg);
    else if (to == CG_BOOL) pf_buf_printf(cg->body, "v%d[l] != 0", arg);
    else if (from == CG_FLOAT) pf_buf_printf(cg->body, "to_i64(v%d[l])", arg);
    else pf_buf_printf(cg->body, "v%d[l]", arg);
    pf_buf_printf(cg->body, ";\n");
    return id;
}

static int32_t eval_transpose(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_transpose_attrs *attrs = node->attrs;
    cg_point                  at = *point;

    for (int d = 0; d < point->rank; d++) at.at[attrs->perm.at[d]] = point->at[d];
    return cg_eval(cg, node->in[0], &at);
}

static int32_t eval_expand(cg_context *cg, const pf_node *node, const cg_point *point)
{
    cg_point at = broadcast_point(point, &input_value(cg, node, 0)->shape);

    return cg_eval(cg, node->in[0], &at);
}

/* Groups of dims with equal products are split and joined on their own, so that most reshapes stay affine. */
static int32_t eval_reshape(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_shape *in = &input_value(cg, node, 0)->shape;
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
    const pf_shape       *in = &input_value(cg, node, 0)->shape;
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
    const pf_shape *in = &input_value(cg, node, 0)->shape;
    cg_point        at = *point;
    cg_index        times = {0};

    for (int d = 0; d < in->rank; d++) cg_index_split(cg, point->at[d], in->dim[d], &times, &at.at[d]);
    return cg_eval(cg, node->in[0], &at);
}

/* Every lane of a thread is on the same side of `bound` when the index moves with the lanes in whole vectors, or not at
   all. */
static bool uniform_at(const cg_context *cg, const cg_index *index, int64_t bound)
{
    if (index->opaque) return false;
    if (!index->coef[cg->lane_var] || cg->vector == 1) return true;
    return cg_contiguous(cg, index) && bound % cg->vector == 0;
}

cg_point cg_guarded(cg_context *cg, const cg_point *point, const cg_index *index, int64_t low, int64_t high)
{
    cg_point at = *point;

    at.guard = ++cg->next_id;
    at.guard_uniform = (!point->guard || point->guard_uniform) && uniform_at(cg, index, low) &&
                       uniform_at(cg, index, high);
    pf_buf_printf(cg->body, "  bool g%d[V]; LANES { idx a = ", at.guard);
    cg_index_print(cg, index, "l", cg->body);
    pf_buf_printf(cg->body, "; g%d[l] = a >= %lld && a < %lld", at.guard, (long long)low, (long long)high);
    if (point->guard) pf_buf_printf(cg->body, " && g%d[l]", point->guard);
    pf_buf_printf(cg->body, "; }\n");
    return at;
}

bool cg_open_loop(cg_context *cg, int64_t count, cg_inner_loop *loop)
{
    if (cg->var_count == CG_VARS) return false;
    *loop = (cg_inner_loop){ cg->var_count++, cg->memo_count };
    cg->var_extent[loop->var] = count;
    pf_buf_printf(cg->body, "  for (idx i%d = 0; i%d < %lld; ++i%d) {\n", loop->var, loop->var, (long long)count,
                  loop->var);
    return true;
}

void cg_close_loop(cg_context *cg, const cg_inner_loop *loop)
{
    pf_buf_printf(cg->body, "  }\n");
    cg->memo_count = loop->known;
    cg->var_count--;
}

/* v<id> = guard ? v<taken> : v<id>. */
static void take_where(cg_context *cg, int32_t id, int32_t guard, int32_t taken)
{
    pf_buf_printf(cg->body, "  LANES v%d[l] = g%d[l] ? v%d[l] : v%d[l];\n", id, guard, taken, id);
}

static int32_t eval_concat(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int64_t         axis = ((const pf_axis_attrs *)node->attrs)->axis, start = 0;
    const pf_value *out = pf_graph_value(cg->problem->graph, node->out[0]);
    int32_t         id = ++cg->next_id;

    declare(cg, id, cg_type_of(out->dtype));
    pf_buf_printf(cg->body, "LANES v%d[l] = 0;\n", id);
    for (uint32_t k = 0; k < node->in_count; k++) {
        int64_t  size = input_value(cg, node, k)->shape.dim[axis];
        cg_point at = cg_guarded(cg, point, &point->at[axis], start, start + size);
        int32_t  part = 0;

        at.at[axis].constant -= start;
        part = cg_eval(cg, node->in[k], &at);
        if (part < 0) return -1;
        take_where(cg, id, at.guard, part);
        start += size;
    }
    return id;
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
    declare(cg, id, type);
    pf_buf_printf(cg->body, "LANES v%d[l] = ", id);
    if (computed) pf_buf_printf(cg->body, "v%d[l]", computed);
    else if (type == CG_FLOAT) print_float(cg->body, attrs->value);
    else pf_buf_printf(cg->body, "%lldLL", (long long)attrs->value);
    pf_buf_printf(cg->body, ";\n");
    return id;
}

static int32_t eval_pad(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_pad_attrs *attrs = node->attrs;
    const pf_shape     *in = &input_value(cg, node, 0)->shape;
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
    if (id > 0) take_where(cg, id, at.guard, inside);
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
    at.at[axis] = picked_by(cg, which, input_value(cg, node, 0)->shape.dim[axis]);
    return cg_eval(cg, node->in[0], &at);
}

/* The last dim of the indices says where along the first dims (behind the batch dims) of the data. */
static int32_t eval_gather_nd(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int64_t         batch = ((const pf_gather_nd_attrs *)node->attrs)->batch_dims;
    const pf_shape *data = &input_value(cg, node, 0)->shape, *index = &input_value(cg, node, 1)->shape;
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
    const pf_shape *data = &input_value(cg, node, 0)->shape, *index = &input_value(cg, node, 1)->shape;
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

    declare(cg, id, CG_INT);
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
    declare(cg, id, cg_type_of(input_value(cg, node, 0)->dtype));
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

    declare(cg, id, type);
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

static bool is_pool(pf_op_kind op)
{
    return op == PF_OP_MAX_POOL || op == PF_OP_AVERAGE_POOL || op == PF_OP_LP_POOL;
}

/* Moves that need no output slot, by op. */
typedef int32_t evaluator(cg_context *cg, const pf_node *node, const cg_point *point);
static evaluator *const evaluators[PF_OP_COUNT] = {
    [PF_OP_IDENTITY] = eval_same, [PF_OP_CAST] = eval_cast, [PF_OP_TRANSPOSE] = eval_transpose,
    [PF_OP_EXPAND] = eval_expand,
    [PF_OP_RESHAPE] = eval_reshape, [PF_OP_SLICE] = eval_slice, [PF_OP_TILE] = eval_tile, [PF_OP_CONCAT] = eval_concat,
    [PF_OP_PAD] = eval_pad, [PF_OP_GATHER] = eval_gather, [PF_OP_RANGE] = eval_range, [PF_OP_TRILU] = eval_trilu,
    [PF_OP_GATHER_ELEMENTS] = eval_gather_elements, [PF_OP_GATHER_ND] = eval_gather_nd, [PF_OP_RESIZE] = cg_eval_resize,
    [PF_OP_GRID_SAMPLE] = cg_eval_grid_sample, [PF_OP_REVERSE_SEQUENCE] = cg_eval_reverse_sequence,
    [PF_OP_TENSOR_SCATTER] = cg_eval_tensor_scatter,
    [PF_OP_EYE_LIKE] = eval_eye, [PF_OP_SCATTER_ELEMENTS] = cg_eval_scatter, [PF_OP_SCATTER_ND] = cg_eval_scatter,
};

static int32_t eval_node(cg_context *cg, const pf_value *value, const cg_point *point)
{
    const pf_node *node = pf_graph_node(cg->problem->graph, value->producer);

    if (node->op == PF_OP_SPLIT) return eval_split(cg, node, value->slot, point);
    if (is_pool(node->op)) return cg_eval_pool(cg, node, value->slot, point);
    if (evaluators[node->op]) return evaluators[node->op](cg, node, point);
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
    int32_t         result = known(cg, id, point);

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

/* Integers need a formula of their own; flags do with either. */
static bool has_formula(const pf_graph *graph, const pf_node *node)
{
    cg_type type = cg_type_of(pf_graph_value(graph, node->in[node->op == PF_OP_WHERE ? 1 : 0])->dtype);

    return has(formulas[node->op].integers) || (type != CG_INT && has(formulas[node->op].floats));
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
    if (node->op == PF_OP_RANGE) return declines_range(graph, node);
    if (node->op == PF_OP_PAD) return declines_pad(graph, node);
    if (node->op == PF_OP_RESIZE) return cg_resize_declines(graph, node);
    if (is_pool(node->op)) return cg_pool_declines(graph, node);
    if (node->op == PF_OP_GRID_SAMPLE) return cg_grid_sample_declines(graph, node);
    if (node->op == PF_OP_GATHER_ND) return declines_gather_nd(graph, node);
    if (node->op == PF_OP_SCATTER_ELEMENTS || node->op == PF_OP_SCATTER_ND) return cg_scatter_declines(graph, node);
    if (node->op == PF_OP_SPLIT || evaluators[node->op]) return NULL;
    return pf_op_is_pointwise(node->op) && has_formula(graph, node) ? NULL : "op without a formula";
}

const char *cg_find_anchor(const pf_graph *graph, bool (*is_anchor)(const pf_node *node), const char *none,
                           const char *two, const pf_node **anchor)
{
    const char *reason = NULL;

    *anchor = NULL;
    for (uint32_t n = 0; n < graph->node_count && !reason; n++) {
        const pf_node *node = &graph->nodes[n];

        if (!node->live) continue;
        if (!is_anchor(node)) reason = cg_node_declines(graph, node);
        else if (*anchor) reason = two;
        else *anchor = node;
    }
    return reason ? reason : *anchor ? NULL : none;
}

static bool reads_value(const pf_graph *graph, const pf_node *node, pf_value_id value)
{
    for (uint32_t i = 0; i < pf_graph_use_count(graph, value); i++) {
        pf_use use = pf_graph_use(graph, value, i);

        if (use.node != PF_NONE && &graph->nodes[use.node] == node) return true;
    }
    return false;
}

static const char *check_reader(const pf_graph *graph, const pf_node *reader, pf_value_id value)
{
    if (!pf_op_is_pointwise(reader->op) && reader->op != PF_OP_CAST && reader->op != PF_OP_IDENTITY)
        return "something moves behind the anchor";
    return pf_shape_equal(&pf_graph_value(graph, reader->out[0])->shape, &pf_graph_value(graph, value)->shape)
               ? NULL
               : "the anchor's result is broadcast";
}

const char *cg_behind_declines(const pf_graph *graph, const pf_node *anchor)
{
    const char *reason = NULL;

    for (uint32_t o = 0; o < anchor->out_count && !reason; o++)
        for (uint32_t n = 0; n < graph->node_count && !reason; n++) {
            const pf_node *reader = &graph->nodes[n];

            if (!reader->live || !reads_value(graph, reader, anchor->out[o])) continue;
            reason = check_reader(graph, reader, anchor->out[o]);
            if (!reason) reason = cg_behind_declines(graph, reader);
        }
    return reason;
}
