/* One process at a time samples on a device of this machine. */
#ifndef PF_ENGINE_TIMING_LOCK_H
#define PF_ENGINE_TIMING_LOCK_H

#include "base/status.h"
#include "engine/device.h"

typedef struct pf_timing_lock { int fd; } pf_timing_lock;      /* fd -1: there is no lock, and taking it does nothing */

/* Opens the lock file of the device, made when absent; where none can be made the log says so and fd is -1. */
void      pf_timing_lock_open(const pf_device *device, pf_timing_lock *out);
void      pf_timing_lock_close(pf_timing_lock *lock);
/* Waits until the lock is free. go_on is asked while waiting (NULL: always). Errors CANCELLED; BUSY after ten
   minutes. */
pf_status pf_timing_lock_take(pf_timing_lock *lock, bool (*go_on)(void *user), void *user, pf_err *err);
void      pf_timing_lock_drop(pf_timing_lock *lock);

#endif
