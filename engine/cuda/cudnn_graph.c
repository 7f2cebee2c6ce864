#include "engine/cuda/cudnn_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void pf_cudnn_graph_init(pf_cudnn_graph *g, cudnnHandle_t handle)
{
    memset(g, 0, sizeof *g);
    g->handle = handle;
    g->next_virtual = 1000;
}

void pf_cudnn_graph_clear(pf_cudnn_graph *g)
{
    while (g->count > 0) cudnnBackendDestroyDescriptor(g->all[--g->count]);
    g->graph = NULL;
    g->operation_count = 0;
}

static void note(pf_cudnn_graph *g, cudnnStatus_t status)
{
    if (status == CUDNN_STATUS_SUCCESS || g->status != CUDNN_STATUS_SUCCESS) return;
    g->status = status;
    cudnnGetLastErrorString(g->reason, sizeof g->reason);
    g->reason[strcspn(g->reason, "\n")] = 0;
}

pf_status pf_cudnn_graph_status(const pf_cudnn_graph *g, const char *what, pf_err *err)
{
    if (g->status == CUDNN_STATUS_SUCCESS) return PF_OK;
    return PF_FAIL(err, PF_UNSUPPORTED, "cuDNN refuses %s: %s %s", what, cudnnGetErrorString(g->status), g->reason);
}

static cudnnBackendDescriptor_t create(pf_cudnn_graph *g, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t descriptor = NULL;

    if (g->count == CUDNN_DESCRIPTORS_MAX) note(g, CUDNN_STATUS_ALLOC_FAILED);
    if (g->status != CUDNN_STATUS_SUCCESS) return NULL;
    note(g, cudnnBackendCreateDescriptor(type, &descriptor));
    if (descriptor) g->all[g->count++] = descriptor;
    return descriptor;
}

static void set(pf_cudnn_graph *g, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (g->status == CUDNN_STATUS_SUCCESS) note(g, cudnnBackendSetAttribute(d, name, type, count, values));
}

static void set_descriptor(pf_cudnn_graph *g, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                           cudnnBackendDescriptor_t value)
{
    set(g, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finalize(pf_cudnn_graph *g, cudnnBackendDescriptor_t d)
{
    if (g->status == CUDNN_STATUS_SUCCESS) note(g, cudnnBackendFinalize(d));
}

cudnnDataType_t pf_cudnn_type(pf_dtype dtype)
{
    static const struct { pf_dtype dtype; cudnnDataType_t type; } types[] = {
        { PF_F32, CUDNN_DATA_FLOAT }, { PF_F16, CUDNN_DATA_HALF }, { PF_BF16, CUDNN_DATA_BFLOAT16 },
        { PF_I8, CUDNN_DATA_INT8 },
        { PF_I32, CUDNN_DATA_INT32 }, { PF_F8E4M3FN, CUDNN_DATA_FP8_E4M3 }, { PF_F8E5M2, CUDNN_DATA_FP8_E5M2 },
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == dtype) return types[i].type;
    return CUDNN_DATA_DOUBLE;
}

typedef struct tensor_form {
    int64_t          uid;
    cudnnDataType_t  type;
    int              rank;
    const int64_t   *dim, *stride;
    bool             is_virtual, by_value;
} tensor_form;

static pf_cudnn_tensor make_tensor(pf_cudnn_graph *g, const tensor_form *form)
{
    cudnnBackendDescriptor_t d = create(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t                  alignment = 16;

    set(g, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &form->type);
    set(g, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, form->rank, form->dim);
    set(g, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, form->rank, form->stride);
    set(g, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &form->uid);
    set(g, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(g, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &form->is_virtual);
    if (form->by_value) set(g, d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &form->by_value);
    finalize(g, d);
    return d;
}

pf_cudnn_tensor pf_cudnn_tensor_new(pf_cudnn_graph *g, int64_t uid, cudnnDataType_t type, int rank, const int64_t *dim,
                                    const int64_t *stride)
{
    return make_tensor(g, &(tensor_form){ uid, type, rank, dim, stride, false, false });
}

pf_cudnn_tensor pf_cudnn_virtual(pf_cudnn_graph *g, cudnnDataType_t type, int rank, const int64_t *dim,
                                 const int64_t *stride)
{
    return make_tensor(g, &(tensor_form){ g->next_virtual++, type, rank, dim, stride, true, false });
}

pf_cudnn_tensor pf_cudnn_scalar(pf_cudnn_graph *g, int64_t uid, int rank)
{
    static const int64_t ones[PF_MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };

    return make_tensor(g, &(tensor_form){ uid, CUDNN_DATA_FLOAT, rank, ones, ones, false, true });
}

static void add_operation(pf_cudnn_graph *g, cudnnBackendDescriptor_t operation)
{
    finalize(g, operation);
    if (g->operation_count == CUDNN_OPERATIONS_MAX) note(g, CUDNN_STATUS_NOT_SUPPORTED);
    if (g->status == CUDNN_STATUS_SUCCESS) g->operations[g->operation_count++] = operation;
}

static cudnnBackendDescriptor_t make_window(pf_cudnn_graph *g, const pf_cudnn_window *window)
{
    cudnnBackendDescriptor_t conv = create(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    cudnnConvolutionMode_t   mode = CUDNN_CROSS_CORRELATION;
    cudnnDataType_t          compute = CUDNN_DATA_FLOAT;
    int64_t                  dims = window->spatial;

    set(g, conv, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims);
    set(g, conv, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(g, conv, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(g, conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, dims, window->pad_begin);
    set(g, conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, dims, window->pad_end);
    set(g, conv, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dims, window->dilation);
    set(g, conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, dims, window->stride);
    finalize(g, conv);
    return conv;
}

void pf_cudnn_convolution(pf_cudnn_graph *g, pf_cudnn_tensor x, pf_cudnn_tensor w, pf_cudnn_tensor y,
                          const pf_cudnn_window *window)
{
    cudnnBackendDescriptor_t conv = make_window(g, window),
                             operation = create(g, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    float                    one = 1, zero = 0;

    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, conv);
    set(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    set(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    add_operation(g, operation);
}

void pf_cudnn_convolution_transpose(pf_cudnn_graph *g, pf_cudnn_tensor x, pf_cudnn_tensor w, pf_cudnn_tensor y,
                                    const pf_cudnn_window *window)
{
    cudnnBackendDescriptor_t conv = make_window(g, window),
                             operation = create(g, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
    float                    one = 1, zero = 0;

    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, x);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, w);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, y);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, conv);
    set(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    set(g, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    add_operation(g, operation);
}

void pf_cudnn_pointwise(pf_cudnn_graph *g, cudnnPointwiseMode_t mode, pf_cudnn_tensor x, pf_cudnn_tensor b,
                        pf_cudnn_tensor y)
{
    cudnnBackendDescriptor_t pointwise = create(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR), operation = NULL;
    cudnnDataType_t          compute = CUDNN_DATA_FLOAT;

    set(g, pointwise, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(g, pointwise, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    finalize(g, pointwise);
    operation = create(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b) set_descriptor(g, operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_descriptor(g, operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    add_operation(g, operation);
}

void pf_cudnn_finish(pf_cudnn_graph *g)
{
    cudnnBackendDescriptor_t graph = create(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);

    set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->operation_count, g->operations);
    set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->handle);
    finalize(g, graph);
    g->graph = graph;
}

/* Numerical notes of an engine: whether it rounds FP32 to the tensor cores' formats. */
static bool rounds_down(cudnnBackendDescriptor_t engine)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t                     count = 0;

    if (cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                 CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes) != CUDNN_STATUS_SUCCESS)
        return false;
    for (int64_t i = 0; i < count && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++)
        if (notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)
            return true;
    return false;
}

static bool behaves(cudnnBackendDescriptor_t engine, cudnnBackendBehaviorNote_t how)
{
    cudnnBackendBehaviorNote_t notes[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t                    count = 0;

    if (cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                 CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &count, notes) != CUDNN_STATUS_SUCCESS)
        return false;
    for (int64_t i = 0; i < count && i < CUDNN_BEHAVIOR_NOTE_TYPE_COUNT; i++)
        if (notes[i] == how) return true;
    return false;
}

/* Plans that call cuBLASLt inside cannot be relied on in captured graphs (cuDNN's documentation of behaviour notes); we
   ask cuBLASLt ourselves. */
static bool leans_on_cublaslt(cudnnBackendDescriptor_t engine)
{
    return behaves(engine, CUDNN_BEHAVIOR_NOTE_CUBLASLT_DEPENDENCY);
}

/* The count attribute answers 0 when asked for alone: a full array is handed over (seen with 9.19). */
static bool read_knobs(cudnnBackendDescriptor_t config, pf_cudnn_config *out)
{
    cudnnBackendDescriptor_t choice[CUDNN_KNOBS_MAX] = {0};
    int64_t                  count = 0, one = 0;
    bool                     fine = true;

    for (int i = 0; i < CUDNN_KNOBS_MAX; i++)
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &choice[i]);
    fine = cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                    CUDNN_KNOBS_MAX, &count, choice) == CUDNN_STATUS_SUCCESS;
    out->knob_count = fine && count <= CUDNN_KNOBS_MAX ? (int)count : 0;
    for (int i = 0; i < out->knob_count; i++) {
        cudnnBackendKnobType_t type = CUDNN_KNOB_TYPE_COUNTS;

        cudnnBackendGetAttribute(choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &one, &type);
        cudnnBackendGetAttribute(choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &one,
                                 &out->value[i]);
        out->type[i] = type;
    }
    for (int i = 0; i < CUDNN_KNOBS_MAX; i++) cudnnBackendDestroyDescriptor(choice[i]);
    return fine;
}

static bool read_config(cudnnBackendDescriptor_t config, bool allow_rounding, pf_cudnn_config *out)
{
    cudnnBackendDescriptor_t engine = NULL;
    int64_t                  one = 0;
    bool                     fine = false;

    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != CUDNN_STATUS_SUCCESS) return false;
    fine = cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one,
                                    &engine) == CUDNN_STATUS_SUCCESS &&
           cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &one, &out->engine) ==
               CUDNN_STATUS_SUCCESS &&
           (allow_rounding || !rounds_down(engine)) && !leans_on_cublaslt(engine) && read_knobs(config, out);
    cudnnBackendDestroyDescriptor(engine);
    return fine;
}

enum { HEURISTICS_MAX = 128 };

int pf_cudnn_heuristics(pf_cudnn_graph *g, cudnnBackendHeurMode_t mode, bool tf32, bool fp32_tensors,
                        pf_cudnn_config *out, int max)
{
    cudnnBackendDescriptor_t heuristics = create(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR), result[HEURISTICS_MAX] = {0};
    int64_t                  count = 0;
    int                      taken = 0;

    set_descriptor(g, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g->graph);
    set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    /* No configuration at all is an answer, not a failure of the graph. */
    if (g->status != CUDNN_STATUS_SUCCESS || cudnnBackendFinalize(heuristics) != CUDNN_STATUS_SUCCESS) return 0;
    for (int i = 0; i < HEURISTICS_MAX; i++)
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &result[i]);
    if (cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 HEURISTICS_MAX, &count, result) == CUDNN_STATUS_SUCCESS)
        for (int64_t i = 0; i < count && i < HEURISTICS_MAX && taken < max; i++)
            taken += read_config(result[i], tf32 || !fp32_tensors, &out[taken]);
    for (int i = 0; i < HEURISTICS_MAX; i++) cudnnBackendDestroyDescriptor(result[i]);
    return taken;
}

void pf_cudnn_config_print(const pf_cudnn_config *config, char *out, size_t capacity)
{
    size_t n = (size_t)snprintf(out, capacity, "e=%lld", (long long)config->engine);

    for (int i = 0; i < config->knob_count && n < capacity; i++)
        n += (size_t)snprintf(out + n, capacity - n, " %lld=%lld", (long long)config->type[i],
                              (long long)config->value[i]);
}

bool pf_cudnn_config_parse(const char *text, pf_cudnn_config *out)
{
    char *end = NULL;

    memset(out, 0, sizeof *out);
    if (strncmp(text, "e=", 2) != 0) return false;
    out->engine = strtoll(text + 2, &end, 10);
    while (*end == ' ' && out->knob_count < CUDNN_KNOBS_MAX) {
        out->type[out->knob_count] = strtoll(end + 1, &end, 10);
        if (*end != '=') return false;
        out->value[out->knob_count++] = strtoll(end + 1, &end, 10);
    }
    return *end == 0;
}

static cudnnBackendDescriptor_t make_engine(pf_cudnn_graph *g, int64_t index)
{
    cudnnBackendDescriptor_t engine = create(g, CUDNN_BACKEND_ENGINE_DESCRIPTOR);

    set_descriptor(g, engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, g->graph);
    set(g, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
    finalize(g, engine);
    return engine;
}

/* Kernels of those that have other knobs alone are ready (cuDNN 9.19: all engines of 14 convolutions).  Those without
   any are asked, which takes some milliseconds. */
bool pf_cudnn_config_compiles(pf_cudnn_graph *g, const pf_cudnn_config *config)
{
    cudnnBackendDescriptor_t engine = NULL;

    for (int i = 0; i < config->knob_count; i++)
        if (config->type[i] == CUDNN_KNOB_TYPE_KERNEL_CFG) return true;
    if (config->knob_count) return false;
    engine = make_engine(g, config->engine);
    return g->status == CUDNN_STATUS_SUCCESS && behaves(engine, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
}

static cudnnBackendDescriptor_t make_config(pf_cudnn_graph *g, const pf_cudnn_config *config)
{
    cudnnBackendDescriptor_t engine = make_engine(g, config->engine), result = NULL,
                             choice[CUDNN_KNOBS_MAX] = {0};

    for (int i = 0; i < config->knob_count; i++) {
        cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)config->type[i];

        choice[i] = create(g, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        set(g, choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
        set(g, choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &config->value[i]);
        finalize(g, choice[i]);
    }
    result = create(g, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    set_descriptor(g, result, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    if (config->knob_count)
        set(g, result, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, config->knob_count, choice);
    finalize(g, result);
    return result;
}

cudnnBackendDescriptor_t pf_cudnn_plan(pf_cudnn_graph *g, const pf_cudnn_config *config)
{
    cudnnBackendDescriptor_t plan = NULL, engine_config = make_config(g, config);

    if (g->status != CUDNN_STATUS_SUCCESS) return NULL;
    note(g, cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan));
    set(g, plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->handle);
    set_descriptor(g, plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engine_config);
    finalize(g, plan);
    if (g->status == CUDNN_STATUS_SUCCESS) return plan;
    if (plan) cudnnBackendDestroyDescriptor(plan);
    return NULL;
}

cudnnBackendDescriptor_t pf_cudnn_plan_from_json(cudnnHandle_t handle, const char *json, size_t bytes)
{
    cudnnBackendDescriptor_t plan = NULL;

    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan) != CUDNN_STATUS_SUCCESS)
        return NULL;
    if (cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)bytes,
                                 json) == CUDNN_STATUS_SUCCESS &&
        cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle) ==
            CUDNN_STATUS_SUCCESS &&
        cudnnBackendFinalize(plan) == CUDNN_STATUS_SUCCESS)
        return plan;
    cudnnBackendDestroyDescriptor(plan);
    return NULL;
}

int64_t pf_cudnn_plan_workspace(cudnnBackendDescriptor_t plan)
{
    int64_t bytes = 0, one = 0;

    return cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &one,
                                    &bytes) == CUDNN_STATUS_SUCCESS
               ? bytes
               : 0;
}

pf_status pf_cudnn_plan_json(cudnnBackendDescriptor_t plan, pf_buf *out, pf_err *err)
{
    int64_t   bytes = 0, got = 0;
    char     *json = NULL;
    pf_status st = PF_OK;

    if (cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &bytes,
                                 NULL) != CUDNN_STATUS_SUCCESS)
        return PF_FAIL(err, PF_DEVICE, "cuDNN cannot write a plan as JSON");
    json = pf_alloc((size_t)bytes + 1);
    if (!json) return PF_FAIL_MEMORY(err, bytes);
    if (cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, bytes, &got,
                                 json) != CUDNN_STATUS_SUCCESS)
        st = PF_FAIL(err, PF_DEVICE, "cuDNN cannot write a plan as JSON");
    else if (!pf_buf_put(out, json, (size_t)got)) st = PF_FAIL_MEMORY(err, got);
    pf_free(json);
    return st;
}

static cudnnStatus_t make_pack(const int64_t *uids, void *const *pointers, int count, void *workspace,
                               cudnnBackendDescriptor_t *pack)
{
    cudnnStatus_t status = cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, pack);

    if (!status)
        status = cudnnBackendSetAttribute(*pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids);
    if (!status)
        status = cudnnBackendSetAttribute(*pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count,
                                          pointers);
    if (!status)
        status = cudnnBackendSetAttribute(*pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    return status ? status : cudnnBackendFinalize(*pack);
}

static pf_status run(pf_device *device, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack,
                     pf_stream *stream, pf_err *err)
{
    cudnnHandle_t handle = NULL;
    pf_status     st = pf_cudnn_runs_take(device, stream, &handle, err);
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;

    if (st) return st;
    status = cudnnBackendExecute(handle, plan, pack);
    pf_cudnn_runs_leave(device);
    return status ? PF_FAIL(err, PF_DEVICE, "cuDNN cannot run a plan: %s", cudnnGetErrorString(status)) : PF_OK;
}

pf_status pf_cudnn_execute(pf_device *device, cudnnBackendDescriptor_t plan, const int64_t *uids, void *const *pointers,
                           int count, void *workspace, pf_stream *stream, pf_err *err)
{
    cudnnBackendDescriptor_t pack = NULL;
    cudnnStatus_t            status = make_pack(uids, pointers, count, workspace, &pack);
    pf_status                st = status ? PF_FAIL(err, PF_DEVICE, "cuDNN takes no pointers for a plan: %s",
                                                   cudnnGetErrorString(status))
                                         : run(device, plan, pack, stream, err);

    if (pack) cudnnBackendDestroyDescriptor(pack);
    return st;
}
