/* non_max_suppression: per image and class the best boxes that do not overlap better ones too much. */
#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/ops/box_strips.h"
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

static void sort_two(double *low, double *high)
{
    double held = *low;

    if (*low <= *high)
        return;
    *low = *high;
    *high = held;
}

/* y and x of two corners, or x and y of the center, width and height. */
static pf_box box_of(const double *b, bool center)
{
    pf_box out = { { b[0], b[1] }, { b[2], b[3] }, 0 };

    if (center)
        out = (pf_box){ { b[1] - b[3] / 2, b[0] - b[2] / 2 }, { b[1] + b[3] / 2, b[0] + b[2] / 2 }, 0 };
    for (int axis = 0; axis < 2 && !center; axis++)
        sort_two(&out.low[axis], &out.high[axis]);
    out.area = (out.high[0] - out.low[0]) * (out.high[1] - out.low[1]);
    return out;
}

static pf_box *boxes_of(const pf_tensor *tensor, bool center)
{
    int64_t count = pf_tensor_elems(tensor) / 4;
    double *numbers = pf_rows_doubles(tensor);
    pf_box *boxes = numbers ? pf_calloc((size_t)count + 1, sizeof *boxes) : NULL;

    for (int64_t i = 0; boxes && i < count; i++)
        boxes[i] = box_of(numbers + 4 * i, center);
    pf_free(numbers);
    return boxes;
}

static int by_score(const void *a, const void *b, void *scores)
{
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    double  x = ((const double *)scores)[i], y = ((const double *)scores)[j];

    return x != y ? (x < y) - (x > y) : (i > j) - (i < j);
}

/* Keeps the indices of the boxes of one class in order of their scores at the front of index. */
static pf_status select_boxes(const pf_non_max_suppression_attrs *a, const pf_box *boxes, double *scores, int64_t count,
                              int64_t *index, int64_t *kept, pf_err *err)
{
    int64_t       candidates = 0;
    pf_box_strips strips = { 0 };
    pf_status     st = PF_OK;

    *kept = 0;
    for (int64_t i = 0; i < count; i++)
        if (!a->has_score_threshold || scores[i] > a->score_threshold)
            index[candidates++] = i;
    qsort_r(index, (size_t)candidates, sizeof *index, by_score, scores);
    st = pf_box_strips_open(boxes, index, candidates, &strips, err);
    for (int64_t i = 0; i < candidates && *kept < a->max_output_boxes && !st; i++) {
        const pf_box *box = &boxes[index[i]];

        if (pf_box_strips_overlap(&strips, box, a->iou_threshold))
            continue;
        pf_box_strips_put(&strips, box);
        index[(*kept)++] = index[i];
    }
    pf_box_strips_close(&strips);
    return st;
}

typedef struct work { pf_box *boxes; double *scores; int64_t *index, *selected; } work;     /* owned */

static pf_status run(const pf_reference_call *call, work *w, int64_t *total, pf_err *err)
{
    const int64_t *dim = call->in[1].dim;
    pf_status      st = PF_OK;

    for (int64_t c = 0; c < dim[0] * dim[1] && !st; c++) {
        int64_t kept = 0;

        st = select_boxes(call->attrs, w->boxes + c / dim[1] * dim[2], w->scores + c * dim[2], dim[2], w->index, &kept,
                          err);
        for (int64_t i = 0; i < kept && !st; i++) {
            int64_t *row = w->selected + 3 * (*total)++;

            row[0] = c / dim[1];
            row[1] = c % dim[1];
            row[2] = w->index[i];
        }
    }
    return st;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_non_max_suppression_attrs *a = call->attrs;
    const int64_t *dim = call->in[1].dim;
    int64_t        rows[2] = { 0, 3 }, most = pf_tensor_elems(&call->in[1]);
    work           w = { boxes_of(&call->in[0], a->center_point_box != 0), pf_rows_doubles(&call->in[1]), NULL, NULL };
    pf_status      st = PF_OK;

    w.index = pf_alloc((size_t)dim[2] * sizeof *w.index + 1);
    w.selected = pf_alloc((size_t)most * 3 * sizeof *w.selected + 1);
    if (call->in[0].dim[0] != dim[0] || call->in[0].dim[1] != dim[2] || call->in[0].dim[2] != 4)
        st = PF_FAIL(err, PF_INVALID, "there are not as many boxes of four numbers as scores");
    else if (!w.boxes || !w.scores || !w.index || !w.selected)
        st = PF_FAIL_MEMORY(err, (size_t)most * 3 * sizeof *w.selected);
    if (!st)
        st = run(call, &w, &rows[0], err);
    if (!st)
        st = pf_rows_size(&call->out[0], 2, rows, err);
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
