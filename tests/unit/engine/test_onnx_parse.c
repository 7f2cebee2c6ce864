#include "tests/unit/engine/onnx_models.h"

#include "base/file.h"
#include "engine/onnx_parse.h"

/* Bytes that are no model, or not all of one. */

static pf_status import_bytes(const void *data, size_t bytes, pf_err *err)
{
    pf_graph *graph = NULL;
    pf_status st = pf_onnx_import_bytes(data, bytes, NULL, NULL, &graph, err);

    pf_graph_free(graph);
    return st;
}

static void test_not_a_model(void **state)
{
    static const uint8_t zeros[64];
    static const char    text[] = "this is a text and not a protobuf";
    pf_err               err = { 0 };

    (void)state;
    test_fails(import_bytes("", 0, &err), PF_INVALID, &err);
    test_fails(import_bytes(zeros, sizeof zeros, &err), PF_INVALID, &err);
    test_fails(import_bytes(text, sizeof text - 1, &err), PF_INVALID, &err);
    test_fails(import_bytes("\x08\x08", 2, &err), PF_INVALID, &err);           /* an IR version alone */
    test_fails(import_bytes("\x3a\x00", 2, &err), PF_INVALID, &err);           /* an empty graph */
    test_fails(import_bytes("\x3a\x05", 2, &err), PF_INVALID, &err); /* a graph that is longer than the file */
    test_fails(import_bytes("\x0b\x0c", 2, &err), PF_INVALID, &err);           /* a group */
    test_fails(import_bytes("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, &err), PF_INVALID,
               &err); /* a number of 11 bytes */
}

/* Cut anywhere a model either fails in a sentence or, at the few places between fields, is another model. */
static void test_truncated(void **state)
{
    Onnx__ModelProto *model = model_of(
        "opset 13\nopset e 1\nfunction e:F a -> b k=f:2\nnode Constant -> c value_float=r:k\nnode Mul a c -> b\nend\n"
        "input x f32 batch,3\nconst w f32 3 1,2,3\nnode Add x w -> a\nnode e:F a -> b\nnode Softmax b -> y axis=i:1\n"
        "output y\n");
    pf_buf            bytes;
    uint32_t          refused = 0;

    (void)state;
    model_bytes(model, &bytes);
    for (size_t n = 0; n < bytes.size; n++) {
        pf_err    err = { 0 };
        uint8_t  *exact = malloc(n + 1);            /* its own block, so that a sanitizer sees a read behind the end */
        pf_status st = PF_OK;

        assert_non_null(exact);
        memcpy(exact, bytes.data, n);
        st = import_bytes(exact, n, &err);
        free(exact);
        if (!st)
            continue;
        refused++;
        assert_true(st == PF_INVALID || st == PF_UNSUPPORTED);
        assert_true(strlen(err.msg) > 10);
    }
    assert_true(refused + 8 > bytes.size);
    pf_buf_clear(&bytes);
}

/* Every single byte turned over: no crash, and failures say why. */
static void test_damaged(void **state)
{
    Onnx__ModelProto *model =
        model_of("opset 13\ninput x f32 2,3\nconst w f32 3 1,2,3\nconst s i64 2 3,2\nnode Add x w -> a\n"
                 "node Reshape a s -> b\nnode ReduceSum b -> y keepdims=i:0\noutput y\n");
    pf_buf            bytes;

    (void)state;
    model_bytes(model, &bytes);
    for (size_t i = 0; i < bytes.size; i++)
        for (int flip = 1; flip < 256; flip = flip * 4 - 1) {
            pf_err err = { 0 };

            bytes.data[i] ^= (uint8_t)flip;
            if (import_bytes(bytes.data, bytes.size, &err))
                assert_true(strlen(err.msg) > 10);
            bytes.data[i] ^= (uint8_t)flip;
        }
    pf_buf_clear(&bytes);
}

/* Puts tag and length in front of what is there. */
static void wrap(pf_buf *buf, uint8_t tag)
{
    pf_buf   outer;
    uint64_t left = buf->size;

    pf_buf_init(&outer, 1 << 24);
    pf_buf_put_u8(&outer, tag);
    for (; left > 127; left >>= 7)
        pf_buf_put_u8(&outer, (uint8_t)(left | 0x80));
    pf_buf_put_u8(&outer, (uint8_t)left);
    pf_buf_put(&outer, buf->data, buf->size);
    pf_buf_clear(buf);
    *buf = outer;
}

/* Graphs in attributes of nodes of graphs, far deeper than any stack. */
static void test_nesting(void **state)
{
    pf_buf buf;
    pf_err err = { 0 };

    (void)state;
    pf_buf_init(&buf, 1 << 24);
    pf_buf_put(&buf, "\x12\x01g", 3);
    for (int i = 0; i < 5000; i++) {
        wrap(&buf, 0x32);       /* AttributeProto.g */
        wrap(&buf, 0x2a);       /* NodeProto.attribute */
        wrap(&buf, 0x0a);       /* GraphProto.node */
    }
    wrap(&buf, 0x3a);           /* ModelProto.graph */
    test_fails(import_bytes(buf.data, buf.size, &err), PF_INVALID, &err);
    pf_buf_clear(&buf);
}

/* 40 MB of empty nodes would unpack to gigabytes. */
static void test_many_items(void **state)
{
    size_t   count = PF_ONNX_ITEM_LIMIT + 1;
    pf_buf   buf;
    pf_err   err = { 0 };
    uint8_t *nodes = calloc(count, 2);

    (void)state;
    assert_non_null(nodes);
    for (size_t i = 0; i < count; i++)
        nodes[2 * i] = 0x0a;
    pf_buf_init(&buf, (size_t)1 << 28);
    pf_buf_put_u8(&buf, 0x3a);
    for (size_t left = 2 * count; left; left >>= 7)
        pf_buf_put_u8(&buf, (uint8_t)((left & 0x7f) | (left > 127 ? 0x80 : 0)));
    pf_buf_put(&buf, nodes, 2 * count);
    free(nodes);
    test_fails(import_bytes(buf.data, buf.size, &err), PF_INVALID, &err);
    pf_buf_clear(&buf);
}

static void test_files(void **state)
{
    pf_graph *graph = NULL;
    pf_buf    bytes;
    pf_err    err = { 0 };

    (void)state;
    test_fails(pf_onnx_import(test_path("none.onnx"), NULL, &graph, &err), PF_NOT_FOUND, &err);
    test_fails(pf_onnx_import(test_folder(), NULL, &graph, &err), PF_INVALID, &err);
    test_ok(pf_file_write(test_path("empty.onnx"), "", 0, &err), &err);
    test_fails(pf_onnx_import(test_path("empty.onnx"), NULL, &graph, &err), PF_INVALID, &err);
    model_bytes(model_of("opset 13\ninput x f32 2\nnode Relu x -> y\noutput y\n"), &bytes);
    test_ok(pf_file_write(test_path("good.onnx"), bytes.data, bytes.size, &err), &err);
    test_ok(pf_onnx_import(test_path("good.onnx"), NULL, &graph, &err), &err);
    pf_graph_free(graph);
    pf_buf_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_a_model), cmocka_unit_test(test_truncated),  cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_nesting),     cmocka_unit_test(test_many_items), cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests_name("onnx_parse", tests, NULL, NULL);
}
