/* cuDNN's graph backend, from C: tensors, operations, engine configurations, execution plans.
   Failure is sticky: after the first one every call answers NULL, and the reason is asked for once.
   Descriptors live until pf_cudnn_graph_clear, since a plan is finalized from them. */
#ifndef PF_ENGINE_CUDA_CUDNN_GRAPH_H
#define PF_ENGINE_CUDA_CUDNN_GRAPH_H

#include "engine/cuda/cuda_device.h"
#include "engine/problem.h"

enum { CUDNN_DESCRIPTORS_MAX = 256, CUDNN_OPERATIONS_MAX = 24, CUDNN_KNOBS_MAX = 48 };

typedef cudnnBackendDescriptor_t pf_cudnn_tensor;

typedef struct pf_cudnn_graph {
    cudnnHandle_t            handle;
    cudnnBackendDescriptor_t all[CUDNN_DESCRIPTORS_MAX]; int count;
    cudnnBackendDescriptor_t operations[CUDNN_OPERATIONS_MAX]; int operation_count;
    cudnnBackendDescriptor_t graph;         /* once finished */
    int64_t                  next_virtual;  /* unique ids of virtual tensors count from 1000 */
    cudnnStatus_t            status;
    char                     reason[256];
} pf_cudnn_graph;

void pf_cudnn_graph_init(pf_cudnn_graph *g, cudnnHandle_t handle);
void pf_cudnn_graph_clear(pf_cudnn_graph *g);
/* PF_OK, or UNSUPPORTED with cuDNN's words: refusing is normal for it. */
pf_status pf_cudnn_graph_status(const pf_cudnn_graph *g, const char *what, pf_err *err);

cudnnDataType_t pf_cudnn_type(pf_dtype dtype);
/* A tensor in memory. dims and strides in elements, N C H W order whatever the layout; uid names it at execution. */
pf_cudnn_tensor pf_cudnn_tensor_new(pf_cudnn_graph *g, int64_t uid, cudnnDataType_t type, int rank, const int64_t *dim,
                                    const int64_t *stride);
pf_cudnn_tensor pf_cudnn_virtual(pf_cudnn_graph *g, cudnnDataType_t type, int rank, const int64_t *dim,
                                 const int64_t *stride);
/* One number, read from host memory at execution. */
pf_cudnn_tensor pf_cudnn_scalar(pf_cudnn_graph *g, int64_t uid, int rank);
/* Spatial lists of `spatial` entries. */
typedef struct pf_cudnn_window { int spatial; const int64_t *pad_begin, *pad_end, *stride, *dilation; } pf_cudnn_window;
/* y = conv(x, w) */
void pf_cudnn_convolution(pf_cudnn_graph *g, pf_cudnn_tensor x, pf_cudnn_tensor w, pf_cudnn_tensor y,
                          const pf_cudnn_window *window);
/* y = transposed conv(x, w): what cuDNN calls the gradient of a convolution's input, w being [channels of x, channels
   of y, ...]. */
void pf_cudnn_convolution_transpose(pf_cudnn_graph *g, pf_cudnn_tensor x, pf_cudnn_tensor w, pf_cudnn_tensor y,
                                    const pf_cudnn_window *window);
/* y = mode(x [, b]) in FP32 */
void pf_cudnn_pointwise(pf_cudnn_graph *g, cudnnPointwiseMode_t mode, pf_cudnn_tensor x, pf_cudnn_tensor b,
                        pf_cudnn_tensor y);
void pf_cudnn_finish(pf_cudnn_graph *g);

/* An engine configuration as text that means the same in every process with the same cuDNN: "e=41 2=3 5=0 ...". */
typedef struct pf_cudnn_config {
    int64_t engine;
    int     knob_count;
    int64_t type[CUDNN_KNOBS_MAX], value[CUDNN_KNOBS_MAX];
} pf_cudnn_config;
/* Configurations that heuristics of a mode list, best first; at most max. Ones whose numerics are lower than allowed
   are left out: tensor-core rounding of FP32 (TF32) unless tf32 is true. */
int  pf_cudnn_heuristics(pf_cudnn_graph *g, cudnnBackendHeurMode_t mode, bool tf32, bool fp32_tensors,
                         pf_cudnn_config *out, int max);
void pf_cudnn_config_print(const pf_cudnn_config *config, char *out, size_t capacity);
bool pf_cudnn_config_parse(const char *text, pf_cudnn_config *out);
/* Whether cuDNN compiles its kernel when a plan is made of it, which takes a second or more. */
bool pf_cudnn_config_compiles(pf_cudnn_graph *g, const pf_cudnn_config *config);

/* A plan made by configuration, or from the JSON of an earlier one. NULL when cuDNN refuses. The caller destroys it. */
cudnnBackendDescriptor_t pf_cudnn_plan(pf_cudnn_graph *g, const pf_cudnn_config *config);
cudnnBackendDescriptor_t pf_cudnn_plan_from_json(cudnnHandle_t handle, const char *json, size_t bytes);
int64_t   pf_cudnn_plan_workspace(cudnnBackendDescriptor_t plan);
pf_status pf_cudnn_plan_json(cudnnBackendDescriptor_t plan, pf_buf *out, pf_err *err);
/* Runs it on a stream. */
pf_status pf_cudnn_execute(pf_device *device, cudnnBackendDescriptor_t plan, const int64_t *uids, void *const *pointers,
                           int count, void *workspace, pf_stream *stream, pf_err *err);

#endif
