#include "client/plan_name.h"

#include <stdio.h>
#include <string.h>

pf_status pf_plan_name(const char *model_path, const char *output, char out[PATH_MAX], pf_err *err)
{
    const char *slash = strrchr(model_path, '/');
    const char *name = slash ? slash + 1 : model_path;
    size_t      length = strlen(name);
    int         written = 0;

    if (length > 5 && strcmp(name + length - 5, ".onnx") == 0)
        length -= 5;
    if (output)
        written = snprintf(out, PATH_MAX, "%s", output);
    else
        written = snprintf(out, PATH_MAX, "%.*s.plan", (int)length, name);
    return written < PATH_MAX ? PF_OK
                              : PF_FAIL(err, PF_INVALID, "the name of the plan is longer than %d bytes", PATH_MAX - 1);
}
