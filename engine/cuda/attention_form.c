#include "engine/cuda/attention_form.h"

#include <math.h>
#include <string.h>

#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { BATCH, HEAD, POSITION, DEPTH, AXES };
enum { HEAD_DIM_MAX = 256, GRID_MAX = 65535 };

static const pf_node *attention_of(const pf_problem *p)
{
    const pf_node *found = NULL;

    for (uint32_t n = 0; n < p->graph->node_count; n++)
        if (p->graph->nodes[n].live && p->graph->nodes[n].op == PF_OP_ATTENTION) {
            if (found) return NULL;
            found = &p->graph->nodes[n];
        }
    return found;
}

/* ---- From y on: each dim of a value is a run of neighbouring axes; a reshape joins runs or splits them, a transpose
   reorders them. */

typedef struct dim_run { int count; int axis[AXES]; } dim_run;
typedef struct runs { int rank; dim_run at[PF_MAX_RANK]; } runs;

static bool reshape_runs(runs *r, const pf_shape *to, const int64_t extent[AXES])
{
    int  axes[AXES], count = 0, next = 0;
    runs made = { .rank = to->rank };

    for (int d = 0; d < r->rank; d++)
        for (int i = 0; i < r->at[d].count; i++) axes[count++] = r->at[d].axis[i];
    for (int d = 0; d < to->rank; d++) {
        int64_t left = to->dim[d];

        while (next < count && (left > 1 || extent[axes[next]] == 1) && left % extent[axes[next]] == 0) {
            left /= extent[axes[next]];
            made.at[d].axis[made.at[d].count++] = axes[next++];
        }
        if (left != 1) return false;
    }
    *r = made;
    return next == count;
}

static bool apply_move(const pf_problem *p, const pf_node *node, runs *r, const int64_t extent[AXES])
{
    runs before = *r;

    if (node->op == PF_OP_RESHAPE) return reshape_runs(r, &pf_graph_value(p->graph, node->out[0])->shape, extent);
    if (node->op != PF_OP_TRANSPOSE) return false;
    for (int d = 0; d < r->rank; d++) r->at[d] = before.at[((const pf_transpose_attrs *)node->attrs)->perm.at[d]];
    return true;
}

/* Strides of the axes in the last value of the chain behind y. */
static bool trace_output(const pf_problem *p, const pf_attention_form *form, pf_strided *y)
{
    const int64_t extent[AXES] = { form->batch, form->heads, form->queries, form->head_dim };
    int64_t       stride[AXES] = {0}, step = 1;
    runs          r = { 4, { { 1, { BATCH } }, { 1, { HEAD } }, { 1, { POSITION } }, { 1, { DEPTH } } } };
    pf_value_id   value = form->node->out[0];

    while (value != p->graph->outputs[0]) {
        const pf_node *node = pf_graph_use_count(p->graph, value) == 1
                                  ? pf_graph_node(p->graph, pf_graph_use(p->graph, value, 0).node)
                                  : NULL;

        if (!node || !apply_move(p, node, &r, extent)) return false;
        value = node->out[0];
    }
    for (int d = r.rank - 1; d >= 0; d--)
        for (int i = r.at[d].count - 1; i >= 0; i--) {
            stride[r.at[d].axis[i]] = step;
            step *= extent[r.at[d].axis[i]];
        }
    *y = (pf_strided){ 0, 0, stride[BATCH], stride[HEAD], stride[POSITION] };
    return stride[DEPTH] == 1;
}

/* ---- Up to q, k and v: the address of an element, which must be affine in its coordinates. */

static bool trace_input(const pf_problem *p, pf_value_id value, pf_strided *out)
{
    cg_context cg;
    cg_point   point;
    pf_buf     scratch = {0};
    cg_index   a = {0};
    bool       fine = false;

    pf_buf_init(&scratch, 1 << 20);
    cg_context_init(&cg, p, &scratch, 1, NULL);
    cg.tracing = true;
    cg.traced_input = UINT32_MAX;
    cg_loop_over(&cg, PF_LAYOUT_LINEAR, pf_graph_value(p->graph, value), &point);
    fine = cg_eval(&cg, value, &point) > 0 && cg.traced_input != UINT32_MAX && !cg.traced_address.opaque;
    a = cg.traced_address;
    *out = (pf_strided){ cg.traced_input, a.constant, a.coef[BATCH], a.coef[HEAD], a.coef[POSITION] };
    cg_context_clear(&cg);
    pf_buf_clear(&scratch);
    return fine && a.coef[DEPTH] == 1;
}

static bool is_move(pf_op_kind op)
{
    return op == PF_OP_RESHAPE || op == PF_OP_TRANSPOSE || op == PF_OP_SLICE || op == PF_OP_SPLIT ||
           op == PF_OP_IDENTITY;
}

/* Every way from q, k or v up leads through moves; the mask may be computed by anything that can be evaluated. */
static bool only_moves_above(const pf_problem *p, pf_value_id value)
{
    const pf_value *v = pf_graph_value(p->graph, value);

    while (v->producer != PF_NONE) {
        const pf_node *node = pf_graph_node(p->graph, v->producer);

        if (!is_move(node->op)) return false;
        v = pf_graph_value(p->graph, node->in[0]);
    }
    return !v->is_constant;
}

static const char *check_attrs(const pf_problem *p, const pf_node *node)
{
    const pf_attention_attrs *attrs = node->attrs;

    if (attrs->softcap != 0) return "softcap";
    if (node->out_count > 1 && pf_graph_use_count(p->graph, node->out[1])) return "scores are wanted";
    if (node->in_count > 4 && node->in[4] != PF_NONE) return "key lengths";
    for (int i = 0; i < 3; i++)
        if (!only_moves_above(p, node->in[i])) return "q, k or v is computed inside the region";
    return NULL;
}

/* Shapes that hold for every binding of symbols. Sizes that are symbols are believed. */
static const char *check_dims(const pf_problem *p, const pf_node *node)
{
    const pf_shape *q = &pf_graph_value(p->graph, node->in[0])->shape,
                   *k = &pf_graph_value(p->graph, node->in[1])->shape;
    const pf_shape *mask = node->in_count > 3 && node->in[3] != PF_NONE ? &pf_graph_value(p->graph, node->in[3])->shape
                                                                        : NULL;
    pf_dim          keys = k->dim[2];

    if (!pf_shape_equal(k, &pf_graph_value(p->graph, node->in[2])->shape)) return "k and v differ in shape";
    if (!pf_dim_is_number(q->dim[3]) || q->dim[3] < 2 || q->dim[3] % 2 || q->dim[3] > HEAD_DIM_MAX)
        return "head dim is not an even number up to 256";
    if (!pf_dim_is_number(q->dim[1]) || !pf_dim_is_number(k->dim[1]) || k->dim[1] < 1 || q->dim[1] % k->dim[1])
        return "heads do not divide";
    if (mask && mask->rank > 0 && mask->dim[mask->rank - 1] != 1 && mask->dim[mask->rank - 1] != keys)
        return "a mask shorter than the keys";
    return NULL;
}

static bool divides(int width, const pf_strided *s)
{
    return s->first % width == 0 && s->batch % width == 0 && s->head % width == 0 && s->position % width == 0;
}

int pf_attention_copy_width(const pf_attention_form *form)
{
    for (int width = 8; width > 1; width /= 2)
        if (form->head_dim % width == 0 && divides(width, &form->q) && divides(width, &form->k) &&
            divides(width, &form->v))
            return width;
    return 0;
}

int pf_attention_store_width(const pf_attention_form *form)
{
    for (int width = 8; width > 1; width /= 2)
        if (form->head_dim % width == 0 && divides(width, &form->y)) return width;
    return 0;
}

const char *pf_attention_read(const pf_problem *p, pf_attention_form *out)
{
    const pf_node  *node = attention_of(p);
    const pf_shape *q = NULL, *k = NULL;

    memset(out, 0, sizeof *out);
    if (!node) return "no attention";
    q = &pf_graph_value(p->graph, node->in[0])->shape;
    k = &pf_graph_value(p->graph, node->in[1])->shape;
    out->node = node;
    out->mask = node->in_count > 3 ? node->in[3] : PF_NONE;
    out->batch = q->dim[0];
    out->heads = q->dim[1];
    out->queries = q->dim[2];
    out->head_dim = q->dim[3];
    out->kv_heads = k->dim[1];
    out->keys = k->dim[2];
    out->scale = ((const pf_attention_attrs *)node->attrs)->scale;
    if (out->scale == 0) out->scale = 1 / sqrt((double)out->head_dim);
    if (!trace_input(p, node->in[0], &out->q) || !trace_input(p, node->in[1], &out->k) ||
        !trace_input(p, node->in[2], &out->v))
        return "q, k or v has no strides, or its depth is not innermost";
    if (!trace_output(p, out, &out->y)) return "the output has no strides";
    if (out->batch > GRID_MAX || out->heads > GRID_MAX) return "more than 65535 heads";
    return pf_attention_copy_width(out) && pf_attention_store_width(out) ? NULL
                                                                         : "rows of q, k, v or y begin at odd places";
}

const char *pf_attention_declines(const pf_problem *p)
{
    const pf_node *node = attention_of(p);
    const char    *reason = node ? check_attrs(p, node) : "no attention";
    pf_dtype       dtype = PF_DTYPE_NONE;
    pf_attention_form form;

    if (reason) return reason;
    dtype = pf_graph_value(p->graph, node->in[0])->dtype;
    if (dtype != PF_F16 && dtype != PF_BF16) return "element type";
    if (p->graph->output_count != 1) return "several outputs";
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (p->in_layout[i] != PF_LAYOUT_LINEAR) return "not linear";
    if (p->out_layout[0] != PF_LAYOUT_LINEAR) return "not linear";
    for (uint32_t n = 0; n < p->graph->node_count; n++) {
        const pf_node *other = &p->graph->nodes[n];
        const char    *why = other->live && other != node ? cg_node_declines(p->graph, other) : NULL;

        if (why) return why;
    }
    reason = check_dims(p, node);
    return reason || !pf_problem_is_bound(p) ? reason : pf_attention_read(p, &form);
}
