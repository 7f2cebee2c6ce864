/* Forms of values that are known: the elements of a constant, and content that was inferred. */
#include "engine/index_form_private.h"

enum { ELEMENTS_LIMIT = 1 << 24 };      /* of a constant */

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

/* Part `part` of every `count` neighbours.  Differences along each axis from the first element say what it would have
   to be. */
static bool read_linear_part(const pf_value *v, const pf_shape *shape, int64_t elems, int32_t part, int32_t count,
                             pf_index_form *out)
{
    int64_t stride[PF_MAX_RANK] = { 0 };

    if (!pf_dtype_is_integer(v->dtype))
        return false;
    strides_of(shape, stride);
    *out = pf_index_form_linear(pf_dtype_get_i64(v->dtype, v->constant.data, (uint64_t)part));
    if (pf_dim_is_symbolic(out->constant))      /* a number that would read as a handle */
        return false;
    for (int32_t d = 0; d < shape->rank; d++)
        if (shape->dim[d] > 1)
            out->coef[d] = pf_dtype_get_i64(v->dtype, v->constant.data, (uint64_t)(stride[d] * count + part)) -
                           out->constant;
    for (int64_t i = 0; i < elems; i++) {
        int64_t want = out->constant;

        for (int32_t d = 0; d < shape->rank; d++)
            want += out->coef[d] * (i / stride[d] % shape->dim[d]);
        if (pf_dtype_get_i64(v->dtype, v->constant.data, (uint64_t)(i * count + part)) != want)
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

/* 0 when there are none, or too many. */
static int64_t readable_elems(const pf_value *v)
{
    int64_t elems = 1;

    if (v->dtype == PF_STRING || pf_dtype_kind_of(v->dtype) == PF_KIND_COMPLEX || pf_dtype_bits(v->dtype) < 8)
        return 0;
    for (int32_t d = 0; d < v->shape.rank; d++)
        if (__builtin_mul_overflow(elems, v->shape.dim[d], &elems))
            return 0;
    return elems <= ELEMENTS_LIMIT ? elems : 0;
}

bool pf_index_form_read_constant(const pf_value *v, pf_index_form *out)
{
    int64_t elems = readable_elems(v);

    if (elems < 1)
        return false;
    if (read_linear_part(v, &v->shape, elems, 0, 1, out))
        return true;
    if (is_uniform_constant(v, elems)) {
        *out = pf_index_form_same(element(v, 0));
        return true;
    }
    return read_triangle(v, elems, out);
}

bool pf_index_form_read_constant_parts(const pf_value *v, int32_t count, pf_index_form *out)
{
    int64_t  elems = readable_elems(v);
    pf_shape shape = v->shape;

    shape.rank--;
    for (int32_t i = 0; i < count; i++)
        if (elems < 1 || !read_linear_part(v, &shape, elems / count, i, count, &out[i]))
            return false;
    return true;
}

bool pf_index_form_read_content(const pf_index_reader *r, const pf_value *v, pf_index_form *out)
{
    if (!v->content || !v->content_count || v->shape.rank > 1 || v->dtype == PF_BOOL)
        return false;
    *out = pf_index_form_linear(v->content[0]);
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
