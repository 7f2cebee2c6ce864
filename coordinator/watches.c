#include "coordinator/watches.h"

#include "base/alloc.h"
#include "coordinator/events.h"

enum { REPLY_BYTES_DEFAULT = 65536, REPLY_BYTES_MAX = 900000, EVENTS_MAX = 4096, EVENT_OVERHEAD = 64 };

/* ---- the answer */

typedef struct answer {
    Pf__Event  *event;          /* owned */
    Pf__Event **list;           /* owned */
    uint32_t    count, capacity, gaps_count;
    size_t      bytes, limit_bytes;
    uint64_t    through;        /* all events up to here are in, of every job */
    bool        cut;            /* not everything went in */
} answer;

static Pf__Event *add_event(pf_core *core, answer *a)
{
    void *items = a->event;

    if (pf_grow(&items, &a->capacity, a->count + 1, sizeof *a->event)) {
        pf_core_fail(core);
        return NULL;
    }
    a->event = items;
    pf__event__init(&a->event[a->count]);
    return &a->event[a->count++];
}

static void add_gap(pf_core *core, answer *a, const pf_job *job, uint64_t sequence)
{
    Pf__Event *event = add_event(core, a);

    if (!event)
        return;
    event->kind = PF__EVENT_KIND__EVENT_GAP;
    event->job_id = job->id;
    event->sequence = sequence;
    event->state = job->state;
    event->wall_ns = core->now.wall_ns;
    event->dropped = job->run->ring.dropped_count;
    a->bytes += EVENT_OVERHEAD;
}

static void add_job_event(pf_core *core, answer *a, const pf_job *job, const pf_job_event *from)
{
    Pf__Event *event = add_event(core, a);

    if (!event)
        return;
    event->sequence = from->sequence;
    event->job_id = job->id;
    event->kind = from->kind;
    event->wall_ns = from->wall_ns;
    event->state = from->state;
    event->phase = from->phase;
    event->permille = from->permille;
    event->attempt = from->attempt;
    event->dropped = from->dropped;
    event->text = (char *)from->data;
    event->json = (char *)from->data + from->text_bytes;
    a->bytes += EVENT_OVERHEAD + from->text_bytes + from->json_bytes;
}

/* The next event of all watched jobs in the order of their sequence numbers. */
static const pf_job_event *next_event(const pf_watch *watch, const pf_job_event **cursor, uint32_t *from)
{
    const pf_job_event *next = NULL;

    for (uint32_t i = 0; i < watch->links_count; i++)
        if (cursor[i] && (!next || cursor[i]->sequence < next->sequence)) {
            next = cursor[i];
            *from = i;
        }
    return next;
}

/* Sets a cursor for each job, and tells the gaps. Returns the position behind all gaps. */
static uint64_t start_cursors(pf_core *core, const pf_watch *watch, const pf_job_event **cursor, answer *a)
{
    uint64_t behind = watch->after_sequence;

    for (uint32_t i = 0; i < watch->links_count; i++) {
        bool          gap = false;
        const pf_job *job = watch->link[i].job;
        cursor[i] = job ? pf_events_after(job, watch->after_sequence, &gap) : NULL;
        if (!gap)
            continue;
        add_gap(core, a, job, job->run->ring.dropped_through);
        if (job->run->ring.dropped_through > behind)
            behind = job->run->ring.dropped_through;
    }
    a->gaps_count = a->count;
    return behind;
}

static bool is_full(const answer *a, const pf_job_event *next)
{
    return a->count >= EVENTS_MAX ||
           (a->count > a->gaps_count && a->bytes + next->text_bytes + next->json_bytes > a->limit_bytes);
}

/* A gap may lie behind events of other jobs that did not go in; then the position stays before it, and it is told
   again. */
static void collect(pf_core *core, const pf_watch *watch, answer *a)
{
    const pf_job_event **cursor = pf_core_alloc(core, (watch->links_count + 1) * sizeof *cursor);
    uint64_t             behind_gaps = cursor ? start_cursors(core, watch, cursor, a) : 0;
    uint32_t             from = 0;

    a->through = watch->after_sequence;
    while (cursor && !core->failed) {
        const pf_job_event *event = next_event(watch, cursor, &from);
        if (!event)
            break;
        a->cut = is_full(a, event);
        if (a->cut)
            break;
        add_job_event(core, a, watch->link[from].job, event);
        a->through = event->sequence;
        cursor[from] = event->next;
    }
    if (!a->cut && behind_gaps > a->through)
        a->through = behind_gaps;
    pf_free(cursor);
}

static bool all_final(const pf_watch *watch)
{
    for (uint32_t i = 0; i < watch->links_count; i++)
        if (watch->link[i].job && !pf_state_is_final(watch->link[i].job->state))
            return false;
    return true;
}

/* True when it was answered: there was something, or must_answer. */
static bool answer_watch(pf_core *core, const pf_watch *watch, bool must_answer)
{
    Pf__WatchReply reply = PF__WATCH_REPLY__INIT;
    answer         a = { .limit_bytes = watch->max_bytes };
    bool           final = all_final(watch);

    collect(core, watch, &a);
    if (a.count == 0 && !final && !must_answer)
        return false;
    a.list = pf_core_alloc(core, (a.count + 1) * sizeof *a.list);
    for (uint32_t i = 0; a.list && i < a.count; i++)
        a.list[i] = &a.event[i];
    reply.event = a.list;
    reply.n_event = a.list ? a.count : 0;
    reply.next_after_sequence = a.through;
    reply.final = final && !a.cut;
    pf_core_send(core, watch->peer, PF_MSG_WATCH_REPLY, watch->correlation_id, &reply.base);
    pf_free(a.list);
    pf_free(a.event);
    return true;
}

/* ---- waiting */

static void unlink_job(pf_core *core, pf_watch_link *link)
{
    if (!link->job)
        return;
    if (link->previous)
        link->previous->next = link->next;
    else
        pf_run_of(core, link->job)->watchers = link->next;
    if (link->next)
        link->next->previous = link->previous;
    link->job = NULL;
    link->next = link->previous = NULL;
}

static void link_job(pf_core *core, pf_watch_link *link, pf_watch *watch, pf_job *job)
{
    bool again = job && job->run->watchers && job->run->watchers->watch == watch;

    link->watch = watch;
    link->job = again ? NULL : job;         /* a submit may name a job by two of its class's names */
    if (!link->job)
        return;
    link->next = job->run->watchers;
    if (job->run->watchers)
        job->run->watchers->previous = link;
    pf_run_of(core, job)->watchers = link;
}

static void end_watch(pf_core *core, pf_watch *watch)
{
    for (pf_watch **at = &core->ready_watches; watch->ready && *at; at = &(*at)->next_ready)
        if (*at == watch) {
            *at = watch->next_ready;
            break;
        }
    for (uint32_t i = 0; i < watch->links_count; i++)
        unlink_job(core, &watch->link[i]);
    pf_heap_remove(&core->watch_deadlines, watch);
    pf_index_remove(&core->watches_by_peer, &watch->peer);
    pf_free(watch);
}

void pf_watches_wake(pf_core *core, pf_job *job)
{
    for (pf_watch_link *link = job->run->watchers; link; link = link->next) {
        if (link->watch->ready)
            continue;
        link->watch->ready = true;
        link->watch->next_ready = core->ready_watches;
        core->ready_watches = link->watch;
    }
}

void pf_watches_leave(pf_core *core, pf_job *job)
{
    pf_watches_wake(core, job);
    while (job->run->watchers)
        unlink_job(core, job->run->watchers);
}

void pf_watches_answer_ready(pf_core *core)
{
    while (core->ready_watches && !core->failed) {
        pf_watch *watch = core->ready_watches;
        core->ready_watches = watch->next_ready;
        watch->ready = false;
        if (answer_watch(core, watch, false))
            end_watch(core, watch);
    }
}

void pf_watches_expire(pf_core *core)
{
    int64_t   at_ns = 0;
    pf_watch *watch = pf_heap_first(&core->watch_deadlines, &at_ns);

    while (watch && at_ns <= core->now.boot_ns && !core->failed) {
        answer_watch(core, watch, true);
        end_watch(core, watch);
        watch = pf_heap_first(&core->watch_deadlines, &at_ns);
    }
}

void pf_watches_free_all(pf_core *core)
{
    pf_watch *watch = pf_heap_first(&core->watch_deadlines, NULL);

    for (; watch; watch = pf_heap_first(&core->watch_deadlines, NULL))
        end_watch(core, watch);
}

static pf_watch *new_watch(pf_core *core, const pf_event *event, const Pf__Watch *asked, pf_job **jobs,
                           uint32_t jobs_count)
{
    pf_watch *watch = pf_core_alloc(core, sizeof *watch + jobs_count * sizeof watch->link[0]);

    if (!watch)
        return NULL;
    watch->peer = event->peer;
    watch->correlation_id = event->message->header.msg_id;
    watch->after_sequence = asked->after_sequence;
    watch->max_bytes = asked->max_bytes ? asked->max_bytes : REPLY_BYTES_DEFAULT;
    if (watch->max_bytes > REPLY_BYTES_MAX)
        watch->max_bytes = REPLY_BYTES_MAX;
    watch->links_count = jobs_count;
    for (uint32_t i = 0; i < jobs_count; i++)
        link_job(core, &watch->link[i], watch, jobs[i]);
    return watch;
}

/* One watch per peer: asking again replaces the older one. */
void pf_watches_add(pf_core *core, const pf_event *event, const Pf__Watch *asked, pf_job **jobs, uint32_t jobs_count)
{
    uint32_t  wait_ms = asked->wait_ms < PF_WATCH_MS_MAX ? asked->wait_ms : PF_WATCH_MS_MAX;
    pf_watch *older = pf_index_find(&core->watches_by_peer, &event->peer);
    pf_watch *watch = NULL;

    if (older)
        end_watch(core, older);
    if (core->watch_deadlines.count >= core->config.watches_limit) {
        pf_core_refuse(core, event, PF_BUSY, "%u clients watch jobs already; try again later",
                       core->config.watches_limit);
        return;
    }
    watch = new_watch(core, event, asked, jobs, jobs_count);
    if (!watch)
        return;
    if (!pf_index_add(&core->watches_by_peer, watch) ||
        !pf_heap_put(&core->watch_deadlines, watch, core->now.boot_ns + wait_ms * INT64_C(1000000))) {
        pf_core_fail(core);
        return;
    }
    if (answer_watch(core, watch, wait_ms == 0))
        end_watch(core, watch);
}
