/* lrn: y = x / (bias + alpha / size * sum of squares over `size` neighbouring channels) ^ beta. */
#include <math.h>
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/lines.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_lrn_attrs, size, INT), PF_ATTR_FIELD(pf_lrn_attrs, alpha, FLOAT),
    PF_ATTR_FIELD(pf_lrn_attrs, beta, FLOAT), PF_ATTR_FIELD(pf_lrn_attrs, bias, FLOAT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_lrn_attrs *attrs = infer->node->attrs;
    pf_status           st = pf_infer_rank(infer, 0, 2, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st && attrs->size < 1)
        st = PF_FAIL(err, PF_INVALID, "size is %lld", (long long)attrs->size);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

/* The channels of one position. */
static void normalise(const double *in, double *out, int64_t size, const void *user)
{
    const pf_lrn_attrs *a = user;
    int64_t             before = (a->size - 1) / 2, after = a->size - 1 - before;

    for (int64_t c = 0; c < size; c++) {
        double squares = 0;

        for (int64_t k = c - before < 0 ? 0 : c - before; k <= c + after && k < size; k++)
            squares += in[k] * in[k];
        out[c] = in[c] / pow(a->bias + a->alpha / (double)a->size * squares, a->beta);
    }
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    pf_lines lines = pf_lines_of(&call->in[0], 1, 2);

    return pf_lines_map(&lines, &call->in[0], &call->out[0], normalise, call->attrs, err);
}

const pf_op_def pf_op_lrn = {
    .name = "lrn", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_lrn_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
