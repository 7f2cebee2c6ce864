#include "coordinator/rows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "coordinator/agents.h"
#include "coordinator/classes.h"
#include "coordinator/job.h"
#include "coordinator/plans.h"
#include "coordinator/submit.h"

enum { VERSION = 3, CHECKSUM_BYTES = 8, ROW_BYTES_MAX = 1 << 20 };

static const char META_KEY[] = "core";

const char *pf_table_name(pf_table table)
{
    static const char *const names[PF_ROWS_COUNT] = {
        [PF_ROWS_META] = "meta",   [PF_ROWS_TEXTS] = "texts", [PF_ROWS_CLASSES] = "classes",
        [PF_ROWS_AGENTS] = "agents",
        [PF_ROWS_PLANS] = "plans", [PF_ROWS_JOBS] = "jobs",   [PF_ROWS_SUBMITS] = "submits",
    };

    return names[table];
}

/* ---- the frame of a row */

/* Until version 2 the checksum was the beginning of a SHA-256, which took longer than all the rest. */
static uint64_t checksum_until_2(pf_table table, const void *key, size_t key_bytes, const void *body, size_t body_bytes)
{
    uint8_t   number = (uint8_t)table;
    pf_digest digest = { 0 };
    pf_hash   hash;
    pf_reader in = { 0 };

    pf_hash_init(&hash);
    pf_hash_add(&hash, &number, 1);
    pf_hash_add(&hash, key, key_bytes);
    pf_hash_add(&hash, body, body_bytes);
    pf_hash_end(&hash, &digest);
    pf_reader_init(&in, digest.byte, sizeof digest.byte);
    return pf_read_u64(&in);
}

static uint64_t checksum(int version, pf_table table, const void *key, size_t key_bytes, const void *body,
                         size_t body_bytes)
{
    if (version <= 2)
        return checksum_until_2(table, key, key_bytes, body, body_bytes);
    return pf_checksum(pf_checksum((uint64_t)table, key, key_bytes), body, body_bytes);
}

/* All rows are written in the same buffer, one after the other. */
static pf_buf *begin(pf_core *core)
{
    pf_buf *row = &core->row;

    row->limit = ROW_BYTES_MAX;
    pf_buf_reset(row);
    pf_buf_put_u16(row, VERSION);
    return row;
}

static void finish(pf_core *core, pf_table table, const void *key, size_t key_bytes, pf_buf *row)
{
    if (!row->failed)
        pf_buf_put_u64(row, checksum(VERSION, table, key, key_bytes, row->data, row->size));
    if (row->failed)
        pf_core_fail(core);
    else
        pf_core_write(core, table, key, key_bytes, row);
}

/* Length and version. */
static pf_status open_row(pf_table table, const void *value, size_t value_bytes, const uint8_t **fields,
                          size_t *fields_bytes, pf_err *err)
{
    const uint8_t *bytes = value;

    if (value_bytes < 2 + CHECKSUM_BYTES)
        return PF_FAIL(err, PF_CORRUPT, "a row of %zu bytes in table %s is too short", value_bytes,
                       pf_table_name(table));
    *fields = bytes + 2;
    *fields_bytes = value_bytes - 2 - CHECKSUM_BYTES;
    if ((bytes[0] | bytes[1] << 8) > VERSION)
        return PF_FAIL(err, PF_STALE, "table %s was written by a newer planfarm (row version %d)", pf_table_name(table),
                       bytes[0] | bytes[1] << 8);
    return PF_OK;
}

pf_status pf_rows_check(pf_table table, const void *key, size_t key_bytes, const void *value, size_t value_bytes,
                        const uint8_t **fields, size_t *fields_bytes, pf_err *err)
{
    const uint8_t *bytes = value;
    pf_reader      sum = { 0 };
    pf_err         why = { 0 };
    pf_status      st = open_row(table, value, value_bytes, fields, fields_bytes, &why);

    if (st == PF_CORRUPT)
        return PF_FAIL(err, st, "%s", why.msg);
    pf_reader_init(&sum, bytes + value_bytes - CHECKSUM_BYTES, CHECKSUM_BYTES);
    if (pf_read_u64(&sum) !=
        checksum(bytes[0] | bytes[1] << 8, table, key, key_bytes, value, value_bytes - CHECKSUM_BYTES))
        return PF_FAIL(err, PF_CORRUPT, "a row of %zu bytes in table %s fails its checksum", value_bytes,
                       pf_table_name(table));
    return st ? PF_FAIL(err, st, "%s", why.msg) : PF_OK;
}

static void put_digest(pf_buf *row, const pf_digest *digest)
{
    pf_buf_put(row, digest->byte, sizeof digest->byte);
}

static void read_into(pf_reader *in, void *out, size_t bytes)
{
    const uint8_t *from = pf_read_bytes(in, bytes);

    if (from)
        memcpy(out, from, bytes);
}

static void put_text(pf_buf *row, const pf_text *text)
{
    pf_buf_put_string(row, pf_text_of(text));
}

enum { TEXT_BYTES_MAX = 4200 };

/* NULL when it is damaged. */
static pf_text *read_text(pf_core *core, pf_reader *in)
{
    uint32_t       bytes = pf_read_u32(in);
    const uint8_t *text = bytes < TEXT_BYTES_MAX ? pf_read_bytes(in, bytes) : NULL;

    if (text && !memchr(text, 0, bytes))
        return pf_text_take_bytes(core, (const char *)text, bytes);
    in->failed = true;
    return NULL;
}

/* NULL for an empty text. */
static pf_text *read_text_or_none(pf_core *core, pf_reader *in)
{
    pf_text *text = read_text(core, in);

    if (!text || text->bytes)
        return text;
    pf_text_drop(core, text);
    return NULL;
}

static void big_endian(uint64_t value, uint8_t out[8])
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t from_big_endian(const uint8_t *in)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}

/* ---- meta: epoch and the next job id */

void pf_rows_put_meta(pf_core *core)
{
    pf_buf *row = begin(core);

    pf_buf_put_u64(row, core->epoch);
    pf_buf_put_u64(row, core->next_job_id);
    finish(core, PF_ROWS_META, META_KEY, sizeof META_KEY - 1, row);
}

static bool load_meta(pf_core *core, const uint8_t *key, size_t key_bytes, pf_reader *in)
{
    if (key_bytes != sizeof META_KEY - 1 || memcmp(key, META_KEY, key_bytes) != 0)
        return false;
    core->epoch = pf_read_u64(in);
    core->next_job_id = pf_read_u64(in);
    return true;
}

/* ---- texts */

void pf_rows_put_text(pf_core *core, const pf_text *text)
{
    pf_buf   *row = begin(core);
    pf_digest digest = { 0 };

    pf_text_digest(text, &digest);
    pf_buf_put_blob(row, text->data, text->bytes);
    finish(core, PF_ROWS_TEXTS, &digest, sizeof digest, row);
}

/* Keeps a reference until all rows are in. */
static bool load_text(pf_core *core, const uint8_t *key, size_t key_bytes, pf_reader *in)
{
    size_t          bytes = 0;
    const uint8_t  *data = pf_read_blob(in, &bytes);
    char           *copy = data ? pf_strndup((const char *)data, bytes) : NULL;
    pf_stored_text *stored = copy ? pf_core_alloc(core, sizeof *stored) : NULL;
    bool            good = false;

    if (stored)
        stored->text = pf_text_take(core, copy);
    if (stored && stored->text)
        pf_text_digest(stored->text, &stored->digest);
    good = stored && stored->text && stored->text->bytes == bytes && key_bytes == sizeof stored->digest &&
           memcmp(key, &stored->digest, key_bytes) == 0 && pf_index_add(&core->stored_texts, stored);
    pf_free(copy);
    if (good)
        return true;
    pf_text_drop(core, stored ? stored->text : NULL);
    pf_free(stored);
    return false;
}

/* ---- classes */

void pf_rows_put_class(pf_core *core, const pf_class *device_class)
{
    pf_buf *row = begin(core);

    put_text(row, device_class->text);
    pf_buf_put_string(row, device_class->name);
    put_text(row, device_class->builder_abi);
    pf_buf_put_u64(row, (uint64_t)device_class->seen_ns);
    pf_buf_put_u64(row, (uint64_t)device_class->build_ns);
    pf_buf_put_u32(row, device_class->aliases_count);
    for (uint32_t i = 0; i < device_class->aliases_count; i++)
        pf_buf_put_string(row, device_class->alias[i]);
    finish(core, PF_ROWS_CLASSES, &device_class->digest, sizeof device_class->digest, row);
}

static bool load_class(pf_core *core, const uint8_t *key, size_t key_bytes, pf_reader *in)
{
    char      text[PF_CLASS_TEXT_BYTES] = "";
    bool      good = pf_read_string(in, text, sizeof text);
    pf_class *device_class = good ? pf_classes_take(core, text) : NULL;

    if (!device_class || key_bytes != sizeof device_class->digest || memcmp(key, &device_class->digest, key_bytes) != 0)
        return false;
    pf_read_string(in, device_class->name, sizeof device_class->name);
    device_class->builder_abi = read_text_or_none(core, in);
    device_class->seen_ns = (int64_t)pf_read_u64(in);
    device_class->build_ns = (int64_t)pf_read_u64(in);
    device_class->aliases_count = pf_read_u32(in);
    if (device_class->aliases_count > PF_CLASS_ALIASES_MAX)
        device_class->aliases_count = 0;
    for (uint32_t i = 0; i < device_class->aliases_count; i++)
        pf_read_string(in, device_class->alias[i], sizeof device_class->alias[i]);
    return true;
}

/* ---- agents: what must be known of one that is away */

void pf_rows_put_agent(pf_core *core, const pf_agent *agent)
{
    pf_buf *row = begin(core);

    pf_buf_put_u8(row, agent->drain_asked);
    pf_buf_put_u8(row, agent->sick);
    pf_buf_put_string(row, agent->health);
    pf_buf_put_string(row, agent->host);
    pf_buf_put_string(row, agent->software);
    pf_buf_put_string(row, agent->key_name);
    pf_buf_put_u64(row, (uint64_t)agent->seen_ns);
    pf_buf_put_u64(row, agent->epoch);
    for (int i = 0; i < PF_REPLACED_MAX; i++)
        pf_buf_put_u64(row, agent->replaced[i]);
    pf_buf_put_u32(row, agent->crashed_jobs_count);
    for (uint32_t i = 0; i < agent->crashed_jobs_count; i++)
        pf_buf_put_u64(row, agent->crashed_jobs[i]);
    finish(core, PF_ROWS_AGENTS, agent->name, strlen(agent->name), row);
}

static bool load_agent(pf_core *core, const uint8_t *key, size_t key_bytes, pf_reader *in)
{
    char      name[PF_AGENT_NAME_BYTES] = "";
    pf_agent *agent = NULL;

    if (key_bytes == 0 || key_bytes >= sizeof name)
        return false;
    memcpy(name, key, key_bytes);
    agent = pf_agents_take(core, name);
    if (!agent)
        return false;
    agent->drain_asked = pf_read_u8(in) != 0;
    agent->sick = pf_read_u8(in) != 0;
    pf_read_string(in, agent->health, sizeof agent->health);
    pf_read_string(in, agent->host, sizeof agent->host);
    pf_read_string(in, agent->software, sizeof agent->software);
    pf_read_string(in, agent->key_name, sizeof agent->key_name);
    agent->seen_ns = (int64_t)pf_read_u64(in);
    agent->epoch = pf_read_u64(in);
    for (int i = 0; i < PF_REPLACED_MAX; i++)
        agent->replaced[i] = pf_read_u64(in);
    agent->crashed_jobs_count = pf_read_u32(in);
    if (agent->crashed_jobs_count > PF_SICK_JOBS_MAX)
        return false;
    for (uint32_t i = 0; i < agent->crashed_jobs_count; i++)
        agent->crashed_jobs[i] = pf_read_u64(in);
    return true;
}

/* ---- plans: the manifest says the rest */

void pf_rows_put_plan(pf_core *core, const pf_plan *plan)
{
    pf_buf *row = begin(core);

    pf_buf_put_u64(row, plan->job_id);
    pf_buf_put_blob(row, plan->manifest, strlen(plan->manifest));
    pf_buf_put_u64(row, (uint64_t)plan->used_ns);
    finish(core, PF_ROWS_PLANS, &plan->plan_key, sizeof plan->plan_key, row);
}

static bool load_plan(pf_core *core, const uint8_t *key, size_t key_bytes, pf_reader *in)
{
    uint64_t       job_id = pf_read_u64(in);
    size_t         bytes = 0;
    const uint8_t *data = pf_read_blob(in, &bytes);
    char          *manifest = data ? pf_strndup((const char *)data, bytes) : NULL;
    pf_plan       *plan = manifest ? pf_plans_add(core, manifest, job_id) : NULL;
    bool           good = plan && key_bytes == sizeof plan->plan_key && memcmp(key, &plan->plan_key, key_bytes) == 0;

    if (good)
        plan->used_ns = core->row_version >= 2 ? (int64_t)pf_read_u64(in) : 0;
    pf_free(manifest);
    return good;
}

/* ---- jobs */

bool pf_rows_spec_is_apart(const pf_text *spec)
{
    return spec && spec->bytes > PF_TEXT_SHORT_BYTES;
}

void pf_rows_remove_job(pf_core *core, const pf_job *job)
{
    uint8_t key[8] = { 0 };

    big_endian(job->id, key);
    pf_core_remove(core, PF_ROWS_JOBS, key, sizeof key);
}

/* VERIFYING is not stored: the agent repeats COMPLETE until it is answered, so a restart finds it LEASED. */
static Pf__JobState stored_state(const pf_job *job)
{
    return job->state == PF__JOB_STATE__STATE_VERIFYING ? PF__JOB_STATE__STATE_LEASED : job->state;
}

static void put_job_numbers(const pf_job *job, pf_buf *row)
{
    pf_buf_put_u8(row, (uint8_t)stored_state(job));
    pf_buf_put_u32(row, job->attempt);
    pf_buf_put_u32(row, job->run->charged);
    pf_buf_put_u64(row, job->run->fence);
    pf_buf_put_u32(row, job->build_timeout_s);
    pf_buf_put_u32(row, job->queue_timeout_s);
    pf_buf_put_u32(row, (uint32_t)job->priority);
    pf_buf_put_u64(row, (uint64_t)job->created_ns);
    pf_buf_put_u64(row, (uint64_t)job->changed_ns);
    pf_buf_put_u64(row, (uint64_t)job->queue_key);
    pf_buf_put_u64(row, job->run->plan_bytes);
    pf_buf_put_u8(row, (uint8_t)job->run->failure);
    pf_buf_put_u32(row, job->run->exit_code);
    pf_buf_put_u32(row, job->run->crashed_on_count);
    for (uint32_t i = 0; i < job->run->crashed_on_count; i++)
        pf_buf_put_u64(row, job->run->crashed_on[i]);
}

void pf_rows_put_job(pf_core *core, const pf_job *job)
{
    const pf_digest none = { 0 };
    const bool      apart = pf_rows_spec_is_apart(job->spec);
    pf_digest       spec = { 0 };
    uint8_t         key[8] = { 0 };
    pf_buf          *row = begin(core);

    big_endian(job->id, key);
    if (apart)
        pf_text_digest(job->spec, &spec);
    put_job_numbers(job, row);
    put_digest(row, &job->plan_key);
    put_digest(row, &job->order->of.model_digest);
    put_digest(row, &job->run->plan_digest);
    put_digest(row, &job->run->log_digest);
    put_digest(row, job->device_class ? &job->device_class->digest : &none);
    put_digest(row, &spec);
    pf_buf_put_string(row, job->run->agent ? job->run->agent->name : "");
    put_text(row, job->order->of.model_name);
    put_text(row, job->order->of.user);
    put_text(row, job->order->of.selector);
    put_text(row, job->order->of.builder_abi);
    put_text(row, job->run->message);
    pf_buf_put(row, job->trace_id, sizeof job->trace_id);
    pf_buf_put_string(row, apart ? "" : pf_text_of(job->spec));
    finish(core, PF_ROWS_JOBS, key, sizeof key, row);
}

static bool read_job_numbers(pf_job *job, pf_run *run, pf_reader *in)
{
    job->state = pf_read_u8(in);
    job->attempt = pf_read_u32(in);
    run->charged = pf_read_u32(in);
    run->fence = pf_read_u64(in);
    job->build_timeout_s = pf_read_u32(in);
    job->queue_timeout_s = pf_read_u32(in);
    job->priority = (int8_t)(int32_t)pf_read_u32(in);
    job->created_ns = (int64_t)pf_read_u64(in);
    job->changed_ns = (int64_t)pf_read_u64(in);
    job->queue_key = (int64_t)pf_read_u64(in);
    run->plan_bytes = pf_read_u64(in);
    run->failure = (Pf__FailureKind)pf_read_u8(in);
    run->exit_code = pf_read_u32(in);
    run->crashed_on_count = pf_read_u32(in);
    if (run->crashed_on_count > PF_CRASHED_ON_MAX || job->state == 0 || job->state >= PF_JOB_STATES)
        return false;
    for (uint32_t i = 0; i < run->crashed_on_count; i++)
        run->crashed_on[i] = pf_read_u64(in);
    return true;
}

/* Everything between the spec's digest and the spec. */
static bool read_job_texts(pf_core *core, pf_job *job, pf_run *run, const pf_digest *model, pf_reader *in)
{
    char         agent[PF_AGENT_NAME_BYTES] = "";
    pf_order_key of = { .model_digest = *model };
    bool         good = pf_read_string(in, agent, sizeof agent);

    if (agent[0])
        run->agent = pf_agents_take(core, agent);
    of.model_name = read_text(core, in);
    of.user = read_text(core, in);
    of.selector = read_text(core, in);
    of.builder_abi = read_text_or_none(core, in);
    good = good && of.model_name && of.user && of.selector;
    job->order = pf_order_take(core, &of);
    run->message = read_text_or_none(core, in);
    read_into(in, job->trace_id, sizeof job->trace_id);
    return good;
}

/* The spec stands in the row, and a zero for its digest, or apart; before version 3 the digest was there in any
   case. */
static pf_text *read_spec(pf_core *core, const pf_digest *digest, pf_reader *in)
{
    pf_text  *inside = read_text(core, in), *apart = NULL;
    pf_digest own = { 0 };

    if (!inside || inside->bytes || pf_digest_is_zero(digest))
        return inside;
    pf_text_digest(inside, &own);
    if (pf_digest_equal(&own, digest))
        return inside;
    pf_text_drop(core, inside);
    apart = pf_text_stored_find(core, digest);
    pf_text_stored(core, apart);
    return pf_text_again(apart);
}

static void take_run(pf_core *core, pf_job *job, const pf_run *run)
{
    if (memcmp(run, &pf_no_run, sizeof *run) != 0)
        *pf_run_of(core, job) = *run;
}

static bool load_job(pf_core *core, const uint8_t *key, size_t key_bytes, pf_reader *in)
{
    pf_digest model = { 0 }, device_class = { 0 }, spec = { 0 };
    pf_run    run = pf_no_run;
    uint64_t  id = key_bytes == 8 ? from_big_endian(key) : 0;
    pf_job   *job = id && !pf_job_find(core, id) ? pf_job_new(core, id) : NULL;
    bool      good = job && read_job_numbers(job, &run, in);

    if (!good)
        return false;
    read_into(in, &job->plan_key, sizeof job->plan_key);
    read_into(in, &model, sizeof model);
    read_into(in, &run.plan_digest, sizeof run.plan_digest);
    read_into(in, &run.log_digest, sizeof run.log_digest);
    read_into(in, &device_class, sizeof device_class);
    read_into(in, &spec, sizeof spec);
    good = read_job_texts(core, job, &run, &model, in);
    take_run(core, job, &run);
    job->device_class = pf_classes_find(core, &device_class);
    job->spec = read_spec(core, &spec, in);
    if (!good || !job->spec || (!job->device_class && !pf_digest_is_zero(&device_class)))
        return false;
    if (id >= core->next_job_id)
        core->next_job_id = id + 1;
    return !pf_job_is_held(job) || (job->run->agent && job->device_class);
}

/* ---- submits */

enum { ITEM_HIT = 1, ITEM_JOINED = 2, ITEM_GIVEN_UP = 4 };

void pf_rows_put_submit(pf_core *core, const pf_submit *submit)
{
    pf_buf  *row = begin(core);
    uint8_t key[8] = { 0 };

    big_endian(submit->serial, key);
    pf_buf_put(row, submit->id, sizeof submit->id);
    pf_buf_put(row, submit->body, sizeof submit->body);
    pf_buf_put_u32(row, submit->items_count);
    for (uint32_t i = 0; i < submit->items_count; i++) {
        const pf_submit_item *item = &submit->item[i];
        pf_buf_put_u64(row, item->has_job ? item->job->id : 0);
        put_digest(row, pf_submit_item_key(item));
        put_text(row, item->selector);
        pf_buf_put_u8(row, (uint8_t)((item->hit ? ITEM_HIT : 0) | (item->joined ? ITEM_JOINED : 0) |
                                      (item->given_up ? ITEM_GIVEN_UP : 0)));
    }
    finish(core, PF_ROWS_SUBMITS, key, sizeof key, row);
}

void pf_rows_remove_submit(pf_core *core, const pf_submit *submit)
{
    uint8_t key[8] = { 0 };

    big_endian(submit->serial, key);
    pf_core_remove(core, PF_ROWS_SUBMITS, key, sizeof key);
}

static bool read_item(pf_core *core, pf_submit_item *item, pf_reader *in)
{
    uint64_t  job_id = pf_read_u64(in);
    pf_job   *job = job_id ? pf_job_find(core, job_id) : NULL;
    pf_digest key = { 0 };
    uint8_t   flags = 0;

    read_into(in, &key, sizeof key);
    item->selector = read_text(core, in);
    flags = pf_read_u8(in);
    item->hit = flags & ITEM_HIT;
    item->joined = flags & ITEM_JOINED;
    item->given_up = flags & ITEM_GIVEN_UP;
    if (job)
        pf_submit_attach(item, job);
    else
        pf_submit_set_key(core, item, &key);
    return item->selector && (job || !job_id);
}

static bool load_submit(pf_core *core, const uint8_t *key, size_t key_bytes, pf_reader *in)
{
    uint8_t    id[PF_SUBMIT_ID_BYTES] = { 0 };
    const uint8_t *body = NULL;
    uint32_t   count = 0;
    pf_submit *submit = NULL;

    read_into(in, id, sizeof id);
    body = pf_read_bytes(in, core->row_version >= 3 ? PF_SUBMIT_BODY_BYTES : sizeof(pf_digest));
    count = pf_read_u32(in);
    if (!body || key_bytes != 8 || count > PF_SELECTORS_MAX || pf_submit_find(core, id))
        return false;
    submit = pf_submit_new(core, id, count);
    if (!submit)
        return false;
    submit->serial = from_big_endian(key);
    if (submit->serial >= core->next_submit_serial)
        core->next_submit_serial = submit->serial + 1;
    memcpy(submit->body, body, sizeof submit->body);
    for (uint32_t i = 0; i < count; i++)
        if (!read_item(core, &submit->item[i], in))
            return false;
    return true;
}

/* ---- loading */

/* A submit's id is its first field. */
void pf_rows_prefetch(const pf_core *core, pf_table table, const void *value, size_t value_bytes)
{
    if (table == PF_ROWS_SUBMITS && value_bytes > 2 + PF_SUBMIT_ID_BYTES)
        pf_index_prefetch(&core->submits, (const uint8_t *)value + 2);
}

pf_status pf_rows_load(pf_core *core, pf_table table, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes, bool check, pf_err *err)
{
    static bool (*const load[PF_ROWS_COUNT])(pf_core *, const uint8_t *, size_t, pf_reader *) = {
        [PF_ROWS_META] = load_meta,     [PF_ROWS_TEXTS] = load_text, [PF_ROWS_CLASSES] = load_class,
        [PF_ROWS_AGENTS] = load_agent,  [PF_ROWS_PLANS] = load_plan, [PF_ROWS_JOBS] = load_job,
        [PF_ROWS_SUBMITS] = load_submit,
    };
    const uint8_t *fields = NULL;
    size_t         fields_bytes = 0;
    pf_reader      in = { 0 };
    pf_status      st = check ? pf_rows_check(table, key, key_bytes, value, value_bytes, &fields, &fields_bytes, err)
                              : open_row(table, value, value_bytes, &fields, &fields_bytes, err);

    if (st)
        return st;
    core->row_version = (uint16_t)(((const uint8_t *)value)[0] | ((const uint8_t *)value)[1] << 8);
    pf_reader_init(&in, fields, fields_bytes);
    if (load[table](core, key, key_bytes, &in) && !in.failed)
        return PF_OK;
    if (core->failed)
        return PF_FAIL(err, PF_NO_SPACE, "out of memory while reading table %s", pf_table_name(table));
    return PF_FAIL(err, PF_CORRUPT, "a row in table %s does not fit the others", pf_table_name(table));
}
