/* Pools at a point: a loop over the window, in whatever layout the input has. */
#include "engine/cuda/codegen_expr.h"
#include "engine/ops/attrs.h"

bool cg_pool_wants_places(const pf_graph *graph, const pf_node *node)
{
    return node->out_count > 1 && node->out[1] != PF_NONE && pf_graph_use_count(graph, node->out[1]) > 0;
}

const char *cg_pool_declines(const pf_graph *graph, const pf_node *node)
{
    const pf_pool_attrs *attrs = node->attrs;
    const pf_value      *x = pf_graph_value(graph, node->in[0]);

    if (attrs->auto_pad) return "padding depends on a symbol";
    if (!pf_dtype_is_float(x->dtype)) return "pooling of integers";
    if (x->shape.rank > 5) return "a pool over more than three dims";
    return x->shape.rank == 5 || node->op == PF_OP_LP_POOL || cg_pool_wants_places(graph, node)
               ? NULL
               : "a pool that has a kernel of its own";
}

typedef struct pool_code {
    cg_context          *cg;
    const pf_node       *node;
    const pf_pool_attrs *attrs;
    const pf_shape      *x;
    int                  spatial;
    bool                 places;
    cg_inner_loop        loops[3];
    cg_point             at, counted;   /* of the element that the loops are at; what of the window counts */
    int32_t              sum, count, place;
} pool_code;

static int64_t entry(const pf_ints *list, int d, int64_t otherwise) { return list->count ? list->at[d] : otherwise; }

/* Along dim d: the loop, and where it is at. */
static bool open_dim(pool_code *pool, int d)
{
    cg_context *cg = pool->cg;
    cg_index   *at = &pool->at.at[d + 2], index = cg_index_mul(cg, *at, entry(&pool->attrs->strides, d, 1));
    int64_t     begin = entry(&pool->attrs->pads, d, 0), end = entry(&pool->attrs->pads, d + pool->spatial, 0);

    if (!cg_open_loop(cg, pool->attrs->kernel.at[d], &pool->loops[d])) return false;
    *at = cg_index_add(cg, index,
                       cg_index_scale(cg_index_of(cg, pool->loops[d].var), entry(&pool->attrs->dilations, d, 1)));
    at->constant -= begin;
    pool->counted = cg_guarded(cg, &pool->counted, at, -begin, pool->x->dim[d + 2] + end);
    pool->at = cg_guarded(cg, &pool->at, at, 0, pool->x->dim[d + 2]);
    return true;
}

/* The number of the element in its channel, in whose order ONNX counts, behind all channels before. */
static void print_place(pool_code *pool)
{
    pf_buf *out = pool->cg->body;
    bool    columns = pool->attrs->column_major;

    pf_buf_printf(out, "((long long)");
    cg_index_print(pool->cg, &pool->at.at[0], "l", out);
    pf_buf_printf(out, " * %lld + ", (long long)pool->x->dim[1]);
    cg_index_print(pool->cg, &pool->at.at[1], "l", out);
    pf_buf_printf(out, ")");
    for (int k = 0; k < pool->spatial; k++) pf_buf_printf(out, " * %lld", (long long)pool->x->dim[k + 2]);
    for (int k = 0; k < pool->spatial; k++) {
        int d = columns ? pool->spatial - 1 - k : k;

        pf_buf_printf(out, " + ");
        cg_index_print(pool->cg, &pool->at.at[d + 2], "l", out);
        for (int j = k + 1; j < pool->spatial; j++)
            pf_buf_printf(out, " * %lld", (long long)pool->x->dim[(columns ? pool->spatial - 1 - j : j) + 2]);
    }
}

static void print_step(pool_code *pool, int32_t x)
{
    pf_buf *out = pool->cg->body;

    pf_buf_printf(out, "  LANES { const float a = v%d[l]; ", x);
    if (pool->node->op == PF_OP_AVERAGE_POOL)
        pf_buf_printf(out, "v%d[l] += g%d[l];", pool->count,
                      pool->attrs->count_include_pad ? pool->counted.guard : pool->at.guard);
    pf_buf_printf(out, " if (g%d[l]", pool->at.guard);
    if (pool->node->op == PF_OP_MAX_POOL) {
        pf_buf_printf(out, " && (a > v%d[l] || (a != a && v%d[l] == v%d[l]))) { v%d[l] = a;", pool->sum, pool->sum,
                      pool->sum, pool->sum);
        if (pool->places) {
            pf_buf_printf(out, " v%d[l] = ", pool->place);
            print_place(pool);
            pf_buf_printf(out, ";");
        }
    } else if (pool->node->op == PF_OP_LP_POOL && pool->attrs->p == 2)
        pf_buf_printf(out, ") { v%d[l] += a * a;", pool->sum);
    else if (pool->node->op == PF_OP_LP_POOL)
        pf_buf_printf(out, ") { v%d[l] += powf(fabsf(a), %lld.0f);", pool->sum, (long long)pool->attrs->p);
    else pf_buf_printf(out, ") { v%d[l] += a;", pool->sum);
    pf_buf_printf(out, " } }\n");
}

static void print_start(pool_code *pool)
{
    cg_context *cg = pool->cg;

    pool->sum = ++cg->next_id;
    pool->count = ++cg->next_id;
    pool->place = ++cg->next_id;
    pf_buf_printf(cg->body,
                  "  float v%d[V]; int v%d[V]; long long v%d[V]; LANES { v%d[l] = %s; v%d[l] = 0; v%d[l] = 0; }\n",
                  pool->sum, pool->count, pool->place, pool->sum,
                  pool->node->op == PF_OP_MAX_POOL ? "__int_as_float(0xff800000)" : "0.0f", pool->count, pool->place);
}

static void print_end(pool_code *pool)
{
    if (pool->node->op == PF_OP_AVERAGE_POOL)
        pf_buf_printf(pool->cg->body, "  LANES v%d[l] = v%d[l] ? v%d[l] / (float)v%d[l] : 0.0f;\n", pool->sum,
                      pool->count, pool->sum, pool->count);
    if (pool->node->op == PF_OP_LP_POOL && pool->attrs->p == 2)
        pf_buf_printf(pool->cg->body, "  LANES v%d[l] = sqrtf(v%d[l]);\n", pool->sum, pool->sum);
    else if (pool->node->op == PF_OP_LP_POOL)
        pf_buf_printf(pool->cg->body, "  LANES v%d[l] = powf(v%d[l], %.9ef);\n", pool->sum, pool->sum,
                      1.0 / (double)pool->attrs->p);
}

int32_t cg_eval_pool(cg_context *cg, const pf_node *node, uint32_t slot, const cg_point *point)
{
    const pf_shape *shape = &cg_input(cg, node, 0)->shape;
    pool_code       pool = { .cg = cg, .node = node, .attrs = node->attrs, .x = shape, .spatial = shape->rank - 2,
                             .places = cg_pool_wants_places(cg->problem->graph, node), .at = *point,
                             .counted = *point };
    int32_t         x = 0;

    print_start(&pool);
    for (int d = 0; d < pool.spatial; d++)
        if (!open_dim(&pool, d)) return -1;
    x = cg_eval(cg, node->in[0], &pool.at);
    if (x < 0) return -1;
    print_step(&pool, x);
    for (int d = pool.spatial - 1; d >= 0; d--) cg_close_loop(cg, &pool.loops[d]);
    print_end(&pool);
    if (pool.places && !cg_bind(cg, node->out[1 - slot], point, slot ? pool.sum : pool.place)) return -1;
    return slot ? pool.place : pool.sum;
}
