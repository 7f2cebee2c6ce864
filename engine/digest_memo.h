/* SHA-256 of files, remembered: a large file that did not change is not read again.
   An entry is a small file <user cache>/digests/<sha256 of the path> with the file's size, inode, times and digest; one
   that does not fit the file any more is replaced.  Without a cache folder every call reads the file.
   Thread   any; processes may share the folder. */
#ifndef PF_ENGINE_DIGEST_MEMO_H
#define PF_ENGINE_DIGEST_MEMO_H

#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

/* Smaller files are always read. */
enum { PF_DIGEST_MEMO_LEAST_BYTES = 1 << 20 };

/* Errors   NOT_FOUND, IO; BUSY: the file changed while it was read. */
pf_status pf_digest_memo_file(const char *path, pf_digest *digest, uint64_t *bytes, pf_err *err);

#endif
