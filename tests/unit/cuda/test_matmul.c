/* Which products the generated kernel takes, and how it wants their weights. */
#include "tests/unit/cuda/programs.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/codegen_wgmma.h"
#include "engine/precision_round.h"

/* Only the kernel that takes numbers apart reads FP32, and only where it is allowed to. */
static void wide_products_are_taken_in_parts_alone(void **state)
{
    static const char text[] =
        "problem in=nhwc,linear* out=nhwc numerics=%d\n"
        "graph \"\"\n%%0 = input f32 [1,240,14,14]\n%%1 = input f32 [80,240,1,1]\n"
        "%%2 = conv(%%0, %%1, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %%2\n";

    (void)state;
    static const int numerics[] = { 0, PF_NUMERICS_BF16_PARTS, PF_NUMERICS_BF16_THREE };

    for (int allowed = 0; allowed < 3; allowed++) {
        char        one[sizeof text + 8];
        pf_err      err = {0};
        pf_problem *p = NULL;

        snprintf(one, sizeof one, text, numerics[allowed]);
        test_ok(pf_problem_parse(one, &p, &err), &err);
        assert_int_equal(pf_codegen_matmul_declines(p) == NULL, allowed > 0);
        assert_non_null(pf_codegen_wgmma_declines(p));
        pf_problem_free(p);
    }
}

/* Packed weights of FP32 are the parts of BF16 that the kernel would take them apart into: 8 x 8 numbers in rows of K,
   as many columns, and the whole of it twice.  Behind two parts of all lie the third ones. */
static void check_packing(const char *attrs, bool along_k, int count)
{
    char        text[512] = "";
    float       from[2][8][8], value = 0;
    struct { uint16_t two[2][8][2][8], third[2][8][8]; } to = { 0 };
    pf_err      err = {0};
    pf_problem *p = NULL;
    pf_tensor   weights = { .dtype = PF_F32, .rank = 3, .dim = { 2, 8, 8 }, .data = from, .bytes = sizeof from };

    snprintf(text, sizeof text, "problem in=linear,linear* out=linear numerics=%d\ngraph \"\"\n"
             "%%0 = input f32 [2,5,8]\n%%1 = input f32 [2,8,8]\n%%2 = matmul(%%0, %%1)%s\noutput %%2\n",
             count == 2 ? PF_NUMERICS_BF16_PARTS : PF_NUMERICS_BF16_THREE, attrs);
    for (int i = 0; i < 128; i++)
        from[i / 64][i / 8 % 8][i % 8] = i == 7 ? FLT_MAX : ldexpf(sinf((float)i), i % 40 - 20);
    test_ok(pf_problem_parse(text, &p, &err), &err);
    pf_codegen_matmul_pack(p, &weights, &to);
    for (int i = 0; i < 128; i++) {
        int   b = i / 64, row = i / 8 % 8, c = i % 8, k = along_k ? c : row, turned = k % 4 * 2 + k / 4;
        int   at = along_k ? row : turned, of = along_k ? turned : c;
        float parts[3] = { 0 };

        for (int part = 0; part < count; part++) {
            uint32_t bits = (uint32_t)(part < 2 ? to.two[b][at][part][of] : to.third[b][at][of]) << 16;

            memcpy(&parts[part], &bits, sizeof bits);
        }
        value = count == 2 ? pf_round(PF_ROUND_PARTS, from[b][row][c]) : from[b][row][c];
        assert_true((double)parts[0] + parts[1] + parts[2] == (double)value ||
                    (count == 2 && i == 7 && parts[0] + parts[1] > value));
    }
    pf_problem_free(p);
}

static void constants_are_packed_in_parts(void **state)
{
    (void)state;
    check_packing("", false, 2);
    check_packing(" trans_b=1", true, 2);
    check_packing(" trans_b=1", true, 3);
}

/* Tiles of 64 rows are counted along y, of which a card takes 65535. */
static void products_of_more_rows_than_a_card_takes_blocks_are_refused(void **state)
{
    static const struct { const char *rows; pf_status wanted; } cases[] = {
        { "4194240", PF_OK }, { "4194241", PF_UNSUPPORTED },
    };
    static const pf_matmul_tuning tuning = { 64, 64, 2, 2, 4, 4 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char        text[512] = "";
        pf_err      err = {0};
        pf_problem *p = NULL;
        pf_program  program = {0};

        snprintf(text, sizeof text, "problem in=linear,linear* out=linear numerics=0\ngraph \"\"\n"
                 "%%0 = input f16 [%s,64]\n%%1 = input f16 [64,64]\n%%2 = matmul(%%0, %%1)\noutput %%2\n",
                 cases[i].rows);
        test_ok(pf_problem_parse(text, &p, &err), &err);
        assert_int_equal(pf_codegen_matmul(p, &tuning, &program, &err), cases[i].wanted);
        pf_program_clear(&program);
        pf_problem_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_products_are_taken_in_parts_alone), cmocka_unit_test(constants_are_packed_in_parts),
        cmocka_unit_test(products_of_more_rows_than_a_card_takes_blocks_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
