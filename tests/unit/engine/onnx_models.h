/* ONNX models for tests, written as text, one thing a line:

     ir 8
     opset 13                           (or: opset com.example 1)
     input x f32 2,n,?                  (? is a dim without a name, . alone a scalar, - no shape at all)
     const w i64 2 3,-1                 (an initializer: name, type, dims, elements)
     node Reshape x w -> y allowzero=i:0 axes=is:1,2 mode=s:edge alpha=f:0.5
     graph then_branch                  (of the node above, up to the line "end")
     output z
     end
     function com.example:Twice a b -> c
     output y

   A left-out input or output is _.  A node's domain stands in front: com.example:Twice. */
#ifndef PF_TESTS_UNIT_ENGINE_ONNX_MODELS_H
#define PF_TESTS_UNIT_ENGINE_ONNX_MODELS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/onnx.h"
#include "engine/onnx/onnx.pb-c.h"
#include "engine/op.h"
#include "tests/test.h"

enum { MODEL_LINE = 2048, MODEL_LIST = 64 };

typedef struct model_text { const char *at; char line[MODEL_LINE]; char *rest; } model_text;

/* Models live until the process ends: tests are short.  The list keeps them in sight of leak checkers. */
typedef struct model_block {
    struct model_block *next;
    max_align_t         data[];
} model_block;

static model_block *model_blocks;

static inline void *model_zero(size_t bytes)
{
    model_block *made = calloc(1, sizeof *made + bytes);

    assert_non_null(made);
    made->next = model_blocks;
    model_blocks = made;
    return made->data;
}

static inline char *model_copy(const char *text)
{
    return memcpy(model_zero(strlen(text) + 1), text, strlen(text));
}

static inline void *model_grown(const void *list, size_t bytes, size_t more)
{
    void *made = model_zero(bytes + more);

    return bytes ? memcpy(made, list, bytes) : made;
}

#define MODEL_NEW(type, init) ({ type *made_ = model_zero(sizeof *made_); init(made_); made_; })
#define MODEL_PUSH(list, count, item) do { \
        (list) = model_grown((list), (count) * sizeof *(list), sizeof *(list)); \
        (list)[(count)++] = (item); \
    } while (0)

static inline bool model_next_line(model_text *t)
{
    const char *end = NULL;
    size_t      bytes = 0;

    while (*t->at == '\n' || *t->at == ' ')
        t->at++;
    if (!*t->at)
        return false;
    end = strchr(t->at, '\n');
    bytes = end ? (size_t)(end - t->at) : strlen(t->at);
    assert_true(bytes < sizeof t->line);
    memcpy(t->line, t->at, bytes);
    t->line[bytes] = 0;
    t->at += bytes;
    t->rest = t->line;
    return true;
}

static inline char *model_word(model_text *t)
{
    return strsep(&t->rest, " ");
}

static inline Onnx__TypeProto *model_type(const char *type, const char *dims)
{
    Onnx__TypeProto        *made = MODEL_NEW(Onnx__TypeProto, onnx__type_proto__init);
    Onnx__TypeProto__Tensor *tensor = MODEL_NEW(Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
    char                    *copy = model_copy(dims), *dim = NULL;

    made->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = pf_dtype_to_onnx(pf_dtype_from_name(type));
    if (!strcmp(dims, "-"))
        return made;
    tensor->shape = MODEL_NEW(Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
    while (strcmp(dims, ".") && (dim = strsep(&copy, ","))) {
        Onnx__TensorShapeProto__Dimension *d =
            MODEL_NEW(Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);

        if (strchr("0123456789-", *dim)) {
            d->has_dim_value = true;
            d->dim_value = atoll(dim);
        } else if (*dim != '?') {
            d->dim_param = dim;
        }
        MODEL_PUSH(tensor->shape->dim, tensor->shape->n_dim, d);
    }
    return made;
}

static inline Onnx__ValueInfoProto *model_value(const char *name, Onnx__TypeProto *type)
{
    Onnx__ValueInfoProto *made = MODEL_NEW(Onnx__ValueInfoProto, onnx__value_info_proto__init);

    made->name = model_copy(name);
    made->type = type;
    return made;
}

static inline Onnx__TensorProto *model_tensor(const char *name, const char *type, const char *dims,
                                              const char *elements)
{
    Onnx__TensorProto *made = MODEL_NEW(Onnx__TensorProto, onnx__tensor_proto__init);
    pf_dtype           dtype = pf_dtype_from_name(type);
    char              *copy = model_copy(dims), *part = NULL;
    uint64_t           count = 1, i = 0;

    made->name = model_copy(name);
    made->has_data_type = true;
    made->data_type = pf_dtype_to_onnx(dtype);
    while (strcmp(dims, ".") && (part = strsep(&copy, ","))) {
        MODEL_PUSH(made->dims, made->n_dims, atoll(part));
        count *= (uint64_t)made->dims[made->n_dims - 1];
    }
    made->has_raw_data = true;
    made->raw_data.len = pf_dtype_bytes(dtype, count);
    made->raw_data.data = model_zero(made->raw_data.len + 1);
    copy = model_copy(elements ? elements : "");
    while (i < count && (part = strsep(&copy, ",")))
        if (pf_dtype_is_float(dtype))
            pf_dtype_set(dtype, made->raw_data.data, i++, atof(part));
        else
            pf_dtype_set_i64(dtype, made->raw_data.data, i++, atoll(part));
    return made;
}

static inline void model_lists(Onnx__AttributeProto *a, const char *kind, char *text)
{
    char *part = NULL;

    while ((part = strsep(&text, ","))) {
        ProtobufCBinaryData bytes = { strlen(part), (uint8_t *)part };

        if (*kind == 'i')
            MODEL_PUSH(a->ints, a->n_ints, atoll(part));
        else if (*kind == 'f')
            MODEL_PUSH(a->floats, a->n_floats, (float)atof(part));
        else
            MODEL_PUSH(a->strings, a->n_strings, bytes);
    }
    a->type = *kind == 'i' ? 7 : *kind == 'f' ? 6 : 8;
}

/* name=kind:value */
static inline Onnx__AttributeProto *model_attribute(char *word)
{
    Onnx__AttributeProto *a = MODEL_NEW(Onnx__AttributeProto, onnx__attribute_proto__init);
    char                 *text = model_copy(word), *kind = NULL;

    a->name = strsep(&text, "=");
    kind = strsep(&text, ":");
    a->has_type = true;
    if (kind[1] == 's') {
        model_lists(a, kind, text);
    } else if (*kind == 'i') {
        a->type = 2;
        a->has_i = true;
        a->i = atoll(text);
    } else if (*kind == 'f') {
        a->type = 1;
        a->has_f = true;
        a->f = (float)atof(text);
    } else if (*kind == 'r') {          /* the caller's attribute of that name, in a function */
        a->ref_attr_name = text;
    } else {
        a->type = 3;
        a->has_s = true;
        a->s = (ProtobufCBinaryData){ strlen(text), (uint8_t *)text };
    }
    return a;
}

static inline Onnx__NodeProto *model_node(model_text *t)
{
    Onnx__NodeProto *node = MODEL_NEW(Onnx__NodeProto, onnx__node_proto__init);
    char            *word = model_copy(model_word(t)), *colon = strchr(word, ':');

    if (colon) {
        *colon = 0;
        node->domain = word;
        word = colon + 1;
    }
    node->op_type = word;
    while ((word = model_word(t)) && strcmp(word, "->"))
        MODEL_PUSH(node->input, node->n_input, model_copy(strcmp(word, "_") ? word : ""));
    while ((word = model_word(t)))
        if (strchr(word, '='))
            MODEL_PUSH(node->attribute, node->n_attribute, model_attribute(word));
        else
            MODEL_PUSH(node->output, node->n_output, model_copy(strcmp(word, "_") ? word : ""));
    return node;
}

static inline void model_graph_line(Onnx__GraphProto *graph, model_text *t, const char *word);

static inline Onnx__GraphProto *model_graph(model_text *t)
{
    Onnx__GraphProto *graph = MODEL_NEW(Onnx__GraphProto, onnx__graph_proto__init);

    graph->name = model_copy("body");
    while (model_next_line(t)) {
        char *word = model_word(t);

        if (!strcmp(word, "end"))
            break;
        model_graph_line(graph, t, word);
    }
    return graph;
}

static inline void model_graph_line(Onnx__GraphProto *graph, model_text *t, const char *word)
{
    char *name = NULL, *type = NULL, *dims = NULL;

    if (!strcmp(word, "node")) {
        MODEL_PUSH(graph->node, graph->n_node, model_node(t));
        return;
    }
    name = model_word(t);
    if (!strcmp(word, "graph")) {
        Onnx__NodeProto      *node = graph->node[graph->n_node - 1];
        Onnx__AttributeProto *a = MODEL_NEW(Onnx__AttributeProto, onnx__attribute_proto__init);

        a->name = model_copy(name);
        a->has_type = true;
        a->type = 5;
        a->g = model_graph(t);
        MODEL_PUSH(node->attribute, node->n_attribute, a);
        return;
    }
    if (!strcmp(word, "output")) {
        MODEL_PUSH(graph->output, graph->n_output, model_value(name, NULL));
        return;
    }
    type = model_word(t);
    dims = model_word(t);
    assert_non_null(dims);
    if (!strcmp(word, "input"))
        MODEL_PUSH(graph->input, graph->n_input, model_value(name, model_type(type, dims)));
    else if (!strcmp(word, "const"))
        MODEL_PUSH(graph->initializer, graph->n_initializer, model_tensor(name, type, dims, model_word(t)));
    else
        fail_msg("a model's line begins with \"%s\"", word);
}

static inline Onnx__OperatorSetIdProto *model_opset(model_text *t)
{
    Onnx__OperatorSetIdProto *opset = MODEL_NEW(Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
    char                     *domain = model_word(t), *version = model_word(t);

    opset->domain = version ? model_copy(domain) : NULL;
    opset->has_version = true;
    opset->version = atoll(version ? version : domain);
    return opset;
}

/* The body uses opset 13. */
static inline Onnx__FunctionProto *model_function(model_text *t)
{
    Onnx__FunctionProto      *f = MODEL_NEW(Onnx__FunctionProto, onnx__function_proto__init);
    Onnx__NodeProto          *head = model_node(t);
    Onnx__GraphProto         *body = model_graph(t);
    Onnx__OperatorSetIdProto *opset = MODEL_NEW(Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);

    opset->has_version = true;
    opset->version = 13;
    f->domain = head->domain;
    f->name = head->op_type;
    f->n_input = head->n_input;
    f->input = head->input;
    f->n_output = head->n_output;
    f->output = head->output;
    f->n_attribute_proto = head->n_attribute;
    f->attribute_proto = head->attribute;
    f->n_node = body->n_node;
    f->node = body->node;
    MODEL_PUSH(f->opset_import, f->n_opset_import, opset);
    return f;
}

static inline Onnx__ModelProto *model_of(const char *text)
{
    model_text        t = { .at = text };
    Onnx__ModelProto *model = MODEL_NEW(Onnx__ModelProto, onnx__model_proto__init);

    model->has_ir_version = true;
    model->ir_version = 8;
    model->graph = MODEL_NEW(Onnx__GraphProto, onnx__graph_proto__init);
    model->graph->name = model_copy("test");
    while (model_next_line(&t)) {
        char *word = model_word(&t);

        if (!strcmp(word, "ir"))
            model->ir_version = atoll(model_word(&t));
        else if (!strcmp(word, "opset"))
            MODEL_PUSH(model->opset_import, model->n_opset_import, model_opset(&t));
        else if (!strcmp(word, "function"))
            MODEL_PUSH(model->functions, model->n_functions, model_function(&t));
        else
            model_graph_line(model->graph, &t, word);
    }
    return model;
}

/* The file's bytes; freed by pf_buf_clear. */
static inline void model_bytes(const Onnx__ModelProto *model, pf_buf *out)
{
    size_t   bytes = onnx__model_proto__get_packed_size(model);
    uint8_t *packed = calloc(1, bytes + 1);

    assert_non_null(packed);
    onnx__model_proto__pack(model, packed);
    pf_buf_init(out, (size_t)1 << 30);
    assert_true(pf_buf_put(out, packed, bytes));
    free(packed);
}

static inline pf_status model_import(const Onnx__ModelProto *model, const char *folder, const pf_onnx_options *options,
                                     pf_graph **out, pf_err *err)
{
    pf_buf    bytes;
    pf_status st = PF_OK;

    model_bytes(model, &bytes);
    st = pf_onnx_import_bytes(bytes.data, bytes.size, folder, options, out, err);
    pf_buf_clear(&bytes);
    return st;
}

/* A graph that verifies, or the test fails. */
static inline pf_graph *model_good(const char *text)
{
    pf_graph *graph = NULL;
    pf_err    err = { 0 };

    test_ok(model_import(model_of(text), NULL, NULL, &graph, &err), &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    return graph;
}

/* The import fails with this status, and the message holds `word`. */
static inline void model_bad(const char *text, pf_status status, const char *word)
{
    pf_graph *graph = NULL;
    pf_err    err = { 0 };
    pf_status st = model_import(model_of(text), NULL, NULL, &graph, &err);

    assert_null(graph);
    if (!strstr(err.msg, word))
        fail_msg("\"%s\" says nothing of \"%s\"", err.msg, word);
    test_fails(st, status, &err);
}

/* Runs the graph on one input of floats 1, 2, 3 ... (or 0, 1, 2 ... for integers) of these dims and compares output 0
   with numbers. */
static inline void model_gives(const char *text, const char *dims, const char *numbers)
{
    pf_graph *graph = model_good(text);
    pf_tensor in = { .dtype = PF_F32 }, *out = calloc(graph->output_count, sizeof *out);
    char     *copy = model_copy(dims), *part = NULL;
    pf_err    err = { 0 };
    int64_t   i = 0;

    in.dtype = graph->input_count ? pf_graph_value(graph, graph->inputs[0])->dtype : PF_F32;
    while (strcmp(dims, ".") && (part = strsep(&copy, ",")))
        in.dim[in.rank++] = atoll(part);
    test_ok(pf_tensor_alloc(&in, &err), &err);
    for (int64_t k = 0; k < pf_tensor_elems(&in); k++)
        pf_dtype_set(in.dtype, in.data, (uint64_t)k, (double)(k + pf_dtype_is_float(in.dtype)));
    test_ok(pf_interpret(graph, &in, out, NULL, NULL, &err), &err);
    copy = model_copy(numbers);
    while ((part = strsep(&copy, " "))) {
        double got = i < pf_tensor_elems(&out[0]) ? pf_dtype_get(out[0].dtype, out[0].data, (uint64_t)i) : 0;

        if (i >= pf_tensor_elems(&out[0]) || got - atof(part) > 1e-5 || atof(part) - got > 1e-5)
            fail_msg("element %lld of %lld is %g and should be %s", (long long)i, (long long)pf_tensor_elems(&out[0]),
                     got, part);
        i++;
    }
    assert_int_equal(pf_tensor_elems(&out[0]), i);
    for (uint32_t k = 0; k < graph->output_count; k++)
        pf_tensor_clear(&out[k]);
    pf_tensor_clear(&in);
    free(out);
    pf_graph_free(graph);
}

#endif
