/* non_max_suppression: per image and class the best boxes that do not overlap better ones too much. */
#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_non_max_suppression_attrs, center_point_box, INT),
    PF_ATTR_FIELD(pf_non_max_suppression_attrs, max_output_boxes, INT),
    PF_ATTR_FIELD(pf_non_max_suppression_attrs, iou_threshold, FLOAT),
    PF_ATTR_FIELD(pf_non_max_suppression_attrs, score_threshold, FLOAT),
    PF_ATTR_FIELD(pf_non_max_suppression_attrs, has_score_threshold, INT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_value *boxes = pf_infer_in(infer, 0), *scores = pf_infer_in(infer, 1);
    pf_status       st = pf_infer_rank(infer, 0, 3, 3, err);
    pf_shape        out = { .rank = 2 };

    if (!st)
        st = pf_infer_rank(infer, 1, 3, 3, err);
    if (!st)
        st = pf_infer_dims_agree(infer, boxes->shape.dim[0], scores->shape.dim[0], "batch of boxes and scores", err);
    if (!st)
        st = pf_infer_dims_agree(infer, boxes->shape.dim[1], scores->shape.dim[2], "number of boxes and scores", err);
    if (!st)
        st = pf_infer_dims_agree(infer, boxes->shape.dim[2], 4, "numbers of a box", err);
    if (st)
        return st;
    out.dim[0] = pf_dims_fresh(infer->graph->dims, "selected");
    out.dim[1] = 3;
    pf_infer_set(infer, 0, PF_I64, &out);
    return pf_infer_check_out(infer, err);
}

typedef struct box { double y_low, x_low, y_high, x_high; } box;

static void sort_two(double *low, double *high)
{
    double held = *low;

    if (*low <= *high)
        return;
    *low = *high;
    *high = held;
}

static box box_of(const double *b, bool center)
{
    box out = { b[0], b[1], b[2], b[3] };

    if (center)
        return (box){ b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2 };
    sort_two(&out.y_low, &out.y_high);
    sort_two(&out.x_low, &out.x_high);
    return out;
}

static double area(const box *b) { return (b->y_high - b->y_low) * (b->x_high - b->x_low); }

static bool overlaps(const box *a, const box *b, double threshold)
{
    box    both = { a->y_low > b->y_low ? a->y_low : b->y_low, a->x_low > b->x_low ? a->x_low : b->x_low,
                    a->y_high < b->y_high ? a->y_high : b->y_high, a->x_high < b->x_high ? a->x_high : b->x_high };
    double shared = area(&both);

    if (both.y_high <= both.y_low || both.x_high <= both.x_low || area(a) <= 0 || area(b) <= 0)
        return false;
    return shared / (area(a) + area(b) - shared) > threshold;
}

static int by_score(const void *a, const void *b, void *scores)
{
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    double  x = ((const double *)scores)[i], y = ((const double *)scores)[j];

    return x != y ? (x < y) - (x > y) : (i > j) - (i < j);
}

/* Keeps the indices of the boxes of one class in order of their scores at the front of index; answers how many. */
static int64_t select_boxes(const pf_non_max_suppression_attrs *a, const double *boxes, double *scores, int64_t count,
                            int64_t *index)
{
    int64_t candidates = 0, kept = 0;

    for (int64_t i = 0; i < count; i++)
        if (!a->has_score_threshold || scores[i] > a->score_threshold)
            index[candidates++] = i;
    qsort_r(index, (size_t)candidates, sizeof *index, by_score, scores);
    for (int64_t i = 0; i < candidates && kept < a->max_output_boxes; i++) {
        box  b = box_of(boxes + 4 * index[i], a->center_point_box != 0);
        bool fits = true;

        for (int64_t k = 0; k < kept && fits; k++) {
            box other = box_of(boxes + 4 * index[k], a->center_point_box != 0);

            fits = !overlaps(&b, &other, a->iou_threshold);
        }
        if (fits)
            index[kept++] = index[i];
    }
    return kept;
}

typedef struct work { double *boxes, *scores; int64_t *index, *selected; } work;   /* owned */

static void run(const pf_reference_call *call, work *w, int64_t *total)
{
    const int64_t *dim = call->in[1].dim;

    for (int64_t c = 0; c < dim[0] * dim[1]; c++) {
        int64_t kept = select_boxes(call->attrs, w->boxes + c / dim[1] * dim[2] * 4, w->scores + c * dim[2], dim[2],
                                    w->index);

        for (int64_t i = 0; i < kept; i++) {
            int64_t *row = w->selected + 3 * (*total)++;

            row[0] = c / dim[1];
            row[1] = c % dim[1];
            row[2] = w->index[i];
        }
    }
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const int64_t *dim = call->in[1].dim;
    int64_t        rows[2] = { 0, 3 }, most = pf_tensor_elems(&call->in[1]);
    work           w = { pf_rows_doubles(&call->in[0]), pf_rows_doubles(&call->in[1]), NULL, NULL };
    pf_status      st = PF_OK;

    w.index = pf_alloc((size_t)dim[2] * sizeof *w.index + 1);
    w.selected = pf_alloc((size_t)most * 3 * sizeof *w.selected + 1);
    if (call->in[0].dim[1] != dim[2] || call->in[0].dim[0] != dim[0])
        st = PF_FAIL(err, PF_INVALID, "there are not as many boxes as scores");
    else if (!w.boxes || !w.scores || !w.index || !w.selected)
        st = PF_FAIL_MEMORY(err, (size_t)most * 3 * sizeof *w.selected);
    if (!st) {
        run(call, &w, &rows[0]);
        st = pf_rows_size(&call->out[0], 2, rows, err);
    }
    for (int64_t i = 0; i < rows[0] * 3 && !st; i++)
        ((int64_t *)call->out[0].data)[i] = w.selected[i];
    pf_free(w.boxes);
    pf_free(w.scores);
    pf_free(w.index);
    pf_free(w.selected);
    return st;
}

const pf_op_def pf_op_non_max_suppression = {
    .name = "non_max_suppression", .klass = PF_CLASS_HOST, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_non_max_suppression_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
