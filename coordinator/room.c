#include "coordinator/room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"

enum { AHEAD_BYTES = 1 << 20, PIECE_BYTES = 64 << 10 };

pf_status pf_room_open(const char *path, uint64_t limit_bytes, uint64_t spare_bytes, pf_room *out, pf_err *err)
{
    *out = (pf_room){ .fd = open(path, O_WRONLY | O_DSYNC | O_CLOEXEC), .limit_bytes = limit_bytes,
                      .spare_bytes = spare_bytes };
    return out->fd < 0 ? PF_FAIL_ERRNO(err, "open", path) : PF_OK;
}

void pf_room_close(pf_room *room)
{
    if (room->fd >= 0)
        close(room->fd);
    room->fd = -1;
}

bool pf_room_is_wanted(const pf_room *room, uint64_t used_bytes)
{
    return room->fd >= 0 && used_bytes + AHEAD_BYTES > room->end_bytes;
}

/* How much the file is to grow; 0 when it is not to. */
static size_t growth(const pf_room *room, uint64_t used_bytes)
{
    struct statvfs disk = { 0 };

    if (!pf_room_is_wanted(room, used_bytes) || room->end_bytes + PIECE_BYTES > room->limit_bytes ||
        fstatvfs(room->fd, &disk) != 0)
        return 0;
    return (uint64_t)disk.f_bavail * disk.f_frsize > room->spare_bytes ? PIECE_BYTES : 0;
}

/* Where the room ends, as far as is not known: the file may have grown past it. */
static bool look(pf_room *room, uint64_t used_bytes)
{
    struct stat file = { 0 };

    if (room->end_bytes > used_bytes)
        return true;
    if (fstat(room->fd, &file) != 0)
        return false;
    room->end_bytes = (uint64_t)file.st_size > used_bytes ? (uint64_t)file.st_size : used_bytes;
    return true;
}

bool pf_room_make(pf_room *room, uint64_t used_bytes)
{
    static const uint8_t zeros[PIECE_BYTES];
    ssize_t              done = 0;
    size_t               bytes = room->fd >= 0 && look(room, used_bytes) ? growth(room, used_bytes) : 0;

    if (!bytes)
        return false;
    done = pwrite(room->fd, zeros, bytes, (off_t)room->end_bytes);
    if (done > 0) {
        room->end_bytes += (uint64_t)done;
        return true;
    }
    if (errno != EINTR) {
        pf_log(PF_LOG_WARN, "state", "no_room_ahead reason=\"%s\"", strerror(errno));
        pf_room_close(room);
    }
    return false;
}
