#include "client/farm_cache.h"

pf_status pf_farm_cache_check(const pf_call *call, pf_err *err)
{
    const char *url = pf_args_text(call->args, "farm");

    if (!url)
        return PF_OK;
    return PF_FAIL(err, PF_UNSUPPORTED, "--farm %.200s: this version works on timing caches of this machine only; give --cache DIR", url);
}
