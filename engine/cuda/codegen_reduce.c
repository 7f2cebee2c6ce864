#include "engine/cuda/codegen_reduce.h"

#include <stddef.h>

#include "engine/ops/attrs.h"

static const cg_reduction reductions[] = {
    [PF_REDUCE_SUM]         = { "x", "op_sum", "0.0f", "r" },
    [PF_REDUCE_MEAN]        = { "x", "op_sum", "0.0f", "r / (float)D" },
    [PF_REDUCE_MAX]         = { "x", "op_max", "__int_as_float(0xff800000)", "r" },
    [PF_REDUCE_MIN]         = { "x", "op_min", "__int_as_float(0x7f800000)", "r" },
    [PF_REDUCE_PROD]        = { "x", "op_prod", "1.0f", "r" },
    [PF_REDUCE_L1]          = { "fabsf(x)", "op_sum", "0.0f", "r" },
    [PF_REDUCE_L2]          = { "x * x", "op_sum", "0.0f", "sqrtf(r)" },
    [PF_REDUCE_LOG_SUM]     = { "x", "op_sum", "0.0f", "logf(r)" },
    [PF_REDUCE_LOG_SUM_EXP] = { NULL, NULL, NULL, NULL },
    [PF_REDUCE_SUM_SQUARE]  = { "x * x", "op_sum", "0.0f", "r" },
};

const cg_reduction *cg_reduction_of(int32_t mode)
{
    if (mode < 0 || mode >= (int32_t)(sizeof reductions / sizeof *reductions)) return NULL;
    return reductions[mode].map ? &reductions[mode] : NULL;
}
