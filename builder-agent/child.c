#include "builder-agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "builder-agent/record.h"

#define PARENT_VARIABLE "PLANFARM_AGENT_PID"

enum { ARGUMENTS_MAX = 32, TURN_MS = 50 };

extern char **environ;

/* Flags and signals that a build must not inherit. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    return posix_spawnattr_setpgroup(attributes, 0) || posix_spawnattr_setsigmask(attributes, &none) ||
           posix_spawnattr_setsigdefault(attributes, &all) ||
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                    POSIX_SPAWN_SETSIGDEF);
}

static int set_files(posix_spawn_file_actions_t *files, const char *folder, int output_fd, int record_fd)
{
    return posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0) ||
           posix_spawn_file_actions_adddup2(files, output_fd, 1) ||
           posix_spawn_file_actions_adddup2(files, output_fd, 2) ||
           posix_spawn_file_actions_adddup2(files, record_fd, PF_RECORD_FD) ||
           posix_spawn_file_actions_addchdir_np(files, folder);
}

/* The environment with our process id in it, by which a child knows that its parent is still the one that made it. */
static pf_status spawn(const char *const *argv, const char *folder, int output_fd, int record_fd, pid_t *pid,
                       pf_err *err)
{
    posix_spawnattr_t          attributes;
    posix_spawn_file_actions_t files;
    const char                *full[ARGUMENTS_MAX + 2] = { "planfarm-agent" };
    char                       parent[16];
    int                        code = 0;

    for (unsigned i = 0; i < ARGUMENTS_MAX && argv[i]; i++)
        full[i + 1] = argv[i];
    snprintf(parent, sizeof parent, "%ld", (long)getpid());
    setenv(PARENT_VARIABLE, parent, 1);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&files);
    if (set_attributes(&attributes) || set_files(&files, folder, output_fd, record_fd))
        code = ENOMEM;
    else    /* also when the file of this program was replaced meanwhile: the child is what the agent is */
        code = posix_spawn(pid, "/proc/self/exe", &files, &attributes, (char *const *)(uintptr_t)full, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    unsetenv(PARENT_VARIABLE);
    if (code)
        return PF_FAIL(err, pf_status_from_errno(code), "cannot start a process for the build: %s", strerror(code));
    return PF_OK;
}

static pf_status make_pipe(int ends[2], pf_err *err)
{
    if (pipe2(ends, O_CLOEXEC))
        return PF_FAIL(err, pf_status_from_errno(errno), "cannot make a pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return PF_OK;
}

pf_status pf_child_start(const char *const *argv, const char *folder, pf_child *out, pf_err *err)
{
    int       output[2] = { -1, -1 }, record[2] = { -1, -1 };
    pf_status st = PF_OK;

    *out = (pf_child){ .output_fd = -1, .record_fd = -1 };
    st = make_pipe(output, err);
    if (!st)
        st = make_pipe(record, err);
    if (!st)
        st = spawn(argv, folder, output[1], record[1], &out->pid, err);
    pf_child_close_fd(&output[1]);
    pf_child_close_fd(&record[1]);
    if (st) {
        out->pid = 0;
        pf_child_close_fd(&output[0]);
        pf_child_close_fd(&record[0]);
        return st;
    }
    out->output_fd = output[0];
    out->record_fd = record[0];
    return PF_OK;
}

void pf_child_kill(pf_child *child)
{
    if (child->pid > 0)
        kill(-child->pid, SIGKILL);
    child->killed = true;
}

bool pf_child_reap(pf_child *child, int *wait_status)
{
    siginfo_t info = { 0 };

    if (child->pid <= 0 || waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
        return false;
    kill(-child->pid, SIGKILL);         /* while the zombie still keeps the group's number from being given away */
    waitpid(child->pid, wait_status, 0);
    child->pid = 0;
    return true;
}

void pf_child_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void pf_child_close(pf_child *child)
{
    if (child->pid > 0) {
        pf_child_kill(child);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        child->pid = 0;
    }
    pf_child_close_fd(&child->output_fd);
    pf_child_close_fd(&child->record_fd);
}

bool pf_child_drain(int *fd, pf_buf *out)
{
    uint8_t chunk[4096];
    ssize_t got = read(*fd, chunk, sizeof chunk);

    if (got > 0 && out)
        pf_buf_put(out, chunk, (size_t)got);
    if (got == 0)
        pf_child_close_fd(fd);
    return got > 0;
}

/* Reads both pipes until both are at their end; output beyond its place is thrown away. */
static pf_status read_until_end(pf_child *child, int64_t until_ns, pf_buf *records, pf_buf *output, pf_err *err)
{
    while (child->output_fd >= 0 || child->record_fd >= 0) {
        struct pollfd fds[2] = { { child->output_fd, POLLIN, 0 }, { child->record_fd, POLLIN, 0 } };
        if (pf_clock_boot_ns() > until_ns)
            return PF_FAIL(err, PF_TIMEOUT, "took longer than allowed and was ended");
        poll(fds, 2, TURN_MS);
        if (fds[0].revents)
            pf_child_drain(&child->output_fd, output);
        if (fds[1].revents)
            pf_child_drain(&child->record_fd, records);
    }
    return PF_OK;
}

/* What a child of this program said; whose program it is, the reader knows. */
static const char *reason_in(const pf_buf *output)
{
    static const char own[] = "planfarm-agent: ";
    const char       *text = output->size ? (const char *)output->data : "gave no reason";

    return strncmp(text, own, sizeof own - 1) == 0 ? text + sizeof own - 1 : text;
}

static pf_status wait_for(pf_child *child, int64_t until_ns, const pf_buf *output, pf_err *err)
{
    int wait_status = 0;

    while (!pf_child_reap(child, &wait_status)) {
        if (pf_clock_boot_ns() > until_ns)
            return PF_FAIL(err, PF_TIMEOUT, "took longer than allowed and was ended");
        pf_clock_sleep_ns(PF_NS_PER_MS);
    }
    if (WIFSIGNALED(wait_status))
        return PF_FAIL(err, PF_DEVICE, "died of signal %s %.400s", sigabbrev_np(WTERMSIG(wait_status)),
                       output->size ? (const char *)output->data : "");
    if (WEXITSTATUS(wait_status))
        return PF_FAIL(err, pf_status_from_exit_code(WEXITSTATUS(wait_status)), "%.400s", reason_in(output));
    return PF_OK;
}

/* One line of a message. */
static void flatten(pf_buf *output)
{
    while (output->size && output->data[output->size - 1] <= ' ')
        output->data[--output->size] = 0;
    for (size_t i = 0; i < output->size; i++) {
        if (output->data[i] < ' ')
            output->data[i] = ' ';
    }
}

pf_status pf_child_run(const char *const *argv, const char *folder, int64_t limit_ns, size_t limit_bytes,
                       pf_buf *records, pf_err *err)
{
    int64_t   until_ns = pf_clock_boot_ns() + limit_ns;
    pf_child  child = { .output_fd = -1, .record_fd = -1 };
    pf_buf    output = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(records, limit_bytes);
    pf_buf_init(&output, 4096);
    st = pf_child_start(argv, folder, &child, err);
    if (!st)
        st = read_until_end(&child, until_ns, records, &output, err);
    flatten(&output);
    if (!st)
        st = wait_for(&child, until_ns, &output, err);
    if (!st && records->failed)
        st = PF_FAIL(err, PF_NO_SPACE, "said more than %zu bytes", limit_bytes);
    pf_child_close(&child);
    pf_buf_clear(&output);
    return st;
}

bool pf_child_enter(void)
{
    struct rlimit no_core = { 0, 0 };
    const char   *parent = getenv(PARENT_VARIABLE);
    int           fd = -1;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!parent || strtol(parent, NULL, 10) != (long)getppid())
        return false;
    unsetenv(PARENT_VARIABLE);
    setrlimit(RLIMIT_CORE, &no_core);
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "800", 3) != 3)
            errno = 0;      /* not allowed here: the kernel chooses by size then */
        close(fd);
    }
    return true;
}
