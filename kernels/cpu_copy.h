/* Copying a nest of loops: element (i0, i1, ...) of dim goes from in_at + sum i*in_stride to out_at + sum i*out_stride.
   What transpose, slice, concat, expand, tile and changes of layout have in common. */
#ifndef PF_KERNELS_CPU_COPY_H
#define PF_KERNELS_CPU_COPY_H

#include <stddef.h>
#include <stdint.h>

enum { PF_COPY_RANK = 16 };

typedef struct pf_copy {            /* all in elements; strides may be 0 (in) or negative */
    int32_t rank;
    int64_t dim[PF_COPY_RANK], in_stride[PF_COPY_RANK], out_stride[PF_COPY_RANK];
    int64_t in_at, out_at;
} pf_copy;

/* Drops dims of 1, puts dims in the order of the result's memory, and merges those that both sides step through as
   one. */
void pf_copy_normalize(pf_copy *copy);
/* item_bytes: 1, 2, 4, 8 or 16.  copy is normalized.  Splits the work over OpenMP's threads when that pays. */
void pf_copy_run(const pf_copy *copy, size_t item_bytes, const void *in, void *out, int32_t threads);
/* count items of item_bytes, all equal to *value. */
void pf_copy_fill(void *out, const void *value, size_t item_bytes, int64_t count, int32_t threads);

#endif
