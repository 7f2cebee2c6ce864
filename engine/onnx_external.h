/* External data: the bytes of a tensor that lie in a file beside the model. */
#ifndef PF_ENGINE_ONNX_EXTERNAL_H
#define PF_ENGINE_ONNX_EXTERNAL_H

#include "base/status.h"
#include "engine/onnx/onnx.pb-c.h"

#include <stddef.h>
#include <stdint.h>

enum { PF_ONNX_PATH_BYTES = 4096 };

typedef struct pf_onnx_external {
    const char *location;       /* borrowed from the tensor: relative to the model's folder */
    uint64_t    offset;
    uint64_t    bytes;
    bool        has_bytes;      /* else up to the end of what the tensor's shape needs */
} pf_onnx_external;

bool      pf_onnx_is_external(const Onnx__TensorProto *tensor);
pf_status pf_onnx_external_read(const Onnx__TensorProto *tensor, pf_onnx_external *out, pf_err *err);
/* The folder that a model's path names: where its external data has to be. */
pf_status pf_onnx_folder_of(const char *path, char *out, size_t capacity, pf_err *err);
/* The real path of a weights file.
   Errors   INVALID: location is absolute, has "..", or is a link out of the folder; NOT_FOUND: there is none. */
pf_status pf_onnx_external_path(const char *folder, const char *location, char *out, size_t capacity, pf_err *err);

/* Files mapped so far, one mapping for each location. */
typedef struct pf_onnx_files pf_onnx_files;

/* folder is copied; NULL: no file may be named.  Answers NULL when out of memory. */
pf_onnx_files *pf_onnx_files_new(const char *folder);
void           pf_onnx_files_free(pf_onnx_files *files);            /* unmaps all; NULL is fine */
/* *data is borrowed until pf_onnx_files_free. bytes: what the tensor's type and shape need.
   Errors   INVALID: the file is shorter than offset + bytes, or the recorded length differs. */
pf_status pf_onnx_files_data(pf_onnx_files *files, const Onnx__TensorProto *tensor, uint64_t bytes, const void **data,
                             pf_err *err);

#endif
