/* A convolution whose windows lie side by side, on an image of a few channels (the patches that a vision transformer
   starts with), is a product with the matrix of its weights: rows are patches.  Convolutions want channels in vectors,
   which such an image fills only in part.  Condition: kernel equals stride and divides the image, no padding, no
   dilation, no groups, fewer than CHANNELS channels, patches of at least
   PATCH elements. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { CHANNELS = 8, PATCH = 8 };

typedef struct patches { pf_dim images; int64_t channels, kernel[2], count[2], features; } patches;

static bool read_patches(const pf_graph *graph, const pf_node *node, patches *out)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape      *x = &graph->values[node->in[0]].shape, *w = &graph->values[node->in[1]].shape;

    if (x->rank != 4 || !graph->values[node->in[1]].is_constant || attrs->groups != 1 || attrs->auto_pad ||
        !pf_ints_are_all(&attrs->pads, 0) || !pf_ints_are_all(&attrs->dilations, 1) || attrs->strides.count != 2 ||
        !pf_dim_is_number(x->dim[1]) || x->dim[1] >= CHANNELS)
        return false;
    *out = (patches){ .images = x->dim[0], .channels = x->dim[1], .features = w->dim[0] };
    for (int d = 0; d < 2; d++) {
        out->kernel[d] = w->dim[2 + d];
        if (attrs->strides.at[d] != out->kernel[d] || !pf_dim_is_number(x->dim[2 + d]) ||
            x->dim[2 + d] % out->kernel[d])
            return false;
        out->count[d] = x->dim[2 + d] / out->kernel[d];
    }
    return out->channels * out->kernel[0] * out->kernel[1] >= PATCH;
}

/* [images, patches, elements of a patch], these in the order of the weights. */
static pf_status as_rows(pf_graph *graph, const pf_node *node, const patches *p, pf_value_id *out, pf_err *err)
{
    static const int64_t perm[] = { 0, 2, 4, 1, 3, 5 };
    pf_shape  cut = { .rank = 6,
                      .dim = { p->images, p->channels, p->count[0], p->kernel[0], p->count[1], p->kernel[1] } };
    pf_shape  rows = { .rank = 3,
                       .dim = { p->images, p->count[0] * p->count[1], p->channels * p->kernel[0] * p->kernel[1] } };
    pf_status st = pf_make_reshape(graph, node->name, node->in[0], &cut, out, err);

    if (!st)
        st = pf_make_transpose(graph, node->name, *out, perm, out, err);
    return st ? st : pf_make_reshape(graph, node->name, *out, &rows, out, err);
}

/* [images, patches, features] to [images, features, rows, columns]. */
static pf_status as_image(pf_graph *graph, const pf_node *node, const patches *p, pf_value_id *x, pf_err *err)
{
    static const int64_t perm[] = { 0, 2, 1 };
    pf_shape  image = { .rank = 4, .dim = { p->images, p->features, p->count[0], p->count[1] } };
    pf_status st = pf_make_transpose(graph, node->name, *x, perm, x, err);

    return st ? st : pf_make_reshape(graph, node->name, *x, &image, x, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node     node = graph->nodes[id];         /* a copy: adding nodes moves them */
    patches     p = { 0 };
    pf_shape    matrix = { .rank = 2 };
    pf_value_id rows = PF_NONE, weights = PF_NONE, out = PF_NONE;
    pf_status   st = PF_OK;

    if (node.op != PF_OP_CONV || !read_patches(graph, &node, &p))
        return PF_OK;
    matrix.dim[0] = p.features;
    matrix.dim[1] = p.channels * p.kernel[0] * p.kernel[1];
    st = as_rows(graph, &node, &p, &rows, err);
    if (!st)
        st = pf_make_reshape(graph, node.name, node.in[1], &matrix, &weights, err);
    if (!st)
        st = pf_make_matmul(graph, node.name, rows, weights, false, true, &out, err);
    if (!st && node.in_count > 2 && node.in[2] != PF_NONE)
        st = pf_make_binary(graph, PF_OP_ADD, node.name, out, node.in[2], &out, err);
    if (!st)
        st = as_image(graph, &node, &p, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_patches_to_matmul = {
    .name = "patches_to_matmul", .summary = "a matrix product instead of a convolution of separate patches",
    .phase = PF_RULES_PATTERN, .default_on = true, .apply = apply,
};
