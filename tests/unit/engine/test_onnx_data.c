#include "tests/unit/engine/onnx_models.h"

#include <unistd.h>

#include "base/file.h"
#include "engine/onnx_tensor.h"

/* Tensors of a file: every type, every way to store it, and files beside the model. */

static pf_status read_tensor(const Onnx__TensorProto *tensor, pf_onnx_data *out, pf_arena **arena, pf_err *err)
{
    pf_onnx_files *files = pf_onnx_files_new(NULL);
    pf_status      st = PF_OK;

    *arena = pf_arena_new();
    st = pf_onnx_tensor_read(tensor, files, *arena, out, err);
    pf_onnx_files_free(files);
    return st;
}

static Onnx__TensorProto tensor_of(pf_dtype dtype, int64_t *dims, size_t rank)
{
    Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;

    t.has_data_type = true;
    t.data_type = pf_dtype_to_onnx(dtype);
    t.dims = dims;
    t.n_dims = rank;
    return t;
}

static void check_elements(const Onnx__TensorProto *t, const double *want, uint64_t count)
{
    pf_onnx_data data = { 0 };
    pf_arena    *arena = NULL;
    pf_err       err = { 0 };

    test_ok(read_tensor(t, &data, &arena, &err), &err);
    assert_int_equal(data.bytes, pf_dtype_bytes(data.dtype, count));
    for (uint64_t i = 0; i < count; i++)
        if (pf_dtype_get(data.dtype, data.data, i) != want[i])
            fail_msg("%s element %u is %g, not %g", pf_dtype_name(data.dtype), (unsigned)i,
                     pf_dtype_get(data.dtype, data.data, i), want[i]);
    pf_arena_free(arena);
}

static void expect_bad(const Onnx__TensorProto *t, pf_status status)
{
    pf_onnx_data data = { 0 };
    pf_arena    *arena = NULL;
    pf_err       err = { 0 };

    test_fails(read_tensor(t, &data, &arena, &err), status, &err);
    pf_arena_free(arena);
}

/* The same three elements of each type, as raw bytes and in the list that the standard gives that type. */
static void test_types(void **state)
{
    static const double three[3] = { 1, 0, 1 };

    (void)state;
    for (int dtype = 1; dtype < PF_DTYPE_COUNT; dtype++) {
        int64_t           dims[1] = { 3 };
        uint8_t           raw[32] = { 0 };
        Onnx__TensorProto t = tensor_of((pf_dtype)dtype, dims, 1);
        bool skip = dtype == PF_STRING || pf_dtype_kind_of((pf_dtype)dtype) == PF_KIND_COMPLEX || dtype == PF_F8E8M0;

        if (skip)
            continue;
        for (uint64_t i = 0; i < 3; i++)
            pf_dtype_set((pf_dtype)dtype, raw, i, three[i]);
        t.has_raw_data = true;
        t.raw_data = (ProtobufCBinaryData){ pf_dtype_bytes((pf_dtype)dtype, 3), raw };
        check_elements(&t, three, 3);
        t.raw_data.len++;
        expect_bad(&t, PF_INVALID);
    }
}

/* int32_data holds bits of the narrow types, two or four to an item below 8 bits. */
static void test_narrow(void **state)
{
    int64_t           four[1] = { 4 };
    Onnx__TensorProto half = tensor_of(PF_F16, four, 1), nibbles = tensor_of(PF_I4, four, 1),
                      crumbs = tensor_of(PF_U2, four, 1);
    Onnx__TensorProto bytes = tensor_of(PF_I8, four, 1), flags = tensor_of(PF_BOOL, four, 1),
                      words = tensor_of(PF_U32, four, 1);
    int32_t bits[4] = { 0x3c00, 0xc000, 0, 0x3800 }, two[2] = { 0x71, 0xf8 }, one[1] = { 0xe4 },
            small[4] = { -1, 2, -128, 127 };
    int32_t           odd[4] = { 0, 1, 7, 255 };
    uint64_t          big[4] = { 1, 0, UINT32_MAX, 7 };

    (void)state;
    half.int32_data = bits;
    nibbles.int32_data = two;
    crumbs.int32_data = one;
    bytes.int32_data = small;
    flags.int32_data = odd;
    words.uint64_data = big;
    half.n_int32_data = bytes.n_int32_data = flags.n_int32_data = words.n_uint64_data = 4;
    nibbles.n_int32_data = 2;
    crumbs.n_int32_data = 1;
    check_elements(&half, (const double[]){ 1, -2, 0, 0.5 }, 4);
    check_elements(&nibbles, (const double[]){ 1, 7, -8, -1 }, 4);
    check_elements(&crumbs, (const double[]){ 0, 1, 2, 3 }, 4);
    check_elements(&bytes, (const double[]){ -1, 2, -128, 127 }, 4);
    check_elements(&flags, (const double[]){ 0, 1, 1, 1 }, 4);
    check_elements(&words, (const double[]){ 1, 0, 4294967295.0, 7 }, 4);
}

static void test_bad_tensors(void **state)
{
    int64_t dims[12] = { 2, -1, INT64_MAX, INT64_MAX, 1, 1, 1, 1, 1, 1, 1, 1 }, one[1] = { 1 },
            huge[2] = { 1 << 30, 1 << 30 };
    float             items[1] = { 1 };
    Onnx__TensorProto t = tensor_of(PF_F32, dims, 1);

    (void)state;
    expect_bad(&t, PF_INVALID);                 /* no data at all */
    t.dims = dims + 1;
    expect_bad(&t, PF_INVALID);                 /* negative */
    t.dims = dims + 2;
    t.n_dims = 2;
    expect_bad(&t, PF_INVALID);                 /* overflows */
    t.dims = huge;
    expect_bad(&t, PF_INVALID);                 /* 4 EiB */
    t.dims = dims + 4;
    t.n_dims = 9;
    expect_bad(&t, PF_UNSUPPORTED);             /* rank 9 */
    t = tensor_of(PF_F32, one, 1);
    t.data_type = 99;
    expect_bad(&t, PF_UNSUPPORTED);
    t.data_type = 0;
    expect_bad(&t, PF_UNSUPPORTED);
    t = tensor_of(PF_F64, one, 1);              /* data in the list of another type */
    t.float_data = items;
    t.n_float_data = 1;
    expect_bad(&t, PF_INVALID);
    t = tensor_of(PF_STRING, one, 1);
    expect_bad(&t, PF_INVALID);
}

static void test_sparse(void **state)
{
    int64_t dims[2] = { 3, 4 }, two[1] = { 2 }, pairs[2] = { 2, 2 }, linear[2] = { 1, 11 }, at[4] = { 0, 1, 2, 3 },
            outside[2] = { 1, 12 };
    float                   items[2] = { 5, 7 };
    Onnx__TensorProto       values = tensor_of(PF_F32, two, 1), indices = tensor_of(PF_I64, two, 1);
    Onnx__SparseTensorProto sparse = ONNX__SPARSE_TENSOR_PROTO__INIT;
    pf_onnx_files          *files = pf_onnx_files_new(NULL);
    pf_arena               *arena = pf_arena_new();
    pf_onnx_data            data = { 0 };
    pf_err                  err = { 0 };

    (void)state;
    values.float_data = items;
    values.n_float_data = 2;
    indices.int64_data = linear;
    indices.n_int64_data = 2;
    sparse.values = &values;
    sparse.indices = &indices;
    sparse.dims = dims;
    sparse.n_dims = 2;
    test_ok(pf_onnx_sparse_read(&sparse, files, arena, &data, &err), &err);
    assert_int_equal(data.bytes, 48);
    for (uint64_t i = 0; i < 12; i++)
        assert_true(pf_dtype_get(PF_F32, data.data, i) == (i == 1 ? 5 : i == 11 ? 7 : 0));
    indices.dims = pairs;
    indices.n_dims = 2;
    indices.int64_data = at;
    indices.n_int64_data = 4;
    test_ok(pf_onnx_sparse_read(&sparse, files, arena, &data, &err), &err);
    assert_true(pf_dtype_get(PF_F32, data.data, 1) == 5 && pf_dtype_get(PF_F32, data.data, 11) == 7);
    at[3] = 4;
    test_fails(pf_onnx_sparse_read(&sparse, files, arena, &data, &err), PF_INVALID, &err);
    indices = tensor_of(PF_I64, two, 1);
    indices.int64_data = outside;
    indices.n_int64_data = 2;
    test_fails(pf_onnx_sparse_read(&sparse, files, arena, &data, &err), PF_INVALID, &err);
    dims[0] = (int64_t)1 << 40;
    test_fails(pf_onnx_sparse_read(&sparse, files, arena, &data, &err), PF_INVALID, &err);
    pf_arena_free(arena);
    pf_onnx_files_free(files);
}

/* y = x + w with w in a file; the entries of external_data are given as key=value words. */
static Onnx__ModelProto *external_model(const char *entries)
{
    Onnx__ModelProto  *model = model_of("opset 13\ninput x f32 2\nconst w f32 2 0,0\nnode Add x w -> y\noutput y\n");
    Onnx__TensorProto *w = model->graph->initializer[0];
    char              *copy = model_copy(entries), *word = NULL;

    w->has_raw_data = false;
    w->has_data_location = true;
    w->data_location = 1;
    while ((word = strsep(&copy, " "))) {
        Onnx__StringStringEntryProto *entry =
            MODEL_NEW(Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);

        entry->key = strsep(&word, "=");
        entry->value = word;
        MODEL_PUSH(w->external_data, w->n_external_data, entry);
    }
    return model;
}

static void expect_external(const char *entries, pf_status status, const char *says)
{
    pf_graph *graph = NULL;
    pf_err    err = { 0 };
    pf_status st = model_import(external_model(entries), test_path("model"), NULL, &graph, &err);

    if (!strstr(err.msg, says))
        fail_msg("%s: \"%s\" says nothing of \"%s\"", entries, err.msg, says);
    test_fails(st, status, &err);
}

static void make_folder(void)
{
    const float weights[6] = { 0, 10, 20, 30, 40, 50 };
    pf_err      err = { 0 };

    test_ok(pf_dir_make(test_path("model/sub"), &err), &err);
    test_ok(pf_file_write(test_path("model/w.bin"), weights, sizeof weights, &err), &err);
    test_ok(pf_file_write(test_path("model/sub/w.bin"), weights, sizeof weights, &err), &err);
    test_ok(pf_file_write(test_path("outside.bin"), weights, sizeof weights, &err), &err);
    test_ok(pf_dir_make(test_path("other"), &err), &err);       /* as long a name */
    test_ok(pf_dir_make(test_path("model2"), &err), &err);      /* the same beginning */
    test_ok(pf_file_write(test_path("other/w.bin"), weights, sizeof weights, &err), &err);
    test_ok(pf_file_write(test_path("model2/w.bin"), weights, sizeof weights, &err), &err);
    unlink(test_path("model/other.bin"));
    unlink(test_path("model/model2.bin"));
    unlink(test_path("model/link.bin"));
    unlink(test_path("model/inner.bin"));
    unlink(test_path("model/away"));
    assert_int_equal(symlink("../outside.bin", test_path("model/link.bin")), 0);
    assert_int_equal(symlink("../other/w.bin", test_path("model/other.bin")), 0);
    assert_int_equal(symlink("../model2/w.bin", test_path("model/model2.bin")), 0);
    assert_int_equal(symlink("sub/w.bin", test_path("model/inner.bin")), 0);
    assert_int_equal(symlink("..", test_path("model/away")), 0);
}

static void check_external(const char *entries, double first)
{
    pf_graph *graph = NULL;
    pf_tensor in = { .dtype = PF_F32, .rank = 1, .dim = { 2 } }, out = { 0 };
    pf_err    err = { 0 };

    test_ok(model_import(external_model(entries), test_path("model"), NULL, &graph, &err), &err);
    test_ok(pf_tensor_alloc(&in, &err), &err);
    test_ok(pf_interpret(graph, &in, &out, NULL, NULL, &err), &err);
    assert_true(pf_dtype_get(PF_F32, out.data, 0) == first);
    pf_tensor_clear(&in);
    pf_tensor_clear(&out);
    pf_graph_free(graph);
}

static void test_external(void **state)
{
    (void)state;
    make_folder();
    check_external("location=w.bin", 0);
    check_external("location=w.bin offset=8 length=8", 20);
    check_external("location=sub/w.bin offset=16", 40);
    check_external("location=inner.bin offset=4", 10);           /* a link inside of the folder */
    check_external("location=w.bin offset=4 checksum=ab", 10);
}

static void test_external_refused(void **state)
{
    (void)state;
    make_folder();
    expect_external("location=../outside.bin", PF_INVALID, "..");
    expect_external("location=sub/../../outside.bin", PF_INVALID, "..");
    expect_external("location=/etc/passwd", PF_INVALID, "/etc/passwd");
    expect_external("location=.", PF_INVALID, "the model's folder itself");
    expect_external("location=link.bin", PF_INVALID, "link out of the model's folder");
    expect_external("location=other.bin", PF_INVALID, "link out of the model's folder");
    expect_external("location=model2.bin", PF_INVALID, "link out of the model's folder");
    expect_external("location=away/outside.bin", PF_INVALID, "link out of the model's folder");
    expect_external("location=none.bin", PF_NOT_FOUND, "none.bin is missing");
    expect_external("location=sub", PF_INVALID, "");
    expect_external("offset=0", PF_INVALID, "without a location");
    expect_external("location=w.bin offset=20", PF_INVALID, "cut short");
    expect_external("location=w.bin offset=18446744073709551615", PF_INVALID, "cut short");
    expect_external("location=w.bin offset=-8", PF_INVALID, "offset");
    expect_external("location=w.bin offset=8x", PF_INVALID, "offset");
    expect_external("location=w.bin length=4", PF_INVALID, "4 bytes");
    expect_external("location=w.bin length=99999999999999999999", PF_INVALID, "length");
}

static void test_external_without_folder(void **state)
{
    pf_graph *graph = NULL;
    pf_err    err = { 0 };

    (void)state;
    test_fails(model_import(external_model("location=w.bin"), NULL, NULL, &graph, &err), PF_INVALID, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_bad_tensors),
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_external_refused),
        cmocka_unit_test(test_external_without_folder),
    };

    return cmocka_run_group_tests_name("onnx_data", tests, NULL, NULL);
}
