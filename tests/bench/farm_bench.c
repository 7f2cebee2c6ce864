/* How fast the coordinator is, with the disk's own speed beside it and beanstalkd in the same run.
   Usage: farm_bench [NAME...]    all when none is named: disk submit paced cycle heartbeat timing restart get beanstalkd
   PF_BENCH_JOBS=N  submits of the throughput run and jobs of the restart (20000). */
#include "tests/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "proto/timing_remote.h"
#include "tests/bench/farm_load.h"
#include "tests/farm/daemon.h"

static daemon_process d;
static pf_digest      model;
static uint64_t       jobs;
static char           state_folder[4096];

static void say(const char *what, double value, const char *unit, const char *target)
{
    printf("%-44s %12.1f %-10s %s\n", what, value, unit, target);
    fflush(stdout);
}

/* ---- the process's own figures */

static double cpu_seconds(pid_t pid)
{
    char          path[64] = "", text[1024] = "", *at = NULL;
    unsigned long user = 0, system_time = 0;
    FILE         *file = NULL;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    if (!file || !fgets(text, sizeof text, file))
        return 0;
    fclose(file);
    at = strrchr(text, ')');
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system_time) != 2)
        return 0;
    return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

/* Without the pages of mapped files: those of the database belong to the page cache. */
static double own_mib(pid_t pid)
{
    char   path[64] = "";
    long   pages = 0, shared = 0;
    FILE  *file = NULL;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%*d %ld %ld", &pages, &shared) != 2)
        pages = shared = 0;
    if (file)
        fclose(file);
    return (double)(pages - shared) * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* ---- disk */

static void bench_disk(void)
{
    static char block[4096];
    int         fd = open(test_path("sync"), O_RDWR | O_CREAT, 0600);
    int64_t     start_ns = pf_clock_ns();
    int         count = 500;

    for (int i = 0; i < count; i++)
        if (pwrite(fd, block, sizeof block, (off_t)i * 4096) != 4096 || fdatasync(fd) != 0)
            fail_msg("the disk fails");
    say("fdatasync of 4 KiB", (double)(pf_clock_ns() - start_ns) / 1e3 / count, "us", "");
    close(fd);
}

/* ---- submits */

static void submit_request(void *user, uint64_t n, pf_buf *frame)
{
    uint64_t       offset = *(uint64_t *)user + n;
    pf_wire_header header = { .msg_id = n + 1 };
    Pf__Submit     submit = PF__SUBMIT__INIT;
    uint8_t        id[PF_SUBMIT_ID_BYTES] = { 0 };
    char           spec[64] = "";
    char          *selectors[] = { "bench" };

    memcpy(id, &offset, sizeof offset);
    snprintf(spec, sizeof spec, "spec of job %llu", (unsigned long long)offset);
    submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    submit.model_digest = pf_wire_bytes(&model);
    submit.model_name = (char *)"model.onnx";
    submit.user = (char *)"bench";
    submit.spec_text = spec;
    submit.selector = selectors;
    submit.n_selector = 1;
    pf_wire_pack(PF_MSG_SUBMIT, &header, &submit.base, frame, NULL);
}

static uint64_t next_submit;

static void bench_submit(void)
{
    farm_load load = { .endpoint = d.client, .sockets = 256, .in_flight = 1, .requests = jobs, .request = submit_request,
                       .user = &next_submit };

    farm_load_run(&load);
    next_submit += load.requests;
    assert_int_equal(load.answered, load.requests);
    say("durable submits, 256 clients", (double)load.answered / load.seconds, "/s", ">= 40000");
    say("  p99", load.p99_ms, "ms", "<= 15");
    load = (farm_load){ .endpoint = d.client, .sockets = 64, .in_flight = 16, .requests = jobs * 2, .request = submit_request,
                        .user = &next_submit };
    farm_load_run(&load);
    next_submit += load.requests;
    say("durable submits, 64 clients x 16", (double)load.answered / load.seconds, "/s", "");
    say("coordinator's own memory after them", own_mib(d.pid), "MiB", "<= 400 at 1 M jobs");
}

static void bench_paced(void)
{
    farm_load load = { .endpoint = d.client, .sockets = 16, .in_flight = 64, .requests = 3000, .per_second = 1000,
                       .request = submit_request, .user = &next_submit };

    farm_load_run(&load);
    next_submit += load.requests;
    say("durable submit at 1000/s, p50", load.p50_ms, "ms", "");
    say("  p99", load.p99_ms, "ms", "<= 2");
}

/* ---- the whole cycle: one agent with many slots, whose builds are all the same bytes */

typedef struct cycle { void *socket; pf_digest plan; uint64_t committed, next_id; } cycle;

static void agent_say(cycle *c, pf_msg_type type, const ProtobufCMessage *body)
{
    pf_wire_header header = { .msg_id = ++c->next_id };
    pf_buf         frame = { 0 };

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    if (pf_wire_pack(type, &header, body, &frame, NULL) == PF_OK)
        zmq_send(c->socket, frame.data, frame.size, 0);
    pf_buf_clear(&frame);
}

static void agent_hello(cycle *c, const char *name, uint32_t slots)
{
    Pf__Hello       hello = PF__HELLO__INIT;
    Pf__DeviceClass device_class = PF__DEVICE_CLASS__INIT, *classes[] = { &device_class };

    hello.agent_epoch = 1;
    hello.name = (char *)name;
    hello.builder_abi = (char *)"bench 1";
    device_class.class_text = (char *)"class bench";
    device_class.class_name = (char *)"bench";
    device_class.slots = slots;
    hello.device_class = classes;
    hello.n_device_class = 1;
    agent_say(c, PF_MSG_HELLO, &hello.base);
}

static void take_offer(cycle *c, const Pf__Offer *offer)
{
    Pf__OfferReply reply = PF__OFFER_REPLY__INIT;
    Pf__Complete   complete = PF__COMPLETE__INIT;

    reply.job_id = complete.job_id = offer->job_id;
    reply.attempt = complete.attempt = offer->attempt;
    reply.fence = complete.fence = offer->fence;
    reply.accepted = true;
    agent_say(c, PF_MSG_OFFER_REPLY, &reply.base);
    complete.plan_digest = pf_wire_bytes(&c->plan);
    complete.plan_bytes = 4;
    complete.summary_json = (char *)"{}";
    agent_say(c, PF_MSG_COMPLETE, &complete.base);
}

static bool take_message(cycle *c)
{
    pf_message message = { 0 };
    zmq_msg_t  frame;
    bool       got = false;

    zmq_msg_init(&frame);
    got = zmq_msg_recv(&frame, c->socket, 0) >= 0;
    if (got && pf_wire_unpack(zmq_msg_data(&frame), zmq_msg_size(&frame), PF_ROLE_COORD, PF_ROLE_AGENT, &message, NULL) == PF_OK) {
        if (message.info->type == PF_MSG_OFFER)
            take_offer(c, (const Pf__Offer *)message.body);
        c->committed += message.info->type == PF_MSG_COMPLETE_REPLY &&
                        ((const Pf__CompleteReply *)message.body)->outcome == PF__OUTCOME__OUTCOME_COMMITTED;
    }
    pf_message_clear(&message);
    zmq_msg_close(&frame);
    return got;
}

static void *connect_dealer(void *context, const char *endpoint)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int   linger = 0, wait_ms = 5000, high = 100000;

    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &high, sizeof high);
    zmq_connect(socket, endpoint);
    return socket;
}

/* The jobs that the other runs left in the queue are what it builds. */
static void bench_cycle(void)
{
    void    *context = zmq_ctx_new();
    cycle    c = { .socket = connect_dealer(context, d.agent) };
    int64_t  start_ns = 0;
    uint64_t wanted = next_submit;

    assert_true(http_put_blob(&d, "plan", 4, &c.plan) < 300);
    start_ns = pf_clock_ns();
    agent_hello(&c, "cycle", 256);
    while (c.committed < wanted && take_message(&c))
        ;
    say("offer, lease, complete, verify, commit", (double)c.committed / ((double)(pf_clock_ns() - start_ns) / 1e9), "jobs/s",
        ">= 8000 with its submit");
    {
        Pf__Goodbye bye = PF__GOODBYE__INIT;
        bye.agent_epoch = 1;
        agent_say(&c, PF_MSG_GOODBYE, &bye.base);
    }
    zmq_close(c.socket);
    zmq_ctx_term(context);
}

/* ---- heartbeats: as many a second as 10,000 agents send */

static void beat_request(void *user, uint64_t n, pf_buf *frame)
{
    pf_wire_header header = { .msg_id = n + 1 };
    Pf__Heartbeat  beat = PF__HEARTBEAT__INIT;

    (void)user;
    beat.agent_epoch = 1;
    pf_wire_pack(PF_MSG_HEARTBEAT, &header, &beat.base, frame, NULL);
}

/* Each socket says HELLO with its first message, and beats from then on. */
static void hello_or_beat(void *user, uint64_t n, pf_buf *frame)
{
    pf_wire_header  header = { .msg_id = n + 1 };
    Pf__Hello       hello = PF__HELLO__INIT;
    Pf__DeviceClass device_class = PF__DEVICE_CLASS__INIT, *classes[] = { &device_class };
    char            name[32] = "";

    if (n >= *(const uint64_t *)user) {
        beat_request(NULL, n, frame);
        return;
    }
    snprintf(name, sizeof name, "beater-%llu", (unsigned long long)n);
    hello.agent_epoch = 1;
    hello.name = name;
    hello.builder_abi = (char *)"bench 1";
    device_class.class_text = (char *)"class idle";
    device_class.class_name = (char *)"idle";
    hello.device_class = classes;
    hello.n_device_class = 1;
    pf_wire_pack(PF_MSG_HELLO, &header, &hello.base, frame, NULL);
}

static void bench_heartbeat(void)
{
    uint64_t  agents = 500;
    farm_load load = { .endpoint = d.agent, .sockets = (uint32_t)agents, .in_flight = 1, .requests = agents + 20000,
                       .per_second = 2000, .request = hello_or_beat, .user = &agents };
    double    before = cpu_seconds(d.pid);

    farm_load_run(&load);
    say("heartbeats at 2000/s (10,000 agents at 5 s)", (cpu_seconds(d.pid) - before) / load.seconds * 100, "% of core", "< 10");
    say("  p99", load.p99_ms, "ms", "");
}

/* ---- timing cache */

static pf_status ignore(void *user, uint32_t index, const char *class_text, const char *problem_text,
                        const pf_timing_record *record, pf_err *err)
{
    (void)index;
    (void)class_text;
    (void)problem_text;
    (void)err;
    *(uint64_t *)user += record->count;
    return PF_OK;
}

static void bench_timing(void)
{
    enum { PROBLEMS = 1000, ROUNDS = 20, ENTRIES = 20 };
    static pf_digest problems[PROBLEMS];
    pf_peer         *peer = daemon_agent(&d);
    pf_digest        device_class = { 0 };
    uint64_t         entries = 0;
    int64_t          start_ns = pf_clock_ns();

    pf_digest_of("class t", 7, &device_class);
    for (int i = 0; i < PROBLEMS; i++) {
        pf_timing_record record = { 0 };
        char             text[32] = "";
        snprintf(text, sizeof text, "problem %d", i);
        pf_digest_of(text, strlen(text), &problems[i]);
        for (int k = 0; k < ENTRIES; k++) {
            pf_timing_entry entry = { .tactic = "tactic", .status = PF_TIMED, .sample_count = 3, .min_ns = 5 };
            snprintf(entry.tuning, sizeof entry.tuning, "%d", k);
            pf_timing_record_put(&record, &entry, NULL);
        }
        assert_int_equal(pf_timing_remote_store(peer, "class t", text, &record, 10 * PF_NS_PER_S, NULL), PF_OK);
        pf_timing_record_clear(&record);
    }
    say("timings stored one by one, each durable", PROBLEMS / ((double)(pf_clock_ns() - start_ns) / 1e9), "/s", "");
    start_ns = pf_clock_ns();
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(pf_timing_remote_lookup(peer, &device_class, problems, PROBLEMS, 10 * PF_NS_PER_S, ignore, &entries, NULL),
                         PF_OK);
    assert_int_equal(entries, (uint64_t)PROBLEMS * ROUNDS * ENTRIES);
    say("timings looked up in batches of 1000", PROBLEMS * ROUNDS / ((double)(pf_clock_ns() - start_ns) / 1e9), "keys/s",
        ">= 300000 (20 entries each)");
    pf_peer_close(peer);
}

/* ---- restart */

static void bench_restart(void)
{
    pf_peer   *client = NULL;
    Pf__Info   info = PF__INFO__INIT;
    pf_message answer = { 0 };
    int64_t    start_ns = 0;

    daemon_kill(&d);
    start_ns = pf_clock_ns();
    daemon_start(&d, state_folder, NULL);
    client = daemon_client(&d);
    assert_int_equal(pf_peer_call(client, PF_MSG_INFO, &info.base, PF_MSG_INFO_REPLY, 30 * PF_NS_PER_S, &answer, NULL), PF_OK);
    pf_message_clear(&answer);
    pf_peer_close(client);
    say("restart, CPU of the coordinator", cpu_seconds(d.pid) * 1e3, "ms", "");
    say("restart to the first answer", (double)(pf_clock_ns() - start_ns) / 1e6, "ms", "<= 2000 with 1 M jobs");
    say("  jobs in the state", (double)next_submit, "", "");
}

/* ---- HTTP */

static void bench_get(void)
{
    enum { BYTES = 256 << 20 };
    char       *data = pf_calloc(1, BYTES);
    char        hex[PF_DIGEST_HEX_BYTES] = "", path[128] = "";
    pf_digest   digest = { 0 };
    http_answer answer;
    int64_t     start_ns = pf_clock_ns();

    assert_true(http_put_blob(&d, data, BYTES, &digest) < 300);
    say("blob PUT, hashed and synced", BYTES / 1e6 / ((double)(pf_clock_ns() - start_ns) / 1e9), "MB/s", "");
    pf_free(data);
    pf_digest_to_hex(&digest, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    start_ns = pf_clock_ns();
    http_request("GET", d.http, path, NULL, NULL, 0, &answer);
    assert_int_equal(answer.body.size, BYTES);
    say("blob GET, one connection", BYTES / 1e6 / ((double)(pf_clock_ns() - start_ns) / 1e9), "MB/s", "10 Gbit/s = 1250");
    http_answer_clear(&answer);
}

/* ---- beanstalkd, the peer for durable submits */

enum { BEAN_CLIENTS = 256 };

static int connect_bean(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void put_bean(int fd)
{
    static char command[400];
    int         bytes = snprintf(command, sizeof command, "put 0 0 60 256\r\n%0256d\r\n", 7);

    if (write(fd, command, (size_t)bytes) != bytes)
        fail_msg("beanstalkd closed the connection");
}

/* 256 clients that each wait for their answer, as in bench_submit; every put synced (-f 0). */
static void run_bean(int port)
{
    zmq_pollitem_t item[BEAN_CLIENTS];
    uint64_t       sent = 0, answered = 0;
    int64_t        start_ns = 0;

    for (int i = 0; i < BEAN_CLIENTS; i++)
        item[i] = (zmq_pollitem_t){ NULL, connect_bean(port), ZMQ_POLLIN, 0 };
    start_ns = pf_clock_ns();
    for (int i = 0; i < BEAN_CLIENTS; i++, sent++)
        put_bean(item[i].fd);
    while (answered < jobs && zmq_poll(item, BEAN_CLIENTS, 5000) > 0)
        for (int i = 0; i < BEAN_CLIENTS; i++) {
            char reply[64];
            if (!(item[i].revents & ZMQ_POLLIN) || read(item[i].fd, reply, sizeof reply) <= 0)
                continue;
            answered++;
            if (sent < jobs) {
                put_bean(item[i].fd);
                sent++;
            }
        }
    say("beanstalkd -f 0, durable puts, 256 clients", (double)answered / ((double)(pf_clock_ns() - start_ns) / 1e9), "/s", "the peer");
    for (int i = 0; i < BEAN_CLIENTS; i++)
        close(item[i].fd);
}

static void bench_beanstalkd(void)
{
    enum { PORT = 21311 };
    pid_t pid = -1;
    int   fd = -1;

    if (access("/usr/bin/beanstalkd", X_OK) != 0) {
        printf("beanstalkd is not installed: apt-get install beanstalkd\n");
        return;
    }
    mkdir(test_path("bean"), 0700);
    pid = fork();
    if (pid == 0) {
        execl("/usr/bin/beanstalkd", "beanstalkd", "-l", "127.0.0.1", "-p", "21311", "-b", test_path("bean"), "-f", "0", NULL);
        _exit(127);
    }
    for (int i = 0; i < 100 && fd < 0; i++) {
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
        fd = connect_bean(PORT);
    }
    if (fd >= 0) {
        close(fd);
        run_bean(PORT);
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

/* ---- */

static const struct bench { const char *name; void (*run)(void); } benches[] = {
    { "disk", bench_disk },           { "submit", bench_submit },   { "paced", bench_paced },   { "restart", bench_restart },
    { "cycle", bench_cycle },         { "heartbeat", bench_heartbeat }, { "timing", bench_timing }, { "get", bench_get },
    { "beanstalkd", bench_beanstalkd },
};

static char **wanted;

static bool is_wanted(const char *name)
{
    if (!wanted[0])
        return true;
    for (char **at = wanted; *at; at++)
        if (strcmp(*at, name) == 0)
            return true;
    return false;
}

/* The class must be known before it is submitted to; the agent that says so goes away again. */
static void declare_class(void)
{
    void       *context = zmq_ctx_new();
    cycle       c = { .socket = connect_dealer(context, d.agent) };
    Pf__Goodbye bye = PF__GOODBYE__INIT;

    agent_hello(&c, "declares", 1);
    assert_true(take_message(&c));
    bye.agent_epoch = 1;
    agent_say(&c, PF_MSG_GOODBYE, &bye.base);
    pf_clock_sleep_ns(100 * PF_NS_PER_MS);
    zmq_close(c.socket);
    zmq_ctx_term(context);
}

static void run_all(void **state)
{
    const char *text = getenv("PF_BENCH_JOBS");

    (void)state;
    jobs = text && text[0] ? strtoull(text, NULL, 10) : 20000;
    snprintf(state_folder, sizeof state_folder, "%s", test_path("state"));
    daemon_start(&d, state_folder, NULL);
    say("coordinator's own memory, idle", own_mib(d.pid), "MiB", "<= 20");
    model = http_put_model(&d, "bench model");
    declare_class();
    for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
        if (is_wanted(benches[i].name))
            benches[i].run();
    assert_int_equal(daemon_stop(&d), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(run_all) };

    (void)argc;
    wanted = argv + 1;
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
