/* Content: elements of small integer tensors that are known as numbers or dims while the graph is built (shape
   arithmetic). Tensors of more than one dim have it, row by row, for ops that move elements: exporters turn lists of
   pads round by way of pairs. */
#ifndef PF_ENGINE_OPS_CONTENT_H
#define PF_ENGINE_OPS_CONTENT_H

#include "engine/op.h"

enum { PF_CONTENT_LIMIT = 64 };     /* longer tensors have no content */

/* A working copy. count -1: not known. */
typedef struct pf_content { int32_t count; pf_dim at[PF_CONTENT_LIMIT]; } pf_content;

/* What is known of an input of rank 0 or 1: its content, or the elements of a small integer or bool constant. */
pf_content pf_content_of(const pf_infer *infer, uint32_t slot);
/* The same of an input of any rank. */
pf_content pf_content_of_any(const pf_infer *infer, uint32_t slot);
/* Gives output 0 this content when it is known, of an integer or bool dtype, of rank 0 or 1, and as long as the shape
   says. */
pf_status  pf_content_set(pf_infer *infer, const pf_content *content, pf_err *err);
/* The same of an output of any rank. */
pf_status  pf_content_set_any(pf_infer *infer, const pf_content *content, pf_err *err);
/* How far apart neighbours along each dim are in the content of a tensor of that shape; 0 where it can have none. */
void       pf_content_strides(const pf_shape *shape, int64_t *stride);
/* Gives output 0 what is known of input 0 at first + the sum of index * stride, a stride for each dim of the output. */
pf_status  pf_content_take(pf_infer *infer, int64_t first, const int64_t *stride, pf_err *err);
/* a < b and a <= b for every binding: true only when that is certain. */
bool       pf_content_less(pf_dims *dims, pf_dim a, pf_dim b);
bool       pf_content_less_equal(pf_dims *dims, pf_dim a, pf_dim b);

#endif
