/* The word that a mistyped one was meant to be. */
#ifndef PF_BASE_NEAREST_H
#define PF_BASE_NEAREST_H

#include <stddef.h>
#include <stdint.h>

/* Letters to insert, remove, change or swap to make a of b ('_' and '-' are the same letter); at most 64 are
   looked at. */
uint32_t    pf_edit_distance(const char *a, const char *b);

typedef struct pf_nearest { const char *wanted, *best; uint32_t distance; } pf_nearest;
void        pf_nearest_begin(pf_nearest *nearest, const char *wanted);
void        pf_nearest_offer(pf_nearest *nearest, const char *word);
/* NULL when nothing is near enough to be meant. */
const char *pf_nearest_end(const pf_nearest *nearest);

#endif
