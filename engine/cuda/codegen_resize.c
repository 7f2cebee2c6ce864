/* resize at a point: along each resized axis a table says, for every output position, which input positions count and
   how much.  Small tables are part of the kernel as constants. */
#include "engine/cuda/codegen.h"
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

static double scale_of(const pf_resize_attrs *attrs, int64_t from, int64_t to, int d)
{
    return attrs->scales.count ? attrs->scales.at[d] : (double)to / (double)from;
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
        pf_buf_printf(cg->body, "  LANES v%d[l] += w%d[l] * v%d[l];\n", sum, position, x);
    }
    return sum;
}

static int32_t sum_axis(cg_context *cg, const resize_walk *walk, int d, const cg_point *point)
{
    const pf_resize_attrs *attrs = walk->node->attrs;
    pf_resize_weights      weights = {0};
    pf_resize_axis         axis = {0};
    int32_t                result = -1;

    while (d < walk->in->rank && walk->in->dim[d] == walk->out->dim[d]) d++;
    if (d == walk->in->rank) return cg_eval(cg, walk->node->in[0], point);
    axis = (pf_resize_axis){ walk->in->dim[d], walk->out->dim[d],
                             scale_of(attrs, walk->in->dim[d], walk->out->dim[d], d), 0, 1 };
    if (pf_resize_weights_init(&weights, attrs, &axis, cg->err)) return -1;
    result = sum_taps(cg, walk, d, &weights, point);
    pf_resize_weights_clear(&weights);
    return result;
}

int32_t cg_eval_resize(cg_context *cg, const pf_node *node, const cg_point *point)
{
    resize_walk walk = { node, &pf_graph_value(cg->problem->graph, node->in[0])->shape,
                         &pf_graph_value(cg->problem->graph, node->out[0])->shape };

    return sum_axis(cg, &walk, 0, point);
}
