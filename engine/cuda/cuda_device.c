#include "engine/cuda/cuda_device.h"

#include <cuda_profiler_api.h>
#include <nvrtc.h>
#include <nvtx3/nvToolsExt.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/cuda/compare.h"
#include "engine/cuda/compile_pool.h"
#include "engine/cuda/mps.h"
#include "engine/cuda/nvml.h"
#include "engine/cuda/program.h"
#include "engine/planfarm.h"

/* Raised when a kernel of our own changes speed or results. */
#define KERNELS_REVISION 15

/* What a process that compiles with the device takes there, about, and the part of its memory that all of them may keep
   while others use it. */
#define COMPILER_BYTES  ((size_t)512 << 20)
#define COMPILERS_SHARE 8

pf_status pf_cuda_status(cudaError_t error)
{
    cudaGetLastError();
    return error == cudaErrorMemoryAllocation ? PF_NO_SPACE : PF_DEVICE;
}

static void cuda_close(pf_device *device)
{
    pf_cuda *cuda = pf_cuda_of(device);

    if (pf_cuda_enter(device) != cudaSuccess) (void)cudaGetLastError();     /* nothing was made there then */
    pf_cudnn_handles_clear(&cuda->cudnn);
    if (cuda->cublaslt) cublasLtDestroy(cuda->cublaslt);
    pf_program_cache_free(cuda->programs);
    pf_compile_pool_free(cuda->compilers);
    pf_compile_pool_free(cuda->program_compilers);
    pthread_mutex_destroy(&cuda->lock);
    pf_free(cuda);
    pf_free(device);
}

static pf_status cuda_alloc(pf_device *device, size_t bytes, void **out, pf_err *err)
{
    *out = NULL;
    PF_CUDA_ON(device, err, cudaMalloc(out, bytes ? bytes : 1));
    return PF_OK;
}

static void cuda_free(pf_device *device, void *pointer)
{
    PF_CUDA_DROP(device, cudaFree(pointer));
}

static pf_status cuda_host_alloc(pf_device *device, size_t bytes, void **out, pf_err *err)
{
    cudaError_t failed = pf_cuda_enter(device);

    if (!failed) failed = cudaMallocHost(out, bytes ? bytes : 1);
    if (!failed) return PF_OK;
    return PF_FAIL(err, pf_cuda_status(failed), "%zu bytes of host memory for copies: %s", bytes,
                   cudaGetErrorString(failed));
}

static void cuda_host_free(pf_device *device, void *pointer)
{
    PF_CUDA_DROP(device, cudaFreeHost(pointer));
}

static pf_status cuda_upload(pf_device *device, pf_stream *stream, void *to, const void *host, size_t bytes,
                             pf_err *err)
{
    PF_CUDA_ON(device, err, cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, pf_cuda_stream(stream)));
    return PF_OK;
}

static pf_status cuda_download(pf_device *device, pf_stream *stream, void *host, const void *from, size_t bytes,
                               pf_err *err)
{
    PF_CUDA_ON(device, err, cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, pf_cuda_stream(stream)));
    return PF_OK;
}

static pf_status cuda_fill(pf_device *device, pf_stream *stream, void *to, uint8_t value, size_t bytes, pf_err *err)
{
    PF_CUDA_ON(device, err, cudaMemsetAsync(to, value, bytes, pf_cuda_stream(stream)));
    return PF_OK;
}

static pf_status cuda_stream_new(pf_device *device, pf_stream **out, pf_err *err)
{
    cudaStream_t stream = NULL;
    pf_status    st = PF_OK;

    *out = NULL;
    PF_CUDA_ON(device, err, cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    st = pf_cudnn_stream_add(device, stream, err);
    if (st) PF_CUDA_DROP(device, cudaStreamDestroy(stream));
    else *out = (pf_stream *)stream;
    return st;
}

static void cuda_stream_free(pf_device *device, pf_stream *stream)
{
    if (!stream) return;
    pf_cudnn_stream_drop(device, pf_cuda_stream(stream));
    PF_CUDA_DROP(device, cudaStreamDestroy(pf_cuda_stream(stream)));
}

static pf_status cuda_stream_sync(pf_device *device, pf_stream *stream, pf_err *err)
{
    PF_CUDA_ON(device, err, cudaStreamSynchronize(pf_cuda_stream(stream)));
    return PF_OK;
}

static pf_status cuda_event_new(pf_device *device, pf_event **out, pf_err *err)
{
    cudaEvent_t event = NULL;

    *out = NULL;
    PF_CUDA_ON(device, err, cudaEventCreate(&event));
    *out = (pf_event *)event;
    return PF_OK;
}

static void cuda_event_free(pf_device *device, pf_event *event)
{
    if (event) PF_CUDA_DROP(device, cudaEventDestroy((cudaEvent_t)event));
}

static pf_status cuda_event_record(pf_device *device, pf_event *event, pf_stream *stream, pf_err *err)
{
    PF_CUDA_ON(device, err, cudaEventRecord((cudaEvent_t)event, pf_cuda_stream(stream)));
    return PF_OK;
}

static pf_status cuda_event_elapsed(pf_device *device, pf_event *start, pf_event *end, int64_t *ns, pf_err *err)
{
    float ms = 0;

    *ns = 0;
    PF_CUDA_ON(device, err, cudaEventSynchronize((cudaEvent_t)end));
    PF_CUDA_TRY(err, cudaEventElapsedTime(&ms, (cudaEvent_t)start, (cudaEvent_t)end));
    *ns = (int64_t)((double)ms * 1e6);
    return PF_OK;
}

static pf_status cuda_capture_begin(pf_device *device, pf_stream *stream, pf_err *err)
{
    PF_CUDA_ON(device, err, cudaStreamBeginCapture(pf_cuda_stream(stream), cudaStreamCaptureModeThreadLocal));
    return PF_OK;
}

static pf_status cuda_capture_end(pf_device *device, pf_stream *stream, pf_device_graph **out, pf_err *err)
{
    cudaGraph_t     graph = NULL;
    cudaGraphExec_t exec = NULL;
    cudaError_t     error = pf_cuda_enter(device);

    *out = NULL;
    if (error == cudaSuccess) error = cudaStreamEndCapture(pf_cuda_stream(stream), &graph);
    if (error == cudaSuccess) error = cudaGraphInstantiate(&exec, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (error == cudaSuccess) error = cudaGraphUpload(exec, pf_cuda_stream(stream));
    if (error != cudaSuccess) {
        if (exec) cudaGraphExecDestroy(exec);
        return PF_FAIL(err, pf_cuda_status(error), "the launches cannot be captured: %s", cudaGetErrorString(error));
    }
    *out = (pf_device_graph *)exec;
    return PF_OK;
}

static pf_status cuda_graph_launch(pf_device *device, pf_device_graph *graph, pf_stream *stream, pf_err *err)
{
    PF_CUDA_ON(device, err, cudaGraphLaunch((cudaGraphExec_t)graph, pf_cuda_stream(stream)));
    return PF_OK;
}

static void cuda_graph_free(pf_device *device, pf_device_graph *graph)
{
    if (graph) PF_CUDA_DROP(device, cudaGraphExecDestroy((cudaGraphExec_t)graph));
}

static pf_status cuda_event_capture(pf_device *device, pf_event *event, pf_stream *stream, pf_err *err)
{
    PF_CUDA_ON(device, err,
               cudaEventRecordWithFlags((cudaEvent_t)event, pf_cuda_stream(stream), cudaEventRecordExternal));
    return PF_OK;
}

static void cuda_range_begin(pf_device *device, const char *name)
{
    nvtxEventAttributes_t attributes = { .version = NVTX_VERSION, .size = NVTX_EVENT_ATTRIB_STRUCT_SIZE,
                                         .messageType = NVTX_MESSAGE_TYPE_ASCII };

    attributes.message.ascii = name;
    nvtxDomainRangePushEx(pf_cuda_of(device)->nvtx, &attributes);
}

static void cuda_range_end(pf_device *device)
{
    nvtxDomainRangePop(pf_cuda_of(device)->nvtx);
}

static pf_status cuda_profiler(pf_device *device, bool on, pf_err *err)
{
    PF_CUDA_ON(device, err, on ? cudaProfilerStart() : cudaProfilerStop());
    return PF_OK;
}

static void cuda_sample(pf_device *device, struct pf_device_sample *out)
{
    const pf_cuda *cuda = pf_cuda_of(device);

    memset(out, 0, sizeof *out);
    /* ours: the service of a share, and workers */
    pf_nvml_sample(cuda->nvml_device, (cuda->share < 100) + pf_compile_pool_workers(cuda->compilers), out);
}

/* Those without the device: whether any is needed with it nobody knows yet. */
static void cuda_wake(pf_device *device)
{
    pf_compile_pool_wake(pf_cuda_of(device)->program_compilers);
}

/* Idle they take nothing but memory, and starting them again for the few kernels of a later search took 1.2 to 8 s, in
   which nothing else went on. */
static bool may_stay(pf_device *device)
{
    return pf_compile_pool_workers(pf_cuda_of(device)->compilers) * COMPILER_BYTES <=
           device->memory_bytes / COMPILERS_SHARE;
}

static void cuda_rest(pf_device *device, bool all)
{
    if (all || !may_stay(device)) pf_compile_pool_rest(pf_cuda_of(device)->compilers);
    if (all) pf_compile_pool_rest(pf_cuda_of(device)->program_compilers);
}

static pf_status cuda_copy(pf_device *device, pf_stream *stream, void *to, const void *from, size_t bytes, pf_err *err)
{
    PF_CUDA_ON(device, err, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, pf_cuda_stream(stream)));
    return PF_OK;
}

static pf_status cuda_keep_kernels(pf_device *device, const char *folder, pf_err *err)
{
    return pf_program_cache_keep_in(pf_cuda_of(device)->programs, folder, &device->timing_digest, err);
}

static const pf_device_ops cuda_ops = {
    .close = cuda_close, .alloc = cuda_alloc, .free = cuda_free,
    .upload = cuda_upload, .download = cuda_download, .copy = cuda_copy, .fill = cuda_fill,
    .compare = pf_cuda_compare,
    .stream_new = cuda_stream_new, .stream_free = cuda_stream_free, .stream_sync = cuda_stream_sync,
    .event_new = cuda_event_new, .event_free = cuda_event_free, .event_record = cuda_event_record,
    .event_elapsed = cuda_event_elapsed, .event_capture = cuda_event_capture,
    .capture_begin = cuda_capture_begin, .capture_end = cuda_capture_end,
    .graph_launch = cuda_graph_launch, .graph_free = cuda_graph_free,
    .range_begin = cuda_range_begin, .range_end = cuda_range_end, .profiler = cuda_profiler,
    .keep_kernels = cuda_keep_kernels, .sample = cuda_sample, .wake = cuda_wake, .rest = cuda_rest,
    .host_alloc = cuda_host_alloc, .host_free = cuda_host_free,
};

pf_status pf_cuda_cublaslt(pf_device *device, cublasLtHandle_t *out, pf_err *err)
{
    pf_cuda       *cuda = pf_cuda_of(device);
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;

    *out = NULL;
    PF_CUDA_TRY(err, pf_cuda_enter(device));
    pthread_mutex_lock(&cuda->lock);
    if (!cuda->cublaslt) status = cublasLtCreate(&cuda->cublaslt);
    *out = cuda->cublaslt;
    pthread_mutex_unlock(&cuda->lock);
    if (status != CUBLAS_STATUS_SUCCESS)
        return PF_FAIL(err, PF_DEVICE, "cuBLASLt cannot start: %s", cublasLtGetStatusString(status));
    return PF_OK;
}

static int attribute(int ordinal, enum cudaDeviceAttr which)
{
    int value = 0;

    if (cudaDeviceGetAttribute(&value, which, ordinal) == cudaSuccess) return value;
    (void)cudaGetLastError();
    return 0;
}

/* "NVIDIA H100 80GB HBM3" -> "h100-80gb-hbm3": lower case, the maker left out, everything else a dash. */
static void short_name(const char *name, char *out, size_t capacity)
{
    size_t n = 0;

    if (!strncmp(name, "NVIDIA ", 7)) name += 7;
    for (; *name && n + 1 < capacity; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name;
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (plain) out[n++] = c;
        else if (n && out[n - 1] != '-') out[n++] = '-';
    }
    out[n] = 0;
}

/* One key=value line each, sorted by key: everything that changes a timing, and nothing that names one card. */
static void describe_class(pf_device *device, const char *gpu_name, size_t memory_bytes)
{
    pf_cuda *cuda = pf_cuda_of(device);
    int      driver = 0, nvrtc_major = 0, nvrtc_minor = 0, ordinal = cuda->ordinal;

    cudaDriverGetVersion(&driver);
    nvrtcVersion(&nvrtc_major, &nvrtc_minor);
    snprintf(device->class_text, sizeof device->class_text,
             "compute_capability=%d.%d\ncublaslt=%zu\ncuda_driver=%d\ncudnn=%zu\ndevice=cuda\necc=%d\n"
             "kernels=%d\nl2_bytes=%zu\nmemory_bus_bits=%d\nmemory_clock_khz=%d\nmemory_gib=%zu\n"
             "name=%s\nnvrtc=%d.%d\npower_limit_w=%u\nshare_percent=%d\nsm_clock_khz=%d\nsm_count=%d\n",
             cuda->cc / 10, cuda->cc % 10, cublasLtGetVersion(), driver, cudnnGetVersion(),
             attribute(ordinal, cudaDevAttrEccEnabled), KERNELS_REVISION, cuda->l2_bytes,
             attribute(ordinal, cudaDevAttrGlobalMemoryBusWidth), attribute(ordinal, cudaDevAttrMemoryClockRate),
             memory_bytes >> 30, gpu_name, nvrtc_major, nvrtc_minor, pf_nvml_power_limit_w(cuda->nvml_device),
             cuda->share, attribute(ordinal, cudaDevAttrClockRate), cuda->sm_count);
    pf_device_digest_class(device);
    short_name(gpu_name, device->class_name, sizeof device->class_name);
}

static uint64_t capabilities(int cc)
{
    uint64_t caps = PF_CAP_CUDA | PF_CAP_CUDNN | PF_CAP_CUBLASLT | PF_CAP_NVRTC;

    if (cc >= 75) caps |= PF_CAP_SM75;
    if (cc >= 80) caps |= PF_CAP_SM80;
    if (cc >= 89) caps |= PF_CAP_SM89;
    if (cc == 90) caps |= PF_CAP_SM90;
    return caps;
}

static pf_status read_properties(pf_device *device, pf_err *err)
{
    pf_cuda              *cuda = pf_cuda_of(device);
    struct cudaDeviceProp properties;

    memset(&properties, 0, sizeof properties);
    PF_CUDA_TRY(err, pf_cuda_enter(device));
    PF_CUDA_TRY(err, cudaGetDeviceProperties(&properties, cuda->ordinal));
    PF_CUDA_TRY(err, cudaDeviceGetPCIBusId(device->place, sizeof device->place, cuda->ordinal));
    cuda->sm_count = properties.multiProcessorCount;
    cuda->cc = properties.major * 10 + properties.minor;
    cuda->l2_bytes = (size_t)properties.l2CacheSize;
    cuda->nvml_device = pf_nvml_find(device->place);
    device->compute_units = cuda->sm_count;
    device->cache_bytes = cuda->l2_bytes;
    device->memory_bytes = properties.totalGlobalMem;
    device->caps = capabilities(cuda->cc);
    describe_class(device, properties.name, properties.totalGlobalMem);
    return PF_OK;
}

static pf_status check_count(int ordinal, pf_err *err)
{
    int         count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);

    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        return PF_FAIL(err, PF_NOT_FOUND, "cuda:%d: no CUDA driver answers here (%s)", ordinal,
                       cudaGetErrorString(error));
    }
    if (ordinal >= count)
        return PF_FAIL(err, PF_NOT_FOUND, "cuda:%d: this machine has %d CUDA device(s)", ordinal, count);
    return PF_OK;
}

pf_status pf_cuda_open(int ordinal, const pf_device_options *options, pf_device **out, pf_err *err)
{
    pf_device *device = NULL;
    pf_cuda   *cuda = NULL;
    int        share = options && options->share_percent ? options->share_percent : 100;
    pf_status  st = share < 100 ? pf_mps_join(share, err) : PF_OK;

    *out = NULL;
    if (!st) st = check_count(ordinal, err);
    if (st) return st;
    device = pf_calloc(1, sizeof *device);
    if (!device) return PF_FAIL_MEMORY(err, sizeof *device);
    device->impl = pf_calloc(1, sizeof(pf_cuda));
    if (!device->impl) {
        pf_free(device);
        return PF_FAIL_MEMORY(err, sizeof(pf_cuda));
    }
    device->ops = &cuda_ops;
    device->kind = PF_DEVICE_CUDA;
    snprintf(device->name, sizeof device->name, "cuda:%d", ordinal);
    cuda = pf_cuda_of(device);
    cuda->ordinal = ordinal;
    cuda->share = share;
    pthread_mutex_init(&cuda->lock, NULL);
    pf_cudnn_handles_init(&cuda->cudnn);
    cuda->nvtx = nvtxDomainCreateA("planfarm");     /* of a header, which does nothing where there is no profiler */
    cuda->programs = pf_program_cache_new();
    cuda->compilers = pf_compile_pool_new(ordinal);
    cuda->program_compilers = pf_compile_pool_new(PF_COMPILE_NO_DEVICE);
    st = cuda->programs && cuda->compilers && cuda->program_compilers ? read_properties(device, err)
                                                                      : PF_FAIL_MEMORY(err, sizeof(void *));
    if (st) {
        cuda_close(device);
        return pf_err_add(err, st, "opening cuda:%d", ordinal);
    }
    *out = device;
    return PF_OK;
}
