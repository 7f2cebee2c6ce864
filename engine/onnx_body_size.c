#include "engine/onnx_body_size.h"

typedef struct measure {
    const pf_onnx_state *state;
    pf_onnx_written      size;
    size_t               nodes_most;
    uint32_t             depth;
} measure;

static void add_graph(measure *m, const Onnx__GraphProto *graph);

static void add_bytes(measure *m, uint64_t bytes)
{
    if (__builtin_add_overflow(m->size.bytes, bytes, &m->size.bytes))
        m->size.bytes = UINT64_MAX;
}

/* What is no tensor is refused when it is read. */
static void add_dense(measure *m, const int64_t *dims, size_t rank, int32_t type)
{
    pf_dtype dtype = pf_dtype_from_onnx(type);
    uint64_t bytes = dtype == PF_DTYPE_NONE ? 0 : pf_dtype_bits(dtype) / 8 + 1;

    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(bytes, (uint64_t)dims[i], &bytes))
            bytes = UINT64_MAX;
    add_bytes(m, bytes);
}

static void add_tensor(measure *m, const Onnx__TensorProto *t)
{
    if (t)
        add_dense(m, t->dims, t->n_dims, t->data_type);
}

static void add_sparse(measure *m, const Onnx__SparseTensorProto *t)
{
    if (t && t->values)
        add_dense(m, t->dims, t->n_dims, t->values->data_type);
}

static void add_attribute(measure *m, const Onnx__AttributeProto *a)
{
    add_tensor(m, a->t);
    add_sparse(m, a->sparse_tensor);
    add_bytes(m, a->n_floats * sizeof(float) + a->n_ints * sizeof(int64_t));
    if (a->g)
        add_graph(m, a->g);
    for (size_t i = 0; i < a->n_graphs; i++)
        add_graph(m, a->graphs[i]);
}

static void add_nodes(measure *m, Onnx__NodeProto *const *nodes, size_t count)
{
    if (m->depth == PF_ONNX_CALL_DEPTH)
        return;         /* the import says so */
    m->depth++;
    for (size_t i = 0; i < count && m->size.nodes <= m->nodes_most; i++) {
        const Onnx__FunctionProto *function = pf_onnx_function_find(m->state, nodes[i]);

        m->size.nodes++;
        for (size_t k = 0; k < nodes[i]->n_attribute; k++)
            add_attribute(m, nodes[i]->attribute[k]);
        if (function)
            add_nodes(m, function->node, function->n_node);
    }
    m->depth--;
}

static void add_graph(measure *m, const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        add_tensor(m, graph->initializer[i]);
    for (size_t i = 0; i < graph->n_sparse_initializer; i++)
        add_sparse(m, graph->sparse_initializer[i]);
    add_nodes(m, graph->node, graph->n_node);
}

pf_onnx_written pf_onnx_body_size(const pf_onnx_state *state, const Onnx__GraphProto *body, size_t nodes_most)
{
    measure m = { .state = state, .nodes_most = nodes_most };

    add_graph(&m, body);
    return m.size;
}
