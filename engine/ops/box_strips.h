/* Boxes of a plane that lie in strips across one of its axes: whoever overlaps a box lies in one of its strips, too, so
   that few of many boxes have to be looked at. */
#ifndef PF_ENGINE_OPS_BOX_STRIPS_H
#define PF_ENGINE_OPS_BOX_STRIPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pf_box {
    double low[2], high[2];     /* on either axis; it covers nothing where low > high */
    double area;
} pf_box;

typedef struct pf_box_strips {
    int            axis;
    int64_t        count;
    double         from, width;         /* where the first begins, and how wide each is */
    int64_t       *begin, *end;         /* owned; by strip: what it holds, of kept */
    const pf_box **kept;                /* owned */
} pf_box_strips;

/* Empty strips with room for those of the boxes that index names, count of them; the boxes stay the caller's as long as
   the strips are used.  The caller closes it in any case.  Errors   NO_SPACE. */
pf_status pf_box_strips_open(const pf_box *boxes, const int64_t *index, int64_t count, pf_box_strips *out, pf_err *err);
void      pf_box_strips_close(pf_box_strips *strips);

/* Each of the boxes once at most. */
void      pf_box_strips_put(pf_box_strips *strips, const pf_box *box);
/* Is what some box there shares with this one more than that part of what both cover?  Boxes that share nothing do not
   overlap, whatever the part. */
bool      pf_box_strips_overlap(const pf_box_strips *strips, const pf_box *box, double part);

#endif
