#include "client/cancel.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t holds, asked, in_json;

static void say(int to, const char *text)
{
    if (write(to, text, strlen(text)) < 0)
        return;         /* nowhere left to say it */
}

/* Only calls that a signal handler may make. */
static void end_now(void)
{
    say(STDERR_FILENO, "planfarm: interrupted\n");
    if (in_json)
        say(STDOUT_FILENO,
            "{\"error\": {\"status\": \"INTERRUPTED\", \"exit_code\": 130, \"message\": \"interrupted\"}}\n");
    _exit(130);
}

static void on_signal(int number)
{
    (void)number;
    if (!holds || asked)
        end_now();
    asked = 1;
}

void pf_cancel_init(bool json)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal}, old = {0};

    in_json = json;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!sigaction(numbers[i], NULL, &old) && old.sa_handler != SIG_IGN)    /* nohup stays in force */
            sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);       /* a reader that went away shows as a failed write */
    signal(SIGXFSZ, SIG_IGN);       /* so does a limit of file sizes */
}

void pf_cancel_hold(void)
{
    holds++;
}

void pf_cancel_release(void)
{
    holds--;
    if (!holds && asked)
        end_now();
}

bool pf_cancel_asked(void)
{
    return asked;
}

pf_status pf_cancel_check(pf_err *err)
{
    if (!asked)
        return PF_OK;
    asked = 0;
    return PF_FAIL(err, PF_INTERRUPTED, "interrupted");
}

pf_status pf_cancel_told(pf_status status)
{
    return status == PF_CANCELLED && pf_cancel_check(NULL) ? PF_INTERRUPTED : status;
}
