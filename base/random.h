/* Seeded pseudo-random numbers, the same on every machine (xoshiro256**, Blackman and Vigna 2018, seeded by splitmix64). Not for keys. */
#ifndef PF_BASE_RANDOM_H
#define PF_BASE_RANDOM_H

#include <stdint.h>

typedef struct pf_random { uint64_t state[4]; } pf_random;

void     pf_random_init(pf_random *random, uint64_t seed);
uint64_t pf_random_u64(pf_random *random);
uint64_t pf_random_below(pf_random *random, uint64_t limit);   /* [0, limit), limit > 0, no modulo bias */
double   pf_random_unit(pf_random *random);                    /* [0, 1) */
double   pf_random_normal(pf_random *random);                  /* mean 0, deviation 1, within [-6, 6] */

#endif
