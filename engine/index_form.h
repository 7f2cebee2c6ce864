/* What a tensor holds as a function of the position in it, where that is simple: position ids, counters, triangular
   masks.
     linear  constant + coef[0] * i0 + coef[1] * i1 + ...
     choice  `yes` where that is at least 0, and `no` elsewhere; yes == no when it is the same everywhere
   It is found by looking at how a value is computed, at its known content, or at the elements of a constant. */
#ifndef PF_ENGINE_INDEX_FORM_H
#define PF_ENGINE_INDEX_FORM_H

#include "engine/graph.h"

typedef struct pf_index_form {
    bool    is_choice;
    pf_dim  constant;
    int64_t coef[PF_MAX_RANK];      /* 0 along dims of size 1 */
    double  yes, no;                /* of a choice; bools are 0 and 1 */
} pf_index_form;

/* False when the value has no such form, or none that is found with bounded effort. */
bool pf_index_form_of(const pf_graph *graph, pf_value_id value, pf_index_form *out);
/* Of the elements of a gather_nd's index tensor [..., count]: one linear form each, over the dims but the last. */
bool pf_index_form_of_parts(const pf_graph *graph, pf_value_id value, int32_t count, pf_index_form *out);
/* Is it the same number at every position of a tensor of that shape?  Then *out is it. */
bool pf_index_form_uniform(pf_dims *dims, const pf_shape *shape, const pf_index_form *form, double *out);
/* Is the linear part at least 0 everywhere in a tensor of that shape?  False when that cannot be said. */
bool pf_index_form_never_negative(pf_dims *dims, const pf_shape *shape, const pf_index_form *form);

#endif
