/* What divides whole numbers. */
#ifndef PF_BASE_DIVISOR_H
#define PF_BASE_DIVISOR_H

#include <stdint.h>

/* The greatest that divides both, which is not negative; the other's size where one is 0. Neither is INT64_MIN. */
static inline int64_t pf_common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

#endif
