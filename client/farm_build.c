#include "client/farm_build.h"

pf_status pf_farm_build(pf_call *call, const char *url, const char *gpu, const char *model_path, const char *plan_path,
                        const pf_config *config, pf_err *err)
{
    (void)call, (void)gpu, (void)model_path, (void)plan_path, (void)config;
    return PF_FAIL(err, PF_UNSUPPORTED, "--farm %.200s: this version builds on this machine only; leave --farm and --gpu out", url);
}
