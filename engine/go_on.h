/* Whether what this thread works at is still wanted.  The references of a large network take seconds to minutes, many
   calls below whoever was told to stop: they ask here before every node. */
#ifndef PF_ENGINE_GO_ON_H
#define PF_ENGINE_GO_ON_H

#include "base/status.h"

typedef struct pf_go_on {
    bool (*ask)(void *user);            /* false: stop.  NULL: nobody is asked, all is wanted */
    void  *user;
} pf_go_on;

/* Who is asked in this thread from now on.  Returns who was asked before, to be set again at the end. */
pf_go_on  pf_go_on_set(pf_go_on asked);
bool      pf_go_on_asked(void);
/* Errors  CANCELLED */
pf_status pf_go_on_check(pf_err *err);
/* A failure that says nothing of what was computed: it was stopped, or there is no memory.  It is passed on. */
bool      pf_go_on_ended(pf_status status);

#endif
