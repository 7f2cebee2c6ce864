#include "base/checksum.h"

#include <string.h>

#include "tests/test.h"

enum { BYTES = 100 };

static void fill(uint8_t data[BYTES])
{
    for (int i = 0; i < BYTES; i++)
        data[i] = (uint8_t)i;
}

/* Worked out by another program from the formula in checksum.h: rows of all machines hold the same sums. */
static void known_answers(void **state)
{
    uint8_t data[BYTES] = { 0 };

    (void)state;
    fill(data);
    assert_true(pf_checksum(0, "", 0) == UINT64_C(0x19d32e14e287f015));
    assert_true(pf_checksum(0, "a", 1) == UINT64_C(0xf15fa9d7a3eb8c63));
    assert_true(pf_checksum(5, data, 32) == UINT64_C(0xfe05a7a2b335970));
    assert_true(pf_checksum(1, data, BYTES) == UINT64_C(0x2f7273717d3f577b));
}

static void every_flipped_bit_is_seen(void **state)
{
    uint8_t  data[BYTES] = { 0 };
    uint64_t sum = 0;

    (void)state;
    fill(data);
    sum = pf_checksum(7, data, BYTES);
    for (int bit = 0; bit < 8 * BYTES; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(pf_checksum(7, data, BYTES) != sum);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(pf_checksum(7, data, BYTES) == sum);
}

static void length_order_and_seed_count(void **state)
{
    static const uint8_t zeros[BYTES];
    uint8_t              data[BYTES] = { 0 }, swapped[BYTES] = { 0 };

    (void)state;
    for (size_t bytes = 1; bytes <= BYTES; bytes++)
        assert_true(pf_checksum(0, zeros, bytes) != pf_checksum(0, zeros, bytes - 1));
    fill(data);
    memcpy(swapped, data + 32, 32);
    memcpy(swapped + 32, data, 32);
    assert_true(pf_checksum(0, data, 64) != pf_checksum(0, swapped, 64));
    assert_true(pf_checksum(0, data, 64) != pf_checksum(1, data, 64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(length_order_and_seed_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
