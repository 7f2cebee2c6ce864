#include "tests/farm/sim_world.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* ---- things that will happen */

bool sim_chance(sim *s, double p)
{
    return pf_random_unit(&s->random) < p;
}

int64_t sim_between(sim *s, int64_t low, int64_t high)
{
    return low + (int64_t)pf_random_below(&s->random, (uint64_t)(high - low + 1));
}

happening *sim_plan(sim *s, happening_kind kind, int64_t after_ns)
{
    happening *h = pf_calloc(1, sizeof *h);

    assert_non_null(h);
    h->kind = kind;
    h->tie = s->next_tie++;
    assert_true(pf_heap_put(&s->future, h, s->r.now.boot_ns + after_ns));
    return h;
}

static void free_happening(happening *h)
{
    if (h->batch)
        pf_out_clear(h->batch);
    pf_free(h->batch);
    pf_free(h->frame);
    pf_free(h->manifest);
    pf_free(h);
}

/* ---- the network: TCP between ends that may break, so in order, but for what chaos does to it */

static int64_t delay(sim *s)
{
    if (s->quiet || s->faults == 0)
        return 1 * MS;
    return sim_chance(s, 0.02 * s->faults) ? sim_between(s, 1 * MS, 20 * S) : sim_between(s, 0, 50 * MS);
}

void sim_post(sim *s, happening_kind kind, uint64_t peer, const uint8_t *frame, size_t bytes)
{
    double loss = s->quiet ? 0 : 0.01 * s->faults;

    for (int copies = sim_chance(s, loss) ? 2 : 1; copies > 0; copies--) {
        happening *h = NULL;
        if (sim_chance(s, loss))
            continue;
        h = sim_plan(s, kind, delay(s));
        h->peer = peer;
        h->life = s->life;
        h->frame = pf_alloc(bytes);
        h->bytes = bytes;
        memcpy(h->frame, frame, bytes);
    }
}

void sim_say(sim *s, uint64_t peer, pf_msg_type type, uint64_t msg_id, const ProtobufCMessage *body)
{
    pf_wire_header header = { .msg_id = msg_id ? msg_id : s->next_msg_id++ };
    pf_buf         frame = { 0 };

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    assert_int_equal(pf_wire_pack(type, &header, body, &frame, NULL), PF_OK);
    sim_post(s, TO_COORDINATOR, peer, frame.data, frame.size);
    pf_buf_clear(&frame);
}

static void to_peer(sim *s, const happening *h)
{
    bool       is_agent = h->peer > 100;
    pf_message message = { 0 };

    if (is_agent && sim_agent_is_away(s, &s->agent[h->peer - 101])) {
        if (s->r.now.boot_ns < s->agent[h->peer - 101].cut_until_ns)
            return;             /* lost in the partition; a sleeper finds it when it wakes */
        happening *later = sim_plan(s, TO_PEER, s->agent[h->peer - 101].asleep_until_ns - s->r.now.boot_ns);
        later->peer = h->peer;
        later->bytes = h->bytes;
        later->frame = pf_alloc(h->bytes);
        memcpy(later->frame, h->frame, h->bytes);
        return;
    }
    assert_int_equal(pf_wire_unpack(h->frame, h->bytes, PF_ROLE_COORD, is_agent ? PF_ROLE_AGENT : PF_ROLE_CLIENT,
                                    &message, NULL),
                     PF_OK);
    if (is_agent)
        sim_agent_receive(s, h->peer - 101, &message);
    else
        sim_client_receive(s, h->peer - 1, &message);
    pf_message_clear(&message);
}

/* ---- trouble */

static void on_chaos(sim *s, const happening *h)
{
    agent *a = &s->agent[pf_random_below(&s->random, AGENTS)];

    (void)h;
    if (s->quiet)
        return;
    sim_plan(s, CHAOS, sim_between(s, 1 * S, s->faults > 1 ? 10 * S : 30 * S));
    switch (pf_random_below(&s->random, 5)) {
    case 0: sim_crash(s);                                                   break;
    case 1: sim_agent_reset(s, (uint64_t)(a - s->agent), true);                         break;
    case 2: a->asleep_until_ns = s->r.now.boot_ns + sim_between(s, 1 * S, 120 * S);     break;
    case 3: a->cut_until_ns = s->r.now.boot_ns + sim_between(s, 1 * S, 120 * S);        break;
    default: break;             /* calm for once */
    }
}

static void on_crash(sim *s, const happening *h)
{
    (void)h;
    if (!s->quiet)
        sim_crash(s);
}

static void on_core_tick(sim *s, const happening *h)
{
    pf_event tick = { .kind = PF_EVENT_TICK };

    (void)h;
    sim_plan(s, CORE_TICK, 1 * S);
    sim_step(s, &tick);
}

/* ---- the run */

static void start(sim *s, uint64_t seed)
{
    rig_open(&s->r);
    s->r.check_always = false;
    pf_random_init(&s->random, seed);
    s->r.config.random_seed = seed;
    s->start_ns = s->r.now.boot_ns;
    s->life = 1;
    s->next_msg_id = 1;
    pf_heap_init(&s->future, offsetof(happening, place), offsetof(happening, tie));
    for (uint64_t i = 0; i < AGENTS; i++) {
        s->agent[i].epoch = 1 + pf_random_below(&s->random, UINT64_C(1) << 60);
        sim_plan(s, AGENT_TURN, sim_between(s, 0, 5 * S))->peer = i;
    }
    for (uint64_t i = 0; i < CLIENTS; i++)
        sim_plan(s, CLIENT_TURN, sim_between(s, 0, 5 * S))->peer = i;
    sim_plan(s, CORE_TICK, 1 * S);
    if (s->faults)
        sim_plan(s, CHAOS, 5 * S);
}

/* Operators do this too: an agent that was taken for sick is looked at and taken back. */
static void begin_quiet(sim *s)
{
    s->quiet = true;
    for (uint64_t i = 0; i < AGENTS; i++) {
        Pf__Drain resume = PF__DRAIN__INIT;
        char      name[16] = "";
        snprintf(name, sizeof name, "agent%d", (int)i);
        resume.agent = name;
        resume.resume = true;
        s->agent[i].asleep_until_ns = s->agent[i].cut_until_ns = 0;
        sim_say(s, 50, PF_MSG_DRAIN, 0, &resume.base);
    }
}

static bool all_done(const sim *s)
{
    pf_core_stats stats;
    uint32_t      live = 0;

    for (int i = 0; i < CLIENTS; i++) {
        if (s->client[i].made < SUBMITS_PER_CLIENT)
            return false;
        for (int k = 0; k < SUBMITS_PER_CLIENT; k++)
            if (!s->client[i].entry[k].acked)
                return false;
    }
    pf_core_stats_get(s->r.core, s->r.now, &stats);
    for (int state = 1; state < PF_JOB_STATES; state++)
        live += state < (int)PF__JOB_STATE__STATE_COMMITTED ? stats.jobs_by_state[state] : 0;
    return live == 0;
}

static void turn(sim *s)
{
    static void (*const by_kind[])(sim *, const happening *) = {
        [TO_COORDINATOR] = sim_to_coordinator, [TO_PEER] = to_peer,         [COMMIT] = sim_on_commit,
        [VERIFY_DONE] = sim_on_verify,
        [AGENT_TURN] = sim_on_agent_turn,      [CLIENT_TURN] = sim_on_client_turn, [CORE_TICK] = on_core_tick,
        [CHAOS] = on_chaos, [CRASH] = on_crash,
    };
    int64_t    at_ns = 0;
    happening *h = pf_heap_first(&s->future, &at_ns);

    pf_heap_remove(&s->future, h);
    s->r.now.wall_ns += at_ns - s->r.now.boot_ns;
    s->r.now.boot_ns = at_ns;
    if (h->kind == TO_PEER && h->peer == 50)
        (void)h;                /* the operator reads no answers */
    else
        by_kind[h->kind](s, h);
    free_happening(h);
}

void sim_run(uint64_t seed, int faults, sim_counts *counts)
{
    sim          *s = pf_calloc(1, sizeof *s);
    pf_core_stats stats;
    pf_err        err = { 0 };

    assert_non_null(s);
    s->faults = faults;
    s->counts = counts;
    start(s, seed);
    while (s->r.now.boot_ns - s->start_ns < FAULT_SECONDS * S)
        turn(s);
    begin_quiet(s);
    while (!all_done(s) && s->r.now.boot_ns - s->start_ns < (FAULT_SECONDS + QUIET_SECONDS) * S)
        turn(s);
    test_ok(pf_core_check(s->r.core, &err), &err);
    assert_true(all_done(s));
    pf_core_stats_get(s->r.core, s->r.now, &stats);
    sim_add_stats(s);
    counts->quarantined += stats.jobs_by_state[PF__JOB_STATE__STATE_QUARANTINED];
    counts->cancelled += stats.jobs_by_state[PF__JOB_STATE__STATE_CANCELLED];
    rig_restart(&s->r);         /* the disk alone tells the same */
    for (happening *h = pf_heap_first(&s->future, NULL); h; h = pf_heap_first(&s->future, NULL)) {
        pf_heap_remove(&s->future, h);
        free_happening(h);
    }
    pf_heap_clear(&s->future);
    rig_close(&s->r);
    pf_free(s);
}
