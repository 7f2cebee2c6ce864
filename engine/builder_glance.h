/* A few elements of every value that the references compute, kept by the value's name: enough to see that a layer of a
   plan cannot be right without keeping all values in memory.  What differs here is looked at closely elsewhere
   (engine/builder_blame.h), so too strict does no harm. */
#ifndef PF_ENGINE_BUILDER_GLANCE_H
#define PF_ENGINE_BUILDER_GLANCE_H

#include "base/map.h"
#include "engine/graph.h"
#include "engine/tensor.h"

enum { PF_GLANCE_ELEMS = 1024 };

typedef struct pf_glanced { double *elems; int64_t count; int32_t rank; int64_t dim[PF_MAX_RANK]; } pf_glanced;

typedef struct pf_glance {
    const pf_graph *graph;              /* borrowed */
    pf_map         *value_of;           /* owned; name -> value of graph */
    pf_glanced     *values;             /* owned; by value; elems NULL: not computed, no floats, or no memory */
} pf_glance;

pf_status pf_glance_open(const pf_graph *graph, pf_glance *out, pf_err *err);
void      pf_glance_close(pf_glance *glance);
/* user: the glance; a pf_interpret_watch. */
void      pf_glance_take(void *user, pf_value_id value, pf_tensor *tensor);
/* Does the tensor differ from what is kept of the value of that name, by more than tolerance of its range and a tenth
   of that of its size?  Where nothing is kept, it does not. */
bool      pf_glance_differs(const pf_glance *glance, const char *name, const pf_tensor *tensor, double tolerance);

#endif
