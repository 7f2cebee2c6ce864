/* Two builds of one network that measure it anew shall choose alike.  The times are those of two networks on an H200
   (races of a U-Net and a ResNet-50, and what other candidates gain in the whole of them), the noise is made up as it
   was seen there. */
#include <math.h>
#include <stdio.h>

#include "engine/choose.h"
#include "engine/race.h"
#include "engine/refine_compare.h"
#include "tests/test.h"

enum { RACERS_MOST = 8, SAMPLES_MOST = 100, EFFORT = 2, BUILDS = 16, TRIALS_MOST = 6, PAIRS_MOST = 160 };

#define SAMPLE_NOISE 0.0035     /* of a sample of a race, */
#define DISTURBED    0.03       /* of which so many */
#define SLOWER       0.02       /* are slower by so much */
#define FAR_OFF      0.04       /* of runs of a network, of which so many */
#define FAR          0.08       /* are slower by up to so much */

/* Nanoseconds alone of those candidates that are near the best, in the order in which equals are preferred. */
static const int contests[][RACERS_MOST] = {
    { 9428, 8516, 8448 }, { 6144, 6044, 6079, 5540, 5494, 5624, 5603, 6120 }, { 2853, 2929 }, { 7853, 7865, 8291 },
    { 2582, 2620, 2574, 2631, 2577, 2570, 2653, 2860 }, { 8045, 8435, 7975, 8090, 8025, 7980, 8029, 8676 },
    { 11744, 11506, 11303, 11437, 11378, 11095, 11479, 11505 }, { 7881, 8183, 7800, 7918, 7845, 7803, 7818, 8534 },
    { 1183, 1262, 1211, 1165 }, { 7196, 7451, 7391, 7412, 7346, 7884, 7552, 7562 },
    { 11829, 11518, 11391, 11538, 11426, 11151, 11587, 11509 }, { 2345, 2369, 2425 }, { 16259, 16001, 16598, 18142 },
    { 7535, 7800, 7836, 7828, 7457, 8416, 7705, 8443 }, { 7560, 7691, 7661, 7523, 7765, 7574, 7708, 7777 },
    { 2587, 2640, 2830, 2536 }, { 14900, 14909, 14915 }, { 8893, 8751, 8668, 7898, 7876, 8132, 8008 },
    { 1901, 1929, 2013 }, { 4597, 5168, 4736, 4780, 4617 }, { 4918, 4539, 4937, 4844, 4423, 4364 },
    { 4412, 4588, 4539, 4394, 4920 }, { 4079, 3891, 3629, 3590, 3897, 3746, 3683, 3765 },
    { 4468, 4751, 4796, 4763, 4366 }, { 2899, 2736, 2889, 3081, 2973, 2823, 2757, 2783 }, { 3191, 3620, 3260 },
    { 4653, 4257, 4470, 4449, 4172, 4700 }, { 3324, 3314, 3461, 3710 }, { 5047, 5043, 4962, 5310, 5013 },
    { 2289, 2239, 2350 }, { 5047, 5035, 4962, 5284, 5002 },
};

enum { CONTESTS = sizeof contests / sizeof contests[0] };

/* What the candidates of a problem gain in the whole network, the best one alone first; 0: there are no more. */
typedef struct network {
    double whole_ns, noise_ns;  /* of one run */
    int    layers;
    struct { int steps, gain_ns[TRIALS_MOST]; } groups[32];
} network;

static const network networks[] = {
    { 262000, 1700, 36,
      { { 3, { -1185, -863 } }, { 1, { 1516, 1192, 4056, 4792, 4424 } },
        { 2, { -853, -1005, -2674, -2500, -9332, -3409 } }, { 1, { 581, 1479 } },
        { 2, { 1150, -6003, 1330, 1236, -4030, -2568 } }, { 1, { -1045, -989, 684, -779, -615, -1186 } },
        { 1, { 678, -1042, 669, -257, -1177, -877 } }, { 1, { -1147 } },
        { 1, { -436, -1294, -5350, -3786, -4063 } }, { 1, { -44, -2708, -912, -1306, -3085, -679 } },
        { 1, { 3163, -720, 1356, 1238 } }, { 1, { 438, -519 } }, { 1, { -693 } },
        { 1, { 224, 790, 790, 1016, 625, 968 } }, { 2, { -476 } }, { 1, { -2490, -885, -423 } },
        { 1, { -690 } }, { 1, { -124, -31 } }, { 1, { -400 } }, { 1, { -1741, -3139, -556 } },
        { 1, { 658, 644, -845 } }, { 1, { 396, -433, -233 } }, { 1, { -469, -345 } },
        { 1, { 112, -2900 } }, { 1, { -4037, -213 } } } },
    { 250000, 850, 59,
      { { 5, { 5203, 6448, 14457 } }, { 3, { 8311, 13443, 4154 } }, { 5, { -8515, -8783 } },
        { 3, { 252, 3232, -1347, -2001, -2029 } }, { 3, { -5912, -5393, -1650 } }, { 6, { 195 } },
        { 2, { -645 } }, { 2, { -2381, -2931, -2710 } }, { 2, { -1502, 119, -887, -2851, -2492 } },
        { 3, { -3566, -3544, -4069 } }, { 3, { 24 } }, { 1, { 504 } }, { 1, { -732, -228, 345 } },
        { 1, { 106, -167, 17, -927, -4827, -2140 } }, { 1, { 800, -1226, -39, 339, 282 } },
        { 1, { -1373, -1131, -525 } }, { 1, { 692, 161, -137, -1420, -996 } }, { 1, { -2 } },
        { 1, { -668, -204, -530 } }, { 1, { -755, -198, -439, -1241 } }, { 1, { 390 } },
        { 1, { -723, -758 } }, { 1, { 299, 209 } } } },
};

enum { NETWORKS = sizeof networks / sizeof networks[0] };

/* ---- Races */

typedef struct track { const int *truth; pf_random noise; } track;

static bool sample(void *user, uint32_t i, int64_t *ns, int64_t *spent_ns)
{
    track *t = user;
    double factor = 1 + SAMPLE_NOISE * pf_random_normal(&t->noise);

    factor += pf_random_unit(&t->noise) < DISTURBED ? SLOWER : 0;
    *ns = llround(t->truth[i] * factor);
    *spent_ns = 200000;
    return true;
}

/* What the record of the race says is best. */
static uint32_t choose(const pf_racer *racers, uint32_t count)
{
    static const pf_choose_rules any = { 0 };
    const pf_tactic             *tactic = pf_tactic_find("reference");
    pf_timing_record             record = { 0 };
    pf_choice                    choice = { 0 };
    uint32_t                     chosen = 0;

    for (uint32_t i = 0; i < count; i++) {
        pf_timing_entry entry = { .rev = tactic->rev, .sample_count = racers[i].count, .min_ns = racers[i].min_ns,
                                  .median_ns = racers[i].median_ns, .spread_ns = racers[i].deviation_ns,
                                  .status = racers[i].dropped ? PF_TIMING_DROPPED : PF_TIMED };

        snprintf(entry.tactic, sizeof entry.tactic, "%s", tactic->name);
        snprintf(entry.tuning, sizeof entry.tuning, "%u", i);
        assert_int_equal(pf_timing_record_put(&record, &entry, NULL), PF_OK);
    }
    assert_int_equal(pf_choose_rank(&record, &any, &choice, NULL), PF_OK);
    chosen = (uint32_t)(choice.ranked[0]->tuning[0] - '0');
    pf_choose_clear(&choice);
    pf_timing_record_clear(&record);
    return chosen;
}

static uint32_t race(const int *truth, pf_random *random)
{
    int64_t   samples[RACERS_MOST][SAMPLES_MOST] = { { 0 } }, scratch[SAMPLES_MOST] = { 0 };
    pf_racer  racers[RACERS_MOST] = { { 0 } }, *lined_up[RACERS_MOST] = { NULL };
    uint32_t  order[RACERS_MOST] = { 0 }, count = 0;
    track     t = { .truth = truth };
    pf_race   run = { lined_up, 0, EFFORT, false, INT64_MAX, random, order, scratch, sample, NULL, &t };

    pf_random_init(&t.noise, pf_random_below(random, UINT32_MAX));
    for (; count < RACERS_MOST && truth[count]; count++) {
        order[count] = count;
        racers[count] = (pf_racer){ .samples = samples[count], .racing = true };
        lined_up[count] = &racers[count];
    }
    run.count = count;
    assert_int_equal(pf_race_run(&run, NULL), PF_OK);
    for (uint32_t i = 0; i < count; i++)
        pf_racer_summarize(&racers[i], scratch);
    return choose(racers, count);
}

static int least_of(const int *truth)
{
    int least = truth[0];

    for (int i = 1; i < RACERS_MOST && truth[i]; i++)
        least = truth[i] < least ? truth[i] : least;
    return least;
}

static void races_choose_alike_and_well(void **state)
{
    uint32_t  chosen[BUILDS][CONTESTS] = { { 0 } };
    pf_random random;
    int       equal = 0, all = 0;

    (void)state;
    pf_random_init(&random, 1);
    for (int b = 0; b < BUILDS; b++)
        for (int c = 0; c < CONTESTS; c++) {
            chosen[b][c] = race(contests[c], &random);
            assert_true(contests[c][chosen[b][c]] <= 1.015 * least_of(contests[c]));
        }
    for (int a = 0; a < BUILDS; a++)
        for (int b = a + 1; b < BUILDS; b++)
            for (int c = 0; c < CONTESTS; c++, all++)
                equal += chosen[a][c] == chosen[b][c];
    assert_true(equal >= 0.95 * all);           /* of those that are close: most problems have a clear best */
}

/* ---- Exchanges in the whole network */

typedef struct duel { double whole_ns, noise_ns, gain_ns; pf_random *random; } duel;

static pf_status run_turns(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    const duel *d = user;

    (void)err;
    for (int i = 0; i < pairs; i++) {
        double far = pf_random_unit(d->random) < FAR_OFF ? FAR * d->whole_ns * pf_random_unit(d->random) : 0;

        base_ns[i] = llround(d->whole_ns + d->noise_ns * pf_random_normal(d->random));
        other_ns[i] = llround(d->whole_ns - d->gain_ns + d->noise_ns * pf_random_normal(d->random) + far);
    }
    return PF_OK;
}

/* The candidate that takes over, 0 for none. */
static int exchange(const network *n, int group, pf_random *random)
{
    const int             *gains = n->groups[group].gain_ns;
    pf_timing_entry        candidates[TRIALS_MOST] = { { .tactic = "reference" } };
    const pf_timing_entry *entries[TRIALS_MOST] = { NULL };
    pf_refine_verdict      verdicts[TRIALS_MOST] = { { 0 } };
    int                    count = 0;

    for (; count < TRIALS_MOST && gains[count]; count++) {
        duel d = { n->whole_ns, n->noise_ns, gains[count], random };

        candidates[count] = (pf_timing_entry){ .tactic = "reference" };
        snprintf(candidates[count].tuning, sizeof candidates[count].tuning, "%d", count);
        entries[count] = &candidates[count];
        assert_int_equal(pf_refine_compare(run_turns, &d, PAIRS_MOST, &verdicts[count], NULL), PF_OK);
    }
    return pf_refine_pick(verdicts, entries, count) + 1;
}

static int group_count(const network *n)
{
    int count = 0;

    while (n->groups[count].steps)
        count++;
    return count;
}

static double agreement(const network *n, int taken[BUILDS][32])
{
    int differ = 0, pairs = 0;

    for (int a = 0; a < BUILDS; a++)
        for (int b = a + 1; b < BUILDS; b++, pairs++)
            for (int g = 0; g < group_count(n); g++)
                differ += taken[a][g] != taken[b][g] ? n->groups[g].steps : 0;
    return 1 - (double)differ / pairs / n->layers;
}

static void exchanges_are_alike(void **state)
{
    pf_random random;

    (void)state;
    pf_random_init(&random, 1);
    for (int i = 0; i < NETWORKS; i++) {
        int    taken[BUILDS][32] = { { 0 } };
        double gained = 0;

        for (int b = 0; b < BUILDS; b++)
            for (int g = 0; g < group_count(&networks[i]); g++) {
                taken[b][g] = exchange(&networks[i], g, &random);
                gained += taken[b][g] ? networks[i].groups[g].gain_ns[taken[b][g] - 1] : 0;
            }
        assert_true(agreement(&networks[i], taken) >= 0.95);
        assert_true(gained >= 0.02 * BUILDS * networks[i].whole_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(races_choose_alike_and_well),
        cmocka_unit_test(exchanges_are_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
