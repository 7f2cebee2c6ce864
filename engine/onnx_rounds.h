/* Loops and scans whose rounds are known when they are imported: written out, round after round. */
#ifndef PF_ENGINE_ONNX_ROUNDS_H
#define PF_ENGINE_ONNX_ROUNDS_H

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* False: rounds are not known, or too many; what was written out by then is used by nobody. */
bool pf_onnx_loop_rounds(pf_onnx_node *node);
/* axes and directions: of scanned inputs and of results, as in pf_scan_attrs. */
bool pf_onnx_scan_rounds(pf_onnx_node *node, const pf_scan_attrs *attrs);

#endif
