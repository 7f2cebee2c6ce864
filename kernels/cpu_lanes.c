#include "kernels/cpu_isa.h"
PF_KERNEL_MATH

#include "kernels/cpu_lanes.h"

#include "engine/ops/pointwise.h"
#include "kernels/cpu_math.h"

/* ---- Float lanes: the formulas of pointwise.def in floats, with functions that become vector code. */
#define expf      pf_math_exp
#define logf      pf_math_log
#define expm1f    pf_math_expm1
#define log1pf    pf_math_log1p
#define tanhf     pf_math_tanh
#define erff      pf_math_erf
#define rsqrtf(x) (1.0f / sqrtf(x))
#define geluf(x)  (0.5f * (x) * (1.0f + erff((x) * 0.70710678f)))

#define LANE_PARAMETERS (void *yy, const void *aa, const void *bb, const void *cc, float p, float q, int64_t count)
#define LANE_ARGUMENTS  (yy, aa, bb, cc, p, q, count)

/* An op with fewer operands reads its first one in their place, so that no pointer is invalid. */
#define LANE_LOOP(name, inputs, type_a, type_y, expression)                                                     \
    PF_INLINE void name##_body LANE_PARAMETERS                                                                  \
    {                                                                                                           \
        type_y       *y = yy;                                                                                   \
        const type_a *as = aa;                                                                                  \
        const float  *bs = (inputs) > 1 ? bb : aa, *cs = (inputs) > 2 ? cc : aa;                                \
        (void)p, (void)q;                                                                                       \
        PF_INDEPENDENT                                                                                          \
        for (int64_t i = 0; i < count; i++) {                                                                   \
            type_a a = as[i];                                                                                   \
            float  b = bs[i], c = cs[i];                                                                        \
            (void)a, (void)b, (void)c;                                                                          \
            y[i] = (type_y)(expression);                                                                        \
        }                                                                                                       \
    }                                                                                                           \
    PF_ISA_VARIANTS(void, name, LANE_PARAMETERS, LANE_ARGUMENTS)

#define LANES_SAME(name, inputs, expression)    LANE_LOOP(lane_##name, inputs, float, float, expression)
#define LANES_FLOAT(name, inputs, expression)   LANE_LOOP(lane_##name, inputs, float, float, expression)
#define LANES_POW(name, inputs, expression)     LANE_LOOP(lane_##name, inputs, float, float, expression)
#define LANES_COMPARE(name, inputs, expression) LANE_LOOP(lane_##name, inputs, float, int64_t, expression)
#define LANES_TEST(name, inputs, expression)    LANE_LOOP(lane_##name, inputs, float, int64_t, expression)
#define LANES_WHERE(name, inputs, expression)   LANE_LOOP(lane_##name, inputs, int64_t, float, a ? b : c)
#define LANES_INT(name, inputs, expression)
#define LANES_LOGIC(name, inputs, expression)

#define PF_POINTWISE(NAME, name, inputs, RULE, flags, c, integer, floats) LANES_##RULE(name, inputs, floats)
#include "engine/pointwise.def"
#undef PF_POINTWISE

#define ROW_SAME(NAME, name)    [PF_OP_##NAME - PF_OP_ADD] = lane_##name##_table,
#define ROW_FLOAT(NAME, name)   ROW_SAME(NAME, name)
#define ROW_POW(NAME, name)     ROW_SAME(NAME, name)
#define ROW_COMPARE(NAME, name) ROW_SAME(NAME, name)
#define ROW_TEST(NAME, name)    ROW_SAME(NAME, name)
#define ROW_WHERE(NAME, name)   ROW_SAME(NAME, name)
#define ROW_INT(NAME, name)
#define ROW_LOGIC(NAME, name)

/* From the first row of pointwise.def on. */
static pf_lane_function *const *const float_rows[PF_OP_COUNT - PF_OP_ADD] = {
#define PF_POINTWISE(NAME, name, inputs, RULE, flags, c, integer, floats) ROW_##RULE(NAME, name)
#include "engine/pointwise.def"
#undef PF_POINTWISE
};

pf_lane_function *pf_lanes_float(pf_isa isa, pf_op_kind op)
{
    if (op < PF_OP_ADD || op >= PF_OP_COUNT || !float_rows[op - PF_OP_ADD])
        return NULL;
    return float_rows[op - PF_OP_ADD][isa];
}

/* ---- Integer lanes: what the references use. */
#define PF_POINTWISE(NAME, name, inputs, RULE, flags, c, integer, floats)                                       \
    static void integer_##name LANE_PARAMETERS                                                                  \
    {                                                                                                           \
        pf_pointwise_i64 run = { yy, aa, bb, cc, count };                                                       \
        (void)p, (void)q;                                                                                       \
        pf_pointwise_row_of(PF_OP_##NAME)->i64(&run);                                                           \
    }
#include "engine/pointwise.def"
#undef PF_POINTWISE

static pf_lane_function *const integer_rows[PF_OP_COUNT - PF_OP_ADD] = {
#define PF_POINTWISE(NAME, name, inputs, RULE, flags, c, integer, floats) [PF_OP_##NAME - PF_OP_ADD] = integer_##name,
#include "engine/pointwise.def"
#undef PF_POINTWISE
};

pf_lane_function *pf_lanes_integer(pf_op_kind op)
{
    const pf_pointwise_row *row = pf_pointwise_row_of(op);

    return row && row->i64 && row->rule != PF_RULE_POW ? integer_rows[op - PF_OP_ADD] : NULL;
}

/* ---- Between the two */
void pf_lanes_float_to_integer LANE_PARAMETERS
{
    int64_t     *y = yy;
    const float *a = aa;

    int64_t      high = (int64_t)(UINT64_MAX >> (64 - (int)p) >> (q != 0.0f)), low = q != 0.0f ? -high - 1 : 0;

    (void)bb, (void)cc;
    for (int64_t i = 0; i < count; i++)
        y[i] = a[i] != a[i] ? 0 : a[i] <= (float)low ? low : a[i] >= (float)high ? high : (int64_t)a[i];
}

void pf_lanes_integer_to_float LANE_PARAMETERS
{
    float         *y = yy;
    const int64_t *a = aa;

    (void)bb, (void)cc, (void)p, (void)q;
    for (int64_t i = 0; i < count; i++)
        y[i] = (float)a[i];
}

void pf_lanes_float_to_bool LANE_PARAMETERS
{
    int64_t     *y = yy;
    const float *a = aa;

    (void)bb, (void)cc, (void)p, (void)q;
    for (int64_t i = 0; i < count; i++)
        y[i] = a[i] != 0.0f;
}

void pf_lanes_integer_to_bool LANE_PARAMETERS
{
    int64_t       *y = yy;
    const int64_t *a = aa;

    (void)bb, (void)cc, (void)p, (void)q;
    for (int64_t i = 0; i < count; i++)
        y[i] = a[i] != 0;
}

void pf_lanes_wrap LANE_PARAMETERS
{
    int64_t       *y = yy;
    const int64_t *a = aa;
    int            shift = 64 - (int)p;

    (void)bb, (void)cc;
    for (int64_t i = 0; i < count; i++)
        y[i] = q != 0.0f ? (int64_t)((uint64_t)a[i] << shift) >> shift : (int64_t)((uint64_t)a[i] << shift >> shift);
}

/* ---- Memory */
bool pf_lanes_is_float(pf_dtype dtype) { return pf_dtype_is_float(dtype); }

bool pf_lanes_are_elements(pf_dtype dtype) { return dtype == PF_F32 || dtype == PF_I64; }

bool pf_lanes_has(pf_dtype dtype)
{
    switch (dtype) {
    case PF_F32: case PF_F16: case PF_BF16: case PF_I64: case PF_I32: case PF_I16: case PF_I8:
    case PF_U32: case PF_U16: case PF_U8: case PF_BOOL:
        return true;
    default:
        return false;
    }
}

#define READ(type, lane, convert)                                           \
    do {                                                                    \
        const type *from = data;                                            \
        lane       *to = lanes;                                             \
        for (int64_t i = 0; i < count; i++)                                 \
            to[i] = (lane)convert(from[i * step]);                          \
    } while (0)
#define AS_IT_IS(x) (x)
#define AS_BOOL(x)  ((x) != 0)

void pf_lanes_read(pf_dtype dtype, const void *data, int64_t step, int64_t count, void *lanes)
{
    switch (dtype) {
    case PF_F32:  READ(float, float, AS_IT_IS); break;
    case PF_F16:  READ(uint16_t, float, pf_f16_to_f32); break;
    case PF_BF16: READ(uint16_t, float, pf_bf16_to_f32); break;
    case PF_I64:  READ(int64_t, int64_t, AS_IT_IS); break;
    case PF_I32:  READ(int32_t, int64_t, AS_IT_IS); break;
    case PF_I16:  READ(int16_t, int64_t, AS_IT_IS); break;
    case PF_I8:   READ(int8_t, int64_t, AS_IT_IS); break;
    case PF_U32:  READ(uint32_t, int64_t, AS_IT_IS); break;
    case PF_U16:  READ(uint16_t, int64_t, AS_IT_IS); break;
    case PF_U8:   READ(uint8_t, int64_t, AS_IT_IS); break;
    default:      READ(uint8_t, int64_t, AS_BOOL); break;
    }
}

#define WRITE(type, lane, convert)                                          \
    do {                                                                    \
        type       *to = data;                                              \
        const lane *from = lanes;                                           \
        for (int64_t i = 0; i < count; i++)                                 \
            to[i] = (type)convert(from[i]);                                 \
    } while (0)

void pf_lanes_write(pf_dtype dtype, void *data, int64_t count, const void *lanes)
{
    switch (dtype) {
    case PF_F32:  WRITE(float, float, AS_IT_IS); break;
    case PF_F16:  WRITE(uint16_t, float, pf_f16_from_f32); break;
    case PF_BF16: WRITE(uint16_t, float, pf_bf16_from_f32); break;
    case PF_I64:  WRITE(int64_t, int64_t, AS_IT_IS); break;
    case PF_I32:  WRITE(int32_t, int64_t, AS_IT_IS); break;
    case PF_I16:  WRITE(int16_t, int64_t, AS_IT_IS); break;
    case PF_I8:   WRITE(int8_t, int64_t, AS_IT_IS); break;
    case PF_U32:  WRITE(uint32_t, int64_t, AS_IT_IS); break;
    case PF_U16:  WRITE(uint16_t, int64_t, AS_IT_IS); break;
    case PF_U8:   WRITE(uint8_t, int64_t, AS_IT_IS); break;
    default:      WRITE(uint8_t, int64_t, AS_BOOL); break;
    }
}
