#include "tests/unit/cache/timing_samples.h"

#include <stdio.h>
#include <string.h>

void sample_record(pf_timing_record *record, const char *tactic, int64_t median_ns, uint32_t samples)
{
    pf_timing_entry entry = {.rev = 1, .status = PF_TIMED, .sample_count = samples, .min_ns = median_ns - 1,
                             .median_ns = median_ns, .spread_ns = 1, .effort = 2, .wall_ns = 1000 + median_ns};
    pf_err          err = {0};

    *record = (pf_timing_record){.effort = 2};
    snprintf(entry.tactic, sizeof entry.tactic, "%s", tactic);
    test_ok(pf_timing_record_put(record, &entry, &err), &err);
}

void sample_lookup(pf_timing_db *db, const char *class_text, const char *problem_text, pf_timing_record *out)
{
    pf_digest device_class, problem;
    pf_err    err = {0};

    pf_digest_of(class_text, strlen(class_text), &device_class);
    pf_digest_of(problem_text, strlen(problem_text), &problem);
    test_ok(pf_timing_db_lookup(db, &device_class, &problem, 1, out, &err), &err);
}

void sample_merge(pf_timing_db *db, const char *class_text, const char *problem_text, const char *tactic,
                  int64_t median_ns, uint32_t samples)
{
    pf_timing_record record = {0};
    pf_err           err = {0};

    sample_record(&record, tactic, median_ns, samples);
    test_ok(pf_timing_db_merge(db, class_text, problem_text, &record, &err), &err);
    pf_timing_record_clear(&record);
}

pf_timing_db *sample_open(const char *folder)
{
    pf_timing_db *db = NULL;
    pf_err        err = {0};

    test_ok(pf_timing_db_open(folder, NULL, &db, &err), &err);
    return db;
}
