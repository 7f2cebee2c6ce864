/* A plan from the inside: what the builder writes, the file holds and the runtime reads.  The file: PLAN_FORMAT.md.
   Invariants of a plan that pf_plan_open answered (it checks them; PF_CORRUPT otherwise)
   1. Every index is within its table; texts are zero-terminated; dims parse, and use only the plan's symbols.
   2. Inputs of a step are graph inputs, weights, or values that earlier steps wrote; each byte of a value is written
      once: by the step that writes the value, or by steps that write views of it, which then are parts that do not
      overlap.
   3. A step's problem parses, and its inputs and outputs have the dtypes, shapes and layouts of the values bound to
      them.
   4. Views name a root: a value that is no view, and lie inside it; one whose dims, or whose root's dims, may vary has
      as many bytes as the root.  A view whose layout has a pitch is some channels of a root with that many, and all its
      other dims are the root's.
   5. Every output is written by one step, or by the tail; only the tail reads inputs of HOME_TAIL.
   6. Blobs lie inside the section of weights, aligned to PF_PLAN_ALIGNMENT; a weight's blob has the bytes that its
      shape and layout ask for. */
#ifndef PF_ENGINE_PLAN_H
#define PF_ENGINE_PLAN_H

#include "base/file.h"
#include "engine/memory_plan.h"
#include "engine/planfarm.h"
#include "engine/tactic.h"

enum { PF_PLAN_VERSION = 4, PF_PLAN_ALIGNMENT = 256 };

typedef struct pf_plan_symbol {
    const char *name;
    int64_t     least, usual, most;     /* PF_UNBOUND: data decides */
} pf_plan_symbol;

typedef enum pf_plan_home { PF_HOME_ARENA, PF_HOME_IO, PF_HOME_WEIGHT, PF_HOME_TAIL, PF_HOME_COUNT } pf_plan_home;

typedef struct pf_plan_value {
    const char  *name;                  /* of the graph's value; a reformatted copy has its source's name */
    pf_dtype     dtype;
    pf_layout    layout;
    pf_shape     shape;                 /* dims of pf_plan.dims; rank -1 only where the tail makes or takes it */
    pf_plan_home home;
    uint32_t     index;                 /* HOME_IO, HOME_TAIL: of io[]; HOME_WEIGHT: of blobs[], or PF_NONE when only
                                           packed forms are kept */
    uint32_t     view_of;               /* PF_NONE, or the value whose bytes these are: home and index are its own */
    uint64_t     view_offset;           /* bytes into that value, a multiple of PF_LAYOUT_PART_ALIGNMENT; 0 when dims
                                           may vary, unless the layout has a pitch */
} pf_plan_value;

typedef struct pf_plan_candidate {
    const char *tactic, *tuning;
    uint16_t    rev;
    int64_t     time_ns;                /* as recorded; 0: never timed */
} pf_plan_candidate;

typedef struct pf_plan_step {
    const char *name;                   /* of the layer, for people */
    const char *problem_text;
    pf_problem *problem;                /* owned */
    uint32_t   *in, *out;               /* values, in the problem's order */
    pf_plan_candidate *ranked;          /* [0] is the choice, the others its fallbacks, best first */
    uint32_t    ranked_count;
    const uint8_t *saved;               /* of ranked[0] */
    size_t      saved_bytes;
    uint32_t    packed;                 /* blob of ranked[0]'s packed constants, or PF_NONE */
    uint64_t    workspace_bytes;        /* at the usual shapes */
} pf_plan_step;

/* What the host runs after the steps, by the references: control flow, and what depends on it or on sizes that only
   data decides. */
typedef struct pf_plan_tail {
    const char *text;                   /* of the graph; "": there is none */
    pf_graph   *graph;                  /* owned; large constants are blobs */
    uint32_t   *in;    uint32_t in_count;      /* input of the graph -> value */
    uint32_t   *out;   uint32_t out_count;     /* output of the graph -> io, or PF_NONE: a step writes that one */
} pf_plan_tail;

typedef struct pf_plan_blob {
    uint64_t  offset, bytes;            /* offset from the start of the file */
    pf_digest digest;                   /* of those that the tail's text names; zero for the others */
} pf_plan_blob;

/* What the builder found by running the plan once: fixed size, written last. */
typedef struct pf_plan_check {
    double   max_rel_error;             /* of outputs against the reference at the usual shapes, rounded up to two
                                           digits; < 0: not run */
    double   max_rel_error_least;       /* the same at the least shapes */
    uint64_t memory_bytes;              /* activations and workspaces as planned for the usual shapes */
    uint64_t memory_lower_bound_bytes;  /* the least that any plan of the memory could need */
} pf_plan_check;

/* A file with weights and nothing else yet, as pf_plan_sink leaves it. */
typedef struct pf_plan_file {
    int      fd;                        /* unnamed; -1: none */
    pf_hash  hash;                      /* of its first hashed_bytes, the end of the weights */
    uint64_t hashed_bytes;
} pf_plan_file;

struct pf_plan {
    pf_arena       *arena;              /* owned; texts and tables */
    pf_dims        *dims;               /* owned; symbols in the order of symbols[] */
    const uint8_t  *data;               /* the whole file */
    size_t          bytes;
    pf_mapping      mapping;            /* owned unless the data are borrowed */
    pf_plan_file    file;               /* owned, when built in this process; fd -1 otherwise */
    uint64_t        weights_end;        /* where the section of weights ends */
    pf_digest       weights_digest;     /* of the file up to there */
    const char     *network_name, *builder_abi, *class_name, *class_text, *spec_text, *rewrites;
    pf_digest       key, model;
    pf_plan_check   check;
    pf_plan_symbol *symbols; uint32_t symbol_count;
    pf_plan_value  *values;  uint32_t value_count;
    pf_plan_step   *steps;   uint32_t step_count;
    pf_plan_blob   *blobs;   uint32_t blob_count;
    pf_io          *io;      uint32_t io_count;
    uint32_t       *io_value;           /* io -> value */
    pf_plan_tail    tail;
    uint64_t        weights_bytes;
    struct pf_residents *residents;    /* owned; what runs of this plan share, by device: runtime_resident.c */
};

/* The value itself, or the one that it is a view of. */
static inline uint32_t pf_plan_root(const pf_plan *plan, uint32_t value)
{
    return plan->values[value].view_of == PF_NONE ? value : plan->values[value].view_of;
}

void      pf_plan_write_header(uint8_t *header);        /* PF_PLAN_HEADER_BYTES of them, with which each plan begins */
/* Writes what follows the weights: the sections of the draft, whose tables are those of struct pf_plan, and their
   table. */
pf_status pf_plan_write(const struct pf_plan *draft, const pf_plan_file *file, pf_err *err);
/* Replaces what the draft said about the check by plan->check, in the plan's file. */
pf_status pf_plan_write_check(pf_plan *plan, pf_err *err);
/* marked, of blob_count, gets true where the first choice of a step reads a blob, or the tail does: all that a plan for
   one size has, but not what one for a range keeps for other choices. */
void      pf_plan_mark_first_blobs(const pf_plan *plan, bool *marked);
/* The least device memory that a context of this plan needs at the usual shapes: the weights that its choices read,
   unless they stay in the mapped file, and the most bytes of activations and workspace alive at one step. */
uint64_t  pf_plan_device_bound_bytes(const pf_plan *plan, const pf_device *device);
/* Of an input or output: a sequence or an optional only where the tail takes or makes it. */
pf_value_kind pf_plan_io_kind(const pf_plan *plan, uint32_t io);
/* Weights and memory as planned, over weights and the least memory; 1 when there is nothing. */
double    pf_plan_memory_ratio(const pf_plan *plan);
/* Of the sections' digests, those of weights among them: of everything in the plan, and at no cost. */
void      pf_plan_table_digest(const pf_plan *plan, pf_digest *digest);
/* pf_plan_open over a whole file, which the plan owns then (on failure too). */
pf_status pf_plan_take(pf_plan_file *file, pf_plan **out, pf_err *err);
/* Are the plan's values, steps and tables what the invariants say?  Called by pf_plan_open. */
pf_status pf_plan_check_tables(const pf_plan *plan, pf_err *err);

#endif
