/* The timing cache that a verb works on: --cache DIR, or "timing" in the user's cache folder. */
#ifndef PF_CLIENT_CACHE_FOLDER_H
#define PF_CLIENT_CACHE_FOLDER_H

#include "cache/timing_db.h"
#include "client/verb.h"

/* The row of an option table. */
#define PF_CACHE_OPTION \
    {.name = "cache", .kind = PF_OPTION_TEXT, .value = "DIR", \
     .help = "folder of the timing cache; planfarm/timing in the user's cache folder otherwise"}

pf_status pf_cache_folder_open(const pf_call *call, bool read_only, pf_timing_db **out, pf_err *err);

#endif
