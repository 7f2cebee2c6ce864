/* The rounds of FIPS 180-4 6.2.2, four at a time: the instructions keep a, b, e, f in one register and c, d, g, h in another. */
#include "base/sha256_x86.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

enum { BLOCK_BYTES = 64, LEAF_FEATURES = 1, LEAF_MORE_FEATURES = 7, SSSE3_ECX = 1 << 9, SSE41_ECX = 1 << 19, SHA_EBX = 1 << 29 };

/* FIPS 180-4 4.2.2. */
static const uint32_t constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static bool ask_cpu(void)
{
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

    if (!__get_cpuid(LEAF_FEATURES, &eax, &ebx, &ecx, &edx) || !(ecx & SSSE3_ECX) || !(ecx & SSE41_ECX))
        return false;
    return __get_cpuid_count(LEAF_MORE_FEATURES, 0, &eax, &ebx, &ecx, &edx) && (ebx & SHA_EBX);
}

bool pf_sha256_x86_works(void)
{
    static atomic_int known;            /* 0: not asked yet; asking is slow in a virtual machine */
    int               answer = atomic_load_explicit(&known, memory_order_relaxed);

    if (!answer) {
        answer = ask_cpu() ? 1 : -1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer > 0;
}

/* Words 4i .. 4i + 3 of the message schedule; w holds the sixteen before them, in groups of four, number i & 3 the oldest. */
__attribute__((target("sha,ssse3,sse4.1"), always_inline))
static inline __m128i next_words(const __m128i w[4], int i)
{
    __m128i seven_before = _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4);

    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]), seven_before), w[(i + 3) & 3]);
}

__attribute__((target("sha,ssse3,sse4.1")))
static void one_block(__m128i *abef, __m128i *cdgh, const uint8_t *data)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i abef_before = *abef, cdgh_before = *cdgh;
    __m128i       w[4];

#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        __m128i sum;
        if (i < 4)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data + i), big_endian);
        else
            w[i & 3] = next_words(w, i);
        sum = _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)constants + i));
        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    *abef = _mm_add_epi32(*abef, abef_before);
    *cdgh = _mm_add_epi32(*cdgh, cdgh_before);
}

__attribute__((target("sha,ssse3,sse4.1")))
void pf_sha256_x86_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state + 1), 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
    __m128i feba, dchg;

    for (; blocks > 0; blocks--, data += BLOCK_BYTES)
        one_block(&abef, &cdgh, data);
    feba = _mm_shuffle_epi32(abef, 0x1b);
    dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)state + 1, _mm_alignr_epi8(dchg, feba, 8));
}

#else

bool pf_sha256_x86_works(void)
{
    return false;
}

void pf_sha256_x86_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    (void)state;
    (void)data;
    (void)blocks;
}

#endif
