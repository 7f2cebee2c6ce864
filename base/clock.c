#include "base/clock.h"

#include <errno.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now = {0};

    clock_gettime(id, &now);
    return now.tv_sec * PF_NS_PER_S + now.tv_nsec;
}

int64_t pf_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t pf_clock_boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t pf_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void pf_clock_sleep_ns(int64_t ns)
{
    struct timespec left = {.tv_sec = ns / PF_NS_PER_S, .tv_nsec = ns % PF_NS_PER_S};

    while (ns > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        continue;
}

struct timespec pf_clock_after(int64_t ns)
{
    int64_t until = pf_clock_ns() + ns;

    return (struct timespec){.tv_sec = until / PF_NS_PER_S, .tv_nsec = until % PF_NS_PER_S};
}
