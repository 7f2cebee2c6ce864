/* Files of LMDB, whole and damaged: what the check lets pass can be walked through and written to; what it refuses
   could have ended the process. */
#include "cache/lmdb_check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "tests/test.h"

enum { ROWS = 600, LARGE_BYTES = 9000, TABLES = 2, ROUNDS = 300, MAP_BYTES = 16 << 20, ODD_KEYS = 400,
       ODD_CHANGES = 40 };

static const char *const names[TABLES] = { "rows", "texts" };
static char              folder[PATH_MAX];
static pf_buf            whole;         /* the bytes of a good file */
static uint64_t          page_bytes;

static MDB_env *open_env(void)
{
    MDB_env *env = NULL;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, TABLES), 0);
    assert_int_equal(mdb_env_set_mapsize(env, MAP_BYTES), 0);
    if (mdb_env_open(env, folder, MDB_NOSYNC, 0600)) {
        mdb_env_close(env);
        return NULL;
    }
    return env;
}

/* from to before: rows of many sizes, some too large for a page; or gone again. */
static void write_rows(MDB_env *env, uint32_t from, uint32_t before, bool gone)
{
    static uint8_t bytes[LARGE_BYTES];
    MDB_txn       *txn = NULL;
    MDB_dbi        table[TABLES];

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    for (int t = 0; t < TABLES; t++)
        assert_int_equal(mdb_dbi_open(txn, names[t], MDB_CREATE, &table[t]), 0);
    for (uint32_t i = from; i < before; i++) {
        char    text[32];
        MDB_val key = { (size_t)snprintf(text, sizeof text, "key %u", i * 7919 % 10007), text };
        MDB_val value = { i % 50 == 0 ? LARGE_BYTES : 20 + i % 90, bytes };

        if (gone)
            assert_int_equal(mdb_del(txn, table[i % TABLES], &key, NULL), 0);
        else
            assert_int_equal(mdb_put(txn, table[i % TABLES], &key, &value, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static int set_up(void **state)
{
    MDB_env *env = NULL;
    MDB_stat stat = { 0 };
    pf_err   err = { 0 };

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("env"));
    mkdir(folder, 0777);
    env = open_env();
    test_ok(pf_lmdb_check(env, "it", "leave", &err), &err);         /* of nothing */
    write_rows(env, 0, ROWS, false);
    write_rows(env, 0, ROWS / 2, true);                             /* leaves free pages */
    write_rows(env, ROWS, ROWS + 40, false);
    test_ok(pf_lmdb_check(env, "it", "leave", &err), &err);
    assert_int_equal(mdb_env_stat(env, &stat), 0);
    page_bytes = stat.ms_psize;
    mdb_env_close(env);
    test_ok(pf_file_read(test_path("env/data.mdb"), SIZE_MAX, &whole, &err), &err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pf_buf_clear(&whole);
    return 0;
}

static void put_file(const uint8_t *bytes, size_t count)
{
    FILE *file = NULL;

    unlink(test_path("env/lock.mdb"));
    unlink(test_path("env/data.mdb"));      /* one that is cut to nothing first, a file system may write at once */
    file = fopen(test_path("env/data.mdb"), "wb");      /* not synced, as hundreds of them need not be */
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

/* Each row is looked at, and one more written, with the free pages that there are. */
static void walk(MDB_env *env)
{
    uint64_t sum = 0;
    MDB_txn *txn = NULL;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    for (int t = 0; t < TABLES; t++) {
        MDB_dbi     table = 0;
        MDB_cursor *cursor = NULL;
        MDB_val     key = { 0 }, value = { 0 }, more = { 4, (void *)"more" };

        if (mdb_dbi_open(txn, names[t], 0, &table))
            continue;
        assert_int_equal(mdb_cursor_open(txn, table, &cursor), 0);
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
            for (size_t i = 0; i < value.mv_size; i++)
                sum += ((const uint8_t *)value.mv_data)[i];
        mdb_cursor_close(cursor);
        mdb_put(txn, table, &more, &more, 0);
    }
    mdb_txn_commit(txn);
    assert_true(sum < UINT64_MAX);
}

/* Answers whether it passed. */
static bool check_bytes(const uint8_t *bytes)
{
    MDB_env  *env = NULL;
    pf_err    err = { 0 };
    pf_status status = PF_CORRUPT;

    put_file(bytes, whole.size);
    status = pf_lmdb_check_head(folder, "it", "leave", &err);
    if (status && (status != PF_CORRUPT || strncmp(err.msg, "it ", 3) != 0))
        fail_msg("%d: %s", status, err.msg);
    if (status)
        return false;
    env = open_env();
    if (!env)
        return false;               /* LMDB found it out itself */
    status = pf_lmdb_check(env, "it", "leave", &err);
    if (!status)
        walk(env);
    else if (status != PF_CORRUPT || strncmp(err.msg, "it ", 3) != 0)
        fail_msg("%d: %s", status, err.msg);
    mdb_env_close(env);
    return status == PF_OK;
}

static MDB_env *open_new(const char *name)
{
    snprintf(folder, sizeof folder, "%s", test_path(name));
    mkdir(folder, 0777);
    return open_env();
}

static void check_env(MDB_env *env)
{
    pf_err err = { 0 };

    test_ok(pf_lmdb_check(env, "it", "leave", &err), &err);
}

/* Puts and deletes of all sizes; a key may come several times in one transaction, with less each time. */
static void whatever_lmdb_writes_passes(void **state)
{
    static uint8_t bytes[LARGE_BYTES];
    MDB_env       *env = open_new("odd");
    pf_random      random;

    (void)state;
    pf_random_init(&random, 5);
    for (int round = 0; round < ROUNDS; round++) {
        MDB_txn *txn = NULL;
        MDB_dbi  table = 0;

        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_dbi_open(txn, names[round % TABLES], MDB_CREATE, &table), 0);
        for (int i = 0; i < ODD_CHANGES; i++) {
            char     text[200];
            int      number = (int)pf_random_below(&random, ODD_KEYS);
            MDB_val  key = { (size_t)snprintf(text, sizeof text, "%0*d", 4 + number * 37 % 190, number), text };
            MDB_val  value = { 1 + pf_random_below(&random, i % 4 ? 900 : LARGE_BYTES), bytes };

            if (pf_random_below(&random, 3) == 0)
                mdb_del(txn, table, &key, NULL);
            else
                assert_int_equal(mdb_put(txn, table, &key, &value, 0), 0);
            value.mv_size = 1 + value.mv_size / 3;
            if (i % 8 == 0)
                assert_int_equal(mdb_put(txn, table, &key, &value, 0), 0);
        }
        assert_int_equal(mdb_txn_commit(txn), 0);
        check_env(env);
    }
    mdb_env_close(env);
}

/* Pages taken and given back in one transaction count, but are never written. */
static void a_file_that_ends_before_its_last_free_pages_passes(void **state)
{
    uint32_t shorter = 0;

    (void)state;
    for (int count = 40; count < 120; count++) {
        char        name[32];
        MDB_env    *env = NULL;
        MDB_envinfo info = { 0 };
        pf_buf      file = { 0 };
        pf_err      err = { 0 };

        snprintf(name, sizeof name, "short%d", count);
        env = open_new(name);
        for (int round = 0; round < 3; round++) {
            MDB_txn *txn = NULL;
            MDB_dbi  table = 0;

            assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
            assert_int_equal(mdb_dbi_open(txn, names[0], MDB_CREATE, &table), 0);
            for (int i = 0; i < 2 * count; i++) {
                static uint8_t bytes[900];
                int            number = i % count * 7919 % 100003 + round;
                MDB_val        key = { sizeof number, &number }, value = { sizeof bytes, bytes };

                assert_int_equal(i < count ? mdb_put(txn, table, &key, &value, 0)
                                           : i > count + round ? mdb_del(txn, table, &key, NULL) : 0, 0);
            }
            assert_int_equal(mdb_txn_commit(txn), 0);
            check_env(env);
        }
        assert_int_equal(mdb_env_info(env, &info), 0);
        snprintf(name, sizeof name, "short%d/data.mdb", count);
        test_ok(pf_file_read(test_path(name), SIZE_MAX, &file, &err), &err);
        shorter += file.size / page_bytes <= info.me_last_pgno;
        pf_buf_clear(&file);
        mdb_env_close(env);
    }
    assert_true(shorter > 0);
}

/* Of the newest state: those in use, and the few that no list of free pages names yet. */
static void a_page_of_zeros_is_found_where_it_is_in_use(void **state)
{
    uint8_t *bytes = malloc(whole.size);
    uint32_t found = 0, pages = (uint32_t)(whole.size / page_bytes);

    (void)state;
    assert_non_null(bytes);
    for (uint32_t page = 2; page < pages; page++) {
        memcpy(bytes, whole.data, whole.size);
        memset(bytes + page * page_bytes, 0, page_bytes);
        found += !check_bytes(bytes);
    }
    assert_in_range(found, 10, pages - 2);
    free(bytes);
}

/* A bit of each byte of both, and each bit of the size of pages. */
static void damaged_heads_end_nothing(void **state)
{
    enum { HEAD_BYTES = 152, PAGE_BYTES_AT = 40, PAGE_BYTES_BEFORE = 44 };
    uint8_t *bytes = malloc(whole.size);
    uint32_t refused = 0;

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, whole.data, whole.size);
    for (uint32_t i = 0; i < 2 * HEAD_BYTES; i++) {
        uint32_t byte = i % HEAD_BYTES;
        bool     all = byte >= PAGE_BYTES_AT && byte < PAGE_BYTES_BEFORE;
        uint8_t *at = bytes + i / HEAD_BYTES * page_bytes + byte;

        for (uint32_t bit = all ? 0 : byte * 5 % 8; bit <= (all ? 7 : byte * 5 % 8); bit++) {
            *at ^= (uint8_t)(1 << bit);
            refused += !check_bytes(bytes);
            *at ^= (uint8_t)(1 << bit);
        }
    }
    assert_in_range(refused, 2 * 32, 2 * HEAD_BYTES);
    free(bytes);
}

static void what_passes_can_be_walked(void **state)
{
    uint8_t  *bytes = malloc(whole.size);
    pf_random random;
    uint32_t  refused = 0;

    (void)state;
    assert_non_null(bytes);
    pf_random_init(&random, 11);
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(bytes, whole.data, whole.size);
        for (int i = 0; i < 1 + round % 8; i++) {
            uint64_t page = pf_random_below(&random, whole.size / page_bytes);
            uint64_t range = round % 2 ? page_bytes : 64;       /* heads and the places of nodes, more often */

            bytes[page * page_bytes + pf_random_below(&random, range)] ^= (uint8_t)(1 << pf_random_below(&random, 8));
        }
        refused += !check_bytes(bytes);
    }
    assert_in_range(refused, ROUNDS / 10, ROUNDS);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_zeros_is_found_where_it_is_in_use),
        cmocka_unit_test(damaged_heads_end_nothing),
        cmocka_unit_test(what_passes_can_be_walked),
        cmocka_unit_test(whatever_lmdb_writes_passes),
        cmocka_unit_test(a_file_that_ends_before_its_last_free_pages_passes),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
