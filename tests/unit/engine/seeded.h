/* Builds whose times a test sets: nothing is timed, and what is chosen is known beforehand. */
#ifndef PF_TESTS_UNIT_ENGINE_SEEDED_H
#define PF_TESTS_UNIT_ENGINE_SEEDED_H

#include <stdio.h>

#include "engine/builder_variant.h"
#include "engine/profile.h"
#include "engine/search.h"
#include "tests/unit/engine/networks.h"

/* Nanoseconds of tuning `index` of a tactic for a problem. */
typedef int64_t seeded_time(const char *problem_text, const char *tactic, uint32_t index);

typedef struct seeded_store {
    pf_timing_store  base;
    pf_timing_store *kept;          /* borrowed */
    const pf_search *search;        /* whose problems are asked for */
    seeded_time     *time;
} seeded_store;

static inline void seeded_tactic(const seeded_store *s, const pf_problem *problem, const pf_tactic *tactic,
                                 pf_timing_record *record)
{
    pf_tuning_list tunings = { 0 };
    pf_err         err = { 0 };

    if (tactic->tunings(s->search->device, problem, record->effort, &tunings, &err))        /* it has none after all */
        pf_tuning_clear(&tunings);
    for (uint32_t i = 0; i < tunings.count; i++) {
        int64_t         ns = s->time(problem->text, tactic->name, i);
        pf_timing_entry entry = { .rev = tactic->rev, .status = PF_TIMED, .sample_count = 9, .min_ns = ns,
                                  .median_ns = ns, .effort = record->effort };

        snprintf(entry.tactic, sizeof entry.tactic, "%s", tactic->name);
        snprintf(entry.tuning, sizeof entry.tuning, "%s", tunings.items[i].text);
        test_ok(pf_timing_record_put(record, &entry, &err), &err);
    }
    pf_tuning_clear(&tunings);
}

static inline pf_status seeded_lookup(pf_timing_store *store, const pf_digest *device_class, const pf_digest *problems,
                                      uint32_t count, pf_timing_record *out, pf_err *err)
{
    const seeded_store *s = (const seeded_store *)store;
    const pf_tactic    *tactic = NULL;

    (void)device_class;
    for (uint32_t i = 0; i < count; i++) {
        const pf_problem *problem = s->search->items[s->search->looked_up + i].problem;

        assert_true(pf_digest_equal(&problem->hash, &problems[i]));
        out[i] = (pf_timing_record){ .effort = (uint8_t)pf_config_int(s->search->config, PF_CONFIG_effort) };
        for (int oracles = 0; oracles < 2 && !out[i].count; oracles++)
            for (uint32_t t = 0; (tactic = pf_tactic_at(t)) != NULL; t++)
                if (((tactic->flags & PF_TACTIC_ORACLE) != 0) == oracles &&
                    !pf_tactic_declines(tactic, s->search->device, problem))
                    seeded_tactic(s, problem, tactic, &out[i]);
        test_ok(s->kept->merge(s->kept, s->search->device->timing_text, problem->text, &out[i], err), err);
    }
    return PF_OK;
}

static inline pf_status seeded_merge(pf_timing_store *store, const char *class_text, const char *problem_text,
                                     const pf_timing_record *entries, pf_err *err)
{
    (void)store, (void)class_text, (void)entries, (void)err;
    fail_msg("this is timed: %s", problem_text);
    return PF_INTERNAL;
}

/* Puts into `kept` what a build of the network asks for; the network must have nothing for rules that may lose. */
static inline void seed_times(pf_network *net, const pf_config *config, pf_device *device, seeded_time *time,
                              pf_timing_store *kept)
{
    seeded_store      store = { .base = { .lookup = seeded_lookup, .merge = seeded_merge }, .kept = kept,
                                .time = time };
    pf_build_progress progress = { 0 };
    pf_search         search = { 0 };
    pf_profile        profile = { 0 };
    pf_variant       *variant = NULL;
    pf_graph         *original = NULL;
    pf_err            err = { 0 };

    pf_progress_start(&progress, NULL);
    original = pf_graph_copy(pf_network_graph(net), &err);
    assert_non_null(original);
    test_ok(pf_profile_apply(config, original, &profile, &err), &err);
    test_ok(pf_variant_new(original, config, device, PF_CARE_USUAL, NULL, NULL, &variant, &err), &err);
    test_ok(pf_profile_cover(&profile, variant->graph, &err), &err);
    test_ok(pf_search_open(device, config, &store.base, &progress, &search, &err), &err);
    store.search = &search;
    test_ok(pf_variant_form(variant, config, device, &profile, &err), &err);
    test_ok(pf_variant_choose(variant, &profile, &search, &err), &err);
    pf_variant_free(variant);
    pf_search_close(&search);
    pf_profile_clear(&profile);
    pf_graph_free(original);
}

/* spec: with replay, so that what was not asked for above is an error. */
static inline pf_plan *build_seeded(pf_network *net, pf_device *device, const char *spec, seeded_time *time)
{
    pf_timing_store *kept = NULL;
    pf_build_options options = { 0 };
    pf_config       *config = config_of(spec);
    pf_plan         *plan = NULL;
    pf_err           err = { 0 };

    test_ok(pf_timing_store_memory(&kept, &err), &err);
    seed_times(net, config, device, time, kept);
    options.store = kept;
    test_ok(pf_build(net, config, device, &options, &plan, NULL, &err), &err);
    kept->close(kept);
    pf_config_free(config);
    return plan;
}

#endif
