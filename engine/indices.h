/* The indices of a gather or scatter, as the CPU's loops follow them: input 1 of the problem's one node, which lead
   into input 0. */
#ifndef PF_ENGINE_INDICES_H
#define PF_ENGINE_INDICES_H

#include "engine/problem.h"

typedef struct pf_indices {
    uint32_t slot;                                      /* of the bindings; UINT32_MAX: the clear ones below */
    pf_dtype dtype;
    int64_t  clear[PF_PROBLEM_CLEAR];
    int32_t  depth;                                     /* numbers that lead to a place together */
    int64_t  size[PF_MAX_RANK], step[PF_MAX_RANK];      /* of the dim that a number is a place in; step in elements */
} pf_indices;

/* Why the loops cannot follow them: a static string, or NULL. any_layout: the caller has looked at layouts. */
const char *pf_indices_decline(const pf_problem *p, bool any_layout);
/* Numbers that lead to a place: as many as `depth`, in the dims from first on of input 0. */
void        pf_indices_init(pf_indices *indices, const pf_problem *p, int64_t first, int64_t depth);
/* The product of dims [from, to). */
int64_t     pf_indices_elems(const pf_shape *shape, int64_t from, int64_t to);

static inline int64_t pf_indices_at(const pf_indices *indices, const void *bound, int64_t i)
{
    if (!bound)
        return indices->clear[i];
    return indices->dtype == PF_I64 ? ((const int64_t *)bound)[i] : ((const int32_t *)bound)[i];
}

/* Where the numbers from index `first` on lead, in elements; -1: one is outside.  bound: at the slot of the bindings,
   NULL for clear ones. */
static inline int64_t pf_indices_place(const pf_indices *indices, const void *bound, int64_t first)
{
    int64_t place = 0;

    for (int32_t k = 0; k < indices->depth; k++) {
        int64_t i = pf_indices_at(indices, bound, first + k);

        i += i < 0 ? indices->size[k] : 0;
        if (i < 0 || i >= indices->size[k])
            return -1;
        place += i * indices->step[k];
    }
    return place;
}

#endif
