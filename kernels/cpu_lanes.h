/* Pointwise functions over short runs of elements ("lanes").  Values of float types are float lanes, values of integer
   types and bool are int64_t lanes, whatever their type in memory. */
#ifndef PF_KERNELS_CPU_LANES_H
#define PF_KERNELS_CPU_LANES_H

#include "engine/op.h"
#include "kernels/cpu_isa.h"

/* y[i] = f(a[i], b[i], c[i]) for count lanes; operands that the op lacks are not looked at.  y may be one of the
   operands. */
typedef void pf_lane_function(void *y, const void *a, const void *b, const void *c, float p, float q, int64_t count);

/* The function of a row of pointwise.def whose operands are floats; for comparisons and tests y is int64_t lanes, for
   `where` a is. NULL: the op has no such form. */
pf_lane_function *pf_lanes_float(pf_isa isa, pf_op_kind op);
/* The same for operands that are integers or bool. */
pf_lane_function *pf_lanes_integer(pf_op_kind op);

/* cast between lanes: float to integer truncates and keeps within the bounds of a type of p bits, signed when q is not
   0; NaN gives 0. */
void pf_lanes_float_to_integer(void *y, const void *a, const void *b, const void *c, float p, float q, int64_t count);
void pf_lanes_integer_to_float(void *y, const void *a, const void *b, const void *c, float p, float q, int64_t count);
void pf_lanes_float_to_bool(void *y, const void *a, const void *b, const void *c, float p, float q, int64_t count);
void pf_lanes_integer_to_bool(void *y, const void *a, const void *b, const void *c, float p, float q, int64_t count);
/* Keeps the low p bits of integers; q as above. */
void pf_lanes_wrap(void *y, const void *a, const void *b, const void *c, float p, float q, int64_t count);

bool pf_lanes_is_float(pf_dtype dtype);
/* Can elements of this type be read and written as lanes? */
bool pf_lanes_has(pf_dtype dtype);
/* count elements from data, step elements apart, as lanes; and back, densely. */
void pf_lanes_read(pf_dtype dtype, const void *data, int64_t step, int64_t count, void *lanes);
void pf_lanes_write(pf_dtype dtype, void *data, int64_t count, const void *lanes);
/* The lanes lie in memory just as the elements do. */
bool pf_lanes_are_elements(pf_dtype dtype);

#endif
