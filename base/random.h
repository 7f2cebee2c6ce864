/* Seeded pseudo-random numbers, not for keys: the same on every machine (xoshiro256**, Blackman and Vigna 2018, seeded
   by splitmix64). */
#ifndef PF_BASE_RANDOM_H
#define PF_BASE_RANDOM_H

#include <stdint.h>

typedef struct pf_random { uint64_t state[4]; } pf_random;

enum { PF_RANDOM_NORMAL_DRAWS = 4 };

void     pf_random_init(pf_random *random, uint64_t seed);
uint64_t pf_random_u64(pf_random *random);
uint64_t pf_random_below(pf_random *random, uint64_t limit);   /* [0, limit), limit > 0, no modulo bias */
double   pf_random_unit(pf_random *random);                    /* [0, 1) */
double   pf_random_normal(pf_random *random);                  /* mean 0, deviation 1, within [-6, 6] */
void     pf_random_normals(pf_random *random, int64_t count, double *out);     /* the next so many of them */

/* Many draws at once: threads that fill parts of one sequence start each where it would be. */
typedef struct pf_random_leap { pf_random column[256]; } pf_random_leap;

/* How the state changes in that many draws of 64 bits (a normal number takes PF_RANDOM_NORMAL_DRAWS). Some
   milliseconds. */
void     pf_random_leap_init(pf_random_leap *leap, uint64_t draws);
void     pf_random_leap_over(const pf_random_leap *leap, pf_random *random);

#endif
