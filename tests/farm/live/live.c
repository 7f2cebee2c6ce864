#include "tests/farm/live/live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { WAIT_S = 120 };

static char errors[8192];

const char *live_errors(void)
{
    return errors;
}

/* The program of that name beside planfarm. */
static const char *beside(const char *name)
{
    static char path[2][PATH_MAX];
    static int  next;
    char       *out = path[next++ % 2], *slash = NULL;

    if (!getenv("PLANFARM"))
        fail_msg("the environment variable PLANFARM must name the program");
    snprintf(out, PATH_MAX, "%s", getenv("PLANFARM"));
    slash = strrchr(out, '/');
    assert_non_null(slash);
    snprintf(slash + 1, (size_t)(PATH_MAX - (slash + 1 - out)), "%s", name);
    return out;
}

/* disk: the folder that becomes a disk of disk_bytes; NULL: none. */
static pid_t start(const char *const *argv, const char *log_name, const char *disk, size_t disk_bytes)
{
    const char *log_path = test_path(log_name);
    pid_t       parent = getpid(), pid = 0;

    pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(120);
    dup2(open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0666), STDERR_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    setenv("PF_LOG", "info", 1);
    if (disk && ((mkdir(disk, 0777) && errno != EEXIST) || !test_mount_disk(disk, disk_bytes)))
        _exit(TEST_SKIPPED);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(121);
}

static void show_log(const char *log_name)
{
    pf_buf text = {0};

    if (pf_file_read(test_path(log_name), 1 << 24, &text, NULL) == PF_OK && text.size)
        print_error("--- %s\n%.6000s\n", log_name, (const char *)text.data + (text.size > 6000 ? text.size - 6000 : 0));
    pf_buf_clear(&text);
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

/* ---- the coordinator */

static bool take_endpoint(const json_t *object, const char *name, char out[128])
{
    const char *text = json_string_value(json_object_get(object, name));

    return text && snprintf(out, 128, "%s", text) < 128;
}

static bool read_endpoints(live *farm)
{
    pf_buf  text = {0};
    json_t *object = NULL;
    bool    good = false;

    if (pf_file_read(test_path("farm/state/endpoints"), 4096, &text, NULL) == PF_OK) {
        object = json_loadb((const char *)text.data, text.size, 0, NULL);
        good = json_integer_value(json_object_get(object, "pid")) == farm->coordinator &&
               take_endpoint(object, "http", farm->url) && take_endpoint(object, "client", farm->client) &&
               take_endpoint(object, "agent", farm->agents);
    }
    json_decref(object);
    pf_buf_clear(&text);
    return good;
}

static const char *port_of(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');

    return colon ? colon + 1 : "0";
}

void live_start_coordinator(live *farm)
{
    char        client[16], agents[16], http[16], ttl[16], beat[16], backoff[16], state[PATH_MAX];
    const char *argv[] = {beside("planfarm-coordinator"), "--state", state, "--client-port", client, "--agent-port",
                          agents, "--http-port", http, "--lease-ttl-ms", ttl, "--heartbeat-ms", beat, "--backoff-ms",
                          backoff, farm->reserve_bytes ? "--reserve-bytes" : NULL, farm->reserve_bytes, NULL};
    int64_t     until = pf_clock_ns() + WAIT_S * PF_NS_PER_S;

    mkdir(test_path("farm"), 0777);
    snprintf(state, sizeof state, "%s", test_path("farm/state"));
    snprintf(client, sizeof client, "%s", port_of(farm->client));
    snprintf(agents, sizeof agents, "%s", port_of(farm->agents));
    snprintf(http, sizeof http, "%s", port_of(farm->url));
    snprintf(ttl, sizeof ttl, "%d", LIVE_TTL_MS);
    snprintf(beat, sizeof beat, "%d", LIVE_BEAT_MS);
    snprintf(backoff, sizeof backoff, "%d", LIVE_BACKOFF_MS);
    farm->coordinator = start(argv, "farm/coordinator.log", NULL, 0);
    while (!read_endpoints(farm)) {
        if (has_ended(farm->coordinator) || pf_clock_ns() > until) {
            show_log("farm/coordinator.log");
            fail_msg("the coordinator does not start");
        }
        pf_clock_sleep_ns(10 * PF_NS_PER_MS);
    }
    setenv("PLANFARM_FARM", farm->url, 1);
}

/* ---- agents */

static bool is_alive(const live *farm, const char *name)
{
    json_t *answer = LIVE_JSON(farm, 0, "agents");
    json_t *item = NULL;
    size_t  i = 0;
    bool    alive = false;

    json_array_foreach(json_object_get(answer, "agents"), i, item)
        alive = alive || (strcmp(live_text(item, "name"), name) == 0 && json_is_true(json_object_get(item, "alive")) &&
                          live_number(item, "free") > 0);
    json_decref(answer);
    return alive;
}

pid_t live_spawn_agent(const live *farm, const char *name, size_t disk_bytes)
{
    char        folder[PATH_MAX], relative[128], log[128];
    const char *argv[] = {beside("planfarm-agent"), "--coordinator", farm->agents, "--dir", folder, "--name", name,
                          NULL};

    snprintf(relative, sizeof relative, "farm/%s", name);
    snprintf(folder, sizeof folder, "%s", test_path(relative));
    snprintf(log, sizeof log, "farm/%s.log", name);
    return start(argv, log, disk_bytes ? folder : NULL, disk_bytes);
}

bool live_start_agent(live *farm, const char *name, size_t disk_bytes)
{
    char    log[128];
    int64_t until = pf_clock_ns() + WAIT_S * PF_NS_PER_S;

    snprintf(log, sizeof log, "farm/%s.log", name);
    farm->agent = live_spawn_agent(farm, name, disk_bytes);
    while (!is_alive(farm, name)) {
        if (has_ended(farm->agent) && disk_bytes && live_wait(&farm->agent) == TEST_SKIPPED)
            return false;
        if (pf_clock_ns() > until || has_ended(farm->agent)) {
            show_log(log);
            fail_msg("the agent %s does not join", name);
        }
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
    }
    return true;
}

void live_start(live *farm)
{
    setenv("XDG_CONFIG_HOME", test_path("config"), 1);
    live_start_coordinator(farm);
    live_start_agent(farm, "agent-a", 0);
}

void live_kill(pid_t *pid, int signal_number)
{
    if (*pid <= 0)
        return;
    kill(*pid, signal_number);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *pid = 0;
}

int live_wait(pid_t *pid)
{
    int64_t until = pf_clock_ns() + WAIT_S * PF_NS_PER_S;
    int     code = 0;

    while (!has_ended(*pid)) {
        if (pf_clock_ns() > until)
            fail_msg("process %d does not end", (int)*pid);
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    }
    code = program_end(*pid);
    *pid = 0;
    return code;
}

void live_stop(live *farm)
{
    live_kill(&farm->agent, SIGINT);
    live_kill(&farm->coordinator, SIGTERM);
}

int live_end(void **state)
{
    live_stop(*state);
    return 0;
}

/* ---- processes */

static bool runs_with(const char *pid, const char *word)
{
    char   path[PATH_MAX], line[4096];
    int    fd = -1;
    ssize_t bytes = 0;

    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bytes = read(fd, line, sizeof line - 1);
    close(fd);
    for (ssize_t i = 0; i < bytes; i++)
        if (!line[i])
            line[i] = ' ';
    line[bytes > 0 ? bytes : 0] = 0;
    return strstr(line, word) != NULL;
}

int live_count(const char *word)
{
    DIR           *dir = opendir("/proc");
    struct dirent *entry = NULL;
    int            count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && atol(entry->d_name) != getpid() &&
                 runs_with(entry->d_name, word);
    closedir(dir);
    return count;
}

void live_nothing_runs(const char *word)
{
    int64_t until = pf_clock_ns() + 60 * PF_NS_PER_S;

    while (live_count(word) && pf_clock_ns() < until)
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    if (live_count(word))
        fail_msg("%d processes with %s still run", live_count(word), word);
}

/* ---- the program */

json_t *live_json(const live *farm, int wanted_code, const char *const *words)
{
    run     result = program_run(words);
    json_t *value = NULL;

    (void)farm;
    snprintf(errors, sizeof errors, "%s", result.err);
    ended_with(&result, wanted_code);
    value = program_json(&result);
    program_clear(&result);
    return value;
}

json_t *live_job(const json_t *answer)
{
    json_t *job = json_array_get(json_object_get(answer, "jobs"), 0);

    assert_non_null(job);
    return job;
}

const char *live_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

int64_t live_number(const json_t *object, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(object, name));
}

json_t *live_until(const live *farm, int64_t job_id, const char *state)
{
    int64_t until = pf_clock_ns() + WAIT_S * PF_NS_PER_S;
    char    id[24];

    snprintf(id, sizeof id, "%lld", (long long)job_id);
    for (;;) {
        json_t *answer = LIVE_JSON(farm, 0, "status", id);

        if (strcmp(live_text(live_job(answer), "state"), state) == 0)
            return answer;
        if (pf_clock_ns() > until) {
            show_log("farm/agent-a.log");
            fail_msg("job %s is %s, not %s", id, live_text(live_job(answer), "state"), state);
        }
        json_decref(answer);
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    }
}

const char *live_blob_path(const char *sha256)
{
    char relative[160];

    snprintf(relative, sizeof relative, "farm/state/blobs/sha256/%.2s/%.64s", sha256, sha256);
    return test_path(relative);
}
