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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_find),
                                        cmocka_unit_test(test_signal_without_parts) };

    return cmocka_run_group_tests_name("onnx_ops", tests, NULL, NULL);
}
