/* planfarm-coordinator: the farm's queue, its plans and its blobs. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/nearest.h"
#include "coordinator/backup.h"
#include "coordinator/fsck.h"
#include "coordinator/server.h"

#ifndef PF_VERSION
#define PF_VERSION "unknown"
#endif

static pf_server *running;

static void on_signal(int signal_number)
{
    (void)signal_number;
    pf_server_stop(running);
}

static const char HELP[] =
    "usage: planfarm-coordinator --state DIR [options]\n"
    "\n"
    "Keeps the farm's queue, plans and models in DIR, and serves clients and agents.\n"
    "\n"
    "  --state DIR          folder on a local disk; made when absent\n"
    "  --listen ADDRESS     IPv4 address (127.0.0.1); others need keys\n"
    "  --client-port N      ZeroMQ port for clients (7701); 0: any free one, see DIR/endpoints\n"
    "  --agent-port N       ZeroMQ port for agents (7702)\n"
    "  --http-port N        HTTP port for blobs, plans and metrics (7780)\n"
    "  --http-url URL       what clients and agents are told instead of host and port, behind a proxy\n"
    "  --map-bytes N        most that the job database may grow to (64 GiB)\n"
    "  --reserve-bytes N    disk kept free so that running builds can end when it is full (16 MiB)\n"
    "  --blobs-bytes N      most that models and plans may take (no limit)\n"
    "  --blob-bytes N       largest single upload (1 TiB)\n"
    "  --blob-days N        what nothing needs is removed when it was not used for so long (30)\n"
    "  --blob-spare-ms N    but never sooner after a use than this (3600000)\n"
    "  --lease-ttl-ms N     a lease without a heartbeat ends after (30000)\n"
    "  --heartbeat-ms N     agents beat every (10000)\n"
    "  --backoff-ms N       wait after a first failure (2000)\n"
    "  --history-days N     jobs that have ended are remembered for (7)\n"
    "  --plan-days N        plans are remembered so long after they were last asked for (365)\n"
    "  --backup-minutes N   copy the job database every N minutes (60; 0: never)\n"
    "  --any-file-system    also accept a state folder on a network file system\n"
    "  --log FILTER         info, or component:level,... (warn)\n"
    "  --version, --help\n"
    "\n"
    "Instead of serving, on a state folder that nobody uses:\n"
    "  --check              look over every row and every plan's bytes\n"
    "  --repair             the same, and remove blobs whose bytes are damaged\n"
    "  --restore[=FILE]     go back to a copy of the job database (the latest); the present one stays as db.before\n"
    "\n"
    "Ends cleanly on SIGTERM and SIGINT. Exit codes: base/status.def; 0 after a clean end.\n";

enum option_id {
    OPTION_STATE = 1, OPTION_LISTEN, OPTION_CLIENT_PORT, OPTION_AGENT_PORT, OPTION_HTTP_PORT, OPTION_HTTP_URL,
    OPTION_MAP, OPTION_RESERVE, OPTION_BLOBS, OPTION_BLOB, OPTION_BLOB_DAYS, OPTION_BLOB_SPARE, OPTION_TTL,
    OPTION_HEARTBEAT, OPTION_BACKOFF, OPTION_HISTORY, OPTION_PLANS, OPTION_BACKUP, OPTION_ANY_FS, OPTION_CHECK,
    OPTION_REPAIR, OPTION_RESTORE, OPTION_LOG, OPTION_VERSION, OPTION_HELP,
};

static const struct option long_options[] = {
    { "state", required_argument, NULL, OPTION_STATE },
    { "listen", required_argument, NULL, OPTION_LISTEN },
    { "client-port", required_argument, NULL, OPTION_CLIENT_PORT },
    { "agent-port", required_argument, NULL, OPTION_AGENT_PORT },
    { "http-port", required_argument, NULL, OPTION_HTTP_PORT },
    { "http-url", required_argument, NULL, OPTION_HTTP_URL },
    { "map-bytes", required_argument, NULL, OPTION_MAP },
    { "reserve-bytes", required_argument, NULL, OPTION_RESERVE },
    { "blobs-bytes", required_argument, NULL, OPTION_BLOBS },
    { "blob-bytes", required_argument, NULL, OPTION_BLOB },
    { "blob-days", required_argument, NULL, OPTION_BLOB_DAYS },
    { "blob-spare-ms", required_argument, NULL, OPTION_BLOB_SPARE },
    { "lease-ttl-ms", required_argument, NULL, OPTION_TTL },
    { "heartbeat-ms", required_argument, NULL, OPTION_HEARTBEAT },
    { "backoff-ms", required_argument, NULL, OPTION_BACKOFF },
    { "history-days", required_argument, NULL, OPTION_HISTORY },
    { "plan-days", required_argument, NULL, OPTION_PLANS },
    { "backup-minutes", required_argument, NULL, OPTION_BACKUP },
    { "any-file-system", no_argument, NULL, OPTION_ANY_FS },
    { "check", no_argument, NULL, OPTION_CHECK },
    { "repair", no_argument, NULL, OPTION_REPAIR },
    { "restore", optional_argument, NULL, OPTION_RESTORE },
    { "log", required_argument, NULL, OPTION_LOG },
    { "version", no_argument, NULL, OPTION_VERSION },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
};

/* Errors   USAGE: not a number from 0 to limit. */
static pf_status number(const char *text, const char *name, uint64_t limit, uint64_t *out, pf_err *err)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || *out > limit)
        return PF_FAIL(err, PF_USAGE, "--%s %s: give a number from 0 to %llu", name, text, (unsigned long long)limit);
    return PF_OK;
}

static pf_status port(const char *text, const char *name, int *out, pf_err *err)
{
    uint64_t  value = 0;
    pf_status st = number(text, name, 65535, &value, err);

    *out = (int)value;
    return st;
}

static pf_status milliseconds(const char *text, const char *name, int64_t *out_ns, pf_err *err)
{
    uint64_t  value = 0;
    pf_status st = number(text, name, 86400000, &value, err);

    *out_ns = (int64_t)value * 1000000;
    return st;
}

static pf_status days(const char *text, const char *name, int64_t *out_ns, pf_err *err)
{
    uint64_t  value = 0;
    pf_status st = number(text, name, 36500, &value, err);

    *out_ns = (int64_t)value * 86400 * INT64_C(1000000000);
    return st;
}

/* What is to be done instead of serving. */
static struct { bool check, repair, restore; const char *from; } chore;

static pf_status minutes(const char *text, const char *name, int64_t *out_ns, pf_err *err)
{
    uint64_t  value = 0;
    pf_status st = number(text, name, 525600, &value, err);

    *out_ns = (int64_t)value * 60 * INT64_C(1000000000);
    return st;
}

/* word: as it was written. */
static pf_status refuse(int id, const char *word, pf_err *err)
{
    pf_nearest  nearest;
    const char *meant = NULL;

    if (id == ':')
        return PF_FAIL(err, PF_USAGE, "%.100s needs a value; see planfarm-coordinator --help", word);
    pf_nearest_begin(&nearest, word + strspn(word, "-"));
    for (const struct option *option = long_options; option->name; option++)
        pf_nearest_offer(&nearest, option->name);
    meant = pf_nearest_end(&nearest);
    return PF_FAIL(err, PF_USAGE, "there is no option \"%.100s\"; %s%s%s", word, meant ? "did you mean --" : "",
                   meant ? meant : "see planfarm-coordinator --help", meant ? "?" : "");
}

static pf_status take_option(int id, const char *name, const char *text, pf_server_options *o, pf_err *err)
{
    switch (id) {
    case OPTION_CHECK:       chore.check = true;                                               return PF_OK;
    case OPTION_REPAIR:      chore.check = chore.repair = true;                                return PF_OK;
    case OPTION_RESTORE:     chore.restore = true; chore.from = text;                          return PF_OK;
    case OPTION_HISTORY:     return days(text, name, &o->core.retention_ns, err);
    case OPTION_PLANS:       return days(text, name, &o->core.plan_retention_ns, err);
    case OPTION_BACKUP:      return minutes(text, name, &o->backup_ns, err);
    case OPTION_STATE:       o->state = text;                                                  return PF_OK;
    case OPTION_LISTEN:      o->listen = text;                                                 return PF_OK;
    case OPTION_HTTP_URL:    o->http_url = text;                                               return PF_OK;
    case OPTION_ANY_FS:      o->any_file_system = true;                                        return PF_OK;
    case OPTION_LOG:         pf_log_set_filter(text);                                          return PF_OK;
    case OPTION_CLIENT_PORT: return port(text, name, &o->client_port, err);
    case OPTION_AGENT_PORT:  return port(text, name, &o->agent_port, err);
    case OPTION_HTTP_PORT:   return port(text, name, &o->http_port, err);
    case OPTION_MAP:         return number(text, name, UINT64_C(1) << 44, &o->map_bytes, err);
    case OPTION_RESERVE:     return number(text, name, UINT64_C(1) << 40, &o->reserve_bytes, err);
    case OPTION_BLOBS:       return number(text, name, UINT64_MAX, &o->blobs_limit_bytes, err);
    case OPTION_BLOB:        return number(text, name, UINT64_C(1) << 44, &o->blob_limit_bytes, err);
    case OPTION_BLOB_DAYS:   return days(text, name, &o->blob_age_ns, err);
    case OPTION_BLOB_SPARE:  return milliseconds(text, name, &o->blob_spare_ns, err);
    case OPTION_TTL:         return milliseconds(text, name, &o->core.ttl_ns, err);
    case OPTION_HEARTBEAT:   return milliseconds(text, name, &o->core.heartbeat_ns, err);
    case OPTION_BACKOFF:     return milliseconds(text, name, &o->core.backoff_first_ns, err);
    default:                 return refuse(id, name, err);
    }
}

/* *done: help or version was printed. */
static pf_status parse(int argc, char **argv, pf_server_options *options, bool *done, pf_err *err)
{
    pf_status st = PF_OK;
    int       index = 0;

    opterr = 0;
    for (int id = getopt_long(argc, argv, ":h", long_options, &index); id != -1 && !st;
         id = getopt_long(argc, argv, ":h", long_options, &index)) {
        id = id == 'h' ? OPTION_HELP : id;
        if (id == OPTION_HELP || id == OPTION_VERSION) {
            printf("%s", id == OPTION_HELP ? HELP : "planfarm-coordinator " PF_VERSION "\n");
            *done = true;
            return PF_OK;
        }
        st = take_option(id, id == '?' || id == ':' ? argv[optind - 1] : long_options[index].name, optarg, options,
                         err);
    }
    if (!st && optind < argc)
        st = PF_FAIL(err, PF_USAGE, "\"%s\" is not understood; see planfarm-coordinator --help", argv[optind]);
    if (!st && !options->state)
        st = PF_FAIL(err, PF_USAGE, "--state DIR is missing; see planfarm-coordinator --help");
    return st;
}

static void say_line(void *user, const char *line)
{
    (void)user;
    printf("%s\n", line);
}

static void say_counts(const pf_fsck_report *report)
{
    printf("jobs %llu, submits %llu, plans %llu, classes %llu, agents %llu; damaged rows %llu; plans and logs %llu, "
           "missing %llu; blobs %llu, damaged %llu\n",
           (unsigned long long)report->rows[PF_ROWS_JOBS], (unsigned long long)report->rows[PF_ROWS_SUBMITS],
           (unsigned long long)report->rows[PF_ROWS_PLANS], (unsigned long long)report->rows[PF_ROWS_CLASSES],
           (unsigned long long)report->rows[PF_ROWS_AGENTS], (unsigned long long)report->bad_rows,
           (unsigned long long)report->plans, (unsigned long long)report->plans_missing,
           (unsigned long long)report->blobs, (unsigned long long)report->blobs_damaged);
}

static pf_status look_over(const pf_server_options *options, const pf_state_dir *dir, pf_err *err)
{
    pf_fsck_report report;
    pf_status      st = pf_fsck(dir, options->map_bytes, chore.repair, say_line, NULL, &report, err);

    if (report.has_opened)
        say_counts(&report);
    if (!st && report.blobs_damaged && !chore.repair)
        st = PF_FAIL(err, PF_CORRUPT,
                     "%llu blobs are damaged; --repair removes them: plans are built again when asked for, and models "
                     "stored again when submitted",
                     (unsigned long long)report.blobs_damaged);
    return st;
}

/* A server makes its folder; a chore on one that is not there was mistyped. */
static pf_status check_place(const char *state, pf_err *err)
{
    char      path[PATH_MAX] = "";
    pf_status st = pf_path_join(state, chore.restore ? "backup" : "db/data.mdb", path, sizeof path, err);

    if (!st && !pf_file_exists(path) && !(chore.from && pf_file_exists(state)))
        st = PF_FAIL(err, PF_NOT_FOUND, "%s is not there, so %s is no state folder; give the coordinator's --state",
                     path, state);
    return st;
}

static void say_restored(const pf_state_dir *dir, const char *used)
{
    struct stat info = { 0 };
    struct tm   utc = { 0 };
    char        date[32] = "at a time that is not known";

    if (stat(used, &info) == 0 && gmtime_r(&info.st_mtim.tv_sec, &utc))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &utc);
    printf("went back to %s, written %s; what was there is %s/db.before\n", used, date, dir->path);
}

static pf_status do_chore(const pf_server_options *options, pf_err *err)
{
    pf_state_dir dir;
    char         used[PATH_MAX] = "";
    pf_status    st = check_place(options->state, err);

    if (!st)
        st = pf_state_dir_open(options->state, 0, options->any_file_system, &dir, err);
    if (st)
        return st;
    if (chore.restore)
        st = pf_backup_restore(&dir, chore.from, used, err);
    if (!st && chore.restore)
        say_restored(&dir, used);
    if (!st && chore.check)
        st = look_over(options, &dir, err);
    pf_state_dir_close(&dir);
    return st;
}

/* The signals wait while the server opens, and its threads never get them: only this one does, once it can act. */
static pf_status serve(const pf_server_options *options, pf_err *err)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigset_t         signals;
    pf_status        st = PF_OK;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    st = pf_server_open(options, &running, err);
    if (st)
        return st;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    fprintf(stderr, "planfarm-coordinator: %s", pf_server_endpoints(running));
    st = pf_server_run(running, err);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    pf_server_close(running);
    return st;
}

/* Every connection takes a descriptor, and what distributions give at first is enough for a thousand. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit = { 0 };

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    pf_server_options options;
    pf_err            err = { 0 };
    bool              done = false;
    pf_status         st = PF_OK;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);           /* a limit of file sizes shows as a failed write */
    raise_descriptor_limit();
    pf_log_to_stderr();
    pf_log_set_filter(NULL);
    pf_server_options_init(&options);
    options.software = "planfarm " PF_VERSION;
    st = parse(argc, argv, &options, &done, &err);
    if (!st && !done)
        st = chore.check || chore.restore ? do_chore(&options, &err) : serve(&options, &err);
    if (st)
        fprintf(stderr, "planfarm-coordinator: %s\n", err.msg);
    return pf_status_exit_code(st);
}
