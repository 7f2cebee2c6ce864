#include "engine/cuda/compile_pool.h"
#include "engine/cuda/cuda_device.h"
#include "engine/cuda/tactics.h"
#include "engine/device_module.h"
#include "engine/planfarm.h"

static const pf_tactic *const tactics[] = {
#define PF_TACTIC(name) &pf_tactic_##name,
#include "engine/cuda/tactics.def"
#undef PF_TACTIC
    NULL
};

extern const pf_device_module pf_device_module_v1;
const pf_device_module pf_device_module_v1 = { .abi = PF_BUILDER_ABI, .open = pf_cuda_open, .tactics = tactics,
                                               .serve = pf_compile_serve };
