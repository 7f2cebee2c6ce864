#include "engine/ops/pointwise.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "engine/ops/attrs.h"
#include "kernels/cpu_isa.h"

PF_KERNEL_MATH

enum { NONE = 0 };

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_pointwise_attrs, p, FLOAT), PF_ATTR_FIELD(pf_pointwise_attrs, q, FLOAT), { NULL },
};

/* The exponential that the forms below mean: within 2 units in the last place, and of plain operations alone, so that
   loops with it run in wide registers and give the same bits on every machine.  e^x = 2^n e^r with |r| <= ln 2 / 2: the
   Taylor series to r^13, whose rest is below 5e-18, and 2^n by halves, since n may go beyond the exponents of a double
   where the result is infinite or subnormal. */
#define WHOLE 0x1.8p52      /* added to a number below 2^51 it leaves it whole, in the low bits */

static inline double power_of_two(double with_whole)
{
    uint64_t bits = 0;
    double   power = 0;

    memcpy(&bits, &with_whole, sizeof bits);
    bits = (bits + 1023) << 52;
    memcpy(&power, &bits, sizeof power);
    return power;
}

static inline double exponential(double x)
{
    const double most = 750, least = x > most ? most : x, y = least < -most ? -most : least;
    const double n = (y * 0x1.71547652b82fep0 + WHOLE) - WHOLE, half = n * 0.5 + WHOLE;
    const double r = (y - n * 0x1.62e42fefa3800p-1) - n * 0x1.ef35793c76730p-45;
    double       sum = 1.0 / 6227020800;

    sum = sum * r + 1.0 / 479001600, sum = sum * r + 1.0 / 39916800, sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880, sum = sum * r + 1.0 / 40320, sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720, sum = sum * r + 1.0 / 120, sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6, sum = sum * r + 0.5, sum = sum * r + 1, sum = sum * r + 1;
    return sum * power_of_two(half) * power_of_two((n - (half - WHOLE)) + WHOLE);
}
#define exp exponential

#define PF_POINTWISE(NAME, name_, inputs, RULE, flags_, f, integer, cuda) \
    PF_WIDE static void f64_##name_(const pf_pointwise_f64 *run) \
    { \
        const double  p = run->p, q = run->q, *x = run->a, *y = run->b, *z = run->c; \
        double       *out = run->out; \
        const int64_t count = run->count; \
        (void)p, (void)q, (void)x, (void)y, (void)z; \
        PF_INDEPENDENT \
        for (int64_t k = 0; k < count; k++) { \
            const double a = x[k], b = inputs > 1 ? y[k] : 0, c = inputs > 2 ? z[k] : 0; \
            (void)a, (void)b, (void)c; \
            out[k] = (f); \
        } \
    }
#include "engine/pointwise.def"
#undef PF_POINTWISE
#undef exp

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
        .flags = (flags_), \
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
