/* Building on the farm: what `planfarm build --farm URL --gpu CLASS,...` does. */
#ifndef PF_CLIENT_FARM_BUILD_H
#define PF_CLIENT_FARM_BUILD_H

#include "client/verb.h"
#include "engine/planfarm.h"

/* url, gpu (NULL when not given) and plan_path (NULL: the default name) are as on the command line; config holds the
   flags. */
pf_status pf_farm_build(pf_call *call, const char *url, const char *gpu, const char *model_path, const char *plan_path,
                        const pf_config *config, pf_err *err);

#endif
