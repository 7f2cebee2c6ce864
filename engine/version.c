#include "engine/planfarm.h"

const char *pf_version(void)
{
    return PF_VERSION;
}
