/* In what two canonical texts differ, for people. */
#ifndef PF_CACHE_TIMING_TEXT_H
#define PF_CACHE_TIMING_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Both write "this is A, stored B; ..." into out (cut at capacity) and answer how many fields differ; 0: equal. */
/* "key=value" lines sorted by key */
uint32_t pf_timing_class_difference(const char *wanted, const char *stored, char *out, size_t capacity);
uint32_t pf_timing_problem_difference(const char *wanted, const char *stored, char *out, size_t capacity);  /* words */

#endif
