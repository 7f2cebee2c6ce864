#include "client/local_farm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { ARGUMENTS_MAX = 64, ENDPOINTS_BYTES = 4096, LOG_TAIL_BYTES = 1 << 20 };

#define START_NS (20 * PF_NS_PER_S)
#define STOP_NS  (10 * PF_NS_PER_S)
#define TURN_NS  (20 * PF_NS_PER_MS)

/* In the farm's folder: three numbers. */
static const char PORTS_FILE[] = "ports";

typedef struct ports { int http, client, agent; } ports;

/* ---- processes */

/* In the child; only calls that are allowed between fork and exec.  It ignores the terminal's Ctrl-C, which is this
   process's to pass on in the right order, and dies with the process that made it. */
static void become(const char *path, char *const *argv, pid_t parent, int log_fd)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
        _exit(127);
    execv(path, argv);
    dprintf(STDERR_FILENO, "%s cannot be started: %s\n", path, strerror(errno));
    _exit(127);
}

static pf_status start(pf_local_farm *farm, pf_local_process *process, const char *const *arguments, pf_err *err)
{
    const char *argv[ARGUMENTS_MAX + 2] = {process->name};
    char        path[PATH_MAX], log_name[64];
    pid_t       parent = getpid();
    int         log_fd = -1;
    pf_status   status = pf_path_join(farm->programs, process->name, path, sizeof path, err);

    for (int i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
        argv[i + 1] = arguments[i];
    snprintf(log_name, sizeof log_name, "%s.log", process->name);
    if (!status)
        status = pf_path_join(farm->folder, log_name, process->log_path, sizeof process->log_path, err);
    if (!status && access(path, X_OK))
        status = PF_FAIL(err, PF_NOT_FOUND, "%s is not beside this program in %s; build or install it there",
                         process->name, farm->programs);
    if (status)
        return status;
    log_fd = open(process->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (log_fd < 0)
        return PF_FAIL_ERRNO(err, "write", process->log_path);
    process->pid = fork();
    if (process->pid == 0)
        become(path, (char *const *)(uintptr_t)argv, parent, log_fd);
    if (process->pid < 0) {
        process->pid = 0;
        status = PF_FAIL(err, pf_status_from_errno(errno), "%s cannot be started: %s", process->name, strerror(errno));
    }
    close(log_fd);
    return status;
}

/* The last line of its log. */
static void last_words(const pf_local_process *process, char *out, size_t capacity)
{
    pf_buf      text = {0};
    const char *line = "";
    size_t      bytes = 0;

    if (pf_file_read(process->log_path, LOG_TAIL_BYTES, &text, NULL) == PF_OK && text.size) {
        while (text.size && text.data[text.size - 1] == '\n')
            text.data[--text.size] = 0;
        line = strrchr((const char *)text.data, '\n');
        line = line ? line + 1 : (const char *)text.data;
    }
    bytes = strlen(process->name);
    if (strncmp(line, process->name, bytes) == 0 && strncmp(line + bytes, ": ", 2) == 0)
        line += bytes + 2;
    snprintf(out, capacity, "%s", line);
    pf_buf_clear(&text);
}

static bool has_ended(pf_local_process *process)
{
    if (process->pid > 0 && waitpid(process->pid, &process->wait_status, WNOHANG) == process->pid)
        process->pid = 0;
    return process->name && process->pid == 0;
}

static pf_status check(pf_local_process *process, pf_err *err)
{
    char words[600];
    int  code = 0;

    if (!process->name || !has_ended(process))
        return PF_OK;
    last_words(process, words, sizeof words);
    code = WIFEXITED(process->wait_status) ? WEXITSTATUS(process->wait_status) : 0;
    if (WIFSIGNALED(process->wait_status))
        return PF_FAIL(err, PF_IO, "%s was killed by SIG%s: %s", process->name,
                       sigabbrev_np(WTERMSIG(process->wait_status)), words);
    if (code == 0)
        return PF_FAIL(err, PF_CANCELLED, "%s was drained and has ended, and with it the farm", process->name);
    return PF_FAIL(err, pf_status_from_exit_code(code), "%s: %s", process->name, words);
}

pf_status pf_local_farm_check(pf_local_farm *farm, pf_err *err)
{
    pf_status status = check(&farm->coordinator, err);

    return status ? status : check(&farm->agent, err);
}

static void stop(pf_local_process *process, int signal_number)
{
    int64_t until = pf_clock_ns() + STOP_NS;

    if (!process->name || process->pid <= 0)
        return;
    kill(process->pid, signal_number);
    while (!has_ended(process)) {
        if (pf_clock_ns() > until)
            kill(process->pid, SIGKILL);
        pf_clock_sleep_ns(TURN_NS);
    }
}

void pf_local_farm_stop(pf_local_farm *farm)
{
    stop(&farm->agent, SIGINT);
    stop(&farm->coordinator, SIGTERM);
    if (farm->lock_fd >= 0)
        close(farm->lock_fd);
    farm->lock_fd = -1;
}

/* ---- the coordinator */

static pf_status find_programs(pf_local_farm *farm, pf_err *err)
{
    ssize_t bytes = readlink("/proc/self/exe", farm->programs, sizeof farm->programs - 1);
    char   *slash = NULL;

    if (bytes <= 0)
        return PF_FAIL_ERRNO(err, "find", "this program");
    farm->programs[bytes] = 0;
    slash = strrchr(farm->programs, '/');
    if (slash)
        *slash = 0;
    return PF_OK;
}

/* One for a folder: a second one would write over the logs of the first before its coordinator found out. */
static pf_status lock_folder(pf_local_farm *farm, pf_err *err)
{
    char      path[PATH_MAX];
    pf_status status = pf_path_join(farm->folder, "up.lock", path, sizeof path, err);

    if (status)
        return status;
    farm->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (farm->lock_fd < 0)
        return PF_FAIL_ERRNO(err, "open", path);
    if (!flock(farm->lock_fd, LOCK_EX | LOCK_NB))
        return PF_OK;
    close(farm->lock_fd);
    farm->lock_fd = -1;
    return PF_FAIL(err, PF_BUSY,
                   "a farm runs in %s already, and state/endpoints there says where it listens; use it, or give "
                   "another --dir",
                   farm->folder);
}

static bool take_text(const json_t *object, const char *name, char *out, size_t capacity)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text && snprintf(out, capacity, "%s", text) < (int)capacity;
}

/* What the coordinator of this process wrote; that of an earlier, killed one does not count. */
static bool read_endpoints(pf_local_farm *farm)
{
    char    path[PATH_MAX];
    pf_buf  text = {0};
    json_t *object = NULL;
    bool    good = false;

    if (pf_path_join(farm->folder, "state/endpoints", path, sizeof path, NULL) == PF_OK &&
        pf_file_read(path, ENDPOINTS_BYTES, &text, NULL) == PF_OK) {
        object = json_loadb((const char *)text.data, text.size, 0, NULL);
        good = json_integer_value(json_object_get(object, "pid")) == farm->coordinator.pid &&
               take_text(object, "http", farm->http_url, sizeof farm->http_url) &&
               take_text(object, "client", farm->client, sizeof farm->client) &&
               take_text(object, "agent", farm->agent_endpoint, sizeof farm->agent_endpoint);
    }
    json_decref(object);
    pf_buf_clear(&text);
    return good;
}

static pf_status wait_for_endpoints(pf_local_farm *farm, pf_err *err)
{
    int64_t   until = pf_clock_ns() + START_NS;
    pf_status status = PF_OK;

    while (!status && !read_endpoints(farm)) {
        status = check(&farm->coordinator, err);
        if (!status && pf_clock_ns() > until)
            status = PF_FAIL(err, PF_TIMEOUT, "the coordinator is not ready after %lld s; see %s",
                             (long long)(START_NS / PF_NS_PER_S), farm->coordinator.log_path);
        pf_clock_sleep_ns(TURN_NS);
    }
    return status;
}

/* Where it listened the last time, so that addresses that others hold stay good; zeros when it never did. */
static void recall_ports(const pf_local_farm *farm, ports *out)
{
    char   path[PATH_MAX];
    pf_buf text = {0};

    *out = (ports){0};
    if (pf_path_join(farm->folder, PORTS_FILE, path, sizeof path, NULL) == PF_OK &&
        pf_file_read(path, ENDPOINTS_BYTES, &text, NULL) == PF_OK && text.size &&
        sscanf((const char *)text.data, "%d %d %d", &out->http, &out->client, &out->agent) != 3)
        *out = (ports){0};
    pf_buf_clear(&text);
}

static int port_of(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon ? (int)strtol(colon + 1, NULL, 10) : 0;
}

/* A farm that cannot is one that has other ports the next time. */
static void keep_ports(const pf_local_farm *farm)
{
    char path[PATH_MAX], text[64];
    int  bytes = snprintf(text, sizeof text, "%d %d %d\n", port_of(farm->http_url), port_of(farm->client),
                          port_of(farm->agent_endpoint));

    if (pf_path_join(farm->folder, PORTS_FILE, path, sizeof path, NULL) == PF_OK)
        pf_file_put(path, text, (size_t)bytes, NULL);
}

static pf_status launch(pf_local_farm *farm, const ports *wanted, pf_err *err)
{
    char        state[PATH_MAX], http[16], client[16], agent[16];
    const char *arguments[] = {"--state", state, "--client-port", client, "--agent-port", agent, "--http-port", http,
                               NULL};
    pf_status   status = pf_path_join(farm->folder, "state", state, sizeof state, err);

    snprintf(http, sizeof http, "%d", wanted->http);
    snprintf(client, sizeof client, "%d", wanted->client);
    snprintf(agent, sizeof agent, "%d", wanted->agent);
    farm->coordinator = (pf_local_process){.name = "planfarm-coordinator"};
    if (!status)
        status = start(farm, &farm->coordinator, arguments, err);
    return status ? status : wait_for_endpoints(farm, err);
}

pf_status pf_local_farm_start_coordinator(pf_local_farm *farm, const char *folder, int http_port, pf_err *err)
{
    ports     wanted = {0};
    pf_err    why = {0};
    pf_status status = pf_dir_make(folder, err);

    if (!status && !realpath(folder, farm->folder))
        status = PF_FAIL_ERRNO(err, "find", folder);
    if (!status)
        status = find_programs(farm, err);
    if (!status)
        status = lock_folder(farm, err);
    if (status)
        return status;
    recall_ports(farm, &wanted);
    if (http_port)
        wanted.http = http_port;
    status = launch(farm, &wanted, &why);
    if (status == PF_BUSY && wanted.client) {       /* another program may have taken one meanwhile */
        pf_err_clear(&why);
        wanted = (ports){.http = http_port};
        status = launch(farm, &wanted, &why);
    }
    if (status)
        return PF_FAIL(err, status, "%s", why.msg);
    keep_ports(farm);
    return PF_OK;
}

pf_status pf_local_farm_start_agent(pf_local_farm *farm, const char *const *arguments, pf_err *err)
{
    char        folder[PATH_MAX];
    const char *full[ARGUMENTS_MAX + 1] = {"--coordinator", farm->agent_endpoint, "--http", farm->http_url, "--dir",
                                           folder};
    int         count = 6;
    pf_status   status = pf_path_join(farm->folder, "agent", folder, sizeof folder, err);

    for (int i = 0; arguments[i] && count < ARGUMENTS_MAX; i++)
        full[count++] = arguments[i];
    farm->agent.name = "planfarm-agent";
    return status ? status : start(farm, &farm->agent, full, err);
}
