/* The files that make up a model, and its digest: the SHA-256 of the manifest text

     planfarm-model 1
     <sha256> <bytes> model.onnx
     <sha256> <bytes> <location of an external-data file, relative to the model's folder>
     ...

   with the ONNX file first, under that name whatever it is called on disk, and the others in the order of strcmp.
   Digests of large files are remembered in the user's cache folder under path, size, times and inode, so that a weights
   file is read once and not for each build.
   Thread   any. */
#ifndef PF_ENGINE_MODEL_BUNDLE_H
#define PF_ENGINE_MODEL_BUNDLE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

enum { PF_MODEL_BUNDLE_FILES_MAX = 4096, PF_MODEL_BUNDLE_NAME_BYTES = 256 };

typedef struct pf_model_bundle_file {   /* open */
    char     *name;                     /* owned; in the manifest */
    char     *path;                     /* owned; on disk, links resolved */
    uint64_t  bytes;
    pf_digest digest;
} pf_model_bundle_file;

typedef struct pf_model_bundle {        /* open; zero it before use */
    pf_model_bundle_file *file;         /* owned; the ONNX file first */
    uint32_t              count, capacity;
} pf_model_bundle;

/* Lists the files of the model at path and hashes them.
   Owns     out: pf_model_bundle_clear.
   Errors   NOT_FOUND: the model or a weights file; INVALID: no ONNX model, or a weights file outside of the model's
            folder; BUSY: a file changed while it was read. */
pf_status pf_model_bundle_open(const char *path, pf_model_bundle *out, pf_err *err);
/* Lists the names of the files that the model at path has, without looking at its weights files: they may not be there
   yet, so their path is "", and of all files bytes and digest are 0.
   Errors   as above. */
pf_status pf_model_bundle_list(const char *path, pf_model_bundle *out, pf_err *err);
void      pf_model_bundle_clear(pf_model_bundle *bundle);
/* Appends the manifest text. */
pf_status pf_model_bundle_manifest(const pf_model_bundle *bundle, pf_buf *out, pf_err *err);
pf_status pf_model_bundle_digest(const pf_model_bundle *bundle, pf_digest *out, pf_err *err);
/* The digest of the model at path, in one call. */
pf_status pf_model_bundle_digest_of(const char *path, pf_digest *out, pf_err *err);

#endif
