#include "engine/profile_guess.h"

#include "base/alloc.h"
#include "base/log.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

/* What is tried in the place of all open dims at once: patches and images of the usual sizes among the powers of
   two. */
static const int64_t sizes[] = { 2, 4, 8, 16, 32, 64, 128, 224, 256, 384, 512, 640, 1024 };

/* EMPTY: accepted, but some value has no elements, or not one that is read */
typedef enum fit { REFUSED, EMPTY, FITS } fit;

typedef struct guess {
    const pf_graph *graph;
    const bool     *open;
    int64_t        *value;
    const int64_t  *least;
    uint32_t        count;      /* of symbols */
    pf_err         *err;
} guess;

static bool is_empty(const pf_graph *graph)
{
    for (uint32_t v = 0; v < graph->value_count; v++)
        for (int32_t d = 0; d < graph->values[v].shape.rank && !graph->values[v].is_constant; d++)
            if (pf_dim_is_number(graph->values[v].shape.dim[d]) && graph->values[v].shape.dim[d] < 1)
                return true;
    return false;
}

/* A known index that lies outside: a loop over positions that was unrolled for more of them. */
static bool reads_outside(const pf_graph *graph, const pf_node *node)
{
    const pf_axis_attrs *attrs = node->attrs;
    const pf_value      *x = node->op == PF_OP_GATHER ? &graph->values[node->in[0]] : NULL,
                        *at = x ? &graph->values[node->in[1]] : NULL;
    int64_t              size = x && x->shape.rank > attrs->axis ? x->shape.dim[attrs->axis] : INT64_MAX, index = 0;
    bool                 known = at && at->is_constant && pf_shape_elems(graph->dims, &at->shape) == 1;

    if (!x || !pf_dim_is_number(size) ||
        !(known || (at->content && at->content_count == 1 && pf_dim_is_number(at->content[0]))))
        return false;
    index = known ? pf_dtype_get_i64(at->dtype, at->constant.data, 0) : at->content[0];
    return index >= size || index < -size;
}

static bool is_degenerate(const pf_graph *graph)
{
    for (uint32_t n = 0; n < graph->node_count; n++)
        if (graph->nodes[n].live && reads_outside(graph, &graph->nodes[n]))
            return true;
    return is_empty(graph);
}

static pf_status put_values(pf_graph *graph, const guess *g, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < graph->input_count && !st; i++) {
        pf_shape shape = graph->values[graph->inputs[i]].shape;

        for (int32_t d = 0; d < shape.rank && !st; d++)
            st = pf_dim_is_number(shape.dim[d]) ? PF_OK
                                                : pf_dim_eval(graph->dims, shape.dim[d], g->value, &shape.dim[d], err);
        if (!st)
            st = pf_graph_set_input_shape(graph, graph->inputs[i], &shape, err);
    }
    for (uint32_t s = 0; s < g->count && !st; s++)
        if (g->value[s] != PF_UNBOUND)
            st = pf_graph_substitute(graph, s, g->value[s], err);
    return st;
}

/* Infers a copy with numbers for symbols. Only a lack of memory is an error; why says what else was wrong. */
static pf_status try_values(const guess *g, fit *out, pf_err *why)
{
    pf_graph *copy = pf_graph_copy(g->graph, g->err);
    pf_status st = copy ? PF_OK : PF_NO_SPACE;

    *out = REFUSED;
    pf_err_clear(why);
    if (!st)
        st = put_values(copy, g, why);
    if (!st)
        st = pf_graph_infer(copy, why);
    if (!st)
        *out = is_degenerate(copy) ? EMPTY : FITS;
    pf_graph_free(copy);
    return st == PF_NO_SPACE ? PF_FAIL_MEMORY(g->err, 0) : PF_OK;
}

/* Whether it is a batch or channels: in the first two dims of inputs that have more, and in no other. */
static bool leads(const pf_graph *graph, pf_dim symbol)
{
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const pf_shape *shape = &graph->values[graph->inputs[i]].shape;

        for (int32_t d = shape->rank > 2 ? 2 : 0; d < shape->rank; d++)
            if (shape->dim[d] == symbol)
                return false;
    }
    return true;
}

/* The size, or the greatest that the network has room for. */
static int64_t at_most(const pf_graph *graph, uint32_t symbol, int64_t size)
{
    int64_t low = 0, high = 0;

    pf_dims_symbol_range(graph->dims, symbol, &low, &high);
    return size < high ? size : high;
}

/* Those that lead, too, or not: of an image of any number of channels 1 suits a network whose weights are for 3. */
static void set_open(const guess *g, int64_t size, bool all)
{
    for (uint32_t s = 0; s < g->count; s++) {
        pf_dim symbol = pf_dims_symbol(g->graph->dims, pf_dims_symbol_name(g->graph->dims, s));
        bool   stays = size < g->least[s] || (!all && leads(g->graph, symbol));

        if (g->open[s])
            g->value[s] = stays ? g->least[s] : at_most(g->graph, s, size);
    }
}

/* Dims that need not be that large go back, one after the other: the batch of an image. */
static pf_status lower_each(const guess *g, fit wanted)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < g->count && !st; s++) {
        int64_t large = g->value[s];
        fit     found = REFUSED;
        pf_err  why = { 0 };

        if (!g->open[s] || large == g->least[s])
            continue;
        g->value[s] = g->least[s];
        st = try_values(g, &found, &why);
        if (found < wanted)
            g->value[s] = large;
    }
    return st;
}

static pf_status refuse(const guess *g, const pf_err *why)
{
    for (uint32_t i = 0; i < g->graph->input_count; i++) {
        const pf_value *input = &g->graph->values[g->graph->inputs[i]];

        for (int32_t d = 0; d < input->shape.rank; d++)
            for (uint32_t s = 0; s < g->count; s++)
                if (g->open[s] && pf_dim_uses(g->graph->dims, input->shape.dim[d], s))
                    return PF_FAIL(g->err, PF_USAGE,
                                   "no size from 1 to %lld suits the dim \"%s\" of input \"%s\", which no shape was "
                                   "given for "
                                   "(%.400s): give it with shapes=%s:...",
                                   (long long)sizes[sizeof sizes / sizeof sizes[0] - 1],
                                   pf_dims_symbol_name(g->graph->dims, s), input->name, why->msg, input->name);
    }
    return PF_FAIL(g->err, PF_USAGE, "%s", why->msg);
}

/* The first of the sizes that suits best; *best: what suits so far. */
static pf_status search_sizes(const guess *g, bool all, fit *best, int64_t *size)
{
    pf_status st = PF_OK;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && *best < FITS && !st; i++) {
        fit    found = REFUSED;
        pf_err why = { 0 };

        set_open(g, sizes[i], all);
        st = try_values(g, &found, &why);
        if (found > *best) {
            *best = found;
            *size = sizes[i];
        }
    }
    return st;
}

static pf_status search(const guess *g)
{
    fit       best = REFUSED;
    bool      all = true;
    int64_t   size = 1;
    pf_err    why = { 0 };
    pf_status st = try_values(g, &best, &why);

    if (st || best == FITS)
        return st;
    st = search_sizes(g, true, &best, &size);
    if (!st && best == REFUSED) {
        all = false;
        st = search_sizes(g, false, &best, &size);
    }
    if (!st && best == REFUSED)
        return refuse(g, &why);
    set_open(g, size, all);
    return st ? st : lower_each(g, best);
}

static void tell(const guess *g)
{
    for (uint32_t s = 0; s < g->count; s++)
        if (g->open[s] && g->value[s] != g->least[s])
            pf_log(PF_LOG_WARN, "profile",
                   "size-guessed dim=%s value=%lld reason=\"no shape gives it, and the network takes none of %lld\"",
                   pf_dims_symbol_name(g->graph->dims, s), (long long)g->value[s], (long long)g->least[s]);
}

/* Where a network says which sizes have room for its windows, one of the list is likelier to be used than the least. */
static int64_t first_size(const pf_graph *graph, uint32_t symbol, int64_t least)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && least > 1; i++)
        if (sizes[i] >= least)
            return at_most(graph, symbol, sizes[i]);
    return least;
}

pf_status pf_profile_guess(const pf_graph *graph, const bool *open, int64_t *value, pf_err *err)
{
    uint32_t  count = pf_dims_symbol_count(graph->dims);
    int64_t  *least = pf_calloc(count + 1, sizeof *least);
    guess     g = { graph, open, value, least, count, err };
    bool      any = false;
    pf_status st = least ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *least);

    for (uint32_t s = 0; s < count && !st; s++) {
        value[s] = least[s] = open[s] ? first_size(graph, s, value[s]) : value[s];
        any |= open[s];
    }
    if (!st && any)
        st = search(&g);
    if (!st && any)
        tell(&g);
    pf_free(least);
    return st;
}
