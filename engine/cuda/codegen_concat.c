/* concat at a point: the part that it lies in. Where all parts are inputs, only moved, the place is chosen and read
   once; else all parts are evaluated, and one of them is taken. */
#include "engine/cuda/codegen_expr.h"
#include "engine/epilogue.h"
#include "engine/ops/attrs.h"

enum { PARTS_MAX = 8 };

void cg_take_where(cg_context *cg, int32_t id, int32_t guard, int32_t taken)
{
    pf_buf_printf(cg->body, "  LANES v%d[l] = g%d[l] ? v%d[l] : v%d[l];\n", id, guard, taken, id);
}

/* The point within part k, whose guard says whether it lies there. */
static cg_point part_point(cg_context *cg, const pf_node *node, uint32_t k, int64_t start, const cg_point *point)
{
    int64_t  axis = ((const pf_axis_attrs *)node->attrs)->axis;
    cg_point at = cg_guarded(cg, point, &point->at[axis], start, start + cg_input(cg, node, k)->shape.dim[axis]);

    at.at[axis].constant -= start;
    return at;
}

/* ---- Of inputs */

static bool only_changes_point(const pf_graph *graph, const pf_node *node)
{
    switch (node->op) {
    case PF_OP_IDENTITY:
    case PF_OP_TRANSPOSE:
    case PF_OP_RESHAPE:
    case PF_OP_SLICE: return true;
    case PF_OP_RESIZE: return cg_resize_repeats(graph, node);
    default: return false;
    }
}

static bool is_moved_input(const cg_context *cg, pf_value_id value)
{
    const pf_graph *graph = cg->problem->graph;

    while (pf_graph_value(graph, value)->producer != PF_NONE) {
        const pf_node *node = &graph->nodes[pf_graph_value(graph, value)->producer];

        if (!only_changes_point(graph, node)) return false;
        value = node->in[0];
    }
    return pf_problem_input_index(cg->problem, value) != UINT32_MAX;
}

typedef struct place { uint32_t input; cg_index address; int32_t guard; } place;

/* Where the lanes would be read, when they are neighbours there and all in this part or none. */
static bool trace_part(cg_context *cg, pf_value_id value, const cg_point *at, place *to)
{
    uint32_t known = cg->memo_count;
    bool     fine = false;

    if (!at->guard_uniform) return false;
    cg->tracing = true;
    cg->traced_input = UINT32_MAX;
    fine = cg_eval(cg, value, at) >= 0 && cg->traced_input != UINT32_MAX && cg_contiguous(cg, &cg->traced_address);
    cg->tracing = false;
    cg->memo_count = known;
    *to = (place){ cg->traced_input, cg->traced_address, at->guard };
    return fine;
}

static bool are_moved_inputs(const cg_context *cg, const pf_node *node)
{
    for (uint32_t k = 0; k < node->in_count; k++)
        if (!is_moved_input(cg, node->in[k])) return false;
    return true;
}

/* 0: they are not such. */
static int32_t read_one_of_inputs(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int64_t axis = ((const pf_axis_attrs *)node->attrs)->axis, start = 0;
    place   places[PARTS_MAX];
    int32_t pointer = 0;

    if (cg->tracing || cg->vector == 1 || node->in_count > PARTS_MAX || !are_moved_inputs(cg, node))
        return 0;
    for (uint32_t k = 0; k < node->in_count; k++) {
        cg_point at = part_point(cg, node, k, start, point);

        if (!trace_part(cg, node->in[k], &at, &places[k])) return 0;
        start += cg_input(cg, node, k)->shape.dim[axis];
    }
    pointer = ++cg->next_id;
    for (uint32_t k = 0; k < node->in_count; k++) {
        if (k) pf_buf_printf(cg->body, "  if (g%d[0]) ", places[k].guard);
        else pf_buf_printf(cg->body, "  const auto *");
        pf_buf_printf(cg->body, "p%d = in%u + ", pointer, places[k].input);
        cg_index_print(cg, &places[k].address, "0", cg->body);
        pf_buf_printf(cg->body, ";\n");
    }
    return cg_load_at(cg, pointer, pf_graph_value(cg->problem->graph, node->out[0])->dtype, point);
}

/* ---- Of anything */

static int32_t take_part(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int64_t axis = ((const pf_axis_attrs *)node->attrs)->axis, start = 0;
    int32_t id = ++cg->next_id;

    cg_declare(cg, id, cg_type_of(pf_graph_value(cg->problem->graph, node->out[0])->dtype));
    pf_buf_printf(cg->body, "LANES v%d[l] = 0;\n", id);
    for (uint32_t k = 0; k < node->in_count; k++) {
        cg_point at = part_point(cg, node, k, start, point);
        int32_t  part = cg_eval(cg, node->in[k], &at);

        if (part < 0) return -1;
        cg_take_where(cg, id, at.guard, part);
        start += cg_input(cg, node, k)->shape.dim[axis];
    }
    return id;
}

int32_t cg_eval_concat(cg_context *cg, const pf_node *node, const cg_point *point)
{
    int32_t id = read_one_of_inputs(cg, node, point);

    return id ? id : take_part(cg, node, point);
}
