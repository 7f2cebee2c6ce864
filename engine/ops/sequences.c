/* Sequences and optionals of tensors, on the host.  The shape of a sequence is that of each item as far as all agree: a
   dim that is a symbol may be another number in each item. */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field construct_fields[] = { PF_ATTR_FIELD(pf_sequence_construct_attrs, dtype, DTYPE), { NULL } };
static const pf_attr_field concat_fields[] = {
    PF_ATTR_FIELD(pf_concat_from_sequence_attrs, axis, INT),
    PF_ATTR_FIELD(pf_concat_from_sequence_attrs, new_axis, INT), { NULL },
};
static const pf_attr_field split_fields[] = {
    PF_ATTR_FIELD(pf_split_to_sequence_attrs, axis, INT), PF_ATTR_FIELD(pf_split_to_sequence_attrs, keepdims, INT),
    { NULL },
};
static const pf_attr_field optional_fields[] = { PF_ATTR_FIELD(pf_optional_attrs, dtype, DTYPE), { NULL } };

static const pf_shape unknown_shape = { .rank = -1 }, no_items = { .rank = PF_RANK_NO_ITEMS };

static void set_kind(pf_infer *infer, pf_value_kind kind, pf_dtype dtype, const pf_shape *shape)
{
    infer->out[0].kind = kind;
    pf_infer_set(infer, 0, dtype, shape);
}

static pf_status need_sequence(const pf_infer *infer, pf_err *err)
{
    const pf_value *s = pf_infer_in(infer, 0);

    if (!s || s->kind != PF_VALUE_SEQUENCE)
        return PF_FAIL(err, PF_INVALID, "input 0 is not a sequence");
    return PF_OK;
}

/* What items of either shape have in common. */
static pf_shape common_shape(pf_infer *infer, const pf_shape *a, const pf_shape *b)
{
    pf_shape out = a->rank == PF_RANK_NO_ITEMS ? *b : *a;

    if (a->rank == PF_RANK_NO_ITEMS)
        return out;
    if (a->rank < 0 || a->rank != b->rank)
        return unknown_shape;
    for (int32_t d = 0; d < out.rank; d++)
        if (a->dim[d] != b->dim[d])
            out.dim[d] = pf_dims_fresh(infer->graph->dims, "item");
    return out;
}

/* The shape of one item taken out: what differs from item to item is a size of its own. */
static pf_shape item_shape(pf_infer *infer, const pf_shape *s)
{
    pf_shape out = s->rank < 0 ? unknown_shape : *s;

    for (int32_t d = 0; d < out.rank; d++)
        if (pf_dim_is_symbolic(out.dim[d]))
            out.dim[d] = pf_dims_fresh(infer->graph->dims, "item");
    return out;
}

static pf_status need_dtype(int32_t dtype, pf_err *err)
{
    if (dtype <= PF_DTYPE_NONE || dtype >= PF_DTYPE_COUNT)
        return PF_FAIL(err, PF_INVALID, "something empty needs a type");
    return PF_OK;
}

static pf_status infer_construct(pf_infer *infer, pf_err *err)
{
    const pf_sequence_construct_attrs *a = infer->node->attrs;
    const pf_value                    *first = pf_infer_in(infer, 0);
    pf_shape                           shape = first ? first->shape : no_items;
    pf_status                          st = PF_OK;

    for (uint32_t i = 1; i < infer->node->in_count && !st; i++) {
        st = pf_infer_same_dtype(infer, 0, i, err);
        if (!pf_infer_in(infer, i))
            return PF_FAIL(err, PF_INVALID, "item %u is left out", i);
        shape = common_shape(infer, &shape, &pf_infer_in(infer, i)->shape);
    }
    set_kind(infer, PF_VALUE_SEQUENCE, first ? first->dtype : (pf_dtype)a->dtype, &shape);
    return st || first ? st : need_dtype(a->dtype, err);
}

static pf_status infer_at(pf_infer *infer, pf_err *err)
{
    pf_status st = need_sequence(infer, err);
    pf_shape  shape = { 0 };

    if (st)
        return st;
    shape = item_shape(infer, &pf_infer_in(infer, 0)->shape);
    pf_infer_set(infer, 0, pf_infer_in(infer, 0)->dtype, &shape);
    return PF_OK;
}

static pf_status infer_insert(pf_infer *infer, pf_err *err)
{
    const pf_value *s = pf_infer_in(infer, 0), *item = pf_infer_in(infer, 1);
    pf_status       st = need_sequence(infer, err);
    pf_shape        shape = { 0 };

    if (!st && !item)
        st = PF_FAIL(err, PF_INVALID, "the item is left out");
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 1, err);
    if (st)
        return st;
    shape = common_shape(infer, &s->shape, &item->shape);
    set_kind(infer, PF_VALUE_SEQUENCE, s->dtype, &shape);
    return PF_OK;
}

static pf_status infer_erase(pf_infer *infer, pf_err *err)
{
    pf_status st = need_sequence(infer, err);

    if (!st)
        set_kind(infer, PF_VALUE_SEQUENCE, pf_infer_in(infer, 0)->dtype, &pf_infer_in(infer, 0)->shape);
    return st;
}

static pf_status infer_length(pf_infer *infer, pf_err *err)
{
    pf_shape  scalar = { .rank = 0 };
    pf_status st = need_sequence(infer, err);

    pf_infer_set(infer, 0, PF_I64, &scalar);
    return st;
}

static pf_status infer_concat(pf_infer *infer, pf_err *err)
{
    const pf_concat_from_sequence_attrs *a = infer->node->attrs;
    pf_status                            st = need_sequence(infer, err);
    pf_shape                             item = { 0 }, out = { 0 };

    if (st)
        return st;
    item = item_shape(infer, &pf_infer_in(infer, 0)->shape);
    out.rank = item.rank < 0 ? -1 : item.rank + (a->new_axis != 0);
    if (out.rank > PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "the result has rank %d: at most %d is handled", out.rank, PF_MAX_RANK);
    if (out.rank >= 0)
        st = pf_infer_axis(a->axis, out.rank, err);
    for (int32_t d = 0; d < out.rank; d++)
        out.dim[d] = d == a->axis ? pf_dims_fresh(infer->graph->dims, "joined")
                                  : item.dim[a->new_axis && d > a->axis ? d - 1 : d];
    pf_infer_set(infer, 0, pf_infer_in(infer, 0)->dtype, &out);
    return st;
}

static pf_status infer_split(pf_infer *infer, pf_err *err)
{
    const pf_split_to_sequence_attrs *a = infer->node->attrs;
    const pf_value                   *x = pf_infer_in(infer, 0);
    pf_status                         st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_shape                          out = { 0 };

    if (!st)
        st = pf_infer_axis(a->axis, x->shape.rank, err);
    if (st)
        return st;
    for (int32_t d = 0; d < x->shape.rank; d++) {
        if (d != a->axis)
            out.dim[out.rank++] = x->shape.dim[d];
        else if (pf_infer_in(infer, 1))
            out.dim[out.rank++] = pf_dims_fresh(infer->graph->dims, "item");
        else if (a->keepdims)
            out.dim[out.rank++] = 1;
    }
    set_kind(infer, PF_VALUE_SEQUENCE, x->dtype, &out);
    return PF_OK;
}

static pf_status infer_optional(pf_infer *infer, pf_err *err)
{
    const pf_optional_attrs *a = infer->node->attrs;
    const pf_value          *x = pf_infer_in(infer, 0);

    set_kind(infer, PF_VALUE_OPTIONAL, x ? x->dtype : (pf_dtype)a->dtype, x ? &x->shape : &unknown_shape);
    return x ? PF_OK : need_dtype(a->dtype, err);
}

/* An optional does not say whether it holds a tensor or a sequence: who made it does. */
static pf_value_kind held_kind(const pf_infer *infer, const pf_value *optional)
{
    const pf_node *maker = optional->producer == PF_NONE ? NULL : pf_graph_node(infer->graph, optional->producer);

    if (maker && maker->op == PF_OP_OPTIONAL && maker->in_count == 1 && maker->in[0] != PF_NONE)
        return pf_graph_value(infer->graph, maker->in[0])->kind;
    return PF_VALUE_TENSOR;
}

static pf_status infer_get(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_shape        shape = { 0 };

    if (!x || x->kind != PF_VALUE_OPTIONAL)
        return PF_FAIL(err, PF_INVALID, "input 0 is not an optional");
    shape = item_shape(infer, &x->shape);
    set_kind(infer, held_kind(infer, x), x->dtype, &shape);
    return PF_OK;
}

static pf_status infer_has(pf_infer *infer, pf_err *err)
{
    pf_shape scalar = { .rank = 0 };

    (void)err;
    pf_infer_set(infer, 0, PF_BOOL, &scalar);
    return PF_OK;
}

/* Room for count items in a sequence. */
static pf_status new_items(pf_tensor *out, int64_t count, pf_err *err)
{
    out->items = pf_calloc((size_t)count + 1, sizeof *out->items);
    if (!out->items)
        return PF_FAIL_MEMORY(err, (size_t)count * sizeof *out->items);
    out->item_count = count;
    return PF_OK;
}

static pf_status position_of(const pf_tensor *t, int64_t count, int64_t when_absent, int64_t most, int64_t *out,
                             pf_err *err)
{
    int64_t i = t && t->data ? pf_dtype_get_i64(t->dtype, t->data, 0) : when_absent;

    *out = i < 0 ? i + count : i;
    if (*out < 0 || *out > most)
        return PF_FAIL(err, PF_INVALID, "position %lld in a sequence of %lld", (long long)i, (long long)count);
    return PF_OK;
}

static const pf_tensor *input(const pf_reference_call *call, uint32_t slot)
{
    return slot < call->in_count ? &call->in[slot] : NULL;
}

static pf_status reference_construct(pf_reference_call *call, pf_err *err)
{
    pf_status st = new_items(&call->out[0], call->in_count, err);

    for (uint32_t i = 0; i < call->in_count && !st; i++)
        st = pf_tensor_copy(&call->in[i], &call->out[0].items[i], err);
    return st;
}

static pf_status reference_at(pf_reference_call *call, pf_err *err)
{
    int64_t   count = call->in[0].item_count, at = 0;
    pf_status st = position_of(input(call, 1), count, 0, count - 1, &at, err);

    if (st)
        return st;
    pf_tensor_clear(&call->out[0]);
    return pf_tensor_copy(&call->in[0].items[at], &call->out[0], err);
}

static pf_status reference_insert(pf_reference_call *call, pf_err *err)
{
    int64_t   count = call->in[0].item_count, at = 0;
    pf_status st = position_of(input(call, 2), count, count, count, &at, err);

    if (!st)
        st = new_items(&call->out[0], count + 1, err);
    for (int64_t i = 0; i <= count && !st; i++)
        st = pf_tensor_copy(i == at ? &call->in[1] : &call->in[0].items[i < at ? i : i - 1], &call->out[0].items[i],
                            err);
    return st;
}

static pf_status reference_erase(pf_reference_call *call, pf_err *err)
{
    int64_t   count = call->in[0].item_count, at = 0;
    pf_status st = position_of(input(call, 1), count, count - 1, count - 1, &at, err);

    if (!st)
        st = new_items(&call->out[0], count - 1, err);
    for (int64_t i = 0; i < count - 1 && !st; i++)
        st = pf_tensor_copy(&call->in[0].items[i < at ? i : i + 1], &call->out[0].items[i], err);
    return st;
}

static pf_status reference_length(pf_reference_call *call, pf_err *err)
{
    (void)err;
    *(int64_t *)call->out[0].data = call->in[0].item_count;
    return PF_OK;
}

static pf_status joined_dims(const pf_tensor *s, const pf_concat_from_sequence_attrs *a, int32_t *rank, int64_t *dim,
                             pf_err *err)
{
    const pf_tensor *first = &s->items[0];

    if (s->item_count < 1)
        return PF_FAIL(err, PF_INVALID, "an empty sequence cannot be joined");
    *rank = first->rank + (a->new_axis != 0);
    if (*rank > PF_MAX_RANK || a->axis < 0 || a->axis >= *rank)
        return PF_FAIL(err, PF_INVALID, "axis %lld of rank %d", (long long)a->axis, *rank);
    for (int32_t d = 0; d < *rank; d++)
        dim[d] = a->new_axis && d == a->axis ? 0 : first->dim[a->new_axis && d > a->axis ? d - 1 : d];
    dim[a->axis] = 0;
    for (int64_t i = 0; i < s->item_count; i++) {
        for (int32_t d = 0; d < first->rank; d++)
            if (s->items[i].rank != first->rank ||
                (s->items[i].dim[d] != first->dim[d] && (a->new_axis || d != a->axis)))
                return PF_FAIL(err, PF_INVALID, "the items of the sequence do not fit together");
        dim[a->axis] += a->new_axis ? 1 : s->items[i].dim[a->axis];
    }
    return PF_OK;
}

static pf_status reference_concat(pf_reference_call *call, pf_err *err)
{
    const pf_concat_from_sequence_attrs *a = call->attrs;
    const pf_tensor                     *s = &call->in[0];
    pf_tensor                           *y = &call->out[0];
    int32_t                              rank = 0;
    int64_t                              dim[PF_MAX_RANK] = { 0 }, at = 0;
    pf_status                            st = joined_dims(s, a, &rank, dim, err);

    if (!st)
        st = pf_rows_size(y, rank, dim, err);
    for (int64_t i = 0; i < s->item_count && !st; i++) {
        pf_move move = { .rank = rank };
        int64_t in[PF_MAX_RANK] = { 0 };

        pf_tensor_strides(&s->items[i], in);
        pf_tensor_strides(y, move.out_stride);
        for (int32_t d = 0; d < rank; d++) {
            int32_t own = a->new_axis && d > a->axis ? d - 1 : d;
            bool    made = a->new_axis && d == a->axis;

            move.dim[d] = made ? 1 : s->items[i].dim[own];
            move.in_stride[d] = made ? 0 : in[own];
        }
        move.out_at = at * move.out_stride[a->axis];
        at += move.dim[a->axis];
        st = pf_move_all(y->dtype, &move, s->items[i].data, y->data, err);
    }
    return st;
}

/* The size of part i along the axis, or -1 behind the last. */
static int64_t part_size(const pf_tensor *sizes, int64_t total, int64_t i)
{
    int64_t each = 1;

    if (sizes && sizes->data && sizes->rank == 1)
        return i < sizes->dim[0] ? pf_dtype_get_i64(sizes->dtype, sizes->data, (uint64_t)i) : -1;
    if (sizes && sizes->data)
        each = pf_dtype_get_i64(sizes->dtype, sizes->data, 0);
    if (each < 1 || i >= total / each + (total % each != 0))
        return -1;
    return total - i * each < each ? total - i * each : each;
}

static pf_status take_part(const pf_tensor *x, const pf_split_to_sequence_attrs *a, int64_t from, int64_t size,
                           bool drop, pf_tensor *out, pf_err *err)
{
    pf_move   move = { .rank = x->rank };
    pf_tensor part = { .dtype = x->dtype, .rank = x->rank };
    pf_status st = PF_OK;

    pf_tensor_strides(x, move.in_stride);
    memcpy(part.dim, x->dim, sizeof part.dim);
    part.dim[a->axis] = size;
    memcpy(move.dim, part.dim, sizeof move.dim);
    pf_tensor_strides(&part, move.out_stride);
    move.in_at = from * move.in_stride[a->axis];
    st = pf_tensor_alloc(&part, err);
    if (!st)
        st = pf_move_all(x->dtype, &move, x->data, part.data, err);
    if (drop) {
        for (int32_t d = (int32_t)a->axis; d < part.rank - 1; d++)
            part.dim[d] = part.dim[d + 1];
        part.rank--;
    }
    *out = part;
    return st;
}

static pf_status reference_split(pf_reference_call *call, pf_err *err)
{
    const pf_split_to_sequence_attrs *a = call->attrs;
    const pf_tensor                  *x = &call->in[0], *sizes = input(call, 1);
    int64_t                           total = x->dim[a->axis], count = 0, at = 0;
    bool                              drop = !a->keepdims && !(sizes && sizes->data);
    pf_status                         st = PF_OK;

    while (at <= total && part_size(sizes, total, count) >= 0) {
        int64_t size = part_size(sizes, total, count++);

        at += size > total ? total + 1 : size;
    }
    if (at != total)
        return PF_FAIL(err, PF_INVALID, "parts of %lld for %lld elements", (long long)at, (long long)total);
    st = new_items(&call->out[0], count, err);
    at = 0;
    for (int64_t i = 0; i < count && !st; i++) {
        st = take_part(x, a, at, part_size(sizes, total, i), drop, &call->out[0].items[i], err);
        at += part_size(sizes, total, i);
    }
    return st;
}

static pf_status reference_optional(pf_reference_call *call, pf_err *err)
{
    pf_status st = new_items(&call->out[0], call->in_count, err);

    return st || call->in_count == 0 ? st : pf_tensor_copy(&call->in[0], &call->out[0].items[0], err);
}

static pf_status reference_get(pf_reference_call *call, pf_err *err)
{
    if (call->in[0].item_count != 1)
        return PF_FAIL(err, PF_INVALID, "the optional is empty");
    pf_tensor_clear(&call->out[0]);
    return pf_tensor_copy(&call->in[0].items[0], &call->out[0], err);
}

static pf_status reference_has(pf_reference_call *call, pf_err *err)
{
    (void)err;
    *(uint8_t *)call->out[0].data = call->in_count > 0 && call->in[0].item_count == 1;
    return PF_OK;
}

const pf_op_def pf_op_sequence_construct = {
    .name = "sequence_construct", .klass = PF_CLASS_HOST, .in_min = 0, .in_max = 255, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_sequence_construct_attrs), .attr_fields = construct_fields, .infer = infer_construct,
    .reference = reference_construct,
};
const pf_op_def pf_op_sequence_at = {
    .name = "sequence_at", .klass = PF_CLASS_HOST, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .infer = infer_at, .reference = reference_at,
};
const pf_op_def pf_op_sequence_insert = {
    .name = "sequence_insert", .klass = PF_CLASS_HOST, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 1,
    .infer = infer_insert, .reference = reference_insert,
};
const pf_op_def pf_op_sequence_erase = {
    .name = "sequence_erase", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 2, .out_min = 1, .out_max = 1,
    .infer = infer_erase, .reference = reference_erase,
};
const pf_op_def pf_op_sequence_length = {
    .name = "sequence_length", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .infer = infer_length, .reference = reference_length,
};
const pf_op_def pf_op_concat_from_sequence = {
    .name = "concat_from_sequence", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_concat_from_sequence_attrs), .attr_fields = concat_fields, .infer = infer_concat,
    .reference = reference_concat,
};
const pf_op_def pf_op_split_to_sequence = {
    .name = "split_to_sequence", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_split_to_sequence_attrs), .attr_fields = split_fields, .infer = infer_split,
    .reference = reference_split,
};
const pf_op_def pf_op_optional = {
    .name = "optional", .klass = PF_CLASS_HOST, .in_min = 0, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_optional_attrs), .attr_fields = optional_fields, .infer = infer_optional,
    .reference = reference_optional,
};
const pf_op_def pf_op_optional_get = {
    .name = "optional_get", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .infer = infer_get, .reference = reference_get,
};
const pf_op_def pf_op_optional_has = {
    .name = "optional_has", .klass = PF_CLASS_HOST, .in_min = 0, .in_max = 1, .out_min = 1, .out_max = 1,
    .infer = infer_has, .reference = reference_has,
};
