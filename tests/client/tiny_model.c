#include "tests/client/tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "engine/onnx/onnx.pb-c.h"
#include "tests/test.h"

enum { ITEMS = 64, DIMS = 4, FLOAT_TYPE = 1, INT64_TYPE = 7, OPSET = 17, IR_VERSION = 8 };

/* A model under construction; everything lives until write_model. */
typedef struct model {
    Onnx__GraphProto   graph;
    Onnx__NodeProto   *nodes[ITEMS];
    Onnx__TensorProto *weights[ITEMS];
    Onnx__ValueInfoProto *inputs[ITEMS], *outputs[ITEMS];
    void  *blocks[16 * ITEMS];
    int    block_count;
} model;

static void *block(model *m, size_t bytes)
{
    void *data = calloc(1, bytes);

    assert_non_null(data);
    assert_true(m->block_count < 16 * ITEMS);
    m->blocks[m->block_count++] = data;
    return data;
}

static char *name_of(model *m, const char *text)
{
    char *copy = block(m, strlen(text) + 1);

    memcpy(copy, text, strlen(text) + 1);
    return copy;
}

static void begin(model *m)
{
    memset(m, 0, sizeof *m);
    onnx__graph_proto__init(&m->graph);
    m->graph.name = name_of(m, "tiny");
    m->graph.node = m->nodes;
    m->graph.initializer = m->weights;
    m->graph.input = m->inputs;
    m->graph.output = m->outputs;
}

/* inputs: names up to NULL. */
static Onnx__NodeProto *add_node(model *m, const char *op, const char *output, const char *const *inputs)
{
    Onnx__NodeProto *node = block(m, sizeof *node);

    onnx__node_proto__init(node);
    node->op_type = name_of(m, op);
    node->name = name_of(m, output);
    node->output = block(m, sizeof(char *));
    node->output[node->n_output++] = name_of(m, output);
    node->input = block(m, 4 * sizeof(char *));
    while (inputs[node->n_input]) {
        node->input[node->n_input] = name_of(m, inputs[node->n_input]);
        node->n_input++;
    }
    m->nodes[m->graph.n_node++] = node;
    return node;
}

#define NODE(m, op, output, ...) add_node((m), (op), (output), (const char *const[]){__VA_ARGS__, NULL})

static void add_ints(model *m, Onnx__NodeProto *node, const char *name, int64_t value, size_t count)
{
    Onnx__AttributeProto *attribute = block(m, sizeof *attribute);

    onnx__attribute_proto__init(attribute);
    attribute->name = name_of(m, name);
    attribute->has_type = 1;
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    attribute->ints = block(m, count * sizeof(int64_t));
    attribute->n_ints = count;
    for (size_t i = 0; i < count; i++)
        attribute->ints[i] = value;
    node->attribute = block(m, sizeof(void *));
    node->attribute[node->n_attribute++] = attribute;
}

static void add_weight(model *m, const char *name, const int64_t *dims, size_t rank)
{
    Onnx__TensorProto *tensor = block(m, sizeof *tensor);
    pf_random          random;
    size_t             count = 1;

    onnx__tensor_proto__init(tensor);
    tensor->name = name_of(m, name);
    tensor->has_data_type = 1;
    tensor->data_type = FLOAT_TYPE;
    tensor->dims = block(m, rank * sizeof(int64_t) + 1);
    tensor->n_dims = rank;
    for (size_t d = 0; d < rank; d++) {
        tensor->dims[d] = dims[d];
        count *= (size_t)dims[d];
    }
    tensor->has_raw_data = 1;
    tensor->raw_data = (ProtobufCBinaryData){count * sizeof(float), block(m, count * sizeof(float))};
    pf_random_init(&random, m->graph.n_initializer);
    for (size_t i = 0; i < count; i++) {
        float value = (float)(0.2 * pf_random_normal(&random));

        memcpy(tensor->raw_data.data + i * sizeof value, &value, sizeof value);
    }
    m->weights[m->graph.n_initializer++] = tensor;
}

/* A dim of 0 is the symbol "batch". */
static Onnx__ValueInfoProto *value(model *m, const char *name, const int64_t *dims, size_t rank)
{
    Onnx__ValueInfoProto    *info = block(m, sizeof *info);
    Onnx__TypeProto         *type = block(m, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = block(m, sizeof *tensor);
    Onnx__TensorShapeProto  *shape = block(m, sizeof *shape);

    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    info->name = name_of(m, name);
    info->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = FLOAT_TYPE;
    tensor->shape = shape;
    shape->dim = block(m, DIMS * sizeof(void *));
    for (size_t d = 0; d < rank; d++) {
        Onnx__TensorShapeProto__Dimension *dim = block(m, sizeof *dim);

        onnx__tensor_shape_proto__dimension__init(dim);
        dim->has_dim_value = dims[d] != 0;
        dim->dim_value = dims[d];
        dim->dim_param = dims[d] ? NULL : name_of(m, "batch");
        shape->dim[shape->n_dim++] = dim;
    }
    return info;
}

static void add_input(model *m, const char *name, const int64_t *dims, size_t rank)
{
    m->inputs[m->graph.n_input++] = value(m, name, dims, rank);
}

static void add_output(model *m, const char *name, const int64_t *dims, size_t rank)
{
    m->outputs[m->graph.n_output++] = value(m, name, dims, rank);
}

static void write_model(model *m, const char *path)
{
    Onnx__ModelProto          whole = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto  opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[] = {&opset};
    uint8_t                  *bytes = NULL;
    size_t                    count = 0;
    pf_err                    err = {0};

    opset.has_version = 1;
    opset.version = OPSET;
    whole.has_ir_version = 1;
    whole.ir_version = IR_VERSION;
    whole.opset_import = opsets;
    whole.n_opset_import = 1;
    whole.graph = &m->graph;
    count = onnx__model_proto__get_packed_size(&whole);
    bytes = block(m, count);
    onnx__model_proto__pack(&whole, bytes);
    test_ok(pf_file_write(path, bytes, count, &err), &err);
    for (int i = 0; i < m->block_count; i++)
        free(m->blocks[i]);
}

static void add_conv(model *m, const char *output, const char *input, int64_t from, int64_t to)
{
    char weight[64];

    snprintf(weight, sizeof weight, "%s.weight", output);
    add_weight(m, weight, (const int64_t[]){to, from, 3, 3}, 4);
    add_ints(m, NODE(m, "Conv", output, input, weight), "pads", 1, 4);
}

static void describe_data(model *m, Onnx__TensorProto *tensor, const char *key, const char *text)
{
    Onnx__StringStringEntryProto *entry = block(m, sizeof *entry);

    onnx__string_string_entry_proto__init(entry);
    entry->key = name_of(m, key);
    entry->value = name_of(m, text);
    tensor->external_data = tensor->external_data ? tensor->external_data : block(m, 3 * sizeof(void *));
    tensor->external_data[tensor->n_external_data++] = entry;
}

/* Moves all weights into a file beside the model. */
static void move_weights(model *m, const char *path, const char *location)
{
    pf_buf data = {0};
    char   beside[4200], number[32];
    pf_err err = {0};

    pf_buf_init(&data, 1 << 20);
    for (size_t i = 0; i < m->graph.n_initializer; i++) {
        Onnx__TensorProto *tensor = m->weights[i];
        describe_data(m, tensor, "location", location);
        snprintf(number, sizeof number, "%zu", data.size);
        describe_data(m, tensor, "offset", number);
        snprintf(number, sizeof number, "%zu", tensor->raw_data.len);
        describe_data(m, tensor, "length", number);
        pf_buf_put(&data, tensor->raw_data.data, tensor->raw_data.len);
        tensor->has_raw_data = 0;
        tensor->has_data_location = 1;
        tensor->data_location = 1;
    }
    snprintf(beside, sizeof beside, "%.*s/%s", (int)(strrchr(path, '/') - path), path, location);
    test_ok(pf_file_write(beside, data.data, data.size, &err), &err);
    pf_buf_clear(&data);
}

/* location NULL: the weights are in the model. */
static void write_tiny(model *m, const char *path, const char *location)
{
    add_input(m, "x", (const int64_t[]){0, 3, 16, 16}, 4);
    add_conv(m, "c", "x", 3, 8);
    NODE(m, "Relu", "conv", "c");
    NODE(m, "GlobalAveragePool", "pooled", "conv");
    NODE(m, "Flatten", "flat", "pooled");
    add_weight(m, "w", (const int64_t[]){8, 4}, 2);
    add_weight(m, "b", (const int64_t[]){4}, 1);
    NODE(m, "Gemm", "scores", "flat", "w", "b");
    add_output(m, "scores", (const int64_t[]){0, 4}, 2);
    add_output(m, "conv", (const int64_t[]){0, 8, 16, 16}, 4);
    if (location)
        move_weights(m, path, location);
    write_model(m, path);
}

void tiny_model(const char *path)
{
    model m;

    begin(&m);
    write_tiny(&m, path, NULL);
}

void tiny_model_external(const char *path, const char *location)
{
    model m;

    begin(&m);
    write_tiny(&m, path, location);
}

/* A weight that nobody uses moves the seeds of the others. */
void tiny_model_again(const char *path)
{
    model m;

    begin(&m);
    add_weight(&m, "unused", (const int64_t[]){1}, 1);
    write_tiny(&m, path, NULL);
}

void tiny_model_image(const char *path)
{
    model m;

    begin(&m);
    add_input(&m, "input", (const int64_t[]){0, 3, 224, 224}, 4);
    add_weight(&m, "conv.weight", (const int64_t[]){8, 3, 3, 3}, 4);
    add_ints(&m, NODE(&m, "Conv", "conv", "input", "conv.weight"), "strides", 16, 2);
    NODE(&m, "Relu", "relu", "conv");
    NODE(&m, "GlobalAveragePool", "pooled", "relu");
    NODE(&m, "Flatten", "flat", "pooled");
    add_weight(&m, "w", (const int64_t[]){8, 10}, 2);
    add_weight(&m, "b", (const int64_t[]){10}, 1);
    NODE(&m, "Gemm", "output", "flat", "w", "b");
    add_output(&m, "output", (const int64_t[]){0, 10}, 2);
    write_model(&m, path);
}

void tiny_model_deep(const char *path, int layers, int side)
{
    model m;
    char  last[32] = "x", next[32];

    begin(&m);
    add_input(&m, "x", (const int64_t[]){1, 4, side, side}, 4);
    for (int i = 0; i < layers; i++) {
        snprintf(next, sizeof next, "c%d", i);
        add_conv(&m, next, last, 4 + i, 5 + i);
        snprintf(last, sizeof last, "%s", next);
    }
    add_output(&m, last, (const int64_t[]){1, 4 + layers, side, side}, 4);
    write_model(&m, path);
}

void tiny_model_add(const char *path)
{
    const int64_t dims[] = {2, 3};
    model         m;

    begin(&m);
    add_input(&m, "x", dims, 2);
    add_input(&m, "y", dims, 2);
    NODE(&m, "Add", "sum", "x", "y");
    add_output(&m, "sum", dims, 2);
    write_model(&m, path);
}

void tiny_model_twice(const char *path)
{
    const int64_t dims[] = {2, 3};
    model         m;

    begin(&m);
    add_input(&m, "x", dims, 2);
    NODE(&m, "Relu", "once", "x");
    NODE(&m, "Relu", "twice", "once");
    add_output(&m, "twice", dims, 2);
    write_model(&m, path);
}

void tiny_model_places(const char *path)
{
    const int64_t dims[] = {2, 3};
    model         m;

    begin(&m);
    add_input(&m, "x", dims, 2);
    NODE(&m, "Relu", "positive", "x");
    NODE(&m, "NonZero", "places", "positive");
    add_output(&m, "places", dims, 0);
    m.outputs[0]->type->tensor_type->elem_type = INT64_TYPE;
    m.outputs[0]->type->tensor_type->shape = NULL;
    write_model(&m, path);
}

void tiny_model_placed_rows(const char *path)
{
    const int64_t dims[] = {3, 3};
    model         m;

    begin(&m);
    add_input(&m, "x", dims, 2);
    add_weight(&m, "w", (const int64_t[]){3, 4}, 2);
    NODE(&m, "NonZero", "places", "x");
    NODE(&m, "Gather", "rows", "x", "places");
    NODE(&m, "MatMul", "y", "rows", "w");
    add_output(&m, "y", dims, 0);
    m.outputs[0]->type->tensor_type->shape = NULL;
    write_model(&m, path);
}

void tiny_model_odd_name(const char *path)
{
    const int64_t dims[] = {2, 3};
    model         m;

    begin(&m);
    add_input(&m, "x", dims, 2);
    NODE(&m, "Relu", "../two\nlines", "x");
    add_output(&m, "../two\nlines", dims, 2);
    write_model(&m, path);
}

void tiny_model_unknown(const char *path)
{
    const int64_t dims[] = {2, 3};
    model         m;

    begin(&m);
    add_input(&m, "x", dims, 2);
    NODE(&m, "Frobnicate", "f", "x");
    NODE(&m, "Quux", "q", "f");
    add_output(&m, "q", dims, 2);
    write_model(&m, path);
}

void tiny_model_cycle(const char *path)
{
    const int64_t dims[] = {2, 3};
    model         m;

    begin(&m);
    add_input(&m, "x", dims, 2);
    NODE(&m, "Add", "a", "x", "b");
    NODE(&m, "Relu", "b", "a");
    add_output(&m, "b", dims, 2);
    write_model(&m, path);
}

void tiny_model_misfit(const char *path)
{
    model m;

    begin(&m);
    add_input(&m, "x", (const int64_t[]){2, 3}, 2);
    add_input(&m, "y", (const int64_t[]){4, 5}, 2);
    NODE(&m, "MatMul", "z", "x", "y");
    add_output(&m, "z", (const int64_t[]){2, 5}, 2);
    write_model(&m, path);
}
