/* What a build found out that is no time of a candidate, kept among the timings and shared like them: a record of
   entries under a digest of all that the finding depends on. kind: a few words that say what it is, the first line of
   the record's text. */
#ifndef PF_ENGINE_FINDING_H
#define PF_ENGINE_FINDING_H

#include "base/timing_record.h"
#include "engine/device.h"

/* out is cleared by the caller; count 0: nothing is known. */
pf_status pf_finding_lookup(pf_timing_store *store, const pf_device *device, const char *kind, const pf_digest *of,
                            pf_timing_record *out, pf_err *err);
pf_status pf_finding_merge(pf_timing_store *store, const pf_device *device, const char *kind, const pf_digest *of,
                           const pf_timing_record *entries, pf_err *err);
/* Adds an entry that was found now; tactic and tuning name it, the other fields are the caller's. */
pf_status pf_finding_put(pf_timing_record *record, const char *tactic, const char *tuning, uint64_t workspace_bytes,
                         double max_rel_error, pf_err *err);
/* Tells a store that takes such notes (pf_timing_store.note_trial) what was found out if the process ends now. */
void      pf_finding_note_trial(pf_timing_store *store, const pf_device *device, const char *kind, const pf_digest *of,
                                const pf_timing_entry *entry);

#endif
