/* A record of the problem "checked plan", with an entry for each shape that was tried: its max_rel_error says how far off the outputs were.
   The first entry's workspace_bytes is the plan's memory, the second's the lower bound. */
#include "engine/check_record.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { TEXT_BYTES = 128 };
#define TACTIC "plan"
#define USUAL  "usual"
#define LEAST  "least"

static void text_of(const pf_digest *draft, char out[TEXT_BYTES])
{
    char hex[PF_DIGEST_HEX_BYTES] = "";

    pf_digest_to_hex(draft, hex);
    snprintf(out, TEXT_BYTES, "checked plan\n%s\n", hex);
}

bool pf_check_record_find(pf_timing_store *store, const pf_device *device, const pf_digest *draft, pf_plan_check *out)
{
    char                   text[TEXT_BYTES] = "";
    pf_digest              problem = { 0 };
    pf_timing_record       record = { 0 };
    const pf_timing_entry *usual = NULL, *least = NULL;

    text_of(draft, text);
    pf_digest_of(text, strlen(text), &problem);
    if (store->lookup(store, &device->class_digest, &problem, 1, &record, NULL) == PF_OK) {
        usual = pf_timing_record_find(&record, TACTIC, USUAL);
        least = pf_timing_record_find(&record, TACTIC, LEAST);
    }
    if (usual && least)
        *out = (pf_plan_check){ .max_rel_error = usual->max_rel_error, .max_rel_error_least = least->max_rel_error,
                                .memory_bytes = usual->workspace_bytes, .memory_lower_bound_bytes = least->workspace_bytes };
    pf_timing_record_clear(&record);
    return usual && least;
}

static pf_status put(pf_timing_record *record, const char *tuning, double error, uint64_t bytes, pf_err *err)
{
    pf_timing_entry entry = { .tactic = TACTIC, .rev = 1, .status = PF_TIMED, .sample_count = 1, .workspace_bytes = bytes, .max_rel_error = error,
                              .wall_ns = pf_clock_wall_ns() };

    snprintf(entry.tuning, sizeof entry.tuning, "%s", tuning);
    return pf_timing_record_put(record, &entry, err);
}

pf_status pf_check_record_keep(pf_timing_store *store, const pf_device *device, const pf_digest *draft, const pf_plan_check *check, pf_err *err)
{
    char             text[TEXT_BYTES] = "";
    pf_timing_record record = { 0 };
    pf_status        st = put(&record, USUAL, check->max_rel_error, check->memory_bytes, err);

    text_of(draft, text);
    if (!st)
        st = put(&record, LEAST, check->max_rel_error_least, check->memory_lower_bound_bytes, err);
    if (!st)
        st = store->merge(store, device->class_text, text, &record, err);
    pf_timing_record_clear(&record);
    return st;
}
