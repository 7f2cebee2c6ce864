#include "engine/planfarm.h"

const char *pf_version(void)
{
    return PF_VERSION;
}

const char *pf_builder_abi(void)
{
    return PF_BUILDER_ABI;
}
