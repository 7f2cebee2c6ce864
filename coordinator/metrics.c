#include "coordinator/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "proto/job_view.h"

enum { TEXT_BYTES_MAX = 8 << 20, REFUSAL_BYTES = 512 };

struct pf_metrics {
    pthread_mutex_t mutex;
    pf_buf          text;
    char            refusal[REFUSAL_BYTES];
};

void pf_histogram_add(pf_histogram *histogram, double value)
{
    double limit = histogram->first;
    int    step = 0;

    for (; step < PF_HISTOGRAM_STEPS && value > limit; step++)
        limit *= 2;
    histogram->count[step]++;
    histogram->sum += value;
}

pf_status pf_metrics_new(pf_metrics **out, pf_err *err)
{
    *out = pf_calloc(1, sizeof **out);
    if (!*out)
        return PF_FAIL_MEMORY(err, sizeof **out);
    pthread_mutex_init(&(*out)->mutex, NULL);
    pf_buf_init(&(*out)->text, TEXT_BYTES_MAX);
    snprintf((*out)->refusal, REFUSAL_BYTES, "starting");
    return PF_OK;
}

void pf_metrics_free(pf_metrics *metrics)
{
    if (!metrics)
        return;
    pthread_mutex_destroy(&metrics->mutex);
    pf_buf_clear(&metrics->text);
    pf_free(metrics);
}

/* ---- text */

static void head(pf_buf *out, const char *name, const char *type, const char *help)
{
    pf_buf_printf(out, "# HELP planfarm_%s %s\n# TYPE planfarm_%s %s\n", name, help, name, type);
}

static void value(pf_buf *out, const char *name, const char *type, const char *help, double number)
{
    head(out, name, type, help);
    pf_buf_printf(out, "planfarm_%s %.17g\n", name, number);
}

static void histogram(pf_buf *out, const char *name, const char *help, const pf_histogram *h)
{
    double   limit = h->first;
    uint64_t sum = 0;

    head(out, name, "histogram", help);
    for (int i = 0; i < PF_HISTOGRAM_STEPS; i++, limit *= 2) {
        sum += h->count[i];
        pf_buf_printf(out, "planfarm_%s_bucket{le=\"%.9g\"} %" PRIu64 "\n", name, limit, sum);
    }
    sum += h->count[PF_HISTOGRAM_STEPS];
    pf_buf_printf(out,
                  "planfarm_%s_bucket{le=\"+Inf\"} %" PRIu64 "\nplanfarm_%s_sum %.9g\nplanfarm_%s_count %" PRIu64 "\n",
                  name, sum, name, h->sum, name, sum);
}

static void put_states(pf_buf *out, const pf_core_stats *stats)
{
    head(out, "jobs", "gauge", "Jobs by state.");
    for (int i = 1; i < PF_JOB_STATES; i++)
        pf_buf_printf(out, "planfarm_jobs{state=\"%s\"} %u\n", pf_job_view_state((Pf__JobState)i),
                      stats->jobs_by_state[i]);
}

static void put_totals(pf_buf *out, const pf_core_stats *s)
{
    value(out, "submits_total", "counter", "Submits accepted.", (double)s->submits_total);
    value(out, "plan_hits_total", "counter", "Selectors answered by a plan that was there.", (double)s->hits_total);
    value(out, "joins_total", "counter", "Selectors that joined a job in flight.", (double)s->joins_total);
    value(out, "offers_total", "counter", "Offers sent to agents.", (double)s->offers_total);
    value(out, "declines_total", "counter", "Offers that agents declined.", (double)s->declines_total);
    value(out, "leases_lost_total", "counter", "Leases taken away or lost.", (double)s->leases_lost_total);
    value(out, "commits_total", "counter", "Plans committed.", (double)s->commits_total);
    value(out, "late_wins_total", "counter", "Plans taken from attempts whose lease was lost.",
          (double)s->late_wins_total);
    value(out, "build_failures_total", "counter", "Builds that failed for good.", (double)s->failures_total);
    value(out, "quarantines_total", "counter", "Jobs put into quarantine.", (double)s->quarantines_total);
    value(out, "refusals_total", "counter", "Requests refused with an error.", (double)s->refusals_total);
    value(out, "events_dropped_total", "counter", "Events dropped from full rings.", (double)s->events_dropped_total);
    value(out, "time_jumps_total", "counter", "Times that this process was found to have slept.",
          (double)s->time_jumps_total);
    value(out, "coordinator_epoch", "gauge", "Starts of the coordinator on this state.", (double)s->epoch);
    value(out, "submits", "gauge", "Submits remembered.", s->submits);
    value(out, "plans", "gauge", "Plans remembered.", s->plans);
    value(out, "agents", "gauge", "Agents ever seen.", s->agents);
    value(out, "agents_alive", "gauge", "Agents that are connected.", s->agents_alive);
    value(out, "watches", "gauge", "Clients that wait for events.", s->watches);
}

typedef struct class_metric {
    const char *name, *help;
    double    (*of)(const pf_class_stats *stats);
} class_metric;

static double queued(const pf_class_stats *s) { return s->queued; }
static double running(const pf_class_stats *s) { return s->running; }
static double alive(const pf_class_stats *s) { return s->agents_alive; }
static double oldest(const pf_class_stats *s) { return (double)s->oldest_wait_ns / 1e9; }
static double seconds(const pf_class_stats *s) { return (double)s->build_ns / 1e9; }
static double estimate(const pf_class_stats *s) { return (double)s->build_ns / 1e9 * (s->queued + s->running); }

static void add(pf_class_stats *to, const pf_class_stats *more)
{
    to->queued += more->queued;
    to->running += more->running;
    to->agents_alive += more->agents_alive;
    to->oldest_wait_ns = more->oldest_wait_ns > to->oldest_wait_ns ? more->oldest_wait_ns : to->oldest_wait_ns;
    to->build_ns = more->build_ns > to->build_ns ? more->build_ns : to->build_ns;
}

/* Classes may share a name, and readers of metrics refuse a series that comes twice.  Returns how many names there
   are. */
static uint32_t sum_by_name(const pf_core *core, pf_now now, pf_class_stats *out, uint32_t count)
{
    uint32_t names = 0, place = 0;

    for (uint32_t i = 0; i < count; i++) {
        pf_core_class_get(core, i, now, &out[names]);
        for (place = 0; place < names && strcmp(out[place].name, out[names].name) != 0;)
            place++;
        if (place < names)
            add(&out[place], &out[names]);
        else
            names++;
    }
    return names;
}

static void put_class_metric(pf_buf *out, const class_metric *metric, const pf_class_stats *stats, uint32_t count)
{
    head(out, metric->name, "gauge", metric->help);
    for (uint32_t i = 0; i < count; i++)
        pf_buf_printf(out, "planfarm_%s{class=\"%s\"} %.9g\n", metric->name, stats[i].name, metric->of(&stats[i]));
}

/* Every class that was ever declared is listed, also with nothing in it: scaling up from zero needs that.  Each is
   looked at once, since that walks over its agents. */
static void put_classes(pf_buf *out, const pf_core *core, pf_now now)
{
    static const class_metric metrics[] = {
        { "queue_depth", "Jobs that wait.", queued },
        { "running", "Jobs that agents hold.", running },
        { "class_agents_alive", "Agents of the class that are connected.", alive },
        { "oldest_wait_seconds", "How long the oldest job has waited.", oldest },
        { "build_seconds", "Moving average of build times.", seconds },
        { "estimated_device_seconds", "Work that is queued or running.", estimate },
    };
    uint32_t        count = pf_core_class_count(core);
    pf_class_stats *stats = pf_calloc(count + 1, sizeof *stats);

    count = stats ? sum_by_name(core, now, stats, count) : 0;
    for (size_t m = 0; stats && m < sizeof metrics / sizeof metrics[0]; m++)
        put_class_metric(out, &metrics[m], stats, count);
    pf_free(stats);
}

static void put_router(pf_buf *out, const char *who, const pf_router *router)
{
    pf_buf_printf(out, "planfarm_messages_total{socket=\"%s\",what=\"received\"} %" PRIu64 "\n", who, router->received);
    pf_buf_printf(out, "planfarm_messages_total{socket=\"%s\",what=\"sent\"} %" PRIu64 "\n", who, router->sent);
    pf_buf_printf(out, "planfarm_messages_total{socket=\"%s\",what=\"dropped\"} %" PRIu64 "\n", who, router->dropped);
    pf_buf_printf(out, "planfarm_messages_total{socket=\"%s\",what=\"unsent\"} %" PRIu64 "\n", who, router->unsent);
}

static void put_server(pf_buf *out, const pf_db *db, const pf_server_counts *counts)
{
    uint64_t used = 0, limit = 0;

    pf_db_usage(db, &used, &limit);
    value(out, "database_bytes", "gauge", "Size of the job database.", (double)used);
    value(out, "database_limit_bytes", "gauge", "Most that it may grow to.", (double)limit);
    value(out, "disk_free_bytes", "gauge", "Free on the state's disk.", (double)counts->free_bytes);
    value(out, "refusing", "gauge", "1 when submits are refused.", counts->refusing);
    value(out, "blob_store_bytes", "gauge", "Bytes in the blob store.", (double)counts->blobs_bytes);
    value(out, "blob_store_blobs", "gauge", "Blobs in the store.", (double)counts->blobs_count);
    value(out, "backup_timestamp_seconds", "gauge", "When the job database was last copied.",
          (double)counts->backup_ns / 1e9);
    value(out, "collected_blobs_total", "counter", "Blobs removed because nobody needed them.",
          (double)counts->collected_blobs);
    value(out, "collected_bytes_total", "counter", "Their bytes.", (double)counts->collected_bytes);
    value(out, "timing_lookups_total", "counter", "Problems looked up in the shared timing cache.",
          (double)counts->timing_lookups);
    value(out, "timing_hits_total", "counter", "Of those, known.", (double)counts->timing_hits);
    value(out, "timing_stored_total", "counter", "Timing records merged.", (double)counts->timing_stored);
    value(out, "timing_refused_total", "counter", "Stores of timings refused.", (double)counts->timing_refused);
    histogram(out, "commit_seconds", "Time of one commit to disk.", &counts->commit_seconds);
    histogram(out, "ack_seconds", "Time from a batch's first message to its acknowledgement.", &counts->ack_seconds);
    histogram(out, "batch_writes", "Rows written by one commit.", &counts->batch_writes);
}

void pf_metrics_gather(pf_metrics *metrics, const pf_core *core, pf_now now, const pf_db *db,
                       const pf_server_counts *counts, const pf_router *clients, const pf_router *agents)
{
    pf_core_stats stats;
    pf_buf        text = { 0 };

    pf_buf_init(&text, TEXT_BYTES_MAX);
    pf_core_stats_get(core, now, &stats);
    put_states(&text, &stats);
    put_totals(&text, &stats);
    put_classes(&text, core, now);
    head(&text, "messages_total", "counter", "Messages on the two sockets.");
    put_router(&text, "clients", clients);
    put_router(&text, "agents", agents);
    put_server(&text, db, counts);
    pthread_mutex_lock(&metrics->mutex);
    pf_buf_clear(&metrics->text);
    metrics->text = text;
    pthread_mutex_unlock(&metrics->mutex);
}

void pf_metrics_text(pf_metrics *metrics, pf_buf *out)
{
    pthread_mutex_lock(&metrics->mutex);
    pf_buf_put(out, metrics->text.data, metrics->text.size);
    pthread_mutex_unlock(&metrics->mutex);
}

void pf_metrics_refusal(pf_metrics *metrics, char *out, size_t capacity)
{
    pthread_mutex_lock(&metrics->mutex);
    snprintf(out, capacity, "%s", metrics->refusal);
    pthread_mutex_unlock(&metrics->mutex);
}

void pf_metrics_set_refusal(pf_metrics *metrics, const char *why)
{
    pthread_mutex_lock(&metrics->mutex);
    snprintf(metrics->refusal, sizeof metrics->refusal, "%s", why ? why : "");
    pthread_mutex_unlock(&metrics->mutex);
}
