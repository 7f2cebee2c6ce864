/* A finding of the kind "checked plan", with an entry for each shape that was tried: its max_rel_error says how far off the outputs were.
   The first entry's workspace_bytes is the plan's memory, the second's the lower bound. */
#include "engine/check_record.h"

#include "engine/finding.h"

#define KIND   "checked plan"
#define TACTIC "plan"
#define USUAL  "usual"
#define LEAST  "least"

bool pf_check_record_find(pf_timing_store *store, const pf_device *device, const pf_digest *draft, pf_plan_check *out)
{
    pf_timing_record       record = { 0 };
    const pf_timing_entry *usual = NULL, *least = NULL;

    if (pf_finding_lookup(store, device, KIND, draft, &record, NULL) == PF_OK) {
        usual = pf_timing_record_find(&record, TACTIC, USUAL);
        least = pf_timing_record_find(&record, TACTIC, LEAST);
    }
    if (usual && least)
        *out = (pf_plan_check){ .max_rel_error = usual->max_rel_error, .max_rel_error_least = least->max_rel_error,
                                .memory_bytes = usual->workspace_bytes, .memory_lower_bound_bytes = least->workspace_bytes };
    pf_timing_record_clear(&record);
    return usual && least;
}

pf_status pf_check_record_keep(pf_timing_store *store, const pf_device *device, const pf_digest *draft, const pf_plan_check *check, pf_err *err)
{
    pf_timing_record record = { 0 };
    pf_status        st = pf_finding_put(&record, TACTIC, USUAL, check->memory_bytes, check->max_rel_error, err);

    if (!st)
        st = pf_finding_put(&record, TACTIC, LEAST, check->memory_lower_bound_bytes, check->max_rel_error_least, err);
    if (!st)
        st = pf_finding_merge(store, device, KIND, draft, &record, err);
    pf_timing_record_clear(&record);
    return st;
}
