/* The tables of ops: what their field tables say covers their attribute structs, so that nothing is lost in copies and
   texts. */
#include <string.h>

#include "engine/op.h"
#include "tests/test.h"

static const uint32_t kind_bytes[] = {
    [PF_ATTR_INT] = sizeof(int64_t), [PF_ATTR_FLOAT] = sizeof(double), [PF_ATTR_ENUM] = sizeof(int32_t),
    [PF_ATTR_DTYPE] = sizeof(int32_t), [PF_ATTR_INTS] = sizeof(pf_ints), [PF_ATTR_DIMS] = sizeof(pf_dim_list),
    [PF_ATTR_FLOATS] = sizeof(pf_floats), [PF_ATTR_STRING] = sizeof(char *), [PF_ATTR_GRAPH] = sizeof(pf_graph *),
};

enum { ATTR_LIMIT_BYTES = 4096, PADDING = 4 };

static void check_fields(const pf_op_def *def)
{
    static uint8_t covered[ATTR_LIMIT_BYTES];
    uint32_t       open = 0;

    assert_true(def->attr_bytes <= ATTR_LIMIT_BYTES);
    memset(covered, 0, sizeof covered);
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++) {
        if (field->offset + kind_bytes[field->kind] > def->attr_bytes)
            fail_msg("%s.%s lies outside its struct", def->name, field->name);
        if ((field->kind == PF_ATTR_ENUM) != (field->names != NULL))
            fail_msg("%s.%s: an enumeration has names, nothing else has", def->name, field->name);
        for (uint32_t i = 0; i < kind_bytes[field->kind]; i++)
            if (covered[field->offset + i]++)
                fail_msg("%s.%s overlaps another field", def->name, field->name);
    }
    for (size_t i = 0; i < def->attr_bytes; i++) {
        open = covered[i] ? 0 : open + 1;
        if (open > PADDING)
            fail_msg("byte %zu of the attributes of %s belongs to no field", i, def->name);
    }
}

static void test_fields(void **state)
{
    (void)state;
    for (pf_op_kind op = PF_OP_NONE + 1; op < PF_OP_COUNT; op++)
        check_fields(pf_op_def_of(op));
}

static void test_rows(void **state)
{
    (void)state;
    for (pf_op_kind op = PF_OP_NONE + 1; op < PF_OP_COUNT; op++) {
        const pf_op_def *def = pf_op_def_of(op);

        assert_int_equal(pf_op_from_name(def->name), op);
        assert_true(def->infer && def->reference && def->in_min <= def->in_max && def->out_min <= def->out_max &&
                    def->out_min > 0);
        assert_true(!(def->flags & PF_OPF_COMMUTATIVE) || def->in_min >= 2);
    }
    assert_int_equal(pf_op_from_name("none"), PF_OP_NONE);
    assert_string_equal(pf_op_def_of(PF_OP_COUNT)->name, "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_fields), cmocka_unit_test(test_rows) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
