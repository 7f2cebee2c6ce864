/* Collects blobs that nobody needs, on a thread of its own: a store can be large.
   Thread   one, the owner. */
#ifndef PF_COORDINATOR_COLLECTOR_H
#define PF_COORDINATOR_COLLECTOR_H

#include "cache/store_collect.h"

typedef struct pf_collector pf_collector;

pf_status pf_collector_start(pf_store *store, pf_collector **out, pf_err *err);
void      pf_collector_stop(pf_collector *collector);   /* NULL is fine */
bool      pf_collector_is_busy(pf_collector *collector);
/* Begins one pass; it must not be busy.  Takes named, from pf_alloc, which the rules point to. */
void      pf_collector_give(pf_collector *collector, const pf_collect_rules *rules, pf_digest *named);
/* Sums over all passes that ended. */
void      pf_collector_totals(pf_collector *collector, pf_collected *out);

#endif
