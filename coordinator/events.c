#include "coordinator/events.h"

#include <string.h>

#include "base/alloc.h"
#include "coordinator/watches.h"

static void drop_first(pf_ring *ring)
{
    pf_job_event *event = ring->first;

    ring->first = event->next;
    if (!ring->first)
        ring->last = NULL;
    ring->bytes -= (uint32_t)sizeof *event + event->text_bytes + event->json_bytes;
    ring->dropped_through = event->sequence;
    ring->dropped_count++;
    pf_free(event);
}

void pf_events_drop(pf_ring *ring)
{
    while (ring->first)
        drop_first(ring);
}

void pf_events_drop_all(pf_core *core, pf_job *job)
{
    uint64_t before = job->run->ring.dropped_count;

    if (job->run != &pf_no_run)
        pf_events_drop(&pf_run_of(core, job)->ring);
    core->stats.events_dropped_total += job->run->ring.dropped_count - before;
}

static void append(pf_core *core, pf_job *job, Pf__EventKind kind, const char *text, const char *json, uint64_t dropped)
{
    size_t        text_bytes = strlen(text) + 1, json_bytes = strlen(json) + 1;
    pf_ring      *ring = &pf_run_of(core, job)->ring;
    pf_job_event *event = pf_core_alloc(core, sizeof *event + text_bytes + json_bytes);

    if (!event)
        return;
    event->sequence = core->next_sequence++;
    event->wall_ns = core->now.wall_ns;
    event->kind = kind;
    event->state = job->state;
    event->phase = job->run->progress.phase;
    event->permille = job->run->progress.permille;
    event->attempt = job->attempt;
    event->dropped = dropped;
    event->text_bytes = (uint32_t)text_bytes;
    event->json_bytes = (uint32_t)json_bytes;
    memcpy(event->data, text, text_bytes);
    memcpy(event->data + text_bytes, json, json_bytes);
    if (ring->last)
        ring->last->next = event;
    else
        ring->first = event;
    ring->last = event;
    ring->bytes += (uint32_t)(sizeof *event + text_bytes + json_bytes);
    for (; ring->bytes > core->config.ring_bytes && ring->first != event; core->stats.events_dropped_total++)
        drop_first(ring);
    pf_watches_wake(core, job);
}

/* A job that waits for its first offer has told its state in the answer to SUBMIT: a million queued jobs keep no
   events. */
void pf_events_state(pf_core *core, pf_job *job, const char *text)
{
    if (job->state == PF__JOB_STATE__STATE_QUEUED && job->attempt == 0 && !job->run->watchers)
        return;
    append(core, job, PF__EVENT_KIND__EVENT_STATE, text, "", 0);
}

void pf_events_progress(pf_core *core, pf_job *job, const char *text, const char *json)
{
    append(core, job, PF__EVENT_KIND__EVENT_PROGRESS, text, json, 0);
}

void pf_events_log(pf_core *core, pf_job *job, const char *text, uint64_t dropped)
{
    append(core, job, PF__EVENT_KIND__EVENT_LOG, text, "", dropped);
}

const pf_job_event *pf_events_after(const pf_job *job, uint64_t after_sequence, bool *gap)
{
    const pf_job_event *event = job->run->ring.first;

    *gap = job->run->ring.dropped_through > after_sequence;
    while (event && event->sequence <= after_sequence)
        event = event->next;
    return event;
}
