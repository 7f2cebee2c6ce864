#include "client/inputs.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "client/tensor_file.h"
#include "engine/config.h"
#include "engine/graph.h"
#include "engine/plan.h"

enum { SHAPE_TEXT = 160 };

/* ---- What is wanted */

static pf_status refuse_kind(const char *name, pf_value_kind kind, pf_err *err)
{
    if (kind == PF_VALUE_TENSOR)
        return PF_OK;
    return PF_FAIL(err, PF_UNSUPPORTED, "input \"%s\" is a sequence or an optional; only tensors can be given", name);
}

static pf_status alloc_wants(pf_inputs *inputs, uint32_t count, pf_err *err)
{
    *inputs = (pf_inputs){.count = count};
    inputs->wants = pf_calloc(count ? count : 1, sizeof *inputs->wants);
    inputs->tensors = pf_calloc(count ? count : 1, sizeof *inputs->tensors);
    inputs->files = pf_calloc(count ? count : 1, sizeof *inputs->files);
    if (inputs->wants && inputs->tensors && inputs->files)
        return PF_OK;
    pf_inputs_clear(inputs);
    return PF_FAIL_MEMORY(err, count * sizeof *inputs->wants);
}

static void want_of_value(const pf_value *value, pf_want *want)
{
    *want = (pf_want){.name = value->name, .dtype = value->dtype, .rank = value->shape.rank};
    for (int32_t d = 0; d < want->rank; d++) {
        bool known = pf_dim_is_number(value->shape.dim[d]);

        want->dim[d] = known ? value->shape.dim[d] : -1;
        want->usual[d] = known ? want->dim[d] : 1;
        want->most[d] = INT64_MAX;
    }
}

pf_status pf_inputs_of_graph(const pf_graph *graph, pf_inputs *out, pf_err *err)
{
    pf_status status = alloc_wants(out, graph->input_count, err);

    for (uint32_t i = 0; i < graph->input_count && !status; i++) {
        const pf_value *value = pf_graph_value(graph, graph->inputs[i]);

        want_of_value(value, &out->wants[i]);
        status = refuse_kind(value->name, value->kind, err);
    }
    if (status)
        pf_inputs_clear(out);
    return status;
}

static void want_of_io(const pf_io *io, pf_want *want)
{
    *want = (pf_want){.name = io->name, .dtype = io->dtype, .rank = io->rank};
    for (int32_t d = 0; d < io->rank; d++) {
        want->dim[d] = io->dim[d];
        want->usual[d] = io->dim[d] >= 0 ? io->dim[d] : io->opt[d] > 0 ? io->opt[d] : 1;
        want->least[d] = io->min[d];
        want->most[d] = io->max[d] >= 0 ? io->max[d] : INT64_MAX;
    }
}

pf_status pf_inputs_of_plan(const pf_plan *plan, pf_inputs *out, pf_err *err)
{
    uint32_t  count = 0, at = 0;
    pf_status status = PF_OK;

    for (uint32_t i = 0; i < pf_plan_io_count(plan); i++)
        count += pf_plan_io(plan, i)->is_input;
    status = alloc_wants(out, count, err);
    for (uint32_t i = 0; i < pf_plan_io_count(plan) && !status; i++)
        if (pf_plan_io(plan, i)->is_input) {
            want_of_io(pf_plan_io(plan, i), &out->wants[at++]);
            status = refuse_kind(pf_plan_io(plan, i)->name, pf_plan_io_kind(plan, i), err);
        }
    if (status)
        pf_inputs_clear(out);
    return status;
}

void pf_inputs_clear(pf_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->count && inputs->tensors; i++)
        pf_tensor_clear(&inputs->tensors[i]);
    pf_free(inputs->tensors);
    pf_free(inputs->wants);
    pf_free(inputs->files);
    *inputs = (pf_inputs){0};
}

static bool takes(const pf_value *value, const pf_want *want, const pf_tensor *tensor)
{
    if (strcmp(value->name, want->name) != 0 || value->dtype != want->dtype || value->shape.rank != tensor->rank)
        return false;
    for (int32_t d = 0; d < tensor->rank; d++)
        if (pf_dim_is_number(value->shape.dim[d]) && value->shape.dim[d] != tensor->dim[d])
            return false;
    return true;
}

pf_status pf_inputs_fit(const pf_inputs *inputs, const pf_graph *graph, const char *path, pf_err *err)
{
    if (graph->input_count != inputs->count)
        return PF_FAIL(err, PF_INVALID, "%s is not the network of the plan: it has %u inputs, not %u", path,
                       graph->input_count, inputs->count);
    for (uint32_t i = 0; i < inputs->count; i++)
        if (!takes(pf_graph_value(graph, graph->inputs[i]), &inputs->wants[i], &inputs->tensors[i]))
            return PF_FAIL(err, PF_INVALID,
                           "%s is not the network of the plan: its input %u, \"%.100s\", has another name, type or "
                           "shape than the plan's \"%.100s\"",
                           path, i, pf_graph_value(graph, graph->inputs[i])->name, inputs->wants[i].name);
    return PF_OK;
}

/* ---- Files */

static uint32_t find_want(const pf_inputs *inputs, const char *name, size_t length)
{
    uint32_t i = 0;

    while (i < inputs->count &&
           (strlen(inputs->wants[i].name) != length || memcmp(inputs->wants[i].name, name, length) != 0))
        i++;
    return i;
}

static pf_status unknown_input(const pf_inputs *inputs, const char *name, size_t length, pf_err *err)
{
    char   known[512] = "";
    size_t used = 0;

    for (uint32_t i = 0; i < inputs->count && used < sizeof known - 8; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", inputs->wants[i].name);
    return PF_FAIL(err, PF_USAGE, "there is no input \"%.*s\"; the inputs are: %s", (int)(length < 200 ? length : 200),
                   name, inputs->count ? known : "none");
}

/* NAME=FILE, where both may hold '='; or FILE alone for a sole input. */
static pf_status assign(pf_inputs *inputs, const char *text, pf_err *err)
{
    const char *file = NULL;
    uint32_t    i = inputs->count;

    for (const char *equals = strchr(text, '='); equals && i == inputs->count; equals = strchr(equals + 1, '=')) {
        i = find_want(inputs, text, (size_t)(equals - text));
        file = equals + 1;
    }
    if (i == inputs->count && inputs->count == 1 && !strchr(text, '=')) {
        i = 0;
        file = text;
    }
    if (i == inputs->count && strchr(text, '='))
        return unknown_input(inputs, text, strcspn(text, "="), err);
    if (i == inputs->count)
        return PF_FAIL(err, PF_USAGE, "--input %.200s names no input, and there are %u; give NAME=FILE", text,
                       inputs->count);
    if (!file[0])
        return PF_FAIL(err, PF_USAGE, "--input %.200s names no file; give NAME=FILE", text);
    if (inputs->files[i])
        return PF_FAIL(err, PF_USAGE, "input \"%s\" is given twice", inputs->wants[i].name);
    inputs->files[i] = file;
    return PF_OK;
}

static void put_dims(const int64_t *dim, int32_t rank, char out[SHAPE_TEXT])
{
    size_t used = (size_t)snprintf(out, SHAPE_TEXT, "[");

    for (int32_t d = 0; d < rank; d++)
        used += (size_t)(dim[d] < 0
                             ? snprintf(out + used, SHAPE_TEXT - used, "%s?", d ? "," : "")
                             : snprintf(out + used, SHAPE_TEXT - used, "%s%lld", d ? "," : "", (long long)dim[d]));
    snprintf(out + used, SHAPE_TEXT - used, "]");
}

static bool shape_fits(const pf_want *want, const int64_t *dim, int32_t rank)
{
    if (want->rank >= 0 && rank != want->rank)
        return false;
    for (int32_t d = 0; d < want->rank; d++)
        if (want->dim[d] >= 0 && dim[d] != want->dim[d])
            return false;
    return true;
}

static pf_status check_tensor(const pf_want *want, const pf_tensor *tensor, const char *file, pf_err *err)
{
    char wanted[SHAPE_TEXT], have[SHAPE_TEXT];

    put_dims(want->dim, want->rank, wanted);
    put_dims(tensor->dim, tensor->rank, have);
    if (tensor->dtype == want->dtype && shape_fits(want, tensor->dim, tensor->rank))
        return PF_OK;
    return PF_FAIL(err, PF_INVALID, "input \"%s\" wants %s %s and %s holds %s %s", want->name,
                   pf_dtype_name(want->dtype), want->rank < 0 ? "of any shape" : wanted, file,
                   pf_dtype_name(tensor->dtype), have);
}

static pf_status read_file(pf_inputs *inputs, uint32_t i, pf_err *err)
{
    pf_status status = pf_tensor_file_read(inputs->files[i], inputs->wants[i].dtype, &inputs->tensors[i], err);

    return status ? status : check_tensor(&inputs->wants[i], &inputs->tensors[i], inputs->files[i], err);
}

/* ---- Generated ones */

static pf_status parse_shapes(const char *text, pf_named_shapes *out, pf_err *err)
{
    pf_config *config = NULL;
    pf_status  status = pf_config_new(&config, err);

    *out = (pf_named_shapes){0};
    if (!status && text)
        status = pf_config_set(config, "shapes", text, err);
    if (!status && text)
        status = pf_config_shapes(config, PF_CONFIG_shapes, out, err);
    pf_config_free(config);
    return status;
}

/* Asked before inputs of any size are generated: a context says the same when they are there. */
static pf_status check_range(const pf_want *want, const pf_named_shape *shape, pf_err *err)
{
    for (int32_t d = 0; d < want->rank; d++)
        if (shape->dim[d] < want->least[d] || shape->dim[d] > want->most[d])
            return PF_FAIL(err, PF_INVALID,
                           "dim %d of input \"%s\" is %lld, and the plan serves %lld to %lld: build it with other "
                           "min_shapes and max_shapes",
                           d, want->name, (long long)shape->dim[d], (long long)want->least[d],
                           (long long)want->most[d]);
    return PF_OK;
}

/* Every shape given must be of an input, and of one that no file fills with another shape. */
static pf_status check_shapes(const pf_inputs *inputs, const pf_named_shapes *shapes, pf_err *err)
{
    for (uint32_t s = 0; s < shapes->count; s++) {
        const pf_named_shape *shape = &shapes->items[s];
        uint32_t              i = find_want(inputs, shape->name, strlen(shape->name));
        char                  wanted[SHAPE_TEXT], given[SHAPE_TEXT];
        pf_status             status = PF_OK;

        if (i == inputs->count)
            return unknown_input(inputs, shape->name, strlen(shape->name), err);
        put_dims(inputs->wants[i].dim, inputs->wants[i].rank, wanted);
        put_dims(shape->dim, shape->rank, given);
        if (!shape_fits(&inputs->wants[i], shape->dim, shape->rank))
            return PF_FAIL(err, PF_INVALID, "input \"%s\" has shape %s, and --shapes gives it %s", shape->name, wanted,
                           given);
        status = check_range(&inputs->wants[i], shape, err);
        if (status)
            return status;
        if (inputs->files[i] &&
            (inputs->tensors[i].rank != shape->rank ||
             memcmp(inputs->tensors[i].dim, shape->dim, (size_t)shape->rank * sizeof *shape->dim) != 0))
            return PF_FAIL(err, PF_INVALID, "input \"%s\" comes from %s, whose shape is not the %s of --shapes",
                           shape->name, inputs->files[i], given);
    }
    return PF_OK;
}

static pf_status generate(pf_inputs *inputs, uint32_t i, const pf_named_shapes *shapes, uint64_t seed, pf_err *err)
{
    const pf_want        *want = &inputs->wants[i];
    const pf_named_shape *shape = pf_named_shapes_find(shapes, want->name);
    pf_tensor            *tensor = &inputs->tensors[i];
    pf_status             status = PF_OK;

    if (want->rank < 0 && !shape)
        return PF_FAIL(err, PF_USAGE, "the rank of input \"%s\" is not known; give it with --shapes %s:...", want->name,
                       want->name);
    tensor->dtype = want->dtype;
    tensor->rank = shape ? shape->rank : want->rank;
    memcpy(tensor->dim, shape ? shape->dim : want->usual, sizeof tensor->dim);
    status = pf_tensor_alloc(tensor, err);
    if (!status)
        pf_tensor_fill_random(tensor, seed + i);
    return status ? pf_err_add(err, status, "input \"%s\"", want->name) : PF_OK;
}

pf_status pf_inputs_fill(pf_inputs *inputs, const pf_call *call, pf_err *err)
{
    uint64_t        seed = (uint64_t)pf_args_int(call->args, "seed");
    pf_named_shapes shapes = {0};
    pf_status       status = parse_shapes(pf_args_text(call->args, "shapes"), &shapes, err);

    for (uint32_t i = 0; i < pf_args_count(call->args, "input") && !status; i++)
        status = assign(inputs, pf_args_nth(call->args, "input", i), err);
    for (uint32_t i = 0; i < inputs->count && !status; i++)
        if (inputs->files[i])
            status = read_file(inputs, i, err);
    if (!status)
        status = check_shapes(inputs, &shapes, err);
    for (uint32_t i = 0; i < inputs->count && !status; i++)
        if (!inputs->files[i])
            status = generate(inputs, i, &shapes, seed, err);
    pf_named_shapes_clear(&shapes);
    return status;
}

pf_status pf_inputs_set_shapes(const pf_plan *plan, const pf_tensor *tensors, pf_context *context, pf_err *err)
{
    pf_status status = PF_OK;

    for (uint32_t i = 0, at = 0; i < pf_plan_io_count(plan) && !status; i++)
        if (pf_plan_io(plan, i)->is_input) {
            status = pf_context_set_shape(context, i, tensors[at].dim, tensors[at].rank, err);
            at++;
        }
    return status;
}

static void put_shape(const char *name, size_t length, const pf_tensor *tensor, pf_buf *out)
{
    pf_buf_printf(out, "%s%.*s:", out->size ? "," : "", (int)length, name);
    for (int32_t d = 0; d < tensor->rank; d++)
        pf_buf_printf(out, "%s%lld", d ? "x" : "", (long long)tensor->dim[d]);
}

void pf_inputs_shapes(const pf_inputs *inputs, pf_buf *out)
{
    for (uint32_t i = 0; i < inputs->count; i++)
        put_shape(inputs->wants[i].name, strlen(inputs->wants[i].name), &inputs->tensors[i], out);
}

/* ---- What is fixed of a network that is to be read */

static bool is_given(const pf_named_shapes *shapes, const char *name, size_t length)
{
    for (uint32_t i = 0; i < shapes->count; i++)
        if (strlen(shapes->items[i].name) == length && !memcmp(shapes->items[i].name, name, length))
            return true;
    return false;
}

/* NAME=FILE, where both may hold '=': the first FILE that can be read. */
static void put_file(const char *text, const pf_named_shapes *given, pf_buf *out)
{
    for (const char *equals = strchr(text, '='); equals; equals = strchr(equals + 1, '=')) {
        size_t    length = (size_t)(equals - text);
        pf_tensor tensor = {0};
        pf_err    ignored = {0};

        if (pf_tensor_file_read(equals + 1, PF_DTYPE_NONE, &tensor, &ignored))
            continue;
        if (!is_given(given, text, length))
            put_shape(text, length, &tensor, out);
        pf_tensor_clear(&tensor);
        return;
    }
}

pf_status pf_inputs_fixed(const pf_call *call, pf_config **out, pf_err *err)
{
    const char     *given = pf_args_text(call->args, "shapes"), *frozen = pf_args_text(call->args, "freeze_inputs");
    pf_named_shapes shapes = {0};
    pf_buf          text;
    pf_status       status = parse_shapes(given, &shapes, err);

    *out = NULL;
    pf_buf_init(&text, 1 << 20);
    if (given)
        pf_buf_printf(&text, "%s", given);
    for (uint32_t i = 0; i < pf_args_count(call->args, "input") && !status; i++)
        put_file(pf_args_nth(call->args, "input", i), &shapes, &text);
    if (!status)
        status = pf_config_new(out, err);
    if (!status && text.size)
        status = pf_config_set(*out, "shapes", (const char *)text.data, err);
    if (!status && frozen)
        status = pf_config_set(*out, "freeze_inputs", frozen, err);
    pf_buf_clear(&text);
    pf_named_shapes_clear(&shapes);
    return status;
}
