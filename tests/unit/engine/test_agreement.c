/* Two builds of one network that measure it anew shall choose alike.  The times are those of networks on an H200:
   races of a U-Net and a ResNet-50, and what other candidates gain in the whole of three.  The noise is made up as it
   was seen there. */
#include <math.h>
#include <stdio.h>

#include "engine/choose.h"
#include "engine/race.h"
#include "engine/refine_pick.h"
#include "tests/test.h"

enum { RACERS_MOST = 8, SAMPLES_MOST = 100, EFFORT = 2, BUILDS = 16 };
enum { TRIALS_MOST = 10, PAIRS_MOST = 160, GROUPS_MOST = 16 };

#define SAMPLE_NOISE 0.0035     /* of a sample of a race, */
#define DISTURBED    0.03       /* of which so many */
#define SLOWER       0.02       /* are slower by so much */
#define ALONE_NS     1e4        /* of a candidate, */
#define ALONE_NOISE  0.003      /* which builds find to differ by so much */
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

/* What the candidates of a problem gain in the whole network, the best one alone first; 0: there are no more. Means of
   four to seven builds; problems of which nothing gains 0.2 % of the whole are left out. */
typedef struct network {
    double whole_ns;            /* of one run; */
    double noise_ns;            /* of one, in the windows of a problem */
    double place_ns;            /* of a candidate, for all runs in a place, */
    double build_ns;            /* and for all of a build */
    int    layers;
    struct { int steps, gain_ns[TRIALS_MOST]; } groups[GROUPS_MOST];
} network;

static const network networks[] = {
    { 234000, 300, 160, 0, 35,     /* a U-Net */
      { { 1, { -510, -1940, 3157, 1719, 2305, 2918 } },
        { 2, { 340, 6782, -15, 5595, 5402, 5659, -97, -5118, 620, -375 } },
        { 1, { 1991, 1951, 848, 1868, -27, 1759, 1882, 1669, 1337 } },
        { 1, { -792, 3601, 2488, 2469, 2464, -370, -372, -995, 2037, 940 } }, { 1, { -112, 532, 152 } } } },
    { 236000, 350, 60, 0, 58,      /* ResNet-50 */
      { { 5, { 51, 7518, 2880, -1534 } }, { 3, { 618, -8288, -829, 5652, -6444 } }, { 2, { 548, 2847 } },
        { 2, { 3140, 1434 } }, { 1, { 828, 1067 } }, { 1, { 438, 1736, 674, 104 } },
        { 1, { 1957, 1571, -230, -212 } }, { 1, { 597, 710, 392 } }, { 1, { 942, -719 } } } },
    { 168000, 135, 100, 0, 83,     /* MobileNet v3 */
      { { 1, { 355, 875, 888, 345, 447 } }, { 1, { 572, 397, -75 } }, { 1, { 67, 98, 520, 556 } },
        { 1, { 371, 57, 726, -452 } }, { 1, { 1034, 856, -204, 692 } } } },
    { 254000, 1000, 450, 120, 86,    /* BERT */
      { { 12, { 1800, -800, -4300 } }, { 12, { 400, -70, -6300 } }, { 12, { -500, -5800 } },
        { 23, { 640, 820, -2200, 80, -2000 } } } },
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
        snprintf(entry.tuning, sizeof entry.tuning, "%c", 'a' + (char)i);
        assert_int_equal(pf_timing_record_put(&record, &entry, NULL), PF_OK);
    }
    assert_int_equal(pf_choose_rank(&record, &any, &choice, NULL), PF_OK);
    chosen = (uint32_t)(choice.ranked[0]->tuning[0] - 'a');
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

enum { PAIRS_ELSEWHERE = 6 };

/* A candidate somewhere in memory. */
static pf_refine_verdict compare(const network *n, double gain_ns, const pf_refine_terms *terms, pf_random *random)
{
    duel              d = { n->whole_ns, n->noise_ns, gain_ns + n->place_ns * pf_random_normal(random), random };
    pf_refine_verdict verdict = { 0 };

    assert_int_equal(pf_refine_compare(run_turns, &d, terms, &verdict, NULL), PF_OK);
    return verdict;
}

/* The candidate that takes over, 0 for none.  Alone each takes about 1 % longer than the one before. */
static int exchange(const network *n, int group, pf_random *random)
{
    const int             *gains = n->groups[group].gain_ns;
    double                 share = (double)n->groups[group].steps / n->layers;
    const pf_refine_terms  first = { 0, PAIRS_MOST, share }, further = { PAIRS_ELSEWHERE, PAIRS_ELSEWHERE, share };
    pf_timing_entry        candidates[TRIALS_MOST] = { { .tactic = "reference" } };
    const pf_timing_entry *entries[TRIALS_MOST] = { NULL };
    pf_refine_verdict      verdicts[TRIALS_MOST] = { { 0 } };
    double                 gains_ns[TRIALS_MOST] = { 0 };
    int                    open[TRIALS_MOST] = { 0 }, count = 0, open_count = 0;

    for (; count < TRIALS_MOST && gains[count]; count++) {
        double alone_ns = (1 + 0.01 * count) * ALONE_NS * (1 + ALONE_NOISE * pf_random_normal(random));

        candidates[count] = (pf_timing_entry){ .tactic = "reference", .median_ns = llround(alone_ns) };
        snprintf(candidates[count].tuning, sizeof candidates[count].tuning, "%c", 'a' + count);
        entries[count] = &candidates[count];
        gains_ns[count] = gains[count] + n->build_ns * pf_random_normal(random);
        verdicts[count] = compare(n, gains_ns[count], &first, random);
    }
    for (int place = 1; place < PF_REFINE_PLACES; place++) {
        open_count = pf_refine_undecided(verdicts, entries, count, open);
        for (int i = 0; i < open_count; i++) {
            pf_refine_verdict elsewhere = compare(n, gains_ns[open[i]], &further, random);

            pf_refine_verdict_add(&verdicts[open[i]], &elsewhere);
        }
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

static double agreement(const network *n, int taken[BUILDS][GROUPS_MOST])
{
    int differ = 0, pairs = 0;

    for (int a = 0; a < BUILDS; a++)
        for (int b = a + 1; b < BUILDS; b++, pairs++)
            for (int g = 0; g < group_count(n); g++)
                differ += taken[a][g] != taken[b][g] ? n->groups[g].steps : 0;
    return 1 - (double)differ / pairs / n->layers;
}

/* By the best candidate of each problem that gains more than what counts. */
static double attainable_ns(const network *n)
{
    double sum = 0;

    for (int g = 0; g < group_count(n); g++) {
        int best = 0;

        for (int i = 0; i < TRIALS_MOST; i++)
            best = n->groups[g].gain_ns[i] > best ? n->groups[g].gain_ns[i] : best;
        sum += best > 0.006 * n->whole_ns ? best : 0;
    }
    return sum;
}

static void exchanges_are_alike_and_good(void **state)
{
    pf_random random;

    (void)state;
    pf_random_init(&random, 1);
    for (int i = 0; i < NETWORKS; i++) {
        int    taken[BUILDS][GROUPS_MOST] = { { 0 } };
        double gained_ns = 0;

        for (int b = 0; b < BUILDS; b++)
            for (int g = 0; g < group_count(&networks[i]); g++) {
                taken[b][g] = exchange(&networks[i], g, &random);
                gained_ns += taken[b][g] ? networks[i].groups[g].gain_ns[taken[b][g] - 1] : 0;
            }
        assert_true(agreement(&networks[i], taken) >= 0.98);
        assert_true(gained_ns >= 0.99 * BUILDS * attainable_ns(&networks[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(races_choose_alike_and_well),
        cmocka_unit_test(exchanges_are_alike_and_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
