#include "client/cache_folder.h"

#include <limits.h>
#include <stdio.h>

#include "base/file.h"

pf_status pf_cache_folder_open(const pf_call *call, bool read_only, pf_timing_db **out, pf_err *err)
{
    const pf_timing_db_options options = {.read_only = read_only};
    const char *given = pf_args_text(call->args, "cache");
    char        root[PATH_MAX], folder[PATH_MAX];
    pf_status   status = PF_OK;

    *out = NULL;
    if (given)
        return pf_timing_db_open(given, &options, out, err);
    status = pf_path_user_cache(root, sizeof root, err);
    if (!status)
        status = pf_path_join(root, "timing", folder, sizeof folder, err);
    return status ? status : pf_timing_db_open(folder, &options, out, err);
}
