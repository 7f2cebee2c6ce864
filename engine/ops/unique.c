/* unique: the different elements (or slices along an axis), where each was first seen, which one each was, and how
   often. */
#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/lines.h"
#include "engine/ops/move.h"
#include "engine/ops/order.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_unique_attrs, axis, INT), PF_ATTR_FIELD(pf_unique_attrs, flatten, INT),
    PF_ATTR_FIELD(pf_unique_attrs, unsorted, INT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_unique_attrs *a = infer->node->attrs;
    const pf_value        *x = pf_infer_in(infer, 0);
    pf_status              st = pf_infer_rank(infer, 0, a->flatten ? 0 : 1, PF_MAX_RANK, err);
    pf_dim                 found = 0;
    pf_shape               out = { .rank = 1 }, list = { .rank = 1 };

    if (!st && !a->flatten)
        st = pf_infer_axis(a->axis, x->shape.rank, err);
    if (st)
        return st;
    found = pf_dims_fresh(infer->graph->dims, "unique");
    out = a->flatten ? out : x->shape;
    out.dim[a->flatten ? 0 : a->axis] = found;
    pf_infer_set(infer, 0, x->dtype, &out);
    list.dim[0] = found;
    pf_infer_set(infer, 1, PF_I64, &list);
    pf_infer_set(infer, 3, PF_I64, &list);
    list.dim[0] = a->flatten ? pf_shape_elems(infer->graph->dims, &x->shape) : x->shape.dim[a->axis];
    pf_infer_set(infer, 2, PF_I64, &list);
    return pf_infer_check_out(infer, err);
}

/* x as lines.size slices in `found` groups of equal ones. */
typedef struct job {
    const pf_tensor *x;
    pf_lines         lines;
    int64_t         *order, *group, *first, *count, *rank;     /* each of lines.size */
    int64_t          found;
} job;

static int compare_slices(const job *j, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < j->lines.outer; o++)
        for (int64_t i = 0; i < j->lines.inner; i++) {
            int64_t base = o * j->lines.size;
            int32_t order = pf_order_of(j->x, (base + a) * j->lines.inner + i, (base + b) * j->lines.inner + i);

            if (order)
                return order;
        }
    return 0;
}

static int by_slice(const void *a, const void *b, void *user)
{
    int64_t i = *(const int64_t *)a, k = *(const int64_t *)b;
    int     order = compare_slices(user, i, k);

    return order ? order : (i > k) - (i < k);
}

static int by_first(const void *a, const void *b, void *user)
{
    const job *j = user;
    int64_t    i = j->first[*(const int64_t *)a], k = j->first[*(const int64_t *)b];

    return (i > k) - (i < k);
}

/* Groups equal slices in sorted order; rank[g]: the place of group g in the result. */
static void find_groups(job *j, bool unsorted)
{
    for (int64_t i = 0; i < j->lines.size; i++)
        j->order[i] = i;
    qsort_r(j->order, (size_t)j->lines.size, sizeof *j->order, by_slice, j);
    for (int64_t i = 0; i < j->lines.size; i++) {
        if (i == 0 || compare_slices(j, j->order[i - 1], j->order[i]) != 0) {
            j->first[j->found] = j->order[i];
            j->count[j->found++] = 0;
        }
        j->group[j->order[i]] = j->found - 1;
        j->count[j->found - 1]++;
    }
    for (int64_t g = 0; g < j->found; g++)
        j->order[g] = g;
    if (unsorted)
        qsort_r(j->order, (size_t)j->found, sizeof *j->order, by_first, j);
    for (int64_t r = 0; r < j->found; r++)
        j->rank[j->order[r]] = r;
}

static pf_status write_slices(const job *j, pf_tensor *y, pf_err *err)
{
    pf_status st = PF_OK;

    for (int64_t r = 0; r < j->found && !st; r++)
        for (int64_t o = 0; o < j->lines.outer && !st; o++)
            st = pf_move_run(y->dtype, y->data, (o * j->found + r) * j->lines.inner, 1, j->x->data,
                             (o * j->lines.size + j->first[j->order[r]]) * j->lines.inner, 1, j->lines.inner, err);
    return st;
}

static pf_status write_lists(const job *j, pf_reference_call *call, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t o = 1; o < call->out_count && !st; o++) {
        int64_t size = o == 2 ? j->lines.size : j->found;

        st = pf_rows_size(&call->out[o], 1, &size, err);
        for (int64_t i = 0; i < size && !st; i++) {
            int64_t value[] = { 0, o == 2 ? 0 : j->first[j->order[i]], o == 2 ? j->rank[j->group[i]] : 0,
                                o == 2 ? 0 : j->count[j->order[i]] };

            ((int64_t *)call->out[o].data)[i] = value[o];
        }
    }
    return st;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_unique_attrs *a = call->attrs;
    const pf_tensor       *x = &call->in[0];
    job                    j = {
        .x = x, .lines = a->flatten ? pf_lines_of(x, 0, x->rank) : pf_lines_of(x, a->axis, a->axis + 1),
    };
    int64_t                dim[PF_MAX_RANK] = { 0 }, size = j.lines.size,
                           *all = pf_calloc((size_t)size * 5 + 1, sizeof *all);
    pf_status              st = PF_OK;

    if (!all)
        return PF_FAIL_MEMORY(err, (size_t)size * 5 * sizeof *all);
    j.order = all;
    j.group = all + size;
    j.first = all + 2 * size;
    j.count = all + 3 * size;
    j.rank = all + 4 * size;
    find_groups(&j, a->unsorted != 0);
    for (int32_t d = 0; d < x->rank; d++)
        dim[d] = x->dim[d];
    dim[a->flatten ? 0 : a->axis] = j.found;
    st = pf_rows_size(&call->out[0], a->flatten ? 1 : x->rank, dim, err);
    if (!st)
        st = write_slices(&j, &call->out[0], err);
    if (!st)
        st = write_lists(&j, call, err);
    pf_free(all);
    return st;
}

const pf_op_def pf_op_unique = {
    .name = "unique", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 4,
    .attr_bytes = sizeof(pf_unique_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
