/* The CUDA device behind pf_device, and what its tactics share.
   A pf_stream is a cudaStream_t, a pf_event a cudaEvent_t, a pf_device_graph a cudaGraphExec_t: cast, not wrapped. */
#ifndef PF_ENGINE_CUDA_DEVICE_H
#define PF_ENGINE_CUDA_DEVICE_H

#include <cublasLt.h>
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "engine/cuda/cudnn_handles.h"
#include "engine/device.h"

typedef struct pf_cuda {
    int                   ordinal;
    int                   share;            /* percent of the card's compute: engine/cuda/mps.h */
    int                   sm_count;         /* that this process may use: the share lowers it */
    int                   cc;               /* compute capability: 90 */
    size_t                l2_bytes;
    pthread_mutex_t       lock;             /* for handles while they are made */
    pf_cudnn_handles      cudnn;            /* of its locks, before that of this */
    cublasLtHandle_t      cublaslt;
    void                 *nvml_device;
    struct nvtxDomainRegistration_st *nvtx; /* NULL without a profiler; never destroyed, as profilers read it at the
                                               end */
    struct pf_program_cache *programs;      /* engine/cuda/program.h */
    struct pf_compile_pool  *compilers;     /* of cuDNN's kernels: engine/cuda/compile_pool.h */
    struct pf_compile_pool  *program_compilers;     /* of generated ones */
} pf_cuda;

static inline pf_cuda     *pf_cuda_of(const pf_device *device) { return device->impl; }
static inline cudaStream_t pf_cuda_stream(pf_stream *stream) { return (cudaStream_t)stream; }

pf_status pf_cuda_open(int ordinal, const pf_device_options *options, pf_device **out, pf_err *err);
/* Handles are made at first use: opening the libraries takes most of a warm start.  Anybody's. */
pf_status pf_cuda_cublaslt(pf_device *device, cublasLtHandle_t *out, pf_err *err);

/* CUDA's calls mean the calling thread's card, which is the first one in a thread that chose none and may be another
   one in a process that uses several: whatever makes, loads or launches something begins with this. */
static inline cudaError_t pf_cuda_enter(const pf_device *device) { return cudaSetDevice(pf_cuda_of(device)->ordinal); }

#define PF_CUDA_TRY(err, call) \
    do { \
        cudaError_t pf_cuda_error_ = (call); \
        if (pf_cuda_error_ != cudaSuccess) \
            return PF_FAIL((err), pf_cuda_status(pf_cuda_error_), "%s: %s", #call, \
                           cudaGetErrorString(pf_cuda_error_)); \
    } while (0)

/* On the device's card. */
#define PF_CUDA_ON(device, err, call) \
    do { \
        PF_CUDA_TRY((err), pf_cuda_enter(device)); \
        PF_CUDA_TRY((err), call); \
    } while (0)

/* What gives something back, on the device's card, where nobody is told of a failure. */
#define PF_CUDA_DROP(device, call) \
    do { \
        if (pf_cuda_enter(device) != cudaSuccess || (call) != cudaSuccess) (void)cudaGetLastError(); \
    } while (0)

/* NO_SPACE for memory, DEVICE otherwise.  Takes back that it was the thread's last error: libraries look at that after
   calls of their own, which it must not fail. */
pf_status pf_cuda_status(cudaError_t error);

#endif
