#include "client/cache_folder.h"

#include <limits.h>
#include <stdio.h>

#include "base/file.h"

pf_status pf_cache_folder_path(const pf_call *call, char *out, size_t capacity, pf_err *err)
{
    const char *given = pf_args_text(call->args, "cache");
    char        root[PATH_MAX];
    pf_status   status = PF_OK;

    out[0] = 0;
    if (!given) {
        status = pf_path_user_cache(root, sizeof root, err);
        return status ? status : pf_path_join(root, "timing", out, capacity, err);
    }
    if ((size_t)snprintf(out, capacity, "%s", given) < capacity)
        return PF_OK;
    out[0] = 0;
    return PF_FAIL(err, PF_USAGE, "--cache has a name of more than %zu bytes", capacity - 1);
}

pf_status pf_cache_folder_kernels(const char *folder, char *out, size_t capacity, pf_err *err)
{
    return pf_path_join(folder, "kernels", out, capacity, err);
}

pf_status pf_cache_folder_open(const pf_call *call, bool read_only, pf_timing_db **out, pf_err *err)
{
    const pf_timing_db_options options = {.read_only = read_only};
    char      folder[PATH_MAX];
    pf_status status = pf_cache_folder_path(call, folder, sizeof folder, err);

    *out = NULL;
    return status ? status : pf_timing_db_open(folder, &options, out, err);
}
