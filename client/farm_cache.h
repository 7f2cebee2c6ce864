/* The timing cache that a verb of `planfarm cache` works on: a folder, or with --farm a farm's.
   A farm's cache is worked on through a private folder: for reading it is filled from the farm, for writing it begins
   empty and what comes into it is told to the farm.
   Thread   one. */
#ifndef PF_CLIENT_FARM_CACHE_H
#define PF_CLIENT_FARM_CACHE_H

#include <limits.h>

#include "client/cache_folder.h"
#include "client/farm.h"

#define PF_FARM_CACHE_OPTION \
    {.name = "farm", .kind = PF_OPTION_TEXT, .value = "URL", .help = "work on the timing cache of a farm"}, \
    PF_IDENTITY_OPTIONS

typedef struct pf_cache {           /* open to readers; zero it before use */
    pf_timing_db *db;
    bool          is_farm, read_only;
    uint64_t      damaged;          /* records that the farm could not give */
    pf_farm       farm;
    char          folder[PATH_MAX]; /* the private one */
} pf_cache;

/* Errors   USAGE: --farm beside --cache; UNREACHABLE; those of the folder. */
pf_status pf_cache_open(pf_call *call, bool read_only, pf_cache *out, pf_err *err);
/* Tells the farm what was written; for a folder there is nothing to do.  Errors   DENIED: this key may not. */
pf_status pf_cache_send(pf_cache *cache, pf_err *err);
void      pf_cache_close(pf_cache *cache);

#endif
