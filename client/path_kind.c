#include "client/path_kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/timing_export.h"
#include "client/npy.h"
#include "engine/plan_sections.h"

enum { HEAD_BYTES = 16 };

static pf_path_kind kind_of_bytes(const uint8_t *head, size_t bytes)
{
    if (bytes >= 8 && memcmp(head, PF_PLAN_MAGIC, 8) == 0)
        return PF_PATH_PLAN;
    if (pf_timing_is_export(head, bytes))
        return PF_PATH_EXPORT;
    return pf_npy_is(head, bytes) ? PF_PATH_NPY : PF_PATH_OTHER;
}

pf_status pf_path_kind_of(const char *path, pf_path_kind *out, pf_err *err)
{
    struct stat info = {0};
    uint8_t     head[HEAD_BYTES];
    size_t      bytes = 0;
    FILE       *file = NULL;

    *out = PF_PATH_OTHER;
    if (stat(path, &info))
        return errno == ENOENT ? PF_FAIL(err, PF_NOT_FOUND, "there is no file %s", path)
                               : PF_FAIL_ERRNO(err, "open", path);
    if (S_ISDIR(info.st_mode)) {
        *out = PF_PATH_FOLDER;
        return PF_OK;
    }
    if (!S_ISREG(info.st_mode))
        return PF_FAIL(err, PF_INVALID, "%s is neither a file nor a folder", path);
    file = fopen(path, "rbe");
    if (!file)
        return PF_FAIL_ERRNO(err, "open", path);
    bytes = fread(head, 1, sizeof head, file);
    fclose(file);
    if (!bytes)
        return PF_FAIL(err, PF_INVALID, "%s is empty", path);
    *out = kind_of_bytes(head, bytes);
    return PF_OK;
}

pf_status pf_path_load_plan(const char *path, pf_plan **out, pf_err *err)
{
    pf_path_kind kind = PF_PATH_OTHER;
    pf_status    status = pf_path_kind_of(path, &kind, err);

    *out = NULL;
    if (!status && kind != PF_PATH_PLAN)
        status = PF_FAIL(err, PF_INVALID, "%s is not a plan; make one with planfarm build", path);
    return status ? status : pf_plan_load(path, out, err);
}
