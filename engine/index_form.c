#include "engine/index_form.h"

#include <math.h>
#include <string.h>

#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/ops/content.h"
#include "engine/ops/pointwise.h"

enum {
    EFFORT = 400,                   /* values looked at for one answer */
    ELEMENTS_LIMIT = 1 << 24,       /* of a constant */
};

typedef struct reader { const pf_graph *graph; pf_dims *dims; int effort; } reader;

static bool read_value(reader *r, pf_value_id id, pf_index_form *out);

static const pf_value *value_of(const reader *r, pf_value_id id) { return &r->graph->values[id]; }

/* ---- Forms */

static pf_index_form linear_constant(pf_dim constant) { return (pf_index_form){ .constant = constant }; }
static pf_index_form same_everywhere(double value)
{
    return (pf_index_form){ .is_choice = true, .yes = value, .no = value };
}

static bool has_coefs(const pf_index_form *form)
{
    for (int32_t d = 0; d < PF_MAX_RANK; d++)
        if (form->coef[d])
            return true;
    return false;
}

static bool same_test(const pf_index_form *a, const pf_index_form *b)
{
    return a->constant == b->constant && !memcmp(a->coef, b->coef, sizeof a->coef);
}

/* Nothing varies along dims of size 1. */
static void tidy(pf_index_form *form, const pf_shape *shape)
{
    for (int32_t d = 0; d < PF_MAX_RANK; d++)
        if (d >= shape->rank || shape->dim[d] == 1)
            form->coef[d] = 0;
}

/* The value at the corner where the linear part is least (or greatest). */
static pf_dim corner(pf_dims *dims, const pf_shape *shape, const pf_index_form *form, bool least)
{
    pf_dim sum = form->constant;

    for (int32_t d = 0; d < shape->rank; d++)
        if (form->coef[d] && (form->coef[d] < 0) == least)
            sum = pf_dim_add(dims, sum, pf_dim_mul(dims, form->coef[d], pf_dim_sub(dims, shape->dim[d], 1)));
    return sum;
}

bool pf_index_form_never_negative(pf_dims *dims, const pf_shape *shape, const pf_index_form *form)
{
    return pf_content_less_equal(dims, 0, corner(dims, shape, form, true));
}

bool pf_index_form_uniform(pf_dims *dims, const pf_shape *shape, const pf_index_form *form, double *out)
{
    if (!form->is_choice) {
        *out = (double)form->constant;
        return !has_coefs(form) && pf_dim_is_number(form->constant);
    }
    *out = form->yes;
    if (form->yes == form->no || pf_index_form_never_negative(dims, shape, form))
        return true;
    *out = form->no;
    return pf_content_less_equal(dims, pf_dim_add(dims, corner(dims, shape, form, false), 1), 0);
}

/* ---- Constants */

static double element(const pf_value *v, int64_t at) { return pf_constant_get(&v->constant, v->dtype, (uint64_t)at); }

static void strides_of(const pf_shape *shape, int64_t *stride)
{
    int64_t step = 1;

    for (int32_t d = shape->rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= shape->dim[d];
    }
}

static bool is_uniform_constant(const pf_value *v, int64_t elems)
{
    double first = element(v, 0);

    for (int64_t i = 1; i < elems; i++)
        if (element(v, i) != first)
            return false;
    return true;
}

/* Differences along each axis from the first element say what it would have to be. */
static bool read_linear_constant(const pf_value *v, int64_t elems, pf_index_form *out)
{
    int64_t stride[PF_MAX_RANK] = { 0 };

    if (!pf_dtype_is_integer(v->dtype))
        return false;
    strides_of(&v->shape, stride);
    *out = linear_constant(pf_dtype_get_i64(v->dtype, v->constant.data, 0));
    if (pf_dim_is_symbolic(out->constant))      /* a number that would read as a handle */
        return false;
    for (int32_t d = 0; d < v->shape.rank; d++)
        if (v->shape.dim[d] > 1)
            out->coef[d] = pf_dtype_get_i64(v->dtype, v->constant.data, (uint64_t)stride[d]) - out->constant;
    for (int64_t i = 0; i < elems; i++) {
        int64_t want = out->constant;

        for (int32_t d = 0; d < v->shape.rank; d++)
            want += out->coef[d] * (i / stride[d] % v->shape.dim[d]);
        if (pf_dtype_get_i64(v->dtype, v->constant.data, (uint64_t)i) != want)
            return false;
    }
    return true;
}

/* How many columns of the first row belong to the lower triangle; or, when none do, minus the rows without any. */
static int64_t diagonal_of(const pf_value *v, int64_t rows, int64_t columns, double below)
{
    int64_t k = 0;

    while (k < columns && element(v, k) == below)
        k++;
    for (; k <= 0 && -k + 1 < rows && element(v, (-k + 1) * columns) != below; k--)
        ;
    return k;
}

/* One number up to a diagonal of the last two dims, another one behind it. */
static bool read_triangle(const pf_value *v, int64_t elems, pf_index_form *out)
{
    int32_t r = v->shape.rank;
    int64_t rows = r >= 2 ? v->shape.dim[r - 2] : 0, columns = r >= 2 ? v->shape.dim[r - 1] : 0, k = 0;

    if (rows < 2 || columns < 2)
        return false;
    *out = (pf_index_form){ .is_choice = true, .yes = element(v, (rows - 1) * columns), .no = element(v, columns - 1) };
    if (out->yes == out->no)
        return false;
    k = diagonal_of(v, rows, columns, out->yes);
    for (int64_t i = 0; i < elems; i++)
        if (element(v, i) != (i % columns < i / columns % rows + k ? out->yes : out->no))
            return false;
    out->constant = k - 1;
    out->coef[r - 2] = 1;
    out->coef[r - 1] = -1;
    return true;
}

static bool read_constant(const pf_value *v, pf_index_form *out)
{
    int64_t elems = 1;

    if (v->dtype == PF_STRING || pf_dtype_kind_of(v->dtype) == PF_KIND_COMPLEX || pf_dtype_bits(v->dtype) < 8)
        return false;
    for (int32_t d = 0; d < v->shape.rank; d++)
        if (__builtin_mul_overflow(elems, v->shape.dim[d], &elems))
            return false;
    if (elems < 1 || elems > ELEMENTS_LIMIT)
        return false;
    if (read_linear_constant(v, elems, out))
        return true;
    if (is_uniform_constant(v, elems)) {
        *out = same_everywhere(element(v, 0));
        return true;
    }
    return read_triangle(v, elems, out);
}

/* Known elements that rise evenly. */
static bool read_content(const reader *r, const pf_value *v, pf_index_form *out)
{
    if (!v->content || !v->content_count || v->dtype == PF_BOOL)
        return false;
    *out = linear_constant(v->content[0]);
    if (v->content_count > 1) {
        pf_dim step = pf_dim_sub(r->dims, v->content[1], v->content[0]);

        if (!pf_dim_is_number(step))
            return false;
        out->coef[0] = step;
    }
    for (uint32_t i = 0; i < v->content_count; i++)
        if (v->content[i] == PF_DIM_INVALID || v->content[i] != pf_dim_add(r->dims, v->content[0], out->coef[0] * i))
            return false;
    return true;
}

/* ---- Pointwise ops */

typedef struct operands {
    pf_op_kind          op;
    pf_index_form       form[3];
    const pf_shape     *shape[3];
    uint32_t            count;
    pf_pointwise_attrs  attrs;
} operands;

/* a * x + b * y, of linear forms. */
static bool mix(const reader *r, const pf_index_form *x, int64_t a, const pf_index_form *y, int64_t b,
                pf_index_form *out)
{
    *out = linear_constant(
        pf_dim_add(r->dims, pf_dim_mul(r->dims, x->constant, a), pf_dim_mul(r->dims, y->constant, b)));
    for (int32_t d = 0; d < PF_MAX_RANK; d++) {
        int64_t p = 0, q = 0;

        if (__builtin_mul_overflow(x->coef[d], a, &p) || __builtin_mul_overflow(y->coef[d], b, &q) ||
            __builtin_add_overflow(p, q, &out->coef[d]))
            return false;
    }
    return out->constant != PF_DIM_INVALID;
}

static bool multiply(const reader *r, const operands *o, pf_index_form *out)
{
    static const pf_index_form zero = { 0 };

    for (int i = 0; i < 2; i++)
        if (!has_coefs(&o->form[i]) && pf_dim_is_number(o->form[i].constant))
            return mix(r, &o->form[1 - i], o->form[i].constant, &zero, 0, out);
    return false;
}

static bool add_linear(const reader *r, const operands *o, pf_index_form *out)
{
    return mix(r, &o->form[0], 1, &o->form[1], 1, out);
}
static bool sub_linear(const reader *r, const operands *o, pf_index_form *out)
{
    return mix(r, &o->form[0], 1, &o->form[1], -1, out);
}
static bool negate(const reader *r, const operands *o, pf_index_form *out)
{
    return mix(r, &o->form[0], -1, &o->form[0], 0, out);
}

/* first - second - more >= 0 */
static bool compare(const reader *r, const operands *o, int first, int64_t more, pf_index_form *out)
{
    bool fine = mix(r, &o->form[first], 1, &o->form[1 - first], -1, out);

    out->constant = pf_dim_sub(r->dims, out->constant, more);
    out->is_choice = true;
    out->yes = 1;
    return fine;
}

static bool less(const reader *r, const operands *o, pf_index_form *out) { return compare(r, o, 1, 1, out); }
static bool less_equal(const reader *r, const operands *o, pf_index_form *out) { return compare(r, o, 1, 0, out); }
static bool greater(const reader *r, const operands *o, pf_index_form *out) { return compare(r, o, 0, 1, out); }
static bool greater_equal(const reader *r, const operands *o, pf_index_form *out) { return compare(r, o, 0, 0, out); }

static bool equal(const reader *r, const operands *o, pf_index_form *out)
{
    pf_index_form difference = { 0 };

    if (!mix(r, &o->form[0], 1, &o->form[1], -1, &difference) || has_coefs(&difference))
        return false;
    if (difference.constant != 0 && !pf_content_less(r->dims, 0, difference.constant) &&
        !pf_content_less(r->dims, difference.constant, 0))
        return false;
    *out = same_everywhere(difference.constant == 0);
    return true;
}

static const struct {
    pf_op_kind op;
    bool (*run)(const reader *r, const operands *o, pf_index_form *out);
} linear_rows[] = {
    { PF_OP_ADD, add_linear },  { PF_OP_SUB, sub_linear },
    { PF_OP_MUL, multiply },    { PF_OP_NEG, negate },
    { PF_OP_LESS, less },       { PF_OP_LESS_EQUAL, less_equal },
    { PF_OP_GREATER, greater }, { PF_OP_GREATER_EQUAL, greater_equal },
    { PF_OP_EQUAL, equal },
};

static bool run_linear(const reader *r, const operands *o, pf_index_form *out)
{
    for (uint32_t i = 0; i < o->count; i++)
        if (o->form[i].is_choice)
            return false;
    for (size_t i = 0; i < sizeof linear_rows / sizeof linear_rows[0]; i++)
        if (linear_rows[i].op == o->op)
            return linear_rows[i].run(r, o, out);
    return false;
}

static bool compute(const operands *o, const double *in, double *out)
{
    const pf_pointwise_row *row = pf_pointwise_row_of(o->op);
    int64_t                 integers[3] = { (int64_t)in[0], (int64_t)in[1], (int64_t)in[2] }, result = 0;

    if (row->rule == PF_RULE_INT)
        return false;
    if (row->rule != PF_RULE_LOGIC) {
        row->f64(&(pf_pointwise_f64){ out, &in[0], &in[1], &in[2], o->attrs.p, o->attrs.q, 1 });
        return true;
    }
    row->i64(&(pf_pointwise_i64){ &result, &integers[0], &integers[1], &integers[2], 1 });
    *out = (double)result;
    return true;
}

/* Both results of a function of choices by one test and of what is the same everywhere. */
static bool run_choice(const reader *r, const operands *o, pf_index_form *out)
{
    double yes[3] = { 0 }, no[3] = { 0 };
    bool   has_test = false;

    *out = (pf_index_form){ .is_choice = true };
    for (uint32_t i = 0; i < o->count; i++) {
        const pf_index_form *form = &o->form[i];

        if (pf_index_form_uniform(r->dims, o->shape[i], form, &yes[i])) {
            no[i] = yes[i];
            continue;
        }
        if (!form->is_choice || (has_test && !same_test(out, form)))
            return false;
        has_test = true;
        out->constant = form->constant;
        memcpy(out->coef, form->coef, sizeof out->coef);
        yes[i] = form->yes;
        no[i] = form->no;
    }
    return compute(o, yes, &out->yes) && compute(o, no, &out->no);
}

static void align(pf_index_form *form, int32_t from, int32_t to)
{
    if (from < to) {
        memmove(form->coef + (to - from), form->coef, (size_t)from * sizeof form->coef[0]);
        memset(form->coef, 0, (size_t)(to - from) * sizeof form->coef[0]);
    }
}

static bool read_pointwise(reader *r, const pf_node *node, pf_index_form *out)
{
    operands o = { .op = node->op, .count = node->in_count };
    int32_t  rank = value_of(r, node->out[0])->shape.rank;

    if (node->attrs)
        o.attrs = *(const pf_pointwise_attrs *)node->attrs;
    for (uint32_t i = 0; i < node->in_count; i++) {
        o.shape[i] = &value_of(r, node->in[i])->shape;
        if (!read_value(r, node->in[i], &o.form[i]))
            return false;
        align(&o.form[i], o.shape[i]->rank, rank);
        o.shape[i] = &value_of(r, node->out[0])->shape;
    }
    return run_linear(r, &o, out) || run_choice(r, &o, out);
}

/* ---- Other ops */

static bool read_first(reader *r, const pf_node *node, pf_index_form *out) { return read_value(r, node->in[0], out); }

static bool read_cast(reader *r, const pf_node *node, pf_index_form *out)
{
    pf_dtype dtype = (pf_dtype)((const pf_cast_attrs *)node->attrs)->dtype;
    double   value = 0;

    if (!read_value(r, node->in[0], out))
        return false;
    if (!out->is_choice && dtype != PF_BOOL)
        return pf_dtype_bits(dtype) >= 32;       /* where counters keep their values */
    if (!out->is_choice) {
        if (!pf_index_form_uniform(r->dims, &value_of(r, node->in[0])->shape, out, &value))
            return false;
        *out = same_everywhere(value);
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

static bool read_bound(const reader *r, pf_value_id id, pf_dim *out)
{
    const pf_value *v = value_of(r, id);

    if (v->content && v->content_count == 1)
        *out = v->content[0];
    else if (v->is_constant && pf_dtype_is_integer(v->dtype) && v->constant.bytes)
        *out = pf_dtype_get_i64(v->dtype, v->constant.data, 0);
    else
        return false;
    return *out != PF_DIM_INVALID;
}

static bool read_range(reader *r, const pf_node *node, pf_index_form *out)
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
    *out = linear_constant(start);
    out->coef[0] = step;
    return pf_dim_is_number(step);
}

/* The dims that are not 1 stay in order. */
static bool read_reshape(reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_shape *from = &value_of(r, node->in[0])->shape, *to = &value_of(r, node->out[0])->shape;
    pf_index_form   in = { 0 };
    int32_t         at = 0;

    if (!read_value(r, node->in[0], &in))
        return false;
    *out = in;
    memset(out->coef, 0, sizeof out->coef);
    if (!has_coefs(&in))
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

static bool read_expand(reader *r, const pf_node *node, pf_index_form *out)
{
    if (!read_value(r, node->in[0], out))
        return false;
    align(out, value_of(r, node->in[0])->shape.rank, value_of(r, node->out[0])->shape.rank);
    return true;
}

static bool read_tile(reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_dim_list *repeats = &((const pf_tile_attrs *)node->attrs)->repeats;

    if (!read_value(r, node->in[0], out))
        return false;
    for (int32_t d = 0; d < repeats->count; d++)
        if (out->coef[d] && repeats->at[d] != 1)
            return false;
    return true;
}

static bool read_transpose(reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_ints *perm = &((const pf_transpose_attrs *)node->attrs)->perm;
    pf_index_form  in = { 0 };

    if (!read_value(r, node->in[0], &in))
        return false;
    *out = in;
    for (int32_t d = 0; d < perm->count; d++)
        out->coef[d] = in.coef[perm->at[d]];
    return true;
}

static bool read_slice(reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_slice_attrs *attrs = node->attrs;
    const pf_shape       *shape = &value_of(r, node->in[0])->shape;

    if (!read_value(r, node->in[0], out))
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
static bool read_concat(reader *r, const pf_node *node, pf_index_form *out)
{
    int64_t axis = ((const pf_axis_attrs *)node->attrs)->axis, step = 0;
    pf_dim  offset = 0;

    for (uint32_t i = 0; i < node->in_count; i++) {
        const pf_shape *shape = &value_of(r, node->in[i])->shape;
        pf_index_form   piece = { 0 }, want = { 0 };

        if (!read_value(r, node->in[i], &piece))
            return false;
        if (i == 0)
            *out = piece;
        if (i == 0 && shape->dim[axis] != 1)
            step = piece.coef[axis];
        else if (i == 1 && value_of(r, node->in[0])->shape.dim[axis] == 1) {
            step = pf_dim_sub(r->dims, piece.constant, out->constant);
            if (!pf_dim_is_number(step))
                return false;
        }
        want = *out;
        want.constant = pf_dim_add(r->dims, out->constant, pf_dim_mul(r->dims, offset, step));
        want.coef[axis] = shape->dim[axis] == 1 ? 0 : step;
        if (piece.is_choice != out->is_choice || piece.yes != out->yes || piece.no != out->no ||
            !same_test(&want, &piece))
            return false;
        offset = pf_dim_add(r->dims, offset, shape->dim[axis]);
    }
    out->coef[axis] = step;
    return out->constant != PF_DIM_INVALID;
}

static bool read_cumulate(reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_cumulate_attrs *attrs = node->attrs;
    const pf_shape          *shape = &value_of(r, node->in[0])->shape;
    pf_index_form            in = { 0 };
    double                   value = 0;
    int64_t                  each = 0;

    if (attrs->mode != PF_CUMULATE_SUM || !read_value(r, node->in[0], &in) ||
        !pf_index_form_uniform(r->dims, shape, &in, &value) || fabs(value) > 1e9 || value != trunc(value))
        return false;
    each = (int64_t)value;
    *out = linear_constant(attrs->reverse ? pf_dim_mul(r->dims, each, shape->dim[attrs->axis]) : each);
    if (attrs->exclusive)
        out->constant = pf_dim_sub(r->dims, out->constant, each);
    out->coef[attrs->axis] = attrs->reverse ? -each : each;
    return true;
}

static bool read_trilu(reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_trilu_attrs *attrs = node->attrs;
    const pf_shape       *shape = &value_of(r, node->in[0])->shape;
    int64_t               sign = attrs->upper ? -1 : 1;
    pf_index_form         in = { 0 };
    double                value = 0;

    if (attrs->k > INT32_MAX || attrs->k < INT32_MIN || !read_value(r, node->in[0], &in) ||
        !pf_index_form_uniform(r->dims, shape, &in, &value))
        return false;
    *out = (pf_index_form){ .is_choice = true, .yes = value, .constant = sign * attrs->k };
    out->coef[shape->rank - 2] = sign;
    out->coef[shape->rank - 1] = -sign;
    return true;
}

/* data at `index` along axis; other dims of data are dims map[d] of the result. */
static bool at_index(const reader *r, const pf_index_form *data, int64_t axis, const pf_index_form *index,
                     const pf_shape *shape, pf_index_form *out)
{
    pf_index_form picked = { 0 };

    if (!data->coef[axis])
        return true;
    /* negative ones count from the end */
    if (index->is_choice || !pf_index_form_never_negative(r->dims, shape, index))
        return false;
    if (!mix(r, out, 1, index, data->coef[axis], &picked))
        return false;
    out->constant = picked.constant;
    memcpy(out->coef, picked.coef, sizeof out->coef);
    return true;
}

static bool read_gather(reader *r, const pf_node *node, pf_index_form *out)
{
    int64_t         axis = ((const pf_axis_attrs *)node->attrs)->axis;
    const pf_shape *data_shape = &value_of(r, node->in[0])->shape, *shape = &value_of(r, node->in[1])->shape;
    int32_t         rank = value_of(r, node->out[0])->shape.rank;
    pf_index_form   data = { 0 }, index = { 0 }, placed = { 0 };

    if (rank > PF_MAX_RANK || !read_value(r, node->in[0], &data) ||
        (data.coef[axis] && !read_value(r, node->in[1], &index)))
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
    return at_index(r, &data, axis, &placed, &value_of(r, node->out[0])->shape, out);
}

static bool read_gather_elements(reader *r, const pf_node *node, pf_index_form *out)
{
    int64_t       axis = ((const pf_axis_attrs *)node->attrs)->axis;
    pf_index_form data = { 0 }, index = { 0 };

    if (!read_value(r, node->in[0], &data) || (data.coef[axis] && !read_value(r, node->in[1], &index)))
        return false;
    *out = data;
    out->coef[axis] = 0;
    return at_index(r, &data, axis, &index, &value_of(r, node->out[0])->shape, out);
}

static bool read_parts(reader *r, pf_value_id id, int32_t count, pf_index_form *out)
{
    const pf_value *v = value_of(r, id);
    const pf_node  *node = v->producer == PF_NONE ? NULL : &r->graph->nodes[v->producer];
    int32_t         last = v->shape.rank - 1;

    if (last < 0 || v->shape.dim[last] != count)
        return false;
    if (count == 1)
        return read_value(r, id, out);
    if (!node || node->op != PF_OP_CONCAT || ((const pf_axis_attrs *)node->attrs)->axis != last ||
        (int32_t)node->in_count != count)
        return false;
    for (int32_t i = 0; i < count; i++)
        if (value_of(r, node->in[i])->shape.dim[last] != 1 || !read_value(r, node->in[i], &out[i]))
            return false;
    return true;
}

static bool read_gather_nd(reader *r, const pf_node *node, pf_index_form *out)
{
    const pf_shape *shape = &value_of(r, node->in[1])->shape, *made = &value_of(r, node->out[0])->shape;
    int32_t         rank = value_of(r, node->in[0])->shape.rank, lead = shape->rank - 1;
    pf_index_form   data = { 0 }, part[PF_MAX_RANK];
    int32_t         count = shape->rank > 0 && pf_dim_is_number(shape->dim[lead]) ? (int32_t)shape->dim[lead] : 0;

    memset(part, 0, sizeof part);
    if (((const pf_gather_nd_attrs *)node->attrs)->batch_dims || count < 1 || count > rank || made->rank < 0 ||
        !read_value(r, node->in[0], &data))
        return false;
    if (has_coefs(&data) && !read_parts(r, node->in[1], count, part))
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

static const struct { pf_op_kind op; bool (*read)(reader *r, const pf_node *node, pf_index_form *out); } rows[] = {
    { PF_OP_IDENTITY, read_first },   { PF_OP_CAST, read_cast },           { PF_OP_RANGE, read_range },
    { PF_OP_RESHAPE, read_reshape },  { PF_OP_EXPAND, read_expand },       { PF_OP_TILE, read_tile },
    { PF_OP_SLICE, read_slice },      { PF_OP_TRANSPOSE, read_transpose }, { PF_OP_CONCAT, read_concat },
    { PF_OP_CUMULATE, read_cumulate }, { PF_OP_TRILU, read_trilu },        { PF_OP_GATHER, read_gather },
    { PF_OP_GATHER_ELEMENTS, read_gather_elements }, { PF_OP_GATHER_ND, read_gather_nd },
};

static bool read_node(reader *r, const pf_node *node, pf_index_form *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == node->op)
            return rows[i].read(r, node, out);
    return pf_pointwise_row_of(node->op) && read_pointwise(r, node, out);
}

static bool read_value(reader *r, pf_value_id id, pf_index_form *out)
{
    const pf_value *v = id == PF_NONE ? NULL : value_of(r, id);
    bool            found = false;

    *out = (pf_index_form){ 0 };
    if (!v || v->kind != PF_VALUE_TENSOR || v->shape.rank < 0 || --r->effort < 0)
        return false;
    if (v->is_constant)
        found = read_constant(v, out);
    else if (!read_content(r, v, out))
        found = v->producer != PF_NONE && read_node(r, &r->graph->nodes[v->producer], out);
    else
        found = true;
    tidy(out, &v->shape);
    return found && out->constant != PF_DIM_INVALID;
}

bool pf_index_form_of(const pf_graph *graph, pf_value_id value, pf_index_form *out)
{
    reader r = { graph, graph->dims, EFFORT };

    return read_value(&r, value, out);
}

bool pf_index_form_of_parts(const pf_graph *graph, pf_value_id value, int32_t count, pf_index_form *out)
{
    reader r = { graph, graph->dims, EFFORT };

    return read_parts(&r, value, count, out);
}
