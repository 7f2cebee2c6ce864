/* A tensor seen along one axis: outer x size x inner, lines of `size` elements that are `inner` apart. */
#ifndef PF_ENGINE_OPS_LINES_H
#define PF_ENGINE_OPS_LINES_H

#include "engine/tensor.h"

typedef struct pf_lines { int64_t outer, size, inner; } pf_lines;

/* Axes [from, to) are the line. */
pf_lines pf_lines_of(const pf_tensor *tensor, int64_t from, int64_t to);
static inline int64_t pf_lines_count(const pf_lines *lines) { return lines->outer * lines->inner; }
/* Index of the first element of line i; the next ones follow at steps of lines->inner. */
static inline int64_t pf_lines_at(const pf_lines *lines, int64_t i)
{
    return i / lines->inner * lines->size * lines->inner + i % lines->inner;
}

/* Applies fn to every line of x, in doubles, and writes the line to y (same shape).  user is passed on. */
typedef void pf_lines_fn(const double *in, double *out, int64_t size, const void *user);
pf_status pf_lines_map(const pf_lines *lines, const pf_tensor *x, pf_tensor *y, pf_lines_fn *fn, const void *user,
                       pf_err *err);

#endif
