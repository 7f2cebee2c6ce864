#include "engine/dtype.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu_isa.h"

typedef struct dtype_info {
    const char   *name;
    int32_t       onnx;
    uint32_t      bits;
    pf_dtype_kind kind;
} dtype_info;

static const dtype_info infos[PF_DTYPE_COUNT] = {
    [PF_DTYPE_NONE] = { "none", 0, 0, PF_KIND_NONE },
#define PF_DTYPE(name, text, onnx, bits, kind) [PF_##name] = { #text, onnx, bits, PF_KIND_##kind },
#include "engine/dtypes.def"
#undef PF_DTYPE
};

static const dtype_info *info_of(pf_dtype dtype)
{
    return &infos[(unsigned)dtype < PF_DTYPE_COUNT ? dtype : PF_DTYPE_NONE];
}

const char *pf_dtype_name(pf_dtype dtype) { return info_of(dtype)->name; }
int32_t pf_dtype_to_onnx(pf_dtype dtype) { return info_of(dtype)->onnx; }
pf_dtype_kind pf_dtype_kind_of(pf_dtype dtype) { return info_of(dtype)->kind; }
uint32_t pf_dtype_bits(pf_dtype dtype) { return info_of(dtype)->bits; }
bool pf_dtype_is_float(pf_dtype dtype) { return info_of(dtype)->kind == PF_KIND_FLOAT; }

bool pf_dtype_is_integer(pf_dtype dtype)
{
    pf_dtype_kind kind = info_of(dtype)->kind;

    return kind == PF_KIND_INT || kind == PF_KIND_UINT;
}

bool pf_dtype_is_whole(pf_dtype dtype) { return dtype == PF_BOOL || pf_dtype_is_integer(dtype); }

pf_dtype pf_dtype_from_name(const char *name)
{
    for (int i = PF_DTYPE_NONE + 1; i < PF_DTYPE_COUNT; i++)
        if (!strcmp(infos[i].name, name))
            return (pf_dtype)i;
    return PF_DTYPE_NONE;
}

pf_dtype pf_dtype_from_onnx(int32_t data_type)
{
    for (int i = PF_DTYPE_NONE + 1; i < PF_DTYPE_COUNT; i++)
        if (infos[i].onnx == data_type)
            return (pf_dtype)i;
    return PF_DTYPE_NONE;
}

size_t pf_dtype_bytes(pf_dtype dtype, uint64_t count)
{
    uint64_t bits = info_of(dtype)->bits;

    if (bits && count > (SIZE_MAX - 7) / bits)
        return SIZE_MAX;
    return (size_t)((count * bits + 7) / 8);
}

/* Codes of positive numbers grow with the number, so comparing codes compares magnitudes. */
typedef struct small_float {
    int32_t  mantissa_bits, bias;
    uint32_t sign;              /* the sign bit; 0: no sign */
    uint32_t max_code;          /* largest finite */
    uint32_t overflow_code;     /* what larger numbers and infinities become */
    uint32_t inf_code;          /* 0: none */
    uint32_t nan_code;          /* what NaN becomes */
    uint32_t first_nan;         /* magnitudes from here on are NaN */
    bool     sign_only_is_nan;  /* the "uz" types: no negative zero, its code is NaN */
} small_float;

/* IEEE 754 binary16; bfloat16; OCP OFP8 and the FNUZ variants of arXiv:2206.02915; OCP microscaling FP4. */
static const small_float float_f16        = { 10, 15,  0x8000, 0x7bff, 0x7c00, 0x7c00, 0x7e00, 0x7c01, false };
static const small_float float_bf16       = { 7,  127, 0x8000, 0x7f7f, 0x7f80, 0x7f80, 0x7fc0, 0x7f81, false };
static const small_float float_f8e4m3fn   = { 3,  7,   0x80,   0x7e,   0x7e,   0,      0x7f,   0x7f,   false };
static const small_float float_f8e4m3fnuz = { 3,  8,   0x80,   0x7f,   0x7f,   0,      0x80,   0x80,   true };
static const small_float float_f8e5m2     = { 2,  15,  0x80,   0x7b,   0x7b,   0x7c,   0x7f,   0x7d,   false };
static const small_float float_f8e5m2fnuz = { 2,  16,  0x80,   0x7f,   0x7f,   0,      0x80,   0x80,   true };
static const small_float float_f4e2m1     = { 1,  1,   0x8,    0x7,    0x7,    0,      0x7,    0x8,    false };

static double decode(const small_float *f, uint32_t code)
{
    uint32_t magnitude = code & ~f->sign;
    uint32_t fraction = magnitude & ((1u << f->mantissa_bits) - 1);
    int32_t  exponent = (int32_t)(magnitude >> f->mantissa_bits);
    double   value = 0;

    if (magnitude >= f->first_nan || (f->sign_only_is_nan && code == f->sign))
        return NAN;
    if (f->inf_code && magnitude == f->inf_code)
        value = INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, 1 - f->bias - f->mantissa_bits);
    else
        value = ldexp(fraction | (1u << f->mantissa_bits), exponent - f->bias - f->mantissa_bits);
    return code & f->sign ? -value : value;
}

/* Rounds by rint, which is to nearest even in the default rounding mode; ldexp is exact here. */
static uint32_t encode_magnitude(const small_float *f, double magnitude)
{
    int    exponent = 0;
    double scaled = 0;

    if (isinf(magnitude))
        return f->overflow_code;
    if (magnitude == 0)
        return 0;
    frexp(magnitude, &exponent);
    exponent--;
    if (exponent < 1 - f->bias)
        exponent = 1 - f->bias;
    if (exponent + f->bias > 1024)
        return f->overflow_code;
    scaled = rint(ldexp(magnitude, f->mantissa_bits - exponent));
    /* A carry out of the fraction lands in the exponent field, which is what it should do. */
    uint32_t code = ((uint32_t)(exponent + f->bias - 1) << f->mantissa_bits) + (uint32_t)scaled;
    return code > f->max_code ? f->overflow_code : code;
}

static uint32_t encode(const small_float *f, double value)
{
    uint32_t code = 0;

    if (isnan(value))
        return f->nan_code;
    code = encode_magnitude(f, fabs(value));
    if (signbit(value) && !(f->sign_only_is_nan && code == 0))
        code |= f->sign;
    return code;
}

/* OCP microscaling scale: 2^(code - 127), 255 is NaN; nearest, ties to the even code; zero and less become the
   smallest. */
static double decode_e8m0(uint32_t code) { return code == 255 ? NAN : ldexp(1.0, (int)code - 127); }

static uint32_t encode_e8m0(double value)
{
    int    exponent = 0;
    double fraction = 0;
    int    code = 0;

    if (isnan(value))
        return 255;
    if (value <= 0)
        return 0;
    if (isinf(value))
        return 254;
    fraction = frexp(value, &exponent);          /* [0.5, 1): the lower neighbour is 2^(exponent - 1) */
    code = exponent - 1 + 127;
    if (fraction > 0.75 || (fraction == 0.75 && (code & 1)))
        code++;
    return (uint32_t)(code < 0 ? 0 : code > 254 ? 254 : code);
}

float pf_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 0x3ff;
    uint32_t bits = 0;
    float    value = 0;

    if (exponent == 0)
        value = (float)fraction * 0x1p-24f;
    else {
        bits = exponent == 31 ? 0x7f800000u | fraction << 13 : (exponent + 112) << 23 | fraction << 13;
        memcpy(&value, &bits, 4);
    }
    memcpy(&bits, &value, 4);
    bits |= sign;
    memcpy(&value, &bits, 4);
    return value;
}

/* The same without a branch, for loops over arrays: the code shifted into a float's place is 2^112 too small, subnormal
   halves too. */
static inline float decode_f16(uint16_t half)
{
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13, bits = 0;
    float    value = 0;

    memcpy(&value, &magnitude, 4);
    value *= 0x1p112f;
    memcpy(&bits, &value, 4);
    bits |= (magnitude >= 0x0f800000u ? 0x7f800000u : 0) | (uint32_t)(half & 0x8000) << 16;
    memcpy(&value, &bits, 4);
    return value;
}

static uint32_t float_bits(float value)
{
    uint32_t bits = 0;

    memcpy(&bits, &value, 4);
    return bits;
}

/* Without a branch too.  Below 2^-14, a subnormal half counts units of 2^-24: the last place of numbers from 1/2 to 1,
   so that the addition rounds. */
static inline uint16_t encode_f16(float value)
{
    const uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    const uint32_t small = float_bits(fabsf(value) + 0.5f) - 0x3f000000;
    const uint32_t usual = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13;
    const uint32_t large = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;

    return (uint16_t)(sign | (magnitude < 0x38800000 ? small : magnitude < 0x47800000 ? usual : large));
}

uint16_t pf_f16_from_f32(float value)
{
    return encode_f16(value);
}

float pf_bf16_to_f32(uint16_t brain)
{
    uint32_t bits = (uint32_t)brain << 16;
    float    value = 0;

    memcpy(&value, &bits, 4);
    return value;
}

static inline uint16_t encode_bf16(float value)
{
    const uint32_t bits = float_bits(value), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;

    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 & 0x8000) | 0x7fc0 : rounded);
}

uint16_t pf_bf16_from_f32(float value)
{
    return encode_bf16(value);
}

/* Truncates towards zero, saturates; NaN is 0. (double)INT64_MAX is 2^63, so the comparison keeps the cast defined. */
static int64_t to_integer(double value, int64_t least, int64_t greatest)
{
    if (isnan(value))
        return 0;
    if (value <= (double)least)
        return least;
    return value >= (double)greatest ? greatest : (int64_t)value;
}

static uint64_t to_u64(double value)
{
    if (!(value > 0))
        return 0;
    return value >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)value;
}

static uint32_t packed_get(const void *data, uint64_t i, uint32_t bits)
{
    uint64_t at = i * bits;

    return (uint32_t)(((const uint8_t *)data)[at / 8] >> at % 8) & ((1u << bits) - 1);
}

static void packed_set(void *data, uint64_t i, uint32_t bits, uint32_t code)
{
    uint64_t at = i * bits;
    uint32_t mask = ((1u << bits) - 1) << at % 8;
    uint8_t *byte = (uint8_t *)data + at / 8;

    *byte = (uint8_t)((*byte & ~mask) | (code << at % 8 & mask));
}

static int64_t sign_extend(uint32_t code, uint32_t bits)
{
    return code & 1u << (bits - 1) ? (int64_t)code - (INT64_C(1) << bits) : (int64_t)code;
}

typedef struct element_access {
    double  (*get)(const void *data, uint64_t i);
    void    (*set)(void *data, uint64_t i, double value);
    int64_t (*get_i64)(const void *data, uint64_t i);       /* integers and bool */
    void    (*set_i64)(void *data, uint64_t i, int64_t value);
} element_access;

#define INTEGER(name, type, least, greatest) \
    static double get_##name(const void *data, uint64_t i) { return (double)((const type *)data)[i]; } \
    static void set_##name(void *data, uint64_t i, double value) \
    { \
        ((type *)data)[i] = (type)to_integer(value, least, greatest); \
    } \
    static int64_t get_i64_##name(const void *data, uint64_t i) { return (int64_t)((const type *)data)[i]; } \
    static void set_i64_##name(void *data, uint64_t i, int64_t value) { ((type *)data)[i] = (type)value; }
#define PACKED_INT(name, bits) \
    static int64_t get_i64_##name(const void *data, uint64_t i) \
    { \
        return sign_extend(packed_get(data, i, bits), bits); \
    } \
    static double get_##name(const void *data, uint64_t i) { return (double)get_i64_##name(data, i); } \
    static void set_i64_##name(void *data, uint64_t i, int64_t value) { packed_set(data, i, bits, (uint32_t)value); } \
    static void set_##name(void *data, uint64_t i, double value) \
    { set_i64_##name(data, i, to_integer(value, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)); }
#define PACKED_UINT(name, bits)                                                                                        \
    static int64_t get_i64_##name(const void *data, uint64_t i)                                                        \
    {                                                                                                                  \
        return packed_get(data, i, bits);                                                                              \
    }                                                                                                                  \
    static double get_##name(const void *data, uint64_t i)                                                             \
    {                                                                                                                  \
        return (double)get_i64_##name(data, i);                                                                        \
    }                                                                                                                  \
    static void set_i64_##name(void *data, uint64_t i, int64_t value)                                                  \
    {                                                                                                                  \
        packed_set(data, i, bits, (uint32_t)value);                                                                    \
    }                                                                                                                  \
    static void set_##name(void *data, uint64_t i, double value)                                                       \
    {                                                                                                                  \
        set_i64_##name(data, i, to_integer(value, 0, (1 << bits) - 1));                                                \
    }
#define SMALL_FLOAT(name, type)                                                                                        \
    static double get_##name(const void *data, uint64_t i)                                                             \
    {                                                                                                                  \
        return decode(&float_##name, ((const type *)data)[i]);                                                         \
    }                                                                                                                  \
    static void set_##name(void *data, uint64_t i, double value)                                                       \
    {                                                                                                                  \
        ((type *)data)[i] = (type)encode(&float_##name, value);                                                        \
    }

INTEGER(i8, int8_t, INT8_MIN, INT8_MAX)
INTEGER(u8, uint8_t, 0, UINT8_MAX)
INTEGER(i16, int16_t, INT16_MIN, INT16_MAX)
INTEGER(u16, uint16_t, 0, UINT16_MAX)
INTEGER(i32, int32_t, INT32_MIN, INT32_MAX)
INTEGER(u32, uint32_t, 0, UINT32_MAX)
INTEGER(i64, int64_t, INT64_MIN, INT64_MAX)
PACKED_INT(i4, 4)
PACKED_UINT(u4, 4)
PACKED_INT(i2, 2)
PACKED_UINT(u2, 2)

static double get_f16(const void *data, uint64_t i) { return (double)pf_f16_to_f32(((const uint16_t *)data)[i]); }
static double get_bf16(const void *data, uint64_t i) { return (double)pf_bf16_to_f32(((const uint16_t *)data)[i]); }

/* Of most numbers the code is a shift of the double's, after rounding to nearest even; a carry out of the fraction
   lands in the exponent. */
static uint16_t encode_shifted(const small_float *f, double value)
{
    const int shift = 52 - f->mantissa_bits;
    uint64_t  bits = 0, magnitude = 0;

    memcpy(&bits, &value, sizeof bits);
    magnitude = bits & INT64_MAX;
    /* subnormal there, or no number */
    if (magnitude < (uint64_t)(1024 - f->bias) << 52 || magnitude >= UINT64_C(0x7ff) << 52)
        return (uint16_t)encode(f, value);
    magnitude += ((UINT64_C(1) << (shift - 1)) - 1) + (magnitude >> shift & 1);
    magnitude = (magnitude >> shift) - ((uint64_t)(1023 - f->bias) << f->mantissa_bits);
    return (uint16_t)((bits >> 63 ? f->sign : 0) | (magnitude > f->max_code ? f->overflow_code : magnitude));
}

static void set_f16(void *data, uint64_t i, double value) { ((uint16_t *)data)[i] = encode_shifted(&float_f16, value); }
static void set_bf16(void *data, uint64_t i, double value)
{
    ((uint16_t *)data)[i] = encode_shifted(&float_bf16, value);
}

SMALL_FLOAT(f8e4m3fn, uint8_t)
SMALL_FLOAT(f8e4m3fnuz, uint8_t)
SMALL_FLOAT(f8e5m2, uint8_t)
SMALL_FLOAT(f8e5m2fnuz, uint8_t)

static double get_u64(const void *data, uint64_t i) { return (double)((const uint64_t *)data)[i]; }
static void set_u64(void *data, uint64_t i, double value) { ((uint64_t *)data)[i] = to_u64(value); }
static double get_bool(const void *data, uint64_t i) { return ((const uint8_t *)data)[i] != 0; }
static void set_bool(void *data, uint64_t i, double value) { ((uint8_t *)data)[i] = value != 0; }
static int64_t get_i64_bool(const void *data, uint64_t i) { return ((const uint8_t *)data)[i] != 0; }
static void set_i64_bool(void *data, uint64_t i, int64_t value) { ((uint8_t *)data)[i] = value != 0; }
static double get_f32(const void *data, uint64_t i) { return ((const float *)data)[i]; }
static void set_f32(void *data, uint64_t i, double value) { ((float *)data)[i] = (float)value; }
static double get_f64(const void *data, uint64_t i) { return ((const double *)data)[i]; }
static void set_f64(void *data, uint64_t i, double value) { ((double *)data)[i] = value; }
static double get_f4(const void *data, uint64_t i) { return decode(&float_f4e2m1, packed_get(data, i, 4)); }
static void set_f4(void *data, uint64_t i, double value) { packed_set(data, i, 4, encode(&float_f4e2m1, value)); }
static double get_e8m0(const void *data, uint64_t i) { return decode_e8m0(((const uint8_t *)data)[i]); }
static void set_e8m0(void *data, uint64_t i, double value) { ((uint8_t *)data)[i] = (uint8_t)encode_e8m0(value); }

#define WHOLE(name) { get_##name, set_##name, get_i64_##name, set_i64_##name }
#define REAL(name) { get_##name, set_##name, NULL, NULL }

static const element_access accesses[PF_DTYPE_COUNT] = {
    [PF_I8] = WHOLE(i8),   [PF_U8] = WHOLE(u8),   [PF_I16] = WHOLE(i16), [PF_U16] = WHOLE(u16), [PF_I32] = WHOLE(i32),
    [PF_U32] = WHOLE(u32), [PF_I64] = WHOLE(i64), [PF_I4] = WHOLE(i4),   [PF_U4] = WHOLE(u4),   [PF_I2] = WHOLE(i2),
    [PF_U2] = WHOLE(u2),   [PF_BOOL] = WHOLE(bool),
    [PF_U64] = { get_u64, set_u64, get_i64_i64, set_i64_i64 },
    [PF_F16] = REAL(f16),  [PF_BF16] = REAL(bf16), [PF_F32] = REAL(f32), [PF_F64] = REAL(f64),
    [PF_F8E4M3FN] = REAL(f8e4m3fn), [PF_F8E4M3FNUZ] = REAL(f8e4m3fnuz),
    [PF_F8E5M2] = REAL(f8e5m2),     [PF_F8E5M2FNUZ] = REAL(f8e5m2fnuz),
    [PF_F4E2M1] = REAL(f4),         [PF_F8E8M0] = REAL(e8m0),
};

static const element_access *access_of(pf_dtype dtype)
{
    return &accesses[(unsigned)dtype < PF_DTYPE_COUNT ? dtype : PF_DTYPE_NONE];
}

double pf_dtype_get(pf_dtype dtype, const void *data, uint64_t i)
{
    const element_access *access = access_of(dtype);

    return access->get ? access->get(data, i) : 0;
}

void pf_dtype_set(pf_dtype dtype, void *data, uint64_t i, double value)
{
    const element_access *access = access_of(dtype);

    if (access->set)
        access->set(data, i, value);
}

int64_t pf_dtype_get_i64(pf_dtype dtype, const void *data, uint64_t i)
{
    const element_access *access = access_of(dtype);

    if (access->get_i64)
        return access->get_i64(data, i);
    return access->get ? to_integer(access->get(data, i), INT64_MIN, INT64_MAX) : 0;
}

void pf_dtype_set_i64(pf_dtype dtype, void *data, uint64_t i, int64_t value)
{
    const element_access *access = access_of(dtype);

    if (access->set_i64)
        access->set_i64(data, i, value);
    else if (access->set)
        access->set(data, i, (double)value);
}

typedef void convert_fn(const void *in, void *out, uint64_t count);

#define CONVERT(name, from, to, expression) \
    PF_WIDE static void name(const void *in, void *out, uint64_t count) \
    { \
        const from *x = in; \
        to *y = out; \
        for (uint64_t i = 0; i < count; i++) \
            y[i] = expression; \
    }

CONVERT(f16_to_f32, uint16_t, float, decode_f16(x[i]))
CONVERT(f16_to_f64, uint16_t, double, (double)decode_f16(x[i]))
CONVERT(bf16_to_f64, uint16_t, double, (double)pf_bf16_to_f32(x[i]))
CONVERT(f32_to_f16, float, uint16_t, encode_f16(x[i]))
CONVERT(bf16_to_f32, uint16_t, float, pf_bf16_to_f32(x[i]))
CONVERT(f32_to_bf16, float, uint16_t, encode_bf16(x[i]))
CONVERT(f32_to_f64, float, double, x[i])
CONVERT(f64_to_f32, double, float, (float)x[i])
CONVERT(i64_to_i32, int64_t, int32_t, (int32_t)x[i])
CONVERT(i32_to_i64, int32_t, int64_t, x[i])
CONVERT(i64_to_f32, int64_t, float, (float)x[i])
CONVERT(i32_to_f32, int32_t, float, (float)x[i])
CONVERT(u8_to_f32, uint8_t, float, x[i])
CONVERT(i8_to_f32, int8_t, float, x[i])

/* Numbers that are normal in the small type, and zero; false when there was another one, and its code is wrong. */
PF_WIDE static bool encode_common(const small_float *f, const double *x, uint16_t *y, uint64_t count)
{
    const int      shift = 52 - f->mantissa_bits;
    const uint64_t least = (uint64_t)(1024 - f->bias) << 52, most = UINT64_C(0x7ff) << 52,
                   half = (UINT64_C(1) << (shift - 1)) - 1;
    const uint64_t rebias = (uint64_t)(1023 - f->bias) << f->mantissa_bits, max_code = f->max_code,
                   overflow = f->overflow_code;
    uint64_t       odd = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t bits = 0, magnitude = 0, code = 0;

        memcpy(&bits, &x[i], sizeof bits);
        magnitude = bits & INT64_MAX;
        odd |= (uint64_t)(magnitude != 0) & (uint64_t)((magnitude < least) | (magnitude >= most));
        code = ((magnitude + half + (magnitude >> shift & 1)) >> shift) - rebias;
        code = code > max_code ? overflow : code;
        y[i] = (uint16_t)((magnitude ? code : 0) | (bits >> 48 & 0x8000));
    }
    return !odd;
}

static void encode_all(const small_float *f, const double *x, uint16_t *y, uint64_t count)
{
    enum { BLOCK = 256 };

    for (uint64_t from = 0; from < count; from += BLOCK) {
        uint64_t n = count - from < BLOCK ? count - from : BLOCK;

        if (encode_common(f, x + from, y + from, n))
            continue;
        for (uint64_t i = from; i < from + n; i++)
            y[i] = encode_shifted(f, x[i]);
    }
}

static void f64_to_f16(const void *in, void *out, uint64_t count) { encode_all(&float_f16, in, out, count); }
static void f64_to_bf16(const void *in, void *out, uint64_t count) { encode_all(&float_bf16, in, out, count); }

static const struct { pf_dtype from, to; convert_fn *run; } fast_paths[] = {
    { PF_F16, PF_F64, f16_to_f64 }, { PF_F64, PF_F16, f64_to_f16 }, { PF_BF16, PF_F64, bf16_to_f64 },
    { PF_F64, PF_BF16, f64_to_bf16 },
    { PF_F16, PF_F32, f16_to_f32 }, { PF_F32, PF_F16, f32_to_f16 }, { PF_BF16, PF_F32, bf16_to_f32 },
    { PF_F32, PF_BF16, f32_to_bf16 },
    { PF_F32, PF_F64, f32_to_f64 }, { PF_F64, PF_F32, f64_to_f32 }, { PF_I64, PF_I32, i64_to_i32 },
    { PF_I32, PF_I64, i32_to_i64 },
    { PF_I64, PF_F32, i64_to_f32 }, { PF_I32, PF_F32, i32_to_f32 }, { PF_U8, PF_F32, u8_to_f32 },
    { PF_I8, PF_F32, i8_to_f32 },
};

static convert_fn *find_fast_path(pf_dtype from, pf_dtype to)
{
    for (size_t i = 0; i < sizeof fast_paths / sizeof fast_paths[0]; i++)
        if (fast_paths[i].from == from && fast_paths[i].to == to)
            return fast_paths[i].run;
    return NULL;
}

void pf_dtype_convert(pf_dtype from, const void *in, pf_dtype to, void *out, uint64_t count)
{
    convert_fn *fast = find_fast_path(from, to);
    bool        whole = access_of(from)->get_i64 && access_of(to)->set_i64;

    if (from == to)
        memcpy(out, in, pf_dtype_bytes(from, count));
    else if (fast)
        fast(in, out, count);
    else
        for (uint64_t i = 0; i < count; i++) {
            if (whole)
                pf_dtype_set_i64(to, out, i, pf_dtype_get_i64(from, in, i));
            else
                pf_dtype_set(to, out, i, pf_dtype_get(from, in, i));
        }
}
