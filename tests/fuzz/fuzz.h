/* What a fuzz target defines, and how it says that the product is wrong. */
#ifndef PF_TESTS_FUZZ_FUZZ_H
#define PF_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Answers 0.  The bytes are borrowed for the call and may be anything. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Ends the run: the input is kept as a finding. */
#define FUZZ_CHECK(condition, ...) do { \
        if (!(condition)) { \
            fprintf(stderr, __VA_ARGS__); \
            fputc('\n', stderr); \
            abort(); \
        } \
    } while (0)

#endif
