/* Clients that do not read, agents that all come at once, and a reader of the database that stands still (FARM: T12,
   T13, T21). PF_UNREAD=N requests that nobody reads the answers of (100000; 5000000 with PF_LONG); PF_AGENTS=N (150;
   1000). */
#include "tests/farm/core_rig.h"

#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "coordinator/db.h"
#include "tests/farm/scripted_agent.h"

enum { AWAIT_S = 100, MAP_BYTES = 256 << 20, WRITES = 400 };

/* AddressSanitizer keeps up to 256 MiB that were freed, which here are all messages. */
#ifdef __SANITIZE_ADDRESS__
enum { MORE_KIB = (64 + 256) << 10 };
#else
enum { MORE_KIB = 64 << 10 };
#endif

/* ---- T12 */

static int64_t ask_info(pf_peer *client)
{
    Pf__Info   info = PF__INFO__INIT;
    pf_message answer = { 0 };
    int64_t    start_ns = pf_clock_ns();
    pf_err     err = { 0 };

    test_ok(pf_peer_call(client, PF_MSG_INFO, &info.base, PF_MSG_INFO_REPLY, 30 * PF_NS_PER_S, &answer, &err), &err);
    pf_message_clear(&answer);
    return pf_clock_ns() - start_ns;
}

static void who_does_not_read_costs_nobody_anything(void **state)
{
    uint64_t       unread = test_count("PF_UNREAD", 100000, 5000000), sent = 0;
    daemon_process d = { 0 };
    Pf__Info       info = PF__INFO__INIT;
    pf_peer       *slow = NULL, *other = NULL;
    int64_t        longest_ns = 0, until_ns = 0;
    long           before_kib = 0;

    (void)state;
    daemon_start(&d, test_path("unread"), NULL);
    slow = daemon_client(&d);
    other = daemon_client(&d);
    ask_info(slow);
    ask_info(other);
    before_kib = daemon_resident_kib(&d);
    until_ns = pf_clock_ns() + AWAIT_S * PF_NS_PER_S;
    while (sent < unread && pf_clock_ns() < until_ns) {
        int64_t took_ns = sent % 1000 == 0 ? ask_info(other) : 0;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
        if (pf_peer_send(slow, PF_MSG_INFO, NULL, &info.base, NULL, NULL) == PF_OK)
            sent++;
        else
            pf_clock_sleep_ns(PF_NS_PER_MS / 10);
    }
    print_message("%llu requests went out, nobody read; another client waited %lld us at most; resident %ld KiB, then "
                  "%ld\n",
                  (unsigned long long)sent, (long long)(longest_ns / PF_NS_PER_US), before_kib,
                  daemon_resident_kib(&d));
    assert_int_equal(sent, unread);         /* it goes on reading */
    assert_true(daemon_resident_kib(&d) < before_kib + MORE_KIB);
    pf_peer_close(slow);
    pf_peer_close(other);
    assert_int_equal(daemon_stop(&d), 0);
}

/* One submit of as many jobs as it may name, each of another class that has a long name. */
static void fill_queue(pf_peer *client, const pf_digest *model, int submits)
{
    char selector[PF_SELECTORS_MAX][PF_SELECTOR_BYTES], *selectors[PF_SELECTORS_MAX];

    for (int i = 0; i < submits; i++) {
        Pf__Submit submit = PF__SUBMIT__INIT;
        pf_message answer = { 0 };
        uint8_t    id[PF_SUBMIT_ID_BYTES] = { 1, (uint8_t)i };
        pf_err     err = { 0 };
        for (int k = 0; k < PF_SELECTORS_MAX; k++) {
            snprintf(selector[k], sizeof selector[k], "class-%d-%d-%0*d", i, k, PF_SELECTOR_BYTES - 20, 0);
            selectors[k] = selector[k];
        }
        submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
        submit.model_digest = (ProtobufCBinaryData){ sizeof model->byte, (uint8_t *)(uintptr_t)model->byte };
        submit.model_name = "net";
        submit.user = "tester";
        submit.selector = selectors;
        submit.n_selector = PF_SELECTORS_MAX;
        submit.wait_for_class = true;
        test_ok(pf_peer_call(client, PF_MSG_SUBMIT, &submit.base, PF_MSG_SUBMIT_REPLY, 30 * PF_NS_PER_S, &answer, &err),
                &err);
        pf_message_clear(&answer);
    }
}

static size_t list_bytes(pf_peer *client)
{
    Pf__List   list = PF__LIST__INIT;
    pf_message answer = { 0 };
    size_t     bytes = 0;
    pf_err     err = { 0 };

    list.limit = 128;
    test_ok(pf_peer_call(client, PF_MSG_LIST, &list.base, PF_MSG_LIST_REPLY, 60 * PF_NS_PER_S, &answer, &err), &err);
    bytes = protobuf_c_message_get_packed_size(answer.body);
    pf_message_clear(&answer);
    return bytes;
}

/* Until the coordinator has taken so many messages of clients. */
static void await_received(const daemon_process *d, uint64_t count)
{
    static const char name[] = "planfarm_messages_total{socket=\"clients\",what=\"received\"} ";
    uint64_t          received = 0;

    for (int64_t until_ns = pf_clock_ns() + AWAIT_S * PF_NS_PER_S; received < count;
         pf_clock_sleep_ns(20 * PF_NS_PER_MS)) {
        http_answer answer;
        const char *line = NULL;
        http_request("GET", d->http, "/metrics", NULL, NULL, 0, &answer);
        line = strstr((const char *)answer.body.data, name);
        assert_non_null(line);
        received = strtoull(line + sizeof name - 1, NULL, 10);
        http_answer_clear(&answer);
        assert_true(pf_clock_ns() < until_ns);
    }
}

/* A thousand lists of jobs for each of some clients would be a hundred megabytes; a thousand more wait at the
   client. */
static void large_answers_that_nobody_reads_are_few(void **state)
{
    enum { CLIENTS = 4, LISTS = 2500 };
    /* freed answers count otherwise */
    daemon_process d = { .variable = "ASAN_OPTIONS", .value = "quarantine_size_mb=8" };
    Pf__List       list = PF__LIST__INIT;
    pf_peer       *deaf[CLIENTS] = { NULL }, *other = NULL;
    pf_digest      model = { { 0 } };
    long           before_kib = 0;
    size_t         bytes = 0;

    (void)state;
    daemon_start(&d, test_path("large"), NULL);
    other = daemon_client(&d);
    model = http_put_model(&d, "a model");
    fill_queue(other, &model, 10);
    bytes = list_bytes(other);
    assert_true(bytes > 20000);
    before_kib = daemon_resident_kib(&d);
    list.limit = 128;
    for (int c = 0; c < CLIENTS; c++) {
        deaf[c] = daemon_client(&d);
        ask_info(deaf[c]);
        for (int64_t until_ns = pf_clock_ns() + AWAIT_S * PF_NS_PER_S, sent = 0;
             sent < LISTS && pf_clock_ns() < until_ns;) {
            if (pf_peer_send(deaf[c], PF_MSG_LIST, NULL, &list.base, NULL, NULL) == PF_OK)
                sent++;
            else
                pf_clock_sleep_ns(PF_NS_PER_MS / 10);
        }
    }
    await_received(&d, CLIENTS * LISTS);
    print_message("%d lists of %zu bytes were not read; resident %ld KiB, then %ld\n", CLIENTS * LISTS, bytes,
                  before_kib, daemon_resident_kib(&d));
    assert_true(daemon_resident_kib(&d) < before_kib + MORE_KIB);
    assert_int_equal(list_bytes(other), bytes);     /* who reads is served */
    for (int c = 0; c < CLIENTS; c++)
        pf_peer_close(deaf[c]);
    pf_peer_close(other);
    assert_int_equal(daemon_stop(&d), 0);
}

/* ---- T13 */

static void say_hello(pf_peer *peer, uint32_t number)
{
    class_hello h;
    char        name[32] = "";
    int64_t     until_ns = pf_clock_ns() + AWAIT_S * PF_NS_PER_S;

    snprintf(name, sizeof name, "agent-%u", number);
    class_hello_begin(&h, name, number + 1, "abi 1", "cpu-x", "class text");
    h.device_class.slots = 1;
    while (pf_peer_send(peer, PF_MSG_HELLO, NULL, &h.hello.base, NULL, NULL) != PF_OK && pf_clock_ns() < until_ns)
        pf_clock_sleep_ns(PF_NS_PER_MS);        /* not connected yet */
}

/* The answer to HELLO; asks again until it comes. */
static void await_welcome(pf_peer *peer, uint32_t number)
{
    int64_t until_ns = pf_clock_ns() + AWAIT_S * PF_NS_PER_S;

    while (pf_clock_ns() < until_ns) {
        pf_message message = { 0 };
        bool       welcome = pf_peer_receive(peer, PF_NS_PER_S, &message, NULL) == PF_OK &&
                             message.info->type == PF_MSG_HELLO_REPLY;
        bool       silence = message.info == NULL;
        pf_message_clear(&message);
        if (welcome)
            return;
        if (silence)
            say_hello(peer, number);
    }
    fail_msg("agent %u is not welcomed", number);
}

static void agents_that_come_at_once_are_all_welcomed(void **state)
{
    uint32_t       count = (uint32_t)test_count("PF_AGENTS", 150, 1000);
    struct rlimit  files = { 0 };
    daemon_process d = { 0 };
    pf_peer      **peer = pf_calloc(count, sizeof *peer);
    int64_t        start_ns = 0;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < count * 12)
        skip();
    daemon_start(&d, test_path("crowd"), NULL);
    for (int round = 0; round < 2; round++) {           /* the second time they are known, and the coordinator is new */
        start_ns = pf_clock_ns();
        for (uint32_t i = 0; i < count; i++)
            peer[i] = daemon_agent(&d);
        for (uint32_t i = 0; i < count; i++)
            say_hello(peer[i], i);
        for (uint32_t i = 0; i < count; i++)
            await_welcome(peer[i], i);
        print_message("%u agents were welcomed in %lld ms\n", count,
                      (long long)((pf_clock_ns() - start_ns) / PF_NS_PER_MS));
        for (uint32_t i = 0; i < count; i++)
            pf_peer_close(peer[i]);
        daemon_kill(&d);
        daemon_start(&d, test_path("crowd"), NULL);
    }
    assert_int_equal(daemon_stop(&d), 0);
    pf_free(peer);
}

/* ---- T21 */

/* A process that began to read and stands still: pages that it may see cannot be used again. */
static pid_t start_reader(const char *folder)
{
    int   ready[2] = { -1, -1 };
    char  byte = 0;
    pid_t child = -1;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        MDB_env *env = NULL;
        MDB_txn *txn = NULL;
        bool     good = mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, MAP_BYTES) == 0 &&
                        mdb_env_set_maxdbs(env, 16) == 0 && mdb_env_open(env, folder, MDB_NOTLS, 0600) == 0 &&
                        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0;
        if (write(ready[1], good ? "+" : "-", 1) == 1)
            raise(SIGSTOP);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, '+');
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void commit(void *user, const pf_out *out)
{
    pf_err err = { 0 };

    test_ok(pf_db_commit(user, out, &err), &err);
}

/* Overwrites the row of one agent again and again; how many bytes the file grew. */
static int64_t grow(rig *r, const char *folder, uint64_t *epoch)
{
    char        path[4200] = "";
    struct stat before = { 0 }, after = { 0 };

    snprintf(path, sizeof path, "%s/data.mdb", folder);
    assert_int_equal(stat(path, &before), 0);
    for (int i = 0; i < WRITES; i++)
        rig_hello(r, AGENT_1, ++*epoch, 1);
    rig_drop_mail(r);
    assert_int_equal(stat(path, &after), 0);
    return (int64_t)(after.st_size - before.st_size);
}

static void a_reader_that_was_killed_pins_no_pages(void **state)
{
    char     folder[4096] = "";
    rig      r = { .written = commit };
    pf_db   *db = NULL;
    pid_t    reader = -1;
    uint64_t epoch = 0;
    int64_t  with_reader = 0, with_dead_reader = 0, after = 0;
    pf_err   err = { 0 };

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("readers"));
    test_ok(pf_db_open(folder, MAP_BYTES, &db, &err), &err);
    r.user = db;
    rig_open(&r);
    grow(&r, folder, &epoch);
    reader = start_reader(folder);
    with_reader = grow(&r, folder, &epoch);
    kill(reader, SIGKILL);
    waitpid(reader, NULL, 0);
    with_dead_reader = grow(&r, folder, &epoch);
    pf_db_check_readers(db);
    grow(&r, folder, &epoch);           /* what was pinned comes free with the next commits */
    after = grow(&r, folder, &epoch);
    print_message("bytes grown by %d commits: %lld with a reader that stands still, %lld with a dead one, %lld after "
                  "the check\n",
                  WRITES, (long long)with_reader, (long long)with_dead_reader, (long long)after);
    assert_true(with_reader > 0);
    assert_int_equal(after, 0);
    rig_close(&r);
    pf_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_does_not_read_costs_nobody_anything),
        cmocka_unit_test(large_answers_that_nobody_reads_are_few),
        cmocka_unit_test(agents_that_come_at_once_are_all_welcomed),
        cmocka_unit_test(a_reader_that_was_killed_pins_no_pages),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
