#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 2048, FILTERS_MAX = 32, COMPONENT_BYTES = 32 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct filter {
    char         component[COMPONENT_BYTES];
    pf_log_level level;
};

/* lock guards everything below it; most_level lets an unwanted line return without it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pf_log_sink    *current_sink;
static void           *current_user;
static struct filter   filters[FILTERS_MAX];
static unsigned        filter_count;
static pf_log_level    default_level = PF_LOG_WARN;
static _Atomic int     most_level = PF_LOG_WARN;

void pf_log_set_sink(pf_log_sink *sink, void *user)
{
    pthread_mutex_lock(&lock);
    current_sink = sink;
    current_user = user;
    pthread_mutex_unlock(&lock);
}

/* False when the text names no level. */
static bool level_from(const char *text, size_t bytes, pf_log_level *level)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strlen(level_names[i]) == bytes && strncmp(text, level_names[i], bytes) == 0) {
            *level = (pf_log_level)i;
            return true;
        }
    }
    return false;
}

/* Takes one part, "info" or "search:debug".  False when it makes no sense; then it is passed over, because a log filter
   must not stop a program. */
static bool add_filter(const char *text, size_t bytes)
{
    const char  *colon = memchr(text, ':', bytes);
    const char  *name = colon ? colon + 1 : text;
    size_t       component_bytes = colon ? (size_t)(colon - text) : 0;
    pf_log_level level = PF_LOG_WARN;

    if (!level_from(name, bytes - (size_t)(name - text), &level))
        return false;
    if (!colon) {
        default_level = level;
    } else if (filter_count < FILTERS_MAX && component_bytes < COMPONENT_BYTES) {
        memset(&filters[filter_count], 0, sizeof filters[0]);
        memcpy(filters[filter_count].component, text, component_bytes);
        filters[filter_count++].level = level;
    } else {
        return false;
    }
    if ((int)level > most_level)
        most_level = (int)level;
    return true;
}

void pf_log_set_filter(const char *filter)
{
    const char *at = filter ? filter : getenv("PF_LOG"), *odd = NULL;

    pthread_mutex_lock(&lock);
    filter_count = 0;
    default_level = PF_LOG_WARN;
    most_level = PF_LOG_WARN;
    while (at && *at) {
        size_t bytes = strcspn(at, ",");

        if (bytes && !add_filter(at, bytes))
            odd = at;
        at += bytes + (at[bytes] == ',');
    }
    pthread_mutex_unlock(&lock);
    if (odd)
        pf_log(PF_LOG_WARN, "log", "filter_passed_over text=\"%.*s\" levels=error,warn,info,debug",
               (int)strcspn(odd, ","), odd);
}

static bool wanted_locked(pf_log_level level, const char *component)
{
    for (unsigned i = 0; i < filter_count; i++)
        if (strcmp(filters[i].component, component) == 0)
            return level <= filters[i].level;
    return level <= default_level;
}

bool pf_log_wanted(pf_log_level level, const char *component)
{
    bool wanted = false;

    if ((int)level > most_level)
        return false;
    pthread_mutex_lock(&lock);
    wanted = current_sink && wanted_locked(level, component);
    pthread_mutex_unlock(&lock);
    return wanted;
}

void pf_log_flatten(char *line)
{
    for (; *line; line++)
        if ((unsigned char)*line < ' ' || *line == 0x7f)
            *line = ' ';
}

/* Quotes are around values, and no value has any of its own: they become apostrophes.  Which is which shows in the same
   line made from a format that has another character for its quotes. */
static void disarm_quotes(char line[LINE_BYTES], size_t from, const char *format, va_list args)
{
    char marked[LINE_BYTES], marking[LINE_BYTES];

    snprintf(marking, sizeof marking, "%s", format);
    for (char *quote = strchr(marking, '"'); quote; quote = strchr(quote, '"'))
        *quote = '|';
    vsnprintf(marked, sizeof marked - from, marking, args);
    for (char *value = marked; *value; value++)
        if (*value == '"')
            line[from + (size_t)(value - marked)] = '\'';
}

void pf_log(pf_log_level level, const char *component, const char *format, ...)
{
    char         line[LINE_BYTES];
    int          used = 0, name_bytes = 0;
    va_list      args;
    pf_log_sink *sink = NULL;
    void        *user = NULL;

    if (!pf_log_wanted(level, component))
        return;
    used = name_bytes = snprintf(line, sizeof line, "%.*s ", COMPONENT_BYTES, component);
    va_start(args, format);
    used += vsnprintf(line + used, sizeof line - (size_t)used, format, args);
    va_end(args);
    va_start(args, format);
    disarm_quotes(line, (size_t)name_bytes, format, args);
    va_end(args);
    if (used >= (int)sizeof line)
        memcpy(line + sizeof line - 4, "...", 4);
    pf_log_flatten(line);
    pthread_mutex_lock(&lock);
    sink = current_sink;
    user = current_user;
    pthread_mutex_unlock(&lock);
    if (sink)
        sink(user, level, line);
}

static void write_to_stderr(void *user, pf_log_level level, const char *line)
{
    char            out[LINE_BYTES + 64];
    struct timespec now = {0};
    struct tm       utc = {0};
    size_t          used = 0;

    (void)user;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    used = strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &utc);
    used += (size_t)snprintf(out + used, sizeof out - used, ".%03ldZ %s %s\n", now.tv_nsec / 1000000,
                             level_names[level], line);
    if (write(STDERR_FILENO, out, used) < 0)
        return;     /* nowhere left to say it */
}

void pf_log_to_stderr(void)
{
    pf_log_set_sink(write_to_stderr, NULL);
}
