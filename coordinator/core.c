#include "coordinator/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "coordinator/agents.h"
#include "coordinator/classes.h"
#include "coordinator/events.h"
#include "coordinator/handlers.h"
#include "coordinator/job.h"
#include "coordinator/plans.h"
#include "coordinator/rows.h"
#include "coordinator/sched.h"
#include "coordinator/state.h"
#include "coordinator/submit.h"
#include "coordinator/watches.h"
#include "proto/farm_key.h"

#define CLOCK_STEP_NS (60 * PF_NS_PER_S)     /* a wall clock that goes back by less was not set, but corrected */

enum {
    OUT_BYTES_MAX = 1 << 28, OUT_BYTES_KEPT = 4 << 20,
    SEQUENCE_BITS = 40, EXPIRE_PER_STEP = 1024, BUSY_RETRY_MS = 2000,
    SKIPPED_JOB_IDS = 1000000000, PREFETCH_JOBS = 4,
};

/* ---- configuration */

void pf_core_config_init(pf_core_config *config)
{
    *config = (pf_core_config){
        .offer_ns = 10 * PF_NS_PER_S, .ttl_ns = 30 * PF_NS_PER_S, .heartbeat_ns = 10 * PF_NS_PER_S,
        .orphan_budget_ns = 600 * PF_NS_PER_S, .cancel_ns = 10 * PF_NS_PER_S, .verify_ns = 600 * PF_NS_PER_S,
        .backoff_first_ns = 2 * PF_NS_PER_S, .backoff_limit_ns = 300 * PF_NS_PER_S,
        .queue_timeout_ns = 24 * 3600 * PF_NS_PER_S, .build_timeout_ns = 6 * 3600 * PF_NS_PER_S,
        .stall_ns = { [PF__PHASE__PHASE_NONE] = 120 * PF_NS_PER_S, [PF__PHASE__PHASE_FETCH] = 300 * PF_NS_PER_S,
                      [PF__PHASE__PHASE_TUNE] = 900 * PF_NS_PER_S, [PF__PHASE__PHASE_BUILD] = 900 * PF_NS_PER_S,
                      [PF__PHASE__PHASE_UPLOAD] = 300 * PF_NS_PER_S },
        .retention_ns = 7 * 24 * 3600 * PF_NS_PER_S, .history_ns = 3600 * PF_NS_PER_S,
        .plan_retention_ns = INT64_C(365) * 24 * 3600 * PF_NS_PER_S, .time_jump_ns = 5 * PF_NS_PER_S,
        .fair_spacing_ns = 60 * PF_NS_PER_S, .priority_worth_ns = 60 * PF_NS_PER_S,
        .charged_limit = 3, .crash_agents_limit = 2, .sick_limit = 3, .jobs_limit = 2000000, .final_limit = 100000,
        .ring_bytes = 65536, .watches_limit = 20000, .software = "planfarm", .http_url = "",
    };
}

/* ---- out */

void pf_out_init(pf_out *out)
{
    memset(out, 0, sizeof *out);
    pf_buf_init(&out->bytes, OUT_BYTES_MAX);
}

void pf_out_clear(pf_out *out)
{
    pf_buf_clear(&out->bytes);
    pf_free(out->write);
    pf_free(out->send);
    pf_free(out->verify);
    pf_out_init(out);
}

void pf_out_reset(pf_out *out)
{
    if (out->bytes.capacity > OUT_BYTES_KEPT)
        pf_buf_clear(&out->bytes);
    pf_buf_reset(&out->bytes);
    out->writes_count = out->sends_count = out->verifies_count = 0;
    out->failed = false;
}

/* ---- what all files use */

void pf_core_fail(pf_core *core)
{
    core->failed = true;
}

void *pf_core_alloc(pf_core *core, size_t bytes)
{
    void *memory = pf_calloc(1, bytes);

    if (!memory)
        pf_core_fail(core);
    return memory;
}

void *pf_core_take(pf_core *core, size_t bytes)
{
    void *memory = pf_pool_take(&core->pool, bytes);

    if (!memory)
        pf_core_fail(core);
    return memory;
}

size_t pf_core_bytes(pf_core *core, const void *data, size_t bytes)
{
    size_t at = core->out->bytes.size;

    if (!pf_buf_put(&core->out->bytes, data, bytes))
        pf_core_fail(core);
    return at;
}

/* While rows are loaded there is nowhere to write to, and nothing to write: they are there. */
static void add_write(pf_core *core, pf_table table, const void *key, size_t key_bytes, const pf_buf *value)
{
    pf_out  *out = core->out;
    pf_write write = { .table = table, .remove = value == NULL, .key_bytes = key_bytes };
    void    *items = out ? out->write : NULL;

    if (!out)
        return;
    if (pf_grow(&items, &out->writes_capacity, out->writes_count + 1, sizeof write)) {
        pf_core_fail(core);
        return;
    }
    out->write = items;
    write.key_at = pf_core_bytes(core, key, key_bytes);
    if (value) {
        write.value_at = pf_core_bytes(core, value->data, value->size);
        write.value_bytes = value->size;
    }
    out->write[out->writes_count++] = write;
}

void pf_core_write(pf_core *core, pf_table table, const void *key, size_t key_bytes, const pf_buf *value)
{
    add_write(core, table, key, key_bytes, value);
}

void pf_core_remove(pf_core *core, pf_table table, const void *key, size_t key_bytes)
{
    add_write(core, table, key, key_bytes, NULL);
}

static void add_send(pf_core *core, uint64_t peer, pf_msg_type type, const pf_wire_header *header,
                     const ProtobufCMessage *body)
{
    pf_out   *out = core->out;
    void     *items = out->send;
    pf_send   sent = { .peer = peer, .type = type, .at = out->bytes.size };
    pf_err    err = { 0 };
    pf_status st = PF_OK;

    if (pf_grow(&items, &out->sends_capacity, out->sends_count + 1, sizeof sent)) {
        pf_core_fail(core);
        return;
    }
    out->send = items;
    st = pf_wire_pack(type, header, body, &out->bytes, &err);
    if (st == PF_INVALID && type != PF_MSG_ERROR) {     /* larger than its limit: the asker is told so */
        Pf__Error refusal = PF__ERROR__INIT;
        refusal.exit_code = (uint32_t)pf_status_exit_code(PF_NO_SPACE);
        refusal.message = err.msg;
        sent.type = PF_MSG_ERROR;
        st = pf_wire_pack(PF_MSG_ERROR, header, &refusal.base, &out->bytes, NULL);
    }
    if (st) {
        pf_core_fail(core);
        return;
    }
    sent.bytes = out->bytes.size - sent.at;
    out->send[out->sends_count++] = sent;
}

void pf_core_send_traced(pf_core *core, uint64_t peer, pf_msg_type type, uint64_t correlation_id,
                         const uint8_t trace_id[PF_WIRE_TRACE_BYTES], const ProtobufCMessage *body)
{
    pf_wire_header header = { .msg_id = core->next_msg_id++, .correlation_id = correlation_id };

    if (trace_id)
        memcpy(header.trace_id, trace_id, sizeof header.trace_id);
    if (!core->failed)
        add_send(core, peer, type, &header, body);
}

void pf_core_send(pf_core *core, uint64_t peer, pf_msg_type type, uint64_t correlation_id, const ProtobufCMessage *body)
{
    pf_core_send_traced(core, peer, type, correlation_id, NULL, body);
}

void pf_core_reply(pf_core *core, const pf_event *event, pf_msg_type type, const ProtobufCMessage *body)
{
    pf_core_send_traced(core, event->peer, type, event->message->header.msg_id, event->message->header.trace_id, body);
}

ProtobufCBinaryData *pf_core_missing(pf_core *core, const pf_event *event, size_t *count)
{
    ProtobufCBinaryData *list = pf_core_alloc(core, (event->missing_count + 1) * sizeof *list);

    *count = list ? event->missing_count : 0;
    for (size_t i = 0; i < *count; i++)
        list[i] = pf_wire_bytes(&event->missing[i]);
    return list;
}

static void refuse(pf_core *core, const pf_event *event, pf_status status, Pf__ErrorReason reason, const char *text)
{
    Pf__Error error = PF__ERROR__INIT;

    error.exit_code = (uint32_t)pf_status_exit_code(status);
    error.message = (char *)text;
    error.reason = reason;
    error.retry_after_ms = status == PF_BUSY ? BUSY_RETRY_MS : 0;
    core->stats.refusals_total++;
    pf_core_reply(core, event, PF_MSG_ERROR, &error.base);
}

void pf_core_refuse(pf_core *core, const pf_event *event, pf_status status, const char *format, ...)
{
    char    text[PF_REASON_BYTES] = "";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    refuse(core, event, status, PF__ERROR_REASON__REASON_NONE, text);
}

void pf_core_refuse_reason(pf_core *core, const pf_event *event, Pf__ErrorReason reason, const char *text)
{
    refuse(core, event, PF_DENIED, reason, text);
}

/* ---- life */

pf_status pf_core_new(const pf_core_config *config, pf_core **out, pf_err *err)
{
    pf_core       *core = pf_calloc(1, sizeof *core);
    const uint8_t *seed = config->index_seed;

    *out = NULL;
    if (!core)
        return PF_FAIL_MEMORY(err, sizeof *core);
    core->config = *config;
    core->next_job_id = 1;
    core->next_submit_serial = 1;
    core->next_msg_id = 1;
    pf_random_init(&core->random, config->random_seed);
    pf_index_init(&core->texts, offsetof(pf_text, key), PF_TEXT_KEY_BYTES, seed);
    pf_index_init(&core->stored_texts, offsetof(pf_stored_text, digest), sizeof(pf_digest), seed);
    pf_index_init(&core->orders, offsetof(pf_order, of), sizeof(pf_order_key), seed);
    pf_job_table_init(&core->jobs, seed);
    pf_index_init(&core->live_keys, offsetof(pf_job, plan_key), sizeof(pf_digest), seed);
    pf_index_init(&core->submits, offsetof(pf_submit, id), PF_SUBMIT_ID_BYTES, seed);
    pf_index_init(&core->classes, offsetof(pf_class, digest), sizeof(pf_digest), seed);
    pf_index_init(&core->agents, offsetof(pf_agent, name), PF_AGENT_NAME_BYTES, seed);
    pf_index_init(&core->peers, offsetof(pf_agent, peer), sizeof(uint64_t), seed);
    pf_index_init(&core->plans, offsetof(pf_plan, plan_key), sizeof(pf_digest), seed);
    pf_index_init(&core->watches_by_peer, offsetof(pf_watch, peer), sizeof(uint64_t), seed);
    pf_heap_init(&core->deadlines, offsetof(pf_job, heap_place), offsetof(pf_job, id));
    pf_heap_init(&core->watch_deadlines, offsetof(pf_watch, heap_place), offsetof(pf_watch, peer));
    *out = core;
    return PF_OK;
}

static void free_items(pf_core *core)
{
    pf_watches_free_all(core);
    for (uint32_t i = 0; i < core->submits.capacity; i++)
        if (core->submits.item[i])
            pf_submit_free(core, core->submits.item[i]);
    for (uint32_t i = 0; i < core->plans.capacity; i++)
        if (core->plans.item[i])
            pf_plans_free(core, core->plans.item[i]);
    for (pf_job_page *page = core->jobs.oldest; page; page = page->newer)
        for (uint32_t i = 0; i < PF_JOB_PAGE_JOBS; i++)
            pf_job_free(core, page->job[i]);
    for (uint32_t i = 0; i < core->agents.capacity; i++)
        if (core->agents.item[i])
            pf_agents_free(core, core->agents.item[i]);
    for (uint32_t i = 0; i < core->classes_count; i++)
        pf_classes_free(core, core->class_list[i]);
    for (uint32_t i = 0; i < core->stored_texts.capacity; i++)
        pf_free(core->stored_texts.item[i]);
    for (uint32_t i = 0; i < core->orders.capacity; i++)
        pf_free(core->orders.item[i]);
    for (uint32_t i = 0; i < core->texts.capacity; i++)
        if (core->texts.item[i])
            pf_text_free(core, core->texts.item[i]);
}

void pf_core_free(pf_core *core)
{
    if (!core)
        return;
    free_items(core);
    pf_events_drop(&core->lost_run.ring);
    pf_index_clear(&core->texts);
    pf_index_clear(&core->orders);
    pf_index_clear(&core->stored_texts);
    pf_job_table_clear(&core->jobs);
    pf_pool_clear(&core->pool);
    pf_index_clear(&core->live_keys);
    pf_index_clear(&core->submits);
    pf_index_clear(&core->classes);
    pf_index_clear(&core->agents);
    pf_index_clear(&core->peers);
    pf_index_clear(&core->plans);
    pf_index_clear(&core->watches_by_peer);
    pf_heap_clear(&core->deadlines);
    pf_heap_clear(&core->watch_deadlines);
    pf_buf_clear(&core->row);
    pf_free(core->dirty);
    pf_free(core->class_list);
    pf_free(core->pending);
    pf_free(core->asked);
    pf_free(core->refusal);
    pf_free(core);
}

/* ---- loading and starting */

pf_status pf_core_expect(pf_core *core, pf_table table, uint64_t rows, pf_err *err)
{
    bool enough = true;

    if (table == PF_ROWS_JOBS)
        enough = pf_job_table_reserve(&core->jobs, rows) && pf_index_reserve(&core->live_keys, rows);
    if (table == PF_ROWS_SUBMITS)
        enough = pf_index_reserve(&core->submits, rows);
    return enough ? PF_OK
                  : PF_FAIL(err, PF_NO_SPACE, "out of memory for %llu rows of table %s", (unsigned long long)rows,
                            pf_table_name(table));
}

pf_status pf_core_load(pf_core *core, pf_table table, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes, pf_err *err)
{
    return pf_rows_load(core, table, key, key_bytes, value, value_bytes, true, err);
}

pf_status pf_core_load_unchecked(pf_core *core, pf_table table, const void *key, size_t key_bytes, const void *value,
                                 size_t value_bytes, pf_err *err)
{
    return pf_rows_load(core, table, key, key_bytes, value, value_bytes, false, err);
}

void pf_core_prefetch(const pf_core *core, pf_table table, const void *value, size_t value_bytes)
{
    pf_rows_prefetch(core, table, value, value_bytes);
}

static int by_age(const void *a, const void *b)
{
    const pf_plan *one = *(pf_plan *const *)a, *two = *(pf_plan *const *)b;

    if (one->created_ns != two->created_ns)
        return one->created_ns < two->created_ns ? -1 : 1;
    return memcmp(&one->plan_key, &two->plan_key, sizeof one->plan_key);
}

/* Rows come in the order of their keys; lookups want the newest plan first. */
static void sort_plans(pf_core *core)
{
    uint32_t  count = core->plans.count, at = 0;
    pf_plan **list = pf_core_alloc(core, (count + 1) * sizeof *list);

    if (!list)
        return;
    for (pf_plan *plan = core->newest_plan; plan; plan = plan->older)
        list[at++] = plan;
    qsort(list, count, sizeof *list, by_age);
    core->newest_plan = count ? list[count - 1] : NULL;
    for (uint32_t i = 0; i < count; i++) {
        list[i]->older = i ? list[i - 1] : NULL;
        list[i]->newer = i + 1 < count ? list[i + 1] : NULL;
        if (list[i]->used_ns == 0)      /* from a row that did not say */
            list[i]->used_ns = core->now.wall_ns;
    }
    pf_free(list);
}

static void start_jobs(pf_core *core)
{
    uint64_t before = core->next_sequence++;
    void    *items = NULL;
    bool     clock_was_ahead = false;

    for (pf_job *job = pf_job_table_above(&core->jobs, 0); job && !core->failed;
         job = pf_job_table_above(&core->jobs, job->id)) {
        pf_job_prefetch(core, job->id + PREFETCH_JOBS);
        pf_job_place(core, job);
        pf_job_resume(core, job);
        clock_was_ahead |= job->created_ns > core->now.wall_ns + CLOCK_STEP_NS;
        if (job->attempt)
            pf_run_of(core, job)->ring.dropped_through = before;     /* what was told in earlier epochs is lost */
        if (job->state != PF__JOB_STATE__STATE_QUEUED || job->device_class)
            continue;
        items = core->pending;
        if (pf_grow(&items, &core->pending_capacity, core->pending_count + 1, sizeof *core->pending)) {
            pf_core_fail(core);
            return;
        }
        core->pending = items;
        core->pending[core->pending_count++] = job;
    }
    if (clock_was_ahead)
        pf_sched_follow_clock(core);
}

void pf_core_skip(pf_core *core, uint64_t epoch)
{
    if (epoch > core->epoch)
        core->epoch = epoch;
    core->next_job_id += SKIPPED_JOB_IDS;
}

pf_status pf_core_start(pf_core *core, pf_now now, pf_out *out, pf_err *err)
{
    core->now = now;
    core->out = out;
    core->epoch++;
    core->next_sequence = core->next_fence = core->epoch << SEQUENCE_BITS;
    core->next_beat = 1;
    sort_plans(core);
    pf_text_end_loading(core);
    start_jobs(core);
    pf_rows_put_meta(core);
    core->out = NULL;
    return core->failed ? PF_FAIL(err, PF_NO_SPACE, "out of memory while starting") : PF_OK;
}

pf_status pf_core_sign_plans(pf_core *core, const pf_signing_key *keys, uint32_t keys_count, pf_out *out, pf_err *err)
{
    core->out = out;
    if (keys_count)
        pf_plans_sign(core, keys, keys_count);
    core->out = NULL;
    return core->failed ? PF_FAIL(err, PF_NO_SPACE, "out of memory while signing plans") : PF_OK;
}

/* ---- steps */

static pf_handler *find_handler(pf_msg_type type)
{
    static const pf_handler_row *const tables[] = { pf_client_handlers, pf_agent_handlers, pf_result_handlers };

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const pf_handler_row *row = tables[i]; row->run; row++)
            if (row->type == type)
                return row->run;
    return NULL;
}

static void on_message(pf_core *core, const pf_event *event)
{
    const pf_msg_info *info = event->message->info;
    pf_handler        *run = find_handler(info->type);
    char               grants[128] = "";

    if ((info->grant & event->grants) != info->grant && event->grants == 0) {
        pf_core_refuse(core, event, PF_DENIED, "the key \"%s\" may do nothing on this farm any more: it was revoked",
                       event->key_name ? event->key_name : "");
    } else if ((info->grant & event->grants) != info->grant) {
        pf_ring_entry_grants(&(pf_ring_entry){ .grants = info->grant }, grants, sizeof grants);
        pf_core_refuse(core, event, PF_DENIED,
                       "the key \"%s\" may not send %s, which needs the grant %s; planfarm keys grant gives it",
                       event->key_name ? event->key_name : "", info->name, grants);
    } else if (run)
        run(core, event);
    else
        pf_core_refuse(core, event, PF_UNSUPPORTED, "this coordinator does not serve %s", info->name);
}

static void on_tick(pf_core *core, const pf_event *event)
{
    (void)event;        /* steps of every kind look at deadlines, see pf_step */
    (void)core;
}

/* The agent cannot be reached: the offer goes back, uncharged, and nothing more is offered until it is heard of. */
static void on_send_failed(pf_core *core, const pf_event *event)
{
    pf_job *job = pf_job_find(core, event->lease.job_id);

    if (!job || job->state != PF__JOB_STATE__STATE_OFFERED || job->run->fence != event->lease.fence)
        return;
    pf_agents_disconnect(core, job->run->agent);
    pf_job_give_back(core, job, "the agent could not be reached");
}

static void on_space(pf_core *core, const pf_event *event)
{
    char *copy = event->text ? pf_strdup(event->text) : NULL;

    if (event->text && !copy)
        pf_core_fail(core);
    pf_free(core->refusal);
    core->refusal = copy;
}

/* This process slept (stopped, or the machine was): nobody could renew, so nobody is late. */
static void forgive_sleep(pf_core *core, int64_t slept_ns)
{
    core->stats.time_jumps_total++;
    for (uint32_t i = 0; i < core->agents.capacity; i++) {
        pf_agent *agent = core->agents.item[i];
        if (!agent)
            continue;
        if (agent->seen_boot_ns)
            agent->seen_boot_ns += slept_ns;
        for (pf_job *job = agent->leases; job; job = job->run->agent_next)
            pf_job_resume(core, job);
    }
}

static void expire_jobs(pf_core *core)
{
    int64_t at_ns = 0;
    pf_job *job = pf_heap_first(&core->deadlines, &at_ns);

    for (int i = 0; job && at_ns <= core->now.boot_ns && i < EXPIRE_PER_STEP && !core->failed; i++) {
        pf_job_expire(core, job);
        job = pf_heap_first(&core->deadlines, &at_ns);
    }
    for (int i = 0; core->final_count > core->config.final_limit && i < EXPIRE_PER_STEP; i++)
        pf_job_forget(core, core->final_oldest);
    pf_plans_expire(core);
}

static void write_dirty(pf_core *core)
{
    for (uint32_t i = 0; i < core->dirty_count && !core->failed; i++) {
        if (!core->dirty[i])
            continue;
        core->dirty[i]->dirty = false;
        pf_rows_put_job(core, core->dirty[i]);
    }
    core->dirty_count = 0;
}

pf_status pf_step(pf_core *core, const pf_event *event, pf_now now, pf_out *out, pf_err *err)
{
    static void (*const by_kind[])(pf_core *, const pf_event *) = {
        [PF_EVENT_TICK] = on_tick,         [PF_EVENT_MESSAGE] = on_message, [PF_EVENT_SEND_FAILED] = on_send_failed,
        [PF_EVENT_VERIFIED] = pf_core_verified, [PF_EVENT_SPACE] = on_space,
    };
    int64_t passed_ns = now.boot_ns - core->now.boot_ns, wall_passed_ns = now.wall_ns - core->now.wall_ns;

    core->out = out;
    core->now = now;
    if (wall_passed_ns < -CLOCK_STEP_NS)
        pf_sched_follow_clock(core);
    if (passed_ns > core->config.time_jump_ns)
        forgive_sleep(core, passed_ns);
    by_kind[event->kind](core, event);
    if (!core->failed)
        expire_jobs(core);
    if (!core->failed)
        pf_sched_run(core);
    if (!core->failed)
        pf_watches_answer_ready(core);
    if (!core->failed)
        pf_watches_expire(core);
    write_dirty(core);
    core->out = NULL;
    if (core->failed || out->bytes.failed)
        return PF_FAIL(err, PF_NO_SPACE, "out of memory");
    return PF_OK;
}

int64_t pf_core_next_ns(const pf_core *core)
{
    int64_t at_ns = INT64_MAX, watch_ns = INT64_MAX;

    pf_heap_first(&core->deadlines, &at_ns);
    pf_heap_first(&core->watch_deadlines, &watch_ns);
    return at_ns < watch_ns ? at_ns : watch_ns;
}
