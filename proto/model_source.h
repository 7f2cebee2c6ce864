/* A model that agents fetch from where it lies: the text blob that stands in place of a list of files
   (model_manifest.h), and whose SHA-256 is the model digest.

     planfarm-model-url 1
     url https://host/path/model.onnx
     sha256 <64 hex digits>            what the bytes must be; or, when that is not known,
     once <32 hex digits>              random: such a model is like no other, since who knows what is there next time
     max_bytes <N>                     most that it may have, with its weights; 0: what the agent allows
     files <N>                         only with sha256, when there are weights files beside the model; then for each
     <64 hex digits> <location>        what its bytes must be, and where it lies, from the URL's folder */
#ifndef PF_PROTO_MODEL_SOURCE_H
#define PF_PROTO_MODEL_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

enum { PF_MODEL_URL_BYTES = 2048, PF_MODEL_ONCE_BYTES = 16, PF_MODEL_SOURCE_FILES_MAX = 64,
       PF_MODEL_LOCATION_BYTES = 256 };

typedef struct pf_model_source_file { pf_digest sha256; char location[PF_MODEL_LOCATION_BYTES]; } pf_model_source_file;

typedef struct pf_model_source {        /* open; large */
    char      url[PF_MODEL_URL_BYTES];
    bool      pinned;                   /* sha256 counts, not once */
    pf_digest sha256;
    uint8_t   once[PF_MODEL_ONCE_BYTES];
    uint64_t  max_bytes;
    uint32_t  files_count;
    pf_model_source_file file[PF_MODEL_SOURCE_FILES_MAX];
} pf_model_source;

/* Whether a word that should name a model is a URL at all: "scheme://...". */
bool      pf_model_source_is_url(const char *text);
/* Errors   INVALID: not http, https or s3, without a host, with a user in it, or no printable ASCII. */
pf_status pf_model_source_check_url(const char *url, pf_err *err);
/* Errors   INVALID: too many, twice the same, or a location that is absolute, leads out of the folder or is no line of
            text. */
pf_status pf_model_source_add(pf_model_source *source, const char *location, const pf_digest *sha256, pf_err *err);
/* NULL when there is none. */
const pf_digest *pf_model_source_find(const pf_model_source *source, const char *location);
/* The URL of a weights file of the model at url: its folder, the location (with %XX where needed, but not for s3), and
   the URL's query.
   Errors   INVALID: longer than PF_MODEL_URL_BYTES - 1. */
pf_status pf_model_source_beside(const char *url, const char *location, char out[PF_MODEL_URL_BYTES], pf_err *err);
/* Appends the text to out.  Errors   as above. */
pf_status pf_model_source_write(const pf_model_source *source, pf_buf *out, pf_err *err);
/* Whether a blob claims to be such a text. */
bool      pf_model_source_is(const void *text, size_t bytes);
/* Errors   CORRUPT. */
pf_status pf_model_source_parse(const void *text, size_t bytes, pf_model_source *out, pf_err *err);

#endif
