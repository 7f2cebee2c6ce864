/* Timings: looked up in this process, and over a connection; records of one candidate and of twenty. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cache/timing_db.h"
#include "proto/timing_remote.h"
#include "tests/bench/farm_bench.h"

enum { PROBLEMS = 1000, LOCAL_PROBLEMS = 20000, ENTRIES_MAX = 20, LOCAL_NS = 500 * 1000 * 1000 };

static pf_digest problem[LOCAL_PROBLEMS];

static void make_record(uint32_t entries, pf_timing_record *record)
{
    memset(record, 0, sizeof *record);
    for (uint32_t k = 0; k < entries; k++) {
        pf_timing_entry entry = { .tactic = "tactic", .status = PF_TIMED, .sample_count = 3, .min_ns = 5 };
        snprintf(entry.tuning, sizeof entry.tuning, "%02u", k);
        pf_timing_record_put(record, &entry, NULL);
    }
}

static void name_problem(uint32_t i, char text[32])
{
    snprintf(text, 32, "problem %u", i);
    pf_digest_of(text, strlen(text), &problem[i]);
}

static double per_second(uint64_t count, int64_t since_ns)
{
    return (double)count / ((double)(pf_clock_ns() - since_ns) / 1e9);
}

/* ---- in process */

static void fill(pf_timing_db *db, const char *class_text, const pf_timing_record *record)
{
    pf_timing_batch *batch = NULL;
    char             text[32] = "";

    assert_int_equal(pf_timing_batch_begin(db, &batch, NULL), PF_OK);
    for (uint32_t i = 0; i < LOCAL_PROBLEMS; i++) {
        name_problem(i, text);
        assert_int_equal(pf_timing_batch_merge(batch, class_text, text, record, NULL), PF_OK);
    }
    assert_int_equal(pf_timing_batch_commit(batch, NULL), PF_OK);
}

/* All problems once. */
static void look_up_all(pf_timing_db *db, const pf_digest *device_class, uint32_t entries, pf_timing_record *found)
{
    uint64_t got = 0;

    for (uint32_t at = 0; at < LOCAL_PROBLEMS; at += PROBLEMS) {
        assert_int_equal(pf_timing_db_lookup(db, device_class, problem + at, PROBLEMS, found, NULL), PF_OK);
        for (uint32_t i = 0; i < PROBLEMS; i++) {
            got += found[i].count;
            pf_timing_record_clear(&found[i]);
        }
    }
    assert_int_equal(got, (uint64_t)LOCAL_PROBLEMS * entries);
}

/* Again and again for a while: one pass takes 20 ms, in which a virtual machine may do anything. */
static void look_up_here(pf_timing_db *db, const char *class_text, uint32_t entries, farm_figure figure)
{
    pf_timing_record *found = pf_calloc(PROBLEMS, sizeof *found), record;
    pf_digest         device_class = { 0 };
    uint64_t          passes = 0;
    int64_t           start_ns = 0;

    make_record(entries, &record);
    fill(db, class_text, &record);
    pf_digest_of(class_text, strlen(class_text), &device_class);
    start_ns = pf_clock_ns();
    while (!passes || pf_clock_ns() - start_ns < LOCAL_NS) {
        look_up_all(db, &device_class, entries, found);
        passes++;
    }
    farm_note(figure, per_second(passes * LOCAL_PROBLEMS, start_ns));
    pf_timing_record_clear(&record);
    pf_free(found);
}

static void measure_here(void)
{
    pf_timing_db *db = NULL;

    assert_int_equal(pf_timing_db_open(test_path("timings"), NULL, &db, NULL), PF_OK);
    look_up_here(db, "class 1", 1, FARM_LOCAL_1);
    look_up_here(db, "class 20", ENTRIES_MAX, FARM_LOCAL_20);
    pf_timing_db_close(db);
}

/* ---- over a connection */

static pf_status count_entries(void *user, uint32_t index, const char *class_text, const char *problem_text,
                               const pf_timing_record *record, pf_err *err)
{
    (void)index;
    (void)class_text;
    (void)problem_text;
    (void)err;
    *(uint64_t *)user += record->count;
    return PF_OK;
}

static void store_there(pf_peer *peer, const char *class_text, const pf_timing_record *record)
{
    int64_t start_ns = pf_clock_ns();
    char    text[32] = "";

    for (uint32_t i = 0; i < PROBLEMS; i++) {
        name_problem(i, text);
        assert_int_equal(pf_timing_remote_store(peer, class_text, text, record, 10 * PF_NS_PER_S, NULL), PF_OK);
    }
    if (record->count == 1)
        farm_note(FARM_STORES, per_second(PROBLEMS, start_ns));
}

static void look_up_there(const farm_bench *bench, pf_peer *peer, uint32_t entries, farm_figure figure,
                          farm_figure for_core)
{
    enum { ROUNDS = 300 };      /* half a second of CPU and more: it is told in hundredths */
    char             class_text[32] = "";
    pf_timing_record record;
    pf_digest        device_class = { 0 };
    uint64_t         got = 0;
    int64_t          start_ns = 0;
    double           cpu = 0;

    snprintf(class_text, sizeof class_text, "class of %u", entries);
    pf_digest_of(class_text, strlen(class_text), &device_class);
    make_record(entries, &record);
    store_there(peer, class_text, &record);
    pf_timing_record_clear(&record);
    cpu = farm_cpu_seconds(bench->d.pid);
    start_ns = pf_clock_ns();
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(pf_timing_remote_lookup(peer, &device_class, problem, PROBLEMS, 10 * PF_NS_PER_S,
                                                 count_entries, &got, NULL),
                         PF_OK);
    farm_note(figure, per_second((uint64_t)PROBLEMS * ROUNDS, start_ns));
    farm_note(for_core, PROBLEMS * ROUNDS / (farm_cpu_seconds(bench->d.pid) - cpu));
    assert_int_equal(got, (uint64_t)PROBLEMS * ROUNDS * entries);
}

void farm_measure_timings(farm_bench *bench)
{
    pf_peer *peer = daemon_agent(&bench->d);

    measure_here();
    look_up_there(bench, peer, 1, FARM_REMOTE_1, FARM_REMOTE_1_CORE);
    look_up_there(bench, peer, ENTRIES_MAX, FARM_REMOTE_20, FARM_REMOTE_20_CORE);
    pf_peer_close(peer);
}
