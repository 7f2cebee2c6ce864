/* What a build gives, with what it was built of. */
#ifndef PF_TESTS_UNIT_ENGINE_BUILT_H
#define PF_TESTS_UNIT_ENGINE_BUILT_H

#include "tests/unit/engine/networks.h"

typedef struct built {
    pf_network      *net;
    pf_config       *config;
    pf_device       *device;
    pf_plan         *plan;
    pf_build_report  report;
} built;

static inline pf_status try_build(built *b, pf_network *net, const char *spec, const pf_build_options *options,
                                  pf_err *err)
{
    *b = (built){ .net = net, .config = config_of(spec), .device = cpu() };
    return pf_build(b->net, b->config, b->device, options, &b->plan, &b->report, err);
}

static inline built build(pf_network *net, const char *spec, pf_timing_store *store)
{
    built            b = { 0 };
    pf_build_options options = { .store = store };
    pf_err           err = { 0 };

    test_ok(try_build(&b, net, spec, &options, &err), &err);
    return b;
}

static inline void drop(built *b)
{
    pf_plan_free(b->plan);
    pf_device_close(b->device);
    pf_config_free(b->config);
    pf_network_free(b->net);
}

static inline pf_timing_store *new_store(void)
{
    pf_timing_store *store = NULL;
    pf_err           err = { 0 };

    test_ok(pf_timing_store_memory(&store, &err), &err);
    return store;
}

/* A store that looks things up in another one; what is stored goes as the test says.  Tests put it first in a struct of
   their own. */
typedef struct wrapping_store { pf_timing_store base; pf_timing_store *inner; } wrapping_store;

static inline pf_status wrapping_lookup(pf_timing_store *base, const pf_digest *device_class,
                                        const pf_digest *problems, uint32_t count, pf_timing_record *out, pf_err *err)
{
    pf_timing_store *inner = ((wrapping_store *)base)->inner;

    return inner->lookup(inner, device_class, problems, count, out, err);
}

/* To be closed by its inner one. */
static inline wrapping_store wrap_store(pf_status (*merge)(pf_timing_store *base, const char *class_text,
                                                           const char *problem_text, const pf_timing_record *entries,
                                                           pf_err *err))
{
    return (wrapping_store){ .base = { .lookup = wrapping_lookup, .merge = merge }, .inner = new_store() };
}

static inline bool same_bytes(const pf_plan *a, const pf_plan *b)
{
    size_t      bytes_a = 0, bytes_b = 0;
    const void *x = pf_plan_bytes(a, &bytes_a), *y = pf_plan_bytes(b, &bytes_b);

    return bytes_a == bytes_b && !memcmp(x, y, bytes_a);
}

#endif
