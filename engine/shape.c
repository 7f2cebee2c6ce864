#include <string.h>

#include "engine/dim.h"

bool pf_shape_equal(const pf_shape *a, const pf_shape *b)
{
    return a->rank == b->rank && (a->rank <= 0 || !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]));
}

bool pf_shape_is_static(const pf_shape *shape)
{
    for (int32_t i = 0; i < shape->rank; i++)
        if (!pf_dim_is_number(shape->dim[i]))
            return false;
    return shape->rank >= 0;
}

pf_dim pf_shape_elems(pf_dims *dims, const pf_shape *shape)
{
    pf_dim elems = shape->rank < 0 ? PF_DIM_INVALID : 1;

    for (int32_t i = 0; i < shape->rank; i++)
        elems = pf_dim_mul(dims, elems, shape->dim[i]);
    return elems;
}

static pf_status refuse_dims(const pf_dims *dims, pf_status status, pf_dim a, pf_dim b, const char *why, pf_err *err)
{
    pf_buf text;

    pf_buf_init(&text, 4096);
    pf_dim_print(dims, a, &text);
    pf_buf_printf(&text, " and ");
    pf_dim_print(dims, b, &text);
    status = PF_FAIL(err, status, "dims %s %s", text.data ? (const char *)text.data : "", why);
    pf_buf_clear(&text);
    return status;
}

static uint32_t symbol_index(pf_dims *dims, pf_dim dim)
{
    for (uint32_t i = 0; i < pf_dims_symbol_count(dims); i++)
        if (pf_dims_symbol(dims, pf_dims_symbol_name(dims, i)) == dim)
            return i;
    return UINT32_MAX;
}

/* min(k, s) against s: a slice of a table of k rows that is used for all s rows. Only legal when s is at most k, so
   that is noted as a bound of s, and from then on both are s. */
static bool agree_by_bound(pf_dims *dims, pf_dim small, pf_dim s)
{
    uint32_t index = pf_dim_is_symbolic(small) && pf_dim_is_symbolic(s) ? symbol_index(dims, s) : UINT32_MAX;
    int64_t  least = 0, greatest = 0, low = 0, high = 0;

    if (index == UINT32_MAX || pf_dim_range(dims, small, NULL, NULL, &least, &greatest, NULL) ||
        pf_dim_range(dims, s, NULL, NULL, &low, &high, NULL))
        return false;
    if (greatest >= high) {         /* the bound is known already; small was made before it was */
        pf_dims_bound(dims, index, low, INT32_MAX);
        greatest = high;
    }
    if (pf_dim_min(dims, s, greatest) == small) {
        pf_dims_bound(dims, index, low, greatest);
        return true;
    }
    pf_dims_bound(dims, index, low, high);
    return false;
}

/* Whether data decides the size: one of its symbols may be 0. */
static bool is_found_out(pf_dims *dims, pf_dim dim)
{
    for (uint32_t i = 0; i < pf_dims_symbol_count(dims); i++) {
        int64_t low = 1, high = 0;

        if (pf_dim_uses(dims, dim, i) &&
            !pf_dim_range(dims, pf_dims_symbol(dims, pf_dims_symbol_name(dims, i)), NULL, NULL, &low, &high, NULL) &&
            low < 1)
            return true;
    }
    return false;
}

/* Whether a is the shorter to write, or stands first in the alphabet: whatever operand comes first. */
static bool reads_first(const pf_dims *dims, pf_dim a, pf_dim b)
{
    pf_buf text[2];
    bool   first = true;

    for (int i = 0; i < 2; i++) {
        pf_buf_init(&text[i], 1 << 16);
        pf_dim_print(dims, i ? b : a, &text[i]);
    }
    if (!text[0].failed && !text[1].failed)
        first = text[0].size != text[1].size
                    ? text[0].size < text[1].size
                    : strcmp((const char *)text[0].data, (const char *)text[1].data) <= 0;
    for (int i = 0; i < 2; i++)
        pf_buf_clear(&text[i]);
    return first;
}

/* Two sizes that stand in one place and are not known to be equal have to be when the network runs (which checks it): a
   pyramid that was halved and doubled again, inputs whose exporter named the batch of each.  The result has the one
   that is known earlier, or reads first, in whatever order the two come: rules exchange operands, and a step's shapes
   are made anew from them. */
static pf_dim either(pf_dims *dims, pf_dim a, pf_dim b)
{
    bool a_late = is_found_out(dims, a), b_late = is_found_out(dims, b);

    if (a_late != b_late)
        return a_late ? b : a;
    return reads_first(dims, a, b) ? a : b;
}

static pf_status broadcast_dim(pf_dims *dims, pf_dim a, pf_dim b, pf_dim *out, pf_err *err)
{
    *out = a;
    if (a == PF_DIM_INVALID || b == PF_DIM_INVALID)
        return refuse_dims(dims, PF_INVALID, a, b, "cannot be broadcast: one is invalid", err);
    if (a == b || b == 1)
        return PF_OK;
    *out = b;
    if (a == 1)
        return PF_OK;
    if (pf_dim_is_number(a) && pf_dim_is_number(b))
        return refuse_dims(dims, PF_INVALID, a, b, "cannot be broadcast: they differ and neither is 1", err);
    if (pf_dim_is_number(a))
        *out = a;
    if (pf_dim_is_number(a) || pf_dim_is_number(b))
        return PF_OK;
    if (agree_by_bound(dims, a, b))
        return PF_OK;
    *out = a;
    if (agree_by_bound(dims, b, a))
        return PF_OK;
    *out = either(dims, a, b);
    return PF_OK;
}

pf_status pf_shape_broadcast(pf_dims *dims, const pf_shape *a, const pf_shape *b, pf_shape *out, pf_err *err)
{
    pf_shape result = { .rank = a->rank > b->rank ? a->rank : b->rank };

    memset(out, 0, sizeof *out);
    out->rank = -1;
    if (a->rank < 0 || b->rank < 0)
        return PF_OK;
    for (int32_t i = 1; i <= result.rank; i++) {
        pf_dim    x = i <= a->rank ? a->dim[a->rank - i] : 1;
        pf_dim    y = i <= b->rank ? b->dim[b->rank - i] : 1;
        pf_status st = broadcast_dim(dims, x, y, &result.dim[result.rank - i], err);

        if (st)
            return st;
    }
    *out = result;
    return PF_OK;
}
