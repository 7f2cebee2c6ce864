/* Races and comparisons with made-up clocks: candidates whose true times are known, noise of several kinds, seeded. */
#include <math.h>
#include <stdlib.h>

#include "engine/race.h"
#include "engine/refine_pick.h"
#include "tests/test.h"

enum { RACERS = 12, SAMPLES_MOST = 100, RACES = 300, EFFORT = 2, PAIRS = 160, DUELS = 1000, SPELL = 4 };

typedef struct track {
    double    truth[RACERS];    /* nanoseconds */
    double    scatter[RACERS];  /* of one's samples, besides what all have */
    double    share;            /* of samples that are slower by `slower` */
    double    slower;
    bool      spells;           /* these come several in a row */
    int64_t   spent_ns;         /* on each sample; 0: 0.2 ms */
    int       left[RACERS];
    pf_random noise;
} track;

static bool is_disturbed(track *t, uint32_t i)
{
    if (t->spells && t->left[i] > 0) {
        t->left[i]--;
        return true;
    }
    t->left[i] = pf_random_unit(&t->noise) < t->share ? SPELL : 0;
    return t->left[i] > 0;
}

static bool sample(void *user, uint32_t i, int64_t *ns, int64_t *spent_ns)
{
    track *t = user;
    double factor = 1 + (0.002 + t->scatter[i]) * pf_random_normal(&t->noise) + (is_disturbed(t, i) ? t->slower : 0);

    *ns = llround(t->truth[i] * factor);
    *spent_ns = t->spent_ns ? t->spent_ns : 200000;
    return true;
}

/* The first three within 10 % of one another, the others up to three times as slow. */
static void draw_truth(track *t, pf_random *random)
{
    for (int i = 0; i < RACERS; i++)
        t->truth[i] = 1e4 * (i < 3 ? 1 + 0.1 * pf_random_unit(random) : 1.1 + 2 * pf_random_unit(random));
}

static double least(const double *values, const bool *among)
{
    double best = INFINITY;

    for (int i = 0; i < RACERS; i++)
        if ((!among || among[i]) && values[i] < best)
            best = values[i];
    return best;
}

/* What the choice, by the median of those that were not dropped, takes over the truly best. */
static double race(track *t, pf_random *random)
{
    int64_t   samples[RACERS][SAMPLES_MOST] = { { 0 } }, scratch[SAMPLES_MOST] = { 0 };
    pf_racer  racers[RACERS] = { { 0 } }, *lined_up[RACERS] = { NULL };
    uint32_t  order[RACERS] = { 0 }, chosen = RACERS;
    pf_race   run = { lined_up, RACERS, EFFORT, false, INT64_MAX, random, order, scratch, sample, NULL, t };

    for (uint32_t i = 0; i < RACERS; i++) {
        order[i] = i;
        racers[i] = (pf_racer){ .samples = samples[i], .racing = true };
        lined_up[i] = &racers[i];
    }
    assert_int_equal(pf_race_run(&run, NULL), PF_OK);
    for (uint32_t i = 0; i < RACERS; i++) {
        assert_true(racers[i].count >= 3 && racers[i].count <= pf_race_samples(EFFORT));
        if (racers[i].dropped)
            continue;
        pf_racer_summarize(&racers[i], scratch);
        if (chosen == RACERS || racers[i].median_ns < racers[chosen].median_ns)
            chosen = i;
    }
    assert_int_not_equal(chosen, RACERS);
    return t->truth[chosen] / least(t->truth, NULL);
}

/* Of RACES, those whose choice is more than 2 % from the best. */
static int misses(double share, double slower, bool spells)
{
    track     t = { .share = share, .slower = slower, .spells = spells };
    pf_random random;
    int       missed = 0;

    pf_random_init(&random, 11);
    pf_random_init(&t.noise, 12);
    for (int i = 0; i < RACES; i++) {
        draw_truth(&t, &random);
        missed += race(&t, &random) > 1.02;
    }
    return missed;
}

static void the_best_wins(void **state)
{
    (void)state;
    assert_int_equal(misses(0, 0, false), 0);
}

static void disturbed_samples_seldom_decide(void **state)
{
    (void)state;
    assert_true(misses(0.25, 0.06, false) <= RACES / 50);
    assert_true(misses(0.03, 0.08, true) <= RACES / 25);
}

/* Races over those times. */
static void race_over(track *t, uint64_t seed, pf_racer racers[RACERS], int64_t samples[RACERS][SAMPLES_MOST])
{
    int64_t   scratch[SAMPLES_MOST] = { 0 };
    pf_racer *lined_up[RACERS] = { NULL };
    uint32_t  order[RACERS] = { 0 };
    pf_random random;
    pf_race   run = { lined_up, RACERS, EFFORT, false, INT64_MAX, &random, order, scratch, sample, NULL, t };

    pf_random_init(&random, 1);
    pf_random_init(&t->noise, seed);
    for (uint32_t i = 0; i < RACERS; i++) {
        order[i] = i;
        racers[i] = (pf_racer){ .samples = samples[i], .racing = true };
        lined_up[i] = &racers[i];
    }
    assert_int_equal(pf_race_run(&run, NULL), PF_OK);
}

static void the_far_get_few_samples(void **state)
{
    track    t = { .truth = { 10000, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 10400 } };
    int64_t  samples[RACERS][SAMPLES_MOST] = { { 0 } };
    pf_racer racers[RACERS] = { { 0 } };

    (void)state;
    race_over(&t, 2, racers, samples);
    assert_int_equal(racers[0].count, racers[RACERS - 1].count);        /* slower by 4 %: close */
    assert_true(racers[0].count > 3 && racers[0].count < pf_race_samples(EFFORT));      /* but no rival */
    for (int i = 1; i < RACERS - 1; i++)
        assert_true(racers[i].dropped && racers[i].count == 3);
}

static void rivals_get_more_samples(void **state)
{
    track    t = { .truth = { 10000, 10400, 10080, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000 } };
    int64_t  samples[RACERS][SAMPLES_MOST] = { { 0 } };
    pf_racer racers[RACERS] = { { 0 } };

    (void)state;
    race_over(&t, 2, racers, samples);
    assert_int_equal(racers[0].count, pf_race_samples(EFFORT));
    assert_int_equal(racers[2].count, pf_race_samples(EFFORT));
    assert_true(racers[1].settled && !racers[1].dropped && racers[1].count < pf_race_samples(EFFORT));
}

/* Slower by 3.5 %, which few samples may not show: where they do not, the choice would take the two for equal. */
static void the_uncertain_get_more_samples(void **state)
{
    int64_t scratch[SAMPLES_MOST] = { 0 };

    (void)state;
    for (uint64_t seed = 0; seed < RACES; seed++) {
        track    t = { .truth = { 10000, 10350, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000 },
                       .scatter = { 0, 0.03 } };
        int64_t  samples[RACERS][SAMPLES_MOST] = { { 0 } };
        pf_racer racers[RACERS] = { { 0 } };

        race_over(&t, seed, racers, samples);
        if (!racers[1].settled)
            continue;
        for (int i = 0; i < 2; i++)
            pf_racer_summarize(&racers[i], scratch);
        for (int i = 0; i < 2; i++)
            assert_true(llabs(racers[1].median_ns - racers[0].median_ns) >
                        pf_race_median_error(racers[i].deviation_ns, racers[i].count));
    }
}

/* Of long ones a few have to do: no further sample once a candidate's have taken its 80 ms. */
static void the_long_get_few_samples(void **state)
{
    track    t = { .spent_ns = 30000000 };
    int64_t  samples[RACERS][SAMPLES_MOST] = { { 0 } };
    pf_racer racers[RACERS] = { { 0 } };

    (void)state;
    for (int i = 0; i < RACERS; i++)
        t.truth[i] = 3e7;
    race_over(&t, 2, racers, samples);
    for (int i = 0; i < RACERS; i++)
        assert_true(racers[i].count == 3 && racers[i].spent_ns == 3 * t.spent_ns);
}

/* ---- Whole networks, one against the other */

typedef struct pair { double ratio; pf_random noise; } pair;

static pf_status run_turns(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    pair *p = user;

    (void)err;
    for (int i = 0; i < pairs; i++) {
        base_ns[i] = llround(3e5 * (1 + 0.006 * pf_random_normal(&p->noise)));
        other_ns[i] = llround(3e5 * p->ratio * (1 + 0.006 * pf_random_normal(&p->noise)));
    }
    return PF_OK;
}

/* Of DUELS, those that the other one wins; *pairs: run for each, on average. */
static int wins(double ratio, double share, int *pairs)
{
    const pf_refine_terms terms = { 0, PAIRS, share };
    pair                  p = { .ratio = ratio };
    int                   won = 0;

    *pairs = 0;
    pf_random_init(&p.noise, 5);
    for (int i = 0; i < DUELS; i++) {
        pf_refine_verdict verdict = { 0 };

        assert_int_equal(pf_refine_compare(run_turns, &p, &terms, &verdict, NULL), PF_OK);
        assert_true(verdict.pairs > 0 && verdict.pairs <= PAIRS && verdict.error_ns > 0);
        won += verdict.faster;
        *pairs += verdict.pairs;
    }
    *pairs /= DUELS;
    return won;
}

static void only_what_is_faster_takes_over(void **state)
{
    int pairs = 0;

    (void)state;
    assert_true(wins(1, 0, &pairs) <= DUELS / 100);
    assert_true(pairs < PAIRS / 3);
    assert_int_equal(wins(1.01, 0, &pairs), 0);
    assert_true(pairs < PAIRS / 4);
    assert_true(wins(0.985, 0, &pairs) >= DUELS * 99 / 100);
    assert_true(wins(0.97, 0, &pairs) >= DUELS * 99 / 100);
    assert_true(pairs < PAIRS);
}

static void what_changes_many_layers_gains_more(void **state)
{
    int pairs = 0;

    (void)state;
    assert_true(wins(0.994, 0.01, &pairs) >= DUELS * 95 / 100);
    assert_true(wins(0.994, 1, &pairs) <= DUELS / 100);
    assert_true(wins(0.985, 1, &pairs) >= DUELS * 99 / 100);
    assert_int_equal(pf_refine_enough_ns(1e6, 0, 0), 3500);
    assert_int_equal(pf_refine_enough_ns(1e6, 1, 0), 8750);
    assert_int_equal(pf_refine_enough_ns(1e6, 0, 2000), 4000);
}

/* A few pairs of which some are far off say nothing yet: what gains much is not given up for them. */
static pf_status run_disturbed_turns(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    int *run = user;

    (void)err;
    for (int i = 0; i < pairs; i++, ++*run) {
        base_ns[i] = 300000 + 500 * (*run % 3);
        other_ns[i] = 296000 + 500 * (*run % 4) + (*run % 5 ? 0 : 90000);
    }
    return PF_OK;
}

static void what_is_far_off_does_not_decide(void **state)
{
    const pf_refine_terms terms = { 0, PAIRS, 0 };
    pf_refine_verdict     verdict = { 0 };
    int                   runs = 0;

    (void)state;
    assert_int_equal(pf_refine_compare(run_disturbed_turns, &runs, &terms, &verdict, NULL), PF_OK);
    assert_true(verdict.faster && verdict.gain_ns > 3000 && verdict.gain_ns < 5000 && verdict.error_ns < 1000);
}

static void among_equals_the_preferred_one_takes_over(void **state)
{
    const pf_timing_entry   two = { .tactic = "reference", .tuning = "b" };
    const pf_timing_entry   one = { .tactic = "reference", .tuning = "a" };
    const pf_timing_entry   three = { .tactic = "reference", .tuning = "c" };
    const pf_timing_entry  *entries[] = { &two, &one, &three };
    const pf_refine_verdict equal[] = { { true, 20, 100000, 1750, 100, 200 }, { false, 20, 100000, 1700, 100, 200 },
                                        { true, 20, 100000, 1800, 100, 200 } };
    const pf_refine_verdict better[] = { { true, 20, 100000, 1500, 100, 200 }, { true, 20, 100000, 1800, 100, 200 } };
    const pf_refine_verdict slower[] = { { false, 20, 100000, 400, 100, 200 }, { false, 20, 100000, -700, 100, 200 } };

    (void)state;
    assert_int_equal(pf_refine_pick(equal, entries, 3), 1);
    assert_int_equal(pf_refine_pick(equal, entries, 1), 0);
    assert_int_equal(pf_refine_pick(better, entries, 2), 1);
    assert_int_equal(pf_refine_pick(better, entries + 1, 2), 1);
    assert_int_equal(pf_refine_pick(slower, entries, 2), -1);
}

/* Whoever needs more workspace is none of the equals. */
static void less_workspace_comes_first(void **state)
{
    const pf_timing_entry   large = { .tactic = "reference", .tuning = "a", .workspace_bytes = 64 };
    const pf_timing_entry   one = { .tactic = "reference", .tuning = "b" };
    const pf_timing_entry   two = { .tactic = "reference", .tuning = "c" };
    const pf_timing_entry  *entries[] = { &large, &two, &one };
    const pf_refine_verdict equal[] = { { true, 40, 100000, 1800, 100, 200 }, { true, 40, 100000, 1750, 100, 200 },
                                        { true, 40, 100000, 1700, 100, 200 } };
    const pf_refine_verdict better[] = { { true, 40, 100000, 2100, 100, 200 }, { true, 40, 100000, 1750, 100, 200 } };

    (void)state;
    assert_int_equal(pf_refine_pick(equal, entries, 3), 2);
    assert_int_equal(pf_refine_pick(equal, entries, 2), 1);
    assert_int_equal(pf_refine_pick(better, entries, 2), 0);
}

/* Nobody stands in for one that gains little by gaining a small part of that. */
static void a_small_gain_has_few_equals(void **state)
{
    const pf_timing_entry   two = { .tactic = "reference", .tuning = "b" };
    const pf_timing_entry   one = { .tactic = "reference", .tuning = "a" };
    const pf_timing_entry  *entries[] = { &two, &one };
    const pf_refine_verdict verdicts[] = { { true, 160, 100000, 510, 20, 300 }, { false, 10, 100000, 240, 90, 300 } };

    (void)state;
    assert_int_equal(pf_refine_pick(verdicts, entries, 2), 0);
}

/* ---- What one place of memory leaves open */

enum { WHOLE_NS = 100000, ENOUGH_NS = 500, EQUAL_NS = 300 };

static pf_refine_verdict verdict_of(int64_t gain_ns, int places)
{
    return (pf_refine_verdict){ .faster = gain_ns > ENOUGH_NS, .pairs = 40 * places, .base_ns = WHOLE_NS,
                                .gain_ns = gain_ns, .error_ns = 50, .equal_ns = EQUAL_NS, .enough_ns = ENOUGH_NS,
                                .places = places };
}

/* Those of the lesser text are preferred. */
static void who_may_be_picked_is_compared_again(void **state)
{
    static const pf_timing_entry        all[] = { { .tactic = "reference", .tuning = "a" },
                                                  { .tactic = "reference", .tuning = "b" },
                                                  { .tactic = "reference", .tuning = "c" },
                                                  { .tactic = "reference", .tuning = "d" } };
    static const pf_timing_entry *const entries[] = { &all[0], &all[1], &all[2], &all[3] };
    static const struct { int64_t gains_ns[4]; int places, open[4], count; } cases[] = {
        { { -900, -260, -900, -900 }, 1, { 0 }, 0 },        /* nobody gains enough, */
        { { -999, -240, -999, -500 }, 1, { 1, 3 }, 2 },     /* or one may, and another as much, */
        { { -900, 160, -900, -900 }, 3, { 0 }, 0 },         /* of which three places tell more */
        { { -100, 2000, 100, 0 }, 1, { 1 }, 1 },            /* here one does, in one place */
        { { -100, 2000, 100, 0 }, 3, { 0 }, 0 },            /* and here in three */
        { { -100, 2000, 1950, 1990 }, 3, { 0 }, 0 },        /* or several that are equal */
        { { -400, 420, -400, -80 }, 1, { 1 }, 1 },          /* nobody else may become the best */
        { { -400, 420, -400, -70 }, 1, { 1, 3 }, 2 },       /* here one may, */
        { { 0, 420, 0, 230 }, 3, { 1 }, 1 },                /* of which three places tell more */
        { { 580, 0, 0, 0 }, 3, { 0 }, 1 },                  /* enough, or not */
        { { 680, 0, 0, 0 }, 3, { 0 }, 0 },
        { { 1500, 1430, 400, 1800 }, 3, { 0, 1, 3 }, 3 },   /* equal, or not */
        { { 1700, 1400, 400, 1800 }, 3, { 0 }, 0 },
        { { 1600, 400, 1830, 1800 }, 3, { 0, 2, 3 }, 3 },   /* whom the best equals hangs on who that is */
    };

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        pf_refine_verdict verdicts[4];
        int               open[4] = { 0 };

        for (int i = 0; i < 4; i++)
            verdicts[i] = verdict_of(cases[c].gains_ns[i], cases[c].places);
        assert_int_equal(pf_refine_undecided(verdicts, entries, 4, open), cases[c].count);
        for (int i = 0; i < cases[c].count; i++)
            assert_int_equal(open[i], cases[c].open[i]);
    }
}

/* Six pairs of which one is far off say little of a place, and must not say that nobody gains enough. */
static void who_is_not_known_well_is_compared_again(void **state)
{
    const pf_timing_entry   one = { .tactic = "reference", .tuning = "a" };
    const pf_timing_entry  *entries[] = { &one };
    pf_refine_verdict       sum = verdict_of(700, 1), unsure = verdict_of(720, 1);
    int                     open[1] = { 0 };

    (void)state;
    unsure.error_ns = 1600;
    pf_refine_verdict_add(&sum, &unsure);
    assert_true(!sum.faster && sum.gain_ns + sum.error_ns < sum.enough_ns);
    for (int i = 0; !sum.faster && i < PF_REFINE_PLACES; i++) {
        assert_int_equal(pf_refine_undecided(&sum, entries, 1, open), 1);
        pf_refine_verdict_add(&sum, &(pf_refine_verdict){ .gain_ns = 710, .error_ns = 300, .base_ns = WHOLE_NS,
                                                          .equal_ns = EQUAL_NS, .pairs = 6, .places = 1 });
    }
    assert_true(sum.faster);
    assert_int_equal(pf_refine_pick(&sum, entries, 1), 0);
}

/* Its gain is of other places than theirs. */
static void who_was_left_behind_is_not_picked(void **state)
{
    const pf_timing_entry   one = { .tactic = "reference", .tuning = "a" };
    const pf_timing_entry   two = { .tactic = "reference", .tuning = "b" };
    const pf_timing_entry  *entries[] = { &one, &two };
    const pf_refine_verdict verdicts[] = { verdict_of(1800, 1), verdict_of(1200, 3) };
    int                     open[2] = { 0 };

    (void)state;
    assert_int_equal(pf_refine_pick(verdicts, entries, 2), 1);
    assert_int_equal(pf_refine_undecided(verdicts, entries, 2, open), 0);
}

static void the_mean_of_places_counts(void **state)
{
    pf_refine_verdict sum = verdict_of(480, 1), better = verdict_of(560, 1), worse = verdict_of(-60, 1);

    (void)state;
    pf_refine_verdict_add(&sum, &better);
    assert_true(sum.faster && sum.gain_ns == 520 && sum.places == 2 && sum.error_ns == 35 && sum.pairs == 80);
    pf_refine_verdict_add(&sum, &worse);
    assert_true(!sum.faster && sum.gain_ns == 327 && sum.places == 3);
    assert_int_equal(sum.enough_ns, pf_refine_enough_ns(WHOLE_NS, 0, 0));
}

/* By the error that is known of all, one that is preferred gains too little to be equal to the best. */
static void places_that_differ_leave_more_open(void **state)
{
    const pf_timing_entry   one = { .tactic = "reference", .tuning = "a" };
    const pf_timing_entry   two = { .tactic = "reference", .tuning = "b" };
    const pf_timing_entry  *entries[] = { &one, &two };
    pf_refine_verdict       verdicts[] = { verdict_of(1300, 3), verdict_of(1800, 3) };
    const pf_refine_verdict high = verdict_of(1500, 1), low = verdict_of(1100, 1);
    int                     open[2] = { 0 };

    (void)state;
    assert_int_equal(pf_refine_undecided(verdicts, entries, 2, open), 0);
    pf_refine_verdict_add(&verdicts[0], &high);
    pf_refine_verdict_add(&verdicts[0], &low);
    verdicts[1].places = verdicts[0].places;
    assert_int_equal(verdicts[0].gain_ns, 1300);
    assert_int_equal(pf_refine_undecided(verdicts, entries, 2, open), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_wins),
        cmocka_unit_test(less_workspace_comes_first),
        cmocka_unit_test(a_small_gain_has_few_equals),
        cmocka_unit_test(who_may_be_picked_is_compared_again),
        cmocka_unit_test(who_is_not_known_well_is_compared_again),
        cmocka_unit_test(who_was_left_behind_is_not_picked),
        cmocka_unit_test(the_mean_of_places_counts),
        cmocka_unit_test(places_that_differ_leave_more_open),
        cmocka_unit_test(disturbed_samples_seldom_decide),
        cmocka_unit_test(the_far_get_few_samples),
        cmocka_unit_test(the_long_get_few_samples),
        cmocka_unit_test(rivals_get_more_samples),
        cmocka_unit_test(the_uncertain_get_more_samples),
        cmocka_unit_test(only_what_is_faster_takes_over),
        cmocka_unit_test(what_changes_many_layers_gains_more),
        cmocka_unit_test(what_is_far_off_does_not_decide),
        cmocka_unit_test(among_equals_the_preferred_one_takes_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
