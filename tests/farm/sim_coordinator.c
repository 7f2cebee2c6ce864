#include "tests/farm/sim_world.h"

#include "base/alloc.h"

static void check_core(sim *s)
{
    pf_err err = { 0 };

    if (s->counts->steps++ % CHECK_EVERY == 0)
        test_ok(pf_core_check(s->r.core, &err), &err);
}

/* Every step's writes are a batch that is committed a little later, in order; its sends follow the commit. */
void sim_step(sim *s, const pf_event *event)
{
    pf_out    *out = pf_calloc(1, sizeof *out);
    happening *h = NULL;
    pf_err     err = { 0 };
    int64_t    done_ns = s->r.now.boot_ns + sim_between(s, 0, sim_chance(s, 0.02 * s->faults) ? 400 * MS : 5 * MS);

    pf_out_init(out);
    test_ok(pf_step(s->r.core, event, s->r.now, out, &err), &err);
    check_core(s);
    if (out->writes_count + out->sends_count + out->verifies_count == 0) {
        pf_out_clear(out);
        pf_free(out);
        return;
    }
    if (done_ns <= s->disk_free_ns)
        done_ns = s->disk_free_ns + 1;
    s->disk_free_ns = done_ns;
    h = sim_plan(s, COMMIT, done_ns - s->r.now.boot_ns);
    h->life = s->life;
    h->batch = out;
    if (!s->quiet && sim_chance(s, 0.002 * s->faults))
        sim_plan(s, CRASH, sim_between(s, 0, done_ns - s->r.now.boot_ns));      /* in the middle of it */
}

const stored *sim_find_stored(const sim *s, const pf_digest *digest)
{
    for (uint32_t i = 0; i < s->stored_count; i++)
        if (pf_digest_equal(&s->store[i].digest, digest))
            return &s->store[i];
    return NULL;
}

/* Invariant 2, for each manifest that is written. */
static void check_plan_write(sim *s, const pf_out *out, const pf_write *w)
{
    pf_manifest m;
    pf_reader   in = { 0 };
    size_t      bytes = 0;
    const char *text = NULL;
    pf_err      err = { 0 };

    assert_false(w->remove);
    pf_reader_init(&in, out->bytes.data + w->value_at, w->value_bytes);
    pf_read_bytes(&in, 2 + 8);          /* version, job id */
    text = (const char *)pf_read_blob(&in, &bytes);
    assert_non_null(text);
    test_ok(pf_manifest_parse(text, bytes, &m, &err), &err);
    assert_true(sim_find_stored(s, &m.plan) && sim_find_stored(s, &m.plan)->good);
    for (uint32_t i = 0; i < s->committed_count; i++)
        if (pf_digest_equal(&s->committed_key[i], &m.plan_key)) {
            assert_true(pf_digest_equal(&s->committed_plan[i], &m.plan));
            return;
        }
    assert_true(s->committed_count < STORE_MAX);
    s->committed_key[s->committed_count] = m.plan_key;
    s->committed_plan[s->committed_count++] = m.plan;
    s->counts->commits++;
}

static void apply(sim *s, const pf_out *out)
{
    for (uint32_t i = 0; i < out->writes_count; i++)
        if (out->write[i].table == PF_ROWS_PLANS)
            check_plan_write(s, out, &out->write[i]);
    rig_apply(&s->r, out);
}

/* Invariant 3: the row of the job has the offer's fence, and no fence was seen that is as new. */
static void check_offer(sim *s, const pf_send *sent)
{
    uint8_t        key[8] = { 0 };
    const rig_row *row = NULL;
    pf_reader      in = { 0 };

    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(sent->lease.job_id >> (56 - 8 * i));
    row = rig_find_row(&s->r, PF_ROWS_JOBS, key, sizeof key);
    assert_non_null(row);
    pf_reader_init(&in, row->value, row->value_bytes);
    pf_read_bytes(&in, 2 + 1 + 4 + 4);
    assert_true(pf_read_u64(&in) >= sent->lease.fence);
    assert_true(sent->lease.job_id < JOURNAL_MAX * 4);
    assert_true(sent->lease.fence > s->fence_of_job[sent->lease.job_id]);
    s->fence_of_job[sent->lease.job_id] = sent->lease.fence;
}

static void release(sim *s, const pf_out *out)
{
    for (uint32_t i = 0; i < out->sends_count; i++) {
        const pf_send *sent = &out->send[i];
        if (sent->type == PF_MSG_OFFER)
            check_offer(s, sent);
        if (sent->type == PF_MSG_OFFER && s->faults && !s->quiet && sim_chance(s, 0.02)) {
            pf_event failed = { .kind = PF_EVENT_SEND_FAILED, .peer = sent->peer, .lease = sent->lease };
            sim_step(s, &failed);
            continue;
        }
        sim_post(s, TO_PEER, sent->peer, out->bytes.data + sent->at, sent->bytes);
    }
    for (uint32_t i = 0; i < out->verifies_count; i++) {
        happening *h = sim_plan(s, VERIFY_DONE, sim_between(s, 0, 3 * S));
        h->life = s->life;
        h->verify = out->verify[i];
        h->manifest = pf_strdup((const char *)out->bytes.data + out->verify[i].manifest_at);
    }
}

void sim_on_commit(sim *s, const happening *h)
{
    if (h->life != s->life)
        return;
    apply(s, h->batch);
    release(s, h->batch);
}

void sim_on_verify(sim *s, const happening *h)
{
    const stored *there = sim_find_stored(s, &h->verify.plan_digest);
    pf_event      event = {.kind = PF_EVENT_VERIFIED, .peer = h->verify.peer,
                           .correlation_id = h->verify.correlation_id, .lease = h->verify.lease,
                           .plan_digest = h->verify.plan_digest, .plan_bytes = h->verify.plan_bytes};

    if (h->life != s->life)
        return;
    event.status = there && there->good ? PF_OK : PF_CORRUPT;
    event.text = event.status ? "the bytes are not good" : h->manifest;
    sim_step(s, &event);
}

void sim_add_stats(sim *s)
{
    pf_core_stats stats;

    pf_core_stats_get(s->r.core, s->r.now, &stats);
    s->counts->late_wins += stats.late_wins_total;
}

void sim_crash(sim *s)
{
    bool survives = sim_chance(s, 0.5);

    sim_add_stats(s);
    while (survives) {          /* batches are committed in order, so a first part of them survives */
        happening *next = NULL;
        for (uint32_t i = 1; i <= s->future.count; i++) {
            happening *h = s->future.entry[i].item;
            if (h->kind == COMMIT && h->life == s->life &&
                (!next || s->future.entry[i].key < s->future.entry[next->place].key))
                next = h;
        }
        if (!next)
            break;
        apply(s, next->batch);
        next->life = 0;
        s->counts->lost_acks++;
        survives = sim_chance(s, 0.5);
    }
    s->life++;
    s->counts->coordinator_crashes++;
    rig_restart(&s->r);
    s->disk_free_ns = s->r.now.boot_ns;
}

void sim_to_coordinator(sim *s, const happening *h)
{
    pf_message message = { 0 };
    pf_event   event = { .kind = PF_EVENT_MESSAGE, .peer = h->peer, .message = &message, .grants = UINT32_MAX };

    if (h->life != s->life && !sim_chance(s, 0.5))
        return;                 /* it was on its way to the process that died */
    assert_int_equal(pf_wire_unpack(h->frame, h->bytes, h->peer < 100 ? PF_ROLE_CLIENT : PF_ROLE_AGENT, PF_ROLE_COORD,
                                    &message, NULL), PF_OK);
    s->counts->messages++;
    sim_step(s, &event);
    pf_message_clear(&message);
}
