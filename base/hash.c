#include "base/hash.h"

#include <sodium/crypto_hash_sha256.h>
#include <string.h>

#include "base/sha256_x86.h"

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(pf_hash), "pf_hash must hold libsodium's state");
_Static_assert(PF_DIGEST_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

enum { BLOCK_BYTES = 64, LENGTH_BYTES = 8 };

/* libsodium's state, also where its rounds are not used: the digest so far, bits taken in, the block that is not full yet. */
static crypto_hash_sha256_state *state_of(pf_hash *hash)
{
    return (crypto_hash_sha256_state *)hash->opaque;
}

void pf_hash_init(pf_hash *hash)
{
    crypto_hash_sha256_init(state_of(hash));
}

static size_t in_block(const crypto_hash_sha256_state *state)
{
    return (size_t)(state->count / 8 % BLOCK_BYTES);
}

static void add_fast(crypto_hash_sha256_state *state, const uint8_t *data, size_t bytes)
{
    size_t at = in_block(state), room = BLOCK_BYTES - at;

    state->count += (uint64_t)bytes * 8;
    if (bytes < room) {
        memcpy(state->buf + at, data, bytes);
        return;
    }
    if (at) {
        memcpy(state->buf + at, data, room);
        pf_sha256_x86_blocks(state->state, state->buf, 1);
        data += room;
        bytes -= room;
    }
    pf_sha256_x86_blocks(state->state, data, bytes / BLOCK_BYTES);
    memcpy(state->buf, data + bytes / BLOCK_BYTES * BLOCK_BYTES, bytes % BLOCK_BYTES);
}

/* A one bit, zeros, and the length in bits, up to a whole block (FIPS 180-4 5.1.1). */
static void end_fast(crypto_hash_sha256_state *state, uint8_t out[PF_DIGEST_BYTES])
{
    uint8_t padding[2 * BLOCK_BYTES] = {0x80};
    size_t  at = in_block(state);
    size_t  bytes = (at < BLOCK_BYTES - LENGTH_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES) - at;

    for (size_t i = 0; i < LENGTH_BYTES; i++)
        padding[bytes - 1 - i] = (uint8_t)(state->count >> (8 * i));
    add_fast(state, padding, bytes);
    for (size_t i = 0; i < PF_DIGEST_BYTES; i++)
        out[i] = (uint8_t)(state->state[i / 4] >> (24 - 8 * (i % 4)));
}

void pf_hash_add(pf_hash *hash, const void *data, size_t bytes)
{
    if (!bytes)
        return;
    if (pf_sha256_x86_works())
        add_fast(state_of(hash), data, bytes);
    else
        crypto_hash_sha256_update(state_of(hash), data, bytes);
}

void pf_hash_add_u64(pf_hash *hash, uint64_t value)
{
    uint8_t out[8];

    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(value >> (8 * i));
    pf_hash_add(hash, out, sizeof out);
}

void pf_hash_add_string(pf_hash *hash, const char *text)
{
    size_t length = strlen(text);

    pf_hash_add_u64(hash, length);
    pf_hash_add(hash, text, length);
}

void pf_hash_end(pf_hash *hash, pf_digest *out)
{
    if (pf_sha256_x86_works())
        end_fast(state_of(hash), out->byte);
    else
        crypto_hash_sha256_final(state_of(hash), out->byte);
}

void pf_digest_of(const void *data, size_t bytes, pf_digest *out)
{
    pf_hash hash;

    pf_hash_init(&hash);
    pf_hash_add(&hash, data, bytes);
    pf_hash_end(&hash, out);
}

bool pf_digest_equal(const pf_digest *a, const pf_digest *b)
{
    return memcmp(a->byte, b->byte, PF_DIGEST_BYTES) == 0;
}

bool pf_digest_is_zero(const pf_digest *digest)
{
    static const pf_digest zero;

    return pf_digest_equal(digest, &zero);
}

void pf_digest_to_hex(const pf_digest *digest, char out[PF_DIGEST_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < PF_DIGEST_BYTES; i++) {
        out[2 * i] = digits[digest->byte[i] >> 4];
        out[2 * i + 1] = digits[digest->byte[i] & 15];
    }
    out[PF_DIGEST_HEX_BYTES - 1] = 0;
}

/* -1 when not a hex digit; independent of the locale. */
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool pf_digest_from_hex(const char *hex, pf_digest *out)
{
    pf_digest digest = {{0}};

    memset(out, 0, sizeof *out);
    if (strnlen(hex, PF_DIGEST_HEX_BYTES) != PF_DIGEST_HEX_BYTES - 1)
        return false;
    for (size_t i = 0; i < PF_DIGEST_BYTES; i++) {
        int high = hex_value(hex[2 * i]);
        int low = hex_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        digest.byte[i] = (uint8_t)(high << 4 | low);
    }
    *out = digest;
    return true;
}
