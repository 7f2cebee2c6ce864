/* A fast sum of bytes that tells torn and flipped ones: not for names, and no defence against who wants to deceive
   (hash.h). */
#ifndef PF_BASE_CHECKSUM_H
#define PF_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Four lanes take a little-endian 64-bit word of each 32 bytes in turn, by  lane = rotate(lane ^ word, 29) * odd
   number, which no two words do alike: so bytes that differ within one word never have the same sum, and others have it
   by chance, one of 2^64.  Stored in rows: the same in all versions and on all machines.  Sums are chained by the
   seed. */
uint64_t pf_checksum(uint64_t seed, const void *data, size_t bytes);

#endif
