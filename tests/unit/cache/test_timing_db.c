#include "cache/timing_db.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cache/timing_db_private.h"
#include "tests/unit/cache/timing_samples.h"

enum { WRITERS = 4, ROUNDS = 25 };

static void what_is_merged_is_found_by_a_later_process(void **state)
{
    const char      *folder = test_path("kept");
    pf_timing_db    *db = sample_open(folder);
    pf_timing_record record = {0};
    char            *text = NULL;
    pf_digest        digest;
    pf_err           err = {0};

    (void)state;
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 0);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 500, 10);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "reference", 90000, 3);
    pf_timing_db_close(db);

    db = sample_open(folder);
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 2);
    assert_int_equal(pf_timing_record_find(&record, "onednn_conv", "")->median_ns, 500);
    pf_timing_record_clear(&record);
    sample_lookup(db, OTHER_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 0);
    pf_digest_of(SAMPLE_PROBLEM, strlen(SAMPLE_PROBLEM), &digest);
    test_ok(pf_timing_db_text(db, PF_TABLE_PROBLEMS, &digest, &text, &err), &err);
    assert_string_equal(text, SAMPLE_PROBLEM);
    pf_free(text);
    pf_timing_db_close(db);
}

static void a_better_measurement_replaces_a_worse_one(void **state)
{
    pf_timing_db    *db = sample_open(test_path("better"));
    pf_timing_record record = {0};

    (void)state;
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 500, 100);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 400, 3);
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 1);
    assert_int_equal(record.entries[0].median_ns, 500);
    pf_timing_record_clear(&record);
    pf_timing_db_close(db);
}

static void a_lookup_of_many_answers_each_in_its_place(void **state)
{
    enum { MANY = 600 };        /* more than one chunk */
    static pf_digest        problems[MANY];
    static pf_timing_record records[MANY];
    pf_timing_db *db = sample_open(test_path("many"));
    pf_digest     device_class;
    pf_err        err = {0};

    (void)state;
    pf_digest_of(SAMPLE_CLASS, strlen(SAMPLE_CLASS), &device_class);
    for (int i = 0; i < MANY; i++) {
        char text[64];

        snprintf(text, sizeof text, "problem %d\n", i);
        pf_digest_of(text, strlen(text), &problems[i]);
        if (i % 100 == 7)
            sample_merge(db, SAMPLE_CLASS, text, "t", 1000 + i, 5);
    }
    test_ok(pf_timing_db_lookup(db, &device_class, problems, MANY, records, &err), &err);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(records[i].count, i % 100 == 7);
        if (records[i].count)
            assert_int_equal(records[i].entries[0].median_ns, 1000 + i);
        pf_timing_record_clear(&records[i]);
    }
    pf_timing_db_close(db);
}

/* Changes the stored record of a problem behind the db's back. */
static void damage(pf_timing_db *db, const char *problem_text, void (*change)(uint8_t *bytes, size_t count))
{
    pf_timing_key key;
    MDB_val       name = {sizeof key, &key}, value = {0};
    MDB_txn      *txn = NULL;
    uint8_t       bytes[4096];
    pf_err        err = {0};

    pf_digest_of(SAMPLE_CLASS, strlen(SAMPLE_CLASS), &key.device_class);
    pf_digest_of(problem_text, strlen(problem_text), &key.problem);
    test_ok(pf_timing_env_begin(db->env, true, &txn, &err), &err);
    assert_int_equal(mdb_get(txn, db->env->table[PF_TABLE_RECORDS], &name, &value), 0);
    assert_true(value.mv_size <= sizeof bytes);
    memcpy(bytes, value.mv_data, value.mv_size);
    change(bytes, value.mv_size);
    value.mv_data = bytes;
    assert_int_equal(mdb_put(txn, db->env->table[PF_TABLE_RECORDS], &name, &value, 0), 0);
    test_ok(pf_timing_env_commit(db->env, txn, &err), &err);
}

static void flip_a_bit(uint8_t *bytes, size_t count)
{
    bytes[count / 2] ^= 4;
}

static void a_damaged_record_is_dropped_and_counted(void **state)
{
    pf_timing_db    *db = sample_open(test_path("damaged"));
    pf_timing_record record = {0};
    pf_timing_stats  stats = {0};
    pf_err           err = {0};

    (void)state;
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 500, 10);
    damage(db, SAMPLE_PROBLEM, flip_a_bit);
    test_ok(pf_timing_db_stats(db, &stats, &err), &err);
    assert_int_equal(stats.bad, 1);
    pf_timing_stats_clear(&stats);
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 0);
    test_ok(pf_timing_db_stats(db, &stats, &err), &err);
    assert_int_equal(stats.bad, 0);
    assert_int_equal(stats.records, 0);
    assert_int_equal(stats.counter[PF_COUNTER_CORRUPT], 1);
    pf_timing_stats_clear(&stats);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 600, 10);
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 1);
    pf_timing_record_clear(&record);
    pf_timing_db_close(db);
}

static void a_merge_replaces_a_damaged_record(void **state)
{
    pf_timing_db    *db = sample_open(test_path("replaced"));
    pf_timing_record record = {0};

    (void)state;
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 500, 10);
    damage(db, SAMPLE_PROBLEM, flip_a_bit);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 700, 1);
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 1);
    assert_int_equal(record.entries[0].median_ns, 700);
    pf_timing_record_clear(&record);
    pf_timing_db_close(db);
}

/* What stood under one key, for change_to_saved. */
static uint8_t saved[4096];
static size_t  saved_count;

static void save(uint8_t *bytes, size_t count)
{
    memcpy(saved, bytes, count);
    saved_count = count;
}

static void change_to_saved(uint8_t *bytes, size_t count)
{
    assert_int_equal(count, saved_count);
    memcpy(bytes, saved, count);
}

static void a_good_value_under_another_key_is_not_used(void **state)
{
    pf_timing_db    *db = sample_open(test_path("swapped"));
    pf_timing_record record = {0};

    (void)state;
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 500, 10);
    sample_merge(db, SAMPLE_CLASS, BATCH_PROBLEM, "onednn_conv", 900, 10);
    damage(db, SAMPLE_PROBLEM, save);
    damage(db, BATCH_PROBLEM, change_to_saved);
    sample_lookup(db, SAMPLE_CLASS, BATCH_PROBLEM, &record);
    assert_int_equal(record.count, 0);
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 1);
    pf_timing_record_clear(&record);
    pf_timing_db_close(db);
}

static void write_as(const char *folder, int who)
{
    pf_timing_db *db = NULL;
    pf_timing_record record = {0};
    char          tactic[16], problem[32];

    if (pf_timing_db_open(folder, NULL, &db, NULL))
        _exit(1);
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(tactic, sizeof tactic, "t%d_%d", who, i);
        snprintf(problem, sizeof problem, "problem %d\n", i % 5);
        sample_record(&record, tactic, 100 + i, 5);
        if (pf_timing_db_merge(db, SAMPLE_CLASS, problem, &record, NULL))
            _exit(2);
        pf_timing_record_clear(&record);
    }
    pf_timing_db_close(db);
    _exit(0);
}

static void processes_that_write_at_once_lose_nothing(void **state)
{
    const char      *folder = test_path("shared");
    pf_timing_db    *db = NULL;
    pf_timing_stats  stats = {0};
    pid_t            child[WRITERS];
    pf_err           err = {0};

    (void)state;
    for (int i = 0; i < WRITERS; i++) {
        child[i] = fork();
        if (child[i] == 0)
            write_as(folder, i);
    }
    for (int i = 0; i < WRITERS; i++) {
        int ended = 0;

        assert_int_equal(waitpid(child[i], &ended, 0), child[i]);
        assert_int_equal(ended, 0);
    }
    db = sample_open(folder);
    test_ok(pf_timing_db_stats(db, &stats, &err), &err);
    assert_int_equal(stats.records, 5);
    assert_int_equal(stats.entries[PF_TIMED], WRITERS * ROUNDS);
    assert_int_equal(stats.counter[PF_COUNTER_MERGES], WRITERS * ROUNDS);
    pf_timing_stats_clear(&stats);
    pf_timing_db_close(db);
}

/* Writes numbered records, telling the pipe of each one that is stored, until it is killed. */
static void write_until_killed(const char *folder, int to, int first)
{
    pf_timing_db    *db = NULL;
    pf_timing_record record = {0};

    if (pf_timing_db_open(folder, NULL, &db, NULL))
        _exit(1);
    for (int i = first;; i++) {
        char problem[32];

        snprintf(problem, sizeof problem, "problem %d\n", i);
        sample_record(&record, "t", 100, 5);
        if (pf_timing_db_merge(db, SAMPLE_CLASS, problem, &record, NULL) || write(to, &i, sizeof i) != sizeof i)
            _exit(2);
        pf_timing_record_clear(&record);
    }
}

static int last_stored_before_kill(const char *folder, int first, useconds_t after_us)
{
    int   ends[2], number = first - 1, got = 0;
    pid_t child = 0;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0)
        write_until_killed(folder, ends[1], first);
    close(ends[1]);
    assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
    usleep(after_us);
    kill(child, SIGKILL);
    while (read(ends[0], &got, sizeof got) == sizeof got)
        number = got;
    close(ends[0]);
    waitpid(child, NULL, 0);
    return number;
}

static void a_killed_writer_loses_nothing_that_it_had_stored(void **state)
{
    const char         *folder = test_path("killed");
    int                 last = -1;
    pf_timing_db       *db = NULL;
    pf_timing_verdict   verdict = {0};
    pf_err              err = {0};

    (void)state;
    for (int i = 0; i < 5; i++)
        last = last_stored_before_kill(folder, last + 1, (useconds_t)(500 + 700 * i));
    db = sample_open(folder);
    for (int i = 0; i <= last; i++) {
        pf_timing_record record = {0};
        char             problem[32];

        snprintf(problem, sizeof problem, "problem %d\n", i);
        sample_lookup(db, SAMPLE_CLASS, problem, &record);
        assert_int_equal(record.count, 1);
        pf_timing_record_clear(&record);
    }
    test_ok(pf_timing_db_verify(db, false, NULL, NULL, &verdict, &err), &err);
    assert_int_equal(verdict.bad, 0);
    pf_timing_db_close(db);
}

static void two_users_in_a_process_share_one_environment(void **state)
{
    const char      *folder = test_path("twice");
    pf_timing_db    *a = sample_open(folder), *b = sample_open(folder);
    pf_timing_record record = {0};

    (void)state;
    assert_ptr_equal(a->env, b->env);
    sample_merge(a, SAMPLE_CLASS, SAMPLE_PROBLEM, "t", 5, 5);
    pf_timing_db_close(a);
    sample_lookup(b, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 1);
    pf_timing_record_clear(&record);
    pf_timing_db_close(b);
}

static void reading_makes_and_changes_nothing(void **state)
{
    pf_timing_db_options options = {.read_only = true};
    const char          *folder = test_path("read");
    pf_timing_db        *db = NULL;
    pf_timing_record     record = {0};
    pf_err               err = {0};

    (void)state;
    test_fails(pf_timing_db_open(folder, &options, &db, &err), PF_NOT_FOUND, &err);
    assert_false(pf_file_exists(folder));
    assert_int_equal(mkdir(folder, 0777), 0);
    test_fails(pf_timing_db_open(folder, &options, &db, &err), PF_NOT_FOUND, &err);
    db = sample_open(folder);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "t", 5, 5);
    pf_timing_db_close(db);
    test_ok(pf_timing_db_open(folder, &options, &db, &err), &err);
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 1);
    test_fails(pf_timing_db_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record, &err), PF_DENIED, &err);
    pf_timing_record_clear(&record);
    pf_timing_db_close(db);
}

typedef pf_status open_store(pf_timing_db *db, pf_timing_store **out, pf_err *err);

static void go_on_when_the_db_is_full(const char *folder, open_store *open)
{
    pf_timing_db_options options = {.map_bytes = 96 << 10};
    pf_timing_db        *db = NULL;
    pf_timing_store     *store = NULL;
    pf_timing_record     record = {0};
    pf_digest            device_class, problem;
    char                 text[64];
    pf_err               err = {0};
    int                  i = 0;

    test_ok(pf_timing_db_open(folder, &options, &db, &err), &err);
    test_ok(open(db, &store, &err), &err);
    sample_record(&record, "t", 50, 5);
    for (i = 0; i < 1000 && !pf_timing_db_store_warning(store); i++) {
        snprintf(text, sizeof text, "problem %d\n", i);
        test_ok(store->merge(store, SAMPLE_CLASS, text, &record, &err), &err);
    }
    assert_in_range(i, 2, 999);
    assert_non_null(strstr(pf_timing_db_store_warning(store), "full"));
    test_fails(pf_timing_db_merge(db, SAMPLE_CLASS, text, &record, &err), PF_NO_SPACE, &err);
    pf_timing_record_clear(&record);
    pf_digest_of(SAMPLE_CLASS, strlen(SAMPLE_CLASS), &device_class);
    for (int k = 0; k < i; k++) {       /* the first ones come from disk, the last one from memory */
        snprintf(text, sizeof text, "problem %d\n", k);
        pf_digest_of(text, strlen(text), &problem);
        test_ok(store->lookup(store, &device_class, &problem, 1, &record, &err), &err);
        assert_int_equal(record.count, 1);
        pf_timing_record_clear(&record);
    }
    store->close(store);
    pf_timing_db_close(db);
}

static void a_store_goes_on_when_the_db_is_full(void **state)
{
    (void)state;
    go_on_when_the_db_is_full(test_path("full"), pf_timing_db_store);
    go_on_when_the_db_is_full(test_path("full-behind"), pf_timing_db_store_behind);
}

static void assert_stored(pf_timing_db *db, int count)
{
    char text[64];

    for (int i = 0; i < count; i++) {
        pf_timing_record record = {0};

        snprintf(text, sizeof text, "problem %d\n", i);
        sample_lookup(db, SAMPLE_CLASS, text, &record);
        assert_int_equal(record.count, 1);
        pf_timing_record_clear(&record);
    }
}

static void what_is_written_behind_is_there_when_the_store_is_asked_or_closed(void **state)
{
    enum { COUNT = 200 };
    const char      *folder = test_path("behind");
    pf_timing_db    *db = sample_open(folder);
    pf_timing_store *store = NULL;
    pf_timing_record record = {0}, found = {0};
    pf_digest        device_class, problem;
    char             text[64];
    pf_err           err = {0};

    (void)state;
    test_ok(pf_timing_db_store_behind(db, &store, &err), &err);
    sample_record(&record, "t", 50, 5);
    pf_digest_of(SAMPLE_CLASS, strlen(SAMPLE_CLASS), &device_class);
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "problem %d\n", i);
        test_ok(store->merge(store, SAMPLE_CLASS, text, &record, &err), &err);
    }
    pf_digest_of(text, strlen(text), &problem);
    test_ok(store->lookup(store, &device_class, &problem, 1, &found, &err), &err);
    assert_int_equal(found.count, 1);
    assert_stored(db, COUNT);
    test_ok(store->merge(store, SAMPLE_CLASS, "problem 200\n", &record, &err), &err);
    assert_null(pf_timing_db_store_warning(store));
    store->close(store);
    pf_timing_db_close(db);
    db = sample_open(folder);
    assert_stored(db, COUNT + 1);
    pf_timing_record_clear(&record);
    pf_timing_record_clear(&found);
    pf_timing_db_close(db);
}

static void what_cannot_be_written_behind_fails_the_next_merge_alone(void **state)
{
    pf_timing_db    *db = sample_open(test_path("refused"));
    pf_timing_store *store = NULL;
    pf_timing_record record = {0};
    char            *longest = pf_calloc(1, PF_TIMING_TEXT_LIMIT + 2);
    pf_err           err = {0};
    pf_status        early = PF_OK;

    (void)state;
    assert_non_null(longest);
    memset(longest, 'x', PF_TIMING_TEXT_LIMIT + 1);
    test_ok(pf_timing_db_store_behind(db, &store, &err), &err);
    sample_record(&record, "t", 50, 5);
    test_ok(store->merge(store, SAMPLE_CLASS, "problem 0\n", &record, &err), &err);
    test_ok(store->merge(store, SAMPLE_CLASS, longest, &record, &err), &err);
    early = store->merge(store, SAMPLE_CLASS, "problem 1\n", &record, &err);
    assert_true(early == PF_OK || early == PF_INVALID);         /* the thread may have come so far already */
    assert_null(pf_timing_db_store_warning(store));
    test_fails(store->merge(store, SAMPLE_CLASS, "problem 2\n", &record, &err), PF_INVALID, &err);
    store->close(store);
    assert_stored(db, 3);
    pf_timing_record_clear(&record);
    pf_timing_db_close(db);
    pf_free(longest);
}

static void a_file_cut_short_or_of_another_kind_is_refused(void **state)
{
    const char   *folder = test_path("cut");
    const char   *file = test_path("cut/data.mdb");
    pf_timing_db *db = sample_open(folder);
    pf_err        err = {0};

    (void)state;
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "t", 5, 5);
    pf_timing_db_close(db);
    assert_int_equal(truncate(file, 3 * 4096), 0);
    test_fails(pf_timing_db_open(folder, NULL, &db, &err), PF_CORRUPT, &err);
    test_ok(pf_file_write(file, "no cache at all, but long enough to be looked at", 48, &err), &err);
    test_fails(pf_timing_db_open(folder, NULL, &db, &err), PF_CORRUPT, &err);
}

static void a_file_where_the_folder_should_be_is_refused(void **state)
{
    const char   *path = test_path("file");
    pf_timing_db *db = NULL;
    pf_err        err = {0};

    (void)state;
    test_ok(pf_file_write(path, "x", 1, &err), &err);
    test_fails(pf_timing_db_open(path, NULL, &db, &err), PF_INVALID, &err);
}

static void another_format_is_refused(void **state)
{
    const char   *folder = test_path("newer");
    pf_timing_db *db = sample_open(folder);
    uint8_t       format[4] = {2, 0, 0, 0};
    MDB_val       key = {6, (void *)"format"}, value = {4, format};
    MDB_txn      *txn = NULL;
    pf_err        err = {0};

    (void)state;
    test_ok(pf_timing_env_begin(db->env, true, &txn, &err), &err);
    assert_int_equal(mdb_put(txn, db->env->table[PF_TABLE_META], &key, &value, 0), 0);
    test_ok(pf_timing_env_commit(db->env, txn, &err), &err);
    pf_timing_db_close(db);
    test_fails(pf_timing_db_open(folder, NULL, &db, &err), PF_STALE, &err);
}

static void network_file_systems_are_known(void **state)
{
    (void)state;
    assert_string_equal(pf_timing_env_network_name(0x6969), "NFS");
    assert_string_equal(pf_timing_env_network_name(0xff534d42), "CIFS");
    assert_null(pf_timing_env_network_name(0xef53));            /* ext4 */
    assert_null(pf_timing_env_network_name(0x01021994));        /* tmpfs */
}

static void a_failing_allocation_is_an_error(void **state)
{
    pf_timing_db    *db = sample_open(test_path("memory"));
    pf_timing_record record = {0};
    pf_err           err = {0};
    pf_status        status = PF_NO_SPACE;

    (void)state;
    sample_record(&record, "t", 50, 5);
    for (uint64_t i = 0; status; i++) {
        pf_err_clear(&err);
        pf_alloc_fail_after(i);
        status = pf_timing_db_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record, &err);
        pf_alloc_fail_after(UINT64_MAX);
        assert_true(status == PF_OK || status == PF_NO_SPACE);
        assert_true(i < 100);
    }
    pf_timing_record_clear(&record);
    sample_lookup(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 1);
    pf_timing_record_clear(&record);
    pf_timing_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_merged_is_found_by_a_later_process),
        cmocka_unit_test(a_better_measurement_replaces_a_worse_one),
        cmocka_unit_test(a_lookup_of_many_answers_each_in_its_place),
        cmocka_unit_test(a_damaged_record_is_dropped_and_counted),
        cmocka_unit_test(a_merge_replaces_a_damaged_record),
        cmocka_unit_test(a_good_value_under_another_key_is_not_used),
        cmocka_unit_test(processes_that_write_at_once_lose_nothing),
        cmocka_unit_test(a_killed_writer_loses_nothing_that_it_had_stored),
        cmocka_unit_test(two_users_in_a_process_share_one_environment),
        cmocka_unit_test(reading_makes_and_changes_nothing),
        cmocka_unit_test(a_store_goes_on_when_the_db_is_full),
        cmocka_unit_test(what_is_written_behind_is_there_when_the_store_is_asked_or_closed),
        cmocka_unit_test(what_cannot_be_written_behind_fails_the_next_merge_alone),
        cmocka_unit_test(a_file_cut_short_or_of_another_kind_is_refused),
        cmocka_unit_test(a_file_where_the_folder_should_be_is_refused),
        cmocka_unit_test(another_format_is_refused),
        cmocka_unit_test(network_file_systems_are_known),
        cmocka_unit_test(a_failing_allocation_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
