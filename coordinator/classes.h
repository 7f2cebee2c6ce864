/* The device classes that were ever declared, and which of them a selector means.  Internal to the core. */
#ifndef PF_COORDINATOR_CLASSES_H
#define PF_COORDINATOR_CLASSES_H

#include "coordinator/state.h"

pf_class *pf_classes_find(const pf_core *core, const pf_digest *digest);    /* NULL when unknown */
/* A class of that text, made when unknown; NULL after pf_core_fail. */
pf_class *pf_classes_take(pf_core *core, const char *text);
/* What an agent says in HELLO.  A builder ABI other than the class had gives its waiting jobs new plan keys. */
pf_class *pf_classes_declare(pf_core *core, const Pf__DeviceClass *declared, pf_text *builder_abi);
void      pf_classes_drop_slot(const pf_slot *slot);
void      pf_classes_free(pf_core *core, pf_class *device_class);

/* What the selector means (selector.h), or one of several; NULL when nothing matches. */
pf_class *pf_classes_resolve(const pf_core *core, const char *selector);
/* Has a live agent that is not to end and not sick. */
bool      pf_classes_serve(const pf_core *core, const pf_class *device_class);
bool      pf_classes_alive(const pf_core *core, const pf_class *device_class);  /* has a live agent */
/* One sentence: why nothing serves the selector, and what there is. */
void      pf_classes_explain(const pf_core *core, const char *selector, char *out, size_t capacity);

#endif
