#include "cache/timing_export.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "tests/unit/cache/timing_samples.h"

static void fill(pf_timing_db *db)
{
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 500, 10);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "reference", 90000, 3);
    sample_merge(db, SAMPLE_CLASS, BATCH_PROBLEM, "onednn_conv", 4000, 10);
    sample_merge(db, OTHER_CLASS, SAMPLE_PROBLEM, "onednn_conv", 130, 10);
}

static void export_to(pf_timing_db *db, pf_buf *out)
{
    pf_timing_transfer done = {0};
    pf_err             err = {0};

    pf_buf_init(out, SIZE_MAX);
    test_ok(pf_timing_export(db, out, &done, &err), &err);
}

static void an_import_gives_the_same_contents(void **state)
{
    pf_timing_db      *from = sample_open(test_path("from")), *to = sample_open(test_path("to"));
    pf_timing_transfer done = {0};
    pf_buf             first, second;
    pf_err             err = {0};

    (void)state;
    fill(from);
    export_to(from, &first);
    test_ok(pf_timing_import(to, first.data, first.size, &done, &err), &err);
    assert_int_equal(done.records, 3);
    assert_int_equal(done.entries, 4);
    assert_int_equal(done.classes, 2);
    assert_int_equal(done.problems, 2);
    export_to(to, &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    test_ok(pf_timing_import(to, first.data, first.size, &done, &err), &err);      /* again changes nothing */
    pf_buf_clear(&second);
    export_to(to, &second);
    assert_memory_equal(first.data, second.data, first.size);
    pf_buf_clear(&first);
    pf_buf_clear(&second);
    pf_timing_db_close(from);
    pf_timing_db_close(to);
}

static void an_export_with_any_byte_changed_is_refused_whole(void **state)
{
    pf_timing_db      *from = sample_open(test_path("whole")), *to = sample_open(test_path("untouched"));
    pf_timing_transfer done = {0};
    pf_timing_stats    stats = {0};
    pf_buf             bytes;
    pf_err             err = {0};

    (void)state;
    fill(from);
    export_to(from, &bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 0x20;
        assert_true(pf_timing_import(to, bytes.data, bytes.size, &done, NULL) != PF_OK);
        bytes.data[i] ^= 0x20;
    }
    for (size_t i = 0; i < bytes.size; i += 3)
        assert_true(pf_timing_import(to, bytes.data, i, &done, NULL) != PF_OK);
    test_ok(pf_timing_db_stats(to, &stats, &err), &err);
    assert_int_equal(stats.records, 0);
    assert_int_equal(stats.classes, 0);
    pf_timing_stats_clear(&stats);
    test_ok(pf_timing_export_check(bytes.data, bytes.size, &done, &err), &err);
    pf_buf_clear(&bytes);
    pf_timing_db_close(from);
    pf_timing_db_close(to);
}

/* The outer digest of a file can be made again by anybody: what lies inside is checked for itself. */
static void a_record_without_its_text_is_refused(void **state)
{
    pf_timing_db      *from = sample_open(test_path("texts")), *to = sample_open(test_path("texts_to"));
    pf_timing_transfer done = {0};
    pf_digest          digest;
    uint64_t           items = 0;
    size_t             last = 0, text = strlen(SAMPLE_PROBLEM);
    pf_buf             bytes;
    pf_err             err = {0};

    (void)state;
    sample_merge(from, SAMPLE_CLASS, SAMPLE_PROBLEM, "onednn_conv", 500, 10);
    export_to(from, &bytes);
    last = 1 + PF_DIGEST_BYTES + 8 + text + 8;      /* the item of the problem's text */
    bytes.size -= PF_DIGEST_BYTES + last;
    items = 2;
    memcpy(bytes.data + 12, &items, 8);
    items = bytes.size - 28;
    memcpy(bytes.data + 20, &items, 8);
    pf_digest_of(bytes.data, bytes.size, &digest);
    pf_buf_put(&bytes, digest.byte, sizeof digest);
    test_fails(pf_timing_import(to, bytes.data, bytes.size, &done, &err), PF_CORRUPT, &err);
    pf_buf_clear(&bytes);
    pf_timing_db_close(from);
    pf_timing_db_close(to);
}

static void contended_entries_stay_home(void **state)
{
    pf_timing_db      *db = sample_open(test_path("contended"));
    pf_timing_record   record = {0};
    pf_timing_transfer done = {0};
    pf_buf             bytes;
    pf_err             err = {0};

    (void)state;
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "quiet", 500, 10);
    sample_record(&record, "loud", 400, 10);
    record.entries[0].contended = 1;
    test_ok(pf_timing_db_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &record, &err), &err);
    test_ok(pf_timing_db_merge(db, SAMPLE_CLASS, BATCH_PROBLEM, &record, &err), &err);
    pf_timing_record_clear(&record);
    pf_buf_init(&bytes, SIZE_MAX);
    test_ok(pf_timing_export(db, &bytes, &done, &err), &err);
    assert_int_equal(done.records, 1);
    assert_int_equal(done.entries, 1);
    pf_buf_clear(&bytes);
    pf_timing_db_close(db);
}

static void folders_and_files_merge(void **state)
{
    const char        *folder = test_path("left"), *file = test_path("right.timing");
    pf_timing_db      *left = sample_open(folder), *right = sample_open(test_path("right")), *both = NULL;
    pf_timing_record   record = {0};
    pf_timing_transfer done = {0};
    pf_err             err = {0};

    (void)state;
    sample_merge(left, SAMPLE_CLASS, SAMPLE_PROBLEM, "t", 500, 10);
    sample_merge(right, SAMPLE_CLASS, SAMPLE_PROBLEM, "t", 450, 20);
    sample_merge(right, SAMPLE_CLASS, SAMPLE_PROBLEM, "u", 450, 20);
    test_ok(pf_timing_export_file(right, file, &done, &err), &err);
    pf_timing_db_close(right);
    both = sample_open(test_path("both"));
    test_ok(pf_timing_merge_from(both, folder, &done, &err), &err);
    test_ok(pf_timing_merge_from(both, file, &done, &err), &err);
    test_ok(pf_timing_merge_from(both, folder, &done, &err), &err);
    sample_lookup(both, SAMPLE_CLASS, SAMPLE_PROBLEM, &record);
    assert_int_equal(record.count, 2);
    assert_int_equal(pf_timing_record_find(&record, "t", "")->sample_count, 20);
    pf_timing_record_clear(&record);
    test_fails(pf_timing_merge_from(both, test_path("absent"), &done, &err), PF_NOT_FOUND, &err);
    pf_timing_db_close(left);
    pf_timing_db_close(both);
}

static void verify_names_the_damage_and_repair_drops_it(void **state)
{
    pf_timing_db     *db = sample_open(test_path("verify"));
    pf_timing_verdict verdict = {0};
    pf_digest         digest;
    MDB_val           key = {sizeof digest, &digest}, value = {3, (void *)"bad"};
    MDB_txn          *txn = NULL;
    pf_err            err = {0};

    (void)state;
    fill(db);
    test_ok(pf_timing_db_verify(db, false, NULL, NULL, &verdict, &err), &err);
    assert_int_equal(verdict.bad, 0);
    assert_true(verdict.checked >= 7);
    pf_digest_of(BATCH_PROBLEM, strlen(BATCH_PROBLEM), &digest);
    {
        pf_timing_env *env = NULL;

        test_ok(pf_timing_env_open(pf_timing_db_folder(db), 1 << 20, false, &env, &err), &err);
        test_ok(pf_timing_env_begin(env, true, &txn, &err), &err);
        assert_int_equal(mdb_put(txn, env->table[PF_TABLE_PROBLEMS], &key, &value, 0), 0);
        test_ok(pf_timing_env_commit(env, txn, &err), &err);
        pf_timing_env_close(env);
    }
    test_ok(pf_timing_db_verify(db, false, NULL, NULL, &verdict, &err), &err);
    assert_int_equal(verdict.bad, 2);       /* the text, and the record that lost it */
    assert_int_equal(verdict.dropped, 0);
    test_ok(pf_timing_db_verify(db, true, NULL, NULL, &verdict, &err), &err);
    assert_int_equal(verdict.dropped, 2);
    test_ok(pf_timing_db_verify(db, false, NULL, NULL, &verdict, &err), &err);
    assert_int_equal(verdict.bad, 0);
    pf_timing_db_close(db);
}

static void a_miss_is_explained_by_the_nearest_key(void **state)
{
    pf_timing_db  *db = sample_open(test_path("near"));
    pf_timing_near near = {0};
    pf_err         err = {0};

    (void)state;
    test_ok(pf_timing_db_nearest(db, SAMPLE_CLASS, SAMPLE_PROBLEM, &near, &err), &err);
    assert_int_equal(near.how, PF_NEAR_NOTHING);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "t", 5, 5);
    test_ok(pf_timing_db_nearest(db, OTHER_CLASS, SAMPLE_PROBLEM, &near, &err), &err);
    assert_int_equal(near.how, PF_NEAR_CLASS);
    assert_string_equal(near.difference, "cores is 8, stored 2");
    test_ok(pf_timing_db_nearest(db, SAMPLE_CLASS, BATCH_PROBLEM, &near, &err), &err);
    assert_int_equal(near.how, PF_NEAR_PROBLEM);
    assert_string_equal(near.difference, "[8,64,56,56] is stored as [1,64,56,56]");
    pf_timing_db_close(db);
}

static void keys_are_found_by_their_beginning(void **state)
{
    pf_timing_db *db = sample_open(test_path("prefix"));
    pf_digest     digest, found[2];
    char          hex[PF_DIGEST_HEX_BYTES];
    uint32_t      count = 0;
    pf_err        err = {0};

    (void)state;
    fill(db);
    pf_digest_of(SAMPLE_PROBLEM, strlen(SAMPLE_PROBLEM), &digest);
    pf_digest_to_hex(&digest, hex);
    hex[10] = 0;
    test_ok(pf_timing_db_find(db, PF_TABLE_PROBLEMS, hex, found, 2, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_memory_equal(&found[0], &digest, sizeof digest);
    test_ok(pf_timing_db_find(db, PF_TABLE_PROBLEMS, "", found, 1, &count, &err), &err);
    assert_int_equal(count, 2);
    pf_timing_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_import_gives_the_same_contents),
        cmocka_unit_test(an_export_with_any_byte_changed_is_refused_whole),
        cmocka_unit_test(a_record_without_its_text_is_refused),
        cmocka_unit_test(contended_entries_stay_home),
        cmocka_unit_test(folders_and_files_merge),
        cmocka_unit_test(verify_names_the_damage_and_repair_drops_it),
        cmocka_unit_test(a_miss_is_explained_by_the_nearest_key),
        cmocka_unit_test(keys_are_found_by_their_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
