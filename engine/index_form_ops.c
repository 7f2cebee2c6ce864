/* Forms of what ops other than pointwise ones make of the forms of their inputs. */
#include <math.h>
#include <string.h>

#include "engine/index_form_private.h"
#include "engine/ops/attrs.h"

static bool read_first(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    return pf_index_form_read(r, node->in[0], out);
}

static bool read_cast(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    pf_dtype dtype = (pf_dtype)((const pf_cast_attrs *)node->attrs)->dtype;
    double   value = 0;

    if (!pf_index_form_read(r, node->in[0], out))
        return false;
    if (!out->is_choice && dtype != PF_BOOL)
        return pf_dtype_bits(dtype) >= 32;       /* where counters keep their values */
    if (!out->is_choice) {
        if (!pf_index_form_uniform(r->dims, &pf_index_value(r, node->in[0])->shape, out, &value))
            return false;
        *out = pf_index_form_same(value);
    }
    if (dtype == PF_BOOL) {
        out->yes = out->yes != 0;
        out->no = out->no != 0;
    } else if (pf_dtype_is_integer(dtype)) {
        out->yes = trunc(out->yes);
        out->no = trunc(out->no);
    }
    return true;
}

static bool read_bound(const pf_index_reader *r, pf_value_id id, pf_dim *out)
{
    const pf_value *v = pf_index_value(r, id);

    if (v->content && v->content_count == 1)
        *out = v->content[0];
    else if (v->is_constant && pf_dtype_is_integer(v->dtype) && v->constant.bytes)
        *out = pf_dtype_get_i64(v->dtype, v->constant.data, 0);
    else
        return false;
    return *out != PF_DIM_INVALID;
}

static bool read_range(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_range_attrs *attrs = node->attrs;
    pf_dim                start = 0, step = 0;

    if (node->in_count ? !read_bound(r, node->in[0], &start) || !read_bound(r, node->in[2], &step)
                       : attrs->bounds.count != 3)
        return false;
    if (!node->in_count) {
        start = attrs->bounds.at[0];
        step = attrs->bounds.at[2];
    }
    *out = pf_index_form_linear(start);
    out->coef[0] = step;
    return pf_dim_is_number(step);
}

/* The dims that are not 1 stay in order. */
static bool read_reshape(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_shape *from = &pf_index_value(r, node->in[0])->shape, *to = &pf_index_value(r, node->out[0])->shape;
    pf_index_form   in = { 0 };
    int32_t         at = 0;

    if (!pf_index_form_read(r, node->in[0], &in))
        return false;
    *out = in;
    memset(out->coef, 0, sizeof out->coef);
    if (!pf_index_form_has_coefs(&in))
        return true;
    for (int32_t d = 0; d < to->rank; d++) {
        while (at < from->rank && from->dim[at] == 1)
            at++;
        if (to->dim[d] == 1)
            continue;
        if (at == from->rank || from->dim[at] != to->dim[d])
            return false;
        out->coef[d] = in.coef[at++];
    }
    return true;
}

static bool read_expand(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    if (!pf_index_form_read(r, node->in[0], out))
        return false;
    pf_index_form_align(out, pf_index_value(r, node->in[0])->shape.rank, pf_index_value(r, node->out[0])->shape.rank);
    return true;
}

static bool read_tile(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_dim_list *repeats = &((const pf_tile_attrs *)node->attrs)->repeats;

    if (!pf_index_form_read(r, node->in[0], out))
        return false;
    for (int32_t d = 0; d < repeats->count; d++)
        if (out->coef[d] && repeats->at[d] != 1)
            return false;
    return true;
}

static bool read_transpose(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_ints *perm = &((const pf_transpose_attrs *)node->attrs)->perm;
    pf_index_form  in = { 0 };

    if (!pf_index_form_read(r, node->in[0], &in))
        return false;
    *out = in;
    for (int32_t d = 0; d < perm->count; d++)
        out->coef[d] = in.coef[perm->at[d]];
    return true;
}

static bool read_slice(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_slice_attrs *attrs = node->attrs;
    const pf_shape       *shape = &pf_index_value(r, node->in[0])->shape;

    if (!pf_index_form_read(r, node->in[0], out))
        return false;
    for (int32_t i = 0; i < attrs->axes.count; i++) {
        int64_t d = attrs->axes.at[i];
        pf_dim  start = attrs->starts.at[i];

        if (!out->coef[d])
            continue;
        if (attrs->steps.at[i] < 0 || start <= -PF_SLICE_FAR)
            return false;
        if (pf_dim_is_number(start) && start < 0)
            start = pf_dim_add(r->dims, start, shape->dim[d]);
        out->constant = pf_dim_add(r->dims, out->constant, pf_dim_mul(r->dims, start, out->coef[d]));
        out->coef[d] *= attrs->steps.at[i];
    }
    return out->constant != PF_DIM_INVALID;
}

/* Pieces that go on where the one before them ended: the step between the first two places says how fast they rise. */
static bool read_concat(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    int64_t axis = ((const pf_axis_attrs *)node->attrs)->axis, step = 0;
    pf_dim  offset = 0;

    for (uint32_t i = 0; i < node->in_count; i++) {
        const pf_shape *shape = &pf_index_value(r, node->in[i])->shape;
        pf_index_form   piece = { 0 }, want = { 0 };

        if (!pf_index_form_read(r, node->in[i], &piece))
            return false;
        if (i == 0)
            *out = piece;
        if (i == 0 && shape->dim[axis] != 1)
            step = piece.coef[axis];
        else if (i == 1 && pf_index_value(r, node->in[0])->shape.dim[axis] == 1) {
            step = pf_dim_sub(r->dims, piece.constant, out->constant);
            if (!pf_dim_is_number(step))
                return false;
        }
        want = *out;
        want.constant = pf_dim_add(r->dims, out->constant, pf_dim_mul(r->dims, offset, step));
        want.coef[axis] = shape->dim[axis] == 1 ? 0 : step;
        if (piece.is_choice != out->is_choice || piece.yes != out->yes || piece.no != out->no ||
            !pf_index_form_same_test(&want, &piece))
            return false;
        offset = pf_dim_add(r->dims, offset, shape->dim[axis]);
    }
    out->coef[axis] = step;
    return out->constant != PF_DIM_INVALID;
}

static bool read_cumulate(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_cumulate_attrs *attrs = node->attrs;
    const pf_shape          *shape = &pf_index_value(r, node->in[0])->shape;
    pf_index_form            in = { 0 };
    double                   value = 0;
    int64_t                  each = 0;

    if (attrs->mode != PF_CUMULATE_SUM || !pf_index_form_read(r, node->in[0], &in) ||
        !pf_index_form_uniform(r->dims, shape, &in, &value) || fabs(value) > 1e9 || value != trunc(value))
        return false;
    each = (int64_t)value;
    *out = pf_index_form_linear(attrs->reverse ? pf_dim_mul(r->dims, each, shape->dim[attrs->axis]) : each);
    if (attrs->exclusive)
        out->constant = pf_dim_sub(r->dims, out->constant, each);
    out->coef[attrs->axis] = attrs->reverse ? -each : each;
    return true;
}

static bool read_trilu(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_trilu_attrs *attrs = node->attrs;
    const pf_shape       *shape = &pf_index_value(r, node->in[0])->shape;
    int64_t               sign = attrs->upper ? -1 : 1;
    pf_index_form         in = { 0 };
    double                value = 0;

    if (attrs->k > INT32_MAX || attrs->k < INT32_MIN || !pf_index_form_read(r, node->in[0], &in) ||
        !pf_index_form_uniform(r->dims, shape, &in, &value))
        return false;
    *out = (pf_index_form){ .is_choice = true, .yes = value, .constant = sign * attrs->k };
    out->coef[shape->rank - 2] = sign;
    out->coef[shape->rank - 1] = -sign;
    return true;
}

/* data at `index` along axis, over a result of that shape; *out has the form along data's other dims already. */
static bool at_index(const pf_index_reader *r, const pf_index_form *data, int64_t axis, const pf_index_form *index,
                     const pf_shape *shape, pf_index_form *out)
{
    pf_index_form picked = { 0 };

    if (!data->coef[axis])
        return true;
    /* negative ones count from the end */
    if (index->is_choice || !pf_index_form_never_negative(r->dims, shape, index))
        return false;
    if (!pf_index_form_mix(r, out, 1, index, data->coef[axis], &picked))
        return false;
    out->constant = picked.constant;
    memcpy(out->coef, picked.coef, sizeof out->coef);
    return true;
}

static bool read_gather(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    int64_t         axis = ((const pf_axis_attrs *)node->attrs)->axis;
    const pf_shape *data_shape = &pf_index_value(r, node->in[0])->shape,
                   *shape = &pf_index_value(r, node->in[1])->shape;
    int32_t         rank = pf_index_value(r, node->out[0])->shape.rank;
    pf_index_form   data = { 0 }, index = { 0 }, placed = { 0 };

    if (rank > PF_MAX_RANK || !pf_index_form_read(r, node->in[0], &data) ||
        (data.coef[axis] && !pf_index_form_read(r, node->in[1], &index)))
        return false;
    *out = data;
    memset(out->coef, 0, sizeof out->coef);
    for (int32_t d = 0; d < data_shape->rank; d++)
        if (d != axis)
            out->coef[d < axis ? d : d - 1 + shape->rank] = data.coef[d];
    placed = index;
    memset(placed.coef, 0, sizeof placed.coef);
    for (int32_t d = 0; d < shape->rank; d++)
        placed.coef[axis + d] = index.coef[d];
    return at_index(r, &data, axis, &placed, &pf_index_value(r, node->out[0])->shape, out);
}

static bool read_gather_elements(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    int64_t       axis = ((const pf_axis_attrs *)node->attrs)->axis;
    pf_index_form data = { 0 }, index = { 0 };

    if (!pf_index_form_read(r, node->in[0], &data) || (data.coef[axis] && !pf_index_form_read(r, node->in[1], &index)))
        return false;
    *out = data;
    out->coef[axis] = 0;
    return at_index(r, &data, axis, &index, &pf_index_value(r, node->out[0])->shape, out);
}

bool pf_index_form_read_parts(pf_index_reader *r, pf_value_id id, int32_t count, pf_index_form *out)
{
    const pf_value *v = pf_index_value(r, id);
    const pf_node  *node = v->producer == PF_NONE ? NULL : &r->graph->nodes[v->producer];
    int32_t         last = v->shape.rank - 1;

    if (last < 0 || v->shape.dim[last] != count)
        return false;
    if (count == 1)
        return pf_index_form_read(r, id, out);
    if (v->is_constant)
        return pf_index_form_read_constant_parts(v, count, out);
    if (!node || node->op != PF_OP_CONCAT || ((const pf_axis_attrs *)node->attrs)->axis != last ||
        (int32_t)node->in_count != count)
        return false;
    for (int32_t i = 0; i < count; i++)
        if (pf_index_value(r, node->in[i])->shape.dim[last] != 1 || !pf_index_form_read(r, node->in[i], &out[i]))
            return false;
    return true;
}

static bool read_gather_nd(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_shape *shape = &pf_index_value(r, node->in[1])->shape, *made = &pf_index_value(r, node->out[0])->shape;
    int32_t         rank = pf_index_value(r, node->in[0])->shape.rank, lead = shape->rank - 1;
    pf_index_form   data = { 0 }, part[PF_MAX_RANK];
    int32_t         count = shape->rank > 0 && pf_dim_is_number(shape->dim[lead]) ? (int32_t)shape->dim[lead] : 0;

    memset(part, 0, sizeof part);
    if (((const pf_gather_nd_attrs *)node->attrs)->batch_dims || count < 1 || count > rank || made->rank < 0 ||
        !pf_index_form_read(r, node->in[0], &data))
        return false;
    if (pf_index_form_has_coefs(&data) && !pf_index_form_read_parts(r, node->in[1], count, part))
        return false;
    *out = data;
    memset(out->coef, 0, sizeof out->coef);
    for (int32_t d = count; d < rank; d++)
        out->coef[lead + d - count] = data.coef[d];
    for (int32_t i = 0; i < count; i++)
        if (!at_index(r, &data, i, &part[i], made, out))
            return false;
    return true;
}

static const struct {
    pf_op_kind op;
    bool (*read)(pf_index_reader *r, const pf_node *node, pf_index_form *out);
} rows[] = {
    { PF_OP_IDENTITY, read_first },   { PF_OP_CAST, read_cast },           { PF_OP_RANGE, read_range },
    { PF_OP_RESHAPE, read_reshape },  { PF_OP_EXPAND, read_expand },       { PF_OP_TILE, read_tile },
    { PF_OP_SLICE, read_slice },      { PF_OP_TRANSPOSE, read_transpose }, { PF_OP_CONCAT, read_concat },
    { PF_OP_CUMULATE, read_cumulate }, { PF_OP_TRILU, read_trilu },        { PF_OP_GATHER, read_gather },
    { PF_OP_GATHER_ELEMENTS, read_gather_elements }, { PF_OP_GATHER_ND, read_gather_nd },
};

bool pf_index_form_read_op(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == node->op)
            return rows[i].read(r, node, out);
    return false;
}
