/* cumulate: running sums and products along an axis. */
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/lines.h"

static const char *const modes[] = { "sum", "prod", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_cumulate_attrs, mode, modes), PF_ATTR_FIELD(pf_cumulate_attrs, axis, INT),
    PF_ATTR_FIELD(pf_cumulate_attrs, exclusive, INT), PF_ATTR_FIELD(pf_cumulate_attrs, reverse, INT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_cumulate_attrs *attrs = infer->node->attrs;
    pf_status                st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_axis(attrs->axis, pf_infer_in(infer, 0)->shape.rank, err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static void cumulate_line(const double *in, double *out, int64_t size, const void *user)
{
    const pf_cumulate_attrs *a = user;
    double                   acc = a->mode == PF_CUMULATE_PROD;

    for (int64_t k = 0; k < size; k++) {
        int64_t i = a->reverse ? size - 1 - k : k;
        double  next = a->mode == PF_CUMULATE_PROD ? acc * in[i] : acc + in[i];

        out[i] = a->exclusive ? acc : next;
        acc = next;
    }
}

static void integer_line(const pf_cumulate_attrs *a, const pf_lines *lines, const pf_tensor *x, pf_tensor *y,
                         int64_t at)
{
    uint64_t acc = a->mode == PF_CUMULATE_PROD;

    for (int64_t k = 0; k < lines->size; k++) {
        uint64_t i = (uint64_t)(at + (a->reverse ? lines->size - 1 - k : k) * lines->inner);
        uint64_t v = (uint64_t)pf_dtype_get_i64(x->dtype, x->data, i),
                 next = a->mode == PF_CUMULATE_PROD ? acc * v : acc + v;

        pf_dtype_set_i64(y->dtype, y->data, i, (int64_t)(a->exclusive ? acc : next));
        acc = next;
    }
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_cumulate_attrs *attrs = call->attrs;
    const pf_tensor         *x = &call->in[0];
    pf_lines                 lines = pf_lines_of(x, attrs->axis, attrs->axis + 1);

    if (pf_dtype_is_float(x->dtype))
        return pf_lines_map(&lines, x, &call->out[0], cumulate_line, attrs, err);
    for (int64_t i = 0; i < pf_lines_count(&lines); i++)
        integer_line(attrs, &lines, x, &call->out[0], pf_lines_at(&lines, i));
    return PF_OK;
}

const pf_op_def pf_op_cumulate = {
    .name = "cumulate", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_cumulate_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
