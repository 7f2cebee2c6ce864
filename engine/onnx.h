/* Networks from ONNX files, opsets 1 to PF_ONNX_NEWEST_OPSET, weights inside or in files beside the model.
   Nothing in a file is trusted: sizes are checked before memory is taken, nesting is bounded, external data stays
   inside the model's folder.
   Errors   INVALID: the model breaks the standard (the message names the node and the reason); UNSUPPORTED: legal but
            not known here (one sentence that lists every such operator); NOT_FOUND: the model or a weights file is
            missing.
   Thread   any, one import per call. */
#ifndef PF_ENGINE_ONNX_H
#define PF_ENGINE_ONNX_H

#include "base/status.h"
#include "engine/graph.h"

enum { PF_ONNX_NEWEST_OPSET = 28 };

/* Replaces the shape of one input; a dim below 0 keeps the model's. */
typedef struct pf_onnx_input_shape {
    const char *input;
    int32_t     rank;
    int64_t     dim[PF_MAX_RANK];
} pf_onnx_input_shape;

/* Gives a number to a named dimension ("batch") wherever inputs use it. */
typedef struct pf_onnx_dim_value {
    const char *symbol;
    int64_t     value;
} pf_onnx_dim_value;

/* Says that all elements of an input of whole numbers or truth values always have that value: what is computed from it,
   such as which branch is taken, is then known.  It stays an input. */
typedef struct pf_onnx_input_value {
    const char *input;
    int64_t     value;
} pf_onnx_input_value;

/* All borrowed for the call. */
typedef struct pf_onnx_options {
    const pf_onnx_input_shape *shapes;
    uint32_t                   shape_count;
    const pf_onnx_dim_value   *dims;
    uint32_t                   dim_count;
    const pf_onnx_input_value *values;
    uint32_t                   value_count;
} pf_onnx_options;

/* options may be NULL.
   Owns     *out is the caller's (pf_graph_free); it keeps the parsed file and mapped weights alive. */
pf_status pf_onnx_import(const char *path, const pf_onnx_options *options, pf_graph **out, pf_err *err);
/* The same from memory, which is not needed afterwards. base_folder holds the external data; NULL: there is none. */
pf_status pf_onnx_import_bytes(const void *data, size_t bytes, const char *base_folder, const pf_onnx_options *options,
                               pf_graph **out, pf_err *err);

#endif
