/* Graphs run on the host, node by node, by the references of their ops. */
#include <omp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/cpu_crowd.h"
#include "engine/go_on.h"
#include "engine/graph_private.h"

/* One run.  tensors[v].data (or rank -1) is there from v's making to its last use. */
typedef struct run {
    const pf_graph      *graph;
    pf_tensor           *tensors;
    uint32_t            *uses_left;
    int64_t              bindings[PF_MAX_SYMBOLS];
    pf_interpret_watch  *watch;
    void                *user;
    bool                 may_stop;      /* between two nodes, where nobody wants it any more */
    pf_err              *err;
} run;

/* Constants without bytes still have an address: no data means left out. */
static const char no_bytes[1];

static pf_status read_constant(const pf_value *value, pf_tensor *out, pf_err *err)
{
    const void *data = NULL;
    pf_status   st = pf_constant_bytes(&value->constant, &data, err);

    *out = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank, .bytes = value->constant.bytes };
    memcpy(out->dim, value->shape.dim, sizeof out->dim);
    out->data = (void *)(uintptr_t)(data ? data : no_bytes);    /* references do not write to inputs */
    return st;
}

/* Learns from the dims of a tensor what the symbols of its shape are. *open: some dim could not be solved yet. */
static pf_status bind_shape(const pf_dims *dims, const pf_shape *shape, const pf_tensor *tensor, int64_t *bindings,
                            bool *open, pf_err *err)
{
    for (int32_t i = 0; i < shape->rank; i++) {
        pf_err    why = { 0 };
        pf_status st = pf_dim_bind(dims, shape->dim[i], tensor->dim[i], bindings, &why);

        if (st == PF_UNSUPPORTED) {
            *open = true;
            continue;
        }
        if (st)
            return PF_FAIL(err, st == PF_MISMATCH ? PF_INVALID : st, "dim %d: %s", i, why.msg);
    }
    return PF_OK;
}

static pf_status check_input(const pf_value *value, const pf_tensor *tensor, pf_err *err)
{
    if (value->kind != PF_VALUE_TENSOR)
        return PF_OK;
    if (tensor->dtype != value->dtype)
        return PF_FAIL(err, PF_INVALID, "its type is %s where %s is needed", pf_dtype_name(tensor->dtype),
                       pf_dtype_name(value->dtype));
    if (value->shape.rank >= 0 && tensor->rank != value->shape.rank)
        return PF_FAIL(err, PF_INVALID, "its rank is %d where %d is needed", tensor->rank, value->shape.rank);
    return PF_OK;
}

static pf_status bind_inputs(run *r, const pf_tensor *inputs, bool *open)
{
    for (uint32_t i = 0; i < r->graph->input_count; i++) {
        const pf_value *value = &r->graph->values[r->graph->inputs[i]];
        pf_status       st = check_input(value, &inputs[i], r->err);

        if (!st && value->kind == PF_VALUE_TENSOR)
            st = bind_shape(r->graph->dims, &value->shape, &inputs[i], r->bindings, open, r->err);
        if (st)
            return pf_err_add(r->err, st, "input \"%s\"", value->name);
    }
    return PF_OK;
}

static pf_status start_values(run *r, const pf_tensor *inputs)
{
    for (pf_value_id id = 0; id < r->graph->value_count; id++) {
        pf_status st = PF_OK;

        r->uses_left[id] = pf_graph_use_count(r->graph, id);
        if (r->graph->values[id].is_constant && r->uses_left[id])
            st = read_constant(&r->graph->values[id], &r->tensors[id], r->err);
        if (st)
            return st;
    }
    for (uint32_t i = 0; i < r->graph->input_count; i++) {
        pf_tensor *tensor = &r->tensors[r->graph->inputs[i]];

        *tensor = inputs[i];
        tensor->owned = false;
        if (r->watch)
            r->watch(r->user, r->graph->inputs[i], tensor);
    }
    return PF_OK;
}

static bool is_borrowed(const pf_graph *graph, pf_value_id id)
{
    return graph->values[id].is_input || graph->values[id].is_constant;
}

static void drop_use(run *r, pf_value_id id)
{
    if (--r->uses_left[id] == 0 && !is_borrowed(r->graph, id))
        pf_tensor_clear(&r->tensors[id]);
}

static pf_status evaluate_attrs(const pf_graph *graph, const pf_op_def *def, const void *attrs, const int64_t *bindings,
                                void *out, pf_err *err)
{
    memcpy(out, attrs, def->attr_bytes);
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++) {
        pf_dim_list *list = (pf_dim_list *)((char *)out + field->offset);

        for (int32_t i = 0; field->kind == PF_ATTR_DIMS && i < list->count; i++) {
            pf_status st = pf_dim_eval(graph->dims, list->at[i], bindings, &list->at[i], err);

            if (st)
                return pf_err_add(err, st, "%s[%d]", field->name, i);
        }
    }
    return PF_OK;
}

/* Memory for an output whose dims are all known; else what is known of them. */
static pf_status prepare_output(const pf_graph *graph, const pf_value *value, const int64_t *bindings, pf_tensor *out,
                                pf_err *err)
{
    bool known = value->kind == PF_VALUE_TENSOR && value->shape.rank >= 0;

    memset(out, 0, sizeof *out);
    out->dtype = value->dtype;
    out->rank = value->kind == PF_VALUE_TENSOR && value->shape.rank >= 0 ? value->shape.rank : -1;
    for (int32_t i = 0; i < value->shape.rank; i++)
        known &= pf_dim_eval(graph->dims, value->shape.dim[i], bindings, &out->dim[i], NULL) == PF_OK;
    return known ? pf_tensor_alloc(out, err) : PF_OK;
}

static pf_status check_output(const pf_graph *graph, const pf_value *value, const pf_tensor *tensor, int64_t *bindings,
                              pf_err *err)
{
    bool      open = false;
    pf_status st = PF_OK;

    if (value->kind != PF_VALUE_TENSOR)
        return PF_OK;
    if (!tensor->data || tensor->dtype != value->dtype || (value->shape.rank >= 0 && tensor->rank != value->shape.rank))
        return PF_FAIL(err, PF_INTERNAL, "an output has another type or rank than inference said");
    st = bindings ? bind_shape(graph->dims, &value->shape, tensor, bindings, &open, err) : PF_OK;
    return st ? pf_err_add(err, st, "an output is not as inference said") : PF_OK;
}

/* bindings learn what the outputs tell. */
static pf_status run_node(const pf_graph *graph, const pf_node *node, const pf_tensor *in, pf_tensor *out,
                          int64_t *bindings, pf_err *err)
{
    const pf_op_def  *def = pf_op_def_of(node->op);
    void             *attrs = pf_alloc(def->attr_bytes + 1);
    pf_reference_call call = { .def = def, .attrs = attrs, .in = in, .in_count = node->in_count, .out = out,
                               .out_count = node->out_count, .bindings = bindings };
    pf_status         st = attrs ? PF_OK : PF_FAIL_MEMORY(err, def->attr_bytes);

    if (!st && def->attr_bytes)
        st = evaluate_attrs(graph, def, node->attrs, bindings, attrs, err);
    for (uint32_t i = 0; i < node->out_count && !st; i++)
        st = prepare_output(graph, &graph->values[node->out[i]], bindings, &out[i], err);
    if (!st)
        st = def->reference(&call, err);
    for (uint32_t i = 0; i < node->out_count && !st; i++)
        st = check_output(graph, &graph->values[node->out[i]], &out[i], bindings, err);
    for (uint32_t i = 0; i < node->out_count && st; i++)
        pf_tensor_clear(&out[i]);
    pf_free(attrs);
    if (st)
        pf_err_at(err, node->name);
    return st ? pf_err_add(err, st, "%s \"%s\"", def->name, node->name) : PF_OK;
}

static pf_status run_in_graph(run *r, const pf_node *node)
{
    pf_tensor *io = pf_calloc(node->in_count + node->out_count, sizeof *io);
    int64_t    start = pf_clock_ns();
    pf_status  st = io ? PF_OK : PF_FAIL_MEMORY(r->err, (node->in_count + node->out_count) * sizeof *io);

    for (uint32_t i = 0; i < node->in_count && !st; i++)
        if (node->in[i] != PF_NONE) {
            io[i] = r->tensors[node->in[i]];
            io[i].owned = false;
        }
    if (!st)
        st = run_node(r->graph, node, io, io + node->in_count, r->bindings, r->err);
    pf_cpu_crowd_look(omp_get_max_threads(), pf_clock_ns() - start);
    for (uint32_t i = 0; i < node->out_count && !st; i++) {
        r->tensors[node->out[i]] = io[node->in_count + i];
        if (r->watch)
            r->watch(r->user, node->out[i], &r->tensors[node->out[i]]);
        if (r->uses_left[node->out[i]] == 0)
            pf_tensor_clear(&r->tensors[node->out[i]]);
    }
    for (uint32_t i = 0; i < node->in_count && !st; i++)
        if (node->in[i] != PF_NONE)
            drop_use(r, node->in[i]);
    pf_free(io);
    return st;
}

/* Moves the value out at its last use, else copies it. */
static pf_status take_output(run *r, pf_value_id id, pf_tensor *out)
{
    pf_status st = PF_OK;

    if (is_borrowed(r->graph, id) || r->uses_left[id] > 1)
        st = pf_tensor_copy(&r->tensors[id], out, r->err);
    else {
        *out = r->tensors[id];
        memset(&r->tensors[id], 0, sizeof r->tensors[id]);
    }
    r->uses_left[id]--;
    return st;
}

static pf_status run_graph(run *r, pf_tensor *outputs)
{
    pf_node_id *order = NULL;
    uint32_t    count = 0, taken = 0;
    pf_status   st = pf_graph_order(r->graph, &order, &count, r->err);

    for (uint32_t i = 0; i < count && !st; i++) {
        if (r->may_stop)
            st = pf_go_on_check(r->err);
        if (!st)
            st = run_in_graph(r, &r->graph->nodes[order[i]]);
    }
    for (; taken < r->graph->output_count && !st; taken++)
        st = take_output(r, r->graph->outputs[taken], &outputs[taken]);
    for (uint32_t i = 0; i < taken && st; i++)
        pf_tensor_clear(&outputs[i]);
    pf_free(order);
    return st;
}

static void drop_values(run *r)
{
    for (pf_value_id id = 0; r->tensors && id < r->graph->value_count; id++)
        if (!is_borrowed(r->graph, id))
            pf_tensor_clear(&r->tensors[id]);
    pf_free(r->tensors);
    pf_free(r->uses_left);
}

static pf_status interpret(run *r, const pf_tensor *inputs, pf_tensor *outputs)
{
    bool      open = false;
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < r->graph->output_count; i++)
        memset(&outputs[i], 0, sizeof outputs[i]);
    r->tensors = pf_calloc(r->graph->value_count + 1, sizeof *r->tensors);
    r->uses_left = pf_calloc(r->graph->value_count + 1, sizeof *r->uses_left);
    if (!r->tensors || !r->uses_left)
        st = PF_FAIL_MEMORY(r->err, r->graph->value_count * sizeof *r->tensors);
    if (!st)
        st = bind_inputs(r, inputs, &open);
    if (!st && open)            /* dims that come before the symbols that they need */
        st = bind_inputs(r, inputs, &open);
    if (!st)
        st = start_values(r, inputs);
    if (!st)
        st = run_graph(r, outputs);
    drop_values(r);
    return st;
}

/* A symbol that was narrowed to one value: attributes may still name it when no input shows it any more. */
static int64_t sole_value(pf_dims *dims, uint32_t symbol)
{
    int64_t   least = 0, greatest = 0;
    pf_dim    dim = pf_dims_symbol(dims, pf_dims_symbol_name(dims, symbol));
    pf_status st = pf_dim_range(dims, dim, NULL, NULL, &least, &greatest, NULL);

    return !st && least == greatest ? least : PF_UNBOUND;
}

pf_status pf_interpret(const pf_graph *graph, const pf_tensor *inputs, pf_tensor *outputs, pf_interpret_watch *watch,
                       void *user, pf_err *err)
{
    run r = { .graph = graph, .watch = watch, .user = user, .may_stop = true, .err = err };

    for (uint32_t i = 0; i < PF_MAX_SYMBOLS; i++)
        r.bindings[i] = i < pf_dims_symbol_count(graph->dims) ? sole_value(graph->dims, i) : PF_UNBOUND;
    return interpret(&r, inputs, outputs);
}

pf_status pf_interpret_body(const pf_graph *body, const pf_tensor *inputs, pf_tensor *outputs, const int64_t *bindings,
                            pf_err *err)
{
    run r = { .graph = body, .err = err };

    for (uint32_t i = 0; i < PF_MAX_SYMBOLS; i++)
        r.bindings[i] = bindings ? bindings[i] : PF_UNBOUND;
    return interpret(&r, inputs, outputs);
}

pf_status pf_interpret_node(const pf_graph *graph, pf_node_id node, const pf_tensor *inputs, pf_tensor *outputs,
                            const int64_t *bindings, pf_err *err)
{
    int64_t known[PF_MAX_SYMBOLS];

    for (uint32_t i = 0; i < PF_MAX_SYMBOLS; i++)
        known[i] = bindings && i < pf_dims_symbol_count(graph->dims) ? bindings[i] : PF_UNBOUND;
    return run_node(graph, &graph->nodes[node], inputs, outputs, known, err);
}
