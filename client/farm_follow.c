#include "client/farm_follow.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/cancel.h"
#include "client/farm_job.h"
#include "client/farm_progress.h"

enum { EVENT_BYTES = 256 * 1024 };

typedef struct watching {
    pf_farm             *farm;
    const pf_farm_names *names;
    pf_farm_follow      *follow;
    pf_farm_progress     bar;
    uint64_t             after_sequence;
    int64_t              away_since_ns;     /* 0: the farm answers */
} watching;

static void show_log(watching *w, const char *label, const Pf__Event *event)
{
    const char *at = event->text;

    if (event->dropped)
        pf_farm_progress_line(&w->bar, "%s: ... %llu lines of the log were left out ...", label,
                              (unsigned long long)event->dropped);
    while (*at) {
        size_t bytes = strcspn(at, "\n");

        pf_farm_progress_line(&w->bar, "%s| %.*s", label, (int)bytes, at);
        at += bytes + (at[bytes] == '\n');
    }
}

static void show_gap(watching *w, const char *label, const Pf__Event *event)
{
    w->follow->gaps++;
    w->follow->dropped += event->dropped;
    if (event->dropped)
        pf_farm_progress_line(&w->bar, "%s: ... %llu events are missing here ...", label,
                              (unsigned long long)event->dropped);
    else
        pf_farm_progress_line(&w->bar, "%s: ... events are missing here ...", label);
}

static void show_event(watching *w, const Pf__Event *event)
{
    char label[32];

    w->follow->events++;
    snprintf(label, sizeof label, "job %llu", (unsigned long long)event->job_id);
    switch (event->kind) {
    case PF__EVENT_KIND__EVENT_STATE:
        pf_farm_progress_line(&w->bar, "%s: %s%s%s", label, pf_job_view_state(event->state), event->text[0] ? ", " : "",
                              event->text);
        break;
    case PF__EVENT_KIND__EVENT_PROGRESS: pf_farm_progress_event(&w->bar, label, event); break;
    case PF__EVENT_KIND__EVENT_GAP: show_gap(w, label, event); break;
    case PF__EVENT_KIND__EVENT_LOG:
        if (w->follow->logs)
            show_log(w, label, event);
        break;
    default: break;
    }
}

static void take_event(watching *w, const Pf__Event *event)
{
    if (!w->follow->sink)
        show_event(w, event);
    else if (event->kind == PF__EVENT_KIND__EVENT_LOG || event->kind == PF__EVENT_KIND__EVENT_GAP)
        w->follow->sink(w->follow->user, event);
}

/* OK as long as waiting for the farm makes sense. */
static pf_status bear_absence(watching *w, pf_status status, pf_err *why, pf_err *err)
{
    int64_t now = pf_clock_ns();

    if (status != PF_UNREACHABLE)
        return PF_FAIL(err, status, "%s", why->msg);
    if (!w->away_since_ns) {
        w->away_since_ns = now - PF_FARM_ANSWER_NS;
        pf_farm_progress_line(&w->bar, "the farm at %s does not answer; waiting for it to come back", w->farm->url);
    }
    if (now - w->away_since_ns > PF_FARM_AWAY_NS)
        return PF_FAIL(err, status, "%s", why->msg);
    pf_err_clear(why);
    return PF_OK;
}

static void back_again(watching *w)
{
    if (w->away_since_ns)
        pf_farm_progress_line(&w->bar, "the farm answers again");
    w->away_since_ns = 0;
}

/* One long poll. */
static pf_status watch_once(watching *w, bool *final, pf_err *err)
{
    Pf__Watch  body = PF__WATCH__INIT;
    pf_message answer = {0};
    pf_err     why = {0};
    pf_status  status = PF_OK;

    body.submit_id = w->names->submit;
    body.job_id = w->names->job_id;
    body.n_job_id = w->names->jobs_count;
    body.after_sequence = w->after_sequence;
    body.wait_ms = w->follow->known ? 0 : PF_WATCH_MS_MAX;
    body.max_bytes = EVENT_BYTES;
    status = pf_farm_call(w->farm, PF_MSG_WATCH, &body.base, PF_MSG_WATCH_REPLY, &answer, &why);
    if (status)
        return bear_absence(w, status, &why, err);
    back_again(w);
    {
        const Pf__WatchReply *reply = (const Pf__WatchReply *)answer.body;

        for (size_t i = 0; i < reply->n_event; i++)
            take_event(w, reply->event[i]);
        w->after_sequence = reply->next_after_sequence;
        *final = reply->final || (w->follow->known && reply->n_event == 0);
    }
    pf_message_clear(&answer);
    return PF_OK;
}

pf_status pf_farm_ask_status(pf_farm *farm, const pf_farm_names *names, pf_message *out, pf_err *err)
{
    Pf__Status body = PF__STATUS__INIT;

    body.submit_id = names->submit;
    body.job_id = names->job_id;
    body.n_job_id = names->jobs_count;
    return pf_farm_call(farm, PF_MSG_STATUS, &body.base, PF_MSG_STATUS_REPLY, out, err);
}

/* The user stops watching. */
static pf_status leave(const pf_farm_names *names, pf_err *err)
{
    char name[PF_SUBMIT_HEX_BYTES] = "";

    if (names->has_submit)
        pf_farm_submit_hex(names->submit_id, name);
    else if (names->jobs_count == 1)
        snprintf(name, sizeof name, "%llu", (unsigned long long)names->job_id[0]);
    pf_err_clear(err);
    if (!name[0])
        return PF_FAIL(err, PF_INTERRUPTED, "interrupted; the builds go on, and planfarm watch shows them again");
    return PF_FAIL(err, PF_INTERRUPTED,
                   "interrupted; the build goes on: planfarm watch %s shows it again, planfarm cancel %s ends it", name,
                   name);
}

pf_status pf_farm_follow_jobs(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_farm_follow *follow,
                              pf_message *jobs, pf_err *err)
{
    watching  w = {.farm = farm, .names = names, .follow = follow};
    bool      final = false;
    pf_status status = PF_OK;

    pf_cancel_hold();
    pf_farm_progress_begin(&w.bar, call);
    while (!final && !status) {
        status = watch_once(&w, &final, err);
        if (!status && !final)
            status = pf_cancel_check(NULL);
    }
    pf_farm_progress_end(&w.bar);
    pf_cancel_release();
    if (status == PF_INTERRUPTED)
        return leave(names, err);
    return status ? status : pf_farm_ask_status(farm, names, jobs, err);
}
