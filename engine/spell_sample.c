/* Convolutions that read where offsets say as samples of a grid and a product, and pools undone as a choice. */
#include <string.h>

#include "base/arena.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/spell.h"

enum { X, W, OFFSET, BIAS, MASK, SPATIAL = 2 };

/* ---- deform_conv: x [N,C,H,W], offset [N,groups * taps * 2,h,w], rows before columns */

typedef struct deformed {
    const pf_deform_conv_attrs *attrs;
    pf_shape                    x, w, y;
    int64_t                     taps;
    pf_dim                      images;     /* N times offset groups: each is sampled by itself */
} deformed;

static bool has_sizes(const deformed *d)
{
    for (int32_t i = 1; i < 4; i++)
        if (!pf_dim_is_number(d->x.dim[i]) || !pf_dim_is_number(d->y.dim[i]) || d->x.dim[i] < 1)
            return false;
    return d->x.dim[1] % d->attrs->offset_groups == 0;
}

/* Where each tap reads along a spatial dim without its offset, in a grid's numbers from -1 to 1: [1,taps,h,1] or
   [1,taps,1,w]. A grid's number for place p of `size` is (2 p + 1) / size - 1. */
static pf_value_id places(pf_speller *s, const deformed *d, int32_t axis)
{
    const pf_deform_conv_attrs *a = d->attrs;
    int64_t                     count = d->y.dim[2 + axis], inner = axis ? 1 : d->w.dim[3], size = d->w.dim[2 + axis];
    pf_shape                    shape = { .rank = 4, .dim = { 1, d->taps, axis ? 1 : count, axis ? count : 1 } };
    float                      *data = pf_arena_alloc(s->graph->arena, (size_t)(d->taps * count) * sizeof *data);
    pf_value_id                 out = PF_NONE;

    if (!data && !s->status)
        s->status = PF_FAIL(s->err, PF_NO_SPACE, "places of %lld taps", (long long)d->taps);
    if (s->status)
        return PF_NONE;
    for (int64_t i = 0; i < d->taps * count; i++) {
        int64_t tap = i / count / inner % size;
        double  place = (double)(i % count * (a->strides.count ? a->strides.at[axis] : 1) +
                                tap * (a->dilations.count ? a->dilations.at[axis] : 1) -
                                (a->pads.count ? a->pads.at[axis] : 0));

        data[i] = (float)((2 * place + 1) / (double)d->x.dim[2 + axis] - 1);
    }
    s->status = pf_graph_add_constant(s->graph, s->name, PF_F32, &shape, data, (size_t)(d->taps * count) * sizeof *data,
                                      &out, s->err);
    return s->status ? PF_NONE : out;
}

/* The grid's numbers along a spatial dim, [images,taps,h,w,1]. */
static pf_value_id grid_along(pf_speller *s, const deformed *d, pf_value_id offset, int32_t axis)
{
    pf_dim      dim[5] = { d->images, d->taps, d->y.dim[2], d->y.dim[3], 1 };
    pf_value_id z = pf_spell_reshape(s, pf_spell_slice(s, offset, 2, axis, axis + 1), 4, dim);

    z = pf_spell_number(s, PF_OP_MUL, z, 2.0 / (double)d->x.dim[2 + axis]);
    return pf_spell_reshape(s, pf_spell_binary(s, PF_OP_ADD, z, places(s, d, axis)), 5, dim);
}

/* What all taps read, weighted: [N,C * taps,h,w]. */
static pf_value_id taps_of(pf_speller *s, const deformed *d, const pf_node *node)
{
    int64_t              groups = d->attrs->offset_groups, channels = d->x.dim[1] / groups, taps = d->taps;
    pf_dim               h = d->y.dim[2], w = d->y.dim[3];
    pf_grid_sample_attrs sample = { .mode = PF_GRID_LINEAR, .padding = PF_GRID_ZEROS };
    pf_axis_attrs        last = { .axis = 4 };
    pf_value_id          offset = pf_spell_cast(s, node->in[OFFSET], PF_F32), along[SPATIAL], z = PF_NONE;

    offset = pf_spell_reshape(s, offset, 5, (pf_dim[]){ d->images, taps, SPATIAL, h, w });
    along[0] = grid_along(s, d, offset, 1);
    along[1] = grid_along(s, d, offset, 0);
    z = pf_spell_node(s, PF_OP_CONCAT, along, SPATIAL, &last);
    z = pf_spell_reshape(s, z, 4, (pf_dim[]){ d->images, taps * h, w, SPATIAL });
    z = pf_spell_node(s, PF_OP_GRID_SAMPLE,
                      (pf_value_id[]){ pf_spell_reshape(s, node->in[X], 4, (pf_dim[]){ d->images, channels, d->x.dim[2],
                                                                                       d->x.dim[3] }), z }, 2, &sample);
    if (pf_spell_has(node, MASK)) {
        z = pf_spell_reshape(s, z, 5, (pf_dim[]){ d->images, channels, taps, h, w });
        z = pf_spell_binary(s, PF_OP_MUL, z,
                            pf_spell_reshape(s, node->in[MASK], 5, (pf_dim[]){ d->images, 1, taps, h, w }));
    }
    return pf_spell_reshape(s, z, 4, (pf_dim[]){ d->x.dim[0], d->x.dim[1] * taps, h, w });
}

void pf_spell_deform_conv(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    deformed      d = { .attrs = node->attrs, .x = *pf_spell_shape(s, node->in[X]),
                        .w = *pf_spell_shape(s, node->in[W]), .y = s->graph->values[node->out[0]].shape };
    pf_conv_attrs conv = { .strides = { 2, { 1, 1 } }, .dilations = { 2, { 1, 1 } }, .pads = { 4, { 0 } },
                           .groups = d.attrs->groups };
    pf_value_id   in[3] = { PF_NONE, PF_NONE, pf_spell_has(node, BIAS) ? node->in[BIAS] : PF_NONE };

    if (d.x.rank != 4 || !has_sizes(&d))
        return;
    d.taps = d.w.dim[2] * d.w.dim[3];
    d.images = pf_dim_mul(s->graph->dims, d.x.dim[0], d.attrs->offset_groups);
    in[0] = taps_of(s, &d, node);
    in[1] = pf_spell_reshape(s, node->in[W], 4, (pf_dim[]){ d.w.dim[0], d.w.dim[1] * d.taps, 1, 1 });
    out[0] = pf_spell_node(s, PF_OP_CONV, in, in[2] == PF_NONE ? 2 : 3, &conv);
}

/* ---- max_unpool of windows side by side: each place has the window's value, or 0 where the index is not its own */

/* [N,C,h,w] with each element as often as a window has places. */
static pf_value_id repeated(pf_speller *s, pf_value_id x, const int64_t *window, const pf_shape *to)
{
    const pf_shape  from = *pf_spell_shape(s, x);
    pf_dim          wide[6] = { from.dim[0], from.dim[1], from.dim[2], 1, from.dim[3], 1 };
    pf_expand_attrs expand = { .shape = { 6, { from.dim[0], from.dim[1], from.dim[2], window[0], from.dim[3],
                                               window[1] } } };

    x = pf_spell_reshape(s, x, 6, wide);
    return pf_spell_reshape(s, pf_spell_node(s, PF_OP_EXPAND, &x, 1, &expand), 4, to->dim);
}

static pf_value_id zero_of(pf_speller *s, pf_dtype dtype)
{
    pf_value_id zero = PF_NONE;

    if (!s->status)
        s->status = pf_graph_add_scalar(s->graph, dtype, 0, &zero, s->err);
    return s->status ? PF_NONE : zero;
}

/* Does each index lie in its own window, as a max_pool of these windows leaves it? */
static bool are_of_own_windows(const pf_speller *s, const pf_node *node)
{
    const pf_max_unpool_attrs *a = node->attrs;
    const pf_value            *indices = &s->graph->values[node->in[1]];
    const pf_node             *pool = indices->producer == PF_NONE ? NULL : &s->graph->nodes[indices->producer];
    const pf_pool_attrs       *p = pool && pool->op == PF_OP_MAX_POOL && indices->slot == 1 ? pool->attrs : NULL;

    if (!p || p->column_major || !pf_ints_are_all(&p->pads, 0) || !pf_ints_are_all(&p->dilations, 1))
        return false;
    for (int32_t d = 0; d < SPATIAL; d++)
        if (p->kernel.at[d] != a->kernel.at[d] || p->strides.at[d] != a->strides.at[d])
            return false;
    return pf_spell_shape(s, pool->in[0])->dim[2] == s->graph->values[node->out[0]].shape.dim[2] &&
           pf_spell_shape(s, pool->in[0])->dim[3] == s->graph->values[node->out[0]].shape.dim[3];
}

void pf_spell_max_unpool(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_max_unpool_attrs *a = node->attrs;
    const pf_shape             x = *pf_spell_shape(s, node->in[0]), y = s->graph->values[node->out[0]].shape;
    pf_dim                     count = 1;
    pf_value_id                place = PF_NONE, in[3] = { PF_NONE, PF_NONE, PF_NONE };

    if (x.rank != 4 || !pf_ints_are_all(&a->pads, 0) || pf_spell_dtype(s, node->in[1]) != PF_I64 ||
        !pf_dtype_is_float(pf_spell_dtype(s, node->in[0])) || !are_of_own_windows(s, node))
        return;
    for (int32_t d = 0; d < SPATIAL; d++)
        if (a->kernel.at[d] != a->strides.at[d] ||
            y.dim[2 + d] != pf_dim_mul(s->graph->dims, x.dim[2 + d], a->kernel.at[d]))
            return;
    for (int32_t d = 0; d < y.rank; d++)
        count = pf_dim_mul(s->graph->dims, count, y.dim[d]);
    place = pf_spell_reshape(s, pf_spell_range(s, 0, count, 0), y.rank, y.dim);
    in[1] = repeated(s, node->in[0], a->kernel.at, &y);
    in[0] = pf_spell_binary(s, PF_OP_EQUAL, place, repeated(s, node->in[1], a->kernel.at, &y));
    in[2] = zero_of(s, pf_spell_dtype(s, node->in[0]));
    out[0] = pf_spell_node(s, PF_OP_WHERE, in, 3, NULL);
}
