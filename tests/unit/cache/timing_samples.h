/* Records and texts that the tests of the timing db share. */
#ifndef PF_TESTS_UNIT_CACHE_TIMING_SAMPLES_H
#define PF_TESTS_UNIT_CACHE_TIMING_SAMPLES_H

#include "cache/timing_db.h"
#include "cache/timing_db_check.h"
#include "tests/test.h"

#define SAMPLE_CLASS "cores=2\ncpu=some avx512\ndriver=none\n"
#define OTHER_CLASS  "cores=8\ncpu=some avx512\ndriver=none\n"
#define SAMPLE_PROBLEM "problem linear linear\n%x = input f32 [1,64,56,56]\n%1 = conv(%x, %w) pads=[1,1,1,1]\n"
#define BATCH_PROBLEM  "problem linear linear\n%x = input f32 [8,64,56,56]\n%1 = conv(%x, %w) pads=[1,1,1,1]\n"

/* A record of one entry. */
void sample_record(pf_timing_record *record, const char *tactic, int64_t median_ns, uint32_t samples);
/* One record of that class and problem, or count 0. */
void sample_lookup(pf_timing_db *db, const char *class_text, const char *problem_text, pf_timing_record *out);
void sample_merge(pf_timing_db *db, const char *class_text, const char *problem_text, const char *tactic,
                  int64_t median_ns, uint32_t samples);
pf_timing_db *sample_open(const char *folder);

#endif
