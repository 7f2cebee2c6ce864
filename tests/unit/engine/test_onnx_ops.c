#include "tests/unit/engine/onnx_models.h"

#include "engine/onnx_import.h"

/* The table of operators. */

static void test_rows(void **state)
{
    (void)state;
    assert_true(pf_onnx_op_count() > 200);
    assert_null(pf_onnx_op_at(pf_onnx_op_count()));
    for (uint32_t i = 0; i < pf_onnx_op_count(); i++) {
        const pf_onnx_op *row = pf_onnx_op_at(i);

        if (row->first < 1 || row->first > row->last || row->in_min > row->in_max || row->out_max < 1 || !row->import)
            fail_msg("row %u, %s, makes no sense", i, row->name);
        for (uint32_t k = 0; k < i; k++) {
            const pf_onnx_op *other = pf_onnx_op_at(k);

            if (!strcmp(row->name, other->name) && row->first <= other->last && other->first <= row->last)
                fail_msg("two rows of %s fit opset %lld", row->name,
                         (long long)(row->first > other->first ? row->first : other->first));
        }
    }
}

static void test_find(void **state)
{
    (void)state;
    assert_null(pf_onnx_op_find("", "Gelu", 19));
    assert_non_null(pf_onnx_op_find("", "Gelu", 20));
    assert_non_null(pf_onnx_op_find("ai.onnx", "Gelu", PF_ONNX_NEWEST_OPSET));
    assert_null(pf_onnx_op_find(NULL, "Gelu", PF_ONNX_NEWEST_OPSET + 1));
    assert_null(pf_onnx_op_find("com.microsoft", "Relu", 1));
    assert_non_null(pf_onnx_op_find("com.microsoft", "Gelu", 1));
    assert_ptr_not_equal(pf_onnx_op_find("", "Softmax", 12), pf_onnx_op_find("", "Softmax", 13));
    assert_null(pf_onnx_op_find("", "com.microsoft:Gelu:", 1));
    assert_null(pf_onnx_op_find("", NULL, 13));
}

/* The standard gives a real signal a last dim of 1; PyTorch leaves it out. */
static void test_signal_without_parts(void **state)
{
    (void)state;
    model_gives("opset 17\ninput x f32 1,4\nconst step i64 . 2\nconst length i64 . 2\nnode STFT x step _ length -> y\n"
                "output y\n", "1,4",
                "3 0 -1 0 7 0 -1 0");
}

#define MICROSOFT "opset 17\nopset com.microsoft 1\n"

static void model_taken(const char *text)
{
    pf_graph_free(model_good(text));
}

/* What an operator outside the standard is asked, and its importer does not ask for, is refused by name. */
static void test_unknown_attributes(void **state)
{
    (void)state;
    model_taken(MICROSOFT "input x f32 2,4\nnode com.microsoft:QuickGelu x -> y alpha=f:1.5\noutput y\n");
    model_bad(MICROSOFT "input x f32 2,4\nnode com.microsoft:QuickGelu x -> y alpha=f:1.5 beta=f:2\noutput y\n",
              PF_UNSUPPORTED, "\"beta\"");
    model_bad(MICROSOFT "input x f32 2,4\nnode com.microsoft:Gelu x -> y approximate=s:tanh\noutput y\n",
              PF_UNSUPPORTED, "\"approximate\"");
    model_taken("opset 17\ninput x f32 2,4\nnode Relu x -> y kept=i:1\noutput y\n");
}

/* A hint of how exact products must be changes nothing that they mean, and nor do pads beside a rule for them. */
static void test_harmless_attributes(void **state)
{
    (void)state;
    model_taken(MICROSOFT "input x f32 1,1,4,4\nconst w f32 1,1,2,2 1,2,3,4\n"
                "node com.microsoft:FusedConv x w -> y activation=s:Relu auto_pad=s:VALID pads=is:0,0,0,0\noutput y\n");
    model_taken(MICROSOFT "input x f32 1,4\nconst w u8 1,1,2 1,2\nconst s f32 1 1\n"
                "node com.microsoft:MatMulNBits x w s -> y N=i:1 K=i:4 block_size=i:4 accuracy_level=i:4\noutput y\n");
}

/* Of turned embeddings, packed samples and a scale are not computed; what says that there are none is no reason to
   refuse. */
static void test_turned_positions(void **state)
{
    static const char head[] = MICROSOFT "input x f32 1,2,3,4\ninput at i64 1,3\ninput c f32 5,2\ninput s f32 5,2\n"
                               "node com.microsoft:RotaryEmbedding x at c s -> y ";
    static const struct { const char *attributes; bool is_known; } cases[] = {
        { "num_heads=i:2 scale=f:1 is_packed_batching=i:0", true }, { "scale=f:2", false },
        { "is_packed_batching=i:1", false },
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s\noutput y\n", head, cases[i].attributes);
        if (cases[i].is_known)
            model_taken(text);
        else
            model_bad(text, PF_UNSUPPORTED, "a scale of the tables");
    }
}

/* Where ONNX Runtime's devices disagree which keys a query sees, nothing is guessed. */
static void test_fewer_queries_than_keys(void **state)
{
    static const struct { int queries, keys; bool is_known; } cases[] = {
        { 1, 4, true }, { 3, 3, true }, { 4, 2, true }, { 2, 4, false },
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text,
                 MICROSOFT "input q f32 1,%d,8\ninput k f32 1,%d,8\ninput v f32 1,%d,8\n"
                 "node com.microsoft:MultiHeadAttention q k v -> y num_heads=i:2 unidirectional=i:1\noutput y\n",
                 cases[i].queries, cases[i].keys, cases[i].keys);
        if (cases[i].is_known)
            model_taken(text);
        else
            model_bad(text, PF_UNSUPPORTED, "unidirectional");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_find),
                                        cmocka_unit_test(test_signal_without_parts),
                                        cmocka_unit_test(test_unknown_attributes),
                                        cmocka_unit_test(test_harmless_attributes),
                                        cmocka_unit_test(test_turned_positions),
                                        cmocka_unit_test(test_fewer_queries_than_keys) };

    return cmocka_run_group_tests_name("onnx_ops", tests, NULL, NULL);
}
