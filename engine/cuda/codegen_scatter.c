/* Scattering as seen from the element that is written: it looks through all indices for those that name it, in their
   order, so that the last one counts, or all are combined in the same order every time.  For few indices, as a cache of
   keys gets, or few elements, as the nodes of a graph have. */
#include "engine/cuda/codegen_expr.h"
#include "engine/ops/attrs.h"

enum { INDICES_MAX = 4096 };
#define COMPARISONS_MAX (INT64_C(1) << 33)      /* some milliseconds of a card; the host takes longer */
#define COMPARISONS_BESIDE (INT64_C(1) << 24)   /* more are worth a kernel of their own, which rows get */

static int32_t reduction_of(const pf_node *node)
{
    return node->op == PF_OP_SCATTER_ND ? ((const pf_scatter_nd_attrs *)node->attrs)->reduction
                                        : ((const pf_scatter_elements_attrs *)node->attrs)->reduction;
}

const char *cg_scatter_combination(int32_t reduction)
{
    return reduction == PF_SCATTER_ADD   ? "a + b"
           : reduction == PF_SCATTER_MUL ? "a * b"
           : reduction == PF_SCATTER_MAX ? "a > b ? a : b"
           : reduction == PF_SCATTER_MIN ? "a < b ? a : b"
                                         : "b";
}

/* How many indices an element looks through; -1: a symbol is among the dims. */
static int64_t count_indices(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *index = &pf_graph_value(graph, node->in[1])->shape;
    int64_t         count = 1;

    if (node->op == PF_OP_SCATTER_ELEMENTS) return index->dim[((const pf_scatter_elements_attrs *)node->attrs)->axis];
    for (int d = 0; d + 1 < index->rank; d++) {
        if (!pf_dim_is_number(index->dim[d])) return -1;
        count *= index->dim[d];
    }
    return count;
}

/* -1: a symbol is among the dims; no more than a little over the greatest limit. */
static int64_t count_comparisons(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *y = &pf_graph_value(graph, node->in[0])->shape;
    int64_t         count = count_indices(graph, node);

    for (int d = 0; d < y->rank && count >= 0 && count <= COMPARISONS_MAX; d++)
        count = !pf_dim_is_number(y->dim[d]) ? -1 : y->dim[d] > COMPARISONS_MAX ? COMPARISONS_MAX + 1
                                                                               : count * (y->dim[d] ? y->dim[d] : 1);
    return count;
}

static const char *too_much(const pf_graph *graph, const pf_node *node)
{
    int64_t comparisons = count_comparisons(graph, node);

    if (node->op == PF_OP_SCATTER_ND && !cg_only_node(graph) && (comparisons < 0 || comparisons > COMPARISONS_BESIDE))
        return "a scatter of rows that is worth a kernel of its own";
    return count_indices(graph, node) > INDICES_MAX && (comparisons < 0 || comparisons > COMPARISONS_MAX)
               ? "more than 4096 indices for many elements"
               : NULL;
}

const char *cg_scatter_declines(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *index = &pf_graph_value(graph, node->in[1])->shape;

    if (index->rank < 1) return "indices without a dim";
    if (node->op == PF_OP_SCATTER_ND && !pf_dim_is_number(index->dim[index->rank - 1]))
        return "indices of unknown depth";
    return too_much(graph, node);
}

/* ---- Loops over indices */

/* g<id>: starts as what the point's own guard says. */
static int32_t open_guard(cg_context *cg, const cg_point *point)
{
    int32_t id = ++cg->next_id;

    pf_buf_printf(cg->body, "  bool g%d[V]; LANES g%d[l] = ", id, id);
    if (point->guard) pf_buf_printf(cg->body, "g%d[l];\n", point->guard);
    else pf_buf_printf(cg->body, "true;\n");
    return id;
}

/* Only where v<which>, counted from the end when negative, is the index. */
static void narrow_to(cg_context *cg, int32_t guard, int32_t which, int64_t size, const cg_index *index)
{
    pf_buf_printf(cg->body,
                  "  LANES { const long long k = v%d[l]; g%d[l] = g%d[l] && (k < 0 ? k + %lld : k) == ", which, guard,
                  guard, (long long)size);
    cg_index_print(cg, index, "l", cg->body);
    pf_buf_printf(cg->body, "; }\n");
}

/* ---- Which update an index leads to: the point of the update, guarded by whether it is for this element. */

static bool elements_update(cg_context *cg, const pf_node *node, const cg_point *point, int var, cg_point *update)
{
    int64_t         axis = ((const pf_scatter_elements_attrs *)node->attrs)->axis;
    const pf_shape *index = &cg_input(cg, node, 1)->shape, *y = &cg_input(cg, node, 0)->shape;
    int32_t         guard = open_guard(cg, point), which = 0;

    *update = *point;
    update->guard = guard;
    update->guard_uniform = false;
    update->at[axis] = cg_index_var(var);
    for (int d = 0; d < y->rank; d++) {
        if (d == axis || index->dim[d] == y->dim[d]) continue;
        pf_buf_printf(cg->body, "  LANES g%d[l] = g%d[l] && ", guard, guard);
        cg_index_print(cg, &point->at[d], "l", cg->body);
        pf_buf_printf(cg->body, " < %lld;\n", (long long)index->dim[d]);
    }
    which = cg_eval(cg, node->in[1], update);
    if (which < 0) return false;
    update->guard = open_guard(cg, update);
    narrow_to(cg, update->guard, which, y->dim[axis], &point->at[axis]);
    return true;
}

static bool positions_update(cg_context *cg, const pf_node *node, const cg_point *point, int var, cg_point *update)
{
    const pf_shape *index = &cg_input(cg, node, 1)->shape, *y = &cg_input(cg, node, 0)->shape;
    int             outer = index->rank - 1, depth = (int)index->dim[outer];
    cg_index        rest = cg_index_var(var);
    cg_point        at = *point;

    at.rank = index->rank;
    for (int d = outer - 1; d > 0; d--) cg_index_split(cg, rest, index->dim[d], &rest, &at.at[d]);
    if (outer > 0) at.at[0] = rest;
    *update = at;
    update->guard = open_guard(cg, point);
    update->guard_uniform = false;
    for (int c = 0; c < depth; c++) {
        int32_t which = 0;

        at.at[outer] = cg_index_number(c);
        which = cg_eval(cg, node->in[1], &at);
        if (which < 0) return false;
        narrow_to(cg, update->guard, which, y->dim[c], &point->at[c]);
    }
    update->rank = outer + y->rank - depth;
    for (int d = depth; d < y->rank; d++) update->at[outer + d - depth] = point->at[d];
    return true;
}

int32_t cg_eval_scatter(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int32_t       x = cg_eval(cg, node->in[0], point), id = ++cg->next_id, update = 0;
    cg_inner_loop loop = {0};
    cg_point      at = {0};
    bool          fine = false;

    cg_declare(cg, id, cg_type_of(cg_input(cg, node, 0)->dtype));
    pf_buf_printf(cg->body, "LANES v%d[l] = v%d[l];\n", id, x);
    if (x < 0 || !cg_open_loop(cg, count_indices(cg->problem->graph, node), &loop)) return -1;
    fine = node->op == PF_OP_SCATTER_ND ? positions_update(cg, node, point, loop.var, &at)
                                        : elements_update(cg, node, point, loop.var, &at);
    if (fine) update = cg_eval(cg, node->in[2], &at);
    if (update > 0)
        pf_buf_printf(cg->body, "  LANES if (g%d[l]) { const auto a = v%d[l]; const auto b = v%d[l]; v%d[l] = %s; }\n",
                      at.guard, id, update, id, cg_scatter_combination(reduction_of(node)));
    cg_close_loop(cg, &loop);
    return update > 0 ? id : -1;
}
