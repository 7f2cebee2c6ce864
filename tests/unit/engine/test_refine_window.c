/* Where a network is timed for one problem's layers, on a device that only writes down what it is asked. */
#include <string.h>

#include "engine/refine_window.h"
#include "tests/test.h"

enum { STEPS = 20, CALLS = 64 };

static struct { int made, freed, recorded; pf_event *events[CALLS]; } seen;

static pf_status make_event(pf_device *device, pf_event **out, pf_err *err)
{
    static char places[CALLS];

    (void)device, (void)err;
    *out = (pf_event *)&places[seen.made++];
    return PF_OK;
}

static void free_event(pf_device *device, pf_event *event)
{
    (void)device, (void)event;
    seen.freed++;
}

static pf_status record(pf_device *device, pf_event *event, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    seen.events[seen.recorded++] = event;
    return PF_OK;
}

/* The events are made in order. */
static pf_status elapsed(pf_device *device, pf_event *start, pf_event *end, int64_t *ns, pf_err *err)
{
    (void)device, (void)err;
    *ns = 100 + ((char *)end - (char *)start);
    return PF_OK;
}

static pf_status begin(pf_device *device, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    return PF_OK;
}

static const pf_device_ops ops = { .event_new = make_event, .event_free = free_event, .event_capture = record,
                                   .event_elapsed = elapsed, .capture_begin = begin };
static const pf_device_ops ops_without_events = { .event_new = make_event, .event_free = free_event,
                                                  .capture_begin = begin };

/* Group 1 are the steps of a list that ends with STEPS. */
static void place(pf_refine_windows *windows, const uint32_t *steps)
{
    uint32_t group_of[STEPS] = { 0 };

    for (; *steps < STEPS; steps++)
        group_of[*steps] = 1;
    pf_refine_windows_place(windows, group_of, STEPS, 1);
}

static int open_windows(void **state)
{
    static pf_device         device;
    static pf_refine_windows windows;

    memset(&seen, 0, sizeof seen);
    device.ops = &ops;
    *state = &windows;
    return pf_refine_windows_open(&device, &windows, NULL);
}

static int close_windows(void **state)
{
    pf_refine_windows_close(*state);
    return seen.made != seen.freed;
}

static void a_step_is_timed_with_its_neighbours(void **state)
{
    pf_refine_windows *w = *state;
    int64_t            ns = 0;

    place(w, (const uint32_t[]){ 0, 9, STEPS - 1, STEPS });
    assert_int_equal(w->count, 3);
    assert_true(w->spans[0].first == 0 && w->spans[0].last == 1);
    assert_true(w->spans[1].first == 8 && w->spans[1].last == 10);
    assert_true(w->spans[2].first == STEPS - 2 && w->spans[2].last == STEPS - 1);
    for (uint32_t s = 0; s < STEPS; s++) {
        assert_int_equal(pf_refine_windows_enter(w, s, NULL, NULL), PF_OK);
        assert_int_equal(pf_refine_windows_leave(w, s, NULL, NULL), PF_OK);
    }
    assert_int_equal(seen.recorded, 6);
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(seen.events[i], w->edges[i]);
    assert_int_equal(pf_refine_windows_read(w, &ns, NULL), PF_OK);
    assert_int_equal(ns, 3 * 101);
}

static void windows_that_meet_are_one(void **state)
{
    pf_refine_windows *w = *state;

    place(w, (const uint32_t[]){ 3, 6, 9, 13, STEPS });
    assert_int_equal(w->count, 0);              /* they would be most of it */
    place(w, (const uint32_t[]){ 3, 6, STEPS });
    assert_int_equal(w->count, 1);
    assert_true(w->spans[0].first == 2 && w->spans[0].last == 7);
}

static void where_it_cannot_be_the_whole_is_timed(void **state)
{
    pf_refine_windows *w = *state;
    uint32_t           far_apart[5 * PF_REFINE_WINDOWS_MAX + 10] = { 0 };

    for (uint32_t i = 0; i <= PF_REFINE_WINDOWS_MAX; i++)
        far_apart[5 * i + 1] = 1;
    pf_refine_windows_place(w, far_apart, sizeof far_apart / sizeof far_apart[0], 1);
    assert_int_equal(w->count, 0);
    w->device->ops = &ops_without_events;
    place(w, (const uint32_t[]){ 9, STEPS });
    assert_int_equal(w->count, 0);
    w->device->ops = &ops;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_step_is_timed_with_its_neighbours, open_windows, close_windows),
        cmocka_unit_test_setup_teardown(windows_that_meet_are_one, open_windows, close_windows),
        cmocka_unit_test_setup_teardown(where_it_cannot_be_the_whole_is_timed, open_windows, close_windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
