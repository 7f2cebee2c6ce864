#include "engine/ops/pointwise.h"

#include <math.h>
#include <stddef.h>

#include "engine/ops/attrs.h"

enum { NONE = 0 };

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_pointwise_attrs, p, FLOAT), PF_ATTR_FIELD(pf_pointwise_attrs, q, FLOAT), { NULL },
};

#define PF_POINTWISE(NAME, name_, inputs, RULE, flags_, f, integer, cuda) \
    static void f64_##name_(const pf_pointwise_f64 *run) \
    { \
        const double p = run->p, q = run->q; \
        (void)p, (void)q; \
        for (int64_t k = 0; k < run->count; k++) { \
            const double a = run->a[k], b = inputs > 1 ? run->b[k] : 0, c = inputs > 2 ? run->c[k] : 0; \
            (void)a, (void)b, (void)c; \
            run->out[k] = (f); \
        } \
    }
#include "engine/pointwise.def"
#undef PF_POINTWISE

#define INTEGER_FORM(prefix, type, name_, inputs, integer) \
    static void prefix##_##name_(const pf_pointwise_i64 *run) \
    { \
        typedef type I; \
        typedef uint64_t U; \
        for (int64_t k = 0; k < run->count; k++) { \
            const I a = (I)run->a[k], b = inputs > 1 ? (I)run->b[k] : 0, c = inputs > 2 ? (I)run->c[k] : 0; \
            (void)a, (void)b, (void)c, (void)sizeof(U); \
            run->out[k] = (int64_t)(integer); \
        } \
    }
#define PF_POINTWISE(NAME, name_, inputs, RULE, flags_, f, integer, cuda) \
    INTEGER_FORM(i64, int64_t, name_, inputs, integer)
#include "engine/pointwise.def"
#undef PF_POINTWISE
#define PF_POINTWISE(NAME, name_, inputs, RULE, flags_, f, integer, cuda) \
    INTEGER_FORM(u64, uint64_t, name_, inputs, integer)
#include "engine/pointwise.def"
#undef PF_POINTWISE

/* Each row's table entry, its infer and reference, and its op. */
#define PF_POINTWISE(NAME, name_, inputs_, RULE, flags_, f, integer, cuda) \
    static const pf_pointwise_row row_##name_ = { #name_, inputs_, PF_RULE_##RULE, f64_##name_, i64_##name_, \
                                                    u64_##name_ }; \
    static pf_status infer_##name_(pf_infer *infer, pf_err *err) \
    { \
        return pf_pointwise_infer(&row_##name_, infer, err); \
    } \
    static pf_status reference_##name_(pf_reference_call *call, pf_err *err) \
    { \
        return pf_pointwise_reference(&row_##name_, call, err); \
    } \
    const pf_op_def pf_op_##name_ = { \
        .name = #name_, .klass = PF_CLASS_POINTWISE, .in_min = inputs_, .in_max = inputs_, .out_min = 1, .out_max = 1, \
        .flags = PF_OPF_IN_PLACE | PF_OPF_LAYOUT_FREE | (flags_), \
        .attr_bytes = sizeof(pf_pointwise_attrs), .attr_fields = fields, .infer = infer_##name_, \
        .reference = reference_##name_, \
    };
#include "engine/pointwise.def"
#undef PF_POINTWISE

static const pf_pointwise_row *const rows[PF_OP_COUNT] = {
#define PF_POINTWISE(NAME, name_, ...) [PF_OP_##NAME] = &row_##name_,
#include "engine/pointwise.def"
#undef PF_POINTWISE
};

const pf_pointwise_row *pf_pointwise_row_of(pf_op_kind op) { return op < PF_OP_COUNT ? rows[op] : NULL; }
