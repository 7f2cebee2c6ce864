#include "engine/timing_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define WAIT_LIMIT_NS (600 * PF_NS_PER_S)
#define POLL_NS       PF_NS_PER_MS

/* Users share a device, so they share the file: it holds nothing, and anyone may lock it.  A card has one whatever
   number a process gives it. */
void pf_timing_lock_open(const pf_device *device, pf_timing_lock *out)
{
    char path[128] = "";

    snprintf(path, sizeof path, "/tmp/planfarm-timing-%s.lock", device->place[0] ? device->place : device->name);
    for (char *at = path + strlen("/tmp/"); *at; at++)
        if (*at == '/' || *at == ':')
            *at = '-';
    out->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (out->fd < 0 && errno == ENOENT) {
        out->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (out->fd >= 0)
            fchmod(out->fd, 0666);
    }
    if (out->fd < 0)
        pf_log(PF_LOG_WARN, "timing", "no-lock path=%s reason=\"%s\"", path, strerror(errno));
}

void pf_timing_lock_close(pf_timing_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}

pf_status pf_timing_lock_take(pf_timing_lock *lock, bool (*go_on)(void *user), void *user, pf_err *err)
{
    int64_t start = pf_clock_ns();

    while (lock->fd >= 0 && flock(lock->fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return PF_FAIL_ERRNO(err, "lock", "the device for timing");
        if (go_on && !go_on(user))
            return PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
        if (pf_clock_ns() - start > WAIT_LIMIT_NS)
            return PF_FAIL(err, PF_BUSY,
                           "another process has been timing on this device for ten minutes; try again when it is done");
        pf_clock_sleep_ns(POLL_NS);
    }
    return PF_OK;
}

void pf_timing_lock_drop(pf_timing_lock *lock)
{
    if (lock->fd >= 0)
        flock(lock->fd, LOCK_UN);
}
