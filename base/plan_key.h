/* The name of a plan before it exists: what decides its bytes, hashed.  The coordinator and the engine use this one. */
#ifndef PF_BASE_PLAN_KEY_H
#define PF_BASE_PLAN_KEY_H

#include "base/hash.h"

/* model        digest of the model manifest (proto/PROTOCOL.md)
   spec_text    canonical text of the build spec
   class_text   canonical text of the device class
   builder_abi  the builder's own version text */
void pf_plan_key(const pf_digest *model, const char *spec_text, const char *class_text, const char *builder_abi,
                 pf_digest *out);

#endif
