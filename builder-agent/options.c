#include "builder-agent/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

#define CACHE_BYTES (UINT64_C(20) << 30)

static pf_status take_number(const char *name, const char *value, long least, long most, long *out, pf_err *err)
{
    char *end = NULL;

    errno = 0;
    *out = strtol(value, &end, 10);
    if (end != value && !*end && !errno && *out >= least && *out <= most)
        return PF_OK;
    return PF_FAIL(err, PF_USAGE, "--%s needs a number from %ld to %ld, not \"%.100s\"", name, least, most, value);
}

static pf_status take_coordinator(pf_agent_options *options, const char *value, pf_err *err)
{
    options->coordinator = value;
    if (strncmp(value, "tcp://", 6) == 0 && strrchr(value, ':') > value + 5)
        return PF_OK;
    return PF_FAIL(err, PF_USAGE, "--coordinator needs an address like tcp://host:7702, not \"%.200s\"", value);
}

static pf_status take_folder(pf_agent_options *options, const char *value, pf_err *err)
{
    (void)err;
    options->folder = value;
    return PF_OK;
}

static pf_status take_device(pf_agent_options *options, const char *value, pf_err *err)
{
    if (options->devices_count == PF_AGENT_DEVICES_MAX)
        return PF_FAIL(err, PF_USAGE, "an agent takes at most %d devices; start another one", PF_AGENT_DEVICES_MAX);
    options->device[options->devices_count++] = value;
    return PF_OK;
}

static pf_status take_http(pf_agent_options *options, const char *value, pf_err *err)
{
    options->http_url = value;
    if (strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0)
        return PF_OK;
    return PF_FAIL(err, PF_USAGE, "--http needs a URL like http://host:7780, not \"%.200s\"", value);
}

static pf_status take_name(pf_agent_options *options, const char *value, pf_err *err)
{
    (void)err;
    options->name = value;
    return PF_OK;
}

static pf_status take_threads(pf_agent_options *options, const char *value, pf_err *err)
{
    long      number = 0;
    pf_status st = take_number("threads", value, 1, 1024, &number, err);

    options->threads = (int32_t)number;
    return st;
}

static pf_status take_isa(pf_agent_options *options, const char *value, pf_err *err)
{
    (void)err;
    options->isa = value;
    return PF_OK;
}

static pf_status take_share(pf_agent_options *options, const char *value, pf_err *err)
{
    long      number = 0;
    pf_status st = take_number("share", value, 1, 100, &number, err);

    options->share_percent = (int32_t)number;
    return st;
}

static pf_status take_size(const char *name, const char *value, uint64_t *out, pf_err *err)
{
    static const char units[] = "KMGT";
    char             *end = NULL;
    unsigned long long number = 0;
    const char       *unit = NULL;

    errno = 0;
    number = strtoull(value, &end, 10);
    unit = *end ? strchr(units, *end) : NULL;
    if (end == value || errno || value[0] == '-' || (*end && (!unit || end[1])) || number > (1ull << 22))
        return PF_FAIL(err, PF_USAGE, "--%s needs a size like 20G, not \"%.100s\"", name, value);
    *out = number << (unit ? 10 * (unit - units + 1) : 0);
    return PF_OK;
}

static pf_status take_cache(pf_agent_options *options, const char *value, pf_err *err)
{
    return take_size("cache", value, &options->cache_limit_bytes, err);
}

static pf_status take_url_limit(pf_agent_options *options, const char *value, pf_err *err)
{
    return take_size("url-limit", value, &options->url_limit_bytes, err);
}

static pf_status take_token_file(pf_agent_options *options, const char *value, pf_err *err)
{
    (void)err;
    options->token_file = value;
    return PF_OK;
}

static const struct row {
    const char *name;
    pf_status (*take)(pf_agent_options *options, const char *value, pf_err *err);
    const char *value, *help;
} rows[] = {
#define PF_AGENT_OPTION(name, take, value, help) { name, take, value, help },
#include "builder-agent/options.def"
#undef PF_AGENT_OPTION
};

enum { ROWS_COUNT = sizeof rows / sizeof rows[0] };

static const struct row *find_row(const char *argument, size_t *name_bytes)
{
    *name_bytes = strcspn(argument, "=");
    for (int i = 0; i < ROWS_COUNT; i++) {
        if (strlen(rows[i].name) == *name_bytes && strncmp(rows[i].name, argument, *name_bytes) == 0)
            return &rows[i];
    }
    return NULL;
}

static pf_status refuse(const char *argument, pf_err *err)
{
    char        word[64] = "";
    pf_nearest  nearest;
    const char *meant = NULL;

    snprintf(word, sizeof word, "%.*s", (int)strcspn(argument, "="), argument);
    pf_nearest_begin(&nearest, word + strspn(word, "-"));
    for (int i = 0; i < ROWS_COUNT; i++)
        pf_nearest_offer(&nearest, rows[i].name);
    meant = pf_nearest_end(&nearest);
    return PF_FAIL(err, PF_USAGE, "there is no option \"%.100s\"; %s%s%s", argument, meant ? "did you mean --" : "",
                   meant ? meant : "planfarm-agent --help lists them", meant ? "?" : "");
}

static pf_status take_argument(int argc, char **argv, int *at, pf_agent_options *out, pf_err *err)
{
    const char       *argument = argv[*at];
    size_t            bytes = 0;
    const struct row *row = strncmp(argument, "--", 2) == 0 ? find_row(argument + 2, &bytes) : NULL;

    if (!row)
        return refuse(argument, err);
    if (argument[2 + bytes] == '=')
        return row->take(out, argument + 2 + bytes + 1, err);
    if (*at + 1 >= argc)
        return PF_FAIL(err, PF_USAGE, "--%s needs %s", row->name, row->value);
    return row->take(out, argv[++*at], err);
}

pf_status pf_agent_options_parse(int argc, char **argv, pf_agent_options *out, bool *help, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_agent_options){ .cache_limit_bytes = CACHE_BYTES, .url_limit_bytes = CACHE_BYTES };
    *help = false;
    for (int i = 1; i < argc && !st && !*help; i++) {
        *help = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        if (!*help)
            st = take_argument(argc, argv, &i, out, err);
    }
    if (st || *help)
        return st;
    if (!out->coordinator || !out->folder)
        return PF_FAIL(err, PF_USAGE, "planfarm-agent needs --coordinator tcp://HOST:PORT and --dir DIR");
    if (out->devices_count == 0)
        out->device[out->devices_count++] = "cpu";
    return PF_OK;
}

void pf_agent_options_help(pf_buf *out)
{
    pf_buf_printf(out, "planfarm-agent --coordinator tcp://HOST:PORT --dir DIR [options]\n\n"
                       "Builds plans for the devices of this machine, as the coordinator tells it.\n\n");
    for (int i = 0; i < ROWS_COUNT; i++)
        pf_buf_printf(out, "  --%-12s %-16s %s\n", rows[i].name, rows[i].value, rows[i].help);
    pf_buf_printf(out, "  --%-12s %-16s %s\n", "version", "", "print the version and the builder ABI");
    pf_buf_printf(out, "\nSIGTERM drains: what runs is finished, nothing new is taken. SIGINT stops at once.\n"
                       "PF_LOG=info, PF_LOG=agent:debug and the like choose what is logged to standard error.\n");
}
