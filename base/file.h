/* Files, read whole, mapped, or written so that a crash leaves the old or the new one. */
#ifndef PF_BASE_FILE_H
#define PF_BASE_FILE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

/* A read-only mapping of a regular file. */
typedef struct pf_mapping { const uint8_t *data; size_t bytes; } pf_mapping;

/* Errors   NOT_FOUND, IO, INVALID: not a regular file.  An empty file maps to bytes 0 and a non-NULL data. */
pf_status pf_file_map(const char *path, pf_mapping *out, pf_err *err);
void      pf_file_unmap(pf_mapping *mapping);          /* and zeroes it */
/* Errors   NO_SPACE when the file holds more than limit_bytes. */
pf_status pf_file_read(const char *path, size_t limit_bytes, pf_buf *out, pf_err *err);
/* Temporary file in the same folder, fsync, rename, fsync of the folder. Errors NO_SPACE on a full disk; then nothing is left behind. */
pf_status pf_file_write(const char *path, const void *data, size_t bytes, pf_err *err);
pf_status pf_file_digest(const char *path, pf_digest *digest, uint64_t *bytes, pf_err *err);
bool      pf_file_exists(const char *path);
pf_status pf_dir_make(const char *path, pf_err *err);  /* with its parents; fine when there */
pf_status pf_dir_remove(const char *path, pf_err *err);/* with all in it; fine when absent; follows no links */
/* Joins folder and relative into out. INVALID when relative is absolute, has a ".." part, or is too long: nothing outside may name it. */
pf_status pf_path_join(const char *folder, const char *relative, char *out, size_t capacity, pf_err *err);
/* $XDG_CACHE_HOME/planfarm or $HOME/.cache/planfarm. */
pf_status pf_path_user_cache(char *out, size_t capacity, pf_err *err);

#endif
