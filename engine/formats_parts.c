/* Options that need no step.  A concat costs nothing in a layout in which its parts lie one behind the other and each
   is made by a step: the steps write where the whole lies.  A slice costs nothing where it lies in one piece: whoever
   reads it reads there.  Each value is a part of one concat at most; where two want it the larger one gets it, and the
   other copies.  A transpose costs nothing between layouts that put its input's and its output's elements at the same
   places, as channels last and linear do for [n,c,h,w] and [n,h,w,c]. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/formats.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

extern const pf_rule pf_rule_parts_in_place;

typedef struct whole { uint32_t unit; uint64_t bytes; } whole;

typedef struct finding {
    pf_formats *f;
    bool       *made;           /* by value: a step writes it, and may write it anywhere */
    bool       *seen;           /* by value: among the parts of the concat that is looked at */
    whole      *wholes;         /* concats, the largest first */
    uint32_t    count;
} finding;

/* ---- Where parts lie */

static int64_t first_index(int64_t start, int64_t size)
{
    start += start < 0 ? size : 0;
    return start < 0 ? 0 : start > size ? size : start;
}

static bool slice_part(const pf_graph *graph, const pf_node *node, pf_layout layout, uint64_t *offset_bytes)
{
    const pf_slice_attrs *attrs = node->attrs;
    const pf_value       *x = &graph->values[node->in[0]];
    const pf_shape       *part = &graph->values[node->out[0]].shape;
    int32_t               axis = 0;
    int64_t               start = 0;

    if (!pf_shape_is_static(&x->shape) || !pf_shape_is_static(part) || x->shape.rank == 0)
        return false;
    for (int32_t i = 0, cut = 0; i < attrs->axes.count; i++) {
        int32_t d = (int32_t)attrs->axes.at[i];

        if (part->dim[d] == x->shape.dim[d] && attrs->steps.at[i] == 1)
            continue;
        if (cut++ || attrs->steps.at[i] != 1 || pf_dim_is_symbolic(attrs->starts.at[i]))
            return false;
        axis = d;
        start = first_index(attrs->starts.at[i], x->shape.dim[d]);
    }
    return pf_layout_part(layout, x->dtype, &x->shape, axis, start, part->dim[axis], offset_bytes);
}

static bool concat_part(const pf_graph *graph, const pf_node *node, pf_layout layout, uint32_t index,
                        uint64_t *offset_bytes)
{
    const pf_value *y = &graph->values[node->out[0]];
    int32_t         axis = (int32_t)((const pf_axis_attrs *)node->attrs)->axis;
    int64_t         start = 0;

    for (uint32_t i = 0; i <= index; i++)
        if (!pf_shape_is_static(&graph->values[node->in[i]].shape))
            return false;
    for (uint32_t i = 0; i < index; i++)
        start += graph->values[node->in[i]].shape.dim[axis];
    return pf_layout_part(layout, y->dtype, &y->shape, axis, start, graph->values[node->in[index]].shape.dim[axis],
                          offset_bytes);
}

bool pf_formats_part(const pf_graph *graph, pf_node_id id, pf_layout layout, uint32_t index, uint64_t *offset_bytes)
{
    const pf_node *node = &graph->nodes[id];

    return node->op == PF_OP_CONCAT  ? concat_part(graph, node, layout, index, offset_bytes)
           : node->op == PF_OP_SLICE ? slice_part(graph, node, layout, offset_bytes)
                                     : false;
}

/* ---- Options that become free */

static bool is_free(const pf_formats *f, const pf_format_unit *unit, const pf_format_option *option)
{
    uint64_t offset = 0;

    for (uint32_t i = 0; i < unit->in_count; i++)
        if (option->in[i] != option->out[0] ||
            !pf_formats_part(f->graph, unit->group->nodes[0], option->out[0], i, &offset))
            return false;
    return true;
}

static bool may_be_free(const pf_formats *f, const pf_format_unit *unit)
{
    for (uint32_t i = 0; i < unit->option_count; i++)
        if (is_free(f, unit, &unit->options[i]))
            return true;
    return false;
}

static pf_status make_free(pf_format_unit *unit, pf_format_option *option, pf_err *err)
{
    pf_layout *in = pf_alloc((unit->in_count + 1) * sizeof *in), *out = pf_alloc(sizeof *out);

    if (!in || !out) {
        pf_free(in);
        pf_free(out);
        return PF_FAIL_MEMORY(err, unit->in_count * sizeof *in);
    }
    memcpy(in, option->in, unit->in_count * sizeof *in);
    *out = option->out[0];
    pf_problem_free(option->problem);
    *option = (pf_format_option){ .in = in, .out = out, .item = PF_NONE };
    return PF_OK;
}

static pf_status make_options_free(pf_formats *f, pf_format_unit *unit, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < unit->option_count && !st; i++)
        if (is_free(f, unit, &unit->options[i]))
            st = make_free(unit, &unit->options[i], err);
    return st;
}

/* ---- Slices */

bool pf_formats_leaves(const pf_formats *f, pf_value_id value)
{
    for (uint32_t i = 0; i < f->tail->leaving_count; i++)
        if (f->tail->leaving[i].output != PF_NONE && pf_formats_view_root(f->graph, f->tail->leaving[i].value) == value)
            return true;
    return false;
}

/* An output has memory of its own; a constant's bytes may be kept packed alone. */
static bool reads_in_place(const pf_formats *f, const pf_format_unit *unit)
{
    const pf_node *node = pf_formats_only_node(f, unit, PF_OP_SLICE);

    return node && !f->graph->values[pf_formats_view_root(f->graph, node->in[0])].is_constant &&
           !pf_formats_leaves(f, node->out[0]) && may_be_free(f, unit);
}

static pf_status free_slices(finding *a, pf_err *err)
{
    pf_formats *f = a->f;
    pf_status   st = PF_OK;

    for (uint32_t u = 0; u < f->unit_count && !st; u++) {
        pf_format_unit *unit = &f->units[u];
        bool            in_place = reads_in_place(f, unit);

        if (in_place)
            st = make_options_free(f, unit, err);
        for (uint32_t i = 0; i < unit->out_count && !in_place && !unit->is_view; i++)
            if (unit->out[i] != PF_NONE)
                a->made[unit->out[i]] = true;
    }
    return st;
}

/* ---- Concats */

static int by_bytes(const void *a, const void *b)
{
    const whole *x = a, *y = b;

    return x->bytes != y->bytes ? (x->bytes > y->bytes ? -1 : 1) : x->unit < y->unit ? -1 : x->unit > y->unit;
}

static void find_wholes(finding *a)
{
    const pf_formats *f = a->f;

    for (uint32_t u = 0; u < f->unit_count; u++) {
        const pf_node  *node = pf_formats_only_node(f, &f->units[u], PF_OP_CONCAT);
        const pf_value *y = node ? &f->graph->values[node->out[0]] : NULL;
        size_t          bytes = 0;

        if (y && pf_shape_is_static(&y->shape) &&
            !pf_layout_bytes(PF_LAYOUT_LINEAR, y->dtype, y->shape.rank, y->shape.dim, &bytes, NULL))
            a->wholes[a->count++] = (whole){ u, bytes };
    }
    qsort(a->wholes, a->count, sizeof *a->wholes, by_bytes);
}

/* All parts are made by steps, each is one value, and none lies elsewhere already. */
static bool may_write_parts(finding *a, const pf_format_unit *unit)
{
    const pf_formats *f = a->f;
    bool              may = may_be_free(f, unit);

    for (uint32_t i = 0; i < unit->in_count; i++) {
        pf_value_id root = pf_formats_view_root(f->graph, unit->in[i]);

        may = may && a->made[root] && !a->seen[root] && !pf_formats_leaves(f, root);
        a->seen[root] = true;
    }
    for (uint32_t i = 0; i < unit->in_count; i++)
        a->seen[pf_formats_view_root(f->graph, unit->in[i])] = false;
    return may;
}

static pf_status free_concats(finding *a, pf_err *err)
{
    pf_formats *f = a->f;
    pf_status   st = PF_OK;

    find_wholes(a);
    for (uint32_t w = 0; w < a->count && !st; w++) {
        pf_format_unit *unit = &f->units[a->wholes[w].unit];

        if (!may_write_parts(a, unit))
            continue;
        for (uint32_t i = 0; i < unit->in_count; i++)
            a->made[pf_formats_view_root(f->graph, unit->in[i])] = false;
        for (uint32_t i = 0; i < unit->in_count; i++)
            f->placed[pf_formats_view_root(f->graph, unit->in[i])] = true;
        st = make_options_free(f, unit, err);
    }
    return st;
}

/* ---- Transposes */

bool pf_formats_renames(const pf_graph *graph, const pf_node *node, pf_layout in, pf_layout out)
{
    const pf_transpose_attrs *attrs = node->attrs;
    const pf_shape           *from = &graph->values[node->in[0]].shape, *to = &graph->values[node->out[0]].shape;
    int32_t                   read[PF_MAX_RANK] = { 0 }, written[PF_MAX_RANK] = { 0 };
    int32_t                   count = pf_layout_order(in, from, read);
    bool same = pf_layout_order(out, to, written) == count && pf_layout_fits(in, from->rank) &&
                pf_layout_fits(out, to->rank);

    for (int32_t i = 0; i < count && same; i++)
        same = attrs->perm.at[written[i]] == read[i];
    return same;
}

/* Not where the output has memory of its own, or is a part of a concat, which its step writes in place. */
static bool may_rename(const pf_formats *f, const pf_format_unit *unit)
{
    const pf_node *node = pf_formats_only_node(f, unit, PF_OP_TRANSPOSE);

    return node && !f->graph->values[pf_formats_view_root(f->graph, node->in[0])].is_constant &&
           !pf_formats_leaves(f, node->out[0]) && !f->placed[node->out[0]];
}

static pf_status free_transposes(pf_formats *f, pf_err *err)
{
    static const pf_layout kinds[] = { PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST };
    pf_status              st = PF_OK;

    for (uint32_t u = 0; u < f->unit_count; u++) {
        pf_format_unit *unit = &f->units[u];

        for (int i = 0; i < 4 && !st && may_rename(f, unit); i++)
            if (pf_formats_renames(f->graph, &f->graph->nodes[unit->group->nodes[0]], kinds[i / 2], kinds[i % 2]))
                st = pf_formats_add_free_option(unit, kinds[i / 2], kinds[i % 2], err);
    }
    return st;
}

pf_status pf_formats_free_parts(pf_formats *f, pf_err *err)
{
    uint32_t  values = f->graph->value_count + 1;
    finding   a = { .f = f };
    pf_status st = PF_OK;

    if (!pf_rule_is_on(&pf_rule_parts_in_place, pf_config_value(f->search->config, PF_CONFIG_disable_rules)))
        return PF_OK;
    a.made = pf_calloc(values, sizeof *a.made);
    a.seen = pf_calloc(values, sizeof *a.seen);
    a.wholes = pf_calloc(f->unit_count + 1, sizeof *a.wholes);
    if (!a.made || !a.seen || !a.wholes)
        st = PF_FAIL_MEMORY(err, values * sizeof *a.made);
    if (!st)
        st = free_slices(&a, err);
    if (!st)
        st = free_concats(&a, err);
    if (!st)
        st = free_transposes(f, err);
    pf_free(a.made);
    pf_free(a.seen);
    pf_free(a.wholes);
    return st;
}
