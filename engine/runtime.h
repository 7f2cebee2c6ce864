/* Contexts from the inside: what the builder's own check and the tools look at. */
#ifndef PF_ENGINE_RUNTIME_H
#define PF_ENGINE_RUNTIME_H

#include "engine/runtime_resident.h"

enum { PF_CAPTURES_KEPT = 4, PF_IO_ALIGNMENT = 16 };

/* A captured run: of one instance, with the pointers that were bound then. */
typedef struct pf_capture {
    pf_device_graph *graph;
    pf_instance     *instance;          /* used by it: kept alive */
    void            *arena;
    void           **bound;             /* owned; by io */
    uint64_t         used_at;
} pf_capture;

struct pf_context {
    pf_plan     *plan;
    pf_device   *device;
    pf_resident *resident;
    pf_stream   *stream;                /* its own */
    pf_stream   *calling;               /* during pf_context_enqueue: the caller's; else NULL */
    int64_t   (*dim)[PF_MAX_RANK];      /* by io: what was set for inputs */
    bool        *has_shape;             /* by io */
    bool         shapes_changed;        /* since instance was taken */
    bool         pointers_changed;      /* since value_pointer was filled */
    int64_t     *bindings;              /* by symbol */
    pf_instance *instance;
    void        *arena;
    size_t       arena_bytes;
    bool         arena_borrowed;        /* the caller's: pf_context_use_memory */
    pf_ranges    ranges;                /* what is named to profilers */
    void       **bound;                 /* by io */
    void       **value_pointer;         /* by value */
    void       **slots;                 /* the in and out pointers of all steps */
    pf_bindings *step_bindings;         /* by step; in and out point into slots */
    pf_capture   captures[PF_CAPTURES_KEPT];
    uint32_t     failed_step;           /* the last that could not be enqueued; PF_NONE: none */
    int          capture;               /* the one that fits what is bound now, or -1 */
    bool         uncaptured;            /* capturing the instance failed: its steps are launched one by one */
    uint64_t     clock;
    void       **staging;               /* by io: device copies for pf_context_run_host; owned */
    size_t      *staging_bytes;
    const pf_tensor **host_inputs;      /* by io: during pf_context_run_host, the caller's tensors */
    pf_tensor   *tail_outputs;          /* by output of the tail's graph: of the last run; owned */
};

/* Sees every value that a step wrote, as a dense host tensor that is borrowed for the call.  False ends the run
   early. */
typedef bool pf_context_watch(void *user, uint32_t step, uint32_t value, const pf_tensor *tensor);
/* Runs step by step outside of any captured graph. Inputs and outputs must be bound. */
pf_status pf_context_run_watched(pf_context *context, pf_context_watch *watch, void *user, pf_err *err);
/* Runs the plan's tail on what the steps left; waits for them first.  Its outputs are in tail_outputs, and in the
   memory that is bound for them. */
pf_status pf_context_run_tail(pf_context *context, pf_stream *stream, pf_err *err);
void      pf_context_clear_tail(pf_context *context);
/* The value as a dense host tensor, which the caller clears; after a run, while it is still there (outputs, and what
   the tail reads). */
pf_status pf_context_fetch(pf_context *context, uint32_t value, pf_tensor *out, pf_err *err);
/* Enqueues one step; the context must be ready and bound. */
pf_status pf_context_enqueue_step(pf_context *context, uint32_t step, pf_stream *stream, pf_err *err);
/* Makes what set_shape and bind changed take effect: instance, arena and pointers; allocates when something changed. */
pf_status pf_context_prepare(pf_context *context, pf_err *err);
/* Prepares, and binds inputs and outputs that nobody bound to memory of the context's own, filling the inputs. */
pf_status pf_context_bind_rest(pf_context *context, pf_err *err);
/* Device memory that a ready context holds, alone or with others: weights that were brought to the device or packed
   there, and its arena.  What is bound for inputs and outputs is not in it. */
uint64_t  pf_context_device_bytes(const pf_context *context);
/* Dims of a value under the shapes set. */
pf_status pf_context_value_dims(const pf_context *context, uint32_t value, int64_t *dim, pf_err *err);

#endif
