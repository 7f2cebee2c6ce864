/* State folders of other versions: older ones are brought up to date, newer ones refused (FARM: T19).
   The older folder is made of a present one by taking back, row by row, what each version added: rows.h and
   state_format.h. */
#include "tests/test.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/file.h"
#include "coordinator/rows.h"
#include "coordinator/state_format.h"
#include "tests/farm/scripted_agent.h"

enum { MAP_BYTES = 64 << 20, SUM_BYTES = 8, ROW_MAX = 1 << 16, USED_BYTES = 8, AWAIT_S = 60 };
static const Pf__JobState COMMITTED = PF__JOB_STATE__STATE_COMMITTED;

static char folder[4096];

static const char *in_state(const char *name)
{
    static char path[4][4200];
    static int  next;
    char       *out = path[next++ % 4];

    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static void write_text(const char *name, const char *text)
{
    pf_err err = { 0 };

    test_ok(pf_file_write(in_state(name), text, strlen(text), &err), &err);
}

static void expect_text(const char *name, const char *wanted)
{
    pf_buf text = { 0 };
    pf_err err = { 0 };

    test_ok(pf_file_read(in_state(name), 255, &text, &err), &err);
    assert_string_equal((char *)text.data, wanted);
    pf_buf_clear(&text);
}

/* ---- rows of another version */

/* Of a job that never crashed: version and numbers, five digests; then the spec's digest, texts, and the spec. */
enum { JOB_NUMBERS = 72, JOB_DIGESTS = 5, JOB_TEXTS = 6, SUBMIT_ID = 2 + 16, BODY_BYTES = 12 };

static size_t put_spec_digest(uint8_t *row, size_t bytes)
{
    const size_t at = JOB_NUMBERS + JOB_DIGESTS * sizeof(pf_digest);
    pf_reader    in = { 0 };
    char         text[4096] = "";
    pf_digest    digest = { 0 };

    pf_reader_init(&in, row + at + sizeof digest, bytes - at - sizeof digest);
    for (int i = 0; i < JOB_TEXTS; i++)
        assert_true(pf_read_string(&in, text, sizeof text));
    pf_read_bytes(&in, PF_WIRE_TRACE_BYTES);
    assert_true(pf_read_string(&in, text, sizeof text));
    assert_true(pf_reader_done(&in));
    pf_digest_of(text, strlen(text), &digest);
    assert_true(pf_digest_is_zero((const pf_digest *)(row + at)));
    memcpy(row + at, &digest, sizeof digest);
    return bytes;
}

/* What stood behind the bytes that are kept, nobody knows any more, or asks for. */
static size_t lengthen_body(uint8_t *row, size_t bytes)
{
    const size_t at = SUBMIT_ID + BODY_BYTES, more = sizeof(pf_digest) - BODY_BYTES;

    memmove(row + at + more, row + at, bytes - at);
    memset(row + at, 0xab, more);
    return bytes + more;
}

/* Takes back what the versions after that one changed. */
static size_t take_back(uint16_t version, pf_table table, uint8_t *row, size_t bytes)
{
    if (version <= 2 && table == PF_ROWS_JOBS)
        bytes = put_spec_digest(row, bytes);
    if (version <= 2 && table == PF_ROWS_SUBMITS)
        bytes = lengthen_body(row, bytes);
    if (version <= 1 && table == PF_ROWS_PLANS)
        bytes -= USED_BYTES;
    return bytes;
}

static void put_sum_until_2(pf_table table, const MDB_val *key, uint8_t *row, size_t bytes)
{
    uint8_t   number = (uint8_t)table;
    pf_hash   hash;
    pf_digest digest = { 0 };

    pf_hash_init(&hash);
    pf_hash_add(&hash, &number, 1);
    pf_hash_add(&hash, key->mv_data, key->mv_size);
    pf_hash_add(&hash, row, bytes);
    pf_hash_end(&hash, &digest);
    memcpy(row + bytes, digest.byte, SUM_BYTES);
}

static void put_sum(pf_table table, const MDB_val *key, uint8_t *row, size_t bytes)
{
    uint64_t sum = pf_checksum(pf_checksum((uint64_t)table, key->mv_data, key->mv_size), row, bytes);

    for (int i = 0; i < SUM_BYTES; i++)
        row[bytes + (size_t)i] = (uint8_t)(sum >> (8 * i));
}

/* A row of the present version, or of a later one, as that version writes it. */
static size_t write_as(uint16_t version, pf_table table, const MDB_val *key, const MDB_val *value, uint8_t *out)
{
    size_t bytes = value->mv_size - SUM_BYTES;

    assert_true(value->mv_size <= ROW_MAX - sizeof(pf_digest) && value->mv_size > 2 + SUM_BYTES);
    memcpy(out, value->mv_data, bytes);
    bytes = take_back(version, table, out, bytes);
    out[0] = (uint8_t)version;
    out[1] = 0;
    if (version <= 2)
        put_sum_until_2(table, key, out, bytes);
    else
        put_sum(table, key, out, bytes);
    return bytes + SUM_BYTES;
}

static uint32_t rewrite_table(MDB_txn *txn, pf_table table, uint16_t version)
{
    static uint8_t row[ROW_MAX];
    MDB_dbi        dbi = 0;
    MDB_cursor    *cursor = NULL;
    MDB_val        key = { 0 }, value = { 0 };
    uint32_t       count = 0;

    assert_int_equal(mdb_dbi_open(txn, pf_table_name(table), 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        uint8_t name[PF_AGENT_NAME_BYTES] = { 0 };      /* what is put must not lie in the page that is changed */
        MDB_val same = { key.mv_size, name }, other = { write_as(version, table, &key, &value, row), row };
        assert_true(key.mv_size <= sizeof name);
        memcpy(name, key.mv_data, key.mv_size);
        assert_int_equal(mdb_cursor_put(cursor, &same, &other, MDB_CURRENT), 0);
        count++;
    }
    mdb_cursor_close(cursor);
    return count;
}

static MDB_env *open_database(const char *path, unsigned flags)
{
    MDB_env *env = NULL;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, PF_ROWS_COUNT), 0);
    assert_int_equal(mdb_env_set_mapsize(env, MAP_BYTES), 0);
    assert_int_equal(mdb_env_open(env, path, flags, 0600), 0);
    return env;
}

static void rewrite_rows(uint16_t version)
{
    MDB_env *env = open_database(in_state("db"), 0);
    MDB_txn *txn = NULL;
    uint32_t count = 0;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    for (int t = 0; t < PF_ROWS_COUNT; t++)
        count += rewrite_table(txn, (pf_table)t, version);
    assert_true(count >= 5);            /* meta, class, agent, plan, job, submit */
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static uint16_t newest_version_in(const char *path)
{
    MDB_env *env = open_database(path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK);
    MDB_txn *txn = NULL;
    uint16_t newest = 0;

    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    for (int t = 0; t < PF_ROWS_COUNT; t++) {
        MDB_dbi     dbi = 0;
        MDB_cursor *cursor = NULL;
        MDB_val     key = { 0 }, value = { 0 };
        assert_int_equal(mdb_dbi_open(txn, pf_table_name((pf_table)t), 0, &dbi), 0);
        assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
            newest = ((uint8_t *)value.mv_data)[0] > newest ? ((uint8_t *)value.mv_data)[0] : newest;
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return newest;
}

/* ---- a farm with a plan and a job that waits */

static uint64_t make_state(uint64_t *waiting)
{
    const char *const no_copies[] = { "--backup-minutes", "0", NULL };
    daemon_process    d = { 0 };
    uint64_t          done = 0;

    daemon_start(&d, folder, no_copies);
    done = scripted_build_of_two(&d, waiting);
    assert_int_equal(daemon_stop(&d), 0);
    return done;
}

/* All is there, what waits is built, and asking again for what was built finds it. */
static void check_farm(uint64_t done, uint64_t waiting)
{
    /* which does not count from a time that no row tells */
    const char *const short_memory[] = { "--plan-days", "1", NULL };
    daemon_process    d = { 0 };
    scripted_agent    agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 1 };
    pf_digest         one = { 0 };
    pf_peer          *client = NULL;

    daemon_start(&d, folder, short_memory);
    client = daemon_client(&d);
    await_state(client, done, COMMITTED, AWAIT_S);
    scripted_agent_start(&agent);
    await_state(client, waiting, COMMITTED, AWAIT_S);
    one = http_put_model(&d, "one");
    assert_int_equal(must_submit(client, 9, &one, "one"), done);
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

static void upgrade_from(uint16_t version, const char *first_kept, const char *name)
{
    char     text[64] = "";
    uint64_t done = 0, waiting = 0;

    snprintf(folder, sizeof folder, "%s", test_path(name));
    done = make_state(&waiting);
    rewrite_rows(version);
    snprintf(text, sizeof text, "planfarm-state %d\n", version);
    write_text("format", text);
    check_farm(done, waiting);
    expect_text("format", "planfarm-state 3\n");
    assert_int_equal(newest_version_in(in_state(first_kept)), version);
    assert_int_equal(newest_version_in(in_state("backup/format-2.mdb")), version);
    assert_int_equal(newest_version_in(in_state("db/data.mdb")), 3);
    check_farm(done, waiting);
}

static void an_older_state_is_upgraded(void **state)
{
    (void)state;
    upgrade_from(1, "backup/format-1.mdb", "older");
    upgrade_from(2, "backup/format-2.mdb", "old");
}

/* Cut off after the step and before the version was written: it is done again. */
static void an_upgrade_may_be_cut_off(void **state)
{
    uint64_t done = 0, waiting = 0;

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("cut"));
    done = make_state(&waiting);
    rewrite_rows(1);
    write_text("format", "planfarm-state 1\n");
    assert_int_equal(pf_dir_make(in_state("backup"), NULL), PF_OK);
    write_text("backup/format-1.mdb", "half of it");
    check_farm(done, waiting);
    assert_int_equal(newest_version_in(in_state("backup/format-1.mdb")), 1);
}

static void a_newer_state_is_refused_and_left_alone(void **state)
{
    pf_state_dir   dir = { 0 };
    daemon_process d = { 0 };
    uint64_t       waiting = 0, done = 0;
    char           newer[64] = "";
    pf_err         err = { 0 };

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("newer"));
    done = make_state(&waiting);
    snprintf(newer, sizeof newer, "planfarm-state %d\n", PF_STATE_FORMAT + 1);
    write_text("format", newer);
    assert_int_equal(daemon_start_fails(&d, folder, NULL), pf_status_exit_code(PF_STALE));
    assert_int_equal(pf_state_dir_open(folder, 0, false, &dir, &err), PF_STALE);
    assert_non_null(strstr(err.msg, "newer planfarm"));
    pf_err_clear(&err);
    expect_text("format", newer);
    write_text("format", "planfarm-state 3 or so\n");
    test_fails(pf_state_dir_open(folder, 0, false, &dir, &err), PF_CORRUPT, &err);
    write_text("format", "planfarm-state 3\n");
    rewrite_rows(4);                    /* rows of a newer planfarm under an old number */
    assert_int_equal(daemon_start_fails(&d, folder, NULL), pf_status_exit_code(PF_STALE));
    rewrite_rows(3);
    check_farm(done, waiting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_state_is_upgraded),
        cmocka_unit_test(an_upgrade_may_be_cut_off),
        cmocka_unit_test(a_newer_state_is_refused_and_left_alone),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
