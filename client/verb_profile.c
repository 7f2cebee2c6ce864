#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "client/layer_times.h"
#include "client/output.h"
#include "client/ready_plan.h"

static const pf_option options[] = {
    {.name = "runs", .kind = PF_OPTION_INT, .value = "N", .fallback = "10", .least = 1, .greatest = 1e6,
     .help = "runs of which each layer's median counts"},
    {.name = "top", .kind = PF_OPTION_INT, .value = "N", .fallback = "0", .least = 0, .greatest = 1e9,
     .help = "only the N costliest layers, the costliest first; 0: all, as they run"},
    PF_INPUT_OPTIONS,
    PF_DEVICE_OPTIONS,
    {.name = NULL},
};

/* ---- Layers */

static int by_cost(const void *a, const void *b, void *times)
{
    int64_t left = pf_layer_times_ns(times, *(const uint32_t *)a);
    int64_t right = pf_layer_times_ns(times, *(const uint32_t *)b);

    return left < right ? 1 : left > right ? -1 : 0;
}

static pf_status put_layers(pf_call *call, const pf_plan *plan, pf_layer_times *times, pf_err *err)
{
    uint32_t  top = (uint32_t)pf_args_int(call->args, "top");
    uint32_t *order = top ? pf_alloc((size_t)(times->count + 1) * sizeof *order) : NULL;

    if (top && !order)
        return PF_FAIL_MEMORY(err, times->count * sizeof *order);
    for (uint32_t i = 0; order && i < times->count; i++)
        order[i] = i;
    if (order)
        qsort_r(order, times->count, sizeof *order, by_cost, times);
    pf_layer_times_put(call, plan, times, order, top && top < times->count ? top : times->count);
    pf_free(order);
    return PF_OK;
}

/* ---- By tactic */

typedef struct sum { const char *tactic; uint32_t layers; int64_t ns; } sum;

static int by_sum(const void *a, const void *b)
{
    int64_t left = ((const sum *)a)->ns, right = ((const sum *)b)->ns;

    return left < right ? 1 : left > right ? -1 : strcmp(((const sum *)a)->tactic, ((const sum *)b)->tactic);
}

static uint32_t add_up(const pf_plan *plan, const pf_layer_times *times, sum *sums)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < times->count; i++) {
        pf_layer layer = {0};
        uint32_t at = 0;

        pf_plan_layer(plan, i, &layer);
        while (at < count && strcmp(sums[at].tactic, layer.tactic))
            at++;
        if (at == count)
            sums[count++] = (sum){.tactic = layer.tactic};
        sums[at].layers++;
        sums[at].ns += pf_layer_times_ns(times, i);
    }
    qsort(sums, count, sizeof *sums, by_sum);
    return count;
}

static pf_status put_tactics(pf_call *call, const pf_plan *plan, const pf_layer_times *times, pf_err *err)
{
    sum     *sums = pf_calloc((size_t)times->count + 1, sizeof *sums);
    json_t  *list = json_array();
    int64_t  total = pf_layer_times_total_ns(times);
    uint32_t count = sums ? add_up(plan, times, sums) : 0;
    char     text[PF_TEXT_BYTES];

    json_object_set_new(call->result, "tactics", list);
    json_object_set_new(call->result, "total_ms", pf_json_real((double)total / 1e6));
    if (!sums)
        return PF_FAIL_MEMORY(err, times->count * sizeof *sums);
    pf_say(call, "\n");
    for (uint32_t i = 0; i < count; i++) {
        json_t *one = json_object();

        json_object_set_new(one, "tactic", pf_json_text(sums[i].tactic));
        json_object_set_new(one, "layers", pf_json_count(sums[i].layers));
        json_object_set_new(one, "total_ms", pf_json_real((double)sums[i].ns / 1e6));
        json_array_append_new(list, one);
        pf_say(call, "%10s %5.1f%%  %-24s %u layers\n", pf_text_ns(sums[i].ns, text),
               total ? 100.0 * (double)sums[i].ns / (double)total : 0, sums[i].tactic, sums[i].layers);
    }
    pf_say(call, "%10s         all\n", pf_text_ns(total, text));
    pf_free(sums);
    return PF_OK;
}

/* ---- The verb */

static pf_status profile(pf_call *call, const pf_ready_plan *ready, pf_err *err)
{
    pf_layer_times times = {0};
    pf_status      status = pf_layer_times_measure(ready->plan, ready->device, &ready->inputs,
                                                   (uint32_t)pf_args_int(call->args, "runs"), &times, err);

    if (!status)
        status = put_layers(call, ready->plan, &times, err);
    if (!status)
        status = put_tactics(call, ready->plan, &times, err);
    pf_layer_times_clear(&times);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    return pf_ready_plan_run(call, profile, err);
}

const pf_verb_body pf_verb_profile = {
    .options = options,
    .details = "  Layers as they run, each with its share of all, and what each tactic takes.  Where runs are\n"
               "  captured, a layer's time within a graph counts, which is what its end is later than that of the\n"
               "  layer before; these add up to a run.  Beside it stands the time of the layer launched alone.\n"
               "  For Nsight there are planfarm bench --ranges and --profiler.\n"
               "\n"
               "  --json: layers, each name tactic median_ms captured_ms (where runs are captured); tactics, each\n"
               "  tactic layers total_ms; total_ms\n",
    .run = run,
};
