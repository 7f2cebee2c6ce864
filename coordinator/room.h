/* Room ahead of the end of a file that grows, written before it is needed.  A sync of bytes that lie in room of that
   kind waits for them alone; where the file becomes longer it waits for the file system's journal as well, which takes
   half as long again, and now and then many times as long.
   Thread   one at a time, the one that writes the file. */
#ifndef PF_COORDINATOR_ROOM_H
#define PF_COORDINATOR_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pf_room {
    int      fd;                        /* -1: none is kept */
    uint64_t end_bytes;                 /* there is room until here, for all that is known */
    uint64_t limit_bytes;               /* of the file */
    uint64_t spare_bytes;               /* none is taken of a disk with less than that free */
} pf_room;

/* Errors   as opening path. */
pf_status pf_room_open(const char *path, uint64_t limit_bytes, uint64_t spare_bytes, pf_room *out, pf_err *err);
void      pf_room_close(pf_room *room);
/* Whether there is less than wanted behind used_bytes, which the file is in use until. */
bool      pf_room_is_wanted(const pf_room *room, uint64_t used_bytes);
/* Makes a piece of it, zeros that are on disk; this takes as long as a commit.  False when none was made: a disk that
   has none to spare, or fails, is left alone.  The file then grows without it, and whoever writes to it hears of a
   failure. */
bool      pf_room_make(pf_room *room, uint64_t used_bytes);

#endif
