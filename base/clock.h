/* Time is int64 nanoseconds everywhere. */
#ifndef PF_BASE_CLOCK_H
#define PF_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define PF_NS_PER_S  INT64_C(1000000000)
#define PF_NS_PER_MS INT64_C(1000000)
#define PF_NS_PER_US INT64_C(1000)

int64_t pf_clock_ns(void);          /* CLOCK_MONOTONIC: durations */
int64_t pf_clock_boot_ns(void);     /* CLOCK_BOOTTIME: leases; goes on while the machine sleeps */
int64_t pf_clock_wall_ns(void);     /* CLOCK_REALTIME since 1970: logs and records only, never for deadlines */
void    pf_clock_sleep_ns(int64_t ns);
/* The moment that is so far ahead, by CLOCK_MONOTONIC: for waits that have an end. */
struct timespec pf_clock_after(int64_t ns);

#endif
