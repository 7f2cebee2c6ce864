/* SHA-256, the one hash of the project: content addresses, plan keys, problem hashes, checksums (FIPS 180-4, by nettle,
   which uses the processor's SHA instructions: eight times faster than without on weights of hundreds of megabytes). */
#ifndef PF_BASE_HASH_H
#define PF_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PF_DIGEST_BYTES = 32, PF_DIGEST_HEX_BYTES = 65 };   /* hex form with its terminating zero */

typedef struct pf_digest { uint8_t byte[PF_DIGEST_BYTES]; } pf_digest;
typedef struct pf_hash { uint64_t opaque[16]; } pf_hash;   /* the state of a running hash */

void pf_hash_init(pf_hash *hash);
void pf_hash_add(pf_hash *hash, const void *data, size_t bytes);
/* With its length in front, so that fields cannot run together. */
void pf_hash_add_string(pf_hash *hash, const char *text);
void pf_hash_add_u64(pf_hash *hash, uint64_t value);
void pf_hash_end(pf_hash *hash, pf_digest *out);

void pf_digest_of(const void *data, size_t bytes, pf_digest *out);
bool pf_digest_equal(const pf_digest *a, const pf_digest *b);
bool pf_digest_is_zero(const pf_digest *digest);
void pf_digest_to_hex(const pf_digest *digest, char out[PF_DIGEST_HEX_BYTES]);   /* lower case */
bool pf_digest_from_hex(const char *hex, pf_digest *out);  /* exactly 64 hex digits */

#endif
