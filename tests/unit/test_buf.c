#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "tests/test.h"

static void fields_are_little_endian(void **state)
{
    const uint8_t wanted[] = {0x12, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 8, 7, 6, 5, 4, 3, 2, 1,
                              0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2, 0, 0, 0, 'h', 'i', 1, 0, 0, 0, 0, 0, 0, 0, 9};
    pf_buf        buf;

    (void)state;
    pf_buf_init(&buf, 1000);
    assert_true(pf_buf_put_u8(&buf, 0x12));
    assert_true(pf_buf_put_u16(&buf, 0x1234));
    assert_true(pf_buf_put_u32(&buf, 0x12345678));
    assert_true(pf_buf_put_u64(&buf, UINT64_C(0x0102030405060708)));
    assert_true(pf_buf_put_f64(&buf, 1.0));
    assert_true(pf_buf_put_string(&buf, "hi"));
    assert_true(pf_buf_put_blob(&buf, "\x09", 1));
    assert_int_equal(buf.size, sizeof wanted);
    assert_memory_equal(buf.data, wanted, sizeof wanted);
    assert_int_equal(buf.data[buf.size], 0);
    pf_buf_clear(&buf);
}

static void what_is_written_is_read(void **state)
{
    pf_buf         buf;
    pf_reader      reader;
    char           text[8];
    size_t         bytes = 0;
    const uint8_t *blob = NULL;

    (void)state;
    pf_buf_init(&buf, SIZE_MAX);
    pf_buf_put_u8(&buf, 255);
    pf_buf_put_u16(&buf, 65535);
    pf_buf_put_u32(&buf, UINT32_MAX - 1);
    pf_buf_put_u64(&buf, UINT64_MAX - 1);
    pf_buf_put_f64(&buf, -INFINITY);
    pf_buf_put_string(&buf, "softmax");
    pf_buf_put_string(&buf, "");
    pf_buf_put_blob(&buf, "a\0b", 3);
    assert_false(buf.failed);
    pf_reader_init(&reader, buf.data, buf.size);
    assert_int_equal(pf_read_u8(&reader), 255);
    assert_int_equal(pf_read_u16(&reader), 65535);
    assert_int_equal(pf_read_u32(&reader), UINT32_MAX - 1);
    assert_true(pf_read_u64(&reader) == UINT64_MAX - 1);
    assert_true(pf_read_f64(&reader) == -INFINITY);
    assert_true(pf_read_string(&reader, text, sizeof text));     /* exactly fits */
    assert_string_equal(text, "softmax");
    assert_true(pf_read_string(&reader, text, sizeof text));
    assert_string_equal(text, "");
    assert_false(pf_reader_done(&reader));
    blob = pf_read_blob(&reader, &bytes);
    assert_int_equal(bytes, 3);
    assert_memory_equal(blob, "a\0b", 3);
    assert_true(pf_reader_done(&reader));
    pf_buf_clear(&buf);
}

static void the_limit_is_exact_and_failure_sticks(void **state)
{
    pf_buf buf;
    size_t bytes = 9;

    (void)state;
    pf_buf_init(&buf, 5);
    assert_true(pf_buf_put(&buf, "12345", 5));
    assert_true(pf_buf_put(&buf, NULL, 0));
    assert_false(pf_buf_put_u8(&buf, '6'));
    assert_true(buf.failed);
    assert_string_equal((char *)buf.data, "12345");
    pf_buf_reset(&buf);
    assert_true(pf_buf_put_u8(&buf, '1'));
    assert_false(pf_buf_put_u64(&buf, 2));
    assert_false(pf_buf_put_u8(&buf, '2'));     /* it would fit, but something is missing in front of it */
    assert_int_equal(buf.size, 1);
    assert_null(pf_buf_take(&buf, &bytes));
    assert_int_equal(bytes, 0);
    assert_true(pf_buf_put_u8(&buf, '1'));      /* taking empties the buffer and forgets the failure */
    pf_buf_clear(&buf);
}

static void every_kind_of_write_respects_the_limit(void **state)
{
    char   data[16] = "";
    pf_buf buf;

    (void)state;
    pf_buf_init(&buf, 3);
#define REFUSED(call) \
    assert_false(call); assert_true(buf.failed); assert_true(buf.size <= 3); pf_buf_reset(&buf)
    REFUSED(pf_buf_put(&buf, data, 4));
    REFUSED(pf_buf_put(&buf, data, SIZE_MAX));
    REFUSED(pf_buf_put_u32(&buf, 1));
    REFUSED(pf_buf_put_f64(&buf, 1));
    REFUSED(pf_buf_put_string(&buf, ""));
    REFUSED(pf_buf_put_blob(&buf, data, 0));
    REFUSED(pf_buf_printf(&buf, "%d", 1234));
    pf_buf_put_u8(&buf, 1);
    REFUSED(pf_buf_pad(&buf, 4));
#undef REFUSED
    pf_buf_clear(&buf);
}

static void padding(void **state)
{
    pf_buf buf;

    (void)state;
    pf_buf_init(&buf, 1000);
    assert_true(pf_buf_pad(&buf, 64));
    assert_int_equal(buf.size, 0);
    pf_buf_put(&buf, "abc", 3);
    pf_buf_pad(&buf, 64);
    assert_int_equal(buf.size, 64);
    for (int i = 3; i < 64; i++)
        assert_int_equal(buf.data[i], 0);
    pf_buf_pad(&buf, 64);
    assert_int_equal(buf.size, 64);
    pf_buf_clear(&buf);
}

static void text_grows(void **state)
{
    pf_buf   buf;
    size_t   bytes = 0;
    uint8_t *text = NULL;

    (void)state;
    pf_buf_init(&buf, 100000);
    for (int i = 0; i < 1000; i++)
        assert_true(pf_buf_printf(&buf, "%04d,", i));
    assert_int_equal(buf.size, 5000);
    assert_memory_equal(buf.data + 2500, "0500,0501,", 10);
    text = pf_buf_take(&buf, &bytes);
    assert_int_equal(bytes, 5000);
    assert_int_equal(strlen((char *)text), 5000);
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
    pf_free(text);
    text = pf_buf_take(&buf, &bytes);
    assert_string_equal((char *)text, "");
    assert_int_equal(bytes, 0);
    pf_free(text);
}

/* Whatever allocation fails, what was written before is intact, nothing leaks and the failure is kept. */
static void out_of_memory_anywhere(void **state)
{
    bool failed = true;

    (void)state;
    for (uint64_t n = 0; failed; n++) {
        pf_buf buf;

        assert_in_range(n, 0, 20);
        pf_buf_init(&buf, 100000);
        pf_alloc_fail_after(n);
        for (int i = 0; i < 1000; i++)
            pf_buf_put_u16(&buf, (uint16_t)i);
        pf_buf_printf(&buf, "%0200d", 1);
        pf_alloc_fail_after(UINT64_MAX);
        failed = buf.failed;
        for (size_t i = 0; i + 1 < buf.size && i < 2000; i += 2)
            assert_int_equal(buf.data[i] | buf.data[i + 1] << 8, i / 2);
        pf_buf_clear(&buf);
    }
}

static void reading_past_the_end_gives_zeros_and_sticks(void **state)
{
    const uint8_t data[] = {1, 2, 3};
    pf_reader     reader;
    size_t        bytes = 9;

    (void)state;
    pf_reader_init(&reader, data, sizeof data);
    assert_int_equal(pf_read_u16(&reader), 0x0201);
    assert_int_equal(pf_read_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(pf_read_u8(&reader), 0);   /* the third byte is not given any more */
    assert_null(pf_read_bytes(&reader, 0));
    assert_null(pf_read_blob(&reader, &bytes));
    assert_int_equal(bytes, 0);
    assert_false(pf_reader_done(&reader));
}

static void lengths_that_lie_are_refused(void **state)
{
    const uint8_t blob[] = {255, 255, 255, 255, 255, 255, 255, 255, 1, 2};
    const uint8_t text[] = {4, 0, 0, 0, 'a', 'b', 'c'};
    const uint8_t zero[] = {3, 0, 0, 0, 'a', 0, 'c'};
    const uint8_t fine[] = {3, 0, 0, 0, 'a', 'b', 'c'};
    char          out[4] = "x";
    size_t        bytes = 9;
    pf_reader     reader;

    (void)state;
    pf_reader_init(&reader, blob, sizeof blob);
    assert_null(pf_read_blob(&reader, &bytes));
    assert_int_equal(bytes, 0);
    pf_reader_init(&reader, text, sizeof text);
    assert_false(pf_read_string(&reader, out, sizeof out));
    assert_string_equal(out, "");
    pf_reader_init(&reader, zero, sizeof zero);
    assert_false(pf_read_string(&reader, out, sizeof out));
    pf_reader_init(&reader, fine, sizeof fine);
    assert_false(pf_read_string(&reader, out, 3));      /* no room for the zero behind it */
    assert_true(reader.failed);
    pf_reader_init(&reader, fine, sizeof fine);
    assert_true(pf_read_string(&reader, out, 4));
    assert_string_equal(out, "abc");
}

static void nothing_can_be_read_from_nothing(void **state)
{
    pf_reader reader;

    (void)state;
    pf_reader_init(&reader, NULL, 0);
    assert_true(pf_reader_done(&reader));
    assert_non_null(pf_read_bytes(&reader, 0));
    assert_true(pf_reader_done(&reader));
    assert_int_equal(pf_read_u8(&reader), 0);
    assert_false(pf_reader_done(&reader));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_little_endian),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_limit_is_exact_and_failure_sticks),
        cmocka_unit_test(every_kind_of_write_respects_the_limit),
        cmocka_unit_test(padding),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(out_of_memory_anywhere),
        cmocka_unit_test(reading_past_the_end_gives_zeros_and_sticks),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(nothing_can_be_read_from_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
