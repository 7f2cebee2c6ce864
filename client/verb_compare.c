#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "client/output.h"
#include "client/path_kind.h"
#include "client/tensor_file.h"
#include "client/tensor_report.h"

static const pf_option options[] = {PF_TOLERANCE_OPTION, {.name = NULL}};

typedef struct comparison {
    pf_call *call;
    double   tolerance;
    uint32_t compared;
    pf_err   first;         /* the first difference; its status is PF_OK while there is none */
} comparison;

static void compare_files(comparison *c, const char *name, const char *test_path, const char *reference_path)
{
    pf_tensor test = {0}, reference = {0};
    pf_err    why = {0};
    pf_status status = pf_tensor_file_read(reference_path, PF_DTYPE_NONE, &reference, &why);

    if (!status)
        status = pf_tensor_file_read(test_path, reference.dtype, &test, &why);
    if (!status)
        status = pf_tensor_difference(c->call, name, &test, &reference, c->tolerance, &why);
    if (status && !c->first.status)
        c->first = why;
    c->compared++;
    pf_tensor_clear(&test);
    pf_tensor_clear(&reference);
}

static bool is_tensor_name(const char *name)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, ".npy") == 0;
}

/* A name below the reference folder; its counterpart lies at the same place below test. */
static pf_status compare_entry(comparison *c, const char *test, const char *reference, const FTSENT *entry, pf_err *err)
{
    const char *below = entry->fts_path + strlen(reference);
    char        path[PATH_MAX], name[PATH_MAX];

    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS)
        return PF_FAIL(err, pf_status_from_errno(entry->fts_errno), "cannot read %s: %s", entry->fts_path,
                       strerror(entry->fts_errno));
    if (entry->fts_info != FTS_F || !is_tensor_name(entry->fts_name))
        return PF_OK;
    if (snprintf(path, sizeof path, "%s%s", test, below) >= PATH_MAX)
        return PF_FAIL(err, PF_INVALID, "a path in %s is too long", test);
    below += strspn(below, "/");
    snprintf(name, sizeof name, "%.*s", (int)strlen(below) - 4, below);
    compare_files(c, name, path, entry->fts_path);
    return PF_OK;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static pf_status compare_folders(comparison *c, const char *test, const char *reference, pf_err *err)
{
    char *const paths[] = {(char *)reference, NULL};
    FTS        *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, by_name);
    FTSENT     *entry = NULL;
    pf_status   status = PF_OK;

    if (!tree)
        return PF_FAIL_ERRNO(err, "list", reference);
    while (!status && (entry = fts_read(tree)) != NULL)
        status = compare_entry(c, test, reference, entry, err);
    fts_close(tree);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    const char  *test = pf_args_operand(call->args, 0), *reference = pf_args_operand(call->args, 1);
    comparison   c = {.call = call, .tolerance = pf_args_real(call->args, "tolerance")};
    pf_path_kind test_kind = PF_PATH_OTHER, reference_kind = PF_PATH_OTHER;
    pf_status    status = pf_args_expect(call->args, 2, 2, "TEST or REFERENCE", err);

    if (!status)
        status = pf_path_kind_of(test, &test_kind, err);
    if (!status)
        status = pf_path_kind_of(reference, &reference_kind, err);
    if (status)
        return status;
    if ((test_kind == PF_PATH_FOLDER) != (reference_kind == PF_PATH_FOLDER))
        return PF_FAIL(err, PF_USAGE, "compare two files or two folders, not one of each");
    if (test_kind == PF_PATH_FOLDER)
        status = compare_folders(&c, test, reference, err);
    else
        compare_files(&c, test, test, reference);
    if (!status && !c.compared)
        status = PF_FAIL(err, PF_NOT_FOUND, "%s holds no .npy files", reference);
    if (!status && c.first.status)
        status = PF_FAIL(err, c.first.status, "%s", c.first.msg);
    return status;
}

const pf_verb_body pf_verb_compare = {
    .options = options,
    .details = "  Folders are gone through for .npy files; each one of REFERENCE must be in TEST.  All are compared;\n"
               "  the exit code is MISMATCH's when one differs by more than the tolerance.\n",
    .run = run,
};
