/* What tests of timing share: a problem that copies some floats on the CPU, timed by tactics of theirs. */
#ifndef PF_TESTS_UNIT_ENGINE_TIMED_H
#define PF_TESTS_UNIT_ENGINE_TIMED_H

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/timing.h"
#include "tests/unit/engine/networks.h"

enum { ELEMS = 4096 };

static pf_device  *device;
static pf_problem *problem;     /* y = x, ELEMS floats */
static pf_oracle   oracle;
static pf_timing  *timing;

static int open_all(void **state)
{
    pf_shape shape = { .rank = 1, .dim = { ELEMS } };
    pf_err   err = { 0 };

    (void)state;
    device = cpu();
    test_ok(pf_problem_reformat(NULL, PF_F32, &shape, PF_LAYOUT_LINEAR, PF_LAYOUT_LINEAR, &problem, &err), &err);
    test_ok(pf_oracle_make(problem, &oracle, &err), &err);
    test_ok(pf_timing_new(device, &timing, &err), &err);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    pf_timing_free(timing);
    pf_oracle_clear(&oracle);
    pf_problem_free(problem);
    pf_device_close(device);
    return 0;
}

static pf_status copy(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    (void)step, (void)stream, (void)err;
    memmove(b->out[0], b->in[0], ELEMS * sizeof(float));
    return PF_OK;
}

static void measure_at(int effort, const pf_tactic *const *tactics, uint32_t count, uint64_t workspace_limit,
                       pf_timing_record *out)
{
    pf_timing_candidate candidates[64] = { { 0 } };
    pf_timing_options   options = { .effort = effort, .workspace_limit_bytes = workspace_limit };
    pf_err              err = { 0 };

    for (uint32_t i = 0; i < count; i++) {
        candidates[i].tactic = tactics[i];
        snprintf(candidates[i].tuning.text, sizeof candidates[i].tuning.text, "t%u", i);
    }
    test_ok(pf_timing_measure(timing, problem, &oracle, candidates, count, &options, out, &err), &err);
    assert_int_equal(out->count, count);
}

static const pf_timing_entry *entry_of(const pf_timing_record *record, const char *tactic, const char *tuning)
{
    const pf_timing_entry *entry = pf_timing_record_find(record, tactic, tuning);

    assert_non_null(entry);
    return entry;
}

#endif
