/* What a model consists of: the text blob whose SHA-256 is the model digest.

     planfarm-model 1
     <sha256> <bytes> model.onnx
     <sha256> <bytes> <relative name of an external-data file>
     ...

   The ONNX file comes first under its fixed name; the others follow in the order of strcmp.  Every file is a blob of
   its own in the store. */
#ifndef PF_PROTO_MODEL_MANIFEST_H
#define PF_PROTO_MODEL_MANIFEST_H

#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

enum {
    PF_MODEL_FILES_MAX      = 4096,
    PF_MODEL_FILE_NAME      = 256,
    PF_MODEL_MANIFEST_BYTES = 1 << 20,
};

#define PF_MODEL_ONNX_NAME "model.onnx"

typedef struct pf_model_file {      /* open */
    pf_digest digest;
    uint64_t  bytes;
    char      name[PF_MODEL_FILE_NAME];
} pf_model_file;

typedef struct pf_model_manifest {  /* open; zero it before use */
    pf_model_file *file;            /* owned */
    uint32_t       files_count, capacity;
} pf_model_manifest;

void pf_model_manifest_clear(pf_model_manifest *manifest);
/* Errors   INVALID: a name that is absolute, leaves the folder or holds control characters, or out of order. */
pf_status pf_model_manifest_add(pf_model_manifest *manifest, const char *name, const pf_digest *digest, uint64_t bytes,
                                pf_err *err);
/* Appends the text to out. */
pf_status pf_model_manifest_write(const pf_model_manifest *manifest, pf_buf *out, pf_err *err);
/* Errors   CORRUPT with the line's number. */
pf_status pf_model_manifest_parse(const void *text, size_t bytes, pf_model_manifest *out, pf_err *err);

#endif
