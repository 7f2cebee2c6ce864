/* Files, read whole, mapped, or written so that a crash leaves the old or the new one. */
#ifndef PF_BASE_FILE_H
#define PF_BASE_FILE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

/* A read-only mapping of a regular file.  Who shortens the file while it is mapped kills the reader: map only files
   that are replaced, never rewritten, as pf_file_write does. */
typedef struct pf_mapping { const uint8_t *data; size_t bytes; } pf_mapping;

/* Errors   NOT_FOUND, DENIED, IO, INVALID: not a regular file.  An empty file maps to bytes 0 and a non-NULL data. */
pf_status pf_file_map(const char *path, pf_mapping *out, pf_err *err);
void      pf_file_unmap(pf_mapping *mapping);          /* and zeroes it */
/* What of data lies in files that pf_file_map mapped need not stay in this process's memory: it is read again when it
   is touched.  Nothing happens to any other memory, so any pointer may be given.   Thread  any. */
void      pf_file_forget(const void *data, size_t bytes);
/* Initialises out, which the caller clears; on failure it is empty.
   Errors   NO_SPACE: the file holds more than limit_bytes; otherwise as pf_file_map. */
pf_status pf_file_read(const char *path, size_t limit_bytes, pf_buf *out, pf_err *err);
/* What a file for path replaces: path, or the file that path is a link to, so that links stay.  out has PATH_MAX bytes.
   Errors   INVALID: there is something else than a file, /dev/null or /dev/stdout say, which a rename would remove;
            NOT_FOUND, DENIED: its folder. */
pf_status pf_file_target(const char *path, char *out, pf_err *err);
/* Replaces the target of path at once: temporary file "<path>.<16 hex digits>.tmp", fsync, rename, fsync of the folder.
   Errors   as pf_file_target; NO_SPACE: the disk is full; after any error the old file is as it was and no temporary
            file is left, but after a failed fsync of the folder the new one is there and may be lost in a crash. */
pf_status pf_file_write(const char *path, const void *data, size_t bytes, pf_err *err);
/* As pf_file_write, but does not wait for the disk: a crash of the machine may leave any bytes, or none.  For what is
   checked when it is read and can be made again. */
pf_status pf_file_put(const char *path, const void *data, size_t bytes, pf_err *err);
/* An empty file without a name, to be written and mapped by its descriptor, which the caller closes: nothing is left of
   it after a crash.  It lies in folder, on disk; in memory when folder is NULL or its file system knows no such
   files. */
pf_status pf_file_unnamed(const char *folder, int *fd, pf_err *err);
pf_status pf_file_write_at(int fd, const void *data, size_t bytes, uint64_t offset, pf_err *err);
/* Shared: what is written to the file is seen.  Unmapped by pf_file_unmap. */
pf_status pf_file_map_unnamed(int fd, pf_mapping *out, pf_err *err);
/* Makes an unnamed file that was never named path, at once and lasting, as pf_file_write does.
   Errors   UNSUPPORTED: its bytes must be written to path instead: it is in memory, on another disk, or has a name. */
pf_status pf_file_name(int fd, const char *path, pf_err *err);
pf_status pf_file_digest(const char *path, pf_digest *digest, uint64_t *bytes, pf_err *err);
/* Makes what was done to the name of path last: fsync of its folder. */
pf_status pf_file_sync_name(const char *path, pf_err *err);
bool      pf_file_exists(const char *path);
pf_status pf_dir_make(const char *path, pf_err *err);  /* with its parents; fine when there */
/* A new folder of this process: "planfarm-<name>-" and six random characters, in $TMPDIR when that is
   absolute, else in /tmp.  out holds "" after an error.
   Errors   INVALID: the path needs more than capacity bytes; IO: the folder cannot be made. */
pf_status pf_dir_make_temporary(const char *name, char *out, size_t capacity, pf_err *err);
/* With all in it; fine when absent; follows no links.  Errors  INVALID: path is not a folder. */
pf_status pf_dir_remove(const char *path, pf_err *err);
/* Joins folder and relative into out, and lets nothing outside folder be named.  It looks at the text alone: who
   may put symbolic links into folder is the caller's concern.
   Errors   INVALID: relative is empty, absolute, has a ".." part, or the result needs more than capacity bytes. */
pf_status pf_path_join(const char *folder, const char *relative, char *out, size_t capacity, pf_err *err);
/* The folder that path lies in; out has PATH_MAX bytes. */
void      pf_path_folder(const char *path, char *out);
/* $XDG_CACHE_HOME/planfarm or $HOME/.cache/planfarm.  Errors  NOT_FOUND: neither is set to an absolute path. */
pf_status pf_path_user_cache(char *out, size_t capacity, pf_err *err);

#endif
