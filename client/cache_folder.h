/* The timing cache that a verb works on: --cache DIR, or "timing" in the user's cache folder. */
#ifndef PF_CLIENT_CACHE_FOLDER_H
#define PF_CLIENT_CACHE_FOLDER_H

#include "cache/timing_db.h"
#include "client/verb.h"

/* The row of an option table. */
#define PF_CACHE_OPTION \
    {.name = "cache", .kind = PF_OPTION_TEXT, .value = "DIR", \
     .help = "folder of the timing cache; planfarm/timing in the user's cache folder otherwise"}

/* Its path; the folder may not be there yet.  Errors  NOT_FOUND: neither an option nor the environment names one. */
pf_status pf_cache_folder_path(const pf_call *call, char *out, size_t capacity, pf_err *err);
/* Where kernels that were compiled for a GPU are kept, beside the timings of a folder. */
pf_status pf_cache_folder_kernels(const char *folder, char *out, size_t capacity, pf_err *err);
pf_status pf_cache_folder_open(const pf_call *call, bool read_only, pf_timing_db **out, pf_err *err);

#endif
