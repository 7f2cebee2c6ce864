/* The CUDA module's tactics, from tactics.def. */
#ifndef PF_ENGINE_CUDA_TACTICS_H
#define PF_ENGINE_CUDA_TACTICS_H

#include "engine/tactic.h"

#define PF_TACTIC(name) extern const pf_tactic pf_tactic_##name;
#include "engine/cuda/tactics.def"
#undef PF_TACTIC

#endif
