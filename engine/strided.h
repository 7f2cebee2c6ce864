/* Values as strided windows: what reshapes, transposes and slices make of a tensor without moving an element.  Tactics
   whose kernels compute addresses take such ops into their region and read or write through the window. */
#ifndef PF_ENGINE_STRIDED_H
#define PF_ENGINE_STRIDED_H

#include "engine/op.h"
#include "engine/problem.h"

typedef struct pf_strided {
    pf_value_id base;               /* the value whose memory is looked at, or written */
    int32_t     rank;
    pf_dim      dim[PF_MAX_RANK];
    int64_t     stride[PF_MAX_RANK];    /* in elements; meaningful when all dims are numbers */
    int64_t     offset;
    int32_t     unit;               /* the dim of stride 1; -1: none is known to be */
    bool        dense;              /* elements in the base's own order, all of them */
    uint32_t    steps;              /* ops in between; 0: the base itself */
} pf_strided;

/* value as a window on the value that the chain of reshapes, transposes and slices behind it starts from (LINEAR).
   A static reason when the chain holds a reshape that strides cannot express, else NULL. */
const char *pf_strided_read(const pf_problem *p, pf_value_id value, pf_strided *out);
/* The elements of `value` as they must be written so that the result of the transposes and reshapes that follow it, up
   to the problem's output 0, lies in memory in order. A static reason when something else follows, else NULL. */
const char *pf_strided_write(const pf_problem *p, pf_value_id value, pf_strided *out);

#endif
