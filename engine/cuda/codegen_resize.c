/* resize at a point: along each resized axis a table says, for every output position, which input positions count and
   how much.  Small tables are part of the kernel as constants; an axis of which every element is repeated equally often
   needs none. */
#include <string.h>

#include "engine/cuda/codegen_expr.h"
#include "engine/ops/attrs.h"
#include "engine/ops/resize_weights.h"

enum { POSITIONS_MAX = 8192, SOURCE_POSITIONS_MAX = 32767 };

const char *cg_resize_declines(const pf_graph *graph, const pf_node *node)
{
    const pf_resize_attrs *attrs = node->attrs;
    const pf_shape        *in = &pf_graph_value(graph, node->in[0])->shape,
                          *out = &pf_graph_value(graph, node->out[0])->shape;

    if (attrs->keep_aspect || attrs->coordinates == PF_RESIZE_TF_CROP_AND_RESIZE || attrs->antialias)
        return "a kind of resizing without a form here";
    if (!pf_dtype_is_float(pf_graph_value(graph, node->in[0])->dtype)) return "resizing of integers";
    for (int d = 0; d < in->rank; d++)
        if (pf_dim_is_number(out->dim[d]) && in->dim[d] != out->dim[d] &&
            (out->dim[d] > POSITIONS_MAX || in->dim[d] > SOURCE_POSITIONS_MAX))
            return "resizing to more than 8192 positions";
    return NULL;
}

/* ---- Tables */

/* Leaves out taps that do not count: of nearest elements one in two, whose product with an infinity were no number. */
static void drop_zeros(pf_resize_weights *w)
{
    int64_t most = 1;

    for (int64_t i = 0; i < w->to; i++) {
        int64_t count = 0, *at = w->at + i * w->taps;
        double *weight = w->weight + i * w->taps;

        for (int64_t t = 0; t < w->taps; t++) {
            if (weight[t] == 0 || at[t] < 0) continue;
            at[count] = at[t];
            weight[count++] = weight[t];
        }
        for (int64_t t = count; t < w->taps; t++) weight[t] = 0;
        if (count > most) most = count;
    }
    for (int64_t i = 0; i < w->to; i++) {
        memmove(w->at + i * most, w->at + i * w->taps, (size_t)most * sizeof *w->at);
        memmove(w->weight + i * most, w->weight + i * w->taps, (size_t)most * sizeof *w->weight);
    }
    w->taps = most;
}

/* How often every element comes in a row; 0: they are combined, or some come more often than others. */
static int64_t repeats_of(const pf_resize_weights *w)
{
    int64_t times = w->to / (w->to > 0 && w->at[w->to - 1] >= 0 ? w->at[w->to - 1] + 1 : 1);

    for (int64_t i = 0; i < w->to && times; i++)
        if (w->taps != 1 || w->weight[i] != 1 || w->at[i] != i / times) return 0;
    return times;
}

static double scale_of(const pf_resize_attrs *attrs, int64_t from, int64_t to, int d)
{
    return attrs->scales.count ? attrs->scales.at[d] : (double)to / (double)from;
}

/* The table of an axis that changes its size. */
static pf_status table_of(const pf_resize_attrs *attrs, const pf_shape *in, const pf_shape *out, int d,
                          pf_resize_weights *table, pf_err *err)
{
    pf_resize_axis axis = { in->dim[d], out->dim[d], scale_of(attrs, in->dim[d], out->dim[d], d), 0, 1 };
    pf_status      st = pf_resize_weights_init(table, attrs, &axis, err);

    if (!st) drop_zeros(table);
    return st;
}

bool cg_resize_repeats(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *in = &pf_graph_value(graph, node->in[0])->shape, *out = &pf_graph_value(graph, node->out[0])->shape;
    bool            repeats = true;

    for (int d = 0; d < in->rank && repeats; d++) {
        pf_resize_weights table = {0};

        if (in->dim[d] == out->dim[d]) continue;
        repeats = !table_of(node->attrs, in, out, d, &table, NULL) && repeats_of(&table);
        pf_resize_weights_clear(&table);
    }
    return repeats;
}

static void print_table(cg_context *cg, int32_t id, const pf_resize_weights *w)
{
    pf_buf *out = cg->body;

    pf_buf_printf(out, "  static const short at%d[] = {", id);
    for (int64_t i = 0; i < w->to * w->taps; i++) pf_buf_printf(out, "%lld,", (long long)(w->at[i] < 0 ? 0 : w->at[i]));
    pf_buf_printf(out, "};\n  static const float weight%d[] = {", id);
    for (int64_t i = 0; i < w->to * w->taps; i++) pf_buf_printf(out, "%.9ef,", w->at[i] < 0 ? 0.0 : w->weight[i]);
    pf_buf_printf(out, "};\n");
}

/* ---- Sums */

typedef struct resize_walk { const pf_node *node; const pf_shape *in, *out; } resize_walk;

static int32_t sum_axis(cg_context *cg, const resize_walk *walk, int d, const cg_point *point);

/* Sum over the taps of axis d of weight times what the further axes give there. */
static int32_t sum_taps(cg_context *cg, const resize_walk *walk, int d, const pf_resize_weights *w,
                        const cg_point *point)
{
    int32_t table = ++cg->next_id, sum = ++cg->next_id;

    print_table(cg, table, w);
    pf_buf_printf(cg->body, "  float v%d[V]; LANES v%d[l] = 0.0f;\n", sum, sum);
    for (int64_t tap = 0; tap < w->taps; tap++) {
        cg_point at = *point;
        int32_t  position = ++cg->next_id, x = 0;

        pf_buf_printf(cg->body, "  idx o%d[V]; float w%d[V]; LANES { const idx k = ", position, position);
        cg_index_print(cg, &point->at[d], "l", cg->body);
        pf_buf_printf(cg->body,
                      " * %lld + %lld; const bool in = k >= 0 && k < %lld; o%d[l] = in ? at%d[k] : 0; w%d[l] = in ? "
                      "weight%d[k] : 0.0f; }\n",
                      (long long)w->taps, (long long)tap, (long long)(w->to * w->taps), position, table, position,
                      table);
        at.at[d] = (cg_index){ .opaque = position, .step = cg_index_is_uniform(cg, &point->at[d]) };
        x = sum_axis(cg, walk, d + 1, &at);
        if (x < 0) return -1;
        /* as the references do it: nothing of an infinite element is not a number */
        pf_buf_printf(cg->body, "  LANES if (w%d[l] != 0.0f) v%d[l] += w%d[l] * v%d[l];\n", position, sum, position, x);
    }
    return sum;
}

static int32_t repeat_axis(cg_context *cg, const resize_walk *walk, int d, int64_t times, const cg_point *point)
{
    cg_point at = *point;
    cg_index rest = {0};

    cg_index_split(cg, point->at[d], times, &at.at[d], &rest);
    return sum_axis(cg, walk, d + 1, &at);
}

static int32_t sum_axis(cg_context *cg, const resize_walk *walk, int d, const cg_point *point)
{
    pf_resize_weights table = {0};
    int32_t           result = -1;

    while (d < walk->in->rank && walk->in->dim[d] == walk->out->dim[d]) d++;
    if (d == walk->in->rank) return cg_eval(cg, walk->node->in[0], point);
    if (!table_of(walk->node->attrs, walk->in, walk->out, d, &table, cg->err)) {
        int64_t times = repeats_of(&table);

        result = times ? repeat_axis(cg, walk, d, times, point) : sum_taps(cg, walk, d, &table, point);
    }
    pf_resize_weights_clear(&table);
    return result;
}

int32_t cg_eval_resize(cg_context *cg, const pf_node *node, const cg_point *point)
{
    resize_walk walk = { node, &pf_graph_value(cg->problem->graph, node->in[0])->shape,
                         &pf_graph_value(cg->problem->graph, node->out[0])->shape };

    return sum_axis(cg, &walk, 0, point);
}
