#include "client/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "client/tensor_file.h"
#include "tests/test.h"

/* A file of format 1.0 with that dictionary and data. */
static size_t make_file(uint8_t *out, const char *dictionary, const void *data, size_t bytes)
{
    size_t length = strlen(dictionary);

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)length;
    out[9] = (uint8_t)(length >> 8);
    memcpy(out + 10, dictionary, length);
    memcpy(out + 10 + length, data, bytes);
    return 10 + length + bytes;
}

static pf_status parse(const char *dictionary, const void *data, size_t bytes, pf_dtype wanted, pf_tensor *out,
                       pf_err *err)
{
    uint8_t file[1024];

    return pf_npy_parse(file, make_file(file, dictionary, data, bytes), wanted, out, err);
}

static void every_type_comes_back(void **state)
{
    (void)state;
    for (int dtype = PF_DTYPE_NONE + 1; dtype < PF_DTYPE_COUNT; dtype++) {
        pf_tensor tensor = {.dtype = (pf_dtype)dtype, .rank = 2, .dim = {3, 5}}, back = {0};
        pf_buf    file;
        pf_err    err = {0};

        if (dtype == PF_STRING)
            continue;
        test_ok(pf_tensor_alloc(&tensor, &err), &err);
        if (dtype == PF_C64 || dtype == PF_C128)
            memset(tensor.data, 0x3c, tensor.bytes);
        else
            pf_tensor_fill_random(&tensor, 5);
        pf_buf_init(&file, SIZE_MAX);
        test_ok(pf_npy_print(&tensor, &file, &err), &err);
        test_ok(pf_npy_parse(file.data, file.size, tensor.dtype, &back, &err), &err);
        assert_int_equal(back.dtype, tensor.dtype);
        assert_true(pf_tensor_same_shape(&back, &tensor));
        assert_int_equal(back.bytes, tensor.bytes);
        for (uint64_t i = 0; i < 15; i++)
            assert_true(pf_dtype_get(tensor.dtype, tensor.data, i) == pf_dtype_get(back.dtype, back.data, i));
        pf_buf_clear(&file);
        pf_tensor_clear(&tensor);
        pf_tensor_clear(&back);
    }
}

static void the_header_is_padded_as_numpy_does(void **state)
{
    pf_tensor tensor = {.dtype = PF_F32, .rank = 1, .dim = {3}};
    pf_buf    file;
    pf_err    err = {0};
    const char *expected = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";

    (void)state;
    test_ok(pf_tensor_alloc(&tensor, &err), &err);
    pf_buf_init(&file, SIZE_MAX);
    test_ok(pf_npy_print(&tensor, &file, &err), &err);
    assert_int_equal(file.size, 128 + 12);
    assert_memory_equal(file.data, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(file.data + 10, expected, strlen(expected));
    assert_int_equal(file.data[127], '\n');
    pf_buf_clear(&file);
    pf_tensor_clear(&tensor);
}

static void shapes_of_all_ranks_are_read(void **state)
{
    static const int32_t data[24] = {1, 2, 3, 4, 5, 6};
    pf_tensor tensor = {0};
    pf_err    err = {0};

    (void)state;
    test_ok(parse("{'descr': '<i4', 'fortran_order': False, 'shape': (), }", data, 4, PF_DTYPE_NONE, &tensor, &err),
            &err);
    assert_int_equal(tensor.rank, 0);
    assert_int_equal(*(int32_t *)tensor.data, 1);
    pf_tensor_clear(&tensor);
    test_ok(parse("{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<i4\"}", data, 24, PF_DTYPE_NONE, &tensor,
                  &err),
            &err);
    assert_int_equal(tensor.rank, 2);
    pf_tensor_clear(&tensor);
    test_ok(parse("{'descr': '<i4', 'fortran_order': False, 'shape': (2L, 0L), }", data, 0, PF_DTYPE_NONE, &tensor,
                  &err),
            &err);
    assert_int_equal(pf_tensor_elems(&tensor), 0);
    pf_tensor_clear(&tensor);
}

static void fortran_order_is_turned(void **state)
{
    static const int32_t data[6] = {0, 10, 1, 11, 2, 12};       /* columns of a 2 x 3 matrix */
    static const int32_t rows[6] = {0, 1, 2, 10, 11, 12};
    pf_tensor tensor = {0};
    pf_err    err = {0};

    (void)state;
    test_ok(parse("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }", data, 24, PF_DTYPE_NONE, &tensor, &err),
            &err);
    assert_memory_equal(tensor.data, rows, sizeof rows);
    pf_tensor_clear(&tensor);
}

static void longer_headers_are_read(void **state)
{
    const char *dictionary = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n";
    uint8_t     file[256] = "\x93NUMPY\x03\x00";
    size_t      length = strlen(dictionary);
    pf_tensor   tensor = {0};
    pf_err      err = {0};

    (void)state;
    file[8] = (uint8_t)length;
    memcpy(file + 12, dictionary, length);
    memcpy(file + 12 + length, "\x05\x06", 2);
    test_ok(pf_npy_parse(file, 12 + length + 2, PF_DTYPE_NONE, &tensor, &err), &err);
    assert_int_equal(((uint8_t *)tensor.data)[1], 6);
    pf_tensor_clear(&tensor);
}

static void what_is_not_known_is_said(void **state)
{
    static const struct { const char *dictionary; pf_status status; const char *says; } rows[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", PF_UNSUPPORTED, "big-endian"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", PF_UNSUPPORTED, "objects"},
        {"{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }", PF_UNSUPPORTED, "M8[s]"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", PF_UNSUPPORTED, "records"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", PF_UNSUPPORTED, "dims"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", PF_INVALID, "cut short"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", PF_INVALID, "\"x\""},
        {"{'descr': '<f4', 'fortran_order': False, }", PF_INVALID, "lacks"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", PF_INVALID, "twice"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", PF_INVALID, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", PF_INVALID, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", PF_INVALID, "elements"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904, 4), }", PF_INVALID, NULL},
        {"{'descr': '<f4', 'fortran_order': Perhaps, 'shape': (1,), }", PF_INVALID, "fortran_order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } and more", PF_INVALID, "behind"},
        {"not a dictionary", PF_INVALID, "dictionary"},
        {"", PF_INVALID, "dictionary"},
    };
    pf_tensor tensor = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pf_err    err = {0};
        pf_status status = parse(rows[i].dictionary, "\0\0\0\0", 4, PF_DTYPE_NONE, &tensor, &err);

        if (rows[i].says && !strstr(err.msg, rows[i].says))
            fail_msg("%s: %s", rows[i].dictionary, err.msg);
        test_fails(status, rows[i].status, &err);
        pf_tensor_clear(&tensor);
    }
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    uint8_t file[256];
    size_t  bytes = make_file(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", "0123456789abcdef",
                              16);

    (void)state;
    for (size_t i = 0; i < bytes; i++) {
        pf_tensor tensor = {0};
        uint8_t  *exact = malloc(i ? i : 1);     /* so that a read past the end is seen */

        memcpy(exact, file, i);
        assert_true(pf_npy_parse(exact, i, PF_DTYPE_NONE, &tensor, NULL) != PF_OK);
        pf_tensor_clear(&tensor);
        free(exact);
    }
}

static void any_changed_byte_is_survived(void **state)
{
    uint8_t file[256];
    size_t  bytes = make_file(file, "{'descr': '<U2', 'fortran_order': False, 'shape': (1, 2), }",
                              "a\0\0\0b\0\0\0c\0\0\0\0\0\0\0", 16);

    (void)state;
    for (size_t i = 0; i < bytes; i++)
        for (int value = 0; value < 256; value += 5) {
            pf_tensor tensor = {0};
            uint8_t   kept = file[i];

            file[i] = (uint8_t)value;
            pf_npy_parse(file, bytes, PF_DTYPE_NONE, &tensor, NULL);
            pf_tensor_clear(&tensor);
            file[i] = kept;
        }
}

static void strings_come_back(void **state)
{
    const char *const texts[] = {"plain", "", "gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac \xf0\x9f\x98\x80"};
    pf_tensor tensor = {.dtype = PF_STRING, .rank = 1, .dim = {4}, .data = (void *)texts}, back = {0};
    pf_buf    file;
    pf_err    err = {0};

    (void)state;
    pf_buf_init(&file, SIZE_MAX);
    test_ok(pf_npy_print(&tensor, &file, &err), &err);
    assert_non_null(strstr((const char *)file.data + 10, "'<U5'"));
    test_ok(pf_npy_parse(file.data, file.size, PF_STRING, &back, &err), &err);
    for (int i = 0; i < 4; i++)
        assert_string_equal(((char **)back.data)[i], texts[i]);
    pf_tensor_clear(&back);
    pf_buf_clear(&file);
    test_ok(parse("{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }", "abcd\0\0", 6, PF_DTYPE_NONE, &back,
                  &err),
            &err);
    assert_string_equal(((char **)back.data)[0], "abc");
    assert_string_equal(((char **)back.data)[1], "d");
    pf_tensor_clear(&back);
}

/* Too great a code, a surrogate, more bytes than needed, a lead of five bytes: each byte stands for itself, as in
   Latin-1. */
static void bytes_that_are_no_text_are_written_one_by_one(void **state)
{
    static const char *const rows[][2] = {
        {"\xf4\x90\x80\x80", "\xc3\xb4\xc2\x90\xc2\x80\xc2\x80"}, {"\xed\xa0\x80", "\xc3\xad\xc2\xa0\xc2\x80"},
        {"\xc0\xaf", "\xc3\x80\xc2\xaf"},
        {"\xfc\x93\x90\xb0", "\xc3\xbc\xc2\x93\xc2\x90\xc2\xb0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pf_tensor tensor = {.dtype = PF_STRING, .rank = 0, .data = (void *)&rows[i][0]}, back = {0};
        pf_buf    file;
        pf_err    err = {0};

        pf_buf_init(&file, 4096);
        test_ok(pf_npy_print(&tensor, &file, &err), &err);
        test_ok(pf_npy_parse(file.data, file.size, PF_STRING, &back, &err), &err);
        assert_string_equal(((char **)back.data)[0], rows[i][1]);
        pf_tensor_clear(&back);
        pf_buf_clear(&file);
    }
}

static void small_integers_are_read_as_wanted(void **state)
{
    static const int8_t bytes[4] = {-8, 7, -1, 3};
    pf_tensor tensor = {0};
    pf_err    err = {0};

    (void)state;
    test_ok(parse("{'descr': '|i1', 'fortran_order': False, 'shape': (4,), }", bytes, 4, PF_I4, &tensor, &err), &err);
    assert_int_equal(tensor.dtype, PF_I4);
    assert_int_equal(tensor.bytes, 2);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(pf_dtype_get_i64(PF_I4, tensor.data, i), bytes[i]);
    pf_tensor_clear(&tensor);
    test_ok(parse("{'descr': '|i1', 'fortran_order': False, 'shape': (4,), }", bytes, 4, PF_DTYPE_NONE, &tensor, &err),
            &err);
    assert_int_equal(tensor.dtype, PF_I8);
    pf_tensor_clear(&tensor);
}

static void tensor_protos_are_read(void **state)
{
    /* dims 2, dims 3 (unpacked), data_type 1, name "x", raw_data of 24 bytes */
    static const uint8_t head[] = {0x08, 2, 0x08, 3, 0x10, 1, 0x42, 1, 'x', 0x4a, 24};
    uint8_t     file[sizeof head + 24];
    float       values[6] = {1, 2, 3, 4, 5, 6};
    const char *path = test_path("x.pb");
    pf_tensor   tensor = {0};
    pf_err      err = {0};

    (void)state;
    memcpy(file, head, sizeof head);
    memcpy(file + sizeof head, values, 24);
    test_ok(pf_file_write(path, file, sizeof file, &err), &err);
    test_ok(pf_tensor_file_read(path, PF_DTYPE_NONE, &tensor, &err), &err);
    assert_int_equal(tensor.dtype, PF_F32);
    assert_int_equal(tensor.rank, 2);
    assert_int_equal(tensor.dim[1], 3);
    assert_memory_equal(tensor.data, values, 24);
    pf_tensor_clear(&tensor);
    test_ok(pf_file_write(path, file, sizeof file - 4, &err), &err);
    test_fails(pf_tensor_file_read(path, PF_DTYPE_NONE, &tensor, &err), PF_INVALID, &err);
    test_ok(pf_file_write(path, "", 0, &err), &err);
    test_fails(pf_tensor_file_read(path, PF_DTYPE_NONE, &tensor, &err), PF_INVALID, &err);
    test_fails(pf_tensor_file_read(test_path("absent"), PF_DTYPE_NONE, &tensor, &err), PF_NOT_FOUND, &err);
}

static void names_stay_in_their_folder(void **state)
{
    const char *folder = test_path("out");
    char        path[512], expected[512];
    pf_err      err = {0};
    static const char *const rows[][2] = {
        {"logits", "logits.npy"},           {"gpu_0/softmax_1", "gpu_0/softmax_1.npy"}, {"/abs/x", "abs/x.npy"},
        {"../../x", "%2E%2E/%2E%2E/x.npy"}, {"a//b", "a/b.npy"},                        {"", "_.npy"},
        {"..", "%2E%2E.npy"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_ok(pf_tensor_file_path(folder, rows[i][0], path, sizeof path, &err), &err);
        snprintf(expected, sizeof expected, "%s/%s", folder, rows[i][1]);
        assert_string_equal(path, expected);
        test_ok(pf_file_write(path, "x", 1, &err), &err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(the_header_is_padded_as_numpy_does),
        cmocka_unit_test(shapes_of_all_ranks_are_read),
        cmocka_unit_test(fortran_order_is_turned),
        cmocka_unit_test(longer_headers_are_read),
        cmocka_unit_test(what_is_not_known_is_said),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(any_changed_byte_is_survived),
        cmocka_unit_test(strings_come_back),
        cmocka_unit_test(bytes_that_are_no_text_are_written_one_by_one),
        cmocka_unit_test(small_integers_are_read_as_wanted),
        cmocka_unit_test(tensor_protos_are_read),
        cmocka_unit_test(names_stay_in_their_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
