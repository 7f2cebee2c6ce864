#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/lines.h"
#include "engine/ops/move.h"
#include "engine/ops/order.h"
#include "engine/ops/rows.h"

enum { FEW = 64 };

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_topk_attrs, k, DIMS), PF_ATTR_FIELD(pf_topk_attrs, axis, INT),
    PF_ATTR_FIELD(pf_topk_attrs, smallest, INT), PF_ATTR_FIELD(pf_topk_attrs, unsorted, INT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_topk_attrs *attrs = infer->node->attrs;
    const pf_value      *x = pf_infer_in(infer, 0);
    pf_status            st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_shape             out = { 0 };

    if (!st)
        st = pf_infer_axis(attrs->axis, x->shape.rank, err);
    if (!st)
        st = pf_infer_count("k", attrs->k.count, 1, err);
    if (st)
        return st;
    out = x->shape;
    if (pf_dim_is_number(attrs->k.at[0]) && pf_dim_is_number(out.dim[attrs->axis]) &&
        attrs->k.at[0] > out.dim[attrs->axis])
        return PF_FAIL(err, PF_INVALID, "k is %lld for %lld elements", (long long)attrs->k.at[0],
                       (long long)out.dim[attrs->axis]);
    out.dim[attrs->axis] = attrs->k.at[0];
    pf_infer_set(infer, 0, x->dtype, &out);
    pf_infer_set(infer, 1, PF_I64, &out);
    return pf_infer_check_out(infer, err);
}

typedef struct ranking { const pf_tensor *x; int64_t at, step; int32_t sign; } ranking;

static int compare(const void *a, const void *b, void *user)
{
    const ranking *r = user;
    int64_t        i = *(const int64_t *)a, j = *(const int64_t *)b;
    int32_t        order = r->sign * pf_order_of(r->x, r->at + i * r->step, r->at + j * r->step);

    return order ? order : (i > j) - (i < j);
}

/* The first `most` of the order, in order: few of them by comparing each element with the last one so far. */
static void first_of_line(const ranking *r, int64_t size, int64_t most, int64_t *index)
{
    void *user = (void *)(uintptr_t)r;

    if (most > FEW) {
        for (int64_t k = 0; k < size; k++)
            index[k] = k;
        qsort_r(index, (size_t)size, sizeof *index, compare, user);
        return;
    }
    for (int64_t k = 0; k < size; k++) {
        int64_t at = k < most ? k : most - 1;

        if (k > at && compare(&k, &index[at], user) > 0)
            continue;
        for (; at > 0 && compare(&k, &index[at - 1], user) < 0; at--)
            index[at] = index[at - 1];
        index[at] = k;
    }
}

/* Lines are shared out among threads; what is at the front of each goes to first. */
static pf_status order_lines(const pf_tensor *x, const pf_topk_attrs *attrs, const pf_lines *lines, int64_t *first,
                             pf_err *err)
{
    const int64_t count = pf_lines_count(lines), most = attrs->k.at[0];
    bool          failed = false;

#pragma omp parallel if (count > 1 && count * lines->size > PF_ROWS_ALONE)
    {
        int64_t *index = pf_alloc((size_t)lines->size * sizeof *index + 1);

        if (!index) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++) {
            ranking r = { x, pf_lines_at(lines, i), lines->inner, attrs->smallest ? 1 : -1 };

            if (!index)
                continue;
            first_of_line(&r, lines->size, most, index);
            memcpy(first + i * most, index, (size_t)most * sizeof *index);
        }
        pf_free(index);
    }
    return failed ? PF_FAIL_MEMORY(err, (size_t)lines->size * sizeof *first) : PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_topk_attrs *attrs = call->attrs;
    const pf_tensor     *x = &call->in[0];
    const pf_lines       lines = pf_lines_of(x, attrs->axis, attrs->axis + 1),
                         out = { lines.outer, attrs->k.at[0], lines.inner };
    const int64_t        count = pf_lines_count(&lines);
    int64_t             *first = NULL;
    pf_status            st = PF_OK;

    if (out.size > lines.size)
        return PF_FAIL(err, PF_INVALID, "k is %lld for %lld elements", (long long)out.size, (long long)lines.size);
    if (out.size == 0)
        return PF_OK;
    first = pf_alloc((size_t)(count * out.size) * sizeof *first + 1);
    st = first ? order_lines(x, attrs, &lines, first, err) : PF_FAIL_MEMORY(err, (size_t)(count * out.size) * 8);
    for (int64_t i = 0; i < count * out.size && !st; i++) {
        int64_t line = i / out.size, to = pf_lines_at(&out, line) + i % out.size * out.inner;

        st = pf_move_run(x->dtype, call->out[0].data, to, 1, x->data,
                         pf_lines_at(&lines, line) + first[i] * lines.inner, 1, 1, err);
        if (call->out_count > 1)
            ((int64_t *)call->out[1].data)[to] = first[i];
    }
    pf_free(first);
    return st;
}

const pf_op_def pf_op_topk = {
    .name = "topk", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 2,
    .attr_bytes = sizeof(pf_topk_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
