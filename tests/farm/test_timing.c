/* The shared timing cache: what one agent stored another finds, a class at a time, in replies that fit. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proto/timing_remote.h"
#include "tests/farm/daemon.h"

enum { PROBLEMS = 300, BIG_ENTRIES = 120 };

static const char CLASS_A[] = "class a", CLASS_B[] = "class b";

static void fill(pf_timing_record *record, const char *tactic, uint32_t entries, bool contended)
{
    for (uint32_t i = 0; i < entries; i++) {
        pf_timing_entry entry = { .status = PF_TIMED, .rev = 1, .sample_count = 10, .min_ns = 1000 + i,
                                  .median_ns = 1100 + i, .contended = contended };
        snprintf(entry.tactic, sizeof entry.tactic, "%s", tactic);
        snprintf(entry.tuning, sizeof entry.tuning, "tuning %u with a text that takes its place", i);
        assert_int_equal(pf_timing_record_put(record, &entry, NULL), PF_OK);
    }
}

static void put(pf_peer *peer, const char *class_text, const char *problem, const char *tactic, uint32_t entries,
                bool contended)
{
    pf_timing_record record = { 0 };
    pf_err           err = { 0 };

    fill(&record, tactic, entries, contended);
    test_ok(pf_timing_remote_store(peer, class_text, problem, &record, 10 * PF_NS_PER_S, &err), &err);
    pf_timing_record_clear(&record);
}

typedef struct seen { uint32_t count, entries; bool texts_right; } seen;

static pf_status note(void *user, uint32_t index, const char *class_text, const char *problem_text,
                      const pf_timing_record *record, pf_err *err)
{
    seen *s = user;
    char  expected[32] = "";

    (void)err;
    snprintf(expected, sizeof expected, "problem %u", index);
    s->count++;
    s->entries += record->count;
    s->texts_right &= strcmp(problem_text, expected) == 0 && strncmp(class_text, "class ", 6) == 0;
    return PF_OK;
}

static void look_up_all(pf_peer *peer, const char *class_text, seen *s)
{
    static pf_digest problems[PROBLEMS];
    pf_digest        device_class = { 0 };
    pf_err           err = { 0 };

    *s = (seen){ .texts_right = true };
    pf_digest_of(class_text, strlen(class_text), &device_class);
    for (uint32_t i = 0; i < PROBLEMS; i++) {
        char text[32] = "";
        snprintf(text, sizeof text, "problem %u", i);
        pf_digest_of(text, strlen(text), &problems[i]);
    }
    test_ok(pf_timing_remote_lookup(peer, &device_class, problems, PROBLEMS, 10 * PF_NS_PER_S, note, s, &err), &err);
}

static pf_status count_export(void *user, const char *class_text, const char *problem_text,
                              const pf_timing_record *record, pf_err *err)
{
    seen *s = user;

    (void)err;
    s->count++;
    s->entries += record->count;
    s->texts_right &= class_text[0] && problem_text[0];
    return PF_OK;
}

static void one_agent_s_timings_serve_the_others_of_its_class(void **state)
{
    daemon_process d = { 0 };
    char           folder[4096] = "";
    pf_peer       *first = NULL, *second = NULL, *client = NULL;
    seen           s = { 0 };
    pf_err         err = { 0 };

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("state"));
    daemon_start(&d, folder, NULL);
    first = daemon_agent(&d);
    for (uint32_t i = 0; i < PROBLEMS; i += 2) {        /* together far more than one reply holds */
        char problem[32] = "";
        snprintf(problem, sizeof problem, "problem %u", i);
        put(first, CLASS_A, problem, "tactic.x", BIG_ENTRIES, false);
    }
    daemon_kill(&d);                    /* what was answered is on disk */
    daemon_start(&d, folder, NULL);
    second = daemon_agent(&d);
    look_up_all(second, CLASS_A, &s);
    assert_int_equal(s.count, PROBLEMS / 2);
    assert_int_equal(s.entries, PROBLEMS / 2 * BIG_ENTRIES);
    assert_true(s.texts_right);
    look_up_all(second, CLASS_B, &s);
    assert_int_equal(s.count, 0);
    put(second, CLASS_A, "problem 0", "tactic.y", 1, false);    /* merged, not replaced */
    put(second, CLASS_B, "problem 0", "tactic.x", 1, true);     /* contended: of no use to others */
    look_up_all(second, CLASS_A, &s);
    assert_int_equal(s.entries, PROBLEMS / 2 * BIG_ENTRIES + 1);
    look_up_all(second, CLASS_B, &s);
    assert_int_equal(s.count, 0);
    client = daemon_client(&d);
    s = (seen){ .texts_right = true };
    test_ok(pf_timing_remote_export(client, NULL, 10 * PF_NS_PER_S, count_export, &s, NULL, &err), &err);
    assert_int_equal(s.count, PROBLEMS / 2);
    assert_true(s.texts_right);
    test_fails(pf_timing_remote_export(client, "nothing", 10 * PF_NS_PER_S, count_export, &s, NULL, &err), PF_NOT_FOUND,
               &err);
    pf_peer_close(first);
    pf_peer_close(second);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

static void unsound_timings_are_refused(void **state)
{
    daemon_process   d = { 0 };
    pf_peer         *peer = NULL;
    Pf__TimingStore  store = PF__TIMING_STORE__INIT;
    Pf__TimingEntry  entry = PF__TIMING_ENTRY__INIT, *list[] = { &entry };
    Pf__TimingLookup lookup = PF__TIMING_LOOKUP__INIT;
    pf_message       answer = { 0 };
    uint8_t          garbage[100] = { 1, 2, 3 };
    pf_err           err = { 0 };

    (void)state;
    daemon_start(&d, test_path("unsound"), NULL);
    peer = daemon_agent(&d);
    entry.record = (ProtobufCBinaryData){ sizeof garbage, garbage };
    entry.problem_text = "problem";
    store.class_text = "class";
    store.entry = list;
    store.n_entry = 1;
    test_fails(pf_peer_call(peer, PF_MSG_TIMING_STORE, &store.base, PF_MSG_TIMING_STORE_REPLY, 30 * PF_NS_PER_S,
                            &answer, &err),
               PF_CORRUPT, &err);
    store.class_text = "";
    test_fails(pf_peer_call(peer, PF_MSG_TIMING_STORE, &store.base, PF_MSG_TIMING_STORE_REPLY, 30 * PF_NS_PER_S,
                            &answer, &err),
               PF_INVALID, &err);
    lookup.class_digest = (ProtobufCBinaryData){ 3, garbage };
    test_fails(pf_peer_call(peer, PF_MSG_TIMING_LOOKUP, &lookup.base, PF_MSG_TIMING_LOOKUP_REPLY, 30 * PF_NS_PER_S,
                            &answer, &err),
               PF_INVALID, &err);
    pf_peer_close(peer);
    assert_int_equal(daemon_stop(&d), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_agent_s_timings_serve_the_others_of_its_class),
        cmocka_unit_test(unsound_timings_are_refused),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
