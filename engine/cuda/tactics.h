/* The CUDA module's tactics, from tactics.def. */
#ifndef PF_ENGINE_CUDA_TACTICS_H
#define PF_ENGINE_CUDA_TACTICS_H

#include "engine/epilogue.h"
#include "engine/tactic.h"

#define PF_TACTIC(name) extern const pf_tactic pf_tactic_##name;
#include "engine/cuda/tactics.def"
#undef PF_TACTIC

enum { PF_NO_INPUT = -1 };

/* Index of the problem's input that is this value; PF_NO_INPUT when it is computed inside the region. */
static inline int pf_cuda_input(const pf_problem *p, pf_value_id value)
{
    uint32_t index = pf_problem_input_index(p, value);

    return index == UINT32_MAX ? PF_NO_INPUT : (int)index;
}

static inline const pf_shape *pf_cuda_shape(const pf_problem *p, int input)
{
    return pf_problem_shape(p, p->graph->inputs[input]);
}

/* Why our own products leave a region to others, or NULL. */
const char *pf_matmul_region_declines(const pf_device *device, const pf_problem *p);

#endif
