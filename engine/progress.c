#include "engine/progress.h"

#include "base/clock.h"
#include "base/log.h"

#define TELL_EVERY_NS (50 * PF_NS_PER_MS)

static const char *const phase_names[PF_PHASE_COUNT] = { "import", "rewrite", "time", "choose", "pack", "verify" };

const char *pf_phase_name(pf_phase phase)
{
    return phase < PF_PHASE_COUNT ? phase_names[phase] : "?";
}

void pf_progress_start(pf_build_progress *progress, const pf_build_options *options)
{
    *progress = (pf_build_progress){ .options = options, .start_ns = pf_clock_ns(),
                                     .now = { .remaining_ns = -1, .layer = "" } };
}

/* The problems left take as long as those done did, on average. */
static int64_t guess_remaining(const pf_build_progress *p)
{
    if (p->now.phase != PF_PHASE_TIME || !p->time_phase_ns || !p->now.problems_done)
        return -1;
    return (pf_clock_ns() - p->time_phase_ns) / p->now.problems_done * (p->now.problems_total - p->now.problems_done);
}

static bool tell(pf_build_progress *p)
{
    p->told_ns = pf_clock_ns();
    p->now.elapsed_ns = p->told_ns - p->start_ns;
    p->now.remaining_ns = guess_remaining(p);
    if (p->options && p->options->progress && !p->options->progress(p->options->user, &p->now))
        p->cancelled = true;
    return !p->cancelled;
}

pf_status pf_progress_phase(pf_build_progress *progress, pf_phase phase, pf_err *err)
{
    progress->now.phase = phase;
    progress->now.layer = "";
    if (phase == PF_PHASE_TIME)
        progress->time_phase_ns = pf_clock_ns();
    return tell(progress) ? PF_OK : PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
}

bool pf_progress_tick(void *user)
{
    pf_build_progress *p = user;

    if (p->cancelled || pf_clock_ns() - p->told_ns < TELL_EVERY_NS)
        return !p->cancelled;
    return tell(p);
}

static const char *const part_names[PF_PART_COUNT] = { "front", "care", "list", "compile", "expect", "ready", "check",
                                                       "race", "places", "refine", "write", "verify" };

const char *pf_part_name(pf_part part)
{
    return part < PF_PART_COUNT ? part_names[part] : "?";
}

void pf_progress_spent(pf_build_progress *progress, pf_part part, int64_t from_ns)
{
    int64_t ns = pf_clock_ns() - from_ns;

    progress->spent_ns[part] += ns;
    pf_log(PF_LOG_DEBUG, "builder", "after part=%s seconds=%.3f", part_names[part], (double)ns / PF_NS_PER_S);
}

void pf_progress_log_spent(const pf_build_progress *progress)
{
    for (int part = 0; part < PF_PART_COUNT; part++)
        pf_log(PF_LOG_DEBUG, "builder", "spent part=%s seconds=%.3f", part_names[part],
               (double)progress->spent_ns[part] / PF_NS_PER_S);
    pf_log(PF_LOG_DEBUG, "builder", "spent part=all seconds=%.3f",
           (double)(pf_clock_ns() - progress->start_ns) / PF_NS_PER_S);
}
