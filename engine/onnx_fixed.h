/* Networks from ONNX files for a build spec.  Most are read with the sizes of their inputs open.  Some say how many
   dimensions a value has, or which branch is taken, only once sizes are known, or what a frozen input says; and a size
   of 0, as of a past that is still empty, or of 1 where the network squeezes it, is none that an open one may have; and
   detectors compute to what size they scale an image in floats, which is a number only where its size is one.
   These are read with the sizes and the values that the spec fixes, and are good for such specs only. */
#ifndef PF_ENGINE_ONNX_FIXED_H
#define PF_ENGINE_ONNX_FIXED_H

#include "engine/config.h"
#include "engine/onnx.h"

/* As pf_onnx_import.  config: NULL fixes nothing.  Frozen inputs stay inputs: engine/freeze.h takes them out. */
pf_status pf_onnx_import_fixed(const char *path, const pf_config *config, pf_graph **out, pf_err *err);

#endif
