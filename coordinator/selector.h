/* Which device class a selector means: a class's name, or at least 8 hex digits of its digest, or an alias; the first
   of these that fits anything counts.  Of classes that fit alike, those with a live agent come before others.  Of
   those, classes of one piece of hardware differ in driver and libraries, as while agents are brought up to date: then
   the newest is meant.  Live ones of different hardware leave the selector ambiguous.  Where no agent lives, the class
   seen last is meant.  Internal to the core. */
#ifndef PF_COORDINATOR_SELECTOR_H
#define PF_COORDINATOR_SELECTOR_H

#include "coordinator/state.h"

typedef struct pf_selection {           /* zero it first */
    pf_class *best;                     /* NULL: nothing fits */
    int       rank;
    bool      ambiguous;                /* others fit as well, and best is one of them */
} pf_selection;

/* Looks at one more class; what fits no better than what was seen changes nothing. */
void         pf_selector_offer(const pf_core *core, const char *selector, pf_class *device_class,
                               pf_selection *selection);
/* Of all classes that were ever declared. */
pf_selection pf_selector_resolve(const pf_core *core, const char *selector);
/* One sentence that names the classes which the ambiguous selector may mean, and what to write instead. */
void         pf_selector_explain(const pf_core *core, const char *selector, const pf_selection *selection, char *out,
                                 size_t capacity);

#endif
