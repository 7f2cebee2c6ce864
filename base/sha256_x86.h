/* SHA-256's rounds by the instructions that x86 processors have for them: many times faster than plain code. */
#ifndef PF_BASE_SHA256_X86_H
#define PF_BASE_SHA256_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this processor has them.   Thread   any. */
bool pf_sha256_x86_works(void);
/* Works blocks of 64 bytes into the state; only where pf_sha256_x86_works. */
void pf_sha256_x86_blocks(uint32_t state[8], const uint8_t *data, size_t blocks);

#endif
