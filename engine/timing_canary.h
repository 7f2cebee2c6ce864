/* A fixed step that runs before and after races, small enough for a core's own cache: when it takes longer than it
   could, something disturbs the device. */
#ifndef PF_ENGINE_TIMING_CANARY_H
#define PF_ENGINE_TIMING_CANARY_H

#include "engine/timing_bench.h"

typedef struct pf_timing_canary {
    pf_problem     *problem;            /* owned, like all that follows */
    pf_oracle       oracle;
    pf_bench        bench;
    pf_bench_runner runner;             /* step NULL: nothing copies on this device, and nothing is called disturbed */
    int64_t         best_ns;            /* the quietest seen */
    int64_t         last_ns, last_end_ns;       /* the last run, and when it ended */
} pf_timing_canary;

/* room: of that device; lives as long as the canary. */
pf_status pf_timing_canary_open(pf_device *device, pf_stream *stream, pf_bench_room *room, pf_timing_canary *out,
                                pf_err *err);
void      pf_timing_canary_close(pf_timing_canary *canary);
/* The fastest of a few: what the device can do now. */
pf_status pf_timing_canary_run(pf_timing_canary *canary, int64_t *ns, pf_err *err);
/* The same, or what the last one gave where it ended a moment ago, undisturbed: short races follow one another within
   milliseconds, and one canary is between two of them. */
pf_status pf_timing_canary_run_unless_recent(pf_timing_canary *canary, int64_t *ns, pf_err *err);
bool      pf_timing_canary_is_disturbed(const pf_timing_canary *canary, int64_t ns);

#endif
