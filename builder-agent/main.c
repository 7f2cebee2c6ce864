/* planfarm-agent: the agent, and the processes that it starts of itself. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "builder-agent/agent.h"
#include "builder-agent/child.h"
#include "builder-agent/fingerprint.h"
#include "builder-agent/job.h"
#include "builder-agent/options.h"
#include "builder-agent/state.h"
#include "engine/planfarm.h"
#include "proto/farm_key.h"

/* In a signal handler, into the job's log. */
static void say_crash(const char *sentence)
{
    if (write(STDERR_FILENO, sentence, strlen(sentence)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        return;         /* nowhere left to say it */
}

static pf_status mode_job(char **argv, pf_err *err)
{
    pf_timing_watch_crashes(say_crash);
    return pf_job_main(argv[2], err);
}

static pf_status mode_keep_log(char **argv, pf_err *err)
{
    return pf_report_log_main(argv[2], err);
}

static pf_status mode_describe(char **argv, pf_err *err)
{
    pf_job_device device = { .threads = (int32_t)strtol(argv[3], NULL, 10),
                             .share_percent = (int32_t)strtol(argv[4], NULL, 10) };

    snprintf(device.name, sizeof device.name, "%s", argv[2]);
    snprintf(device.isa, sizeof device.isa, "%s", argv[5]);
    return pf_fingerprint_main(&device, PF_RECORD_FD, err);
}

/* What the agent starts; nothing for people. */
static const struct mode {
    const char *name;
    int         argc;
    pf_status (*run)(char **argv, pf_err *err);
} modes[] = {
    { "--job", 3, mode_job },
    { "--keep-log", 3, mode_keep_log },
    { "--describe", 6, mode_describe },
};

static const struct mode *find_mode(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (argc == modes[i].argc && strcmp(argv[1], modes[i].name) == 0)
            return &modes[i];
    }
    return NULL;
}

static int end(pf_status st, const pf_err *err)
{
    if (st && err->msg[0])              /* without a message it has been logged */
        fprintf(stderr, "planfarm-agent: %s\n", err->msg);
    return pf_status_exit_code(st);
}

static int run_mode(const struct mode *mode, char **argv)
{
    pf_err err = { 0 };

    if (!pf_child_enter())
        return end(PF_FAIL(&err, PF_USAGE, "%s is for the agent's own processes", argv[1]), &err);
    return end(mode->run(argv, &err), &err);
}

static void block_signals(void)
{
    sigset_t set;

    pf_agent_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Builds run in folders of their own, where a relative name would name another file. */
static pf_status make_key_path_absolute(pf_err *err)
{
    const char *key = getenv(PF_FARM_KEY_VARIABLE);
    char        folder[PATH_MAX], path[PATH_MAX];

    if (!key || !key[0] || key[0] == '/')
        return PF_OK;
    if (!getcwd(folder, sizeof folder))
        return PF_FAIL_ERRNO(err, "find", "the current folder, which " PF_FARM_KEY_VARIABLE " is relative to");
    if (snprintf(path, sizeof path, "%s/%s", folder, key) >= (int)sizeof path)
        return PF_FAIL(err, PF_INVALID, "the path of the key file %.200s is too long", key);
    return setenv(PF_FARM_KEY_VARIABLE, path, 1) ? PF_FAIL_MEMORY(err, strlen(path)) : PF_OK;
}

static int help(void)
{
    pf_buf text = { 0 };

    pf_buf_init(&text, 64 * 1024);
    pf_agent_options_help(&text);
    fputs(text.data ? (const char *)text.data : "", stdout);
    pf_buf_clear(&text);
    return fflush(stdout) ? pf_status_exit_code(PF_IO) : 0;
}

static int version(void)
{
    printf("planfarm-agent %s (builder ABI %s)\n", pf_version(), pf_builder_abi());
    return fflush(stdout) ? pf_status_exit_code(PF_IO) : 0;
}

int main(int argc, char **argv)
{
    const struct mode *mode = find_mode(argc, argv);
    pf_agent_options   options = { 0 };
    bool               wants_help = false;
    pf_err             err = { 0 };
    pf_status          st = PF_OK;

    pf_log_to_stderr();
    pf_log_set_filter(getenv("PF_LOG") ? NULL : "info");
    signal(SIGXFSZ, SIG_IGN);           /* a limit of file sizes shows as a failed write */
    if (mode)
        return run_mode(mode, argv);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return version();
    st = pf_agent_options_parse(argc, argv, &options, &wants_help, &err);
    if (wants_help)
        return help();
    block_signals();
    if (!st)
        st = make_key_path_absolute(&err);
    if (!st)
        st = pf_agent_run(&options, &err);
    return end(st, &err);
}
