#include "engine/freeze.h"

#include <string.h>

static pf_value_id find_input(const pf_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->input_count; i++)
        if (!strcmp(graph->values[graph->inputs[i]].name, name))
            return graph->inputs[i];
    return PF_NONE;
}

/* Integers hold whole numbers only, each type as far as it reaches. */
static bool holds(pf_dtype dtype, double wanted)
{
    uint64_t one[2] = { 0 };

    pf_dtype_set(dtype, one, 0, wanted);
    return pf_dtype_is_float(dtype) || (pf_dtype_is_whole(dtype) && pf_dtype_get(dtype, one, 0) == wanted);
}

static pf_status cannot(const pf_named_value *wanted, const char *why, pf_err *err)
{
    return PF_FAIL(err, PF_USAGE, "freeze_inputs cannot give input \"%s\" the value %.17g: %s", wanted->name,
                   wanted->value, why);
}

/* value: NULL where there is none of that name. */
static pf_status check_input(const pf_value *value, const pf_named_value *wanted, pf_err *err)
{
    if (!value)
        return cannot(wanted, "the network has no such input; planfarm inspect MODEL lists them", err);
    if (value->kind != PF_VALUE_TENSOR || !pf_shape_is_static(&value->shape))
        return cannot(wanted, "only a tensor whose dims are all numbers can be frozen", err);
    if (!holds(value->dtype, wanted->value))
        return cannot(wanted, "its type has none such", err);
    return PF_OK;
}

/* All of its elements are alike. */
static pf_status freeze(pf_graph *graph, const pf_named_value *wanted, pf_err *err)
{
    pf_value_id id = find_input(graph, wanted->name);
    pf_value   *value = id == PF_NONE ? NULL : &graph->values[id];
    pf_status   st = check_input(value, wanted, err);
    uint64_t    elems = st ? 0 : (uint64_t)pf_value_elems(value);
    size_t      bytes = st ? 0 : pf_dtype_bytes(value->dtype, elems);
    void       *data = st ? NULL : pf_arena_alloc(graph->arena, bytes + 1);

    if (st)
        return st;
    if (!data)
        return PF_FAIL_MEMORY(err, bytes);
    for (uint64_t i = 0; i < elems; i++)
        pf_dtype_set(value->dtype, data, i, wanted->value);
    return pf_graph_freeze_input(graph, id, data, bytes, err);
}

pf_status pf_freeze_inputs(const pf_config *config, pf_graph *graph, pf_err *err)
{
    pf_named_values values = { 0 };
    pf_status       st = pf_config_values(config, PF_CONFIG_freeze_inputs, &values, err);

    for (uint32_t i = 0; i < values.count && !st; i++)
        st = freeze(graph, &values.items[i], err);
    if (!st && values.count)
        st = pf_graph_infer(graph, err);
    pf_named_values_clear(&values);
    return st;
}
