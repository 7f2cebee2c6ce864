/* Results of checking plans, kept among the timings: a plan of the same bytes on the same class of device need not be
   run and compared again. */
#ifndef PF_ENGINE_CHECK_RECORD_H
#define PF_ENGINE_CHECK_RECORD_H

#include "base/timing_record.h"
#include "engine/builder_check.h"

/* draft: pf_plan_table_digest of the plan before its check was written. False: not known, or the store did not
   answer. */
bool      pf_check_record_find(pf_timing_store *store, const pf_device *device, const pf_digest *draft,
                               pf_builder_verdict *out);
pf_status pf_check_record_keep(pf_timing_store *store, const pf_device *device, const pf_digest *draft,
                               const pf_builder_verdict *verdict, pf_err *err);

#endif
