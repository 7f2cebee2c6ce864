/* The names that a node of an ONNX graph sees, and the walk over the nodes. Internal to the importer. */
#ifndef PF_ENGINE_ONNX_SCOPE_H
#define PF_ENGINE_ONNX_SCOPE_H

#include "base/map.h"
#include "engine/onnx.h"
#include "engine/onnx_import.h"

enum {
    PF_ONNX_CALL_DEPTH = 64,                /* functions and bodies inside each other */
    PF_ONNX_NODE_LIMIT = 1024 * 1024,       /* nodes after inlining: functions that call functions grow exponentially */
};

/* Of rounds of loops. */
typedef struct pf_onnx_written { uint64_t nodes, bytes; } pf_onnx_written;

/* One import. */
typedef struct pf_onnx_state {
    const Onnx__ModelProto *model;
    const pf_onnx_options  *options;        /* never NULL */
    pf_onnx_files          *files;
    pf_map                 *functions;      /* "domain:name:overload" -> index in model->functions */
    pf_map                 *known;          /* what pf_onnx_constant found out: see onnx_known.c */
    pf_tensor              *tensors;        /* of known; data in the arena of the outermost graph */
    uint32_t                tensor_count, tensor_capacity;
    pf_arena               *arena;          /* of the outermost graph: lives as long as any body */
    uint32_t                depth, node_count;
    bool                    failed_named;   /* the message of the failure names its node */
    uint32_t                generation;     /* raised when a body is thrown away */
    pf_map                 *greatest;       /* of symbols of inputs: the greatest and least size that the nodes allow */
    pf_map                 *least;
    /* The same as known when the nodes were begun, for the first symbol_count symbols. */
    int64_t                 low[PF_MAX_SYMBOLS], high[PF_MAX_SYMBOLS];
    uint32_t                symbol_count;
    uint32_t                fluid[PF_MAX_SYMBOLS];  /* indices of symbols: see pf_onnx_fluid_new */
    uint32_t                fluid_count;
    pf_onnx_written         written;        /* for rounds of loops that are written out: see onnx_rounds.c */
    uint64_t                nodes_tried;    /* the same, of loops that were left as they are, too */
    uint32_t                rounds_depth;   /* loops inside each other that are being written out */
    bool                    rounds_refused; /* one in them is too long, so they are left as they are as well */
    Onnx__OperatorSetIdProto  first_opset;  /* what a model that imports none means */
    Onnx__OperatorSetIdProto *default_opsets[1];
} pf_onnx_state;

typedef struct pf_onnx_scope {
    pf_onnx_state                   *state;
    struct pf_onnx_scope            *outer;         /* its names are seen too: NULL for the model and for functions */
    pf_graph                        *graph;
    const Onnx__GraphProto          *proto;         /* NULL for functions */
    pf_map                          *values;        /* name -> value id; PF_NONE: an argument that was left out */
    pf_map                          *initializers;  /* name -> index: dense ones first, then sparse ones */
    Onnx__OperatorSetIdProto *const *opsets;
    size_t                           opset_count;
    const Onnx__FunctionProto       *function;      /* whose body (or a graph in it) this is, or NULL */
    const Onnx__NodeProto           *call;          /* the node that calls it: its attributes are the arguments */
    struct pf_onnx_scope            *caller;
    const char                      *prefix;        /* in front of node names: "call/" */
} pf_onnx_scope;

/* proto may be NULL (functions). The scope's opsets, function and call are the outer scope's when there is one. */
pf_status pf_onnx_scope_init(pf_onnx_scope *scope, pf_onnx_state *state, pf_onnx_scope *outer, pf_graph *graph,
                             const Onnx__GraphProto *proto, pf_err *err);
void      pf_onnx_scope_clear(pf_onnx_scope *scope);
/* INVALID when the name has a value already. */
pf_status pf_onnx_scope_set(pf_onnx_scope *scope, const char *name, pf_value_id value, pf_err *err);
/* Looks here, among the initializers (which become constants when first used), then outside (and captures).
   Errors   INVALID: nothing has that name; NOT_FOUND: the weights file of an initializer is missing. */
pf_status pf_onnx_scope_find(pf_onnx_scope *scope, const char *name, pf_value_id *out, pf_err *err);
/* The version of a domain that nodes here mean; 0 when it is not imported. */
int64_t   pf_onnx_scope_opset(const pf_onnx_scope *scope, const char *domain);
bool      pf_onnx_domain_is_default(const char *domain);   /* NULL, "" or "ai.onnx" */

/* Imports nodes in an order in which producers come first. Errors: INVALID with a cycle named. */
pf_status pf_onnx_scope_nodes(pf_onnx_scope *scope, Onnx__NodeProto *const *nodes, size_t count, pf_err *err);
/* Order of nodes: out has count entries. */
pf_status pf_onnx_order(Onnx__NodeProto *const *nodes, size_t count, uint32_t *out, pf_err *err);

/* Functions. */
const Onnx__FunctionProto *pf_onnx_function_find(const pf_onnx_state *state, const Onnx__NodeProto *node);
pf_status                  pf_onnx_functions_index(pf_onnx_state *state, pf_err *err);
void                       pf_onnx_function_call(pf_onnx_node *node, const Onnx__FunctionProto *function);

/* One sentence with every operator that no row knows, or OK. */
pf_status pf_onnx_check_supported(const pf_onnx_state *state, Onnx__OperatorSetIdProto *const *opsets,
                                  size_t opset_count, pf_err *err);

/* Types. Unknown dims become symbols named after hint. */
typedef struct pf_onnx_type {
    pf_value_kind kind;
    pf_dtype      dtype;
    pf_shape      shape;        /* rank -1: the type does not say */
} pf_onnx_type;
pf_status pf_onnx_type_read(pf_onnx_state *state, pf_dims *dims, const Onnx__TypeProto *type, const char *hint,
                            pf_onnx_type *out, pf_err *err);

#endif
