/* cuDNN's handles.  Threads work at once that do not share one, but do not run one plan at once, so what makes plans
   has a handle and a lock of its own, and a run does not wait for a plan that is made.

   A handle works on a stream, and when it is given another it makes that one wait, by an event, for what the old one
   holds: streams that took turns with a handle would wait for each other, one that is captured would draw in the other,
   and where the old one was destroyed meanwhile, 9.19 crashes.  So each stream of a device has a handle from its first
   run until it is freed, which is when the handle is parked on a stream that stays, for the next one. */
#ifndef PF_ENGINE_CUDA_CUDNN_HANDLES_H
#define PF_ENGINE_CUDA_CUDNN_HANDLES_H

#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <pthread.h>

#include "engine/device.h"

typedef struct pf_cudnn_stream {        /* a handle, and whose it is */
    struct pf_cudnn_stream *next;
    cudaStream_t            stream;     /* NULL: nobody's, and parked */
    cudnnHandle_t           handle;     /* NULL: not made yet */
    bool                    bound;      /* the handle works on the stream */
} pf_cudnn_stream;

typedef struct pf_cudnn_handles {
    pthread_mutex_t  plans_lock, runs_lock;         /* runs_lock: of all below `plans`, and while a plan is run */
    cudnnHandle_t    plans;                         /* NULL: not asked for yet */
    pf_cudnn_stream *streams;                       /* owned; as many as the device ever had at once */
    pf_cudnn_stream  foreign;                       /* for streams that the device did not make: parked between runs */
    cudaStream_t     parking;                       /* NULL: no handle was parked yet */
} pf_cudnn_handles;

void pf_cudnn_handles_init(pf_cudnn_handles *handles);
/* On the device's card, when its streams are freed. */
void pf_cudnn_handles_clear(pf_cudnn_handles *handles);

/* The handle that makes plans, this thread's from take, when that answers OK, to leave. */
pf_status pf_cudnn_plans_take(pf_device *device, cudnnHandle_t *out, pf_err *err);
void      pf_cudnn_plans_leave(pf_device *device);

/* A handle that works on the stream, this thread's from take, when that answers OK, to leave.  The first take for a
   stream must not be while it is captured. */
pf_status pf_cudnn_runs_take(pf_device *device, pf_stream *stream, cudnnHandle_t *out, pf_err *err);
void      pf_cudnn_runs_leave(pf_device *device);

/* The device made the stream; and is about to destroy it. */
pf_status pf_cudnn_stream_add(pf_device *device, cudaStream_t stream, pf_err *err);
void      pf_cudnn_stream_drop(pf_device *device, cudaStream_t stream);

#endif
