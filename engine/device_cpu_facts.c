/* What Linux says of the CPU: /proc/cpuinfo, /sys, the affinity mask and the cgroup's quota. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/device_cpu.h"

enum { TEXT_LIMIT = 1 << 20, SMALL_LIMIT = 4096 };

/* A small file as text; false when it cannot be read. */
static bool read_text(const char *path, char *out, size_t capacity)
{
    FILE  *file = fopen(path, "re");
    size_t bytes = 0;

    out[0] = 0;
    if (!file)
        return false;
    bytes = fread(out, 1, capacity - 1, file);
    out[bytes] = 0;
    fclose(file);
    return bytes > 0;
}

static void trim(char *text)
{
    size_t length = strlen(text);

    while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
        text[--length] = 0;
}

/* The value of the first "key : value" line. */
static bool cpuinfo_value(const char *text, const char *key, char *out, size_t capacity)
{
    size_t length = strlen(key);

    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *colon = strchr(line, ':');
        const char *end = strchrnul(line, '\n');

        if (strncmp(line, key, length) != 0 || !colon || colon > end ||
            (line[length] != '\t' && line[length] != ' ' && line[length] != ':'))
            continue;
        colon += colon[1] == ' ' ? 2 : 1;
        snprintf(out, capacity, "%.*s", (int)(end > colon ? end - colon : 0), colon);
        trim(out);
        return out[0] != 0;
    }
    return false;
}

static int cpuinfo_number(const char *text, const char *key)
{
    char value[32] = "";

    return cpuinfo_value(text, key, value, sizeof value) ? (int)strtol(value, NULL, 10) : 0;
}

static void read_cpuinfo(pf_cpu_facts *out)
{
    static const char *const unknown = "?";
    char text[8192] = "";

    read_text("/proc/cpuinfo", text, sizeof text);
    snprintf(out->vendor, sizeof out->vendor, "%s", unknown);
    snprintf(out->model_name, sizeof out->model_name, "%s", unknown);
    cpuinfo_value(text, "vendor_id", out->vendor, sizeof out->vendor);
    cpuinfo_value(text, "model name", out->model_name, sizeof out->model_name);
    out->family = cpuinfo_number(text, "cpu family");
    out->model = cpuinfo_number(text, "model");
    out->stepping = cpuinfo_number(text, "stepping");
}

uint32_t pf_cpu_clock_mhz(void)
{
    char text[8192] = "";

    if (read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", text, sizeof text))
        return (uint32_t)(strtoul(text, NULL, 10) / 1000);
    read_text("/proc/cpuinfo", text, sizeof text);
    return (uint32_t)cpuinfo_number(text, "cpu MHz");
}

/* "512K", "32M" */
static size_t parse_size(const char *text)
{
    char  *end = NULL;
    size_t value = strtoul(text, &end, 10);

    return value << (*end == 'K' ? 10 : *end == 'M' ? 20 : 0);
}

static void read_caches(pf_cpu_facts *out)
{
    for (int i = 0; i < 8; i++) {
        char path[128] = "", level[16] = "", type[32] = "", size[32] = "";

        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        if (!read_text(path, level, sizeof level))
            break;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
        read_text(path, type, sizeof type);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        read_text(path, size, sizeof size);
        if (type[0] == 'I')
            continue;
        *(level[0] == '1' ? &out->l1d_bytes : level[0] == '2' ? &out->l2_bytes : &out->l3_bytes) = parse_size(size);
    }
}

/* True when no lower-numbered core of the mask shares the physical core. */
static bool leads_its_core(int cpu, const cpu_set_t *mask)
{
    char path[128] = "", text[256] = "";
    const char *at = text;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (!read_text(path, text, sizeof text))
        return true;
    while (*at) {                               /* "0,64" or "0-1" */
        char *end = NULL;
        long  first = strtol(at, &end, 10), last = first;

        if (end == at)
            break;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        for (long other = first; other <= last && other < cpu; other++)
            if (other >= 0 && CPU_ISSET((size_t)other, mask))
                return false;
        at = *end ? end + 1 : end;
    }
    return true;
}

static int32_t cores_in_mask(void)
{
    cpu_set_t mask;
    int32_t   count = 0;

    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask))
        return 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &mask) && leads_its_core(cpu, &mask))
            count++;
    return count > 0 ? count : 1;
}

/* Whole cores that a "quota period" pair allows; INT32_MAX when it sets no limit. */
static int32_t quota_cores(const char *text)
{
    char  *end = NULL;
    double quota = strtod(text, &end), period = 0;

    if (end == text || quota <= 0)              /* "max", or -1 */
        return INT32_MAX;
    period = strtod(end, NULL);
    if (period <= 0)
        return INT32_MAX;
    return quota / period < 1 ? 1 : (int32_t)(quota / period + 0.5);
}

/* cgroup v2: the least quota from this process's group up to the root. */
static int32_t quota_of_group(void)
{
    char    text[SMALL_LIMIT] = "", path[SMALL_LIMIT] = "", full[SMALL_LIMIT + 64] = "", value[64] = "";
    int32_t least = INT32_MAX;
    char   *line = NULL;

    read_text("/proc/self/cgroup", text, sizeof text);
    line = strstr(text, "0::");
    if (line)
        snprintf(path, sizeof path, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    for (;;) {
        char *slash = strrchr(path, '/');

        snprintf(full, sizeof full, "/sys/fs/cgroup%s/cpu.max", path);
        if (read_text(full, value, sizeof value) && quota_cores(value) < least)
            least = quota_cores(value);
        if (!slash)
            break;
        *slash = 0;
    }
    return least;
}

static int32_t quota_of_old_group(void)
{
    char quota[32] = "", period[32] = "", both[80] = "";

    if (!read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota)
        || !read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
        return INT32_MAX;
    trim(quota);
    snprintf(both, sizeof both, "%s %s", quota, period);
    return quota_cores(both);
}

static int32_t numa_nodes(void)
{
    int32_t count = 0;

    for (;;) {
        char path[64] = "";

        snprintf(path, sizeof path, "/sys/devices/system/node/node%d", count);
        if (access(path, F_OK))
            break;
        count++;
    }
    return count > 0 ? count : 1;
}

void pf_cpu_facts_read(pf_cpu_facts *out)
{
    int32_t quota = quota_of_group(), old_quota = quota_of_old_group();
    long    pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);

    *out = (pf_cpu_facts){ 0 };
    read_cpuinfo(out);
    read_caches(out);
    out->cores = cores_in_mask();
    if (quota < out->cores)
        out->cores = quota;
    if (old_quota < out->cores)
        out->cores = old_quota;
    out->numa_nodes = numa_nodes();
    out->memory_bytes = pages > 0 && page_bytes > 0 ? (size_t)pages * (size_t)page_bytes : 0;
}
