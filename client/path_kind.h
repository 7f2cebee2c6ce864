/* What a path of the command line is: told by what it holds, not by its name. */
#ifndef PF_CLIENT_PATH_KIND_H
#define PF_CLIENT_PATH_KIND_H

#include "engine/planfarm.h"

typedef enum pf_path_kind {
    PF_PATH_FOLDER,
    PF_PATH_PLAN,
    PF_PATH_EXPORT,         /* of a timing cache */
    PF_PATH_NPY,
    /* a file that only its reader can judge: ONNX and TensorProto files begin with nothing in particular */
    PF_PATH_OTHER,
} pf_path_kind;

/* Errors   NOT_FOUND, DENIED, IO; INVALID: an empty file, or neither file nor folder. */
pf_status pf_path_kind_of(const char *path, pf_path_kind *out, pf_err *err);
/* Loads what must be a plan.  Errors  as before; INVALID: it is something else; those of pf_plan_load. */
pf_status pf_path_load_plan(const char *path, pf_plan **out, pf_err *err);

#endif
