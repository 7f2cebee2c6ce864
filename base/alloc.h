/* All heap memory of the project comes through here, so that tests can make the n-th allocation fail and can
   count allocations in code that must make none, and so that users can give it and watch it (base/memory.h).
   Thread   any. */
#ifndef PF_BASE_ALLOC_H
#define PF_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL when out of memory (or told to fail).  A size of 0 gives a pointer that may be freed. */
void *pf_alloc(size_t bytes);
void *pf_calloc(size_t count, size_t item_bytes);      /* zeroed; NULL when the product overflows */
void *pf_realloc(void *old, size_t bytes);             /* on failure old is untouched */
void *pf_alloc_aligned(size_t alignment, size_t bytes);/* alignment a power of two; freed by pf_free */
void  pf_free(void *pointer);                          /* NULL is fine */
/* Memory from here that will be written whole, at once and soon: where it is large, the system gives it in large pages,
   which takes a tenth of the time. */
void  pf_alloc_expect_filling(void *pointer, size_t bytes);
/* Gives back to the system what was freed and is kept for later, when that is more than spare_bytes: after work that
   needed much at once. */
void  pf_alloc_trim(size_t spare_bytes);
char *pf_strdup(const char *text);
char *pf_strndup(const char *text, size_t bytes);

/* Makes *items hold at least need items of item_bytes, growing *capacity geometrically. 0 on success, -1 when out of
   memory. */
int pf_grow(void **items, uint32_t *capacity, uint32_t need, size_t item_bytes);

/* Memory that a watcher is told of by somebody else, as a device's. */
void *pf_alloc_untold(size_t alignment, size_t bytes);
void  pf_free_untold(void *pointer);

/* For tests: after `successes` more allocations every one fails, until called with UINT64_MAX. */
void     pf_alloc_fail_after(uint64_t successes);
uint64_t pf_alloc_count(void);                         /* allocations made by this process so far */

#endif
