/* What the rows of pointwise.def become: one of these each, beside its pf_op_def. */
#ifndef PF_ENGINE_OPS_POINTWISE_H
#define PF_ENGINE_OPS_POINTWISE_H

#include "engine/op.h"

typedef enum pf_pointwise_rule {
    PF_RULE_SAME, PF_RULE_FLOAT, PF_RULE_INT, PF_RULE_LOGIC, PF_RULE_COMPARE, PF_RULE_TEST, PF_RULE_WHERE, PF_RULE_POW
} pf_pointwise_rule;

/* count elements: out[i] = f(a[i], b[i], c[i]); operands that the op lacks are NULL. */
typedef struct pf_pointwise_f64 { double *out; const double *a, *b, *c; double p, q; int64_t count; } pf_pointwise_f64;
typedef struct pf_pointwise_i64 { int64_t *out; const int64_t *a, *b, *c; int64_t count; } pf_pointwise_i64;

typedef struct pf_pointwise_row {
    const char        *name;
    uint32_t           inputs;
    pf_pointwise_rule  rule;
    void             (*f64)(const pf_pointwise_f64 *run);
    void             (*i64)(const pf_pointwise_i64 *run);
    void             (*u64)(const pf_pointwise_i64 *run);   /* the bits of uint64_t in the same arrays */
} pf_pointwise_row;

/* NULL when the op is not pointwise. */
const pf_pointwise_row *pf_pointwise_row_of(pf_op_kind op);

pf_status pf_pointwise_infer(const pf_pointwise_row *row, pf_infer *infer, pf_err *err);
pf_status pf_pointwise_content(const pf_pointwise_row *row, pf_infer *infer, pf_err *err);
pf_status pf_pointwise_reference(const pf_pointwise_row *row, pf_reference_call *call, pf_err *err);

#endif
