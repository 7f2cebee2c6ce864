/* `planfarm cache ... --farm URL`: the same verbs on a farm's timing cache. */
#ifndef PF_CLIENT_FARM_CACHE_H
#define PF_CLIENT_FARM_CACHE_H

#include "client/verb.h"

#define PF_FARM_CACHE_OPTION {.name = "farm", .kind = PF_OPTION_TEXT, .value = "URL", .help = "work on the timing cache of a farm"}

/* PF_OK when --farm was not given.  Errors  UNSUPPORTED: it was. */
pf_status pf_farm_cache_check(const pf_call *call, pf_err *err);

#endif
