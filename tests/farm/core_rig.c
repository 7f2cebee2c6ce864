#include "tests/farm/core_rig.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

static void *grown(void *items, uint32_t *capacity, uint32_t need, size_t bytes)
{
    void *list = items;

    assert_int_equal(pf_grow(&list, capacity, need, bytes), 0);
    return list;
}

/* ---- the disk */

static void row_name(pf_table table, const uint8_t *key, size_t bytes, char out[600])
{
    int used = snprintf(out, 600, "%d:", (int)table);

    for (size_t i = 0; i < bytes; i++)
        used += snprintf(out + used, 600 - (size_t)used, "%02x", key[i]);
}

static rig_row *row_for(rig *r, const pf_out *out, const pf_write *w)
{
    char     name[600] = "";
    uint64_t at = 0;
    rig_row *row = NULL;

    row_name(w->table, out->bytes.data + w->key_at, w->key_bytes, name);
    if (pf_map_get(r->row_of_key, name, &at))
        return &r->row[at];
    r->row = grown(r->row, &r->rows_capacity, r->rows_count + 1, sizeof *r->row);
    assert_true(pf_map_set(r->row_of_key, name, r->rows_count));
    row = &r->row[r->rows_count++];
    memset(row, 0, sizeof *row);
    row->table = w->table;
    row->key_bytes = w->key_bytes;
    row->key = pf_alloc(w->key_bytes + 1);
    memcpy(row->key, out->bytes.data + w->key_at, w->key_bytes);
    return row;
}

void rig_apply(rig *r, const pf_out *out)
{
    for (uint32_t i = 0; i < out->writes_count; i++) {
        const pf_write *w = &out->write[i];
        rig_row        *row = row_for(r, out, w);
        pf_free(row->value);
        row->value = NULL;
        row->removed = w->remove;
        row->value_bytes = w->value_bytes;
        if (w->remove)
            continue;
        row->value = pf_alloc(w->value_bytes + 1);
        memcpy(row->value, out->bytes.data + w->value_at, w->value_bytes);
    }
    if (r->written)
        r->written(r->user, out);
}

const rig_row *rig_find_row(const rig *r, pf_table table, const void *key, size_t key_bytes)
{
    char     name[600] = "";
    uint64_t at = 0;

    row_name(table, key, key_bytes, name);
    return pf_map_get(r->row_of_key, name, &at) && !r->row[at].removed ? &r->row[at] : NULL;
}

/* As LMDB would give them: table by table, jobs in the order of their ids. */
static void load_table(rig *r, pf_table table)
{
    const rig_row *last = NULL;
    pf_err         err = { 0 };

    for (;;) {
        const rig_row *next = NULL;
        for (uint32_t i = 0; i < r->rows_count; i++) {
            const rig_row *row = &r->row[i];
            if (row->table != table || row->removed)
                continue;
            if (table != PF_ROWS_JOBS && row <= last)
                continue;
            if (table == PF_ROWS_JOBS && last && memcmp(row->key, last->key, 8) <= 0)
                continue;
            if (!next || (table == PF_ROWS_JOBS && memcmp(row->key, next->key, 8) < 0))
                next = row;
            if (table != PF_ROWS_JOBS)
                break;
        }
        if (!next)
            return;
        test_ok(pf_core_load(r->core, table, next->key, next->key_bytes, next->value, next->value_bytes, &err), &err);
        last = next;
    }
}

/* ---- mail */

static void take_sends(rig *r)
{
    for (uint32_t i = 0; i < r->out.sends_count; i++) {
        const pf_send *s = &r->out.send[i];
        pf_err         err = { 0 };
        r->mail = grown(r->mail, &r->mail_capacity, r->mail_count + 1, sizeof *r->mail);
        r->mail[r->mail_count] = (rig_mail){ .peer = s->peer, .lease = s->lease };
        test_ok(pf_wire_unpack(r->out.bytes.data + s->at, s->bytes, PF_ROLE_COORD,
                               s->peer < 100 ? PF_ROLE_CLIENT : PF_ROLE_AGENT, &r->mail[r->mail_count].message, &err),
                &err);
        r->mail_count++;
    }
}

static void take_verifies(rig *r)
{
    for (uint32_t i = 0; i < r->out.verifies_count; i++) {
        uint32_t capacity = r->verifies_capacity;
        r->verify = grown(r->verify, &r->verifies_capacity, r->verifies_count + 1, sizeof *r->verify);
        r->verify_text = grown(r->verify_text, &capacity, r->verifies_count + 1, sizeof *r->verify_text);
        r->verify[r->verifies_count] = r->out.verify[i];
        r->verify_text[r->verifies_count++] = pf_strdup((char *)r->out.bytes.data + r->out.verify[i].manifest_at);
    }
}

rig_mail rig_take(rig *r, uint64_t peer, pf_msg_type type)
{
    rig_mail found = { 0 };

    for (uint32_t i = 0; i < r->mail_count; i++) {
        if ((peer && r->mail[i].peer != peer) || r->mail[i].message.info->type != type)
            continue;
        found = r->mail[i];
        memmove(&r->mail[i], &r->mail[i + 1], (r->mail_count - i - 1) * sizeof *r->mail);
        r->mail_count--;
        return found;
    }
    fail_msg("no %s was sent to %d", pf_msg_find(type)->name, (int)peer);
    return found;
}

bool rig_has(const rig *r, uint64_t peer, pf_msg_type type)
{
    for (uint32_t i = 0; i < r->mail_count; i++)
        if ((!peer || r->mail[i].peer == peer) && r->mail[i].message.info->type == type)
            return true;
    return false;
}

void rig_drop_mail(rig *r)
{
    for (uint32_t i = 0; i < r->mail_count; i++)
        pf_message_clear(&r->mail[i].message);
    r->mail_count = 0;
}

static void drop_verify(rig *r, uint32_t index)
{
    pf_free(r->verify_text[index]);
    r->verifies_count--;
    r->verify[index] = r->verify[r->verifies_count];
    r->verify_text[index] = r->verify_text[r->verifies_count];
}

/* ---- life */

static void start(rig *r)
{
    pf_err err = { 0 };

    test_ok(pf_core_new(&r->config, &r->core, &err), &err);
    for (int t = 0; t < PF_ROWS_COUNT; t++)
        load_table(r, (pf_table)t);
    pf_out_reset(&r->out);
    test_ok(pf_core_start(r->core, r->now, &r->out, &err), &err);
    rig_apply(r, &r->out);
    test_ok(pf_core_check(r->core, &err), &err);
}

void rig_open(rig *r)
{
    pf_err err = { 0 };

    pf_core_config_init(&r->config);
    r->config.time_jump_ns = INT64_MAX;         /* tests let hours pass in one step */
    r->config.random_seed = 1;
    r->now = (pf_now){ 1000 * PF_NS_PER_S, 1700000000 * PF_NS_PER_S };
    r->next_msg_id = 1;
    r->check_always = true;
    r->row_of_key = pf_map_new();
    pf_out_init(&r->out);
    test_ok(pf_signing_key_new("farm-1", &r->key, &err), &err);
    start(r);
}

void rig_restart(rig *r)
{
    rig_drop_mail(r);
    while (r->verifies_count)
        drop_verify(r, 0);
    pf_core_free(r->core);
    start(r);
}

void rig_close(rig *r)
{
    rig_drop_mail(r);
    while (r->verifies_count)
        drop_verify(r, 0);
    pf_core_free(r->core);
    for (uint32_t i = 0; i < r->rows_count; i++) {
        pf_free(r->row[i].key);
        pf_free(r->row[i].value);
    }
    pf_free(r->row);
    pf_free(r->mail);
    pf_free(r->verify);
    pf_free(r->verify_text);
    pf_map_free(r->row_of_key);
    pf_out_clear(&r->out);
    memset(r, 0, sizeof *r);
}

/* ---- steps */

pf_status rig_step(rig *r, const pf_event *event)
{
    pf_err    err = { 0 };
    pf_status st = PF_OK;

    pf_out_reset(&r->out);
    st = pf_step(r->core, event, r->now, &r->out, &err);
    if (st)
        return st;
    rig_apply(r, &r->out);
    take_sends(r);
    take_verifies(r);
    if (r->check_always)
        test_ok(pf_core_check(r->core, &err), &err);
    return PF_OK;
}

void rig_tick(rig *r, int64_t after_ns)
{
    pf_event tick = { .kind = PF_EVENT_TICK };

    r->now.boot_ns += after_ns;
    r->now.wall_ns += after_ns;
    assert_int_equal(rig_step(r, &tick), PF_OK);
}

void rig_say(rig *r, uint64_t peer, pf_msg_type type, const ProtobufCMessage *body)
{
    pf_wire_header header = { .msg_id = r->next_msg_id++ };
    pf_message     message = { 0 };
    pf_buf         frame = { 0 };
    pf_err         err = { 0 };
    pf_event       event = { .kind = PF_EVENT_MESSAGE, .peer = peer, .message = &message, .grants = UINT32_MAX,
                             .missing = r->missing, .missing_count = r->missing_count,
                             .absent = r->absent, .absent_count = r->absent_count };

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    test_ok(pf_wire_pack(type, &header, body, &frame, &err), &err);
    test_ok(pf_wire_unpack(frame.data, frame.size, peer < 100 ? PF_ROLE_CLIENT : PF_ROLE_AGENT, PF_ROLE_COORD, &message,
                           &err),
            &err);
    assert_int_equal(rig_step(r, &event), PF_OK);
    pf_message_clear(&message);
    pf_buf_clear(&frame);
}

void rig_verdict(rig *r, uint32_t index, pf_status status)
{
    const pf_verify *v = &r->verify[index];
    pf_event         event = {.kind = PF_EVENT_VERIFIED,
                              .peer = v->peer,
                              .correlation_id = v->correlation_id,
                              .lease = v->lease,
                              .status = status,
                              .text = "the object is not good",
                              .plan_digest = v->plan_digest,
                              .log_digest = v->log_digest,
                              .plan_bytes = v->plan_bytes};
    pf_buf           text = { 0 };
    pf_err           err = { 0 };

    pf_buf_init(&text, PF_MANIFEST_BYTES);
    if (status == PF_OK) {
        pf_buf_put(&text, r->verify_text[index], strlen(r->verify_text[index]));
        test_ok(pf_manifest_sign(&text, &r->key, &err), &err);
        event.text = (char *)text.data;
    }
    assert_int_equal(rig_step(r, &event), PF_OK);
    drop_verify(r, index);
    pf_buf_clear(&text);
}

/* ---- ready-made messages */

void rig_request_begin(rig_request *request, uint32_t id, const char *model, const char *selector)
{
    Pf__Submit *submit = &request->submit;

    *request = (rig_request){ .id = { (uint8_t)id, (uint8_t)(id >> 8) }, .selectors = { (char *)selector } };
    pf__submit__init(submit);
    pf_digest_of(model, strlen(model), &request->model);
    submit->submit_id = (ProtobufCBinaryData){ sizeof request->id, request->id };
    submit->model_digest = pf_wire_bytes(&request->model);
    submit->selector = request->selectors;
    submit->n_selector = 1;
}

uint64_t rig_request_say(rig *r, uint64_t client, const rig_request *request)
{
    const Pf__SubmitReply *reply = NULL;
    uint64_t               job_id = 0;
    rig_mail               mail = { 0 };

    rig_say(r, client, PF_MSG_SUBMIT, &request->submit.base);
    if (!rig_has(r, client, PF_MSG_SUBMIT_REPLY))
        return 0;
    mail = rig_take(r, client, PF_MSG_SUBMIT_REPLY);
    reply = (const Pf__SubmitReply *)mail.message.body;
    if (reply->n_job)
        job_id = reply->job[reply->n_job - 1]->job_id;
    pf_message_clear(&mail.message);
    return job_id;
}

uint64_t rig_submit(rig *r, uint64_t client, uint8_t id, const char *model, const char *selector)
{
    rig_request request;

    rig_request_begin(&request, id, model, selector);
    request.submit.model_name = (char *)model;
    request.submit.spec_text = (char *)"spec 1";
    request.submit.user = client == CLIENT_1 ? "ann" : "bob";
    return rig_request_say(r, client, &request);
}

void rig_hello(rig *r, uint64_t peer, uint64_t epoch, uint32_t slots)
{
    class_hello h;
    char        name[16] = "";

    snprintf(name, sizeof name, "a%d", (int)peer);
    class_hello_begin(&h, name, epoch, "abi 1", "cpu-test", "class cpu\nisa test\n");
    class_hello_alias(&h, "cpu");
    h.device_class.slots = slots;
    rig_say(r, peer, PF_MSG_HELLO, &h.hello.base);
}

void rig_beat(rig *r, uint64_t peer, uint64_t epoch, const Pf__Offer *const *leases, uint32_t count,
              uint32_t free_slots)
{
    class_beat beat;
    Pf__Lease  lease[16], *list[16] = { NULL };

    assert_true(count <= 16);
    for (uint32_t i = 0; i < count; i++) {
        pf__lease__init(&lease[i]);
        PF_WIRE_SAME_RUN(&lease[i], leases[i]);
        lease[i].phase = PF__PHASE__PHASE_TUNE;
        lease[i].progress_count = (uint64_t)r->now.boot_ns;
        list[i] = &lease[i];
    }
    class_beat_begin(&beat, epoch, "class cpu\nisa test\n", list, count, free_slots);
    rig_say(r, peer, PF_MSG_HEARTBEAT, &beat.beat.base);
}

void rig_answer(rig *r, uint64_t peer, const Pf__Offer *offer, bool accept)
{
    Pf__OfferReply reply = PF__OFFER_REPLY__INIT;

    PF_WIRE_SAME_RUN(&reply, offer);
    reply.accepted = accept;
    reply.reason = accept ? "" : "busy";
    rig_say(r, peer, PF_MSG_OFFER_REPLY, &reply.base);
}

void rig_complete(rig *r, uint64_t peer, const Pf__Offer *offer, const char *plan)
{
    Pf__Complete complete = PF__COMPLETE__INIT;
    pf_digest    digest = { 0 };

    pf_digest_of(plan, strlen(plan), &digest);
    PF_WIRE_SAME_RUN(&complete, offer);
    complete.plan_digest = pf_wire_bytes(&digest);
    complete.plan_bytes = strlen(plan);
    complete.summary_json = "{}";
    rig_say(r, peer, PF_MSG_COMPLETE, &complete.base);
}

void rig_fail(rig *r, uint64_t peer, const Pf__Offer *offer, Pf__FailureKind kind, bool crashed)
{
    Pf__Failed failed = PF__FAILED__INIT;

    PF_WIRE_SAME_RUN(&failed, offer);
    failed.kind = kind;
    failed.message = "it went wrong";
    failed.crashed = crashed;
    rig_say(r, peer, PF_MSG_FAILED, &failed.base);
}

const Pf__JobStatus *rig_status(rig *r, uint64_t job_id, rig_mail *mail)
{
    Pf__Status status = PF__STATUS__INIT;

    status.job_id = &job_id;
    status.n_job_id = 1;
    rig_say(r, 99, PF_MSG_STATUS, &status.base);
    if (rig_has(r, 99, PF_MSG_STATUS_REPLY)) {
        *mail = rig_take(r, 99, PF_MSG_STATUS_REPLY);
        return ((Pf__StatusReply *)mail->message.body)->job[0];
    }
    *mail = rig_take(r, 99, PF_MSG_ERROR);
    return NULL;
}

Pf__JobState rig_state(rig *r, uint64_t job_id)
{
    rig_mail             mail = { 0 };
    const Pf__JobStatus *status = rig_status(r, job_id, &mail);
    Pf__JobState         state = status ? status->state : PF__JOB_STATE__STATE_NONE;

    pf_message_clear(&mail.message);
    return state;
}

rig_mail rig_lease(rig *r, uint64_t peer)
{
    rig_mail mail = rig_take(r, peer, PF_MSG_OFFER);

    rig_answer(r, peer, rig_offer_of(&mail), true);
    return mail;
}

const Pf__Offer *rig_offer_of(const rig_mail *mail)
{
    return (const Pf__Offer *)mail->message.body;
}
