#include "tests/ops/samples.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/graph.h"
#include "engine/op.h"

const op_sample op_samples[] = {
#define OP_SAMPLE(name, text) { name, text },
#include "tests/ops/samples.def"
#undef OP_SAMPLE
};
const uint32_t op_sample_count = sizeof op_samples / sizeof *op_samples;

static pf_status add_weight(pf_network *net, const pf_value *value, uint64_t seed, pf_value_id *out, pf_err *err)
{
    pf_tensor tensor = { .dtype = value->dtype, .rank = value->shape.rank };
    int64_t   inner = value->shape.rank > 1 ? 1 : 4;
    pf_status st = PF_OK;

    memcpy(tensor.dim, value->shape.dim, sizeof tensor.dim);
    st = pf_tensor_alloc(&tensor, err);
    if (st) return st;
    for (int32_t d = 1; d < tensor.rank; d++) inner *= tensor.dim[d];
    pf_tensor_fill_random(&tensor, seed);
    for (int64_t i = 0, count = pf_tensor_elems(&tensor); i < count; i++)
        pf_dtype_set(tensor.dtype, tensor.data, (uint64_t)i,
                     pf_dtype_get(tensor.dtype, tensor.data, (uint64_t)i) / sqrt((double)inner));
    st = pf_network_constant(net, value->name, &tensor, out, err);
    pf_tensor_clear(&tensor);
    return st;
}

static pf_status add_values(pf_network *net, const pf_graph *from, pf_value_id *to, pf_err *err)
{
    pf_graph *graph = pf_network_graph(net);
    pf_status st = PF_OK;

    for (uint32_t v = 0; v < from->value_count && !st; v++) {
        const pf_value *value = &from->values[v];

        if (value->is_constant) {
            const void *data = pf_arena_copy(graph->arena, value->constant.data, value->constant.bytes);

            st = !data ? PF_FAIL_MEMORY(err, value->constant.bytes)
                       : pf_graph_add_constant(graph, value->name, value->dtype, &value->shape, data,
                                               value->constant.bytes, &to[v], err);
        } else if (value->is_input) {
            st = value->name[0] == 'w'
                     ? add_weight(net, value, v + 1, &to[v], err)
                     : pf_graph_add_input(graph, value->name, value->dtype, &value->shape, &to[v], err);
        }
    }
    return st;
}

static pf_status add_node(pf_graph *graph, const pf_graph *from, const pf_node *node, pf_value_id *to, pf_err *err)
{
    const pf_op_def *def = pf_op_def_of(node->op);
    pf_value_id      in[16] = {0}, out[8] = {0};
    void            *attrs = pf_arena_alloc(graph->arena, def->attr_bytes + 1);
    pf_status        st = attrs && node->in_count <= 16 && node->out_count <= 8 ? PF_OK
                                                                                : PF_FAIL_MEMORY(err, def->attr_bytes);

    for (uint32_t i = 0; i < node->in_count && !st; i++) in[i] = node->in[i] == PF_NONE ? PF_NONE : to[node->in[i]];
    if (!st) st = pf_attrs_copy(graph, from, def, node->attrs, attrs, err);
    if (!st) st = pf_graph_add_node(graph, node->op, def->name, in, node->in_count, attrs, node->out_count, out, err);
    for (uint32_t o = 0; o < node->out_count && !st; o++) to[node->out[o]] = out[o];
    return st;
}

static pf_status copy_graph(pf_network *net, const pf_graph *from, pf_value_id *to, pf_err *err)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    pf_status                st = add_values(net, from, to, err);

    for (uint32_t n = 0; n < from->node_count && !st; n++)
        st = add_node(pf_network_graph(net), from, &from->nodes[n], to, err);
    for (uint32_t o = 0; o < from->output_count && !st; o++)
        st = pf_network_output(net, to[from->outputs[o]], names[o % 4], err);
    return st;
}

pf_status op_sample_network(const op_sample *sample, pf_network **out, pf_err *err)
{
    pf_graph    *from = NULL;
    pf_value_id *to = NULL;
    pf_status    st = pf_graph_parse(sample->text, &from, err);

    *out = NULL;
    if (!st) st = pf_network_new(sample->name, out, err);
    if (!st) to = pf_calloc(from->value_count + 1, sizeof *to);
    if (!st && !to) st = PF_FAIL_MEMORY(err, sizeof *to);
    if (!st) st = copy_graph(*out, from, to, err);
    if (st) {
        pf_network_free(*out);
        *out = NULL;
    }
    pf_free(to);
    pf_graph_free(from);
    return st;
}
