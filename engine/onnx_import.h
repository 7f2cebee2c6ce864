/* What importers of ONNX nodes see: one node with its inputs resolved, and calls that add IR nodes for it.
   Failure is sticky, as in pf_buf: after the first one every call does nothing and answers PF_NONE or a harmless
   default, and the driver asks for it once, so an importer reads as the formula it stands for. */
#ifndef PF_ENGINE_ONNX_IMPORT_H
#define PF_ENGINE_ONNX_IMPORT_H

#include "engine/onnx/onnx.pb-c.h"
#include "engine/onnx_tensor.h"
#include "engine/op.h"

struct pf_onnx_scope;

enum { PF_ONNX_ASKED_LIMIT = 64 };      /* attributes of a node that are told apart, a bit each */

typedef struct pf_onnx_node {
    struct pf_onnx_scope  *scope;       /* names visible here */
    pf_graph              *graph;       /* gets the IR nodes */
    const Onnx__NodeProto *proto;
    const char            *op_type;
    const char            *name;        /* for people; arena */
    int64_t                opset;       /* version of the node's domain */
    uint32_t               in_count;    /* trailing left-out inputs are not counted */
    const pf_value_id     *in;          /* PF_NONE: left out */
    uint32_t               out_count;
    pf_value_id           *out;         /* to be filled; PF_NONE is fine where the model names no output */
    uint64_t               asked_attrs; /* which of proto's first attributes the importer asked for */
    pf_status              status;      /* the first failure */
    pf_err                *err;
} pf_onnx_node;

typedef void pf_onnx_importer(pf_onnx_node *node);

/* Rows of onnx_ops.def. */
typedef struct pf_onnx_op {
    const char       *name;             /* "Relu"; other domains in front: "com.microsoft:FusedMatMul" */
    int64_t           first, last;      /* opsets */
    uint32_t          in_min, in_max;   /* inputs; 255: any number */
    uint32_t          out_max;
    pf_onnx_importer *import;
} pf_onnx_op;

const pf_onnx_op *pf_onnx_op_find(const char *domain, const char *op_type, int64_t opset);   /* NULL: there is none */
uint32_t          pf_onnx_op_count(void);
const pf_onnx_op *pf_onnx_op_at(uint32_t index);

/* Failing. */
void pf_onnx_fail(pf_onnx_node *node, pf_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Takes the status of a call that was given node->err. */
bool pf_onnx_ok(pf_onnx_node *node, pf_status status);

/* Attributes. An attribute of another kind than asked for is a failure. */
bool        pf_onnx_has_attr(pf_onnx_node *node, const char *name);
int64_t     pf_onnx_int(pf_onnx_node *node, const char *name, int64_t when_absent);
double      pf_onnx_float(pf_onnx_node *node, const char *name, double when_absent);
const char *pf_onnx_string(pf_onnx_node *node, const char *name, const char *when_absent);   /* graph's arena */
pf_ints     pf_onnx_ints(pf_onnx_node *node, const char *name);                              /* count 0 when absent */
pf_floats   pf_onnx_floats(pf_onnx_node *node, const char *name);
/* Position of the string in NULL-terminated names; an unknown one fails. */
int32_t     pf_onnx_choice(pf_onnx_node *node, const char *name, const char *when_absent, const char *const *names);
/* An element type by its ONNX number; an unknown one fails. */
pf_dtype    pf_onnx_dtype_attr(pf_onnx_node *node, const char *name, pf_dtype when_absent);
/* The attribute as stored; NULL when absent. Attributes of a function's caller are looked through. */
const Onnx__AttributeProto *pf_onnx_attr(pf_onnx_node *node, const char *name);
/* Strings of a STRINGS attribute, in the graph's arena. */
const char **pf_onnx_strings(pf_onnx_node *node, const char *name, uint32_t *count);

/* Inputs and values. */
pf_value_id     pf_onnx_in(const pf_onnx_node *node, uint32_t i);                    /* PF_NONE when left out */
pf_dtype        pf_onnx_dtype(const pf_onnx_node *node, pf_value_id value);
/* An empty one for PF_NONE; valid until the next emit. */
const pf_value *pf_onnx_value(const pf_onnx_node *node, pf_value_id value);
int32_t         pf_onnx_rank(pf_onnx_node *node, pf_value_id value);                 /* fails when unknown, then 0 */
pf_dim          pf_onnx_dim(pf_onnx_node *node, pf_value_id value, int32_t axis);    /* 0 after a failure */
/* axis in [0, rank), counted from the end when negative; fails when outside. */
int32_t         pf_onnx_axis(pf_onnx_node *node, int64_t axis, int32_t rank);

/* Adding nodes. The one-output forms answer the output. */
void        pf_onnx_emit(pf_onnx_node *node, pf_op_kind op, const void *attrs, uint32_t in_count, const pf_value_id *in,
                         uint32_t out_count, pf_value_id *out);
pf_value_id pf_onnx_emit0(pf_onnx_node *node, pf_op_kind op, const void *attrs);
pf_value_id pf_onnx_emit1(pf_onnx_node *node, pf_op_kind op, const void *attrs, pf_value_id a);
pf_value_id pf_onnx_emit2(pf_onnx_node *node, pf_op_kind op, const void *attrs, pf_value_id a, pf_value_id b);
pf_value_id pf_onnx_add_bias(pf_onnx_node *node, pf_value_id x, pf_value_id bias);    /* PF_NONE: x itself */
pf_value_id pf_onnx_emit3(pf_onnx_node *node, pf_op_kind op, const void *attrs, pf_value_id a, pf_value_id b,
                          pf_value_id c);
/* All inputs and outputs of the ONNX node as they stand. */
void        pf_onnx_emit_same(pf_onnx_node *node, pf_op_kind op, const void *attrs);
pf_value_id pf_onnx_scalar(pf_onnx_node *node, pf_dtype dtype, double value);                   /* rank 0 */
pf_value_id pf_onnx_i64s(pf_onnx_node *node, const int64_t *items, uint32_t count);             /* rank 1 */
pf_onnx_files *pf_onnx_files_of(const pf_onnx_node *node);     /* for tensors in attributes */
pf_value_id pf_onnx_add_data(pf_onnx_node *node, const pf_onnx_data *data);

/* Values known at build time: constants, shape arithmetic, and what follows from them (computed here by the
   references).  The tensor is borrowed until the graph is freed.  False when the network's inputs decide the value. */
bool pf_onnx_constant(pf_onnx_node *node, pf_value_id value, pf_tensor *out);
/* Integers of a constant of rank 0 or 1; fails when there are more than PF_ATTR_LIST. */
bool pf_onnx_constant_ints(pf_onnx_node *node, pf_value_id value, pf_ints *out);
/* A number as a dim: the few that would read as symbols (near INT64_MIN) become the least number. */
static inline pf_dim pf_onnx_number(int64_t number)
{
    return number < PF_DIM_SYMBOLIC_LIMIT ? PF_DIM_SYMBOLIC_LIMIT : number;
}

pf_dim_list pf_onnx_as_dims(pf_ints ints);
/* Numbers or expressions: what content or a constant says. */
bool pf_onnx_known_dims(pf_onnx_node *node, pf_value_id value, pf_dim_list *out);
/* The same, and where only data says: symbols that are known when the network runs (hold_sizes).  Fails when not even
   their count is known.  What uses them is run by the references. */
bool pf_onnx_late_dims(pf_onnx_node *node, pf_value_id value, pf_dim_list *out);
/* Sizes that dims have after scaling by a list of floats that the network computes as new size over old size; false
   when it is nothing of the kind. */
bool pf_onnx_scaled_dims(pf_onnx_node *node, pf_value_id scales, const pf_dim_list *dims, pf_dim_list *out);
/* A constant with one element; floats are truncated and saturate. */
bool pf_onnx_constant_int(pf_onnx_node *node, pf_value_id value, int64_t *out);
/* A constant with one element. */
bool pf_onnx_constant_number(pf_onnx_node *node, pf_value_id value, double *out);

/* Bodies of If, Loop and Scan: the graph attribute as a graph of its own. types[i] gives kind, dtype and shape of
   formal input i; what lies outside is captured. */
pf_graph *pf_onnx_body(pf_onnx_node *node, const char *attribute, const pf_value *types, uint32_t type_count);
/* Fluid dims hold a symbol that stands for the size of a loop's state while its body is imported.  The loop's inference
   makes symbols of its own, so no attribute may hold a fluid dim: emitting one fails, and importers compute such sizes
   when the network runs. */
pf_dim      pf_onnx_fluid_new(pf_onnx_node *node);
bool        pf_onnx_is_fluid(const pf_onnx_node *node, pf_dim dim);
/* x with these dims, of which one may be -1; fluid ones are taken from x. */
pf_value_id pf_onnx_reshape_to(pf_onnx_node *node, pf_value_id x, const pf_dim_list *shape);
/* Whether anything in the body may read its input number `input`. */
bool      pf_onnx_body_reads(pf_onnx_node *node, const char *attribute, uint32_t input);
void      pf_onnx_body_free(pf_onnx_node *node, pf_graph *body);       /* a body that no node holds; NULL is fine */
/* Imports the nodes of a graph attribute into the graph at hand: an If whose condition is known, a round of a loop. */
void      pf_onnx_inline_body(pf_onnx_node *node, const char *attribute, const pf_value_id *in, uint32_t in_count,
                              pf_value_id *out, uint32_t out_count);

/* The importers. */
#define PF_ONNX(name, first, last, in_min, in_max, out_max, import) void pf_onnx_##import(pf_onnx_node *node);
#include "engine/onnx_ops.def"
#undef PF_ONNX

#endif
