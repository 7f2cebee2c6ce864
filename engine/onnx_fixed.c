#include "engine/onnx_fixed.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

typedef struct fixed {
    pf_named_shapes      shapes;        /* owned, as all of these; what the spec says: names are borrowed from here */
    pf_named_values      values;
    pf_onnx_input_shape *input_shapes;  /* of one size */
    pf_onnx_input_value *input_values;  /* that are whole */
    pf_onnx_options      options;
} fixed;

static void clear(fixed *f)
{
    pf_named_shapes_clear(&f->shapes);
    pf_named_values_clear(&f->values);
    pf_free(f->input_shapes);
    pf_free(f->input_values);
}

static bool is_same(const pf_named_shape *a, const pf_named_shape *b)
{
    return a && b && a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

/* shapes: all at once; else the least ones that are the greatest as well. */
static pf_status find_shapes(const pf_config *config, fixed *f, pf_err *err)
{
    bool            single = pf_config_value(config, PF_CONFIG_shapes)[0] != 0;
    pf_named_shapes most = { 0 };
    pf_status       st = pf_config_shapes(config, single ? PF_CONFIG_shapes : PF_CONFIG_min_shapes, &f->shapes, err);

    if (!st && !single)
        st = pf_config_shapes(config, PF_CONFIG_max_shapes, &most, err);
    f->input_shapes = pf_calloc(f->shapes.count + 1, sizeof *f->input_shapes);
    if (!st && !f->input_shapes)
        st = PF_FAIL_MEMORY(err, f->shapes.count * sizeof *f->input_shapes);
    for (uint32_t i = 0; i < f->shapes.count && !st; i++) {
        const pf_named_shape *shape = &f->shapes.items[i];
        pf_onnx_input_shape  *to = &f->input_shapes[f->options.shape_count];

        if (!single && !is_same(shape, pf_named_shapes_find(&most, shape->name)))
            continue;
        *to = (pf_onnx_input_shape){ .input = shape->name, .rank = shape->rank };
        memcpy(to->dim, shape->dim, sizeof shape->dim);
        f->options.shape_count++;
    }
    f->options.shapes = f->input_shapes;
    pf_named_shapes_clear(&most);
    return st;
}

static pf_status find_values(const pf_config *config, fixed *f, pf_err *err)
{
    pf_status st = pf_config_values(config, PF_CONFIG_freeze_inputs, &f->values, err);

    f->input_values = pf_calloc(f->values.count + 1, sizeof *f->input_values);
    if (!st && !f->input_values)
        st = PF_FAIL_MEMORY(err, f->values.count * sizeof *f->input_values);
    for (uint32_t i = 0; i < f->values.count && !st; i++) {
        double value = f->values.items[i].value;

        if (value == floor(value) && fabs(value) <= INT32_MAX)
            f->input_values[f->options.value_count++] = (pf_onnx_input_value){ f->values.items[i].name,
                                                                               (int64_t)value };
    }
    f->options.values = f->input_values;
    return st;
}

/* May its dims, where they are open, be those? */
static bool takes(const pf_graph *graph, const pf_value *value, const pf_onnx_input_shape *shape)
{
    for (int32_t d = 0; d < value->shape.rank && value->shape.rank == shape->rank; d++) {
        int64_t least = 0, most = 0;
        pf_err  ignored = { 0 };

        if (pf_dim_is_symbolic(value->shape.dim[d]) &&
            !pf_dim_range(graph->dims, value->shape.dim[d], NULL, NULL, &least, &most, &ignored) &&
            shape->dim[d] < least)
            return false;
    }
    return true;
}

static bool takes_all(const pf_graph *graph, const pf_onnx_options *options)
{
    for (uint32_t i = 0; i < graph->input_count; i++)
        for (uint32_t s = 0; s < options->shape_count; s++) {
            const pf_value *value = pf_graph_value(graph, graph->inputs[i]);

            if (!strcmp(value->name, options->shapes[s].input) && !takes(graph, value, &options->shapes[s]))
                return false;
        }
    return true;
}

/* Sizes that only data decides, as far as is known. */
static uint32_t count_found(const pf_graph *graph)
{
    uint32_t count = 0;

    for (uint32_t s = 0; s < pf_dims_symbol_count(graph->dims); s++) {
        int64_t least = 0, most = 0;

        pf_dims_symbol_range(graph->dims, s, &least, &most);
        count += least < 1;
    }
    return count;
}

/* With the sizes that are fixed instead, where fewer are left to data then. */
static void improve(const char *path, const pf_onnx_options *options, pf_graph **graph)
{
    pf_graph *other = NULL;
    pf_err    ignored = { 0 };

    if (!count_found(*graph) || pf_onnx_import(path, options, &other, &ignored))
        return;
    if (count_found(other) < count_found(*graph)) {
        pf_graph *open = *graph;

        *graph = other;
        other = open;
    }
    pf_graph_free(other);
}

static pf_status import_for(const char *path, const pf_onnx_options *options, pf_graph **out, pf_err *err)
{
    bool      any = options->shape_count + options->value_count;
    pf_err    why = { .list = err ? err->list : NULL };
    pf_status st = pf_onnx_import(path, NULL, out, &why);

    if (!st && takes_all(*out, options)) {
        if (any)
            improve(path, options, out);
        return PF_OK;
    }
    if ((st && st != PF_UNSUPPORTED) || !any)
        return pf_err_pass(err, st, &why);
    pf_graph_free(*out);
    *out = NULL;
    return pf_onnx_import(path, options, out, err);
}

pf_status pf_onnx_import_fixed(const char *path, const pf_config *config, pf_graph **out, pf_err *err)
{
    fixed     f = { .options = { .shape_count = 0 } };
    pf_status st = config ? find_shapes(config, &f, err) : PF_OK;

    *out = NULL;
    if (!st && config)
        st = find_values(config, &f, err);
    if (!st)
        st = import_for(path, &f.options, out, err);
    clear(&f);
    return st;
}
