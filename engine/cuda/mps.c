#include "engine/cuda/mps.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

extern char **environ;

#define PERCENTAGE "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
#define PIPES      "CUDA_MPS_PIPE_DIRECTORY"
#define LOGS       "CUDA_MPS_LOG_DIRECTORY"

enum { FOLDER_BYTES = 200, START_MS = 20000, READY_BYTES = 8 };

/* The keeper: starts the service in the folder $1, says so, and ends it when our end of its input is closed, which a
   crash does too. */
static const char keeper[] =
    "trap '' INT HUP TERM\n"
    "export " PIPES "=\"$1\" " LOGS "=\"$1\"\n"
    "unset " PERCENTAGE "\n"
    "nvidia-cuda-mps-control -d >/dev/null 2>&1 || { echo failed; exit 1; }\n"
    "echo started\n"
    "exec >/dev/null 2>&1\n"
    "read ignored\n"
    "echo 'quit -t 10' | nvidia-cuda-mps-control\n"
    "rm -rf \"$1\"\n";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int             joined;                  /* percent; 0: not */

static void close_both(int fd[2])
{
    for (int i = 0; i < 2; i++)
        if (fd[i] >= 0) close(fd[i]);
}

static bool spawn_keeper(const char *folder, int in, int out)
{
    char                      *argv[] = { (char *)"sh", (char *)"-c", (char *)keeper, (char *)"planfarm-mps",
                                          (char *)folder, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t          attributes;
    pid_t                      pid = 0;
    int                        rc = 0;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);      /* signals for our group are not for it */
    rc = posix_spawnp(&pid, "sh", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return rc == 0;
}

static bool hear_started(int fd)
{
    char          text[READY_BYTES] = {0};
    struct pollfd wait = { .fd = fd, .events = POLLIN };

    return poll(&wait, 1, START_MS) == 1 && read(fd, text, sizeof text - 1) > 0 && text[0] == 's';
}

/* Our end of the keeper's input stays open, and is closed in what we start, as long as this process lives. */
static pf_status start(const char *folder, pf_err *err)
{
    int  in[2] = { -1, -1 }, out[2] = { -1, -1 };
    bool started = false;

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) {
        close_both(in);
        return PF_FAIL(err, PF_NO_SPACE, "no pipe can be made to keep a Multi-Process Service");
    }
    started = spawn_keeper(folder, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    started = started && hear_started(out[0]);
    close(out[0]);
    if (started) return PF_OK;
    close(in[1]);
    return PF_FAIL(err, PF_UNSUPPORTED,
                   "a share of the card needs NVIDIA's Multi-Process Service, which nvidia-cuda-mps-control could not "
                   "start here");
}

static pf_status join(int percent, pf_err *err)
{
    const char *given = getenv(PERCENTAGE);
    char        folder[FOLDER_BYTES] = {0}, text[8] = {0};
    pf_status   st = PF_OK;

    if (given && strtol(given, NULL, 10) == percent) return PF_OK;
    if (given)
        return PF_FAIL(err, PF_UNSUPPORTED, "this process has %s=%s: ask for that share, or unset it", PERCENTAGE,
                       given);
    st = pf_dir_make_temporary("mps", folder, sizeof folder, err);
    if (st) return st;
    st = start(folder, err);
    if (st) {
        pf_dir_remove(folder, NULL);
        return st;
    }
    snprintf(text, sizeof text, "%d", percent);
    if (setenv(PIPES, folder, 1) || setenv(LOGS, folder, 1) || setenv(PERCENTAGE, text, 1))
        return PF_FAIL_MEMORY(err, sizeof folder);
    return PF_OK;
}

pf_status pf_mps_join(int percent, pf_err *err)
{
    pf_status st = PF_OK;

    pthread_mutex_lock(&lock);
    if (joined && joined != percent)
        st = PF_FAIL(err, PF_UNSUPPORTED,
                     "this process has %d %% of the card already; open another share in another process", joined);
    else if (!joined) st = join(percent, err);
    if (!st) joined = percent;
    pthread_mutex_unlock(&lock);
    return st;
}
