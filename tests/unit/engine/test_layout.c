#include "tests/test.h"

#include <string.h>

#include "engine/layout.h"

static pf_tensor tensor_of(pf_dtype dtype, int32_t rank, const int64_t *dim)
{
    pf_tensor t = { .dtype = dtype, .rank = rank };
    pf_err    err = { 0 };

    memcpy(t.dim, dim, (size_t)rank * sizeof *dim);
    test_ok(pf_tensor_alloc(&t, &err), &err);
    for (int64_t i = 0; i < pf_tensor_elems(&t); i++)
        pf_dtype_set_i64(dtype, t.data, (uint64_t)i, i % 7 + 1);
    return t;
}

static void names_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < PF_LAYOUT_COUNT; i++)
        assert_int_equal(pf_layout_from_name(pf_layout_name((pf_layout)i)), i);
    assert_int_equal(pf_layout_from_name("nchw"), PF_LAYOUT_COUNT);
}

static void bytes_count_padding(void **state)
{
    const int64_t dim[] = { 2, 20, 3, 5 };
    size_t        bytes = 0;
    pf_err        err = { 0 };

    (void)state;
    test_ok(pf_layout_bytes(PF_LAYOUT_CHANNELS_LAST, PF_F32, 4, dim, &bytes, &err), &err);
    assert_int_equal(bytes, 2 * 20 * 15 * 4);
    test_ok(pf_layout_bytes(PF_LAYOUT_C8, PF_F16, 4, dim, &bytes, &err), &err);
    assert_int_equal(bytes, 2 * 24 * 15 * 2);
    test_ok(pf_layout_bytes(PF_LAYOUT_C16, PF_F32, 4, dim, &bytes, &err), &err);
    assert_int_equal(bytes, 2 * 32 * 15 * 4);
    test_fails(pf_layout_bytes(PF_LAYOUT_C16, PF_F32, 2, dim, &bytes, &err), PF_INVALID, &err);
    assert_int_equal(bytes, 0);
}

/* Every element is found where the strides say that it lies, padding is zero, and unpacking gives back what was
   packed. */
static void check_places(pf_layout layout, const pf_tensor *t)
{
    size_t      bytes = 0;
    pf_err      err = { 0 };
    uint8_t     packed[4096], back[4096];
    pf_strides  s = pf_layout_strides(layout, t->rank, t->dim);
    int64_t     seen = 0;

    test_ok(pf_layout_bytes(layout, t->dtype, t->rank, t->dim, &bytes, &err), &err);
    assert_true(bytes <= sizeof packed);
    memset(packed, 0xff, sizeof packed);
    pf_layout_pack(layout, t, t->data, packed);
    for (int64_t i = 0; i < pf_tensor_elems(t); i++) {
        int64_t rest = i, at = 0;

        for (int32_t d = t->rank - 1; d >= 0; d--) {
            int64_t k = rest % t->dim[d];

            at += d == 1 && s.block > 1 ? k / s.block * s.dim[1] + k % s.block * s.in_block : k * s.dim[d];
            rest /= t->dim[d];
        }
        assert_int_equal(pf_dtype_get_i64(t->dtype, packed, (uint64_t)at),
                         pf_dtype_get_i64(t->dtype, t->data, (uint64_t)i));
    }
    for (uint64_t i = 0; i < bytes * 8 / pf_dtype_bits(t->dtype); i++)
        seen += pf_dtype_get_i64(t->dtype, packed, i) != 0;
    assert_int_equal(seen, pf_tensor_elems(t));             /* no element is zero, so what is more is padding */
    pf_layout_unpack(layout, t, packed, back);
    assert_memory_equal(back, t->data, t->bytes);
}

static void elements_lie_where_strides_say(void **state)
{
    static const pf_dtype dtypes[] = { PF_F32, PF_I8, PF_F16, PF_I64, PF_U4 };
    static const int64_t  dims[][5] = { { 2, 20, 3, 2 }, { 1, 16, 4 }, { 3, 5, 2, 2, 1 } };
    static const int32_t  ranks[] = { 4, 3, 5 };

    (void)state;
    for (size_t t = 0; t < sizeof dtypes / sizeof dtypes[0]; t++)
        for (size_t i = 0; i < 3; i++) {
            pf_tensor tensor = tensor_of(dtypes[t], ranks[i], dims[i]);

            for (int layout = 0; layout < PF_LAYOUT_COUNT; layout++)
                check_places((pf_layout)layout, &tensor);
            pf_tensor_clear(&tensor);
        }
}

static bool packs_the_same(pf_layout a, pf_layout b, const pf_tensor *t)
{
    uint8_t in_a[8192] = { 0 }, in_b[8192] = { 0 };
    size_t  bytes_a = 0, bytes_b = 0;
    pf_err  err = { 0 };

    test_ok(pf_layout_bytes(a, t->dtype, t->rank, t->dim, &bytes_a, &err), &err);
    test_ok(pf_layout_bytes(b, t->dtype, t->rank, t->dim, &bytes_b, &err), &err);
    pf_layout_pack(a, t, t->data, in_a);
    pf_layout_pack(b, t, t->data, in_b);
    return bytes_a == bytes_b && memcmp(in_a, in_b, bytes_a) == 0;
}

static void same_bytes_tells_the_truth(void **state)
{
    static const int64_t dims[][4] = { { 2, 16, 1, 1 }, { 1, 16, 3, 2 }, { 2, 1, 3, 2 }, { 1, 32, 1, 1 },
                                       { 1, 20, 1, 1 }, { 1, 8, 2, 3 }, { 1, 32, 2, 1 }, { 3, 3, 2, 2 } };

    (void)state;
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        pf_tensor t = tensor_of(PF_I16, 4, dims[i]);
        pf_shape  shape = { .rank = 4 };

        for (int64_t k = 0; k < pf_tensor_elems(&t); k++)
            ((int16_t *)t.data)[k] = (int16_t)(k + 1);
        memcpy(shape.dim, dims[i], sizeof dims[i]);
        for (int a = 0; a < PF_LAYOUT_COUNT; a++)
            for (int b = 0; b < PF_LAYOUT_COUNT; b++)
                assert_int_equal(pf_layout_same_bytes((pf_layout)a, (pf_layout)b, &shape),
                                 packs_the_same((pf_layout)a, (pf_layout)b, &t));
        pf_tensor_clear(&t);
    }
}

/* Of few dims every kind is one, but not every pitch. */
static void another_pitch_is_other_bytes(void **state)
{
    const pf_shape  row = { .rank = 2, .dim = { 2, 16 } }, image = { .rank = 4, .dim = { 1, 16, 3, 2 } };
    const pf_layout wide = pf_layout_pitched(PF_LAYOUT_LINEAR, 32), wider = pf_layout_pitched(PF_LAYOUT_LINEAR, 48);

    (void)state;
    assert_true(pf_layout_same_bytes(PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST, &row));
    assert_true(pf_layout_same_bytes(wide, pf_layout_pitched(PF_LAYOUT_CHANNELS_LAST, 32), &row));
    assert_false(pf_layout_same_bytes(PF_LAYOUT_LINEAR, wide, &row));
    assert_false(pf_layout_same_bytes(wide, wider, &row));
    assert_true(pf_layout_same_bytes(wide, wide, &image));
    assert_false(pf_layout_same_bytes(PF_LAYOUT_LINEAR, wide, &image));
}

/* Is the slice of the whole, laid out on its own, to be found in the whole where pf_layout_part says, and nowhere when
   it says so? */
static void check_part(pf_layout layout, const pf_tensor *t, int32_t axis, int64_t start, int64_t count)
{
    static _Alignas(64) uint8_t whole[1 << 16], own[1 << 16];
    pf_shape                    shape = { .rank = t->rank };
    pf_tensor                   part = *t;
    size_t                      bytes = 0;
    uint64_t                    at = 0;
    int64_t                     outer = 1, inner = 1;
    pf_err                      err = { 0 };

    memcpy(shape.dim, t->dim, sizeof shape.dim);
    if (!pf_layout_part(layout, t->dtype, &shape, axis, start, count, &at))
        return;
    part.dim[axis] = count;
    test_ok(pf_tensor_alloc(&part, &err), &err);
    for (int32_t d = 0; d < t->rank; d++)
        *(d < axis ? &outer : &inner) *= d == axis ? 1 : t->dim[d];
    for (int64_t i = 0; i < outer; i++)
        memcpy((float *)part.data + i * count * inner, (float *)t->data + (i * t->dim[axis] + start) * inner,
               (size_t)(count * inner) * sizeof(float));
    test_ok(pf_layout_bytes(layout, t->dtype, t->rank, part.dim, &bytes, &err), &err);
    pf_layout_pack(layout, t, t->data, whole);
    pf_layout_pack(layout, &part, part.data, own);
    assert_true(at % PF_LAYOUT_PART_ALIGNMENT == 0 && at + bytes <= sizeof whole);
    assert_memory_equal(whole + at, own, bytes);
    pf_tensor_clear(&part);
}

static void parts_lie_where_they_should(void **state)
{
    static const int64_t dims[][4] = { { 1, 48, 2, 4 }, { 2, 32, 1, 3 }, { 3, 16, 4, 4 }, { 1, 20, 1, 16 },
                                       { 4, 8, 1, 1 }, { 1, 1, 5, 16 }, { 1, 24, 1, 1 } };

    (void)state;
    for (size_t s = 0; s < sizeof dims / sizeof dims[0]; s++) {
        pf_tensor t = tensor_of(PF_F32, 4, dims[s]);

        for (int64_t i = 0; i < pf_tensor_elems(&t); i++)
            ((float *)t.data)[i] = (float)(i + 1);
        for (int layout = 0; layout < PF_LAYOUT_COUNT; layout++)
            for (int32_t axis = 0; axis < 4; axis++)
                for (int64_t start = 0; start < dims[s][axis]; start++)
                    for (int64_t count = 1; start + count <= dims[s][axis]; count++)
                        check_part((pf_layout)layout, &t, axis, start, count);
        pf_tensor_clear(&t);
    }
}

/* What is known to lie in one piece is found. */
static void parts_are_found(void **state)
{
    const pf_shape image = { 4, { 1, 64, 14, 14 } }, batch = { 4, { 2, 64, 14, 14 } }, odd = { 4, { 1, 40, 14, 14 } };
    uint64_t       at = 0;

    (void)state;
    assert_true(pf_layout_part(PF_LAYOUT_C16, PF_F32, &image, 1, 16, 16, &at));
    assert_int_equal(at, 16 * 14 * 14 * 4);
    assert_true(pf_layout_part(PF_LAYOUT_LINEAR, PF_F32, &image, 1, 4, 7, &at));
    assert_int_equal(at, 4 * 14 * 14 * 4);
    assert_true(pf_layout_part(PF_LAYOUT_CHANNELS_LAST, PF_F32, &batch, 0, 1, 1, &at));
    assert_int_equal(at, 64 * 14 * 14 * 4);
    assert_true(pf_layout_part(PF_LAYOUT_C16, PF_F32, &odd, 1, 32, 8, &at));        /* with the padding at the end */
    assert_false(pf_layout_part(PF_LAYOUT_C16, PF_F32, &odd, 1, 16, 8, &at));
    assert_false(pf_layout_part(PF_LAYOUT_C16, PF_F32, &image, 1, 8, 16, &at));
    assert_false(pf_layout_part(PF_LAYOUT_C16, PF_F32, &batch, 1, 16, 16, &at));
    assert_false(pf_layout_part(PF_LAYOUT_CHANNELS_LAST, PF_F32, &image, 1, 16, 16, &at));
    assert_false(pf_layout_part(PF_LAYOUT_LINEAR, PF_F32, &image, 1, 60, 5, &at));
    assert_false(pf_layout_part(PF_LAYOUT_LINEAR, PF_I4, &image, 1, 16, 16, &at));
}

/* ---- Values in wider ones */

/* Channels from start on, in a whole of that layout: they are found where pf_layout_channels says, and writing them
   changes nothing else. */
static uint32_t check_channels(pf_layout kind, const pf_tensor *t, int64_t start, int64_t count)
{
    pf_shape  shape = { .rank = t->rank };
    pf_tensor part = *t;
    uint8_t   whole[8192], before[8192], linear[8192], back[8192];
    size_t    whole_bytes = 0, bytes = 0, item = pf_dtype_bits(t->dtype) / 8, run = 0;
    uint64_t  at = 0;
    pf_layout layout = pf_layout_pitched(kind, t->dim[1]);
    pf_err    err = { 0 };

    memcpy(shape.dim, t->dim, sizeof shape.dim);
    if (!pf_layout_channels(kind, t->dtype, &shape, start, count, &at))
        return 0;
    part.dim[1] = shape.dim[1] = count;
    assert_true(pf_layout_takes(layout, &shape));
    test_ok(pf_layout_bytes(kind, t->dtype, t->rank, t->dim, &whole_bytes, &err), &err);
    test_ok(pf_layout_bytes(layout, t->dtype, t->rank, part.dim, &bytes, &err), &err);
    assert_true(whole_bytes <= sizeof whole && at + bytes <= whole_bytes);
    assert_true(start + count < t->dim[1] || at + bytes == whole_bytes);
    pf_layout_pack(kind, t, t->data, whole);
    memcpy(before, whole, whole_bytes);
    test_ok(pf_tensor_measure(&part, &err), &err);
    pf_layout_unpack(layout, &part, whole + at, linear);
    run = part.bytes / (size_t)t->dim[0];
    for (int64_t n = 0; n < t->dim[0]; n++)
        assert_memory_equal(linear + (size_t)n * run,
                            (uint8_t *)t->data + (size_t)(n * t->dim[1] + start) * run / (size_t)count, run);
    for (size_t i = 0; i < part.bytes; i++)
        linear[i] ^= 0xff;
    pf_layout_pack(layout, &part, linear, whole + at);
    pf_layout_unpack(kind, t, whole, back);
    for (int64_t i = 0; i < pf_tensor_elems(t); i++) {
        int64_t channel = i / (pf_tensor_elems(t) / t->dim[0] / t->dim[1]) % t->dim[1];
        bool    own = channel >= start && channel < start + count;

        assert_int_equal(memcmp(back + (size_t)i * item, (uint8_t *)t->data + (size_t)i * item, item) != 0, own);
    }
    pf_layout_pack(layout, &part, linear, whole + at);
    for (size_t i = 0; i < part.bytes; i++)
        linear[i] ^= 0xff;
    pf_layout_pack(layout, &part, linear, whole + at);
    assert_memory_equal(whole, before, whole_bytes);
    return 1;
}

static void channels_lie_in_wider_values(void **state)
{
    static const int64_t dims[][4] = { { 2, 64, 2, 4 }, { 3, 32, 4, 1 }, { 1, 48, 1, 4 } };
    uint32_t             found = 0;

    (void)state;
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++)
        for (int layout = 0; layout < PF_LAYOUT_COUNT; layout++)
            for (int64_t start = 0; start < dims[i][1]; start += 8)
                for (int64_t count = 8; start + count <= dims[i][1]; count += 8) {
                    pf_tensor t = tensor_of(PF_F32, 4, dims[i]);

                    found += check_channels((pf_layout)layout, &t, start, count);
                    pf_tensor_clear(&t);
                }
    assert_true(found > 50);
}

static void channels_are_refused(void **state)
{
    pf_shape image = { .rank = 4, .dim = { 2, 64, 2, 4 } };
    uint64_t at = 0;

    (void)state;
    assert_false(pf_layout_channels(PF_LAYOUT_C16, PF_F32, &image, 8, 16, &at));         /* inside a block */
    assert_false(pf_layout_channels(PF_LAYOUT_C16, PF_F32, &image, 16, 8, &at));
    assert_false(pf_layout_channels(PF_LAYOUT_LINEAR, PF_F32, &image, 60, 5, &at));      /* past the last channel */
    assert_false(pf_layout_channels(PF_LAYOUT_LINEAR, PF_F32, &image, INT64_MAX - 3, 5, &at));
    assert_false(pf_layout_channels(PF_LAYOUT_LINEAR, PF_F32, &image, -16, 16, &at));
    assert_false(pf_layout_channels(PF_LAYOUT_CHANNELS_LAST, PF_F32, &image, 4, 16, &at));       /* not aligned */
    assert_true(pf_layout_channels(PF_LAYOUT_CHANNELS_LAST, PF_F32, &image, 8, 16, &at));
    assert_int_equal(at, 32);
    image.dim[2] = INT64_MAX / 8;
    assert_false(pf_layout_channels(PF_LAYOUT_LINEAR, PF_F32, &image, 16, 16, &at));
    assert_true(pf_layout_channels(PF_LAYOUT_CHANNELS_LAST, PF_F32, &image, 16, 16, &at));
    assert_int_equal(at, 64);
}

static void pitches_have_names(void **state)
{
    pf_layout layout = pf_layout_pitched(PF_LAYOUT_C16, 256);

    (void)state;
    assert_string_equal(pf_layout_print(layout).at, "c16:256");
    assert_int_equal(pf_layout_from_name("c16:256"), layout);
    assert_int_equal(pf_layout_kind(layout), PF_LAYOUT_C16);
    assert_int_equal(pf_layout_pitch(layout), 256);
    assert_true(pf_layout_fits(layout, 4));
    assert_false(pf_layout_fits(layout, 2));
    assert_false(pf_layout_fits(pf_layout_from_name("c16:24"), 4));
    assert_true(pf_layout_fits(pf_layout_from_name("linear:24"), 2));
    assert_false(pf_layout_fits(pf_layout_from_name("linear:24"), 1));
    assert_int_equal(pf_layout_from_name("c16:"), PF_LAYOUT_COUNT);
    assert_int_equal(pf_layout_from_name("c16:0"), PF_LAYOUT_COUNT);
    assert_int_equal(pf_layout_from_name("c16:016"), PF_LAYOUT_COUNT);
    assert_int_equal(pf_layout_from_name("c16:16x"), PF_LAYOUT_COUNT);
    assert_int_equal(pf_layout_from_name("c16:99999999999"), PF_LAYOUT_COUNT);
    assert_int_equal(pf_layout_from_name("nchw:16"), PF_LAYOUT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(parts_lie_where_they_should),
        cmocka_unit_test(parts_are_found), cmocka_unit_test(bytes_count_padding),
        cmocka_unit_test(elements_lie_where_strides_say), cmocka_unit_test(same_bytes_tells_the_truth),
        cmocka_unit_test(another_pitch_is_other_bytes),
        cmocka_unit_test(channels_lie_in_wider_values),
        cmocka_unit_test(channels_are_refused),
        cmocka_unit_test(pitches_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
