#include "engine/finding.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { TEXT_BYTES = 128 };

static void text_of(const char *kind, const pf_digest *of, char out[TEXT_BYTES])
{
    char hex[PF_DIGEST_HEX_BYTES] = "";

    pf_digest_to_hex(of, hex);
    snprintf(out, TEXT_BYTES, "%.48s\n%s\n", kind, hex);
}

pf_status pf_finding_lookup(pf_timing_store *store, const pf_device *device, const char *kind, const pf_digest *of,
                            pf_timing_record *out, pf_err *err)
{
    char      text[TEXT_BYTES] = "";
    pf_digest problem = { 0 };

    text_of(kind, of, text);
    pf_digest_of(text, strlen(text), &problem);
    return store->lookup(store, &device->timing_digest, &problem, 1, out, err);
}

pf_status pf_finding_merge(pf_timing_store *store, const pf_device *device, const char *kind, const pf_digest *of,
                           const pf_timing_record *entries, pf_err *err)
{
    char text[TEXT_BYTES] = "";

    text_of(kind, of, text);
    return store->merge(store, device->timing_text, text, entries, err);
}

void pf_finding_note_trial(pf_timing_store *store, const pf_device *device, const char *kind, const pf_digest *of,
                           const pf_timing_entry *entry)
{
    char text[TEXT_BYTES] = "";

    text_of(kind, of, text);
    store->note_trial(store, device->timing_text, text, entry);
}

pf_status pf_finding_put(pf_timing_record *record, const char *tactic, const char *tuning, uint64_t workspace_bytes,
                         double max_rel_error, pf_err *err)
{
    pf_timing_entry entry = { .rev = 1, .status = PF_TIMED, .sample_count = 1, .workspace_bytes = workspace_bytes,
                              .max_rel_error = max_rel_error, .wall_ns = pf_clock_wall_ns() };

    snprintf(entry.tactic, sizeof entry.tactic, "%s", tactic);
    snprintf(entry.tuning, sizeof entry.tuning, "%s", tuning);
    return pf_timing_record_put(record, &entry, err);
}
