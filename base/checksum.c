#include "base/checksum.h"

#include <endian.h>
#include <string.h>

enum { LANES = 4, WORD_BYTES = 8, BLOCK_BYTES = LANES * WORD_BYTES };

static const uint64_t FACTOR = UINT64_C(0x9e3779b97f4a7c15);    /* 2^64 over the golden ratio, odd */

static uint64_t mix(uint64_t lane, uint64_t word)
{
    lane ^= word;
    return (lane << 29 | lane >> 35) * FACTOR;
}

static void take_block(uint64_t lane[LANES], const uint8_t *block)
{
    for (int i = 0; i < LANES; i++) {
        uint64_t word = 0;
        memcpy(&word, block + i * WORD_BYTES, sizeof word);
        lane[i] = mix(lane[i], le64toh(word));
    }
}

uint64_t pf_checksum(uint64_t seed, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint8_t        last[BLOCK_BYTES] = { 0 };
    uint64_t       lane[LANES] = { seed, seed + FACTOR, seed + 2 * FACTOR, seed + 3 * FACTOR }, sum = mix(seed, bytes);
    size_t         left = bytes;

    for (; left >= BLOCK_BYTES; left -= BLOCK_BYTES, at += BLOCK_BYTES)
        take_block(lane, at);
    if (left) {
        memcpy(last, at, left);
        take_block(lane, last);
    }
    for (int i = 0; i < LANES; i++)
        sum = mix(sum, lane[i]);
    return sum ^ sum >> 32;
}
