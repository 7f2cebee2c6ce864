/* How large a body is, before it is imported once for each round. Internal to the importer. */
#ifndef PF_ENGINE_ONNX_BODY_SIZE_H
#define PF_ENGINE_ONNX_BODY_SIZE_H

#include "engine/onnx_scope.h"

/* Nodes, with those of branches, bodies and functions in it, each of which counts as often as it is called; and bytes
   of its constants as they are once they are dense, wherever the file has them. Counting ends beyond nodes_most:
   functions that call functions grow exponentially. */
pf_onnx_written pf_onnx_body_size(const pf_onnx_state *state, const Onnx__GraphProto *body, size_t nodes_most);

#endif
