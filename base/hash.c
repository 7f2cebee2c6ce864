#include "base/hash.h"

#include <nettle/sha2.h>
#include <string.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(pf_hash), "pf_hash must hold nettle's state");
_Static_assert(PF_DIGEST_BYTES == SHA256_DIGEST_SIZE, "SHA-256 has 32 bytes");

static struct sha256_ctx *state_of(pf_hash *hash)
{
    return (struct sha256_ctx *)hash->opaque;
}

void pf_hash_init(pf_hash *hash)
{
    sha256_init(state_of(hash));
}

void pf_hash_add(pf_hash *hash, const void *data, size_t bytes)
{
    if (bytes)
        sha256_update(state_of(hash), bytes, data);
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
    sha256_digest(state_of(hash), PF_DIGEST_BYTES, out->byte);
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
