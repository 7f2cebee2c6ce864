/* The network as a graph of ops over values: SSA, index-based, everything in one arena.
   Invariants (pf_graph_verify checks them):
   1. every value has one producer: a graph input, a constant, or one output slot of one live node;
   2. live nodes are acyclic; `order` lists them so that producers come first;
   3. each node's op, input and output counts, dtypes and attributes satisfy its op's table row;
   4. what infer says of each output's dtype and shape equals what the value holds;
   5. every use is known: pf_graph_use_count(g, v) counts the input slots of live nodes and graph outputs that name v.
   6. a node whose attributes hold graphs has, behind its own inputs, the values these graphs capture.
   Captures: a body never names a value of an outer graph.  pf_graph_capture gives it an input of its own for that value
   (constants are simply copied), and the node that holds the body takes the captured values as its last inputs: first
   all captures of its first graph attribute in field order, then those of the second, and so on.  So an outer value's
   uses are all in the use lists, and a body is run with its formal inputs followed by its captures.
   Sizes that data decides: an op whose output has a size that only its data says (non_zero) makes a fresh symbol for
   it.  Where such a symbol stands in another node's attributes that node waits for the op, in pf_graph_order too, and
   the op is not dead.
   Thread   one at a time. */
#ifndef PF_ENGINE_GRAPH_H
#define PF_ENGINE_GRAPH_H

#include "base/arena.h"
#include "base/hash.h"
#include "engine/attr.h"
#include "engine/constant.h"
#include "engine/dim.h"
#include "engine/dtype.h"

typedef uint32_t pf_value_id;
typedef uint32_t pf_node_id;
#define PF_NONE UINT32_MAX

typedef uint16_t pf_op_kind;        /* PF_OP_CONV ...: engine/op.h */

typedef enum pf_value_kind { PF_VALUE_TENSOR, PF_VALUE_SEQUENCE, PF_VALUE_OPTIONAL } pf_value_kind;

typedef struct pf_value {
    const char   *name;             /* as in the model, for people; may be "" */
    pf_value_kind kind;             /* sequences and optionals live on the host and hold tensors of dtype and shape */
    pf_dtype      dtype;
    pf_shape      shape;
    pf_node_id    producer;         /* PF_NONE: an input or a constant */
    uint32_t      slot;             /* output slot of producer */
    bool          is_input;
    bool          is_constant;
    pf_constant   constant;         /* when is_constant: known at build time */
    /* Elements of a small integer tensor, known as numbers or dims: shape arithmetic. NULL when unknown; else one per
       element (rank 0 or 1). */
    const pf_dim *content;
    uint32_t      content_count;
} pf_value;

typedef struct pf_node {
    pf_op_kind   op;
    bool         live;
    const char  *name;              /* where it came from: ONNX node names, joined by '+' when fused; for people */
    uint32_t     in_count, out_count;
    pf_value_id *in;                /* PF_NONE: an optional input left out */
    pf_value_id *out;
    void        *attrs;             /* the op's attribute struct, never NULL when the op has one */
    uint32_t     refuses;           /* PF_NUMERICS_* that it may not take though the build allows them */
} pf_node;

typedef struct pf_use { pf_node_id node; uint32_t slot; } pf_use;   /* node PF_NONE: graph output `slot` */

typedef struct pf_graph pf_graph;

struct pf_graph {                   /* open: read freely, change only through the functions below */
    pf_arena   *arena;              /* owned */
    pf_dims    *dims;               /* owned unless the graph is a subgraph: then the outer graph's */
    pf_graph   *outer;              /* NULL, or the graph whose node holds this one as an attribute */
    const char *name;
    pf_value   *values; uint32_t value_count;
    pf_node    *nodes;  uint32_t node_count;         /* dead ones included */
    pf_value_id *inputs;  uint32_t input_count;      /* constants are not inputs */
    pf_value_id *outputs; uint32_t output_count;
    const char **output_names;                       /* one per output: the model's name for it, or "" */
    pf_value_id *captured; uint32_t capture_count;   /* the last capture_count inputs: which value of `outer` each one
                                                        stood for when it was made.  Append these to the inputs of the
                                                        node that will hold the graph; from then on that node's inputs
                                                        say what is captured. */
    struct pf_graph_private *private_;
};

/* NULL when out of memory.  With outer: a body, which is freed with outer, or before it by pf_graph_free. */
pf_graph *pf_graph_new(const char *name, pf_graph *outer);
void      pf_graph_free(pf_graph *graph);
/* Constants are shared by pointer: from must outlive it. */
pf_graph *pf_graph_copy(const pf_graph *graph, pf_err *err);
/* Constants that lie in mapped files are not kept in memory; they are read again when they are touched.   Thread
   any. */
void         pf_graph_forget_constants(const pf_graph *graph);
/* Runs release(resource) when the graph is freed: mapped files of constants. */
pf_status pf_graph_keep(pf_graph *graph, void *resource, void (*release)(void *resource), pf_err *err);

/* Adds an input behind the others (before any captures). */
pf_status pf_graph_add_input(pf_graph *graph, const char *name, pf_dtype dtype, const pf_shape *shape, pf_value_id *out,
                             pf_err *err);
/* data is borrowed for the graph's life (copy it into graph->arena first when it is not); shape must be static. */
pf_status pf_graph_add_constant(pf_graph *graph, const char *name, pf_dtype dtype, const pf_shape *shape,
                                const void *data, size_t bytes, pf_value_id *out, pf_err *err);
/* The input is a constant from now on, and no input any more.  Infer again afterwards. */
pf_status pf_graph_freeze_input(pf_graph *graph, pf_value_id input, const void *data, size_t bytes, pf_err *err);
/* One that is made when it is read, or at once when it has less than PF_LATE_LEAST_BYTES.  late: in graph->arena, with
   its head filled in; what it is made of must outlive the graph, or be its own. */
pf_status pf_graph_add_late(pf_graph *graph, const char *name, const pf_shape *shape, pf_late *late, pf_value_id *out,
                            pf_err *err);
/* The constant of another graph, which shares its bytes: that graph must outlive this one. */
pf_status pf_graph_add_shared(pf_graph *graph, const pf_value *constant, pf_value_id *out, pf_err *err);
/* A rank-0 constant of that dtype: for rules. */
pf_status pf_graph_add_scalar(pf_graph *graph, pf_dtype dtype, double value, pf_value_id *out, pf_err *err);
/* Adds a node, makes its outputs and infers them.  attrs is copied (NULL: all zero).  Optional inputs may be PF_NONE.
   Errors   INVALID: the op refuses these inputs (message names op and node); UNSUPPORTED: legal but not known here. */
pf_status pf_graph_add_node(pf_graph *graph, pf_op_kind op, const char *name, const pf_value_id *in, uint32_t in_count,
                            const void *attrs, uint32_t out_count, pf_value_id *out, pf_err *err);
pf_status pf_graph_add_output(pf_graph *graph, pf_value_id value, const char *name, pf_err *err);

/* The value of graph that stands for outer_value of graph->outer: the same one each time.  A constant is copied (its
   bytes shared); anything else becomes an input at the end of the list.  So formal inputs must be added before the
   first capture. */
pf_status pf_graph_capture(pf_graph *graph, pf_value_id outer_value, pf_value_id *out, pf_err *err);

uint32_t  pf_graph_use_count(const pf_graph *graph, pf_value_id value);
pf_use    pf_graph_use(const pf_graph *graph, pf_value_id value, uint32_t i);
bool      pf_graph_is_output(const pf_graph *graph, pf_value_id value);
/* Every use of `from` becomes a use of `to` (graph outputs too, which keep their names). */
pf_status pf_graph_replace(pf_graph *graph, pf_value_id from, pf_value_id to, pf_err *err);
pf_status pf_graph_set_input(pf_graph *graph, pf_node_id node, uint32_t slot, pf_value_id value, pf_err *err);
/* Graph output `slot` becomes another value and keeps its name. */
pf_status pf_graph_set_output(pf_graph *graph, uint32_t slot, pf_value_id value, pf_err *err);
/* Nothing happens when an output or a size of it is used. */
void      pf_graph_remove_node(pf_graph *graph, pf_node_id node);
uint32_t  pf_graph_remove_dead(pf_graph *graph);                     /* nodes removed */
/* Node ids, producers first, ties by id: deterministic. *order is from pf_alloc, owned by the caller. INVALID on a
   cycle, naming a node in it. */
pf_status pf_graph_order(const pf_graph *graph, pf_node_id **order, uint32_t *count, pf_err *err);
/* A size that data decides has become known, for instance because the op that finds it out was folded: value takes the
   symbol's place in all attributes and shapes, also of the graphs around this one and of bodies.  Infer again
   afterwards. */
pf_status pf_graph_substitute(pf_graph *graph, uint32_t symbol, pf_dim value, pf_err *err);
/* The symbols that inference of the node made, as indices; *count of them. */
const uint32_t *pf_graph_sizes_of(const pf_graph *graph, pf_node_id node, uint32_t *count);
/* Infers every value again from the inputs (after input shapes were changed). */
pf_status pf_graph_infer(pf_graph *graph, pf_err *err);
pf_status pf_graph_set_input_shape(pf_graph *graph, pf_value_id input, const pf_shape *shape, pf_err *err);
/* For infer of ops with bodies: gives body's inputs [first, first + count) the kind, dtype, shape and content of values
   of graph. Then call pf_graph_infer(body). */
pf_status pf_graph_set_body_inputs(pf_graph *body, uint32_t first, const pf_graph *graph, const pf_value_id *values,
                                   uint32_t count, pf_err *err);
pf_status pf_graph_verify(const pf_graph *graph, pf_err *err);

static inline pf_value *pf_graph_value(const pf_graph *graph, pf_value_id id) { return &graph->values[id]; }
static inline pf_node  *pf_graph_node(const pf_graph *graph, pf_node_id id) { return &graph->nodes[id]; }
/* Of a value whose dims are all numbers. */
static inline int64_t pf_value_elems(const pf_value *value)
{
    int64_t elems = 1;

    for (int32_t i = 0; i < value->shape.rank; i++)
        elems *= value->shape.dim[i];
    return elems;
}

/* The node that computes it; NULL: an input or a constant. */
static inline const pf_node *pf_graph_maker(const pf_graph *graph, pf_value_id value)
{
    return graph->values[value].producer == PF_NONE ? NULL : &graph->nodes[graph->values[value].producer];
}

/* Text form, one node a line, and its parser: dumps, golden files, rule tests, problems.
     graph "name"
     %x = input f32 [batch,3,224,224]
     %w = constant f32 [64,3,7,7] sha256:ab12..          (small ones in clear: f32 [2] {0.5,1})
     %3 = conv(%x, %w, _) strides=[2,2] pads=[3,3,3,3] "node name"
     %4:2 = split(%3) axis=1                              (two outputs: %4 and %5)
     %6 = non_zero(%3) finds=[n]                          (its inference makes the symbol n, which attributes behind it
                                                          may use)
     output %3 "logits"
     %5 = input sequence(f32) [?]   %6 = capture i64 []    (kinds; captured inputs of a body)
     %7 = if(%c, %6) then={ graph "t" ... } else={ ... }
   with_names false leaves out names, so that equal computations have equal text. */
pf_status pf_graph_print(const pf_graph *graph, bool with_names, pf_buf *out, pf_err *err);
/* Large constants come back as inputs unless given in clear. */
pf_status pf_graph_parse(const char *text, pf_graph **out, pf_err *err);
/* The same with the bytes of large constants, found by what the text says of them; they are borrowed for the graph's
   life. find answers NULL when there are none of that digest and size, and the text is refused. */
typedef struct pf_constant_source {
    const void *(*find)(void *user, const pf_digest *digest, size_t bytes);
    void        *user;
} pf_constant_source;
pf_status pf_graph_parse_with(const char *text, const pf_constant_source *constants, pf_graph **out, pf_err *err);

#endif
