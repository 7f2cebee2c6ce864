/* Problems that are tried only with what is best for others. */
#include <stdio.h>
#include <string.h>

#include "engine/search.h"
#include "tests/unit/engine/networks.h"

static pf_problem *parsed(const char *layout)
{
    char        text[256] = "";
    pf_problem *problem = NULL;
    pf_err      err = { 0 };

    snprintf(text, sizeof text, "problem in=nhwc,linear* out=%s numerics=0\ngraph\n%%0 = input f32 [2,32,9,9]\n"
             "%%1 = input f32 [32,32,1,1]\n"
             "%%2 = conv(%%0, %%1, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %%2\n", layout);
    test_ok(pf_problem_parse(text, &problem, &err), &err);
    return problem;
}

static void expect_tried(pf_device *device, const pf_search_item *item, const char *name)
{
    const pf_tactic *tactic = pf_tactic_find(name);
    bool             tried = (tactic->flags & PF_TACTIC_ORACLE) || pf_tactic_declines(tactic, device, item->problem);

    for (uint32_t i = 0; i < item->record.count; i++)
        tried = tried || !strcmp(item->record.entries[i].tactic, name);
    assert_true(tried);
}

/* Two runs, the second with the same problem in a place of a wider value: how many candidates it timed. */
static uint32_t search_both(pf_device *device, pf_timing_store *store, bool like, bool varies, uint32_t *first)
{
    pf_config        *config = config_of("effort=2\n");
    pf_build_progress progress = { 0 };
    pf_search         search = { 0 };
    uint32_t          one = 0, two = 0, timed = 0;
    pf_err            err = { 0 };

    pf_progress_start(&progress, NULL);
    test_ok(pf_search_open(device, config, store, &progress, &search, &err), &err);
    test_ok(pf_search_add(&search, parsed("nhwc"), "dense", &one, &err), &err);
    test_ok(pf_search_run(&search, &err), &err);
    *first = search.candidates_timed;
    test_ok(pf_search_add(&search, parsed("nhwc:64"), "in a place", &two, &err), &err);
    search.items[two].varies = varies;
    if (like)
        pf_search_like(&search, two, one);
    test_ok(pf_search_run(&search, &err), &err);
    timed = search.candidates_timed - *first;
    for (uint32_t i = 0; i < search.items[one].choice.count && varies && timed; i++)
        expect_tried(device, &search.items[two], search.items[one].choice.ranked[i]->tactic);
    assert_true(search.items[one].choice.count > 0 && search.items[two].choice.count > 0);
    pf_search_close(&search);
    pf_config_free(config);
    return timed;
}

static void only_the_best_are_tried(void **state)
{
    pf_device       *device = cpu();
    pf_timing_store *store = NULL;
    uint32_t         first = 0, timed = 0;
    pf_err           err = { 0 };

    (void)state;
    test_ok(pf_timing_store_memory(&store, &err), &err);
    timed = search_both(device, store, true, false, &first);
    assert_true(first >= timed && timed >= 1 && timed <= 2);
    assert_int_equal(search_both(device, store, true, true, &first), 0);        /* what is known is enough */
    assert_int_equal(first, 0);
    search_both(device, store, false, false, &first);                   /* and all that is asked for comes to it */
    assert_int_equal(search_both(device, store, false, false, &first), 0);
    store->close(store);
    pf_device_close(device);
}

/* Each tactic that is not given up may be what another shape needs. */
static void every_tactic_is_tried_where_shapes_vary(void **state)
{
    pf_device       *device = cpu();
    pf_timing_store *store = NULL;
    uint32_t         first = 0;
    pf_err           err = { 0 };

    (void)state;
    test_ok(pf_timing_store_memory(&store, &err), &err);
    assert_true(search_both(device, store, true, true, &first) >= 1);
    store->close(store);
    pf_device_close(device);
}

/* The other item must have been timed, and this one be new. */
static void nothing_else_is_like_another(void **state)
{
    pf_device        *device = cpu();
    pf_config        *config = config_of("effort=1\n");
    pf_timing_store  *store = NULL;
    pf_build_progress progress = { 0 };
    pf_search         search = { 0 };
    uint32_t          one = 0, two = 0;
    pf_err            err = { 0 };

    (void)state;
    pf_progress_start(&progress, NULL);
    test_ok(pf_timing_store_memory(&store, &err), &err);
    test_ok(pf_search_open(device, config, store, &progress, &search, &err), &err);
    test_ok(pf_search_add(&search, parsed("nhwc"), "dense", &one, &err), &err);
    test_ok(pf_search_add(&search, parsed("nhwc:64"), "in a place", &two, &err), &err);
    pf_search_like(&search, two, one);
    assert_int_equal(search.items[two].like, PF_NONE);
    test_ok(pf_search_run(&search, &err), &err);
    pf_search_like(&search, two, one);
    assert_int_equal(search.items[two].like, PF_NONE);
    pf_search_close(&search);
    store->close(store);
    pf_config_free(config);
    pf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_best_are_tried),
        cmocka_unit_test(every_tactic_is_tried_where_shapes_vary),
        cmocka_unit_test(nothing_else_is_like_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
