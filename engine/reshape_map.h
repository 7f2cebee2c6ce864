/* Which dims of a reshape's result come from which dims of its input. */
#ifndef PF_ENGINE_RESHAPE_MAP_H
#define PF_ENGINE_RESHAPE_MAP_H

#include "engine/attr.h"

/* Dims [from, from + from_count) hold the same elements, in the same order, as [to, to + to_count); a dim of 1 may have
   no counterpart. */
typedef struct pf_reshape_group { int32_t from, from_count, to, to_count; } pf_reshape_group;

enum { PF_RESHAPE_GROUPS = 2 * PF_MAX_RANK };

/* The smallest groups, in order; all dims of both are in one.  Their count, or 0 when that cannot be said of symbolic
   dims (or there are no dims). */
int32_t pf_reshape_groups(pf_dims *dims, const pf_shape *from, const pf_shape *to, pf_reshape_group *out);

/* reshape(transpose(x, perm), to) as transpose(reshape(x, shape), new_perm).  moved: the shape between the two.  False
   when dims that are joined do not lie side by side in x, or that cannot be said. */
bool pf_reshape_before_transpose(pf_dims *dims, const pf_shape *moved, const pf_ints *perm, const pf_shape *to,
                                 pf_shape *shape, pf_ints *new_perm);

#endif
