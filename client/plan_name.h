/* Where a plan goes. */
#ifndef PF_CLIENT_PLAN_NAME_H
#define PF_CLIENT_PLAN_NAME_H

#include <limits.h>

#include "base/status.h"

/* output when it is given; else the model's file name with .plan for .onnx, in the current folder. */
pf_status pf_plan_name(const char *model_path, const char *output, char out[PATH_MAX], pf_err *err);

#endif
