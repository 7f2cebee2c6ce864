#include "client/layer_times.h"

#include "base/alloc.h"
#include "client/output.h"

/* Where nothing is captured the second list is dropped. */
static pf_status measure(pf_context *context, uint32_t runs, pf_layer_times *out, pf_err *err)
{
    pf_err    why = {0};
    pf_status status = pf_context_profile(context, runs, out->alone_ns, err);
    pf_status captured = status ? status : pf_context_profile_captured(context, runs, out->captured_ns, &why);

    if (status)
        return status;
    if (captured == PF_UNSUPPORTED) {
        pf_free(out->captured_ns);
        out->captured_ns = NULL;
        return PF_OK;
    }
    return captured ? PF_FAIL(err, captured, "%s", why.msg) : PF_OK;
}

pf_status pf_layer_times_measure(pf_plan *plan, pf_device *device, const pf_inputs *inputs, uint32_t runs,
                                 pf_layer_times *out, pf_err *err)
{
    pf_context *context = NULL;
    uint32_t    count = pf_plan_layer_count(plan);
    pf_status   status = PF_OK;

    *out = (pf_layer_times){.count = count};
    out->alone_ns = pf_calloc((size_t)count + 1, sizeof *out->alone_ns);
    out->captured_ns = pf_calloc((size_t)count + 1, sizeof *out->captured_ns);
    if (!out->alone_ns || !out->captured_ns)
        status = PF_FAIL_MEMORY(err, count * sizeof *out->alone_ns);
    if (!status)
        status = pf_context_new(plan, device, NULL, &context, err);
    if (!status)
        status = pf_inputs_set_shapes(plan, inputs->tensors, context, err);
    if (!status)
        status = measure(context, runs, out, err);
    pf_context_free(context);
    if (status)
        pf_layer_times_clear(out);
    return status;
}

void pf_layer_times_clear(pf_layer_times *times)
{
    pf_free(times->alone_ns);
    pf_free(times->captured_ns);
    *times = (pf_layer_times){0};
}

int64_t pf_layer_times_ns(const pf_layer_times *times, uint32_t layer)
{
    return times->captured_ns ? times->captured_ns[layer] : times->alone_ns[layer];
}

int64_t pf_layer_times_total_ns(const pf_layer_times *times)
{
    int64_t total = 0;

    for (uint32_t i = 0; i < times->count; i++)
        total += pf_layer_times_ns(times, i);
    return total;
}

static json_t *layer_json(const pf_layer *layer, const pf_layer_times *times, uint32_t at)
{
    json_t *to = json_object();

    json_object_set_new(to, "name", pf_json_text(layer->name));
    json_object_set_new(to, "tactic", pf_json_text(layer->tactic));
    json_object_set_new(to, "median_ms", pf_json_real((double)times->alone_ns[at] / 1e6));
    if (times->captured_ns)
        json_object_set_new(to, "captured_ms", pf_json_real((double)times->captured_ns[at] / 1e6));
    return to;
}

void pf_layer_times_put(pf_call *call, const pf_plan *plan, const pf_layer_times *times, const uint32_t *order,
                        uint32_t count)
{
    json_t *list = json_array();
    int64_t total = pf_layer_times_total_ns(times);

    json_object_set_new(call->result, "layers", list);
    if (times->captured_ns)
        pf_say(call, "%10s %6s %10s\n", "in a graph", "share", "alone");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = order ? order[i] : i;
        int64_t  ns = pf_layer_times_ns(times, at);
        pf_layer layer = {0};
        char     time[PF_TEXT_BYTES], alone[PF_TEXT_BYTES];

        pf_plan_layer(plan, at, &layer);
        json_array_append_new(list, layer_json(&layer, times, at));
        pf_say(call, "%10s %5.1f%%", pf_text_ns(ns, time), total ? 100.0 * (double)ns / (double)total : 0);
        if (times->captured_ns)
            pf_say(call, " %10s", pf_text_ns(times->alone_ns[at], alone));
        pf_say(call, "  %-24s %s\n", layer.tactic, layer.name);
    }
}
