/* Runs test cases of the ONNX standard through the importer and the references, as they are, then rewritten by the
   rules, and then, where many layers are left, built into a plan for the CPU.
   Standard input: one folder per line.  Each holds model.onnx and data.onnx: a model that is only a list of
   initializers, named i0, i1 ...  (inputs of the graph, in order) and o0, o1 ... (outputs); a sequence or optional x is
   x# (how many items) and x.0, x.1 ...  Standard output: "PASS folder", "FAIL folder: why" or "UNSUPPORTED folder:
   why", one line each.  Each case runs in a process of its own. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/onnx.h"
#include "engine/onnx_parse.h"
#include "engine/onnx_tensor.h"
#include "engine/op.h"
#include "engine/planfarm.h"
#include "engine/rewrite.h"

enum { LINE = 4096, NAME = 64, VALUES = 64, CASE_SECONDS = 60, BUILT_LAYERS = 8 };

typedef struct data { Onnx__ModelProto *model; pf_onnx_files *files; pf_arena *arena; } data;

static const Onnx__TensorProto *find(const data *d, const char *name)
{
    for (size_t i = 0; i < d->model->graph->n_initializer; i++)
        if (!strcmp(d->model->graph->initializer[i]->name, name))
            return d->model->graph->initializer[i];
    return NULL;
}

static pf_status read_tensor(const data *d, const Onnx__TensorProto *proto, pf_tensor *out, pf_err *err)
{
    static char  none;
    pf_onnx_data dense = { 0 };
    pf_status    st = pf_onnx_tensor_read(proto, d->files, d->arena, &dense, err);

    if (st)
        return st;
    *out = (pf_tensor){ .dtype = dense.dtype, .rank = dense.shape.rank, .data = (void *)(uintptr_t)dense.data,
                        .bytes = dense.bytes };
    if (!out->data)
        out->data = &none;
    for (int32_t i = 0; i < dense.shape.rank; i++)
        out->dim[i] = dense.shape.dim[i];
    return PF_OK;
}

static pf_status read_value(const data *d, const char *name, pf_tensor *out, pf_err *err);

static pf_status read_items(const data *d, const char *name, const Onnx__TensorProto *count, pf_tensor *out,
                            pf_err *err)
{
    pf_tensor many = { 0 };
    pf_status st = read_tensor(d, count, &many, err);

    memset(out, 0, sizeof *out);
    out->rank = -1;
    out->item_count = st ? 0 : *(const int64_t *)many.data;
    out->items = pf_calloc((size_t)out->item_count + 1, sizeof *out->items);
    for (int64_t i = 0; i < out->item_count && !st; i++) {
        char item[NAME];

        snprintf(item, sizeof item, "%s.%lld", name, (long long)i);
        st = read_value(d, item, &out->items[i], err);
        out->dtype = out->items[0].dtype;
    }
    return st;
}

static pf_status read_value(const data *d, const char *name, pf_tensor *out, pf_err *err)
{
    char                     count[NAME];
    const Onnx__TensorProto *proto = NULL;

    snprintf(count, sizeof count, "%s#", name);
    proto = find(d, count);
    if (proto)
        return read_items(d, name, proto, out, err);
    proto = find(d, name);
    if (!proto)
        return PF_FAIL(err, PF_NOT_FOUND, "the data lacks %s", name);
    return read_tensor(d, proto, out, err);
}

/* Relative tolerance: the standard's own 1e-3, and two units in the last place of types that are coarser. */
static double tolerance(pf_dtype dtype)
{
    static const struct { pf_dtype dtype; double relative; } coarse[] = {
        { PF_F16, 2e-3 }, { PF_BF16, 1.6e-2 }, { PF_F8E4M3FN, 0.25 }, { PF_F8E4M3FNUZ, 0.25 }, { PF_F8E5M2, 0.5 },
        { PF_F8E5M2FNUZ, 0.5 },
    };

    for (size_t i = 0; i < sizeof coarse / sizeof *coarse; i++)
        if (coarse[i].dtype == dtype)
            return coarse[i].relative;
    return 1e-3;
}

static bool close_enough(pf_dtype dtype, double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b))
        return a == b;
    return fabs(a - b) <= 1e-6 + tolerance(dtype) * fabs(b);
}

static bool same_element(const pf_tensor *test, const pf_tensor *want, int64_t i)
{
    const char *a = NULL, *b = NULL;

    if (pf_dtype_is_float(want->dtype))
        return close_enough(want->dtype, pf_dtype_get(want->dtype, test->data, (uint64_t)i),
                            pf_dtype_get(want->dtype, want->data, (uint64_t)i));
    if (want->dtype == PF_C64)
        return close_enough(PF_F32, ((const float *)test->data)[2 * i], ((const float *)want->data)[2 * i]) &&
               close_enough(PF_F32, ((const float *)test->data)[2 * i + 1], ((const float *)want->data)[2 * i + 1]);
    if (want->dtype != PF_STRING)
        return pf_dtype_get_i64(want->dtype, test->data, (uint64_t)i) ==
               pf_dtype_get_i64(want->dtype, want->data, (uint64_t)i);
    a = ((char *const *)test->data)[i];
    b = ((char *const *)want->data)[i];
    return !strcmp(a ? a : "", b ? b : "");
}

static pf_status compare(const char *name, const pf_tensor *test, const pf_tensor *want, pf_err *err)
{
    pf_status st = PF_OK;

    if (want->rank < 0) {
        if (test->item_count != want->item_count)
            return PF_FAIL(err, PF_MISMATCH, "%s has %lld items, not %lld", name, (long long)test->item_count,
                           (long long)want->item_count);
        for (int64_t i = 0; i < want->item_count && !st; i++)
            st = compare(name, &test->items[i], &want->items[i], err);
        return st;
    }
    if (test->dtype != want->dtype || !test->data)
        return PF_FAIL(err, PF_MISMATCH, "%s is %s, not %s", name, pf_dtype_name(test->dtype),
                       pf_dtype_name(want->dtype));
    if (!pf_tensor_same_shape(test, want)) {
        pf_err_set(err, PF_MISMATCH, __FILE__, __LINE__,
                   "%s has another shape: rank %d [%lld,%lld,%lld,%lld], not %d [%lld,%lld,%lld,%lld]", name,
                   test->rank, (long long)test->dim[0], (long long)test->dim[1], (long long)test->dim[2],
                   (long long)test->dim[3], want->rank, (long long)want->dim[0], (long long)want->dim[1],
                   (long long)want->dim[2], (long long)want->dim[3]);
        return PF_MISMATCH;
    }
    for (int64_t i = 0; i < pf_tensor_elems(want); i++)
        if (!same_element(test, want, i))
            return PF_FAIL(err, PF_MISMATCH, "%s[%lld] of %lld is %g, not %g", name, (long long)i,
                           (long long)pf_tensor_elems(want), pf_dtype_get(want->dtype, test->data, (uint64_t)i),
                           pf_dtype_get(want->dtype, want->data, (uint64_t)i));
    return PF_OK;
}

static pf_status open_data(const char *folder, data *d, pf_err *err)
{
    char path[LINE + 16];

    snprintf(path, sizeof path, "%s/data.onnx", folder);
    d->arena = pf_arena_new();
    d->files = pf_onnx_files_new(NULL);
    if (!d->arena || !d->files)
        return PF_FAIL_MEMORY(err, 1);
    return pf_onnx_parse_file(path, &d->model, err);
}

static pf_status check_graph(const pf_graph *graph, const data *d, pf_err *err)
{
    pf_tensor in[VALUES] = { 0 }, out[VALUES] = { 0 };
    char      name[16];
    pf_status st = graph->input_count > VALUES || graph->output_count > VALUES
                       ? PF_FAIL(err, PF_UNSUPPORTED, "too many values")
                       : PF_OK;

    for (uint32_t i = 0; i < graph->input_count && !st; i++) {
        snprintf(name, sizeof name, "i%u", i);
        st = read_value(d, name, &in[i], err);
    }
    if (!st)
        st = pf_graph_verify(graph, err);
    if (!st)
        st = pf_interpret(graph, in, out, NULL, NULL, err);
    for (uint32_t i = 0; i < graph->output_count && !st; i++) {
        pf_tensor want = { 0 };

        snprintf(name, sizeof name, "o%u", i);
        st = read_value(d, name, &want, err);
        if (!st)
            st = compare(name, &out[i], &want, err);
        pf_tensor_clear(&want);
    }
    for (uint32_t i = 0; i < VALUES; i++) {
        pf_tensor_clear(&in[i]);
        pf_tensor_clear(&out[i]);
    }
    return st;
}

static pf_status check_rewritten(pf_graph *graph, const data *d, pf_err *err)
{
    pf_rewrite_report report = { 0 };
    pf_status         st = pf_rewrite_run(graph, NULL, &report, err);

    if (!st && report.stopped)
        st = PF_FAIL(err, PF_INTERNAL, "%u rules do not come to an end", report.stopped);
    pf_rewrite_report_clear(&report);
    if (!st)
        st = check_graph(graph, d, err);
    return st ? pf_err_add(err, PF_MISMATCH, "rewritten") : PF_OK;
}

/* A plan takes and gives tensors only. */
static bool has_only_tensors(const data *d)
{
    for (size_t i = 0; i < d->model->graph->n_initializer; i++)
        if (strchr(d->model->graph->initializer[i]->name, '#'))
            return false;
    return true;
}

static pf_status run_plan(pf_plan *plan, pf_device *device, const data *d, pf_err *err)
{
    pf_tensor   in[VALUES] = { 0 }, out[VALUES] = { 0 }, want = { 0 };
    pf_context *context = NULL;
    uint32_t    counts[2] = { 0 };
    char        name[16];
    pf_status   st = pf_context_new(plan, device, NULL, &context, err);

    for (uint32_t i = 0; i < pf_plan_io_count(plan) && !st; i++) {
        bool is_input = pf_plan_io(plan, i)->is_input;

        snprintf(name, sizeof name, "i%u", counts[is_input]);
        if (is_input && counts[is_input] < VALUES)
            st = read_value(d, name, &in[counts[is_input]], err);
        counts[is_input]++;
    }
    if (!st && (counts[0] > VALUES || counts[1] > VALUES))
        st = PF_FAIL(err, PF_UNSUPPORTED, "too many values");
    if (!st)
        st = pf_context_run_host(context, in, out, err);
    for (uint32_t i = 0; i < counts[0] && !st; i++) {
        snprintf(name, sizeof name, "o%u", i);
        st = read_value(d, name, &want, err);
        if (!st)
            st = compare(name, &out[i], &want, err);
    }
    for (uint32_t i = 0; i < VALUES; i++)
        pf_tensor_clear(&out[i]);
    pf_context_free(context);
    return st;
}

/* A few layers are what the tests of the tactics and the rules are for; a plan is made where many go together. */
static uint32_t layer_count(const pf_graph *graph)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < graph->node_count; i++)
        count += graph->nodes[i].live;
    return count;
}

/* By first guesses: nothing is timed. */
static pf_status check_built(const char *path, const data *d, pf_err *err)
{
    pf_network *network = NULL;
    pf_config  *config = NULL;
    pf_device  *device = NULL;
    pf_plan    *plan = NULL;
    pf_status   st = pf_network_import(path, &network, err);

    if (!st)
        st = pf_config_parse("effort=0\n", &config, err);
    if (!st)
        st = pf_device_open("cpu", NULL, &device, err);
    if (!st)
        st = pf_build(network, config, device, NULL, &plan, NULL, err);
    if (!st)
        st = run_plan(plan, device, d, err);
    pf_plan_free(plan);
    pf_device_close(device);
    pf_config_free(config);
    pf_network_free(network);
    return st ? pf_err_add(err, PF_MISMATCH, "built") : PF_OK;
}

static void close_data(data *d)
{
    pf_onnx_model_free(d->model);
    pf_onnx_files_free(d->files);
    pf_arena_free(d->arena);
}

/* The answer goes to standard output. */
static void run_case(const char *folder)
{
    char      path[LINE + 16];
    pf_graph *graph = NULL;
    uint32_t  layers = 0;
    data      d = { 0 };
    pf_err    err = { 0 };
    pf_status st = open_data(folder, &d, &err);

    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (!st)
        st = pf_onnx_import(path, NULL, &graph, &err);
    if (!st)
        st = check_graph(graph, &d, &err);
    if (!st)
        st = check_rewritten(graph, &d, &err);
    layers = st ? 0 : layer_count(graph);
    if (!st && layers >= BUILT_LAYERS && has_only_tensors(&d))
        st = check_built(path, &d, &err);
    pf_graph_free(graph);
    close_data(&d);
    if (!st)
        printf("PASS %s\n", folder);
    else
        printf("%s %s: %s\n", st == PF_UNSUPPORTED ? "UNSUPPORTED" : "FAIL", folder, err.msg);
}

static void run_apart(const char *folder)
{
    pid_t child = 0;
    int   state = 0;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        alarm(CASE_SECONDS);
        run_case(folder);
        exit(0);        /* not _exit: a leak checker looks here */
    }
    if (child < 0 || waitpid(child, &state, 0) != child)
        printf("FAIL %s: no process could be started\n", folder);
    else if (WIFSIGNALED(state))
        printf("FAIL %s: it died of signal %d\n", folder, WTERMSIG(state));
    else if (WEXITSTATUS(state) != 0)
        printf("FAIL %s: it ended with status %d\n", folder, WEXITSTATUS(state));
}

int main(void)
{
    char line[LINE];

    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (*line)
            run_apart(line);
    }
    return 0;
}
