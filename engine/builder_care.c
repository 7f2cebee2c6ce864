/* A finding of the kind "care", with two entries: what was chosen, its workspace_bytes the care and its max_rel_error
   what the references said of it, and what they said of no care. */
#include "engine/builder_care.h"

#include <stdlib.h>

#include "base/log.h"
#include "engine/finding.h"

#define KIND    "care"
#define TACTIC  "precision"
#define LOWERED "lowered"
#define TUNING  "11"             /* raised when equal networks would get another care */

/* What outputs may be off by, as shares of their range, where the build spec does not say. */
#define F16_MOST_ERROR  1e-2
#define BF16_MOST_ERROR 8e-2
#define TF32_MOST_ERROR 1e-3

bool pf_builder_rounds(const pf_config *config, const pf_device *device)
{
    return pf_variant_is_lowered(config) || (pf_config_bool(config, PF_CONFIG_tf32) && device->kind != PF_DEVICE_CPU);
}

pf_precision_care pf_builder_more_care(const pf_config *config, pf_precision_care care)
{
    enum { FIRST_RAISED = 8 };
    uint32_t raised = pf_precision_care_last(care);

    if (care & PF_CARE_ALL)
        return care | PF_CARE_EXACT;
    if (!pf_variant_is_lowered(config) || 2 * raised >= PF_CARE_SLICES)
        return PF_CARE_ALL | (care & PF_CARE_EXACT);
    return (care & PF_CARE_EXACT) | PF_CARE_DECISIONS | PF_CARE_GATES |
           pf_precision_care_first(raised ? 2 * raised : FIRST_RAISED);
}

static bool find(pf_timing_store *store, const pf_device *device, const pf_digest *key, pf_precision_choice *out)
{
    pf_timing_record       record = { 0 };
    const pf_timing_entry *chosen = NULL, *lowered = NULL;

    if (pf_finding_lookup(store, device, KIND, key, &record, NULL) == PF_OK) {
        chosen = pf_timing_record_find(&record, TACTIC, TUNING);
        lowered = pf_timing_record_find(&record, LOWERED, TUNING);
    }
    if (chosen && lowered)
        *out = (pf_precision_choice){ (pf_precision_care)chosen->workspace_bytes, chosen->max_rel_error,
                                      lowered->max_rel_error };
    pf_timing_record_clear(&record);
    return chosen && lowered;
}

static pf_status keep(pf_timing_store *store, const pf_device *device, const pf_digest *key,
                      const pf_precision_choice *choice, pf_err *err)
{
    pf_timing_record record = { 0 };
    pf_status        st = pf_finding_put(&record, TACTIC, TUNING, choice->care, choice->error, err);

    if (!st)
        st = pf_finding_put(&record, LOWERED, TUNING, PF_CARE_USUAL, choice->lowered_error, err);
    if (!st)
        st = pf_finding_merge(store, device, KIND, key, &record, err);
    pf_timing_record_clear(&record);
    return st;
}

static pf_precision_wish wish_of(const pf_config *config)
{
    const char       *most = pf_config_value(config, PF_CONFIG_max_error);
    pf_precision_wish wish = { .narrow = PF_DTYPE_NONE, .most_error = TF32_MOST_ERROR };

    if (pf_config_bool(config, PF_CONFIG_fp16)) {
        wish.narrow = PF_F16;
        wish.most_error = F16_MOST_ERROR;
    } else if (pf_config_bool(config, PF_CONFIG_bf16)) {
        wish.narrow = PF_BF16;
        wish.most_error = BF16_MOST_ERROR;
    }
    if (*most) {
        wish.most_error = strtod(most, NULL);
        wish.must = true;
    }
    return wish;
}

static void log_choice(const pf_precision_choice *choice)
{
    char text[PF_CARE_TEXT_BYTES] = "";

    pf_precision_care_text(choice->care, text, sizeof text);
    if (choice->care != PF_CARE_USUAL)
        pf_log(PF_LOG_INFO, "builder", "precision-chosen fp32=\"%s\" expected=%.2g lowered=%.2g", text, choice->error,
               choice->lowered_error);
}

pf_status pf_builder_care(pf_timing_store *store, pf_device *device, const pf_config *config,
                          const pf_digest *key, const pf_graph *original, const pf_profile *profile,
                          pf_precision_choice *out, pf_oracle *first, pf_err *err)
{
    pf_precision_wish wish = wish_of(config);
    pf_variant       *plain = NULL;
    pf_status         st = PF_OK;

    *out = (pf_precision_choice){ PF_CARE_USUAL, -1, -1 };
    if (!pf_builder_rounds(config, device) || find(store, device, key, out))
        return PF_OK;
    if (device->ops->wake && pf_config_int(config, PF_CONFIG_effort) > 0)
        device->ops->wake(device);      /* what is not known of the precision is not timed either, mostly */
    st = pf_variant_new(original, config, device, PF_CARE_ALL, NULL, NULL, &plain, err);
    if (!st)
        st = pf_precision_choose(original, plain->graph, profile->usual, &wish, out, first, err);
    pf_variant_free(plain);
    pf_graph_forget_constants(original);
    if (!st)
        log_choice(out);
    return st ? st : keep(store, device, key, out, err);
}
