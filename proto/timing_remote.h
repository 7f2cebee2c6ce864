/* The farm's timing cache, seen from a client or an agent: requests over a connection.
   Thread   that of the peer. */
#ifndef PF_PROTO_TIMING_REMOTE_H
#define PF_PROTO_TIMING_REMOTE_H

#include "base/timing_record.h"
#include "proto/peer.h"

/* Records of many problems of one class, in as few requests as they fit into.  found is called for each that is known,
   with its index among problems; texts are "" when the farm does not have them.  All borrowed for the call.
   Errors   UNREACHABLE; CORRUPT: a record fails its checks; what found returns. */
typedef pf_status pf_timing_remote_found(void *user, uint32_t index, const char *class_text, const char *problem_text,
                                         const pf_timing_record *record, pf_err *err);
pf_status pf_timing_remote_lookup(pf_peer *peer, const pf_digest *device_class, const pf_digest *problems,
                                  uint32_t count, int64_t timeout_ns, pf_timing_remote_found *found, void *user,
                                  pf_err *err);

/* Merges entries of one problem into the farm's record; they are on its disk on return.
   Errors   UNREACHABLE; DENIED: this key may not; NO_SPACE: too large for a message, or the farm's disk is full. */
pf_status pf_timing_remote_store(pf_peer *peer, const char *class_text, const char *problem_text,
                                 const pf_timing_record *entries, int64_t timeout_ns, pf_err *err);

/* Every record, or those of the class that selector means (NULL: all), in the order of their keys.  *damaged (may be
   NULL): so many are stored there that fail their checks.
   Errors   NOT_FOUND: no such class; else as above. */
typedef pf_status pf_timing_remote_visit(void *user, const char *class_text, const char *problem_text,
                                         const pf_timing_record *record, pf_err *err);
pf_status pf_timing_remote_export(pf_peer *peer, const char *selector, int64_t timeout_ns,
                                  pf_timing_remote_visit *visit, void *user, uint64_t *damaged, pf_err *err);

#endif
