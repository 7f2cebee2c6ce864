#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "engine/dtype.h"
#include "tests/test.h"

/* Every number of a small float type, found by decoding every code: what rounding is checked against. */
typedef struct value_table { uint32_t count; struct { double value; uint32_t code; } at[65536]; } value_table;

static uint32_t code_count(pf_dtype dtype) { return 1u << pf_dtype_bits(dtype); }

static double decode(pf_dtype dtype, uint32_t code)
{
    uint16_t wide = (uint16_t)code;
    uint8_t  narrow = (uint8_t)code;

    return pf_dtype_get(dtype, pf_dtype_bits(dtype) == 16 ? (void *)&wide : (void *)&narrow, 0);
}

static uint32_t encode(pf_dtype dtype, double value)
{
    uint16_t wide = 0;
    uint8_t  narrow = 0;

    if (pf_dtype_bits(dtype) == 16) {
        pf_dtype_set(dtype, &wide, 0, value);
        return wide;
    }
    pf_dtype_set(dtype, &narrow, 0, value);
    return narrow;
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Finite values, ascending; of the two zeros only the positive one. */
static void fill_table(pf_dtype dtype, value_table *table)
{
    table->count = 0;
    for (uint32_t code = 0; code < code_count(dtype); code++) {
        double value = decode(dtype, code);

        if (!isfinite(value) || (value == 0 && signbit(value)))
            continue;
        table->at[table->count].value = value;
        table->at[table->count++].code = code;
    }
    qsort(table->at, table->count, sizeof table->at[0], compare_values);
}

/* Nearest by search, ties to the even code. */
static uint32_t nearest(const value_table *table, double value)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < table->count; i++) {
        double here = fabs(table->at[i].value - value), there = fabs(table->at[best].value - value);

        if (here < there || (here == there && table->at[i].code % 2 == 0))
            best = i;
    }
    return table->at[best].code;
}

static const pf_dtype small[] = { PF_F8E4M3FN, PF_F8E4M3FNUZ, PF_F8E5M2, PF_F8E5M2FNUZ, PF_F4E2M1 };
enum { SMALL_COUNT = sizeof small / sizeof small[0] };

/* What the standards say of each type. */
static void test_limits(void **state)
{
    static const struct { pf_dtype dtype; double max, least_normal, least; } rows[] = {
        { PF_F16, 65504, 6.103515625e-05, 5.9604644775390625e-08 },
        { PF_BF16, 3.3895313892515355e38, 1.1754943508222875e-38, 9.183549615799121e-41 },
        { PF_F8E4M3FN, 448, 0.015625, 0.001953125 },
        { PF_F8E4M3FNUZ, 240, 0.0078125, 0.0009765625 },
        { PF_F8E5M2, 57344, 6.103515625e-05, 1.52587890625e-05 },
        { PF_F8E5M2FNUZ, 57344, 3.0517578125e-05, 7.62939453125e-06 },
        { PF_F4E2M1, 6, 1, 0.5 },
    };
    static value_table table;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t zero = 0;

        fill_table(rows[i].dtype, &table);
        while (table.at[zero].value < 0)
            zero++;
        assert_true(table.at[table.count - 1].value == rows[i].max);
        assert_true(table.at[0].value == -rows[i].max);
        assert_true(table.at[zero].value == 0 && table.at[zero + 1].value == rows[i].least);
        assert_true(decode(rows[i].dtype, encode(rows[i].dtype, rows[i].least_normal)) == rows[i].least_normal);
    }
    assert_true(decode(PF_F8E8M0, 0) == ldexp(1, -127) && decode(PF_F8E8M0, 254) == ldexp(1, 127) &&
                isnan(decode(PF_F8E8M0, 255)));
}

static void test_small_codes_round_trip(void **state)
{
    (void)state;
    for (int t = 0; t < SMALL_COUNT; t++)
        for (uint32_t code = 0; code < code_count(small[t]); code++) {
            double   value = decode(small[t], code);
            uint32_t back = encode(small[t], value);

            if (isnan(value))
                assert_true(isnan(decode(small[t], back)));
            else if (isinf(value))       /* saturates by design */
                assert_true(fabs(decode(small[t], back)) == 57344);
            else
                assert_int_equal(back, code);
        }
    for (uint32_t code = 0; code < 255; code++)
        assert_int_equal(encode(PF_F8E8M0, decode(PF_F8E8M0, code)), code);
}

/* Between all neighbours: the exact middle, a hair below and above it. */
static void test_small_rounding(void **state)
{
    static value_table table;

    (void)state;
    for (int t = 0; t < SMALL_COUNT; t++) {
        fill_table(small[t], &table);
        for (uint32_t i = 0; i + 1 < table.count; i++) {
            double a = table.at[i].value, b = table.at[i + 1].value, middle = (a + b) / 2;

            double probes[] = { middle, nextafter(middle, a), nextafter(middle, b), a + (b - a) * 0.3 };
            for (size_t p = 0; p < sizeof probes / sizeof probes[0]; p++) {
                double got = decode(small[t], encode(small[t], probes[p])),
                       want = decode(small[t], nearest(&table, probes[p]));

                if (got != want)
                    fail_msg("%s: %.17g became %g, nearest is %g", pf_dtype_name(small[t]), probes[p], got, want);
            }
        }
        assert_true(decode(small[t], encode(small[t], 1e30)) == table.at[table.count - 1].value);
        assert_true(decode(small[t], encode(small[t], -INFINITY)) == table.at[0].value);
    }
}

static void check_16(pf_dtype dtype, float (*widen)(uint16_t), uint16_t (*narrow)(float))
{
    for (uint32_t code = 0; code < 65536; code++) {
        double value = decode(dtype, code);
        float  wide = widen((uint16_t)code);

        if (isnan(value)) {
            assert_true(isnan(wide) && isnan(widen(narrow(wide))));
            continue;
        }
        assert_true((double)wide == value && !signbit(wide) == !signbit(value));
        assert_int_equal(narrow(wide), code);
        assert_int_equal(encode(dtype, value), code);
    }
}

static void test_16_bits_all_codes(void **state)
{
    (void)state;
    check_16(PF_F16, pf_f16_to_f32, pf_f16_from_f32);
    check_16(PF_BF16, pf_bf16_to_f32, pf_bf16_from_f32);
    assert_true(pf_f16_to_f32(0x3c00) == 1 && pf_f16_to_f32(0xc000) == -2 && pf_bf16_to_f32(0x3f80) == 1);
}

/* Neighbouring codes of one sign: their middle goes to the even one, a hair to either side to the nearer one. */
static void check_16_rounding(pf_dtype dtype, uint16_t (*narrow)(float), uint32_t last)
{
    for (uint32_t code = 0; code < last; code++) {
        double low = decode(dtype, code), high = decode(dtype, code + 1), middle = (low + high) / 2;
        uint32_t even = code % 2 ? code + 1 : code;

        assert_int_equal(encode(dtype, middle), even);
        assert_int_equal(encode(dtype, nextafter(middle, low)), code);
        assert_int_equal(encode(dtype, nextafter(middle, high)), code + 1);
        assert_int_equal(narrow((float)middle), even);           /* a float holds the middle exactly */
        assert_int_equal(narrow(nextafterf((float)middle, (float)low)), code);
        assert_int_equal(narrow(nextafterf((float)middle, (float)high)), code + 1);
        assert_int_equal(encode(dtype, -middle), even | 0x8000);
    }
}

static void test_16_bits_rounding(void **state)
{
    (void)state;
    check_16_rounding(PF_F16, pf_f16_from_f32, 0x7bff);
    check_16_rounding(PF_BF16, pf_bf16_from_f32, 0x7f7f);
    assert_int_equal(pf_f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(pf_f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(encode(PF_F16, 65520), 0x7c00);
    assert_int_equal(encode(PF_BF16, 1e39), 0x7f80);
}

static void test_integers(void **state)
{
    static const struct { pf_dtype dtype; double in; int64_t out; } rows[] = {
        { PF_I8, 200, 127 },   { PF_I8, -200, -128 }, { PF_I8, -1.9, -1 },        { PF_U8, -3, 0 },
        { PF_U8, 255.9, 255 },
        { PF_I4, 9, 7 },       { PF_I4, -9, -8 },     { PF_U4, 99, 15 },          { PF_I2, 5, 1 },
        { PF_U2, 2.9, 2 },
        { PF_I32, 1e20, INT32_MAX }, { PF_I64, 1e30, INT64_MAX }, { PF_I64, -1e30, INT64_MIN }, { PF_I16, NAN, 0 },
        { PF_BOOL, 0.25, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t data = 0;

        pf_dtype_set(rows[i].dtype, &data, 0, rows[i].in);
        assert_int_equal(pf_dtype_get_i64(rows[i].dtype, &data, 0), rows[i].out);
    }
    uint64_t big = 0;
    pf_dtype_set(PF_U64, &big, 0, 1e19);
    assert_true(big == UINT64_C(10000000000000000000) && pf_dtype_get(PF_U64, &big, 0) == 1e19);
}

/* Integers keep their low bits, as ONNX's Cast says: 200 as int8 is -56. */
static void test_integer_casts(void **state)
{
    int16_t in[3] = { 200, -1, 300 };
    int8_t  out[3] = { 0 };
    uint8_t bytes[3] = { 0 };

    (void)state;
    pf_dtype_convert(PF_I16, in, PF_I8, out, 3);
    assert_int_equal(out[0], -56);
    assert_int_equal(out[2], 44);
    pf_dtype_convert(PF_I16, in, PF_U8, bytes, 3);
    assert_int_equal(bytes[1], 255);
}

static void test_packed(void **state)
{
    uint8_t data[4] = { 0 };

    (void)state;
    assert_int_equal(pf_dtype_bytes(PF_I4, 7), 4);
    assert_int_equal(pf_dtype_bytes(PF_U2, 5), 2);
    for (int i = 0; i < 7; i++)
        pf_dtype_set_i64(PF_I4, data, (uint64_t)i, i - 4);
    for (int i = 0; i < 7; i++)
        assert_int_equal(pf_dtype_get_i64(PF_I4, data, (uint64_t)i), i - 4);
    assert_int_equal(data[0], 0xdc);     /* the first element in the low half */
}

/* The fast paths answer what single elements answer. */
static void test_convert(void **state)
{
    static const pf_dtype all[] = { PF_F32, PF_F64, PF_F16, PF_BF16, PF_I8, PF_U8, PF_I32, PF_I64, PF_BOOL,
                                    PF_F8E4M3FN };
    enum { COUNT = 257, TYPES = sizeof all / sizeof all[0] };
    uint64_t  in[COUNT] = { 0 }, fast[COUNT], slow[COUNT];
    pf_random random;

    (void)state;
    pf_random_init(&random, 5);
    for (int from = 0; from < TYPES; from++)
        for (int to = 0; to < TYPES; to++) {
            memset(fast, 0, sizeof fast);
            memset(slow, 0, sizeof slow);
            for (uint64_t i = 0; i < COUNT; i++)
                pf_dtype_set(all[from], in, i, pf_random_normal(&random) * 100);
            pf_dtype_convert(all[from], in, all[to], fast, COUNT);
            for (uint64_t i = 0; i < COUNT; i++) {
                bool whole = !pf_dtype_is_float(all[from]) && !pf_dtype_is_float(all[to]);

                if (whole)
                    pf_dtype_set_i64(all[to], slow, i, pf_dtype_get_i64(all[from], in, i));
                else
                    pf_dtype_set(all[to], slow, i, pf_dtype_get(all[from], in, i));
            }
            if (from != to)
                assert_memory_equal(fast, slow, pf_dtype_bytes(all[to], COUNT));
        }
}

static void test_names(void **state)
{
    (void)state;
    for (int dtype = PF_DTYPE_NONE + 1; dtype < PF_DTYPE_COUNT; dtype++) {
        assert_int_equal(pf_dtype_from_name(pf_dtype_name((pf_dtype)dtype)), dtype);
        assert_int_equal(pf_dtype_from_onnx(pf_dtype_to_onnx((pf_dtype)dtype)), dtype);
    }
    assert_int_equal(pf_dtype_from_name("float"), PF_DTYPE_NONE);
    assert_int_equal(pf_dtype_from_onnx(99), PF_DTYPE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),            cmocka_unit_test(test_small_codes_round_trip),
        cmocka_unit_test(test_small_rounding),
        cmocka_unit_test(test_16_bits_all_codes), cmocka_unit_test(test_16_bits_rounding),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_integer_casts),     cmocka_unit_test(test_packed),
        cmocka_unit_test(test_convert), cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
