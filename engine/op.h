/* Ops: what a node computes.  One row in ops.def and one file in engine/ops/ each; the pointwise ones, which are a
   formula and nothing else, are one row each in pointwise.def. */
#ifndef PF_ENGINE_OP_H
#define PF_ENGINE_OP_H

#include "engine/graph.h"
#include "engine/tensor.h"

enum {
    PF_OP_NONE,
#define PF_OP(NAME, name) PF_OP_##NAME,
#include "engine/ops.def"
#undef PF_OP
#define PF_POINTWISE(NAME, ...) PF_OP_##NAME,
#include "engine/pointwise.def"
#undef PF_POINTWISE
    PF_OP_COUNT
};

/* How regions may be formed round an op. */
typedef enum pf_op_class {
    PF_CLASS_ANCHOR,  /* conv, matmul, attention, pool, norm, softmax, reduce ...: one per region, takes an epilogue */
    PF_CLASS_POINTWISE,     /* out[i] depends on in[i] with broadcasting: joins any region */
    PF_CLASS_VIEW,          /* same bytes, other shape: reshape, squeeze; no work when layouts allow */
    PF_CLASS_MOVE,          /* elements moved: transpose, concat, slice, pad, gather, resize by copies */
    PF_CLASS_HOST,          /* runs on the host: control flow, sequences, optionals, strings, data-dependent shapes */
} pf_op_class;

enum {                      /* pf_op_def.flags */
    PF_OPF_COMMUTATIVE = 1, /* inputs 0 and 1 may be swapped */
    PF_OPF_RANDOM      = 2, /* never folded or merged */
    PF_OPF_FP32_MATH   = 4, /* pointwise, and kept in FP32 when a build lowers precision */
    PF_OPF_RECURRENT   = 8, /* inputs 1 and 2 are weights, of each step's input and of what the step before it gave */
};

/* What infer may read and must fill. */
typedef struct pf_infer {
    pf_graph       *graph;          /* for dims and arena; values of in[] may be read through it */
    const pf_node  *node;           /* op, in, attrs; outputs exist but are not filled yet */
    pf_value       *out;            /* out_count values to fill: kind (preset TENSOR), dtype, shape, content */
} pf_infer;

struct pf_reference_call;

typedef struct pf_op_def {
    const char          *name;      /* in texts; never renamed, never reused */
    pf_op_class          klass;     /* of most nodes of the op: see pf_op_class_of */
    bool               (*only_moves)(const void *attrs);    /* (optional) with these attributes its class is MOVE */
    uint8_t              in_min, in_max, out_min, out_max;   /* in_max 255: any number */
    uint32_t             flags;
    size_t               attr_bytes;
    const pf_attr_field *attr_fields;
    /* Fills out[] from inputs and attributes, and refuses illegal ones. INVALID with a sentence without the node's name
       (the caller adds it). */
    pf_status (*infer)(pf_infer *infer, pf_err *err);
    /* The oracle: dense row-major tensors on the host, plain C, double where it matters. */
    pf_status (*reference)(struct pf_reference_call *call, pf_err *err);
} pf_op_def;

#define PF_OP(NAME, name) extern const pf_op_def pf_op_##name;
#include "engine/ops.def"
#undef PF_OP
#define PF_POINTWISE(NAME, name, ...) extern const pf_op_def pf_op_##name;
#include "engine/pointwise.def"
#undef PF_POINTWISE

#define PF_UNBOUND INT64_MIN        /* a symbol without a value, in arrays of bindings */

typedef struct pf_reference_call {
    const pf_op_def *def;
    const void      *attrs;         /* dims in attributes are numbers here */
    const pf_tensor *in;  uint32_t in_count;    /* data NULL: an optional input left out */
    pf_tensor       *out; uint32_t out_count;   /* allocated to the inferred shape; when that holds unknowns, data is
                                                   NULL and the op sets dims and calls pf_tensor_alloc */
    const int64_t   *bindings;      /* values of the graph's symbols, PF_UNBOUND where unknown: for pf_interpret_body */
} pf_reference_call;

const pf_op_def *pf_op_def_of(pf_op_kind op);               /* never NULL for a valid kind */
pf_op_kind       pf_op_from_name(const char *name);         /* PF_OP_NONE when unknown */
pf_op_class      pf_op_class_of(const pf_node *node);
bool             pf_op_is_pointwise(pf_op_kind op);
bool             pf_op_has_body(const pf_op_def *def);      /* a graph among its attributes */

/* Attribute structs by their field tables. */
/* " strides=[2,2] mode=max"; nothing for defaults */
void      pf_attrs_print(const pf_dims *dims, const pf_op_def *def, const void *attrs, pf_buf *out);
pf_status pf_attrs_parse(pf_graph *graph, const pf_op_def *def, const char **text, void *attrs, pf_err *err);
bool      pf_attrs_equal(const pf_op_def *def, const void *a, const void *b);
pf_status pf_attrs_copy(pf_graph *to, const pf_graph *from, const pf_op_def *def, const void *attrs, void *out,
                        pf_err *err);

/* Runs a graph on the host by the references: constant folding, `planfarm run --reference`, the oracle of every tactic.
   inputs in graph input order, dense row-major, concrete dims; outputs are filled (pf_tensor_clear each).
   watch, when not NULL, sees every value as it is computed: dumps of layers.  It may change the
   elements of a tensor that is owned; others are the caller's inputs.
   Errors   CANCELLED between two nodes (engine/go_on.h); those of the references. */
typedef void pf_interpret_watch(void *user, pf_value_id value, pf_tensor *tensor);
pf_status pf_interpret(const pf_graph *graph, const pf_tensor *inputs, pf_tensor *outputs, pf_interpret_watch *watch,
                       void *user, pf_err *err);
/* The same for a body, from its op's reference: symbols bound outside keep their values.  It is not stopped, since a
   tactic that is being timed may be what runs it. */
pf_status pf_interpret_body(const pf_graph *body, const pf_tensor *inputs, pf_tensor *outputs, const int64_t *bindings,
                            pf_err *err);
/* One node of a graph whose inputs are all given.  bindings: NULL when no symbol is known. */
pf_status pf_interpret_node(const pf_graph *graph, pf_node_id node, const pf_tensor *inputs, pf_tensor *outputs,
                            const int64_t *bindings, pf_err *err);

#endif
