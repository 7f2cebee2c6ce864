/* grid_sample at a point: where the grid points to, the pixels round that and their weights are computed for each
   element, as in engine/ops/grid_sample.c. */
#include "engine/cuda/codegen_expr.h"
#include "engine/ops/attrs.h"

enum { TAPS_MAX = 16 };

/* grid_at: the pixel coordinate of a grid coordinate in [-1, 1], after padding.  grid_pixel: the pixel at a whole
   coordinate; -1 is outside, which counts as 0.  grid_cubic: Keys's cubic convolution with a = -0.75.
   PADDING is 0 for zeros, 1 for border, 2 for reflection, as in pf_grid_sample_attrs. */
const char cg_grid_sample_functions[] =
    "__device__ __forceinline__ float grid_reflect(float x, float low, float high) {\n"
    "  const float range = high - low, beyond = x < low ? low - x : x - high;\n"
    "  if ((x >= low && x <= high) || range <= 0.0f) return range <= 0.0f ? low : x;\n"
    "  const float times = floorf(beyond / range), rest = beyond - times * range;\n"
    "  return (fmodf(times, 2.0f) == 0.0f) == (x < low) ? low + rest : high - rest; }\n"
    "template <int SIZE, int PADDING, bool CORNERS, bool NEAREST> __device__ __forceinline__ float grid_at(float n) {\n"
    "  const float low = CORNERS ? 0.0f : -0.5f, high = CORNERS ? SIZE - 1.0f : SIZE - 0.5f;\n"
    "  float x = CORNERS ? (n + 1.0f) * 0.5f * (SIZE - 1.0f) : ((n + 1.0f) * SIZE - 1.0f) * 0.5f;\n"
    "  if (NEAREST) x = rintf(x);\n"
    "  if ((x >= low && x <= high) || PADDING == 0) return x;\n"
    "  return PADDING == 1 ? (x < 0.0f ? 0.0f : SIZE - 1.0f) : grid_reflect(x, low, high); }\n"
    "template <int SIZE, int PADDING, bool CORNERS> __device__ __forceinline__ int grid_pixel(float i) {\n"
    "  if (i >= 0.0f && i < (float)SIZE) return (int)i;\n"
    "  if (PADDING == 0 || i != i) return -1;\n"
    "  if (PADDING == 2) i = grid_reflect(i, CORNERS ? 0.0f : -0.5f, CORNERS ? SIZE - 1.0f : SIZE - 0.5f);\n"
    "  return i < 0.0f ? 0 : i >= (float)SIZE ? SIZE - 1 : (int)i; }\n"
    "__device__ __forceinline__ float grid_cubic(float x) { x = fabsf(x);\n"
    "  return x <= 1.0f ? (1.25f * x - 2.25f) * x * x + 1.0f : ((-0.75f * x + 3.75f) * x - 6.0f) * x + 3.0f; }\n";

static int taps_of(const pf_grid_sample_attrs *attrs)
{
    return attrs->mode == PF_GRID_NEAREST ? 1 : attrs->mode == PF_GRID_LINEAR ? 2 : 4;
}

const char *cg_grid_sample_declines(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *x = &pf_graph_value(graph, node->in[0])->shape;
    int             taps = 1;

    if (!pf_dtype_is_float(pf_graph_value(graph, node->in[0])->dtype) ||
        !pf_dtype_is_float(pf_graph_value(graph, node->in[1])->dtype))
        return "sampling of integers";
    for (int d = 2; d < x->rank; d++) {
        taps *= taps_of(node->attrs);
        if (pf_dim_is_number(x->dim[d]) && (x->dim[d] < 1 || x->dim[d] > 1 << 20)) return "sampling of such a size";
    }
    return taps > TAPS_MAX ? "more than 16 pixels for each element" : NULL;
}

typedef struct sample_code {
    cg_context                 *cg;
    const pf_node              *node;
    const pf_grid_sample_attrs *attrs;
    const pf_shape             *x;
    int32_t                     coordinate[PF_MAX_RANK];        /* c<id>, for each spatial dim */
    int32_t                     sum;
} sample_code;

/* Of a cubic at the border the taps are padded alone. */
static int padding_of_coordinate(const pf_grid_sample_attrs *attrs)
{
    bool stays = attrs->mode == PF_GRID_CUBIC && attrs->padding == PF_GRID_BORDER;

    return stays ? PF_GRID_ZEROS : (int)attrs->padding;
}

/* c<id>: the pixel coordinate along spatial dim d. The grid's numbers stand in the opposite order. */
static bool print_coordinate(sample_code *s, int d, const cg_point *point)
{
    int      spatial = s->x->rank - 2;
    cg_point at = *point;
    int32_t  n = 0;

    at.at[0] = point->at[0];
    for (int k = 0; k < spatial; k++) at.at[k + 1] = point->at[k + 2];
    at.at[spatial + 1] = cg_index_number(spatial - 1 - d);
    n = cg_eval(s->cg, s->node->in[1], &at);
    if (n < 0) return false;
    s->coordinate[d] = ++s->cg->next_id;
    pf_buf_printf(s->cg->body, "  float c%d[V]; LANES c%d[l] = grid_at<%lld, %d, %s, %s>(v%d[l]);\n", s->coordinate[d],
                  s->coordinate[d], (long long)s->x->dim[d + 2], padding_of_coordinate(s->attrs),
                  s->attrs->align_corners ? "true" : "false", s->attrs->mode == PF_GRID_NEAREST ? "true" : "false", n);
    return true;
}

static const char *weight_formula(int32_t mode)
{
    return mode == PF_GRID_NEAREST ? "1.0f" : mode == PF_GRID_LINEAR ? "1.0f - fabsf(x - i)" : "grid_cubic(x - i)";
}

/* The sum over the taps of spatial dim d and those behind it; w<weight>: the product of the weights so far, 0: none. */
static bool add_taps(sample_code *s, int d, int32_t weight, const cg_point *point)
{
    cg_context *cg = s->cg;
    pf_buf     *out = cg->body;

    if (d == s->x->rank - 2) {
        int32_t x = cg_eval(cg, s->node->in[0], point);

        if (x > 0)
            pf_buf_printf(out, "  LANES v%d[l] += g%d[l] ? w%d[l] * v%d[l] : 0.0f;\n", s->sum, point->guard, weight, x);
        return x > 0;
    }
    for (int t = 0; t < taps_of(s->attrs); t++) {
        cg_point at = *point;
        int32_t  id = ++cg->next_id;

        pf_buf_printf(out, "  idx o%d[V]; float w%d[V]; bool g%d[V]; LANES { const float x = c%d[l], i = %s + %d.0f; ",
                      id, id, id, s->coordinate[d], s->attrs->mode == PF_GRID_NEAREST ? "x" : "floorf(x)",
                      t - (s->attrs->mode == PF_GRID_CUBIC));
        pf_buf_printf(out, "const int k = grid_pixel<%lld, %d, %s>(i); o%d[l] = k < 0 ? 0 : k; g%d[l] = k >= 0",
                      (long long)s->x->dim[d + 2], (int)s->attrs->padding, s->attrs->align_corners ? "true" : "false",
                      id, id);
        if (point->guard) pf_buf_printf(out, " && g%d[l]", point->guard);
        pf_buf_printf(out, "; w%d[l] = %s", id, weight_formula(s->attrs->mode));
        if (weight) pf_buf_printf(out, "; w%d[l] *= w%d[l]", id, weight);
        pf_buf_printf(out, "; }\n");
        at.at[d + 2] = (cg_index){ .opaque = id };
        at.guard = id;
        at.guard_uniform = false;
        if (!add_taps(s, d + 1, id, &at)) return false;
    }
    return true;
}

int32_t cg_eval_grid_sample(cg_context *cg, const pf_node *node, const cg_point *point)
{
    sample_code s = { .cg = cg, .node = node, .attrs = node->attrs, .x = &cg_input(cg, node, 0)->shape };

    for (int d = 0; d < s.x->rank - 2; d++)
        if (!print_coordinate(&s, d, point)) return -1;
    s.sum = ++cg->next_id;
    pf_buf_printf(cg->body, "  float v%d[V]; LANES v%d[l] = 0.0f;\n", s.sum, s.sum);
    return add_taps(&s, 0, 0, point) ? s.sum : -1;
}
