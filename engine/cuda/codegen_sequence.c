/* Moves along a dim by a number for each entry of the batch. */
#include "engine/cuda/codegen_expr.h"
#include "engine/ops/attrs.h"

/* The first `length` steps backwards. */
int32_t cg_eval_reverse_sequence(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_reverse_sequence_attrs *attrs = node->attrs;
    cg_point                         at = *point, entry = *point;
    int32_t                          length = 0, id = 0;

    entry.rank = 1;
    entry.at[0] = point->at[attrs->batch_axis];
    length = cg_eval(cg, node->in[1], &entry);
    if (length < 0) return -1;
    id = ++cg->next_id;
    pf_buf_printf(cg->body, "  idx o%d[V]; LANES { const idx n = (idx)v%d[l], t = ", id, length);
    cg_index_print(cg, &point->at[attrs->time_axis], "l", cg->body);
    pf_buf_printf(cg->body, "; o%d[l] = t < n && n <= %lld ? n - 1 - t : t; }\n", id,
                  (long long)cg_input(cg, node, 0)->shape.dim[attrs->time_axis]);
    at.at[attrs->time_axis] = (cg_index){ .opaque = id };
    return cg_eval(cg, node->in[0], &at);
}

/* o<id>: the place in the update, and g<id>: whether there is one. */
static int32_t print_place(cg_context *cg, const pf_node *node, const cg_point *point, int32_t start)
{
    const pf_tensor_scatter_attrs *attrs = node->attrs;
    int32_t                        id = ++cg->next_id;

    pf_buf_printf(cg->body, "  idx o%d[V]; bool g%d[V]; LANES { idx k = ", id, id);
    cg_index_print(cg, &point->at[attrs->axis], "l", cg->body);
    if (start) pf_buf_printf(cg->body, " - (idx)v%d[l]", start);
    if (attrs->mode == PF_TENSOR_SCATTER_CIRCULAR)
        pf_buf_printf(cg->body, "; k += k < 0 ? %lld : 0", (long long)cg_input(cg, node, 0)->shape.dim[attrs->axis]);
    pf_buf_printf(cg->body, "; g%d[l] = k >= 0 && k < %lld", id,
                  (long long)cg_input(cg, node, 1)->shape.dim[attrs->axis]);
    if (point->guard) pf_buf_printf(cg->body, " && g%d[l]", point->guard);
    pf_buf_printf(cg->body, "; o%d[l] = g%d[l] ? k : 0; }\n", id, id);
    return id;
}

/* What the update covers, from where it starts, is the update's. */
int32_t cg_eval_tensor_scatter(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_tensor_scatter_attrs *attrs = node->attrs;
    cg_point                       at = *point, entry = *point;
    int32_t                        start = 0, x = 0, update = 0, place = 0, id = 0;

    entry.rank = 1;
    if (node->in_count > 2 && node->in[2] != PF_NONE) start = cg_eval(cg, node->in[2], &entry);
    x = start < 0 ? -1 : cg_eval(cg, node->in[0], point);
    if (x < 0) return -1;
    place = print_place(cg, node, point, start);
    at.at[attrs->axis] = (cg_index){ .opaque = place };
    at.guard = place;
    at.guard_uniform = false;
    update = cg_eval(cg, node->in[1], &at);
    if (update < 0) return -1;
    id = ++cg->next_id;
    cg_declare(cg, id, cg_type_of(cg_input(cg, node, 0)->dtype));
    pf_buf_printf(cg->body, "LANES v%d[l] = g%d[l] ? v%d[l] : v%d[l];\n", id, place, update, x);
    return id;
}
