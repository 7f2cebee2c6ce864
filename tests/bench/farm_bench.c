/* How fast the coordinator is, with the disk's own speed beside it and beanstalkd in the same run.
   Usage: farm_bench [NAME...]    all when none is named: disk submit beanstalkd paced cycle agents timing restart get
   PF_BENCH_JOBS=N     submits of each throughput run (20000)
   PF_BENCH_QUEUED=N   jobs in the queue when it is restarted (100000)
   PF_BENCH_ROUNDS=N   (3) */
#include "tests/bench/farm_bench.h"

#include "tests/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

static farm_bench bench;

/* ---- the process's own figures */

double farm_cpu_seconds(pid_t pid)
{
    char          path[64] = "", text[1024] = "", *at = NULL;
    unsigned long user = 0, system_time = 0;
    FILE         *file = NULL;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    if (!file || !fgets(text, sizeof text, file))
        fail_msg("the coordinator is gone");
    fclose(file);
    at = strrchr(text, ')');
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system_time) != 2)
        return 0;
    return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

double farm_own_mib(pid_t pid)
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
    enum { COUNT = 1000 };
    static char   block[4096];
    static double took_us[COUNT];
    int           fd = open(test_path("sync"), O_RDWR | O_CREAT, 0600);

    for (int i = 0; i < COUNT; i++) {
        int64_t start_ns = pf_clock_ns();
        if (pwrite(fd, block, sizeof block, (off_t)i * 4096) != 4096 || fdatasync(fd) != 0)
            fail_msg("the disk fails");
        took_us[i] = (double)(pf_clock_ns() - start_ns) / 1e3;
    }
    close(fd);
    qsort(took_us, COUNT, sizeof took_us[0], farm_by_value);
    farm_note(FARM_SYNC_P50, took_us[COUNT / 2]);
    farm_note(FARM_SYNC_P99, took_us[COUNT - COUNT / 100]);
}

/* ---- submits */

static void submit_request(void *user, uint64_t n, pf_buf *frame)
{
    farm_bench    *b = user;
    uint64_t       offset = b->next_submit + n;
    pf_wire_header header = { .msg_id = n + 1 };
    Pf__Submit     submit = PF__SUBMIT__INIT;
    uint8_t        id[PF_SUBMIT_ID_BYTES] = { 0 };
    char           spec[64] = "";
    char          *selectors[] = { "bench" };

    memcpy(id, &offset, sizeof offset);
    snprintf(spec, sizeof spec, "spec of job %llu", (unsigned long long)offset);
    submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    submit.model_digest = pf_wire_bytes(&b->model);
    submit.model_name = (char *)"model.onnx";
    submit.user = (char *)"bench";
    submit.spec_text = spec;
    submit.selector = selectors;
    submit.n_selector = 1;
    pf_wire_pack(PF_MSG_SUBMIT, &header, &submit.base, frame, NULL);
}

/* One job for the one selector. */
static bool is_submit_answer(void *user, uint64_t n, const pf_message *answer)
{
    const Pf__SubmitReply *reply = (const Pf__SubmitReply *)answer->body;

    (void)user;
    (void)n;
    return answer->info->type == PF_MSG_SUBMIT_REPLY && reply->n_job == 1 && reply->job[0]->job_id;
}

farm_load farm_submit_load(farm_bench *b, uint32_t sockets, uint32_t in_flight, uint64_t requests)
{
    return (farm_load){ .endpoint = b->d.client, .role = PF_ROLE_CLIENT, .sockets = sockets, .in_flight = in_flight,
                        .requests = requests, .request = submit_request, .is_answer = is_submit_answer,
                        .user = b };
}

void farm_run_submits(farm_bench *b, farm_load *load)
{
    farm_load_run(load);
    assert_int_equal(load->answered, load->requests);
    b->next_submit += load->requests + load->sockets;
}

static void bench_submit(void)
{
    farm_load load = farm_submit_load(&bench, 256, 1, bench.jobs);
    double    cpu = farm_cpu_seconds(bench.d.pid);

    farm_run_submits(&bench, &load);
    farm_note(FARM_SUBMITS, (double)load.answered / load.seconds);
    farm_note(FARM_SUBMITS_P99, load.p99_ms);
    farm_note(FARM_SUBMITS_CPU, (farm_cpu_seconds(bench.d.pid) - cpu) * 1e6 / (double)load.answered);
    load = farm_submit_load(&bench, 64, 16, bench.jobs);
    farm_run_submits(&bench, &load);
    farm_note(FARM_DEEP, (double)load.answered / load.seconds);
}

/* All threads of the coordinator, and this one, whose children do the same.  False where that is not allowed. */
static bool go_ahead_of_others(int policy)
{
    struct sched_param param = { .sched_priority = policy == SCHED_RR };
    char               path[64] = "";
    DIR               *threads = NULL;
    bool               all = sched_setscheduler(0, policy, &param) == 0;

    snprintf(path, sizeof path, "/proc/%d/task", (int)bench.d.pid);
    threads = opendir(path);
    for (struct dirent *entry = threads ? readdir(threads) : NULL; entry; entry = readdir(threads))
        if (entry->d_name[0] != '.')
            all = sched_setscheduler((pid_t)strtol(entry->d_name, NULL, 10), policy, &param) == 0 && all;
    if (threads)
        closedir(threads);
    return all;
}

/* The coordinator's histogram of the time from a batch's first message to its acknowledgement. */
enum { STEPS_MAX = 32 };

typedef struct ack_histogram { double limit_s[STEPS_MAX]; uint64_t count[STEPS_MAX]; int steps; } ack_histogram;

static void read_acks(ack_histogram *out)
{
    static const char begin[] = "\nplanfarm_ack_seconds_bucket{le=\"";
    http_answer       answer = { 0 };

    pf_clock_sleep_ns(3 * PF_NS_PER_S / 2);     /* metrics are gathered once a second */
    http_request("GET", bench.d.http, "/metrics", NULL, NULL, 0, &answer);
    assert_int_equal(answer.code, 200);
    *out = (ack_histogram){ 0 };
    for (const char *at = strstr((const char *)answer.body.data, begin); at && out->steps < STEPS_MAX;
         at = strstr(at + 1, begin)) {
        char *end = NULL;
        out->limit_s[out->steps] = strtod(at + sizeof begin - 1, &end);
        out->count[out->steps++] = strtoull(strchr(end, ' '), NULL, 10);
    }
    assert_true(out->steps > 0);
    http_answer_clear(&answer);
}

/* The limit that 99 of 100 batches between the two stay below. */
static double acks_p99_ms(const ack_histogram *first, const ack_histogram *last)
{
    uint64_t all = last->count[last->steps - 1] - first->count[last->steps - 1];

    for (int i = 0; i < last->steps; i++)
        if ((last->count[i] - first->count[i]) * 100 >= all * 99)
            return last->limit_s[i] * 1e3;
    return 0;
}

static farm_load run_paced(farm_figure p50, farm_figure p99)
{
    farm_load load = farm_submit_load(&bench, 16, 64, 5000);

    load.per_second = 1000;
    farm_run_submits(&bench, &load);
    farm_note(p50, load.p50_ms);
    farm_note(p99, load.p99_ms);
    return load;
}

/* The second time, what else runs on the machine gets the cores only when the coordinator and its load leave them. */
static void bench_paced(void)
{
    ack_histogram first, last;

    read_acks(&first);
    farm_note(FARM_PACED_LATE, run_paced(FARM_PACED_P50, FARM_PACED_P99).late_p99_ms);
    read_acks(&last);
    farm_note(FARM_PACED_OWN, acks_p99_ms(&first, &last));
    if (go_ahead_of_others(SCHED_RR))
        run_paced(FARM_AHEAD_P50, FARM_AHEAD_P99);
    go_ahead_of_others(SCHED_OTHER);
}

static void bench_beanstalkd(void)
{
    farm_measure_beanstalkd(bench.jobs);
}

/* ---- restart */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

/* What other benchmarks left is killed, so the agents' and clients' state of it is gone as well. */
static void bench_restart(void)
{
    uint64_t  queued = from_environment("PF_BENCH_QUEUED", 100000);
    farm_load load;
    double    idle = 0;
    int64_t   start_ns = 0;

    daemon_stop(&bench.d);
    farm_start(&bench, "restart");
    idle = farm_own_mib(bench.d.pid);
    farm_note(FARM_IDLE_MIB, idle);
    load = farm_submit_load(&bench, 64, 16, queued);
    farm_run_submits(&bench, &load);
    farm_note(FARM_RESTART_JOBS, (double)bench.next_submit);
    farm_note(FARM_JOBS_MIB, farm_own_mib(bench.d.pid));
    farm_note(FARM_JOB_BYTES, (farm_own_mib(bench.d.pid) - idle) * (1 << 20) / (double)bench.next_submit);
    daemon_kill(&bench.d);
    start_ns = pf_clock_ns();
    daemon_start(&bench.d, test_path("restart"), NULL);
    farm_await_offer(&bench);
    farm_note(FARM_RESTART, (double)(pf_clock_ns() - start_ns) / 1e9);
    farm_note(FARM_JOBS_MIB, farm_own_mib(bench.d.pid));
}

/* ---- HTTP */

enum { BLOB_BYTES = 512 << 20, READ_BYTES = 1 << 20 };

static int connect_http(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    const char        *port = strrchr(bench.d.http, ':');
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Reads the answer and drops it: what is measured is the coordinator. */
static void get_blob(const char *hex)
{
    char    request[256] = "";
    char   *data = pf_alloc(READ_BYTES);
    size_t  got = 0;
    ssize_t more = 1;
    int     fd = connect_http();
    double  cpu = farm_cpu_seconds(bench.d.pid);
    int64_t start_ns = pf_clock_ns();
    int     bytes = snprintf(request, sizeof request, "GET /blobs/sha256/%s HTTP/1.1\r\nHost: farm\r\n\r\n", hex);

    assert_int_equal(write(fd, request, (size_t)bytes), bytes);
    while (got < BLOB_BYTES && more > 0) {
        more = recv(fd, data, READ_BYTES, MSG_TRUNC);
        got += more > 0 ? (size_t)more : 0;
    }
    farm_note(FARM_GET, (double)got / 1e6 / ((double)(pf_clock_ns() - start_ns) / 1e9));
    farm_note(FARM_GET_CORE, (double)got / 1e6 / (farm_cpu_seconds(bench.d.pid) - cpu));
    assert_true(got >= BLOB_BYTES);
    close(fd);
    pf_free(data);
}

static void bench_get(void)
{
    char     *data = pf_calloc(1, BLOB_BYTES);
    char      hex[PF_DIGEST_HEX_BYTES] = "";
    pf_digest digest = { 0 };
    int64_t   start_ns = 0;

    pf_clock_ns();
    memcpy(data, &bench.next_submit, sizeof bench.next_submit);
    start_ns = pf_clock_ns();
    assert_true(http_put_blob(&bench.d, data, BLOB_BYTES, &digest) < 300);
    farm_note(FARM_PUT, BLOB_BYTES / 1e6 / ((double)(pf_clock_ns() - start_ns) / 1e9));
    pf_free(data);
    pf_digest_to_hex(&digest, hex);
    get_blob(hex);
}

/* ---- */

static void fresh_state(const char *name)
{
    static int count;
    char       path[64] = "";

    snprintf(path, sizeof path, "%s-%d", name, count++);
    assert_int_equal(daemon_stop(&bench.d), 0);
    farm_start(&bench, path);
}

static void bench_cycle(void)
{
    fresh_state("cycle");
    farm_measure_cycle(&bench);
}

static void bench_agents(void)
{
    farm_measure_idle_agents(&bench);
}

static void bench_timing(void)
{
    farm_measure_timings(&bench);
}

static const struct benchmark { const char *name; void (*run)(void); bool once; } benchmarks[] = {
    { "disk", bench_disk, false },     { "submit", bench_submit, false }, { "beanstalkd", bench_beanstalkd, false },
    { "paced", bench_paced, false },   { "timing", bench_timing, false }, { "get", bench_get, false },
    { "cycle", bench_cycle, false },   { "agents", bench_agents, true },  { "restart", bench_restart, true },
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

void farm_start(farm_bench *b, const char *name)
{
    daemon_start(&b->d, test_path(name), NULL);
    b->next_submit = 0;
    b->model = http_put_model(&b->d, "bench model");
    farm_declare_class(b);
}

/* Each round has a fresh state, so that rounds are alike. */
static void run_all(void **state)
{
    uint64_t rounds = from_environment("PF_BENCH_ROUNDS", 3);

    (void)state;
    bench.jobs = from_environment("PF_BENCH_JOBS", 20000);
    for (uint64_t round = 0; round < rounds; round++) {
        char name[32] = "";
        snprintf(name, sizeof name, "state-%d", (int)round);
        farm_start(&bench, name);
        for (size_t i = 0; i < sizeof benchmarks / sizeof benchmarks[0]; i++)
            if (is_wanted(benchmarks[i].name) && (round == 0 || !benchmarks[i].once))
                benchmarks[i].run();
        assert_int_equal(daemon_stop(&bench.d), 0);
    }
    farm_print_table();
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < sizeof benchmarks / sizeof benchmarks[0]; i++)
        if (strcmp(name, benchmarks[i].name) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(run_all) };

    for (int i = 1; i < argc; i++)
        if (!is_known(argv[i])) {
            fprintf(stderr, "farm_bench: there is no benchmark %s; docs/MEASURING.md names them\n", argv[i]);
            return 64;
        }
    wanted = argv + 1;
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
