/* Devices that live in a shared library of their own, so that planfarm runs where their drivers and toolkits are
   absent. libplanfarm_cuda.so exports `const pf_device_module pf_device_module_v1`. */
#ifndef PF_ENGINE_DEVICE_MODULE_H
#define PF_ENGINE_DEVICE_MODULE_H

#include "engine/device.h"
#include "engine/tactic.h"

#define PF_DEVICE_MODULE_SYMBOL "pf_device_module_v1"

#define PF_DEVICE_CUDA_MODULE "libplanfarm_cuda.so"

typedef struct pf_device_module {
    const char *abi;                            /* PF_BUILDER_ABI of the build; another one is refused */
    /* ordinal: the N of "cuda:N" */
    pf_status (*open)(int ordinal, const pf_device_options *options, pf_device **out, pf_err *err);
    const pf_tactic *const *tactics;            /* NULL-terminated, in order of preference on ties */
    /* (optional) Answers requests to compile, until `in` ends: what the program planfarm-compile does. */
    pf_status (*serve)(int in, int out, int ordinal, pf_err *err);
} pf_device_module;

/* Opens `library` once per process: from $PLANFARM_MODULE_PATH, then from planfarm/ beside libplanfarm.so, then from
   where build trees have it, then beside the running program, then from the loader's path.
   The module's tactics join pf_tactic_at.  Errors NOT_FOUND: not built or its libraries are missing, with the loader's
   words.
   Thread   any. */
pf_status pf_device_module_load(const char *library, const pf_device_module **out, pf_err *err);
/* Tactics of loaded modules, counted after the built-in ones. */
const pf_tactic *pf_device_module_tactic(uint32_t index);

#endif
