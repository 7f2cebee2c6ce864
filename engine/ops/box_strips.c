#include "engine/ops/box_strips.h"

#include <math.h>

#include "base/alloc.h"

enum { STRIPS_MOST = 4096 };

/* Of an axis: where the boxes lie, and how long they are, all of them one behind the other. */
typedef struct span { double low, high, length; } span;

static span span_of(const pf_box *boxes, const int64_t *index, int64_t count, int axis)
{
    span s = { INFINITY, -INFINITY, 0 };

    for (int64_t i = 0; i < count; i++) {
        const pf_box *b = &boxes[index[i]];

        s.low = b->low[axis] < s.low ? b->low[axis] : s.low;
        s.high = b->high[axis] > s.high ? b->high[axis] : s.high;
        s.length += fabs(b->high[axis] - b->low[axis]);
    }
    return s;
}

/* As many boxes as would fit side by side, so that most lie in two strips or three; one where that is no number. */
static int64_t strips_of(const span *s, int64_t count)
{
    double wanted = (s->high - s->low) / s->length * (double)count;

    if (!(wanted >= 1) || !isfinite(s->high - s->low))
        return 1;
    wanted = fmin(wanted, (double)(count < STRIPS_MOST ? count : STRIPS_MOST));
    return (int64_t)wanted;
}

/* It never falls when x rises: boxes that share a point share a strip. */
static int64_t strip_at(const pf_box_strips *s, double x)
{
    double at = (x - s->from) / s->width;

    return !(at > 0) ? 0 : at >= (double)s->count ? s->count - 1 : (int64_t)at;
}

static void choose_axis(const pf_box *boxes, const int64_t *index, int64_t count, pf_box_strips *s)
{
    for (int axis = 0; axis < 2; axis++) {
        span    of = span_of(boxes, index, count, axis);
        int64_t strips = strips_of(&of, count);

        if (axis && strips <= s->count)
            continue;
        s->axis = axis;
        s->count = strips;
        s->from = strips > 1 ? of.low : 0;
        s->width = strips > 1 ? (of.high - of.low) / (double)strips : 1;
    }
}

/* Each strip's room is behind that of the one before: first how much, then where. */
static int64_t make_room(const pf_box *boxes, const int64_t *index, int64_t count, pf_box_strips *s)
{
    int64_t all = 0;

    for (int64_t i = 0; i < count; i++) {
        const pf_box *b = &boxes[index[i]];
        int64_t       last = strip_at(s, b->high[s->axis]);

        for (int64_t k = strip_at(s, b->low[s->axis]); k <= last; k++)
            s->end[k]++;
    }
    for (int64_t k = 0; k < s->count; k++) {
        int64_t room = s->end[k];

        s->begin[k] = s->end[k] = all;
        all += room;
    }
    return all;
}

pf_status pf_box_strips_open(const pf_box *boxes, const int64_t *index, int64_t count, pf_box_strips *out, pf_err *err)
{
    size_t room = 0;

    *out = (pf_box_strips){ 0 };
    choose_axis(boxes, index, count, out);
    out->begin = pf_calloc((size_t)out->count, sizeof *out->begin);
    out->end = pf_calloc((size_t)out->count, sizeof *out->end);
    if (!out->begin || !out->end)
        return PF_FAIL_MEMORY(err, (size_t)out->count * 2 * sizeof *out->begin);
    room = (size_t)make_room(boxes, index, count, out);
    out->kept = pf_calloc(room + 1, sizeof *out->kept);
    return out->kept ? PF_OK : PF_FAIL_MEMORY(err, room * sizeof *out->kept);
}

void pf_box_strips_close(pf_box_strips *s)
{
    pf_free(s->begin);
    pf_free(s->end);
    pf_free((void *)s->kept);
}

void pf_box_strips_put(pf_box_strips *s, const pf_box *box)
{
    int64_t last = strip_at(s, box->high[s->axis]);

    for (int64_t k = strip_at(s, box->low[s->axis]); k <= last; k++)
        s->kept[s->end[k]++] = box;
}

/* Whose area is no number shares no part that is one. */
static double shared(const pf_box *a, const pf_box *b, int axis)
{
    double low = a->low[axis] > b->low[axis] ? a->low[axis] : b->low[axis];
    double high = a->high[axis] < b->high[axis] ? a->high[axis] : b->high[axis];

    return high - low;
}

static bool overlap(const pf_box *a, const pf_box *b, double part)
{
    double height = shared(a, b, 0), width = shared(a, b, 1);

    return height > 0 && width > 0 && height * width / (a->area + b->area - height * width) > part;
}

bool pf_box_strips_overlap(const pf_box_strips *s, const pf_box *box, double part)
{
    int64_t last = strip_at(s, box->high[s->axis]);

    for (int64_t k = strip_at(s, box->low[s->axis]); k <= last; k++)
        for (int64_t i = s->begin[k]; i < s->end[k]; i++)
            if (overlap(box, s->kept[i], part))
                return true;
    return false;
}
