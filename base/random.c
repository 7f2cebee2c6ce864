#include "base/random.h"

#include <string.h>

static uint64_t rotate_left(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void pf_random_init(pf_random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix64(&seed);
}

static inline uint64_t draw(uint64_t s[4])
{
    uint64_t out = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return out;
}

uint64_t pf_random_u64(pf_random *random)
{
    return draw(random->state);
}

/* The next state is linear in this one over the field of two elements: many steps are one 256 x 256 matrix of bits,
   here by columns. */
void pf_random_leap_over(const pf_random_leap *leap, pf_random *random)
{
    uint64_t out[4] = { 0 };

    for (int i = 0; i < 256; i++) {
        uint64_t mask = -(random->state[i / 64] >> i % 64 & 1);

        for (int k = 0; k < 4; k++)
            out[k] ^= leap->column[i].state[k] & mask;
    }
    memcpy(random->state, out, sizeof out);
}

/* of = by * of */
static void multiply_leap(const pf_random_leap *by, pf_random_leap *of)
{
    for (int i = 0; i < 256; i++)
        pf_random_leap_over(by, &of->column[i]);
}

static void no_leap(pf_random_leap *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 256; i++)
        out->column[i].state[i / 64] = UINT64_C(1) << i % 64;
}

void pf_random_leap_init(pf_random_leap *leap, uint64_t draws)
{
    pf_random_leap power, factor;

    no_leap(leap);
    no_leap(&power);
    for (int i = 0; i < 256; i++)
        pf_random_u64(&power.column[i]);
    for (; draws; draws >>= 1) {
        if (draws & 1)
            multiply_leap(&power, leap);
        factor = power;
        multiply_leap(&factor, &power);
    }
}

uint64_t pf_random_below(pf_random *random, uint64_t limit)
{
    uint64_t rest = -limit % limit;     /* 2^64 mod limit: that many values would come up once too often */
    uint64_t value = pf_random_u64(random);

    while (value < rest)
        value = pf_random_u64(random);
    return value % limit;
}

double pf_random_unit(pf_random *random)
{
    return (double)(pf_random_u64(random) >> 11) * 0x1p-53;
}

/* The sum of 12 uniform numbers has deviation 1.  Unlike the usual transforms it needs no function of libm,
   whose last bit differs between machines.  Three 21-bit numbers are taken from each draw. */
static inline double draw_normal(uint64_t state[4])
{
    const uint64_t mask = (1 << 21) - 1;
    int64_t        sum = 0;

    for (int i = 0; i < PF_RANDOM_NORMAL_DRAWS; i++) {
        uint64_t bits = draw(state);

        sum += (int64_t)((bits & mask) + (bits >> 21 & mask) + (bits >> 42 & mask));
    }
    return (double)(sum - 6 * (int64_t)mask) * 0x1p-21;
}

double pf_random_normal(pf_random *random)
{
    return draw_normal(random->state);
}

void pf_random_normals(pf_random *random, int64_t count, double *out)
{
    pf_random own = *random;    /* in registers */

    for (int64_t i = 0; i < count; i++)
        out[i] = draw_normal(own.state);
    *random = own;
}
