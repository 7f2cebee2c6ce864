#include "engine/cuda/cudnn_handles.h"

#include "base/alloc.h"
#include "engine/cuda/cuda_device.h"

void pf_cudnn_handles_init(pf_cudnn_handles *handles)
{
    pthread_mutex_init(&handles->plans_lock, NULL);
    pthread_mutex_init(&handles->runs_lock, NULL);
}

void pf_cudnn_handles_clear(pf_cudnn_handles *handles)
{
    for (pf_cudnn_stream *s = handles->streams, *next = NULL; s; s = next) {
        next = s->next;
        if (s->handle) cudnnDestroy(s->handle);
        pf_free(s);
    }
    if (handles->foreign.handle) cudnnDestroy(handles->foreign.handle);
    if (handles->plans) cudnnDestroy(handles->plans);
    if (handles->parking) cudaStreamDestroy(handles->parking);
    pthread_mutex_destroy(&handles->plans_lock);
    pthread_mutex_destroy(&handles->runs_lock);
}

static pf_status told(cudnnStatus_t status, const char *what, pf_err *err)
{
    if (status == CUDNN_STATUS_SUCCESS) return PF_OK;
    return PF_FAIL(err, PF_DEVICE, "cuDNN cannot %s: %s", what, cudnnGetErrorString(status));
}

static pf_status make(pf_device *device, cudnnHandle_t *out, pf_err *err)
{
    pf_cuda      *cuda = pf_cuda_of(device);
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;

    pthread_mutex_lock(&cuda->lock);
    status = cudnnCreate(out);
    pthread_mutex_unlock(&cuda->lock);
    if (status != CUDNN_STATUS_SUCCESS) *out = NULL;
    return told(status, "start", err);
}

pf_status pf_cudnn_plans_take(pf_device *device, cudnnHandle_t *out, pf_err *err)
{
    pf_cudnn_handles *handles = &pf_cuda_of(device)->cudnn;
    pf_status         st = PF_OK;

    *out = NULL;
    PF_CUDA_TRY(err, pf_cuda_enter(device));
    pthread_mutex_lock(&handles->plans_lock);
    if (!handles->plans) st = make(device, &handles->plans, err);
    *out = handles->plans;
    if (st) pf_cudnn_plans_leave(device);
    return st;
}

void pf_cudnn_plans_leave(pf_device *device)
{
    pthread_mutex_unlock(&pf_cuda_of(device)->cudnn.plans_lock);
}

/* ---- Streams; the lock is held */

/* NULL finds one that is nobody's. */
static pf_cudnn_stream *find(pf_cudnn_handles *handles, cudaStream_t stream)
{
    pf_cudnn_stream *s = handles->streams;

    while (s && s->stream != stream) s = s->next;
    return s;
}

static pf_status bind(pf_device *device, pf_cudnn_stream *s, pf_err *err)
{
    pf_status st = s->handle ? PF_OK : make(device, &s->handle, err);

    if (!st && !s->bound) st = told(cudnnSetStream(s->handle, s->stream), "work on a stream", err);
    s->bound = !st;
    return st;
}

static cudnnStatus_t park(pf_cudnn_handles *handles, cudnnHandle_t handle)
{
    if (!handles->parking && cudaStreamCreateWithFlags(&handles->parking, cudaStreamNonBlocking) != cudaSuccess)
        return CUDNN_STATUS_ALLOC_FAILED;
    return cudnnSetStream(handle, handles->parking);
}

/* From here on the stream may be destroyed. */
static void leave_stream(pf_cudnn_handles *handles, pf_cudnn_stream *s)
{
    if (s->bound && park(handles, s->handle) != CUDNN_STATUS_SUCCESS) {
        cudnnDestroy(s->handle);
        s->handle = NULL;
    }
    s->bound = false;
    s->stream = NULL;
}

/* ---- Runs */

pf_status pf_cudnn_runs_take(pf_device *device, pf_stream *stream, cudnnHandle_t *out, pf_err *err)
{
    pf_cudnn_handles *handles = &pf_cuda_of(device)->cudnn;
    pf_cudnn_stream  *s = NULL;
    pf_status         st = PF_OK;

    *out = NULL;
    PF_CUDA_TRY(err, pf_cuda_enter(device));
    pthread_mutex_lock(&handles->runs_lock);
    s = stream ? find(handles, pf_cuda_stream(stream)) : NULL;
    if (!s) {
        s = &handles->foreign;
        s->stream = pf_cuda_stream(stream);
    }
    st = bind(device, s, err);
    *out = s->handle;
    if (st) pf_cudnn_runs_leave(device);
    return st;
}

void pf_cudnn_runs_leave(pf_device *device)
{
    pf_cudnn_handles *handles = &pf_cuda_of(device)->cudnn;

    leave_stream(handles, &handles->foreign);       /* nobody will say when that is destroyed */
    pthread_mutex_unlock(&handles->runs_lock);
}

/* ---- As streams come and go */

pf_status pf_cudnn_stream_add(pf_device *device, cudaStream_t stream, pf_err *err)
{
    pf_cudnn_handles *handles = &pf_cuda_of(device)->cudnn;
    pf_cudnn_stream  *s = NULL;

    pthread_mutex_lock(&handles->runs_lock);
    s = find(handles, NULL);
    if (!s && (s = pf_calloc(1, sizeof *s))) {
        s->next = handles->streams;
        handles->streams = s;
    }
    if (s) s->stream = stream;
    pthread_mutex_unlock(&handles->runs_lock);
    return s ? PF_OK : PF_FAIL_MEMORY(err, sizeof *s);
}

void pf_cudnn_stream_drop(pf_device *device, cudaStream_t stream)
{
    pf_cudnn_handles *handles = &pf_cuda_of(device)->cudnn;
    pf_cudnn_stream  *s = NULL;

    pthread_mutex_lock(&handles->runs_lock);
    s = find(handles, stream);
    if (s) leave_stream(handles, s);
    pthread_mutex_unlock(&handles->runs_lock);
}
