/* Writes an export of a few timings into a folder: where the fuzzer starts. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cache/timing_export.h"
#include "tests/test.h"

static pf_status fill(pf_timing_db *db, int count, pf_err *err)
{
    pf_timing_record record = {.effort = 3};
    pf_status        status = PF_OK;

    for (int i = 0; i < count && !status; i++) {
        pf_timing_entry entry = { .rev = 1,
                                  .status = (pf_timing_status)(i % PF_TIMING_STATUS_COUNT),
                                  .sample_count = 5,
                                  .min_ns = 90,
                                  .median_ns = 100 };
        char            problem[64];

        snprintf(entry.tactic, sizeof entry.tactic, "tactic_%d", i);
        snprintf(entry.tuning, sizeof entry.tuning, "tile=%d", i);
        snprintf(problem, sizeof problem, "problem in=linear\ngraph\n%d\n", i % 3);
        status = pf_timing_record_put(&record, &entry, err);
        if (!status)
            status = pf_timing_db_merge(db, i % 2 ? "device=cpu\nthreads=2\n" : "device=cpu\nthreads=4\n", problem,
                                        &record, err);
    }
    pf_timing_record_clear(&record);
    return status;
}

int main(int argc, char **argv)
{
    pf_err err = {0};

    for (int count = 0; argc == 2 && count < 7; count += 3) {
        char               name[32], path[4096];
        pf_timing_db      *db = NULL;
        pf_timing_transfer done = {0};

        snprintf(name, sizeof name, "db%d", count);
        snprintf(path, sizeof path, "%s/export_%d.timing", argv[1], count);
        if (pf_dir_make(argv[1], &err) || pf_timing_db_open(test_path(name), NULL, &db, &err) || fill(db, count, &err)
            || pf_timing_export_file(db, path, &done, &err)) {
            fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        pf_timing_db_close(db);
    }
    return argc == 2 ? 0 : 1;
}
