/* Products by warp groups: what is left to others, and weights packed, each where the kernel's instruction gives its
   column to the thread that stores it; and what the compiler makes of them. */
#include "tests/test.h"

#include <nvrtc.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/codegen_wgmma.h"
#include "tests/unit/cuda/programs.h"

enum { K = 72, N = 168 };       /* more than a block of the transposition each, and no whole number of groups */

static const char product_text[] =
    "problem in=linear,linear* out=linear numerics=0\n"
    "graph \"\"\n%%0 = input f16 [64,72]\n%%1 = input f16 [%s]\n%%2 = matmul(%%0, %%1) trans_b=%d\noutput %%2\n";

/* What the kernel reads for column `run` thread + at of a group of four threads: the instruction gives each two
   neighbours of every eight. */
static uint16_t packed_at(const uint16_t *packed, int run, int group, int thread, int at, int k)
{
    return packed[(size_t)(group * 4 * run + at / 2 * 8 + thread * 2 + at % 2) * K + k];
}

static void check_packed(bool transposed, int columns)
{
    char            text[512] = { 0 };
    pf_tensor       weights = { .dtype = PF_F16, .rank = 2, .dim = { transposed ? N : K, transposed ? K : N } };
    pf_program      program = { 0 };
    pf_problem     *p = NULL;
    uint16_t       *packed = NULL, *from = NULL;
    int             run = columns % 32 ? 4 : 8;
    pf_err          err = { 0 };

    snprintf(text, sizeof text, product_text, transposed ? "168,72" : "72,168", transposed);
    p = problem_of(text);
    test_ok(pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 64, columns, 1, 1, 4 }, &program, &err), &err);
    assert_true(program.packs && program.packed_bytes >= N * K * 2);
    assert_int_equal(program.packed_bytes, program.maps[1].rows * K * 2);
    assert_int_equal(program.packed_form, run);
    test_ok(pf_tensor_alloc(&weights, &err), &err);
    from = weights.data;
    for (int i = 0; i < N * K; i++) from[i] = (uint16_t)i;
    packed = pf_calloc(1, program.packed_bytes);
    assert_non_null(packed);
    pf_codegen_wgmma_pack(p, program.packed_form, &weights, packed);
    for (int n = 0; n < N; n++)
        for (int k = 0; k < K; k++) {
            uint16_t want = from[transposed ? n * K + k : k * N + n];

            assert_int_equal(packed_at(packed, run, n / (4 * run), n % (4 * run) / run, n % run, k), want);
        }
    pf_free(packed);
    pf_tensor_clear(&weights);
    pf_program_clear(&program);
    pf_problem_free(p);
}

static void weights_are_packed_for_warp_groups(void **state)
{
    (void)state;
    for (int transposed = 0; transposed < 2; transposed++) {
        check_packed(transposed, 64);
        check_packed(transposed, 48);
    }
}

/* Groups of the columns of two halves take turns, so that a thread has the sums of both. */
static void halves_take_turns(void **state)
{
    enum { COLUMNS = 40, RUN = 8, GROUP = 4 * RUN };
    pf_problem *p = NULL;
    pf_program  program = { 0 };
    uint16_t    from[2 * COLUMNS * 8] = { 0 }, packed[4 * GROUP * 8] = { 0 };
    pf_tensor   weights = { .dtype = PF_F16, .rank = 2, .dim = { 8, 2 * COLUMNS }, .data = from };
    pf_err      err = { 0 };

    (void)state;
    p = problem_of("problem in=linear,linear* out=linear numerics=0\n"
                   "graph \"\"\n%0 = input f16 [64,8]\n%1 = input f16 [8,80]\n%2 = matmul(%0, %1)\n"
                   "%3 = slice(%2) axes=[1] starts=[0] ends=[40] steps=[1]\n%4 = sigmoid(%3)\n"
                   "%5 = slice(%2) axes=[1] starts=[40] ends=[80] steps=[1]\n%6 = mul(%4, %5)\noutput %6\n");
    assert_null(pf_codegen_wgmma_declines(p));
    test_ok(pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 64, 64, 1, 1, 4 }, &program, &err), &err);
    assert_int_equal(program.packed_bytes, sizeof packed);
    assert_int_equal(program.packed_form, RUN);
    for (int i = 0; i < 2 * COLUMNS * 8; i++) from[i] = (uint16_t)i;
    pf_codegen_wgmma_pack(p, RUN, &weights, packed);
    for (int c = 0; c < 2 * COLUMNS; c++) {
        int half = c / COLUMNS, own = c % COLUMNS, group = own / GROUP * 2 + half, in_group = own % GROUP;
        int row = group * GROUP + in_group % RUN / 2 * 8 + in_group / RUN * 2 + in_group % 2;

        for (int k = 0; k < 8; k++) assert_int_equal(packed[row * 8 + k], from[k * 2 * COLUMNS + c]);
    }
    pf_program_clear(&program);
    pf_problem_free(p);
}

/* Rows of the result that start at odd places are stored by neighbours together, and their weights stay in order. */
static void check_odd(bool transposed)
{
    enum { ODD_N = 83, ODD_K = 8 };
    pf_program  program = { 0 };
    uint16_t    from[ODD_N * ODD_K] = { 0 }, packed[ODD_N * ODD_K] = { 0 };
    pf_tensor   weights = { .dtype = PF_F16, .rank = 2, .data = from,
                            .dim = { transposed ? ODD_N : ODD_K, transposed ? ODD_K : ODD_N } };
    pf_err      err = { 0 };
    char        text[512] = { 0 };
    pf_problem *p = NULL;

    snprintf(text, sizeof text, "problem in=linear,linear* out=linear numerics=0\n"
             "graph \"\"\n%%0 = input f16 [64,8]\n%%1 = input f16 [%s]\n%%2 = matmul(%%0, %%1) trans_b=%d\n"
             "output %%2\n",
             transposed ? "83,8" : "8,83", transposed);
    p = problem_of(text);
    assert_null(pf_codegen_wgmma_declines(p));
    assert_int_equal(pf_codegen_matmul_declines(p) == NULL, transposed);
    test_ok(pf_codegen_wgmma(p, &(pf_wgmma_tuning){ 64, 64, 1, 1, 4 }, &program, &err), &err);
    assert_int_equal(program.packed_bytes, sizeof packed);
    for (int i = 0; i < ODD_N * ODD_K; i++) from[i] = (uint16_t)i;
    pf_codegen_wgmma_pack(p, program.packed_form, &weights, packed);
    for (int n = 0; n < ODD_N; n++)
        for (int k = 0; k < ODD_K; k++)
            assert_int_equal(packed[n * ODD_K + k], from[transposed ? n * ODD_K + k : k * ODD_N + n]);
    pf_program_clear(&program);
    pf_problem_free(p);
}

static void odd_weights_stay_in_order(void **state)
{
    (void)state;
    check_odd(true);
}

/* Whatever their length, which the other kernel of products declines. */
static void odd_rows_of_k_are_turned(void **state)
{
    (void)state;
    check_odd(false);
}

/* Both operands have 16 bits: FP32 in parts of BF16 is for the kernel that splits it. */
static void fp32_in_parts_is_left_to_others(void **state)
{
    pf_problem *p = NULL;

    (void)state;
    p = problem_of("problem in=linear,linear* out=linear numerics=8\n"
                   "graph \"\"\n%0 = input f32 [64,128]\n%1 = input f32 [128,256]\n%2 = matmul(%0, %1)\noutput %2\n");
    assert_null(pf_codegen_matmul_declines(p));
    assert_non_null(pf_codegen_wgmma_declines(p));
    pf_problem_free(p);
}

static int tunings_of(int columns, pf_wgmma_tuning out[PF_WGMMA_TUNINGS])
{
    char        text[256] = "";
    pf_problem *p = NULL;
    int         count = 0;

    snprintf(text, sizeof text, "problem in=linear,linear* out=linear numerics=0\n"
             "graph \"\"\n%%0 = input f16 [4096,768]\n%%1 = input f16 [768,%d]\n%%2 = matmul(%%0, %%1)\noutput %%2\n",
             columns);
    p = problem_of(text);
    count = pf_codegen_wgmma_tunings(p, 132, out, 4);
    pf_problem_free(p);
    return count;
}

/* On an H200 64 x 192 is the best one of the long product. */
static void long_products_are_tried_with_more_tunings(void **state)
{
    pf_wgmma_tuning list[PF_WGMMA_TUNINGS] = { { 0 } };
    bool            found = false;
    int             count = tunings_of(2304, list);

    (void)state;
    assert_int_equal(count, 8);
    for (int i = 0; i < count; i++) found |= list[i].rows == 64 && list[i].columns == 192;
    assert_true(found);
    assert_int_equal(tunings_of(768, list), 4);
}

/* What NVRTC and ptxas say of it, by the options of pf_program_compile, which keeps no log of what compiles.  Freed by
   the caller. */
static char *compiler_log(const pf_program *program)
{
    const char  *options[] = { "--gpu-architecture=sm_90a", "--std=c++17", "-default-device" };
    nvrtcProgram handle = NULL;
    size_t       bytes = 0;
    char        *log = NULL;

    assert_int_equal(nvrtcCreateProgram(&handle, (const char *)program->source.data, "product.cu", 0, NULL, NULL), 0);
    assert_int_equal(nvrtcCompileProgram(handle, 3, options), 0);
    assert_int_equal(nvrtcGetProgramLogSize(handle, &bytes), 0);
    log = pf_calloc(1, bytes + 1);
    assert_non_null(log);
    assert_int_equal(nvrtcGetProgramLog(handle, log), 0);
    nvrtcDestroyProgram(&handle);
    return log;
}

/* Sums that are rounded and stored, and nothing else: the compiler is tempted to round them early. */
static void multiplications_overlap(void **state)
{
    static const pf_wgmma_tuning tunings[] = { { 64, 64, 1, 1, 12 }, { 128, 128, 1, 1, 6 }, { 192, 192, 3, 1, 4 } };
    pf_problem *p = NULL;
    pf_err      err = { 0 };

    (void)state;
    p = problem_of("problem in=linear,linear* out=linear numerics=0\n"
                   "graph \"\"\n%0 = input f16 [392,3072]\n%1 = input f16 [3072,768]\n%2 = matmul(%0, %1)\n"
                   "output %2\n");
    for (size_t i = 0; i < sizeof tunings / sizeof *tunings; i++) {
        pf_program program = { 0 };
        char      *log = NULL;

        test_ok(pf_codegen_wgmma(p, &tunings[i], &program, &err), &err);
        log = compiler_log(&program);
        assert_null(strstr(log, "serialized"));
        pf_free(log);
        pf_program_clear(&program);
    }
    pf_problem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(fp32_in_parts_is_left_to_others),
                                        cmocka_unit_test(weights_are_packed_for_warp_groups),
                                        cmocka_unit_test(halves_take_turns),
                                        cmocka_unit_test(odd_weights_stay_in_order),
                                        cmocka_unit_test(odd_rows_of_k_are_turned),
                                        cmocka_unit_test(multiplications_overlap),
                                        cmocka_unit_test(long_products_are_tried_with_more_tunings) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
