/* Which networks slow a device when it is kept busy, by times of runs as an H200 gave them, and who wins then, on a
   card made up of what was seen of its power and clock. */
#include <math.h>
#include <stdio.h>

#include "base/random.h"
#include "engine/refine_load.h"
#include "engine/refine_pick.h"
#include "tests/test.h"

static pf_refine_load judged(const int64_t run_us[PF_REFINE_LOOKS])
{
    int64_t        run_ns[PF_REFINE_LOOKS] = { 0 };
    pf_refine_load load = { 0 };

    for (int i = 0; i < PF_REFINE_LOOKS; i++)
        run_ns[i] = run_us[i] * 1000;
    pf_refine_load_judge(run_ns, &load);
    return load;
}

static void networks_at_the_power_limit_slow_their_card(void **state)
{
    static const int64_t late[] = { 1280, 1280, 1279, 1301, 1308, 1308, 1309, 1330, 1428, 1435,
                                    1436, 1439, 1446, 1447, 1446, 1446, 1446, 1463, 1465, 1464 };
    static const int64_t early[] = { 1281, 1278, 1282, 1286, 1345, 1378, 1377, 1430, 1438, 1437,
                                     1437, 1439, 1451, 1440, 1439, 1437, 1436, 1438, 1437, 1449 };
    pf_refine_load       load = judged(late);

    (void)state;
    assert_true(load.slows);
    assert_int_equal(load.run_ns, 1463000);
    assert_in_range(load.warm_runs, 20, 60);
    assert_true(judged(early).slows);
}

/* Neither does one whose times scatter, nor one that something else on the machine held up for a while. */
static void others_do_not(void **state)
{
    static const int64_t even[] = { 229, 229, 229, 230, 229, 229, 229, 229, 230, 229,
                                    229, 229, 230, 229, 229, 229, 229, 230, 229, 229 };
    static const int64_t uneven[] = { 251, 252, 254, 250, 252, 251, 253, 251, 250, 254,
                                      252, 253, 251, 252, 250, 254, 252, 253, 252, 251 };
    static const int64_t disturbed[] = { 619, 620, 619, 619, 621, 619, 620, 622, 619, 619,
                                         620, 619, 619, 621, 620, 622, 640, 655, 680, 621 };
    static const int64_t warming[] = { 700, 640, 619, 619, 621, 619, 620, 622, 619, 620,
                                       619, 621, 619, 619, 620, 619, 621, 619, 620, 619 };

    (void)state;
    assert_false(judged(even).slows);
    assert_false(judged(uneven).slows);
    assert_false(judged(disturbed).slows);
    assert_false(judged(warming).slows);
    assert_int_equal(judged(even).warm_runs, 0);
}

/* A device that is at `rested_ns` for so many runs, and then at `busy_ns`. */
typedef struct slowing { int64_t rested_ns, busy_ns, runs_until, runs; bool fails; } slowing;

static pf_status run_blocks(void *user, int64_t runs, int blocks, int64_t *block_ns, pf_err *err)
{
    slowing *s = user;

    if (s->fails)
        return PF_FAIL(err, PF_DEVICE, "it fails");
    for (int b = 0; b < blocks; b++) {
        block_ns[b] = 0;
        for (int64_t i = 0; i < runs; i++)
            block_ns[b] += s->runs++ < s->runs_until ? s->rested_ns : s->busy_ns;
    }
    return PF_OK;
}

static void a_look_lasts_long_enough_to_see_it(void **state)
{
    slowing        large = { .rested_ns = 1280000, .busy_ns = 1465000, .runs_until = 55 };
    slowing        slow = { .rested_ns = 30000000, .busy_ns = 34000000, .runs_until = 3 };
    slowing        small = { .rested_ns = 229000, .busy_ns = 229000 };
    slowing        failing = { .fails = true };
    pf_refine_load load = { 0 };

    (void)state;
    assert_int_equal(pf_refine_load_look(run_blocks, &large, &load, NULL), PF_OK);
    assert_true(load.slows);
    assert_in_range(large.runs * large.rested_ns, 150000000, 300000000);
    assert_int_equal(pf_refine_load_look(run_blocks, &slow, &load, NULL), PF_OK);
    assert_true(load.slows);
    assert_in_range(load.warm_runs, 1, 8);
    assert_int_equal(pf_refine_load_look(run_blocks, &small, &load, NULL), PF_OK);
    assert_false(load.slows);
    assert_int_equal(pf_refine_load_look(run_blocks, &failing, &load, NULL), PF_DEVICE);
    assert_false(load.slows);
}

/* ---- A card at its power limit */

enum { TWO = 2 };                       /* the one that stands, and the other one */

#define RESTED_GHZ 1.98
#define STEP_GHZ   0.015
#define LIMIT_W    730.0

/* Cycles of a run and energy of a cycle, as parts of those of the first.  The card looks every 25 ms. */
typedef struct card {
    double    cycles[TWO], energy[TWO];
    double    ghz, leak_w, spent_ms;
    double    used_j, looked_ms;        /* since the last look */
    pf_random noise;
    bool      fails;
} card;

/* A rested card goes down at once, a busy one step by step. */
static void look_at_power(card *c)
{
    double watts = c->used_j / c->looked_ms * 1e3;
    int    steps = watts > 1.05 * LIMIT_W ? 8 : 1;

    if (watts > LIMIT_W)
        c->ghz -= steps * STEP_GHZ;
    else if (watts < 0.985 * LIMIT_W && c->ghz < RESTED_GHZ)
        c->ghz += STEP_GHZ;
    c->used_j = c->looked_ms = 0;
}

static double run_on(card *c, int who)
{
    double ms = 1.46 * c->cycles[who] * 1.59 / c->ghz * (1 + 0.001 * pf_random_normal(&c->noise));
    double watts = c->leak_w + 580 * c->energy[who] * pow(c->ghz / 1.59, 2.4);

    c->used_j += watts * ms * 1e-3;
    c->looked_ms += ms;
    c->leak_w += 0.005 * ms;            /* it gets warmer */
    if (c->looked_ms > 25)
        look_at_power(c);
    return ms;
}

static pf_status run_burst(void *user, const pf_refine_burst *burst, int64_t *block_ns, pf_err *err)
{
    card *c = user;

    if (c->fails)
        return PF_FAIL(err, PF_DEVICE, "it fails");
    c->ghz = RESTED_GHZ;
    c->leak_w = 145;
    for (int64_t i = 0; i < burst->warm_runs; i++)
        run_on(c, burst->other[0]);
    for (int b = 0; b < PF_REFINE_BURST_BLOCKS; b++) {
        double ms = 0;

        for (int64_t i = 0; i < burst->settle_runs; i++)
            run_on(c, burst->other[b]);
        for (int64_t i = 0; i < burst->runs; i++)
            ms += run_on(c, burst->other[b]);
        block_ns[b] = (int64_t)(ms * 1e6);
    }
    return PF_OK;
}

static pf_refine_verdict contest(card c, uint64_t seed)
{
    pf_refine_load    load = { .slows = true, .run_ns = 1460000, .warm_runs = 30 };
    pf_refine_verdict verdict = { 0 };

    pf_random_init(&c.noise, seed);
    assert_int_equal(pf_refine_load_contest(run_burst, &c, &load, &verdict, NULL), PF_OK);
    assert_in_range(verdict.base_ns, 1400000, 1600000);
    return verdict;
}

/* At one clock the first is slower by 0.2 %, and the second faster by 0.6 %. */
static void who_takes_less_energy_wins_at_the_limit(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        pf_refine_verdict thrifty = contest((card){ .cycles = { 1, 1.002 }, .energy = { 1, 0.92 } }, seed);
        pf_refine_verdict hungry = contest((card){ .cycles = { 1, 0.994 }, .energy = { 1, 1.05 } }, seed);

        assert_true(thrifty.faster);
        assert_in_range(thrifty.gain_ns, 25000, 75000);      /* 48000 where clocks had no steps */
        assert_int_equal(thrifty.pairs, 4);
        assert_false(hungry.faster);
        assert_int_equal(hungry.pairs, 2);      /* one burst showed it */
    }
}

static void equals_do_not_take_over(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        assert_false(contest((card){ .cycles = { 1, 1 }, .energy = { 1, 1 } }, seed).faster);
        assert_false(contest((card){ .cycles = { 1, 0.999 }, .energy = { 1, 0.998 } }, seed).faster);
    }
}

static void a_contest_that_fails_says_so(void **state)
{
    card              c = { .fails = true };
    pf_refine_load    load = { .slows = true, .run_ns = 1460000, .warm_runs = 30 };
    pf_refine_verdict verdict = { 0 };

    (void)state;
    assert_int_equal(pf_refine_load_contest(run_burst, &c, &load, &verdict, NULL), PF_DEVICE);
    assert_false(verdict.faster);
}

/* ---- Who contends */

enum { TRIED = 8 };

typedef struct field { pf_timing_entry entries[TRIED]; const pf_timing_entry *all[TRIED]; } field;

/* The last one was not tried. */
static void draw_up(field *f, pf_refine_verdict verdicts[TRIED])
{
    static const char *const tactics[] = { "onednn_matmul", "onednn_matmul", "onednn_matmul", "onednn_matmul",
                                           "reference",     "reference",     "cpu_move",      "reference" };
    static const int64_t     gains[] = { 3000, 6000, -1000, 5000, -9000, -12000, -40000, 0 };

    *f = (field){ .all = { NULL } };
    for (int i = 0; i < TRIED; i++) {
        snprintf(f->entries[i].tactic, sizeof f->entries[i].tactic, "%s", tactics[i]);
        f->all[i] = &f->entries[i];
        verdicts[i] = (pf_refine_verdict){ .pairs = i < TRIED - 1 ? 10 : 0, .base_ns = 1460000, .gain_ns = gains[i] };
    }
}

/* Of those from `first` on; -1: there is no such rival. */
static void expect_rivals(int first, int count, int one, int two)
{
    const int         expected[PF_REFINE_RIVALS] = { one, two };
    field             f;
    pf_refine_verdict verdicts[TRIED];
    int               rivals[PF_REFINE_RIVALS] = { 0 };

    draw_up(&f, verdicts);
    assert_int_equal(pf_refine_load_rivals(verdicts + first, f.all + first, count, rivals), (one >= 0) + (two >= 0));
    for (int i = 0; i < PF_REFINE_RIVALS; i++)
        if (expected[i] >= 0)
            assert_int_equal(rivals[i], expected[i]);
}

static void the_close_ones_contend_and_one_of_each_tactic(void **state)
{
    (void)state;
    expect_rivals(0, 8, 1, 4);          /* the other tactic's best, and not the last, which was not tried */
    expect_rivals(0, 4, 1, 3);
    expect_rivals(4, 3, 0, 1);
    expect_rivals(6, 2, -1, -1);
}

/* One that gained more by turns than another one in a contest, and met nobody there. */
static void who_does_not_contend_does_not_win(void **state)
{
    field             f;
    pf_refine_verdict verdicts[TRIED];
    int               rivals[PF_REFINE_RIVALS] = { 0 };

    (void)state;
    draw_up(&f, verdicts);
    verdicts[1].gain_ns = 30000;
    verdicts[3].gain_ns = 20000;
    assert_int_equal(pf_refine_load_rivals(verdicts, f.all, TRIED, rivals), 2);
    verdicts[rivals[0]] = (pf_refine_verdict){ false, 2, 1460000, -5000, 12000, 0 };
    verdicts[rivals[1]] = (pf_refine_verdict){ true, 4, 1460000, 15000, 12000, 0 };
    assert_int_equal(pf_refine_pick(verdicts, f.all, TRIED), rivals[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_at_the_power_limit_slow_their_card),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(a_look_lasts_long_enough_to_see_it),
        cmocka_unit_test(who_takes_less_energy_wins_at_the_limit),
        cmocka_unit_test(equals_do_not_take_over),
        cmocka_unit_test(a_contest_that_fails_says_so),
        cmocka_unit_test(the_close_ones_contend_and_one_of_each_tactic),
        cmocka_unit_test(who_does_not_contend_does_not_win),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
