/* How the modes of `reduce` read in generated code. */
#ifndef PF_ENGINE_CUDA_CODEGEN_REDUCE_H
#define PF_ENGINE_CUDA_CODEGEN_REDUCE_H

#include <stdint.h>

/* What each element x contributes, the functor that joins contributions, its identity, and what the result r of D
   elements becomes. */
typedef struct cg_reduction { const char *map, *join, *identity, *finish; } cg_reduction;

/* NULL: no form here. */
const cg_reduction *cg_reduction_of(int32_t mode);
/* The functors op_sum, op_max, op_min, op_prod. */
#define CG_REDUCTION_FUNCTORS \
    "struct op_sum { static __device__ float of(float a, float b) { return a + b; } };\n" \
    "struct op_max { static __device__ float of(float a, float b) { return a > b || a != a ? a : b; } };\n" \
    "struct op_min { static __device__ float of(float a, float b) { return a < b || a != a ? a : b; } };\n" \
    "struct op_prod { static __device__ float of(float a, float b) { return a * b; } };\n"

#endif
