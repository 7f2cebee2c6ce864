/* Every tensor stored in a model: initializers, attributes, bodies, functions. */
#ifndef PF_ENGINE_ONNX_WALK_H
#define PF_ENGINE_ONNX_WALK_H

#include "base/status.h"
#include "engine/onnx/onnx.pb-c.h"

typedef pf_status pf_onnx_visit(void *user, const Onnx__TensorProto *tensor, pf_err *err);

/* Calls visit for each tensor in file order and stops at its first failure. */
pf_status pf_onnx_each_tensor(const Onnx__ModelProto *model, pf_onnx_visit *visit, void *user, pf_err *err);

#endif
