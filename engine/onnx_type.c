#include "engine/onnx_scope.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Types of graph inputs: element type and shape, with numbers, symbols or expressions as dims. */

enum { NAME_BYTES = 128 };

#define OPEN INT64_MIN          /* no number is given */

/* Exporters write anything into dim_param; a symbol is an identifier. */
static void make_identifier(const char *text, char out[NAME_BYTES])
{
    size_t n = 0;

    if (!isalpha((unsigned char)*text) && *text != '_')
        out[n++] = '_';
    for (; *text && n < NAME_BYTES - 1; text++)
        out[n++] = isalnum((unsigned char)*text) || *text == '_' ? *text : '_';
    out[n] = 0;
}

static bool is_identifier(const char *text)
{
    char made[NAME_BYTES];

    make_identifier(text, made);
    return !strcmp(made, text);
}

/* The number that an earlier import found a symbol of that name to be; 0: none. */
static int64_t settled_number(const pf_onnx_state *state, const char *name)
{
    uint64_t low = 0, high = 0;

    if (!pf_map_get(state->least, name, &low) || !pf_map_get(state->greatest, name, &high) || low != high)
        return 0;
    return (int64_t)low;
}

/* A size of one input that has no name: a symbol of its own. */
static pf_dim unnamed_dim(const pf_onnx_state *state, pf_dims *dims, const char *hint, size_t axis)
{
    char    name[NAME_BYTES], full[NAME_BYTES + 24];
    pf_dim  dim = PF_DIM_INVALID;
    int64_t number = 0;

    make_identifier(hint, name);
    snprintf(full, sizeof full, "%s_dim%zu", name, axis);
    dim = pf_dims_fresh(dims, full);
    if (dim == PF_DIM_INVALID)
        return dim;
    pf_dims_bound(dims, pf_dims_symbol_count(dims) - 1, 1, INT32_MAX);
    number = settled_number(state, pf_dims_symbol_name(dims, pf_dims_symbol_count(dims) - 1));
    return number ? number : dim;
}

/* The number that the shape given for this input puts where the model says param; OPEN: none. */
static int64_t given_in_shape(const Onnx__ValueInfoProto *input, const pf_onnx_input_shape *given, const char *param)
{
    const Onnx__TypeProto__Tensor *t = input->type ? input->type->tensor_type : NULL;

    if (!t || !t->shape || !input->name || strcmp(input->name, given->input))
        return OPEN;
    for (size_t i = 0; i < t->shape->n_dim && i < (size_t)given->rank; i++)
        if (t->shape->dim[i]->dim_param && !strcmp(t->shape->dim[i]->dim_param, param) && given->dim[i] >= 0)
            return given->dim[i];
    return OPEN;
}

/* What the caller says of a named dimension: directly, or by the shape of some input that has it.  A number given once
   holds for all.  OPEN: nothing. */
static int64_t given_number(const pf_onnx_state *state, const char *param)
{
    const pf_onnx_options  *options = state->options;
    const Onnx__GraphProto *graph = state->model->graph;
    int64_t                 found = OPEN;

    for (uint32_t i = 0; i < options->dim_count; i++)
        if (!strcmp(options->dims[i].symbol, param))
            return options->dims[i].value;
    for (uint32_t i = 0; i < options->shape_count; i++)
        for (size_t k = 0; k < graph->n_input && found == OPEN; k++)
            found = given_in_shape(graph->input[k], &options->shapes[i], param);
    return found;
}

static pf_dim named_dim(const pf_onnx_state *state, pf_dims *dims, const char *param)
{
    char    name[NAME_BYTES];
    pf_dim  dim = PF_DIM_INVALID;
    pf_err  ignored = { 0 };
    int64_t number = given_number(state, param);

    if (number != OPEN)
        return number;
    if (!is_identifier(param) && strlen(param) < NAME_BYTES && !pf_dim_parse(dims, param, &dim, &ignored))
        return dim;                                 /* "past + seq" */
    make_identifier(param, name);
    number = settled_number(state, name);
    return number ? number : pf_dims_symbol(dims, name);
}

static pf_status read_dim(pf_onnx_state *state, pf_dims *dims, const Onnx__TensorShapeProto__Dimension *d,
                          const char *hint, size_t axis, pf_dim *out, pf_err *err)
{
    bool zero_is_size = state->model->has_ir_version && state->model->ir_version >= 4;

    if (d->has_dim_value && (d->dim_value > 0 || (d->dim_value == 0 && zero_is_size)))
        *out = d->dim_value;
    else if (d->dim_param && *d->dim_param && strcmp(d->dim_param, "?"))
        *out = named_dim(state, dims, d->dim_param);
    else
        *out = unnamed_dim(state, dims, hint, axis);        /* -1, and 0 in old files: what was written for any */
    if (*out == PF_DIM_INVALID && pf_dims_out_of_memory(dims))
        return PF_FAIL_MEMORY(err, sizeof *out);
    if (*out == PF_DIM_INVALID || (pf_dim_is_number(*out) && (*out < 0 || *out > INT32_MAX)))
        return PF_FAIL(err, PF_INVALID, "dimension %zu of \"%.200s\" is no size between 0 and 2147483647", axis, hint);
    return PF_OK;
}

static pf_status read_tensor(pf_onnx_state *state, pf_dims *dims, const Onnx__TypeProto__Tensor *t, const char *hint,
                             pf_onnx_type *out, pf_err *err)
{
    pf_status st = PF_OK;

    out->dtype = pf_dtype_from_onnx(t->has_elem_type ? t->elem_type : 0);
    if (out->dtype == PF_DTYPE_NONE)
        return PF_FAIL(err, PF_INVALID, "\"%.200s\" has the unknown element type %d", hint,
                       t->has_elem_type ? t->elem_type : 0);
    if (!t->shape)
        return PF_OK;
    if (t->shape->n_dim > PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "\"%.200s\" has %zu dimensions; up to %d are supported", hint,
                       t->shape->n_dim, PF_MAX_RANK);
    out->shape.rank = (int32_t)t->shape->n_dim;
    for (size_t i = 0; !st && i < t->shape->n_dim; i++)
        st = read_dim(state, dims, t->shape->dim[i], hint, i, &out->shape.dim[i], err);
    return st;
}

pf_status pf_onnx_type_read(pf_onnx_state *state, pf_dims *dims, const Onnx__TypeProto *type, const char *hint,
                            pf_onnx_type *out, pf_err *err)
{
    *out = (pf_onnx_type){ .shape = { .rank = -1 } };
    if (type && type->tensor_type)
        return read_tensor(state, dims, type->tensor_type, hint, out, err);
    if (type && type->sequence_type && type->sequence_type->elem_type && type->sequence_type->elem_type->tensor_type) {
        pf_status st = read_tensor(state, dims, type->sequence_type->elem_type->tensor_type, hint, out, err);

        out->kind = PF_VALUE_SEQUENCE;
        return st;
    }
    if (type && type->optional_type) {
        pf_status st = pf_onnx_type_read(state, dims, type->optional_type->elem_type, hint, out, err);

        out->kind = PF_VALUE_OPTIONAL;
        return st;
    }
    return PF_FAIL(err, PF_UNSUPPORTED, "\"%.200s\" is neither a tensor, a sequence of tensors nor an optional", hint);
}
