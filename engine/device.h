/* A device that runs steps.  device_cpu.c is always there; device_module.c finds CUDA's at run time.
   Thread   a device and what it made may be used from one thread at a time, but contexts on streams of their own run in
            parallel, and memory may be taken and given back from any.  A process may open several devices.  A call that
            works on a GPU leaves it as the calling thread's current one (cudaSetDevice). */
#ifndef PF_ENGINE_DEVICE_H
#define PF_ENGINE_DEVICE_H

#include "base/hash.h"
#include "base/status.h"
#include "engine/dtype.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pf_device_kind { PF_DEVICE_CPU, PF_DEVICE_CUDA } pf_device_kind;

typedef struct pf_device pf_device;
typedef struct pf_stream pf_stream;             /* work in order; the CPU's runs at once in the caller's thread */
typedef struct pf_event pf_event;
typedef struct pf_device_graph pf_device_graph; /* a captured sequence of launches */

/* Where a device's memory comes from instead of the device itself.  Called under planfarm's locks: calls nothing of
   planfarm. */
typedef struct pf_allocator {
    /* At least bytes that the device can use, aligned to alignment; NULL when there are none.  on_device is always
       true. */
    void *(*alloc)(void *user, size_t bytes, size_t alignment, bool on_device);
    void  (*free)(void *user, void *pointer, bool on_device);
    void  *user;
} pf_allocator;

enum { PF_DEVICE_CLASS_TEXT_BYTES = 2048, PF_DEVICE_CLASS_NAME_BYTES = 64, PF_DEVICE_ALIGNMENT = 256 };

typedef struct pf_device_sample {       /* 0 where a device does not tell */
    uint32_t clock_mhz, temperature_c, power_w;
    uint32_t throttle_bits;             /* why clocks are held down: NVML's nvmlClocksEventReasons; 0: they are not */
    uint32_t foreign_processes;         /* that compute on the device too */
} pf_device_sample;

/* Of throttle_bits: slowed down by the hardware, by heat or by the power supply, which is no property of the kind of
   device, as its power limit is. */
enum { PF_THROTTLED_BY_FAULT = 0x8 | 0x20 | 0x40 | 0x80 };

/* Of floats, test against reference. */
typedef struct pf_device_difference {
    double   max_abs;                   /* largest difference, */
    double   greatest, least;           /* and ends of the reference, of those that are finite on both sides */
    uint64_t not_finite;                /* how many are not */
} pf_device_difference;

typedef struct pf_device_ops {
    void (*close)(pf_device *device);
    /* Device memory, 256-byte aligned. */
    pf_status (*alloc)(pf_device *device, size_t bytes, void **out, pf_err *err);
    void      (*free)(pf_device *device, void *pointer);
    pf_status (*upload)(pf_device *device, pf_stream *stream, void *to, const void *host, size_t bytes, pf_err *err);
    pf_status (*download)(pf_device *device, pf_stream *stream, void *host, const void *from, size_t bytes,
                          pf_err *err);
    pf_status (*fill)(pf_device *device, pf_stream *stream, void *to, uint8_t value, size_t bytes, pf_err *err);
    /* Within the device. */
    pf_status (*copy)(pf_device *device, pf_stream *stream, void *to, const void *from, size_t bytes, pf_err *err);
    /* (optional) Dense values of one type, both on the device. Waits.  Errors   UNSUPPORTED: not of this type. */
    pf_status (*compare)(pf_device *device, pf_stream *stream, pf_dtype dtype, const void *test, const void *reference,
                         uint64_t count, pf_device_difference *out, pf_err *err);
    /* (optional) Host memory that uploads and downloads are fast from and to. */
    pf_status (*host_alloc)(pf_device *device, size_t bytes, void **out, pf_err *err);
    void      (*host_free)(pf_device *device, void *pointer);
    pf_status (*stream_new)(pf_device *device, pf_stream **out, pf_err *err);
    void      (*stream_free)(pf_device *device, pf_stream *stream);
    pf_status (*stream_sync)(pf_device *device, pf_stream *stream, pf_err *err);
    pf_status (*event_new)(pf_device *device, pf_event **out, pf_err *err);
    void      (*event_free)(pf_device *device, pf_event *event);
    pf_status (*event_record)(pf_device *device, pf_event *event, pf_stream *stream, pf_err *err);
    /* Waits for end. */
    pf_status (*event_elapsed)(pf_device *device, pf_event *start, pf_event *end, int64_t *ns, pf_err *err);
    /* (optional) capture of all that is enqueued on the stream in between. */
    pf_status (*capture_begin)(pf_device *device, pf_stream *stream, pf_err *err);
    pf_status (*capture_end)(pf_device *device, pf_stream *stream, pf_device_graph **out, pf_err *err);
    pf_status (*graph_launch)(pf_device *device, pf_device_graph *graph, pf_stream *stream, pf_err *err);
    void      (*graph_free)(pf_device *device, pf_device_graph *graph);
    /* (optional) Keeps what is compiled in folder from now on, and takes it from there. */
    pf_status (*keep_kernels)(pf_device *device, const char *folder, pf_err *err);
    /* (optional) Much will be compiled soon: who compiles gets ready meanwhile. */
    void      (*wake)(pf_device *device);
    /* (optional) Nothing more is compiled for a while: what compiling took of the device is given back, where that is
       much of what the device has; with all in any case, and what it took of the host too. */
    void      (*rest)(pf_device *device, bool all);
    /* (optional) For profilers: a named range of this thread's calls, which nests, and the beginning and end of what
       they shall record. */
    void      (*range_begin)(pf_device *device, const char *name);
    void      (*range_end)(pf_device *device);
    pf_status (*profiler)(pf_device *device, bool on, pf_err *err);
    /* (optional) event_record while the stream is captured: each launch of the graph records the event anew. */
    pf_status (*event_capture)(pf_device *device, pf_event *event, pf_stream *stream, pf_err *err);
    /* (optional) This thread has enqueued a run of a plan, which took it so long. */
    void      (*ran)(pf_device *device, int64_t took_ns);
    /* Clocks and throttling now, for timing records; fields that are unknown stay 0. */
    void      (*sample)(pf_device *device, struct pf_device_sample *out);
} pf_device_ops;

struct pf_device {              /* open to readers */
    const pf_device_ops *ops;
    pf_device_kind kind;
    char      name[32];                         /* "cpu", "cuda:0" */
    char      place[32];                        /* of a card in this machine, whatever number it has in this process:
                                                   its PCI address; else empty */
    char      class_name[PF_DEVICE_CLASS_NAME_BYTES];  /* short, for people and selectors: "cpu-avx512", "h100-sxm" */
    /* Canonical "key=value\n" lines of all that changes timings, sorted by key. */
    char      class_text[PF_DEVICE_CLASS_TEXT_BYTES];
    pf_digest class_digest;                     /* of class_text */
    /* What of it timings are kept by: base/timing_class.h. */
    char      timing_text[PF_DEVICE_CLASS_TEXT_BYTES];
    pf_digest timing_digest;
    uint64_t  caps;                             /* PF_CAP_* */
    int32_t   compute_units;                    /* threads, or SMs in use */
    int32_t   threads;                          /* CPU: threads that a step may use */
    size_t    cache_bytes;                      /* last level: L2 of a GPU, L3 of a CPU */
    size_t    memory_bytes;
    bool      host_is_device;                   /* host pointers may be bound directly */
    pf_allocator allocator;                     /* of pf_device_options; alloc NULL: the device's own memory */
    void     *impl;
};

/* Device capabilities that tactics need. One bit each. */
enum {
    PF_CAP_CPU = 1 << 0, PF_CAP_AVX2 = 1 << 1, PF_CAP_AVX512 = 1 << 2, PF_CAP_AMX = 1 << 3, PF_CAP_AVX512_BF16 = 1 << 4,
    PF_CAP_CUDA = 1 << 8, PF_CAP_SM75 = 1 << 9, PF_CAP_SM80 = 1 << 10, PF_CAP_SM89 = 1 << 11, PF_CAP_SM90 = 1 << 12,
    PF_CAP_CUDNN = 1 << 16, PF_CAP_CUBLASLT = 1 << 17, PF_CAP_NVRTC = 1 << 18,
};

typedef struct pf_device_options {
    int32_t threads;        /* CPU: 0 = all cores this process may use */
    const char *isa;        /* CPU: NULL = what is there; "sse41", "avx2", "avx512", "amx" cap it */
    int32_t share_percent;  /* 0 or 100: the whole device */
    const pf_allocator *allocator;  /* copied; for all memory that builds and contexts take on this device.
                                       NULL: the device's own */
} pf_device_options;

/* name: "cpu", "cuda:N".  Errors   NOT_FOUND: no such device here, and why; DEVICE. */
pf_status pf_device_open(const char *name, const pf_device_options *options, pf_device **out, pf_err *err);
void      pf_device_close(pf_device *device);
/* Keeps kernels that are compiled on the device in folder from now on, made when absent, and takes them from there:
   those of builds, and those that a plan for a range needs at sizes that it holds no code for.  Does nothing where
   nothing is compiled.  Errors   those of making the folder: kernels then stay in memory.
   Thread   before others use the device. */
pf_status pf_device_keep_kernels(pf_device *device, const char *folder, pf_err *err);
/* Memory of the device for a tensor or workspace, PF_DEVICE_ALIGNMENT aligned: from allocator if it is given, else from
   the device's, else from the device itself.  base/memory.h tells watchers.  Given back with the same allocator; NULL
   is fine.   Thread  any. */
pf_status pf_device_take(pf_device *device, const pf_allocator *allocator, size_t bytes, void **out, pf_err *err);
void      pf_device_give_back(pf_device *device, const pf_allocator *allocator, void *pointer);
/* For who opens devices: what follows from class_text. */
void      pf_device_digest_class(pf_device *device);
/* The first line in which two class texts differ, as "cudnn is 9.14, the plan needs 9.19"; empty when equal. */
void      pf_device_class_difference(const char *plan_class, const char *this_class, char *out, size_t capacity);

#endif
