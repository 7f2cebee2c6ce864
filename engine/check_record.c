/* A finding of the kind "checked plan", with an entry for each shape that was tried: its max_rel_error says how far off
   the outputs were.  The first entry's workspace_bytes is the plan's memory, the second's the lower bound.  A third has
   the cosine in place of an error, and the memory that a context holds. */
#include "engine/check_record.h"

#include "engine/finding.h"

#define KIND   "checked plan"
#define TACTIC "plan"
#define USUAL  "usual"
#define LEAST  "least"
#define COSINE "cosine"

bool pf_check_record_find(pf_timing_store *store, const pf_device *device, const pf_digest *draft,
                          pf_builder_verdict *out)
{
    pf_timing_record       record = { 0 };
    const pf_timing_entry *usual = NULL, *least = NULL, *cosine = NULL;

    if (pf_finding_lookup(store, device, KIND, draft, &record, NULL) == PF_OK) {
        usual = pf_timing_record_find(&record, TACTIC, USUAL);
        least = pf_timing_record_find(&record, TACTIC, LEAST);
        cosine = pf_timing_record_find(&record, TACTIC, COSINE);
    }
    if (usual && least && cosine)
        *out = (pf_builder_verdict){.plan = {.max_rel_error = usual->max_rel_error,
                                             .max_rel_error_least = least->max_rel_error,
                                             .memory_bytes = usual->workspace_bytes,
                                             .memory_lower_bound_bytes = least->workspace_bytes},
                                    .least_cosine = cosine->max_rel_error,
                                    .device_bytes = cosine->workspace_bytes};
    pf_timing_record_clear(&record);
    return usual && least && cosine;
}

pf_status pf_check_record_keep(pf_timing_store *store, const pf_device *device, const pf_digest *draft,
                               const pf_builder_verdict *verdict, pf_err *err)
{
    const pf_plan_check *check = &verdict->plan;
    pf_timing_record     record = { 0 };
    pf_status            st = pf_finding_put(&record, TACTIC, USUAL, check->memory_bytes, check->max_rel_error, err);

    if (!st)
        st = pf_finding_put(&record, TACTIC, LEAST, check->memory_lower_bound_bytes, check->max_rel_error_least, err);
    if (!st)
        st = pf_finding_put(&record, TACTIC, COSINE, verdict->device_bytes, verdict->least_cosine, err);
    if (!st)
        st = pf_finding_merge(store, device, KIND, draft, &record, err);
    pf_timing_record_clear(&record);
    return st;
}
