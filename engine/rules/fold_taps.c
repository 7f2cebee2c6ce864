/* Rows and columns of a convolution's kernel that meet nothing but padding are left out of it, with the padding that
   was there for them: dilated as far as an image of that size is wide, a kernel of 3 x 3 is one of 1 x 1.
   Condition: the sizes are numbers, and as much padding stays at both ends of each dim, which kernels of all devices
   take. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* One spatial dim; taps [first, end) of the kernel meet an element. */
typedef struct line { int64_t size, out, taps, stride, dilation, pad[2], first, end; } line;

static int64_t listed(const pf_ints *list, int32_t i, int64_t else_what)
{
    return i < list->count ? list->at[i] : else_what;
}

static bool read_line(const pf_graph *graph, const pf_node *node, int32_t i, line *out)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape      *x = &graph->values[node->in[0]].shape, *w = &graph->values[node->in[1]].shape;
    const pf_shape      *y = &graph->values[node->out[0]].shape;
    int32_t              spatial = x->rank - 2;

    *out = (line){ x->dim[2 + i], y->dim[2 + i], w->dim[2 + i], listed(&attrs->strides, i, 1),
                   listed(&attrs->dilations, i, 1),
                   { listed(&attrs->pads, i, 0), listed(&attrs->pads, i + spatial, 0) }, 0, 0 };
    return pf_dim_is_number(out->size) && pf_dim_is_number(out->out) && pf_dim_is_number(out->taps) && out->size > 0 &&
           out->out > 0;
}

static int64_t quotient_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Tap t reads from its place on, out elements at steps of the stride. False: all taps are needed, or none is. */
static bool find_taps(line *l)
{
    int64_t before = l->pad[0] - (l->out - 1) * l->stride, behind = l->size + l->pad[0];

    l->first = before > 0 ? quotient_up(before, l->dilation) : 0;
    l->end = behind > 0 ? quotient_up(behind, l->dilation) : 0;
    l->end = l->end < l->taps ? l->end : l->taps;
    l->pad[0] -= l->first * l->dilation;
    l->pad[1] -= (l->taps - l->end) * l->dilation;
    return l->first < l->end && l->end - l->first < l->taps && l->pad[0] >= 0 && l->pad[0] == l->pad[1];
}

static void set_line(pf_conv_attrs *attrs, int32_t spatial, int32_t i, const line *l)
{
    if (l->end - l->first == 1 && i < attrs->dilations.count)
        attrs->dilations.at[i] = 1;
    while (attrs->pads.count < 2 * spatial)
        attrs->pads.at[attrs->pads.count++] = 0;
    attrs->pads.at[i] = l->pad[0];
    attrs->pads.at[i + spatial] = l->pad[1];
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    const pf_node  node = graph->nodes[id];
    pf_conv_attrs  attrs = { .groups = 1 };
    pf_value_id    in[3] = { PF_NONE, PF_NONE, PF_NONE }, out = PF_NONE;
    int32_t        spatial = 0;
    bool           less = false;
    pf_status      st = PF_OK;

    if (node.op != PF_OP_CONV || node.in_count > 3)
        return PF_OK;
    attrs = *(const pf_conv_attrs *)node.attrs;
    spatial = graph->values[node.in[0]].shape.rank - 2;
    if (attrs.auto_pad != PF_AUTO_PAD_NONE || spatial < 1 || 2 * spatial > PF_ATTR_LIST)
        return PF_OK;
    for (uint32_t i = 0; i < node.in_count; i++)
        in[i] = node.in[i];
    for (int32_t i = 0; i < spatial && !st; i++) {
        line l = { 0 };

        if (!read_line(graph, &node, i, &l) || !find_taps(&l))
            continue;
        less = true;
        set_line(&attrs, spatial, i, &l);
        st = pf_make_slice(graph, node.name, in[1], 2 + i, l.first, l.end, 1, &in[1], err);
    }
    if (!less || st)
        return st;
    st = pf_graph_add_node(graph, PF_OP_CONV, node.name, in, node.in_count, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_fold_taps = {
    .name = "fold_taps", .summary = "leave out rows of a convolution's kernel that meet nothing but padding",
    .phase = PF_RULES_WEIGHTS, .default_on = true, .apply = apply,
};
