/* A tensor in host memory: dense, row-major, concrete dims.  Or a sequence or an optional of tensors: rank -1 and
   items.  A STRING tensor's data is an array of char pointers (NULL reads as ""); an owned one owns the strings, from
   pf_strdup. */
#ifndef PF_ENGINE_TENSOR_H
#define PF_ENGINE_TENSOR_H

#include "base/status.h"
#include "engine/dtype.h"
#include "engine/rank.h"

typedef struct pf_tensor {
    pf_dtype dtype;
    int32_t  rank;
    int64_t  dim[PF_MAX_RANK];
    void    *data;              /* 64-byte aligned when owned */
    size_t   bytes;
    bool     owned;             /* by pf_tensor_alloc; else borrowed */
    struct pf_tensor *items;    /* of a sequence or optional: owned, each cleared with this one; NULL when empty or a
                                   tensor */
    int64_t  item_count;        /* an optional has 0 or 1 */
} pf_tensor;

int64_t   pf_tensor_elems(const pf_tensor *tensor);
/* Sets bytes from dtype and dims (INVALID on overflow or a negative dim) without touching data. */
pf_status pf_tensor_measure(pf_tensor *tensor, pf_err *err);
pf_status pf_tensor_alloc(pf_tensor *tensor, pf_err *err);      /* dtype, rank, dim are set; memory is zeroed */
void      pf_tensor_clear(pf_tensor *tensor);                   /* frees when owned; zeroes */
/* deep; out is overwritten, not cleared */
pf_status pf_tensor_copy(const pf_tensor *from, pf_tensor *out, pf_err *err);
bool      pf_tensor_same_shape(const pf_tensor *a, const pf_tensor *b);
/* Row-major strides in elements. */
void      pf_tensor_strides(const pf_tensor *tensor, int64_t stride[PF_MAX_RANK]);
/* Seeded random contents: floats normal(0,1), or images as shared by all comparisons (an 8x8 grid of normal values
   interpolated over the last two dims plus a tenth of noise) for rank 4 and at least 16x16; integers in [0, 100) ; bool
   mostly true. */
void      pf_tensor_fill_random(pf_tensor *tensor, uint64_t seed);

/* How far `test` is from `reference`. */
typedef struct pf_difference {
    double max_abs, max_rel_range;  /* largest |test - reference|, and that over (max - min) of reference (over
                                       max|reference| when constant) */
    double cosine;                  /* of what is finite in both; 1 when both are zero, 0 when nothing is left */
    int64_t nan_count, inf_count;   /* in test where reference is finite */
    int64_t worst_index;
} pf_difference;
pf_status pf_tensor_compare(const pf_tensor *test, const pf_tensor *reference, pf_difference *out, pf_err *err);

#endif
