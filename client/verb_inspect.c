#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cache/timing_export.h"
#include "client/cache_report.h"
#include "client/inputs.h"
#include "client/model_report.h"
#include "client/output.h"
#include "client/path_kind.h"
#include "client/plan_report.h"
#include "client/tensor_file.h"
#include "client/tensor_report.h"

static const pf_option options[] = {
    {.name = "layers", .kind = PF_OPTION_FLAG, .help = "list the layers of a plan with their tactics"},
    {.name = "rules", .kind = PF_OPTION_FLAG,
     .help = "list the rewrites of a plan's network, or of a model and where they apply"},
    {.name = "graph", .kind = PF_OPTION_FLAG, .help = "print a network as text, op by op; with --rules after them"},
    {.name = "shapes", .kind = PF_OPTION_TEXT, .value = "IN:1x3x..,..",
     .help = "sizes of inputs, of a network that cannot be read with them open"},
    PF_FREEZE_OPTION,
    {.name = NULL},
};

static pf_status inspect_cache(pf_call *call, const char *path, pf_err *err)
{
    const pf_timing_db_options with = {.read_only = true};
    pf_timing_db *db = NULL;
    pf_status     status = pf_timing_db_open(path, &with, &db, err);

    json_object_set_new(call->result, "kind", json_string("timing cache"));
    if (!status)
        status = pf_cache_report(call, db, pf_timing_db_folder(db), 0, err);
    pf_timing_db_close(db);
    return status;
}

static pf_status inspect_export(pf_call *call, const char *path, pf_err *err)
{
    pf_mapping         file = {0};
    pf_timing_transfer found = {0};
    pf_status          status = pf_file_map(path, &file, err);

    if (status)
        return status;
    json_object_set_new(call->result, "kind", json_string("exported timings"));
    status = pf_timing_export_check(file.data, file.bytes, &found, err);
    pf_file_unmap(&file);
    if (status)
        return pf_err_add(err, status, "%s", path);
    pf_transfer_report(call, "exported timings", path, &found);
    return PF_OK;
}

static pf_status inspect_tensor(pf_call *call, const char *path, pf_err *err)
{
    pf_tensor tensor = {0};
    json_t   *report = NULL;
    char      shape[PF_SHAPE_TEXT_BYTES];
    pf_status status = pf_tensor_file_read(path, PF_DTYPE_NONE, &tensor, err);

    if (status)
        return status;
    report = pf_tensor_report(path, &tensor);
    json_object_update(call->result, report);
    json_object_set_new(call->result, "kind", json_string("tensor"));
    json_decref(report);
    pf_say(call, "%s: %s %s\n", path, pf_dtype_name(tensor.dtype), pf_shape_text(tensor.dim, tensor.rank, shape));
    pf_tensor_clear(&tensor);
    return PF_OK;
}

static pf_status run(pf_call *call, pf_err *err)
{
    static pf_status (*const inspect[])(pf_call *call, const char *path, pf_err *err) = {
        [PF_PATH_FOLDER] = inspect_cache, [PF_PATH_PLAN] = pf_plan_report, [PF_PATH_EXPORT] = inspect_export,
        [PF_PATH_NPY] = inspect_tensor,   [PF_PATH_OTHER] = pf_model_report,
    };
    const char  *path = pf_args_operand(call->args, 0);
    pf_path_kind kind = PF_PATH_OTHER;
    pf_status    status = pf_args_expect(call->args, 1, 1, "PLAN, MODEL.onnx or CACHE", err);

    if (!status)
        status = pf_path_kind_of(path, &kind, err);
    return status ? status : inspect[kind](call, path, err);
}

const pf_verb_body pf_verb_inspect = {
    .options = options,
    .details = "  What a file is, is told by its bytes: a plan, an ONNX model, exported timings, a .npy tensor; a\n"
               "  folder is a timing cache.  A plan is checked byte by byte.\n"
               "\n"
               "  --json: kind, and what that kind has; a plan's members are described in engine/PLAN_FORMAT.md\n",
    .run = run,
};
