/* What the timing cache answers to lookups and exports: as many entries as fit into a message, lent by the db.
   Thread   one. */
#ifndef PF_COORDINATOR_TIMING_ANSWER_H
#define PF_COORDINATOR_TIMING_ANSWER_H

#include "base/arena.h"
#include "cache/timing_view.h"
#include "proto/wire.h"

typedef struct pf_timing_answer {       /* open; zero it before use and set db */
    pf_timing_db          *db;          /* borrowed */
    Pf__TimingLookupReply  lookup;      /* the one that was asked for; both borrow until pf_timing_answer_clear */
    Pf__TimingExportReply  export;
    uint64_t               lookups, hits;
    /* inside */
    pf_timing_view         view;
    pf_arena              *texts;       /* what cannot be lent */
    Pf__TimingEntry       *entry;
    Pf__TimingEntry      **list;
    uint32_t               count, capacity;
    size_t                 bytes;
    pf_timing_key          last_key;
    const pf_digest       *only_class;
    uint32_t               damaged;
    bool                   with_texts, full;
} pf_timing_answer;

/* Errors   INVALID: a digest has a wrong length; NO_SPACE. */
pf_status pf_timing_answer_lookup(pf_timing_answer *answer, const Pf__TimingLookup *asked, pf_err *err);
/* only_class NULL: all. */
pf_status pf_timing_answer_export(pf_timing_answer *answer, const Pf__TimingExport *asked, const pf_digest *only_class,
                                  pf_err *err);
void      pf_timing_answer_clear(pf_timing_answer *answer);

#endif
