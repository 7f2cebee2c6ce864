/* What was compiled for one device, by a digest of what it was made from: the source of a kernel, or problem and
   tuning. In memory, where it begins anew at 256 MiB, and in a folder when one is given, so that a second build
   compiles nothing and gets the same machine code again.
   Thread   any, after keep_in. */
#ifndef PF_ENGINE_CUDA_PROGRAM_CACHE_H
#define PF_ENGINE_CUDA_PROGRAM_CACHE_H

#include "base/hash.h"
#include "base/status.h"

typedef struct pf_program_cache pf_program_cache;

pf_program_cache *pf_program_cache_new(void);           /* NULL when out of memory */
void              pf_program_cache_free(pf_program_cache *cache);
/* Reads from and writes to folder from now on, which is made when absent; device_class is part of the files' names.
   Beyond 1 GiB the files that were not used for longest go.  Errors   those of making the folder; the cache then stays
   in memory. */
pf_status         pf_program_cache_keep_in(pf_program_cache *cache, const char *folder, const pf_digest *device_class,
                                           pf_err *err);
bool              pf_program_cache_has(pf_program_cache *cache, const pf_digest *key);
/* From pf_alloc; NULL: not there. */
uint8_t          *pf_program_cache_copy(pf_program_cache *cache, const pf_digest *key, size_t *bytes);
/* Takes code. */
void              pf_program_cache_keep(pf_program_cache *cache, const pf_digest *key, uint8_t *code, size_t bytes);

#endif
