/* Bytes of an ONNX file to its messages. */
#ifndef PF_ENGINE_ONNX_PARSE_H
#define PF_ENGINE_ONNX_PARSE_H

#include "base/status.h"
#include "engine/onnx/onnx.pb-c.h"

enum {
    PF_ONNX_NESTING_LIMIT = 100,            /* messages in messages, as protobuf's own parsers */
    PF_ONNX_ITEM_LIMIT = 16 * 1024 * 1024,  /* messages and strings in one file: bounds what a small one unpacks to */
};

/* Checks that the bytes are a well-formed model of bounded nesting and size, then unpacks them. data is not needed
   afterwards.
   Owns     *out: pf_onnx_model_free. */
pf_status pf_onnx_parse(const void *data, size_t bytes, Onnx__ModelProto **out, pf_err *err);
pf_status pf_onnx_parse_file(const char *path, Onnx__ModelProto **out, pf_err *err);
void      pf_onnx_model_free(Onnx__ModelProto *model);      /* NULL is fine */

#endif
