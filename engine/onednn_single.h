/* A oneDNN operation without weights: its step holds one op and nothing is packed. */
#ifndef PF_ENGINE_ONEDNN_SINGLE_H
#define PF_ENGINE_ONEDNN_SINGLE_H

#include "engine/onednn.h"

/* Makes the step.  desc is taken, on failure too; the scratchpad is added to args. */
pf_status pf_onednn_single_new(const pf_tactic *tactic, const pf_device *device, dnnl_primitive_desc_t desc,
                               pf_onednn_args *args, pf_step **out, pf_err *err);
/* The implementation that a tuning names, as a step.. */
pf_status pf_onednn_single_prepare(const pf_tactic *tactic, const pf_device *device, const_dnnl_op_desc_t desc,
                                   const char *tuning, pf_onednn_args *args, pf_step **out, pf_err *err);
pf_status pf_onednn_single_tunings(const pf_device *device, const_dnnl_op_desc_t desc, int effort, pf_tuning_list *out,
                                   pf_err *err);

/* Members of pf_tactic. */
pf_status pf_onednn_single_enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err);
void      pf_onednn_single_release(pf_step *step);

#endif
