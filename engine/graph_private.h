/* What pf_graph keeps beside its open fields; shared by graph*.c and attr.c alone. */
#ifndef PF_ENGINE_GRAPH_PRIVATE_H
#define PF_ENGINE_GRAPH_PRIVATE_H

#include "engine/op.h"

typedef struct graph_uses { pf_use *at; uint32_t count, capacity; } graph_uses;
typedef struct graph_kept { void *resource; void (*release)(void *resource); } graph_kept;
typedef struct graph_capture { pf_value_id outer, inner; } graph_capture;

struct pf_graph_private {
    bool           owns_dims;
    graph_uses    *uses;            /* one per value, in the order in which uses were made */
    pf_dims_scope *scopes;          /* one per node: the symbols that its inference made */
    pf_dims_scope  expected;  /* while the graph is parsed: the symbols that the next node's inference is to make */
    graph_kept    *kept;            uint32_t kept_count, kept_capacity;
    const pf_constant_source *constants;    /* while the graph is parsed; NULL: none */
    graph_capture *captures;        uint32_t capture_count, capture_capacity;   /* constants too */
    uint32_t value_capacity, uses_capacity, node_capacity, scope_capacity, input_capacity, output_capacity,
             name_capacity, captured_capacity;
};

/* Use lists. */
pf_status graph_use_add(pf_graph *graph, pf_value_id value, pf_use use, pf_err *err);

/* Makes room for count more values / one more node. */
pf_status graph_reserve_values(pf_graph *graph, uint32_t count, pf_err *err);
pf_status graph_reserve_node(pf_graph *graph, pf_err *err);
/* A copy of name ("" for NULL) in the arena; NULL when out of memory. */
const char *graph_copy_name(pf_graph *graph, const char *name);

/* A dependency that no input shows: `user` has in its attributes a size that `maker` finds out when it runs. */
typedef struct graph_size_edge { pf_node_id maker, user; } graph_size_edge;
/* All of them. *edges is from pf_alloc, NULL when there are none. */
pf_status graph_size_edges(const pf_graph *graph, graph_size_edge **edges, uint32_t *count, pf_err *err);
/* Whether another live node's attributes need a size that this node finds out. */
bool      graph_makes_needed_size(const pf_graph *graph, pf_node_id node);

/* Runs the op's infer in the node's scope of fresh symbols. out: zeroed values, one per output. */
pf_status graph_infer_node(pf_graph *graph, pf_node_id node, pf_value *out, pf_err *err);
/* A copy of attributes for a node of graph: strings go to its arena, bodies stay the same objects. */
pf_status graph_take_attrs(pf_graph *graph, const pf_op_def *def, const void *attrs, void *out, pf_err *err);
/* The graphs that a node's attributes hold, in field order. *count of them; NULL pointers among them for fields not
   set. */
enum { GRAPH_BODY_LIMIT = 4 };
uint32_t  graph_bodies(const pf_op_def *def, const void *attrs, pf_graph *bodies[GRAPH_BODY_LIMIT]);

/* A copy of graph that becomes a body of outer (NULL: stands alone, with dims of its own that have the same
   handles). */
pf_status graph_copy_into(const pf_graph *graph, pf_graph *outer, pf_graph **out, pf_err *err);

/* A captured input that stands for no outer value yet: a body read from text, where the node that holds it says
   which. */
pf_status graph_add_captured(pf_graph *graph, pf_dtype dtype, const pf_shape *shape, pf_value_id *out, pf_err *err);

/* Text. indent: spaces in front of each line. */
pf_status graph_print_body(const pf_graph *graph, bool with_names, int indent, pf_buf *out, pf_err *err);
/* Reads "graph ..." up to the closing brace or the end of the text, and moves *text there. */
pf_status graph_parse_body(pf_graph *outer, const char **text, pf_graph **out, pf_err *err);
pf_status graph_print_attrs(const pf_dims *dims, const pf_op_def *def, const void *attrs, bool with_names, int indent,
                            pf_buf *out, pf_err *err);

#endif
