/* LMDB follows what its pages say and ends the process where they are damaged.  This looks at them first: every page
   that the newest transaction can reach has its own number and kind, its nodes lie inside it, no page is reached twice
   or is free as well, and the trees have as many entries as they say.  What keys and values hold is the reader's to
   check.  The form is that of LMDB 0.9 (mdb.c), of 64-bit little-endian machines; another is left alone. */
#ifndef PF_CACHE_LMDB_CHECK_H
#define PF_CACHE_LMDB_CHECK_H

#include <lmdb.h>

#include "base/status.h"

/* Before mdb_env_open, which divides by what the head of a file says; nothing where there is no file yet.
   name and advice: for the message, as "the timing cache DIR" and "move it away".
   Errors   CORRUPT.   Thread   any; other processes may write meanwhile. */
pf_status pf_lmdb_check_head(const char *folder, const char *name, const char *advice, pf_err *err);
/* All of it, after mdb_env_open.
   Errors   CORRUPT; IO, NO_SPACE.   Thread   any; other processes may write meanwhile. */
pf_status pf_lmdb_check(MDB_env *env, const char *name, const char *advice, pf_err *err);

#endif
