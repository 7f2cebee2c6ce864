/* Content: elements of small integer tensors that are known as numbers or dims while the graph is built (shape
   arithmetic). */
#ifndef PF_ENGINE_OPS_CONTENT_H
#define PF_ENGINE_OPS_CONTENT_H

#include "engine/op.h"

enum { PF_CONTENT_LIMIT = 64 };     /* longer tensors have no content */

/* A working copy. count -1: not known. */
typedef struct pf_content { int32_t count; pf_dim at[PF_CONTENT_LIMIT]; } pf_content;

/* What is known of an input: its content, or the elements of a small integer or bool constant. */
pf_content pf_content_of(const pf_infer *infer, uint32_t slot);
/* Gives output 0 this content when it is known, of an integer or bool dtype, of rank 0 or 1, and as long as the shape
   says. */
pf_status  pf_content_set(pf_infer *infer, const pf_content *content, pf_err *err);
/* a < b and a <= b for every binding: true only when that is certain. */
bool       pf_content_less(pf_dims *dims, pf_dim a, pf_dim b);
bool       pf_content_less_equal(pf_dims *dims, pf_dim a, pf_dim b);

#endif
