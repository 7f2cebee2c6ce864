/* A plan as JSON, for people and scripts. */
#include <jansson.h>
#include <string.h>

#include "engine/op.h"
#include "engine/plan.h"

static json_t *hex_of(const pf_digest *digest)
{
    char hex[PF_DIGEST_HEX_BYTES] = "";

    pf_digest_to_hex(digest, hex);
    return json_string(hex);
}

/* Names come from models and need not be UTF-8. */
static json_t *text_of(const char *text)
{
    json_t *string = json_string(text);
    char    safe[256] = "";

    if (string)
        return string;
    for (size_t i = 0; text[i] && i + 1 < sizeof safe; i++)
        safe[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    return json_string(safe);
}

static json_t *dims_of(const pf_plan *plan, const pf_shape *shape)
{
    json_t *list = json_array();

    for (int32_t d = 0; d < shape->rank; d++) {
        pf_buf text = { 0 };

        if (pf_dim_is_number(shape->dim[d])) {
            json_array_append_new(list, json_integer(shape->dim[d]));
            continue;
        }
        pf_buf_init(&text, 4096);
        pf_dim_print(plan->dims, shape->dim[d], &text);
        json_array_append_new(list, text_of(text.data ? (const char *)text.data : "?"));
        pf_buf_clear(&text);
    }
    return list;
}

static json_t *numbers_of(const int64_t *items, int32_t count)
{
    json_t *list = json_array();

    for (int32_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(items[i]));
    return list;
}

static json_t *value_of(const pf_plan *plan, uint32_t index)
{
    const pf_plan_value *value = &plan->values[index];

    return json_pack("{s:o, s:s, s:o, s:s}", "name", text_of(value->name), "dtype", pf_dtype_name(value->dtype),
                     "shape", dims_of(plan, &value->shape), "layout", pf_layout_print(value->layout).at);
}

static json_t *values_of(const pf_plan *plan, const uint32_t *indices, uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, value_of(plan, indices[i]));
    return list;
}

static json_t *fallbacks_of(const pf_plan_step *step)
{
    json_t *list = json_array();

    for (uint32_t i = 1; i < step->ranked_count; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:I}", "tactic", text_of(step->ranked[i].tactic), "tuning",
                                              text_of(step->ranked[i].tuning), "time_ns",
                                              (json_int_t)step->ranked[i].time_ns));
    return list;
}

static json_t *layer_of(const pf_plan *plan, uint32_t s)
{
    const pf_plan_step *step = &plan->steps[s];
    uint64_t            packed = step->packed == PF_NONE ? 0 : plan->blobs[step->packed].bytes;

    return json_pack("{s:o, s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "name", text_of(step->name),
                     "tactic", text_of(step->ranked[0].tactic), "tuning", text_of(step->ranked[0].tuning), "rev",
                     (int)step->ranked[0].rev, "time_ns", (json_int_t)step->ranked[0].time_ns, "workspace_bytes",
                     (json_int_t)step->workspace_bytes, "packed_bytes", (json_int_t)packed, "saved_bytes",
                     (json_int_t)step->saved_bytes, "inputs",
                     values_of(plan, step->in, step->problem->graph->input_count), "outputs",
                     values_of(plan, step->out, step->problem->graph->output_count), "fallbacks", fallbacks_of(step),
                     "problem", text_of(step->problem_text));
}

static json_t *layers_of(const pf_plan *plan)
{
    json_t *list = json_array();

    for (uint32_t s = 0; s < plan->step_count; s++)
        json_array_append_new(list, layer_of(plan, s));
    return list;
}

static json_t *io_of(const pf_plan *plan, bool inputs)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < plan->io_count; i++) {
        const pf_io *io = &plan->io[i];

        if (io->is_input == inputs)
            json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "name", text_of(io->name), "dtype",
                                                  pf_dtype_name(io->dtype), "shape",
                                                  dims_of(plan, &plan->values[plan->io_value[i]].shape), "min",
                                                  numbers_of(io->min, io->rank), "opt", numbers_of(io->opt, io->rank),
                                                  "max", numbers_of(io->max, io->rank)));
    }
    return list;
}

static json_t *symbols_of(const pf_plan *plan)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < plan->symbol_count; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:I, s:I}", "name", text_of(plan->symbols[i].name), "min",
                                        (json_int_t)plan->symbols[i].least, "opt", (json_int_t)plan->symbols[i].usual,
                                        "max", (json_int_t)plan->symbols[i].most));
    return list;
}

/* "key=value" or "key value" lines. */
static json_t *lines_of(const char *text, char separator)
{
    json_t *object = json_object();

    for (const char *at = text; *at;) {
        size_t bytes = strcspn(at, "\n");
        const char *split = memchr(at, separator, bytes);
        char key[128] = "", value[1024] = "";

        if (split && (size_t)(split - at) < sizeof key && bytes - (size_t)(split - at) < sizeof value) {
            memcpy(key, at, (size_t)(split - at));
            memcpy(value, split + 1, bytes - (size_t)(split - at) - 1);
            json_object_set_new(object, key, text_of(value));
        }
        at += bytes + (at[bytes] != 0);
    }
    return object;
}

static json_t *plan_of(const pf_plan *plan)
{
    pf_digest digest = { 0 };

    pf_plan_digest(plan, &digest);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:f, s:I, s:I, s:f, s:I, "
                     "s:I}",
                     "network", text_of(plan->network_name), "key", hex_of(&plan->key), "digest", hex_of(&digest),
                     "model", hex_of(&plan->model), "builder", text_of(plan->builder_abi), "class_name",
                     text_of(plan->class_name), "class", lines_of(plan->class_text, '='), "spec",
                     lines_of(plan->spec_text, '='), "rewrites", lines_of(plan->rewrites, ' '), "symbols",
                     symbols_of(plan), "inputs", io_of(plan, true), "outputs", io_of(plan, false), "layers",
                     layers_of(plan), "max_rel_error", plan->check.max_rel_error, "max_rel_error_least",
                     plan->check.max_rel_error_least, "memory_bytes", (json_int_t)plan->check.memory_bytes,
                     "memory_lower_bound_bytes", (json_int_t)plan->check.memory_lower_bound_bytes, "memory_ratio",
                     pf_plan_memory_ratio(plan), "weights_bytes", (json_int_t)plan->weights_bytes, "plan_bytes",
                     (json_int_t)plan->bytes);
}

static int put(const char *bytes, size_t count, void *user)
{
    return pf_buf_put(user, bytes, count) ? 0 : -1;
}

pf_status pf_plan_describe(const pf_plan *plan, pf_buf *json, pf_err *err)
{
    json_t *object = plan_of(plan);
    int     failed = !object || json_dump_callback(object, put, json, JSON_INDENT(1) | JSON_PRESERVE_ORDER);

    json_decref(object);
    return failed || json->failed
               ? PF_FAIL(err, PF_NO_SPACE, "the description of the plan does not fit into memory or its buffer")
               : PF_OK;
}
