#include "engine/onnx_walk.h"

#include <stddef.h>

/* Recursion is as deep as the file's nesting, which the parser bounds. */

typedef struct walk {
    pf_onnx_visit *visit;
    void          *user;
} walk;

static pf_status walk_graph(const walk *w, const Onnx__GraphProto *graph, pf_err *err);

static pf_status walk_sparse(const walk *w, const Onnx__SparseTensorProto *sparse, pf_err *err)
{
    pf_status st = PF_OK;

    if (sparse->values)
        st = w->visit(w->user, sparse->values, err);
    if (!st && sparse->indices)
        st = w->visit(w->user, sparse->indices, err);
    return st;
}

static pf_status walk_attribute(const walk *w, const Onnx__AttributeProto *a, pf_err *err)
{
    pf_status st = PF_OK;

    if (a->t)
        st = w->visit(w->user, a->t, err);
    for (size_t i = 0; !st && i < a->n_tensors; i++)
        st = w->visit(w->user, a->tensors[i], err);
    if (!st && a->sparse_tensor)
        st = walk_sparse(w, a->sparse_tensor, err);
    for (size_t i = 0; !st && i < a->n_sparse_tensors; i++)
        st = walk_sparse(w, a->sparse_tensors[i], err);
    if (!st && a->g)
        st = walk_graph(w, a->g, err);
    for (size_t i = 0; !st && i < a->n_graphs; i++)
        st = walk_graph(w, a->graphs[i], err);
    return st;
}

static pf_status walk_nodes(const walk *w, Onnx__NodeProto *const *nodes, size_t count, pf_err *err)
{
    pf_status st = PF_OK;

    for (size_t i = 0; !st && i < count; i++)
        for (size_t k = 0; !st && k < nodes[i]->n_attribute; k++)
            st = walk_attribute(w, nodes[i]->attribute[k], err);
    return st;
}

static pf_status walk_graph(const walk *w, const Onnx__GraphProto *graph, pf_err *err)
{
    pf_status st = PF_OK;

    for (size_t i = 0; !st && i < graph->n_initializer; i++)
        st = w->visit(w->user, graph->initializer[i], err);
    for (size_t i = 0; !st && i < graph->n_sparse_initializer; i++)
        st = walk_sparse(w, graph->sparse_initializer[i], err);
    return st ? st : walk_nodes(w, graph->node, graph->n_node, err);
}

pf_status pf_onnx_each_tensor(const Onnx__ModelProto *model, pf_onnx_visit *visit, void *user, pf_err *err)
{
    const walk w = { visit, user };
    pf_status  st = model->graph ? walk_graph(&w, model->graph, err) : PF_OK;

    for (size_t i = 0; !st && i < model->n_functions; i++) {
        const Onnx__FunctionProto *f = model->functions[i];

        st = walk_nodes(&w, f->node, f->n_node, err);
        for (size_t k = 0; !st && k < f->n_attribute_proto; k++)
            st = walk_attribute(&w, f->attribute_proto[k], err);
    }
    return st;
}
