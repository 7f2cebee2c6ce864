/* A store that has builds exchange choices after they were measured inside the network. */
#ifndef PF_TESTS_UNIT_ENGINE_SWAPPING_STORE_H
#define PF_TESTS_UNIT_ENGINE_SWAPPING_STORE_H

#include <stdio.h>

#include "tests/unit/engine/built.h"

/* A store in which whatever was measured of choices inside a network says that the second candidate of every step is
   better. */
typedef struct swapping_store { wrapping_store of; uint32_t kept; bool swaps; } swapping_store;

static inline pf_status swapping_merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                                       const pf_timing_record *entries, pf_err *err)
{
    swapping_store  *w = (swapping_store *)base;
    pf_timing_store *inner = w->of.inner;
    pf_timing_record record = { 0 };
    pf_timing_entry  entry = { .tactic = "refined", .rev = 1 };
    pf_status        st = PF_OK;

    if (strncmp(problem_text, "refined choices\n", 16) != 0)
        return inner->merge(inner, class_text, problem_text, entries, err);
    w->kept++;
    st = pf_timing_record_merge(&record, entries, err);
    for (int step = 0; step < 64 && w->swaps && !st; step++) {
        snprintf(entry.tuning, sizeof entry.tuning, "step=%d rank=1", step);
        st = pf_timing_record_put(&record, &entry, err);
    }
    if (!st)
        st = inner->merge(inner, class_text, problem_text, &record, err);
    pf_timing_record_clear(&record);
    return st;
}

#endif
