#include "base/processors.h"

#include <sched.h>

int pf_processors(void)
{
    cpu_set_t mask;

    CPU_ZERO(&mask);
    return sched_getaffinity(0, sizeof mask, &mask) || CPU_COUNT(&mask) < 1 ? 1 : CPU_COUNT(&mask);
}
