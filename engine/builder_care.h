/* How much of a network a build leaves in FP32: engine/precision_choice.h, asked once for each plan key and device
   class and kept among the timings. */
#ifndef PF_ENGINE_BUILDER_CARE_H
#define PF_ENGINE_BUILDER_CARE_H

#include "base/timing_record.h"
#include "engine/builder_variant.h"
#include "engine/oracle.h"
#include "engine/precision_choice.h"

/* Whether the build spec lets anything be rounded that the network has in FP32. */
bool              pf_builder_rounds(const pf_config *config, const pf_device *device);
/* The next step: twice as much is raised, then everything, then all in three parts of BF16. */
pf_precision_care pf_builder_more_care(const pf_config *config, pf_precision_care care);
/* original has the profile's shapes. key: of the plan that is built.  out->care is PF_CARE_USUAL where nothing is
   rounded.  first: as in engine/precision_choice.h. */
pf_status pf_builder_care(pf_timing_store *store, pf_device *device, const pf_config *config,
                          const pf_digest *key, const pf_graph *original, const pf_profile *profile,
                          pf_precision_choice *out, pf_oracle *first, pf_err *err);

#endif
