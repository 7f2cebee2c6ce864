/* Which state of an LMDB file was found whole, so that who opens it next need not look at all its pages again: the file
   "looked" beside it.  A state is the file's inode, size and time of change, and LMDB's newest transaction; the time
   is one that this sets, to the nanosecond, so that a later write is told by the kernel's.  Who trusts a note takes it
   away and makes another one when it has closed the file in good order: so what changes bytes without writing to the
   file (a disk that fails) ends one process at most before all pages are looked at, and is found when the last look is
   older than PF_LMDB_NOTE_NS. */
#ifndef PF_CACHE_LMDB_NOTE_H
#define PF_CACHE_LMDB_NOTE_H

#include <lmdb.h>
#include <stdint.h>

#define PF_LMDB_NOTE_NS (INT64_C(24) * 3600 * 1000000000)

/* When the last look was (wall clock), if the noted state is the present one and the look not too old; 0: nothing is
   known.  folder: of the environment, which is open. */
int64_t pf_lmdb_take_note(MDB_env *env, const char *folder);
/* The present state is whole, as far as a look at that time goes.  Where it cannot be noted, the next one looks
   anew. */
void    pf_lmdb_note(MDB_env *env, const char *folder, int64_t looked_wall_ns);

#endif
