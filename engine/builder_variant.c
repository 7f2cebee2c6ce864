#include "engine/builder_variant.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "engine/precision_raise.h"
#include "engine/spell.h"

enum { DISABLED_LIMIT = 1 << 20 };

/* With nothing timed, what often loses is left out. */
static pf_status list_disabled(pf_variant *v, const pf_config *config, const pf_variant *like, const pf_rule *but,
                               pf_err *err)
{
    bool                  is_untimed = pf_config_int(config, PF_CONFIG_effort) == 0;
    uint32_t              count = 0;
    const pf_rule *const *all = pf_rules(&count);
    size_t                bytes = 0;
    pf_buf                list;

    pf_buf_init(&list, DISABLED_LIMIT);
    pf_buf_printf(&list, "%s", like ? like->disabled : pf_config_value(config, PF_CONFIG_disable_rules));
    for (uint32_t i = 0; i < count; i++)
        if (all[i] == but || (is_untimed && all[i]->may_lose == PF_RULE_LOSES_OFTEN))
            pf_buf_printf(&list, "%s%s", list.size ? "," : "", all[i]->name);
    v->disabled = (char *)pf_buf_take(&list, &bytes);
    return v->disabled ? PF_OK : PF_FAIL_MEMORY(err, DISABLED_LIMIT);
}

bool pf_variant_is_lowered(const pf_config *config)
{
    return pf_config_bool(config, PF_CONFIG_fp16) || pf_config_bool(config, PF_CONFIG_bf16);
}

static pf_status lower_precision(pf_graph *graph, const pf_config *config, pf_precision_care care, pf_err *err)
{
    pf_status st = PF_OK;

    if (pf_config_bool(config, PF_CONFIG_tf32))
        st = pf_precision_refuse_tf32(graph, care, err);
    if (st || !pf_variant_is_lowered(config))
        return st;
    return pf_precision_lower(graph, pf_config_bool(config, PF_CONFIG_fp16) ? PF_F16 : PF_BF16, care, err);
}

/* A CPU computes in FP32, whatever a network says. */
static pf_status rewrite(pf_variant *v, const pf_config *config, const pf_device *device, pf_precision_care care,
                         pf_err *err)
{
    pf_rewrite_options options = { .disabled = v->disabled };
    pf_status          st = device->kind == PF_DEVICE_CPU ? pf_precision_raise(v->graph, err) : PF_OK;

    if (!st)
        st = pf_rewrite_run(v->graph, &options, &v->rewrites, err);
    if (!st)
        st = lower_precision(v->graph, config, care, err);
    return st ? st : pf_graph_verify(v->graph, err);
}

pf_status pf_variant_new(const pf_graph *original, const pf_config *config, const pf_device *device,
                         pf_precision_care care, const pf_variant *like, const pf_rule *but, pf_variant **out,
                         pf_err *err)
{
    pf_variant *v = pf_calloc(1, sizeof *v);
    pf_status   st = v ? PF_OK : PF_FAIL_MEMORY(err, sizeof *v);

    *out = NULL;
    if (v)
        v->care = care;
    if (!st)
        st = list_disabled(v, config, like, but, err);
    if (!st) {
        v->graph = pf_graph_copy(original, err);
        st = v->graph ? rewrite(v, config, device, care, err) : PF_NO_SPACE;
    }
    if (st)
        pf_variant_free(v);
    else
        *out = v;
    return st;
}

void pf_variant_free(pf_variant *v)
{
    if (!v)
        return;
    pf_formats_clear(&v->formats);
    pf_builder_tail_clear(&v->tail);
    pf_regions_clear(&v->regions);
    pf_rewrite_report_clear(&v->rewrites);
    pf_graph_free(v->graph);
    pf_free(v->disabled);
    pf_free(v);
}

static uint64_t constants_bytes(const pf_graph *graph)
{
    uint64_t bytes = 0;

    for (uint32_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].is_constant && pf_graph_use_count(graph, v))
            bytes += graph->values[v].constant.bytes;
    return bytes;
}

/* Nodes refuse TF32 where it is too coarse for them; parts of BF16 are allowed to all that may be rounded at all. */
static uint32_t numerics_of(const pf_variant *v, const pf_config *config, const pf_device *device)
{
    bool     tf32 = pf_config_bool(config, PF_CONFIG_tf32);
    uint32_t numerics = 0;

    if (tf32 && !(v->care & PF_CARE_ALL))
        numerics |= PF_NUMERICS_TF32;
    if (tf32 || pf_variant_is_lowered(config))
        numerics |= v->care & PF_CARE_EXACT ? PF_NUMERICS_BF16_THREE : PF_NUMERICS_BF16_PARTS;
    if (constants_bytes(v->graph) > device->cache_bytes)
        numerics |= PF_NUMERICS_COLD_WEIGHTS;
    return numerics;
}

pf_status pf_variant_form(pf_variant *v, const pf_config *config, pf_device *device, const pf_profile *profile,
                          pf_err *err)
{
    pf_region_rules rules = { .allows = pf_search_allows, .user = config };
    pf_status       st = PF_OK;

    v->numerics = rules.numerics = numerics_of(v, config, device);
    st = pf_spell_out(v->graph, device, profile, &rules, err);
    if (!st)
        st = pf_graph_verify(v->graph, err);
    if (!st)
        st = pf_regions_form(v->graph, device, &rules, &v->regions, err);
    return st ? st : pf_builder_tail(v->graph, device, profile, &rules, &v->regions, &v->tail, err);
}

pf_status pf_variant_choose(pf_variant *v, const pf_profile *profile, pf_search *search, pf_err *err)
{
    return pf_formats_choose(v->graph, profile, &v->regions, &v->tail, search, &v->formats, err);
}

bool pf_variant_may_do_without(const pf_variant *v, uint32_t rule)
{
    const pf_rule_use *use = rule < v->rewrites.count ? &v->rewrites.uses[rule] : NULL;

    return use && use->count && use->rule->may_lose;
}
