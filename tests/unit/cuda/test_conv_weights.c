/* Weights packed for channels-last kernels: each at its place, and zeros behind the last channel. */
#include "tests/test.h"

#include <string.h>

#include "engine/cuda/conv_weights.h"

enum { OUTPUTS = 3, INPUTS = 5, ROWS = 2, COLUMNS = 3, TAPS = ROWS * COLUMNS, CHANNELS = 8,
       PACKED = OUTPUTS * TAPS * CHANNELS };

static void check(pf_dtype dtype)
{
    pf_tensor weights = { .dtype = dtype, .rank = 4, .dim = { OUTPUTS, INPUTS, ROWS, COLUMNS } };
    uint8_t   packed[PACKED * sizeof(float)];
    pf_err    err = { 0 };

    test_ok(pf_tensor_alloc(&weights, &err), &err);
    for (uint64_t i = 0; i < OUTPUTS * INPUTS * TAPS; i++)
        pf_dtype_set(dtype, weights.data, i, (double)(i + 1));
    memset(packed, 0xff, sizeof packed);
    pf_conv_weights_pack(&weights, CHANNELS, packed);
    for (uint64_t o = 0; o < OUTPUTS; o++)
        for (uint64_t t = 0; t < TAPS; t++)
            for (uint64_t c = 0; c < CHANNELS; c++) {
                double want = c < INPUTS ? (double)((o * INPUTS + c) * TAPS + t + 1) : 0;

                assert_true(pf_dtype_get(dtype, packed, (o * TAPS + t) * CHANNELS + c) == want);
            }
    pf_tensor_clear(&weights);
}

static void test_places(void **state)
{
    (void)state;
    check(PF_F16);
    check(PF_F32);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_places) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
