/* planfarm's public C API: describe a network or import one, build a plan for a device, load it, run it.

     pf_network *net = NULL;  pf_config *config = NULL;  pf_device *dev = NULL;  pf_plan *plan = NULL;
     pf_err      err = {0};
     pf_network_import("resnet50.onnx", &net, &err);
     pf_config_new(&config, &err);       pf_config_set(config, "shapes", "input:8x3x224x224", &err);
     pf_device_open("cpu", NULL, &dev, &err);
     pf_build(net, config, dev, NULL, &plan, NULL, &err);
     pf_plan_save(plan, "resnet50.plan", &err);

   Every call answers PF_OK or a status and, in err, one sentence; an err with a list (base/error_list.h) also gets each
   unsupported node, failed candidate and refused choice by itself, with its code and node.  Nothing here prints, exits
   or aborts.  Text that a call hands over is freed by pf_free.  base/memory.h gives and watches host memory,
   engine/device.h a device's.
   Thread   networks, configs and contexts: one at a time each.  Plans: any.  Devices: see engine/device.h. */
#ifndef PLANFARM_H
#define PLANFARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/alloc.h"
#include "base/error_list.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/timing_record.h"
#include "engine/device.h"
#include "engine/tensor.h"

#define PF_BUILDER_ABI "planfarm-12"     /* raised when equal inputs would give another plan: part of every plan key */

const char *pf_version(void);           /* of the library: "0.1.0" */
const char *pf_builder_abi(void);       /* of the library that runs, which may not be the one compiled against */

/* ---- Networks */
typedef struct pf_network pf_network;
typedef uint32_t pf_tensor_id;

pf_status pf_network_new(const char *name, pf_network **out, pf_err *err);
/* Reads an ONNX file with its external data, which stays mapped while the network lives. Errors NOT_FOUND, INVALID,
   UNSUPPORTED (all ops listed). */
pf_status pf_network_import(const char *path, pf_network **out, pf_err *err);
void      pf_network_free(pf_network *network);
/* Layer by layer. shape: "[batch,3,224,224]", names are symbols. attrs as in a dump: "strides=[2,2] pads=[1,1,1,1]".
   Ops and attributes are those that `planfarm inspect --graph` prints; engine/ops.  A refused layer leaves the network
   as it was.  in may be out. */
pf_status pf_network_input(pf_network *network, const char *name, pf_dtype dtype, const char *shape, pf_tensor_id *out,
                           pf_err *err);
/* Copied. */
pf_status pf_network_constant(pf_network *network, const char *name, const pf_tensor *tensor, pf_tensor_id *out,
                              pf_err *err);
pf_status pf_network_layer(pf_network *network, const char *op, const char *name, const pf_tensor_id *in,
                           uint32_t in_count, const char *attrs, uint32_t out_count, pf_tensor_id *out, pf_err *err);
pf_status pf_network_output(pf_network *network, pf_tensor_id tensor, const char *name, pf_err *err);
/* SHA-256 of the model manifest (files of an import), or of the graph's text and constants. */
pf_status pf_network_digest(pf_network *network, pf_digest *out, pf_err *err);
/* Another digest in place of that one, in plans and their keys: for who names models in another way, as the farm does
   for those by URL. */
void      pf_network_set_digest(pf_network *network, const pf_digest *digest);
const char *pf_network_name(const pf_network *network);
/* What is in it; of an import, names are the model's.  Inputs, outputs and layers are numbered from 0, in the order in
   which they were made; layers come after those they read.  Names and lists are borrowed until the network changes. */
enum { PF_SHAPE_TEXT_BYTES_MAX = 256 };
typedef struct pf_tensor_info {
    const char *name;                   /* may be "" */
    pf_dtype    dtype;
    int32_t     rank;                   /* -1: unknown */
    int64_t     dim[PF_MAX_RANK];       /* -1: symbolic */
    char        shape[PF_SHAPE_TEXT_BYTES_MAX];     /* "[batch,3,224,224]", cut when longer */
    bool        is_input, is_constant;
} pf_tensor_info;
typedef struct pf_layer_info {
    const char *name, *op;
    const pf_tensor_id *in, *out;       /* in: UINT32_MAX where an optional input is left out */
    uint32_t    in_count, out_count;
} pf_layer_info;
uint32_t    pf_network_input_count(const pf_network *network);
uint32_t    pf_network_output_count(const pf_network *network);
uint32_t    pf_network_layer_count(const pf_network *network);
/* UINT32_MAX when there is none; output_at too */
pf_tensor_id pf_network_input_at(const pf_network *network, uint32_t index);
pf_tensor_id pf_network_output_at(const pf_network *network, uint32_t index);
const char *pf_network_output_name(const pf_network *network, uint32_t index);          /* "" when there is none */
/* Errors NOT_FOUND. */
pf_status   pf_network_tensor(const pf_network *network, pf_tensor_id tensor, pf_tensor_info *out, pf_err *err);
pf_status   pf_network_layer_at(const pf_network *network, uint32_t index, pf_layer_info *out, pf_err *err);
struct pf_graph *pf_network_graph(pf_network *network);         /* borrowed; engine/graph.h */

/* ---- Build specs */
typedef struct pf_config pf_config;

pf_status pf_config_new(pf_config **out, pf_err *err);
void      pf_config_free(pf_config *config);
/* key: a row of engine/config.def. Errors USAGE: no such key, or the value is malformed. */
pf_status pf_config_set(pf_config *config, const char *key, const char *value, pf_err *err);
const char *pf_config_get(const pf_config *config, const char *key);  /* the default when not set; NULL: no such key */
/* The canonical text, and back. *text is from pf_alloc. */
pf_status pf_config_text(const pf_config *config, char **text, pf_err *err);
pf_status pf_config_parse(const char *text, pf_config **out, pf_err *err);
/* As pf_network_import, for builds with this spec: a network that cannot be taken with its sizes open is taken with
   those that the spec fixes, as is one that the spec gives a size of 0.  config may be NULL. */
pf_status pf_network_import_for(const char *path, const pf_config *config, pf_network **out, pf_err *err);
/* As that, and inputs that the spec freezes are constants: the network has the others only.  Errors USAGE: it has no
   such input. */
pf_status pf_network_import_frozen(const char *path, const pf_config *config, pf_network **out, pf_err *err);
/* Errors USAGE: settings that contradict each other; UNSUPPORTED: one that this version cannot build for this device,
   named. */
pf_status pf_config_check(const pf_config *config, const pf_device *device, pf_err *err);

/* ---- Building */
typedef enum pf_phase { PF_PHASE_IMPORT, PF_PHASE_REWRITE, PF_PHASE_TIME, PF_PHASE_CHOOSE, PF_PHASE_PACK,
                        PF_PHASE_VERIFY, PF_PHASE_COUNT } pf_phase;
const char *pf_phase_name(pf_phase phase);

typedef struct pf_progress {
    pf_phase phase;
    uint32_t problems_done, problems_total;
    uint32_t candidates_timed, cache_hits, cache_misses;
    int64_t  elapsed_ns, remaining_ns;      /* remaining: a guess; -1 unknown */
    const char *layer;                      /* being worked on; "" */
} pf_progress;

/* The timings of a folder, made when absent, as `planfarm build --cache` keeps them; NULL: those of this user.  For
   pf_build_options; ended by store->close(store).  Any number of processes may use a folder at once.  Errors NO_SPACE,
   CORRUPT, NOT_FOUND: no such user folder. */
pf_status pf_timing_store_open(const char *folder, pf_timing_store **out, pf_err *err);

/* For programs that build with such a store, once: a crash inside a vendor's library ends the process as ever, but the
   candidate that was being tried is noted first, and whoever opens the folder next leaves it out of builds.  Takes over
   SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT, and hands each on to who had it.
   say: called in the signal handler with a sentence about it, so that it may do no more than write; NULL: nobody. */
void      pf_timing_watch_crashes(void (*say)(const char *sentence));

typedef struct pf_build_options {
    pf_timing_store *store;                 /* NULL: a memory store for this build */
    bool (*progress)(void *user, const pf_progress *progress);  /* false cancels: PF_CANCELLED */
    void *user;
    const char *kernel_folder;              /* where kernels compiled for a GPU are kept between builds, made when
                                               absent; NULL: nowhere */
    const char *plan_folder;                /* where the plan will be saved: its bytes go there while it is built; NULL:
                                               they stay in memory */
} pf_build_options;

/* What a build spends its time on: rewriting and forming regions; how much stays in FP32; asking tactics for their
   tunings; compiling candidates while there is nothing to time; computing what problems answer; packing constants and
   making candidates ready; comparing their outputs; timing them; timing those that are close once more, elsewhere in
   memory; timing the whole with others; writing the plan; comparing the plan with the references. */
typedef enum pf_part {
    PF_PART_FRONT, PF_PART_CARE, PF_PART_LIST, PF_PART_COMPILE, PF_PART_EXPECT, PF_PART_READY, PF_PART_CHECK,
    PF_PART_RACE, PF_PART_PLACES, PF_PART_REFINE, PF_PART_WRITE, PF_PART_VERIFY, PF_PART_COUNT
} pf_part;
const char *pf_part_name(pf_part part);     /* "front" */

typedef struct pf_build_report {            /* names as in `planfarm build --json` */
    uint32_t problems, candidates_timed, cache_hits, cache_misses;
    double   build_seconds, timing_seconds;
    double   part_seconds[PF_PART_COUNT];   /* "phases"; together a little less than build_seconds */
    double   max_rel_error;                 /* of the plan's outputs against the reference on generated inputs, relative
                                               to their range */
    double   least_cosine;                  /* of the plan's outputs with the reference's; -1: not compared */
    /* activations and workspace as planned; least possible; packed weights */
    uint64_t memory_bytes, memory_lower_bound_bytes, weights_bytes;
    uint64_t device_bytes, device_bound_bytes;  /* what a context of the plan holds on the device, inputs and outputs
                                                   left out; the least that it could */
    double   lowered_error;             /* of the outputs as the references expect it where only what never is lowered
                                           stays FP32, or as a check of less care than `fp32` says found it; infinite:
                                           they have infinities or no numbers; -1: nobody was asked */
    char     fp32[64];                  /* what stays FP32 besides, as a text; empty: nothing does */
    uint32_t candidates_banned;         /* that were wrong or failed only in the whole plan: the next ones were taken */
    uint32_t products_on_host;          /* products, convolutions, attention and recurrent layers that the plan leaves
                                           to the references on the host, slow as they are: behind sizes that only data
                                           decides, or in control flow */
} pf_build_report;

typedef struct pf_plan pf_plan;
/* network is not changed, and may be built again, with another config or for another device. options and report may be
   NULL.  Same network, config, device class, store contents and kernel folder: the same bytes.
   Errors   those of pf_config_check; CANCELLED; UNSUPPORTED: no tactic can do a layer; BUILD_FAILED: none that can
            works; MISMATCH: the outputs are off by more than they may; CACHE_MISS: replay lacks a timing; NO_SPACE. */
pf_status pf_build(pf_network *network, const pf_config *config, pf_device *device, const pf_build_options *options,
                   pf_plan **out, pf_build_report *report, pf_err *err);

/* ---- Plans: immutable, may be shared by threads. The format: engine/PLAN_FORMAT.md */
/* Mapped, not read: header and tables are checked, weights by pf_plan_verify alone.  What is damaged is refused, what
   is malicious is not told apart: a plan for a GPU holds machine code, so load those of whom you trust (planfarm fetch
   verifies who signed one). */
pf_status pf_plan_load(const char *path, pf_plan **out, pf_err *err);
pf_status pf_plan_open(const void *data, size_t bytes, pf_plan **out, pf_err *err);     /* data is borrowed */
void      pf_plan_free(pf_plan *plan);
pf_status pf_plan_save(const pf_plan *plan, const char *path, pf_err *err);
pf_status pf_plan_verify(const pf_plan *plan, pf_err *err);  /* every checksum, weights too */
const void *pf_plan_bytes(const pf_plan *plan, size_t *bytes);
void      pf_plan_key_of(const pf_plan *plan, pf_digest *key);
void      pf_plan_digest(const pf_plan *plan, pf_digest *digest);                       /* SHA-256 of its bytes */
const char *pf_plan_class_text(const pf_plan *plan);
const char *pf_plan_class_name(const pf_plan *plan);
/* As pf_network_import_frozen, for the spec that the plan was built by: it takes the plan's inputs. */
pf_status pf_network_import_as(const char *path, const pf_plan *plan, pf_network **out, pf_err *err);
/* STALE with the field that differs, when the plan was not made for this device. */
pf_status pf_plan_fits(const pf_plan *plan, const pf_device *device, pf_err *err);
/* What `planfarm inspect --json` prints. */
pf_status pf_plan_describe(const pf_plan *plan, struct pf_buf *json, pf_err *err);

typedef struct pf_io {
    const char *name;
    bool        is_input;
    pf_dtype    dtype;
    int32_t     rank;
    int64_t     dim[PF_MAX_RANK];           /* -1: dynamic */
    int64_t     min[PF_MAX_RANK], opt[PF_MAX_RANK], max[PF_MAX_RANK];   /* the profile */
} pf_io;
uint32_t  pf_plan_io_count(const pf_plan *plan);
const pf_io *pf_plan_io(const pf_plan *plan, uint32_t index);
uint32_t  pf_plan_find_io(const pf_plan *plan, const char *name);                       /* UINT32_MAX when absent */
uint32_t  pf_plan_layer_count(const pf_plan *plan);
typedef struct pf_layer {
    const char *name, *problem, *tactic, *tuning;
    int64_t     time_ns;
    uint64_t    workspace_bytes;
} pf_layer;
void      pf_plan_layer(const pf_plan *plan, uint32_t index, pf_layer *out);

/* ---- Running */
typedef struct pf_context pf_context;       /* one run at a time; several contexts of one plan run in parallel */

/* allocator: for all device memory of the context and of what it shares with the plan's other contexts that have the
   same one; NULL: the device's. */
pf_status pf_context_new(pf_plan *plan, pf_device *device, const pf_allocator *allocator, pf_context **out,
                         pf_err *err);
void      pf_context_free(pf_context *context);
/* Dims of a dynamic input; INVALID outside the profile, naming input and dim. Static inputs need no call. */
pf_status pf_context_set_shape(pf_context *context, uint32_t io, const int64_t *dim, int32_t rank, pf_err *err);
/* Prepares everything for the shapes set (steps, memory, captured graph); done by the first run otherwise. Recent
   shapes are kept. */
pf_status pf_context_ready(pf_context *context, pf_err *err);
/* Outputs too, once shapes are set. */
pf_status pf_context_shape(const pf_context *context, uint32_t io, int64_t *dim, int32_t *rank, pf_err *err);
/* Memory for what lies between inputs and outputs, provided by the caller instead of taken: at least
   pf_context_memory_bytes for every shape that will be run (ask with the profile's largest one set), aligned to
   PF_DEVICE_ALIGNMENT, in the device's address space.  Contexts that do not run at the same time may have the same
   memory.  Borrowed until it is replaced, which no run may be under way for; NULL: the context takes its own again.
   Errors  INVALID: badly aligned.  A run that needs more is refused with NO_SPACE. */
pf_status pf_context_memory_bytes(pf_context *context, size_t *bytes, pf_err *err);     /* for the shapes set */
pf_status pf_context_use_memory(pf_context *context, void *memory, size_t bytes, pf_err *err);
/* Memory of inputs and outputs, dense row-major, in the device's address space (the CPU's is the host's). Borrowed
   until rebound. */
pf_status pf_context_bind(pf_context *context, uint32_t io, void *pointer, pf_err *err);
/* Allocates nothing and never synchronises once ready.  On a device that captures a run is one launch then; where a
   capture fails the log says so, and layers are launched one by one.  The first run of a shape or with other memory
   waits for what the stream holds.  Runs that follow each other on one stream need nothing between them; between
   streams the caller sees to it that one run has ended before the next begins. */
pf_status pf_context_enqueue(pf_context *context, pf_stream *stream, pf_err *err);
pf_status pf_context_run(pf_context *context, pf_err *err);  /* enqueue on a stream of its own and wait */
/* Host tensors in and out, for tools: sets shapes, copies, runs. outputs are allocated; pf_tensor_clear each. inputs in
   io order of inputs. */
pf_status pf_context_run_host(pf_context *context, const pf_tensor *inputs, pf_tensor *outputs, pf_err *err);
/* Named ranges for profilers (NVTX; of a GPU only): each run by the network's name; with LAYERS each layer by its name
   as well, for which runs are launched layer by layer instead of as a captured graph.  Off unless the environment's
   PLANFARM_RANGES is "runs" or "layers" when the context is made. */
typedef enum pf_ranges { PF_RANGES_OFF, PF_RANGES_RUNS, PF_RANGES_LAYERS } pf_ranges;
/* Errors INVALID: no such level. */
pf_status pf_context_mark_ranges(pf_context *context, pf_ranges ranges, pf_err *err);
/* Nanoseconds of each layer within captured runs: how much later it ends than the layer before, by medians of runs that
   are timed up to there, so that all add up to a run.  Captures as many graphs as there are layers, and runs each
   `runs` times and twice more.  Errors  UNSUPPORTED: nothing is captured, on this device or of this plan. */
pf_status pf_context_profile_captured(pf_context *context, uint32_t runs, int64_t *times_ns, pf_err *err);
/* Median nanoseconds of each layer over runs, outside any captured graph, where more lies between layers.  times_ns has
   pf_plan_layer_count items. */
pf_status pf_context_profile(pf_context *context, uint32_t runs, int64_t *times_ns, pf_err *err);

#ifdef __cplusplus
}
#endif

#endif
