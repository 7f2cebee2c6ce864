/* A model from where its URL says (proto/model_source.h), by http, https or s3: with a limit on its size, going on by
   Range where a transfer broke off, checked against the digest that the submit gave.

   Redirects are followed five times: to http and https, never from https to http, never for s3, and to another host
   only when the digest is known.  Link-local addresses, where clouds keep their machines' credentials, are never asked.
   The proxies of the environment are used. */
#ifndef PF_BUILDER_AGENT_URL_FETCH_H
#define PF_BUILDER_AGENT_URL_FETCH_H

#include "proto/model_source.h"
#include "proto/transfer/transfer.h"

typedef struct pf_url_fetch {           /* open; 0 gives the defaults */
    const pf_model_source *source;
    uint64_t limit_bytes;               /* most that this agent takes; the source may say less */
    int64_t  connect_ns;                /* 10 s */
    int64_t  stall_ns;                  /* 60 s: less than 1 KiB/s for so long ends an attempt */
    uint32_t attempts;                  /* 5 */
    pf_transfer_watch *watch;
    void    *user;
} pf_url_fetch;

/* Puts the model into the file at path, which appears when it is whole; until then it grows in "<path>.partial".  What
   an earlier process left there is gone on with when the digest is known.  *digest (may be NULL): what it has.
   Errors   of the model, which no other agent would do better: INVALID: too large, or the URL; NOT_FOUND; DENIED;
            CORRUPT: another digest.  Of this agent or the moment: UNREACHABLE, BUSY, NO_SPACE, IO, CANCELLED. */
pf_status pf_url_fetch_get(const pf_url_fetch *fetch, const char *path, pf_digest *digest, pf_err *err);

#endif
