/* Layouts in which a step that transposes inside reads side by side what it writes side by side.  Which dim of an input
   that is follows from the way back from the output, through transposes, reshapes, and ops that keep dims as they
   are. */
#include "base/alloc.h"
#include "engine/formats.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/reshape_map.h"

enum { UNKNOWN = -1 };

/* ---- One node back: the dim of its input whose neighbours dim `d` of its output has for neighbours */

static int32_t last_of(const pf_shape *shape, int32_t first, int32_t count)
{
    for (int32_t d = first + count - 1; d >= first; d--)
        if (shape->dim[d] != 1)
            return d;
    return UNKNOWN;
}

static int32_t before_reshape(pf_dims *dims, const pf_shape *from, const pf_shape *to, int32_t d)
{
    pf_reshape_group groups[PF_RESHAPE_GROUPS];
    int32_t          count = pf_reshape_groups(dims, from, to, groups);

    for (int32_t g = 0; g < count; g++)
        if (groups[g].to_count && last_of(to, groups[g].to, groups[g].to_count) == d)
            return last_of(from, groups[g].from, groups[g].from_count);
    return UNKNOWN;
}

static int32_t dim_before(const pf_graph *graph, const pf_node *node, pf_value_id in, int32_t d)
{
    const pf_shape *from = &pf_graph_value(graph, in)->shape, *to = &pf_graph_value(graph, node->out[0])->shape;

    if (node->op == PF_OP_TRANSPOSE)
        return (int32_t)((const pf_transpose_attrs *)node->attrs)->perm.at[d];
    if (node->op == PF_OP_RESHAPE)
        return before_reshape(graph->dims, from, to, d);
    d -= to->rank - from->rank;         /* dims that are broadcast to are in front */
    return from->rank <= to->rank && d >= 0 && from->dim[d] != 1 ? d : UNKNOWN;
}

/* ---- All nodes back */

/* inner: by value; given for the first output.  The first way back counts. */
static void find_inner(const pf_graph *graph, int32_t *inner)
{
    for (uint32_t n = graph->node_count; n-- > 0;) {
        const pf_node *node = &graph->nodes[n];

        for (uint32_t i = 0; i < node->in_count && node->live && inner[node->out[0]] != UNKNOWN; i++)
            if (node->in[i] != PF_NONE && inner[node->in[i]] == UNKNOWN)
                inner[node->in[i]] = dim_before(graph, node, node->in[i], inner[node->out[0]]);
    }
}

static int32_t innermost(pf_layout layout, const pf_shape *shape)
{
    int32_t order[PF_MAX_RANK] = { UNKNOWN }, count = pf_layout_order(layout, shape, order);

    return count ? order[count - 1] : UNKNOWN;
}

static pf_layout layout_of(const pf_problem *p, uint32_t input, int32_t inner)
{
    const pf_shape *shape = &pf_graph_value(p->graph, p->graph->inputs[input])->shape;
    bool            last = !p->in_constant[input] && pf_layout_fits(PF_LAYOUT_CHANNELS_LAST, shape->rank) &&
                inner != UNKNOWN && inner != innermost(PF_LAYOUT_LINEAR, shape) &&
                inner == innermost(PF_LAYOUT_CHANNELS_LAST, shape);

    return last ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;
}

static bool transposes(const pf_graph *graph)
{
    for (uint32_t n = 0; n < graph->node_count; n++)
        if (graph->nodes[n].live && graph->nodes[n].op == PF_OP_TRANSPOSE)
            return true;
    return false;
}

bool pf_formats_side_by_side(const pf_problem *p, pf_layout layout, pf_layout *in, pf_layout *out)
{
    const pf_graph *graph = p->graph;
    const pf_shape *first = graph->output_count ? &pf_graph_value(graph, graph->outputs[0])->shape : NULL;
    int32_t        *inner = first && pf_layout_fits(layout, first->rank) && transposes(graph)
                                ? pf_calloc(graph->value_count, sizeof *inner)
                                : NULL;

    if (!inner)
        return false;
    for (uint32_t v = 0; v < graph->value_count; v++)
        inner[v] = UNKNOWN;
    inner[graph->outputs[0]] = innermost(layout, first);
    find_inner(graph, inner);
    for (uint32_t i = 0; i < graph->output_count; i++)
        out[i] = pf_layout_fits(layout, pf_graph_value(graph, graph->outputs[i])->shape.rank) ? layout
                                                                                              : PF_LAYOUT_LINEAR;
    for (uint32_t i = 0; i < graph->input_count; i++)
        in[i] = layout_of(p, i, inner[graph->inputs[i]]);
    pf_free(inner);
    return true;
}
