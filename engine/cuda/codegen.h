/* CUDA source for regions that move and compute elements: chains of pointwise ops with the transposes, slices,
   concatenations, reshapes and gathers between them become one kernel in which no intermediate touches memory.

   A value is evaluated at a point: one index per dim, each an affine form of the loop variables plus, where that does
   not suffice, a computed integer. Moves change the point and pass it on; pointwise ops evaluate their inputs at it. So
   a region is a loop over its output's elements with a recursive descent to the loads. Every evaluated thing is an
   array over the `vector` neighbouring elements that one thread computes; a load whose address advances by one with
   them is one wide access. */
#ifndef PF_ENGINE_CUDA_CODEGEN_H
#define PF_ENGINE_CUDA_CODEGEN_H

#include "base/buf.h"
#include "engine/problem.h"

enum { CG_VARS = 10, CG_IN_OUT_MAX = 64 };

/* How many units hold value >= 0. */
static inline int64_t cg_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }

/* constant + sum coef[v] * i<v> + o<opaque>[l]; the lane l counts on variable `lane_var` of the context.  step: 0, or
   the opaque part is the same for all lanes and a multiple of it.  falls: it may be below zero. */
typedef struct cg_index { int64_t constant, coef[CG_VARS], step; int32_t opaque; bool falls; } cg_index;

typedef struct cg_point {
    cg_index at[PF_MAX_RANK];
    int32_t  rank;
    int32_t  guard;             /* g<guard>[l] says whether lane l is inside; 0: always */
    bool     guard_uniform;     /* all lanes of a thread agree */
} cg_point;

typedef enum cg_type { CG_FLOAT, CG_INT, CG_BOOL } cg_type;

typedef struct cg_memo { pf_value_id value; cg_point point; int32_t id; } cg_memo;

typedef struct cg_context {
    const pf_problem *problem;
    pf_buf   *body;             /* statements of the kernel, appended */
    int       vector;
    int       lane_var;         /* the loop variable that lanes count on */
    int64_t   var_extent[CG_VARS];
    int       var_count;
    int32_t   next_id;
    cg_memo  *memo; uint32_t memo_count, memo_capacity;
    /* Tracing: loads emit nothing but say what they would read. Shows the strides of a value that moves alone lead
       to. */
    bool      tracing;
    uint32_t  traced_input;
    cg_index  traced_address;
    pf_err   *err;
} cg_context;

void    cg_context_init(cg_context *cg, const pf_problem *problem, pf_buf *body, int vector, pf_err *err);
void    cg_context_clear(cg_context *cg);
void    cg_forget(cg_context *cg);                      /* drops what was evaluated: a new scope begins */
/* Says that `value` at `point` is already in the array v<id>. */
bool    cg_bind(cg_context *cg, pf_value_id value, const cg_point *point, int32_t id);
/* Emits what computes `value` at `point` and gives the id of its array v<id>[vector]; -1 when it failed (cg->err). */
int32_t cg_eval(cg_context *cg, pf_value_id value, const cg_point *point);
cg_type cg_type_of(pf_dtype dtype);

/* Indices. */
cg_index cg_index_number(int64_t value);
cg_index cg_index_var(int var);
/* The coordinate that a loop variable stands for: 0 when there is only one, so that equal points have equal forms
   whatever broadcasts. */
cg_index cg_index_of(const cg_context *cg, int var);
cg_index cg_index_scale(cg_index index, int64_t factor);                        /* of one without opaque part */
cg_index cg_index_add(cg_context *cg, cg_index a, cg_index b);          /* may emit code to join two opaque parts */
cg_index cg_index_mul(cg_context *cg, cg_index index, int64_t factor);
/* floor(index / divisor) and index mod divisor for index >= 0; affine when the form shows it, else computed. */
void     cg_index_split(cg_context *cg, cg_index index, int64_t divisor, cg_index *quotient, cg_index *remainder);
/* Do all lanes of a thread have the same? */
bool     cg_index_is_uniform(const cg_context *cg, const cg_index *index);
/* lane: "l" or "0" */
void     cg_index_print(const cg_context *cg, const cg_index *index, const char *lane, pf_buf *out);

/* Loops over the memory of a value: variables in memory order, and the point of one element as a form of them. Blocked
   layouts get a variable for the block and a guard for its padding. Fills cg->var_*, lane_var. */
void    cg_loop_over(cg_context *cg, pf_layout layout, const pf_value *value, cg_point *point);
/* Is it an image whose channels lie side by side, perhaps in a wider one where every pixel begins at 16 bytes? */
bool     cg_is_channels_last(pf_layout layout, pf_dtype dtype);
/* Elements from the first to the last of the problem's largest input or output, those of the wider values in which they
   lie among them. */
int64_t  cg_most_places(const pf_problem *p);
/* Element offset of a point in a value's memory. */
cg_index cg_address(cg_context *cg, pf_layout layout, const pf_value *value, const cg_point *point);
/* Loads graph input `input`, which is `value`, at a point: the id of a fresh array; reads nothing where the guard is
   false. */
int32_t cg_load(cg_context *cg, uint32_t input, const pf_value *value, const cg_point *point);
/* True when `vector` lanes from an address are neighbours and aligned. */
bool    cg_contiguous(const cg_context *cg, const cg_index *address);
void    cg_store(cg_context *cg, uint32_t output, int32_t id, const cg_index *address);
/* As it is stored, to to.result<output>. */
void    cg_return(cg_context *cg, uint32_t output, int32_t id);
/* The point with a further condition low <= index < high. */
cg_point cg_guarded(cg_context *cg, const cg_point *point, const cg_index *index, int64_t low, int64_t high);
/* Opens a loop over `count` values of a variable of its own, behind which what was evaluated inside is forgotten; false
   when there are too many variables. */
typedef struct cg_inner_loop { int var; uint32_t known; } cg_inner_loop;
bool cg_open_loop(cg_context *cg, int64_t count, cg_inner_loop *loop);
void cg_close_loop(cg_context *cg, const cg_inner_loop *loop);
/* resize: weighted sums of the input at the positions that a table per axis names. */
int32_t     cg_eval_resize(cg_context *cg, const pf_node *node, const cg_point *point);
const char *cg_resize_declines(const pf_graph *graph, const pf_node *node);
/* pad of a mode other than constant. */
int32_t     cg_eval_repeating_pad(cg_context *cg, const pf_node *node, const cg_point *point);
/* scatter_elements and scatter_nd. */
int32_t     cg_eval_scatter(cg_context *cg, const pf_node *node, const cg_point *point);
const char *cg_scatter_combination(int32_t reduction);  /* of what is there, a, with what comes, b */
const char *cg_scatter_declines(const pf_graph *graph, const pf_node *node);
/* Pools that have no kernel of their own: over volumes, with places, of norms.  slot: the output that is wanted. */
int32_t     cg_eval_pool(cg_context *cg, const pf_node *node, uint32_t slot, const cg_point *point);
const char *cg_pool_declines(const pf_graph *graph, const pf_node *node);
bool        cg_pool_wants_places(const pf_graph *graph, const pf_node *node);   /* is its second output read? */
/* grid_sample: weighted sums of pixels that are computed. */
int32_t     cg_eval_grid_sample(cg_context *cg, const pf_node *node, const cg_point *point);
const char *cg_grid_sample_declines(const pf_graph *graph, const pf_node *node);
extern const char cg_grid_sample_functions[];           /* for a kernel that has one */
/* reverse_sequence and tensor_scatter: indices that follow from a number for each entry of the batch. */
int32_t     cg_eval_reverse_sequence(cg_context *cg, const pf_node *node, const cg_point *point);
int32_t     cg_eval_tensor_scatter(cg_context *cg, const pf_node *node, const cg_point *point);
/* Why the node cannot be evaluated by cg_eval, or NULL. */
const char *cg_node_declines(const pf_graph *graph, const pf_node *node);
/* Live nodes: the only one, NULL when there are others; is there one of that op? */
const pf_node *cg_only_node(const pf_graph *graph);
bool           cg_has_node(const pf_graph *graph, pf_op_kind op);
/* The one node that is_anchor; otherwise why not: none (what to say when there is none), two (when there are more), or
   what is beside it and cannot be evaluated. */
const char *cg_find_anchor(const pf_graph *graph, bool (*is_anchor)(const pf_node *node), const char *none,
                           const char *two, const pf_node **anchor);
/* Why what depends on the anchor is not computed element by element at the anchor's own points, or NULL: moves behind
   it, or broadcasts of it. */
const char *cg_behind_declines(const pf_graph *graph, const pf_node *anchor);
/* "#define START ..": the wait for the kernel before, for kernels whose text does not come from here. */
void    cg_print_start(const pf_problem *p, pf_buf *out);
/* Conversion functions and types that every kernel starts with. */
extern const char cg_prelude[];
const char *cg_storage_type(pf_dtype dtype);            /* "f16"; NULL: no such type here */
/* The function of the prelude that makes a float of what is stored, or the reverse; "" where there is none. */
const char *cg_load_function(pf_dtype dtype);
const char *cg_store_function(pf_dtype dtype);

#endif
